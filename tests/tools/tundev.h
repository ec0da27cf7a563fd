/* SPDX-License-Identifier: MIT */
/* TUN devices in network namespaces, for tools that stand between namespaces. They offer no offloads, so the kernel cuts super-packets
 * (TSO, UDP GSO) and completes checksums before a tool sees them. What goes wrong ends the tool, with a line that says so. */
#ifndef TESTS_TOOLS_TUNDEV_H
#define TESTS_TOOLS_TUNDEV_H

#include <stdint.h>

#define TUNDEV_ADDRESSES_MAX 8u

struct tundev {
    const char *namespace; /* into the text that it was opened with, as all of these */
    const char *name;
    const char *addresses[TUNDEV_ADDRESSES_MAX]; /* without their prefix lengths */
    unsigned address_count;
    int fd;    /* non-blocking; a packet a read or write */
    int stats; /* the namespace's /proc/net/dev */
};

/* text: "NAMESPACE,DEVICE[,ADDRESS/PREFIX ...]", cut into pieces; the namespace "-" is the one that the tool runs in. The device is
 * up, and goes away with the tool. */
struct tundev tundev_open(char *text, int mtu);
/* Packets that the kernel dropped before they got here (the device's transmit drops); to be 0. */
uint64_t tundev_kernel_drops(const struct tundev *device);

#endif
