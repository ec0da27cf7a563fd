/* SPDX-License-Identifier: MIT */
/* Carriers as the configuration and the engine want them. */
#include "gateway/daemon/carrier_setup.h"

#include "gateway/base/err.h"
#include "gateway/base/log.h"
#include "gateway/daemon/files.h"

#include <stdlib.h>
#include <string.h>

#define LOOK_S 2
#define UDP_WORKS_NS GW_S(10) /* then the connection is not needed any more */
#define RETRY_MIN_NS GW_S(1)  /* after all addresses of the anchor were tried; doubling */
#define RETRY_MAX_NS GW_S(60)

/* One anchor that did not answer by UDP. */
struct anchor {
    struct gw_list node;
    struct gw_carrier_setup *setup;
    struct gw_peer *peer;
    struct gw_tuple tuple; /* of its connection */
    bool is_open, is_up;
    unsigned tried; /* its addresses, since the last wait */
    struct gw_mono again_at, udp_since;
    int64_t wait_ns;
};

/* ---- what the carriers tell */

static void on_train(struct gw_train *train, void *ctx)
{
    struct gw_carrier_setup *setup = ctx;
    if (*setup->link)
        gw_link_input(*setup->link, train);
}

static void arm(struct gw_carrier_setup *setup)
{
    const struct timeval in = {.tv_sec = LOOK_S};
    if (!evtimer_pending(setup->timer, NULL))
        evtimer_add(setup->timer, &in);
}

static void on_up(const struct gw_tuple *tuple, void *user, void *ctx)
{
    struct gw_carrier_setup *setup = ctx;
    struct anchor *anchor = user;
    char at[GW_ADDR_STRLEN];
    anchor->is_up = true;
    anchor->udp_since = GW_NEVER;
    gw_log_debug("%s: TLS connection to %s", gw_peer_name(anchor->peer), gw_addr_log(&tuple->remote, at));
    gw_gateway_carrier_up(setup->gateway, gw_loop_now(setup->loop), anchor->peer, tuple);
    arm(setup);
}

static bool is_on(const struct gw_peer *peer, bool *is_direct, struct gw_mono now)
{
    struct gw_peer_status status;
    gw_peer_status(peer, now, &status);
    bool is_up = status.session.state == GW_SESSION_ESTABLISHED && status.has_path;
    *is_direct = is_up && gw_tuple_is_direct(&status.path);
    return is_up && gw_tuple_is_carrier(&status.path);
}

static void on_down(const struct gw_tuple *tuple, void *user, void *ctx)
{
    struct gw_carrier_setup *setup = ctx;
    struct anchor *anchor = user;
    struct gw_mono now = gw_loop_now(setup->loop);
    gw_gateway_carrier_down(setup->gateway, now, tuple);
    if (!anchor)
        return;
    bool was_last = ++anchor->tried >= gw_peer_config(anchor->peer)->endpoint_count;
    if (was_last) {
        anchor->tried = 0;
        anchor->again_at = gw_mono_add(now, anchor->wait_ns);
        anchor->wait_ns = 2 * anchor->wait_ns < RETRY_MAX_NS ? 2 * anchor->wait_ns : RETRY_MAX_NS;
    }
    anchor->is_open = anchor->is_up = false;
    if (!was_last)
        gw_carrier_setup_wanted(setup, anchor->peer, now);
}

static bool is_used(const struct gw_tuple *tuple, void *ctx)
{
    const struct gw_carrier_setup *setup = ctx;
    return gw_gateway_carrier_is_used(setup->gateway, tuple);
}

/* They cost a certificate, so they are made when one is needed. */
static int make_carriers(struct gw_carrier_setup *setup)
{
    if (setup->carriers)
        return 0;
    const struct gw_carriers_params params = {.loop = setup->loop,
                                              .on_train = on_train,
                                              .on_up = on_up,
                                              .on_down = on_down,
                                              .is_used = is_used,
                                              .ctx = setup};
    int err = gw_carriers_new(&setup->carriers, &params);
    if (err == 0)
        gw_carrier_setup_linked(setup);
    return err;
}

