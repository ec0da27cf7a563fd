/* SPDX-License-Identifier: MIT */
/* Addresses inside of sentences. */
#include "gateway/base/log.h"
#include "gateway/wire/addr.h"

#include <ctype.h>
#include <string.h>

#define HIDDEN "(hidden)"
#define LETTERS "0123456789abcdefABCDEF.:%"

static bool is_word(char c)
{
    return isascii((unsigned char)c) && isalnum((unsigned char)c);
}

/* The length of the address that begins at `at`; 0 = none does. The longest one: "::1" and not "::". */
static size_t address_len(const char *at)
{
    char copy[GW_ADDR_STRLEN];
    struct gw_addr addr;
    size_t len = strspn(at, LETTERS);
    if (len >= sizeof copy)
        len = sizeof copy - 1;
    for (; len >= 2; len--) {
        if (is_word(at[len]))
            continue;
        memcpy(copy, at, len);
        copy[len] = '\0';
        if (gw_addr_parse_ip(&addr, copy, 0) == 0)
            return len;
    }
    return 0;
}

/* What of the text becomes what at its end: true while it fits. */
static bool put(char **out, char *end, const char *data, size_t len)
{
    size_t room = (size_t)(end - *out) - 1;
    bool fits = len <= room;
    memcpy(*out, data, fits ? len : room);
    *out += fits ? len : room;
    return fits;
}

const char *gw_addr_log_text(const char *text, char *out, size_t out_len)
{
    char *to = out, *end = out + out_len;
    if (!gw_log_hides_addresses())
        return text;
    for (const char *at = text; *at;) {
        /* An address is not the end of another word. */
        bool may_begin = at == text || !(is_word(at[-1]) || at[-1] == '.' || at[-1] == ':');
        size_t len = may_begin ? address_len(at) : 0;
        if (!put(&to, end, len > 0 ? HIDDEN : at, len > 0 ? strlen(HIDDEN) : 1))
            break;
        at += len > 0 ? len : 1;
    }
    *to = '\0';
    return out;
}
