/* SPDX-License-Identifier: MIT */
/* The users' side of a TCP connection: what they hear when lwIP has returned, and what they do. */
#include "netstack/tcp_private.h"

#include <string.h>

/* Segments that one write may need: see unsent_limit. */
#define QUEUE_MARGIN 320u
#define SMALL_SEGMENTS 128u
#define GUARANTEED_SEND 65536u

/* ---- what users hear */

/* A path that became narrower: segments that are queued keep their size, and lwIP asserts that new ones are no smaller. So it waits for an empty queue. */
static bool fit_mss(const struct gw_connection *connection)
{
    struct tcp_pcb *pcb = connection->pcb;
    uint16_t mss = (uint16_t)(connection->mtu - (connection->key.family == 6 ? 60 : 40));
    if (pcb->mss <= mss)
        return true;
    if (pcb->snd_queuelen > 0)
        return false;
    pcb->mss = mss;
    return true;
}

/* lwIP makes segments of at most half the largest window it has seen: a peer that says 2 gets them one byte each, and not many. */
static uint32_t unsent_limit(const struct tcp_pcb *pcb)
{
    uint32_t segment = pcb->snd_wnd_max / 2 < pcb->mss ? pcb->snd_wnd_max / 2 : pcb->mss;
    if (segment >= GW_CONNECTION_UNSENT_MAX / SMALL_SEGMENTS)
        return GW_CONNECTION_UNSENT_MAX;
    return SMALL_SEGMENTS * (segment ? segment : 1);
}

static uint32_t room_of(const struct gw_connection *connection)
{
    const struct gw_netstack *stack = connection->stack;
    const struct tcp_pcb *pcb = connection->pcb;
    if (!pcb || !connection->is_established || connection->has_failed || connection->is_finished ||
        connection->is_finish_wanted)
        return 0;
    if (stack->stats.send_bytes >= stack->params.send_budget && connection->sending >= GUARANTEED_SEND)
        return 0;
    if (pcb->snd_queuelen + QUEUE_MARGIN >= TCP_SND_QUEUELEN || !fit_mss(connection))
        return 0;
    uint32_t limit = unsent_limit(pcb), unsent = pcb->snd_lbb - pcb->snd_nxt;
    uint32_t room = unsent < limit ? limit - unsent : 0;
    return room < pcb->snd_buf ? room : pcb->snd_buf;
}

static void finish(struct gw_connection *connection)
{
    connection->is_finish_wanted = false;
    connection->is_finished = true;
    if (connection->pcb)
        tcp_shutdown(connection->pcb, 0, 1);
}

static void tell_connected(struct gw_connection *connection)
{
    const struct gw_connection_ops *ops = connection->ops;
    connection->is_connected_told = true;
    connection->stack->stats.connected++;
    ns_set_state(connection, STATE_OPEN);
    if (connection->is_finish_wanted)
        finish(connection);
    if (ops->on_connected)
        ops->on_connected(connection, connection->stack->now, connection->user);
}

static void tell_data(struct gw_connection *connection)
{
    struct iovec iov[GW_COALESCE_PIECES];
    struct pbuf *head = connection->incoming;
    connection->incoming = NULL; /* ours: whoever is offered what was kept may end the connection */
    ns_window_deliver_kept(connection);
    for (struct pbuf *p = head; p && connection->state == STATE_OPEN;) {
        int count = 0;
        for (; p && count < (int)GW_COALESCE_PIECES; p = p->next)
            if (p->len > 0)
                iov[count++] = (struct iovec){p->payload, p->len};
        ns_window_deliver(connection, iov, count);
    }
    if (head)
        pbuf_free(head);
}

static void tell_fin(struct gw_connection *connection)
{
    if (!connection->is_fin_received || connection->is_fin_told || connection->kept_len > 0)
        return;
    connection->is_fin_told = true;
    connection->ops->on_fin(connection, connection->stack->now, connection->user);
}

