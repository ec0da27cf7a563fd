/* SPDX-License-Identifier: MIT */
/* lwIP's interface of a link, with whatever address the packet at hand has, and its listener of every port. */
#include "gateway/base/err.h"
#include "netstack/port/port.h"
#include "netstack/tcp_private.h"

#include "lwip/ip.h"
#include "lwip/netif.h"

#include <stdlib.h>
#include <string.h>

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

void ns_tcp_put_address(ip_addr_t *out, uint8_t family, const uint8_t ip[16])
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
void ns_tcp_select(const struct gw_connection *connection)
{
    struct netif *netif = connection->link->netif;
    netif->mtu = connection->mtu;
    netstack_port_set_route(netif);
    if (connection->key.family == 6) {
        ns_tcp_put_address(&netif->ip6_addr[0], 6, connection->key.local);
        netif->ip6_addr_state[0] = IP6_ADDR_PREFERRED;
    } else {
        ns_tcp_put_address(&netif->ip_addr, 4, connection->key.local);
    }
}

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
    tcp_accept(listener, ns_tcp_on_accept);
    tcp_arg(listener, link);
    tcp_ext_arg_set_callbacks(listener, NS_TCP_EXT_ARG, &ns_tcp_ext_callbacks);
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
