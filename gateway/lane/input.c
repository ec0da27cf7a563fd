/* SPDX-License-Identifier: MIT */
/* Trains from peers: index -> key pair, open, replay window once for each key pair's run of datagrams, whose address is it, merge, emit. */
#include "gateway/lane/lane.h"

#include "gateway/base/err.h"
#include "gateway/packet/rewrite.h"
#include "gateway/wire/frame.h"
#include "gateway/wire/message.h"

#include <string.h>

/* A run of datagrams of one key pair. */
struct run {
    struct gw_lane *lane;
    const struct gw_train *train;
    const struct gw_lane_key *key;
    unsigned count;
    struct gw_view plain[GW_TRAIN_DATAGRAMS];
    uint64_t counters[GW_TRAIN_DATAGRAMS];
    uint32_t lens[GW_TRAIN_DATAGRAMS]; /* of the datagrams */
    uint64_t bytes;                    /* of those that the lane deals with, for the report */
    bool is_data, is_highest;
};

/* ---- to the engine */

static void pass_on(struct gw_lane *lane, const struct gw_train *train, const uint8_t *datagram, size_t len)
{
    /* Handshakes find room when the rest (what a relay brings, and who knows what) has taken what it may. */
    bool is_handshake = datagram[0] <= GW_MESSAGE_COOKIE_REPLY;
    struct gw_lane_record *record = NULL;
    if (is_handshake || gw_ring_is_half_empty(&lane->strangers))
        record = gw_ring_reserve(&lane->strangers, sizeof *record + len);
    if (!record) {
        gw_lane_count(&lane->stats.strangers_lost, 1);
        return;
    }
    memset(record, 0, sizeof *record);
    record->type = GW_LANE_DATAGRAM;
    record->tuple = train->tuple;
    record->ecn = train->ecn;
    memcpy(gw_lane_record_bytes(record), datagram, len);
    gw_ring_commit(&lane->strangers);
    lane->has_told = true;
}

/* The engine counts these bytes itself. */
static void pass_opened(struct run *run, unsigned i)
{
    struct gw_lane *lane = run->lane;
    struct gw_lane_record *record = gw_lane_record(lane, GW_LANE_OPENED, run->plain[i].len);
    if (!record) {
        gw_lane_count(&lane->stats.handed_lost, 1);
        return;
    }
    record->tuple = run->train->tuple;
    record->ecn = run->train->ecn;
    record->index = run->key->index;
    record->len = run->lens[i];
    record->counter = run->counters[i];
    record->is_highest = run->is_highest;
    memcpy(gw_lane_record_bytes(record), run->plain[i].data, run->plain[i].len);
    gw_lane_tell(lane);
    gw_lane_count(&lane->stats.handed_over, 1);
}

/* ---- IP packets */

static bool restore_version(uint8_t *packet)
{
    uint8_t nibble = packet[0] >> 4;
    if (nibble != GW_INNER_PARTIAL_V4 && nibble != GW_INNER_PARTIAL_V6)
        return false;
    packet[0] = (uint8_t)((packet[0] & 15) | (nibble == GW_INNER_PARTIAL_V4 ? 0x40 : 0x60));
    return true;
}

static void rewrite(const struct gw_lane_alias *alias, uint8_t *packet, const struct gw_ip *ip,
                    bool is_partial)
{
    if (ip->version != 4)
        return;
    if (alias->has_peer)
        gw_ip_rewrite(packet, ip, GW_REWRITE_SOURCE, alias->peer_wire, alias->peer_here, is_partial);
    if (alias->has_own)
        gw_ip_rewrite(packet, ip, GW_REWRITE_DESTINATION, alias->own_wire, alias->own_here, is_partial);
}

static bool is_syn(const uint8_t *packet, const struct gw_ip *ip)
{
    return ip->protocol == GW_IP_TCP && !ip->is_fragment && (packet[ip->l4 + 13] & GW_TCP_SYN);
}

/* Is it of a flow that is known to be the kernel's, by the addresses that it has there? */
static bool is_admitted(struct gw_lane *lane, const struct gw_lane_alias *alias, const uint8_t *packet,
                        const struct gw_ip *ip)
{
    struct gw_flow_key key;
    if (!lane->hub->flows)
        return true;
    if (ip->is_fragment)
        return false;
    gw_flow_key_of(&key, packet, ip, true);
    if (ip->version == 4 && alias->has_peer && memcmp(key.remote, alias->peer_wire, 4) == 0)
        memcpy(key.remote, alias->peer_here, 4);
    if (ip->version == 4 && alias->has_own && memcmp(key.local, alias->own_wire, 4) == 0)
        memcpy(key.local, alias->own_here, 4);
    return gw_lane_flows_have(lane->hub->flows, &lane->from_peers, &key, true, lane->now);
}

/* Must the engine's thread see it: an answer to its own ping, an MSS that may have to be corrected, something that may be the netstack's or nobody's? */
static bool is_engines(struct gw_lane *lane, const struct gw_lane_alias *alias, const uint8_t *packet,
                       const struct gw_ip *ip)
{
    bool is_icmp = ip->protocol == GW_IP_ICMP || ip->protocol == GW_IP_ICMPV6;
    if (is_icmp && lane->now.ns < atomic_load_explicit(&lane->hub->icmp_until, memory_order_relaxed))
        return true;
    return is_syn(packet, ip) || !is_admitted(lane, alias, packet, ip);
}

