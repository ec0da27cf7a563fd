/* SPDX-License-Identifier: MIT */
/* The words for error numbers: ours from a table, the system's from the C library. Called wherever an error
 * is shown to a person; nothing decides anything by these strings. */
#include "gateway/base/err.h"

#include <stdio.h>
#include <string.h>

/* Numbers above are -errno: Linux' largest is 133, and no system we run on comes near. */
#define LOWEST_ERRNO (-1000)

/* By the enum's type and without a default, so that the compiler tells when a value has no words. */
static const char *own_words(enum gw_err err)
{
    switch (err) {
    case GW_OK:
        return "no error";
    case GW_E_NOMEM:
        return "out of memory";
    case GW_E_INVAL:
        return "invalid argument";
    case GW_E_AGAIN:
        return "not now, try again";
    case GW_E_MALFORMED:
        return "malformed";
    case GW_E_AUTH:
        return "authentication failed";
    case GW_E_REPLAY:
        return "replayed or too old";
    case GW_E_UNKNOWN:
        return "unknown";
    case GW_E_LIMIT:
        return "limit reached";
    case GW_E_STATE:
        return "unexpected at this moment";
    case GW_E_EXPIRED:
        return "expired";
    case GW_E_TOO_BIG:
        return "too big";
    case GW_E_CONFIG:
        return "configuration error";
    case GW_E_PERMISSION:
        return "unsafe file permissions";
    case GW_E_CLOSED:
        return "closed";
    case GW_E_TIMEOUT:
        return "timed out";
    case GW_E_NO_SEAL:
        return "this node and the peer do not agree on `seal`";
    case GW_E_SHUT_OUT:
        return "the peer does not list this node, or not any more";
    }
    return NULL;
}

static const char *unknown_number(int err)
{
    static _Thread_local char words[sizeof "unknown error -2147483648"];
    snprintf(words, sizeof words, "unknown error %d", err);
    return words;
}

const char *gw_strerror(int err)
{
    const char *words = own_words((enum gw_err)err);
    if (words != NULL)
        return words;
    if (err > 0 || err <= LOWEST_ERRNO)
        return unknown_number(err);
    /* strerror, unlike strerror_r, has one prototype everywhere; its result is static or thread-local in
     * glibc (2.32), musl and bionic. It may set errno; callers print one error while they hold another. */
    int saved = errno;
    words = strerror(-err);
    errno = saved;
    return words != NULL ? words : unknown_number(err);
}
