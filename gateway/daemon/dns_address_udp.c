/* SPDX-License-Identifier: MIT */
/* Questions by UDP to the addresses in the TUN: a connection of the netstack is one asker. */
#include "gateway/daemon/dns_address_private.h"

#include "frontends/dns/answer.h"
#include "gateway/base/log.h"

#include <stdlib.h>

#define WAITING_MAX 1024u

/* A question that an upstream has. */
struct waiting {
    struct gw_list node;
    struct gw_dns_address *dns;
    struct gw_connection *connection;
    struct gw_dns_waiter *waiter;
};

static void free_waiting(struct waiting *waiting)
{
    gw_list_remove(&waiting->node);
    waiting->dns->waiting_count--;
    free(waiting);
}

/* connection NULL: all. */
void gw_dns_address_drop_waiting(struct gw_dns_address *dns, const struct gw_connection *connection)
{
    gw_list_for_each (node, &dns->waiting) {
        struct waiting *waiting = gw_list_entry(node, struct waiting, node);
        if (connection && waiting->connection != connection)
            continue;
        gw_dns_waiter_cancel(waiting->waiter);
        free_waiting(waiting);
    }
}

static void send_answer(struct gw_dns_address *dns, struct gw_connection *connection, struct gw_mono now,
                        const uint8_t *message, size_t len)
{
    if (gw_connection_send_datagram(connection, now, message, len) != 0)
        gw_log_debug("DNS: an answer found no room");
    else
        dns->stats.answers++;
}

static void on_forwarded(const uint8_t *message, size_t len, void *user)
{
    struct waiting *waiting = user;
    send_answer(waiting->dns, waiting->connection, gw_loop_now(waiting->dns->params.loop), message, len);
    free_waiting(waiting);
}

/* false: there is no room for it. */
static bool forward(struct gw_dns_address *dns, struct gw_connection *connection,
                    const struct gw_dns_query *query)
{
    struct waiting *waiting = dns->waiting_count < WAITING_MAX ? calloc(1, sizeof *waiting) : NULL;
    struct gw_dns_waiter *waiter;
    if (!waiting)
        return false;
    waiting->dns = dns;
    waiting->connection = connection;
    gw_list_init(&waiting->node);
    gw_list_push_back(&dns->waiting, &waiting->node);
    dns->waiting_count++;
    dns->stats.forwarded++;
    size_t room = query->udp_size < GW_DNS_UDP_MAX ? query->udp_size : GW_DNS_UDP_MAX;
    gw_dns_forward_ask(&waiter, dns->params.dns->forward, query, room, on_forwarded, waiting);
    if (waiter) /* else it has been answered, and is gone */
        waiting->waiter = waiter;
    return true;
}

/* Others than this machine itself get only so many answers a second: a source of a network behind us may be spoofed. false: this one is not to be answered, or is already. */
static bool may_be_answered(struct gw_dns_address *dns, struct gw_connection *connection, struct gw_mono now,
                            const void *data, size_t len)
{
    struct gw_connection_info info;
    struct gw_dns_query query;
    uint8_t out[GW_DNS_UDP_MAX];
    gw_connection_info(connection, &info);
    enum gw_dns_permission permission = gw_dns_address_is_own(dns, &info.remote)
                                            ? GW_DNS_PERMIT
                                            : gw_dns_server_take(dns->params.dns->server, &info.remote, now);
    if (permission == GW_DNS_SLIP && gw_dns_query_decode(&query, data, len) == GW_DNS_NOERROR)
        send_answer(dns, connection, now, out,
                    gw_dns_answer_code(&query, GW_DNS_NOERROR, GW_DNS_TC, out, sizeof out));
    return permission == GW_DNS_PERMIT;
}

static void on_datagram(struct gw_connection *connection, struct gw_mono now, const void *data, size_t len,
                        void *user)
{
    struct gw_dns_address *dns = user;
    const struct gw_dns_setup *setup = dns->params.dns;
    uint8_t out[GW_DNS_UDP_MAX];
    struct gw_dns_query query;
    size_t out_len = 0;
    if (!setup->server)
        return;
    dns->stats.queries++;
    if (!may_be_answered(dns, connection, now, data, len))
        return;
    const struct gw_dns_ask ask = {.zone = gw_dns_table_zone(setup->table),
                                   .forwards = gw_dns_setup_forwards(setup)};
    enum gw_dns_verdict verdict = gw_dns_answer(&ask, data, len, &query, out, sizeof out, &out_len);
    if (verdict == GW_DNS_FORWARDED && !forward(dns, connection, &query)) {
        out_len = gw_dns_answer_code(&query, GW_DNS_SERVFAIL, GW_DNS_RA, out, sizeof out);
        verdict = GW_DNS_ANSWERED;
    }
    if (verdict == GW_DNS_ANSWERED)
        send_answer(dns, connection, now, out, out_len);
}

static void on_closed(struct gw_connection *connection, struct gw_mono now, enum gw_reason reason, void *user)
{
    (void)now, (void)reason;
    gw_dns_address_drop_waiting(user, connection);
}

const struct gw_connection_ops gw_dns_address_udp = {.on_datagram = on_datagram, .on_closed = on_closed};
