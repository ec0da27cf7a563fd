/* SPDX-License-Identifier: MIT */
/* Files to peers. */
#include "gateway/daemon/peers.h"

#include "gateway/base/err.h"
#include "gateway/base/log.h"
#include "gateway/base/secret.h"
#include "gateway/daemon/advice.h"
#include "gateway/daemon/notify.h"
#include "gateway/wire/peer_id.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void gw_peers_init(struct gw_peers *peers, struct gateway *gateway, struct gw_endpoints *endpoints,
                   struct gw_vip_state *addresses, unsigned *connected)
{
    peers->addresses = addresses;
    peers->gateway = gateway;
    peers->endpoints = endpoints;
    peers->connected = connected;
    peers->suffix = NULL;
    gw_list_init(&peers->list);
    gw_list_init(&peers->refused);
}

/* For the log: one name may be in several networks. */
static const char *show_name(struct gw_peers *peers, const char *name)
{
    if (!peers->suffix)
        return name;
    snprintf(peers->shown, sizeof peers->shown, "%s.%s", name, peers->suffix);
    return peers->shown;
}

static const char *name_of(struct gw_peers *peers, const struct gw_peer *peer)
{
    return show_name(peers, gw_peer_name(peer));
}

static void set_connected(struct gw_peers *peers, struct gw_known_peer *known, bool is_connected)
{
    char text[64];
    if (known->is_connected == is_connected)
        return;
    known->is_connected = is_connected;
    *peers->connected += is_connected ? 1 : UINT_MAX;
    snprintf(text, sizeof text, "%u peer%s connected", *peers->connected, *peers->connected == 1 ? "" : "s");
    gw_notify_status(text);
}

static void remove_peer(struct gw_peers *peers, struct gw_known_peer *known, struct gw_mono now)
{
    set_connected(peers, known, false);
    gw_list_remove(&known->node);
    if (peers->on_gone)
        peers->on_gone(known->peer, now, peers->ctx);
    gw_lookup_free(known->lookup);
    gw_peer_set_user(known->peer, NULL);
    gw_gateway_remove_peer(peers->gateway, now, known->peer);
    gw_wipe(&known->config, sizeof known->config);
    free(known);
}

static void free_refused(struct gw_refused_peer *refused)
{
    gw_list_remove(&refused->node);
    gw_wipe(refused, sizeof *refused);
    free(refused);
}

void gw_peers_fini(struct gw_peers *peers, struct gw_mono now)
{
    if (!peers->list.next)
        return;
    gw_list_for_each (node, &peers->list)
        remove_peer(peers, gw_list_entry(node, struct gw_known_peer, node), now);
    gw_list_for_each (node, &peers->refused)
        free_refused(gw_list_entry(node, struct gw_refused_peer, node));
}

static struct gw_known_peer *find(struct gw_peers *peers, const uint8_t public_key[GW_KEY_LEN])
{
    struct gw_peer *peer = gw_gateway_find_peer(peers->gateway, public_key);
    return peer ? gw_peer_user(peer) : NULL;
}

/* --- one peer of the files --- */

static void on_endpoints(struct gw_mono now, const struct gw_addr *addrs, unsigned count, void *ctx)
{
    gw_peer_set_endpoints(ctx, now, addrs, count);
}

static const char *whose(void *ctx)
{
    return gw_peer_name(ctx);
}

static void look_up(struct gw_peers *peers, struct gw_known_peer *known, const struct gw_config_peer *config)
{
    const struct gw_lookup_params params = {.on_found = on_endpoints, .whose = whose, .ctx = known->peer};
    gw_lookup_free(known->lookup);
    known->lookup = NULL;
    if (config && gw_lookup_new(&known->lookup, peers->endpoints, &params, config->endpoints.items,
                                config->endpoints.count) != 0)
        gw_log_error("%s: no memory to look its endpoints up", name_of(peers, known->peer));
}

static struct gw_known_peer *add(struct gw_peers *peers, const struct gw_peer_config *config,
                                 struct gw_mono now)
{
    struct gw_known_peer *known = calloc(1, sizeof *known);
    int err = known ? gw_gateway_add_peer(peers->gateway, now, config, &known->peer) : GW_E_NOMEM;
    if (err != 0) {
        char key[GW_KEY_BASE64_STRLEN];
        gw_log_error("peer %s (%s) is left out: %s", config->name[0] ? config->name : "without a name",
                     gw_key_base64_format(config->public_key, key), gw_strerror(err));
        free(known);
        return NULL;
    }
    known->config = *config;
    gw_peer_set_user(known->peer, known);
    gw_list_push_back(&peers->list, &known->node);
    return known;
}

