# SPDX-License-Identifier: MIT
peergate_fuzz(NAME dns_journal SOURCES fuzz_dns_journal.c DEPS gw_sysdns)
peergate_fuzz(NAME resolv_conf SOURCES fuzz_resolv_conf.c DEPS gw_sysdns)
if(TARGET peergate::systemd)
    peergate_fuzz(NAME bus SOURCES fuzz_bus.c DEPS gw_sysdns peergate::event peergate::systemd ${CMAKE_DL_LIBS})
endif()
