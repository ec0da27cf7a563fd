/* SPDX-License-Identifier: MIT */
/* Trains over real sockets on the loopback, with and without the kernel's help, and every refusal of the kernel. */
#include "gateway/base/err.h"
#include "gateway/link/mark.h"
#include "gateway/link/udp.h"

#include "calls.h"

#include <netinet/in.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define ROOM 64u

struct ends {
    struct gw_udp a, b;
    struct gw_slabs slabs_a, slabs_b;
    char why[512];
};

static const struct gw_mono start = {GW_S(1000)};

static struct gw_udp open_udp(void)
{
    struct gw_udp udp;
    char why[512] = "";
    const struct gw_udp_params params = {.link = GW_LINK_PRIMARY};
    assert_int_equal(gw_udp_open(&udp, &params, why, sizeof why), 0);
    assert_true(udp.port != 0);
    return udp;
}

static int setup(void **state)
{
    struct ends *ends = calloc(1, sizeof *ends);
    memset(&calls, 0, sizeof calls);
    ends->a = open_udp();
    ends->b = open_udp();
    assert_int_equal(gw_slabs_init(&ends->slabs_a), 0);
    assert_int_equal(gw_slabs_init(&ends->slabs_b), 0);
    *state = ends;
    return 0;
}

static int teardown(void **state)
{
    struct ends *ends = *state;
    memset(&calls, 0, sizeof calls);
    gw_udp_close(&ends->a);
    gw_udp_close(&ends->b);
    gw_udp_close(&ends->b);
    gw_slabs_fini(&ends->slabs_a);
    gw_slabs_fini(&ends->slabs_b);
    free(ends);
    return 0;
}

/* --- trains --- */

static void set_remote(struct gw_train *train, const char *ip, uint16_t port)
{
    assert_int_equal(gw_addr_parse_ip(&train->tuple.remote, ip, port), 0);
}

/* Datagram i is filled with i + 1. */
static struct gw_train make_train(struct ends *ends, const char *ip, uint16_t stride, uint16_t count,
                                  uint16_t last_len)
{
    struct gw_train train = {
        .slab = ends->slabs_a.send, .stride = stride, .count = count, .last_len = last_len};
    set_remote(&train, ip, ends->b.port);
    for (unsigned i = 0; i < count; i++)
        memset(gw_train_datagram(&train, i), (int)i + 1, gw_train_datagram_len(&train, i));
    return train;
}

struct got {
    unsigned trains, datagrams, bytes;
    struct gw_train first;
};

static void look_at(struct got *got, const struct gw_train *train)
{
    if (got->trains++ == 0)
        got->first = *train;
    assert_true(train->count > 0 && train->count <= GW_TRAIN_DATAGRAMS);
    for (unsigned i = 0; i < train->count; i++) {
        size_t len = gw_train_datagram_len(train, i);
        const uint8_t *datagram = gw_train_datagram(train, i);
        got->datagrams++;
        got->bytes += (unsigned)len;
        for (size_t k = 0; k < len; k++)
            assert_int_equal(datagram[k], got->datagrams);
    }
}

/* Reads until `datagrams` have come, in order. */
static struct got receive(struct ends *ends, enum gw_udp_family family, unsigned datagrams)
{
    struct gw_train trains[GW_UDP_MESSAGES];
    struct got got = {0};
    struct pollfd pfd = {.fd = ends->b.sockets[family].fd, .events = POLLIN};
    while (got.datagrams < datagrams) {
        bool is_drained;
        assert_int_equal(poll(&pfd, 1, 30000), 1);
        unsigned made =
            gw_udp_receive(&ends->b, family, &ends->slabs_b, GW_SLABS_RECEIVE, trains, &is_drained);
        for (unsigned i = 0; i < made; i++)
            look_at(&got, &trains[i]);
    }
    return got;
}

static void send_all(struct ends *ends, const struct gw_train *train)
{
    unsigned done = 0;
    assert_int_equal(gw_udp_send(&ends->a, train, &done, start), 0);
    assert_int_equal(done, train->count);
}

