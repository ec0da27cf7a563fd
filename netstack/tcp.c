/* SPDX-License-Identifier: MIT */
/* lwIP's side of a connection. What lwIP tells in its callbacks is only noted there ("touched"); users hear of it when lwIP has returned, while the packet
 * that brought it is still lent. So no user's code ever runs inside lwIP, and any may call anything. */
#include "gateway/base/err.h"
#include "netstack/port/port.h"
#include "netstack/tcp_private.h"

#include "lwip/ip.h"
#include "lwip/netif.h"
#include "lwip/sys.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* A phone that is gone: found out after 10 minutes and 4 times 30 s without a word. */
#define KEEP_IDLE_MS 600000u
#define KEEP_INTERVAL_MS 30000u
#define KEEP_COUNT 4u

/* ---- what lwIP tells */

static err_t on_passive_open(u8_t id, struct tcp_pcb_listen *listener, struct tcp_pcb *pcb);
static void on_destroyed(u8_t id, void *arg);

const struct tcp_ext_arg_callbacks ns_tcp_ext_callbacks = {.destroy = on_destroyed,
                                                           .passive_open = on_passive_open};

static err_t on_recv(void *arg, struct tcp_pcb *pcb, struct pbuf *p, err_t err)
{
    struct gw_connection *connection = arg;
    (void)pcb, (void)err;
    ns_tcp_touch(connection);
    if (!p) {
        connection->is_fin_received = true;
    } else if (connection->state == STATE_ORPHAN) {
        pbuf_free(p);
    } else {
        /* More than 64 KB at once (a gap was filled): what came before is kept, in order. */
        if (connection->incoming)
            ns_window_keep(connection, connection->incoming);
        connection->incoming = p;
    }
    return ERR_OK;
}

static void subtract_sent(struct gw_connection *connection, uint32_t len)
{
    if (len > connection->sending) /* a FIN counts, too */
        len = connection->sending;
    connection->sending -= len;
    connection->stack->stats.send_bytes -= len;
}

static err_t on_sent(void *arg, struct tcp_pcb *pcb, u16_t len)
{
    struct gw_connection *connection = arg;
    (void)pcb;
    subtract_sent(connection, len);
    ns_tcp_touch(connection);
    return ERR_OK;
}

static void on_err(void *arg, err_t err)
{
    struct gw_connection *connection = arg;
    if (!connection || err == ERR_CLSD) /* both have ended in order */
        return;
    connection->has_failed = true;
    if (err != ERR_RST)
        connection->failure = GW_REASON_TIMED_OUT;
    else
        connection->failure =
            connection->state == STATE_CONNECTING ? GW_REASON_SERVICE_DOWN : GW_REASON_CANCELLED;
    ns_tcp_touch(connection);
}

static void on_destroyed(u8_t id, void *arg)
{
    struct gw_connection *connection = arg;
    (void)id;
    if (!connection)
        return;
    connection->pcb = NULL;
    subtract_sent(connection, connection->sending);
    ns_tcp_touch(connection);
}

static void attach(struct gw_connection *connection, struct tcp_pcb *pcb)
{
    connection->pcb = pcb;
    tcp_arg(pcb, connection);
    tcp_recv(pcb, on_recv);
    tcp_sent(pcb, on_sent);
    tcp_err(pcb, on_err);
    tcp_ext_arg_set_callbacks(pcb, NS_TCP_EXT_ARG, &ns_tcp_ext_callbacks);
    tcp_ext_arg_set(pcb, NS_TCP_EXT_ARG, connection);
    tcp_nagle_disable(pcb);
    ip_set_option(pcb, SOF_KEEPALIVE);
    pcb->keep_idle = KEEP_IDLE_MS;
    pcb->keep_intvl = KEEP_INTERVAL_MS;
    pcb->keep_cnt = KEEP_COUNT;
}

static err_t on_passive_open(u8_t id, struct tcp_pcb_listen *listener, struct tcp_pcb *pcb)
{
    struct gw_netstack_link *link = listener->callback_arg;
    (void)id;
    attach(link->stack->opening, pcb);
    ns_window_open(link->stack->opening);
    return ERR_OK;
}

err_t ns_tcp_on_accept(void *arg, struct tcp_pcb *pcb, err_t err)
{
    struct gw_connection *connection = arg;
    if (!pcb || err != ERR_OK)
        return ERR_VAL;
    connection->is_established = true;
    ns_tcp_touch(connection);
    return ERR_OK;
}

static err_t on_connected(void *arg, struct tcp_pcb *pcb, err_t err)
{
    struct gw_connection *connection = arg;
    (void)pcb, (void)err;
    connection->is_established = true;
    ns_window_open(connection);
    ns_tcp_touch(connection);
    return ERR_OK;
}

/* ---- packets to lwIP */

static struct pbuf *copy_pieces(const struct iovec *iov, int count, size_t len)
{
    struct pbuf *p = pbuf_alloc(PBUF_RAW, (u16_t)len, PBUF_RAM);
    uint8_t *at = p ? p->payload : NULL;
    for (int i = 0; p && i < count; i++) {
        memcpy(at, iov[i].iov_base, iov[i].iov_len);
        at += iov[i].iov_len;
    }
    return p;
}

/* A chain that points into the lent packets. */
static struct pbuf *lend_pieces(const struct iovec *iov, int count)
{
    struct pbuf *head = NULL;
    for (int i = count - 1; i >= 0; i--) {
        struct pbuf *p = pbuf_alloc_reference(iov[i].iov_base, (u16_t)iov[i].iov_len, PBUF_REF);
        if (!p) {
            if (head)
                pbuf_free(head);
            return NULL;
        }
        if (head)
            pbuf_cat(p, head);
        head = p;
    }
    return head;
}

