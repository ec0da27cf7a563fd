/* SPDX-License-Identifier: MIT */
/* Numbers as people write them in files: whole numbers, durations, sizes, file modes. Parsing takes the
 * whole text, no sign, no spaces; 0 or GW_E_MALFORMED (also what does not fit). Formatting writes what
 * parses to the same number. */
#ifndef GATEWAY_CONFIG_UNITS_H
#define GATEWAY_CONFIG_UNITS_H

#include <stddef.h>
#include <stdint.h>

int gw_int_parse(int64_t *out, const char *text);
/* Nanoseconds: "20" (seconds), "20s", "1m30s", "500ms"; units d h m s ms us ns. */
int gw_duration_parse(int64_t *out, const char *text);
char *gw_duration_format(int64_t ns, char *out, size_t out_len);
/* Bytes: "65536", "64MB" (a million each), "64MiB" (1024 * 1024 each). */
int gw_bytes_parse(int64_t *out, const char *text);
char *gw_bytes_format(int64_t bytes, char *out, size_t out_len);
/* "0600", "600", "0o600". */
int gw_mode_parse(int64_t *out, const char *text);

#endif
