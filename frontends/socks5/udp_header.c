/* SPDX-License-Identifier: MIT */
#include "frontends/socks5/udp_header.h"

#include "frontends/socks5/parse_private.h"
#include "gateway/base/err.h"

int gw_udp_header_parse(struct gw_proxy_request *target, const uint8_t *bytes, size_t len)
{
    if (len < 4)
        return GW_E_MALFORMED;
    if (bytes[2] != 0)
        return GW_E_STATE;
    size_t header_len = gw_proxy_read_address(target, bytes + 3, len - 3);
    return header_len == 0 ? GW_E_MALFORMED : (int)(3 + header_len);
}
