/* SPDX-License-Identifier: MIT */
/* What the files of gateway/path owe each other. For gateway/path only. */
#ifndef GATEWAY_PATH_PATH_PRIVATE_H
#define GATEWAY_PATH_PATH_PRIVATE_H

#include "gateway/path/path.h"

#define GW_PATH_TRIES_UNPROVEN \
    2u /* so many challenges a path that we followed the peer to may leave unanswered */

#define GW_PATH_PROBE_INTERVAL_NS GW_MS(100) /* or 2 RTT */

/* ---- path.c */
/* A new one, asked at once, in a free slot or that of the one heard longest ago. */
struct gw_path *gw_paths_add(struct gw_paths *paths, struct gw_mono now, const struct gw_tuple *tuple,
                             struct gw_random *random);
/* The peer is there. */
void gw_path_prove(struct gw_path *path, struct gw_mono now);
/* ... which something else than an answer to a challenge shows. */
void gw_path_validate(struct gw_path *path, struct gw_mono now);

/* ---- heard.c */
void gw_path_learn_rtt(struct gw_path *path, struct gw_mono now, int64_t sample_ns);
/* A round trip is known for another path: it says something only beside one of the current path that is as new. */
void gw_paths_measure_current(struct gw_paths *paths, const struct gw_path *other, struct gw_mono now,
                              struct gw_random *random);

/* ---- choose.c */
/* True when it was not the current one. */
bool gw_paths_make_current(struct gw_paths *paths, const struct gw_path *path, struct gw_mono now);
/* The best of the validated ones becomes the current one, if that gains enough. True when the current one changed. */
bool gw_paths_choose(struct gw_paths *paths, struct gw_mono now);

/* Were their round trips measured at about the same time? false also where one is unknown. */
bool gw_paths_are_alike(const struct gw_path *a, const struct gw_path *b);

#endif