static void inject(struct gw_netstack_link *link, struct pbuf *p)
{
    link->stack->is_in_lwip = true;
    ip_input(p, link->netif);
    link->stack->is_in_lwip = false;
}

static enum options options_of(const struct tcp_pcb *pcb, uint8_t flags)
{
    if (!(flags & GW_TCP_SYN))
        return OPTIONS_LATER;
    return pcb->state == SYN_SENT ? OPTIONS_OF_HANDSHAKE : OPTIONS_NONE; /* a SYN again */
}

void ns_tcp_segment(struct gw_connection *connection, const struct iovec *iov, int count, size_t len,
                    const struct gw_ip *ip)
{
    struct gw_netstack *stack = connection->stack;
    uint8_t *packet = iov[0].iov_base, *segment = packet + ip->l4;
    struct tcp_pcb *pcb = connection->pcb;
    size_t payload = len - ip->header_len, header_len = (size_t)(ip->header_len - ip->l4);
    if (!pcb) {
        ns_refuse_segment(connection->link, packet, ip);
        return;
    }
    struct ns_sacks sacks;
    ns_tcp_select(connection);
    ns_sack_read(&sacks, segment, header_len);
    ns_options_clean(segment, header_len, options_of(pcb, segment[13]));
    ns_rtt_measure(connection, segment, header_len, payload);
    /* Only the next bytes in order are handed on within the call; lwIP keeps others for later, so these are copied. */
    bool is_next = gw_load32_be(segment + 4) == pcb->rcv_nxt;
    bool is_run = is_next && payload > (size_t)2 * pcb->mss;
    struct pbuf *p = is_next ? lend_pieces(iov, count) : copy_pieces(iov, count, len);
    if (!p)
        return; /* loss, as far as TCP is concerned */
    stack->stats.bytes_in += payload;
    if (is_run) /* it is acknowledged below, with the window that its delivery opened */
        tcp_clear_flags(pcb, TF_ACK_DELAY);
    pbuf_ref(p);
    ns_recovery_before(connection);
    inject(connection->link, p);
    if (connection->pcb)
        ns_recovery_after(connection, &sacks);
    ns_tcp_run_touched(stack);
    assert(!is_next || p->ref == 1); /* a lent packet must not outlive the call */
    pbuf_free(p);
    if (is_run && connection->pcb) {
        tcp_ack_now(connection->pcb);
        tcp_output(connection->pcb);
    }
}

bool ns_tcp_inject_syn(struct gw_connection *connection)
{
    struct gw_netstack_link *link = connection->link;
    struct gw_netstack *stack = link->stack;
    struct iovec iov = {connection->syn, connection->syn_len};
    struct pbuf *p = copy_pieces(&iov, 1, connection->syn_len);
    if (!p)
        return false;
    assert(!stack->is_in_lwip);
    ns_tcp_select(connection);
    stack->opening = connection;
    link->listener->local_port = connection->key.local_port;
    inject(link, p);
    link->listener->local_port = 0;
    stack->opening = NULL;
    free(connection->syn);
    connection->syn = NULL;
    return connection->pcb != NULL;
}

int ns_tcp_connect(struct gw_connection *connection)
{
    const struct key *key = &connection->key;
    ip_addr_t remote;
    struct tcp_pcb *pcb = tcp_new_ip_type(key->family == 6 ? IPADDR_TYPE_V6 : IPADDR_TYPE_V4);
    if (!pcb)
        return GW_E_NOMEM;
    ns_tcp_select(connection);
    attach(connection, pcb);
    tcp_bind_netif(pcb, connection->link->netif);
    /* Not by tcp_bind: which ports are free is known by the table, for each pair of addresses. */
    ns_tcp_put_address(&pcb->local_ip, key->family, key->local);
    pcb->local_port = key->local_port;
    ns_tcp_put_address(&remote, key->family, key->remote);
    if (tcp_connect(pcb, &remote, key->remote_port, on_connected) == ERR_OK)
        return 0;
    ns_tcp_abort(connection, false);
    return GW_E_NOMEM;
}

void ns_tcp_abort(struct gw_connection *connection, bool is_loud)
{
    struct tcp_pcb *pcb = connection->pcb;
    ns_window_close(connection);
    subtract_sent(connection, connection->sending);
    connection->pcb = NULL;
    tcp_arg(pcb, NULL);
    tcp_err(pcb, NULL);
    tcp_ext_arg_set(pcb, NS_TCP_EXT_ARG, NULL);
    tcp_abandon(pcb, is_loud);
}

/* ---- time */

bool ns_tcp_has_pcbs(void)
{
    return tcp_active_pcbs || tcp_tw_pcbs;
}

void ns_tcp_tick(struct gw_netstack *stack)
{
    gw_list_for_each (node, &stack->links) {
        struct gw_netstack_link *link = gw_list_entry(node, struct gw_netstack_link, node);
        link->netif->mtu = link->params.mtu; /* for a SYN that is sent again */
    }
    stack->is_in_lwip = true;
    ns_recovery_before_tick();
    tcp_tmr();
    ns_recovery_after_tick();
    stack->is_in_lwip = false;
    ns_tcp_run_touched(stack);
}

void ns_tcp_numbers(const struct gw_connection *connection, struct gw_connection_info *out)
{
    const struct tcp_pcb *pcb = connection->pcb;
    out->mss = pcb->mss;
    out->unsent = pcb->snd_lbb - pcb->snd_nxt;
    out->unacked = pcb->snd_nxt - pcb->lastack;
}

bool ns_tcp_is_reusable(const struct gw_connection *connection, uint32_t seq)
{
    return connection->state == STATE_ORPHAN && connection->pcb && connection->pcb->state == TIME_WAIT &&
           (int32_t)(seq - connection->pcb->rcv_nxt) > 0;
}
