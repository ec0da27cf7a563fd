/* SPDX-License-Identifier: MIT */
#include "frontends/dns/system/resolv_conf.h"

#include "gateway/base/err.h"

#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LINE_MAX_LEN 1024u
#define OPTIONS "options"

struct maker {
    FILE *out;
    const struct gw_sysdns_wish *wish;
    unsigned servers;
    char search[LINE_MAX_LEN],
        options[LINE_MAX_LEN]; /* the last line of the kind holds for search, all for options */
};

static void put_server(struct maker *maker, const char *server)
{
    if (maker->servers++ < GW_SYSDNS_SERVERS_MAX)
        fprintf(maker->out, "nameserver %s\n", server);
}

static bool is_ours(const struct maker *maker, const char *server)
{
    struct gw_addr address;
    if (gw_addr_parse_ip(&address, server, 53) != 0)
        return false;
    for (unsigned i = 0; i < maker->wish->server_count; i++) {
        if (gw_addr_equal(&address, &maker->wish->servers[i]))
            return true;
    }
    return false;
}

/* Whole ones, as far as they fit into a line that would be read again. */
static void take_options(struct maker *maker, char *words)
{
    char *kept;
    for (char *word = strtok_r(words, " \t", &kept); word; word = strtok_r(NULL, " \t", &kept)) {
        size_t len = strlen(maker->options), room = LINE_MAX_LEN - sizeof OPTIONS;
        if (strcmp(word, "rotate") != 0 && len + 1 + strlen(word) <= room)
            snprintf(maker->options + len, sizeof maker->options - len, " %s", word);
    }
}

static void take_line(struct maker *maker, char *line)
{
    char *rest, *word = strtok_r(line, " \t", &rest);
    if (!word || *word == '#' || *word == ';')
        return;
    rest += strspn(rest, " \t");
    if (strcmp(word, "nameserver") == 0) {
        rest[strcspn(rest, " \t#;")] = '\0';
        if (*rest && !is_ours(maker, rest))
            put_server(maker, rest);
    } else if (strcmp(word, "search") == 0 || strcmp(word, "domain") == 0) {
        snprintf(maker->search, sizeof maker->search, "%s", rest);
    } else if (strcmp(word, OPTIONS) == 0) {
        take_options(maker, rest);
    }
}

static void take_lines(struct maker *maker, const char *text)
{
    char line[LINE_MAX_LEN];
    while (*text) {
        size_t len = strcspn(text, "\r\n");
        snprintf(line, sizeof line, "%.*s", (int)(len < sizeof line ? len : sizeof line - 1), text);
        take_line(maker, line);
        text += len;
        text += strspn(text, "\r\n");
    }
}

static void put_search(const struct maker *maker)
{
    if (maker->wish->search_count == 0 && !maker->search[0])
        return;
    fputs("search", maker->out);
    for (unsigned i = 0; i < maker->wish->search_count; i++)
        fprintf(maker->out, " %s", maker->wish->search[i]);
    fprintf(maker->out, "%s%s\n", maker->search[0] ? " " : "", maker->search);
}

int gw_resolv_conf_make(char **out, size_t *len, const char *old, const struct gw_sysdns_wish *wish)
{
    struct maker maker = {.wish = wish};
    char at[GW_ADDR_STRLEN];
    *out = NULL;
    maker.out = open_memstream(out, len);
    if (!maker.out)
        return GW_E_NOMEM;
    fputs(GW_RESOLV_CONF_MARK " for as long as it runs; the original is resolv.conf.before-peergate,\n"
                              "# and `peergate dns restore` puts it back.\n",
          maker.out);
    for (unsigned i = 0; i < wish->server_count; i++) {
        if (wish->servers[i].port == 53)
            put_server(&maker, gw_addr_format_ip(&wish->servers[i], at));
    }
    take_lines(&maker, old);
    put_search(&maker);
    if (maker.options[0])
        fprintf(maker.out, OPTIONS "%s\n", maker.options);
    bool is_whole = !ferror(maker.out);
    is_whole = fclose(maker.out) == 0 && is_whole;
    if (is_whole)
        return 0;
    free(*out);
    *out = NULL;
    return GW_E_NOMEM;
}

/* A link-local one is written with its interface's name. */
static bool parse_server(struct gw_addr *out, char word[GW_ADDR_STRLEN])
{
    char *scope = strchr(word, '%');
    unsigned index = scope ? if_nametoindex(scope + 1) : 0;
    if (index > 0)
        snprintf(scope + 1, GW_ADDR_STRLEN - (size_t)(scope + 1 - word), "%u", index);
    return gw_addr_parse_ip(out, word, 53) == 0;
}

/* A line of `len` bytes: does it name a server? */
static bool take_server(struct gw_addr *out, const char *text, size_t len)
{
    char line[LINE_MAX_LEN], word[GW_ADDR_STRLEN];
    snprintf(line, sizeof line, "%.*s", (int)(len < sizeof line ? len : sizeof line - 1), text);
    return sscanf(line, "nameserver%*[ \t]%71[^ \t#;]", word) == 1 && parse_server(out, word);
}

/* fn is told of each nameserver until it returns false. */
static void each_server(const char *text, bool (*fn)(void *ctx, const struct gw_addr *server), void *ctx)
{
    struct gw_addr address;
    while (*text) {
        size_t len = strcspn(text, "\r\n");
        if (take_server(&address, text, len) && !fn(ctx, &address))
            return;
        text += len;
        text += strspn(text, "\r\n");
    }
}

struct search {
    const struct gw_addr *wanted;
    bool is_found;
};

static bool compare(void *ctx, const struct gw_addr *server)
{
    struct search *search = ctx;
    search->is_found = gw_addr_same_ip(server, search->wanted);
    return !search->is_found;
}

bool gw_resolv_conf_names(const char *text, const struct gw_addr *server)
{
    struct search search = {.wanted = server};
    each_server(text, compare, &search);
    return search.is_found;
}

struct collection {
    struct gw_addr *servers;
    unsigned count;
};

static bool collect(void *ctx, const struct gw_addr *server)
{
    struct collection *all = ctx;
    all->servers[all->count++] = *server;
    return all->count < GW_SYSDNS_OLD_MAX;
}

unsigned gw_resolv_conf_servers(const char *text, struct gw_addr *out)
{
    struct collection all = {out, 0};
    each_server(text, collect, &all);
    return all.count;
}