static bool is_same(const struct gw_peer_config *a, const struct gw_peer_config *b)
{
    return memcmp(a, b, sizeof *a) == 0;
}

/* config_peer: NULL for one that is only in authorized_keys. */
static void apply_one(struct gw_peers *peers, const struct gw_peer_config *config,
                      const struct gw_config_peer *config_peer, struct gw_mono now,
                      struct gw_peers_change *change)
{
    struct gw_known_peer *known = find(peers, config->public_key);
    if (!known) {
        known = add(peers, config, now);
        if (!known)
            return;
        change->added++;
        look_up(peers, known, config_peer);
    } else if (!is_same(&known->config, config) || known->is_configured != (config_peer != NULL)) {
        int err = gw_gateway_update_peer(peers->gateway, now, known->peer, config);
        if (err != 0)
            gw_log_error("%s: stays as it was: %s", name_of(peers, known->peer), gw_strerror(err));
        else
            known->config = *config;
        change->changed++;
        look_up(peers, known, config_peer);
    }
    known->is_configured = config_peer != NULL;
    known->is_wanted = true;
}

/* A comment that is one plain word names the peer. */
static bool is_name(const char *comment)
{
    size_t len = comment ? strspn(comment, "abcdefghijklmnopqrstuvwxyz0123456789-") : 0;
    return len > 0 && len <= GW_PEER_NAME_MAX && comment[len] == '\0' && comment[0] != '-' &&
           comment[len - 1] != '-';
}

static void config_of_key(struct gw_peer_config *out, const struct gw_config_network *config,
                          const struct gw_authorized_key *key)
{
    memset(out, 0, sizeof *out);
    memcpy(out->public_key, key->x25519, GW_KEY_LEN);
    if (is_name(key->comment))
        strcpy(out->name, key->comment);
    out->has_ed25519 = key->has_ed25519;
    memcpy(out->ed25519, key->ed25519, sizeof out->ed25519);
    out->keepalive_ns = config->protocol.keepalive_ns;
    out->connection_timeout_ns = config->protocol.connection_timeout_ns;
    out->punch_timeout_ns = config->protocol.punch_timeout_ns;
    out->punch_attempts = config->protocol.max_punch_attempts > 0
                              ? (unsigned)config->protocol.max_punch_attempts
                              : GW_PUNCH_NEVER;
    out->seal = config->seal;
    out->cc = config->congestion;
}

/* --- the gater --- */

/* What a run of gw_peers_apply goes by. */
struct applying {
    struct gw_peers *peers;
    const struct gw_network_files *files;
    struct gw_grants *grants;
    struct gw_wall wall;
    struct gw_mono now;
    struct gw_peers_change *change;
};

static struct gw_refused_peer *find_refused(struct gw_peers *peers, const uint8_t public_key[GW_KEY_LEN])
{
    gw_list_for_each (node, &peers->refused) {
        struct gw_refused_peer *refused = gw_list_entry(node, struct gw_refused_peer, node);
        if (memcmp(refused->config.public_key, public_key, GW_KEY_LEN) == 0)
            return refused;
    }
    return NULL;
}

/* Told once: when it begins, or when the reason becomes another. */
static void refuse(struct gw_peers *peers, const struct gw_peer_config *config, enum gw_verdict verdict)
{
    struct gw_refused_peer *refused = find_refused(peers, config->public_key);
    bool is_news = !refused || refused->verdict != verdict;
    if (!refused) {
        refused = calloc(1, sizeof *refused);
        if (!refused)
            return; /* it is refused all the same */
        gw_list_init(&refused->node);
        gw_list_push_back(&peers->refused, &refused->node);
    }
    refused->config = *config;
    gw_wipe(refused->config.psks, sizeof refused->config.psks);
    refused->verdict = verdict;
    refused->is_wanted = true;
    if (is_news)
        gw_log_warn("%s: is refused like a stranger: it %s (authorized_keys)",
                    show_name(peers, gw_refused_peer_name(refused)), gw_verdict_sentences[verdict]);
}

const char *gw_refused_peer_name(const struct gw_refused_peer *refused)
{
    return refused->config.name[0] ? refused->config.name : "a peer without a name";
}

