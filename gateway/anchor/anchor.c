/* SPDX-License-Identifier: MIT */
/* An anchor's clients and what they ask. Each request costs one token of its client, so that no client keeps the anchor busy; a request beyond that gets no
 * answer but where the asker needs one to know what is wrong. */
#include "gateway/anchor/fleet_private.h"

#include "gateway/base/err.h"
#include "gateway/base/log.h"
#include "gateway/base/secret.h"

#include <stdlib.h>
#include <string.h>

#define MAX_TAGS 256u
#define MAX_CHANNELS 10000u
#define MAX_PER_CLIENT 256u
#define LIFETIME_MAX_S 900u
#define LIFETIME_MIN_S 10u
#define SWEEP_NS GW_S(60)

/* ---- life */

static void on_sweep(struct gw_deadline *deadline, struct gw_mono now)
{
    struct gw_anchor *anchor = gw_container_of(deadline, struct gw_anchor, sweep);
    gw_list_for_each (node, &anchor->clients) {
        struct gw_anchor_client *client = gw_list_entry(node, struct gw_anchor_client, node);
        gw_directory_sweep(&anchor->directory, &client->registrant, now);
        gw_anchor_channels_sweep(anchor, client, now);
    }
    gw_anchor_usages_sweep(anchor, now);
    if (anchor->directory.count > 0 || anchor->channel_count > 0 || anchor->usages.len > 0)
        gw_deadline_arm(&anchor->host->deadlines, &anchor->sweep, gw_mono_add(now, SWEEP_NS));
}

static void take_limits(struct gw_anchor *anchor, const struct gw_anchor_params *params)
{
    struct gw_anchor_params *mine = &anchor->params;
    mine->relays = params->relays;
    mine->max_tags = params->max_tags ? params->max_tags : MAX_TAGS;
    mine->max_channels = params->max_channels ? params->max_channels : MAX_CHANNELS;
    mine->max_per_client = params->max_per_client ? params->max_per_client : MAX_PER_CLIENT;
    mine->rate = params->rate;
    mine->total_rate = params->total_rate;
    mine->volume = params->volume;
}

void gw_anchor_set_limits(struct gw_anchor *anchor, const struct gw_anchor_params *params, struct gw_mono now)
{
    take_limits(anchor, params);
    if (!params->relays)
        gw_anchor_channels_stop(anchor, now);
}

int gw_anchor_new(struct gw_anchor **out, struct gw_peer_host *host, const struct gw_anchor_params *params,
                  struct gw_mono now)
{
    struct gw_anchor *anchor = calloc(1, sizeof *anchor);
    uint8_t seed[16];
    if (!anchor)
        return GW_E_NOMEM;
    anchor->host = host;
    anchor->params = *params;
    take_limits(anchor, params);
    anchor->instance = gw_random_u64(host->random);
    gw_bucket_init(&anchor->total, gw_anchor_burst(params->total_rate), now);
    gw_random_fill(host->random, seed, sizeof seed);
    gw_map_init(&anchor->sides, sizeof(uint32_t), seed);
    gw_map_init(&anchor->tokens, GW_TOKEN_ID_LEN, seed);
    gw_map_init(&anchor->usages, 2 * GW_KEY_LEN, seed);
    gw_list_init(&anchor->queue);
    gw_directory_init(&anchor->directory, host->random);
    gw_list_init(&anchor->clients);
    gw_deadline_init(&anchor->sweep, on_sweep);
    if (gw_deadlines_reserve(&host->deadlines) != 0) {
        free(anchor);
        return GW_E_NOMEM;
    }
    if (params->fleet.ops && gw_fleet_new(&anchor->fleet, anchor, &params->fleet) != 0) {
        gw_anchor_free(anchor);
        return GW_E_NOMEM;
    }
    gw_wipe(&anchor->params.fleet, sizeof anchor->params.fleet);
    *out = anchor;
    return 0;
}

void gw_anchor_free(struct gw_anchor *anchor)
{
    if (!anchor)
        return;
    gw_fleet_free(anchor->fleet);
    gw_anchor_queue_clear(anchor);
    gw_anchor_probes_fini(anchor);
    gw_map_fini(&anchor->sides);
    gw_map_fini(&anchor->tokens);
    gw_anchor_usages_fini(anchor);
    gw_directory_fini(&anchor->directory);
    gw_deadline_disarm(&anchor->host->deadlines, &anchor->sweep);
    gw_deadlines_release(&anchor->host->deadlines);
    free(anchor);
}

