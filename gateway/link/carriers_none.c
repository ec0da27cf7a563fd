/* SPDX-License-Identifier: MIT */
/* A build without OpenSSL: there are no carriers, and who asks for one is told so. */
#include "gateway/link/carriers.h"

#include <errno.h>
#include <unistd.h>

int gw_carriers_new(struct gw_carriers **out, const struct gw_carriers_params *params)
{
    (void)params;
    *out = NULL;
    return -ENOTSUP;
}

void gw_carriers_free(struct gw_carriers *carriers)
{
    (void)carriers;
}

int gw_carriers_set_certificate(struct gw_carriers *carriers,
                                const struct gw_carriers_certificate *certificate,
                                enum gw_certificate_fault *fault)
{
    (void)carriers, (void)certificate;
    *fault = GW_CERTIFICATE_GOOD;
    return -ENOTSUP;
}

void gw_carriers_take(struct gw_carriers *carriers, int fd)
{
    (void)carriers;
    close(fd);
}

int gw_carriers_connect(struct gw_carriers *carriers, const struct gw_carriers_call *call,
                        struct gw_tuple *tuple)
{
    (void)carriers, (void)call, (void)tuple;
    return -ENOTSUP;
}

void gw_carriers_close(struct gw_carriers *carriers, const struct gw_tuple *tuple)
{
    (void)carriers, (void)tuple;
}

struct gw_mono gw_carriers_heard(struct gw_carriers *carriers, const struct gw_tuple *tuple)
{
    (void)carriers, (void)tuple;
    return GW_NEVER;
}

void gw_carriers_send(struct gw_carriers *carriers, const struct gw_train *train)
{
    (void)carriers, (void)train;
}

void gw_carriers_stats(const struct gw_carriers *carriers, struct gw_carriers_stats *out)
{
    (void)carriers;
    *out = (struct gw_carriers_stats){0};
}
