/* SPDX-License-Identifier: MIT */
/* The daemon's own echo requests; see echo.h. */
#include "gateway/daemon/echo.h"

#include "gateway/lanes.h"

#include <errno.h>
#include <string.h>

#define ICMP_ID 0x7067u /* "pg" */
#define PAYLOAD_LEN 56u /* as ping's */

static const struct gw_addr *own_address(const struct gw_echo *echo, uint8_t family)
{
    for (unsigned i = 0; i < 2; i++) {
        if (echo->addresses[i].family == family)
            return &echo->addresses[i];
    }
    return NULL;
}

bool gw_echo_input(struct gw_echo *echo, struct gw_peer *peer, const uint8_t *packet, size_t len,
                   struct gw_mono now)
{
    struct gw_icmp_echo message;
    if (echo->waiting == 0 || !gw_icmp_parse(packet, len, &message) || !message.is_reply)
        return false;
    uint32_t id = (uint32_t)message.id << 16 | message.seq;
    struct gw_echo_sent *sent = &echo->sent[message.seq % GW_ECHO_MAX];
    if (sent->id != id || id == 0)
        return false;
    sent->id = 0;
    echo->waiting--;
    echo->on_pong(peer, id, gw_mono_sub(now, sent->at), now, echo->ctx);
    return true;
}

/* The peer's own address: the first prefix of its allowed_ips that is a single one we can speak to. */
static bool choose_addresses(const struct gw_echo *echo, const struct gw_peer_config *config,
                             struct gw_icmp_echo *message)
{
    for (unsigned i = 0; i < config->allowed_ip_count; i++) {
        const struct gw_prefix *prefix = &config->allowed_ips[i];
        const struct gw_addr *own = own_address(echo, prefix->ip.family);
        if (!own || prefix->bits != (prefix->ip.family == 6 ? 128 : 32))
            continue;
        message->from = *own;
        message->to = prefix->ip;
        return true;
    }
    return false;
}

int gw_echo_ping(struct gw_echo *echo, struct gw_peer *peer, struct gw_mono now, uint32_t *id)
{
    uint8_t packet[GW_ICMP_REQUEST_LEN_MAX];
    struct gw_icmp_echo message = {.id = ICMP_ID, .seq = ++echo->next_seq};
    if (!choose_addresses(echo, gw_peer_config(peer), &message))
        return -EADDRNOTAVAIL;
    size_t len = gw_icmp_request(packet, sizeof packet, &message, PAYLOAD_LEN);
    *id = (uint32_t)message.id << 16 | message.seq;
    echo->waiting += echo->sent[message.seq % GW_ECHO_MAX].id ? 0 : 1;
    echo->sent[message.seq % GW_ECHO_MAX] = (struct gw_echo_sent){*id, now};
    gw_lanes_expect_icmp(gw_peer_gateway(peer), now);
    return gw_peer_send_packet(peer, now, packet, len);
}
