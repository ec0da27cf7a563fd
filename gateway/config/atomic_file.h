/* SPDX-License-Identifier: MIT */
/* Replaces a file whole or not at all, for its owner alone (0600): written beside it, flushed, renamed,
 * the folder flushed. Whatever fails, and whenever the process is killed, the old file is there unchanged
 * or the new one is complete. */
#ifndef GATEWAY_CONFIG_ATOMIC_FILE_H
#define GATEWAY_CONFIG_ATOMIC_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* The system calls that can fail on a bad disk, replaceable in tests. Each as the call of its name. */
struct gw_file_calls {
    int (*open)(const char *path, int flags, mode_t mode);
    ssize_t (*write)(int fd, const void *data, size_t len);
    int (*fsync)(int fd);
    int (*rename)(const char *from, const char *to);
    int (*link)(const char *from, const char *to);
    int (*close)(int fd);
};
extern const struct gw_file_calls gw_file_calls_system;

enum gw_atomic_mode {
    GW_ATOMIC_REPLACE, /* whether or not it is there; a symbolic link is followed, not replaced */
    GW_ATOMIC_NEW,     /* -EEXIST when it is there */
};

/* calls: NULL = the system's. 0, GW_E_TOO_BIG (path), -errno: nothing has changed then, but for an error
 * of the very last step (flushing the folder), after which the new file is in place and may be lost by a
 * power cut. Temporary files that a killed process left beside it are removed. */
int gw_atomic_write(const struct gw_file_calls *calls, const char *path, const void *data, size_t len,
                    enum gw_atomic_mode mode);

/* Waits for the lock that edits of a file (read, change, replace) are made under: a file ".NAME.lock"
 * beside it, which stays. The descriptor, or -errno. Released by close, or by the process's death. */
int gw_file_lock(const char *path);

#endif
