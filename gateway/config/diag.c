/* SPDX-License-Identifier: MIT */
/* The list of messages about the owner's files. Running out of memory here loses a message, never an
 * error's count. */
#include "gateway/config/diag.h"

#include "gateway/config/text.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define TEXT_LEN 512

static void defuse(char *text)
{
    for (size_t len = strlen(text), control; len > 0; text++, len--) {
        control = gw_text_control_len(text, len);
        memset(text, '?', control);
    }
}

__attribute__((format(printf, 5, 0))) static void add(struct gw_diag *diag, enum gw_diag_severity severity,
                                                      const char *file, unsigned line, const char *format,
                                                      va_list args)
{
    char text[TEXT_LEN];
    int used = 0;
    if (severity == GW_DIAG_ERROR)
        diag->errors++;
    if (diag->count == GW_DIAG_MAX)
        return;
    if (line > 0)
        used = snprintf(text, sizeof text, "%s:%u: ", file, line);
    else if (*file)
        used = snprintf(text, sizeof text, "%s: ", file);
    if (used >= 0 && (size_t)used < sizeof text)
        vsnprintf(text + used, sizeof text - (size_t)used, format, args);
    defuse(text);
    char *copy = strdup(text);
    if (copy)
        diag->entries[diag->count++] = (struct gw_diag_entry){severity, line, copy};
}

void gw_diag_error(struct gw_diag *diag, const char *file, unsigned line, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    add(diag, GW_DIAG_ERROR, file, line, format, args);
    va_end(args);
}

void gw_diag_warning(struct gw_diag *diag, const char *file, unsigned line, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    add(diag, GW_DIAG_WARNING, file, line, format, args);
    va_end(args);
}

void gw_diag_sort(struct gw_diag *diag, size_t from)
{
    /* Insertion: at most 100, nearly sorted, and stable. */
    for (size_t i = from + 1; i < diag->count; i++) {
        struct gw_diag_entry entry = diag->entries[i];
        size_t j = i;
        for (; j > from && diag->entries[j - 1].line > entry.line; j--)
            diag->entries[j] = diag->entries[j - 1];
        diag->entries[j] = entry;
    }
}

void gw_diag_print(const struct gw_diag *diag, FILE *out)
{
    size_t errors = 0;
    for (size_t i = 0; i < diag->count; i++) {
        bool is_error = diag->entries[i].severity == GW_DIAG_ERROR;
        errors += is_error;
        fprintf(out, "%s: %s\n", is_error ? "error" : "warning", diag->entries[i].text);
    }
    if (diag->errors > errors)
        fprintf(out, "error: and %zu more\n", diag->errors - errors);
}

void gw_diag_clear(struct gw_diag *diag)
{
    for (size_t i = 0; i < diag->count; i++)
        free(diag->entries[i].text);
    diag->count = 0;
    diag->errors = 0;
}
