/* SPDX-License-Identifier: MIT */
/* Carriers as the configuration wants them. */
#include "gateway/daemon/carrier_setup.h"

#include "gateway/base/err.h"
#include "gateway/base/log.h"
#include "gateway/base/secret.h"
#include "gateway/daemon/carrier_certificate.h"
#include "gateway/daemon/files.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void on_train(struct gw_train *train, void *ctx)
{
    struct gw_carrier_setup *setup = ctx;
    if (*setup->link)
        gw_link_input(*setup->link, train);
}

static void on_made(struct gw_carriers *carriers, void *ctx)
{
    struct gw_carrier_setup *setup = ctx;
    if (*setup->link)
        gw_link_set_carriers(*setup->link, carriers);
}

void gw_carrier_setup_linked(struct gw_carrier_setup *setup)
{
    on_made(setup->calls.carriers, setup);
}

/* ---- the proxy */

static void forget_proxy(struct gw_carrier_setup *setup)
{
    gw_lookup_free(setup->lookup);
    setup->lookup = NULL;
    gw_wipe(&setup->proxy, sizeof setup->proxy);
    setup->has_proxy = false;
}

static const char *environment(const char *name, const char *upper)
{
    const char *value = getenv(name);
    value = value && *value ? value : getenv(upper);
    return value && *value ? value : NULL;
}

static bool is_spared(const struct gw_addr *to, void *ctx)
{
    const struct gw_carrier_setup *setup = ctx;
    return setup->is_from_environment && gw_no_proxy_has(environment("no_proxy", "NO_PROXY"), to);
}

static void on_proxy(struct gw_mono now, const struct gw_addr *addrs, unsigned count, void *ctx)
{
    struct gw_carrier_setup *setup = ctx;
    (void)now;
    gw_carrier_calls_set_proxy(&setup->calls, addrs, count, setup->proxy.credentials);
}

static const char *whose(void *ctx)
{
    (void)ctx;
    return "the proxy";
}

void gw_carrier_setup_use(struct gw_carrier_setup *setup, const struct gw_config_network *network)
{
    const struct gw_lookup_params params = {.on_found = on_proxy, .whose = whose, .ctx = setup};
    const char *text = network->tls_proxy ? network->tls_proxy : environment("https_proxy", "HTTPS_PROXY");
    struct gw_proxy_url url;
    bool is_wanted = text && strcmp(text, "none") != 0;
    memset(&url, 0, sizeof url);
    if (is_wanted && gw_proxy_url_parse(&url, text) != 0) { /* the files' were checked */
        gw_log_warn(
            "https_proxy of the environment is none that can be used: http://[USER:PASSWORD@]HOST:PORT is expected");
        is_wanted = false;
    }
    setup->is_from_environment = !network->tls_proxy;
    if (is_wanted && setup->has_proxy && memcmp(&url, &setup->proxy, sizeof url) == 0) {
        gw_wipe(&url, sizeof url);
        return;
    }
    forget_proxy(setup);
    gw_carrier_calls_unset_proxy(&setup->calls);
    gw_carrier_calls_kick(&setup->calls);
    if (!is_wanted)
        return;
    setup->proxy = url;
    setup->has_proxy = true;
    gw_wipe(&url, sizeof url);
    bool is_known = setup->proxy.at.kind == GW_CONFIG_ENDPOINT_IP;
    gw_carrier_calls_set_proxy(&setup->calls, &setup->proxy.at.addr, is_known, setup->proxy.credentials);
    if (!is_known && gw_lookup_new(&setup->lookup, setup->endpoints, &params, &setup->proxy.at, 1) != 0)
        gw_log_error("no memory to look the proxy up");
}

/* ---- as an anchor */