void gw_carrier_setup_linked(struct gw_carrier_setup *setup)
{
    if (*setup->link)
        gw_link_set_carriers(*setup->link, setup->carriers);
}

/* ---- to our anchors */

static struct anchor *find(const struct gw_carrier_setup *setup, const struct gw_peer *peer)
{
    gw_list_for_each (node, &setup->anchors) {
        struct anchor *anchor = gw_list_entry(node, struct anchor, node);
        if (anchor->peer == peer)
            return anchor;
    }
    return NULL;
}

static struct anchor *add(struct gw_carrier_setup *setup, struct gw_peer *peer, struct gw_mono now)
{
    struct anchor *anchor = calloc(1, sizeof *anchor);
    if (!anchor)
        return NULL;
    gw_list_init(&anchor->node);
    anchor->setup = setup;
    anchor->peer = peer;
    anchor->again_at = now;
    anchor->wait_ns = RETRY_MIN_NS;
    anchor->udp_since = GW_NEVER;
    gw_list_push_back(&setup->anchors, &anchor->node);
    return anchor;
}

static void connect_to(struct gw_carrier_setup *setup, struct anchor *anchor, struct gw_mono now)
{
    const struct gw_peer_config *config = gw_peer_config(anchor->peer);
    struct gw_addr to = config->endpoints[anchor->tried % config->endpoint_count];
    to.port = config->carrier_port;
    int err = gw_carriers_connect(setup->carriers, &to, anchor, &anchor->tuple);
    anchor->is_open = err == 0;
    if (err != 0) {
        gw_log_debug("%s: no TLS connection: %s", gw_peer_name(anchor->peer), gw_strerror(err));
        anchor->tried++;
        anchor->again_at = gw_mono_add(now, RETRY_MIN_NS);
    }
}

void gw_carrier_setup_wanted(struct gw_carrier_setup *setup, struct gw_peer *peer, struct gw_mono now)
{
    struct anchor *anchor = find(setup, peer);
    const struct gw_peer_config *config = gw_peer_config(peer);
    if (config->carrier_port == 0 || config->endpoint_count == 0 || (anchor && anchor->is_open))
        return;
    int err = make_carriers(setup);
    if (err != 0) {
        if (!setup->is_told)
            gw_log_debug("no TLS connections: %s", gw_strerror(err));
        setup->is_told = true;
        return;
    }
    if (!anchor)
        anchor = add(setup, peer, now);
    if (anchor && gw_mono_due(anchor->again_at, now))
        connect_to(setup, anchor, now);
}

static void close_one(struct gw_carrier_setup *setup, struct anchor *anchor)
{
    if (!anchor->is_open)
        return;
    gw_carriers_close(setup->carriers, &anchor->tuple);
    anchor->is_open = anchor->is_up = false;
}

/* UDP has worked for so long that nothing is on its way over the connection any more. */
static void leave(struct gw_carrier_setup *setup, struct anchor *anchor, struct gw_mono now)
{
    gw_log_debug("%s: UDP works, the TLS connection ends", gw_peer_name(anchor->peer));
    close_one(setup, anchor);
    anchor->again_at = now;
    anchor->tried = 0;
    gw_gateway_carrier_down(setup->gateway, now, &anchor->tuple);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    struct gw_carrier_setup *setup = arg;
    struct gw_mono now = gw_loop_now(setup->loop);
    bool is_any = false;
    (void)fd, (void)what;
    gw_list_for_each (node, &setup->anchors) {
        struct anchor *anchor = gw_list_entry(node, struct anchor, node);
        bool is_direct;
        if (!anchor->is_up)
            continue;
        if (is_on(anchor->peer, &is_direct, now))
            anchor->wait_ns = RETRY_MIN_NS; /* it is worth something */
        if (!is_direct)
            anchor->udp_since = GW_NEVER;
        else if (gw_mono_is_never(anchor->udp_since))
            anchor->udp_since = now;
        else if (gw_mono_sub(now, anchor->udp_since) >= UDP_WORKS_NS)
            leave(setup, anchor, now);
        is_any |= anchor->is_up;
    }
    if (is_any)
        arm(setup);
}

