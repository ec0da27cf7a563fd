/* SPDX-License-Identifier: MIT */
/* A YAML file as a tree of nodes that know their lines, within limits: bytes, depth, nodes, and one
 * document. Aliases are copies, so they cost what they expand to. Only this module speaks to libyaml. */
#ifndef GATEWAY_CONFIG_TREE_H
#define GATEWAY_CONFIG_TREE_H

#include "gateway/config/diag.h"

#include <stdbool.h>
#include <stddef.h>

#define GW_TREE_BYTES_MAX (1024u * 1024u)
#define GW_TREE_DEPTH_MAX 16u
#define GW_TREE_NODES_MAX 100000u

enum gw_node_kind { GW_NODE_SCALAR, GW_NODE_LIST, GW_NODE_MAP };

struct gw_node {
    enum gw_node_kind kind;
    unsigned line;
    bool is_null; /* a scalar that says nothing: empty, ~ or null, without quotes */
    char *key;    /* in a map; else NULL */
    unsigned key_line;
    char *text;                          /* of a scalar: NUL-terminated, without control characters */
    struct gw_node *first, *last, *next; /* children in the order of the file; the next one beside it */
    size_t count;                        /* children */
};

/* The file's one document; *out is NULL when it is empty. 0, or (*out is NULL, diag says why) GW_E_CONFIG,
 * GW_E_TOO_BIG, GW_E_NOMEM. A duplicate key is an error in diag, too, but the tree is there: what else is
 * wrong can then be told as well. */
int gw_tree_parse(struct gw_node **out, const char *text, size_t len, const char *path, struct gw_diag *diag);
/* Wipes what it says. NULL is fine. */
void gw_tree_free(struct gw_node *node);
/* The child of a map; NULL when absent. */
const struct gw_node *gw_tree_get(const struct gw_node *map, const char *key);
/* Takes a child out of a map or list, and frees it. */
void gw_tree_remove(struct gw_node *parent, struct gw_node *child);
/* Adds a child at the end: key NULL in a list, text NULL for what is no scalar; both are copied. NULL without memory. */
struct gw_node *gw_tree_add(struct gw_node *parent, const char *key, enum gw_node_kind kind, const char *text,
                            unsigned line);
/* The map becomes what its child, a scalar, is; what else is in it is gone. It keeps its own key. */
void gw_tree_lift(struct gw_node *map, struct gw_node *child);
/* "a list", "a mapping", "nothing", "text": for messages. */
const char *gw_tree_kind_name(const struct gw_node *node);

#endif
