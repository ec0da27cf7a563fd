/* SPDX-License-Identifier: MIT */
/* OpenSSL, as little of it as there has to be. */
#include "gateway/link/carrier_tls.h"

#include "gateway/base/err.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent_ssl.h>
#include <limits.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <stdbool.h>
#include <stdlib.h>

#define DAY_S 86400L
#define CERT_DAYS 825L /* the longest that browsers take */

struct gw_carrier_tls {
    SSL_CTX *server, *client;
};

/* ---- the certificate */

static bool fill_certificate(X509 *cert, EVP_PKEY *key)
{
    static const unsigned char name[] = "localhost";
    unsigned char serial[16];
    if (RAND_bytes(serial, sizeof serial) != 1)
        return false;
    serial[0] &= 0x7f;
    BIGNUM *number = BN_bin2bn(serial, sizeof serial, NULL);
    bool is_set = number && BN_to_ASN1_INTEGER(number, X509_get_serialNumber(cert)) != NULL;
    BN_free(number);
    X509_NAME *subject = X509_get_subject_name(cert);
    return is_set && X509_set_version(cert, X509_VERSION_3) == 1 &&
           X509_gmtime_adj(X509_getm_notBefore(cert), -DAY_S) != NULL &&
           X509_gmtime_adj(X509_getm_notAfter(cert), CERT_DAYS * DAY_S) != NULL &&
           X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, name, -1, -1, 0) == 1 &&
           X509_set_issuer_name(cert, subject) == 1 && X509_set_pubkey(cert, key) == 1 &&
           X509_sign(cert, key, EVP_sha256()) > 0;
}

static bool use_own_certificate(SSL_CTX *ctx)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *cert = X509_new();
    bool is_good = key && cert && fill_certificate(cert, key) && SSL_CTX_use_certificate(ctx, cert) == 1 &&
                   SSL_CTX_use_PrivateKey(ctx, key) == 1;
    X509_free(cert);
    EVP_PKEY_free(key);
    return is_good;
}

/* ---- contexts */

static int choose_protocol(SSL *ssl, const unsigned char **out, unsigned char *out_len,
                           const unsigned char *offered, unsigned offered_len, void *arg)
{
    static const unsigned char http[] = "\x08http/1.1";
    unsigned char *chosen;
    (void)ssl, (void)arg;
    if (SSL_select_next_proto(&chosen, out_len, http, sizeof http - 1, offered, offered_len) !=
        OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_NOACK;
    *out = chosen;
    return SSL_TLSEXT_ERR_OK;
}

static SSL_CTX *new_context(const SSL_METHOD *method)
{
    SSL_CTX *ctx = SSL_CTX_new(method);
    if (!ctx)
        return NULL;
    SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION);
    SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_NO_TICKET |
                                 SSL_OP_IGNORE_UNEXPECTED_EOF);
    SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_verify(ctx, SSL_VERIFY_NONE, NULL);
    return ctx;
}

int gw_carrier_tls_new(struct gw_carrier_tls **out)
{
    static const unsigned char protocols[] = "\x08http/1.1";
    struct gw_carrier_tls *tls = calloc(1, sizeof *tls);
    if (!tls)
        return GW_E_NOMEM;
    tls->server = new_context(TLS_server_method());
    tls->client = new_context(TLS_client_method());
    if (!tls->server || !tls->client || !use_own_certificate(tls->server) ||
        SSL_CTX_set_num_tickets(tls->server, 0) != 1 ||
        SSL_CTX_set_alpn_protos(tls->client, protocols, sizeof protocols - 1) != 0) {
        gw_carrier_tls_free(tls);
        ERR_clear_error();
        return -EIO;
    }
    SSL_CTX_set_alpn_select_cb(tls->server, choose_protocol, NULL);
    *out = tls;
    return 0;
}

void gw_carrier_tls_free(struct gw_carrier_tls *tls)
{
    if (!tls)
        return;
    SSL_CTX_free(tls->server);
    SSL_CTX_free(tls->client);
    free(tls);
}

/* ---- connections */

static struct bufferevent *wrap(SSL_CTX *ctx, struct event_base *base, evutil_socket_t fd,
                                enum bufferevent_ssl_state state, const char *name)
{
    SSL *ssl = SSL_new(ctx);
    if (!ssl)
        return NULL;
    bool is_named = name[0] == '\0' || SSL_set_tlsext_host_name(ssl, name) == 1;
    struct bufferevent *bev =
        !is_named ? NULL : bufferevent_openssl_socket_new(base, fd, ssl, state, BEV_OPT_CLOSE_ON_FREE);
    if (!bev) {
        SSL_free(ssl);
        return NULL;
    }
    bufferevent_openssl_set_allow_dirty_shutdown(bev, 1);
    return bev;
}

struct bufferevent *gw_carrier_tls_server(struct gw_carrier_tls *tls, struct event_base *base,
                                          evutil_socket_t fd)
{
    return wrap(tls->server, base, fd, BUFFEREVENT_SSL_ACCEPTING, "");
}

struct bufferevent *gw_carrier_tls_client(struct gw_carrier_tls *tls, struct event_base *base,
                                          evutil_socket_t fd, const char *name)
{
    return wrap(tls->client, base, fd, BUFFEREVENT_SSL_CONNECTING, name);
}

/* The loop does not come round any more. What the bufferevent was refused before is at the front, as OpenSSL wants it to be said again. */
void gw_carrier_tls_flush(struct bufferevent *bev)
{
    struct evbuffer *out = bufferevent_get_output(bev);
    size_t len = evbuffer_get_length(out);
    const void *bytes = len > 0 && len <= INT_MAX ? evbuffer_pullup(out, -1) : NULL;
    if (bytes)
        (void)SSL_write(bufferevent_openssl_get_ssl(bev), bytes, (int)len);
    ERR_clear_error();
}
