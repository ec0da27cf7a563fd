/* SPDX-License-Identifier: MIT */
/* Walks schema and tree together. Keys are taken in the schema's order, not the file's, so that what a
 * peer inherits is there before the peers are. */
#include "gateway/config/load.h"

#include "gateway/base/err.h"
#include "gateway/config/nearest.h"
#include "gateway/config/value.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PATH_LEN 256
#define SHOWN_LEN 80
#define FALLBACK_LEN 64

/* Where we are, for messages: "services.web.port", "peers[].name". */
struct place {
    const struct place *up;
    const char *name;
    const char *suffix;
};

struct walk {
    const struct gw_loading *loading;
    const struct place *place;
    unsigned line;     /* of the section that we are in */
    const char *outer; /* the struct around the list that we are in */
};

static int load_section(const struct walk *walk, const struct gw_section *section, const struct gw_node *map,
                        char *base);

/* ---- messages */

static size_t write_place(const struct place *place, char out[PATH_LEN])
{
    size_t used = 0;
    if (place->up) {
        used = write_place(place->up, out);
        if (used > 0 && used + 1 < PATH_LEN)
            out[used++] = '.';
    }
    int len = snprintf(out + used, PATH_LEN - used, "%s%s", place->name, place->suffix);
    used += len > 0 ? (size_t)len : 0;
    return used < PATH_LEN ? used : PATH_LEN - 1;
}

__attribute__((format(printf, 3, 4))) static void complain(const struct walk *walk, unsigned line,
                                                           const char *format, ...)
{
    char where[PATH_LEN] = "", text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (walk->place)
        write_place(walk->place, where);
    gw_diag_error(walk->loading->diag, walk->loading->path, line, "%s%s%s", where, walk->place ? ": " : "",
                  text);
}

static int no_memory(const struct walk *walk)
{
    gw_diag_error(walk->loading->diag, walk->loading->path, 0, "out of memory");
    return GW_E_NOMEM;
}

/* What was found, without telling a secret. */
static void describe(const struct gw_key *key, const struct gw_node *node, char *out, size_t out_len)
{
    if (node->kind != GW_NODE_SCALAR || node->is_null)
        snprintf(out, out_len, "%s", gw_tree_kind_name(node));
    else if (key->is_secret)
        snprintf(out, out_len, "something else, of %zu characters", strlen(node->text));
    else
        snprintf(out, out_len, "\"%.*s\"%s", SHOWN_LEN, node->text,
                 strlen(node->text) > SHOWN_LEN ? "..." : "");
}

static const char *nearest_choice(const struct gw_key *key, const char *text)
{
    struct gw_nearest nearest;
    gw_nearest_init(&nearest, text);
    for (const struct gw_choice *choice = key->choices; choice && choice->word; choice++)
        gw_nearest_offer(&nearest, choice->word);
    return nearest.best;
}

static void complain_of_value(const struct walk *walk, const struct gw_key *key, const struct gw_node *node,
                              const char *why)
{
    char expected[GW_VALUE_STRLEN], found[SHOWN_LEN + 16];
    const char *nearest = node->kind == GW_NODE_SCALAR ? nearest_choice(key, node->text) : NULL;
    gw_value_expected(key, expected);
    describe(key, node, found, sizeof found);
    if (nearest)
        complain(walk, node->line, "expected %s, found %s; did you mean %s?", expected, found, nearest);
    else if (why)
        complain(walk, node->line, "expected %s, found %s: %s", expected, found, why);
    else
        complain(walk, node->line, "expected %s, found %s", expected, found);
}

static void complain_of_absence(const struct walk *walk, const struct gw_key *key, unsigned line)
{
    char expected[GW_VALUE_STRLEN];
    complain(walk, line, "expected %s, found nothing", gw_value_expected(key, expected));
}

static void complain_of_kind(const struct walk *walk, const struct gw_node *node, const char *expected)
{
    complain(walk, node->line, "expected %s, found %s", expected, gw_tree_kind_name(node));
}

/* ---- one value */

static int load_value(const struct walk *walk, const struct gw_key *key, const struct gw_node *node,
                      char *out)
{
    const char *why = NULL;
    if (node->kind != GW_NODE_SCALAR || node->is_null) {
        complain_of_value(walk, key, node, NULL);
        return 0;
    }
    int err = gw_value_parse(out, key, node->text, walk->loading->dir, &why);
    if (err == GW_E_NOMEM)
        return no_memory(walk);
    if (err)
        complain_of_value(walk, key, node, why);
    return 0;
}

