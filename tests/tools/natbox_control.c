/* SPDX-License-Identifier: MIT */
#include "tests/tools/natbox.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

const char natbox_commands[] =
    "  stats                  counters\n"
    "  rebind                 forgets all mappings and gives out other ports from now on\n"
    "  forget                 forgets all mappings\n"
    "  renumber IP            the first outside address is another one now\n"
    "  block IP[:PORT]        packets to and from there vanish\n"
    "  unblock                they do not any longer\n"
    "  silence on|off         everything vanishes\n"
    "  udp on|off             off: UDP is blocked\n"
    "  forward udp|tcp PORT INSIDE:PORT\n"
    "                         of the first outside address\n"
    "  kind KIND [SETTINGS]   becomes another kind, with the same outside addresses";

struct reply {
    char *at;
    size_t room;
};

static void say(struct reply *reply, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void say(struct reply *reply, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int n = vsnprintf(reply->at, reply->room, format, args);
    va_end(args);
    size_t len = n > 0 && (size_t)n < reply->room ? (size_t)n : reply->room - 1;
    reply->at += len;
    reply->room -= len;
}

#define U(x) ((unsigned long long)(x))

static void say_stats(struct reply *reply, const char *name, struct nat *nat, struct gw_mono now)
{
    struct nat_stats s;
    if (!nat)
        return;
    nat_stats(nat, now, &s);
    say(reply,
        ", \"%s\": {\"out\": %llu, \"in\": %llu, \"hairpinned\": %llu, \"filtered\": %llu, \"blocked\": %llu, ",
        name, U(s.out), U(s.in), U(s.hairpinned), U(s.filtered), U(s.blocked));
    say(reply, "\"refused\": %llu, \"mapped\": %llu, \"mappings\": %u, \"hosts\": %u, \"sessions\": %u}",
        U(s.refused), U(s.mapped), s.mappings, s.hosts, s.sessions);
}

static void stats(struct natbox *box, struct gw_mono now, struct reply *reply)
{
    say(reply, "{\"kind\": \"%s\", \"bytes_out\": %llu, \"bytes_in\": %llu, \"not_carried\": %llu",
        nat_kind_name(box->kind), U(box->bytes_out), U(box->bytes_in), U(box->not_carried));
    say_stats(reply, box->v4[1] ? "home" : "v4", box->v4[0], now);
    say_stats(reply, "carrier", box->v4[1], now);
    say_stats(reply, "v6", box->v6, now);
    say(reply, "}");
}

/* The NAT that faces the internet. */
static struct nat *outermost(const struct natbox *box)
{
    return box->line.box_count ? box->v4[box->line.box_count - 1] : NULL;
}

static void each(struct natbox *box, void (*change)(struct nat *nat))
{
    for (unsigned i = 0; i < NAT_BOXES_MAX; i++) {
        if (box->v4[i])
            change(box->v4[i]);
    }
    if (box->v6)
        change(box->v6);
}

static void silence(struct nat *nat)
{
    nat_silence(nat, true);
}
static void unsilence(struct nat *nat)
{
    nat_silence(nat, false);
}
static void block_udp(struct nat *nat)
{
    nat_block_udp(nat, true);
}
static void unblock_udp(struct nat *nat)
{
    nat_block_udp(nat, false);
}

static const char *switched(struct natbox *box, const char *word, void (*on)(struct nat *nat),
                            void (*off)(struct nat *nat))
{
    if (!word || (strcmp(word, "on") != 0 && strcmp(word, "off") != 0))
        return "on or off?";
    each(box, strcmp(word, "on") == 0 ? on : off);
    return NULL;
}

static const char *block(struct natbox *box, const char *word)
{
    struct gw_addr remote;
    if (!word || (gw_addr_parse(&remote, word) != 0 && gw_addr_parse_ip(&remote, word, 0) != 0))
        return "block whom? IP or IP:PORT";
    struct nat *nat = remote.family == 6 ? box->v6 : outermost(box);
    return nat && nat_block(nat, &remote) ? NULL : "none of that family, or too many";
}

static const char *forward(struct natbox *box, const char *protocol, const char *port, const char *inside)
{
    struct gw_addr outside, host;
    unsigned number;
    bool is_tcp = protocol && strcmp(protocol, "tcp") == 0;
    struct nat *nat = box->v4[0];
    if (!nat || box->line.box_count != 1 || nat_params(nat)->is_open)
        return "there is no single NAT";
    if (!inside || (!is_tcp && strcmp(protocol, "udp") != 0) || sscanf(port, "%u", &number) != 1 ||
        number > 65535 || gw_addr_parse(&host, inside) != 0)
        return "forward udp|tcp PORT INSIDE:PORT";
    outside = nat_params(nat)->pool[0];
    outside.port = (uint16_t)number;
    return nat_forward(nat, is_tcp ? NAT_TCP : NAT_UDP, &outside, &host) ? NULL : "too many";
}

static const char *renumber(struct natbox *box, const char *word)
{
    struct gw_addr ip;
    struct nat *nat = outermost(box);
    if (!nat || nat_params(nat)->is_open || !word || gw_addr_parse_ip(&ip, word, 0) != 0 || ip.family != 4)
        return "renumber IPv4, of a NAT";
    nat_renumber(nat, 0, &ip);
    box->line.v4[box->line.box_count - 1].pool[0] = ip;
    return NULL;
}

static const char *change_kind(struct natbox *box, const char *kind, const char *settings)
{
    char pool[NAT_POOL_MAX * 16] = "", ip[GW_ADDR_STRLEN];
    const struct nat_params *params = box->line.box_count ? &box->line.v4[box->line.box_count - 1] : NULL;
    struct reply to = {pool, sizeof pool};
    for (unsigned i = 0; params && i < params->pool_count; i++) {
        gw_addr_format(&params->pool[i], ip);
        say(&to, "%s%.*s", i ? "," : "", (int)strcspn(ip, ":"), ip);
    }
    struct natbox_options options = {
        .kind = kind ? kind : "", .settings = settings, .public = pool, .with_v6 = box->line.has_v6};
    return natbox_set_up(box, &options);
}

void natbox_command(struct natbox *box, struct gw_mono now, char *line, char *reply, size_t size)
{
    struct reply to = {reply, size};
    char *words[5] = {0}, *save;
    const char *wrong = "no such command";
    unsigned count = 0;
    for (char *word = strtok_r(line, " \n", &save); word && count < 5; word = strtok_r(NULL, " \n", &save))
        words[count++] = word;
    const char *verb = words[0] ? words[0] : "";
    if (strcmp(verb, "stats") == 0) {
        stats(box, now, &to);
        return;
    }
    if (strcmp(verb, "rebind") == 0)
        each(box, nat_rebind), wrong = NULL;
    else if (strcmp(verb, "forget") == 0)
        each(box, nat_forget), wrong = NULL;
    else if (strcmp(verb, "unblock") == 0)
        each(box, nat_unblock_all), wrong = NULL;
    else if (strcmp(verb, "renumber") == 0)
        wrong = renumber(box, words[1]);
    else if (strcmp(verb, "block") == 0)
        wrong = block(box, words[1]);
    else if (strcmp(verb, "silence") == 0)
        wrong = switched(box, words[1], silence, unsilence);
    else if (strcmp(verb, "udp") == 0)
        wrong = switched(box, words[1], unblock_udp, block_udp);
    else if (strcmp(verb, "forward") == 0)
        wrong = forward(box, words[1], words[2], words[3]);
    else if (strcmp(verb, "kind") == 0)
        wrong = change_kind(box, words[1], words[2]);
    if (wrong)
        say(&to, "{\"error\": \"%s\"}", wrong);
    else
        say(&to, "{\"ok\": true}");
}
