/* SPDX-License-Identifier: MIT */
/* The journal's file; see journal.h. */
#include "frontends/tun/journal.h"

#include "gateway/base/err.h"
#include "gateway/config/atomic_file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char *append(char *at, const struct gw_changes *changes)
{
    for (size_t i = 0; changes && i < changes->count; i++) {
        gw_change_format(&changes->items[i], at);
        at += strlen(at);
        *at++ = '\n';
    }
    return at;
}

static size_t count_of(const struct gw_changes *changes)
{
    return changes ? changes->count : 0;
}

int gw_journal_write(const char *path, const struct gw_changes *a, const struct gw_changes *b)
{
    size_t count = count_of(a) + count_of(b);
    if (count == 0)
        return unlink(path) < 0 && errno != ENOENT ? -errno : 0;
    char *text = malloc(count * (GW_CHANGE_LINE_MAX + 1));
    if (!text)
        return GW_E_NOMEM;
    size_t len = (size_t)(append(append(text, a), b) - text);
    int err = gw_atomic_write(NULL, path, text, len, GW_ATOMIC_REPLACE);
    free(text);
    return err;
}

int gw_journal_read_file(struct gw_changes *out, FILE *file, unsigned *bad)
{
    char line[GW_CHANGE_LINE_MAX + 2];
    struct gw_change change;
    int err = 0;
    *bad = 0;
    while (err == 0 && fgets(line, sizeof line, file)) {
        line[strcspn(line, "\n")] = 0;
        if (gw_change_parse(&change, line) == 0)
            err = gw_changes_add(out, &change);
        else
            (*bad)++;
    }
    gw_changes_finish(out);
    return err;
}

int gw_journal_read(struct gw_changes *out, const char *path, unsigned *bad)
{
    *bad = 0;
    FILE *file = fopen(path, "re");
    if (!file)
        return errno == ENOENT ? 0 : -errno;
    int err = gw_journal_read_file(out, file, bad);
    fclose(file);
    return err;
}
