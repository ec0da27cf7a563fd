# SPDX-License-Identifier: MIT
peergate_script_test(NAME netns/wireguard COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/wireguard.py ROOT)
# Waits for two minutes, until wireguard-go's own timer says so.
peergate_script_test(NAME netns/wireguard-rekey COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/wireguard.py rekey ROOT TIMEOUT 600)
