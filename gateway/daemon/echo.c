/* SPDX-License-Identifier: MIT */
/* Echo requests and replies of the daemon; see echo.h. */
#include "gateway/daemon/echo.h"

#include <errno.h>
#include <string.h>

#define ICMP_ID 0x7067u /* "pg" */
#define PAYLOAD_LEN 56u /* as ping's */
#define ANSWER_LEN_MAX 2048u

static const struct gw_addr *own_address(const struct gw_echo *echo, uint8_t family)
{
    for (unsigned i = 0; i < 2; i++) {
        if (echo->addresses[i].family == family)
            return &echo->addresses[i];
    }
    return NULL;
}

static void answer(struct gw_peer *peer, const uint8_t *packet, size_t len, struct gw_mono now)
{
    uint8_t reply[ANSWER_LEN_MAX];
    if (len > sizeof reply)
        return;
    memcpy(reply, packet, len);
    gw_icmp_answer(reply, len);
    gw_peer_send_packet(peer, now, reply, len);
}

static void take_reply(struct gw_echo *echo, struct gw_peer *peer, uint32_t id, struct gw_mono now)
{
    for (unsigned i = 0; i < GW_ECHO_MAX; i++) {
        if (echo->sent[i].id != id)
            continue;
        echo->sent[i].id = 0;
        echo->on_pong(peer, id, gw_mono_sub(now, echo->sent[i].at), now, echo->ctx);
        return;
    }
}

bool gw_echo_expects(const struct gw_echo *echo, const uint8_t *packet, size_t len)
{
    struct gw_icmp_echo message;
    if (!gw_icmp_parse(packet, len, &message) || !message.is_reply)
        return false;
    uint32_t id = (uint32_t)message.id << 16 | message.seq;
    for (unsigned i = 0; i < GW_ECHO_MAX; i++) {
        if (echo->sent[i].id == id && id != 0)
            return true;
    }
    return false;
}

bool gw_echo_input(struct gw_echo *echo, struct gw_peer *peer, const uint8_t *packet, size_t len,
                   struct gw_mono now)
{
    struct gw_icmp_echo message;
    if (!gw_icmp_parse(packet, len, &message))
        return false;
    const struct gw_addr *own = own_address(echo, message.to.family);
    if (!own || !gw_addr_same_ip(own, &message.to))
        return false;
    if (!message.is_reply)
        answer(peer, packet, len, now);
    else
        take_reply(echo, peer, (uint32_t)message.id << 16 | message.seq, now);
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
    echo->sent[message.seq % GW_ECHO_MAX] = (struct gw_echo_sent){*id, now};
    return gw_peer_send_packet(peer, now, packet, len);
}