static void check_roundtrip(struct ends *ends, enum gw_udp_family family, const char *ip)
{
    struct gw_train train = make_train(ends, ip, 1200, 10, 500);
    train.ecn = 2;
    send_all(ends, &train);
    struct got got = receive(ends, family, 10);
    assert_int_equal(got.bytes, 9 * 1200 + 500);
    assert_int_equal(got.first.tuple.remote.port, ends->a.port);
    assert_true(gw_addr_same_ip(&got.first.tuple.remote, &train.tuple.remote));
    assert_true(gw_addr_same_ip(&got.first.tuple.local, &train.tuple.remote));
    assert_int_equal(got.first.tuple.local.port, ends->b.port);
    assert_int_equal(got.first.ecn, 2);
    assert_int_equal(ends->a.stats.datagrams_sent, 10);
    assert_int_equal(ends->a.stats.bytes_sent, got.bytes);
    assert_int_equal(ends->b.stats.datagrams_received, 10);
}

static void test_v4(void **state)
{
    struct ends *ends = *state;
    check_roundtrip(ends, GW_UDP_V4, "127.0.0.1");
    /* The loopback keeps what was segmented together. */
    assert_int_equal(ends->b.stats.trains_received, 1);
    assert_int_equal(calls.gso_calls, 1);
}

static void test_v6(void **state)
{
    struct ends *ends = *state;
    if (ends->b.sockets[GW_UDP_V6].fd < 0)
        skip();
    check_roundtrip(ends, GW_UDP_V6, "::1");
}

static int option_of(int fd, int level, int option)
{
    int value = -1;
    socklen_t len = sizeof value;
    assert_int_equal(getsockopt(fd, level, option, &value, &len), 0);
    return value;
}

/* Other datagrams keep their DF. */
static void test_may_be_cut_is_for_one_train(void **state)
{
    struct ends *ends = *state;
    for (unsigned i = 0; i < 2; i++) {
        struct gw_train train = make_train(ends, "127.0.0.1", 1312, 1, 1312);
        train.may_be_cut = i == 0;
        send_all(ends, &train);
        assert_int_equal(receive(ends, GW_UDP_V4, 1).bytes, 1312);
        assert_int_equal(option_of(ends->a.sockets[GW_UDP_V4].fd, IPPROTO_IP, IP_MTU_DISCOVER),
                         IP_PMTUDISC_DO);
    }
    if (ends->b.sockets[GW_UDP_V6].fd < 0)
        return;
    struct gw_train train = make_train(ends, "::1", 1312, 1, 1312);
    train.may_be_cut = true;
    send_all(ends, &train);
    assert_int_equal(receive(ends, GW_UDP_V6, 1).bytes, 1312);
    assert_int_equal(option_of(ends->a.sockets[GW_UDP_V6].fd, IPPROTO_IPV6, IPV6_DONTFRAG), 1);
    assert_int_equal(option_of(ends->a.sockets[GW_UDP_V6].fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER),
                     IPV6_PMTUDISC_DO);
}

static void test_full_train_and_single(void **state)
{
    struct ends *ends = *state;
    struct gw_train train = make_train(ends, "127.0.0.1", 1018, GW_TRAIN_DATAGRAMS, 1018);
    send_all(ends, &train);
    assert_int_equal(receive(ends, GW_UDP_V4, GW_TRAIN_DATAGRAMS).bytes, 64 * 1018);
    calls.gso_calls = 0;
    train = make_train(ends, "127.0.0.1", 148, 1, 148);
    send_all(ends, &train);
    assert_int_equal(receive(ends, GW_UDP_V4, 1).bytes, 148);
    assert_int_equal(calls.gso_calls, 0);
}

static void test_many_senders_at_once(void **state)
{
    struct ends *ends = *state;
    /* Different sizes are not coalesced: one train each, several a call. */
    for (uint16_t i = 0; i < 6; i++) {
        struct gw_train train = make_train(ends, "127.0.0.1", (uint16_t)(100 + i), 1, (uint16_t)(100 + i));
        memset(train.slab, i + 1, train.last_len);
        send_all(ends, &train);
    }
    assert_int_equal(receive(ends, GW_UDP_V4, 6).trains, 6);
}

/* --- source addresses --- */

static void test_source_is_chosen(void **state)
{
    struct ends *ends = *state;
    struct gw_train train = make_train(ends, "127.0.0.1", 100, 2, 100);
    struct gw_addr from;
    gw_addr_parse_ip(&train.tuple.local, "127.0.0.77", ends->a.port);
    send_all(ends, &train);
    struct got got = receive(ends, GW_UDP_V4, 2);
    gw_addr_parse_ip(&from, "127.0.0.77", 0);
    assert_true(gw_addr_same_ip(&got.first.tuple.remote, &from));
}

