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
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <stdbool.h>
#include <stdlib.h>

#define DAY_S 86400L
#define CERT_DAYS 825L /* the longest that browsers take */
#define CHAIN_MAX 16u

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

static bool use_self_made(SSL_CTX *ctx)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *cert = X509_new();
    bool is_good = key && cert && fill_certificate(cert, key) && SSL_CTX_use_certificate(ctx, cert) == 1 &&
                   SSL_CTX_use_PrivateKey(ctx, key) == 1;
    X509_free(cert);
    EVP_PKEY_free(key);
    return is_good;
}

/* ---- the owner's */

/* Nobody is asked for one. */
static int no_passphrase(char *out, int size, int is_writing, void *arg)
{
    (void)out, (void)size, (void)is_writing, (void)arg;
    return -1;
}

/* The server's own certificate, then those above it, to the end of the text. */
static bool use_chain(SSL_CTX *ctx, BIO *in, bool *has_expired)
{
    X509 *cert = PEM_read_bio_X509(in, NULL, no_passphrase, NULL);
    bool is_good = cert && SSL_CTX_use_certificate(ctx, cert) == 1;
    *has_expired = is_good && X509_cmp_current_time(X509_get0_notAfter(cert)) < 0;
    X509_free(cert);
    for (unsigned i = 0; is_good && (cert = PEM_read_bio_X509(in, NULL, no_passphrase, NULL)) != NULL; i++) {
        is_good = i < CHAIN_MAX && SSL_CTX_add0_chain_cert(ctx, cert) == 1;
        if (!is_good)
            X509_free(cert);
    }
    return is_good && ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
}

static enum gw_certificate_fault use_pem(SSL_CTX *ctx, BIO *chain, BIO *key)
{
    bool has_expired;
    if (!use_chain(ctx, chain, &has_expired))
        return GW_CERTIFICATE_NO_CHAIN;
    EVP_PKEY *secret = PEM_read_bio_PrivateKey(key, NULL, no_passphrase, NULL);
    if (!secret)
        return GW_CERTIFICATE_NO_KEY;
    /* It compares the two. */
    bool is_pair = SSL_CTX_use_PrivateKey(ctx, secret) == 1 && SSL_CTX_check_private_key(ctx) == 1;
    EVP_PKEY_free(secret);
    return !is_pair ? GW_CERTIFICATE_NO_PAIR : has_expired ? GW_CERTIFICATE_EXPIRED : GW_CERTIFICATE_GOOD;
}

static int use_certificate(SSL_CTX *ctx, const struct gw_carriers_certificate *certificate,
                           enum gw_certificate_fault *fault)
{
    *fault = GW_CERTIFICATE_GOOD;
    if (!certificate)
        return use_self_made(ctx) ? 0 : -EIO;
    BIO *chain = BIO_new_mem_buf(certificate->chain, (int)certificate->chain_len);
    BIO *key = BIO_new_mem_buf(certificate->key, (int)certificate->key_len);
    int err = chain && key ? 0 : GW_E_NOMEM;
    if (err == 0)
        *fault = use_pem(ctx, chain, key);
    BIO_free(chain);
    BIO_free(key);
    bool is_used = *fault == GW_CERTIFICATE_GOOD || *fault == GW_CERTIFICATE_EXPIRED;
    return err == 0 && !is_used ? GW_E_MALFORMED : err;
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

static int new_server(SSL_CTX **out, const struct gw_carriers_certificate *certificate,
                      enum gw_certificate_fault *fault)
{
    SSL_CTX *ctx = new_context(TLS_server_method());
    *fault = GW_CERTIFICATE_GOOD;
    ERR_clear_error();
    int err = ctx && SSL_CTX_set_num_tickets(ctx, 0) == 1 ? use_certificate(ctx, certificate, fault) : -EIO;
    ERR_clear_error();
    if (err != 0) {
        SSL_CTX_free(ctx);
        return err;
    }
    SSL_CTX_set_alpn_select_cb(ctx, choose_protocol, NULL);
    *out = ctx;
    return 0;
}

int gw_carrier_tls_set_certificate(struct gw_carrier_tls *tls,
                                   const struct gw_carriers_certificate *certificate,
                                   enum gw_certificate_fault *fault)
{
    SSL_CTX *server;
    int err = new_server(&server, certificate, fault);
    if (err != 0)
        return err;
    SSL_CTX_free(tls ? tls->server : server);
    if (tls)
        tls->server = server;
    return 0;
}

int gw_carrier_tls_new(struct gw_carrier_tls **out)
{
    static const unsigned char protocols[] = "\x08http/1.1";
    enum gw_certificate_fault fault;
    struct gw_carrier_tls *tls = calloc(1, sizeof *tls);
    if (!tls)
        return GW_E_NOMEM;
    tls->client = new_context(TLS_client_method());
    if (!tls->client || new_server(&tls->server, NULL, &fault) != 0 ||
        SSL_CTX_set_alpn_protos(tls->client, protocols, sizeof protocols - 1) != 0) {
        gw_carrier_tls_free(tls);
        ERR_clear_error();
        return -EIO;
    }
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
