# SPDX-License-Identifier: MIT
peergate_script_test(NAME netns/packets COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/packets.py ROOT LOCK netns TIMEOUT 120)
