/* SPDX-License-Identifier: MIT */
/* The file of peers' virtual addresses from anybody: no two have one address, all lie in their ranges, and what is written is read again. */
#include "gateway/daemon/vip_state.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct gw_vip *read_bytes(const void *data, size_t size, unsigned *bad)
{
    const struct gw_vip_params params = {
        .range = {.ip = {.family = 4, .ip = {10, 64}}, .bits = 24},
        .local_range = {.ip = {.family = 4, .ip = {127, 64}}, .bits = 24},
        .own_key = {99},
    };
    struct gw_vip *vip = gw_vip_new(&params);
    FILE *file = fmemopen((void *)(uintptr_t)data, size, "r");
    if (!vip || !file)
        abort();
    *bad = gw_vip_state_read(vip, file);
    fclose(file);
    return vip;
}

static void check_entry(const struct gw_vip_entry *entry, void *ctx)
{
    const struct gw_vip *vip = ctx;
    const struct gw_vip_params *params = gw_vip_params(vip);
    if (gw_vip_by_key(vip, entry->key) != entry)
        abort();
    if (gw_addr_is_set(&entry->ipv4) && (gw_vip_by_address(vip, &entry->ipv4) != entry ||
                                         memcmp(entry->ipv4.ip, params->range.ip.ip, 3) != 0))
        abort();
    if (gw_addr_is_set(&entry->local) && (gw_vip_by_address(vip, &entry->local) != entry ||
                                          memcmp(entry->local.ip, params->local_range.ip.ip, 3) != 0))
        abort();
}

static char *text_of(const struct gw_vip *vip, size_t *len)
{
    char *text = NULL;
    FILE *out = open_memstream(&text, len);
    if (!out)
        abort();
    gw_vip_state_write(vip, out);
    fclose(out);
    return text;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    unsigned bad;
    size_t len;
    if (size == 0)
        return 0;
    struct gw_vip *vip = read_bytes(data, size, &bad);
    gw_vip_for_each(vip, check_entry, vip);
    char *text = text_of(vip, &len);
    struct gw_vip *again = len > 0 ? read_bytes(text, len, &bad) : NULL;
    if (again && bad > 0)
        abort();
    gw_vip_free(again);
    gw_vip_free(vip);
    free(text);
    return 0;
}
