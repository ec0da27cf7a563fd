/* SPDX-License-Identifier: MIT */
/* lwIP's side of a connection. What lwIP tells in its callbacks is only noted there ("touched"); users hear of it when lwIP has returned, while the packet
 * that brought it is still lent. So no user's code ever runs inside lwIP, and any may call anything. */
#include "gateway/base/err.h"
#include "netstack/port/port.h"
#include "netstack/private.h"

#include "lwip/ip.h"
#include "lwip/netif.h"
#include "lwip/priv/tcp_priv.h"
#include "lwip/sys.h"
#include "lwip/tcp.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define EXT_ARG 0
/* A phone that is gone: found out after 10 minutes and 4 times 30 s without a word. */
#define KEEP_IDLE_MS 600000u
#define KEEP_INTERVAL_MS 30000u
#define KEEP_COUNT 4u
/* Room that tcp_write may need for 64 KB in small segments. */
#define QUEUE_MARGIN 160u
#define GUARANTEED_SEND 65536u

static void touch(struct gw_connection *connection)
{
    if (!gw_list_is_linked(&connection->touched))
        gw_list_push_back(&connection->stack->touched, &connection->touched);
}

/* ---- the interface: one for each link, with whatever addresses the packet at hand has */

static err_t output(struct netif *netif, struct pbuf *p)
{
    struct gw_netstack_link *link = netif->state;
    uint8_t *out = ns_out(link, p->tot_len);
    if (!out)
        return ERR_BUF;
    pbuf_copy_partial(p, out, p->tot_len, 0);
    ns_out_done(link, p->tot_len, true);
    return ERR_OK;
}

static err_t output_v4(struct netif *netif, struct pbuf *p, const ip4_addr_t *to)
{
    (void)to;
    return output(netif, p);
}

static err_t output_v6(struct netif *netif, struct pbuf *p, const ip6_addr_t *to)
{
    (void)to;
    return output(netif, p);
}

static err_t init_netif(struct netif *netif)
{
    netif->name[0] = 'p';
    netif->name[1] = 'g';
    netif->output = output_v4;
    netif->output_ip6 = output_v6;
    return ERR_OK;
}

static void put_address(ip_addr_t *out, uint8_t family, const uint8_t ip[16])
{
    memset(out, 0, sizeof *out);
    if (family == 6) {
        memcpy(ip_2_ip6(out)->addr, ip, 16);
        IP_SET_TYPE(out, IPADDR_TYPE_V6);
    } else {
        memcpy(&ip_2_ip4(out)->addr, ip, 4);
        IP_SET_TYPE(out, IPADDR_TYPE_V4);
    }
}

/* lwIP takes packets for its interface's address only; ours is the one that the connection was asked for. Not by netif_set_addr, which would end the
 * connections of the address before. */
static void select_connection(const struct gw_connection *connection)
{
    struct netif *netif = connection->link->netif;
    netif->mtu = connection->mtu;
    netstack_port_set_route(netif);
    if (connection->key.family == 6) {
        put_address(&netif->ip6_addr[0], 6, connection->key.local);
        netif->ip6_addr_state[0] = IP6_ADDR_PREFERRED;
    } else {
        put_address(&netif->ip_addr, 4, connection->key.local);
    }
}

static err_t on_passive_open(u8_t id, struct tcp_pcb_listen *listener, struct tcp_pcb *pcb);
static err_t on_accept(void *arg, struct tcp_pcb *pcb, err_t err);
static void on_destroyed(u8_t id, void *arg);

static const struct tcp_ext_arg_callbacks ext_callbacks = {.destroy = on_destroyed,
                                                           .passive_open = on_passive_open};

/* One listener for all ports: it has one only while a SYN is being given to it. */
static struct tcp_pcb *new_listener(struct gw_netstack_link *link)
{
    struct tcp_pcb *pcb = tcp_new_ip_type(IPADDR_TYPE_ANY);
    if (!pcb)
        return NULL;
    tcp_bind_netif(pcb, link->netif);
    pcb->local_port = 0;
    struct tcp_pcb *listener = tcp_listen(pcb);
    if (!listener) {
        tcp_abort(pcb);
        return NULL;
    }
    tcp_accept(listener, on_accept);
    tcp_arg(listener, link);
    tcp_ext_arg_set_callbacks(listener, EXT_ARG, &ext_callbacks);
    return listener;
}

int ns_tcp_link_init(struct gw_netstack_link *link)
{
    link->netif = calloc(1, sizeof *link->netif);
    if (!link->netif)
        return GW_E_NOMEM;
    if (!netif_add(link->netif, NULL, NULL, NULL, link, init_netif, ip_input)) {
        free(link->netif);
        return GW_E_LIMIT;
    }
    netif_set_link_up(link->netif);
    netif_set_up(link->netif);
    link->listener = new_listener(link);
    if (link->listener)
        return 0;
    netif_remove(link->netif);
    free(link->netif);
    return GW_E_NOMEM;
}

void ns_tcp_link_fini(struct gw_netstack_link *link)
{
    tcp_close(link->listener);
    netstack_port_set_route(NULL);
    netif_remove(link->netif);
    free(link->netif);
}

/* ---- what lwIP tells */

