/* SPDX-License-Identifier: MIT */
/* No memory, at each allocation in turn: an error and nothing leaked or half done; what is retried works out. */
#include "pair.h"

#include "gateway/base/err.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define NONE 1000000u

static unsigned allocations, failing = NONE;

static bool fails(void)
{
    return allocations++ == failing;
}

/* The n-th from now. */
static void fail_at(unsigned n)
{
    allocations = 0;
    failing = n;
}

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *object, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *object, size_t size);

void *__wrap_malloc(size_t size)
{
    return fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    return fails() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *object, size_t size)
{
    return fails() ? NULL : __real_realloc(object, size);
}

static void test_new(void **state)
{
    struct pair *pair = pair_new(51);
    struct gw_session_params params = {.psk_count = 0};
    struct gw_session *session;
    unsigned n = 0;
    int err;

    (void)state;
    memcpy(params.remote_public, pair->nodes[B].local.public_key, GW_KEY_LEN);
    do {
        fail_at(n++);
        err = gw_session_new(&session, &pair->nodes[A].local, &params, pair->now);
        assert_true(err == 0 || err == GW_E_NOMEM);
        assert_int_equal(pair->nodes[A].local.sessions.len, err == 0);
    } while (err != 0);
    assert_true(n > 2);
    fail_at(NONE);
    gw_session_free(session);
    pair_free(pair);
}

static void test_handshake(void **state)
{
    unsigned n = 0;

    (void)state;
    for (bool has_failed = true; has_failed; n++) {
        struct pair *pair = pair_new(52);

        pair_connect(pair);
        fail_at(n);
        pair_send(pair, A);
        pair_run_for(pair, GW_S(2));
        has_failed = allocations > n;
        fail_at(NONE);
        assert_true(pair_agrees(pair));
        assert_int_equal(pair->nodes[B].data_received, 1);
        pair_free(pair);
    }
    assert_true(n > 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_new),
        cmocka_unit_test(test_handshake),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
