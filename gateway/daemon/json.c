/* SPDX-License-Identifier: MIT */
/* Counters and peers as JSON. */
#include "gateway/daemon/json.h"

#include "gateway/config/endpoint.h"
#include "gateway/daemon/advice.h"
#include "gateway/daemon/anchor_setup.h"
#include "gateway/daemon/peers.h"
#include "gateway/wire/peer_id.h"
#include "resolver/vip.h"

static const char *const suite_names[GW_SUITE_COUNT] = {"chacha20-poly1305", "aegis256", "aegis128l"};

json_t *gw_json_count(uint64_t value)
{
    return json_integer((json_int_t)value);
}

json_t *gw_json_counters(const struct gw_json_counter *counters, size_t count)
{
    json_t *object = json_object();
    for (size_t i = 0; i < count; i++)
        json_object_set_new(object, counters[i].name, gw_json_count(counters[i].value));
    return object;
}

json_t *gw_json_ms(int64_t ns)
{
    return json_real((double)(ns / 1000) / 1000.0);
}

json_t *gw_json_ago(struct gw_mono then, struct gw_mono now)
{
    if (gw_mono_is_never(then))
        return json_null();
    return json_real((double)(gw_mono_sub(now, then) / GW_MS(1)) / 1000.0);
}

static json_t *way(const struct gw_peer *peer, const struct gw_peer_status *status, struct gw_mono now)
{
    char at[GW_ADDR_STRLEN];
    if (!status->has_path)
        return json_null();
    json_t *path = json_pack("{s:i,s:s}", "payload", (int)status->payload_len, "mtu_search",
                             gw_mtu_state_names[status->mtu_state]);
    gw_anchor_setup_describe_path(path, peer, &status->path, now);
    if (!status->is_relayed && gw_addr_is_set(&status->path.local))
        json_object_set_new(path, "local", json_string(gw_addr_format(&status->path.local, at)));
    return path;
}

static json_t *seal_conflict(const struct gw_peer_status *status)
{
    if (status->seal_conflict == GW_SEAL_AGREED)
        return json_null();
    return json_pack("{s:s,s:s}", "code", gw_seal_conflict_names[status->seal_conflict], "text",
                     gw_advice_on_seal(status->seal_conflict));
}

static json_t *shut_out(const struct gw_peer_status *status, struct gw_mono now)
{
    if (gw_mono_is_never(status->shut_out_at))
        return json_null();
    return json_pack("{s:o,s:s}", "since_s", gw_json_ago(status->shut_out_at, now), "text",
                     gw_advice_shut_out);
}

static json_t *ended(const struct gw_peer_status *status, struct gw_mono now)
{
    if (gw_mono_is_never(status->ended_at))
        return json_null();
    return json_pack("{s:o,s:s}", "since_s", gw_json_ago(status->ended_at, now), "text", gw_advice_ended);
}

static void add_way(json_t *object, const struct gw_peer *peer, const struct gw_peer_status *status,
                    struct gw_mono now)
{
    json_object_set_new(object, "state", json_string(gw_session_state_names[status->session.state]));
    json_object_set_new(object, "path", way(peer, status, now));
    json_object_set_new(object, "seal_conflict", seal_conflict(status));
    json_object_set_new(object, "shut_out", shut_out(status, now));
    json_object_set_new(object, "ended", ended(status, now));
    json_object_set_new(object, "path_policy", json_string(gw_path_policy_names[gw_peer_config(peer)->path]));
}

void gw_json_add_way(json_t *object, const struct gw_peer *peer, struct gw_mono now)
{
    struct gw_peer_status status;
    gw_peer_status(peer, now, &status);
    add_way(object, peer, &status, now);
}

static void add_who(json_t *object, const char *name, const struct gw_peer_config *config)
{
    char peer_id[GW_PEER_ID_STRLEN], key[GW_KEY_BASE64_STRLEN];
    json_object_set_new(object, "name", json_string(name));
    json_object_set_new(object, "peer_id",
                        config->has_ed25519 ? json_string(gw_peer_id_format(config->ed25519, peer_id))
                                            : json_null());
    json_object_set_new(object, "public_key", json_string(gw_key_base64_format(config->public_key, key)));
}

void gw_json_add_who(json_t *object, const struct gw_peer *peer)
{
    add_who(object, gw_peer_name(peer), gw_peer_config(peer));
}

json_t *gw_json_refused_peer(const struct gw_refused_peer *refused)
{
    json_t *object = json_object();
    add_who(object, gw_refused_peer_name(refused), &refused->config);
    json_object_set_new(object, "reason",
                        json_pack("{s:s,s:s}", "code",
                                  refused->verdict == GW_VERDICT_REVOKED ? "revoked" : "expired", "text",
                                  gw_verdict_sentences[refused->verdict]));
    return object;
}

