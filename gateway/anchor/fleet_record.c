/* SPDX-License-Identifier: MIT */
/* See fleet_record.h. */
#include "gateway/anchor/fleet_record.h"

#include "gateway/base/err.h"

#include <string.h>

#define VERSION 1u

/* PRESENT. Who knows the first flag only takes any for it, and answers. */
#define FLAG_ASKING 1u
#define FLAG_KNOWS_FURTHER 2u
/* Of further rounds. */
#define FLAG_COMPLETE 1u
#define FLAG_VOUCH 2u

/* ---- parts */

static void write_addr(struct gw_writer *w, const struct gw_addr *addr)
{
    gw_write_u8(w, addr->family);
    gw_write_bytes(w, addr->ip, addr->family == 4 ? 4 : 16);
    gw_write_u16_be(w, addr->port);
}

/* One that may be sent to. */
static void read_addr(struct gw_reader *r, struct gw_addr *addr)
{
    memset(addr, 0, sizeof *addr);
    addr->family = gw_read_u8(r);
    if (addr->family != 4 && addr->family != 6)
        gw_reader_fail(r);
    gw_read_bytes(r, addr->ip, addr->family == 4 ? 4 : 16);
    addr->port = gw_read_u16_be(r);
    static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
    bool is_mapped = addr->family == 6 && memcmp(addr->ip, mapped, sizeof mapped) == 0;
    if (gw_reader_ok(r) && (is_mapped || !gw_candidate_is_usable(addr)))
        gw_reader_fail(r);
}

static void write_place(struct gw_writer *w, const struct gw_fleet_place *place)
{
    gw_write_bytes(w, place->anchor, GW_FLEET_ID_LEN);
    gw_write_u64_le(w, place->instance);
    write_addr(w, &place->addr);
}

static void read_place(struct gw_reader *r, struct gw_fleet_place *place)
{
    gw_read_bytes(r, place->anchor, GW_FLEET_ID_LEN);
    place->instance = gw_read_u64_le(r);
    read_addr(r, &place->addr);
}

static void write_candidates(struct gw_writer *w, const struct gw_candidate *list, unsigned count)
{
    gw_write_u8(w, (uint8_t)count);
    for (unsigned i = 0; i < count; i++) {
        gw_write_u8(w, (uint8_t)list[i].kind);
        write_addr(w, &list[i].addr);
    }
}

static unsigned read_candidates(struct gw_reader *r, struct gw_candidate list[GW_CANDIDATES_MAX])
{
    unsigned count = gw_read_u8(r);
    if (count > GW_CANDIDATES_MAX)
        gw_reader_fail(r);
    for (unsigned i = 0; gw_reader_ok(r) && i < count; i++) {
        uint8_t kind = gw_read_u8(r);
        list[i].kind = kind < GW_CANDIDATE_KINDS ? (enum gw_candidate_kind)kind : GW_CANDIDATE_HOST;
        read_addr(r, &list[i].addr);
    }
    return gw_reader_ok(r) ? count : 0;
}

static void write_registrant(struct gw_writer *w, const struct gw_fleet_registrant *registrant)
{
    gw_write_bytes(w, registrant->client, GW_FLEET_ID_LEN);
    write_candidates(w, registrant->addresses, registrant->address_count);
}

static void read_registrant(struct gw_reader *r, struct gw_fleet_registrant *registrant)
{
    gw_read_bytes(r, registrant->client, GW_FLEET_ID_LEN);
    registrant->address_count = read_candidates(r, registrant->addresses);
}

/* 0 or 1, so that there is one form of everything. */
static bool read_flag(struct gw_reader *r)
{
    uint8_t flag = gw_read_u8(r);
    if (flag > 1)
        gw_reader_fail(r);
    return flag == 1;
}

static void write_nat(struct gw_writer *w, const peergate_Nat *nat)
{
    struct gw_candidate last;
    bool has_last = nat->has_last && gw_candidate_decode(&last, &nat->last) == 0;
    gw_write_u8(w, nat->mapping <= UINT8_MAX ? (uint8_t)nat->mapping : 0);
    gw_write_u8(w, nat->ports <= UINT8_MAX ? (uint8_t)nat->ports : 0);
    gw_write_u32_le(w, (uint32_t)nat->step);
    gw_write_u8(w, has_last);
    if (has_last)
        write_addr(w, &last.addr);
}

