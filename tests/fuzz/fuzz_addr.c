/* SPDX-License-Identifier: MIT */
/* Addresses: any text, or struct of the kernel's, gives a normal form or none. The first byte chooses. */
#include "gateway/wire/addr.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct gw_addr *a)
{
    char text[GW_ADDR_STRLEN];
    struct sockaddr_storage storage;
    struct gw_addr back;
    assert(a->family == 4 || a->family == 6);
    assert(a->reserved == 0);
    assert(strlen(gw_addr_format(a, text)) < GW_ADDR_STRLEN);
    assert(gw_addr_parse(&back, text) == 0);
    assert(gw_addr_equal(a, &back));
    assert(gw_addr_to_sockaddr(a, &storage) > 0);
    assert(gw_addr_from_sockaddr(&back, (struct sockaddr *)&storage) == 0);
    assert(gw_addr_equal(a, &back));
    assert(gw_addr_is_loopback(a) + gw_addr_is_multicast(a) + gw_addr_is_unspecified(a) <= 1);
}

static void from_text(const uint8_t *data, size_t size)
{
    struct gw_addr a;
    char *text = malloc(size + 1);
    assert(text != NULL);
    memcpy(text, data, size);
    text[size] = '\0';
    if (gw_addr_parse(&a, text) == 0)
        check(&a);
    if (gw_addr_parse_ip(&a, text, 443) == 0)
        check(&a);
    free(text);
}

static void from_kernel(const uint8_t *data, size_t size)
{
    struct gw_addr a;
    struct sockaddr_storage storage;
    memset(&storage, 0, sizeof storage);
    memcpy(&storage, data, size < sizeof storage ? size : sizeof storage);
    if (gw_addr_from_sockaddr(&a, (struct sockaddr *)&storage) == 0)
        check(&a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    if (data[0] == 'k')
        from_kernel(data + 1, size - 1);
    else
        from_text(data + 1, size - 1);
    return 0;
}
