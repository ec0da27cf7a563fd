/* SPDX-License-Identifier: MIT */
#include "gateway/stun/request.h"

#include <string.h>

const struct gw_stun_pace gw_stun_pace_standard = {GW_MS(500), 7, GW_MS(500) * 16};
const struct gw_stun_pace gw_stun_pace_quick = {GW_MS(250), 3, GW_MS(1250)};

void gw_stun_request_begin(struct gw_stun_request *request, struct gw_mono now, struct gw_random *random,
                           const struct gw_addr *to, const struct gw_stun_pace *pace)
{
    *request =
        (struct gw_stun_request){.is_running = true, .to = *to, .pace = pace, .sent = GW_NEVER, .next = now};
    gw_random_fill(random, request->id, sizeof request->id);
}

void gw_stun_request_end(struct gw_stun_request *request)
{
    request->is_running = false;
    request->next = GW_NEVER;
}

size_t gw_stun_request_take(struct gw_stun_request *request, struct gw_mono now,
                            uint8_t out[GW_STUN_REQUEST_MAX])
{
    const struct gw_stun_pace *pace = request->pace;
    if (!request->is_running || request->tries == pace->tries || !gw_mono_due(request->next, now))
        return 0;
    int64_t wait = pace->rto_ns << request->tries;
    request->tries++;
    request->sent = now;
    request->next = gw_mono_add(now, request->tries == pace->tries ? pace->last_ns : wait);
    return gw_stun_encode_request(out, request->id, request->change_ip, request->change_port);
}

bool gw_stun_request_expire(struct gw_stun_request *request, struct gw_mono now)
{
    if (!request->is_running || request->tries < request->pace->tries || !gw_mono_due(request->next, now))
        return false;
    gw_stun_request_end(request);
    return true;
}

bool gw_stun_request_is(const struct gw_stun_request *request, const uint8_t id[GW_STUN_ID_LEN])
{
    return request->is_running && memcmp(request->id, id, GW_STUN_ID_LEN) == 0;
}
