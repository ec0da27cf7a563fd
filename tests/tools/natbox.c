/* SPDX-License-Identifier: MIT */
/* A NAT between network namespaces, in user space, of any kind that tests/nat/kinds.h knows: where the kernel's own would be
 * port-restricted or random and nothing else. It makes a TUN device in the namespace that is to be outside and one in each that is to be
 * inside, and carries packets between them through the model that the simulator has too.
 *
 *   namespace HOME                                                          namespace NET
 *   [ TUN wan 192.168.1.2/24 ] <- natbox --kind port-restricted --public 11.0.1.1 -> [ TUN home ]
 *     default route by wan                                                   route 11.0.1.1/32 by home
 *
 *   natbox --kind full-cone --public 11.0.1.1 --control /tmp/box NET,home HOME,wan,192.168.1.2/24
 *
 * The outside device needs no address; the routes are the caller's to set. Several insides are neighbours: what is for one of their addresses is
 * carried without translation. A line {"ready": true} says when the devices are there; SIGTERM and SIGINT end it. --control is a
 * SOCK_SEQPACKET Unix socket that takes a command a packet, and answers in JSON. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "tests/nat/settings.h"
#include "tests/tools/delayline.h"
#include "tests/tools/natbox.h"
#include "tests/tools/tool.h"
#include "tests/tools/tundev.h"

enum {
    MTU = 1500,
    BATCH = 64,   /* packets of one device before the next has its turn */
    CLIENTS = 4,  /* on the control socket */
    LINE = 512,   /* a command */
    REPLY = 4096, /* the longest answer */
    MEMORY = 32 << 20,
};

struct loop {
    struct natbox box;
    struct tundev sides[NATBOX_INSIDES_MAX + 1]; /* by number; NATBOX_OUTSIDE is the last */
    struct delayline *out, *in;                  /* NULL: no delay */
    uint64_t refused;
    int listener, clients[CLIENTS], signals;
};

static struct gw_mono now_of(uint64_t ns)
{
    return (struct gw_mono){(int64_t)ns};
}

/* ---- packets */

static void put(struct loop *loop, unsigned side, const uint8_t *bytes, size_t len)
{
    if (write(loop->sides[side].fd, bytes, len) < 0)
        loop->refused++; /* the device is down, or its queue full */
}

static void send_to(struct loop *loop, uint64_t now, unsigned side, const uint8_t *bytes, size_t len)
{
    struct delayline *line = side == NATBOX_OUTSIDE ? loop->out : loop->in;
    if (!line) {
        put(loop, side, bytes, len);
        return;
    }
    uint8_t *slot = delayline_slot(line);
    slot[0] = (uint8_t)side;
    memcpy(slot + 1, bytes, len);
    delayline_push(line, now, len + 1);
}

static void take(struct loop *loop, unsigned side)
{
    uint8_t bytes[MTU];
    uint64_t now = tool_now();
    for (unsigned i = 0; i < BATCH; i++) {
        ssize_t n = read(loop->sides[side].fd, bytes, sizeof bytes);
        if (n < 0)
            return;
        unsigned to = natbox_carry(&loop->box, now_of(now), side, bytes, (size_t)n);
        if (to != NATBOX_NOWHERE)
            send_to(loop, now, to, bytes, (size_t)n);
    }
}

static void give(struct loop *loop, struct delayline *line)
{
    uint64_t now = tool_now();
    while (line && delayline_next(line) <= now) {
        size_t len;
        const uint8_t *slot = delayline_peek(line, &len);
        put(loop, slot[0], slot + 1, len - 1);
        delayline_pop(line);
    }
}

/* ---- control */

static void listen_at(struct loop *loop, const char *path)
{
    struct sockaddr_un sa = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof sa.sun_path)
        tool_die("the path of the control socket is too long");
    strcpy(sa.sun_path, path);
    loop->listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (loop->listener < 0 || bind(loop->listener, (struct sockaddr *)&sa, sizeof sa) ||
        listen(loop->listener, CLIENTS))
        tool_die("%s", path);
}

static void accept_client(struct loop *loop)
{
    int fd = accept4(loop->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    for (unsigned i = 0; fd >= 0 && i < CLIENTS; i++) {
        if (loop->clients[i] < 0) {
            loop->clients[i] = fd;
            return;
        }
    }
    if (fd >= 0)
        close(fd);
}

static void serve_client(struct loop *loop, int *fd)
{
    char line[LINE + 1], reply[REPLY];
    ssize_t n = recv(*fd, line, LINE, 0);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n > 0) {
        line[n] = 0;
        natbox_command(&loop->box, now_of(tool_now()), line, reply, sizeof reply);
        n = send(*fd, reply, strlen(reply), MSG_NOSIGNAL);
    }
    if (n <= 0) {
        close(*fd);
        *fd = -1;
    }
}

/* ---- the loop */

static struct timespec until(uint64_t next)
{
    uint64_t now = tool_now(), ns = next > now ? next - now : 0;
    return (struct timespec){.tv_sec = (time_t)(ns / TOOL_S), .tv_nsec = (long)(ns % TOOL_S)};
}

