/* SPDX-License-Identifier: MIT */
/* Reads names.yaml and answers from it. */
#include "gateway/config/names.h"

#include "gateway/base/err.h"
#include "gateway/config/file.h"
#include "gateway/config/peer_key.h"
#include "gateway/config/tree.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define LABEL_MAX 63u
#define TOP_LEVEL ".p2p"

struct reading {
    struct gw_names *names;
    const char *path;
    struct gw_diag *diag;
};

#define complain(reading, line, ...) gw_diag_error((reading)->diag, (reading)->path, line, __VA_ARGS__)

/* ---- names */

static bool copy_label(char *out, size_t out_len, const char *text, size_t len)
{
    if (len == 0 || len > LABEL_MAX || len >= out_len || text[0] == '-' || text[len - 1] == '-')
        return false;
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text[i];
        if (!isascii(c) || !(isalnum(c) || c == '-' || c == '_'))
            return false;
        out[i] = (char)tolower(c);
    }
    out[len] = '\0';
    return true;
}

/* "host", "host.network", either with ".p2p" behind it. */
static bool split_name(struct gw_name *name, const char *text)
{
    size_t len = strlen(text), tld = strlen(TOP_LEVEL);
    if (len > tld && strcasecmp(text + len - tld, TOP_LEVEL) == 0)
        len -= tld;
    const char *dot = memchr(text, '.', len);
    size_t host_len = dot ? (size_t)(dot - text) : len;
    if (!copy_label(name->host, sizeof name->host, text, host_len))
        return false;
    return !dot || copy_label(name->network, sizeof name->network, dot + 1, len - host_len - 1);
}

/* ---- values */

static void read_key(const struct reading *reading, struct gw_name *name, const struct gw_node *node,
                     const char *where)
{
    struct gw_peer_key key;
    const char *why = NULL;
    if (node->kind != GW_NODE_SCALAR || node->is_null) {
        complain(reading, node->line, "%s: expected a peer ID or a base64 key, found %s", where,
                 gw_tree_kind_name(node));
        return;
    }
    if (gw_peer_key_parse(&key, node->text, &why) != 0) {
        complain(reading, node->line, "%s: expected a peer ID or a base64 key, found \"%.80s\"%s%s", where,
                 node->text, why ? ": " : "", why ? why : "");
        return;
    }
    memcpy(name->x25519, key.x25519, sizeof name->x25519);
    memcpy(name->ed25519, key.ed25519, sizeof name->ed25519);
    name->has_ed25519 = key.has_ed25519;
}

static void read_service(const struct reading *reading, struct gw_name *name, const struct gw_node *node,
                         const char *where)
{
    if (node->kind != GW_NODE_SCALAR ||
        !copy_label(name->service, sizeof name->service, node->text, strlen(node->text)))
        complain(reading, node->line, "%s.service: expected a service's name", where);
}

static void read_mapping(const struct reading *reading, struct gw_name *name, const struct gw_node *map,
                         const char *where)
{
    bool has_key = false;
    for (const struct gw_node *child = map->first; child; child = child->next) {
        if (strcmp(child->key, "peer_id") == 0 || strcmp(child->key, "public_key") == 0) {
            has_key = true;
            read_key(reading, name, child, where);
        } else if (strcmp(child->key, "service") == 0) {
            read_service(reading, name, child, where);
        } else {
            complain(reading, child->key_line,
                     "%s.%s: unknown key; there are peer_id, public_key and service", where, child->key);
        }
    }
    if (!has_key)
        complain(reading, map->line, "%s: expected peer_id, found a mapping without it", where);
}

static void read_name(const struct reading *reading, struct gw_name *name, const struct gw_node *node)
{
    name->line = node->key_line;
    if (!split_name(name, node->key))
        complain(reading, node->key_line, "%.80s: expected HOST or HOST.NETWORK of letters, digits, - and _",
                 node->key);
    if (node->kind == GW_NODE_MAP)
        read_mapping(reading, name, node, node->key);
    else
        read_key(reading, name, node, node->key);
}

/* ---- the file */

