/* SPDX-License-Identifier: MIT */
/* What the values of a network mean together. As check.c: anything that has no default may be missing here. */
#include "gateway/config/load.h"

#include "gateway/base/err.h"
#include "gateway/base/secret.h"
#include "gateway/config/dir.h"
#include "gateway/config/endpoint.h"
#include "gateway/config/proxy_url.h"
#include "gateway/config/redis_url.h"

#include <ctype.h>
#include <errno.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#define HOSTNAME_LEN 64

#define complain gw_load_complain

/* ---- this node */

/* The machine's name up to its first dot, as a label. */
static void machine_name(char out[HOSTNAME_LEN])
{
    size_t len = 0;
    if (gethostname(out, HOSTNAME_LEN) != 0)
        *out = '\0';
    out[HOSTNAME_LEN - 1] = '\0';
    for (const char *at = out; *at && *at != '.'; at++) {
        bool is_alnum = isascii((unsigned char)*at) && isalnum((unsigned char)*at);
        if (is_alnum || (len > 0 && *at == '-'))
            out[len++] = (char)tolower((unsigned char)*at);
    }
    while (len > 0 && out[len - 1] == '-')
        len--;
    out[len] = '\0';
    if (len == 0)
        strcpy(out, "node");
}

/* The top level's, which was looked at before the others. */
static int default_hostname(const struct gw_loading *loading, struct gw_config_network *network)
{
    const char *top = loading->config->top.hostname;
    char name[HOSTNAME_LEN];
    if (network->hostname)
        return 0;
    if (!top)
        machine_name(name);
    network->hostname = strdup(top ? top : name);
    return network->hostname ? 0 : GW_E_NOMEM;
}

/* ---- its files */

static int set_path(char **out, const char *dir, const char *name)
{
    char path[GW_DIR_PATH_MAX];
    if (*out)
        return 0;
    int err = gw_dir_resolve(path, dir, name);
    if (err)
        return err;
    *out = strdup(path);
    return *out ? 0 : GW_E_NOMEM;
}

static int default_files(const struct gw_loading *loading, struct gw_config_network *network)
{
    bool is_top = network == &loading->config->top;
    char folder[sizeof GW_DIR_NETWORKS + 64];
    if (!is_top && !network->name) {
        complain(loading, network->line, "network: expected the network's name, found nothing");
        return 0;
    }
    snprintf(folder, sizeof folder, "%s/%s", GW_DIR_NETWORKS, network->name ? network->name : "");
    int err = is_top ? 0 : set_path(&network->dir, loading->dir, folder);
    if (is_top && !(network->dir = strdup(loading->dir)))
        err = GW_E_NOMEM;
    if (!err)
        err = set_path(&network->names_file, network->dir, GW_FILE_NAMES);
    if (!err)
        err = set_path(&network->identity, network->dir, GW_FILE_IDENTITY);
    if (!err)
        err = set_path(&network->security.authorized_keys_file, network->dir, GW_FILE_AUTHORIZED_KEYS);
    return err;
}

static void check_addresses(const struct gw_loading *loading, const struct gw_config_network *network)
{
    if (network->listen.count == 2 && network->listen.items[0].family == network->listen.items[1].family)
        complain(loading, network->line,
                 "listen: expected at most one address of each family, found two of one");
    if (network->addresses.count == 2 &&
        network->addresses.items[0].ip.family == network->addresses.items[1].ip.family)
        complain(loading, network->line,
                 "address: expected at most one address of each family, found two of one");
}

static void check_range(const struct gw_loading *loading, const struct gw_config_network *network)
{
    const struct gw_prefix *range = &network->address_range, *alias = &network->alias_range;
    char text[GW_ADDR_STRLEN];
    if (alias->ip.family != 0 &&
        (alias->ip.family != 4 || alias->bits != range->bits || gw_addr_is_loopback(&alias->ip)))
        complain(loading, network->line,
                 "alias_range: expected an IPv4 prefix of as many bits as address_range, %u, found %s",
                 range->bits, gw_prefix_format(alias, text, sizeof text));
    if (range->ip.family != 4 || range->bits < 8 || range->bits > 28 || gw_addr_is_loopback(&range->ip))
        complain(loading, network->line,
                 "address_range: expected an IPv4 prefix of 8 to 28 bits, such as 10.64.0.0/16, found %s",
                 gw_prefix_format(range, text, sizeof text));
}

/* ---- as an anchor */