static void run(struct loop *loop)
{
    enum { SIDES = NATBOX_INSIDES_MAX + 1, LISTENER = SIDES, SIGNALS, FIRST_CLIENT };
    struct pollfd fds[FIRST_CLIENT + CLIENTS];
    for (;;) {
        uint64_t next = TOOL_NEVER;
        for (unsigned i = 0; i < FIRST_CLIENT + CLIENTS; i++)
            fds[i] = (struct pollfd){.fd = i < SIDES ? loop->sides[i].fd : -1, .events = POLLIN};
        fds[LISTENER].fd = loop->listener;
        fds[SIGNALS].fd = loop->signals;
        for (unsigned i = 0; i < CLIENTS; i++)
            fds[FIRST_CLIENT + i].fd = loop->clients[i];
        if (loop->out) {
            uint64_t out = delayline_next(loop->out), in = delayline_next(loop->in);
            next = out < in ? out : in;
        }
        struct timespec sleep = until(next);
        if (ppoll(fds, FIRST_CLIENT + CLIENTS, next == TOOL_NEVER ? NULL : &sleep, NULL) < 0 &&
            errno != EINTR)
            tool_die("ppoll");
        for (unsigned i = 0; i < SIDES; i++) {
            if (fds[i].revents & POLLIN)
                take(loop, i);
        }
        give(loop, loop->out);
        give(loop, loop->in);
        if (fds[LISTENER].revents)
            accept_client(loop);
        for (unsigned i = 0; i < CLIENTS; i++) {
            if (fds[FIRST_CLIENT + i].fd >= 0 && fds[FIRST_CLIENT + i].revents)
                serve_client(loop, &loop->clients[i]);
        }
        if (fds[SIGNALS].revents)
            return;
    }
}

/* ---- starting */

static void open_side(struct loop *loop, unsigned number, char *text)
{
    loop->sides[number] = tundev_open(text, MTU);
    if (number == NATBOX_OUTSIDE)
        return;
    const struct tundev *side = &loop->sides[number];
    for (unsigned i = 0; i < side->address_count; i++) {
        struct gw_addr *ip = &loop->box.insides[number].ips[loop->box.insides[number].ip_count++];
        if (gw_addr_parse_ip(ip, side->addresses[i], 0) != 0)
            tool_die("not an address: %s", side->addresses[i]);
    }
    loop->box.inside_count++;
}

static void help_more(void)
{
    puts("\nsettings (--set, --set-carrier), as \"fresh=2,ports=random\":");
    nat_settings_print();
    puts("\nkinds (--kind):");
    for (unsigned kind = 0; kind < NAT_KIND_COUNT; kind++)
        printf("  %s\n", nat_kind_name((enum nat_kind)kind));
    printf("\ncommands (--control):\n%s\n", natbox_commands);
}

int main(int argc, char **argv)
{
    static struct loop loop = {.listener = -1};
    struct natbox_options options = {.kind = "port-restricted"};
    const char *control = NULL;
    double delay_ms = 0, loss = 0, rate_mbit = 0;
    bool is_help = false;
    uint64_t seed = 1;
    const struct tool_option table[] = {
        {"kind", TOOL_TEXT, &options.kind, "of NAT (port-restricted)"},
        {"public", TOOL_TEXT, &options.public, "outside IPv4 addresses, separated by commas"},
        {"v6", TOOL_FLAG, &options.with_v6, "an IPv6 firewall too"},
        {"set", TOOL_TEXT, &options.settings, "changes to the kind (--more lists them)"},
        {"set-carrier", TOOL_TEXT, &options.carrier_settings, "to the second NAT of a double one"},
        {"control", TOOL_TEXT, &control, "path of the control socket"},
        {"delay", TOOL_NUMBER, &delay_ms, "one way, in ms"},
        {"rate", TOOL_NUMBER, &rate_mbit, "Mbit/s each way; 0: no limit"},
        {"loss", TOOL_NUMBER, &loss, "percent of packets, each way"},
        {"seed", TOOL_COUNT, &seed, "of ports and losses (1)"},
        {"more", TOOL_FLAG, &is_help, "kinds, settings and commands"},
        {0},
    };
    int at = tool_options(argc, argv,
                          "natbox [OPTIONS] NETNS,DEVICE NETNS,DEVICE,ADDRESS/PREFIX...  (outside, insides)",
                          table);
    sigset_t signals;
    if (is_help) {
        help_more();
        return 0;
    }
    errno = 0;
    if (argc - at < 2 || argc - at > (int)NATBOX_INSIDES_MAX + 1)
        tool_die("one outside and 1 to %u insides are wanted (--help)", NATBOX_INSIDES_MAX);
    loop.box.seed = seed;
    const char *wrong = natbox_set_up(&loop.box, &options);
    if (wrong)
        tool_die("%s", wrong);
    if (delay_ms > 0 || rate_mbit > 0 || loss > 0) {
        struct delayline_config config = {.delay_ns = (uint64_t)(delay_ms * 1e6),
                                          .rate = (uint64_t)(rate_mbit * 1e6),
                                          .buffer_ns = 100 * TOOL_MS,
                                          .loss = loss / 100,
                                          .seed = seed,
                                          .packet_max = MTU + 1,
                                          .packets_max = MEMORY / MTU};
        loop.out = delayline_new(&config);
        config.seed++;
        loop.in = delayline_new(&config);
    }
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigprocmask(SIG_BLOCK, &signals, NULL);
    loop.signals = signalfd(-1, &signals, SFD_CLOEXEC);
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    prctl(PR_SET_TIMERSLACK, 1UL, 0, 0, 0);
    for (unsigned i = 0; i <= NATBOX_INSIDES_MAX; i++)
        loop.sides[i].fd = -1;
    for (unsigned i = 0; i < CLIENTS; i++)
        loop.clients[i] = -1;
    open_side(&loop, NATBOX_OUTSIDE, argv[at]);
    for (int i = at + 1; i < argc; i++)
        open_side(&loop, (unsigned)(i - at - 1), argv[i]);
    if (control)
        listen_at(&loop, control);
    puts("{\"ready\": true}");
    fflush(stdout);
    run(&loop);
    if (control)
        unlink(control);
    if (loop.out) {
        delayline_free(loop.out);
        delayline_free(loop.in);
    }
    natbox_fini(&loop.box);
    return 0;
}
