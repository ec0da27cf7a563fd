/* SPDX-License-Identifier: MIT */
/* HELLO: what decodes keeps its promises, and encodes to what decodes to the same. */
#include "gateway/wire/frame.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t encode(const struct gw_hello *hello, uint8_t out[GW_HELLO_MAX])
{
    struct gw_writer w = gw_writer_of(out, GW_HELLO_MAX);
    gw_hello_encode(&w, hello);
    assert(gw_writer_ok(&w));
    return gw_writer_len(&w);
}

static void check(const struct gw_hello *hello)
{
    assert(hello->version != 0);
    assert(hello->addr_count <= GW_HELLO_ADDRS_MAX);
    for (unsigned i = 0; i < hello->addr_count; i++)
        assert(hello->addrs[i].family == 4 || hello->addrs[i].family == 6);
    size_t len = strnlen(hello->name, sizeof hello->name);
    assert(len < sizeof hello->name);
    for (size_t i = 0; i < len; i++)
        assert(hello->name[i] >= ' ' && hello->name[i] <= '~');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct gw_hello hello, back;
    uint8_t first[GW_HELLO_MAX], second[GW_HELLO_MAX];
    if (gw_hello_decode(&hello, (struct gw_view){data, size}) != 0)
        return 0;
    assert(size <= GW_HELLO_MAX);
    check(&hello);
    size_t len = encode(&hello, first);
    assert(len <= size); /* varints only ever get shorter, and what is behind is dropped */
    assert(gw_hello_decode(&back, (struct gw_view){first, len}) == 0);
    assert(encode(&back, second) == len && memcmp(first, second, len) == 0);
    return 0;
}
