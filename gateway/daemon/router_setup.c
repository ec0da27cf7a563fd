/* SPDX-License-Identifier: MIT */
#include "gateway/daemon/router_setup.h"

#include "gateway/base/err.h"
#include "gateway/base/log.h"
#include "gateway/daemon/network.h"

#include <stdio.h>
#include <stdlib.h>

void gw_router_setup_services(struct gw_guest *guest, struct gw_mono now)
{
    struct gw_vrouter_service *list = calloc(guest->service_count + 1, sizeof *list);
    if (!guest->router_peer || !guest->is_known || !list) {
        free(list);
        return;
    }
    for (size_t i = 0; i < guest->service_count; i++) {
        snprintf(list[i].name, sizeof list[i].name, "%s", guest->services[i].name);
        list[i].port = guest->services[i].port;
        list[i].is_udp = guest->services[i].is_udp;
    }
    gw_vrouter_set(guest->router_peer, list, guest->service_count, now); /* it logs what fails */
    free(list);
}

void gw_router_setup_leave(struct gw_guest *guest, struct gw_mono now)
{
    if (guest->router_peer)
        gw_vrouter_remove_peer(guest->router_peer, now);
    guest->router_peer = NULL;
}

static void join(struct gw_router_setup *setup, struct gw_guest *guest, struct gw_mono now)
{
    struct gateway *gateway = guest->guests->params.gateway;
    const struct gw_peer *peer = gw_gateway_find_peer(gateway, guest->key);
    if (guest->router_peer && gw_addr_equal(&guest->local, &guest->entry->local))
        return;
    gw_router_setup_leave(guest, now);
    guest->local = guest->entry->local;
    guest->router_peer = gw_vrouter_add_peer(setup->router, gateway, guest->key, &guest->local,
                                             peer ? gw_peer_name(peer) : "");
    gw_router_setup_services(guest, now);
}

static void apply_to(struct gw_router_setup *setup, struct gw_guests *guests, bool is_wanted,
                     struct gw_mono now)
{
    for (struct gw_guest *guest = gw_guests_next(guests, NULL); guest;
         guest = gw_guests_next(guests, guest)) {
        if (is_wanted && setup->router)
            join(setup, guest, now);
        else
            gw_router_setup_leave(guest, now);
    }
}

void gw_router_setup_apply(struct gw_router_setup *setup, struct gw_loop *loop,
                           const struct gw_list *networks, bool is_wanted, struct gw_mono now)
{
    const struct gw_vrouter_params params = {.loop = loop};
    if (is_wanted && !setup->router) {
        setup->router = gw_vrouter_new(&params);
        if (!setup->router)
            gw_log_error("no virtual router: %s", gw_strerror(GW_E_NOMEM));
    }
    gw_list_for_each (node, networks)
        apply_to(setup, &gw_list_entry(node, struct gw_network, node)->guests, is_wanted, now);
    if (!is_wanted) {
        gw_vrouter_free(setup->router, now);
        setup->router = NULL;
    }
}
