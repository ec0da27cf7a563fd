/* SPDX-License-Identifier: MIT */
/* Upstreams that answer, lie, cut, are silent or broken, each in the test's own thread; asked through forward.c. */
#include "ask.h"

#include "frontends/dns/forward.h"
#include "gateway/base/err.h"

#include <errno.h>
#include <event2/event.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
/* after the headers that it needs */
#include <cmocka.h>

enum manner { GOOD, SILENT, REFUSES, LOWERS, CUTS, FORGES, NEGATIVE, GARBAGE, TRICKLES };

struct upstream {
    enum manner manner;
    int udp, tcp;
    struct gw_addr addr;
    unsigned udp_count, tcp_count;
    uint16_t ports[64];
};

static struct upstream upstreams[2];
static struct gw_loop *loop;
static struct gw_dns_forward *forward;
static pthread_t thread;
static int stop_pipe[2];

/* Calls of the loop's thread, which is the test's, fail so as long as the count lasts. */
static int fail_socket, fail_connect, fail_send, fail_recv, fail_count;

static bool fails(int err)
{
    if (err == 0 || fail_count == 0 || pthread_equal(pthread_self(), thread))
        return false;
    fail_count--;
    errno = err;
    return true;
}

int __real_socket(int domain, int type, int protocol);
int __wrap_socket(int domain, int type, int protocol);
int __wrap_socket(int domain, int type, int protocol)
{
    return fails(fail_socket) ? -1 : __real_socket(domain, type, protocol);
}

int __real_connect(int fd, const struct sockaddr *address, socklen_t len);
int __wrap_connect(int fd, const struct sockaddr *address, socklen_t len);
int __wrap_connect(int fd, const struct sockaddr *address, socklen_t len)
{
    return fails(fail_connect) ? -1 : __real_connect(fd, address, len);
}

ssize_t __real_send(int fd, const void *bytes, size_t len, int flags);
ssize_t __wrap_send(int fd, const void *bytes, size_t len, int flags);
ssize_t __wrap_send(int fd, const void *bytes, size_t len, int flags)
{
    return fails(fail_send) ? -1 : __real_send(fd, bytes, len, flags);
}

ssize_t __real_recv(int fd, void *bytes, size_t len, int flags);
ssize_t __wrap_recv(int fd, void *bytes, size_t len, int flags);
ssize_t __wrap_recv(int fd, void *bytes, size_t len, int flags)
{
    return fails(fail_recv) ? -1 : __real_recv(fd, bytes, len, flags);
}

/* The question comes back with an A record, changed as the manner wants. Returns its length. */
static size_t make_answer(const struct upstream *self, const uint8_t *in, size_t len, uint8_t *out,
                          bool is_tcp)
{
    ldns_pkt *pkt, *reply = ldns_pkt_new();
    ldns_rr *rr;
    uint8_t *wire;
    size_t out_len;
    assert(ldns_wire2pkt(&pkt, in, len) == LDNS_STATUS_OK);
    ldns_rr *question = ldns_rr_list_rr(ldns_pkt_question(pkt), 0);
    ldns_pkt_set_id(reply, ldns_pkt_id(pkt));
    ldns_pkt_set_qr(reply, true);
    ldns_pkt_set_rd(reply, true);
    ldns_pkt_set_edns_udp_size(reply, 1232);
    ldns_pkt_push_rr(reply, LDNS_SECTION_QUESTION, ldns_rr_clone(question));
    if (self->manner == NEGATIVE) {
        ldns_pkt_set_rcode(reply, LDNS_RCODE_NXDOMAIN);
        ldns_rr_new_frm_str(&rr, "com. 900 IN SOA a.com. b.com. 1 2 3 4 77", 0, NULL, NULL);
        ldns_pkt_push_rr(reply, LDNS_SECTION_AUTHORITY, rr);
    } else if (self->manner == REFUSES) {
        ldns_pkt_set_rcode(reply, LDNS_RCODE_REFUSED);
    } else if ((self->manner == CUTS || self->manner == TRICKLES) && !is_tcp) {
        ldns_pkt_set_tc(reply, true);
    } else {
        ldns_rr_new_frm_str(&rr, "x. 100 IN A 192.0.2.1", 0, NULL, NULL);
        ldns_rdf_deep_free(ldns_rr_owner(rr));
        ldns_rr_set_owner(rr, ldns_rdf_clone(ldns_rr_owner(question)));
        ldns_pkt_push_rr(reply, LDNS_SECTION_ANSWER, rr);
    }
    assert(ldns_pkt2wire(&wire, reply, &out_len) == LDNS_STATUS_OK);
    memcpy(out, wire, out_len);
    free(wire);
    ldns_pkt_free(pkt);
    ldns_pkt_free(reply);
    if (self->manner == LOWERS && !is_tcp) {
        for (size_t i = 12; i < 12 + len - 12 - 11 - 4; i++)
            out[i] |= out[i] >= 'A' && out[i] <= 'Z' ? 0x20 : 0;
    }
    return out_len;
}