/* ---- lists */

static struct gw_any_list *list_at(const struct gw_key *key, char *base)
{
    return (struct gw_any_list *)(void *)(base + key->offset);
}

/* Room for `count` zeroed items. */
static int make_room(const struct walk *walk, const struct gw_key *key, struct gw_any_list *list,
                     size_t count)
{
    list->items = calloc(count, gw_type_size(key));
    return list->items ? 0 : no_memory(walk);
}

static bool is_within(const struct walk *walk, const struct gw_key *key, const struct gw_node *node)
{
    bool is_enough = node->count > 0 || !key->fallback; /* what has a default cannot be empty */
    if (!is_enough)
        complain(walk, node->line, "expected at least one, found none");
    else if (node->count > key->max_count)
        complain(walk, node->line, "expected at most %zu, found %zu", key->max_count, node->count);
    return is_enough && node->count <= key->max_count;
}

/* A wrong one is no item: what looks at the list afterwards finds values in it, and nothing else. */
static int load_item(const struct walk *walk, const struct gw_key *key, const struct gw_node *node,
                     struct gw_any_list *list)
{
    size_t errors = walk->loading->diag->errors;
    char *item = list->items + gw_type_size(key) * list->count;
    int err = load_value(walk, key, node, item);
    if (err || walk->loading->diag->errors != errors)
        gw_value_free(key, item);
    else
        list->count++;
    return err;
}

static int load_values(const struct walk *walk, const struct gw_key *key, const struct gw_node *node,
                       struct gw_any_list *list)
{
    int err = make_room(walk, key, list, node->count ? node->count : 1);
    for (const struct gw_node *item = node->first; item && !err; item = item->next)
        err = load_item(walk, key, item, list);
    return err;
}

/* A list, or one value that stands for a list of it. */
static int load_value_list(const struct walk *walk, const struct gw_key *key, const struct gw_node *node,
                           struct gw_any_list *list)
{
    if (node->kind == GW_NODE_LIST)
        return is_within(walk, key, node) ? load_values(walk, key, node, list) : 0;
    int err = make_room(walk, key, list, 1);
    return err ? err : load_item(walk, key, node, list);
}

static void note_line(const struct gw_section *section, char *item, unsigned line)
{
    if (section->has_line)
        memcpy(item + section->line_offset, &line, sizeof line);
}

static int load_section_list(const struct walk *walk, const struct gw_key *key, const struct gw_node *node,
                             char *outer)
{
    const struct gw_section *section = key->section;
    struct gw_any_list *list = list_at(key, outer);
    const struct place place = {walk->place->up, key->name, "[]"};
    if (node->kind != GW_NODE_LIST) {
        complain_of_kind(walk, node, "a list");
        return 0;
    }
    if (!is_within(walk, key, node) || node->count == 0)
        return 0;
    int err = make_room(walk, key, list, node->count);
    for (const struct gw_node *item = node->first; item && !err; item = item->next) {
        char *base = list->items + section->size * list->count++;
        const struct walk inner = {walk->loading, &place, item->line, outer};
        note_line(section, base, item->line);
        err = load_section(&inner, section, item, base);
    }
    return err;
}

/* ---- mappings from names to sections */

static int load_name(const struct walk *walk, const struct gw_section *section, const struct gw_node *item,
                     char *base)
{
    const struct gw_key *key = gw_section_find(section, section->named_key);
    struct gw_node name = {.kind = GW_NODE_SCALAR, .line = item->key_line, .text = item->key};
    return load_value(walk, key, &name, base + key->offset);
}

static int load_named(const struct walk *walk, const struct gw_section *section, const struct gw_node *item,
                      char *base, const char *outer)
{
    const struct place place = {walk->place, item->key, ""};
    const struct walk inner = {walk->loading, &place, item->key_line, outer};
    const struct gw_key *key = section->short_key ? gw_section_find(section, section->short_key) : NULL;
    note_line(section, base, item->key_line);
    int err = load_name(&inner, section, item, base);
    if (err)
        return err;
    if (key && item->kind == GW_NODE_SCALAR)
        return load_value(&inner, key, item, base + key->offset);
    return load_section(&inner, section, item, base);
}

