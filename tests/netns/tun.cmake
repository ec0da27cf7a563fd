# SPDX-License-Identifier: MIT
peergate_script_test(NAME netns/tun COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/tun.py ROOT LOCK netns)
peergate_script_test(NAME netns/tun_addresses COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/tun_addresses.py ROOT LOCK netns)
peergate_script_test(NAME netns/tun_user COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/tun_user.py ROOT LOCK netns)
peergate_script_test(NAME netns/tun_faults COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/tun_faults.py ROOT LOCK netns TIMEOUT 180)
peergate_script_test(NAME netns/tun_accelerate COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/tun_accelerate.py ROOT LOCK netns TIMEOUT 180)
peergate_script_test(NAME netns/tun_dns COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/tun_dns.py ROOT LOCK netns)
