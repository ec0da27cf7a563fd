/* SPDX-License-Identifier: MIT */
/*
 * lwIP's port to the compiler: types come from stdint.h, the byte order from the compiler. What lwIP says when its
 * own checks fail, and its random numbers, are functions of ours in netstack/port/port.c.
 */
#ifndef PEERGATE_NETSTACK_ARCH_CC_H
#define PEERGATE_NETSTACK_ARCH_CC_H

#include <stdint.h>
#include <stdlib.h>
#include <sys/time.h>

#ifndef BYTE_ORDER
#define BYTE_ORDER __BYTE_ORDER__
#endif
#ifndef LITTLE_ENDIAN
#define LITTLE_ENDIAN __ORDER_LITTLE_ENDIAN__
#endif
#ifndef BIG_ENDIAN
#define BIG_ENDIAN __ORDER_BIG_ENDIAN__
#endif

/* The system's struct timeval and errno, not lwIP's. */
#define LWIP_TIMEVAL_PRIVATE 0
#define LWIP_ERRNO_STDINCLUDE 1

/* Stops the process: a failed check inside lwIP is a bug, ours or its own, never a peer's doing. */
void netstack_port_assert(const char *what, const char *file, int line) __attribute__((noreturn));
/* See port.h; for the hooks in lwipopts.h. */
struct netif;
struct netif *netstack_port_route(void);
/* RFC 6528: a clock, and a keyed hash of the four numbers. The addresses are lwIP's ip_addr_t. */
uint32_t netstack_port_isn(const void *local_ip, uint16_t local_port, const void *remote_ip,
                           uint16_t remote_port);
/* Unpredictable: initial sequence numbers and ports hang on it. */
uint32_t netstack_port_random(void);

#define LWIP_PLATFORM_DIAG(args)
#define LWIP_PLATFORM_ASSERT(what) netstack_port_assert(what, __FILE__, __LINE__)
#define LWIP_RAND() netstack_port_random()

#endif
