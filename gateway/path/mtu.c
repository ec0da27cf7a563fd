/* SPDX-License-Identifier: MIT */
/* The search for a path's MTU; see mtu.h for its states. */
#include "gateway/path/mtu.h"

#include "gateway/wire/cursor.h"

#include <string.h>

#define TOKEN_LEN (GW_MTU_NONCE_LEN - 2)
#define UNHEARD_MAX 6u /* the interval is at most 64 times as long */
#define VOIDS_MAX 16u  /* then it may be a firewall of ours that forbids just these sizes */
#define VOID_UNHEARD 3u

const char *const gw_mtu_state_names[GW_MTU_STATE_COUNT] = {"unknown", "searching", "found", "verifying"};

void gw_mtu_init(struct gw_mtu *mtu, uint16_t base)
{
    *mtu = (struct gw_mtu){
        .len = base, .base = base, .round_at = GW_NEVER, .large_at = GW_NEVER, .raise_at = GW_NEVER};
}

/* ---- rounds */

static void clear_round(struct gw_mtu *mtu)
{
    mtu->size_count = mtu->sent_count = 0;
    mtu->is_heard = mtu->is_void = false;
    mtu->round_at = GW_NEVER;
}

static void add_size(struct gw_mtu *mtu, unsigned len)
{
    unsigned last = mtu->size_count > 0 ? mtu->sizes[mtu->size_count - 1] : 0;
    if (len > last && len > mtu->len && len < mtu->hard && mtu->size_count <= GW_MTU_SIZES)
        mtu->sizes[mtu->size_count++] = (uint16_t)len;
}

static void finish(struct gw_mtu *mtu)
{
    clear_round(mtu);
    mtu->state = GW_MTU_DONE;
}

/* Three sizes that split the gap below the smallest unanswered one, and that one again. */
static void next_round(struct gw_mtu *mtu)
{
    unsigned gap = (unsigned)(mtu->soft - mtu->len);
    clear_round(mtu);
    if (mtu->hard - mtu->len > (int)GW_MTU_STEP && mtu->len < mtu->max) {
        mtu->sizes[mtu->size_count++] = mtu->base;
        for (unsigned i = 1; i < GW_MTU_SIZES; i++)
            add_size(mtu, mtu->len + (gap * i / GW_MTU_SIZES & ~(GW_MTU_STEP - 1)));
        add_size(mtu, mtu->soft < mtu->hard ? mtu->soft : mtu->max);
    }
    if (mtu->size_count <= 1)
        finish(mtu);
}

/* All of the round's sizes above the one that arrived last are unanswered. */
static void judge_round(struct gw_mtu *mtu)
{
    unsigned missing = 0;
    for (unsigned i = mtu->size_count; i-- > 0 && mtu->sizes[i] > mtu->len;)
        missing = mtu->sizes[i];
    if (missing == 0)
        return;
    if (missing != mtu->soft)
        mtu->soft_tries = 0;
    mtu->soft = (uint16_t)missing;
    if (++mtu->soft_tries >= GW_MTU_TRIES)
        mtu->hard = mtu->soft;
}

void gw_mtu_begin(struct gw_mtu *mtu, uint16_t max, uint16_t first, struct gw_random *random)
{
    if (max <= mtu->base)
        return;
    if (mtu->len > max)
        mtu->len = mtu->base;
    gw_random_fill(random, mtu->token, sizeof mtu->token);
    clear_round(mtu);
    mtu->state = GW_MTU_SEARCHING;
    mtu->max = max;
    mtu->first = first;
    mtu->hard = mtu->soft = (uint16_t)(max + 1);
    mtu->soft_tries = 0;
    mtu->unheard = 0;
    mtu->raise_at = GW_NEVER;
    add_size(mtu, first);
    add_size(mtu, max);
    if (mtu->size_count == 0)
        finish(mtu);
}

/* ---- probes */

/* The last of the round is out. A path on which nothing comes in at all is asked at longer and longer intervals. */
static void arm_round(struct gw_mtu *mtu, struct gw_mono now)
{
    mtu->round_at = gw_mono_add(now, mtu->interval_ns << mtu->unheard);
}

