/* SPDX-License-Identifier: MIT */
/* The addresses that the owner's files and the environment give as URLs: the first byte chooses. 0: where a Redis is; 1: where an HTTP proxy is; 2: whom the proxy is
 * not for, which one more name in the list never undoes. */
#include "gateway/config/proxy_url.h"
#include "gateway/config/redis_url.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_redis(const char *text)
{
    struct gw_redis_url url;
    if (gw_redis_url_parse(&url, text) != 0)
        return;
    if (url.addr.family == 0) {
        assert(url.path[0] == '/' && memchr(url.path, '\0', sizeof url.path));
        assert(url.password[0] == '\0' && url.database == 0);
        return;
    }
    assert(url.path[0] == '\0' && gw_addr_is_set(&url.addr) && url.addr.port != 0);
    assert(memchr(url.password, '\0', sizeof url.password) && url.database <= 9999);
}

static void read_proxy(const char *text)
{
    static const struct gw_proxy_url none;
    struct gw_proxy_url url;
    if (gw_proxy_url_parse(&url, text) != 0) {
        assert(memcmp(&url, &none, sizeof url) == 0);
        return;
    }
    assert(memchr(url.credentials, '\0', sizeof url.credentials));
    assert(url.credentials[0] == '\0' || strchr(url.credentials, ':'));
    for (const char *c = url.credentials; *c; c++)
        assert((unsigned char)*c >= ' ' && *c != 0x7f);
}

static void read_spared(const char *text)
{
    static const char *const others[] = {"example.org, ", "*,"};
    struct gw_addr addr;
    gw_addr_parse(&addr, "192.0.2.1:443");
    bool is_spared = gw_no_proxy_has(text, &addr);
    for (unsigned i = 0; i < 2; i++) {
        char *longer = malloc(strlen(others[i]) + strlen(text) + 1);
        if (!longer)
            abort();
        strcpy(longer, others[i]);
        strcat(longer, text);
        assert(gw_no_proxy_has(longer, &addr) == (is_spared || i == 1));
        free(longer);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static void (*const readers[])(const char *text) = {read_redis, read_proxy, read_spared};
    if (size == 0)
        return 0;
    char *text = malloc(size);
    if (!text)
        return 0;
    memcpy(text, data + 1, size - 1);
    text[size - 1] = '\0';
    readers[data[0] % 3](text);
    free(text);
    return 0;
}
