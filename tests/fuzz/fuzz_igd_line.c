/* SPDX-License-Identifier: MIT */
/* The line of the UPnP helper: whatever is in it, what is taken from it can be logged, given to a program as a word, and offered to peers. */
#include "gateway/daemon/igd_line.h"

#include "gateway/wire/candidate.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void is_printable(const char *text, char least)
{
    for (; *text; text++)
        assert(*text >= least && *text <= '~');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct gw_igd_line line;
    char *text = malloc(size + 1);
    if (!text)
        return 0;
    if (size > 0)
        memcpy(text, data, size);
    text[size] = '\0';
    gw_igd_line_parse(&line, text);
    is_printable(line.url, '!');
    is_printable(line.reason, ' ');
    assert((line.verdict == GW_IGD_SAID_NONE) == (line.url[0] == '\0'));
    assert(line.url[0] == '\0' || strncmp(line.url, "http://", 7) == 0);
    if (line.verdict == GW_IGD_SAID_MAPPED)
        assert(gw_candidate_is_usable(&line.external) && line.external.family == 4);
    else
        assert(!gw_addr_is_set(&line.external));
    free(text);
    return 0;
}
