/* SPDX-License-Identifier: MIT */
/* Prints what the schema knows: the effective configuration, and the reference of all keys. */
#ifndef GATEWAY_CONFIG_PRINT_H
#define GATEWAY_CONFIG_PRINT_H

#include "gateway/config/config.h"

#include <stdio.h>

enum gw_print_format { GW_PRINT_YAML, GW_PRINT_JSON };

/* Every key that has a value, defaults included, so that loading what was printed gives the same
 * configuration again. Secrets are printed as "(set)", unless show_secrets (for tests). */
void gw_config_print(FILE *out, const struct gw_config *config, enum gw_print_format format,
                     bool show_secrets);

/* docs/CONFIG.md. */
void gw_config_print_reference(FILE *out);

#endif
