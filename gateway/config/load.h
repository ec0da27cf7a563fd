/* SPDX-License-Identifier: MIT */
/* From the tree to the struct, by the schema: every value typed and within its range, every default filled
 * in. What values mean together is not looked at here (check.c). */
#ifndef GATEWAY_CONFIG_LOAD_H
#define GATEWAY_CONFIG_LOAD_H

#include "gateway/config/config.h"
#include "gateway/config/tree.h"

struct gw_loading {
    struct gw_config *config; /* zeroed */
    const char *path;         /* of the file, for messages */
    const char *dir;          /* what relative paths start from */
    struct gw_diag *diag;
    const char *place; /* before the keys in messages: "networks[]." or NULL */
};

/* root: NULL = an empty file. Errors are in diag; 0 or GW_E_NOMEM (told as well). */
int gw_load_tree(const struct gw_loading *loading, const struct gw_node *root);

/* What values mean together: duplicates, what needs what, and defaults that follow from other values.
 * Errors are in diag; 0 or GW_E_NOMEM. */
int gw_load_check(const struct gw_loading *loading);
/* An error of this line: "networks[].peers[]: ..." */
__attribute__((format(printf, 3, 4))) void gw_load_complain(const struct gw_loading *loading, unsigned line,
                                                            const char *format, ...);
/* The part of it that concerns one network; its peers; and what all of them mean together. */
int gw_check_network(const struct gw_loading *loading, struct gw_config_network *network);
int gw_check_peers(const struct gw_loading *loading, const struct gw_config_network *network);
void gw_check_networks(const struct gw_loading *loading);

#endif
