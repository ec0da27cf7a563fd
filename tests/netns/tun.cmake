# SPDX-License-Identifier: MIT
peergate_script_test(NAME netns/tun COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/tun.py ROOT LOCK netns)
peergate_script_test(NAME netns/tun_addresses COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/tun_addresses.py ROOT LOCK netns)
peergate_script_test(NAME netns/tun_user COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/tun_user.py ROOT LOCK netns)
peergate_script_test(NAME netns/tun_faults COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/tun_faults.py ROOT LOCK netns TIMEOUT 180)
peergate_script_test(NAME netns/tun_sizes COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/tun_sizes.py ROOT LOCK netns TIMEOUT 250)
if(DEFINED ENV{PEERGATE_SLOW_TESTS})
    peergate_script_test(NAME netns/tun_sizes-slow COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/tun_sizes.py rekey ROOT LOCK netns TIMEOUT 260 LABELS slow)
endif()
