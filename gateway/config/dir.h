/* SPDX-License-Identifier: MIT */
/* Which folder holds a node's files, and whether it may: nobody else can write to it. No file is opened
 * here. */
#ifndef GATEWAY_CONFIG_DIR_H
#define GATEWAY_CONFIG_DIR_H

#include <stddef.h>

#define GW_DIR_PATH_MAX 4096

#define GW_FILE_IDENTITY "identity.key"
#define GW_FILE_CONFIG "config.yaml"
#define GW_FILE_AUTHORIZED_KEYS "authorized_keys"
#define GW_FILE_NAMES "names.yaml"
#define GW_FILE_CONTROL "control.sock"
#define GW_DIR_STATE "state"
#define GW_DIR_NETWORKS "networks" /* a folder in it for each network but the top level's, by its name */

/* The folder: `option` (--dir; NULL when not given), else $PEERGATE_DIR, else /etc/peergate for root, else
 * $XDG_CONFIG_HOME/peergate, else ~/.config/peergate. Made absolute; it need not exist. 0, GW_E_TOO_BIG,
 * -ENOENT (no home). */
int gw_dir_choose(char out[GW_DIR_PATH_MAX], const char *option);

/* Makes the folder and what is missing above it, mode 0700; 0 when it is there already, or -errno. */
int gw_dir_create(const char *dir);

/* A path as it is written in a configuration in `dir`: absolute ones stay, "~/x" is in the home folder,
 * others are relative to dir. 0, GW_E_TOO_BIG, -ENOENT (no home). */
int gw_dir_resolve(char out[GW_DIR_PATH_MAX], const char *dir, const char *path);

/* The folder part of a file's path ("." when there is none). 0 or GW_E_TOO_BIG. */
int gw_dir_of_file(char out[GW_DIR_PATH_MAX], const char *path);

#endif
