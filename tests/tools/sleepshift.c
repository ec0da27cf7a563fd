/* SPDX-License-Identifier: MIT */
/* A shared object to preload: a machine that sleeps. CLOCK_BOOTTIME of one process is ahead of the machine's by as many nanoseconds (int64, of this machine's
 * byte order) as the file SLEEPSHIFT begins with at the moment; CLOCK_MONOTONIC is not, as after a suspend. The process has to be stopped while the file changes. */
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>

static const int64_t *shift_of(void)
{
    static const int64_t none;
    const char *path = getenv("SLEEPSHIFT");
    int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    void *map = fd < 0 ? MAP_FAILED : mmap(NULL, sizeof(int64_t), PROT_READ, MAP_SHARED, fd, 0);
    return map == MAP_FAILED ? &none : map; /* the descriptor stays with the process */
}

__attribute__((visibility("default"))) int clock_gettime(clockid_t clock, struct timespec *ts)
{
    static int (*real)(clockid_t, struct timespec *);
    static const int64_t *shift;
    if (!real) {
        shift = shift_of();
        *(void **)&real = dlsym(RTLD_NEXT, "clock_gettime");
    }
    int result = real(clock, ts);
    if (result == 0 && clock == CLOCK_BOOTTIME) {
        int64_t ns = ts->tv_nsec + *(const volatile int64_t *)shift;
        ts->tv_sec += ns / 1000000000;
        ts->tv_nsec = ns % 1000000000;
    }
    return result;
}
