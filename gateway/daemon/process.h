/* SPDX-License-Identifier: MIT */
/* What the operating system knows of this process. */
#ifndef GATEWAY_DAEMON_PROCESS_H
#define GATEWAY_DAEMON_PROCESS_H

/* Private keys are in memory from now on: no core is written, and other processes of the same user can neither trace this one nor read its memory through /proc
 * (root still can). 0 or -errno; then some of it holds all the same. */
int gw_process_hide_memory(void);

#endif
