# SPDX-License-Identifier: MIT
peergate_script_test(NAME netns/fleet COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/fleet.py ROOT)
