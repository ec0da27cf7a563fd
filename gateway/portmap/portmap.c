/* SPDX-License-Identifier: MIT */
/* PCP is asked first (for IPv6, alone). A router that knows only NAT-PMP says so, or says nothing: then it is asked for its address outside by that, which changes nothing there, and for
 * the mapping when it has answered. */
#include "gateway/portmap/portmap.h"

#include "gateway/base/log.h"
#include "gateway/wire/candidate.h"

#include <string.h>

#define PCP_WAIT_NS GW_S(3)     /* RFC 6887, 8.1.1: IRT; doubles */
#define PMP_WAIT_NS GW_MS(250)  /* RFC 6886, 3.1; doubles */
#define PMP_LATER_NS GW_MS(250) /* behind PCP's first request */
#define PCP_TRIES 4u
#define PMP_TRIES 7u
#define AGAIN_NS GW_S(900)
#define AGAIN_MAX_NS GW_S(7200)
#define BEGIN_MIN_NS GW_S(10)
#define REFUSED_MIN_NS GW_S(30) /* RFC 6887, 8.3: as long as the router says, within reason */
#define REFUSED_MAX_NS GW_S(1800)
#define LIFETIME_MAX_S 86400u
#define FORGOTTEN_NS GW_S(5) /* RFC 6887, 8.5: the router has restarted, and everybody comes back */

const char *const gw_portmap_state_names[GW_PORTMAP_STATES] = {"off", "asking", "mapped", "refused",
                                                               "silent"};

static void end_ask(struct gw_portmap *portmap, unsigned which)
{
    portmap->asks[which] = (struct gw_portmap_ask){.next = GW_NEVER};
}

static void end_asks(struct gw_portmap *portmap)
{
    for (unsigned i = 0; i < GW_PORTMAP_ASKS; i++)
        end_ask(portmap, i);
}

static bool is_pcp(unsigned which)
{
    return which == GW_PORTMAP_PCP_MAP || which == GW_PORTMAP_PCP_ANNOUNCE;
}

static void ask(struct gw_portmap *portmap, unsigned which, struct gw_mono at)
{
    portmap->asks[which] = (struct gw_portmap_ask){
        .is_running = true, .wait_ns = is_pcp(which) ? PCP_WAIT_NS : PMP_WAIT_NS, .next = at};
}

/* ---- life */

void gw_portmap_init(struct gw_portmap *portmap, struct gw_random *random)
{
    *portmap = (struct gw_portmap){.random = random,
                                   .expires = GW_NEVER,
                                   .renew_at = GW_NEVER,
                                   .again_at = GW_NEVER,
                                   .began = GW_NEVER,
                                   .remapped = GW_NEVER};
    end_asks(portmap);
}

/* Asked for IPv6: a firewall's pinhole. */
static bool is_pinhole(const struct gw_portmap *portmap)
{
    return portmap->map.client.family == 6;
}

static void begin(struct gw_portmap *portmap, struct gw_mono now)
{
    end_asks(portmap);
    portmap->state = GW_PORTMAP_ASKING;
    portmap->external = portmap->outside = (struct gw_addr){.family = 0};
    portmap->expires = portmap->renew_at = portmap->again_at = GW_NEVER;
    portmap->began = now;
    ask(portmap, GW_PORTMAP_PCP_MAP, now);
    if (!is_pinhole(portmap))
        ask(portmap, GW_PORTMAP_PMP_ADDRESS, gw_mono_add(now, PMP_LATER_NS));
}

void gw_portmap_start(struct gw_portmap *portmap, struct gw_mono now, const struct gw_addr *client,
                      uint16_t port, const uint8_t nonce[GW_PCP_NONCE_LEN])
{
    gw_portmap_init(portmap, portmap->random);
    portmap->map = (struct gw_pcp_map){
        .lifetime_s = GW_PORTMAP_LIFETIME_S, .internal_port = port, .external_port = port, .client = *client};
    memcpy(portmap->map.nonce, nonce, GW_PCP_NONCE_LEN);
    portmap->again_ns = AGAIN_NS;
    begin(portmap, now);
}

