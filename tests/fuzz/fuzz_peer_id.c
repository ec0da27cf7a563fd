/* SPDX-License-Identifier: MIT */
/* Keys as text: what parses has one text, and that is it; but for the CIDv1 form, which is never written. */
#include "gateway/wire/peer_id.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void parse_peer_id(const char *text)
{
    uint8_t key[32], back[32];
    char again[GW_PEER_ID_STRLEN];
    if (gw_peer_id_parse(key, text) != 0)
        return;
    gw_peer_id_format(key, again);
    assert(text[0] == 'b' || strcmp(text, again) == 0);
    assert(gw_peer_id_parse(back, again) == 0);
    assert(memcmp(key, back, sizeof key) == 0);
}

static void parse_base64(const char *text)
{
    uint8_t key[32];
    char again[GW_KEY_BASE64_STRLEN];
    if (gw_key_base64_parse(key, text) == 0)
        assert(strcmp(gw_key_base64_format(key, again), text) == 0);
}

static void format_key(const uint8_t key[32])
{
    uint8_t back[32];
    char text[GW_PEER_ID_STRLEN], base64[GW_KEY_BASE64_STRLEN];
    assert(gw_peer_id_parse(back, gw_peer_id_format(key, text)) == 0);
    assert(memcmp(key, back, sizeof back) == 0);
    assert(gw_key_base64_parse(back, gw_key_base64_format(key, base64)) == 0);
    assert(memcmp(key, back, sizeof back) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);
    assert(text != NULL);
    memcpy(text, data, size);
    text[size] = '\0';
    parse_peer_id(text);
    parse_base64(text);
    free(text);
    if (size >= 32)
        format_key(data);
    return 0;
}
