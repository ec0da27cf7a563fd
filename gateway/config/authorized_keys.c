/* SPDX-License-Identifier: MIT */
/* Reads authorized_keys, line by line; asks the list. A line is taken apart by authorized_line below,
 * which the edits use as well to find a peer's line. */
#include "gateway/config/authorized_keys.h"

#include "gateway/base/err.h"
#include "gateway/config/authorized_line.h"
#include "gateway/config/file.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define BYTES_MAX (1024u * 1024u)

static void clear_key(struct gw_authorized_key *key)
{
    for (char **service = key->services; service && *service; service++)
        free(*service);
    free(key->services);
    free(key->comment);
}

void gw_authorized_keys_free(struct gw_authorized_keys *list)
{
    if (!list)
        return;
    for (size_t i = 0; i < list->count; i++)
        clear_key(&list->keys[i]);
    free(list->keys);
    free(list);
}

/* ---- one entry */

static size_t count_words(const char *text, char separator)
{
    size_t count = 1;
    for (; *text; text++)
        count += *text == separator;
    return count;
}

/* "ssh,web" to a list; empty words are left out. */
static int copy_services(struct gw_authorized_key *key, const char *text)
{
    size_t used = 0;
    key->services = calloc(count_words(text, ',') + 1, sizeof *key->services);
    if (!key->services)
        return GW_E_NOMEM;
    while (*text) {
        size_t len = strcspn(text, ",");
        if (len > 0 && !(key->services[used++] = strndup(text, len)))
            return GW_E_NOMEM;
        text += len + (text[len] == ',');
    }
    return 0;
}

static int copy_entry(struct gw_authorized_key *key, const struct gw_authorized_line *line, unsigned number)
{
    *key = (struct gw_authorized_key){.line = number, .has_ed25519 = line->key.has_ed25519};
    memcpy(key->x25519, line->key.x25519, sizeof key->x25519);
    memcpy(key->ed25519, line->key.ed25519, sizeof key->ed25519);
    key->has_expiry = line->has_expiry;
    key->expires = line->expires;
    key->is_revoked = line->is_revoked;
    if (line->comment[0] && !(key->comment = strdup(line->comment)))
        return GW_E_NOMEM;
    return line->has_services ? copy_services(key, line->services) : 0;
}

/* Zeroed; NULL without memory. */
static struct gw_authorized_key *append(struct gw_authorized_keys *list)
{
    bool is_power = (list->count & (list->count - 1)) == 0; /* double when full: 0, 1, 2, 4 ... */
    if (is_power) {
        size_t room = list->count ? list->count * 2 : 1;
        struct gw_authorized_key *keys = realloc(list->keys, room * sizeof *keys);
        if (!keys)
            return NULL;
        list->keys = keys;
    }
    list->keys[list->count] = (struct gw_authorized_key){0};
    return &list->keys[list->count++];
}

static int append_entry(struct gw_authorized_keys *list, const struct gw_authorized_line *line,
                        unsigned number)
{
    struct gw_authorized_key *key = append(list);
    return key ? copy_entry(key, line, number) : GW_E_NOMEM;
}

/* Whoever it was to restrict is not to have more than if it could be read. */
static int append_void(struct gw_authorized_keys *list, const char *text, size_t len, unsigned number)
{
    struct gw_peer_key found;
    for (size_t at = 0; gw_authorized_line_next_key(&found, text, len, &at);) {
        struct gw_authorized_key *key = append(list);
        if (!key)
            return GW_E_NOMEM;
        *key = (struct gw_authorized_key){.line = number, .has_ed25519 = found.has_ed25519, .is_void = true};
        memcpy(key->x25519, found.x25519, sizeof key->x25519);
        memcpy(key->ed25519, found.ed25519, sizeof key->ed25519);
    }
    return 0;
}

/* ---- the file */

struct reading {
    struct gw_authorized_keys *list;
    const char *path;
    struct gw_diag *diag;
};

static int read_line(struct reading *reading, const char *text, size_t len, unsigned number)
{
    struct gw_authorized_line line;
    const char *why;
    switch (gw_authorized_line_parse(&line, text, len, &why)) {
    case GW_AUTHORIZED_LINE_ENTRY:
        return append_entry(reading->list, &line, number);
    case GW_AUTHORIZED_LINE_BAD:
        gw_diag_error(reading->diag, reading->path, number, "%s; this line grants nothing", why);
        return append_void(reading->list, text, len, number);
    case GW_AUTHORIZED_LINE_EMPTY:
    default:
        return 0;
    }
}

