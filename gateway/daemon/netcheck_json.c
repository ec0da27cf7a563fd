/* SPDX-License-Identifier: MIT */
/* What `netcheck` tells, as JSON (docs/CONTROL.md). */
#include "gateway/daemon/netcheck.h"

#include "gateway/daemon/anchor_setup.h"
#include "gateway/daemon/json.h"
#include "gateway/link/interfaces.h"
#include "gateway/link/route.h"

#define ADDRESSES_MAX 64u

/* ---- who answers */

bool gw_netcheck_has_udp(const struct gw_network *network, uint8_t family, struct gw_mono now, bool *is_asked)
{
    struct gw_stun_view server;
    struct gw_anchor_view anchor;
    bool has_udp = false;
    *is_asked = false;
    for (unsigned i = 0; gw_stun_view(gw_gateway_stun(network->gateway), i, &server); i++) {
        bool is_of = family == 0 || server.server.family == family;
        *is_asked |= is_of;
        has_udp |= is_of && server.state == GW_STUN_ANSWERS;
    }
    for (unsigned i = 0; gw_gateway_anchor_view(network->gateway, i, now, &anchor); i++) {
        const struct gw_peer_config *config = gw_peer_config(anchor.peer);
        for (unsigned k = 0; k < config->endpoint_count; k++)
            *is_asked |= family == 0 || config->endpoints[k].family == family;
        has_udp |= anchor.is_connected && gw_addr_is_set(&anchor.observed) &&
                   (family == 0 || anchor.observed.family == family);
    }
    return has_udp;
}

/* ---- one family */

static json_t *text_or_null(const char *text)
{
    return text ? json_string(text) : json_null();
}

static json_t *addr_or_null(const struct gw_addr *addr)
{
    char text[GW_ADDR_STRLEN];
    return gw_addr_is_set(addr) ? json_string(gw_addr_format(addr, text)) : json_null();
}

/* The interfaces' own; *is_seen: seen is one of them, so there is no NAT. */
static json_t *own_addresses(uint8_t family, const struct gw_addr *seen, bool *is_seen)
{
    struct gw_addr found[ADDRESSES_MAX];
    char text[GW_ADDR_STRLEN];
    json_t *list = json_array();
    *is_seen = false;
    unsigned count = gw_interfaces_list(found, ADDRESSES_MAX);
    for (unsigned i = 0; i < count; i++) {
        if (found[i].family != family)
            continue;
        *is_seen |= gw_addr_same_ip(&found[i], seen);
        gw_addr_format(&found[i], text);
        text[strlen(text) - 2] = '\0'; /* ":0" */
        json_array_append_new(list, json_string(text));
    }
    return list;
}

/* Where we are seen, by whoever tells first. */
static struct gw_addr observed(const struct gw_network *network, uint8_t family, struct gw_mono now)
{
    struct gw_addr list[GW_STUN_SERVERS_MAX];
    struct gw_anchor_view anchor;
    unsigned count = gw_stun_observed(gw_gateway_stun(network->gateway), list, GW_STUN_SERVERS_MAX);
    for (unsigned i = 0; i < count; i++) {
        if (list[i].family == family)
            return list[i];
    }
    for (unsigned i = 0; gw_gateway_anchor_view(network->gateway, i, now, &anchor); i++) {
        if (anchor.is_connected && anchor.observed.family == family)
            return anchor.observed;
    }
    return (struct gw_addr){.family = 0};
}

/* The common names of what RFC 4787 calls mapping and filtering. */
static const char *kind_of(bool is_nat, const struct gw_stun_behaviour *behaviour)
{
    static const char *const cones[GW_STUN_RULES] = {NULL, "full-cone", "address-restricted",
                                                     "port-restricted"};
    if (behaviour->filtering == GW_STUN_UNKNOWN || behaviour->mapping == GW_STUN_UNKNOWN)
        return NULL;
    if (!is_nat)
        return behaviour->filtering == GW_STUN_INDEPENDENT ? "open" : "firewall";
    return behaviour->mapping == GW_STUN_INDEPENDENT ? cones[behaviour->filtering] : "symmetric";
}

