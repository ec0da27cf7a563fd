/* SPDX-License-Identifier: MIT */
/* Text to values and back, type by type. Numbers with units and network addresses have files of their own
 * (units.c, endpoint.c); here is the table of types. */
#include "gateway/config/value.h"

#include "gateway/base/err.h"
#include "gateway/base/secret.h"
#include "gateway/config/dir.h"
#include "gateway/config/endpoint.h"
#include "gateway/config/nearest.h"
#include "gateway/config/peer_key.h"
#include "gateway/config/units.h"
#include "gateway/wire/peer_id.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define LABEL_MAX 63u

struct parse {
    const struct gw_key *key;
    const char *text;
    const char *dir;
    const char **why;
};

/* ---- text */

static int store_copy(void *out, const char *text)
{
    char *copy = strdup(text);
    memcpy(out, &copy, sizeof copy);
    return copy ? 0 : GW_E_NOMEM;
}

static int parse_text(void *out, const struct parse *in)
{
    size_t len = strlen(in->text);
    if (len < (size_t)in->key->min || len > (size_t)in->key->max)
        return GW_E_MALFORMED;
    return store_copy(out, in->text);
}

static bool is_label(const char *text)
{
    size_t len = strlen(text);
    if (len == 0 || len > LABEL_MAX || text[0] == '-' || text[len - 1] == '-')
        return false;
    for (; *text; text++) {
        if (!isascii((unsigned char)*text) ||
            !(isalnum((unsigned char)*text) || *text == '-' || *text == '_'))
            return false;
    }
    return true;
}

static int parse_label(void *out, const struct parse *in)
{
    char *copy;
    if (!is_label(in->text))
        return GW_E_MALFORMED;
    int err = store_copy(out, in->text);
    if (err)
        return err;
    memcpy(&copy, out, sizeof copy);
    for (; *copy; copy++)
        *copy = (char)tolower((unsigned char)*copy);
    return 0;
}

static int parse_path(void *out, const struct parse *in)
{
    char path[GW_DIR_PATH_MAX];
    if (!*in->text)
        return GW_E_MALFORMED;
    int err = gw_dir_resolve(path, in->dir, in->text);
    if (err)
        *in->why = err == GW_E_TOO_BIG ? "too long" : "there is no home folder";
    return err ? err : store_copy(out, path);
}

static char *string_at(const void *value)
{
    char *text;
    memcpy(&text, value, sizeof text);
    return text;
}

static bool is_text_set(const void *value)
{
    return string_at(value) != NULL;
}

/* ---- numbers */

static int parse_number(void *out, const struct parse *in, int (*parse)(int64_t *, const char *))
{
    int64_t number;
    if (parse(&number, in->text) != 0 || number < in->key->min || number > in->key->max)
        return GW_E_MALFORMED;
    memcpy(out, &number, sizeof number);
    return 0;
}

static int64_t number_at(const void *value)
{
    int64_t number;
    memcpy(&number, value, sizeof number);
    return number;
}

static int parse_int(void *out, const struct parse *in)
{
    for (const struct gw_choice *choice = in->key->choices; choice && choice->word; choice++) {
        const int64_t value = choice->value;
        if (strcasecmp(in->text, choice->word) != 0)
            continue;
        memcpy(out, &value, sizeof value);
        return 0;
    }
    return parse_number(out, in, gw_int_parse);
}

static int parse_duration(void *out, const struct parse *in)
{
    return parse_number(out, in, gw_duration_parse);
}

static int parse_bytes(void *out, const struct parse *in)
{
    return parse_number(out, in, gw_bytes_parse);
}

static int parse_mode(void *out, const struct parse *in)
{
    return parse_number(out, in, gw_mode_parse);
}

static bool is_int_set(const void *value)
{
    return number_at(value) >= 0;
}