static void input_ip(struct run *run, unsigned i)
{
    struct gw_lane *lane = run->lane;
    const struct gw_lane_entry *entry = &lane->snapshot->entries[run->key->peer];
    uint8_t *packet = (uint8_t *)(uintptr_t)run->plain[i].data; /* opened in place: ours to change */
    uint8_t first = packet[0];
    bool is_partial = restore_version(packet);
    struct gw_addr source;
    struct gw_ip ip;
    bool is_good = gw_ip_parse(&ip, packet, run->plain[i].len) == 0;
    if (is_good && is_engines(lane, &entry->alias, packet, &ip)) { /* as it came */
        packet[0] = first;
        pass_opened(run, i);
        return;
    }
    if (is_good) {
        rewrite(&entry->alias, packet, &ip, is_partial);
        gw_ip_source(&source, packet, &ip);
    }
    if (!is_good || gw_lane_snapshot_route(lane->snapshot, &source) != entry) {
        gw_lane_count(&lane->stats.dropped_inner, 1);
        run->bytes += run->lens[i];
        return;
    }
    run->bytes += run->lens[i];
    if (is_partial && !lane->hub->takes_partial) {
        gw_checksum_complete(packet, &ip);
        is_partial = false;
    }
    gw_coalesce_add(&lane->coalescer, packet, ip.total_len, is_partial);
    gw_lane_count(&lane->stats.packets_out, 1);
    gw_lane_count(&lane->stats.bytes_out, ip.total_len);
}

/* ---- runs */

static void dispatch(struct run *run, unsigned i)
{
    struct gw_view plain = run->plain[i];
    if (plain.len == 0) { /* a keepalive */
        run->bytes += run->lens[i];
        return;
    }
    if (plain.data[0] == GW_INNER_FRAMES) {
        pass_opened(run, i);
        return;
    }
    run->is_data = true;
    input_ip(run, i);
}

static void finish_run(struct run *run)
{
    bool is_new[GW_TRAIN_DATAGRAMS];
    struct gw_lane *lane = run->lane;
    if (run->count == 0)
        return;
    run->bytes = 0;
    run->is_data = false;
    run->is_highest = gw_keypair_accept(run->key->kp, run->counters, is_new, run->count);
    for (unsigned i = 0; i < run->count; i++) {
        if (is_new[i])
            dispatch(run, i);
        else
            gw_lane_count(&lane->stats.dropped_replay, 1);
    }
    if (run->bytes > 0)
        gw_lane_note_received(lane, run->key, &run->train->tuple, run->bytes, run->is_data, run->is_highest);
    run->count = 0;
}

static void count_failure(struct gw_lane *lane, int err)
{
    gw_lane_count(err == GW_E_AUTH     ? &lane->stats.dropped_auth
                  : err == GW_E_REPLAY ? &lane->stats.dropped_replay
                                       : &lane->stats.dropped_malformed,
                  1);
}

static bool is_young(const struct gw_keypair *kp, struct gw_mono now)
{
    return gw_mono_before(now, gw_mono_add(kp->born, GW_REJECT_AFTER_TIME));
}

static void input_data(struct run *run, uint8_t *datagram, size_t len)
{
    struct gw_lane *lane = run->lane;
    uint32_t index = gw_load32_le(datagram + 4);
    if (!run->key || run->key->index != index) {
        finish_run(run);
        run->key = gw_lane_snapshot_key(lane->snapshot, index);
        if (run->key && !is_young(run->key->kp, lane->now))
            run->key = NULL;
    }
    if (!run->key) { /* newer than the snapshot, or nobody's: the engine knows */
        pass_on(lane, run->train, datagram, len);
        return;
    }
    int err =
        gw_keypair_decrypt(run->key->kp, datagram, len, &run->plain[run->count], &run->counters[run->count]);
    if (err) {
        count_failure(lane, err);
        return;
    }
    run->lens[run->count++] = (uint32_t)len;
}

static void input_datagram(struct run *run, uint8_t *datagram, size_t len)
{
    switch (gw_message_gate(datagram, len)) {
    case GW_MESSAGE_DATA:
    case GW_MESSAGE_FAST_DATA:
        input_data(run, datagram, len);
        break;
    case GW_MESSAGE_NONE:
        gw_lane_count(&run->lane->stats.dropped_malformed, 1);
        break;
    default:
        pass_on(run->lane, run->train, datagram, len);
        break;
    }
}

void gw_lane_input(struct gw_lane *lane, struct gw_train *train)
{
    struct run run;
    run.lane = lane;
    run.train = train;
    run.key = NULL;
    run.count = 0;
    gw_lane_count(&lane->stats.trains_received, 1);
    gw_lane_count(&lane->stats.datagrams_received, train->count);
    gw_lane_count(&lane->stats.bytes_received, gw_train_len(train));
    gw_coalesce_lend(&lane->coalescer, train->slab, gw_train_len(train));
    for (unsigned i = 0; i < train->count; i++)
        input_datagram(&run, gw_train_datagram(train, i), gw_train_datagram_len(train, i));
    finish_run(&run);
    gw_coalesce_flush(&lane->coalescer); /* the train's bytes were lent */
}
