/* SPDX-License-Identifier: MIT */
#include "gateway/daemon/carrier_certificate.h"

#include "gateway/base/err.h"
#include "gateway/config/file.h"

#include <errno.h>

#define PEM_MAX (256u * 1024u)

static int read_pem(struct gw_file *out, const char *path, struct gw_diag *diag)
{
    int err = gw_file_read(out, path, PEM_MAX, diag);
    if (err == -ENOENT) /* of which it says nothing */
        gw_diag_error(diag, path, 0, "there is no such file");
    return err;
}

/* Groups that may read it are what some distributions have: advice, no refusal. */
static void advise(const char *path, const struct gw_file *key, struct gw_diag *diag)
{
    char word[1024];
    if (key->mode & 077)
        gw_diag_warning(diag, path, 0,
                        "others than its owner may use this private key (mode %04o): chmod 600 %s",
                        (unsigned)key->mode, gw_shell_word(path, word, sizeof word));
}

static void tell_fault(const struct gw_config_network *network, enum gw_certificate_fault fault,
                       struct gw_diag *diag)
{
    switch (fault) {
    case GW_CERTIFICATE_GOOD:
        break;
    case GW_CERTIFICATE_NO_CHAIN:
        gw_diag_error(diag, network->anchor.certificate, 0,
                      "expected certificates in PEM, the server's own first");
        break;
    case GW_CERTIFICATE_NO_KEY:
        gw_diag_error(diag, network->anchor.key, 0, "expected a private key in PEM, without a passphrase");
        break;
    case GW_CERTIFICATE_NO_PAIR:
        gw_diag_error(diag, network->anchor.key, 0, "this is not the key of the certificate in %s",
                      network->anchor.certificate);
        break;
    case GW_CERTIFICATE_EXPIRED:
        gw_diag_warning(diag, network->anchor.certificate, 0, "this certificate has expired");
        break;
    }
}

static int use_files(struct gw_carriers *carriers, const struct gw_config_network *network,
                     const struct gw_file *chain, const struct gw_file *key, struct gw_diag *diag)
{
    const struct gw_carriers_certificate certificate = {
        .chain = chain->data, .chain_len = chain->len, .key = key->data, .key_len = key->len};
    enum gw_certificate_fault fault;
    int err = gw_carriers_set_certificate(carriers, &certificate, &fault);
    tell_fault(network, fault, diag);
    if (err != 0 && fault == GW_CERTIFICATE_GOOD)
        gw_diag_error(diag, network->anchor.certificate, 0, "it cannot be used: %s%s", gw_strerror(err),
                      err == -ENOTSUP ? "; this build has no TLS" : "");
    return err;
}

int gw_carrier_certificate_use(struct gw_carriers *carriers, const struct gw_config_network *network,
                               struct gw_diag *diag)
{
    struct gw_file chain = {0}, key = {0};
    enum gw_certificate_fault fault;
    if (!network->anchor.certificate)
        return carriers ? gw_carriers_set_certificate(carriers, NULL, &fault) : 0;
    int err = read_pem(&chain, network->anchor.certificate, diag);
    int other = read_pem(&key, network->anchor.key, diag);
    if (other == 0)
        advise(network->anchor.key, &key, diag);
    err = err ? err : other;
    if (err == 0)
        err = use_files(carriers, network, &chain, &key, diag);
    gw_file_free(&chain);
    gw_file_free(&key);
    return err;
}
