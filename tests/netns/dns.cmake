# SPDX-License-Identifier: MIT
peergate_script_test(NAME netns/dns COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/dns.py ROOT)
