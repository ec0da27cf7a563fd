/* SPDX-License-Identifier: MIT */
#include "gateway/daemon/severed.h"

#include "gateway/base/err.h"
#include "gateway/base/log.h"
#include "gateway/peer/address.h"

#include <stdlib.h>
#include <string.h>

static bool is_among(const struct gw_addr *list, size_t count, const struct gw_addr *ip)
{
    for (size_t i = 0; i < count; i++) {
        if (gw_addr_same_ip(&list[i], ip))
            return true;
    }
    return false;
}

static void forget(struct gw_severed *severed)
{
    free(severed->items);
    *severed = (struct gw_severed){0};
}

/* Those that go to peers. */
static int keep(struct gw_severed *severed, const struct gateway *gateway, const struct gw_connections *list)
{
    if (list->count == 0)
        return 0;
    severed->items = calloc(list->count, sizeof *severed->items);
    if (!severed->items)
        return GW_E_NOMEM;
    for (size_t i = 0; i < list->count; i++) {
        const struct gw_peer *peer = gw_gateway_route(gateway, &list->items[i].remote);
        if (!peer)
            continue;
        struct gw_severed_connection *item = &severed->items[severed->count++];
        item->ends = list->items[i];
        memcpy(item->peer, gw_peer_config(peer)->public_key, sizeof item->peer);
    }
    return 0;
}

void gw_severed_note(struct gw_severed *severed, const struct gateway *gateway, const struct gw_addr *own,
                     size_t own_count)
{
    struct gw_connections list = {0};
    int err = 0;
    forget(severed);
    for (size_t i = 0; i < own_count && err == 0; i++)
        err = gw_connections_read(&list, &own[i]);
    if (err == 0)
        err = keep(severed, gateway, &list);
    if (err != 0)
        gw_log_warn(
            "tun: cannot look at this machine's connections, so those with a peer that goes will wait for an answer: %s",
            gw_strerror(err));
    gw_connections_free(&list);
}

static bool is_severed(const struct gw_severed_connection *item, const struct gateway *gateway,
                       const struct gw_addr *own, size_t own_count)
{
    if (!is_among(own, own_count, &item->ends.local))
        return true;
    const struct gw_peer *peer = gw_gateway_route(gateway, &item->ends.remote);
    if (!peer)
        return true;
    return memcmp(gw_peer_config(peer)->public_key, item->peer, sizeof item->peer) != 0 &&
           !gw_peer_config_owns(gw_peer_config(peer), &item->ends.remote);
}

bool gw_severed_any(const struct gw_severed *severed, const struct gateway *gateway,
                    const struct gw_addr *own, size_t own_count)
{
    for (size_t i = 0; i < severed->count; i++) {
        if (is_severed(&severed->items[i], gateway, own, own_count))
            return true;
    }
    return false;
}

void gw_severed_end(struct gw_severed *severed, const struct gateway *gateway, const struct gw_addr *own,
                    size_t own_count, void (*end)(const struct gw_connection_ends *ends, void *ctx),
                    void *ctx)
{
    for (size_t i = 0; i < severed->count; i++) {
        const struct gw_severed_connection *item = &severed->items[i];
        if (is_severed(item, gateway, own, own_count))
            end(&item->ends, ctx);
    }
    forget(severed);
}
