# SPDX-License-Identifier: MIT
peergate_script_test(NAME netns/dns_e2e COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/dns_e2e.py ROOT)