static json_t *flows(const struct gw_mux_stats *stats)
{
    return json_pack("{s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:s}", "open", (json_int_t)stats->streams_open,
                     "total", (json_int_t)stats->streams_total, "sent", (json_int_t)stats->bytes_sent,
                     "received", (json_int_t)stats->bytes_received, "packets_sent",
                     (json_int_t)stats->packets_sent, "packets_lost", (json_int_t)stats->packets_lost,
                     "packets_spurious", (json_int_t)stats->packets_spurious, "window",
                     (json_int_t)stats->cwnd, "inflight", (json_int_t)stats->inflight, "pacing_rate",
                     (json_int_t)stats->pacing_rate, "congestion", stats->cc_name);
}

static void add_session(json_t *object, const struct gw_session_stats *session, struct gw_mono now)
{
    json_object_set_new(object, "since_s", gw_json_ago(session->state_since, now));
    json_object_set_new(object, "last_handshake_s", gw_json_ago(session->last_handshake, now));
    json_object_set_new(object, "last_received_s", gw_json_ago(session->last_received, now));
    json_object_set_new(object, "bytes_sent", json_integer((json_int_t)session->bytes_sent));
    json_object_set_new(object, "bytes_received", json_integer((json_int_t)session->bytes_received));
    json_object_set_new(object, "refused_as_replay",
                        json_integer((json_int_t)session->handshakes_refused_as_replay));
    json_object_set_new(object, "clock_behind_s", json_integer((json_int_t)session->peer_clock_behind_s));
}

static json_t *addresses(const struct gw_peer_config *config)
{
    json_t *list = json_array();
    char at[GW_ADDR_STRLEN + 4];
    for (unsigned i = 0; i < config->allowed_ip_count; i++) {
        json_array_append_new(list, json_string(gw_prefix_format(&config->allowed_ips[i], at, sizeof at)));
    }
    return list;
}

/* null when not known. */
static void add_address(json_t *object, const char *key, const struct gw_addr *address)
{
    const struct gw_prefix single = {.ip = *address, .bits = address->family == 6 ? 128 : 32};
    char text[GW_ADDR_STRLEN + 4];
    gw_prefix_format(&single, text, sizeof text);
    text[strcspn(text, "/")] = 0;
    json_object_set_new(object, key, gw_addr_is_set(address) ? json_string(text) : json_null());
}

/* By which address programs of this machine reach it: what names resolve to. */
static struct gw_addr here(const struct gw_peer_status *status, const struct gw_addr *ipv6,
                           const struct gw_guest *guest, bool has_tun)
{
    if (has_tun)
        return gw_addr_is_set(&status->ipv4) ? status->ipv4 : *ipv6;
    /* Where nothing listens, as it has packets only, is no address. */
    bool is_routed = guest && guest->router_peer && status->kind != GW_PEER_WIREGUARD;
    return is_routed ? guest->local : (struct gw_addr){.family = 0};
}

json_t *gw_json_peer(const struct gw_peer *peer, const struct gw_guest *guest, bool has_tun,
                     struct gw_mono now)
{
    const struct gw_known_peer *known = gw_peer_user(peer);
    struct gw_peer_status status;
    struct gw_addr ipv6, at;
    json_t *object = json_object();

    gw_peer_status(peer, now, &status);
    gw_json_add_who(object, peer);
    json_object_set_new(object, "source",
                        json_string(known && known->is_configured ? "config" : "authorized_keys"));
    json_object_set_new(object, "protocol", json_string(gw_peer_kind_names[status.kind]));
    json_object_set_new(object, "hello_name", json_string(status.hello_name));
    add_way(object, peer, &status, now);
    add_session(object, &status.session, now);
    json_object_set_new(object, "seal", json_string(suite_names[status.sending_suite]));
    json_object_set_new(object, "rtt_ms", status.rtt_ns > 0 ? gw_json_ms(status.rtt_ns) : json_null());
    json_object_set_new(object, "flows", status.has_flows ? flows(&status.flows) : json_null());
    add_address(object, "ipv4", &status.ipv4);
    gw_vip_ipv6(gw_peer_config(peer)->public_key, &ipv6);
    add_address(object, "ipv6", &ipv6);
    add_address(object, "own_ipv4", &status.own_ipv4);
    at = here(&status, &ipv6, guest, has_tun);
    add_address(object, "here", &at);
    json_object_set_new(object, "packets_dropped",
                        json_integer((json_int_t)(status.packets.dropped_full + status.packets.dropped_late +
                                                  status.packets_refused)));
    json_object_set_new(object, "allowed_ips", addresses(gw_peer_config(peer)));
    return object;
}
