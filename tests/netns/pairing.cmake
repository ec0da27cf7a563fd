# SPDX-License-Identifier: MIT
peergate_script_test(NAME netns/pairing COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/pairing.py ROOT)
