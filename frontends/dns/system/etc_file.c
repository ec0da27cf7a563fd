/* SPDX-License-Identifier: MIT */
#include "frontends/dns/system/etc_file.h"

#include "gateway/base/err.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- reading */

static int read_all(int fd, char *text, size_t *len)
{
    *len = 0;
    for (;;) {
        ssize_t got = read(fd, text + *len, GW_ETC_FILE_MAX + 1 - *len);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return -errno;
        *len += (size_t)got;
        if (*len > GW_ETC_FILE_MAX)
            return GW_E_TOO_BIG;
        if (got == 0)
            return 0;
    }
}

int gw_etc_file_read(char **out, size_t *len, const char *path)
{
    struct stat st;
    *out = NULL;
    *len = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return -errno;
    int err = fstat(fd, &st) < 0 ? -errno : S_ISREG(st.st_mode) ? 0 : -EISDIR;
    char *text = err == 0 ? malloc(GW_ETC_FILE_MAX + 2) : NULL;
    if (err == 0)
        err = text ? read_all(fd, text, len) : GW_E_NOMEM;
    close(fd);
    if (err != 0) {
        free(text);
        *len = 0;
        return err;
    }
    text[*len] = '\0';
    *out = text;
    return 0;
}

/* ---- writing */

void gw_etc_file_flush_folder(const char *path)
{
    char folder[PATH_MAX];
    snprintf(folder, sizeof folder, "%s", path);
    char *slash = strrchr(folder, '/');
    if (!slash)
        return;
    slash[slash == folder] = '\0';
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return;
    (void)fsync(fd);
    close(fd);
}

static int fill(int fd, const char *text, size_t len)
{
    if (fchmod(fd, 0644) < 0)
        return -errno;
    while (len > 0) {
        ssize_t done = write(fd, text, len);
        if (done < 0 && errno == EINTR)
            continue;
        if (done <= 0)
            return done < 0 ? -errno : -EIO;
        text += done;
        len -= (size_t)done;
    }
    return fsync(fd) < 0 ? -errno : 0;
}

int gw_etc_file_replace(const char *path, const char *temp, const char *text, size_t len)
{
    if (unlink(temp) < 0 && errno != ENOENT)
        return -errno;
    int fd = open(temp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return -errno;
    int err = fill(fd, text, len);
    if (close(fd) < 0 && err == 0)
        err = -errno;
    if (err == 0 && rename(temp, path) < 0)
        err = -errno;
    if (err != 0)
        unlink(temp);
    else
        gw_etc_file_flush_folder(path);
    return err;
}

/* ---- words */

static bool is_immutable(const char *path)
{
    int flags = 0, fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW);
    bool is =
        fd >= 0 && ioctl(fd, FS_IOC_GETFLAGS, &flags) == 0 && (flags & (FS_IMMUTABLE_FL | FS_APPEND_FL)) != 0;
    if (fd >= 0)
        close(fd);
    return is;
}

const char *gw_etc_file_explain(const char *path, int err, char *out, size_t out_len)
{
    if (err == -EPERM && is_immutable(path))
        snprintf(out, out_len, "%s is immutable; if that is not on purpose: chattr -ia %s", path, path);
    else if (err == -EPERM || err == -EACCES)
        snprintf(out, out_len, "%s can be changed by root only, or is protected: %s", path, gw_strerror(err));
    else if (err == -EROFS)
        snprintf(out, out_len,
                 "%s is on a file system that is mounted read-only (in a systemd unit: ReadWritePaths=/etc)",
                 path);
    else if (err == -EBUSY || err == -EXDEV)
        snprintf(out, out_len,
                 "%s is a mount of its own, as in containers: whoever runs the container has to give it its "
                 "DNS servers (docker: --dns)",
                 path);
    else
        snprintf(out, out_len, "%s cannot be changed: %s", path, gw_strerror(err));
    return out;
}