static void format_int(const struct gw_key *key, const void *value, char *out)
{
    snprintf(out, GW_VALUE_STRLEN, "%lld", (long long)number_at(value));
    for (const struct gw_choice *choice = key->choices; choice && choice->word; choice++) {
        if (choice->value == number_at(value))
            snprintf(out, GW_VALUE_STRLEN, "%s", choice->word);
    }
}

static void format_duration(const struct gw_key *key, const void *value, char *out)
{
    (void)key;
    gw_duration_format(number_at(value), out, GW_VALUE_STRLEN);
}

static void format_bytes(const struct gw_key *key, const void *value, char *out)
{
    (void)key;
    gw_bytes_format(number_at(value), out, GW_VALUE_STRLEN);
}

static void format_mode(const struct gw_key *key, const void *value, char *out)
{
    (void)key;
    snprintf(out, GW_VALUE_STRLEN, "%04llo", (unsigned long long)number_at(value));
}

/* ---- words */

static int parse_bool(void *out, const struct parse *in)
{
    static const struct {
        const char *word;
        bool value;
    } words[] = {{"true", true}, {"false", false}, {"yes", true},
                 {"no", false},  {"on", true},     {"off", false}};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (strcasecmp(in->text, words[i].word) == 0) {
            memcpy(out, &words[i].value, sizeof words[i].value);
            return 0;
        }
    }
    return GW_E_MALFORMED;
}

static void format_bool(const struct gw_key *key, const void *value, char *out)
{
    bool is_true;
    (void)key;
    memcpy(&is_true, value, sizeof is_true);
    strcpy(out, is_true ? "true" : "false");
}

static int parse_enum(void *out, const struct parse *in)
{
    for (const struct gw_choice *choice = in->key->choices; choice->word; choice++) {
        if (strcasecmp(in->text, choice->word) == 0) {
            memcpy(out, &choice->value, sizeof choice->value);
            return 0;
        }
    }
    return GW_E_MALFORMED;
}

static void format_enum(const struct gw_key *key, const void *value, char *out)
{
    int number;
    memcpy(&number, value, sizeof number);
    *out = '\0';
    for (const struct gw_choice *choice = key->choices; choice->word; choice++) {
        if (choice->value == number)
            strcpy(out, choice->word);
    }
}

/* ---- addresses */

static int parse_hostport(void *out, const struct parse *in)
{
    return gw_endpoint_parse(out, in->text, (uint16_t)in->key->min, in->why);
}

static int parse_socket(void *out, const struct parse *in)
{
    return gw_socket_parse(out, in->text, in->dir, (uint16_t)in->key->min, in->why);
}

static bool is_endpoint_set(const void *value)
{
    const struct gw_config_endpoint *endpoint = value;
    return endpoint->kind != GW_CONFIG_ENDPOINT_NONE;
}

static void format_endpoint(const struct gw_key *key, const void *value, char *out)
{
    (void)key;
    gw_config_endpoint_format(value, out, GW_VALUE_STRLEN);
}

static int parse_ip(void *out, const struct parse *in)
{
    return gw_addr_parse_ip(out, in->text, 0);
}

static void format_ip(const struct gw_key *key, const void *value, char *out)
{
    (void)key;
    gw_addr_format_ip(value, out);
}

static int parse_prefix(void *out, const struct parse *in)
{
    int err = gw_prefix_parse(out, in->text);
    if (!err)
        gw_prefix_mask(out);
    return err;
}

static int parse_address(void *out, const struct parse *in)
{
    return gw_prefix_parse(out, in->text);
}

static void format_prefix(const struct gw_key *key, const void *value, char *out)
{
    (void)key;
    gw_prefix_format(value, out, GW_VALUE_STRLEN);
}

static int parse_rule(void *out, const struct parse *in)
{
    return gw_rule_parse(out, in->text);
}

static void format_rule(const struct gw_key *key, const void *value, char *out)
{
    (void)key;
    gw_rule_format(value, out, GW_VALUE_STRLEN);
}

/* ---- keys */