void gw_carrier_setup_kick(struct gw_carrier_setup *setup)
{
    gw_list_for_each (node, &setup->anchors) {
        struct anchor *anchor = gw_list_entry(node, struct anchor, node);
        anchor->again_at = gw_loop_now(setup->loop);
        anchor->wait_ns = RETRY_MIN_NS;
        anchor->tried = 0;
    }
}

static void forget(struct gw_carrier_setup *setup, struct anchor *anchor)
{
    close_one(setup, anchor);
    gw_list_remove(&anchor->node);
    free(anchor);
}

void gw_carrier_setup_peer_gone(struct gw_carrier_setup *setup, const struct gw_peer *peer)
{
    struct anchor *anchor = find(setup, peer);
    if (anchor)
        forget(setup, anchor);
}

/* ---- as an anchor */

static void on_client(struct gw_listener *listener, int fd, struct gw_mono now, void *user)
{
    struct gw_carrier_setup *setup = user;
    (void)listener, (void)now;
    gw_carriers_take(setup->carriers, fd);
}

static const char *advice(int err)
{
    switch (err) {
    case -EADDRINUSE:
        return "; another program has it, a web server perhaps: choose another port, and the same for `tls_port` at the peers";
    case -EACCES:
    case -EPERM:
        return "; ports below 1024 take root, or CAP_NET_BIND_SERVICE";
    case -ENOTSUP:
        return "; this build has no TLS";
    default:
        return "";
    }
}

static int listen_on(struct gw_carrier_setup *setup, const struct gw_config *config,
                     const struct gw_config_network *network, struct gw_diag *diag)
{
    char at[64];
    for (size_t i = 0; i < network->anchor.tls.count; i++) {
        struct gw_target target;
        const struct gw_config_endpoint *endpoint = &network->anchor.tls.items[i];
        const struct gw_listener_params params = {
            .loop = setup->loop, .target = &target, .on_client = on_client, .user = setup};
        int err = make_carriers(setup);
        if (err == 0)
            err = gw_target_of_endpoint(&target, endpoint);
        if (err == 0)
            err = gw_listener_new(&setup->listeners[i], &params);
        if (err != 0) {
            gw_diag_error(diag, config->path, network->line, "`anchor.tls`: cannot listen on %s: %s%s",
                          gw_config_endpoint_format(endpoint, at, sizeof at), gw_strerror(err), advice(err));
            return err;
        }
    }
    return 0;
}

int gw_carrier_setup_init(struct gw_carrier_setup *setup, struct gw_loop *loop, struct gateway *gateway,
                          struct gw_link *const *link, const struct gw_config *config,
                          const struct gw_config_network *network, struct gw_diag *diag)
{
    *setup = (struct gw_carrier_setup){.loop = loop, .gateway = gateway, .link = link};
    gw_list_init(&setup->anchors);
    setup->timer = evtimer_new(gw_loop_base(loop), on_timer, setup);
    if (!setup->timer)
        return GW_E_NOMEM;
    return network->role == GW_CONFIG_ROLE_ANCHOR ? listen_on(setup, config, network, diag) : 0;
}

void gw_carrier_setup_fini(struct gw_carrier_setup *setup)
{
    if (!setup->loop)
        return;
    for (unsigned i = 0; i < GW_CARRIER_LISTEN_MAX; i++)
        gw_listener_free(setup->listeners[i]);
    while (!gw_list_is_empty(&setup->anchors))
        forget(setup, gw_list_entry(setup->anchors.next, struct anchor, node));
    if (*setup->link)
        gw_link_set_carriers(*setup->link, NULL);
    gw_carriers_free(setup->carriers);
    if (setup->timer)
        event_free(setup->timer);
    *setup = (struct gw_carrier_setup){0};
}

bool gw_carrier_setup_stats(const struct gw_carrier_setup *setup, struct gw_carriers_stats *out)
{
    if (setup->carriers)
        gw_carriers_stats(setup->carriers, out);
    return setup->carriers != NULL;
}
