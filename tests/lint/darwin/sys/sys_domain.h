/* SPDX-License-Identifier: MIT */
/* As net/if_utun.h here; the AF_ numbers are in sys/socket.h there. */
#ifndef TESTS_LINT_DARWIN_SYS_SYS_DOMAIN_H
#define TESTS_LINT_DARWIN_SYS_SYS_DOMAIN_H

#define AF_SYSTEM 32
#define PF_SYSTEM AF_SYSTEM
#define AF_SYS_CONTROL 2
#define SYSPROTO_CONTROL 2

#endif
