/* SPDX-License-Identifier: MIT */
/* The first bytes of a stream: what the opener wants (docs/PROTOCOL.md "Streams"), and the acceptor's one byte. */
#ifndef GATEWAY_FLOW_PREFACE_H
#define GATEWAY_FLOW_PREFACE_H

#include "gateway/flow/stream.h"

/* kind, class, length, name */
#define GW_PREFACE_MAX (3u + GW_SERVICE_NAME_MAX)
#define GW_PREFACE_ACCEPTED 0x00u

/* Bytes written to out, or GW_E_INVAL: a service name that is too long or not printable. */
int gw_preface_encode(uint8_t out[GW_PREFACE_MAX], const struct gw_open *open);
/* How many bytes the preface has; 0: it is not complete yet; GW_E_MALFORMED. */
int gw_preface_decode(struct gw_open *out, const uint8_t *data, size_t len);

#endif