static void serve_udp(struct upstream *self)
{
    uint8_t in[1500], out[1500];
    struct sockaddr_storage from;
    socklen_t from_len = sizeof from;
    struct gw_addr addr;
    ssize_t n = recvfrom(self->udp, in, sizeof in, 0, (struct sockaddr *)&from, &from_len);
    gw_addr_from_sockaddr(&addr, (struct sockaddr *)&from);
    if (self->udp_count < 64)
        self->ports[self->udp_count] = addr.port;
    self->udp_count++;
    if (self->manner == SILENT || n < 12)
        return;
    size_t len = make_answer(self, in, (size_t)n, out, false);
    if (self->manner == GARBAGE)
        len = 12;
    for (int i = 0; self->manner == FORGES && i < 5; i++) {
        out[1] ^= 1; /* a wrong id, then the right one */
        sendto(self->udp, out, len, 0, (struct sockaddr *)&from, from_len);
    }
    if (self->manner == FORGES)
        out[1] ^= 1;
    sendto(self->udp, out, len, 0, (struct sockaddr *)&from, from_len);
}

/* A long answer, a byte at a time, until nobody listens. */
static void *trickle(void *arg)
{
    int fd = *(int *)arg;
    for (send(fd, "\xff", 1, MSG_NOSIGNAL); send(fd, "\xff", 1, MSG_NOSIGNAL) == 1;)
        usleep(20000);
    close(fd);
    return NULL;
}

static pthread_t trickler;
static int trickling;

static void serve_tcp(struct upstream *self)
{
    uint8_t in[1500], out[1500];
    int fd = accept(self->tcp, NULL, NULL);
    self->tcp_count++;
    if (self->manner == TRICKLES) {
        trickling = fd;
        self->manner = SILENT; /* once is enough */
        pthread_create(&trickler, NULL, trickle, &trickling);
        return;
    }
    if (recv(fd, in, 2, MSG_WAITALL) == 2 &&
        recv(fd, in + 2, gw_load16_be(in), MSG_WAITALL) == gw_load16_be(in)) {
        size_t len = make_answer(self, in + 2, gw_load16_be(in), out + 2, true);
        gw_store16_be(out, (uint16_t)len);
        for (size_t i = 0; i < len + 2; i += 7)
            send(fd, out + i, len + 2 - i < 7 ? len + 2 - i : 7, MSG_NOSIGNAL);
    }
    close(fd);
}

static void *serve(void *arg)
{
    (void)arg;
    for (;;) {
        struct pollfd fds[5] = {{stop_pipe[0], POLLIN, 0}};
        for (unsigned i = 0; i < 2; i++) {
            fds[1 + 2 * i] = (struct pollfd){upstreams[i].udp, POLLIN, 0};
            fds[2 + 2 * i] = (struct pollfd){upstreams[i].tcp, POLLIN, 0};
        }
        poll(fds, 5, -1);
        if (fds[0].revents)
            return NULL;
        for (unsigned i = 0; i < 2; i++) {
            if (fds[1 + 2 * i].revents)
                serve_udp(&upstreams[i]);
            if (fds[2 + 2 * i].revents)
                serve_tcp(&upstreams[i]);
        }
    }
}