static void test_source_is_gone(void **state)
{
    struct ends *ends = *state;
    struct gw_train train = make_train(ends, "127.0.0.1", 100, 3, 100);
    gw_addr_parse_ip(&train.tuple.local, "192.0.2.77", ends->a.port);
    send_all(ends, &train);
    assert_int_equal(receive(ends, GW_UDP_V4, 3).datagrams, 3);
    assert_true(ends->a.stats.send_retried > 0);
    /* It was not the segmentation's fault. */
    assert_true(gw_mono_due(ends->a.sockets[GW_UDP_V4].gso_again, start));
}

/* --- segmentation --- */

static void test_device_cannot_segment(void **state)
{
    static const int errnos[] = {EIO, EOPNOTSUPP, EINVAL};
    struct ends *ends = *state;
    for (size_t i = 0; i < sizeof errnos / sizeof *errnos; i++) {
        struct gw_udp_socket *sock = &ends->a.sockets[GW_UDP_V4];
        struct gw_train train = make_train(ends, "127.0.0.1", 300, 20, 7);
        memset(&calls, 0, sizeof calls);
        sock->gso_again = (struct gw_mono){0};
        sock->gso_pause_ns = 0;
        calls.gso_errno = errnos[i];
        send_all(ends, &train);
        receive(ends, GW_UDP_V4, 20);
        assert_int_equal(calls.gso_calls, 0);
        assert_true(gw_mono_before(start, sock->gso_again));
        /* Not tried again for a while, then again. */
        calls.gso_errno = 0;
        send_all(ends, &train);
        receive(ends, GW_UDP_V4, 20);
        assert_int_equal(calls.gso_calls, 0);
        unsigned done = 0;
        assert_int_equal(gw_udp_send(&ends->a, &train, &done, gw_mono_add(start, GW_S(60))), 0);
        receive(ends, GW_UDP_V4, 20);
        assert_int_equal(calls.gso_calls, 1);
        assert_int_equal(sock->gso_pause_ns, 0);
    }
}

static void test_refusals_in_a_row_pause_longer(void **state)
{
    struct ends *ends = *state;
    struct gw_udp_socket *sock = &ends->a.sockets[GW_UDP_V4];
    struct gw_train train = make_train(ends, "127.0.0.1", 300, 2, 7);
    struct gw_mono now = start;
    int64_t last_ns = 0;
    calls.gso_errno = EIO;
    for (int i = 0; i < 20; i++) {
        unsigned done = 0;
        now = gw_mono_max(now, sock->gso_again);
        assert_int_equal(gw_udp_send(&ends->a, &train, &done, now), 0);
        receive(ends, GW_UDP_V4, 2);
        assert_true(sock->gso_pause_ns >= last_ns && sock->gso_pause_ns <= GW_S(3600));
        last_ns = sock->gso_pause_ns;
    }
    assert_int_equal(last_ns, GW_S(3600));
}

static void test_old_kernel(void **state)
{
    struct ends *ends = *state;
    gw_udp_close(&ends->a);
    gw_udp_close(&ends->b);
    calls.no_gro = calls.no_gso = true;
    ends->a = open_udp();
    ends->b = open_udp();
    struct gw_train train = make_train(ends, "127.0.0.1", 1200, 30, 1);
    send_all(ends, &train);
    assert_int_equal(calls.gso_calls, 0);
    assert_int_equal(receive(ends, GW_UDP_V4, 30).trains, 30);
    /* In few calls: a slab holds several. */
    assert_true(calls.receive_count <= 3);
}

static void test_too_large_for_a_slot(void **state)
{
    struct ends *ends = *state;
    struct gw_train trains[GW_UDP_MESSAGES];
    bool is_drained;
    gw_udp_close(&ends->b);
    calls.no_gro = true;
    ends->b = open_udp();
    struct gw_train train = make_train(ends, "127.0.0.1", 9500, 1, 9500);
    send_all(ends, &train);
    assert_int_equal(
        gw_udp_receive(&ends->b, GW_UDP_V4, &ends->slabs_b, GW_SLABS_RECEIVE, trains, &is_drained), 0);
    assert_int_equal(ends->b.stats.truncated, 1);
}

/* --- refusals --- */

