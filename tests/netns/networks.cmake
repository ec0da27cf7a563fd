# SPDX-License-Identifier: MIT
peergate_script_test(NAME netns/networks COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/networks.py ROOT)