void gw_portmap_renew(struct gw_portmap *portmap, struct gw_mono now)
{
    struct gw_mono soonest = gw_mono_add(portmap->began, BEGIN_MIN_NS); /* a network that flaps */
    if (portmap->state == GW_PORTMAP_MAPPED && !portmap->asks[GW_PORTMAP_PCP_MAP].is_running)
        portmap->renew_at = gw_mono_min(portmap->renew_at, now);
    else if (portmap->state == GW_PORTMAP_REFUSED || portmap->state == GW_PORTMAP_SILENT)
        portmap->again_at = gw_mono_min(portmap->again_at, gw_mono_max(now, soonest));
}

void gw_portmap_stop(struct gw_portmap *portmap)
{
    gw_portmap_init(portmap, portmap->random);
}

size_t gw_portmap_give_back(const struct gw_portmap *portmap, uint8_t out[GW_PCP_REQUEST_MAX])
{
    struct gw_pcp_map map = portmap->map;
    map.lifetime_s = 0;
    if (portmap->state != GW_PORTMAP_MAPPED)
        return 0;
    return portmap->version == GW_PCP ? gw_pcp_encode_map(out, &map) : gw_pmp_encode_map(out, &map);
}

void gw_portmap_probe(struct gw_portmap *portmap, struct gw_mono now)
{
    if (portmap->state == GW_PORTMAP_OFF)
        return;
    portmap->is_probing = true;
    ask(portmap, GW_PORTMAP_PCP_ANNOUNCE, now);
    if (!is_pinhole(portmap) && !portmap->asks[GW_PORTMAP_PMP_ADDRESS].is_running)
        ask(portmap, GW_PORTMAP_PMP_ADDRESS, now);
}

/* ---- out */

static size_t encode(const struct gw_portmap *portmap, unsigned which, uint8_t out[GW_PCP_REQUEST_MAX])
{
    switch (which) {
    case GW_PORTMAP_PCP_MAP:
        return gw_pcp_encode_map(out, &portmap->map);
    case GW_PORTMAP_PMP_ADDRESS:
        return gw_pmp_encode_address(out);
    case GW_PORTMAP_PMP_MAP:
        return gw_pmp_encode_map(out, &portmap->map);
    default:
        return gw_pcp_encode_announce(out, &portmap->map.client);
    }
}

size_t gw_portmap_take(struct gw_portmap *portmap, struct gw_mono now, uint8_t out[GW_PCP_REQUEST_MAX])
{
    for (unsigned i = 0; i < GW_PORTMAP_ASKS; i++) {
        struct gw_portmap_ask *asked = &portmap->asks[i];
        if (!asked->is_running || asked->tries == (is_pcp(i) ? PCP_TRIES : PMP_TRIES) ||
            !gw_mono_due(asked->next, now))
            continue;
        asked->tries++;
        asked->next = gw_mono_add(now, asked->wait_ns);
        asked->wait_ns *= 2;
        return encode(portmap, i, out);
    }
    return 0;
}

/* ---- what came */

/* RFC 6887, 8.5, and RFC 6886, 3.6, by one rule: both clocks have to have moved as much, within a sixteenth and two seconds; backwards not at all. */
static bool has_forgotten(struct gw_portmap_epoch *epoch, uint32_t seconds, struct gw_mono now)
{
    struct gw_portmap_epoch old = *epoch;
    *epoch = (struct gw_portmap_epoch){.is_known = true, .seconds = seconds, .at = now};
    if (!old.is_known)
        return false;
    int64_t theirs = (int64_t)seconds - old.seconds, ours = gw_mono_sub(now, old.at) / GW_S(1);
    return theirs < -1 || ours + 2 < theirs - theirs / 16 || theirs + 2 < ours - ours / 16;
}

static void fail(struct gw_portmap *portmap, enum gw_portmap_state state, struct gw_mono now, int64_t wait_ns)
{
    end_asks(portmap);
    portmap->state = state;
    portmap->external = (struct gw_addr){.family = 0};
    portmap->expires = portmap->renew_at = GW_NEVER;
    portmap->again_at = gw_mono_add(now, wait_ns);
}

