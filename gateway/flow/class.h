/* SPDX-License-Identifier: MIT */
/* The classes of flows as words, and which one an opener wishes for when nobody says it. */
#ifndef GATEWAY_FLOW_CLASS_H
#define GATEWAY_FLOW_CLASS_H

#include "gateway/flow/stream.h"

/* By enum gw_class. */
extern const char *const gw_class_names[GW_CLASS_COUNT];
/* false: no such word, and *out is as it was. */
bool gw_class_parse(enum gw_class *out, const char *word);

/* By what is asked for: interactive where a person waits for each keystroke (ssh, telnet and remote desktops, by the service's name in any case
 * or by the port), else normal. service "" = none, port 0 = none. */
enum gw_class gw_class_of(const char *service, uint16_t port);

#endif
