/* SPDX-License-Identifier: MIT */
/* What a Redis may answer, and what others may have written into it: over a real socket, to a lookup or unasked, on either connection. Values and messages come out whole and bounded, or
 * not at all. Input: steps of  op u8 (1: on the connection that listens; 2: after a lookup) | length u16 | bytes. */
#include "gateway/link/redis.h"
#include "tests/unit/link/redis_end.h"

#include "gateway/base/log.h"

#include <assert.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define VALUE_MAX 4096u
#define TURNS 6u

static struct gw_loop *loop;
static struct redis_end end;
static char path[64];
static unsigned sum, asked, answered;

static void remove_folder(void)
{
    unlink(path);
    *strrchr(path, '/') = '\0';
    rmdir(path);
}

static void look_at(struct gw_view view)
{
    assert(view.len <= VALUE_MAX);
    for (size_t i = 0; i < view.len; i++)
        sum += view.data[i];
}

static void on_state(bool is_up, void *ctx)
{
    (void)is_up, (void)ctx;
}

static void on_values(uint32_t id, const struct gw_view *values, unsigned count, void *ctx)
{
    (void)ctx;
    assert(id >= 1 && id <= asked && count <= GW_REDIS_NAMES_MAX);
    answered++;
    assert(answered <= asked);
    for (unsigned i = 0; i < count; i++)
        look_at(values[i]);
}

static void on_message(const char *topic, struct gw_view bytes, void *ctx)
{
    (void)ctx;
    sum += (unsigned)strlen(topic);
    look_at(bytes);
}

static void turn(void)
{
    for (unsigned i = 0; i < TURNS; i++)
        event_base_loop(gw_loop_base(loop), EVLOOP_NONBLOCK);
}

static struct gw_redis *make(void)
{
    struct gw_redis *redis;
    const struct gw_redis_params params = {
        .loop = loop,
        .path = path,
        .topics = {"a", "b"},
        .events = {.on_state = on_state, .on_values = on_values, .on_message = on_message}};
    asked = answered = 0;
    redis_end_init(&end, gw_loop_base(loop), path, false);
    if (gw_redis_new(&redis, &params) != 0)
        abort();
    for (unsigned i = 0; i < 1000 && !gw_redis_is_up(redis); i++)
        turn();
    return redis;
}

static void set_up(void)
{
    char folder[] = "/tmp/peergate-fuzz-XXXXXX";
    signal(SIGPIPE, SIG_IGN);
    gw_log_set_level(GW_LOG_ERROR);
    loop = gw_loop_new();
    if (!loop || !mkdtemp(folder))
        abort();
    snprintf(path, sizeof path, "%s/socket", folder);
    atexit(remove_folder);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const names[] = {"x", "y", "z"};
    if (!loop)
        set_up();
    struct gw_redis *redis = make();
    while (size >= 3) {
        size_t len = (size_t)data[1] << 8 | data[2];
        if (len > size - 3)
            len = size - 3;
        if ((data[0] & 2) && gw_redis_get(redis, asked + 1, names, 3))
            asked++;
        turn();
        redis_end_say(&end, data[0] & 1, data + 3, len);
        turn();
        data += 3 + len;
        size -= 3 + len;
    }
    gw_redis_put(redis, "x", "y", 1, 10);
    gw_redis_tell(redis, "a", "b", 1);
    gw_redis_free(redis);
    redis_end_fini(&end);
    return 0;
}
