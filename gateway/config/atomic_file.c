/* SPDX-License-Identifier: MIT */
/* Atomic replacement. A temporary file is locked (flock) for as long as its writer lives, so that one
 * without a lock is a dead writer's and may go. */
#include "gateway/config/atomic_file.h"

#include "gateway/base/err.h"
#include "gateway/config/dir.h"

#include <dirent.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define RANDOM_DIGITS 16u
/* How often a writer whose temporary file was swept away in the moment before it had its lock tries again. */
#define TRIES_MAX 5u

static int system_open(const char *path, int flags, mode_t mode)
{
    return open(path, flags, mode);
}

const struct gw_file_calls gw_file_calls_system = {
    .open = system_open, .write = write, .fsync = fsync, .rename = rename, .link = link, .close = close};

struct writer {
    const struct gw_file_calls *calls;
    char path[GW_DIR_PATH_MAX]; /* what is replaced */
    char dir[GW_DIR_PATH_MAX];
    char temp[GW_DIR_PATH_MAX];
    const char *name; /* the last part of path */
    enum gw_atomic_mode mode;
    int fd;
};

/* ---- names */

/* A symbolic link's target is what gets replaced. */
static int follow_links(struct writer *writer, const char *path)
{
    struct stat st;
    bool is_link = lstat(path, &st) == 0 && S_ISLNK(st.st_mode);
    char *real = is_link && writer->mode == GW_ATOMIC_REPLACE ? realpath(path, NULL) : NULL;
    int len = snprintf(writer->path, sizeof writer->path, "%s", real ? real : path);
    free(real);
    return len < 0 || (size_t)len >= sizeof writer->path ? GW_E_TOO_BIG : 0;
}

static int name_parts(struct writer *writer, const char *path)
{
    int err = follow_links(writer, path);
    if (!err)
        err = gw_dir_of_file(writer->dir, writer->path);
    if (err)
        return err;
    const char *slash = strrchr(writer->path, '/');
    writer->name = slash ? slash + 1 : writer->path;
    return *writer->name ? 0 : -EISDIR;
}

/* Of ".NAME.tmp-0123456789abcdef" the part before the digits, in the folder. */
static int temp_stem(const struct writer *writer, char out[GW_DIR_PATH_MAX])
{
    int len = snprintf(out, GW_DIR_PATH_MAX, "%s/.%s.tmp-", writer->dir, writer->name);
    return len < 0 || (size_t)len + RANDOM_DIGITS >= GW_DIR_PATH_MAX ? GW_E_TOO_BIG : 0;
}

static int name_temp(struct writer *writer)
{
    uint8_t bytes[RANDOM_DIGITS / 2];
    int err = temp_stem(writer, writer->temp);
    if (err)
        return err;
    randombytes_buf(bytes, sizeof bytes);
    sodium_bin2hex(writer->temp + strlen(writer->temp), RANDOM_DIGITS + 1, bytes, sizeof bytes);
    return 0;
}

/* ---- what dead writers left */

static void remove_if_dead(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0)
        return;
    if (flock(fd, LOCK_EX | LOCK_NB) == 0)
        unlink(path);
    close(fd);
}

static bool is_temp_name(const char *name, const char *stem)
{
    size_t len = strlen(stem);
    return strncmp(name, stem, len) == 0 && strlen(name + len) == RANDOM_DIGITS &&
           strspn(name + len, "0123456789abcdef") == RANDOM_DIGITS;
}

static void sweep(const struct writer *writer)
{
    char stem[GW_DIR_PATH_MAX], path[GW_DIR_PATH_MAX + NAME_MAX + 2];
    DIR *dir = temp_stem(writer, stem) == 0 ? opendir(writer->dir) : NULL;
    if (!dir)
        return;
    for (const struct dirent *entry; (entry = readdir(dir));) {
        if (!is_temp_name(entry->d_name, strrchr(stem, '/') + 1))
            continue;
        snprintf(path, sizeof path, "%s/%s", writer->dir, entry->d_name);
        remove_if_dead(path);
    }
    closedir(dir);
}

