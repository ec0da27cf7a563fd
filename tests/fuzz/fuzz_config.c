/* SPDX-License-Identifier: MIT */
/* config.yaml from anybody: it loads or says why; what loads can be printed, and loads again. */
#include "gateway/base/secret.h"
#include "gateway/config/print.h"

#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void reload(const struct gw_config *config)
{
    struct gw_config *again;
    struct gw_diag diag = {0};
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);
    if (!out)
        return;
    gw_config_print(out, config, GW_PRINT_YAML, true);
    fclose(out);
    if (gw_config_parse(&again, text, len, "/d/config.yaml", &diag) != 0 && len < 1024 * 1024 / 2)
        abort();
    gw_config_free(again);
    gw_diag_clear(&diag);
    free(text);
}

static void take_peers(const struct gw_config_network *network)
{
    for (size_t i = 0; i < network->peers.count; i++) {
        struct gw_peer_config peer;
        gw_config_to_peer(&peer, network, &network->peers.items[i]);
        gw_wipe(&peer, sizeof peer);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct gw_config *config;
    struct gw_diag diag = {0};
    int err = gw_config_parse(&config, (const char *)data, size, "/d/config.yaml", &diag);
    if ((err == 0) != (config != NULL) || (err == 0) != (diag.errors == 0))
        abort();
    if (config) {
        for (const struct gw_config_network *network = gw_config_next_network(config, NULL); network;
             network = gw_config_next_network(config, network))
            take_peers(network);
        reload(config);
    }
    gw_config_free(config);
    gw_diag_clear(&diag);
    return 0;
}