static void test_full_socket_keeps_the_rest(void **state)
{
    struct ends *ends = *state;
    struct gw_train train = make_train(ends, "127.0.0.1", 100, 10, 100);
    unsigned done = 0;
    ends->a.sockets[GW_UDP_V4].has_gso = false;
    calls.sendmmsg_max = 3;
    calls.send_errnos[1] = EAGAIN;
    assert_int_equal(gw_udp_send(&ends->a, &train, &done, start), GW_E_AGAIN);
    assert_int_equal(done, 3);
    assert_int_equal(gw_udp_send(&ends->a, &train, &done, start), 0);
    assert_int_equal(done, 10);
    assert_int_equal(receive(ends, GW_UDP_V4, 10).bytes, 1000);
    assert_int_equal(ends->a.stats.send_full, 1);
    assert_int_equal(ends->a.stats.trains_sent, 1);
}

static void test_full_socket_keeps_all(void **state)
{
    struct ends *ends = *state;
    struct gw_train train = make_train(ends, "127.0.0.1", 100, 10, 100);
    unsigned done = 0;
    calls.send_errnos[0] = EAGAIN;
    assert_int_equal(gw_udp_send(&ends->a, &train, &done, start), GW_E_AGAIN);
    assert_int_equal(done, 0);
    assert_int_equal(gw_udp_send(&ends->a, &train, &done, start), 0);
    assert_int_equal(receive(ends, GW_UDP_V4, 10).bytes, 1000);
}

/* What ICMP may have said is too large goes all the same, but not to those of whose path nothing else is known; down to 1200 bytes it is believed there. */
static void test_too_large_says_icmp(void **state)
{
    static const struct {
        uint16_t len;
        bool heeds_icmp;
        int err;
    } table[] = {{1472, false, 0},
                 {1200, false, 0},
                 {1472, true, -EMSGSIZE},
                 {1201, true, -EMSGSIZE},
                 {1200, true, 0}};
    struct ends *ends = *state;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct gw_train train = make_train(ends, "127.0.0.1", table[i].len, 4, table[i].len);
        unsigned done = 0;
        memset(&calls, 0, sizeof calls);
        train.heeds_icmp = table[i].heeds_icmp;
        calls.send_errnos[0] = EMSGSIZE;
        uint64_t errors = ends->a.stats.send_errors;
        assert_int_equal(gw_udp_send(&ends->a, &train, &done, start), table[i].err);
        assert_int_equal(done, table[i].err == 0 ? 4 : 0);
        assert_int_equal(ends->a.stats.send_errors - errors, table[i].err != 0);
        if (table[i].err == 0)
            assert_int_equal(receive(ends, GW_UDP_V4, 4).bytes, 4u * table[i].len);
        assert_int_equal(option_of(ends->a.sockets[GW_UDP_V4].fd, IPPROTO_IP, IP_MTU_DISCOVER),
                         IP_PMTUDISC_DO);
    }
}

static void test_lost(void **state)
{
    static const int errnos[] = {ENOBUFS,  EPERM,    EACCES, ENETUNREACH, EHOSTUNREACH,
                                 EMSGSIZE, ENETDOWN, ENOMEM, EPIPE,       EHOSTDOWN};
    struct ends *ends = *state;
    for (size_t i = 0; i < sizeof errnos / sizeof *errnos; i++) {
        struct gw_train train = make_train(ends, "127.0.0.1", 100, 10, 100);
        unsigned done = 0;
        memset(&calls, 0, sizeof calls);
        calls.send_errnos[0] = errnos[i];
        calls.send_errnos[1] = errnos[i] == EMSGSIZE ? EMSGSIZE : 0; /* by the interface, so again */
        assert_int_equal(gw_udp_send(&ends->a, &train, &done, start), -errnos[i]);
        assert_int_equal(done, 0);
        assert_int_equal(ends->a.stats.send_errors, i + 1);
        /* The socket is as good as before. */
        send_all(ends, &train);
        receive(ends, GW_UDP_V4, 10);
    }
}

static void test_lost_halfway(void **state)
{
    struct ends *ends = *state;
    struct gw_train train = make_train(ends, "127.0.0.1", 100, 10, 100);
    unsigned done = 0;
    ends->a.sockets[GW_UDP_V4].has_gso = false;
    calls.sendmmsg_max = 4;
    calls.send_errnos[1] = EPERM;
    assert_int_equal(gw_udp_send(&ends->a, &train, &done, start), -EPERM);
    assert_int_equal(done, 4);
}

