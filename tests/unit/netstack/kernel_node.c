/* SPDX-License-Identifier: MIT */
/* A node without root's network, as small as it can be: packets of a TUN device (of another network namespace) into the netstack, which ends them at services on 127.0.0.1.
 * For kernel.sh, which puts real clients on the other side of the TUN.
 * usage: netstack_node NAMESPACE DEVICE plain|offload|slow PORT...
 * slow: 50 ms and 100 Mbit/s each way.
 * 10.64.0.2 and fd00::2 are the node's; 10.64.0.53:53 echoes UDP. Prints "ready", and its statistics at SIGTERM. */
#include "gateway/base/err.h"
#include "gateway/packet/coalesce.h"
#include "netstack/bridge/packet_services.h"

#include <event2/event.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <linux/virtio_net.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/uio.h>
#include <unistd.h>

#define BATCH 64
#define SLOT 66000u
#define SLOW_DELAY GW_MS(50)
#define SLOW_NS_PER_BYTE 80 /* 100 Mbit/s */
#define SLOW_QUEUE GW_MS(100)

struct flight {
    struct gw_list link;
    struct gw_mono at;
    size_t len;
    uint8_t bytes[];
};

struct node {
    struct gw_loop *loop;
    struct gw_loop_hook hook;
    struct gw_dialer *dialer;
    struct gw_netstack *stack;
    struct gw_netstack_link *link;
    struct gw_packet_services *services;
    struct gw_coalescer coalescer;
    bool is_offload, is_slow;
    struct gw_list flights[2]; /* slow: towards the netstack, towards the TUN */
    int64_t free_at[2];
    int fd;
    int peer;
    unsigned port_count;
    uint16_t ports[64];
    uint64_t written, lost;
    uint8_t *slots;
};

static void die(const char *what)
{
    perror(what);
    exit(1);
}

/* ---- the device */

static int open_tun(const char *ns, const char *device, bool is_offload)
{
    char path[256];
    struct ifreq ifr = {.ifr_flags = (short)(IFF_TUN | IFF_NO_PI | (is_offload ? IFF_VNET_HDR : 0))};
    snprintf(path, sizeof path, "/run/netns/%s", ns);
    int own = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC), other = open(path, O_RDONLY | O_CLOEXEC);
    if (own < 0 || other < 0 || setns(other, CLONE_NEWNET) < 0)
        die(path);
    int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
    snprintf(ifr.ifr_name, sizeof ifr.ifr_name, "%s", device);
    if (fd < 0 || ioctl(fd, TUNSETIFF, &ifr) < 0)
        die("tun");
    if (is_offload && ioctl(fd, TUNSETOFFLOAD, TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6) < 0)
        die("offload");
    if (setns(own, CLONE_NEWNET) < 0)
        die("setns");
    close(own);
    close(other);
    return fd;
}

static void write_merged(const struct gw_merged *merged, void *ctx)
{
    struct node *node = ctx;
    struct virtio_net_hdr hdr = {0};
    struct iovec iov[1 + GW_COALESCE_PIECES] = {{&hdr, sizeof hdr}};
    memcpy(iov + 1, merged->iov, (size_t)merged->iov_count * sizeof *iov);
    if (merged->is_checksum_left) {
        hdr.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
        hdr.csum_start = merged->checksum_start;
        hdr.csum_offset = merged->checksum_offset;
    }
    if (merged->segment_len) {
        hdr.gso_type = merged->version == 6 ? VIRTIO_NET_HDR_GSO_TCPV6 : VIRTIO_NET_HDR_GSO_TCPV4;
        hdr.gso_size = merged->segment_len;
        hdr.hdr_len = merged->header_len;
    }
    if (writev(node->fd, iov, merged->iov_count + 1) < 0)
        node->lost++;
    else
        node->written++;
}

/* ---- the slow way */

static void take_off(struct node *node, int direction, const uint8_t *packet, size_t len, struct gw_mono now)
{
    int64_t start = node->free_at[direction] > now.ns ? node->free_at[direction] : now.ns;
    if (start - now.ns > SLOW_QUEUE) {
        node->lost++;
        return;
    }
    struct flight *flight = malloc(sizeof *flight + len);
    if (!flight)
        die("malloc");
    node->free_at[direction] = start + (int64_t)len * SLOW_NS_PER_BYTE;
    flight->at = (struct gw_mono){node->free_at[direction] + SLOW_DELAY};
    flight->len = len;
    memcpy(flight->bytes, packet, len);
    gw_list_init(&flight->link);
    gw_list_push_back(&node->flights[direction], &flight->link);
}

