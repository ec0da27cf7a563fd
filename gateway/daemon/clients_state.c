/* SPDX-License-Identifier: MIT */
#include "gateway/daemon/clients_state.h"

#include "gateway/base/err.h"
#include "gateway/base/log.h"
#include "gateway/config/atomic_file.h"

#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

/* Clients come in groups, and go on to register; one that moves about is not worth a file each time. */
#define SETTLE_NS GW_S(3)
#define EVERY_NS GW_S(30)
/* A handshake is a tenth of a millisecond, and as much for each answer: other work has its turn, and no queue overflows. */
#define CALLS 16u
#define CALLS_EVERY_NS GW_MS(20)
#define LINES_MAX 4096u /* as many as an anchor has clients; what is behind them is not looked at */

static void arm(struct event *timer, int64_t in_ns)
{
    struct timeval in = {.tv_sec = in_ns / GW_S(1), .tv_usec = in_ns % GW_S(1) / GW_US(1)};
    event_add(timer, &in);
}

/* ---- the file */

static char *text_of(const struct gw_clients_state *state, size_t *len)
{
    char *text = NULL;
    FILE *out = open_memstream(&text, len);
    if (!out)
        return NULL;
    for (struct gw_peer *peer = NULL; (peer = gw_gateway_next_peer(state->gateway, peer)) != NULL;) {
        struct gw_client_place place;
        memcpy(place.key, gw_peer_config(peer)->public_key, GW_KEY_LEN);
        if (gw_gateway_client_place(state->gateway, peer, &place.at))
            gw_clients_file_add(out, &place);
    }
    bool is_whole = !ferror(out);
    if (fclose(out) == 0 && is_whole)
        return text;
    free(text);
    return NULL;
}

static int no_fsync(int fd)
{
    (void)fd;
    return 0;
}

/* Whole or not at all, but after a power cut its old state does as well: the loop does not wait for the disk. */
static int write_text(const struct gw_clients_state *state, const char *text, size_t len)
{
    struct gw_file_calls calls = gw_file_calls_system;
    calls.fsync = no_fsync;
    return gw_atomic_write(&calls, state->path, text, len, GW_ATOMIC_REPLACE);
}

static void on_save(evutil_socket_t fd, short what, void *arg)
{
    struct gw_clients_state *state = arg;
    size_t len = 0;
    (void)fd, (void)what;
    char *text = text_of(state, &len);
    if (!text)
        return;
    if (state->saved && state->saved_len == len && memcmp(state->saved, text, len) == 0) {
        free(text);
        return;
    }
    int err = write_text(state, text, len);
    if (err != 0)
        gw_log_warn("cannot write %s: %s; clients will not be called after a restart", state->path,
                    gw_strerror(err));
    free(state->saved);
    state->saved = text;
    state->saved_len = len;
    state->saved_at = gw_loop_now(state->loop);
}

void gw_clients_state_changed(struct gw_clients_state *state, struct gw_mono now)
{
    if (!state->gateway || state->calls || event_pending(state->save_timer, EV_TIMEOUT, NULL))
        return;
    int64_t in = SETTLE_NS;
    if (!gw_mono_is_never(state->saved_at) && EVERY_NS - gw_mono_sub(now, state->saved_at) > in)
        in = EVERY_NS - gw_mono_sub(now, state->saved_at);
    arm(state->save_timer, in);
}

/* ---- calls */

static void end_calls(struct gw_clients_state *state)
{
    fclose(state->calls);
    state->calls = NULL;
    state->saved_at = gw_loop_now(state->loop); /* who was called has time to come before it is forgotten */
    gw_clients_state_changed(state, state->saved_at);
    if (state->bad > 0)
        gw_log_warn("%s: %u lines make no sense and are ignored", state->path, state->bad);
}

static void on_call(evutil_socket_t fd, short what, void *arg)
{
    struct gw_clients_state *state = arg;
    struct gw_client_place place;
    (void)fd, (void)what;
    for (unsigned i = 0; i < CALLS; i++) {
        enum gw_clients_line line = gw_clients_file_next(state->calls, &place);
        if (line == GW_CLIENTS_END || state->lines++ == LINES_MAX) {
            end_calls(state);
            return;
        }
        state->bad += line == GW_CLIENTS_BAD;
        struct gw_peer *peer =
            line == GW_CLIENTS_PLACE ? gw_gateway_find_peer(state->gateway, place.key) : NULL;
        if (peer)
            gw_gateway_call(state->gateway, gw_loop_now(state->loop), peer, &place.at);
    }
    arm(state->call_timer, CALLS_EVERY_NS);
}

/* ---- life */

static void begin_calls(struct gw_clients_state *state)
{
    state->calls = fopen(state->path, "re");
    if (state->calls)
        arm(state->call_timer, 0);
    else if (errno != ENOENT)
        gw_log_warn("cannot read %s: %s; clients are not called", state->path, strerror(errno));
}

int gw_clients_state_open(struct gw_clients_state *state, struct gw_loop *loop, struct gateway *gateway,
                          const char *dir)
{
    *state = (struct gw_clients_state){.gateway = gateway, .loop = loop, .saved_at = GW_NEVER};
    int len = snprintf(state->path, sizeof state->path, "%s/clients", dir);
    if (len < 0 || (size_t)len >= sizeof state->path) {
        *state = (struct gw_clients_state){0};
        return GW_E_TOO_BIG;
    }
    state->save_timer = evtimer_new(gw_loop_base(loop), on_save, state);
    state->call_timer = evtimer_new(gw_loop_base(loop), on_call, state);
    if (!state->save_timer || !state->call_timer) {
        gw_clients_state_close(state);
        return GW_E_NOMEM;
    }
    begin_calls(state);
    return 0;
}

void gw_clients_state_close(struct gw_clients_state *state)
{
    if (state->calls)
        fclose(state->calls);
    if (state->save_timer)
        event_free(state->save_timer);
    if (state->call_timer)
        event_free(state->call_timer);
    free(state->saved);
    *state = (struct gw_clients_state){0};
}
