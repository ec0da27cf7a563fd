/* SPDX-License-Identifier: MIT */
/* Edits of authorized_keys: read, change one peer's line, replace the file; under its lock. All other
 * lines, also those that are not understood, stay byte for byte. */
#include "gateway/config/authorized_keys.h"

#include "gateway/base/err.h"
#include "gateway/config/atomic_file.h"
#include "gateway/config/authorized_line.h"
#include "gateway/config/file.h"
#include "gateway/config/text.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BYTES_MAX (1024u * 1024u)

/* The new file in the making. */
struct text {
    char *data;
    size_t len, room;
};

struct edit {
    const char *path;
    struct gw_diag *diag;
    struct gw_peer_key key;          /* whose line */
    const struct gw_authorize *what; /* NULL: take the line away */
    bool is_found;
    struct text out;
};

static int add(struct text *text, const char *data, size_t len)
{
    if (text->room - text->len < len) {
        size_t room = (text->len + len) * 2 + 256;
        char *grown = realloc(text->data, room);
        if (!grown)
            return GW_E_NOMEM;
        text->data = grown;
        text->room = room;
    }
    memcpy(text->data + text->len, data, len);
    text->len += len;
    return 0;
}

static int add_string(struct text *text, const char *string)
{
    return add(text, string, strlen(string));
}

/* ---- which line is the peer's */

static bool is_same_key(const struct edit *edit, const struct gw_peer_key *key)
{
    return memcmp(edit->key.x25519, key->x25519, sizeof key->x25519) == 0;
}

/* A line that is not understood may name the peer; it must not come back to life when somebody mends it. */
static bool has_word_of_peer(const struct edit *edit, const char *line, size_t len)
{
    struct gw_peer_key key;
    for (size_t at = 0; gw_authorized_line_next_key(&key, line, len, &at);) {
        if (is_same_key(edit, &key))
            return true;
    }
    return false;
}

static bool is_line_of_peer(const struct edit *edit, const char *line, size_t len,
                            struct gw_authorized_line *parsed)
{
    const char *why;
    switch (gw_authorized_line_parse(parsed, line, len, &why)) {
    case GW_AUTHORIZED_LINE_ENTRY:
        return is_same_key(edit, &parsed->key);
    case GW_AUTHORIZED_LINE_BAD:
        memset(parsed, 0, sizeof *parsed);
        return has_word_of_peer(edit, line, len);
    case GW_AUTHORIZED_LINE_EMPTY:
    default:
        return false;
    }
}

/* ---- the peer's new line */

static int add_option(struct text *out, bool *is_first, const char *name, const char *value)
{
    int err = value ? add_string(out, *is_first ? "" : ",") : 0;
    if (!value || err)
        return err;
    *is_first = false;
    err = add_string(out, name);
    if (!err)
        err = add_string(out, "=\"");
    if (!err)
        err = add_string(out, value);
    return err ? err : add_string(out, "\"");
}

static int add_entry(struct edit *edit, const char *old_comment)
{
    const struct gw_authorize *what = edit->what;
    const char *comment = what->comment ? what->comment : old_comment;
    bool is_first = true;
    int err = add_option(&edit->out, &is_first, "services", what->services);
    if (!err)
        err = add_option(&edit->out, &is_first, "expires", what->expires);
    if (!err)
        err = add_option(&edit->out, &is_first, "revoked", what->is_revoked ? "yes" : NULL);
    if (!err && !is_first)
        err = add_string(&edit->out, " ");
    if (!err)
        err = add_string(&edit->out, what->peer);
    if (!err && *comment)
        err = add_string(&edit->out, " ");
    if (!err)
        err = add_string(&edit->out, comment);
    return err ? err : add_string(&edit->out, "\n");
}

/* ---- the file */

/* line: with its newline, if it has one. */
static int edit_line(struct edit *edit, const char *line, size_t len)
{
    struct gw_authorized_line parsed;
    size_t bare = len > 0 && line[len - 1] == '\n' ? len - 1 : len;
    if (!is_line_of_peer(edit, line, bare, &parsed))
        return add(&edit->out, line, len);
    bool is_again = edit->is_found;
    edit->is_found = true;
    return edit->what && !is_again ? add_entry(edit, parsed.comment) : 0;
}

static int edit_lines(struct edit *edit, const struct gw_file *file)
{
    int err = 0;
    for (size_t at = 0, len; at < file->len && !err; at += len) {
        const char *newline = memchr(file->data + at, '\n', file->len - at);
        len = newline ? (size_t)(newline - (file->data + at)) + 1 : file->len - at;
        err = edit_line(edit, file->data + at, len);
    }
    if (err || !edit->what || edit->is_found)
        return err;
    if (edit->out.len > 0 && edit->out.data[edit->out.len - 1] != '\n')
        err = add_string(&edit->out, "\n");
    return err ? err : add_entry(edit, "");
}