bool gw_mtu_take_probe(struct gw_mtu *mtu, struct gw_mono now, int64_t interval_ns, uint16_t *len,
                       uint8_t nonce[GW_MTU_NONCE_LEN])
{
    if (mtu->sent_count >= mtu->size_count)
        return false;
    *len = mtu->sizes[mtu->sent_count++];
    memcpy(nonce, mtu->token, TOKEN_LEN);
    gw_store16_be(nonce + TOKEN_LEN, *len);
    mtu->interval_ns = interval_ns;
    if (mtu->sent_count == mtu->size_count)
        arm_round(mtu, now);
    return true;
}

static bool is_round_answered(const struct gw_mtu *mtu)
{
    return mtu->size_count > 0 && mtu->sent_count == mtu->size_count &&
           mtu->len >= mtu->sizes[mtu->size_count - 1];
}

/* The size in use still arrives. */
static void verified(struct gw_mtu *mtu, struct gw_random *random)
{
    gw_mtu_confirmed(mtu);
    if (mtu->was_searching)
        gw_mtu_begin(mtu, mtu->max, mtu->first, random);
    else
        finish(mtu);
}

bool gw_mtu_answered(struct gw_mtu *mtu, const uint8_t nonce[GW_MTU_NONCE_LEN], struct gw_random *random)
{
    uint16_t len = gw_load16_be(nonce + TOKEN_LEN);
    if (mtu->state == GW_MTU_IDLE || memcmp(nonce, mtu->token, TOKEN_LEN) != 0)
        return false;
    gw_mtu_heard(mtu);
    if (mtu->state == GW_MTU_VERIFYING) {
        if (len == mtu->len)
            verified(mtu, random);
        return true;
    }
    if (len <= mtu->len || len > mtu->max)
        return true;
    mtu->len = len;
    gw_mtu_confirmed(mtu);
    if (len >= mtu->soft) { /* only its answer was lost, or late */
        if (len >= mtu->hard)
            mtu->hard = (uint16_t)(mtu->max + 1);
        mtu->soft = mtu->hard;
        mtu->soft_tries = 0;
    }
    if (mtu->state == GW_MTU_SEARCHING && is_round_answered(mtu))
        next_round(mtu);
    return true;
}

/* ---- doubts */

void gw_mtu_sent(struct gw_mtu *mtu, struct gw_mono now, uint16_t len)
{
    if (len > mtu->base && gw_mono_is_never(mtu->large_at))
        mtu->large_at = now;
    if (mtu->state == GW_MTU_DONE && mtu->len < mtu->max && gw_mono_is_never(mtu->raise_at) &&
        len > mtu->base / 2) /* the halves of a packet that was cut are as long */
        mtu->raise_at = gw_mono_add(now, GW_MTU_RAISE_NS);
}

void gw_mtu_confirmed(struct gw_mtu *mtu)
{
    mtu->large_at = GW_NEVER;
}

/* The size in use and, to know that the path works at all, the base size. */
static void verify(struct gw_mtu *mtu)
{
    mtu->sizes[0] = mtu->base;
    mtu->sizes[1] = mtu->len;
    mtu->size_count = 2;
    mtu->sent_count = 0;
    mtu->round_at = GW_NEVER;
}

void gw_mtu_doubt(struct gw_mtu *mtu, struct gw_random *random)
{
    if (mtu->len <= mtu->base || mtu->state == GW_MTU_VERIFYING || mtu->state == GW_MTU_IDLE)
        return;
    gw_random_fill(random, mtu->token, sizeof mtu->token);
    mtu->was_searching = mtu->state == GW_MTU_SEARCHING;
    mtu->state = GW_MTU_VERIFYING;
    mtu->tries = mtu->unheard = 0;
    clear_round(mtu);
    verify(mtu);
}

static void fall_back(struct gw_mtu *mtu, struct gw_random *random)
{
    mtu->len = mtu->base;
    gw_mtu_confirmed(mtu);
    gw_mtu_begin(mtu, mtu->max, mtu->first, random);
}

/* The round without the sizes that the system refuses. */
static void trim_round(struct gw_mtu *mtu, struct gw_mono now)
{
    unsigned kept = 0;
    while (kept < mtu->size_count && mtu->sizes[kept] < mtu->hard)
        kept++;
    mtu->size_count = (uint8_t)kept;
    if (mtu->sent_count < kept)
        return;
    mtu->sent_count = (uint8_t)kept;
    if (kept == 0 || mtu->sizes[kept - 1] <= mtu->len)
        next_round(mtu);
    else
        arm_round(mtu, now);
}

