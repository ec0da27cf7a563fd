/* SPDX-License-Identifier: MIT */
/* A link's further sockets; see further.h. */
#include "gateway/link/further.h"

#include "gateway/base/err.h"
#include "gateway/base/log.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/resource.h>

void gw_furthers_init(struct gw_furthers *furthers, const struct gw_addr listen[GW_UDP_FAMILIES])
{
    *furthers = (struct gw_furthers){.listen = {listen[GW_UDP_V4], listen[GW_UDP_V6]}};
    gw_list_init(&furthers->closed);
}

static void free_further(struct gw_further *further)
{
    for (enum gw_udp_family family = GW_UDP_V4; family < GW_UDP_FAMILIES; family++) {
        if (further->readable[family])
            event_free(further->readable[family]);
        if (further->writable[family])
            event_free(further->writable[family]);
    }
    gw_udp_close(&further->udp);
    free(further);
}

void gw_furthers_reap(struct gw_furthers *furthers)
{
    for (struct gw_list *node; (node = gw_list_pop_front(&furthers->closed)) != NULL;)
        free_further(gw_list_entry(node, struct gw_further, node));
}

void gw_furthers_fini(struct gw_furthers *furthers)
{
    for (uint32_t number = 0; number < GW_FURTHER_MAX; number++)
        gw_further_close(furthers, number);
    gw_furthers_reap(furthers);
}

/* The kernel gives the lowest free descriptor, so its number says how many are open. */
static bool is_file_scarce(int fd)
{
    struct rlimit limit;
    return fd >= 0 && getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY &&
           (rlim_t)fd >= limit.rlim_cur - limit.rlim_cur / 4;
}

static int open_sockets(struct gw_further *further, const struct gw_furthers *furthers,
                        const struct gw_further_params *wanted)
{
    struct gw_udp_params params = {.is_further = true};
    char why[256];
    for (enum gw_udp_family family = GW_UDP_V4; family < GW_UDP_FAMILIES; family++) {
        params.listen[family] = furthers->listen[family];
        params.skip[family] = wanted->skip[family];
    }
    int err = gw_udp_open(&further->udp, &params, why, sizeof why);
    if (err) {
        gw_log_debug("no further UDP socket: %s", gw_strerror(err));
        return err;
    }
    for (enum gw_udp_family family = GW_UDP_V4; family < GW_UDP_FAMILIES; family++) {
        if (is_file_scarce(further->udp.sockets[family].fd))
            return -EMFILE;
    }
    return 0;
}

static int watch(struct gw_further *further, enum gw_udp_family family,
                 const struct gw_further_params *params)
{
    int fd = further->udp.sockets[family].fd;
    if (fd < 0)
        return 0;
    further->readable[family] =
        event_new(params->base, fd, EV_READ | EV_PERSIST, params->on_readable, further);
    further->writable[family] = event_new(params->base, fd, EV_WRITE, params->on_writable, further);
    if (!further->readable[family] || !further->writable[family] ||
        event_add(further->readable[family], NULL) < 0)
        return GW_E_NOMEM;
    return 0;
}

int gw_further_open(struct gw_furthers *furthers, const struct gw_further_params *params)
{
    uint32_t number = params->number;
    if (number == 0 || number >= GW_FURTHER_MAX || furthers->by_number[number])
        return -EINVAL;
    struct gw_further *further = calloc(1, sizeof *further);
    if (!further)
        return GW_E_NOMEM;
    further->owner = params->owner;
    further->udp.sockets[GW_UDP_V4].fd = further->udp.sockets[GW_UDP_V6].fd = -1;
    int err = open_sockets(further, furthers, params);
    for (enum gw_udp_family family = GW_UDP_V4; family < GW_UDP_FAMILIES && err == 0; family++)
        err = watch(further, family, params);
    if (err) {
        free_further(further);
        return err;
    }
    further->udp.link = number;
    furthers->by_number[number] = further;
    return further->udp.port;
}

void gw_further_close(struct gw_furthers *furthers, uint32_t number)
{
    struct gw_further *further = gw_further_of(furthers, number);
    if (!further)
        return;
    furthers->by_number[number] = NULL;
    further->is_closed = true;
    for (enum gw_udp_family family = GW_UDP_V4; family < GW_UDP_FAMILIES; family++) {
        if (!further->readable[family])
            continue;
        event_del(further->readable[family]);
        event_del(further->writable[family]);
    }
    gw_list_push_back(&furthers->closed, &further->node);
}
