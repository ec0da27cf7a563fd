/* SPDX-License-Identifier: MIT */
/* Which further sockets are open, and for how long; see links.h. */
#include "gateway/discovery/links.h"

#include "gateway/base/err.h"
#include "gateway/peer/peer_private.h"

#include <errno.h>
#include <string.h>

#define SWEEP_NS GW_S(20)

enum { CLOSED, HELD, KEPT /* by paths only */ };

static bool is_used(const struct gw_links *links, uint32_t link)
{
    const struct gw_map *peers = &links->host->peers;
    for (struct gw_map_node *node = gw_map_first(peers); node; node = gw_map_next(peers, node)) {
        const struct gw_peer *peer = gw_map_entry(node, struct gw_peer, by_key);
        const struct gw_paths *paths = &peer->paths;
        if (peer->endpoints.found_tries > 0 && peer->endpoints.found.link == link)
            return true; /* a handshake is about to go there */
        for (unsigned i = 0; i < paths->count; i++) {
            if (paths->list[i].tuple.link == link)
                return true;
        }
    }
    return false;
}

static void close_link(struct gw_links *links, uint32_t link)
{
    const struct gw_gateway_events *events = links->host->events;
    links->state[link] = CLOSED;
    links->open_count--;
    events->close_link(links->host->gateway, link, events->ctx);
}

static void on_sweep(struct gw_deadline *deadline, struct gw_mono now)
{
    struct gw_links *links = gw_container_of(deadline, struct gw_links, sweep);
    bool has_kept = false;
    for (uint32_t link = GW_LINK_FIRST; link < GW_LINKS_MAX; link++) {
        if (links->state[link] == KEPT && !is_used(links, link))
            close_link(links, link);
        has_kept |= links->state[link] == KEPT;
    }
    if (has_kept)
        gw_deadline_arm(&links->host->deadlines, &links->sweep, gw_mono_add(now, SWEEP_NS));
}

int gw_links_init(struct gw_links *links, struct gw_peer_host *host)
{
    *links = (struct gw_links){.host = host, .next = GW_LINK_FIRST};
    gw_deadline_init(&links->sweep, on_sweep);
    return gw_deadlines_reserve(&host->deadlines);
}

void gw_links_fini(struct gw_links *links)
{
    for (uint32_t link = GW_LINK_FIRST; link < GW_LINKS_MAX; link++) {
        if (links->state[link] != CLOSED)
            close_link(links, link);
    }
    gw_deadline_disarm(&links->host->deadlines, &links->sweep);
    gw_deadlines_release(&links->host->deadlines);
}

int gw_links_open(struct gw_links *links, uint32_t *link, uint16_t *port)
{
    const struct gw_gateway_events *events = links->host->events;
    if (!events->open_link)
        return -ENOTSUP;
    /* Numbers go round, so that what is late for one that was closed meets nobody. */
    for (unsigned i = 0; i < GW_LINKS_MAX - GW_LINK_FIRST; i++) {
        uint32_t number = links->next;
        links->next = number + 1 < GW_LINKS_MAX ? number + 1 : GW_LINK_FIRST;
        if (links->state[number] != CLOSED)
            continue;
        int got = events->open_link(links->host->gateway, number, false, events->ctx);
        if (got < 0)
            return got;
        links->state[number] = HELD;
        links->open_count++;
        *link = number;
        *port = (uint16_t)got;
        return 0;
    }
    return -EMFILE;
}

void gw_links_release(struct gw_links *links, uint32_t link)
{
    if (is_used(links, link)) {
        links->state[link] = KEPT;
        if (gw_mono_is_never(links->sweep.at))
            gw_deadline_arm(&links->host->deadlines, &links->sweep, gw_mono_add(links->host->now, SWEEP_NS));
    } else {
        close_link(links, link);
    }
}
