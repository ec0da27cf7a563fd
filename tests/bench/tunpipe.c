/* SPDX-License-Identifier: MIT */
/* What a tunnel on this machine could be at most: whatever a TUN gives goes out by UDP, and back into a TUN at the other end, by one thread. Nothing is
 * parsed, sealed, queued or cut but by the kernel: a super-packet is one UDP burst, and if it does not come as such it is dropped. For the benchmarks; it
 * trusts everybody. */
#include "tests/tools/tool.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/udp.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#ifndef UDP_GRO
#define UDP_GRO 104
#endif

#define BUFFER_LEN 65536u
#define SOCKET_BUFFER (4 * 1024 * 1024)
/* Datagrams on the link; as long as a tunnel's over 1500 bytes. */
#define STRIDE 1460u
/* From one side before the other has its turn. */
#define BATCH 4u
#define VIRTIO_LEN 10u

static int open_tun(const char *name)
{
    struct ifreq request = {.ifr_flags = IFF_TUN | IFF_NO_PI | IFF_VNET_HDR};
    int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
    snprintf(request.ifr_name, sizeof request.ifr_name, "%s", name);
    if (fd < 0 || ioctl(fd, TUNSETIFF, &request) < 0 ||
        ioctl(fd, TUNSETOFFLOAD, (unsigned long)(TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6)) < 0)
        tool_die("the TUN %s", name);
    return fd;
}

static void set(int fd, int level, int option, int value, const char *what)
{
    if (setsockopt(fd, level, option, &value, sizeof value) < 0)
        tool_die("%s", what);
}

static int open_udp(const char *local, const char *remote)
{
    struct tool_address here = tool_address(local), there = tool_address(remote);
    int fd = socket(here.sa.ss_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&here.sa, here.len) < 0 ||
        connect(fd, (struct sockaddr *)&there.sa, there.len) < 0)
        tool_die("UDP from %s to %s", local, remote);
    set(fd, IPPROTO_UDP, UDP_GRO, 1, "UDP_GRO");
    set(fd, IPPROTO_UDP, UDP_SEGMENT, (int)STRIDE, "UDP_SEGMENT");
    set(fd, SOL_SOCKET, SO_RCVBUFFORCE, SOCKET_BUFFER, "the receive buffer");
    set(fd, SOL_SOCKET, SO_SNDBUFFORCE, SOCKET_BUFFER, "the send buffer");
    return fd;
}

static size_t packet_len(const uint8_t *packet)
{
    return packet[0] >> 4 == 4 ? (size_t)packet[2] << 8 | packet[3]
                               : 40u + ((size_t)packet[4] << 8 | packet[5]);
}

/* Does a whole packet stand behind a header? */
static bool is_whole(const uint8_t *bytes, size_t len)
{
    return len >= VIRTIO_LEN + 20 && packet_len(bytes + VIRTIO_LEN) == len - VIRTIO_LEN;
}

static void wait_until_writable(int fd)
{
    struct pollfd one = {.fd = fd, .events = POLLOUT};
    poll(&one, 1, -1);
}

static void tun_to_udp(int tun, int udp, uint8_t *buffer)
{
    for (unsigned i = 0; i < BATCH; i++) {
        ssize_t len = read(tun, buffer, BUFFER_LEN);
        if (len < 0 && errno != EAGAIN && errno != EIO) /* EIO: not up yet */
            tool_die("reading the TUN");
        if (len < 0)
            return;
        while (send(udp, buffer, (size_t)len, 0) < 0 && errno == EAGAIN)
            wait_until_writable(udp);
    }
}

static void udp_to_tun(int tun, int udp, uint8_t *buffer)
{
    for (unsigned i = 0; i < BATCH; i++) {
        ssize_t len = recv(udp, buffer, BUFFER_LEN, 0);
        if (len < 0 && errno == EAGAIN)
            return;
        /* A write that fails is a packet lost, as is one in pieces; so is what the kernel tells of an earlier datagram. */
        if (len > 0 && is_whole(buffer, (size_t)len) && write(tun, buffer, (size_t)len) < 0 &&
            errno == EBADFD)
            tool_die("writing to the TUN");
    }
}

int main(int argc, char **argv)
{
    static uint8_t buffer[BUFFER_LEN];
    const struct tool_option options[] = {{0}};
    int first = tool_options(argc, argv, "tunpipe TUN LOCAL:PORT REMOTE:PORT", options);
    if (argc - first != 3) {
        errno = 0;
        tool_die("three words: TUN LOCAL:PORT REMOTE:PORT");
    }
    struct pollfd fds[] = {{.fd = open_tun(argv[first]), .events = POLLIN},
                           {.fd = open_udp(argv[first + 1], argv[first + 2]), .events = POLLIN}};
    puts("ready");
    fflush(stdout);
    for (;;) {
        if (poll(fds, 2, -1) < 0 && errno != EINTR)
            tool_die("poll");
        if (fds[0].revents)
            tun_to_udp(fds[0].fd, fds[1].fd, buffer);
        if (fds[1].revents)
            udp_to_tun(fds[0].fd, fds[1].fd, buffer);
    }
}
