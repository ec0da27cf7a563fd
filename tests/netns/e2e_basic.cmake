# SPDX-License-Identifier: MIT
peergate_script_test(NAME netns/e2e_basic COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/e2e_basic.py ROOT BUSY)
