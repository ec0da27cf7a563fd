/* SPDX-License-Identifier: MIT */
/* The names and sentences of reason.h, beside each other so that none is missing. */
#include "gateway/flow/reason.h"

#include <assert.h>
#include <stddef.h>

static const struct {
    const char *name, *sentence;
} texts[] = {
    [GW_REASON_NONE] = {"none", "the stream ended in order"},
    [GW_REASON_REFUSED] = {"refused", "the peer does not allow us this service"},
    [GW_REASON_NOT_LISTED] = {"not-listed", "the peer has no such service"},
    [GW_REASON_SERVICE_DOWN] = {"service-down", "the service at the peer refused or broke the connection"},
    [GW_REASON_TIMED_OUT] = {"timed-out", "the service at the peer did not answer in time"},
    [GW_REASON_PEER_RESTARTED] = {"peer-restarted", "the peer was restarted"},
    [GW_REASON_NO_MEMORY] = {"no-memory",
                             "the memory for flows is used up and this stream had stood still longest"},
    [GW_REASON_CANCELLED] = {"cancelled", "the application at the other end aborted the connection"},
    [GW_REASON_PROTOCOL] = {"protocol", "the other side broke the flow protocol"},
    [GW_REASON_LIMIT] = {"limit", "too many streams are open"},
    [GW_REASON_UNREACHABLE] = {"unreachable", "there is no session with the peer"},
    [GW_REASON_SHUTTING_DOWN] = {"shutting-down", "the daemon is shutting down"},
    [GW_REASON_SERVICE_UNREACHABLE] = {"service-unreachable", "the peer cannot reach the service's host"},
    [GW_REASON_NO_SEAL] = {"no-seal", "this node and the peer do not agree on `seal`, so nothing can pass"},
    [GW_REASON_SHUT_OUT] = {"shut-out", "the peer does not list this node, or not any more"},
};
static_assert(sizeof texts / sizeof texts[0] == GW_REASON_COUNT, "every reason has a name");

const char *gw_reason_name(unsigned long long reason)
{
    return reason < GW_REASON_COUNT ? texts[reason].name : "unknown";
}

const char *gw_reason_sentence(unsigned long long reason)
{
    return reason < GW_REASON_COUNT ? texts[reason].sentence : "for a reason that this version does not know";
}
