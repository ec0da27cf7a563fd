# SPDX-License-Identifier: MIT
foreach(part pcp pmp upnp renewal restart restart_pmp restart_upnp seen_elsewhere moved refused silent lies upnp_lies pinhole reached unprivileged off)
    peergate_script_test(NAME netns/portmap-${part} COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/portmap.py ${part} ROOT)
endforeach()
