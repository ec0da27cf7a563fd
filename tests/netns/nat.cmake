# SPDX-License-Identifier: MIT
# Each part by itself: natbox and natprobe are ours, so no PEERGATE_BIN is run.
foreach(part every_kind as_the_kernel time_outs settings commands together pairs)
    peergate_script_test(NAME netns/nat-${part} COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/nat.py ${part} ROOT)
endforeach()
