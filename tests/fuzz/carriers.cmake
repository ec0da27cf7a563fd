# SPDX-License-Identifier: MIT
if(PEERGATE_TLS)
    peergate_fuzz(NAME carriers SOURCES fuzz_carriers.c DEPS gw_link peergate::event)
endif()
