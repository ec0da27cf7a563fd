/* SPDX-License-Identifier: MIT */
/* The owner's files, loaded together: config.yaml, the authorized_keys files and names.yaml. They are loaded into a fresh struct before
 * anything of the running daemon changes, so that a bad file changes nothing. */
#ifndef GATEWAY_DAEMON_FILES_H
#define GATEWAY_DAEMON_FILES_H

#include "gateway/config/authorized_keys.h"
#include "gateway/config/config.h"
#include "gateway/config/names.h"
#include "gateway/services/authorize.h"

struct gw_files {
    struct gw_config *config;
    struct gw_authorized_keys *keys; /* the global list */
    struct gw_names *names;
    struct gw_authorized_keys *
        *service_keys; /* one for each of config->services; NULL = it has no list of its own */
};

/* From DIR/config.yaml and the files it names. 0, or an error and everything is in diag. An unreadable line of an authorized_keys file grants nothing and is
 * an error in diag, but no failure. */
int gw_files_load(struct gw_files *files, const char *dir, struct gw_diag *diag);
/* Zeroed afterwards. */
void gw_files_fini(struct gw_files *files);

/* Who may have a session: the configured peers and the global list. NULL without memory. */
struct gw_grants *gw_files_grants(const struct gw_files *files);
/* A list of grants of one file. NULL without memory. */
struct gw_grants *gw_grants_of_keys(const struct gw_authorized_keys *keys);

#endif
