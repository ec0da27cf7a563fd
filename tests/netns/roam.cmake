# SPDX-License-Identifier: MIT
peergate_script_test(NAME netns/roam COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/roam.py ROOT BUSY)
