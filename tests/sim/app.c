/* SPDX-License-Identifier: MIT */
/* Simulated applications; see app.h. */
#include "tests/sim/app.h"

#include <stdlib.h>
#include <string.h>

/* ---- the service */

struct echo {
    struct gw_stream *stream;
    uint8_t *kept; /* what could not be written back yet */
    size_t kept_len;
    bool has_fin, is_sink;
};

static void echo_free(struct echo *echo)
{
    free(echo->kept);
    free(echo);
}

static void echo_end(struct echo *echo, struct gw_mono now)
{
    gw_stream_finish(echo->stream, now);
    gw_stream_release(echo->stream, now);
    echo_free(echo);
}

static size_t echo_write(struct gw_stream *stream, struct gw_mono now, const uint8_t *data, size_t len)
{
    size_t done = 0;
    while (done < len) {
        size_t room;
        uint8_t *into = gw_stream_reserve(stream, len - done, &room);
        if (room == 0)
            break;
        size_t n = room < len - done ? room : len - done;
        memcpy(into, data + done, n);
        gw_stream_commit(stream, now, n);
        done += n;
    }
    return done;
}

static size_t echo_on_data(struct gw_stream *stream, struct gw_mono now, const struct iovec *iov, int count,
                           void *user)
{
    struct echo *echo = user;
    size_t taken = 0;
    for (int i = 0; i < count; i++) {
        size_t done =
            echo->is_sink ? iov[i].iov_len : echo_write(stream, now, iov[i].iov_base, iov[i].iov_len);
        taken += done;
        if (done < iov[i].iov_len)
            break;
    }
    return taken;
}

static void echo_on_fin(struct gw_stream *stream, struct gw_mono now, void *user)
{
    (void)stream;
    echo_end(user, now);
}

static void echo_on_writable(struct gw_stream *stream, struct gw_mono now, void *user)
{
    (void)user;
    gw_stream_resume(stream, now);
}

static void echo_on_closed(struct gw_stream *stream, struct gw_mono now, unsigned long long reason,
                           void *user)
{
    (void)stream, (void)now, (void)reason;
    echo_free(user);
}

static void echo_on_datagram(struct gw_stream *stream, struct gw_mono now, const void *data, size_t len,
                             void *user)
{
    (void)user;
    gw_stream_send_datagram(stream, now, data, len);
}

static const struct gw_stream_ops echo_ops = {
    .on_data = echo_on_data,
    .on_fin = echo_on_fin,
    .on_writable = echo_on_writable,
    .on_datagram = echo_on_datagram,
    .on_closed = echo_on_closed,
};

static void serve(struct gateway *gateway, struct gw_peer *peer, struct gw_stream *stream,
                  const struct gw_open *open, struct gw_mono now, void *ctx)
{
    (void)gateway, (void)peer, (void)ctx;
    bool is_sink = strcmp(open->service, "sink") == 0;
    if (strcmp(open->service, "refuse") == 0) {
        gw_stream_reset(stream, now, GW_REASON_REFUSED);
        return;
    }
    if (!is_sink && strcmp(open->service, "echo") != 0) {
        gw_stream_reset(stream, now, GW_REASON_NOT_LISTED);
        return;
    }
    struct echo *echo = calloc(1, sizeof *echo);
    if (!echo)
        abort();
    echo->stream = stream;
    echo->is_sink = is_sink;
    gw_stream_accept(stream, now, &echo_ops, echo);
}

void sim_app_serve(struct sim_node *node)
{
    node->events.on_open = serve;
}

/* ---- the client */

static uint8_t byte_at(uint64_t offset)
{
    return (uint8_t)(offset * 131 + (offset >> 11));
}

static void client_write(struct sim_client *client, struct gw_mono now)
{
    while (client->sent < client->to_send) {
        size_t room,
            wish = client->to_send - client->sent < 65536 ? (size_t)(client->to_send - client->sent) : 65536;
        uint8_t *into = gw_stream_reserve(client->stream, wish, &room);
        if (room == 0)
            return;
        size_t n = room < wish ? room : wish;
        for (size_t i = 0; i < n; i++)
            into[i] = byte_at(client->sent + i);
        gw_stream_commit(client->stream, now, n);
        client->sent += n;
    }
    gw_stream_finish(client->stream, now);
}

static void client_on_accepted(struct gw_stream *stream, struct gw_mono now, void *user)
{
    struct sim_client *client = user;
    (void)stream;
    client->is_accepted = true;
    client->accepted_at = now;
}

static size_t client_on_data(struct gw_stream *stream, struct gw_mono now, const struct iovec *iov, int count,
                             void *user)
{
    struct sim_client *client = user;
    size_t taken = 0;
    (void)stream, (void)now;
    for (int i = 0; i < count; i++) {
        const uint8_t *bytes = iov[i].iov_base;
        for (size_t k = 0; k < iov[i].iov_len; k++)
            client->is_wrong |= bytes[k] != byte_at(client->received + k);
        client->received += iov[i].iov_len;
        taken += iov[i].iov_len;
    }
    return taken;
}

static void client_on_fin(struct gw_stream *stream, struct gw_mono now, void *user)
{
    struct sim_client *client = user;
    client->has_fin = true;
    client->ended_at = now;
    client->stream = NULL;
    gw_stream_release(stream, now);
}

static void client_on_writable(struct gw_stream *stream, struct gw_mono now, void *user)
{
    (void)stream;
    client_write(user, now);
}

static void client_on_closed(struct gw_stream *stream, struct gw_mono now, unsigned long long reason,
                             void *user)
{
    struct sim_client *client = user;
    (void)stream;
    client->is_closed = true;
    client->reason = reason;
    client->ended_at = now;
    client->stream = NULL;
}

static const struct gw_stream_ops client_ops = {
    .on_accepted = client_on_accepted,
    .on_data = client_on_data,
    .on_fin = client_on_fin,
    .on_writable = client_on_writable,
    .on_closed = client_on_closed,
};

int sim_client_start(struct sim_client *client, struct sim_node *node, struct gw_peer *peer,
                     const char *service, uint64_t bytes)
{
    struct gw_open open = {.class_ = GW_CLASS_NORMAL};
    memset(client, 0, sizeof *client);
    strncpy(open.service, service, sizeof open.service - 1);
    client->node = node;
    client->to_send = bytes;
    client->expects_echo = strcmp(service, "echo") == 0;
    client->opened_at = sim_now(node);
    int err = gw_peer_open(peer, sim_now(node), &open, &client_ops, client, &client->stream);
    if (err == 0)
        client_write(client, sim_now(node));
    sim_node_pump(node);
    return err;
}

bool sim_client_is_done(const struct sim_client *client)
{
    return client->is_accepted && client->has_fin && !client->is_wrong && !client->is_closed &&
           client->sent == client->to_send &&
           client->received == (client->expects_echo ? client->to_send : 0);
}
