/* SPDX-License-Identifier: MIT */
#include "tests/nat/settings.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum shape { REACH, PORTS, FLAG, SECONDS, PORT, COUNT, RATE };

static const struct {
    const char *name;
    enum shape shape;
    size_t at;
    const char *help;
} settings[] = {
#define AT(member) offsetof(struct nat_params, member)
    {"mapping", REACH, AT(mapping), "independent, address or address-port"},
    {"filtering", REACH, AT(filtering), "the same"},
    {"ports", PORTS, AT(ports), "preserve, sequential or random"},
    {"first", PORT, AT(port_first), "the lowest outside port"},
    {"last", PORT, AT(port_last), "the highest"},
    {"step", PORT, AT(step), "between sequential ports"},
    {"others", RATE, AT(others), "ports that others take, a second"},
    {"overloading", FLAG, AT(is_overloading), "a port for many remotes, as Linux: 0 or 1"},
    {"strangers", FLAG, AT(remembers_strangers), "unwanted packets spoil the port"},
    {"hairpin", FLAG, AT(has_hairpin), ""},
    {"arbitrary", FLAG, AT(is_pool_arbitrary), "each mapping any address of the pool"},
    {"inbound-refreshes", FLAG, AT(inbound_refreshes), ""},
    {"blocks-udp", FLAG, AT(blocks_udp), ""},
    {"blocks-tcp", FLAG, AT(blocks_tcp), "but for ports 80 and 443"},
    {"fresh", SECONDS, AT(udp_fresh_ns), "time-out of a UDP session, in seconds"},
    {"assured", SECONDS, AT(udp_assured_ns), "of one that is answered and goes on"},
    {"settle", SECONDS, AT(udp_settle_ns), "how old that has to be"},
    {"tcp-fresh", SECONDS, AT(tcp_fresh_ns), ""},
    {"tcp-open", SECONDS, AT(tcp_open_ns), ""},
    {"tcp-closed", SECONDS, AT(tcp_closed_ns), ""},
    {"max", COUNT, AT(max_mappings), "mappings"},
    {"max-host", COUNT, AT(max_host_mappings), "mappings of one host"},
#undef AT
};

static const char *const reaches[] = {"independent", "address", "address-port", NULL};
static const char *const ways[] = {"preserve", "sequential", "random", NULL};

static bool one_of(const char *const *words, const char *value, unsigned *out)
{
    for (*out = 0; words[*out]; (*out)++) {
        if (strcmp(words[*out], value) == 0)
            return true;
    }
    return false;
}

static bool set_number(void *to, enum shape shape, const char *text)
{
    char *end;
    double value = strtod(text, &end);
    if (end == text || *end || !(value >= 0) || (shape == FLAG && value > 1) ||
        (shape == PORT && value > 65535) || value > 1e9)
        return false;
    if (shape == FLAG)
        *(bool *)to = value != 0;
    else if (shape == SECONDS)
        *(int64_t *)to = (int64_t)(value * 1e9);
    else if (shape == PORT)
        *(uint16_t *)to = (uint16_t)value;
    else if (shape == COUNT)
        *(uint32_t *)to = (uint32_t)value;
    else
        *(double *)to = value;
    return true;
}

static bool set_one(struct nat_params *params, const char *name, const char *value)
{
    unsigned index;
    for (size_t i = 0; i < sizeof settings / sizeof settings[0]; i++) {
        if (strcmp(settings[i].name, name) != 0)
            continue;
        void *to = (char *)params + settings[i].at;
        if (settings[i].shape == REACH && one_of(reaches, value, &index))
            *(enum nat_reach *)to = (enum nat_reach)index;
        else if (settings[i].shape == PORTS && one_of(ways, value, &index))
            *(enum nat_ports *)to = (enum nat_ports)index;
        else if (settings[i].shape == REACH || settings[i].shape == PORTS)
            return false;
        else
            return set_number(to, settings[i].shape, value);
        return true;
    }
    return false;
}

const char *nat_set(struct nat_params *params, const char *text)
{
    static char word[64];
    while (*text) {
        size_t len = strcspn(text, ",");
        snprintf(word, sizeof word, "%.*s", (int)len, text);
        char *equals = strchr(word, '=');
        if (!equals || len >= sizeof word)
            return word;
        *equals = 0;
        if (!set_one(params, word, equals + 1)) {
            *equals = '=';
            return word;
        }
        text += len + (text[len] == ',');
    }
    return NULL;
}

void nat_settings_print(void)
{
    for (size_t i = 0; i < sizeof settings / sizeof settings[0]; i++)
        printf("  %-20s %s\n", settings[i].name, settings[i].help);
}
