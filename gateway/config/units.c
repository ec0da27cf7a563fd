/* SPDX-License-Identifier: MIT */
/* Numbers with units. */
#include "gateway/config/units.h"

#include "gateway/base/err.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

struct unit {
    const char *name;
    int64_t value;
};

/* Largest first. */
static const struct unit durations[] = {
    {"d", 86400000000000}, {"h", 3600000000000}, {"m", 60000000000}, {"s", 1000000000},
    {"ms", 1000000},       {"us", 1000},         {"ns", 1},
};
static const struct unit sizes[] = {
    {"TiB", 1LL << 40}, {"TB", 1000000000000}, {"GiB", 1LL << 30}, {"GB", 1000000000}, {"MiB", 1LL << 20},
    {"MB", 1000000},    {"KiB", 1LL << 10},    {"KB", 1000},       {"B", 1},
};
#define COUNT(units) (sizeof(units) / sizeof *(units))

/* The digits at *text, which moves behind them; at least one. */
static int take_number(int64_t *out, const char **text, int base)
{
    const char *start = *text;
    *out = 0;
    for (; **text >= '0' && **text < '0' + base; ++*text) {
        if (__builtin_mul_overflow(*out, base, out) || __builtin_add_overflow(*out, **text - '0', out))
            return GW_E_MALFORMED;
    }
    return *text > start ? 0 : GW_E_MALFORMED;
}

/* The letters at *text, which moves behind them, as a unit; NULL when they are none. */
static const struct unit *take_unit(const char **text, const struct unit *units, size_t count)
{
    size_t len = strcspn(*text, "0123456789");
    for (size_t i = 0; i < count; i++) {
        if (len == strlen(units[i].name) && strncasecmp(*text, units[i].name, len) == 0) {
            *text += len;
            return &units[i];
        }
    }
    return NULL;
}

static int take_with_unit(int64_t *out, const char **text, const struct unit *units, size_t count)
{
    int64_t number;
    int err = take_number(&number, text, 10);
    const struct unit *unit = err ? NULL : take_unit(text, units, count);
    if (!unit || __builtin_mul_overflow(number, unit->value, &number) ||
        __builtin_add_overflow(*out, number, out))
        return GW_E_MALFORMED;
    return 0;
}

/* The largest unit that leaves no fraction; of two such, the one with the smaller number, which is the
 * larger unit. */
static char *format(int64_t number, const struct unit *units, size_t count, char *out, size_t out_len)
{
    size_t i = 0;
    while (i + 1 < count && number % units[i].value != 0)
        i++;
    snprintf(out, out_len, "%lld%s", (long long)(number / units[i].value), units[i].name);
    return out;
}

int gw_int_parse(int64_t *out, const char *text)
{
    int err = take_number(out, &text, 10);
    return err || *text ? GW_E_MALFORMED : 0;
}

static bool is_plain_number(const char *text)
{
    return *text && text[strspn(text, "0123456789")] == '\0';
}

int gw_duration_parse(int64_t *out, const char *text)
{
    int err = 0;
    if (is_plain_number(text)) {
        err = gw_int_parse(out, text);
        return err || __builtin_mul_overflow(*out, 1000000000, out) ? GW_E_MALFORMED : 0;
    }
    *out = 0;
    do
        err = take_with_unit(out, &text, durations, COUNT(durations));
    while (!err && *text);
    return err;
}

char *gw_duration_format(int64_t ns, char *out, size_t out_len)
{
    if (ns != 0)
        return format(ns, durations, COUNT(durations), out, out_len);
    snprintf(out, out_len, "0s");
    return out;
}

int gw_bytes_parse(int64_t *out, const char *text)
{
    if (is_plain_number(text))
        return gw_int_parse(out, text);
    *out = 0;
    int err = take_with_unit(out, &text, sizes, COUNT(sizes));
    return err || *text ? GW_E_MALFORMED : 0;
}

char *gw_bytes_format(int64_t bytes, char *out, size_t out_len)
{
    if (bytes != 0)
        return format(bytes, sizes, COUNT(sizes), out, out_len);
    snprintf(out, out_len, "0B");
    return out;
}

int gw_mode_parse(int64_t *out, const char *text)
{
    if (text[0] == '0' && (text[1] == 'o' || text[1] == 'O'))
        text += 2;
    int err = take_number(out, &text, 8);
    return err || *text ? GW_E_MALFORMED : 0;
}
