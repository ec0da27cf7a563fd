/* SPDX-License-Identifier: MIT */
/* The effective configuration as YAML, or as JSON. One walk over the schema; what differs is how a key, a
 * list and a text are written. */
#include "gateway/config/print.h"

#include "gateway/config/value.h"

#include <string.h>

#define HIDDEN "(set)"

struct printer {
    FILE *out;
    bool is_json;
    bool show_secrets;
    unsigned depth;
    bool is_first;  /* nothing yet in this mapping or list */
    bool is_inline; /* the next key stands behind a list's dash */
    bool is_common; /* the top level is no network: only what all networks have in common */
};

/* ---- text */

/* The length of the UTF-8 character at *at, and its number; 1 and the byte when it is none. */
static unsigned decode(const unsigned char *at, uint32_t *code)
{
    unsigned len = at[0] >= 0xf0 ? 4 : at[0] >= 0xe0 ? 3 : at[0] >= 0xc0 ? 2 : 1;
    *code = len == 1 ? at[0] : at[0] & (0x7fu >> len);
    for (unsigned i = 1; i < len; i++) {
        if ((at[i] & 0xc0) != 0x80)
            return *code = at[0], 1;
        *code = *code << 6 | (at[i] & 0x3f);
    }
    return len;
}

/* What neither YAML nor a terminal takes as it is. */
static bool needs_escape(uint32_t code)
{
    return code < 0x20 || (code >= 0x7f && code < 0xa0) || code == 0x2028 || code == 0x2029 ||
           code == 0xfeff || code == 0xfffe || code == 0xffff;
}

static void print_quoted(const struct printer *printer, const char *text)
{
    const unsigned char *at = (const unsigned char *)text;
    uint32_t code;
    fputc('"', printer->out);
    for (unsigned len; *at; at += len) {
        len = decode(at, &code);
        if (code == '"' || code == '\\')
            fprintf(printer->out, "\\%c", (char)code);
        else if (needs_escape(code))
            fprintf(printer->out, "\\u%04x", code);
        else
            fwrite(at, 1, len, printer->out);
    }
    fputc('"', printer->out);
}

/* ---- shape */

static void new_line(struct printer *printer)
{
    if (printer->is_json && !printer->is_first)
        fputc(',', printer->out);
    printer->is_first = false;
    if (printer->is_inline) {
        printer->is_inline = false;
        return;
    }
    fprintf(printer->out, "\n%*s", (int)printer->depth * 2, "");
}

/* A word that is no secret of YAML's: our own keys, and names that were checked. */
static bool is_plain_word(const char *text)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyz_";
    return *text && text[strspn(text, plain)] == '\0';
}

static void print_name(struct printer *printer, const char *name)
{
    new_line(printer);
    if (printer->is_json || !is_plain_word(name))
        print_quoted(printer, name);
    else
        fputs(name, printer->out);
    fputc(':', printer->out);
}

static void open_block(struct printer *printer, const char *bracket)
{
    if (printer->is_json)
        fputs(bracket, printer->out);
    printer->depth++;
    printer->is_first = true;
}

static void close_block(struct printer *printer, const char *bracket)
{
    printer->depth--;
    if (printer->is_json)
        fprintf(printer->out, "\n%*s%s", (int)printer->depth * 2, "", bracket);
    printer->is_first = false;
}

/* ---- values */

/* Is it written without quotes? */
static bool is_bare(const struct printer *printer, enum gw_type type, const char *text)
{
    if (type == GW_TYPE_INT && (text[0] < '0' || text[0] > '9'))
        return !printer->is_json; /* a word */
    if (type == GW_TYPE_INT || type == GW_TYPE_BOOL)
        return true;
    return !printer->is_json && (type == GW_TYPE_DURATION || type == GW_TYPE_BYTES || type == GW_TYPE_MODE ||
                                 type == GW_TYPE_ENUM);
}

static const char *text_of(const struct gw_key *key, const void *value, char buffer[GW_VALUE_STRLEN])
{
    char *text;
    if (key->type != GW_TYPE_TEXT && key->type != GW_TYPE_LABEL && key->type != GW_TYPE_PATH)
        return gw_value_format(key, value, buffer);
    memcpy(&text, value, sizeof text);
    return text;
}

static void print_value(struct printer *printer, const struct gw_key *key, const void *value)
{
    char buffer[GW_VALUE_STRLEN];
    if (key->is_secret && !printer->show_secrets)
        print_quoted(printer, HIDDEN);
    else if (is_bare(printer, key->type, text_of(key, value, buffer)))
        fputs(text_of(key, value, buffer), printer->out);
    else
        print_quoted(printer, text_of(key, value, buffer));
}

static const struct gw_any_list *list_at(const struct gw_key *key, const char *base)
{
    return (const struct gw_any_list *)(const void *)(base + key->offset);
}

