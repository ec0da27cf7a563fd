/* SPDX-License-Identifier: MIT */
/* What a test, or a fuzz target, cannot go on without: says where and ends the program, also where NDEBUG is set and outside of any test's own thread. */
#ifndef TESTS_MUST_H
#define TESTS_MUST_H

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define must(condition)                                                                                  \
    do {                                                                                                 \
        if (!(condition)) {                                                                              \
            fprintf(stderr, "%s:%d: %s (errno: %s)\n", __FILE__, __LINE__, #condition, strerror(errno)); \
            abort();                                                                                     \
        }                                                                                                \
    } while (0)

#endif
