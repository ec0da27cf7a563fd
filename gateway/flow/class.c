/* SPDX-License-Identifier: MIT */
#include "gateway/flow/class.h"

#include <string.h>
#include <strings.h>

const char *const gw_class_names[GW_CLASS_COUNT] = {"interactive", "normal", "bulk"};

static const struct {
    const char *service;
    uint16_t port;
} typed_into[] = {{"ssh", 22}, {"telnet", 23}, {"rdp", 3389}, {"vnc", 5900}};

bool gw_class_parse(enum gw_class *out, const char *word)
{
    for (unsigned i = 0; i < GW_CLASS_COUNT; i++) {
        if (strcmp(gw_class_names[i], word) != 0)
            continue;
        *out = (enum gw_class)i;
        return true;
    }
    return false;
}

enum gw_class gw_class_of(const char *service, uint16_t port)
{
    for (size_t i = 0; i < sizeof typed_into / sizeof typed_into[0]; i++) {
        if (port == typed_into[i].port || strcasecmp(service, typed_into[i].service) == 0)
            return GW_CLASS_INTERACTIVE;
    }
    return GW_CLASS_NORMAL;
}
