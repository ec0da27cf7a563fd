/* SPDX-License-Identifier: MIT */
/* Looks endpoint names up with libevent's resolver. The endpoints keep their order: a name's addresses stand where the name stood. */
#include "gateway/daemon/endpoints.h"

#include "gateway/base/err.h"
#include "gateway/base/log.h"
#include "gateway/link/mark.h"

#include <event2/dns.h>
#include <event2/util.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/stat.h>

#define AGAIN_S 300   /* a name that resolved */
#define RETRY_MIN_S 2 /* one that did not; doubles */
#define RETRY_MAX_S 300
#define UNREACHABLE_S 10 /* between lookups for a peer that does not answer */
#define NAME_ADDRS_MAX 4u

struct gw_endpoints {
    struct gw_loop *loop;
    struct gw_list lookups; /* struct gw_lookup.node */
    struct evdns_base *dns;
    struct timespec conf_changed; /* /etc/resolv.conf's mtime when it was read */
};

struct name {
    struct gw_lookup *lookup;
    struct gw_config_endpoint endpoint;
    struct evdns_getaddrinfo_request *request; /* running */
    struct gw_addr addrs[NAME_ADDRS_MAX];
    unsigned addr_count;
    bool has_failed; /* the last time; logged once */
};

struct gw_lookup {
    struct gw_list node;
    struct gw_endpoints *endpoints;
    struct gw_lookup_params params;
    struct event *timer;
    unsigned running;
    unsigned retry_s;
    struct gw_mono started;
    bool is_starting; /* callbacks from within the call that starts them */
    unsigned count;
    struct name names[GW_PEER_ENDPOINTS_MAX];
};

/* --- the DNS client --- */

struct gw_endpoints *gw_endpoints_new(struct gw_loop *loop)
{
    struct gw_endpoints *endpoints = calloc(1, sizeof *endpoints);
    if (!endpoints)
        return NULL;
    endpoints->loop = loop;
    gw_list_init(&endpoints->lookups);
    return endpoints;
}

void gw_endpoints_free(struct gw_endpoints *endpoints)
{
    if (!endpoints)
        return;
    /* What was cancelled ends in the loop, which has ended itself. */
    if (endpoints->dns)
        event_base_loop(gw_loop_base(endpoints->loop), EVLOOP_NONBLOCK);
    if (endpoints->dns)
        evdns_base_free(endpoints->dns, 0);
    free(endpoints);
}

/* A name server's socket that evdns has just made: no other datagram socket that is waited for has no port yet. */
static bool is_fresh(int fd)
{
    struct sockaddr_storage at = {.ss_family = AF_UNSPEC};
    struct gw_addr addr;
    socklen_t len = sizeof at, type_len = sizeof(int);
    int type = 0;
    return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &type_len) == 0 && type == SOCK_DGRAM &&
           getsockname(fd, (struct sockaddr *)&at, &len) == 0 &&
           gw_addr_from_sockaddr(&addr, (const struct sockaddr *)&at) == 0 && addr.port == 0;
}

static int mark_fresh(const struct event_base *base, const struct event *event, void *arg)
{
    (void)base, (void)arg;
    if (event_get_fd(event) >= 0 && (event_get_events(event) & EV_READ) && is_fresh(event_get_fd(event)))
        gw_mark_outside(event_get_fd(event));
    return 0;
}

