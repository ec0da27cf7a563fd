/* SPDX-License-Identifier: MIT */
/* libyaml's events to a tree. The parser looks only a few tokens ahead, so stopping at a limit stops the
 * work, too. */
#include "gateway/config/tree.h"

#include "gateway/base/err.h"
#include "gateway/base/secret.h"
#include "gateway/config/text.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#define ANCHORS_MAX 64u
#define ANCHOR_NAME_MAX 64u

struct anchor {
    char name[ANCHOR_NAME_MAX];
    const struct gw_node *node;
};

struct builder {
    yaml_parser_t parser;
    const char *path;
    struct gw_diag *diag;
    struct gw_node *root;
    struct gw_node *open[GW_TREE_DEPTH_MAX]; /* lists and maps that are not complete */
    size_t depth;
    char *key; /* of the map's next value; owned */
    unsigned key_line;
    size_t node_count;
    struct anchor anchors[ANCHORS_MAX];
    size_t anchor_count;
};

static unsigned line_of(const yaml_mark_t *mark)
{
    return (unsigned)mark->line + 1;
}

static void free_text(char *text)
{
    if (text)
        gw_wipe(text, strlen(text));
    free(text);
}

static void append(struct gw_node *parent, struct gw_node *node)
{
    if (parent->last)
        parent->last->next = node;
    else
        parent->first = node;
    parent->last = node;
    parent->count++;
}

void gw_tree_free(struct gw_node *node)
{
    if (!node)
        return;
    for (struct gw_node *child = node->first, *next; child; child = next) {
        next = child->next;
        gw_tree_free(child); /* as deep as GW_TREE_DEPTH_MAX */
    }
    free_text(node->key);
    free_text(node->text);
    free(node);
}

const struct gw_node *gw_tree_get(const struct gw_node *map, const char *key)
{
    for (const struct gw_node *child = map->first; child; child = child->next) {
        if (strcmp(child->key, key) == 0)
            return child;
    }
    return NULL;
}

/* ---- changes */

void gw_tree_remove(struct gw_node *parent, struct gw_node *child)
{
    struct gw_node *before = NULL, **at = &parent->first;
    for (; *at != child; at = &(*at)->next)
        before = *at;
    *at = child->next;
    if (parent->last == child)
        parent->last = before;
    parent->count--;
    gw_tree_free(child);
}

struct gw_node *gw_tree_add(struct gw_node *parent, const char *key, enum gw_node_kind kind, const char *text,
                            unsigned line)
{
    struct gw_node *node = calloc(1, sizeof *node);
    if (!node)
        return NULL;
    *node = (struct gw_node){.kind = kind, .line = line, .key_line = line};
    if ((key && !(node->key = strdup(key))) || (text && !(node->text = strdup(text)))) {
        gw_tree_free(node);
        return NULL;
    }
    append(parent, node);
    return node;
}

void gw_tree_lift(struct gw_node *map, struct gw_node *child)
{
    map->kind = GW_NODE_SCALAR;
    map->line = child->line;
    map->is_null = child->is_null;
    map->text = child->text;
    child->text = NULL;
    while (map->first)
        gw_tree_remove(map, map->first);
}

const char *gw_tree_kind_name(const struct gw_node *node)
{
    switch (node->kind) {
    case GW_NODE_LIST:
        return "a list";
    case GW_NODE_MAP:
        return "a mapping";
    case GW_NODE_SCALAR:
    default:
        return node->is_null ? "nothing" : "text";
    }
}

/* ---- building */

static int no_memory(struct builder *builder)
{
    gw_diag_error(builder->diag, builder->path, 0, "out of memory");
    return GW_E_NOMEM;
}

static struct gw_node *new_node(struct builder *builder, enum gw_node_kind kind, unsigned line)
{
    struct gw_node *node = calloc(1, sizeof *node);
    if (!node)
        return NULL;
    builder->node_count++;
    node->kind = kind;
    node->line = line;
    return node;
}

/* Hangs a node where the events are: it is the tree's from here on. */
static void attach(struct builder *builder, struct gw_node *node)
{
    if (builder->depth == 0) {
        builder->root = node;
        return;
    }
    struct gw_node *parent = builder->open[builder->depth - 1];
    node->key = builder->key;
    node->key_line = builder->key_line;
    builder->key = NULL;
    append(parent, node);
}

static bool is_key_next(const struct builder *builder)
{
    return builder->depth > 0 && builder->open[builder->depth - 1]->kind == GW_NODE_MAP && !builder->key;
}

static int too_many(struct builder *builder, unsigned line)
{
    gw_diag_error(builder->diag, builder->path, line,
                  "too much: more than %u values, aliases counted as what they stand for", GW_TREE_NODES_MAX);
    return GW_E_TOO_BIG;
}

static int check_place(struct builder *builder, unsigned line)
{
    if (builder->node_count >= GW_TREE_NODES_MAX)
        return too_many(builder, line);
    if (!is_key_next(builder))
        return 0;
    gw_diag_error(builder->diag, builder->path, line, "a key must be plain text");
    return GW_E_CONFIG;
}