void gw_mtu_refused(struct gw_mtu *mtu, struct gw_mono now, uint16_t len, struct gw_random *random)
{
    if (mtu->state == GW_MTU_IDLE || len <= mtu->base)
        return;
    if (len <= mtu->len)
        fall_back(mtu, random);
    if (mtu->state != GW_MTU_SEARCHING || len >= mtu->hard)
        return;
    mtu->hard = len;
    if (mtu->soft >= len) {
        mtu->soft = len;
        mtu->soft_tries = 0;
    }
    trim_round(mtu, now);
}

void gw_mtu_look_again(struct gw_mtu *mtu, struct gw_mono now)
{
    if (mtu->state == GW_MTU_DONE && mtu->len < mtu->max)
        mtu->raise_at = now;
    if (mtu->len > mtu->base)
        mtu->large_at = gw_mono_add(now, -GW_MTU_UNCONFIRMED_NS);
}

/* ---- time */

static struct gw_mono unconfirmed_at(const struct gw_mtu *mtu)
{
    return mtu->len > mtu->base && mtu->state != GW_MTU_VERIFYING
               ? gw_mono_add(mtu->large_at, GW_MTU_UNCONFIRMED_NS)
               : GW_NEVER;
}

/* Nothing came in at all: that is not about sizes, and the round is repeated, with a witness. */
static void repeat_round(struct gw_mtu *mtu)
{
    if (mtu->sizes[0] != mtu->base && mtu->size_count <= GW_MTU_SIZES) {
        memmove(mtu->sizes + 1, mtu->sizes, mtu->size_count++ * sizeof *mtu->sizes);
        mtu->sizes[0] = mtu->base;
    }
    mtu->sent_count = 0;
    mtu->round_at = GW_NEVER;
    if (mtu->unheard < (mtu->is_void ? VOID_UNHEARD : UNHEARD_MAX))
        mtu->unheard++;
    mtu->is_heard = mtu->is_void = false;
}

static bool is_void(struct gw_mtu *mtu)
{
    mtu->voids = mtu->is_void ? mtu->voids + 1u : 0;
    mtu->is_void = mtu->is_void && mtu->voids <= VOIDS_MAX;
    return mtu->is_void;
}

void gw_mtu_unsent(struct gw_mtu *mtu)
{
    mtu->is_void = true;
}

static bool end_verification(struct gw_mtu *mtu, struct gw_random *random)
{
    if (++mtu->tries < GW_MTU_VERIFY_TRIES) {
        verify(mtu);
        return false;
    }
    mtu->tries = 0;
    if (!mtu->is_heard) {
        repeat_round(mtu);
        return false;
    }
    fall_back(mtu, random);
    return true;
}

static bool end_round(struct gw_mtu *mtu, struct gw_random *random)
{
    bool is_nothing = is_void(mtu) || !mtu->is_heard;
    if (mtu->state == GW_MTU_VERIFYING && mtu->is_void)
        mtu->tries = 0;
    else if (mtu->state == GW_MTU_VERIFYING)
        return end_verification(mtu, random);
    if (is_nothing) {
        repeat_round(mtu);
        return false;
    }
    mtu->unheard = 0;
    judge_round(mtu);
    next_round(mtu);
    return false;
}

bool gw_mtu_expire(struct gw_mtu *mtu, struct gw_mono now, struct gw_random *random)
{
    if (gw_mono_due(unconfirmed_at(mtu), now))
        gw_mtu_doubt(mtu, random);
    else if (mtu->state == GW_MTU_DONE && gw_mono_due(mtu->raise_at, now))
        gw_mtu_begin(mtu, mtu->max, mtu->first, random);
    return gw_mono_due(mtu->round_at, now) && end_round(mtu, random);
}

struct gw_mono gw_mtu_next_deadline(const struct gw_mtu *mtu)
{
    struct gw_mono raise_at = mtu->state == GW_MTU_DONE ? mtu->raise_at : GW_NEVER;
    return gw_mono_min(gw_mono_min(mtu->round_at, raise_at), unconfirmed_at(mtu));
}
