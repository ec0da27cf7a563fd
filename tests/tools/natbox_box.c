/* SPDX-License-Identifier: MIT */
#include "tests/nat/rewrite.h"
#include "tests/nat/settings.h"
#include "tests/tools/natbox.h"

#include <stdio.h>
#include <string.h>

/* ---- setting up */

static const char *read_pool(struct nat_params *params, const char *text)
{
    char word[64];
    params->pool_count = 0;
    while (text && *text) {
        size_t len = strcspn(text, ",");
        snprintf(word, sizeof word, "%.*s", (int)len, text);
        if (params->pool_count == NAT_POOL_MAX)
            return "too many outside addresses";
        if (gw_addr_parse_ip(&params->pool[params->pool_count++], word, 0) != 0 ||
            params->pool[params->pool_count - 1].family != 4)
            return "an outside address is no IPv4 address";
        text += len + (text[len] == ',');
    }
    return params->pool_count || params->is_open ? NULL : "outside addresses are missing (--public)";
}

static const char *make_line(struct nat_line *line, enum nat_kind kind, const struct natbox_options *options)
{
    const char *wrong = NULL;
    nat_line(line, kind);
    line->has_v6 = line->has_v6 || options->with_v6;
    unsigned last = line->box_count ? line->box_count - 1 : 0;
    if (line->box_count)
        wrong = read_pool(&line->v4[last], options->public);
    if (line->box_count == 2) { /* what the carrier gives the home router */
        line->v4[0].pool_count = 1;
        line->v4[0].pool[0] = (struct gw_addr){.ip = {100, 64, 0, 2}, .family = 4};
    }
    if (!wrong && options->settings &&
        (nat_set(&line->v4[0], options->settings) || nat_set(&line->v6, options->settings)))
        wrong = "no such setting, or not its value";
    if (!wrong && options->carrier_settings && nat_set(&line->v4[1], options->carrier_settings))
        wrong = "no such setting of the carrier, or not its value";
    for (unsigned i = 0; !wrong && i < line->box_count; i++) {
        if (!nat_params_are_sound(&line->v4[i]))
            wrong = "the settings contradict each other";
    }
    line->v6.is_overloading = line->v6.remembers_strangers = false;
    return wrong;
}

static void free_nats(struct natbox *box)
{
    for (unsigned i = 0; i < NAT_BOXES_MAX; i++) {
        nat_free(box->v4[i]);
        box->v4[i] = NULL;
    }
    nat_free(box->v6);
    box->v6 = NULL;
}

void natbox_fini(struct natbox *box)
{
    free_nats(box);
}

const char *natbox_set_up(struct natbox *box, const struct natbox_options *options)
{
    struct nat_line line;
    enum nat_kind kind = nat_kind_by_name(options->kind);
    const char *wrong = kind == NAT_KIND_COUNT ? "no such kind" : make_line(&line, kind, options);
    if (wrong)
        return wrong;
    free_nats(box);
    box->kind = kind;
    box->line = line;
    for (unsigned i = 0; i < line.box_count; i++) {
        if (!(box->v4[i] = nat_new(&line.v4[i], box->seed++)))
            return "no memory";
    }
    if (line.has_v6 && !(box->v6 = nat_new(&line.v6, box->seed++)))
        return "no memory";
    return NULL;
}

/* ---- carrying */

static unsigned inside_of(const struct natbox *box, const struct gw_addr *ip)
{
    for (unsigned i = 0; i < box->inside_count; i++) {
        for (unsigned k = 0; k < box->insides[i].ip_count; k++) {
            if (gw_addr_same_ip(&box->insides[i].ips[k], ip))
                return i;
        }
    }
    return NATBOX_NOWHERE;
}

/* From the outside of v4[from], inwards. */
static bool inwards(struct natbox *box, struct gw_mono now, unsigned from, struct nat_packet *packet)
{
    while (from-- > 0) {
        if (nat_from_outside(box->v4[from], now, packet) != NAT_IN)
            return false;
    }
    return true;
}

/* NAT_IN when a hairpin brought it back. */
static enum nat_verdict outwards(struct natbox *box, struct gw_mono now, struct nat_packet *packet)
{
    for (unsigned i = 0; i < box->line.box_count; i++) {
        enum nat_verdict verdict = nat_from_inside(box->v4[i], now, packet);
        if (verdict == NAT_IN)
            return inwards(box, now, i, packet) ? NAT_IN : NAT_DROP;
        if (verdict == NAT_DROP)
            return NAT_DROP;
    }
    return NAT_OUT;
}

static enum nat_verdict judge(struct natbox *box, struct gw_mono now, bool is_outbound,
                              struct nat_packet *packet)
{
    if (packet->from.family == 6) {
        if (!box->v6)
            return NAT_DROP;
        return is_outbound ? nat_from_inside(box->v6, now, packet) : nat_from_outside(box->v6, now, packet);
    }
    if (!box->line.box_count)
        return NAT_DROP;
    if (is_outbound)
        return outwards(box, now, packet);
    return inwards(box, now, box->line.box_count, packet) ? NAT_IN : NAT_DROP;
}

unsigned natbox_carry(struct natbox *box, struct gw_mono now, unsigned side, uint8_t *bytes, size_t len)
{
    struct nat_view view;
    bool is_outbound = side != NATBOX_OUTSIDE;
    if (!nat_read(&view, bytes, len)) {
        box->not_carried++;
        return NATBOX_NOWHERE;
    }
    unsigned to = inside_of(box, &view.packet.to);
    if (is_outbound && to != NATBOX_NOWHERE)
        return to; /* a neighbour */
    struct nat_packet packet = view.packet;
    enum nat_verdict verdict = judge(box, now, is_outbound, &packet);
    if (verdict == NAT_DROP)
        return NATBOX_NOWHERE;
    nat_write(bytes, &view, &packet);
    *(verdict == NAT_OUT ? &box->bytes_out : &box->bytes_in) += len;
    if (verdict == NAT_OUT)
        return NATBOX_OUTSIDE;
    /* Behind a carrier's there are routers that we do not know one by one: whatever has no side of its own goes to the first. */
    to = inside_of(box, &packet.to);
    return to == NATBOX_NOWHERE ? 0 : to;
}