static void check_fleet(const struct gw_loading *loading, const struct gw_config_network *network)
{
    struct gw_redis_url url;
    const char *directory = network->anchor.directory;
    if (directory && gw_redis_url_parse(&url, directory) != 0)
        complain(loading, network->line,
                 "anchor.directory: expected redis://[:PASSWORD@]IP:PORT[/DATABASE] or unix://PATH");
    if (directory && !network->anchor.fleet_key.is_set)
        complain(loading, network->line,
                 "anchor.directory: a directory that anchors share needs their anchor.fleet_key, too "
                 "(`peergate genkey` makes one)");
    gw_wipe(&url, sizeof url);
}

static void check_certificate(const struct gw_loading *loading, const struct gw_config_network *network)
{
    const char *certificate = network->anchor.certificate, *key = network->anchor.key;
    if (certificate && !key)
        complain(loading, network->line, "anchor.certificate: needs its private key, anchor.key");
    if (key && !certificate)
        complain(loading, network->line,
                 "anchor.key: needs the certificate that it is of, anchor.certificate");
}

static void check_proxy(const struct gw_loading *loading, const struct gw_config_network *network)
{
    struct gw_proxy_url url = {0};
    const char *proxy = network->tls_proxy;
    if (proxy && strcmp(proxy, "none") != 0 && gw_proxy_url_parse(&url, proxy) != 0)
        complain(loading, network->line, "tls_proxy: expected http://[USER:PASSWORD@]HOST:PORT, or `none`");
    gw_wipe(&url, sizeof url);
}

/* ---- services */

static void check_service(const struct gw_loading *loading, struct gw_config_service *service)
{
    const char *name = service->name ? service->name : "?";
    if (service->port < 0)
        service->port = service->local_address.port;
    if (service->protocol == GW_CONFIG_UDP && service->local_address.kind == GW_CONFIG_ENDPOINT_UNIX)
        complain(loading, service->line,
                 "services.%s.local_address: expected HOST:PORT for a UDP service, found a unix socket",
                 name);
}

static int compare_ports(const void *a, const void *b)
{
    const struct gw_config_service *const *x = a, *const *y = b;
    if ((*x)->protocol != (*y)->protocol)
        return (*x)->protocol < (*y)->protocol ? -1 : 1;
    if ((*x)->port != (*y)->port)
        return (*x)->port < (*y)->port ? -1 : 1;
    return ((*x)->line > (*y)->line) - ((*x)->line < (*y)->line);
}

static void check_same_port(const struct gw_loading *loading, const struct gw_config_service *a,
                            const struct gw_config_service *b)
{
    if (a->port > 0 && a->port == b->port && a->protocol == b->protocol)
        complain(
            loading, b->line,
            "services.%s.port: %lld is the port of %s in line %u already; give one of them another, or 0",
            b->name ? b->name : "?", (long long)b->port, a->name ? a->name : "?", a->line);
}

/* One that is disabled keeps its port, so that enabling it never breaks another. */
static int check_services(const struct gw_loading *loading, const struct gw_config_network *network)
{
    size_t count = network->services.count;
    const struct gw_config_service **sorted = malloc((count + 1) * sizeof *sorted);
    if (!sorted)
        return GW_E_NOMEM;
    for (size_t i = 0; i < count; i++) {
        check_service(loading, &network->services.items[i]);
        sorted[i] = &network->services.items[i];
    }
    qsort(sorted, count, sizeof *sorted, compare_ports);
    for (size_t i = 1; i < count; i++)
        check_same_port(loading, sorted[i - 1], sorted[i]);
    free(sorted);
    return 0;
}

int gw_check_network(const struct gw_loading *loading, struct gw_config_network *network)
{
    check_addresses(loading, network);
    check_fleet(loading, network);
    check_certificate(loading, network);
    check_proxy(loading, network);
    check_range(loading, network);
    int err = default_hostname(loading, network);
    if (!err)
        err = default_files(loading, network);
    if (!err)
        err = gw_check_peers(loading, network);
    return err ? err : check_services(loading, network);
}

void gw_config_check_service_files(const struct gw_config *config, const struct gw_config_network *network,
                                   struct gw_diag *diag)
{
    for (size_t i = 0; i < network->services.count; i++) {
        const struct gw_config_service *service = &network->services.items[i];
        if (service->authorized_keys && access(service->authorized_keys, F_OK) != 0 && errno == ENOENT)
            gw_diag_warning(diag, config->path, (unsigned)service->line,
                            "services.%s.authorized_keys: there is no file %s, so nobody may use it",
                            service->name, service->authorized_keys);
    }
}