static int load_named_list(const struct walk *walk, const struct gw_key *key, const struct gw_node *node,
                           char *outer)
{
    const struct gw_section *section = key->section;
    struct gw_any_list *list = list_at(key, outer);
    if (node->kind != GW_NODE_MAP) {
        complain_of_kind(walk, node, "a mapping with names for keys");
        return 0;
    }
    if (!is_within(walk, key, node) || node->count == 0)
        return 0;
    int err = make_room(walk, key, list, node->count);
    for (const struct gw_node *item = node->first; item && !err; item = item->next)
        err = load_named(walk, section, item, list->items + section->size * list->count++, outer);
    return err;
}

/* ---- defaults */

/* Defaults are ours: one that does not parse is a mistake in the schema, not in the file. */
static int load_fallback_value(const struct walk *walk, const struct gw_key *key, const char *text, char *out)
{
    const char *why;
    int err = gw_value_parse(out, key, text, walk->loading->dir, &why);
    assert(err == 0 || err == GW_E_NOMEM || key->type == GW_TYPE_PATH);
    if (err)
        complain(walk, 0, "the default, %s: %s", text, why ? why : gw_strerror(err));
    return err;
}

static int load_fallback_list(const struct walk *walk, const struct gw_key *key, char *base)
{
    char words[FALLBACK_LEN], *rest = words;
    struct gw_any_list *list = list_at(key, base);
    assert(strlen(key->fallback) < sizeof words);
    strcpy(words, key->fallback);
    int err = make_room(walk, key, list, key->max_count);
    for (char *word; !err && (word = strsep(&rest, ","));) {
        word += strspn(word, " ");
        err = load_fallback_value(walk, key, word, list->items + gw_type_size(key) * list->count++);
    }
    return err;
}

static void inherit(const struct walk *walk, const struct gw_key *key, char *base)
{
    const char *from = key->inherits == GW_INHERITS_OWN ? base : walk->outer;
    memcpy(base + key->offset, from + key->inherits_offset, gw_type_size(key));
}

/* A number without a default is -1 until check.c knows better. */
static void mark_unset(const struct gw_key *key, char *base)
{
    static const int64_t unset = -1;
    if (key->type == GW_TYPE_INT)
        memcpy(base + key->offset, &unset, sizeof unset);
}

/* In one of `networks`. What is common has no memory of its own, but for the host name, which check_network.c copies. */
static bool load_further(const struct walk *walk, const struct gw_key *key, char *base)
{
    const char *top = (const char *)&walk->loading->config->top;
    if (!walk->outer || key->further == GW_FURTHER_SAME)
        return false;
    if (key->further == GW_FURTHER_COMMON && key->type != GW_TYPE_LABEL)
        memcpy(base + key->offset, top + key->offset, gw_type_size(key));
    return true;
}

static int load_fallback(const struct walk *walk, const struct gw_key *key, char *base)
{
    if (load_further(walk, key, base))
        return 0;
    if (key->inherits != GW_INHERITS_NOTHING)
        inherit(walk, key, base);
    else if (!key->fallback)
        mark_unset(key, base);
    else if (key->shape == GW_LIST)
        return load_fallback_list(walk, key, base);
    else
        return load_fallback_value(walk, key, key->fallback, base + key->offset);
    return 0;
}

/* ---- keys and sections */

static int load_present(const struct walk *walk, const struct gw_key *key, const struct gw_node *node,
                        char *base)
{
    bool is_section = key->type == GW_TYPE_SECTION;
    if (is_section && key->shape == GW_LIST)
        return load_section_list(walk, key, node, base);
    if (is_section && key->shape == GW_NAMED)
        return load_named_list(walk, key, node, base);
    if (key->shape == GW_LIST)
        return load_value_list(walk, key, node, list_at(key, base));
    return load_value(walk, key, node, base + key->offset);
}

/* A wrong value leaves the default in its place: nothing will be used, but all else can still be checked. */
static int load_or_fall_back(const struct walk *walk, const struct gw_key *key, const struct gw_node *node,
                             char *base)
{
    size_t errors = walk->loading->diag->errors;
    int err = load_present(walk, key, node, base);
    if (err || walk->loading->diag->errors == errors || key->shape != GW_ONE)
        return err;
    return load_fallback(walk, key, base);
}

static int load_key(const struct walk *walk, const struct gw_key *key, const struct gw_node *map, char *base)
{
    const struct gw_node *node = map ? gw_tree_get(map, key->name) : NULL;
    bool is_section = key->type == GW_TYPE_SECTION;
    const struct place place = {walk->place, key->name, ""};
    const struct walk inner = {walk->loading, &place, walk->line, walk->outer};
    if (node && node->is_null)
        node = NULL;
    if (is_section && key->shape == GW_ONE)
        return load_section(&inner, key->section, node, base);
    if (node)
        return load_or_fall_back(&inner, key, node, base);
    if (key->is_required && map)
        complain_of_absence(&inner, key, walk->line);
    return is_section ? 0 : load_fallback(&inner, key, base);
}