static void tell_writable(struct gw_connection *connection)
{
    /* Not for every segment that leaves. */
    if (!connection->is_writer_waiting || room_of(connection) == 0 ||
        room_of(connection) < unsent_limit(connection->pcb) / 2)
        return;
    connection->is_writer_waiting = false;
    if (connection->ops->on_writable)
        connection->ops->on_writable(connection, connection->stack->now, connection->user);
}

static void run(struct gw_connection *connection)
{
    if (connection->has_failed) {
        ns_end(connection, connection->failure, true);
        return;
    }
    if (connection->state == STATE_ORPHAN) {
        if (!connection->pcb)
            ns_bury(connection);
        return;
    }
    if (connection->is_established && !connection->is_connected_told)
        tell_connected(connection);
    if (connection->state == STATE_OPEN)
        tell_data(connection);
    if (connection->state == STATE_OPEN)
        tell_fin(connection);
    if (connection->state == STATE_OPEN)
        tell_writable(connection);
    if (connection->incoming &&
        connection->state != STATE_DEAD) { /* before it is open: not lent any longer */
        struct pbuf *incoming = connection->incoming;
        connection->incoming = NULL;
        ns_window_keep(connection, incoming);
    }
}

void ns_tcp_run_touched(struct gw_netstack *stack)
{
    for (struct gw_list *node; (node = gw_list_pop_front(&stack->touched)) != NULL;)
        run(gw_list_entry(node, struct gw_connection, touched));
}

/* ---- what users do */

uint8_t *gw_connection_reserve(struct gw_connection *connection, size_t wish, size_t *len)
{
    uint32_t room = room_of(connection);
    *len = 0;
    if (room == 0) {
        connection->is_writer_waiting = true;
        return NULL;
    }
    *len = wish > 0 && wish < room ? wish : room;
    return connection->stack->scratch;
}

void gw_connection_commit(struct gw_connection *connection, struct gw_mono now, size_t len)
{
    struct gw_netstack *stack = connection->stack;
    if (len == 0 || !connection->pcb)
        return;
    ns_enter(stack, now);
    ns_tcp_select(connection);
    if (tcp_write(connection->pcb, stack->scratch, (u16_t)len, TCP_WRITE_FLAG_COPY) == ERR_OK) {
        connection->sending += (uint32_t)len;
        stack->stats.send_bytes += len;
        stack->stats.bytes_out += len;
        tcp_output(connection->pcb);
        ns_recovery_watch(connection);
    } else {
        /* A hole in the bytes is worse than an end, which the next tick tells. */
        connection->has_failed = true;
        connection->failure = GW_REASON_NO_MEMORY;
        ns_tcp_touch(connection);
    }
    ns_leave(stack);
}

size_t gw_connection_write(struct gw_connection *connection, struct gw_mono now, const void *data, size_t len)
{
    size_t done = 0, room;
    while (done < len) {
        uint8_t *out = gw_connection_reserve(connection, len - done, &room);
        if (!out)
            break;
        memcpy(out, (const uint8_t *)data + done, room);
        gw_connection_commit(connection, now, room);
        done += room;
    }
    return done;
}

void gw_connection_finish(struct gw_connection *connection, struct gw_mono now)
{
    if (connection->is_finished || connection->is_finish_wanted)
        return;
    ns_enter(connection->stack, now);
    if (!connection->is_established) /* lwIP would not tell of the handshake's end then */
        connection->is_finish_wanted = true;
    else
        finish(connection);
    ns_leave(connection->stack);
}

void gw_connection_resume(struct gw_connection *connection, struct gw_mono now)
{
    ns_enter(connection->stack, now);
    connection->is_reader_blocked = false;
    if (connection->state == STATE_OPEN)
        ns_window_deliver_kept(connection);
    if (connection->state == STATE_OPEN)
        tell_fin(connection);
    ns_leave(connection->stack);
}
