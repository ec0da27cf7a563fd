# SPDX-License-Identifier: MIT
peergate_script_test(NAME netns/packets COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/packets.py ROOT BUSY)
peergate_script_test(NAME netns/packets_lanes COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/packets.py ROOT BUSY ENVIRONMENT PEERGATE_LANES=2)
