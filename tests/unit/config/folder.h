/* SPDX-License-Identifier: MIT */
/* A temporary folder of a test's own, removed with all that is in it. */
#ifndef TESTS_UNIT_CONFIG_FOLDER_H
#define TESTS_UNIT_CONFIG_FOLDER_H

#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define FOLDER_LEN 64
#define FILE_LEN 512

struct folder {
    char path[FOLDER_LEN];
};

static inline void folder_make(struct folder *folder)
{
    strcpy(folder->path, "/tmp/peergate-test-XXXXXX");
    assert_non_null(mkdtemp(folder->path));
}

static inline void folder_remove(struct folder *folder)
{
    char path[FILE_LEN];
    DIR *dir = opendir(folder->path);
    assert_non_null(dir);
    for (struct dirent *entry; (entry = readdir(dir));) {
        snprintf(path, sizeof path, "%s/%s", folder->path, entry->d_name);
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            assert_int_equal(unlink(path), 0);
    }
    closedir(dir);
    assert_int_equal(rmdir(folder->path), 0);
}

static inline const char *folder_file(const struct folder *folder, const char *name, char out[FILE_LEN])
{
    snprintf(out, FILE_LEN, "%s/%s", folder->path, name);
    return out;
}

static inline void file_write(const char *path, const char *text, size_t len, mode_t mode)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, len), (int)len);
    assert_int_equal(fchmod(fd, mode), 0);
    close(fd);
}

/* The whole file, NUL-terminated, at most out_len - 1 bytes; returns its length, or -1. */
static inline int file_read(const char *path, char *out, size_t out_len)
{
    int fd = open(path, O_RDONLY);
    if (fd < 0)
        return -1;
    ssize_t len = read(fd, out, out_len - 1);
    close(fd);
    assert_true(len >= 0);
    out[len] = '\0';
    return (int)len;
}

/* How many entries the folder has. */
static inline unsigned folder_count(const struct folder *folder)
{
    unsigned count = 0;
    DIR *dir = opendir(folder->path);
    assert_non_null(dir);
    for (struct dirent *entry; (entry = readdir(dir));)
        count += strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
    closedir(dir);
    return count;
}

#endif
