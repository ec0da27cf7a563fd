/* SPDX-License-Identifier: MIT */
/* socksload rtt: ICMP echo, one at a time. Wants root. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/ip_icmp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/tools/load.h"

static uint16_t checksum(const void *data, size_t n)
{
    const uint8_t *bytes = data;
    uint32_t sum = 0;

    for (size_t i = 0; i + 1 < n; i += 2)
        sum += (uint32_t)(bytes[i] << 8 | bytes[i + 1]);
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return htons((uint16_t)~sum);
}

/* Waits for the answer to `sequence`; false if there is none for a second. */
static bool wait_for(int fd, uint16_t id, uint16_t sequence)
{
    struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
    uint8_t packet[256];

    while (poll(&poll_fd, 1, 1000) > 0) {
        ssize_t n = recv(fd, packet, sizeof packet, 0);
        size_t head = (size_t)(packet[0] & 15) * 4;
        struct icmphdr icmp;

        if (n < (ssize_t)(head + sizeof icmp))
            continue;
        memcpy(&icmp, packet + head, sizeof icmp);
        if (icmp.type == ICMP_ECHOREPLY && icmp.un.echo.id == id && icmp.un.echo.sequence == sequence)
            return true;
    }
    return false;
}

int load_rtt(const struct load_options *o)
{
    struct sockaddr_in to = {.sin_family = AF_INET};
    struct tool_samples times = {0};
    struct load_failures failures = {0};
    int fd = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_ICMP);
    uint16_t id = (uint16_t)getpid();

    if (fd < 0)
        tool_die("a raw socket (root is needed)");
    errno = 0;
    if (inet_pton(AF_INET, o->target, &to.sin_addr) != 1)
        tool_die("--target wants an IPv4 address");
    for (uint64_t i = 0; i < o->count; i++) {
        struct icmphdr icmp = {.type = ICMP_ECHO, .un.echo = {.id = id, .sequence = (uint16_t)i}};
        uint64_t start = tool_now();

        icmp.checksum = checksum(&icmp, sizeof icmp);
        if (sendto(fd, &icmp, sizeof icmp, 0, (struct sockaddr *)&to, sizeof to) < 0)
            load_failed(&failures, "not sent");
        else if (!wait_for(fd, id, (uint16_t)i))
            load_failed(&failures, "lost");
        else
            tool_samples_add(&times, (double)(tool_now() - start));
        usleep((useconds_t)(o->gap_ms * 1000));
    }
    printf("{");
    load_print_times("rtt", &times);
    printf(", ");
    load_print_failures(&failures);
    printf("}\n");
    close(fd);
    tool_samples_fini(&times);
    return failures.total ? 1 : 0;
}
