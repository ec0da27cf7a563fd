/* SPDX-License-Identifier: MIT */
/* The line's grammar:
 *
 *     line    = blanks [ "#" anything ] | blanks [ options blanks ] key [ blanks comment ]
 *     options = option *( "," option )
 *     option  = name "=" DQUOTE value DQUOTE
 *
 * An option that is not known makes the line bad: it may have been meant to forbid something. */
#include "gateway/config/authorized_line.h"

#include "gateway/base/err.h"
#include "gateway/config/text.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define WORD_MAX 128u

/* ---- dates */

/* `count` digits, which must lie in low..high. */
static bool take_digits(const char **text, int count, int low, int high, int *out)
{
    *out = 0;
    for (int i = 0; i < count; i++, ++*text) {
        if (!isdigit((unsigned char)**text))
            return false;
        *out = *out * 10 + (**text - '0');
    }
    return *out >= low && *out <= high;
}

static bool take_char(const char **text, char wanted)
{
    if (**text != wanted)
        return false;
    ++*text;
    return true;
}

static bool take_date(const char **text, struct tm *tm)
{
    int year, month;
    if (!take_digits(text, 4, 1970, 9999, &year) || !take_char(text, '-') ||
        !take_digits(text, 2, 1, 12, &month) || !take_char(text, '-') ||
        !take_digits(text, 2, 1, 31, &tm->tm_mday))
        return false;
    tm->tm_year = year - 1900;
    tm->tm_mon = month - 1;
    return true;
}

static bool take_time(const char **text, struct tm *tm)
{
    if (!take_digits(text, 2, 0, 23, &tm->tm_hour) || !take_char(text, ':') ||
        !take_digits(text, 2, 0, 59, &tm->tm_min) || !take_char(text, ':') ||
        !take_digits(text, 2, 0, 60, &tm->tm_sec))
        return false;
    if (!take_char(text, '.'))
        return true;
    if (!isdigit((unsigned char)**text)) /* a fraction of a second is read over */
        return false;
    *text += strspn(*text, "0123456789");
    return true;
}

/* "Z" or "+02:00"; seconds east of UTC. */
static bool take_zone(const char **text, int *seconds)
{
    int hours, minutes, sign = **text == '-' ? -1 : 1;
    *seconds = 0;
    if (take_char(text, 'Z') || take_char(text, 'z'))
        return true;
    if (!take_char(text, '+') && !take_char(text, '-'))
        return false;
    if (!take_digits(text, 2, 0, 23, &hours) || !take_char(text, ':') ||
        !take_digits(text, 2, 0, 59, &minutes))
        return false;
    *seconds = sign * (hours * 3600 + minutes * 60);
    return true;
}

int gw_expiry_parse(struct gw_wall *out, const char *text)
{
    struct tm tm = {0};
    int east = 0;
    if (!take_date(&text, &tm))
        return GW_E_MALFORMED;
    int day = tm.tm_mday;
    if (*text && (!(take_char(&text, 'T') || take_char(&text, 't') || take_char(&text, ' ')) ||
                  !take_time(&text, &tm) || !take_zone(&text, &east)))
        return GW_E_MALFORMED;
    if (*text)
        return GW_E_MALFORMED;
    struct tm check = {.tm_year = tm.tm_year, .tm_mon = tm.tm_mon, .tm_mday = day};
    timegm(&check); /* the 30th of February becomes another day */
    if (check.tm_mday != day)
        return GW_E_MALFORMED;
    *out = (struct gw_wall){.s = (int64_t)timegm(&tm) - east};
    return 0;
}

/* ---- options */

