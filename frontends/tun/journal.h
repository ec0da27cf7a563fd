/* SPDX-License-Identifier: MIT */
/* The list of changes that may have been made, kept in the state folder before they are: whoever is killed leaves it, and the next start
 * takes them back. One change a line (change.h). */
#ifndef FRONTENDS_TUN_JOURNAL_H
#define FRONTENDS_TUN_JOURNAL_H

#include "frontends/tun/change.h"

#include <stdio.h>

/* Replaces the file as a whole; removes it when both sets are empty (NULL = empty). Doubles are fine. 0, GW_E_NOMEM, -errno. */
int gw_journal_write(const char *path, const struct gw_changes *a, const struct gw_changes *b);
/* What it says, finished; lines that make no sense are left out and counted in *bad. 0, also when there is no file; GW_E_NOMEM, -errno. */
int gw_journal_read_file(struct gw_changes *out, FILE *file, unsigned *bad);
int gw_journal_read(struct gw_changes *out, const char *path, unsigned *bad);

#endif