static struct gw_anchor_client *client_of(struct gw_anchor *anchor, struct gw_peer *peer, struct gw_mono now)
{
    if (peer->anchor_client || anchor->client_count == GW_ANCHOR_CLIENTS_MAX)
        return peer->anchor_client;
    struct gw_anchor_client *client = calloc(1, sizeof *client);
    if (!client)
        return NULL;
    client->peer = peer;
    gw_registrant_init(&client->registrant);
    gw_list_init(&client->sides);
    client->asked_where = client->spoke = GW_NEVER;
    gw_bucket_init(&client->requests, GW_ANCHOR_REQUEST_RATE, now);
    gw_bucket_init(&client->punches, GW_ANCHOR_PUNCH_BURST, now);
    gw_bucket_init(&client->called, GW_ANCHOR_PUNCH_BURST, now);
    client->punch_expires = now;
    gw_list_push_back(&anchor->clients, &client->node);
    anchor->client_count++;
    peer->anchor_client = client;
    gw_peer_keepalive_fit(peer, now);
    return client;
}

void gw_anchor_client_ended(struct gw_anchor *anchor, struct gw_peer *peer, struct gw_mono now)
{
    struct gw_anchor_client *client = peer->anchor_client;
    if (!client)
        return;
    if (anchor->fleet) {
        gw_fleet_client_gone(anchor->fleet, client);
        gw_fleet_withdraw(anchor->fleet, client, now);
    }
    gw_anchor_channels_end(anchor, client);
    gw_anchor_token_end(anchor, client);
    gw_directory_clear(&anchor->directory, &client->registrant);
}

void gw_anchor_peer_gone(struct gw_anchor *anchor, struct gw_peer *peer, struct gw_mono now)
{
    struct gw_anchor_client *client = peer->anchor_client;
    if (!client)
        return;
    gw_anchor_client_ended(anchor, peer, now);
    gw_list_remove(&client->node);
    anchor->client_count--;
    peer->anchor_client = NULL;
    gw_wipe(&client->punch, sizeof client->punch);
    free(client);
}

/* ---- addresses */

struct gw_addr gw_anchor_observed(const struct gw_anchor_client *client)
{
    const struct gw_path *path = gw_paths_current(&client->peer->paths);
    /* Others take our word for it that the client is there: so it has answered there, and not only written that sender on a packet (which is all that
     * WireGuard's rule asks for). Where a TLS connection comes from is no place to send datagrams to. */
    bool is_seen =
        path && path->is_validated && !gw_peer_is_stock(client->peer) && gw_tuple_is_direct(&path->tuple);
    return is_seen ? path->tuple.remote : (struct gw_addr){0};
}

bool gw_anchor_client_place(const struct gw_peer *peer, struct gw_addr *out)
{
    const struct gw_anchor_client *client = peer->anchor_client;
    if (!client || client->registrant.count == 0)
        return false;
    *out = gw_anchor_observed(client);
    return gw_addr_is_set(out);
}

unsigned gw_anchor_candidates(const struct gw_anchor_client *client,
                              struct gw_candidate out[GW_CANDIDATES_MAX])
{
    struct gw_candidate observed = {.addr = gw_anchor_observed(client), .kind = GW_CANDIDATE_OBSERVED};
    unsigned count = 0;
    if (gw_candidate_is_usable(&observed.addr))
        out[count++] = observed;
    for (unsigned i = 0; i < client->candidate_count && count < GW_CANDIDATES_MAX; i++) {
        if (gw_addr_equal(&client->candidates[i].addr, &observed.addr))
            continue;
        out[count] = client->candidates[i];
        if (count == 0 && out[0].kind == GW_CANDIDATE_OBSERVED)
            out[0].kind = GW_CANDIDATE_HOST; /* the first one would be taken for what we saw */
        count++;
    }
    return count;
}

unsigned gw_anchor_addresses(const struct gw_anchor_client *client, peergate_Address *out)
{
    struct gw_candidate list[GW_CANDIDATES_MAX];
    unsigned count = gw_anchor_candidates(client, list);
    for (unsigned i = 0; i < count; i++)
        gw_candidate_encode(&out[i], &list[i]);
    return count;
}