static void nobody_answers(struct gw_portmap *portmap, struct gw_mono now)
{
    fail(portmap, GW_PORTMAP_SILENT, now, portmap->again_ns);
    portmap->again_ns = portmap->again_ns * 2 < AGAIN_MAX_NS ? portmap->again_ns * 2 : AGAIN_MAX_NS;
}

static bool refused(struct gw_portmap *portmap, const struct gw_pcp_response *response, struct gw_mono now)
{
    bool was_mapped = portmap->state == GW_PORTMAP_MAPPED;
    int64_t wait = GW_S(response->lifetime_s);
    wait = response->version == GW_PMP ? AGAIN_NS : wait;
    portmap->version = response->version;
    portmap->result = response->result;
    gw_log_info("the router %s by %s: %s",
                is_pinhole(portmap) ? "lets no IPv6 port through" : "forwards no port",
                response->version == GW_PCP ? "PCP" : "NAT-PMP",
                gw_pcp_result_text(response->version, response->result));
    fail(portmap, GW_PORTMAP_REFUSED, now,
         wait < REFUSED_MIN_NS   ? REFUSED_MIN_NS
         : wait > REFUSED_MAX_NS ? REFUSED_MAX_NS
                                 : wait);
    return was_mapped;
}

static int64_t random_ns(struct gw_portmap *portmap, int64_t below)
{
    return (int64_t)(gw_random_u64(portmap->random) % (uint64_t)below);
}

/* Half of the lifetime, and up to an eighth more, so that not everybody comes at once (RFC 6887, 11.2.1). */
static int64_t until_renewal(struct gw_portmap *portmap)
{
    int64_t half = GW_S(portmap->lifetime_s) / 2;
    int64_t wait = half + random_ns(portmap, half / 4 + 1);
    return wait > GW_PORTMAP_RENEW_MIN_NS ? wait : GW_PORTMAP_RENEW_MIN_NS;
}

static bool mapped(struct gw_portmap *portmap, const struct gw_pcp_response *response,
                   struct gw_addr external, struct gw_mono now)
{
    bool is_new = portmap->state != GW_PORTMAP_MAPPED || !gw_addr_equal(&portmap->external, &external);
    char text[GW_ADDR_STRLEN];
    end_ask(portmap, GW_PORTMAP_PCP_MAP);
    end_ask(portmap, GW_PORTMAP_PMP_MAP);
    if (!portmap->is_probing)
        end_ask(portmap, GW_PORTMAP_PMP_ADDRESS);
    portmap->state = GW_PORTMAP_MAPPED;
    portmap->version = response->version;
    portmap->external = external;
    portmap->lifetime_s = response->lifetime_s < LIFETIME_MAX_S ? response->lifetime_s : LIFETIME_MAX_S;
    portmap->expires = gw_mono_add(now, GW_S(portmap->lifetime_s));
    portmap->renew_at = gw_mono_add(now, until_renewal(portmap));
    portmap->again_at = GW_NEVER;
    portmap->again_ns = AGAIN_NS;
    portmap->map.external_port = external.port; /* the same again, if it can be had */
    if (response->version == GW_PCP)
        portmap->map.external = external;
    if (is_new)
        gw_log_info("the router %s %s to this node, by %s, for %u s",
                    is_pinhole(portmap) ? "lets through" : "forwards", gw_addr_log(&external, text),
                    response->version == GW_PCP ? "PCP" : "NAT-PMP", portmap->lifetime_s);
    return is_new;
}

/* The router has lost our mapping, or may have: asks for it again; but not as often as it likes. */
static void remap(struct gw_portmap *portmap, struct gw_mono at, struct gw_mono now)
{
    bool is_too_soon =
        !gw_mono_is_never(portmap->remapped) && gw_mono_sub(now, portmap->remapped) < GW_PORTMAP_RENEW_MIN_NS;
    if (portmap->state != GW_PORTMAP_MAPPED || is_too_soon)
        return;
    portmap->remapped = now;
    gw_log_info("the router has restarted: asking it for the port again");
    ask(portmap, portmap->version == GW_PCP ? GW_PORTMAP_PCP_MAP : GW_PORTMAP_PMP_ADDRESS, at);
}

