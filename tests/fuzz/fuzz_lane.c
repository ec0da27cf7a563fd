/* SPDX-License-Identifier: MIT */
/* What strangers, a peer that has our keys, and our own interface can give a lane. The input is a row of pieces: a byte that says from whom, two of
 * length, and the bytes: a datagram as it is, inner bytes that are sealed with the peer's key first, a packet with its hint,
 * or one whose flow is admitted: from then on no other is. Whatever happens, what comes out
 * for the interface is from the peer's own address and of an admitted flow, and what comes out for the network opens at the peer. */
#include "gateway/lane/lane.h"
#include "gateway/session/noise.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { FROM_STRANGER, FROM_PEER, FROM_INTERFACE, ADMITTED, KINDS };

#define PLAIN_MAX 1400u

static struct gw_keypair ours, theirs;
static struct gw_lane_hub hub;
static struct gw_lane lane;
static struct gw_lane_flows *flows;
static uint8_t slab[GW_TRAIN_SLAB];

static bool is_admitted(const uint8_t *packet, const struct gw_ip *ip)
{
    struct gw_lane_flow_last last = {0};
    struct gw_flow_key key;
    if (ip->is_fragment)
        return false;
    gw_flow_key_of(&key, packet, ip, true);
    return gw_lane_flows_have(flows, &last, &key, true, lane.now);
}

static void emit(const struct gw_merged *merged, void *ctx)
{
    const uint8_t *packet = merged->iov[0].iov_base;
    struct gw_addr source;
    struct gw_ip ip;
    size_t len = 0;
    (void)ctx;
    for (int i = 0; i < merged->iov_count; i++)
        len += merged->iov[i].iov_len;
    assert(len == merged->len);
    assert(merged->segment_len > 0 || gw_ip_parse(&ip, packet, len) == 0);
    ip.version = merged->version;
    gw_ip_source(&source, packet, &ip);
    assert(source.ip[0] == 10 && source.ip[3] == 2);
    if (hub.flows && merged->segment_len == 0)
        assert(is_admitted(packet, &ip));
}

static void no_wake(void *ctx)
{
    (void)ctx;
}

static void make_keys(struct gw_keypair *kp, bool is_initiator)
{
    struct gw_noise_keys keys = {.exporter = {3}};
    keys.send[0] = is_initiator;
    keys.receive[0] = !is_initiator;
    gw_keypair_init(kp, gw_crypto_system(), &keys, is_initiator, 1, 1, (struct gw_mono){0});
    gw_keypair_share(kp);
}

/* Ours is 10.0.0.1, the peer's 10.0.0.2. */
static void make_snapshot(void)
{
    const struct gw_prefix own = {.ip = {.family = 4, .ip = {10, 0, 0, 1}}, .bits = 32};
    const struct gw_prefix peers = {.ip = {.family = 4, .ip = {10, 0, 0, 2}}, .bits = 32};
    struct gw_lane_routes *routes = gw_lane_routes_new(&own, 1);
    struct gw_lane_peer *peer = gw_lane_peer_new(0, 1);
    struct gw_lane_snapshot *snapshot = gw_lane_snapshot_new(routes, 1, 1);
    assert(snapshot && peer && gw_allowedips_insert(&routes->peers, &peers, peer) == 0);
    snapshot->entries[0] = (struct gw_lane_entry){.peer = peer,
                                                  .kp = &ours,
                                                  .path = {.remote = {.family = 4, .port = 9}},
                                                  .suite = GW_SUITE_CHACHA20_POLY1305,
                                                  .cap = 1440,
                                                  .room = 1408};
    gw_lane_snapshot_add_key(snapshot, &ours, 0);
    atomic_store(&hub.current, snapshot);
}

static void make_lane(void)
{
    gw_epoch_init(&hub.epoch, 1);
    hub.wake = no_wake;
    hub.mtu = 1380;
    make_keys(&ours, true);
    make_keys(&theirs, false);
    make_snapshot();
    flows = gw_lane_flows_new((const uint8_t[GW_FLOW_SEED_LEN]){1});
    assert(flows && gw_lane_init(&lane, &hub, 0) == 0);
    gw_lane_set_emit(&lane, emit, true, true, true, NULL);
}

static void from_network(uint8_t *datagram, size_t len)
{
    struct gw_train train = {
        .slab = datagram, .count = 1, .stride = (uint16_t)len, .last_len = (uint16_t)len};
    if (len > 0)
        gw_lane_input(&lane, &train);
}

static void from_interface(const uint8_t *bytes, size_t len)
{
    const struct gw_lane_entry *entry;
    struct gw_super_hint hint = {0};
    struct gw_ip ip;
    if (len < 1)
        return;
    uint8_t packet[PLAIN_MAX + 600];
    memcpy(packet, bytes + 1, len - 1);
    if (gw_ip_parse(&ip, packet, len - 1) != 0)
        return;
    hint.segment_len = bytes[0];
    hint.is_checksum_left = bytes[0] > 0;
    if (gw_lane_route(&lane, packet, &ip, ip.total_len, &entry) && entry)
        gw_lane_send(&lane, entry, packet, ip.total_len, &hint);
    else
        gw_lane_hand_over(&lane, packet, ip.total_len, &hint);
}

static void admit(const uint8_t *packet, size_t len)
{
    struct gw_flow_key key;
    struct gw_ip ip;
    hub.flows = flows;
    if (gw_ip_parse(&ip, packet, len) != 0 || ip.is_fragment)
        return;
    gw_flow_key_of(&key, packet, &ip, true);
    gw_lane_flows_admit(flows, &key, true, lane.now);
    gw_flow_key_of(&key, packet, &ip, false);
    gw_lane_flows_admit(flows, &key, false, lane.now);
}

static void take_all(void)
{
    struct gw_train train = {.slab = slab};
    size_t len;
    while (gw_lane_output(&lane, &train)) {
        for (unsigned i = 0; i < train.count; i++) {
            struct gw_view plain;
            assert(gw_keypair_open(&theirs, gw_train_datagram(&train, i), gw_train_datagram_len(&train, i),
                                   &plain, NULL) == 0);
        }
    }
    gw_lane_end(&lane);
    while (gw_ring_next(&lane.told, &len)) {
    }
    while (gw_ring_next(&lane.strangers, &len)) {
    }
    gw_ring_release(&lane.told);
    gw_ring_release(&lane.strangers);
}

static void piece(unsigned kind, const uint8_t *bytes, size_t len)
{
    uint8_t datagram[PLAIN_MAX + 64];
    if (len > PLAIN_MAX)
        len = PLAIN_MAX;
    if (kind == FROM_INTERFACE) {
        from_interface(bytes, len);
    } else if (kind == ADMITTED) {
        admit(bytes, len);
    } else if (kind == FROM_PEER) {
        memcpy(datagram + GW_DATA_HEADER_LEN, bytes, len);
        from_network(datagram,
                     gw_keypair_seal(&theirs, GW_SUITE_CHACHA20_POLY1305, datagram, sizeof datagram, len));
    } else {
        memcpy(datagram, bytes, len);
        from_network(datagram, len);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!atomic_load(&hub.current))
        make_lane();
    hub.flows = NULL;
    gw_lane_flows_clear(flows);
    gw_lane_begin(&lane, (struct gw_mono){GW_S(1)});
    while (size >= 3) {
        size_t len = (size_t)data[1] << 8 | data[2];
        if (len > size - 3)
            len = size - 3;
        piece(data[0] % KINDS, data + 3, len);
        data += 3 + len;
        size -= 3 + len;
    }
    take_all();
    return 0;
}
