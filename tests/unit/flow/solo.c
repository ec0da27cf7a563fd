/* SPDX-License-Identifier: MIT */
#include "solo.h"

#include <assert.h>
#include <string.h>

void solo_init(struct solo *solo, const struct gw_mux_events *events, uint64_t limit)
{
    memset(solo, 0, sizeof *solo);
    solo->now = (struct gw_mono){GW_S(1)};
    solo->budget.limit = limit;
    gw_deadlines_init(&solo->deadlines);
    gw_random_seeded_init(&solo->random, 1);
    struct gw_mux_events copy = *events;
    copy.ctx = solo;
    struct gw_mux_params params = {.deadlines = &solo->deadlines,
                                   .random = &solo->random.random,
                                   .budget = &solo->budget,
                                   .events = &copy,
                                   .is_lower = true};
    int err = gw_mux_new(&solo->mux, &params, solo->now);
    assert(err == 0);
    (void)err;
    gw_mux_set_path(solo->mux, solo->now, SOLO_CAP, 60, GW_MS(10), true);
    solo->mux->out_max = UINT64_C(1) << 40;
    solo->mux->cc.cwnd = UINT64_C(1) << 40;
    solo->mux->cc.pacing_rate = 0;
}

void solo_fini(struct solo *solo)
{
    gw_mux_free(solo->mux, solo->now, GW_REASON_SHUTTING_DOWN);
    gw_deadlines_fini(&solo->deadlines);
    assert(solo->budget.used == 0);
}

static void read_frame(struct solo *solo, const struct gw_frame *frame)
{
    struct gw_reader r = gw_reader_of_view(frame->body);
    assert(solo->count < SOLO_FRAMES);
    struct solo_frame *out = &solo->frames[solo->count++];
    *out = (struct solo_frame){.type = frame->type};
    switch (frame->type) {
    case GW_FRAME_NUMBER:
        break;
    case GW_FRAME_STREAM:
        out->is_fin = (gw_read_u8(&r) & 1) != 0;
        out->id = gw_read_varint(&r);
        out->offset = gw_read_varint(&r);
        out->len = gw_reader_left(&r);
        assert(out->id < SOLO_IDS);
        solo->bytes_of[out->id] += out->len;
        break;
    case GW_FRAME_DATAGRAM:
        out->id = gw_read_varint(&r);
        out->len = gw_reader_left(&r);
        break;
    default:
        for (int i = 0; i < 3 && gw_reader_left(&r) > 0; i++)
            out->numbers[i] = gw_read_varint(&r);
    }
    assert(gw_reader_ok(&r));
}

bool solo_pull(struct solo *solo)
{
    uint8_t buf[SOLO_CAP];
    solo->count = 0;
    solo->padding = 0;
    /* Whatever congestion control thinks. */
    solo->mux->cc.pacing_rate = 0;
    solo->len = gw_mux_output(solo->mux, solo->now, buf, sizeof buf);
    struct gw_reader r = gw_reader_of(buf, solo->len);
    struct gw_frame frame;
    while (r.at < r.end) {
        if (*r.at == GW_FRAME_PADDING) {
            solo->padding = gw_reader_left(&r);
            for (; r.at < r.end; r.at++)
                assert(*r.at == 0);
            break;
        }
        bool is_frame = gw_frame_next(&r, &frame);
        assert(is_frame);
        (void)is_frame;
        read_frame(solo, &frame);
    }
    return solo->len > 0;
}

unsigned solo_pull_all(struct solo *solo)
{
    unsigned count = 0;
    while (solo_pull(solo))
        count++;
    return count;
}

const struct solo_frame *solo_find(const struct solo *solo, enum gw_frame_type type)
{
    for (unsigned i = 0; i < solo->count; i++)
        if (solo->frames[i].type == type)
            return &solo->frames[i];
    return NULL;
}

int solo_feed(struct solo *solo, enum gw_frame_type type, const void *body, size_t len)
{
    uint8_t number[4];
    gw_store32_be(number, solo->next_number++);
    struct gw_frame frames[2] = {{GW_FRAME_NUMBER, {number, sizeof number}}, {type, {body, len}}};
    gw_mux_packet_begin(solo->mux, solo->now, 100, 0);
    int err = gw_mux_frame(solo->mux, &frames[0]);
    if (err == 0)
        err = gw_mux_frame(solo->mux, &frames[1]);
    gw_mux_packet_end(solo->mux);
    gw_mux_input_flush(solo->mux, solo->now);
    return err;
}

int solo_feed_numbers(struct solo *solo, enum gw_frame_type type, unsigned count, const uint64_t numbers[])
{
    uint8_t body[64];
    struct gw_writer w = gw_writer_of(body, sizeof body);
    for (unsigned i = 0; i < count; i++)
        gw_write_varint(&w, numbers[i]);
    assert(gw_writer_ok(&w));
    return solo_feed(solo, type, body, gw_writer_len(&w));
}

int solo_feed_stream(struct solo *solo, uint64_t id, uint64_t offset, const void *data, size_t len,
                     bool is_fin)
{
    uint8_t body[2000];
    struct gw_writer w = gw_writer_of(body, sizeof body);
    gw_write_u8(&w, is_fin ? 1 : 0);
    gw_write_varint(&w, id);
    gw_write_varint(&w, offset);
    gw_write_bytes(&w, data, len);
    assert(gw_writer_ok(&w));
    return solo_feed(solo, GW_FRAME_STREAM, body, gw_writer_len(&w));
}

void solo_ack_all(struct solo *solo)
{
    uint64_t next = solo->mux->recovery.sent.next;
    if (next == 0)
        return;
    int err = solo_feed_numbers(solo, GW_FRAME_ACK, 5, (const uint64_t[]){next - 1, 0, next - 1, 0, 0});
    assert(err == 0);
    (void)err;
    solo->mux->cc.cwnd = UINT64_C(1) << 40;
}

void solo_write(struct solo *solo, struct gw_stream *stream, size_t len)
{
    while (len > 0) {
        size_t room;
        uint8_t *out = gw_stream_reserve(stream, len, &room);
        if (out == NULL)
            return;
        memset(out, 1, room);
        gw_stream_commit(stream, solo->now, room);
        len -= room;
    }
}