static struct flight *landing(struct node *node, int direction, struct gw_mono now)
{
    struct gw_list *list = &node->flights[direction];
    if (gw_list_is_empty(list) || !gw_mono_due(gw_list_entry(list->next, struct flight, link)->at, now))
        return NULL;
    return gw_list_entry(gw_list_pop_front(list), struct flight, link);
}

static void land(struct node *node, struct gw_mono now)
{
    struct flight *flight;
    while ((flight = landing(node, 0, now)) != NULL) {
        gw_netstack_link_input(node->link, now, flight->bytes, flight->len, false, &node->peer, 0);
        gw_netstack_flush(node->stack, now);
        free(flight);
    }
    while ((flight = landing(node, 1, now)) != NULL) {
        if (write(node->fd, flight->bytes, flight->len) < 0)
            node->lost++;
        free(flight);
    }
}

static struct gw_mono next_landing(const struct node *node)
{
    struct gw_mono at = GW_NEVER;
    for (int i = 0; i < 2; i++)
        if (!gw_list_is_empty(&node->flights[i]))
            at = gw_mono_min(at, gw_list_entry(node->flights[i].next, struct flight, link)->at);
    return at;
}

static void on_output(struct gw_netstack_link *link, const struct gw_netstack_packet *packets, unsigned count,
                      struct gw_mono now, void *ctx)
{
    struct node *node = ctx;
    (void)link;
    for (unsigned i = 0; i < count; i++) {
        if (node->is_slow)
            take_off(node, 1, packets[i].data, packets[i].len, now);
        else if (node->is_offload)
            gw_coalesce_add(&node->coalescer, packets[i].data, packets[i].len, packets[i].is_checksum_left);
        else if (write(node->fd, packets[i].data, packets[i].len) < 0)
            node->lost++;
        else
            node->written++;
    }
    if (node->is_offload)
        gw_coalesce_flush(&node->coalescer);
}

/* One read; 0 = nothing there. */
static bool read_packet(struct node *node, uint8_t *slot, struct gw_mono now)
{
    struct virtio_net_hdr hdr = {0};
    struct iovec iov[2] = {{&hdr, sizeof hdr}, {slot, SLOT}};
    ssize_t n = node->is_offload ? readv(node->fd, iov, 2) : read(node->fd, slot, SLOT);
    if (n <= 0)
        return false;
    size_t len = (size_t)n - (node->is_offload ? sizeof hdr : 0);
    if (node->is_slow)
        take_off(node, 0, slot, len, now);
    else
        gw_netstack_link_input(node->link, now, slot, len, hdr.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM,
                               &node->peer, 0);
    return true;
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
    struct node *node = arg;
    struct gw_mono now = gw_loop_now(node->loop);
    int count = 0;
    (void)fd, (void)what;
    while (count < BATCH && read_packet(node, node->slots + (size_t)count * SLOT, now))
        count++;
    gw_netstack_flush(node->stack, now);
}

static struct gw_mono on_turn(struct gw_loop_hook *hook, struct gw_mono now)
{
    struct node *node = gw_container_of(hook, struct node, hook);
    land(node, now);
    if (gw_mono_due(gw_netstack_next_deadline(node->stack), now))
        gw_netstack_expire(node->stack, now);
    return gw_mono_min(gw_netstack_next_deadline(node->stack), next_landing(node));
}

/* ---- services */

static enum gw_reason authorize(void *ctx, void *peer, const struct gw_addr *local,
                                const struct gw_open *open, struct gw_packet_grant *out)
{
    struct node *node = ctx;
    (void)peer, (void)local;
    for (unsigned i = 0; i < node->port_count; i++) {
        if (node->ports[i] != open->port)
            continue;
        memset(out, 0, sizeof *out);
        out->target.kind = GW_TARGET_ADDR;
        out->target.port = open->port;
        gw_addr_parse_ip(&out->target.addr, "127.0.0.1", open->port);
        return GW_REASON_NONE;
    }
    return GW_REASON_NOT_LISTED;
}

static void on_connection(struct gw_netstack_link *link, struct gw_connection *offer, struct gw_mono now,
                          void *ctx)
{
    struct node *node = ctx;
    gw_packet_services_on_connection(link, offer, now, node->services);
}

static void on_query(struct gw_connection *connection, struct gw_mono now, const void *data, size_t len,
                     void *user)
{
    (void)user;
    gw_connection_send_datagram(connection, now, data, len);
}

static const struct gw_connection_ops query_ops = {.on_datagram = on_query};