static void offer_keys(struct gw_nearest *nearest, const struct gw_section *section)
{
    for (const struct gw_key *key = section->keys; key->name; key++) {
        if (key->shape == GW_INLINE)
            offer_keys(nearest, key->section);
        else
            gw_nearest_offer(nearest, key->name);
    }
}

static void complain_of_unknown(const struct walk *walk, const struct gw_section *section,
                                const struct gw_node *node)
{
    struct gw_nearest nearest;
    const struct place place = {walk->place, node->key, ""};
    const struct walk inner = {walk->loading, &place, node->key_line, walk->outer};
    gw_nearest_init(&nearest, node->key);
    offer_keys(&nearest, section);
    if (nearest.best)
        complain(&inner, node->key_line, "unknown key; did you mean %s?", nearest.best);
    else
        complain(&inner, node->key_line, "unknown key");
}

static bool is_known(const struct gw_section *section, const char *name)
{
    const struct gw_key *key = gw_section_find(section, name);
    return key && !(section->named_key && strcmp(section->named_key, name) == 0);
}

static bool is_present(const struct gw_node *map, const char *name)
{
    const struct gw_node *node = gw_tree_get(map, name);
    return node && !node->is_null;
}

static void check_either(const struct walk *walk, const struct gw_section *section, const struct gw_node *map)
{
    const char *const *either = section->either;
    if (either[0] && !is_present(map, either[0]) && !is_present(map, either[1]))
        complain(walk, walk->line, "expected %s or %s, found neither", either[0], either[1]);
}

static void check_unknown(const struct walk *walk, const struct gw_section *section,
                          const struct gw_node *map)
{
    for (const struct gw_node *child = map->first; child; child = child->next) {
        if (!is_known(section, child->key))
            complain_of_unknown(walk, section, child);
    }
}

static int load_keys(const struct walk *walk, const struct gw_section *section, const struct gw_node *map,
                     char *base)
{
    int err = 0;
    for (const struct gw_key *key = section->keys; key->name && !err; key++) {
        if (key->shape == GW_INLINE)
            err = load_keys(walk, key->section, map, base + key->offset);
        else if (!section->named_key || strcmp(section->named_key, key->name) != 0)
            err = load_key(walk, key, map, base);
    }
    return err;
}

/* map: NULL = all defaults. Complains and does nothing more when it is no mapping. */
static int load_section(const struct walk *walk, const struct gw_section *section, const struct gw_node *map,
                        char *base)
{
    if (map && map->kind != GW_NODE_MAP) {
        complain_of_kind(walk, map, "a mapping");
        map = NULL;
    }
    int err = load_keys(walk, section, map, base);
    if (map && !err) {
        check_either(walk, section, map);
        check_unknown(walk, section, map);
    }
    return err;
}

/* Is the top level a network too? Then it may say everything, else only what the others have in common. */
static void check_top(const struct walk *walk, const struct gw_section *section, const struct gw_node *root)
{
    for (const struct gw_key *key = section->keys; key->name; key++) {
        const struct gw_node *node = gw_tree_get(root, key->name);
        const struct place place = {walk->place, key->name, ""};
        const struct walk inner = {walk->loading, &place, walk->line, walk->outer};
        if (!node || node->is_null)
            continue;
        if (key->type == GW_TYPE_SECTION && key->shape == GW_ONE && node->kind == GW_NODE_MAP)
            check_top(&inner, key->section, node);
        else if (key->further != GW_FURTHER_COMMON)
            complain(
                &inner, node->key_line,
                "belongs to a network, and with `networks` the top level is one only if it says `network: NAME`");
    }
}

int gw_load_tree(const struct gw_loading *loading, const struct gw_node *root)
{
    const struct walk walk = {loading, NULL, 0, NULL};
    bool is_map = root && root->kind == GW_NODE_MAP;
    int err = load_section(&walk, &gw_schema, root, (char *)loading->config);
    loading->config->has_top = !is_map || loading->config->networks.count == 0 || is_present(root, "network");
    if (!err && !loading->config->has_top)
        check_top(&walk, gw_schema.keys->section, root);
    return err;
}
