/* SPDX-License-Identifier: MIT */
#include "gateway/daemon/clients_file.h"

#include <stdbool.h>

#define LINE_LEN 256

static bool parse_line(struct gw_client_place *out, const char *line)
{
    char key[GW_KEY_BASE64_STRLEN], at[GW_ADDR_STRLEN], end;
    if (sscanf(line, "%44s %71s%c", key, at, &end) != 3 || end != '\n')
        return false;
    return gw_key_base64_parse(out->key, key) == 0 && gw_addr_parse(&out->at, at) == 0 && out->at.port != 0;
}

enum gw_clients_line gw_clients_file_next(FILE *file, struct gw_client_place *out)
{
    char line[LINE_LEN];
    *out = (struct gw_client_place){0};
    if (!fgets(line, sizeof line, file))
        return GW_CLIENTS_END;
    return parse_line(out, line) ? GW_CLIENTS_PLACE : GW_CLIENTS_BAD;
}

void gw_clients_file_add(FILE *file, const struct gw_client_place *place)
{
    char key[GW_KEY_BASE64_STRLEN], at[GW_ADDR_STRLEN];
    fprintf(file, "%s %s\n", gw_key_base64_format(place->key, key), gw_addr_format(&place->at, at));
}
