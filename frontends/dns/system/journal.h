/* SPDX-License-Identifier: MIT */
/* What was changed in the machine's DNS, as one record in a file: written and flushed before the change, removed when it is undone. Who is killed leaves it, and
 * the next start, or `peergate dns restore`, goes by it. It holds no path and no command, so that whoever can write it can not make root do more than undo. */
#ifndef FRONTENDS_DNS_SYSTEM_JOURNAL_H
#define FRONTENDS_DNS_SYSTEM_JOURNAL_H

#include <stdbool.h>
#include <stddef.h>

#define GW_SYSDNS_DEVICE_MAX 15u
#define GW_SYSDNS_BOOT_LEN 36u
#define GW_SYSDNS_HASH_LEN 64u
#define GW_SYSDNS_JOURNAL_MAX 512u

enum gw_sysdns_kind {
    GW_SYSDNS_OFF,
    GW_SYSDNS_RESOLVED,
    GW_SYSDNS_NETWORKMANAGER,
    GW_SYSDNS_RESOLVCONF,
    GW_SYSDNS_RESOLV_CONF,
};
#define GW_SYSDNS_KINDS 5u
/* "off", "resolved", "networkmanager", "resolvconf", "resolv.conf" */
extern const char *const gw_sysdns_kind_names[GW_SYSDNS_KINDS];

struct gw_sysdns_record {
    enum gw_sysdns_kind kind; /* GW_SYSDNS_OFF: nothing is changed */
    char boot[GW_SYSDNS_BOOT_LEN +
              1]; /* since when the machine runs; what is in memory only is gone after another */
    char device[GW_SYSDNS_DEVICE_MAX + 1]; /* whose link, file or entry it is */
    unsigned index;                        /* resolved: of the link */
    char hash[GW_SYSDNS_HASH_LEN + 1];     /* of what we wrote; "" = none */
    bool was_missing;                      /* resolv.conf: there was none */
    bool is_global;                        /* networkmanager: its global configuration, not a file of ours */
};

/* Writes at most GW_SYSDNS_JOURNAL_MAX bytes with a NUL; returns the length. */
size_t gw_sysdns_record_format(const struct gw_sysdns_record *record, char out[GW_SYSDNS_JOURNAL_MAX]);
/* Takes nothing but what format writes, whole: 0, or GW_E_MALFORMED and *out is empty. */
int gw_sysdns_record_parse(struct gw_sysdns_record *out, const char *text, size_t len);

/* Replaces the file and flushes it; a record of GW_SYSDNS_OFF removes it. 0, GW_E_NOMEM, -errno. */
int gw_sysdns_journal_write(const char *path, const struct gw_sysdns_record *record);
/* GW_SYSDNS_OFF when there is no file. 0, GW_E_MALFORMED, -errno. */
int gw_sysdns_journal_read(struct gw_sysdns_record *out, const char *path);

/* The running kernel's own; "" when it does not say. */
void gw_sysdns_boot_id(char out[GW_SYSDNS_BOOT_LEN + 1]);
/* 32 bytes of BLAKE2b as hexadecimal digits. */
void gw_sysdns_hash(char out[GW_SYSDNS_HASH_LEN + 1], const void *data, size_t len);

#endif
