# SPDX-License-Identifier: MIT
peergate_fuzz(NAME addresses SOURCES fuzz_addresses.c ${CMAKE_SOURCE_DIR}/gateway/daemon/vip_state.c DEPS gw_resolver gw_config)
peergate_fuzz(NAME lease SOURCES fuzz_lease.c ${CMAKE_SOURCE_DIR}/gateway/daemon/lease.c DEPS gw_session)
peergate_fuzz(NAME clients SOURCES fuzz_clients.c ${CMAKE_SOURCE_DIR}/gateway/daemon/clients_file.c DEPS gw_wire)