static void print_value_list(struct printer *printer, const struct gw_key *key,
                             const struct gw_any_list *list)
{
    fputs(" [", printer->out);
    for (size_t i = 0; i < list->count; i++) {
        fputs(i ? ", " : "", printer->out);
        print_value(printer, key, list->items + i * gw_type_size(key));
    }
    fputc(']', printer->out);
}

/* ---- sections */

static void print_keys(struct printer *printer, const struct gw_section *section, const char *base);

static void print_section_list(struct printer *printer, const struct gw_key *key,
                               const struct gw_any_list *list)
{
    fputs(printer->is_json ? " " : "", printer->out);
    open_block(printer, "[");
    for (size_t i = 0; i < list->count; i++) {
        new_line(printer);
        fputs(printer->is_json ? "" : "- ", printer->out);
        open_block(printer, "{");
        printer->is_inline = !printer->is_json;
        print_keys(printer, key->section, list->items + i * key->section->size);
        close_block(printer, "}");
    }
    close_block(printer, "]");
}

static const char *name_at(const struct gw_section *section, const char *item)
{
    char *name;
    memcpy(&name, item + gw_section_find(section, section->named_key)->offset, sizeof name);
    return name;
}

static void print_named_list(struct printer *printer, const struct gw_key *key,
                             const struct gw_any_list *list)
{
    fputs(printer->is_json ? " " : "", printer->out);
    open_block(printer, "{");
    for (size_t i = 0; i < list->count; i++) {
        const char *item = list->items + i * key->section->size;
        print_name(printer, name_at(key->section, item));
        fputs(printer->is_json ? " " : "", printer->out);
        open_block(printer, "{");
        print_keys(printer, key->section, item);
        close_block(printer, "}");
    }
    close_block(printer, "}");
}

static void print_section(struct printer *printer, const struct gw_key *key, const char *base)
{
    fputs(printer->is_json ? " " : "", printer->out);
    open_block(printer, "{");
    print_keys(printer, key->section, base);
    close_block(printer, "}");
}

static bool has_value(const struct printer *printer, const struct gw_key *key, const char *base);

static bool has_any_value(const struct printer *printer, const struct gw_section *section, const char *base)
{
    for (const struct gw_key *key = section->keys; key->name; key++) {
        if (has_value(printer, key, base))
            return true;
    }
    return false;
}

static bool has_value(const struct printer *printer, const struct gw_key *key, const char *base)
{
    if (key->type == GW_TYPE_SECTION && key->shape == GW_ONE)
        return has_any_value(printer, key->section, base);
    if (printer->is_common && key->further != GW_FURTHER_COMMON)
        return false;
    if (key->shape != GW_ONE)
        return list_at(key, base)->count > 0;
    return gw_value_is_set(key, base + key->offset);
}

static void print_key(struct printer *printer, const struct gw_key *key, const char *base)
{
    if (!has_value(printer, key, base))
        return;
    print_name(printer, key->name);
    if (key->type == GW_TYPE_SECTION && key->shape == GW_ONE) {
        print_section(printer, key, base);
    } else if (key->type == GW_TYPE_SECTION && key->shape == GW_LIST) {
        print_section_list(printer, key, list_at(key, base));
    } else if (key->shape == GW_NAMED) {
        print_named_list(printer, key, list_at(key, base));
    } else if (key->shape == GW_LIST) {
        print_value_list(printer, key, list_at(key, base));
    } else {
        fputc(' ', printer->out);
        print_value(printer, key, base + key->offset);
    }
}

static void print_top(struct printer *printer, const struct gw_section *section, const char *base)
{
    const struct gw_config *config = (const struct gw_config *)(const void *)base;
    printer->is_common = !config->has_top;
    print_keys(printer, section, (const char *)&config->top);
    printer->is_common = false;
}

static void print_keys(struct printer *printer, const struct gw_section *section, const char *base)
{
    for (const struct gw_key *key = section->keys; key->name; key++) {
        if (key->shape == GW_INLINE)
            print_top(printer, key->section, base);
        else if (!section->named_key || strcmp(section->named_key, key->name) != 0)
            print_key(printer, key, base);
    }
}

void gw_config_print(FILE *out, const struct gw_config *config, enum gw_print_format format,
                     bool show_secrets)
{
    struct printer printer = {.out = out, .is_json = format == GW_PRINT_JSON, .show_secrets = show_secrets};
    if (printer.is_json) {
        open_block(&printer, "{");
        print_keys(&printer, &gw_schema, (const char *)config);
        close_block(&printer, "}");
    } else {
        printer.is_inline = true; /* no line break before the first key */
        print_keys(&printer, &gw_schema, (const char *)config);
    }
    fputc('\n', out);
}
