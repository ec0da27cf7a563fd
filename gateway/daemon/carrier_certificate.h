/* SPDX-License-Identifier: MIT */
/* The files `anchor.certificate` and `anchor.key`. */
#ifndef GATEWAY_DAEMON_CARRIER_CERTIFICATE_H
#define GATEWAY_DAEMON_CARRIER_CERTIFICATE_H

#include "gateway/config/config.h"
#include "gateway/config/diag.h"
#include "gateway/link/carriers.h"

/* Reads what the network has, and shows it from now on; without files, the self-made one. carriers NULL: it is only looked at. 0, or an error with the reason in diag, then what was shown stays; what is
 * only unwise is a warning there. */
int gw_carrier_certificate_use(struct gw_carriers *carriers, const struct gw_config_network *network,
                               struct gw_diag *diag);

#endif
