/* SPDX-License-Identifier: MIT */
/* System calls that fail as told, in one thread of the process. Link with -Wl,--wrap=<call> for each of the calls. */
#ifndef TESTS_UNIT_LOCAL_FAULTS_H
#define TESTS_UNIT_LOCAL_FAULTS_H

#include <pthread.h>

enum fault_call {
    FAULT_RECV,
    FAULT_SENDMSG,
    FAULT_SEND,
    FAULT_CONNECT,
    FAULT_ACCEPT4,
    FAULT_SOCKET,
    FAULT_SHUTDOWN,
    FAULT_CALLS
};

/* The next `count` calls after `skip` good ones fail with err, in the thread (0 = any). */
void fault_set(enum fault_call call, int err, unsigned skip, unsigned count, pthread_t thread);
/* How many have failed so since fault_set. */
unsigned fault_count(enum fault_call call);
/* recv() gives at most so many bytes in the thread; 0 = as many as there are. */
void fault_set_short_reads(unsigned len, pthread_t thread);
void fault_clear(void);

#endif
