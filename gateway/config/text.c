/* SPDX-License-Identifier: MIT */
/* Control characters: below 0x20, DEL, and U+0080 to U+009F, which some terminals obey as well. */
#include "gateway/config/text.h"

size_t gw_text_control_len(const char *text, size_t len)
{
    const unsigned char *at = (const unsigned char *)text;
    if (at[0] < 0x20 || at[0] == 0x7f)
        return 1;
    return len > 1 && at[0] == 0xc2 && at[1] >= 0x80 && at[1] < 0xa0 ? 2 : 0;
}

bool gw_text_has_control(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (gw_text_control_len(text + i, len - i) > 0)
            return true;
    }
    return false;
}
