/* SPDX-License-Identifier: MIT */
/* What a carrier (TLS over TCP) has in it: datagrams of ours, each behind its length.
 *
 *   2   length of the datagram, big endian: GW_CARRIER_MIN to GW_CARRIER_MAX
 *   n   a datagram of types 1 to 6, as it would be over UDP
 *
 * Who sends anything else is no peer of ours: the connection ends at the first wrong byte. docs/PROTOCOL.md "Carriers". */
#ifndef GATEWAY_WIRE_CARRIER_FRAME_H
#define GATEWAY_WIRE_CARRIER_FRAME_H

#include "gateway/wire/message.h"

#include <stddef.h>
#include <stdint.h>

#define GW_CARRIER_HEADER_LEN 2u
#define GW_CARRIER_MIN 32u   /* the shortest message, an empty packet of type 4 */
#define GW_CARRIER_MAX 9216u /* more than any link between us carries in a datagram */
/* So many bytes of a frame say whether it is one of ours. */
#define GW_CARRIER_GATE_LEN (GW_CARRIER_HEADER_LEN + GW_MESSAGE_GATE_LEN)

enum gw_carrier_frame {
    GW_CARRIER_FRAME_MORE,  /* not all of it is there */
    GW_CARRIER_FRAME_WHOLE, /* *len bytes of datagram follow the header */
    GW_CARRIER_FRAME_HTTP,  /* somebody asks as of a web server */
    GW_CARRIER_FRAME_WRONG, /* nothing of ours */
};

/* Looks at the first bytes of what came: at least the gate's, as far as they are there. have: how many bytes came in all, which may be more than GW_CARRIER_GATE_LEN. */
enum gw_carrier_frame gw_carrier_frame_look(const uint8_t gate[GW_CARRIER_GATE_LEN], size_t have,
                                            size_t *len);
/* Writes the header. len: GW_CARRIER_MIN to GW_CARRIER_MAX. */
void gw_carrier_frame_write(uint8_t header[GW_CARRIER_HEADER_LEN], size_t len);

#endif