static void open_upstream(struct upstream *self)
{
    struct sockaddr_storage ss;
    *self = (struct upstream){.udp = socket(AF_INET, SOCK_DGRAM, 0), .tcp = socket(AF_INET, SOCK_STREAM, 0)};
    assert_int_equal(gw_addr_parse(&self->addr, "127.0.0.1:0"), 0);
    socklen_t len = (socklen_t)gw_addr_to_sockaddr(&self->addr, &ss);
    assert_int_equal(bind(self->tcp, (struct sockaddr *)&ss, len), 0);
    assert_int_equal(listen(self->tcp, 16), 0);
    assert_int_equal(getsockname(self->tcp, (struct sockaddr *)&ss, &len), 0);
    assert_int_equal(bind(self->udp, (struct sockaddr *)&ss, len), 0);
    assert_int_equal(gw_addr_from_sockaddr(&self->addr, (struct sockaddr *)&ss), 0);
}

static int setup_with(int64_t timeout_ns)
{
    struct gw_dns_forward_params params = {.random = gw_random_system(),
                                           .upstream_count = 2,
                                           .timeout_ns = timeout_ns,
                                           .tries = 4,
                                           .cache_entries = 8};
    for (unsigned i = 0; i < 2; i++) {
        open_upstream(&upstreams[i]);
        params.upstreams[i] = upstreams[i].addr;
    }
    loop = params.loop = gw_loop_new();
    assert_int_equal(gw_dns_forward_new(&forward, &params), 0);
    assert_int_equal(pipe(stop_pipe), 0);
    assert_int_equal(pthread_create(&thread, NULL, serve, NULL), 0);
    return 0;
}

/* Where silence is waited for. */
static int setup(void **state)
{
    (void)state;
    return setup_with(GW_MS(500));
}

/* Where everybody answers, however slow the machine is. */
static int setup_patient(void **state)
{
    (void)state;
    return setup_with(GW_S(20));
}

static int teardown(void **state)
{
    (void)state;
    assert_int_equal(write(stop_pipe[1], "", 1), 1);
    pthread_join(thread, NULL);
    gw_dns_forward_free(forward);
    gw_loop_free(loop);
    for (unsigned i = 0; i < 2; i++) {
        close(upstreams[i].udp);
        close(upstreams[i].tcp);
    }
    close(stop_pipe[0]);
    close(stop_pipe[1]);
    return 0;
}

struct asked {
    ldns_pkt *pkt;
    unsigned *left;
};

static void on_answer(const uint8_t *message, size_t len, void *user)
{
    struct asked *asked = user;
    asked->pkt = parse(message, len);
    if (--*asked->left == 0)
        gw_loop_stop(loop);
}

static struct gw_dns_waiter *start(struct asked *asked, const char *name, uint16_t edns_size)
{
    struct gw_dns_query query;
    struct gw_dns_waiter *waiter;
    size_t len;
    uint8_t *wire = make_query(name, GW_DNS_A, edns_size, &len);
    assert_int_equal(gw_dns_query_decode(&query, wire, len), GW_DNS_NOERROR);
    gw_dns_forward_ask(&waiter, forward, &query, 1232, on_answer, asked);
    free(wire);
    return waiter;
}

static ldns_pkt *ask_upstream(const char *name, uint16_t edns_size)
{
    unsigned left = 1;
    struct asked asked = {NULL, &left};
    struct gw_dns_waiter *waiter = start(&asked, name, edns_size);
    if (waiter)
        gw_loop_run(loop);
    assert_non_null(asked.pkt);
    assert_int_equal(ldns_pkt_id(asked.pkt), 0x1234);
    assert_int_equal(ldns_pkt_edns(asked.pkt), edns_size != 0);
    assert_true(ldns_pkt_ra(asked.pkt));
    return asked.pkt;
}

static struct gw_dns_forward_stats stats(void)
{
    struct gw_dns_forward_stats out;
    gw_dns_forward_stats(forward, &out);
    return out;
}

static void expect(const char *name, int rcode, const char *record)
{
    ldns_pkt *pkt = ask_upstream(name, 1232);
    assert_int_equal(ldns_pkt_get_rcode(pkt), rcode);
    if (record)
        assert_string_equal(record_text(ldns_pkt_answer(pkt), 0), record);
    ldns_pkt_free(pkt);
}