static void apply_configured(const struct applying *run, const struct gw_config_peer *peer)
{
    struct gw_peer_config config;
    memset(&config, 0, sizeof config);
    gw_config_to_peer(&config, run->files->config, peer);
    if (run->peers->addresses)
        gw_addresses_give(run->peers->addresses, &config, peer);
    enum gw_verdict verdict = gw_authorize_session(run->grants, config.public_key, run->wall);
    const struct gw_refused_peer *refused = find_refused(run->peers, config.public_key);
    if (verdict == GW_VERDICT_ALLOWED && refused)
        gw_log_info("%s: may connect again", show_name(run->peers, gw_refused_peer_name(refused)));
    if (verdict == GW_VERDICT_ALLOWED)
        apply_one(run->peers, &config, peer, run->now, run->change);
    else
        refuse(run->peers, &config, verdict);
    gw_wipe(&config, sizeof config);
}

static void apply_keys(const struct applying *run)
{
    const struct gw_authorized_keys *keys = run->files->keys;
    for (size_t i = 0; i < keys->count; i++) {
        const struct gw_authorized_key *key = &keys->keys[i];
        struct gw_known_peer *known = find(run->peers, key->x25519);
        struct gw_peer_config config;
        bool is_taken = key->is_void || (known && known->is_wanted);
        bool is_own = memcmp(key->x25519, gw_gateway_public_key(run->peers->gateway), GW_KEY_LEN) == 0;
        if (is_taken || is_own ||
            gw_authorize_session(run->grants, key->x25519, run->wall) != GW_VERDICT_ALLOWED)
            continue;
        config_of_key(&config, run->files->config, key);
        if (run->peers->addresses)
            gw_addresses_give(run->peers->addresses, &config, NULL);
        apply_one(run->peers, &config, NULL, run->now, run->change);
    }
}

static void mark_all(struct gw_peers *peers)
{
    gw_list_for_each (node, &peers->list)
        gw_list_entry(node, struct gw_known_peer, node)->is_wanted = false;
    gw_list_for_each (node, &peers->refused)
        gw_list_entry(node, struct gw_refused_peer, node)->is_wanted = false;
}

static void sweep(const struct applying *run)
{
    struct gw_peers *peers = run->peers;
    gw_list_for_each (node, &peers->refused) {
        struct gw_refused_peer *refused = gw_list_entry(node, struct gw_refused_peer, node);
        if (!refused->is_wanted)
            free_refused(refused);
    }
    gw_list_for_each (node, &peers->list) {
        struct gw_known_peer *known = gw_list_entry(node, struct gw_known_peer, node);
        if (known->is_wanted)
            continue;
        enum gw_verdict verdict = gw_authorize_session(run->grants, known->config.public_key, run->wall);
        if (find_refused(peers, known->config.public_key))
            gw_log_debug("%s: removed", name_of(peers, known->peer));
        else if (verdict == GW_VERDICT_EXPIRED || verdict == GW_VERDICT_REVOKED)
            gw_log_info("%s: removed: it %s", name_of(peers, known->peer), gw_verdict_sentences[verdict]);
        else
            gw_log_info("%s: removed", name_of(peers, known->peer));
        if (peers->on_dismiss)
            peers->on_dismiss(known->peer, run->now, peers->ctx);
        remove_peer(peers, known, run->now);
        run->change->removed++;
    }
}

/* An anchor that is among the peers too has its line there: with `role: anchor` it serves as one. */
static void apply_anchors(struct gw_peers *peers, const struct gw_network_files *files, struct gw_mono now,
                          struct gw_peers_change *change)
{
    for (size_t i = 0; i < files->config->anchors.count; i++) {
        const struct gw_config_peer *anchor = &files->config->anchors.items[i];
        struct gw_known_peer *known = find(peers, anchor->public_key.bytes);
        struct gw_peer_config config;
        if (known && known->is_wanted) {
            gw_log_warn("anchor %s is among the peers too: write `role: anchor` there, and it out of anchors",
                        gw_peer_name(known->peer));
            continue;
        }
        memset(&config, 0, sizeof config);
        gw_config_to_peer(&config, files->config, anchor);
        apply_one(peers, &config, anchor, now, change);
        gw_wipe(&config, sizeof config);
    }
}

void gw_peers_apply(struct gw_peers *peers, const struct gw_network_files *files, struct gw_wall wall,
                    struct gw_mono now, struct gw_peers_change *change)
{
    struct applying run = {peers, files, gw_files_grants(files), wall, now, change};
    *change = (struct gw_peers_change){0};
    if (!run.grants) {
        gw_log_error("no memory to look through the peers: they stay as they are");
        return;
    }
    mark_all(peers);
    for (size_t i = 0; i < files->config->peers.count; i++)
        apply_configured(&run, &files->config->peers.items[i]);
    apply_anchors(peers, files, now, change);
    apply_keys(&run);
    sweep(&run);
    gw_grants_free(run.grants);
}

