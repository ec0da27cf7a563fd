# SPDX-License-Identifier: MIT
peergate_fuzz(NAME netlink SOURCES fuzz_netlink.c DEPS gw_tun gw_link peergate::mnl ${CMAKE_DL_LIBS})
