/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "tests/tools/natprobe.h"
#include "tests/tools/tool.h"

#define PAIRS_MAX 2u

/* The sockets of a pair, by which address and which port. */
struct pair {
    struct stun_addr addr[2][2];
    int fd[2][2];
};

static int open_socket(const struct stun_addr *at, int kind)
{
    int one = 1, fd = socket(at->sa.sa_family, kind | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    char text[64];
    if (at->sa.sa_family == AF_INET6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof one);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (fd < 0 || bind(fd, &at->sa, stun_addr_len(at)) || (kind == SOCK_STREAM && listen(fd, 16)))
        tool_die("%s", stun_addr_text(at, text));
    return fd;
}

static struct stun_addr parse(const char *ip, unsigned port)
{
    char text[80];
    struct stun_addr addr = {0};
    snprintf(text, sizeof text, strchr(ip, ':') ? "[%s]:%u" : "%s:%u", ip, port);
    struct tool_address parsed = tool_address(text);
    memcpy(&addr, &parsed.sa, parsed.len);
    return addr;
}

static void serve(const struct pair *pair, unsigned ip, unsigned port)
{
    uint8_t bytes[STUN_MAX];
    struct stun_addr from;
    struct stun_message request;
    socklen_t len = sizeof from;
    ssize_t n = recvfrom(pair->fd[ip][port], bytes, sizeof bytes, 0, &from.sa, &len);
    if (n < 0 || !stun_decode(&request, bytes, (size_t)n) || request.type != STUN_REQUEST)
        return;
    unsigned out_ip = ip ^ request.change_ip, out_port = port ^ request.change_port;
    struct stun_message response = {.type = STUN_RESPONSE,
                                    .mapped = from,
                                    .origin = pair->addr[out_ip][out_port],
                                    .other = pair->addr[!ip][!port]};
    memcpy(response.id, request.id, sizeof response.id);
    if (request.response_port)
        stun_addr_set_port(&from, request.response_port);
    size_t size = stun_encode(bytes, &response);
    (void)sendto(pair->fd[out_ip][out_port], bytes, size, 0, &from.sa, len);
}

void natprobe_serve(unsigned port, int count, char **addresses)
{
    struct pair pairs[PAIRS_MAX];
    struct pollfd fds[PAIRS_MAX * 5];
    nfds_t used = 0;
    if (count != 2 && count != 4)
        tool_die("--serve wants two addresses, or four");
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    for (int i = 0; i < count / 2; i++) {
        for (unsigned k = 0; k < 4; k++) {
            pairs[i].addr[k / 2][k % 2] = parse(addresses[2 * i + (int)k / 2], port + k % 2);
            pairs[i].fd[k / 2][k % 2] = open_socket(&pairs[i].addr[k / 2][k % 2], SOCK_DGRAM);
            fds[used++] = (struct pollfd){.fd = pairs[i].fd[k / 2][k % 2], .events = POLLIN};
        }
        fds[used++] = (struct pollfd){.fd = open_socket(&pairs[i].addr[0][0], SOCK_STREAM), .events = POLLIN};
    }
    puts("{\"ready\": true}");
    fflush(stdout);
    for (;;) {
        if (poll(fds, used, -1) < 0 && errno != EINTR)
            tool_die("poll");
        for (nfds_t i = 0; i < used; i++) {
            if (!fds[i].revents)
                continue;
            if (i % 5 < 4)
                serve(&pairs[i / 5], (unsigned)(i % 5) / 2, (unsigned)(i % 5) % 2);
            else
                close(accept(fds[i].fd, NULL, NULL));
        }
    }
}