bool gw_services_are_valid(const char *text)
{
    size_t len = 0;
    for (; *text; text++) {
        bool is_name =
            isascii((unsigned char)*text) && (isalnum((unsigned char)*text) || *text == '-' || *text == '_');
        if (*text == ',' && len == 0)
            return false;
        if (*text != ',' && !is_name)
            return false;
        len = *text == ',' ? 0 : len + 1;
        if (len > 63)
            return false;
    }
    return len > 0;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static bool set_option(struct gw_authorized_line *out, const char *name, const char *value, const char **why)
{
    if (strcmp(name, "services") == 0) {
        *why = out->has_services ? "services is there twice"
                                 : "services: expected names with commas between them, such as \"ssh,web\"";
        snprintf(out->services, sizeof out->services, "%s", value);
        bool is_second = out->has_services;
        out->has_services = true;
        return !is_second && gw_services_are_valid(value);
    }
    if (strcmp(name, "expires") == 0) {
        *why = out->has_expiry
                   ? "expires is there twice"
                   : "expires: expected a date such as \"2027-01-01\" or \"2027-01-01T12:00:00Z\"";
        bool is_second = out->has_expiry;
        out->has_expiry = true;
        return !is_second && gw_expiry_parse(&out->expires, value) == 0;
    }
    if (strcmp(name, "revoked") == 0) {
        *why = "revoked: expected \"yes\"";
        out->is_revoked = true;
        return strcmp(value, "yes") == 0;
    }
    *why = "unknown option; there are services=\"...\", expires=\"...\" and revoked=\"yes\"";
    return false;
}

/* name="value" at *text, which moves behind it. */
static bool take_option(struct gw_authorized_line *out, const char **text, const char **why)
{
    char name[WORD_MAX], value[GW_AUTHORIZED_LINE_MAX];
    size_t name_len = strcspn(*text, "=\", \t");
    *why = "expected a peer ID or a base64 key, or options such as services=\"ssh,web\" before it";
    if (name_len == 0 || name_len >= sizeof name || strncmp(*text + name_len, "=\"", 2) != 0)
        return false;
    const char *start = *text + name_len + 2;
    size_t value_len = strcspn(start, "\"");
    *why = "a quotation mark is missing";
    if (start[value_len] != '"')
        return false;
    memcpy(name, *text, name_len);
    name[name_len] = '\0';
    memcpy(value, start, value_len);
    value[value_len] = '\0';
    *text = start + value_len + 1;
    return set_option(out, name, value, why);
}

static bool take_options(struct gw_authorized_line *out, const char **text, const char **why)
{
    do {
        if (!take_option(out, text, why))
            return false;
    } while (take_char(text, ','));
    *why = "expected a blank behind the options";
    if (!is_blank(**text))
        return false;
    *text += strspn(*text, " \t");
    return true;
}

/* ---- the line */

static bool take_key(struct gw_authorized_line *out, const char **text, const char **why)
{
    char word[WORD_MAX];
    size_t len = strcspn(*text, " \t");
    if (len >= sizeof word)
        return false;
    memcpy(word, *text, len);
    word[len] = '\0';
    *text += len;
    if (gw_peer_key_parse(&out->key, word, why) == 0)
        return true;
    if (!*why)
        *why = "expected a peer ID or a base64 key";
    return false;
}

bool gw_authorized_line_next_key(struct gw_peer_key *out, const char *text, size_t len, size_t *at)
{
    char word[WORD_MAX];
    const char *why;
    while (*at < len) {
        size_t start = *at, word_len = 0;
        while (start + word_len < len && !isspace((unsigned char)text[start + word_len]))
            word_len++;
        *at = start + word_len + 1;
        if (word_len == 0 || word_len >= sizeof word)
            continue;
        memcpy(word, text + start, word_len);
        word[word_len] = '\0';
        if (gw_peer_key_parse(out, word, &why) == 0)
            return true;
    }
    return false;
}

/* Is the first word the key, and not an option? An option has a quotation mark, a key never. */
static bool begins_with_key(const char *text)
{
    size_t len = strcspn(text, " \t\"");
    return text[len] != '"';
}

static void copy_comment(struct gw_authorized_line *out, const char *text)
{
    text += strspn(text, " \t");
    if (*text == '#') /* as it stands behind keys in peer-up's files */
        text += 1 + strspn(text + 1, " \t");
    snprintf(out->comment, sizeof out->comment, "%s", text);
    for (size_t len = strlen(out->comment); len > 0 && is_blank(out->comment[len - 1]); len--)
        out->comment[len - 1] = '\0';
}

static bool has_control_character(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (text[i] != '\t' && gw_text_control_len(text + i, len - i) > 0)
            return true;
    }
    return false;
}

enum gw_authorized_line_kind gw_authorized_line_parse(struct gw_authorized_line *out, const char *text,
                                                      size_t len, const char **why)
{
    char line[GW_AUTHORIZED_LINE_MAX];
    const char *at = line;
    memset(out, 0, sizeof *out);
    if (len > 0 && text[len - 1] == '\r')
        len--;
    *why = "the line is too long";
    if (len >= sizeof line)
        return GW_AUTHORIZED_LINE_BAD;
    *why = "there is a control character";
    if (has_control_character(text, len))
        return GW_AUTHORIZED_LINE_BAD;
    memcpy(line, text, len);
    line[len] = '\0';
    at += strspn(at, " \t");
    if (!*at || *at == '#')
        return GW_AUTHORIZED_LINE_EMPTY;
    if (!begins_with_key(at) && !take_options(out, &at, why))
        return GW_AUTHORIZED_LINE_BAD;
    if (!take_key(out, &at, why))
        return GW_AUTHORIZED_LINE_BAD;
    copy_comment(out, at);
    return GW_AUTHORIZED_LINE_ENTRY;
}