static void test_good(void **state)
{
    (void)state;
    expect("eXaMple.com.", 0, "eXaMple.com. 100 IN A 192.0.2.1");
    /* From the cache, for another asker in another case, with and without EDNS. */
    expect("EXAMPLE.com.", 0, "EXAMPLE.com. 100 IN A 192.0.2.1");
    ldns_pkt_free(ask_upstream("example.com.", 0));
    assert_int_equal(upstreams[0].udp_count, 1);
    assert_int_equal(stats().hits, 2);
    assert_int_equal(stats().cached, 1);
    for (unsigned i = 0; i < 20; i++) {
        char name[32];
        snprintf(name, sizeof name, "n%u.com.", i);
        expect(name, 0, NULL);
    }
    assert_true(stats().cached <= 8);
    for (unsigned i = 1; i < 20; i++)
        assert_int_not_equal(upstreams[0].ports[i], upstreams[0].ports[i - 1]);
}

/* Upstreams come, change under a question that is out, and go. */
static void test_other_upstreams(void **state)
{
    unsigned left = 1, count;
    struct asked asked = {NULL, &left};
    (void)state;
    gw_dns_forward_set_upstreams(forward, NULL, 0);
    assert_non_null(gw_dns_forward_upstreams(forward, &count));
    assert_int_equal(count, 0);
    expect("nobody.answers.com.", LDNS_RCODE_SERVFAIL, NULL);
    assert_int_equal(upstreams[0].udp_count + upstreams[1].udp_count, 0);

    upstreams[0].manner = SILENT;
    gw_dns_forward_set_upstreams(forward, &upstreams[0].addr, 1);
    assert_non_null(start(&asked, "moves.com.", 1232));
    while (stats().sent == 0)
        event_base_loop(gw_loop_base(loop), EVLOOP_ONCE);
    gw_dns_forward_set_upstreams(forward, &upstreams[1].addr, 1);
    gw_loop_run(loop);
    assert_int_equal(ldns_pkt_get_rcode(asked.pkt), 0);
    ldns_pkt_free(asked.pkt);
    assert_int_equal(upstreams[1].udp_count, 1);

    left = 1;
    gw_dns_forward_set_upstreams(forward, &upstreams[0].addr, 1);
    assert_non_null(start(&asked, "fails.com.", 1232));
    while (stats().sent < 3)
        event_base_loop(gw_loop_base(loop), EVLOOP_ONCE);
    gw_dns_forward_set_upstreams(forward, NULL, 0);
    gw_loop_run(loop);
    assert_int_equal(ldns_pkt_get_rcode(asked.pkt), LDNS_RCODE_SERVFAIL);
    ldns_pkt_free(asked.pkt);
    assert_int_equal(stats().pending, 0);
    expect("moves.com.", 0, NULL); /* from the cache */
}

static void test_negative(void **state)
{
    (void)state;
    upstreams[0].manner = NEGATIVE;
    expect("nobody.com.", LDNS_RCODE_NXDOMAIN, NULL);
    expect("nobody.com.", LDNS_RCODE_NXDOMAIN, NULL);
    assert_int_equal(upstreams[0].udp_count, 1);
}

static void test_failover(void **state)
{
    static const enum manner manners[] = {SILENT, REFUSES, GARBAGE};
    char name[32];
    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        upstreams[0].manner = manners[i];
        snprintf(name, sizeof name, "n%u.com.", i);
        expect(name, 0, NULL);
    }
    /* Who answered last is asked first. */
    assert_true(upstreams[0].udp_count <= 2);
    upstreams[1].manner = SILENT;
    upstreams[0].manner = SILENT;
    expect("silence.com.", LDNS_RCODE_SERVFAIL, NULL);
    assert_int_equal(stats().pending, 0);
    /* Ports where nobody is. */
    close(upstreams[0].udp);
    close(upstreams[1].udp);
    upstreams[0].udp = upstreams[1].udp = -1;
    expect("nowhere.com.", LDNS_RCODE_SERVFAIL, NULL);
}

static void test_tcp(void **state)
{
    (void)state;
    upstreams[0].manner = CUTS;
    expect("long.com.", 0, "long.com. 100 IN A 192.0.2.1");
    assert_int_equal(upstreams[0].tcp_count, 1);
    /* An upstream that forgets the case: by TCP nobody can have guessed it. The letters are many, so that no try is all lower case. */
    upstreams[0].manner = LOWERS;
    expect("abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrst.com.", 0, NULL);
    assert_int_equal(upstreams[0].tcp_count, 2);
}