static int parse_key(void *out, const struct parse *in)
{
    struct gw_config_key key = {.is_set = true};
    int err = gw_peer_key_parse_x25519(key.bytes, in->text, in->why);
    if (!err)
        memcpy(out, &key, sizeof key);
    return err;
}

static int parse_secret(void *out, const struct parse *in)
{
    struct gw_config_key *key = out;
    if (gw_key_base64_parse(key->bytes, in->text) != 0)
        return GW_E_MALFORMED;
    *in->why = "32 zero bytes are no secret";
    if (gw_is_zero(key->bytes, sizeof key->bytes))
        return GW_E_INVAL;
    *in->why = NULL;
    key->is_set = true;
    return 0;
}

static bool is_key_set(const void *value)
{
    return ((const struct gw_config_key *)value)->is_set;
}

static void format_key(const struct gw_key *key, const void *value, char *out)
{
    (void)key;
    gw_key_base64_format(((const struct gw_config_key *)value)->bytes, out);
}

static int parse_peer_id(void *out, const struct parse *in)
{
    struct gw_config_peer_id id = {.is_set = true};
    struct gw_peer_key key;
    int err = gw_peer_key_parse_id(&key, in->text, in->why);
    if (err)
        return err;
    memcpy(id.ed25519, key.ed25519, sizeof id.ed25519);
    memcpy(id.x25519, key.x25519, sizeof id.x25519);
    memcpy(out, &id, sizeof id);
    return 0;
}

static bool is_peer_id_set(const void *value)
{
    return ((const struct gw_config_peer_id *)value)->is_set;
}

static void format_peer_id(const struct gw_key *key, const void *value, char *out)
{
    (void)key;
    gw_peer_id_format(((const struct gw_config_peer_id *)value)->ed25519, out);
}

/* ---- expectations */

static void expect_text(const struct gw_key *key, char *out)
{
    snprintf(out, GW_VALUE_STRLEN, "text of %s%lld bytes", key->min > 0 ? "1 to " : "at most ",
             (long long)key->max);
}

static void expect_int(const struct gw_key *key, char *out)
{
    int len = snprintf(out, GW_VALUE_STRLEN, "a whole number from %lld to %lld", (long long)key->min,
                       (long long)key->max);
    for (const struct gw_choice *choice = key->choices; choice && choice->word; choice++)
        len += snprintf(out + len, GW_VALUE_STRLEN - (size_t)len, " or %s", choice->word);
}

static void expect_duration(const struct gw_key *key, char *out)
{
    char low[64], high[64];
    gw_duration_format(key->min, low, sizeof low);
    gw_duration_format(key->max, high, sizeof high);
    snprintf(out, GW_VALUE_STRLEN, "a duration from %s to %s (seconds, or with a unit: 20s, 2m, 500ms)", low,
             high);
}

static void expect_bytes(const struct gw_key *key, char *out)
{
    char low[64], high[64];
    gw_bytes_format(key->min, low, sizeof low);
    gw_bytes_format(key->max, high, sizeof high);
    snprintf(out, GW_VALUE_STRLEN, "a size from %s to %s", low, high);
}

static void expect_enum(const struct gw_key *key, char *out)
{
    size_t used = 0;
    for (const struct gw_choice *choice = key->choices; choice->word && used < GW_VALUE_STRLEN; choice++) {
        const char *between = choice == key->choices ? "" : choice[1].word ? ", " : " or ";
        int len = snprintf(out + used, GW_VALUE_STRLEN - used, "%s%s", between, choice->word);
        used += len > 0 ? (size_t)len : 0;
    }
}

/* ---- the table */

static bool is_prefix_set(const void *value)
{
    return ((const struct gw_prefix *)value)->ip.family != 0;
}

struct type {
    int (*parse)(void *out, const struct parse *in);
    const char *expected; /* or: */
    void (*expect)(const struct gw_key *key, char *out);
    void (*format)(const struct gw_key *key, const void *value, char *out);
    bool (*is_set)(const void *value); /* NULL: always */
    bool is_string;
};

