# SPDX-License-Identifier: MIT
peergate_script_test(NAME netns/ended COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/ended.py ROOT)
