# SPDX-License-Identifier: MIT
# The daemon without its seals: a program beside the others of the benchmarks, in no target that is installed or packaged.
add_executable(peergate-null-seal null_seal.c "${CMAKE_SOURCE_DIR}/gateway/daemon/main.c")
target_link_libraries(peergate-null-seal PRIVATE gw_daemon peergate_flags)
target_link_options(peergate-null-seal PRIVATE -Wl,--wrap=gw_crypto_system)
set_target_properties(peergate-null-seal PROPERTIES RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/tests/bench")
