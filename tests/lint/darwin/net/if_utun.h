/* SPDX-License-Identifier: MIT */
/* What macOS' header of this name has for tun_darwin.c: for darwin.sh, which looks whether that compiles where there is none. */
#ifndef TESTS_LINT_DARWIN_NET_IF_UTUN_H
#define TESTS_LINT_DARWIN_NET_IF_UTUN_H

#define UTUN_CONTROL_NAME "com.apple.net.utun_control"
#define UTUN_OPT_IFNAME 2

#endif
