/* SPDX-License-Identifier: MIT */
/* See cmd_destination.h. */
#include "gateway/daemon/cmd_destination.h"

#include "gateway/flow/class.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool gw_cmd_set_destination(json_t *request, const char *host, const char *service)
{
    char *end;
    long port = strtol(service, &end, 10);
    json_object_set_new(request, "host", json_string(host));
    if (*end != '\0' || end == service)
        return json_object_set_new(request, "service", json_string(service)) == 0;
    return port > 0 && port < 65536 && json_object_set_new(request, "port", json_integer(port)) == 0;
}

void gw_cmd_advise(char *out, size_t len, const char *code, const char *host)
{
    out[0] = '\0';
    if (strcmp(code, "unreachable") == 0 || strcmp(code, "timed-out") == 0)
        snprintf(out, len, "`peergate why %s` says more", host);
    else if (strcmp(code, "not-listed") == 0 || strcmp(code, "refused") == 0)
        snprintf(out, len, "`peergate services %s` lists what this node may use there", host);
    else if (strcmp(code, "shut-out") == 0)
        snprintf(out, len, "there, `peergate authorize` this node's peer ID, which `peergate id` prints");
}

int gw_cmd_check_class(const struct gw_cmd_context *ctx, const char *class_)
{
    enum gw_class ignored;
    if (!class_ || gw_class_parse(&ignored, class_))
        return GW_EXIT_OK;
    return gw_cmd_usage_error(ctx, "--class is interactive, normal or bulk, not \"%s\"", class_);
}
