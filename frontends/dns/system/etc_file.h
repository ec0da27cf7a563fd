/* SPDX-License-Identifier: MIT */
/* Small files of the machine, read and replaced whole, readable by everybody. */
#ifndef FRONTENDS_DNS_SYSTEM_ETC_FILE_H
#define FRONTENDS_DNS_SYSTEM_ETC_FILE_H

#include <stdbool.h>
#include <stddef.h>

#define GW_ETC_FILE_MAX 65536u

/* The text, NUL-terminated; free it. A symbolic link is followed. 0, -errno, GW_E_TOO_BIG, GW_E_NOMEM; -EISDIR and the like for what is no plain file. */
int gw_etc_file_read(char **out, size_t *len, const char *path);
/* Writes `temp` beside path (removing what is there of that name), flushes it, renames it to path and flushes the folder: mode 0644, owned by us. A symbolic link at path is
 * replaced. 0 or -errno: then path is as it was, and temp is gone. */
int gw_etc_file_replace(const char *path, const char *temp, const char *text, size_t len);
/* Flushes the folder that the file is in; what cannot be is not needed. */
void gw_etc_file_flush_folder(const char *path);
/* Why it cannot be changed, and what to do: "is immutable (chattr -i ...)". err: of the call. */
const char *gw_etc_file_explain(const char *path, int err, char *out, size_t out_len);

#endif
