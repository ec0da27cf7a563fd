/* SPDX-License-Identifier: MIT */
/* Text from files that will be shown to a person: no character in it may move a cursor, colour a line or
 * end one. */
#ifndef GATEWAY_CONFIG_TEXT_H
#define GATEWAY_CONFIG_TEXT_H

#include <stdbool.h>
#include <stddef.h>

/* The length in bytes of the control character at *text (C0 and DEL: 1; C1 in UTF-8: 2); 0 = it is none.
 * len > 0. */
size_t gw_text_control_len(const char *text, size_t len);
bool gw_text_has_control(const char *text, size_t len);

#endif
