/* SPDX-License-Identifier: MIT */
/* As net/if_utun.h here. */
#ifndef TESTS_LINT_DARWIN_SYS_KERN_CONTROL_H
#define TESTS_LINT_DARWIN_SYS_KERN_CONTROL_H

#include <sys/ioctl.h>
#include <sys/types.h>

struct ctl_info {
    u_int32_t ctl_id;
    char ctl_name[96];
};

struct sockaddr_ctl {
    u_char sc_len, sc_family;
    u_int16_t ss_sysaddr;
    u_int32_t sc_id, sc_unit, sc_reserved[5];
};

#define CTLIOCGINFO _IOWR('N', 3, struct ctl_info)

#endif