static void on_client(struct gw_listener *listener, int fd, struct gw_mono now, void *user)
{
    struct gw_carrier_setup *setup = user;
    (void)listener, (void)now;
    gw_carriers_take(setup->calls.carriers, fd);
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

static void close_listener(struct gw_carrier_setup *setup, unsigned i)
{
    gw_listener_free(setup->listeners[i]);
    setup->listeners[i] = NULL;
}

static bool is_wanted(const struct gw_config_network *network, const struct gw_addr *at)
{
    for (size_t i = 0; network->role == GW_CONFIG_ROLE_ANCHOR && i < network->anchor.tls.count; i++) {
        if (gw_addr_equal(&network->anchor.tls.items[i].addr, at))
            return true;
    }
    return false;
}

/* What is not wanted any more; port 0: of all ports. true: there was some. */
static bool close_unwanted(struct gw_carrier_setup *setup, const struct gw_config_network *network,
                           uint16_t port)
{
    bool has_closed = false;
    for (unsigned i = 0; i < GW_CARRIER_LISTEN_MAX; i++) {
        const struct gw_addr *at = &setup->listening[i];
        if (!setup->listeners[i] || (port != 0 && at->port != port) || is_wanted(network, at))
            continue;
        close_listener(setup, i);
        has_closed = true;
    }
    return has_closed;
}

static int find_listener(const struct gw_carrier_setup *setup, const struct gw_addr *at)
{
    for (int i = 0; i < (int)GW_CARRIER_LISTEN_MAX; i++) {
        if (setup->listeners[i] && gw_addr_equal(&setup->listening[i], at))
            return i;
    }
    return -1;
}

static int open_listener(struct gw_carrier_setup *setup, const struct gw_config_endpoint *endpoint,
                         const struct gw_config_network *network, struct gw_listener **out)
{
    struct gw_target target;
    const struct gw_listener_params params = {
        .loop = setup->loop, .target = &target, .is_outside = true, .on_client = on_client, .user = setup};
    int err = gw_carrier_calls_make(&setup->calls);
    if (err == 0)
        err = gw_target_of_endpoint(&target, endpoint);
    if (err == 0)
        err = gw_listener_new(out, &params);
    /* One of ours that goes may be in the way: [::]:443 and 10.0.0.1:443. */
    if (err == -EADDRINUSE && close_unwanted(setup, network, endpoint->addr.port))
        err = gw_listener_new(out, &params);
    return err;
}

/* Before anybody is let in. The self-made one is there from the beginning, and is not made anew at each reload. */
static int use_certificate(struct gw_carrier_setup *setup, const struct gw_config_network *network,
                           struct gw_diag *diag)
{
    bool is_owners = network->anchor.certificate != NULL;
    if (network->role != GW_CONFIG_ROLE_ANCHOR || network->anchor.tls.count == 0 ||
        (!is_owners && !setup->has_owners_certificate))
        return 0;
    int err = gw_carrier_calls_make(&setup->calls);
    if (err == 0)
        err = gw_carrier_certificate_use(setup->calls.carriers, network, diag);
    if (err == 0)
        setup->has_owners_certificate = is_owners;
    return err;
}

int gw_carrier_setup_listen(struct gw_carrier_setup *setup, const struct gw_config *config,
                            const struct gw_config_network *network, struct gw_diag *diag)
{
    char text[64];
    struct gw_listener *fresh[GW_CARRIER_LISTEN_MAX] = {NULL};
    size_t count = network->role == GW_CONFIG_ROLE_ANCHOR ? network->anchor.tls.count : 0;
    int bad = use_certificate(setup, network, diag);
    if (bad != 0)
        return bad;
    for (size_t i = 0; i < count; i++) {
        const struct gw_config_endpoint *endpoint = &network->anchor.tls.items[i];
        if (find_listener(setup, &endpoint->addr) >= 0)
            continue;
        int err = open_listener(setup, endpoint, network, &fresh[i]);
        if (err == 0)
            continue;
        gw_diag_error(diag, config->path, network->line, "`anchor.tls`: cannot listen on %s: %s%s",
                      gw_config_endpoint_format(endpoint, text, sizeof text), gw_strerror(err), advice(err));
        while (i-- > 0)
            gw_listener_free(fresh[i]);
        return err;
    }
    close_unwanted(setup, network, 0);
    for (size_t i = 0; i < count; i++) {
        unsigned slot = 0;
        while (fresh[i] && setup->listeners[slot])
            slot++; /* as many as may be in the list */
        if (fresh[i]) {
            setup->listeners[slot] = fresh[i];
            setup->listening[slot] = network->anchor.tls.items[i].addr;
        }
    }
    return 0;
}

int gw_carrier_setup_init(struct gw_carrier_setup *setup, struct gw_loop *loop, struct gateway *gateway,
                          struct gw_link *const *link, struct gw_endpoints *endpoints,
                          const struct gw_config *config, const struct gw_config_network *network,
                          struct gw_diag *diag)
{
    const struct gw_carrier_calls_params params = {.loop = loop,
                                                   .gateway = gateway,
                                                   .on_train = on_train,
                                                   .on_made = on_made,
                                                   .is_spared = is_spared,
                                                   .ctx = setup};
    *setup = (struct gw_carrier_setup){.loop = loop, .link = link, .endpoints = endpoints};
    int err = gw_carrier_calls_init(&setup->calls, &params);
    return err != 0 ? err : gw_carrier_setup_listen(setup, config, network, diag);
}

void gw_carrier_setup_fini(struct gw_carrier_setup *setup)
{
    if (!setup->loop)
        return;
    for (unsigned i = 0; i < GW_CARRIER_LISTEN_MAX; i++)
        close_listener(setup, i);
    if (*setup->link)
        gw_link_set_carriers(*setup->link, NULL);
    gw_carrier_calls_fini(&setup->calls);
    forget_proxy(setup);
    *setup = (struct gw_carrier_setup){0};
}

bool gw_carrier_setup_stats(const struct gw_carrier_setup *setup, struct gw_carriers_stats *out)
{
    if (setup->calls.carriers)
        gw_carriers_stats(setup->calls.carriers, out);
    return setup->calls.carriers != NULL;
}
