# SPDX-License-Identifier: MIT
peergate_script_test(NAME netns/lanes COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/lanes.py ROOT BUSY)
