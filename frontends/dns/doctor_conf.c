/* SPDX-License-Identifier: MIT */
/* resolv.conf, as the doctor reads it. */
#include "frontends/dns/doctor.h"

#include <stdlib.h>
#include <string.h>

static void take_server(struct gw_dns_resolv_conf *out, const char *word)
{
    if (out->server_count < GW_DNS_DOCTOR_SERVERS_MAX &&
        gw_addr_parse_ip(&out->servers[out->server_count], word, 53) == 0)
        out->server_count++;
}

/* The last search line holds. */
static void take_search(struct gw_dns_resolv_conf *out, char *words)
{
    char *kept;
    out->search_count = 0;
    for (char *word = strtok_r(words, " \t", &kept); word; word = strtok_r(NULL, " \t", &kept)) {
        if (out->search_count < GW_DNS_DOCTOR_SEARCH_MAX)
            snprintf(out->search[out->search_count++], sizeof out->search[0], "%s", word);
    }
}

static void take_options(struct gw_dns_resolv_conf *out, char *words)
{
    char *kept;
    for (char *word = strtok_r(words, " \t", &kept); word; word = strtok_r(NULL, " \t", &kept)) {
        if (strncmp(word, "ndots:", 6) == 0)
            out->ndots = (unsigned)strtoul(word + 6, NULL, 10);
    }
}

static void take_line(struct gw_dns_resolv_conf *out, char *line)
{
    char *rest, *word = strtok_r(line, " \t", &rest);
    if (!word || *word == '#' || *word == ';')
        return;
    rest += strspn(rest, " \t");
    if (strcmp(word, "nameserver") == 0) {
        rest[strcspn(rest, " \t#;")] = '\0';
        take_server(out, rest);
    } else if (strcmp(word, "search") == 0 || strcmp(word, "domain") == 0) {
        take_search(out, rest);
    } else if (strcmp(word, "options") == 0) {
        take_options(out, rest);
    }
}

void gw_dns_resolv_conf_parse(struct gw_dns_resolv_conf *out, const char *text)
{
    *out = (struct gw_dns_resolv_conf){.is_there = true, .ndots = 1};
    while (*text) {
        char line[1024];
        size_t len = strcspn(text, "\r\n");
        snprintf(line, sizeof line, "%.*s", (int)(len < sizeof line ? len : sizeof line - 1), text);
        take_line(out, line);
        text += len + strspn(text + len, "\r\n");
    }
}
