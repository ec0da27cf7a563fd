/* SPDX-License-Identifier: MIT */
/*
 * The functions that lwIP wants from its platform: what to do when a check of its own fails, random numbers, and
 * the time. lwIP has no context argument for any of them, so this is the one place in netstack/ with variables of
 * the process; netstack sets them before it calls into the stack.
 */
#include "netstack/port/port.h"

#include <sodium.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lwip/init.h"
#include "lwip/ip_addr.h"
#include "lwip/sys.h"

static uint32_t port_now_ms;
static struct netif *port_route;
static unsigned char port_isn_key[crypto_shorthash_KEYBYTES];

void netstack_port_init(void)
{
    static bool is_done;
    if (is_done)
        return;
    is_done = true;
    randombytes_buf(port_isn_key, sizeof port_isn_key);
    lwip_init();
}

void netstack_port_set_route(struct netif *netif)
{
    port_route = netif;
}

struct netif *netstack_port_route(void)
{
    return port_route;
}

static size_t put_address(unsigned char *out, const ip_addr_t *ip)
{
    size_t len = IP_IS_V6(ip) ? 16 : 4;
    if (IP_IS_V6(ip))
        memcpy(out, ip_2_ip6(ip)->addr, 16);
    else
        memcpy(out, &ip_2_ip4(ip)->addr, 4);
    return len;
}

uint32_t netstack_port_isn(const void *local_ip, uint16_t local_port, const void *remote_ip,
                           uint16_t remote_port)
{
    unsigned char in[36], out[crypto_shorthash_BYTES];
    uint32_t hash;
    size_t len = put_address(in, local_ip);
    len += put_address(in + len, remote_ip);
    memcpy(in + len, &local_port, 2);
    memcpy(in + len + 2, &remote_port, 2);
    crypto_shorthash(out, in, len + 4, port_isn_key);
    memcpy(&hash, out, sizeof hash);
    return hash + port_now_ms * 250u; /* one for each 4 us */
}

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
