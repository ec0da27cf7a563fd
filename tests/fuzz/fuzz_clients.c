/* SPDX-License-Identifier: MIT */
/* The file of an anchor's clients from anybody: every place has a port, and what is written is read again. */
#include "gateway/daemon/clients_file.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_again(const struct gw_client_place *place)
{
    char text[256] = "";
    struct gw_client_place again;
    FILE *file = fmemopen(text, sizeof text, "w+");
    if (!file)
        abort();
    gw_clients_file_add(file, place);
    rewind(file);
    if (gw_clients_file_next(file, &again) != GW_CLIENTS_PLACE)
        abort();
    fclose(file);
    if (memcmp(again.key, place->key, sizeof again.key) != 0 || !gw_addr_equal(&again.at, &place->at))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct gw_client_place place;
    enum gw_clients_line line;
    if (size == 0)
        return 0;
    FILE *file = fmemopen((void *)(uintptr_t)data, size, "r");
    if (!file)
        abort();
    while ((line = gw_clients_file_next(file, &place)) != GW_CLIENTS_END) {
        if (line == GW_CLIENTS_BAD)
            continue;
        if (place.at.port == 0 || (place.at.family != 4 && place.at.family != 6))
            abort();
        check_again(&place);
    }
    fclose(file);
    return 0;
}