void gw_peers_look_up_again(struct gw_peers *peers)
{
    gw_list_for_each (node, &peers->list)
        gw_lookup_again(gw_list_entry(node, struct gw_known_peer, node)->lookup);
}

/* --- what becomes of them --- */

static const char *const suite_names[GW_SUITE_COUNT] = {"chacha20-poly1305", "aegis256", "aegis128l"};

/* What a peer may bring about as often as it likes: by coming and saying goodbye. So what is said of it is bounded. */
static void log_state(struct gw_peers *peers, struct gw_known_peer *known,
                      const struct gw_peer_status *status, struct gw_mono now)
{
    struct gw_peer *peer = known->peer;
    char at[GW_ADDR_STRLEN];
    gw_addr_log(&status->path.remote, at);
    if (status->is_relayed)
        snprintf(at, sizeof at, "relay");

    if (status->session.state == GW_SESSION_ESTABLISHED && status->has_path && !known->is_connected) {
        set_connected(peers, known, true);
        gw_peer_tell(peer, now, GW_LOG_INFO, "connected by %s", at);
    }
    if (status->session.state == known->state)
        return;
    switch (status->session.state) {
    case GW_SESSION_ESTABLISHED:
        break;
    case GW_SESSION_STALE:
        gw_peer_tell(peer, now, GW_LOG_INFO, "does not answer any more");
        break;
    case GW_SESSION_FAILED:
        if (!gw_mono_is_never(status->shut_out_at))
            gw_peer_tell(peer, now, GW_LOG_WARN, "%s. Trying again from time to time", gw_advice_shut_out);
        else
            gw_peer_tell(
                peer, now, GW_LOG_INFO,
                "no answer: is it running, is its UDP port open, does it know this node's key? Trying again from time to time");
        gw_lookup_again(known->lookup);
        break;
    case GW_SESSION_IDLE:
        gw_peer_tell(peer, now, GW_LOG_INFO, "%s",
                     gw_mono_is_never(status->ended_at) ? "disconnected" : gw_advice_ended);
        break;
    case GW_SESSION_HANDSHAKING:
        gw_log_debug("%s: connecting", name_of(peers, peer));
        break;
    }
    if (status->session.state == GW_SESSION_FAILED || status->session.state == GW_SESSION_IDLE)
        set_connected(peers, known, false);
    known->state = status->session.state;
}

static void log_seal(struct gw_known_peer *known, const struct gw_peer_status *status, struct gw_mono now)
{
    if (status->seal_conflict == known->seal_conflict)
        return;
    if (status->seal_conflict != GW_SEAL_AGREED)
        gw_peer_tell(known->peer, now, GW_LOG_WARN, "%s", gw_advice_on_seal(status->seal_conflict));
    else if (status->session.state == GW_SESSION_ESTABLISHED)
        gw_peer_tell(known->peer, now, GW_LOG_INFO, "agrees on the seal now");
    known->seal_conflict = status->seal_conflict;
}

void gw_peers_on_event(struct gw_peers *peers, struct gw_peer *peer, struct gw_mono now)
{
    struct gw_known_peer *known = gw_peer_user(peer);
    struct gw_peer_status status;
    if (!known)
        return; /* not added yet, or going */
    gw_peer_status(peer, now, &status);
    log_state(peers, known, &status, now);
    if (status.kind != known->kind)
        gw_log_debug("%s: speaks %s", name_of(peers, peer), gw_peer_kind_names[status.kind]);
    known->kind = status.kind;
    if (status.sending_suite != known->suite)
        gw_log_debug("%s: sealed with %s", name_of(peers, peer), suite_names[status.sending_suite]);
    known->suite = status.sending_suite;
    log_seal(known, &status, now);
    if (status.has_path && known->has_path && !gw_tuple_same_remote(&known->path, &status.path)) {
        char at[GW_ADDR_STRLEN];
        gw_peer_tell(peer, now, GW_LOG_INFO, "now by %s%s", gw_tuple_is_carrier(&status.path) ? "TLS, " : "",
                     status.is_relayed ? "relay" : gw_addr_log(&status.path.remote, at));
    }
    known->has_path |= status.has_path;
    if (status.has_path)
        known->path = status.path;
}
