/* SPDX-License-Identifier: MIT */
/* Questions to a NAT in text, for its tests. */
#ifndef TESTS_NAT_ASK_H
#define TESTS_NAT_ASK_H

#include "tests/nat/model.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define HOST "192.168.1.2:5000"

struct ask {
    struct nat *nat;
    struct gw_mono now;
    uint8_t protocol, tcp_flags;
};

/* Outside addresses 11.0.0.1 and up. */
void ask_pool(struct nat_params *params, unsigned count);
struct ask ask_new(const struct nat_params *params); /* UDP, until `protocol` says otherwise */
void ask_end(struct ask *ask);

/* `host` sends to `remote`: is it let out, and with what source? out may be NULL. */
bool ask_out(struct ask *ask, const char *host, const char *remote, char out[GW_ADDR_STRLEN]);
bool ask_out_addr(struct ask *ask, const char *host, const char *remote, struct gw_addr *out);
/* The port, of a packet that has to get out. */
unsigned ask_out_port(struct ask *ask, const char *host, const char *remote);
/* `remote` sends to `outside`: is it let in? Fails if it is, and not to `host`. */
bool ask_in(struct ask *ask, const char *remote, const char *outside, const char *host);
/* Any packet from inside. */
enum nat_verdict ask_inside(struct ask *ask, const char *from, const char *to, struct nat_packet *packet);
struct nat_stats ask_stats(const struct ask *ask);
void ask_is(const struct gw_addr *addr, const char *text);

#endif
