/* SPDX-License-Identifier: MIT */
#include "gateway/flow/pacer.h"

static int64_t bytes_in(uint64_t rate, int64_t dur_ns)
{
    return (int64_t)((double)rate * (double)dur_ns / 1e9);
}

/* Rounded up: a call must not be credited twice for the rest of a nanosecond. */
static int64_t ns_for(uint64_t rate, int64_t bytes)
{
    double ns = (double)bytes * 1e9 / (double)rate;
    int64_t whole = (int64_t)ns;
    return (double)whole < ns ? whole + 1 : whole;
}

void gw_pacer_init(struct gw_pacer *pacer, struct gw_mono now)
{
    /* As if it had filled up before. */
    *pacer = (struct gw_pacer){.filled = gw_mono_add(now, -GW_S(1))};
}

uint64_t gw_pacer_quantum(uint64_t rate, uint64_t mss, uint64_t train)
{
    uint64_t quantum = rate / 1000;
    if (quantum > train)
        quantum = train;
    return quantum < 2 * mss ? 2 * mss : quantum;
}

/* The bucket's size: the quantum that is waited for, and what a late wake-up may catch up on top. */
static int64_t bucket_size(uint64_t rate, uint64_t mss, uint64_t train, int64_t srtt_ns)
{
    bool is_near = srtt_ns > 0 && srtt_ns < GW_MS(1);
    int64_t catch_up = bytes_in(rate, is_near ? srtt_ns : GW_MS(1));
    if (is_near && catch_up < (int64_t)train)
        catch_up = (int64_t)train;
    return (int64_t)gw_pacer_quantum(rate, mss, train) + catch_up;
}

/* `filled` advances by what the whole bytes took, so that frequent calls lose no fractions. */
static void fill(struct gw_pacer *pacer, struct gw_mono now, uint64_t rate, int64_t size)
{
    int64_t elapsed_ns = gw_mono_sub(now, pacer->filled);
    if (elapsed_ns > GW_S(1))
        elapsed_ns = GW_S(1);
    int64_t bytes = bytes_in(rate, elapsed_ns);
    pacer->tokens += bytes;
    if (pacer->tokens >= size) {
        pacer->tokens = size;
        pacer->filled = now;
    } else if (bytes > 0) {
        int64_t used_ns = ns_for(rate, bytes);
        pacer->filled = gw_mono_add(now, used_ns < elapsed_ns ? used_ns - elapsed_ns : 0);
    }
}

uint64_t gw_pacer_allowance(struct gw_pacer *pacer, struct gw_mono now, uint64_t rate, uint64_t mss,
                            uint64_t train, int64_t srtt_ns)
{
    if (rate == 0) {
        pacer->tokens = 0;
        pacer->filled = now;
        return UINT64_MAX;
    }
    if (gw_mono_before(pacer->filled, now)) /* once a turn: `now` stands still in it */
        fill(pacer, now, rate, bucket_size(rate, mss, train, srtt_ns));
    if (pacer->is_waiting && pacer->tokens < (int64_t)gw_pacer_quantum(rate, mss, train))
        return 0;
    pacer->is_waiting = pacer->tokens <= 0;
    return pacer->is_waiting ? 0 : (uint64_t)pacer->tokens;
}

void gw_pacer_sent(struct gw_pacer *pacer, uint64_t bytes)
{
    pacer->tokens = bytes > GW_PACER_DEBT_MAX ? -GW_PACER_DEBT_MAX : pacer->tokens - (int64_t)bytes;
    if (pacer->tokens < -GW_PACER_DEBT_MAX)
        pacer->tokens = -GW_PACER_DEBT_MAX;
}

struct gw_mono gw_pacer_next(const struct gw_pacer *pacer, uint64_t rate, uint64_t mss, uint64_t train)
{
    int64_t missing = (int64_t)gw_pacer_quantum(rate, mss, train) - pacer->tokens;
    if (rate == 0 || missing <= 0 || (!pacer->is_waiting && pacer->tokens > 0))
        return pacer->filled;
    /* One more nanosecond than the quotient: then the bytes are whole when asked. */
    return gw_mono_add(pacer->filled, ns_for(rate, missing) + 1);
}
