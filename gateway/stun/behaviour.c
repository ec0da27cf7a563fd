/* SPDX-License-Identifier: MIT */
/* Two steps, the questions of each at the same time:
 *
 *   filtering   0: answer from the other address and port     1: answer from the other port
 *   mapping     0: asked at the other address, same port      1: at the other address, other port      2: hairpin: a request to our own address outside */
#include "gateway/stun/behaviour.h"

#include <string.h>

const char *const gw_stun_rule_names[GW_STUN_RULES] = {"unknown", "independent", "address", "address-port"};

static void rest(struct gw_stun_measure *measure)
{
    measure->step = GW_STUN_MEASURE_IDLE;
    for (unsigned i = 0; i < GW_STUN_MEASURE_REQUESTS; i++)
        gw_stun_request_end(&measure->requests[i]);
}

void gw_stun_measure_init(struct gw_stun_measure *measure)
{
    memset(measure, 0, sizeof *measure);
    measure->result.measured = GW_NEVER;
    rest(measure);
}

static void ask(struct gw_stun_measure *measure, unsigned i, struct gw_mono now, struct gw_random *random,
                const struct gw_addr *to)
{
    gw_stun_request_begin(&measure->requests[i], now, random, to, &gw_stun_pace_quick);
    measure->has_answer[i] = false;
}

static void begin_mapping(struct gw_stun_measure *measure, struct gw_mono now, struct gw_random *random)
{
    struct gw_addr same_port = measure->other;
    same_port.port = measure->server.port;
    rest(measure);
    measure->step = GW_STUN_MEASURE_MAPPING;
    ask(measure, 0, now, random, &same_port);
    ask(measure, 1, now, random, &measure->other);
    ask(measure, 2, now, random, &measure->mapped);
}

void gw_stun_measure_begin(struct gw_stun_measure *measure, struct gw_mono now, struct gw_random *random,
                           const struct gw_addr *server, const struct gw_addr *other,
                           const struct gw_addr *mapped, const struct gw_addr *local)
{
    gw_stun_measure_init(measure);
    measure->server = *server;
    measure->other = *other;
    measure->mapped = *mapped;
    measure->result.is_nat = !gw_addr_same_ip(mapped, local) || mapped->port != local->port;
    measure->step = GW_STUN_MEASURE_FILTERING;
    ask(measure, 0, now, random, server);
    ask(measure, 1, now, random, server);
    measure->requests[0].change_ip = true;
    measure->requests[0].change_port = measure->requests[1].change_port = true;
}

static enum gw_stun_rule filtering_of(const struct gw_stun_measure *measure)
{
    if (measure->is_elsewhere)
        return GW_STUN_UNKNOWN;
    if (measure->has_answer[0])
        return GW_STUN_INDEPENDENT;
    return measure->has_answer[1] ? GW_STUN_ADDRESS : GW_STUN_ADDRESS_PORT;
}

static enum gw_stun_rule mapping_of(const struct gw_stun_measure *measure)
{
    if (!measure->has_answer[0])
        return GW_STUN_UNKNOWN;
    if (gw_addr_equal(&measure->seen[0], &measure->mapped))
        return GW_STUN_INDEPENDENT;
    if (!measure->has_answer[1])
        return GW_STUN_UNKNOWN;
    return gw_addr_equal(&measure->seen[0], &measure->seen[1]) ? GW_STUN_ADDRESS : GW_STUN_ADDRESS_PORT;
}

/* Every question is answered, or its time is over. */
static bool is_step_over(const struct gw_stun_measure *measure)
{
    if (measure->step == GW_STUN_MEASURE_FILTERING && measure->has_answer[0])
        return true; /* whoever may send from elsewhere may from the other port */
    for (unsigned i = 0; i < GW_STUN_MEASURE_REQUESTS; i++) {
        if (measure->requests[i].is_running)
            return false;
    }
    return true;
}

/* The answer has to come from where it was asked to come from; a server that knows no CHANGE-REQUEST proves nothing. */
static bool is_from_right_place(const struct gw_stun_measure *measure, unsigned i, const struct gw_addr *from)
{
    const struct gw_stun_request *request = &measure->requests[i];
    struct gw_addr expected = request->to;
    if (request->change_ip)
        expected = measure->other;
    else if (request->change_port)
        expected.port = measure->other.port;
    return gw_addr_equal(&expected, from);
}

static void take(struct gw_stun_measure *measure, unsigned i, const struct gw_addr *from,
                 const struct gw_stun_message *message)
{
    bool is_hairpin = measure->step == GW_STUN_MEASURE_MAPPING && i == 2;
    if (is_hairpin != (message->type == GW_STUN_REQUEST))
        return;
    if (message->type == GW_STUN_ERROR || (!is_hairpin && !is_from_right_place(measure, i, from)))
        measure->is_elsewhere |= measure->step == GW_STUN_MEASURE_FILTERING;
    else
        measure->has_answer[i] = is_hairpin || gw_addr_is_set(&message->mapped);
    measure->seen[i] = message->mapped;
    gw_stun_request_end(&measure->requests[i]);
}

bool gw_stun_measure_input(struct gw_stun_measure *measure, const struct gw_addr *from,
                           const struct gw_stun_message *message)
{
    for (unsigned i = 0; i < GW_STUN_MEASURE_REQUESTS; i++) {
        if (gw_stun_request_is(&measure->requests[i], message->id)) {
            take(measure, i, from, message);
            return true;
        }
    }
    return false;
}

bool gw_stun_measure_expire(struct gw_stun_measure *measure, struct gw_mono now, struct gw_random *random)
{
    for (unsigned i = 0; i < GW_STUN_MEASURE_REQUESTS; i++)
        gw_stun_request_expire(&measure->requests[i], now);
    if (measure->step == GW_STUN_MEASURE_IDLE || !is_step_over(measure))
        return false;
    if (measure->step == GW_STUN_MEASURE_FILTERING) {
        measure->result.filtering = filtering_of(measure);
        begin_mapping(measure, now, random);
        return false;
    }
    measure->result.mapping = mapping_of(measure);
    measure->result.has_hairpin = measure->has_answer[2];
    measure->result.is_hairpin_known = true;
    measure->result.measured = now;
    rest(measure);
    return true;
}
