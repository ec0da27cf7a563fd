/* SPDX-License-Identifier: MIT */
/* lwIP as we build it: it starts, has large windows, and its clock is ours. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lwip/sys.h"
#include "lwip/tcp.h"
#include "netstack/port/port.h"

static int start_stack(void **state)
{
    (void)state;
    netstack_port_init();
    netstack_port_init(); /* once a process */
    return 0;
}

static void test_windows_are_large(void **state)
{
    (void)state;
    struct tcp_pcb *pcb = tcp_new_ip_type(IPADDR_TYPE_ANY);

    assert_non_null(pcb);
    assert_true(TCP_WND > 64 * 1024);
    /* Not tcp_sndbuf(), which cuts what it returns to 16 bits: whoever writes must read the field. */
    assert_int_equal(pcb->snd_buf, TCP_SND_BUF);
    /* 64 KB until the peer has agreed to scaling. */
    assert_int_equal(pcb->rcv_wnd, 0xffff);
    tcp_abort(pcb);
}

static void test_both_address_families_listen(void **state)
{
    (void)state;
    struct tcp_pcb *pcb = tcp_new_ip_type(IPADDR_TYPE_ANY);

    assert_int_equal(tcp_bind(pcb, IP_ANY_TYPE, 80), ERR_OK);
    pcb = tcp_listen(pcb);
    assert_non_null(pcb);
    assert_int_equal(tcp_close(pcb), ERR_OK);
}

static void test_time_is_what_we_say(void **state)
{
    (void)state;
    netstack_port_set_now_ms(12345);
    assert_int_equal(sys_now(), 12345);
}

static void test_sequence_numbers_are_not_countable(void **state)
{
    (void)state;
    ip_addr_t a = IPADDR4_INIT_BYTES(10, 64, 0, 1), b = IPADDR4_INIT_BYTES(10, 64, 0, 2);
    uint32_t one = netstack_port_isn(&a, 80, &b, 4000), other = netstack_port_isn(&a, 80, &b, 4001);
    assert_int_equal(one, netstack_port_isn(&a, 80, &b, 4000));
    assert_true(one != other && other - one > 1000);
    netstack_port_set_now_ms(12345 + 4);
    assert_int_equal(netstack_port_isn(&a, 80, &b, 4000) - one, 1000); /* and a clock */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_windows_are_large),
        cmocka_unit_test(test_both_address_families_listen),
        cmocka_unit_test(test_time_is_what_we_say),
        cmocka_unit_test(test_sequence_numbers_are_not_countable),
    };

    return cmocka_run_group_tests(tests, start_stack, NULL);
}
