/* SPDX-License-Identifier: MIT */
/* The file of an anchor's clients: a line for each, "KEY ADDRESS", the key in base64, the address with its port. */
#ifndef GATEWAY_DAEMON_CLIENTS_FILE_H
#define GATEWAY_DAEMON_CLIENTS_FILE_H

#include "gateway/session/crypto.h"
#include "gateway/wire/addr.h"
#include "gateway/wire/peer_id.h"

#include <stdio.h>

struct gw_client_place {
    uint8_t key[GW_KEY_LEN];
    struct gw_addr at;
};

enum gw_clients_line {
    GW_CLIENTS_END,
    GW_CLIENTS_BAD, /* makes no sense, or is a part of one that is too long */
    GW_CLIENTS_PLACE,
};

/* The next line. */
enum gw_clients_line gw_clients_file_next(FILE *file, struct gw_client_place *out);
void gw_clients_file_add(FILE *file, const struct gw_client_place *place);

#endif
