/* SPDX-License-Identifier: MIT */
/* A lock for the few short sections that several lanes share (docs/ARCHITECTURE.md, "Threads"). Whoever holds one calls nothing that could block. */
#ifndef GATEWAY_BASE_LOCK_H
#define GATEWAY_BASE_LOCK_H

#include <pthread.h>

struct gw_lock {
    pthread_mutex_t mutex;
};

static inline void gw_lock_init(struct gw_lock *lock)
{
    pthread_mutex_init(&lock->mutex, NULL); /* a plain one: cannot fail */
}
static inline void gw_lock_fini(struct gw_lock *lock)
{
    pthread_mutex_destroy(&lock->mutex);
}
static inline void gw_lock_take(struct gw_lock *lock)
{
    pthread_mutex_lock(&lock->mutex);
}
static inline void gw_lock_give(struct gw_lock *lock)
{
    pthread_mutex_unlock(&lock->mutex);
}

#endif
