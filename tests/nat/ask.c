/* SPDX-License-Identifier: MIT */
#include "tests/nat/ask.h"

static struct gw_addr parse(const char *text)
{
    struct gw_addr addr;
    assert_int_equal(gw_addr_parse(&addr, text), 0);
    return addr;
}

void ask_pool(struct nat_params *params, unsigned count)
{
    params->pool_count = count;
    for (unsigned i = 0; i < count; i++)
        params->pool[i] = (struct gw_addr){.ip = {11, 0, 0, (uint8_t)(1 + i)}, .family = 4};
}

struct ask ask_new(const struct nat_params *params)
{
    struct ask ask = {.nat = nat_new(params, 1), .now = {GW_S(3600)}, .protocol = NAT_UDP};
    assert_non_null(ask.nat);
    return ask;
}

void ask_end(struct ask *ask)
{
    nat_free(ask->nat);
}

enum nat_verdict ask_inside(struct ask *ask, const char *from, const char *to, struct nat_packet *packet)
{
    *packet = (struct nat_packet){
        .from = parse(from), .to = parse(to), .protocol = ask->protocol, .tcp_flags = ask->tcp_flags};
    return nat_from_inside(ask->nat, ask->now, packet);
}

bool ask_out_addr(struct ask *ask, const char *host, const char *remote, struct gw_addr *out)
{
    struct nat_packet packet;
    enum nat_verdict verdict = ask_inside(ask, host, remote, &packet);
    assert_int_not_equal(verdict, NAT_IN);
    if (verdict == NAT_OUT)
        ask_is(&packet.to, remote);
    *out = packet.from;
    return verdict == NAT_OUT;
}

bool ask_out(struct ask *ask, const char *host, const char *remote, char out[GW_ADDR_STRLEN])
{
    struct gw_addr addr;
    bool is_out = ask_out_addr(ask, host, remote, &addr);
    if (out)
        gw_addr_format(&addr, out);
    return is_out;
}

unsigned ask_out_port(struct ask *ask, const char *host, const char *remote)
{
    struct gw_addr addr;
    assert_true(ask_out_addr(ask, host, remote, &addr));
    return addr.port;
}

bool ask_in(struct ask *ask, const char *remote, const char *outside, const char *host)
{
    struct nat_packet packet = {
        .from = parse(remote), .to = parse(outside), .protocol = ask->protocol, .tcp_flags = ask->tcp_flags};
    enum nat_verdict verdict = nat_from_outside(ask->nat, ask->now, &packet);
    if (verdict == NAT_DROP)
        return false;
    assert_int_equal(verdict, NAT_IN);
    ask_is(&packet.from, remote);
    ask_is(&packet.to, host);
    return true;
}

struct nat_stats ask_stats(const struct ask *ask)
{
    struct nat_stats stats;
    nat_stats(ask->nat, ask->now, &stats);
    return stats;
}

void ask_is(const struct gw_addr *addr, const char *text)
{
    char out[GW_ADDR_STRLEN];
    assert_string_equal(gw_addr_format(addr, out), text);
}