static void read_nat(struct gw_reader *r, peergate_Nat *nat)
{
    struct gw_candidate last = {.kind = GW_CANDIDATE_OBSERVED};
    nat->mapping = gw_read_u8(r);
    nat->ports = gw_read_u8(r);
    nat->step = (int32_t)gw_read_u32_le(r);
    nat->has_last = read_flag(r);
    if (!nat->has_last)
        return;
    read_addr(r, &last.addr);
    gw_candidate_encode(&nat->last, &last);
}

static void write_punch(struct gw_writer *w, const struct gw_fleet_punch *punch)
{
    gw_write_bytes(w, punch->token, sizeof punch->token);
    gw_write_bytes(w, punch->secret, sizeof punch->secret);
    gw_write_u32_le(w, punch->round);
    gw_write_u32_le(w, punch->delay_ms);
    write_candidates(w, punch->addresses, punch->address_count);
    gw_write_u8(w, punch->has_nat);
    if (punch->has_nat)
        write_nat(w, &punch->nat);
}

static void read_punch(struct gw_reader *r, struct gw_fleet_punch *punch)
{
    gw_read_bytes(r, punch->token, sizeof punch->token);
    gw_read_bytes(r, punch->secret, sizeof punch->secret);
    punch->round = gw_read_u32_le(r);
    punch->delay_ms = gw_read_u32_le(r);
    punch->address_count = read_candidates(r, punch->addresses);
    punch->has_nat = read_flag(r);
    if (punch->has_nat)
        read_nat(r, &punch->nat);
}

/* ---- further rounds: behind everything else, if there is something to say */

static void write_vouch(struct gw_writer *w, const peergate_Vouch *vouch)
{
    struct gw_candidate seen;
    if (!vouch->has_seen || gw_candidate_decode(&seen, &vouch->seen) != 0) {
        gw_writer_fail(w);
        return;
    }
    write_addr(w, &seen.addr);
    gw_write_u64_le(w, vouch->time);
    gw_write_bytes(w, vouch->mac, sizeof vouch->mac);
}

static void read_vouch(struct gw_reader *r, peergate_Vouch *vouch)
{
    struct gw_candidate seen = {.kind = GW_CANDIDATE_OBSERVED};
    read_addr(r, &seen.addr);
    vouch->has_seen = true;
    gw_candidate_encode(&vouch->seen, &seen);
    vouch->time = gw_read_u64_le(r);
    gw_read_bytes(r, vouch->mac, sizeof vouch->mac);
}

static void write_further(struct gw_writer *w, const struct gw_fleet_punch *punch)
{
    gw_write_u8(w, punch->again);
    gw_write_u8(w, (uint8_t)((punch->is_complete ? FLAG_COMPLETE : 0) | (punch->has_vouch ? FLAG_VOUCH : 0)));
    if (punch->has_vouch)
        write_vouch(w, &punch->vouch);
}

static void read_further(struct gw_reader *r, struct gw_fleet_punch *punch)
{
    punch->again = gw_read_u8(r);
    uint8_t flags = gw_read_u8(r);
    punch->is_complete = flags & FLAG_COMPLETE;
    punch->has_vouch = flags & FLAG_VOUCH;
    bool is_known = (flags & ~(FLAG_COMPLETE | FLAG_VOUCH)) == 0;
    if (!is_known || !gw_fleet_is_further(punch) || (punch->is_complete && punch->again == 0))
        gw_reader_fail(r);
    if (gw_reader_ok(r) && punch->has_vouch)
        read_vouch(r, &punch->vouch);
}

/* ---- records */

size_t gw_fleet_record_encode(uint8_t *out, size_t cap, const struct gw_fleet_record *record)
{
    struct gw_writer w = gw_writer_of(out, cap);
    gw_write_u8(&w, VERSION);
    write_place(&w, &record->place);
    gw_write_u8(&w, (uint8_t)record->count);
    for (unsigned i = 0; i < record->count; i++)
        write_registrant(&w, &record->registrants[i]);
    return gw_writer_ok(&w) ? gw_writer_len(&w) : 0;
}

int gw_fleet_record_decode(struct gw_fleet_record *out, struct gw_view in)
{
    struct gw_reader r = gw_reader_of_view(in);
    memset(out, 0, sizeof *out);
    if (gw_read_u8(&r) != VERSION)
        return GW_E_MALFORMED;
    read_place(&r, &out->place);
    out->count = gw_read_u8(&r);
    if (out->count == 0 || out->count > GW_FLEET_REGISTRANTS)
        return GW_E_MALFORMED;
    for (unsigned i = 0; i < out->count; i++)
        read_registrant(&r, &out->registrants[i]);
    return gw_reader_done(&r) ? 0 : GW_E_MALFORMED;
}