static void on_query_offer(struct gw_netstack_link *link, struct gw_connection *offer, struct gw_mono now,
                           void *ctx)
{
    (void)link;
    gw_connection_accept(offer, now, &query_ops, ctx);
}

static void build(struct node *node)
{
    struct gw_mono now;
    struct gw_netstack_params params = {.random = gw_random_system()};
    struct gw_addr a;
    node->loop = gw_loop_new();
    node->dialer = gw_dialer_new(node->loop);
    now = gw_loop_now(node->loop);
    struct gw_packet_services_params services = {
        .loop = node->loop, .dialer = node->dialer, .authorize = authorize, .authorize_ctx = node};
    if (gw_netstack_new(&node->stack, &params, now) || gw_packet_services_new(&node->services, &services))
        die("netstack");
    struct gw_netstack_link_params link = {.output = on_output,
                                           .on_connection = on_connection,
                                           .ctx = node,
                                           .mtu = 1420,
                                           .leaves_checksums = node->is_offload};
    gw_coalesce_init(&node->coalescer, write_merged, node);
    if (gw_netstack_link_new(&node->link, node->stack, &link, now))
        die("link");
    gw_addr_parse_ip(&a, "10.64.0.2", 0);
    gw_netstack_link_add_address(node->link, &a);
    gw_addr_parse_ip(&a, "fd00::2", 0);
    gw_netstack_link_add_address(node->link, &a);
    gw_addr_parse_ip(&a, "10.64.0.53", 53);
    gw_netstack_link_listen(node->link, &a, true, on_query_offer, node);
}

static void on_term(evutil_socket_t fd, short what, void *arg)
{
    struct node *node = arg;
    (void)fd, (void)what;
    gw_loop_stop(node->loop);
}

static void report(struct node *node)
{
    struct gw_netstack_stats s;
    struct rusage usage;
    gw_netstack_stats(node->stack, &s);
    getrusage(RUSAGE_SELF, &usage);
    printf(
        "{\"packets_in\": %llu, \"packets_out\": %llu, \"merged\": %llu, \"bytes_in\": %llu, \"bytes_out\": %llu, \"accepted\": %llu, \"refused\": %llu, "
        "\"malformed\": %llu, \"martian\": %llu, \"lost\": %llu, \"connections\": %u, \"cpu_s\": %.2f, \"max_rss_mb\": %.1f}\n",
        (unsigned long long)s.packets_in, (unsigned long long)s.packets_out,
        (unsigned long long)s.segments_merged, (unsigned long long)s.bytes_in,
        (unsigned long long)s.bytes_out, (unsigned long long)s.accepted, (unsigned long long)s.refused,
        (unsigned long long)s.dropped_malformed, (unsigned long long)s.dropped_martian,
        (unsigned long long)node->lost, s.connections,
        (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
            (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6,
        (double)usage.ru_maxrss / 1024);
}

int main(int argc, char **argv)
{
    static struct node node;
    if (argc < 4)
        return 2;
    signal(SIGPIPE, SIG_IGN);
    node.is_offload = strcmp(argv[3], "offload") == 0;
    node.is_slow = strcmp(argv[3], "slow") == 0;
    gw_list_init(&node.flights[0]);
    gw_list_init(&node.flights[1]);
    node.fd = open_tun(argv[1], argv[2], node.is_offload);
    for (int i = 4; i < argc && node.port_count < 64; i++)
        node.ports[node.port_count++] = (uint16_t)atoi(argv[i]);
    node.slots = malloc((size_t)BATCH * SLOT);
    build(&node);
    struct event *readable =
        event_new(gw_loop_base(node.loop), node.fd, EV_READ | EV_PERSIST, on_readable, &node);
    struct event *term = evsignal_new(gw_loop_base(node.loop), SIGTERM, on_term, &node);
    event_add(readable, NULL);
    event_add(term, NULL);
    node.hook.run = on_turn;
    gw_loop_add_hook(node.loop, &node.hook);
    puts("ready");
    fflush(stdout);
    gw_loop_run(node.loop);
    report(&node);
    struct gw_mono now = gw_loop_now(node.loop);
    gw_packet_services_free(node.services, now);
    gw_netstack_free(node.stack, now);
    gw_loop_remove_hook(node.loop, &node.hook);
    event_free(readable);
    event_free(term);
    gw_dialer_free(node.dialer);
    gw_loop_free(node.loop);
    for (int i = 0; i < 2; i++)
        for (struct gw_list *flight; (flight = gw_list_pop_front(&node.flights[i])) != NULL;)
            free(gw_list_entry(flight, struct flight, link));
    free(node.slots);
    close(node.fd);
    return 0;
}