/* A laptop that moves gets another resolv.conf. */
static struct evdns_base *dns_client(struct gw_endpoints *endpoints)
{
    struct stat st = {0};
    if (stat("/etc/resolv.conf", &st) != 0)
        st.st_mtim = (struct timespec){0};
    bool has_changed = st.st_mtim.tv_sec != endpoints->conf_changed.tv_sec ||
                       st.st_mtim.tv_nsec != endpoints->conf_changed.tv_nsec;
    endpoints->conf_changed = st.st_mtim;
    if (endpoints->dns && !has_changed)
        return endpoints->dns;
    if (!endpoints->dns)
        endpoints->dns = evdns_base_new(gw_loop_base(endpoints->loop), 0);
    if (!endpoints->dns)
        return NULL;
    evdns_base_clear_nameservers_and_suspend(endpoints->dns);
    /* Without a nameserver, /etc/hosts still counts. */
    if (evdns_base_resolv_conf_parse(endpoints->dns, DNS_OPTIONS_ALL, "/etc/resolv.conf") != 0)
        gw_log_debug("/etc/resolv.conf names no nameserver");
    /* Libevent gives no way to its sockets but this one, and only where it waits on them from the start (not EVDNS_BASE_DISABLE_WHEN_INACTIVE). The way to a peer may need the
     * name that is asked for: where the name server is, the tunnel must not be in between. */
    event_base_foreach_event(gw_loop_base(endpoints->loop), mark_fresh, NULL);
    evdns_base_resume(endpoints->dns);
    return endpoints->dns;
}

/* --- one list --- */

static void set_endpoints(struct gw_lookup *lookup)
{
    struct gw_addr addrs[GW_PEER_ENDPOINTS_MAX];
    unsigned count = 0;
    for (unsigned i = 0; i < lookup->count; i++) {
        const struct name *name = &lookup->names[i];
        for (unsigned k = 0; k < name->addr_count && count < GW_PEER_ENDPOINTS_MAX; k++)
            addrs[count++] = name->addrs[k];
    }
    lookup->params.on_found(gw_loop_now(lookup->endpoints->loop), addrs, count, lookup->params.ctx);
}

static void arm(struct gw_lookup *lookup, unsigned seconds)
{
    const struct timeval tv = {.tv_sec = (time_t)seconds};
    evtimer_add(lookup->timer, &tv);
}

static void finish(struct gw_lookup *lookup)
{
    bool has_failed = false;
    for (unsigned i = 0; i < lookup->count; i++)
        has_failed = has_failed || lookup->names[i].has_failed;
    if (!has_failed) {
        lookup->retry_s = RETRY_MIN_S;
        arm(lookup, AGAIN_S);
        return;
    }
    arm(lookup, lookup->retry_s);
    lookup->retry_s = lookup->retry_s * 2 > RETRY_MAX_S ? RETRY_MAX_S : lookup->retry_s * 2;
}

static bool take_answer(struct name *name, const struct evutil_addrinfo *answer)
{
    struct gw_addr addrs[NAME_ADDRS_MAX];
    unsigned count = 0;
    memset(addrs, 0, sizeof addrs);
    for (; answer && count < NAME_ADDRS_MAX; answer = answer->ai_next) {
        if (gw_addr_from_sockaddr(&addrs[count], answer->ai_addr) == 0)
            addrs[count++].port = name->endpoint.port;
    }
    bool has_changed = count != name->addr_count || memcmp(addrs, name->addrs, sizeof addrs) != 0;
    memcpy(name->addrs, addrs, sizeof addrs);
    name->addr_count = count;
    return has_changed;
}

static void on_answer(int result, struct evutil_addrinfo *answer, void *arg)
{
    struct name *name = arg;
    if (result == EVUTIL_EAI_CANCEL)
        return; /* told late: the lookup is gone */
    struct gw_lookup *lookup = name->lookup;

    name->request = NULL;
    if (result != 0 && !name->has_failed)
        gw_log_warn("%s: cannot look up %s: %s; trying again", lookup->params.whose(lookup->params.ctx),
                    name->endpoint.name, evutil_gai_strerror(result));
    /* What was known stays in use while the name server does not answer. */
    name->has_failed = result != 0;
    bool has_changed = result == 0 && take_answer(name, answer);
    if (answer)
        evutil_freeaddrinfo(answer);
    if (has_changed)
        set_endpoints(lookup);
    lookup->running--;
    if (lookup->running == 0 && !lookup->is_starting)
        finish(lookup);
}

