/* SPDX-License-Identifier: MIT */
#include "gateway/daemon/vip_state.h"

#include "gateway/base/err.h"
#include "gateway/base/log.h"
#include "gateway/config/atomic_file.h"
#include "gateway/wire/peer_id.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LINE_LEN 256
#define LINES_MAX 65536u

/* ---- the file */

static bool parse_address(struct gw_addr *out, const char *text)
{
    *out = (struct gw_addr){0};
    return strcmp(text, "-") == 0 || gw_addr_parse_ip(out, text, 0) == 0;
}

static bool parse_line(struct gw_vip_entry *out, const char *line)
{
    char key[GW_KEY_BASE64_STRLEN], ipv4[GW_ADDR_STRLEN], local[GW_ADDR_STRLEN], end;
    *out = (struct gw_vip_entry){0};
    if (sscanf(line, "%44s %71s %71s%c", key, ipv4, local, &end) != 4 || end != '\n')
        return false;
    return gw_key_base64_parse(out->key, key) == 0 && parse_address(&out->ipv4, ipv4) &&
           parse_address(&out->local, local);
}

unsigned gw_vip_state_read(struct gw_vip *vip, FILE *file)
{
    char line[LINE_LEN];
    struct gw_vip_entry entry;
    unsigned bad = 0;
    for (unsigned i = 0; i < LINES_MAX && fgets(line, sizeof line, file); i++) {
        if (!parse_line(&entry, line) || gw_vip_restore(vip, &entry) != 0)
            bad++;
    }
    return bad;
}

static void load(struct gw_vip_state *state)
{
    FILE *file = fopen(state->path, "re");
    if (!file) {
        if (errno != ENOENT)
            gw_log_warn("cannot read %s: %s; peers may get other virtual addresses", state->path,
                        strerror(errno));
        return;
    }
    unsigned bad = gw_vip_state_read(state->vip, file);
    if (bad > 0)
        gw_log_warn("%s: %u lines make no sense and are ignored", state->path, bad);
    fclose(file);
}

static void print_entry(const struct gw_vip_entry *entry, void *ctx)
{
    char key[GW_KEY_BASE64_STRLEN], ipv4[GW_ADDR_STRLEN], local[GW_ADDR_STRLEN];
    fprintf(ctx, "%s %s %s\n", gw_key_base64_format(entry->key, key), gw_addr_format_ip(&entry->ipv4, ipv4),
            gw_addr_format_ip(&entry->local, local));
}

void gw_vip_state_write(const struct gw_vip *vip, FILE *file)
{
    gw_vip_for_each(vip, print_entry, file);
}

static int save(const struct gw_vip_state *state)
{
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);
    if (!out)
        return GW_E_NOMEM;
    gw_vip_state_write(state->vip, out);
    bool is_whole = !ferror(out);
    is_whole = fclose(out) == 0 && is_whole;
    int err = is_whole ? gw_atomic_write(NULL, state->path, text, len, GW_ATOMIC_REPLACE) : GW_E_NOMEM;
    free(text);
    return err;
}

int gw_vip_state_save(struct gw_vip_state *state)
{
    uint64_t generation = state->vip ? gw_vip_generation(state->vip) : state->saved;
    if (generation == state->saved)
        return 0;
    int err = save(state);
    if (err == 0)
        state->saved = generation;
    else
        gw_log_warn("cannot write %s: %s; after a restart peers may have other virtual addresses",
                    state->path, gw_strerror(err));
    return err;
}

/* ---- life */

static bool is_same_prefix(const struct gw_prefix *a, const struct gw_prefix *b)
{
    return gw_addr_equal(&a->ip, &b->ip) && a->bits == b->bits;
}

static bool is_same(const struct gw_vip_params *a, const struct gw_vip_params *b)
{
    return a->space == b->space && a->gateway == b->gateway && is_same_prefix(&a->range, &b->range) &&
           is_same_prefix(&a->alias_range, &b->alias_range) &&
           is_same_prefix(&a->local_range, &b->local_range) &&
           memcmp(a->own_key, b->own_key, GW_KEY_LEN) == 0 && gw_addr_equal(&a->own_ipv4, &b->own_ipv4);
}

int gw_vip_state_open(struct gw_vip_state *state, const char *dir, const struct gw_vip_params *params)
{
    if (state->vip && is_same(&state->params, params))
        return 0;
    gw_vip_state_close(state);
    int len = snprintf(state->path, sizeof state->path, "%s/addresses", dir);
    if (len < 0 || (size_t)len >= sizeof state->path)
        return GW_E_TOO_BIG;
    state->params = *params;
    state->vip = gw_vip_new(params);
    if (!state->vip)
        return params->range.bits < 8 || params->range.bits > 28 ? GW_E_INVAL : GW_E_NOMEM;
    load(state);
    return 0;
}

void gw_vip_state_close(struct gw_vip_state *state)
{
    gw_vip_free(state->vip);
    *state = (struct gw_vip_state){0};
}