static const struct type types[GW_TYPE_COUNT] = {
    [GW_TYPE_TEXT] = {parse_text, NULL, expect_text, NULL, is_text_set, true},
    [GW_TYPE_LABEL] = {parse_label, "a name of 1 to 63 letters, digits, - and _", NULL, NULL, is_text_set,
                       true},
    [GW_TYPE_PATH] = {parse_path, "a path", NULL, NULL, is_text_set, true},
    [GW_TYPE_INT] = {parse_int, NULL, expect_int, format_int, is_int_set, false},
    [GW_TYPE_BOOL] = {parse_bool, "true or false", NULL, format_bool, NULL, false},
    [GW_TYPE_DURATION] = {parse_duration, NULL, expect_duration, format_duration, NULL, false},
    [GW_TYPE_BYTES] = {parse_bytes, NULL, expect_bytes, format_bytes, NULL, false},
    [GW_TYPE_MODE] = {parse_mode, "a file mode in octal, such as 0600", NULL, format_mode, NULL, false},
    [GW_TYPE_ENUM] = {parse_enum, NULL, expect_enum, format_enum, NULL, false},
    [GW_TYPE_HOSTPORT] = {parse_hostport, "HOST:PORT", NULL, format_endpoint, is_endpoint_set, false},
    [GW_TYPE_SOCKET] = {parse_socket, "HOST:PORT or unix:PATH", NULL, format_endpoint, is_endpoint_set,
                        false},
    [GW_TYPE_IP] = {parse_ip, "an IP address", NULL, format_ip, NULL, false},
    [GW_TYPE_PREFIX] = {parse_prefix, "an IP prefix, such as 10.64.0.0/16", NULL, format_prefix,
                        is_prefix_set, false},
    [GW_TYPE_ADDRESS] = {parse_address, "an IP address, or one with its network, such as 10.64.0.1/16", NULL,
                         format_prefix, NULL, false},
    [GW_TYPE_RULE] =
        {parse_rule, "HOST, *.DOMAIN, IP, IP/BITS or *, and :PORT or :FROM-TO after it if only that is meant",
         NULL, format_rule, NULL, false},
    [GW_TYPE_KEY] = {parse_key, "an X25519 public key in base64 (44 characters)", NULL, format_key,
                     is_key_set, false},
    [GW_TYPE_SECRET] = {parse_secret, "32 bytes in base64 (44 characters)", NULL, format_key, is_key_set,
                        false},
    [GW_TYPE_PEER_ID] = {parse_peer_id, "a peer ID of an Ed25519 key (12D3KooW...)", NULL, format_peer_id,
                         is_peer_id_set, false},
};

int gw_value_parse(void *out, const struct gw_key *key, const char *text, const char *dir, const char **why)
{
    const struct parse in = {key, text, dir, why};
    *why = NULL;
    return types[key->type].parse(out, &in);
}

char *gw_value_expected(const struct gw_key *key, char out[GW_VALUE_STRLEN])
{
    const struct type *type = &types[key->type];
    if (type->expected)
        snprintf(out, GW_VALUE_STRLEN, "%s", type->expected);
    else
        type->expect(key, out);
    return out;
}

bool gw_value_is_set(const struct gw_key *key, const void *value)
{
    const struct type *type = &types[key->type];
    return !type->is_set || type->is_set(value);
}

char *gw_value_format(const struct gw_key *key, const void *value, char out[GW_VALUE_STRLEN])
{
    types[key->type].format(key, value, out);
    return out;
}

void gw_value_free(const struct gw_key *key, void *value)
{
    if (types[key->type].is_string && string_at(value)) {
        char *text = string_at(value);
        gw_wipe(text, strlen(text));
        free(text);
    }
    gw_wipe(value, gw_type_size(key));
}
