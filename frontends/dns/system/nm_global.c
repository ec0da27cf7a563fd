/* SPDX-License-Identifier: MIT */
#include "frontends/dns/system/nm_global.h"

#include <stdio.h>
#include <string.h>

#define NAME "org.freedesktop.NetworkManager"
#define PATH "/org/freedesktop/NetworkManager"
#define PROPERTIES "org.freedesktop.DBus.Properties"
#define PROPERTY "GlobalDnsConfiguration"
#define SEARCH_LEN (GW_SYSDNS_SEARCH_MAX * GW_SYSDNS_NAME_MAX)

static void append_word(char *list, size_t list_len, const char *word, size_t word_len)
{
    size_t at = strlen(list);
    snprintf(list + at, list_len - at, "%s%.*s", at ? "," : "", (int)word_len, word);
}

void gw_nm_global_servers(char out[GW_NM_SERVERS_LEN], const struct gw_sysdns_wish *wish)
{
    char text[GW_ADDR_STRLEN];
    out[0] = '\0';
    for (unsigned i = 0; i < wish->server_count; i++) {
        if (wish->servers[i].port != 53)
            continue;
        gw_addr_format_ip(&wish->servers[i], text);
        append_word(out, GW_NM_SERVERS_LEN, text, strlen(text));
    }
}

/* ---- making it */

static void append_list(const struct gw_sd_bus *sd, sd_bus_message *call, const char *key, const char *words)
{
    char copy[SEARCH_LEN + GW_NM_SERVERS_LEN], *kept;
    snprintf(copy, sizeof copy, "%s", words);
    sd->message_open_container(call, 'e', "sv");
    sd->message_append(call, "s", key);
    sd->message_open_container(call, 'v', "as");
    sd->message_open_container(call, 'a', "s");
    for (char *word = strtok_r(copy, ",", &kept); word; word = strtok_r(NULL, ",", &kept))
        sd->message_append(call, "s", word);
    for (unsigned i = 0; i < 3; i++)
        sd->message_close_container(call);
}

/* "domains": {"*": {"servers": [...]}} */
static void append_domains(const struct gw_sd_bus *sd, sd_bus_message *call, const char *servers)
{
    sd->message_open_container(call, 'e', "sv");
    sd->message_append(call, "s", "domains");
    sd->message_open_container(call, 'v', "a{sv}");
    sd->message_open_container(call, 'a', "{sv}");
    sd->message_open_container(call, 'e', "sv");
    sd->message_append(call, "s", "*");
    sd->message_open_container(call, 'v', "a{sv}");
    sd->message_open_container(call, 'a', "{sv}");
    append_list(sd, call, "servers", servers);
    for (unsigned i = 0; i < 6; i++)
        sd->message_close_container(call);
}

sd_bus_message *gw_nm_global_set(struct gw_bus *bus, const char *servers, const struct gw_sysdns_wish *wish)
{
    const struct gw_sd_bus *sd = bus->sd;
    char search[SEARCH_LEN] = "";
    sd_bus_message *call = gw_bus_message(bus, NAME, PATH, PROPERTIES, "Set");
    if (!call)
        return NULL;
    for (unsigned i = 0; wish && i < wish->search_count; i++)
        append_word(search, sizeof search, wish->search[i], strlen(wish->search[i]));
    sd->message_append(call, "ss", NAME, PROPERTY);
    sd->message_open_container(call, 'v', "a{sv}");
    sd->message_open_container(call, 'a', "{sv}");
    if (search[0])
        append_list(sd, call, "searches", search);
    if (wish)
        append_domains(sd, call, servers);
    sd->message_close_container(call);
    sd->message_close_container(call);
    return call;
}

/* ---- reading it */

sd_bus_message *gw_nm_global_get(struct gw_bus *bus)
{
    sd_bus_message *call = gw_bus_message(bus, NAME, PATH, PROPERTIES, "Get");
    if (call)
        bus->sd->message_append(call, "ss", NAME, PROPERTY);
    return call;
}

typedef unsigned reader(const struct gw_sd_bus *sd, sd_bus_message *answer, char *out);

static unsigned read_strings(const struct gw_sd_bus *sd, sd_bus_message *answer, char *out)
{
    const char *word;
    unsigned count = 0;
    if (sd->message_enter_container(answer, 'v', "as") <= 0 ||
        sd->message_enter_container(answer, 'a', "s") <= 0)
        return 0;
    for (; sd->message_read(answer, "s", &word) > 0; count++)
        append_word(out, GW_NM_SERVERS_LEN, word, strlen(word));
    sd->message_exit_container(answer);
    sd->message_exit_container(answer);
    return count;
}

/* Of a dictionary, the entry `key` is looked into by fn, the others are passed over. How many there are. */
static unsigned read_entries(const struct gw_sd_bus *sd, sd_bus_message *answer, const char *key, reader *fn,
                             char *out)
{
    const char *name;
    unsigned count = 0;
    if (sd->message_enter_container(answer, 'v', "a{sv}") <= 0 ||
        sd->message_enter_container(answer, 'a', "{sv}") <= 0)
        return 0;
    for (; sd->message_enter_container(answer, 'e', "sv") > 0; count++) {
        if (sd->message_read(answer, "s", &name) > 0 && strcmp(name, key) == 0)
            fn(sd, answer, out);
        else
            sd->message_skip(answer, "v");
        sd->message_exit_container(answer);
    }
    sd->message_exit_container(answer);
    sd->message_exit_container(answer);
    return count;
}

static unsigned read_everything(const struct gw_sd_bus *sd, sd_bus_message *answer, char *out)
{
    return read_entries(sd, answer, "servers", read_strings, out);
}

static unsigned read_domains(const struct gw_sd_bus *sd, sd_bus_message *answer, char *out)
{
    return read_entries(sd, answer, "*", read_everything, out);
}

bool gw_nm_global_read(struct gw_bus *bus, sd_bus_message *answer, char out[GW_NM_SERVERS_LEN])
{
    out[0] = '\0';
    return read_entries(bus->sd, answer, "domains", read_domains, out) > 0;
}
