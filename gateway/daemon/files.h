/* SPDX-License-Identifier: MIT */
/* The owner's files, loaded together: config.yaml, the authorized_keys files of each network and names.yaml. They are loaded into a fresh struct
 * before anything of the running daemon changes, so that a bad file changes nothing. */
#ifndef GATEWAY_DAEMON_FILES_H
#define GATEWAY_DAEMON_FILES_H

#include "gateway/config/authorized_keys.h"
#include "gateway/config/config.h"
#include "gateway/config/names.h"
#include "gateway/local/target.h"
#include "gateway/services/authorize.h"

/* Of one network. */
struct gw_network_files {
    const struct gw_config_network *config; /* in gw_files.config */
    struct gw_authorized_keys *keys;        /* who may have a session */
    struct gw_authorized_keys *
        *service_keys; /* one for each of config->services; NULL = it has no list of its own */
    bool is_running;   /* while they are reloaded: there is a network of these files */
    struct gw_names
        *names; /* its own names.yaml; NULL for the top level's network, whose file is everybody's */
};

struct gw_files {
    struct gw_config *config;
    struct gw_names *names;            /* DIR/names.yaml */
    struct gw_network_files *networks; /* in the order of the file; at least one */
    size_t network_count;
};

/* From DIR/config.yaml and the files it names. 0, or an error and everything is in diag. An unreadable line of an authorized_keys file grants nothing and is
 * an error in diag, but no failure. */
int gw_files_load(struct gw_files *files, const char *dir, struct gw_diag *diag);
/* Zeroed afterwards. */
void gw_files_fini(struct gw_files *files);

/* Who may have a session: the configured peers and the list. NULL without memory. */
struct gw_grants *gw_files_grants(const struct gw_network_files *files);
/* A list of grants of one file. NULL without memory. */
struct gw_grants *gw_grants_of_keys(const struct gw_authorized_keys *keys);
/* Where an endpoint of the configuration is. 0, GW_E_TOO_BIG, GW_E_INVAL. */
int gw_target_of_endpoint(struct gw_target *out, const struct gw_config_endpoint *endpoint);

#endif
