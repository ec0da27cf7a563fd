/* SPDX-License-Identifier: MIT */
/* gw_sendbuf against a byte-by-byte model: written in random pieces, sent, lost, sent again and acked in random
 * order. */
#include "gateway/base/err.h"
#include "gateway/flow/sendbuf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define TOTAL 400000u

enum { UNWRITTEN, UNSENT, FLYING, LOST, ACKED };

static uint64_t rng;
static struct gw_flow_budget budget;
static struct gw_pool pool;
static uint8_t state_of[TOTAL];

static uint64_t below(uint64_t bound)
{
    rng = rng * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (rng >> 33) % bound;
}

static uint8_t byte_at(uint64_t offset)
{
    return (uint8_t)((offset * 2654435761u) >> 13);
}

static void check_bytes(uint64_t offset, const uint8_t *data, size_t len, uint8_t expected, uint8_t next)
{
    for (size_t i = 0; i < len; i++) {
        assert_int_equal(data[i], byte_at(offset + i));
        assert_int_equal(state_of[offset + i], expected);
        state_of[offset + i] = next;
    }
}

static void write_some(struct gw_sendbuf *buf)
{
    size_t len, wish = 1 + below(90000);
    uint8_t *room = gw_sendbuf_reserve(buf, &pool, budget.limit, wish, &len);
    assert_non_null(room);
    assert_true(len > 0 && len <= wish);
    if (len > TOTAL - buf->end)
        len = TOTAL - buf->end;
    len = below(4) == 0 ? below(len + 1) : len;
    for (size_t i = 0; i < len; i++) {
        room[i] = byte_at(buf->end + i);
        state_of[buf->end + i] = UNSENT;
    }
    gw_sendbuf_commit(buf, &pool, len);
}

static void send_some(struct gw_sendbuf *buf)
{
    uint8_t data[3000];
    size_t len = below(sizeof data) + 1;
    if (len > gw_sendbuf_unsent(buf))
        len = gw_sendbuf_unsent(buf);
    uint64_t offset = buf->next;
    gw_sendbuf_take(buf, data, len);
    check_bytes(offset, data, len, UNSENT, FLYING);
}

static void resend_some(struct gw_sendbuf *buf)
{
    uint8_t data[3000];
    if (!gw_sendbuf_has_lost(buf))
        return;
    uint64_t start = gw_sendbuf_lost_start(buf);
    struct gw_range range = gw_sendbuf_take_lost(buf, data, 1 + below(sizeof data));
    assert_int_equal(range.start, start);
    assert_true(range.end > range.start);
    check_bytes(range.start, data, range.end - range.start, LOST, FLYING);
}

static void lose_some(struct gw_sendbuf *buf)
{
    if (buf->next == 0)
        return;
    uint64_t start = below(buf->next), end = start + below(3000);
    if (end > buf->next)
        end = buf->next;
    assert_int_equal(gw_sendbuf_lost(buf, start, end), 0);
    for (uint64_t i = start; i < end; i++)
        if (state_of[i] == FLYING)
            state_of[i] = LOST;
}

static void ack_some(struct gw_sendbuf *buf)
{
    if (buf->next == buf->base)
        return;
    uint64_t start = buf->base + below(below(2) == 0 ? 1 : buf->next - buf->base);
    start -= start < 100 ? start : below(100);
    uint64_t end = start + below(6000);
    if (end > buf->next)
        end = buf->next;
    gw_sendbuf_acked(buf, &pool, start, end);
    for (uint64_t i = start; i < end; i++)
        state_of[i] = ACKED;
}

static void check_model(const struct gw_sendbuf *buf)
{
    assert_true(buf->base <= buf->next && buf->next <= buf->end);
    if (buf->base < buf->next)
        assert_int_not_equal(state_of[buf->base], ACKED);
    if (gw_sendbuf_has_lost(buf))
        assert_int_equal(state_of[gw_sendbuf_lost_start(buf)], LOST);
    /* Memory: what is not acked, and a block at either end. */
    assert_true(budget.used <= buf->end - buf->base + 3u * GW_POOL_LARGE);
    if (buf->base == buf->end)
        assert_int_equal(budget.used, 0);
}