static void ask(struct gw_lookup *lookup, struct name *name, struct evdns_base *dns)
{
    const struct evutil_addrinfo hints = {.ai_family = AF_UNSPEC,
                                          .ai_socktype = SOCK_DGRAM,
                                          .ai_protocol = IPPROTO_UDP,
                                          .ai_flags = EVUTIL_AI_ADDRCONFIG};
    lookup->running++;
    /* May answer from within; then it returns NULL. */
    struct evdns_getaddrinfo_request *request =
        evdns_getaddrinfo(dns, name->endpoint.name, NULL, &hints, on_answer, name);
    if (request)
        name->request = request;
}

static void start(struct gw_lookup *lookup)
{
    if (lookup->running > 0)
        return;
    struct evdns_base *dns = dns_client(lookup->endpoints);
    lookup->started = gw_loop_now(lookup->endpoints->loop);
    evtimer_del(lookup->timer);
    lookup->is_starting = true;
    for (unsigned i = 0; dns && i < lookup->count; i++) {
        if (lookup->names[i].endpoint.kind == GW_CONFIG_ENDPOINT_NAME)
            ask(lookup, &lookup->names[i], dns);
    }
    lookup->is_starting = false;
    if (lookup->running == 0)
        finish(lookup);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    start(arg);
}

static unsigned take_endpoints(struct gw_lookup *lookup, const struct gw_config_endpoint *items, size_t count)
{
    unsigned names = 0;
    for (size_t i = 0; i < count && lookup->count < GW_PEER_ENDPOINTS_MAX; i++) {
        struct name *name = &lookup->names[lookup->count++];
        name->lookup = lookup;
        name->endpoint = items[i];
        if (name->endpoint.kind == GW_CONFIG_ENDPOINT_NAME)
            names++;
        else if (name->endpoint.kind == GW_CONFIG_ENDPOINT_IP)
            name->addrs[name->addr_count++] = name->endpoint.addr;
    }
    return names;
}

int gw_lookup_new(struct gw_lookup **out, struct gw_endpoints *endpoints,
                  const struct gw_lookup_params *params, const struct gw_config_endpoint *items, size_t count)
{
    *out = NULL;
    struct gw_lookup *lookup = calloc(1, sizeof *lookup);
    if (!lookup)
        return GW_E_NOMEM;
    lookup->endpoints = endpoints;
    lookup->params = *params;
    lookup->retry_s = RETRY_MIN_S;
    if (take_endpoints(lookup, items, count) == 0) {
        free(lookup);
        return 0;
    }
    lookup->timer = evtimer_new(gw_loop_base(endpoints->loop), on_timer, lookup);
    if (!lookup->timer) {
        free(lookup);
        return GW_E_NOMEM;
    }
    *out = lookup;
    gw_list_push_back(&endpoints->lookups, &lookup->node);
    start(lookup);
    return 0;
}

void gw_lookup_free(struct gw_lookup *lookup)
{
    if (!lookup)
        return;
    for (unsigned i = 0; i < lookup->count; i++) {
        if (lookup->names[i].request)
            evdns_getaddrinfo_cancel(lookup->names[i].request);
    }
    gw_list_remove(&lookup->node);
    event_free(lookup->timer);
    free(lookup);
}

bool gw_endpoints_has_name(const struct gw_endpoints *endpoints, const char *host)
{
    gw_list_for_each (node, &endpoints->lookups) {
        const struct gw_lookup *lookup = gw_list_entry(node, struct gw_lookup, node);
        for (unsigned i = 0; i < lookup->count; i++) {
            const struct gw_config_endpoint *endpoint = &lookup->names[i].endpoint;
            if (endpoint->kind == GW_CONFIG_ENDPOINT_NAME && strcasecmp(endpoint->name, host) == 0)
                return true;
        }
    }
    return false;
}

void gw_lookup_again(struct gw_lookup *lookup)
{
    if (!lookup || lookup->running > 0)
        return;
    if (gw_mono_sub(gw_loop_now(lookup->endpoints->loop), lookup->started) >= GW_S(UNREACHABLE_S))
        start(lookup);
    else
        arm(lookup, UNREACHABLE_S);
}