/* A peer that is there twice has what its first line that can be read says; the second one would be a trap. */
static int compare_keys(const void *a, const void *b)
{
    const struct gw_authorized_key *const *x = a, *const *y = b;
    int order = memcmp((*x)->x25519, (*y)->x25519, sizeof(*x)->x25519);
    if (!order)
        order = (*x)->is_void - (*y)->is_void;
    return order ? order : ((*x)->line > (*y)->line) - ((*x)->line < (*y)->line);
}

static int check_duplicates(const struct reading *reading)
{
    const struct gw_authorized_keys *list = reading->list;
    struct gw_authorized_key **sorted = malloc((list->count + 1) * sizeof *sorted);
    if (!sorted)
        return GW_E_NOMEM;
    for (size_t i = 0; i < list->count; i++)
        sorted[i] = &list->keys[i];
    qsort(sorted, list->count, sizeof *sorted, compare_keys);
    const struct gw_authorized_key *first = NULL;
    for (size_t i = 0; i < list->count; i++) {
        struct gw_authorized_key *key = sorted[i];
        if (!first || memcmp(first->x25519, key->x25519, sizeof key->x25519) != 0) {
            first = key;
            continue;
        }
        if (!key->is_void)
            gw_diag_error(reading->diag, reading->path, key->line,
                          "this peer is in line %u already, which counts; this line grants nothing",
                          first->line);
        key->is_void = true;
    }
    free(sorted);
    return 0;
}

static int read_lines(struct reading *reading, const char *text, size_t len)
{
    const char *end = text + len;
    int err = 0;
    for (unsigned number = 1; text < end && !err; number++) {
        const char *newline = memchr(text, '\n', (size_t)(end - text));
        const char *stop = newline ? newline : end;
        err = read_line(reading, text, (size_t)(stop - text), number);
        text = newline ? newline + 1 : end;
    }
    return err ? err : check_duplicates(reading);
}

int gw_authorized_keys_parse(struct gw_authorized_keys **out, const char *text, size_t len, const char *path,
                             struct gw_diag *diag)
{
    size_t first = diag->count;
    struct gw_authorized_keys *list = calloc(1, sizeof *list);
    struct reading reading = {list, path, diag};
    *out = NULL;
    int err = list ? read_lines(&reading, text, len) : GW_E_NOMEM;
    gw_diag_sort(diag, first);
    if (err) {
        gw_diag_error(diag, path, 0, "%s", gw_strerror(err));
        gw_authorized_keys_free(list);
        return err;
    }
    *out = list;
    return 0;
}

int gw_authorized_keys_load(struct gw_authorized_keys **out, const char *path, struct gw_diag *diag)
{
    struct gw_file file;
    *out = NULL;
    int err = gw_file_read(&file, path, BYTES_MAX, diag);
    if (err == -ENOENT)
        return gw_authorized_keys_parse(out, "", 0, path, diag);
    if (err)
        return err;
    err = gw_file_check_mode(path, file.mode, true, diag);
    if (!err)
        err = gw_file_check_folder(path, diag);
    if (!err)
        err = gw_authorized_keys_parse(out, file.data, file.len, path, diag);
    gw_file_free(&file);
    return err;
}

/* ---- questions */

const struct gw_authorized_key *gw_authorized_keys_find(const struct gw_authorized_keys *list,
                                                        const uint8_t x25519[32])
{
    const struct gw_authorized_key *found = NULL;
    for (size_t i = 0; i < list->count && (!found || found->is_void); i++) {
        const struct gw_authorized_key *key = &list->keys[i];
        if (memcmp(key->x25519, x25519, sizeof key->x25519) == 0 && (!found || !key->is_void))
            found = key;
    }
    return found;
}

bool gw_authorized_key_is_expired(const struct gw_authorized_key *key, struct gw_wall now)
{
    if (!key->has_expiry)
        return false;
    return now.s > key->expires.s || (now.s == key->expires.s && now.ns >= key->expires.ns);
}

static bool has_service(const struct gw_authorized_key *key, const char *service)
{
    if (!key->services)
        return true;
    for (char **at = key->services; *at; at++) {
        if (strcasecmp(*at, service) == 0)
            return true;
    }
    return false;
}

bool gw_authorized_keys_allow(const struct gw_authorized_keys *list, const uint8_t x25519[32],
                              const char *service, struct gw_wall now)
{
    const struct gw_authorized_key *key = gw_authorized_keys_find(list, x25519);
    if (!key || key->is_void || key->is_revoked || gw_authorized_key_is_expired(key, now))
        return false;
    return !service || has_service(key, service);
}
