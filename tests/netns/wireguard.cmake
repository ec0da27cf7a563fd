# SPDX-License-Identifier: MIT
# netns/wireguard-slow waits for wireguard-go's own rekeying after two minutes, and only with PEERGATE_SLOW_TESTS=1.
peergate_script_test(NAME netns/wireguard COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/wireguard.py ROOT)
if(DEFINED ENV{PEERGATE_SLOW_TESTS})
    peergate_script_test(NAME netns/wireguard-slow COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/wireguard.py slow ROOT TIMEOUT 400 LABELS slow)
endif()
