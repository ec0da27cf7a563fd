/* SPDX-License-Identifier: MIT */
/* Columns, colours and numbers for people. */
#include "gateway/daemon/table.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool has_colours(void)
{
    const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM");
    return isatty(STDOUT_FILENO) && (!no_color || !*no_color) && term && strcmp(term, "dumb") != 0;
}

const char *gw_colour_on(enum gw_colour colour)
{
    static const char *const sequences[] = {"", "\033[1m", "\033[2m", "\033[32m", "\033[33m", "\033[31m"};
    return has_colours() ? sequences[colour] : "";
}

const char *gw_colour_off(void)
{
    return has_colours() ? "\033[0m" : "";
}

struct gw_table_row *gw_table_add(struct gw_table *table)
{
    struct gw_table_row *rows = realloc(table->rows, (table->count + 1) * sizeof *rows);
    if (!rows)
        return NULL;
    table->rows = rows;
    memset(&rows[table->count], 0, sizeof *rows);
    return &rows[table->count++];
}

void gw_table_cell(struct gw_table_row *row, unsigned *column, enum gw_colour colour, const char *format, ...)
{
    va_list args;
    if (*column >= GW_TABLE_COLUMNS)
        return;
    va_start(args, format);
    vsnprintf(row->cells[*column], GW_TABLE_CELL, format, args);
    va_end(args);
    row->colours[(*column)++] = colour;
}

void gw_table_free(struct gw_table *table)
{
    free(table->rows);
    table->rows = NULL;
    table->count = 0;
}

static bool is_right(const char *header)
{
    return header[0] == '>';
}

static const char *header_text(const char *header)
{
    return is_right(header) ? header + 1 : header;
}

/* 0: nothing in it. */
static size_t width_of(const struct gw_table *table, unsigned column)
{
    size_t width = 0;
    for (size_t i = 0; i < table->count; i++) {
        size_t len = strlen(table->rows[i].cells[column]);
        width = len > width ? len : width;
    }
    size_t header = strlen(header_text(table->headers[column]));
    return width > 0 && header > width ? header : width;
}

static void print_cell(const char *text, size_t width, bool right, bool is_last, enum gw_colour colour)
{
    int pad = (int)(width - strlen(text));
    printf("%*s%s%s%s", right ? pad : 0, "", gw_colour_on(colour), text,
           colour == GW_PLAIN ? "" : gw_colour_off());
    if (!is_last)
        printf("%*s", (right ? 0 : pad) + 2, "");
}

void gw_table_print(const struct gw_table *table)
{
    size_t widths[GW_TABLE_COLUMNS] = {0};
    unsigned columns = 0, last = 0;
    for (; columns < GW_TABLE_COLUMNS && table->headers[columns]; columns++) {
        widths[columns] = width_of(table, columns);
        last = widths[columns] > 0 ? columns : last;
    }
    for (size_t line = 0; line <= table->count; line++) {
        for (unsigned i = 0; i < columns; i++) {
            const char *text = line == 0 ? header_text(table->headers[i]) : table->rows[line - 1].cells[i];
            enum gw_colour colour = line == 0 ? GW_BOLD : table->rows[line - 1].colours[i];
            if (widths[i] > 0)
                print_cell(text, widths[i], is_right(table->headers[i]), i == last, colour);
        }
        putchar('\n');
    }
}

char *gw_text_bytes(char out[GW_TEXT_LEN], double bytes)
{
    static const char *const units[] = {"B", "KB", "MB", "GB", "TB"};
    unsigned unit = 0;
    while (bytes >= 1000 && unit < 4) {
        bytes /= 1000;
        unit++;
    }
    snprintf(out, GW_TEXT_LEN, unit == 0 || bytes >= 100 ? "%.0f %s" : "%.1f %s", bytes, units[unit]);
    return out;
}

char *gw_text_seconds(char out[GW_TEXT_LEN], double seconds)
{
    if (seconds < 100)
        snprintf(out, GW_TEXT_LEN, "%.0f s", seconds);
    else if (seconds < 6000)
        snprintf(out, GW_TEXT_LEN, "%.0f min", seconds / 60);
    else if (seconds < 172800)
        snprintf(out, GW_TEXT_LEN, "%.0f h", seconds / 3600);
    else
        snprintf(out, GW_TEXT_LEN, "%.0f d", seconds / 86400);
    return out;
}

char *gw_text_ms(char out[GW_TEXT_LEN], double ms)
{
    snprintf(out, GW_TEXT_LEN, ms < 10 ? "%.2f ms" : ms < 100 ? "%.1f ms" : "%.0f ms", ms);
    return out;
}
