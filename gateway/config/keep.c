/* SPDX-License-Identifier: MIT */
#include "gateway/config/keep.h"

#include "gateway/base/secret.h"
#include "gateway/config/schema.h"
#include "gateway/config/value.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#define PATH_LEN 256
#define VALUE_MAX 1024u

struct keeping {
    char *running, *fresh;
    const char *file;
    unsigned line;
    struct gw_diag *diag;
};

/* ---- are they the same? */

static const char *text_at(const void *value)
{
    const char *text;
    memcpy(&text, value, sizeof text);
    return text ? text : "";
}

static bool is_same_value(const struct gw_key *key, const void *a, const void *b)
{
    char as_text[2][GW_VALUE_STRLEN];
    if (gw_value_is_set(key, a) != gw_value_is_set(key, b))
        return false;
    if (!gw_value_is_set(key, a))
        return true;
    if (key->type == GW_TYPE_TEXT || key->type == GW_TYPE_LABEL || key->type == GW_TYPE_PATH)
        return strcmp(text_at(a), text_at(b)) == 0;
    bool is = strcmp(gw_value_format(key, a, as_text[0]), gw_value_format(key, b, as_text[1])) == 0;
    gw_wipe(as_text, sizeof as_text);
    return is;
}

static bool is_same_list(const struct gw_key *key, const void *a, const void *b)
{
    struct gw_any_list lists[2];
    size_t size = gw_type_size(key);
    memcpy(&lists[0], a, sizeof lists[0]);
    memcpy(&lists[1], b, sizeof lists[1]);
    bool is = lists[0].count == lists[1].count;
    for (size_t i = 0; is && i < lists[0].count; i++)
        is = is_same_value(key, lists[0].items + i * size, lists[1].items + i * size);
    return is;
}

/* ---- the walk */

static void swap(char *a, char *b, size_t size)
{
    char aside[VALUE_MAX];
    assert(size <= sizeof aside);
    memcpy(aside, a, size);
    memcpy(a, b, size);
    memcpy(b, aside, size);
    gw_wipe(aside, size);
}

static void keep_key(const struct keeping *keeping, const struct gw_key *key, const char *path)
{
    char *running = keeping->running + key->offset, *fresh = keeping->fresh + key->offset;
    bool is_list = key->shape == GW_LIST;
    if (is_list ? is_same_list(key, running, fresh) : is_same_value(key, running, fresh))
        return;
    swap(running, fresh, is_list ? sizeof(struct gw_any_list) : gw_type_size(key));
    if (keeping->diag)
        gw_diag_warning(keeping->diag, keeping->file, keeping->line, "`%s` has changed: that takes a restart",
                        path);
}

static void keep_section(const struct keeping *keeping, const struct gw_section *section, const char *path)
{
    char inner[PATH_LEN];
    for (const struct gw_key *key = section->keys; key->name; key++) {
        snprintf(inner, sizeof inner, "%s%s%s", path, *path ? "." : "", key->name);
        if (key->type == GW_TYPE_SECTION && key->shape == GW_ONE)
            keep_section(keeping, key->section, inner);
        else if (key->reload == GW_RELOAD_RESTART)
            keep_key(keeping, key, inner);
    }
}

void gw_config_keep(struct gw_config *running, struct gw_config *fresh, struct gw_diag *diag)
{
    const struct keeping keeping = {
        .running = (char *)running, .fresh = (char *)fresh, .file = fresh->path, .diag = diag};
    keep_section(&keeping, &gw_schema, "");
}

void gw_config_keep_network(struct gw_config_network *running, struct gw_config_network *fresh,
                            const char *path, struct gw_diag *diag)
{
    const struct keeping keeping = {
        .running = (char *)running, .fresh = (char *)fresh, .file = path, .line = fresh->line, .diag = diag};
    keep_section(&keeping, gw_section_find(&gw_schema, "networks")->section, "");
}
