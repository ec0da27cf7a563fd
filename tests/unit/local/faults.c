/* SPDX-License-Identifier: MIT */
#include "faults.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>

struct fault {
    int err;
    unsigned skip, count, failed;
    pthread_t thread;
};

static struct fault faults[FAULT_CALLS];
static unsigned short_reads;
static pthread_t short_reader;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

void fault_set(enum fault_call call, int err, unsigned skip, unsigned count, pthread_t thread)
{
    pthread_mutex_lock(&lock);
    faults[call] = (struct fault){err, skip, count, 0, thread};
    pthread_mutex_unlock(&lock);
}

unsigned fault_count(enum fault_call call)
{
    pthread_mutex_lock(&lock);
    unsigned failed = faults[call].failed;
    pthread_mutex_unlock(&lock);
    return failed;
}

void fault_set_short_reads(unsigned len, pthread_t thread)
{
    pthread_mutex_lock(&lock);
    short_reads = len;
    short_reader = thread;
    pthread_mutex_unlock(&lock);
}

void fault_clear(void)
{
    pthread_mutex_lock(&lock);
    memset(faults, 0, sizeof faults);
    short_reads = 0;
    pthread_mutex_unlock(&lock);
}

/* Sets errno. */
static bool fails(enum fault_call call)
{
    struct fault *fault = &faults[call];
    int err = 0;
    pthread_mutex_lock(&lock);
    if (fault->count > 0 && (!fault->thread || pthread_equal(fault->thread, pthread_self()))) {
        if (fault->skip > 0) {
            fault->skip--;
        } else {
            fault->count--;
            fault->failed++;
            err = fault->err;
        }
    }
    pthread_mutex_unlock(&lock);
    errno = err;
    return err != 0;
}

ssize_t __real_recv(int fd, void *buf, size_t len, int flags);
ssize_t __wrap_recv(int fd, void *buf, size_t len, int flags);
ssize_t __wrap_recv(int fd, void *buf, size_t len, int flags)
{
    if (fails(FAULT_RECV))
        return -1;
    pthread_mutex_lock(&lock);
    if (short_reads && len > short_reads && pthread_equal(short_reader, pthread_self()))
        len = short_reads;
    pthread_mutex_unlock(&lock);
    return __real_recv(fd, buf, len, flags);
}

ssize_t __real_sendmsg(int fd, const struct msghdr *msg, int flags);
ssize_t __wrap_sendmsg(int fd, const struct msghdr *msg, int flags);
ssize_t __wrap_sendmsg(int fd, const struct msghdr *msg, int flags)
{
    return fails(FAULT_SENDMSG) ? -1 : __real_sendmsg(fd, msg, flags);
}

ssize_t __real_send(int fd, const void *buf, size_t len, int flags);
ssize_t __wrap_send(int fd, const void *buf, size_t len, int flags);
ssize_t __wrap_send(int fd, const void *buf, size_t len, int flags)
{
    return fails(FAULT_SEND) ? -1 : __real_send(fd, buf, len, flags);
}

int __real_connect(int fd, const struct sockaddr *address, socklen_t len);
int __wrap_connect(int fd, const struct sockaddr *address, socklen_t len);
int __wrap_connect(int fd, const struct sockaddr *address, socklen_t len)
{
    return fails(FAULT_CONNECT) ? -1 : __real_connect(fd, address, len);
}

int __real_accept4(int fd, struct sockaddr *address, socklen_t *len, int flags);
int __wrap_accept4(int fd, struct sockaddr *address, socklen_t *len, int flags);
int __wrap_accept4(int fd, struct sockaddr *address, socklen_t *len, int flags)
{
    return fails(FAULT_ACCEPT4) ? -1 : __real_accept4(fd, address, len, flags);
}

int __real_socket(int domain, int type, int protocol);
int __wrap_socket(int domain, int type, int protocol);
int __wrap_socket(int domain, int type, int protocol)
{
    return fails(FAULT_SOCKET) ? -1 : __real_socket(domain, type, protocol);
}

int __real_shutdown(int fd, int how);
int __wrap_shutdown(int fd, int how);
int __wrap_shutdown(int fd, int how)
{
    return fails(FAULT_SHUTDOWN) ? -1 : __real_shutdown(fd, how);
}