/* It never ends its answer, and never falls silent: the other one is asked all the same. */
static void test_trickle(void **state)
{
    (void)state;
    upstreams[0].manner = TRICKLES;
    expect("drip.com.", 0, "drip.com. 100 IN A 192.0.2.1");
    assert_int_equal(upstreams[0].tcp_count, 1);
    assert_true(upstreams[1].udp_count >= 1);
    pthread_join(trickler, NULL);
}

static void test_forged(void **state)
{
    (void)state;
    upstreams[0].manner = FORGES;
    expect("target.com.", 0, "target.com. 100 IN A 192.0.2.1");
    assert_true(stats().bad >= 1);
    assert_int_equal(upstreams[0].udp_count, 1);
}

/* Many who ask the same are one question; one of them may go. */
static void test_many(void **state)
{
    static struct asked asked[GW_DNS_WAITERS_MAX + 1];
    unsigned left = GW_DNS_WAITERS_MAX;
    (void)state;
    memset(asked, 0, sizeof asked);
    struct gw_dns_waiter *gone = NULL;
    for (unsigned i = 0; i <= GW_DNS_WAITERS_MAX; i++) {
        asked[i].left = &left;
        struct gw_dns_waiter *waiter = start(&asked[i], "same.com.", 0);
        gone = i == 3 ? waiter : gone;
        /* One too many is told so at once. */
        assert_int_equal(waiter == NULL, i == GW_DNS_WAITERS_MAX);
    }
    gw_dns_waiter_cancel(gone);
    gw_loop_run(loop);
    assert_null(asked[3].pkt);
    for (unsigned i = 0; i <= GW_DNS_WAITERS_MAX; i++)
        ldns_pkt_free(asked[i].pkt);
    assert_int_equal(upstreams[0].udp_count, 1);
}

/* One call after the other fails, by UDP and by TCP: the next try has the answer; and when all fail, that is an answer too. */
static void test_errors(void **state)
{
    static const int errors[] = {EMFILE,       ENOBUFS,      ENOMEM,     EACCES, EPERM, ENETUNREACH,
                                 EHOSTUNREACH, ECONNREFUSED, ECONNRESET, EIO,    EINTR, EAGAIN};
    static int *const calls[] = {&fail_socket, &fail_connect, &fail_send, &fail_recv};
    char name[32];
    (void)state;
    for (unsigned i = 0; i < 2 * 4 * sizeof errors / sizeof errors[0]; i++) {
        int *call = calls[i / 2 % 4], err = errors[i / 8];
        upstreams[0].manner = upstreams[1].manner = i % 2 ? CUTS : GOOD;
        *call = err;
        fail_count = 1;
        snprintf(name, sizeof name, "e%u.com.", i);
        expect(name, 0, NULL);
        *call = 0;
    }
    fail_socket = EMFILE;
    fail_count = 1000;
    expect("all.com.", LDNS_RCODE_SERVFAIL, NULL);
    fail_socket = 0;
    assert_int_equal(stats().pending, 0);
}

static void test_freed_with_questions(void **state)
{
    unsigned left = 9;
    struct asked asked = {NULL, &left};
    (void)state;
    upstreams[0].manner = SILENT;
    assert_non_null(start(&asked, "one.com.", 0));
    struct gw_dns_waiter *waiter = start(&asked, "two.com.", 0);
    gw_dns_waiter_cancel(waiter);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_good, setup_patient, teardown),
        cmocka_unit_test_setup_teardown(test_negative, setup_patient, teardown),
        cmocka_unit_test_setup_teardown(test_failover, setup, teardown),
        cmocka_unit_test_setup_teardown(test_tcp, setup_patient, teardown),
        cmocka_unit_test_setup_teardown(test_trickle, setup, teardown),
        cmocka_unit_test_setup_teardown(test_other_upstreams, setup, teardown),
        cmocka_unit_test_setup_teardown(test_forged, setup_patient, teardown),
        cmocka_unit_test_setup_teardown(test_many, setup_patient, teardown),
        cmocka_unit_test_setup_teardown(test_errors, setup, teardown),
        cmocka_unit_test_setup_teardown(test_freed_with_questions, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
