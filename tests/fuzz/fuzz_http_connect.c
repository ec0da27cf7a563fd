/* SPDX-License-Identifier: MIT */
/* What a proxy answers, as gateway/link/carrier_proxy.c reads it: what is not decided yet is decided the same when more of it is there, and never after more than a head's bytes. */
#include "gateway/wire/http_connect.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    unsigned status = 0, first_status = 0;
    size_t used = 0, first_used = 0, first = size + 1;
    enum gw_http_connect is = GW_HTTP_CONNECT_MORE, decided = GW_HTTP_CONNECT_MORE;
    size_t step = size > 600 ? size / 300 : 1;
    for (size_t len = 0; len <= size; len += step) {
        is = gw_http_connect_read(data, len, &status, &used);
        assert(used <= len);
        assert(is != GW_HTTP_CONNECT_MORE || len <= GW_HTTP_ANSWER_MAX);
        assert(is != GW_HTTP_CONNECT_OPEN || (status >= 200 && status < 300));
        assert(is != GW_HTTP_CONNECT_REFUSED || status >= 300);
        if (first <= size) {
            assert(is == decided && status == first_status && used == first_used);
        } else if (is == GW_HTTP_CONNECT_OPEN || is == GW_HTTP_CONNECT_REFUSED) {
            first = len, decided = is, first_status = status, first_used = used;
        }
    }
    return 0;
}