/* OBSERVED_ADDRESS: unasked when the client is seen at another address. */
void gw_anchor_peer_changed(struct gw_anchor *anchor, struct gw_peer *peer, struct gw_mono now)
{
    struct gw_anchor_client *client = peer->anchor_client;
    (void)anchor;
    if (!client || client->registrant.count == 0)
        return;
    struct gw_candidate observed = {.addr = gw_anchor_observed(client), .kind = GW_CANDIDATE_OBSERVED};
    if (!gw_addr_is_set(&observed.addr) || gw_addr_equal(&observed.addr, &client->told) ||
        !gw_bucket_take(&client->requests, GW_ANCHOR_REQUEST_RATE, GW_ANCHOR_REQUEST_RATE, 1, now))
        return;
    peergate_Control message = {.which_body = peergate_Control_observed_address_tag};
    message.body.observed_address.has_address = true;
    gw_candidate_encode(&message.body.observed_address.address, &observed);
    if (gw_peer_send_message(peer, now, &message) == 0)
        client->told = observed.addr;
}

/* ---- requests */

struct gw_anchor_client *gw_anchor_other(struct gw_anchor *anchor, struct gw_anchor_client *client,
                                         const uint8_t tag[GW_TAG_LEN], struct gw_mono now)
{
    struct gw_registrant *other = gw_directory_other(&anchor->directory, &client->registrant, tag, now);
    return other ? gw_container_of(other, struct gw_anchor_client, registrant) : NULL;
}

static peergate_Refusal add_tags(struct gw_anchor *anchor, struct gw_anchor_client *client,
                                 const peergate_RegisterRequest *request, uint32_t lifetime_s,
                                 uint32_t *accepted, struct gw_mono now)
{
    struct gw_mono expires = gw_mono_add(now, GW_S(lifetime_s));
    gw_directory_sweep(&anchor->directory, &client->registrant, now);
    for (*accepted = 0; *accepted < request->tags_count; ++*accepted) {
        const uint8_t *tag = request->tags[*accepted];
        if (request->lifetime_s == 0)
            gw_directory_remove(&anchor->directory, &client->registrant, tag);
        else if (gw_directory_add(&anchor->directory, &client->registrant, tag, expires,
                                  anchor->params.max_tags, now) != 0)
            return peergate_Refusal_REFUSAL_LIMIT;
        if (anchor->fleet)
            gw_fleet_publish(anchor->fleet, tag, now);
    }
    return peergate_Refusal_REFUSAL_NONE;
}

static uint32_t clamp_lifetime(uint32_t asked_s)
{
    return asked_s > LIFETIME_MAX_S ? LIFETIME_MAX_S : asked_s < LIFETIME_MIN_S ? LIFETIME_MIN_S : asked_s;
}

/* Its tags are of another key than those here; true: the reply says of which they have to be. */
static bool introduce(const struct gw_anchor *anchor, const struct gw_anchor_client *client,
                      const peergate_RegisterRequest *request, peergate_RegisterReply *reply)
{
    if (anchor->fleet)
        return gw_fleet_introduce(anchor->fleet, client, request, reply);
    if (request->fleet.size == 0)
        return false;
    reply->fleet.size = GW_KEY_LEN;
    memcpy(reply->fleet.bytes, anchor->host->local.public_key, GW_KEY_LEN);
    return true;
}

static void answer_register(struct gw_anchor *anchor, struct gw_anchor_client *client,
                            const peergate_Control *message, struct gw_mono now)
{
    const peergate_RegisterRequest *request = &message->body.register_request;
    peergate_Control answer = {.number = message->number, .which_body = peergate_Control_register_reply_tag};
    peergate_RegisterReply *reply = &answer.body.register_reply;
    struct gw_candidate observed = {.addr = gw_anchor_observed(client), .kind = GW_CANDIDATE_OBSERVED};

    if (client->has_instance && client->instance != request->instance)
        gw_anchor_channels_forgotten(client);
    client->has_instance = true;
    client->instance = request->instance;
    if (request->addresses_count > 0)
        client->candidate_count = gw_candidates_decode(client->candidates, GW_CANDIDATES_MAX,
                                                       request->addresses, request->addresses_count);
    reply->lifetime_s = clamp_lifetime(request->lifetime_s);
    if (!introduce(anchor, client, request, reply))
        reply->refusal = add_tags(anchor, client, request, reply->lifetime_s, &reply->accepted, now);
    if (reply->refusal != peergate_Refusal_REFUSAL_NONE)
        anchor->stats.refused_limit++;
    reply->instance = anchor->instance;
    reply->has_observed = gw_addr_is_set(&observed.addr);
    if (reply->has_observed)
        gw_candidate_encode(&reply->observed, &observed);
    if (gw_peer_send_message(client->peer, now, &answer) == 0)
        client->told = observed.addr;
    if (gw_mono_is_never(anchor->sweep.at))
        gw_deadline_arm(&anchor->host->deadlines, &anchor->sweep, gw_mono_add(now, SWEEP_NS));
}

