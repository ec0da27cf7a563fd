/* SPDX-License-Identifier: MIT */
/* What is wrong with the owner's files: a list of messages, "file:line: what is expected, what was found".
 * Readers report all they find and go on; at the end, errors > 0 says that nothing may be used. */
#ifndef GATEWAY_CONFIG_DIAG_H
#define GATEWAY_CONFIG_DIAG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/* Further ones are counted, not kept. */
#define GW_DIAG_MAX 100u

enum gw_diag_severity { GW_DIAG_ERROR, GW_DIAG_WARNING };

struct gw_diag_entry {
    enum gw_diag_severity severity;
    unsigned line; /* 0 = the file as a whole */
    char *text;    /* "file:line: message"; without secrets */
};

/* Zero it to begin. */
struct gw_diag {
    struct gw_diag_entry entries[GW_DIAG_MAX];
    size_t count;  /* kept */
    size_t errors; /* all errors, kept or not */
};

/* file may be "". Copies; text is cut at 511 bytes, control characters become '?'. */
__attribute__((format(printf, 4, 5))) void gw_diag_error(struct gw_diag *diag, const char *file,
                                                         unsigned line, const char *format, ...);
__attribute__((format(printf, 4, 5))) void gw_diag_warning(struct gw_diag *diag, const char *file,
                                                           unsigned line, const char *format, ...);
/* By line, those from entry `from` on; equal lines keep their order. */
void gw_diag_sort(struct gw_diag *diag, size_t from);
/* One line each, "error: " or "warning: " before it; and how many more there are. */
void gw_diag_print(const struct gw_diag *diag, FILE *out);
/* Frees the texts; the struct may be used again. */
void gw_diag_clear(struct gw_diag *diag);

#endif
