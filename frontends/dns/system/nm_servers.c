/* SPDX-License-Identifier: MIT */
#include "frontends/dns/system/nm_servers.h"

#include <stdlib.h>
#include <string.h>

#define NAME "org.freedesktop.NetworkManager"
#define MANAGER "org.freedesktop.DBus.ObjectManager"

sd_bus_message *gw_nm_servers_get(struct gw_bus *bus)
{
    return gw_bus_message(bus, NAME, "/org/freedesktop", MANAGER, "GetManagedObjects");
}

struct reader {
    const struct gw_sd_bus *sd;
    sd_bus_message *answer;
    struct gw_addr *out;
    unsigned count;
};

static void add(struct reader *reader, const struct gw_addr *server)
{
    for (unsigned i = 0; i < reader->count; i++) {
        if (gw_addr_equal(&reader->out[i], server))
            return;
    }
    if (reader->count < GW_SYSDNS_OLD_MAX)
        reader->out[reader->count++] = *server;
}

/* A reader of what is behind a key: reads it or passes it over. false, here as everywhere below: the message goes on otherwise than it should, and nothing more of it is read. */
typedef bool read_fn(struct reader *reader, const char *key);

static bool skip(struct reader *reader, const char *type)
{
    return reader->sd->message_skip(reader->answer, type) >= 0;
}

static bool leave(struct reader *reader)
{
    return reader->sd->message_exit_container(reader->answer) >= 0;
}

static bool each_entry(struct reader *reader, const char *contents, read_fn *fn)
{
    const struct gw_sd_bus *sd = reader->sd;
    const char key_type[] = {contents[1], '\0'}, *key;
    char entry[32];
    size_t len = strlen(contents) - 2; /* without its braces */
    int more;
    memcpy(entry, contents + 1, len);
    entry[len] = '\0';
    if (sd->message_enter_container(reader->answer, 'a', contents) <= 0)
        return false;
    while ((more = sd->message_enter_container(reader->answer, 'e', entry)) > 0) {
        if (sd->message_read(reader->answer, key_type, &key) <= 0 || !fn(reader, key) || !leave(reader))
            return false;
    }
    return more == 0 && leave(reader);
}

/* IPv4: NameserverData, aa{sv}. */
static bool read_address(struct reader *reader, const char *key)
{
    const struct gw_sd_bus *sd = reader->sd;
    struct gw_addr server;
    const char *text;
    if (strcmp(key, "address") != 0 || sd->message_enter_container(reader->answer, 'v', "s") <= 0)
        return skip(reader, "v");
    if (sd->message_read(reader->answer, "s", &text) <= 0)
        return false;
    if (gw_addr_parse_ip(&server, text, 53) == 0)
        add(reader, &server);
    return leave(reader);
}

static bool read_data(struct reader *reader)
{
    const struct gw_sd_bus *sd = reader->sd;
    int is_end;
    if (sd->message_enter_container(reader->answer, 'v', "aa{sv}") <= 0)
        return skip(reader, "v");
    if (sd->message_enter_container(reader->answer, 'a', "a{sv}") <= 0)
        return false;
    while ((is_end = sd->message_at_end(reader->answer, 0)) == 0) {
        if (!each_entry(reader, "{sv}", read_address))
            return false;
    }
    return is_end > 0 && leave(reader) && leave(reader);
}

/* IPv6: Nameservers, aay. */
static bool read_bytes(struct reader *reader)
{
    const struct gw_sd_bus *sd = reader->sd;
    struct gw_addr server = {.family = 6, .port = 53};
    const void *bytes;
    size_t len;
    int more;
    if (sd->message_enter_container(reader->answer, 'v', "aay") <= 0)
        return skip(reader, "v");
    if (sd->message_enter_container(reader->answer, 'a', "ay") <= 0)
        return false;
    while ((more = sd->message_read_array(reader->answer, 'y', &bytes, &len)) > 0) {
        if (len == sizeof server.ip && memcmp(bytes, "\xfe\x80", 2) != 0) { /* which needs a scope */
            memcpy(server.ip, bytes, len);
            add(reader, &server);
        }
    }
    return more == 0 && leave(reader) && leave(reader);
}

static bool read_v4(struct reader *reader, const char *key)
{
    return strcmp(key, "NameserverData") == 0 ? read_data(reader) : skip(reader, "v");
}

static bool read_v6(struct reader *reader, const char *key)
{
    return strcmp(key, "Nameservers") == 0 ? read_bytes(reader) : skip(reader, "v");
}

static bool read_interface(struct reader *reader, const char *key)
{
    if (strcmp(key, NAME ".IP4Config") == 0)
        return each_entry(reader, "{sv}", read_v4);
    if (strcmp(key, NAME ".IP6Config") == 0)
        return each_entry(reader, "{sv}", read_v6);
    return skip(reader, "a{sv}");
}

static bool read_object(struct reader *reader, const char *key)
{
    (void)key;
    return each_entry(reader, "{sa{sv}}", read_interface);
}

static int compare(const void *a, const void *b)
{
    return memcmp(a, b, sizeof(struct gw_addr));
}

unsigned gw_nm_servers_read(struct gw_bus *bus, sd_bus_message *answer, struct gw_addr *out)
{
    struct reader reader = {.sd = bus->sd, .answer = answer, .out = out};
    each_entry(&reader, "{oa{sa{sv}}}", read_object);
    qsort(out, reader.count, sizeof *out, compare);
    return reader.count;
}
