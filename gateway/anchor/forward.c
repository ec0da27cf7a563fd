/* SPDX-License-Identifier: MIT */
/* Frames on their way from one client to the other: header rewritten in place, nothing decrypted, what came as one train leaves as one. A frame goes only where the other
 * client's session is, and is taken only from where this client's is; there is no answer to a bad one. What the link does not take in time is
 * dropped here, the newest first: the sessions inside see loss, as on any way. */
#include "gateway/anchor/anchor_private.h"

#include <stdlib.h>
#include <string.h>

#define QUEUE_MAX (4u << 20) /* bytes */
#define ASK_WHERE_NS GW_S(1)

void gw_anchor_queue_clear(struct gw_anchor *anchor)
{
    for (struct gw_list *node; (node = gw_list_pop_front(&anchor->queue)) != NULL;)
        free(gw_list_entry(node, struct gw_forwarded, node));
    anchor->queued = 0;
}

bool gw_anchor_output(struct gw_anchor *anchor, struct gw_train *train)
{
    struct gw_list *node = gw_list_pop_front(&anchor->queue);
    if (!node)
        return false;
    struct gw_forwarded *forwarded = gw_list_entry(node, struct gw_forwarded, node);
    train->tuple = forwarded->tuple;
    train->stride = forwarded->stride;
    train->count = forwarded->count;
    train->last_len = forwarded->last_len;
    train->ecn = forwarded->ecn;
    size_t len = gw_train_len(train);
    memcpy(train->slab, forwarded->data, len);
    anchor->queued -= len;
    free(forwarded);
    return true;
}

/* `count` datagrams of the train from the first on, as a train of their own to elsewhere; in the same place. */
static struct gw_train part_of(const struct gw_train *train, const struct gw_tuple *tuple, unsigned first,
                               unsigned count)
{
    struct gw_train part = {.tuple = *tuple,
                            .slab = gw_train_datagram(train, first),
                            .stride = train->stride,
                            .count = (uint16_t)count,
                            .last_len = (uint16_t)gw_train_datagram_len(train, first + count - 1),
                            .ecn = train->ecn};
    if (count == 1)
        part.stride = part.last_len;
    return part;
}

/* What leaves now is not copied; nothing overtakes what waits. Returns how many were dealt with. */
static unsigned send_now(struct gw_anchor *anchor, const struct gw_train *part, struct gw_mono now)
{
    const struct gw_gateway_events *events = anchor->host->events;
    if (!events->on_forward || !gw_list_is_empty(&anchor->queue))
        return 0;
    unsigned sent = events->on_forward(anchor->host->gateway, part, now, events->ctx);
    anchor->host->stats.datagrams_sent += sent;
    return sent;
}

static bool enqueue(struct gw_anchor *anchor, const struct gw_train *part)
{
    size_t len = gw_train_len(part);
    struct gw_forwarded *forwarded =
        anchor->queued + len <= QUEUE_MAX ? malloc(sizeof *forwarded + len) : NULL;
    if (!forwarded)
        return false;
    gw_list_init(&forwarded->node);
    forwarded->tuple = part->tuple;
    forwarded->stride = part->stride;
    forwarded->count = part->count;
    forwarded->last_len = part->last_len;
    forwarded->ecn = part->ecn;
    memcpy(forwarded->data, part->slab, len);
    gw_list_push_back(&anchor->queue, &forwarded->node);
    anchor->queued += len;
    return true;
}

/* ---- checks */

static struct gw_channel_side *side_of(const struct gw_anchor *anchor, const uint8_t *frame,
                                       struct gw_mono now)
{
    uint32_t id = gw_load32_le(frame + 4);
    struct gw_map_node *node = gw_map_find(&anchor->sides, &id);
    struct gw_channel_side *side = node ? gw_map_entry(node, struct gw_channel_side, by_id) : NULL;
    return side && !gw_mono_due(side->channel->expires, now) ? side : NULL;
}

/* A session's datagram, not another relay's frame. */
static bool is_inner_right(const uint8_t *frame, size_t len)
{
    enum gw_message_type type = gw_message_gate(frame + GW_RELAY_HEADER_LEN, len - GW_RELAY_HEADER_LEN);
    return type != GW_MESSAGE_NONE && type != GW_MESSAGE_RELAY;
}

static bool is_right(const struct gw_channel_side *side, const uint8_t *frame, size_t len)
{
    return gw_message_gate(frame, len) == GW_MESSAGE_RELAY && gw_load32_le(frame + 4) == side->id &&
           gw_relay_frame_is_right(frame, len, side->from_key) && is_inner_right(frame, len);
}

