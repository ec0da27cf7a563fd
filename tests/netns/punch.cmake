# SPDX-License-Identifier: MIT
peergate_script_test(NAME netns/punch COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/punch.py ROOT LOCK netns TIMEOUT 150)
