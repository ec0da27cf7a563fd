# SPDX-License-Identifier: MIT
# Each on a machine of its own, network included, so they may run side by side.
foreach(part
        resolved_with_a_tun resolved_without_a_tun resolved_on_a_link_that_stays resolved_or_the_bus_hangs resolved_is_not_ours_to_ask
        resolvconf_of_debian resolvconf_of_openresolv
        plain_resolv_conf plain_resolv_conf_upstreams plain_resolv_conf_asked_in_a_circle plain_resolv_conf_kills plain_resolv_conf_and_others
        networkmanager_with_dnsmasq networkmanager_with_resolved networkmanager_alone)
    peergate_script_test(NAME netns/sysdns/${part} COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/sysdns.py ${part} ROOT)
endforeach()
