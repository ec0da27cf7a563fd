/* SPDX-License-Identifier: MIT */
/* System calls that a test makes fail: linked with -Wl,--wrap for each. */
#ifndef TESTS_UNIT_LINK_CALLS_H
#define TESTS_UNIT_LINK_CALLS_H

#include <stdbool.h>

struct calls {
    int socket_errno; /* socket() of AF_INET6 (or of every family with socket_all) fails so */
    bool socket_all;
    bool no_gro, no_gso;   /* the kernel knows no such option */
    int send_errnos[16];   /* one for each sendmsg or sendmmsg, in turn; 0 = the real call */
    unsigned send_count;   /* calls so far */
    int gso_errno;         /* every sendmsg with UDP_SEGMENT */
    int local_errno;       /* every send with a source address */
    unsigned sendmmsg_max; /* a sendmmsg sends so many at most; 0 = all */
    int receive_errnos[8]; /* one for each recvmmsg */
    unsigned receive_count;
    unsigned gso_calls, single_calls; /* what got through */
};
/* All zero: nothing fails. */
extern struct calls calls;

#endif
