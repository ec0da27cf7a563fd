/* SPDX-License-Identifier: MIT */
/* Errors: one number for the system's and for our own. A function that can fail returns 0 or a negative
 * number: -errno as the kernel gave it, or one of ours below -1000. Nothing here allocates or blocks. */
#ifndef GATEWAY_BASE_ERR_H
#define GATEWAY_BASE_ERR_H

#include <errno.h>

enum gw_err {
    GW_OK = 0,
    GW_E_NOMEM = -ENOMEM,
    GW_E_INVAL = -EINVAL,
    /* What a peer's bytes can be. */
    GW_E_MALFORMED = -1001, /* does not parse, or breaks the protocol */
    GW_E_AUTH = -1002,      /* a tag, mac or signature is wrong */
    GW_E_REPLAY = -1003,    /* seen already, or older than what was seen */
    GW_E_UNKNOWN = -1004,   /* no such peer, index, stream, name */
    GW_E_LIMIT = -1005,     /* a named maximum is reached */
    GW_E_STATE = -1006,     /* right message, wrong moment */
    GW_E_EXPIRED = -1007,   /* a key, an entry or a lease is too old */
    GW_E_TOO_BIG = -1008,   /* does not fit */
    /* What an owner's file can be. */
    GW_E_CONFIG = -1009,     /* a configuration error; the message is in the diagnostics */
    GW_E_PERMISSION = -1010, /* a secret file that others may read, or a folder that others may write */
    /* What happens to a stream; see gateway/flow/reason.h for what crosses the wire. */
    GW_E_CLOSED = -1011,
    GW_E_TIMEOUT = -1012,
    GW_E_NO_SEAL = -1013,  /* one side requires a seal that the other does not offer */
    GW_E_SHUT_OUT = -1014, /* the peer says that this node may have no session with it */
    GW_E_AGAIN = -EAGAIN,
};

/* One English sentence fragment for any value above or any -errno; never NULL, static or thread-local. */
const char *gw_strerror(int err);

#endif
