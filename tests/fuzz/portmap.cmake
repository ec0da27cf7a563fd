# SPDX-License-Identifier: MIT
peergate_fuzz(NAME portmap SOURCES fuzz_portmap.c DEPS gw_portmap gw_base)
peergate_fuzz(NAME ssdp SOURCES fuzz_ssdp.c DEPS gw_portmap gw_base)
peergate_fuzz(NAME igd_line SOURCES fuzz_igd_line.c ${CMAKE_SOURCE_DIR}/gateway/daemon/igd_line.c DEPS gw_wire gw_base)
peergate_fuzz(NAME igd_router SOURCES fuzz_igd_router.c ${CMAKE_SOURCE_DIR}/gateway/daemon/igd_router.c ${CMAKE_SOURCE_DIR}/gateway/daemon/igd_line.c
    DEPS gw_wire gw_base peergate::miniupnpc)
