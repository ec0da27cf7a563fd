# SPDX-License-Identifier: MIT
peergate_script_test(NAME netns/clients COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/clients.py ROOT)