static int compare_names(const void *a, const void *b)
{
    const struct gw_name *x = a, *y = b;
    int order = strcmp(x->host, y->host);
    if (!order)
        order = strcmp(x->network, y->network);
    return order ? order : (x->line > y->line) - (x->line < y->line);
}

/* Sorts, so that equal names are neighbours. */
static void check_duplicates(const struct reading *reading)
{
    struct gw_names *names = reading->names;
    if (names->count > 1)
        qsort(names->names, names->count, sizeof *names->names, compare_names);
    for (size_t i = 1; i < names->count; i++) {
        const struct gw_name *a = &names->names[i - 1], *b = &names->names[i];
        if (a->host[0] && strcmp(a->host, b->host) == 0 && strcmp(a->network, b->network) == 0)
            complain(reading, b->line, "%s%s%s: is there already, in line %u", b->host,
                     b->network[0] ? "." : "", b->network, a->line);
    }
}

/* The mapping of names may stand under the key `names`. */
static const struct gw_node *unwrap(const struct gw_node *root)
{
    const struct gw_node *inner = root->kind == GW_NODE_MAP ? gw_tree_get(root, "names") : NULL;
    if (!inner || root->count != 1 || inner->kind != GW_NODE_MAP)
        return root;
    return gw_tree_get(inner, "peer_id") || gw_tree_get(inner, "public_key") ? root : inner;
}

static int read_tree(const struct reading *reading, const struct gw_node *root)
{
    if (!root || root->is_null)
        return 0;
    root = unwrap(root);
    if (root->kind != GW_NODE_MAP) {
        complain(reading, root->line, "expected a mapping from names to peer IDs, found %s",
                 gw_tree_kind_name(root));
        return 0;
    }
    reading->names->names = calloc(root->count + 1, sizeof *reading->names->names);
    if (!reading->names->names)
        return GW_E_NOMEM;
    for (const struct gw_node *child = root->first; child; child = child->next)
        read_name(reading, &reading->names->names[reading->names->count++], child);
    check_duplicates(reading);
    return 0;
}

int gw_names_parse(struct gw_names **out, const char *text, size_t len, const char *path,
                   struct gw_diag *diag)
{
    struct gw_node *root;
    size_t errors = diag->errors, first = diag->count;
    *out = NULL;
    int err = gw_tree_parse(&root, text, len, path, diag);
    if (err)
        return err;
    struct gw_names *names = calloc(1, sizeof *names);
    const struct reading reading = {names, path, diag};
    err = names ? read_tree(&reading, root) : GW_E_NOMEM;
    gw_tree_free(root);
    gw_diag_sort(diag, first);
    if (err)
        complain(&reading, 0, "%s", gw_strerror(err));
    else if (diag->errors > errors)
        err = GW_E_CONFIG;
    if (err)
        gw_names_free(names);
    else
        *out = names;
    return err;
}

int gw_names_load(struct gw_names **out, const char *path, struct gw_diag *diag)
{
    struct gw_file file;
    *out = NULL;
    int err = gw_file_read(&file, path, GW_TREE_BYTES_MAX, diag);
    if (err == -ENOENT)
        return gw_names_parse(out, "", 0, path, diag);
    if (err)
        return err;
    err = gw_file_check_mode(path, file.mode, false, diag);
    if (!err)
        err = gw_file_check_folder(path, diag);
    if (!err)
        err = gw_names_parse(out, file.data, file.len, path, diag);
    gw_file_free(&file);
    return err;
}

void gw_names_free(struct gw_names *names)
{
    if (!names)
        return;
    free(names->names);
    free(names);
}

/* ---- questions */

const struct gw_name *gw_names_find(const struct gw_names *names, const char *host, const char *network)
{
    const struct gw_name *anywhere = NULL, *only = NULL;
    size_t count = 0;
    for (size_t i = 0; i < names->count; i++) {
        const struct gw_name *name = &names->names[i];
        if (strcasecmp(name->host, host) != 0)
            continue;
        if (strcasecmp(name->network, network) == 0)
            return name;
        if (!name->network[0])
            anywhere = name;
        only = name;
        count++;
    }
    if (*network)
        return anywhere;
    return count == 1 ? only : NULL;
}