static bool map_input(struct gw_portmap *portmap, const struct gw_pcp_response *response, struct gw_mono now)
{
    bool is_pcp_map = response->version == GW_PCP;
    unsigned which = is_pcp_map ? GW_PORTMAP_PCP_MAP : GW_PORTMAP_PMP_MAP;
    struct gw_addr external = response->external;
    if (!portmap->asks[which].is_running || portmap->asks[which].tries == 0)
        return false; /* not asked: a late double, or a lie */
    bool is_short =
        response->result != GW_PCP_SUCCESS && response->protocol == 0; /* without what was asked */
    bool is_ours = response->internal_port == portmap->map.internal_port &&
                   (!is_pcp_map || memcmp(response->nonce, portmap->map.nonce, GW_PCP_NONCE_LEN) == 0);
    if (!is_short && !is_ours)
        return false;
    if (response->result != GW_PCP_SUCCESS)
        return refused(portmap, response, now);
    if (!is_pcp_map) {
        external = portmap->outside;
        external.port = response->external.port;
    }
    if (response->lifetime_s == 0 || external.family != portmap->map.client.family ||
        !gw_candidate_is_usable(&external)) {
        gw_log_info("what the router says of the port that it forwards makes no sense");
        bool was_mapped = portmap->state == GW_PORTMAP_MAPPED;
        fail(portmap, GW_PORTMAP_SILENT, now, portmap->again_ns);
        return was_mapped;
    }
    return mapped(portmap, response, external, now);
}

/* NAT-PMP's address: the answer, or an announcement that it is another one now. */
static bool address_input(struct gw_portmap *portmap, const struct gw_pcp_response *response,
                          struct gw_mono now)
{
    struct gw_portmap_ask *asked = &portmap->asks[GW_PORTMAP_PMP_ADDRESS];
    bool was_asked = asked->is_running;
    end_ask(portmap, GW_PORTMAP_PMP_ADDRESS);
    portmap->is_probing = false;
    portmap->outside = response->external;
    if (portmap->state == GW_PORTMAP_MAPPED && portmap->version == GW_PCP) {
        if (!gw_addr_same_ip(&portmap->external, &response->external))
            ask(portmap, GW_PORTMAP_PCP_MAP, now);
        return false;
    }
    bool is_other =
        portmap->state == GW_PORTMAP_MAPPED && !gw_addr_same_ip(&portmap->external, &response->external);
    if (portmap->state == GW_PORTMAP_ASKING || is_other || (was_asked && portmap->state == GW_PORTMAP_MAPPED))
        ask(portmap, GW_PORTMAP_PMP_MAP, now);
    return false;
}

/* The answer to PCP by a router that knows only NAT-PMP. */
static void no_pcp(struct gw_portmap *portmap, struct gw_mono now)
{
    bool was_asked = portmap->asks[GW_PORTMAP_PCP_MAP].is_running;
    end_ask(portmap, GW_PORTMAP_PCP_MAP);
    end_ask(portmap, GW_PORTMAP_PCP_ANNOUNCE);
    if (is_pinhole(portmap) && portmap->state == GW_PORTMAP_ASKING)
        nobody_answers(portmap, now);
    if (was_asked && portmap->asks[GW_PORTMAP_PMP_ADDRESS].is_running &&
        portmap->asks[GW_PORTMAP_PMP_ADDRESS].tries == 0)
        portmap->asks[GW_PORTMAP_PMP_ADDRESS].next = now;
}