static void test_model(void **state)
{
    (void)state;
    for (rng = 1; rng < 30; rng += 2) {
        struct gw_sendbuf buf;
        uint64_t seed = rng;
        budget = (struct gw_flow_budget){.limit = 64u << 20};
        gw_pool_init(&pool, &budget);
        gw_sendbuf_init(&buf);
        memset(state_of, UNWRITTEN, sizeof state_of);
        while (buf.base < TOTAL) {
            switch (below(6)) {
            case 0:
                if (buf.end < TOTAL && buf.end - buf.next < 130000)
                    write_some(&buf);
                break;
            case 1:
                lose_some(&buf);
                break;
            case 2:
                resend_some(&buf);
                break;
            case 3:
                ack_some(&buf);
                break;
            default:
                send_some(&buf);
            }
            check_model(&buf);
        }
        for (size_t i = 0; i < TOTAL; i++)
            assert_int_equal(state_of[i], ACKED);
        assert_null(buf.gaps);
        gw_pool_fini(&pool);
        rng = seed;
    }
}

static void test_memory(void **state)
{
    struct gw_sendbuf buf;
    size_t len;
    (void)state;
    budget = (struct gw_flow_budget){.limit = GW_POOL_SMALL};
    gw_pool_init(&pool, &budget);
    gw_sendbuf_init(&buf);
    /* The first block is small. */
    assert_non_null(gw_sendbuf_reserve(&buf, &pool, budget.limit, 100000, &len));
    assert_true(len < GW_POOL_SMALL);
    assert_int_equal(budget.used, GW_POOL_SMALL);
    /* What is reserved stays while acks come; given back unused, nothing is held. */
    gw_sendbuf_commit(&buf, &pool, 0);
    assert_int_equal(budget.used, 0);
    assert_non_null(gw_sendbuf_reserve(&buf, &pool, budget.limit, 100000, &len));
    gw_sendbuf_commit(&buf, &pool, len);
    /* The budget is used up. */
    assert_null(gw_sendbuf_reserve(&buf, &pool, budget.limit, 1, &len));
    assert_int_equal(len, 0);
    assert_int_equal(gw_sendbuf_write(&buf, &pool, budget.limit, "x", 1), GW_E_NOMEM);
    /* Without a large block, a small one does. */
    budget.limit += GW_POOL_SMALL;
    assert_non_null(gw_sendbuf_reserve(&buf, &pool, budget.limit, 100000, &len));
    gw_sendbuf_commit(&buf, &pool, 5);
    budget.limit += GW_POOL_LARGE;
    assert_int_equal(gw_sendbuf_write(&buf, &pool, budget.limit, "abc", 3), 0);
    gw_sendbuf_drop(&buf, &pool);
    assert_int_equal(budget.used, 0);
    assert_true(buf.end > 0);
    gw_pool_fini(&pool);
}

static void test_write_across_blocks(void **state)
{
    struct gw_sendbuf buf;
    size_t len;
    uint8_t data[2048], out[GW_POOL_SMALL + 2048];
    (void)state;
    budget = (struct gw_flow_budget){.limit = 1u << 20};
    gw_pool_init(&pool, &budget);
    gw_sendbuf_init(&buf);
    memset(data, 7, sizeof data);
    uint8_t *room = gw_sendbuf_reserve(&buf, &pool, budget.limit, 2200, &len);
    memset(room, 6, len);
    gw_sendbuf_commit(&buf, &pool, len);
    assert_int_equal(gw_sendbuf_write(&buf, &pool, budget.limit, data, sizeof data), 0);
    assert_int_equal(buf.end, len + sizeof data);
    gw_sendbuf_take(&buf, out, (size_t)buf.end);
    assert_int_equal(out[len - 1], 6);
    assert_int_equal(out[len], 7);
    gw_sendbuf_acked(&buf, &pool, 0, buf.end);
    assert_int_equal(budget.used, 0);
    gw_pool_fini(&pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_model),
        cmocka_unit_test(test_memory),
        cmocka_unit_test(test_write_across_blocks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
