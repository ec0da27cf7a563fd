# SPDX-License-Identifier: MIT
# Some of the pairs; all of them: ./dev test --grid. The table is in <build>/nat-grid.txt then.
peergate_script_test(NAME netns/grid COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/grid.py ROOT TIMEOUT 400)
