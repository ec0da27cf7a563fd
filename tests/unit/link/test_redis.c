/* SPDX-License-Identifier: MIT */
/* What a Redis, or whoever writes into one, can do to a gw_redis. With a real one: tests/netns/fleet.py. */
#include "gateway/link/redis.h"
#include "tests/unit/link/redis_end.h"

#include "gateway/base/log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[] = "/tmp/peergate-redis-XXXXXX";
static struct gw_loop *loop;
static struct redis_end end;
static struct gw_redis *redis;
static unsigned ups, downs, values_heard, messages;
static size_t longest;

static void on_state(bool is_up, void *ctx)
{
    (void)ctx;
    ups += is_up;
    downs += !is_up;
}

static void on_values(uint32_t id, const struct gw_view *values, unsigned count, void *ctx)
{
    (void)ctx;
    assert_int_equal(id, 7);
    for (unsigned i = 0; i < count; i++)
        longest = values[i].len > longest ? values[i].len : longest;
    values_heard++;
}

static void on_message(const char *topic, struct gw_view bytes, void *ctx)
{
    (void)topic, (void)bytes, (void)ctx;
    messages++;
}

/* What is ready now, and what comes of that. */
static void turn(void)
{
    event_base_loop(gw_loop_base(loop), EVLOOP_NONBLOCK);
}

/* Until it is there, 20 s at most. */
static void wait_for(const unsigned *count)
{
    for (unsigned i = 0; i < 20000 && *count == 0; i++) {
        turn();
        usleep(1000);
    }
    assert_int_not_equal(*count, 0);
}

static int begin(bool refuses_scripts)
{
    char path[64];
    ups = downs = values_heard = messages = 0;
    longest = 0;
    strcpy(folder + strlen(folder) - 6, "XXXXXX");
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/socket", folder);
    loop = gw_loop_new();
    redis_end_init(&end, gw_loop_base(loop), path, refuses_scripts);
    const struct gw_redis_params params = {
        .loop = loop,
        .path = path,
        .topics = {"a", "b"},
        .events = {.on_state = on_state, .on_values = on_values, .on_message = on_message}};
    assert_int_equal(gw_redis_new(&redis, &params), 0);
    wait_for(&ups);
    return 0;
}

static int set_up(void **state)
{
    (void)state;
    return begin(false);
}

static int set_up_without_scripts(void **state)
{
    (void)state;
    return begin(true);
}

static int tear_down(void **state)
{
    (void)state;
    gw_redis_free(redis);
    redis_end_fini(&end);
    gw_loop_free(loop);
    rmdir(folder);
    return 0;
}

static void ask(void)
{
    static const char *const names[] = {"x", "y"};
    end.asked = 0;
    assert_true(gw_redis_get(redis, 7, names, 2));
    wait_for(&end.asked);
}

static void say(bool to_listener, const char *text)
{
    assert_int_equal(redis_end_say(&end, to_listener, text, strlen(text)), strlen(text));
}

static void test_values(void **state)
{
    (void)state;
    ask();
    say(false, "*2\r\n$3\r\nabc\r\n$-1\r\n");
    wait_for(&values_heard);
    assert_int_equal(longest, 3);
    say(true, "*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$2\r\nhi\r\n");
    wait_for(&messages);
    assert_int_equal(downs, 0);
}

/* One that is longer than any of ours, but not by much, is as if it were not there. */
static void test_long_value(void **state)
{
    static char text[20000];
    (void)state;
    ask();
    int len = snprintf(text, sizeof text, "*2\r\n$3\r\nabc\r\n$9000\r\n");
    memset(text + len, 'x', 9000);
    memcpy(text + len + 9000, "\r\n", 3);
    say(false, text);
    wait_for(&values_heard);
    assert_int_equal(longest, 3);
    assert_int_equal(downs, 0);
}

/* 512 MB, as Redis takes them: it is over long before they are there. */
static void endless(bool to_listener, const char *head)
{
    static char bytes[65536];
    size_t sent = 0;
    say(to_listener, head);
    for (unsigned i = 0; i < 20000 && downs == 0; i++) {
        sent += redis_end_say(&end, to_listener, bytes, sizeof bytes);
        turn();
    }
    assert_int_equal(downs, 1);
    assert_in_range(sent, 1, 4u << 20);
    assert_false(gw_redis_is_up(redis));
    assert_int_equal(values_heard + messages, 0);
}

static void test_endless_value(void **state)
{
    (void)state;
    ask();
    endless(false, "*2\r\n$536870911\r\n");
}

static void test_endless_message(void **state)
{
    (void)state;
    endless(true, "*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$536870911\r\n");
}

/* Only what is ours, by a script; where there are none, by name. */
static void forget(void)
{
    static const char *const names[] = {"x", "yy"};
    end.asked = 0;
    gw_redis_forget(redis, names, 2, "MARK", 4);
    wait_for(&end.asked);
}

static void test_forget(void **state)
{
    (void)state;
    forget();
    assert_non_null(strstr(end.said, "*6\r\n$4\r\nEVAL\r\n"));
    assert_non_null(strstr(end.said, "$1\r\n2\r\n$1\r\nx\r\n$2\r\nyy\r\n$4\r\nMARK\r\n"));
    assert_int_equal(downs, 0);
}

static void test_forget_without_scripts(void **state)
{
    (void)state;
    forget();
    assert_string_equal(end.said, "*3\r\n$3\r\nDEL\r\n$1\r\nx\r\n$2\r\nyy\r\n");
    assert_int_equal(downs, 0);
}

/* What was said in the last turn is still said. */
static void test_last_words(void **state)
{
    static const char *const names[] = {"x"};
    (void)state;
    end.asked = 0;
    gw_redis_forget(redis, names, 1, "MARK", 4);
    gw_redis_free(redis);
    redis = NULL;
    wait_for(&end.asked);
    assert_non_null(strstr(end.said, "MARK"));
}

int main(void)
{
    gw_log_set_level(GW_LOG_ERROR);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_values, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_long_value, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_endless_value, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_endless_message, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_forget, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_forget_without_scripts, set_up_without_scripts, tear_down),
        cmocka_unit_test_setup_teardown(test_last_words, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
