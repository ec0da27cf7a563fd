/* SPDX-License-Identifier: MIT */
/* A NAT's parameters as words: "ports=sequential,step=2,fresh=1.5". */
#ifndef TESTS_NAT_SETTINGS_H
#define TESTS_NAT_SETTINGS_H

#include "tests/nat/model.h"

/* Changes what `text` names, separated by commas; returns NULL, or the first word that is wrong (static, until the next call). */
const char *nat_set(struct nat_params *params, const char *text);
/* What may be named, for a help text. */
void nat_settings_print(void);

#endif
