# SPDX-License-Identifier: MIT
peergate_script_test(NAME netns/forged COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/forged.py ROOT BUSY TIMEOUT 200)
