/* SPDX-License-Identifier: MIT */
/* Reads the owner's files whole, and refuses what others could have read or written. */
#ifndef GATEWAY_CONFIG_FILE_H
#define GATEWAY_CONFIG_FILE_H

#include "gateway/config/diag.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>

struct gw_file {
    char *data; /* NUL-terminated behind its len bytes */
    size_t len;
    mode_t mode; /* the permission bits */
};

/* 0; -errno (-ENOENT says nothing in diag, all else does), GW_E_TOO_BIG (more than max), GW_E_INVAL (not a
 * regular file), GW_E_NOMEM. */
int gw_file_read(struct gw_file *out, const char *path, size_t max, struct gw_diag *diag);
/* Wipes. */
void gw_file_free(struct gw_file *file);

/* What `what` (a file's path) may be: 0, or GW_E_PERMISSION with the chmod in diag. A secret file is its
 * owner's alone; any other may be read by all, but not written to. */
int gw_file_check_mode(const char *path, mode_t mode, bool is_secret, struct gw_diag *diag);
/* The folder that a file is in: nobody else may replace files in it. 0, GW_E_PERMISSION with the chmod in
 * diag, -errno. */
int gw_file_check_folder(const char *path, struct gw_diag *diag);

/* The word as a shell takes it; quoted when it must be. Cut when it does not fit. Returns out. */
char *gw_shell_word(const char *word, char *out, size_t out_len);

#endif