/* ---- messages */

static bool is_about_punch(enum gw_fleet_kind kind)
{
    return kind == GW_FLEET_PUNCH || kind == GW_FLEET_PUNCHED;
}

size_t gw_fleet_message_encode(uint8_t *out, size_t cap, const struct gw_fleet_message *message)
{
    struct gw_writer w = gw_writer_of(out, cap);
    gw_write_u8(&w, VERSION);
    gw_write_u8(&w, (uint8_t)message->kind);
    write_place(&w, &message->from);
    if (message->kind == GW_FLEET_PRESENT) {
        gw_write_u8(&w, (uint8_t)((message->is_asking ? FLAG_ASKING : 0) |
                                  (message->knows_further ? FLAG_KNOWS_FURTHER : 0)));
        return gw_writer_ok(&w) ? gw_writer_len(&w) : 0;
    }
    gw_write_u64_le(&w, message->to_instance);
    gw_write_bytes(&w, message->tag, sizeof message->tag);
    gw_write_bytes(&w, message->client, sizeof message->client);
    if (is_about_punch(message->kind)) {
        write_punch(&w, &message->punch);
    } else {
        gw_write_u32_le(&w, message->channel);
        gw_write_bytes(&w, message->key, sizeof message->key);
    }
    gw_write_u8(&w, message->refusal);
    if (is_about_punch(message->kind) && gw_fleet_is_further(&message->punch))
        write_further(&w, &message->punch);
    return gw_writer_ok(&w) ? gw_writer_len(&w) : 0;
}

int gw_fleet_message_decode(struct gw_fleet_message *out, struct gw_view in)
{
    struct gw_reader r = gw_reader_of_view(in);
    memset(out, 0, sizeof *out);
    if (gw_read_u8(&r) != VERSION)
        return GW_E_MALFORMED;
    uint8_t kind = gw_read_u8(&r);
    if (kind < GW_FLEET_PRESENT || kind > GW_FLEET_PUNCHED)
        return GW_E_MALFORMED;
    out->kind = (enum gw_fleet_kind)kind;
    read_place(&r, &out->from);
    if (kind == GW_FLEET_PRESENT) {
        uint8_t flags = gw_read_u8(&r);
        out->is_asking = flags & FLAG_ASKING;
        out->knows_further = flags & FLAG_KNOWS_FURTHER;
        return gw_reader_done(&r) ? 0 : GW_E_MALFORMED;
    }
    out->to_instance = gw_read_u64_le(&r);
    gw_read_bytes(&r, out->tag, sizeof out->tag);
    gw_read_bytes(&r, out->client, sizeof out->client);
    if (is_about_punch(out->kind)) {
        read_punch(&r, &out->punch);
    } else {
        out->channel = gw_read_u32_le(&r);
        gw_read_bytes(&r, out->key, sizeof out->key);
    }
    out->refusal = gw_read_u8(&r);
    if (is_about_punch(out->kind) && gw_reader_left(&r) > 0)
        read_further(&r, &out->punch);
    return gw_reader_done(&r) ? 0 : GW_E_MALFORMED;
}

/* ---- the seal */

size_t gw_fleet_seal(uint8_t *out, const uint8_t *plain, size_t plain_len, const char *name,
                     const uint8_t *mark, const uint8_t key[GW_KEY_LEN], const struct gw_crypto *crypto,
                     struct gw_random *random)
{
    gw_random_fill(random, out, GW_FLEET_NONCE_LEN);
    if (mark)
        memcpy(out, mark, GW_FLEET_MARK_LEN);
    crypto->xseal(out + GW_FLEET_NONCE_LEN, plain, plain_len, (const uint8_t *)name, strlen(name), out, key);
    return plain_len + GW_FLEET_OVERHEAD;
}

bool gw_fleet_open(uint8_t *plain, size_t *plain_len, struct gw_view sealed, const char *name,
                   const uint8_t key[GW_KEY_LEN], const struct gw_crypto *crypto)
{
    if (sealed.len < GW_FLEET_OVERHEAD || sealed.len > GW_FLEET_SEALED_MAX)
        return false;
    *plain_len = sealed.len - GW_FLEET_OVERHEAD;
    return crypto->xopen(plain, sealed.data + GW_FLEET_NONCE_LEN, sealed.len - GW_FLEET_NONCE_LEN,
                         (const uint8_t *)name, strlen(name), sealed.data, key);
}
