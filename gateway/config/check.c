/* SPDX-License-Identifier: MIT */
/* What values mean together: what is the node's, not a network's (check_network.c). Runs after load.c also when that found errors, so that all are
 * told at once: anything that has no default may be missing here. */
#include "gateway/config/load.h"

#include "gateway/base/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#define SOCKET_PATH_MAX (sizeof(((struct sockaddr_un *)0)->sun_path) - 1)

#define complain gw_load_complain

void gw_load_complain(const struct gw_loading *loading, unsigned line, const char *format, ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    gw_diag_error(loading->diag, loading->path, line, "%s%s", loading->place ? loading->place : "", text);
}

static void check_control(const struct gw_loading *loading)
{
    const char *socket = loading->config->control.socket;
    if (socket && strlen(socket) > SOCKET_PATH_MAX)
        complain(loading, 0, "control.socket: expected a path of at most %zu bytes, found \"%s\"",
                 SOCKET_PATH_MAX, socket);
}

/* ---- names */

static bool is_ip(const struct gw_loading *loading, const char *key,
                  const struct gw_config_endpoint *endpoint)
{
    if (endpoint->kind == GW_CONFIG_ENDPOINT_NAME)
        complain(loading, 0, "dns.%s: expected an IP address and a port, found %s:%u", key, endpoint->name,
                 endpoint->port);
    return endpoint->kind == GW_CONFIG_ENDPOINT_IP;
}

/* Would a message to `to` come to who listens on `at`, as far as that can be said without looking? */
static bool reaches(const struct gw_addr *to, const struct gw_addr *at)
{
    return gw_addr_equal(to, at) ||
           (to->port == at->port && gw_addr_is_unspecified(at) && gw_addr_is_loopback(to));
}

static void check_dns(const struct gw_loading *loading)
{
    const struct gw_config *config = loading->config;
    for (size_t i = 0; i < config->dns.listen.count; i++)
        is_ip(loading, "listen", &config->dns.listen.items[i]);
    for (size_t i = 0; i < config->dns.upstreams.count; i++) {
        const struct gw_config_endpoint *upstream = &config->dns.upstreams.items[i];
        char text[GW_ADDR_STRLEN];
        if (!is_ip(loading, "upstreams", upstream))
            continue;
        for (size_t j = 0; j < config->dns.listen.count; j++) {
            if (reaches(&upstream->addr, &config->dns.listen.items[j].addr))
                complain(loading, 0, "dns.upstreams: %s is in dns.listen, so it would ask itself",
                         gw_addr_format(&upstream->addr, text));
        }
    }
}

/* ---- socks */

static int add_user(struct gw_config *config)
{
    size_t count = config->socks.users.count;
    struct gw_config_user *items = realloc(config->socks.users.items, (count + 1) * sizeof *items);
    if (!items)
        return GW_E_NOMEM;
    items[count] = (struct gw_config_user){config->socks.username, config->socks.password};
    config->socks.username = config->socks.password = NULL;
    config->socks.users.items = items;
    config->socks.users.count = count + 1;
    return 0;
}

static int check_socks(const struct gw_loading *loading)
{
    struct gw_config *config = loading->config;
    const char *username = config->socks.username;
    if (!username && !config->socks.password)
        return 0;
    if (!username || !config->socks.password) {
        complain(loading, 0, "socks.%s: expected both username and password, found one",
                 username ? "username" : "password");
        return 0;
    }
    for (size_t i = 0; i < config->socks.users.count; i++) {
        const char *name = config->socks.users.items[i].name;
        if (name && strcmp(name, username) == 0) {
            complain(loading, 0, "socks.username: \"%s\" is in users already", username);
            return 0;
        }
    }
    return add_user(config);
}

static int check_each_network(const struct gw_loading *loading)
{
    struct gw_config *config = loading->config;
    struct gw_loading further = *loading;
    int err = gw_check_network(loading, &config->top);
    further.place = "networks[].";
    for (size_t i = 0; i < config->networks.count && !err; i++)
        err = gw_check_network(&further, &config->networks.items[i]);
    return err;
}

int gw_load_check(const struct gw_loading *loading)
{
    check_control(loading);
    check_dns(loading);
    int err = check_each_network(loading);
    if (!err)
        gw_check_networks(loading);
    if (!err)
        err = check_socks(loading);
    if (err)
        complain(loading, 0, "out of memory");
    return err;
}
