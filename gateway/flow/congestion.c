/* SPDX-License-Identifier: MIT */
#include "gateway/flow/congestion.h"

#include <string.h>

/* As many datagrams as one train holds (gateway/wire/train.h): 64 in 64 KB. */
#define TRAIN_DATAGRAMS 64u
#define TRAIN_BYTES 65535u

/* RFC 9002 7.2 */
static uint64_t initial_window(uint64_t mss)
{
    uint64_t window = 2 * mss > 14720 ? 2 * mss : 14720;
    return 10 * mss < window ? 10 * mss : window;
}

void gw_cc_init(struct gw_cc *cc, enum gw_cc_kind kind, uint64_t mss, struct gw_mono now,
                struct gw_random *random)
{
    uint64_t datagrams = TRAIN_BYTES / mss;
    memset(cc, 0, sizeof *cc);
    cc->ops = kind == GW_CC_CUBIC ? &gw_cc_cubic : &gw_cc_bbr;
    cc->is_shared = true;
    cc->mss = mss;
    cc->train = (datagrams < TRAIN_DATAGRAMS ? datagrams : TRAIN_DATAGRAMS) * mss;
    if (cc->train < 2 * mss)
        cc->train = 2 * mss;
    cc->cwnd = initial_window(mss);
    cc->random = random;
    cc->ops->init(cc, now);
}
