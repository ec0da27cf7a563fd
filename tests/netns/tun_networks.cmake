# SPDX-License-Identifier: MIT
peergate_script_test(NAME netns/tun_networks COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/tun_networks.py ROOT)
peergate_script_test(NAME netns/tun_networks_lanes COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/tun_networks.py ROOT ENVIRONMENT PEERGATE_LANES=2)
