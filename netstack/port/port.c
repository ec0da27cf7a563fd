/* SPDX-License-Identifier: MIT */
/*
 * The functions that lwIP wants from its platform: what to do when a check of its own fails, random numbers, and
 * the time. lwIP has no context argument for any of them, so this is the one place in netstack/ with a variable of
 * the process; netstack sets the time before it calls into the stack.
 */
#include "netstack/port/port.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

#include "lwip/sys.h"

static uint32_t port_now_ms;

void netstack_port_set_now_ms(uint32_t now_ms)
{
    port_now_ms = now_ms;
}

u32_t sys_now(void)
{
    return port_now_ms;
}

uint32_t netstack_port_random(void)
{
    return randombytes_random();
}

void netstack_port_assert(const char *what, const char *file, int line)
{
    fprintf(stderr, "lwIP: %s (%s:%d)\n", what, file, line);
    abort();
}