static int read_old(struct gw_file *file, const struct edit *edit)
{
    int err = gw_file_read(file, edit->path, BYTES_MAX, edit->diag);
    if (err == -ENOENT)
        return gw_file_check_folder(edit->path, edit->diag);
    if (!err)
        err = gw_file_check_mode(edit->path, file->mode, true, edit->diag);
    return err ? err : gw_file_check_folder(edit->path, edit->diag);
}

static int say(const struct edit *edit, int err)
{
    gw_diag_error(edit->diag, edit->path, 0, "%s; nothing has changed", gw_strerror(err));
    return err;
}

static int write_new(const struct edit *edit)
{
    if (edit->out.len > BYTES_MAX)
        return say(edit, GW_E_TOO_BIG);
    int err = gw_atomic_write(NULL, edit->path, edit->out.len ? edit->out.data : "", edit->out.len,
                              GW_ATOMIC_REPLACE);
    return err ? say(edit, err) : 0;
}

static int edit_locked(struct edit *edit)
{
    struct gw_file file = {0};
    int err = read_old(&file, edit);
    if (err)
        goto out;
    err = edit_lines(edit, &file);
    if (err)
        say(edit, err);
    else if (!edit->what && !edit->is_found)
        err = GW_E_UNKNOWN;
    else
        err = write_new(edit);
out:
    gw_file_free(&file);
    free(edit->out.data);
    return err;
}

static int edit_file(struct edit *edit)
{
    int lock = gw_file_lock(edit->path);
    if (lock < 0)
        return say(edit, lock);
    int err = edit_locked(edit);
    close(lock);
    return err;
}

/* ---- what may be asked for */

static int check_peer(struct edit *edit, const char *peer)
{
    const char *why;
    if (gw_peer_key_parse(&edit->key, peer, &why) == 0)
        return 0;
    gw_diag_error(edit->diag, "", 0, "expected a peer ID (12D3KooW...) or a base64 key, found \"%.80s\"%s%s",
                  peer, why ? ": " : "", why ? why : "");
    return GW_E_INVAL;
}

static int check_what(const struct edit *edit)
{
    const struct gw_authorize *what = edit->what;
    struct gw_wall expires;
    if (what->services && !gw_services_are_valid(what->services)) {
        gw_diag_error(edit->diag, "", 0,
                      "services: expected names with commas between them, such as ssh,web; found \"%.80s\"",
                      what->services);
        return GW_E_INVAL;
    }
    if (what->expires && gw_expiry_parse(&expires, what->expires) != 0) {
        gw_diag_error(edit->diag, "", 0,
                      "expires: expected a date such as 2027-01-01 or 2027-01-01T12:00:00Z, found \"%.80s\"",
                      what->expires);
        return GW_E_INVAL;
    }
    if (what->comment && (gw_text_has_control(what->comment, strlen(what->comment)) ||
                          strlen(what->comment) > GW_AUTHORIZED_LINE_MAX / 4)) {
        gw_diag_error(edit->diag, "", 0, "comment: expected one line of at most %u bytes",
                      GW_AUTHORIZED_LINE_MAX / 4);
        return GW_E_INVAL;
    }
    if (what->services && strlen(what->services) > GW_AUTHORIZED_LINE_MAX / 4) {
        gw_diag_error(edit->diag, "", 0, "services: too many");
        return GW_E_INVAL;
    }
    return 0;
}

int gw_authorized_keys_authorize(const char *path, const struct gw_authorize *what, bool *replaced,
                                 struct gw_diag *diag)
{
    struct edit edit = {.path = path, .diag = diag, .what = what};
    int err = check_peer(&edit, what->peer);
    if (!err)
        err = check_what(&edit);
    if (!err)
        err = edit_file(&edit);
    if (replaced)
        *replaced = edit.is_found;
    return err;
}

int gw_authorized_keys_revoke(const char *path, const char *peer, bool *replaced, struct gw_diag *diag)
{
    const struct gw_authorize what = {.peer = peer, .is_revoked = true};
    return gw_authorized_keys_authorize(path, &what, replaced, diag);
}

int gw_authorized_keys_deauthorize(const char *path, const char *peer, struct gw_diag *diag)
{
    struct edit edit = {.path = path, .diag = diag};
    int err = check_peer(&edit, peer);
    return err ? err : edit_file(&edit);
}
