/* SPDX-License-Identifier: MIT */
/* What waits for the next packet to the peer: pings and their answers, control messages, IP packets. Each bounded. */
#include "gateway/base/err.h"
#include "gateway/base/secret.h"
#include "gateway/peer/peer_private.h"

#include <stdlib.h>
#include <string.h>

#define PONGS_MAX (sizeof((struct gw_peer_queues *)0)->pongs / sizeof(struct gw_ping))
#define PING_TIMEOUT_NS GW_S(30) /* a slot is free again after this */

void gw_peer_queues_init(struct gw_peer_queues *queues)
{
    gw_list_init(&queues->controls);
}

static void queued_free(struct gw_queued *queued)
{
    gw_wipe(queued->data, queued->len); /* keys may be among them */
    free(queued);
}

static void free_list(struct gw_list *list)
{
    for (struct gw_list *node; (node = gw_list_pop_front(list)) != NULL;)
        queued_free(gw_list_entry(node, struct gw_queued, node));
}

void gw_peer_queues_fini(struct gw_peer_queues *queues)
{
    free_list(&queues->controls);
    gw_packet_queue_free(queues->packets);
}

static struct gw_queued *queued_new(const void *data, size_t len)
{
    struct gw_queued *queued = malloc(sizeof *queued + len);
    if (!queued)
        return NULL;
    gw_list_init(&queued->node);
    queued->len = len;
    memcpy(queued->data, data, len);
    return queued;
}

/* ---- IP packets */

bool gw_peer_queues_have_packets(const struct gw_peer_queues *queues)
{
    return queues->packets && !gw_packet_queue_is_empty(queues->packets);
}

/* 0: there is a queue, and what is in it may go. */
static int open_queue(struct gw_peer *peer, struct gw_mono now)
{
    struct gw_peer_queues *queues = &peer->queues;
    peer->host->now = peer->host->shared_at = now;
    if (peer->seal_conflict != GW_SEAL_AGREED) {
        queues->packets_refused++;
        return GW_E_NO_SEAL;
    }
    if (!queues->packets)
        queues->packets = gw_packet_queue_new(peer->host->packet_seed);
    return queues->packets ? 0 : GW_E_NOMEM;
}

static void push(struct gw_peer *peer, struct gw_super *super, struct gw_mono now)
{
    gw_peer_alias_out(peer, super->data, &super->ip, super->hint.is_checksum_left);
    gw_packet_queue_push(peer->queues.packets, super, now);
    gw_peer_mark_ready(peer);
}

int gw_peer_send_burst(struct gw_peer *peer, struct gw_mono now, const void *packet, size_t len,
                       const struct gw_super_hint *hint)
{
    struct gw_super *super;
    int err = open_queue(peer, now);
    if (err == 0)
        err = gw_super_new(&super, packet, len, hint);
    if (err == 0)
        push(peer, super, now);
    return err;
}

int gw_peer_send_super(struct gw_peer *peer, struct gw_mono now, struct gw_super *super)
{
    int err = open_queue(peer, now);
    if (err == 0)
        push(peer, super, now);
    return err;
}

int gw_peer_send_packet(struct gw_peer *peer, struct gw_mono now, const void *packet, size_t len)
{
    return gw_peer_send_burst(peer, now, packet, len, &(struct gw_super_hint){0});
}

bool gw_peer_is_backlogged(const struct gw_peer *peer, struct gw_mono now)
{
    const struct gw_packet_queue *packets = peer->queues.packets;
    return packets && gw_packet_queue_is_backlogged(packets, now);
}

bool gw_peer_is_unreachable(const struct gw_peer *peer)
{
    struct gw_session_stats stats;
    gw_session_stats(peer->session, &stats);
    return stats.state == GW_SESSION_FAILED;
}

/* Whoever sent them has been told, or has given up. */
void gw_peer_queues_drop_packets(struct gw_peer_queues *queues)
{
    gw_packet_queue_free(queues->packets);
    queues->packets = NULL;
}

void gw_peer_queues_clear(struct gw_peer_queues *queues)
{
    free_list(&queues->controls);
    queues->control_count = 0;
    queues->pings_waiting = queues->pong_count = 0;
    memset(queues->pings, 0, sizeof queues->pings);
    gw_peer_queues_drop_packets(queues);
}

/* ---- control messages */

int gw_peer_queue_control(struct gw_peer *peer, struct gw_mono now, const void *body, size_t len,
                          bool is_answer)
{
    peer->host->now = now;
    if (len > GW_CONTROL_LEN_MAX)
        return GW_E_TOO_BIG;
    if (gw_peer_is_stock(peer))
        return -EPROTONOSUPPORT;
    if (peer->seal_conflict != GW_SEAL_AGREED)
        return GW_E_NO_SEAL;
    if (!gw_peer_has_endpoint(peer))
        return -ENOTCONN;
    if (peer->queues.control_count == GW_CONTROLS_MAX)
        return GW_E_LIMIT;
    struct gw_queued *queued = queued_new(body, len);
    if (!queued)
        return GW_E_NOMEM;
    queued->is_answer = is_answer;
    gw_list_push_back(&peer->queues.controls, &queued->node);
    peer->queues.control_count++;
    gw_peer_mark_ready(peer);
    return 0;
}

