/* SPDX-License-Identifier: MIT */
/* lwIP as we build it: it starts, has large windows, and its clock is ours. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lwip/init.h"
#include "lwip/sys.h"
#include "lwip/tcp.h"
#include "lwip/timeouts.h"
#include "netstack/port/port.h"

static int start_stack(void **state)
{
    (void)state;
    lwip_init();
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
    sys_check_timeouts();
    assert_true(sys_timeouts_sleeptime() > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_windows_are_large),
        cmocka_unit_test(test_both_address_families_listen),
        cmocka_unit_test(test_time_is_what_we_say),
    };

    return cmocka_run_group_tests(tests, start_stack, NULL);
}
