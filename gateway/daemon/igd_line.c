/* SPDX-License-Identifier: MIT */
#include "gateway/daemon/igd_line.h"

#include "gateway/wire/candidate.h"

#include <stdio.h>
#include <string.h>

#define WORD_MAX GW_IGD_URL_MAX

/* The next word, cut off where it is too long; the line goes on behind it. */
static const char *next_word(const char *line, char out[WORD_MAX])
{
    line += strspn(line, " ");
    size_t len = strcspn(line, " ");
    snprintf(out, WORD_MAX, "%.*s", (int)(len < WORD_MAX ? len : WORD_MAX), line);
    return line + len;
}

static bool is_url(const char *word)
{
    size_t len = strlen(word);
    if (strncmp(word, "http://", 7) != 0 || len + 1 >= GW_IGD_URL_MAX) /* so long: it may have been cut */
        return false;
    for (size_t i = 0; i < len; i++) {
        if (word[i] <= ' ' || word[i] > '~')
            return false;
    }
    return true;
}

/* Digits only. false: no number up to max. */
static bool to_number(const char *word, uint32_t max, uint32_t *out)
{
    uint64_t value = 0;
    bool was_digit = *word >= '0' && *word <= '9';
    for (; *word >= '0' && *word <= '9' && value <= max; word++)
        value = value * 10 + (uint64_t)(*word - '0');
    *out = (uint32_t)value;
    return *word == '\0' && value <= max && was_digit;
}

static void set_reason(struct gw_igd_line *out, const char *reason)
{
    size_t i = 0;
    out->verdict = GW_IGD_SAID_REFUSED;
    reason += strspn(reason, " ");
    for (; reason[i] && i + 1 < sizeof out->reason; i++)
        out->reason[i] = reason[i] < ' ' || reason[i] > '~' ? '?' : reason[i];
    out->reason[i] = '\0';
}

static void set_mapping(struct gw_igd_line *out, const char *rest)
{
    char ip[WORD_MAX], port[WORD_MAX], lifetime[WORD_MAX];
    uint32_t number = 0;
    struct gw_addr external;
    rest = next_word(next_word(next_word(rest, ip), port), lifetime);
    if (!to_number(port, 65535, &number) || !to_number(lifetime, 86400 * 365, &out->lifetime_s) ||
        gw_addr_parse_ip(&external, ip, (uint16_t)number) != 0 || external.family != 4 ||
        !gw_candidate_is_usable(&external) || *rest) {
        set_reason(out, "its address outside makes no sense");
        return;
    }
    out->verdict = GW_IGD_SAID_MAPPED;
    out->external = external;
}

void gw_igd_line_parse(struct gw_igd_line *out, const char *line)
{
    char verdict[WORD_MAX], url[WORD_MAX];
    *out = (struct gw_igd_line){.verdict = GW_IGD_SAID_NONE};
    const char *rest = next_word(next_word(line, verdict), url);
    if (!is_url(url))
        return;
    if (strcmp(verdict, "found") == 0)
        out->verdict = GW_IGD_SAID_FOUND;
    else if (strcmp(verdict, "mapped") == 0)
        set_mapping(out, rest);
    else if (strcmp(verdict, "refused") == 0)
        set_reason(out, rest);
    else
        return;
    snprintf(out->url, sizeof out->url, "%s", url);
}
