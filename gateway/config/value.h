/* SPDX-License-Identifier: MIT */
/* One value of the configuration: text to its type and back, and the words for what a type expects. No
 * tree, no file. */
#ifndef GATEWAY_CONFIG_VALUE_H
#define GATEWAY_CONFIG_VALUE_H

#include "gateway/config/config.h"
#include "gateway/config/schema.h"

/* Enough for any value but text and paths, which may be longer, and for every expectation. */
#define GW_VALUE_STRLEN 512

/* Text to *out, which has gw_type_size(key) bytes and holds nothing that is to be freed. dir is what
 * relative paths start from. 0, GW_E_NOMEM, or another error, then *why is a static phrase or NULL when
 * expectation and text say it all. */
int gw_value_parse(void *out, const struct gw_key *key, const char *text, const char *dir, const char **why);
/* What would have been right: "a duration from 1s to 1h, such as 20s". Returns out. */
char *gw_value_expected(const struct gw_key *key, char out[GW_VALUE_STRLEN]);
/* Does it hold a value that can be shown (a key that is set, text that is not NULL)? */
bool gw_value_is_set(const struct gw_key *key, const void *value);
/* The text that parses to the same value. Not for text and paths (take the string itself), not for
 * sections. Returns out. */
char *gw_value_format(const struct gw_key *key, const void *value, char out[GW_VALUE_STRLEN]);
/* Frees and wipes what the value holds. */
void gw_value_free(const struct gw_key *key, void *value);

#endif
