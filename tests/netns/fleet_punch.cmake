# SPDX-License-Identifier: MIT
peergate_script_test(NAME netns/fleet_punch COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/fleet_punch.py ROOT)
