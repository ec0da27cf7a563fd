/* SPDX-License-Identifier: MIT */
/* For clients that measure their NAT: tokens, and answers to probes (type 7) that bear them, from our port and from a second one. What a client may have sent unasked goes to its own
 * address only, and each answer is as long as its question. */
#include "gateway/anchor/anchor_private.h"

#include "gateway/base/log.h"
#include "gateway/base/secret.h"

#include <string.h>

#define SEQ_UNASKED 6u

/* The second port is opened when the first client asks. */
static uint16_t second_port(struct gw_anchor *anchor)
{
    const struct gw_gateway_events *events = anchor->host->events;
    if (anchor->has_tried_second || !events->open_link)
        return anchor->second_port;
    int port = events->open_link(anchor->host->gateway, GW_LINK_SECOND, true, events->ctx);
    anchor->has_tried_second = true;
    anchor->second_port = port > 0 ? (uint16_t)port : 0;
    if (port < 0)
        gw_log_warn("no second UDP port: clients measure their NATs with less detail");
    return anchor->second_port;
}

void gw_anchor_probes_fini(struct gw_anchor *anchor)
{
    const struct gw_gateway_events *events = anchor->host->events;
    if (anchor->second_port)
        events->close_link(anchor->host->gateway, GW_LINK_SECOND, events->ctx);
    anchor->second_port = 0;
}

void gw_anchor_token_end(struct gw_anchor *anchor, struct gw_anchor_client *client)
{
    gw_map_remove(&anchor->tokens, &client->token.node);
    gw_wipe(client->token.key, sizeof client->token.key);
}

static bool give_token(struct gw_anchor *anchor, struct gw_anchor_client *client, peergate_NatProbe *answer,
                       struct gw_mono now)
{
    uint8_t context[GW_PROBE_CONTEXT_LEN];
    gw_anchor_token_end(anchor, client);
    gw_random_fill(anchor->host->random, client->token.id, sizeof client->token.id);
    gw_random_fill(anchor->host->random, answer->secret, sizeof answer->secret);
    if (gw_map_insert(&anchor->tokens, &client->token.node, client->token.id) != 0)
        return false;
    memcpy(answer->token, client->token.id, sizeof answer->token);
    gw_probe_context(context, answer->secret, anchor->host->local.public_key,
                     client->peer->config.public_key);
    gw_session_static_kdf(client->peer->session, GW_PROBE_LABEL, context, sizeof context, client->token.key);
    gw_wipe(context, sizeof context);
    client->token.expires = gw_mono_add(now, GW_S(GW_TOKEN_LIFE_S));
    client->token.left = GW_ANCHOR_TOKEN_PROBES;
    return true;
}

static bool has_token(const struct gw_anchor_client *client, struct gw_mono now)
{
    return gw_map_node_is_linked(&client->token.node) && !gw_mono_due(client->token.expires, now) &&
           client->token.left > 0;
}

static void send(struct gw_anchor *anchor, struct gw_anchor_client *client, const struct gw_tuple *tuple,
                 struct gw_probe *probe)
{
    probe->role = 1;
    memcpy(probe->token, client->token.id, sizeof probe->token);
    client->token.left--;
    gw_probes_push(&anchor->host->probes, tuple, probe, client->token.key);
}

void gw_anchor_answer_nat_probe(struct gw_anchor *anchor, struct gw_anchor_client *client,
                                const peergate_Control *message, struct gw_mono now)
{
    const peergate_NatProbe *request = &message->body.nat_probe;
    peergate_Control reply = {.number = message->number, .which_body = peergate_Control_nat_probe_tag};
    peergate_NatProbe *answer = &reply.body.nat_probe;
    struct gw_addr seen = gw_anchor_observed(client);
    if (request->is_answer)
        return;
    if (request->send_to != 0) {
        struct gw_tuple tuple = {.remote = seen,
                                 .link = request->by_other_port ? GW_LINK_SECOND : GW_LINK_PRIMARY};
        bool has_port = !request->by_other_port || anchor->second_port != 0;
        struct gw_probe probe = {.seq = SEQ_UNASKED};
        tuple.remote.port = (uint16_t)request->send_to;
        if (has_port && request->send_to <= 65535 && has_token(client, now) &&
            gw_candidate_is_usable(&tuple.remote))
            send(anchor, client, &tuple, &probe);
        return;
    }
    answer->is_answer = true;
    if (!give_token(anchor, client, answer, now))
        answer->refusal = peergate_Refusal_REFUSAL_LIMIT;
    answer->port = second_port(anchor);
    gw_peer_send_message(client->peer, now, &reply);
    gw_wipe(&reply, sizeof reply);
}

bool gw_anchor_probe_input(struct gw_anchor *anchor, struct gw_mono now, const struct gw_tuple *from,
                           const uint8_t *datagram)
{
    struct gw_map_node *node = gw_map_find(&anchor->tokens, datagram + 4);
    struct gw_probe probe;
    if (!node)
        return false;
    struct gw_anchor_client *client =
        gw_container_of(gw_map_entry(node, struct gw_anchor_token, node), struct gw_anchor_client, token);
    if (!has_token(client, now) || !gw_probe_open(&probe, datagram, client->token.key) || probe.is_reply ||
        probe.role != 0)
        return true;
    struct gw_tuple tuple = *from;
    struct gw_probe answer = {.seq = probe.seq, .is_reply = true, .seen = from->remote};
    if (probe.by_other_port) {
        if (anchor->second_port == 0)
            return true;
        tuple.link = GW_LINK_SECOND;
    }
    send(anchor, client, &tuple, &answer);
    return true;
}
