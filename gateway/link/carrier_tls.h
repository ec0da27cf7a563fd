/* SPDX-License-Identifier: MIT */
/* The TLS of carriers: a shell that gets through where only HTTPS does. It proves nothing: the certificate is made at start, or the owner's, and no peer looks at it, since the
 * sessions inside know each other by their keys. */
#ifndef GATEWAY_LINK_CARRIER_TLS_H
#define GATEWAY_LINK_CARRIER_TLS_H

#include "gateway/link/carriers.h"

#include <event2/bufferevent.h>

struct gw_carrier_tls;

/* 0, GW_E_NOMEM, or -EIO (OpenSSL refuses). Takes about a millisecond. */
int gw_carrier_tls_new(struct gw_carrier_tls **out);
/* As gw_carriers_set_certificate; connections that are there keep theirs. tls NULL: it is only looked at. */
int gw_carrier_tls_set_certificate(struct gw_carrier_tls *tls,
                                   const struct gw_carriers_certificate *certificate,
                                   enum gw_certificate_fault *fault);
void gw_carrier_tls_free(struct gw_carrier_tls *tls);
/* A bufferevent that is the server's, or the client's, side of a handshake. fd: non-blocking; the bufferevent's from now on, and closed with it (by
 * the caller if NULL is returned: no memory). A client's may still be connecting. name: the server's, told to whoever looks on (SNI); "" = not told. */
struct bufferevent *gw_carrier_tls_server(struct gw_carrier_tls *tls, struct event_base *base,
                                          evutil_socket_t fd);
struct bufferevent *gw_carrier_tls_client(struct gw_carrier_tls *tls, struct event_base *base,
                                          evutil_socket_t fd, const char *name);
/* What waits in it goes out, as far as the socket has room, before it is freed; only once the handshake is over. */
void gw_carrier_tls_flush(struct bufferevent *bev);

#endif