/* ---- writing */

static int write_all(const struct writer *writer, const char *data, size_t len)
{
    while (len > 0) {
        ssize_t done = writer->calls->write(writer->fd, data, len);
        if (done < 0 && errno == EINTR)
            continue;
        if (done < 0)
            return -errno;
        if (done == 0)
            return -EIO;
        data += done;
        len -= (size_t)done;
    }
    return 0;
}

/* What root writes in a user's folder is the user's, or he could not read it: the owner is the old file's, or
 * else the folder's. Failing that, it is root's: safe, and told by whoever cannot open it. */
static bool keep_owner(const struct writer *writer, int fd)
{
    struct stat old;
    if (geteuid() != 0)
        return true;
    if (stat(writer->path, &old) != 0 && stat(writer->dir, &old) != 0)
        return false;
    return old.st_uid == 0 || fchown(fd, old.st_uid, old.st_gid) == 0;
}

static int fill_temp(struct writer *writer, const void *data, size_t len)
{
    if (flock(writer->fd, LOCK_EX | LOCK_NB) != 0)
        return -errno;
    if (fchmod(writer->fd, 0600) != 0)
        return -errno;
    (void)keep_owner(writer, writer->fd);
    int err = write_all(writer, data, len);
    if (!err && writer->calls->fsync(writer->fd) != 0)
        err = -errno;
    return err;
}

static int put_in_place(const struct writer *writer)
{
    if (writer->mode == GW_ATOMIC_REPLACE)
        return writer->calls->rename(writer->temp, writer->path) == 0 ? 0 : -errno;
    int err = writer->calls->link(writer->temp, writer->path) == 0 ? 0 : -errno;
    if (!err)
        unlink(writer->temp);
    return err;
}

static int flush_folder(const struct writer *writer)
{
    int fd = writer->calls->open(writer->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    int err = writer->calls->fsync(fd) == 0 ? 0 : -errno;
    writer->calls->close(fd);
    return err == -EINVAL ? 0 : err; /* a file system whose folders need no flush */
}

static int write_once(struct writer *writer, const void *data, size_t len)
{
    int err = name_temp(writer);
    if (err)
        return err;
    writer->fd =
        writer->calls->open(writer->temp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (writer->fd < 0)
        return -errno;
    err = fill_temp(writer, data, len);
    if (!err)
        err = put_in_place(writer);
    if (err)
        unlink(writer->temp);
    if (writer->calls->close(writer->fd) != 0 &&
        !err) /* it is renamed already: as much in place as it can be */
        err = -errno;
    return err ? err : flush_folder(writer);
}

int gw_atomic_write(const struct gw_file_calls *calls, const char *path, const void *data, size_t len,
                    enum gw_atomic_mode mode)
{
    struct writer writer = {.calls = calls ? calls : &gw_file_calls_system, .mode = mode};
    int err = name_parts(&writer, path);
    if (err)
        return err;
    sweep(&writer);
    for (unsigned tries = 0; tries < TRIES_MAX; tries++) {
        err = write_once(&writer, data, len);
        if (err != -ENOENT && err != -EWOULDBLOCK)
            break;
    }
    return err;
}

int gw_file_lock(const char *path)
{
    struct writer writer = {.mode = GW_ATOMIC_REPLACE};
    char lock[GW_DIR_PATH_MAX];
    int err = name_parts(&writer, path);
    if (err)
        return err;
    int len = snprintf(lock, sizeof lock, "%s/.%s.lock", writer.dir, writer.name);
    if (len < 0 || (size_t)len >= sizeof lock)
        return GW_E_TOO_BIG;
    int fd = open(lock, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return -errno;
    (void)keep_owner(&writer, fd);
    while (flock(fd, LOCK_EX) != 0) {
        if (errno == EINTR)
            continue;
        err = -errno;
        close(fd);
        return err;
    }
    return fd;
}
