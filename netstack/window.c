/* SPDX-License-Identifier: MIT */
/* The receive side: bytes to the user, what it did not take, and how much the other side may send. lwIP's own window is held back: it starts small, grows
 * when the reader empties half of it within two round trips, and opens again only by what was taken. */
#include "netstack/private.h"

#include "lwip/priv/tcp_priv.h"
#include "lwip/tcp.h"

#include <stdlib.h>
#include <string.h>

#define WINDOW_MIN 16384u
#define WINDOW_START 65535u
#define KEPT_CAP 16384u
#define RTT_UNKNOWN_MS 100u

/* ---- how much */

static void set_window(struct gw_connection *connection, uint32_t window)
{
    uint64_t *used = &connection->stack->stats.window_bytes;
    *used -= connection->window > WINDOW_MIN ? connection->window - WINDOW_MIN : 0;
    *used += window > WINDOW_MIN ? window - WINDOW_MIN : 0;
    connection->window = window;
}

void ns_window_open(struct gw_connection *connection)
{
    const struct gw_netstack *stack = connection->stack;
    bool is_tight = stack->stats.window_bytes >= stack->params.window_budget / 2;
    set_window(connection, is_tight ? WINDOW_MIN : WINDOW_START);
    connection->pcb->rcv_wnd = connection->pcb->rcv_ann_wnd = connection->window;
}

void ns_window_close(struct gw_connection *connection)
{
    set_window(connection, 0);
}

static void grow(struct gw_connection *connection)
{
    const struct gw_netstack *stack = connection->stack;
    uint32_t window = connection->window * 2;
    if (window > TCP_WND)
        window = TCP_WND;
    uint32_t more = window - connection->window;
    if (more == 0 || !(connection->pcb->flags & TF_WND_SCALE) ||
        stack->stats.window_bytes + more > stack->params.window_budget)
        return;
    connection->pcb->rcv_wnd += more;
    set_window(connection, window);
}

static void measure_reader(struct gw_connection *connection, uint32_t len)
{
    struct gw_mono now = connection->stack->now;
    uint32_t rtt = connection->rtt_ms ? connection->rtt_ms : RTT_UNKNOWN_MS;
    connection->drained += len;
    if (connection->drained < connection->window / 2)
        return;
    if (gw_mono_sub(now, connection->epoch) <= GW_MS(2 * (int64_t)rtt + 1))
        grow(connection);
    connection->epoch = now;
    connection->drained = 0;
}

/* The user took so many bytes. */
static void credit(struct gw_connection *connection, size_t len)
{
    struct tcp_pcb *pcb = connection->pcb;
    if (!pcb || len == 0)
        return;
    measure_reader(connection, (uint32_t)len);
    for (size_t part; len > 0; len -= part) {
        part = len < 0xffff ? len : 0xffff;
        tcp_recved(pcb, (u16_t)part);
    }
    /* lwIP's own threshold is made for large windows. */
    uint32_t opened = pcb->rcv_nxt + pcb->rcv_wnd - pcb->rcv_ann_right_edge;
    if (opened >= connection->window / 4 && pcb->rcv_ann_wnd == pcb->rcv_wnd) {
        tcp_ack_now(pcb);
        tcp_output(pcb);
    }
}

/* ---- what was not taken */

static void fail(struct gw_connection *connection)
{
    connection->has_failed = true;
    connection->failure = GW_REASON_NO_MEMORY;
    if (!gw_list_is_linked(&connection->touched))
        gw_list_push_back(&connection->stack->touched, &connection->touched);
}

static struct kept *room_for(struct gw_connection *connection, size_t len)
{
    struct kept *last = connection->kept_last;
    if (last && last->cap - last->len >= len)
        return last;
    size_t cap = len > KEPT_CAP ? len : KEPT_CAP;
    struct kept *kept = malloc(sizeof *kept + cap);
    if (!kept)
        return NULL;
    *kept = (struct kept){.cap = cap};
    if (last)
        last->next = kept;
    else
        connection->kept_first = kept;
    connection->kept_last = kept;
    return kept;
}

static void keep(struct gw_connection *connection, const void *bytes, size_t len)
{
    struct kept *kept = len > 0 ? room_for(connection, len) : NULL;
    if (!kept) {
        if (len > 0)
            fail(connection);
        return;
    }
    memcpy(kept->bytes + kept->len, bytes, len);
    kept->len += len;
    connection->kept_len += len;
}

void ns_window_keep(struct gw_connection *connection, struct pbuf *head)
{
    for (struct pbuf *p = head; p; p = p->next)
        keep(connection, p->payload, p->len);
    pbuf_free(head);
}

void ns_window_free_kept(struct gw_connection *connection)
{
    if (connection->incoming)
        pbuf_free(connection->incoming);
    connection->incoming = NULL;
    while (connection->kept_first) {
        struct kept *next = connection->kept_first->next;
        free(connection->kept_first);
        connection->kept_first = next;
    }
    connection->kept_last = NULL;
    connection->kept_len = 0;
}

static void keep_rest(struct gw_connection *connection, const struct iovec *iov, int count, size_t skip)
{
    for (int i = 0; i < count; i++) {
        size_t off = skip < iov[i].iov_len ? skip : iov[i].iov_len;
        skip -= off;
        keep(connection, (const uint8_t *)iov[i].iov_base + off, iov[i].iov_len - off);
    }
}

/* ---- to the user */

static size_t length_of(const struct iovec *iov, int count)
{
    size_t len = 0;
    for (int i = 0; i < count; i++)
        len += iov[i].iov_len;
    return len;
}

void ns_window_deliver(struct gw_connection *connection, const struct iovec *iov, int count)
{
    size_t len = length_of(iov, count), taken = 0;
    if (len == 0)
        return;
    if (!connection->is_reader_blocked && connection->kept_len == 0)
        taken = connection->ops->on_data(connection, connection->stack->now, iov, count, connection->user);
    else
        connection->is_reader_blocked = true;
    if (connection->state != STATE_OPEN)
        return;
    if (taken < len) {
        connection->is_reader_blocked = true;
        keep_rest(connection, iov, count, taken);
    }
    credit(connection, taken);
}

static void drop_taken(struct gw_connection *connection, size_t taken)
{
    connection->kept_len -= taken;
    while (taken > 0) {
        struct kept *kept = connection->kept_first;
        size_t part = kept->len - kept->off < taken ? kept->len - kept->off : taken;
        kept->off += part;
        taken -= part;
        if (kept->off < kept->len)
            return;
        connection->kept_first = kept->next;
        if (!kept->next)
            connection->kept_last = NULL;
        free(kept);
    }
}

static int gather_kept(const struct gw_connection *connection, struct iovec *iov, int max)
{
    int count = 0;
    for (struct kept *kept = connection->kept_first; kept && count < max; kept = kept->next)
        iov[count++] = (struct iovec){kept->bytes + kept->off, kept->len - kept->off};
    return count;
}

void ns_window_deliver_kept(struct gw_connection *connection)
{
    struct iovec iov[GW_COALESCE_PIECES];
    while (connection->kept_len > 0 && !connection->is_reader_blocked) {
        int count = gather_kept(connection, iov, (int)GW_COALESCE_PIECES);
        size_t len = length_of(iov, count);
        size_t taken =
            connection->ops->on_data(connection, connection->stack->now, iov, count, connection->user);
        if (connection->state != STATE_OPEN)
            return;
        connection->is_reader_blocked = taken < len;
        drop_taken(connection, taken);
        credit(connection, taken);
    }
}
