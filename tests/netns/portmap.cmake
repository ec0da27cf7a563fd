# SPDX-License-Identifier: MIT
peergate_script_test(NAME netns/portmap COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/portmap.py ROOT LOCK netns TIMEOUT 400)