/* The client's session is there. If not, the client may have moved: its session is asked, once a second at most. */
static bool is_at_home(struct gw_anchor *anchor, struct gw_anchor_client *client,
                       const struct gw_train *train, size_t len, struct gw_mono now)
{
    struct gw_path *path = gw_paths_find(&client->peer->paths, &train->tuple);
    if (path && path->is_validated) {
        gw_path_heard(path, now);
        return true;
    }
    bool was_asked_now =
        !gw_mono_is_never(client->asked_where) && gw_mono_sub(now, client->asked_where) < ASK_WHERE_NS;
    if (!was_asked_now) {
        client->asked_where = now;
        gw_peer_paths_received(client->peer, now, &train->tuple, len, true, false);
    }
    anchor->stats.dropped_place++;
    return false;
}

/* A fellow anchor is where it says that it is. */
static bool is_from_its_place(struct gw_anchor *anchor, const struct gw_channel_side *side,
                              const struct gw_train *train, size_t len, struct gw_mono now)
{
    if (side->client)
        return is_at_home(anchor, side->client, train, len, now);
    bool is_there = gw_addr_equal(&side->far.addr, &train->tuple.remote);
    anchor->stats.dropped_place += !is_there;
    return is_there;
}

/* Where frames to that side go, `len` bytes of which will now; false: nowhere. */
static bool find_way(const struct gw_channel_side *to, size_t len, struct gw_mono now, struct gw_tuple *tuple)
{
    if (!to->client) {
        *tuple = (struct gw_tuple){.remote = to->far.addr, .link = GW_LINK_PRIMARY};
        return to->to_id != 0;
    }
    struct gw_path *path = gw_paths_current(&to->client->peer->paths);
    if (!path || !path->is_validated || gw_tuple_is_relay(&path->tuple))
        return false;
    gw_path_sent(path, now, len);
    if (gw_mono_is_never(path->awaiting) && gw_paths_have_other(&to->client->peer->paths)) {
        gw_path_sent_data(path, now); /* its answer is what its client sends back */
        gw_peer_rearm(to->client->peer);
    }
    *tuple = path->tuple;
    return true;
}

static bool is_within_limits(struct gw_anchor *anchor, struct gw_channel *channel, size_t len,
                             struct gw_mono now)
{
    uint64_t rate = anchor->params.rate, total = anchor->params.total_rate;
    uint64_t volume = anchor->params.volume;
    struct gw_anchor_usage *usage = channel->usage;
    if (volume > 0 && usage->volume + len > volume) {
        usage->volume = volume; /* a smaller train does not slip through */
        gw_anchor_tell_spent(channel, now);
        return false;
    }
    if (rate > 0 && !gw_bucket_take(&usage->rate, (double)rate, gw_anchor_burst(rate), (double)len, now))
        return false;
    if (total > 0 && !gw_bucket_take(&anchor->total, (double)total, gw_anchor_burst(total), (double)len, now))
        return false;
    usage->volume += len;
    return true;
}

/* ---- the run of frames on one channel */

/* How many from the i-th on have this side's number and a right mac. */
static unsigned right_run(const struct gw_channel_side *side, const struct gw_train *train, unsigned i)
{
    unsigned count = 0;
    while (i + count < train->count &&
           is_right(side, gw_train_datagram(train, i + count), gw_train_datagram_len(train, i + count)))
        count++;
    return count;
}

unsigned gw_anchor_forward(struct gw_anchor *anchor, struct gw_mono now, const struct gw_train *train,
                           unsigned i)
{
    struct gw_channel_side *side = side_of(anchor, gw_train_datagram(train, i), now);
    unsigned count = side ? right_run(side, train, i) : 0;
    if (count == 0) {
        anchor->stats.dropped_channel++;
        return 1;
    }
    struct gw_channel_side *to = gw_channel_other_side(side);
    size_t len = (size_t)(count - 1) * train->stride + gw_train_datagram_len(train, i + count - 1);
    if (!is_from_its_place(anchor, side, train, len, now))
        return count;
    struct gw_tuple tuple;
    gw_anchor_offer(anchor, to, now);
    if (!find_way(to, len, now, &tuple)) {
        anchor->stats.dropped_gone += count;
        return count;
    }
    if (!is_within_limits(anchor, side->channel, len, now)) {
        anchor->stats.dropped_rate += count;
        return count;
    }
    for (unsigned j = i; j < i + count; j++)
        gw_relay_frame_write(gw_train_datagram(train, j), gw_train_datagram_len(train, j), to->to_id,
                             to->to_key);
    struct gw_train part = part_of(train, &tuple, i, count);
    unsigned sent = send_now(anchor, &part, now);
    if (sent < count)
        part = part_of(train, &tuple, i + sent, count - sent);
    if (sent < count && !enqueue(anchor, &part)) {
        anchor->stats.dropped_rate += count - sent;
        return count;
    }
    anchor->stats.relayed_datagrams += count;
    anchor->stats.relayed_bytes += len;
    return count;
}
