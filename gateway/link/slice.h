/* SPDX-License-Identifier: MIT */
/* How soon the scheduler lets the thread run that a datagram has woken. */
#ifndef GATEWAY_LINK_SLICE_H
#define GATEWAY_LINK_SLICE_H

/* Asks for short time slices for the calling thread: on a busy machine one that wants little at a time goes before those that want much (Linux 6.12
 * and later, no privilege needed; no effect elsewhere). Its share of the machine stays what its nice value says. */
void gw_slice_shorten(void);

#endif