static void test_told_for_an_earlier_one(void **state)
{
    struct ends *ends = *state;
    struct gw_train train = make_train(ends, "127.0.0.1", 100, 10, 100);
    unsigned done = 0;
    calls.send_errnos[0] = ECONNREFUSED;
    calls.send_errnos[1] = EINTR;
    send_all(ends, &train);
    receive(ends, GW_UDP_V4, 10);
    assert_int_equal(ends->a.stats.send_errors, 0);
    /* Again and again is another matter. */
    memset(&calls, 0, sizeof calls);
    calls.send_errnos[0] = calls.send_errnos[1] = ECONNREFUSED;
    assert_int_equal(gw_udp_send(&ends->a, &train, &done, start), -ECONNREFUSED);
}

static void test_invalid_whatever_is_tried(void **state)
{
    struct ends *ends = *state;
    struct gw_train train = make_train(ends, "127.0.0.1", 100, 10, 100);
    unsigned done = 0;
    gw_addr_parse_ip(&train.tuple.local, "127.0.0.1", ends->a.port);
    for (int i = 0; i < 16; i++)
        calls.send_errnos[i] = EINVAL;
    assert_int_equal(gw_udp_send(&ends->a, &train, &done, start), -EINVAL);
    assert_int_equal(calls.send_count, 3);
}

static void test_family_that_is_not_there(void **state)
{
    struct ends *ends = *state;
    struct gw_train train = make_train(ends, "::1", 100, 1, 100);
    unsigned done = 0;
    gw_udp_close(&ends->a);
    calls.socket_errno = EAFNOSUPPORT;
    ends->a = open_udp();
    assert_int_equal(ends->a.sockets[GW_UDP_V6].fd, -1);
    assert_true(ends->a.sockets[GW_UDP_V4].fd >= 0);
    assert_int_equal(gw_udp_send(&ends->a, &train, &done, start), -ENETUNREACH);
}

static void test_receive_errors(void **state)
{
    struct ends *ends = *state;
    struct gw_train trains[GW_UDP_MESSAGES];
    bool is_drained;
    calls.receive_errnos[0] = ECONNREFUSED;
    calls.receive_errnos[1] = EINTR;
    calls.receive_errnos[2] = ENOMEM;
    calls.receive_errnos[3] = EAGAIN;
    for (int i = 0; i < 3; i++) {
        assert_int_equal(
            gw_udp_receive(&ends->b, GW_UDP_V4, &ends->slabs_b, GW_SLABS_RECEIVE, trains, &is_drained), 0);
        assert_false(is_drained);
    }
    assert_int_equal(
        gw_udp_receive(&ends->b, GW_UDP_V4, &ends->slabs_b, GW_SLABS_RECEIVE, trains, &is_drained), 0);
    assert_true(is_drained);
    assert_int_equal(ends->b.stats.receive_errors, 2);
}

static void test_empty_datagram(void **state)
{
    struct ends *ends = *state;
    struct gw_train trains[GW_UDP_MESSAGES], train = make_train(ends, "127.0.0.1", 0, 1, 0);
    bool is_drained;
    send_all(ends, &train);
    assert_int_equal(
        gw_udp_receive(&ends->b, GW_UDP_V4, &ends->slabs_b, GW_SLABS_RECEIVE, trains, &is_drained), 0);
    assert_true(is_drained);
}

/* --- opening --- */

static int open_with(struct ends *ends, const struct gw_udp_params *params)
{
    struct gw_udp udp;
    int err = gw_udp_open(&udp, params, ends->why, sizeof ends->why);
    gw_udp_close(&udp);
    return err;
}

static void test_port_is_taken(void **state)
{
    struct ends *ends = *state;
    char port[16];
    snprintf(port, sizeof port, "%u", ends->a.port);
    assert_int_equal(open_with(ends, &(struct gw_udp_params){.port = ends->a.port}), -EADDRINUSE);
    assert_non_null(strstr(ends->why, port));
    assert_non_null(strstr(ends->why, "`port`"));
}

static void test_no_descriptor(void **state)
{
    struct ends *ends = *state;
    calls.socket_errno = EMFILE;
    assert_int_equal(open_with(ends, &(struct gw_udp_params){0}), -EMFILE);
    assert_non_null(strstr(ends->why, "ulimit"));
}

static void test_no_family_at_all(void **state)
{
    struct ends *ends = *state;
    calls.socket_errno = EAFNOSUPPORT;
    calls.socket_all = true;
    assert_int_equal(open_with(ends, &(struct gw_udp_params){0}), -EAFNOSUPPORT);
}