/* As the anchors measured it, in the same words; what one anchor alone cannot tell stays unknown. */
static struct gw_stun_behaviour by_anchors(const struct gw_nat_behaviour *nat)
{
    static const enum gw_stun_rule rules[] = {[GW_NAT_UNKNOWN] = GW_STUN_UNKNOWN,
                                              [GW_NAT_INDEPENDENT] = GW_STUN_INDEPENDENT,
                                              [GW_NAT_ADDRESS] = GW_STUN_ADDRESS,
                                              [GW_NAT_ADDRESS_PORT] = GW_STUN_ADDRESS_PORT};
    bool is_vague = nat->anchors < 2 && nat->filtering == GW_NAT_ADDRESS;
    return (struct gw_stun_behaviour){.is_nat = nat->translated == GW_NAT_YES,
                                      .mapping = rules[nat->mapping],
                                      .filtering = is_vague ? GW_STUN_UNKNOWN : rules[nat->filtering],
                                      .has_hairpin = nat->hairpin == GW_NAT_YES,
                                      .is_hairpin_known = nat->hairpin != GW_NAT_UNTESTED,
                                      .measured = nat->measured};
}

/* "stun", "anchors" or NULL: by whom. A STUN server measures the node's own socket, so it goes first. */
static const char *measured_by(const struct gw_network *network, uint8_t family,
                               struct gw_stun_behaviour *found)
{
    struct gw_nat_behaviour nat;
    bool is_running;
    gw_stun_behaviour(gw_gateway_stun(network->gateway), family, found, &is_running);
    if (!gw_mono_is_never(found->measured))
        return "stun";
    gw_gateway_nat_view(network->gateway, &nat);
    if (family != 4 || nat.anchors == 0 || gw_mono_is_never(nat.measured))
        return NULL;
    *found = by_anchors(&nat);
    return "anchors";
}

static json_t *family_json(const struct gw_network *network, uint8_t family, struct gw_mono now)
{
    struct gw_addr seen = observed(network, family, now);
    struct gw_route route;
    struct gw_stun_behaviour found;
    bool is_own, is_asked;
    bool has_route = gw_route_default(&route, family) == 0 && route.has_route;
    json_t *object = json_object();
    const char *by = measured_by(network, family, &found);
    bool is_measured = by != NULL;
    bool has_udp = gw_netcheck_has_udp(network, family, now, &is_asked);
    json_object_set_new(object, "addresses", own_addresses(family, &seen, &is_own));
    json_object_set_new(object, "route", json_boolean(has_route));
    json_object_set_new(object, "udp", is_asked ? json_boolean(has_udp) : json_null());
    json_object_set_new(object, "observed", addr_or_null(&seen));
    bool is_nat = gw_addr_is_set(&seen) && (!is_own || (is_measured && found.is_nat));
    json_object_set_new(object, "nat", gw_addr_is_set(&seen) ? json_boolean(is_nat) : json_null());
    json_object_set_new(object, "kind", text_or_null(is_measured ? kind_of(is_nat, &found) : NULL));
    json_object_set_new(object, "mapping", json_string(gw_stun_rule_names[found.mapping]));
    json_object_set_new(object, "filtering", json_string(gw_stun_rule_names[found.filtering]));
    json_object_set_new(object, "hairpin",
                        found.is_hairpin_known ? json_boolean(found.has_hairpin) : json_null());
    json_object_set_new(object, "measured_by", text_or_null(by));
    json_object_set_new(object, "measured_s", gw_json_ago(found.measured, now));
    return object;
}

/* ---- the rest */