bool gw_portmap_input(struct gw_portmap *portmap, struct gw_mono now, const uint8_t *data, size_t len,
                      bool is_announced)
{
    struct gw_pcp_response response;
    if (portmap->state == GW_PORTMAP_OFF || gw_pcp_decode(&response, data, len) != 0)
        return false;
    if (response.version == GW_PMP && response.result == GW_PCP_UNSUPPORTED_VERSION) {
        if (!is_announced)
            no_pcp(portmap, now);
        return false;
    }
    if (response.version == GW_PMP && is_pinhole(portmap))
        return false; /* it was not asked, and has nothing to say about IPv6 */
    *(response.version == GW_PCP ? &portmap->has_pcp : &portmap->has_pmp) = true;
    bool is_answer = response.kind == GW_PCP_MAP && !is_announced; /* by which it is there again */
    if (has_forgotten(&portmap->epoch, response.epoch_s, now) && !is_answer)
        remap(portmap, is_announced ? gw_mono_add(now, random_ns(portmap, FORGOTTEN_NS)) : now, now);
    if (response.kind == GW_PCP_ANNOUNCE)
        end_ask(portmap, GW_PORTMAP_PCP_ANNOUNCE);
    if (response.kind == GW_PCP_MAP && !is_announced)
        return map_input(portmap, &response, now);
    if (response.kind == GW_PCP_ADDRESS && response.result == GW_PCP_SUCCESS &&
        (!is_announced || gw_addr_is_set(&portmap->outside)))
        return address_input(portmap, &response, now);
    if (response.kind == GW_PCP_ADDRESS && response.result != GW_PCP_SUCCESS && !is_announced &&
        portmap->state == GW_PORTMAP_ASKING && !portmap->asks[GW_PORTMAP_PCP_MAP].is_running)
        return refused(portmap, &response, now);
    return false;
}

void gw_portmap_unreachable(struct gw_portmap *portmap, struct gw_mono now)
{
    if (portmap->state != GW_PORTMAP_ASKING)
        return;
    fail(portmap, GW_PORTMAP_SILENT, now, portmap->again_ns);
}

/* ---- time */

static void expire_asks(struct gw_portmap *portmap, struct gw_mono now)
{
    for (unsigned i = 0; i < GW_PORTMAP_ASKS; i++) {
        const struct gw_portmap_ask *asked = &portmap->asks[i];
        if (asked->is_running && asked->tries == (is_pcp(i) ? PCP_TRIES : PMP_TRIES) &&
            gw_mono_due(asked->next, now))
            end_ask(portmap, i);
    }
}

static bool is_asking(const struct gw_portmap *portmap)
{
    return portmap->asks[GW_PORTMAP_PCP_MAP].is_running || portmap->asks[GW_PORTMAP_PMP_MAP].is_running ||
           portmap->asks[GW_PORTMAP_PMP_ADDRESS].is_running;
}

bool gw_portmap_expire(struct gw_portmap *portmap, struct gw_mono now)
{
    expire_asks(portmap, now);
    if (portmap->state == GW_PORTMAP_MAPPED && gw_mono_due(portmap->expires, now)) {
        gw_log_info("the router did not renew the port that it forwarded");
        begin(portmap, now);
        return true;
    }
    if (portmap->state == GW_PORTMAP_MAPPED && gw_mono_due(portmap->renew_at, now)) {
        ask(portmap, portmap->version == GW_PCP ? GW_PORTMAP_PCP_MAP : GW_PORTMAP_PMP_ADDRESS, now);
        portmap->renew_at = gw_mono_add(now, until_renewal(portmap));
    }
    if (portmap->state == GW_PORTMAP_ASKING && !is_asking(portmap))
        nobody_answers(portmap, now);
    if (gw_mono_due(portmap->again_at, now))
        begin(portmap, now);
    return false;
}

struct gw_mono gw_portmap_next_deadline(const struct gw_portmap *portmap)
{
    struct gw_mono next = gw_mono_min(portmap->expires, gw_mono_min(portmap->renew_at, portmap->again_at));
    for (unsigned i = 0; i < GW_PORTMAP_ASKS; i++)
        next = gw_mono_min(next, portmap->asks[i].next);
    return next;
}

bool gw_portmap_is_quiet(const struct gw_portmap *portmap, struct gw_mono now)
{
    if (portmap->state == GW_PORTMAP_ASKING)
        return gw_mono_sub(now, portmap->began) >= GW_PORTMAP_QUIET_NS;
    return portmap->state == GW_PORTMAP_REFUSED || portmap->state == GW_PORTMAP_SILENT;
}