static int remember_anchor(struct builder *builder, const yaml_char_t *name, const struct gw_node *node,
                           unsigned line)
{
    if (!name)
        return 0;
    if (builder->anchor_count == ANCHORS_MAX || strlen((const char *)name) >= ANCHOR_NAME_MAX) {
        gw_diag_error(builder->diag, builder->path, line,
                      "at most %u anchors (&name), names of at most %u characters", ANCHORS_MAX,
                      ANCHOR_NAME_MAX - 1);
        return GW_E_CONFIG;
    }
    struct anchor *anchor = &builder->anchors[builder->anchor_count++];
    strcpy(anchor->name, (const char *)name);
    anchor->node = node;
    return 0;
}

/* A copy of the scalar's text. Control characters would forge lines in logs and cannot be meant. */
static int copy_text(struct builder *builder, char **out, const yaml_event_t *event)
{
    const char *text = (const char *)event->data.scalar.value;
    size_t len = event->data.scalar.length;
    if (gw_text_has_control(text, len)) {
        gw_diag_error(builder->diag, builder->path, line_of(&event->start_mark),
                      "a control character or a line break in a value");
        return GW_E_CONFIG;
    }
    *out = malloc(len + 1);
    if (!*out)
        return no_memory(builder);
    memcpy(*out, text, len);
    (*out)[len] = '\0';
    return 0;
}

static bool says_nothing(const char *text)
{
    return *text == '\0' || strcmp(text, "~") == 0 || strcmp(text, "null") == 0 ||
           strcmp(text, "Null") == 0 || strcmp(text, "NULL") == 0;
}

static int on_scalar(struct builder *builder, const yaml_event_t *event)
{
    unsigned line = line_of(&event->start_mark);
    if (is_key_next(builder)) {
        builder->key_line = line;
        return copy_text(builder, &builder->key, event);
    }
    if (builder->node_count >= GW_TREE_NODES_MAX)
        return too_many(builder, line);
    struct gw_node *node = new_node(builder, GW_NODE_SCALAR, line);
    if (!node)
        return no_memory(builder);
    attach(builder, node);
    int err = copy_text(builder, &node->text, event);
    if (err)
        return err;
    node->is_null = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE && says_nothing(node->text);
    return remember_anchor(builder, event->data.scalar.anchor, node, line);
}

static int on_open(struct builder *builder, enum gw_node_kind kind, const yaml_char_t *anchor, unsigned line)
{
    int err = check_place(builder, line);
    if (err)
        return err;
    if (builder->depth == GW_TREE_DEPTH_MAX) {
        gw_diag_error(builder->diag, builder->path, line, "nested more than %u deep", GW_TREE_DEPTH_MAX);
        return GW_E_TOO_BIG;
    }
    struct gw_node *node = new_node(builder, kind, line);
    if (!node)
        return no_memory(builder);
    attach(builder, node);
    builder->open[builder->depth++] = node;
    return remember_anchor(builder, anchor, node, line);
}

static int compare_keys(const void *a, const void *b)
{
    const struct gw_node *const *x = a, *const *y = b;
    int order = strcmp((*x)->key, (*y)->key);
    return order ? order : ((*x)->key_line > (*y)->key_line) - ((*x)->key_line < (*y)->key_line);
}

/* Sorted, equal keys are neighbours. */
static int check_duplicates(struct builder *builder, const struct gw_node *map)
{
    if (map->count < 2)
        return 0;
    const struct gw_node **sorted = malloc(map->count * sizeof *sorted);
    size_t count = 0;
    if (!sorted)
        return no_memory(builder);
    for (const struct gw_node *child = map->first; child; child = child->next)
        sorted[count++] = child;
    qsort(sorted, count, sizeof *sorted, compare_keys);
    for (size_t i = 1; i < count; i++) {
        if (strcmp(sorted[i - 1]->key, sorted[i]->key) == 0)
            gw_diag_error(builder->diag, builder->path, sorted[i]->key_line,
                          "%s: is there already, in line %u", sorted[i]->key, sorted[i - 1]->key_line);
    }
    free(sorted);
    return 0;
}

static int on_close(struct builder *builder)
{
    struct gw_node *node = builder->open[--builder->depth];
    return node->kind == GW_NODE_MAP ? check_duplicates(builder, node) : 0;
}

/* ---- aliases */

static bool is_open(const struct builder *builder, const struct gw_node *node)
{
    for (size_t i = 0; i < builder->depth; i++) {
        if (builder->open[i] == node)
            return true;
    }
    return false;
}

static const struct gw_node *find_anchor(const struct builder *builder, const char *name)
{
    for (size_t i = builder->anchor_count; i-- > 0;) { /* a name may be given again: the latest counts */
        if (strcmp(builder->anchors[i].name, name) == 0)
            return builder->anchors[i].node;
    }
    return NULL;
}

static int copy_scalar(struct builder *builder, const struct gw_node *from)
{
    struct gw_node *node = new_node(builder, GW_NODE_SCALAR, from->line);
    if (!node)
        return no_memory(builder);
    attach(builder, node);
    node->is_null = from->is_null;
    node->text = strdup(from->text);
    return node->text ? 0 : no_memory(builder);
}