static void test_address_of_another_machine(void **state)
{
    struct ends *ends = *state;
    struct gw_udp_params params = {.skip = {false, true}};
    gw_addr_parse_ip(&params.listen[GW_UDP_V4], "192.0.2.1", 0);
    assert_int_equal(open_with(ends, &params), -EADDRNOTAVAIL);
    assert_non_null(strstr(ends->why, "listen"));
}

static void test_one_address_only(void **state)
{
    struct ends *ends = *state;
    struct gw_udp_params params = {.skip = {false, true}};
    gw_udp_close(&ends->b);
    gw_addr_parse_ip(&params.listen[GW_UDP_V4], "127.0.0.9", 0);
    assert_int_equal(gw_udp_open(&ends->b, &params, ends->why, sizeof ends->why), 0);
    assert_int_equal(ends->b.sockets[GW_UDP_V6].fd, -1);
    struct gw_train train = make_train(ends, "127.0.0.9", 100, 1, 100);
    send_all(ends, &train);
    assert_int_equal(receive(ends, GW_UDP_V4, 1).datagrams, 1);
}

/* --- slabs --- */

static void test_slabs_are_given_back(void **state)
{
    struct ends *ends = *state;
    struct gw_slabs *slabs = &ends->slabs_a;
    assert_true(gw_mono_is_never(gw_slabs_deadline(slabs)));
    gw_slabs_touch(slabs, start);
    slabs->receive[0] = slabs->send[GW_TRAIN_SLAB - 1] = 1;
    gw_slabs_expire(slabs, gw_mono_add(start, GW_SLABS_IDLE - 1));
    assert_int_equal(slabs->receive[0], 1);
    assert_int_equal(gw_slabs_deadline(slabs).ns, start.ns + GW_SLABS_IDLE);
    gw_slabs_expire(slabs, gw_mono_add(start, GW_SLABS_IDLE));
    assert_int_equal(slabs->receive[0] | slabs->send[GW_TRAIN_SLAB - 1], 0);
    assert_true(gw_mono_is_never(gw_slabs_deadline(slabs)));
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

/* The mark that keeps what we say out of an exit node's tunnel, on every socket; 0 where we may not mark. */
static void every_socket_is_marked(void **state)
{
    struct gw_udp more;
    char why[256];
    const struct gw_udp_params further = {.is_further = true};
    struct gw_udp joined, first = open_udp();
    uint32_t mark = GW_MARK, got;
    socklen_t len = sizeof got;
    int probe = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    (void)state;
    uint32_t expected = setsockopt(probe, SOL_SOCKET, SO_MARK, &mark, sizeof mark) == 0 ? GW_MARK : 0;
    close(probe);
    assert_int_equal(gw_udp_open(&more, &further, why, sizeof why), 0);
    assert_int_equal(gw_udp_join(&joined, &first), 0);
    const struct gw_udp *const all[] = {&first, &more, &joined};
    for (unsigned i = 0; i < 3; i++) {
        for (enum gw_udp_family family = GW_UDP_V4; family < GW_UDP_FAMILIES; family++) {
            if (all[i]->sockets[family].fd < 0)
                continue;
            assert_int_equal(getsockopt(all[i]->sockets[family].fd, SOL_SOCKET, SO_MARK, &got, &len), 0);
            assert_int_equal(got, expected);
        }
    }
    gw_udp_close(&joined);
    gw_udp_close(&more);
    gw_udp_close(&first);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_v4),
        T(test_v6),
        cmocka_unit_test(every_socket_is_marked),
        T(test_may_be_cut_is_for_one_train),
        T(test_full_train_and_single),
        T(test_many_senders_at_once),
        T(test_source_is_chosen),
        T(test_source_is_gone),
        T(test_device_cannot_segment),
        T(test_refusals_in_a_row_pause_longer),
        T(test_old_kernel),
        T(test_too_large_for_a_slot),
        T(test_full_socket_keeps_the_rest),
        T(test_full_socket_keeps_all),
        T(test_too_large_says_icmp),
        T(test_lost),
        T(test_lost_halfway),
        T(test_told_for_an_earlier_one),
        T(test_invalid_whatever_is_tried),
        T(test_family_that_is_not_there),
        T(test_receive_errors),
        T(test_empty_datagram),
        T(test_port_is_taken),
        T(test_no_descriptor),
        T(test_no_family_at_all),
        T(test_address_of_another_machine),
        T(test_one_address_only),
        T(test_slabs_are_given_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
