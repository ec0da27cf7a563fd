/* SPDX-License-Identifier: MIT */
#include "gateway/daemon/advice.h"

#include <assert.h>

#define HERE "`seal` or `peers[].seal`"

static const char *const on_seal[] = {
    [GW_SEAL_AGREED] = NULL,
    [GW_SEAL_NOT_OFFERED] =
        "nothing passes: `seal: required` for it here, but it offers none: `seal: forbidden` there, or its processor has no AES "
        "instructions. Set `seal: auto` (" HERE ") here, or there",
    [GW_SEAL_NO_HARDWARE] =
        "nothing passes: `seal: required` for it here, but this machine's processor has no AES instructions. Set `seal: auto` (" HERE
        ") here",
    [GW_SEAL_DEMANDED] =
        "nothing passes: `seal: required` for this node there, but `seal: forbidden` for it here. Set `seal: auto` (" HERE
        ") here, or there",
    [GW_SEAL_DEMANDED_NO_HARDWARE] =
        "nothing passes: `seal: required` for this node there, but this machine's processor has no AES instructions. Set `seal: auto` (" HERE
        ") there",
    [GW_SEAL_WIREGUARD] =
        "nothing passes: `seal: required` for it here, and it is a stock WireGuard peer. Set `seal: auto` for it (`peers[].seal`)",
};
static_assert(sizeof on_seal / sizeof on_seal[0] == GW_SEAL_CONFLICT_COUNT, "each has its advice");

const char *gw_advice_on_seal(enum gw_seal_conflict conflict)
{
    return on_seal[conflict];
}

const char gw_advice_shut_out[] =
    "it has ended the session: it does not list this node's key, or not any more";

const char gw_advice_ended[] = "it has ended: its daemon was stopped, or does not have this network any more";
