/* SPDX-License-Identifier: MIT */
/* Text in columns, for people: as wide as their widest cell, a header, and colours only where there is a terminal that wants them. */
#ifndef GATEWAY_DAEMON_TABLE_H
#define GATEWAY_DAEMON_TABLE_H

#include <stdbool.h>
#include <stddef.h>

#define GW_TABLE_COLUMNS 12u
#define GW_TABLE_CELL 80u

enum gw_colour { GW_PLAIN, GW_BOLD, GW_DIM, GW_GREEN, GW_YELLOW, GW_RED };

struct gw_table_row {
    char cells[GW_TABLE_COLUMNS][GW_TABLE_CELL];
    enum gw_colour colours[GW_TABLE_COLUMNS];
};

struct gw_table {
    const char *const
        *headers; /* NULL-terminated; borrowed. A header that begins with '>' makes a column right-aligned */
    struct gw_table_row *rows;
    size_t count;
};

/* A new row, empty; valid until the next. NULL without memory. */
struct gw_table_row *gw_table_add(struct gw_table *table);
/* The next cell's text: column is counted up. */
__attribute__((format(printf, 4, 5))) void gw_table_cell(struct gw_table_row *row, unsigned *column,
                                                         enum gw_colour colour, const char *format, ...);
/* Columns that are empty in every row are left out. */
void gw_table_print(const struct gw_table *table);
void gw_table_free(struct gw_table *table);

/* The escape sequences; "" where stdout is no terminal that takes them, or NO_COLOR is set. */
const char *gw_colour_on(enum gw_colour colour);
const char *gw_colour_off(void);

/* "1.2 MB", "3 min", "0.42 ms". Return out. */
#define GW_TEXT_LEN 32
char *gw_text_bytes(char out[GW_TEXT_LEN], double bytes);
char *gw_text_seconds(char out[GW_TEXT_LEN], double seconds);
char *gw_text_ms(char out[GW_TEXT_LEN], double ms);

#endif
