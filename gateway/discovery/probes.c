/* SPDX-License-Identifier: MIT */
/* Tokens that we hold, and the probes that come for them. A probe with a token that is not here is dropped before anything is computed. */
#include "gateway/discovery/discovery_private.h"

#include "gateway/base/secret.h"

#include <string.h>

bool gw_token_set(struct gw_discovery *discovery, struct gw_token *token, const struct gw_session *session,
                  const uint8_t peer_key[GW_KEY_LEN], const uint8_t id[GW_TOKEN_ID_LEN],
                  const uint8_t secret[GW_TOKEN_SECRET_LEN], struct gw_mono now)
{
    uint8_t context[GW_PROBE_CONTEXT_LEN];
    gw_token_clear(discovery, token);
    memcpy(token->id, id, sizeof token->id);
    if (gw_map_insert(&discovery->tokens, &token->node, token->id) != 0)
        return false; /* twice the same: an anchor that makes no sense */
    gw_probe_context(context, secret, discovery->host->local.public_key, peer_key);
    gw_session_static_kdf(session, GW_PROBE_LABEL, context, sizeof context, token->key);
    token->expires = gw_mono_add(now, GW_S(GW_TOKEN_LIFE_S));
    token->answers = 0;
    gw_wipe(context, sizeof context);
    return true;
}

void gw_token_clear(struct gw_discovery *discovery, struct gw_token *token)
{
    gw_map_remove(&discovery->tokens, &token->node);
    gw_wipe(token->key, sizeof token->key);
}

bool gw_discovery_probe_input(struct gw_discovery *discovery, struct gw_mono now, const struct gw_tuple *from,
                              const uint8_t *datagram)
{
    struct gw_map_node *node = gw_map_find(&discovery->tokens, datagram + 4);
    struct gw_token *token = node ? gw_map_entry(node, struct gw_token, node) : NULL;
    struct gw_probe probe;
    if (!token || gw_mono_due(token->expires, now) || !gw_probe_open(&probe, datagram, token->key))
        return false;
    if (token == &discovery->inbound.token)
        gw_inbound_probe(discovery, now, from, &probe);
    else if (token == &discovery->lifetime.token)
        gw_lifetime_probe(discovery, now, from, &probe);
    else if (token->reach)
        gw_meet_probe(token->reach, now, from, &probe);
    else
        gw_measure_probe(discovery, now, token, from, &probe);
    return true;
}
