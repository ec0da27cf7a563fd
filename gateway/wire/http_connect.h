/* SPDX-License-Identifier: MIT */
/* HTTP CONNECT (RFC 9110, 9.3.6), the client's side: what is said to a network's proxy before a carrier's TLS begins.
 *
 *   CONNECT 192.0.2.1:443 HTTP/1.1 CRLF Host: 192.0.2.1:443 CRLF [Proxy-Authorization: Basic BASE64 CRLF] CRLF
 *   HTTP/1.1 200 ... CRLF [fields CRLF] CRLF, and from here on the far end speaks */
#ifndef GATEWAY_WIRE_HTTP_CONNECT_H
#define GATEWAY_WIRE_HTTP_CONNECT_H

#include "gateway/wire/addr.h"

#define GW_HTTP_CREDENTIALS_MAX 255u /* "user:password", without a NUL */
#define GW_HTTP_CONNECT_MAX 640u     /* of a request, with a NUL */
#define GW_HTTP_ANSWER_MAX 8192u     /* of an answer's head */

enum gw_http_connect {
    GW_HTTP_CONNECT_MORE,    /* the head is not whole */
    GW_HTTP_CONNECT_OPEN,    /* 2xx: what comes behind *used bytes is the far end's */
    GW_HTTP_CONNECT_REFUSED, /* *status says why */
    GW_HTTP_CONNECT_WRONG,   /* no HTTP, or a head longer than GW_HTTP_ANSWER_MAX */
};

/* Writes the request, with a NUL; returns its length. credentials: "" for none, GW_HTTP_CREDENTIALS_MAX at most. Whoever gave some wipes it. */
size_t gw_http_connect_write(char out[GW_HTTP_CONNECT_MAX], const struct gw_addr *to,
                             const char *credentials);
/* Looks at all that came so far. A provisional answer (1xx) is passed over. */
enum gw_http_connect gw_http_connect_read(const uint8_t *bytes, size_t len, unsigned *status, size_t *used);

#endif