static void answer_endpoint(struct gw_anchor *anchor, struct gw_anchor_client *client,
                            const peergate_Control *message, struct gw_mono now)
{
    peergate_Control answer = {.number = message->number, .which_body = peergate_Control_endpoint_info_tag};
    peergate_EndpointInfo *info = &answer.body.endpoint_info;
    const struct gw_anchor_client *other =
        gw_anchor_other(anchor, client, message->body.request_endpoint.tag, now);
    if (!other && anchor->fleet &&
        gw_fleet_ask(anchor->fleet, client, message, message->body.request_endpoint.tag, now))
        return;
    anchor->stats.refused_unknown += !other;
    info->refusal = other ? peergate_Refusal_REFUSAL_NONE : peergate_Refusal_REFUSAL_UNKNOWN;
    if (other)
        info->addresses_count = (pb_size_t)gw_anchor_addresses(other, info->addresses);
    gw_peer_send_message(client->peer, now, &answer);
}

static bool is_request(const peergate_Control *message)
{
    return message->which_body == peergate_Control_register_request_tag ||
           message->which_body == peergate_Control_request_endpoint_tag ||
           message->which_body == peergate_Control_channel_request_tag ||
           message->which_body == peergate_Control_channel_taken_tag ||
           message->which_body == peergate_Control_nat_probe_tag ||
           message->which_body == peergate_Control_punch_me_now_tag;
}

bool gw_anchor_control(struct gw_anchor *anchor, struct gw_peer *peer, const peergate_Control *message,
                       struct gw_mono now)
{
    if (!is_request(message))
        return false;
    if (anchor->params.only_listed && !peer->config.is_listed) {
        gw_anchor_decline(peer, message, now);
        return true;
    }
    struct gw_anchor_client *client = client_of(anchor, peer, now);
    if (!client)
        return true;
    anchor->stats.requests++;
    if (!gw_bucket_take(&client->requests, GW_ANCHOR_REQUEST_RATE, GW_ANCHOR_REQUEST_RATE, 1, now)) {
        anchor->stats.refused_rate++;
        return true;
    }
    switch (message->which_body) {
    case peergate_Control_register_request_tag:
        answer_register(anchor, client, message, now);
        break;
    case peergate_Control_request_endpoint_tag:
        answer_endpoint(anchor, client, message, now);
        break;
    case peergate_Control_channel_request_tag:
        gw_anchor_answer_channel(anchor, client, message, now);
        break;
    case peergate_Control_nat_probe_tag:
        gw_anchor_answer_nat_probe(anchor, client, message, now);
        break;
    case peergate_Control_punch_me_now_tag:
        gw_anchor_answer_punch(anchor, client, message, now);
        break;
    case peergate_Control_channel_taken_tag:
    default:
        gw_anchor_channel_taken(client, message->body.channel_taken.channel);
        break;
    }
    return true;
}

void gw_anchor_decline(struct gw_peer *peer, const peergate_Control *message, struct gw_mono now)
{
    if (message->which_body != peergate_Control_register_request_tag)
        return;
    peergate_Control answer = {.number = message->number, .which_body = peergate_Control_register_reply_tag};
    answer.body.register_reply.refusal = peergate_Refusal_REFUSAL_NO_ANCHOR;
    gw_peer_send_message(peer, now, &answer);
}

void gw_anchor_stats(const struct gw_anchor *anchor, struct gw_anchor_stats *out)
{
    *out = anchor->stats;
    out->clients = anchor->client_count;
    out->registrations = anchor->directory.count;
    out->channels = anchor->channel_count;
}
