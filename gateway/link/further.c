/* SPDX-License-Identifier: MIT */
/* A link's further sockets; see further.h. */
#include "gateway/link/further.h"

#include "gateway/base/err.h"
#include "gateway/base/log.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/resource.h>

void gw_furthers_init(struct gw_furthers *furthers, const struct gw_addr *listen)
{
    *furthers = (struct gw_furthers){.listen = *listen};
    gw_list_init(&furthers->closed);
}

static void free_further(struct gw_further *further)
{
    if (further->readable)
        event_free(further->readable);
    if (further->writable)
        event_free(further->writable);
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
    return getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY &&
           (rlim_t)fd >= limit.rlim_cur - limit.rlim_cur / 4;
}

static int open_socket(struct gw_further *further, const struct gw_addr *listen)
{
    struct gw_udp_params params = {.is_further = true};
    char why[256];
    params.listen[GW_UDP_V4] = *listen;
    params.skip[GW_UDP_V6] = true;
    int err = gw_udp_open(&further->udp, &params, why, sizeof why);
    if (err)
        gw_log_debug("no further UDP socket: %s", gw_strerror(err));
    else if (is_file_scarce(further->udp.sockets[GW_UDP_V4].fd))
        err = -EMFILE;
    return err;
}

int gw_further_open(struct gw_furthers *furthers, struct event_base *base, uint32_t number, void *owner,
                    event_callback_fn on_readable, event_callback_fn on_writable)
{
    if (number == 0 || number >= GW_FURTHER_MAX || furthers->by_number[number])
        return -EINVAL;
    struct gw_further *further = calloc(1, sizeof *further);
    if (!further)
        return GW_E_NOMEM;
    further->owner = owner;
    further->udp.sockets[GW_UDP_V4].fd = further->udp.sockets[GW_UDP_V6].fd = -1;
    int err = open_socket(further, &furthers->listen);
    if (err) {
        free_further(further);
        return err;
    }
    int fd = further->udp.sockets[GW_UDP_V4].fd;
    further->udp.link = number;
    further->readable = event_new(base, fd, EV_READ | EV_PERSIST, on_readable, further);
    further->writable = event_new(base, fd, EV_WRITE, on_writable, further);
    if (!further->readable || !further->writable || event_add(further->readable, NULL) < 0) {
        free_further(further);
        return GW_E_NOMEM;
    }
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
    event_del(further->readable);
    event_del(further->writable);
    gw_list_push_back(&furthers->closed, &further->node);
}