static int copy_key(struct builder *builder, const struct gw_node *from)
{
    if (!from->key)
        return 0;
    builder->key = strdup(from->key);
    builder->key_line = from->key_line;
    return builder->key ? 0 : no_memory(builder);
}

/* As if its events came once more. */
static int copy_node(struct builder *builder, const struct gw_node *from)
{
    if (builder->node_count >= GW_TREE_NODES_MAX)
        return too_many(builder, from->line);
    if (from->kind == GW_NODE_SCALAR)
        return copy_scalar(builder, from);
    int err = on_open(builder, from->kind, NULL, from->line);
    for (const struct gw_node *child = from->first; child && !err; child = child->next) {
        err = copy_key(builder, child);
        if (!err)
            err = copy_node(builder, child);
    }
    if (!err)
        builder->depth--;
    return err;
}

static int on_alias(struct builder *builder, const yaml_event_t *event)
{
    const char *name = (const char *)event->data.alias.anchor;
    unsigned line = line_of(&event->start_mark);
    const struct gw_node *node = find_anchor(builder, name);
    int err = check_place(builder, line);
    if (err)
        return err;
    if (!node || is_open(builder, node)) {
        gw_diag_error(builder->diag, builder->path, line, "*%s: %s", name,
                      node ? "stands inside of what it stands for" : "no such anchor before this line");
        return GW_E_CONFIG;
    }
    return copy_node(builder, node);
}

/* ---- events */

static int on_document(struct builder *builder, const yaml_event_t *event)
{
    if (!builder->root)
        return 0;
    gw_diag_error(builder->diag, builder->path, line_of(&event->start_mark),
                  "a second document (---); one is expected");
    return GW_E_CONFIG;
}

static int on_event(struct builder *builder, const yaml_event_t *event)
{
    unsigned line = line_of(&event->start_mark);
    switch (event->type) {
    case YAML_DOCUMENT_START_EVENT:
        return on_document(builder, event);
    case YAML_ALIAS_EVENT:
        return on_alias(builder, event);
    case YAML_SCALAR_EVENT:
        return on_scalar(builder, event);
    case YAML_SEQUENCE_START_EVENT:
        return on_open(builder, GW_NODE_LIST, event->data.sequence_start.anchor, line);
    case YAML_MAPPING_START_EVENT:
        return on_open(builder, GW_NODE_MAP, event->data.mapping_start.anchor, line);
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT:
        return on_close(builder);
    case YAML_NO_EVENT:
    case YAML_STREAM_START_EVENT:
    case YAML_STREAM_END_EVENT:
    case YAML_DOCUMENT_END_EVENT:
    default:
        return 0;
    }
}

static int syntax_error(struct builder *builder)
{
    const yaml_parser_t *parser = &builder->parser;
    const char *problem = parser->problem ? parser->problem : "not YAML";
    if (parser->error == YAML_MEMORY_ERROR)
        return no_memory(builder);
    if (parser->error == YAML_READER_ERROR) /* it has no mark, but where the reader is */
        gw_diag_error(builder->diag, builder->path, line_of(&parser->mark), "not YAML: %s", problem);
    else if (parser->context)
        gw_diag_error(builder->diag, builder->path, line_of(&parser->problem_mark),
                      "not YAML: %s (%s that begins in line %u)", problem, parser->context,
                      line_of(&parser->context_mark));
    else
        gw_diag_error(builder->diag, builder->path, line_of(&parser->problem_mark), "not YAML: %s", problem);
    return GW_E_CONFIG;
}

static int next_event(struct builder *builder, bool *is_end)
{
    yaml_event_t event;
    if (!yaml_parser_parse(&builder->parser, &event))
        return syntax_error(builder);
    *is_end = event.type == YAML_STREAM_END_EVENT;
    int err = on_event(builder, &event);
    if (event.type == YAML_SCALAR_EVENT) /* it may be a key */
        gw_wipe(event.data.scalar.value, event.data.scalar.length);
    yaml_event_delete(&event);
    return err;
}

static int build(struct builder *builder)
{
    bool is_end = false;
    int err = 0;
    while (!err && !is_end)
        err = next_event(builder, &is_end);
    return err;
}

int gw_tree_parse(struct gw_node **out, const char *text, size_t len, const char *path, struct gw_diag *diag)
{
    struct builder builder = {.path = path, .diag = diag};
    *out = NULL;
    if (len > GW_TREE_BYTES_MAX) {
        gw_diag_error(diag, path, 0, "larger than %u bytes", GW_TREE_BYTES_MAX);
        return GW_E_TOO_BIG;
    }
    if (!yaml_parser_initialize(&builder.parser))
        return no_memory(&builder);
    yaml_parser_set_input_string(&builder.parser, (const unsigned char *)text, len);
    yaml_parser_set_encoding(&builder.parser, YAML_UTF8_ENCODING);
    int err = build(&builder);
    yaml_parser_delete(&builder.parser);
    free_text(builder.key);
    if (err) {
        gw_tree_free(builder.root);
        return err;
    }
    *out = builder.root;
    return 0;
}