static err_t on_recv(void *arg, struct tcp_pcb *pcb, struct pbuf *p, err_t err)
{
    struct gw_connection *connection = arg;
    (void)pcb, (void)err;
    touch(connection);
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
    touch(connection);
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
    touch(connection);
}

static void on_destroyed(u8_t id, void *arg)
{
    struct gw_connection *connection = arg;
    (void)id;
    if (!connection)
        return;
    connection->pcb = NULL;
    subtract_sent(connection, connection->sending);
    touch(connection);
}

static void attach(struct gw_connection *connection, struct tcp_pcb *pcb)
{
    connection->pcb = pcb;
    tcp_arg(pcb, connection);
    tcp_recv(pcb, on_recv);
    tcp_sent(pcb, on_sent);
    tcp_err(pcb, on_err);
    tcp_ext_arg_set_callbacks(pcb, EXT_ARG, &ext_callbacks);
    tcp_ext_arg_set(pcb, EXT_ARG, connection);
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

static err_t on_accept(void *arg, struct tcp_pcb *pcb, err_t err)
{
    struct gw_connection *connection = arg;
    if (!pcb || err != ERR_OK)
        return ERR_VAL;
    connection->is_established = true;
    touch(connection);
    return ERR_OK;
}

static err_t on_connected(void *arg, struct tcp_pcb *pcb, err_t err)
{
    struct gw_connection *connection = arg;
    (void)pcb, (void)err;
    connection->is_established = true;
    ns_window_open(connection);
    touch(connection);
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

void ns_tcp_segment(struct gw_connection *connection, const struct iovec *iov, int count, size_t len,
                    const struct gw_ip *ip)
{
    struct gw_netstack *stack = connection->stack;
    const uint8_t *packet = iov[0].iov_base, *segment = packet + ip->l4;
    struct tcp_pcb *pcb = connection->pcb;
    size_t payload = len - ip->header_len;
    if (!pcb) {
        ns_refuse_segment(connection->link, packet, ip);
        return;
    }
    select_connection(connection);
    ns_rtt_measure(connection, segment, (size_t)(ip->header_len - ip->l4));
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
    inject(connection->link, p);
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
    select_connection(connection);
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
    select_connection(connection);
    attach(connection, pcb);
    tcp_bind_netif(pcb, connection->link->netif);
    /* Not by tcp_bind: which ports are free is known by the table, for each pair of addresses. */
    put_address(&pcb->local_ip, key->family, key->local);
    pcb->local_port = key->local_port;
    put_address(&remote, key->family, key->remote);
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
    tcp_ext_arg_set(pcb, EXT_ARG, NULL);
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
    tcp_tmr();
    stack->is_in_lwip = false;
    ns_tcp_run_touched(stack);
}

/* ---- what users hear */

static bool has_room(const struct gw_connection *connection)
{
    const struct gw_netstack *stack = connection->stack;
    const struct tcp_pcb *pcb = connection->pcb;
    if (!pcb || connection->has_failed || connection->is_finished || connection->is_finish_wanted)
        return false;
    if (stack->stats.send_bytes >= stack->params.send_budget && connection->sending >= GUARANTEED_SEND)
        return false;
    return pcb->snd_lbb - pcb->snd_nxt < GW_CONNECTION_UNSENT_MAX && pcb->snd_buf > 0 &&
           pcb->snd_queuelen + QUEUE_MARGIN < TCP_SND_QUEUELEN;
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
    ns_window_deliver_kept(connection);
    connection->incoming = NULL;
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
    if (!connection->is_writer_waiting || !has_room(connection) ||
        connection->pcb->snd_lbb - connection->pcb->snd_nxt > GW_CONNECTION_UNSENT_MAX / 2)
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
    const struct tcp_pcb *pcb = connection->pcb;
    *len = 0;
    if (!has_room(connection)) {
        connection->is_writer_waiting = true;
        return NULL;
    }
    size_t room = GW_CONNECTION_UNSENT_MAX - (pcb->snd_lbb - pcb->snd_nxt);
    if (room > pcb->snd_buf)
        room = pcb->snd_buf;
    *len = wish > 0 && wish < room ? wish : room;
    return connection->stack->scratch;
}

void gw_connection_commit(struct gw_connection *connection, struct gw_mono now, size_t len)
{
    struct gw_netstack *stack = connection->stack;
    if (len == 0 || !connection->pcb)
        return;
    ns_enter(stack, now);
    select_connection(connection);
    if (tcp_write(connection->pcb, stack->scratch, (u16_t)len, TCP_WRITE_FLAG_COPY) == ERR_OK) {
        connection->sending += (uint32_t)len;
        stack->stats.send_bytes += len;
        stack->stats.bytes_out += len;
        tcp_output(connection->pcb);
    } else {
        /* A hole in the bytes is worse than an end, which the next tick tells. */
        connection->has_failed = true;
        connection->failure = GW_REASON_NO_MEMORY;
        touch(connection);
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

void ns_tcp_set_mss(struct gw_connection *connection, uint16_t mtu)
{
    uint16_t header = connection->key.family == 6 ? 60 : 40;
    connection->mtu = ns_mtu(connection->link, mtu);
    if (connection->pcb && connection->pcb->mss > connection->mtu - header)
        connection->pcb->mss = (u16_t)(connection->mtu - header);
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
