/* SPDX-License-Identifier: MIT */
/* Reading whole files, and what their permissions must be. The mode is that of the open file, not of a
 * name that may mean another one a moment later. */
#include "gateway/config/file.h"

#include "gateway/base/err.h"
#include "gateway/base/secret.h"
#include "gateway/config/dir.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define OTHERS_READ (S_IRGRP | S_IROTH)
#define OTHERS_WRITE (S_IWGRP | S_IWOTH)
#define SHELL_WORD_LEN (GW_DIR_PATH_MAX + 16)

char *gw_shell_word(const char *word, char *out, size_t out_len)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-+@%:,";
    size_t used = 0;
    if (*word && word[strspn(word, plain)] == '\0') {
        snprintf(out, out_len, "%s", word);
        return out;
    }
    for (const char *at = word; used + 7 < out_len && *at; at++) {
        if (used == 0)
            out[used++] = '\'';
        if (*at == '\'') {
            memcpy(out + used, "'\\''", 4);
            used += 4;
        } else {
            out[used++] = *at;
        }
    }
    snprintf(out + used, out_len - used, "%s", used == 0 ? "''" : "'");
    return out;
}

static int fail(const char *path, int err, struct gw_diag *diag)
{
    gw_diag_error(diag, path, 0, "%s", gw_strerror(err));
    return err;
}

/* Reads up to max + 1 bytes: the file may have grown since it was looked at. */
static int read_all(struct gw_file *out, int fd, size_t max)
{
    while (out->len <= max) {
        ssize_t got = read(fd, out->data + out->len, max + 1 - out->len);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return -errno;
        if (got == 0) {
            out->data[out->len] = '\0';
            return 0;
        }
        out->len += (size_t)got;
    }
    return GW_E_TOO_BIG;
}

static int read_open_file(struct gw_file *out, int fd, size_t max)
{
    struct stat st;
    if (fstat(fd, &st) != 0)
        return -errno;
    if (S_ISDIR(st.st_mode))
        return -EISDIR;
    if (!S_ISREG(st.st_mode))
        return GW_E_INVAL;
    if (st.st_size < 0 || (size_t)st.st_size > max)
        return GW_E_TOO_BIG;
    out->mode = st.st_mode & 07777;
    out->data = malloc(max + 2);
    if (!out->data)
        return GW_E_NOMEM;
    int err = read_all(out, fd, max);
    if (err)
        gw_file_free(out);
    return err;
}

static int say_why(const char *path, int err, size_t max, struct gw_diag *diag)
{
    if (err == GW_E_TOO_BIG)
        gw_diag_error(diag, path, 0, "larger than %zu bytes", max);
    else if (err == GW_E_INVAL)
        gw_diag_error(diag, path, 0, "not a file");
    else if (err && err != -ENOENT)
        fail(path, err, diag);
    return err;
}

int gw_file_read(struct gw_file *out, const char *path, size_t max, struct gw_diag *diag)
{
    *out = (struct gw_file){0};
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY); /* never waits for a FIFO's writer */
    if (fd < 0)
        return say_why(path, -errno, max, diag);
    int err = read_open_file(out, fd, max);
    close(fd);
    return say_why(path, err, max, diag);
}

void gw_file_free(struct gw_file *file)
{
    if (file->data)
        gw_wipe(file->data, file->len);
    free(file->data);
    *file = (struct gw_file){0};
}

int gw_file_check_mode(const char *path, mode_t mode, bool is_secret, struct gw_diag *diag)
{
    char word[SHELL_WORD_LEN];
    gw_shell_word(path, word, sizeof word);
    if (mode & OTHERS_WRITE && !is_secret) {
        gw_diag_error(diag, path, 0, "others may change this file (mode %04o): chmod go-w %s", (unsigned)mode,
                      word);
        return GW_E_PERMISSION;
    }
    if (is_secret && mode & (OTHERS_READ | OTHERS_WRITE)) {
        gw_diag_error(diag, path, 0, "others may %s this file (mode %04o): chmod 600 %s",
                      mode & OTHERS_READ ? "read" : "change", (unsigned)mode, word);
        return GW_E_PERMISSION;
    }
    return 0;
}

int gw_file_check_folder(const char *path, struct gw_diag *diag)
{
    char dir[GW_DIR_PATH_MAX], word[SHELL_WORD_LEN];
    struct stat st;
    int err = gw_dir_of_file(dir, path);
    if (!err && stat(dir, &st) != 0)
        err = -errno;
    if (err)
        return fail(path, err, diag);
    if (!(st.st_mode & OTHERS_WRITE) ||
        st.st_mode & S_ISVTX) /* in a sticky folder nobody replaces what is not his */
        return 0;
    gw_diag_error(diag, dir, 0, "others may change what is in this folder (mode %04o): chmod go-w %s",
                  (unsigned)(st.st_mode & 07777), gw_shell_word(dir, word, sizeof word));
    return GW_E_PERMISSION;
}