static json_t *mapping_json(const struct gw_port_mapping *mapping)
{
    const struct gw_portmap *portmap = &mapping->portmap;
    const char *reason, *state = gw_port_mapping_state(mapping, &reason);
    struct gw_addr external;
    const struct gw_addr router = mapping->router;
    char text[GW_ADDR_STRLEN];
    json_t *object = json_object();
    gw_port_mapping_external(mapping, &external);
    gw_addr_format_ip(&router, text);
    json_object_set_new(object, "state", json_string(state));
    json_object_set_new(object, "reason", text_or_null(reason));
    json_object_set_new(object, "protocol", text_or_null(gw_port_mapping_protocol(mapping)));
    json_object_set_new(object, "external", addr_or_null(&external));
    json_object_set_new(object, "router", gw_addr_is_set(&router) ? json_string(text) : json_null());
    json_object_set_new(object, "pcp", json_boolean(portmap->has_pcp));
    if (mapping->family == 6)
        return object; /* the others have no IPv6 */
    json_object_set_new(object, "nat_pmp", json_boolean(portmap->has_pmp));
    json_object_set_new(object, "upnp", json_boolean(mapping->igd.is_found));
    return object;
}

static json_t *servers_json(const struct gw_network *network)
{
    struct gw_stun_view server;
    char text[GW_ADDR_STRLEN];
    json_t *list = json_array();
    for (unsigned i = 0; gw_stun_view(gw_gateway_stun(network->gateway), i, &server); i++) {
        json_t *object = json_pack("{s:s,s:s,s:b}", "server", gw_addr_format(&server.server, text), "state",
                                   gw_stun_state_names[server.state], "measures", server.can_measure);
        json_object_set_new(object, "observed", addr_or_null(&server.mapped));
        json_object_set_new(object, "rtt_ms", server.rtt_ns > 0 ? gw_json_ms(server.rtt_ns) : json_null());
        json_array_append_new(list, object);
    }
    return list;
}

static const char *verdict(bool has_udp, bool is_asked, bool has_route, enum gw_netcheck_tcp tcp)
{
    if (!has_route)
        return "offline";
    if (has_udp)
        return "udp";
    if (!is_asked)
        return "nobody-to-ask";
    if (tcp == GW_TCP_WORKS_AND_UDP)
        return "not-running";
    return tcp == GW_TCP_CAPTURED ? "captive" : tcp == GW_TCP_WORKS ? "udp-blocked" : "no-answer";
}

json_t *gw_netcheck_json(const struct gw_network *network, enum gw_netcheck_tcp tcp, struct gw_mono now)
{
    struct gw_route route;
    bool is_asked, has_udp = gw_netcheck_has_udp(network, 0, now, &is_asked);
    bool has_route = (gw_route_default(&route, 4) == 0 && route.has_route) ||
                     (gw_route_default(&route, 6) == 0 && route.has_route);
    json_t *object = json_object(), *anchors = json_array();
    gw_anchor_setup_add_anchors(anchors, network, now);
    json_object_set_new(object, "network", json_string(network->name));
    json_object_set_new(object, "port", json_integer(gw_link_port(network->link)));
    json_object_set_new(object, "verdict",
                        json_string(verdict(has_udp, is_asked, has_route || has_udp, tcp)));
    json_object_set_new(object, "udp", is_asked ? json_boolean(has_udp) : json_null());
    json_object_set_new(object, "tcp",
                        tcp == GW_TCP_NOT_TRIED
                            ? json_null()
                            : json_boolean(tcp == GW_TCP_WORKS || tcp == GW_TCP_WORKS_AND_UDP));
    json_object_set_new(object, "ipv4", family_json(network, 4, now));
    json_object_set_new(object, "ipv6", family_json(network, 6, now));
    json_object_set_new(object, "port_mapping", mapping_json(&network->outside.mapping));
    json_object_set_new(object, "pinhole", mapping_json(&network->outside.pinhole));
    json_object_set_new(object, "stun", servers_json(network));
    json_object_set_new(object, "anchors", anchors);
    json_object_set_new(object, "nat", gw_anchor_setup_nat_json(network, now));
    json_object_set_new(object, "public", gw_anchor_setup_public_json(network, now));
    return object;
}
