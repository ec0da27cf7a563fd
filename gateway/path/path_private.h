/* SPDX-License-Identifier: MIT */
/* For gateway/path only. */
#ifndef GATEWAY_PATH_PATH_PRIVATE_H
#define GATEWAY_PATH_PATH_PRIVATE_H

#include "gateway/path/path.h"

/* True when it was not the current one. */
bool gw_paths_make_current(struct gw_paths *paths, const struct gw_path *path, struct gw_mono now);
/* The best of the validated ones becomes the current one, if that gains enough. True when the current one changed. */
bool gw_paths_choose(struct gw_paths *paths, struct gw_mono now);

/* Were their round trips measured at about the same time? false also where one is unknown. */
bool gw_paths_are_alike(const struct gw_path *a, const struct gw_path *b);

#endif
