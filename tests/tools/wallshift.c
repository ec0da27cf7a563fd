/* SPDX-License-Identifier: MIT */
/* A shared object to preload: the wall clock of one process is WALLSHIFT seconds beside the machine's. */
#include <dlfcn.h>
#include <stdlib.h>
#include <time.h>

__attribute__((visibility("default"))) int clock_gettime(clockid_t clock, struct timespec *ts)
{
    static int (*real)(clockid_t, struct timespec *);
    static long shift;
    if (!real) {
        const char *text = getenv("WALLSHIFT");
        shift = text ? strtol(text, NULL, 10) : 0;
        *(void **)&real = dlsym(RTLD_NEXT, "clock_gettime");
    }
    int result = real(clock, ts);
    if (result == 0 && clock == CLOCK_REALTIME)
        ts->tv_sec += shift;
    return result;
}
