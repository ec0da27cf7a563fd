/* SPDX-License-Identifier: MIT */
/* The program: a table of commands, in the order in which `peergate help` lists them. What a command does
 * is in its cmd_*.c; how arguments are taken apart is in cmd.c. */
#include "gateway/daemon/cmd.h"

/* clang-format off */
static const struct gw_command *const commands[] = {
    &gw_cmd_init,
    &gw_cmd_id,
    &gw_cmd_genkey,
    &gw_cmd_pubkey,
    &gw_cmd_authorize,
    &gw_cmd_deauthorize,
    &gw_cmd_config,
    &gw_cmd_up,
    &gw_cmd_down,
    &gw_cmd_reload,
    &gw_cmd_status,
    &gw_cmd_peers,
    &gw_cmd_ping,
    &gw_cmd_why,
    &gw_cmd_netcheck,
    &gw_cmd_resolve,
    &gw_cmd_services,
    &gw_cmd_nc,
    &gw_cmd_forward,
    &gw_cmd_dns,
    &gw_cmd_igd,
};
/* clang-format on */

int main(int argc, char **argv)
{
    return gw_cmd_main(commands, sizeof commands / sizeof *commands, argc, argv);
}