int gw_peer_send_control(struct gw_peer *peer, struct gw_mono now, const void *body, size_t len)
{
    return gw_peer_queue_control(peer, now, body, len, false);
}

static bool controls_ask(const struct gw_peer_queues *queues)
{
    for (const struct gw_list *node = queues->controls.next; node != &queues->controls; node = node->next) {
        if (!gw_list_entry(node, struct gw_queued, node)->is_answer)
            return true;
    }
    return false;
}

static void output_controls(struct gw_peer_queues *queues, struct gw_writer *w)
{
    while (!gw_list_is_empty(&queues->controls)) {
        struct gw_queued *queued = gw_list_entry(queues->controls.next, struct gw_queued, node);
        if (gw_writer_left(w) < queued->len + 4)
            return;
        struct gw_writer body = gw_frame_begin(w, GW_FRAME_CONTROL, queued->len);
        gw_write_bytes(&body, queued->data, queued->len);
        gw_frame_finish(w, &body);
        gw_list_remove(&queued->node);
        queues->control_count--;
        queued_free(queued);
    }
}

/* ---- pings */

static struct gw_ping_slot *ping_slot(struct gw_peer_queues *queues, struct gw_mono now)
{
    for (unsigned i = 0; i < GW_PINGS_MAX; i++) {
        struct gw_ping_slot *slot = &queues->pings[i];
        if (!slot->is_used)
            return slot;
        if (gw_mono_sub(now, slot->sent) > PING_TIMEOUT_NS) {
            queues->pings_waiting -= slot->is_sent ? 0 : 1;
            return slot;
        }
    }
    return NULL;
}

int gw_peer_ping(struct gw_peer *peer, struct gw_mono now, uint32_t *id)
{
    peer->host->now = now;
    if (gw_peer_is_stock(peer))
        return -EPROTONOSUPPORT;
    if (peer->seal_conflict != GW_SEAL_AGREED)
        return GW_E_NO_SEAL;
    struct gw_ping_slot *slot = ping_slot(&peer->queues, now);
    if (!slot)
        return GW_E_LIMIT;
    *slot = (struct gw_ping_slot){.id = gw_random_u32(peer->host->random), .is_used = true, .sent = now};
    *id = slot->id;
    peer->queues.pings_waiting++;
    gw_peer_mark_ready(peer);
    return 0;
}

static void write_ping(struct gw_writer *w, const struct gw_ping *ping)
{
    struct gw_writer body = gw_frame_begin(w, GW_FRAME_PING, 32);
    gw_ping_encode(&body, ping);
    gw_frame_finish(w, &body);
}

static void output_pings(struct gw_peer_queues *queues, struct gw_writer *w, struct gw_mono now)
{
    for (unsigned i = 0; i < GW_PINGS_MAX && queues->pings_waiting > 0 && gw_writer_left(w) > 32; i++) {
        struct gw_ping_slot *slot = &queues->pings[i];
        if (!slot->is_used || slot->is_sent)
            continue;
        write_ping(w, &(struct gw_ping){.id = slot->id});
        slot->is_sent = true;
        slot->sent = now;
        queues->pings_waiting--;
    }
}

static void output_pongs(struct gw_peer_queues *queues, struct gw_writer *w)
{
    unsigned done = 0;
    while (done < queues->pong_count && gw_writer_left(w) > 32)
        write_ping(w, &queues->pongs[done++]);
    queues->pong_count -= done;
    memmove(queues->pongs, queues->pongs + done, queues->pong_count * sizeof queues->pongs[0]);
}

static void ping_answered(struct gw_peer *peer, uint32_t id, struct gw_mono now)
{
    const struct gw_gateway_events *events = peer->host->events;
    for (unsigned i = 0; i < GW_PINGS_MAX; i++) {
        struct gw_ping_slot *slot = &peer->queues.pings[i];
        if (!slot->is_used || !slot->is_sent || slot->id != id)
            continue;
        slot->is_used = false;
        peer->ping_rtt_ns = gw_mono_sub(now, slot->sent);
        if (events->on_pong)
            events->on_pong(peer->host->gateway, peer, id, peer->ping_rtt_ns, now, events->ctx);
        return;
    }
}

void gw_peer_ping_input(struct gw_peer *peer, const struct gw_ping *ping, struct gw_mono now)
{
    if (ping->is_reply) {
        ping_answered(peer, ping->id, now);
        return;
    }
    if (peer->queues.pong_count == PONGS_MAX)
        return; /* a peer that pings faster than we send gets fewer answers */
    struct gw_ping *pong = &peer->queues.pongs[peer->queues.pong_count++];
    *pong = *ping;
    pong->is_reply = true;
    gw_peer_mark_ready(peer);
}

/* ---- all of them */

bool gw_peer_queues_have_frames(const struct gw_peer_queues *queues)
{
    return queues->pings_waiting > 0 || queues->pong_count > 0 || !gw_list_is_empty(&queues->controls);
}

bool gw_peer_queues_ask(const struct gw_peer_queues *queues)
{
    return queues->pings_waiting > 0 || controls_ask(queues);
}

void gw_peer_queues_output(struct gw_peer *peer, struct gw_writer *w, struct gw_mono now)
{
    output_pongs(&peer->queues, w);
    output_pings(&peer->queues, w, now);
    output_controls(&peer->queues, w);
}
