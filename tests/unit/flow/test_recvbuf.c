/* SPDX-License-Identifier: MIT */
/* gw_recvbuf against a byte-by-byte model: random overlapping writes within a window, random reads. */
#include "gateway/base/err.h"
#include "gateway/flow/recvbuf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define TOTAL 300000u
#define WINDOW 40000u

static uint64_t rng;
static struct gw_flow_budget budget;
static struct gw_pool pool;
static bool has[TOTAL];

static uint64_t below(uint64_t bound)
{
    rng = rng * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (rng >> 33) % bound;
}

static uint8_t byte_at(uint64_t offset)
{
    return (uint8_t)((offset * 2654435761u) >> 13);
}

static void write_some(struct gw_recvbuf *buf)
{
    uint8_t data[5000];
    uint64_t low = buf->read > 2000 ? buf->read - 2000 : 0;
    uint64_t offset = below(3) == 0 ? buf->contig : low + below(WINDOW);
    size_t len = below(sizeof data);
    uint64_t max = buf->read + WINDOW < TOTAL ? buf->read + WINDOW : TOTAL;
    if (offset > max)
        offset = max;
    if (len > max - offset)
        len = (size_t)(max - offset);
    for (size_t i = 0; i < len; i++)
        data[i] = byte_at(offset + i);
    assert_int_equal(gw_recvbuf_write(buf, &pool, budget.limit, offset, data, len), 0);
    memset(has + offset, true, len);
}

/* As deliver.c does: in-order bytes pass by, the reader takes some, the rest is kept. */
static void pass_some(struct gw_recvbuf *buf)
{
    uint8_t data[3000];
    size_t len = below(sizeof data) + 1;
    uint64_t offset = buf->contig;
    if (!gw_recvbuf_is_empty(buf) || len > TOTAL - offset)
        return;
    for (size_t i = 0; i < len; i++)
        data[i] = byte_at(offset + i);
    gw_recvbuf_pass(buf, len);
    memset(has + offset, true, len);
    size_t taken = below(len + 1);
    gw_recvbuf_consume(buf, &pool, taken);
    assert_int_equal(gw_recvbuf_keep(buf, &pool, budget.limit, buf->read, data + taken, len - taken), 0);
}

static void read_some(struct gw_recvbuf *buf)
{
    struct iovec iov[64];
    int max = 1 + (int)below(64);
    int count = gw_recvbuf_peek(buf, iov, max);
    assert_true(count <= max);
    uint64_t offset = buf->read;
    for (int i = 0; i < count; i++)
        for (size_t k = 0; k < iov[i].iov_len; k++)
            assert_int_equal(((uint8_t *)iov[i].iov_base)[k], byte_at(offset++));
    if (count < max)
        assert_int_equal(offset, buf->contig);
    gw_recvbuf_consume(buf, &pool, below(offset - buf->read + 1));
}

static void test_model(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed < 20; seed++) {
        struct gw_recvbuf buf;
        rng = seed;
        budget = (struct gw_flow_budget){.limit = 1u << 20};
        gw_pool_init(&pool, &budget);
        gw_recvbuf_init(&buf);
        memset(has, false, sizeof has);
        while (buf.read < TOTAL) {
            if (below(3) != 0)
                write_some(&buf);
            else if (below(2) != 0)
                pass_some(&buf);
            else
                read_some(&buf);
            assert_true(buf.contig == 0 || has[buf.contig - 1]);
            assert_true(buf.contig == TOTAL || !has[buf.contig]);
            /* Memory is bounded by the window. */
            assert_true(budget.used <= WINDOW + 2 * GW_POOL_SMALL);
        }
        assert_true(gw_recvbuf_is_empty(&buf));
        assert_int_equal(budget.used, 0);
        gw_pool_fini(&pool);
    }
}

static void test_limits(void **state)
{
    struct gw_recvbuf buf;
    (void)state;
    budget = (struct gw_flow_budget){.limit = 2 * GW_POOL_SMALL};
    gw_pool_init(&pool, &budget);
    gw_recvbuf_init(&buf);
    uint8_t data[3 * GW_POOL_SMALL] = {0};
    /* Too much for the budget: nothing changes, nothing stays. */
    assert_int_equal(gw_recvbuf_write(&buf, &pool, budget.limit, 0, data, sizeof data), GW_E_NOMEM);
    assert_true(gw_recvbuf_is_empty(&buf));
    assert_int_equal(budget.used, 0);
    assert_int_equal(buf.contig, 0);
    /* Two pieces fit, and what lies in them may come in islands, up to the maximum. */
    for (unsigned i = 0; i < GW_RECVBUF_RANGES_MAX; i++)
        assert_int_equal(gw_recvbuf_write(&buf, &pool, budget.limit, 2 * i + 1, data, 1), 0);
    assert_int_equal(gw_recvbuf_write(&buf, &pool, budget.limit, 4 * GW_RECVBUF_RANGES_MAX, data, 1),
                     GW_E_LIMIT);
    assert_int_equal(budget.used, GW_POOL_SMALL);
    assert_int_equal(gw_recvbuf_write(&buf, &pool, budget.limit, 0, data, 2), 0);
    assert_int_equal(buf.contig, 2);
    gw_recvbuf_drop(&buf, &pool);
    assert_int_equal(budget.used, 0);
    gw_pool_fini(&pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_model),
        cmocka_unit_test(test_limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
