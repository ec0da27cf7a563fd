/* SPDX-License-Identifier: MIT */
/* The journal's text is lines of a word and a value; the last one is "end", so that a file that was cut short is known as such. */
#include "frontends/dns/system/journal.h"

#include "gateway/base/err.h"
#include "gateway/config/atomic_file.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define HEAD "peergate-dns 1\n"
#define HEX "0123456789abcdef"

const char *const gw_sysdns_kind_names[] = {"off", "resolved", "networkmanager", "resolvconf", "resolv.conf"};
static_assert(sizeof gw_sysdns_kind_names / sizeof *gw_sysdns_kind_names == GW_SYSDNS_KINDS,
              "one name a kind");

/* ---- text */

size_t gw_sysdns_record_format(const struct gw_sysdns_record *record, char out[GW_SYSDNS_JOURNAL_MAX])
{
    int len =
        snprintf(out, GW_SYSDNS_JOURNAL_MAX,
                 HEAD "mechanism %s\nboot %s\ndevice %s\nindex %u\nhash %s\nmissing %u\nglobal %u\nend\n",
                 gw_sysdns_kind_names[record->kind], record->boot[0] ? record->boot : "-",
                 record->device[0] ? record->device : "-", record->index,
                 record->hash[0] ? record->hash : "-", record->was_missing, record->is_global);
    return len > 0 ? (size_t)len : 0;
}

/* The value of the line that begins with `word`, which has to be the next; "-" is no value. false: it is not, or does not fit. */
static bool take(const char **at, const char *word, char *value, size_t cap)
{
    size_t word_len = strlen(word), len;
    if (strncmp(*at, word, word_len) != 0 || (*at)[word_len] != ' ')
        return false;
    const char *start = *at + word_len + 1;
    len = strcspn(start, "\n");
    if (start[len] != '\n' || len == 0 || len >= cap)
        return false;
    memcpy(value, start, len);
    value[len] = '\0';
    if (strcmp(value, "-") == 0)
        value[0] = '\0';
    *at = start + len + 1;
    return true;
}

static bool take_number(const char **at, const char *word, unsigned *value, unsigned max)
{
    char text[11], *end;
    if (!take(at, word, text, sizeof text) || strspn(text, "0123456789") != strlen(text) || !text[0])
        return false;
    unsigned long number = strtoul(text, &end, 10);
    *value = (unsigned)number;
    return number <= max;
}

static bool take_kind(const char **at, enum gw_sysdns_kind *kind)
{
    char text[32];
    if (!take(at, "mechanism", text, sizeof text))
        return false;
    for (unsigned i = 1; i < GW_SYSDNS_KINDS; i++) {
        *kind = (enum gw_sysdns_kind)i;
        if (strcmp(text, gw_sysdns_kind_names[i]) == 0)
            return true;
    }
    return false;
}

/* What the kernel lets an interface be called. */
static bool is_device(const char *name)
{
    for (const unsigned char *c = (const unsigned char *)name; *c; c++) {
        if (*c <= ' ' || *c == 0x7f || *c == '/')
            return false;
    }
    return strcmp(name, ".") != 0 && strcmp(name, "..") != 0;
}

static bool parse(struct gw_sysdns_record *out, const char *text)
{
    unsigned was_missing, is_global;
    if (strncmp(text, HEAD, strlen(HEAD)) != 0)
        return false;
    text += strlen(HEAD);
    if (!take_kind(&text, &out->kind) || !take(&text, "boot", out->boot, sizeof out->boot) ||
        !take(&text, "device", out->device, sizeof out->device) ||
        !take_number(&text, "index", &out->index, INT32_MAX) ||
        !take(&text, "hash", out->hash, sizeof out->hash) ||
        !take_number(&text, "missing", &was_missing, 1) || !take_number(&text, "global", &is_global, 1))
        return false;
    out->was_missing = was_missing;
    out->is_global = is_global;
    return strcmp(text, "end\n") == 0 && strspn(out->boot, HEX "-") == strlen(out->boot) &&
           is_device(out->device) && strspn(out->hash, HEX) == strlen(out->hash) &&
           (out->hash[0] == '\0' || strlen(out->hash) == GW_SYSDNS_HASH_LEN);
}

int gw_sysdns_record_parse(struct gw_sysdns_record *out, const char *text, size_t len)
{
    char copy[GW_SYSDNS_JOURNAL_MAX];
    *out = (struct gw_sysdns_record){0};
    if (len < sizeof copy && !memchr(text, '\0', len)) {
        memcpy(copy, text, len);
        copy[len] = '\0';
        if (parse(out, copy))
            return 0;
    }
    *out = (struct gw_sysdns_record){0};
    return GW_E_MALFORMED;
}

/* ---- the file */

int gw_sysdns_journal_write(const char *path, const struct gw_sysdns_record *record)
{
    char text[GW_SYSDNS_JOURNAL_MAX];
    if (record->kind == GW_SYSDNS_OFF)
        return unlink(path) < 0 && errno != ENOENT ? -errno : 0;
    size_t len = gw_sysdns_record_format(record, text);
    return gw_atomic_write(NULL, path, text, len, GW_ATOMIC_REPLACE);
}

int gw_sysdns_journal_read(struct gw_sysdns_record *out, const char *path)
{
    char text[GW_SYSDNS_JOURNAL_MAX];
    *out = (struct gw_sysdns_record){0};
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0)
        return errno == ENOENT ? 0 : -errno;
    ssize_t len = read(fd, text, sizeof text);
    int err = len < 0 ? -errno : 0;
    close(fd);
    return err ? err : gw_sysdns_record_parse(out, text, (size_t)len);
}

/* ---- */

void gw_sysdns_boot_id(char out[GW_SYSDNS_BOOT_LEN + 1])
{
    FILE *file = fopen("/proc/sys/kernel/random/boot_id", "re");
    out[0] = '\0';
    if (file && !fgets(out, GW_SYSDNS_BOOT_LEN + 1, file))
        out[0] = '\0';
    if (file)
        fclose(file);
    if (strspn(out, HEX "-") != GW_SYSDNS_BOOT_LEN)
        out[0] = '\0';
}

void gw_sysdns_hash(char out[GW_SYSDNS_HASH_LEN + 1], const void *data, size_t len)
{
    unsigned char digest[GW_SYSDNS_HASH_LEN / 2];
    crypto_generichash(digest, sizeof digest, data, len, NULL, 0);
    sodium_bin2hex(out, GW_SYSDNS_HASH_LEN + 1, digest, sizeof digest);
}
