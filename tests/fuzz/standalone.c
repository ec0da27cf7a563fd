/* SPDX-License-Identifier: MIT */
/*
 * Runs a fuzz target without libFuzzer: once over the empty input and every file of the folders (or files) that are
 * named on the command line. This is how the corpus becomes a test under any compiler and sanitizer.
 */
#include <dirent.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define PATH_MAX_LEN 4096
#define INPUT_MAX_LEN (16L * 1024 * 1024)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int run_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    if (!file)
        goto cannot_read;
    if (fseek(file, 0, SEEK_END) != 0)
        goto cannot_read;

    long size = ftell(file);
    if (size < 0 || size > INPUT_MAX_LEN || fseek(file, 0, SEEK_SET) != 0)
        goto cannot_read;

    /* Exactly as large as the input, so that the address sanitizer sees the first byte too many. */
    size_t len = (size_t)size;
    uint8_t *data = malloc(len ? len : 1);
    if (!data || fread(data, 1, len, file) != len) {
        free(data);
        goto cannot_read;
    }
    fclose(file);
    LLVMFuzzerTestOneInput(data, len);
    free(data);
    return 0;

cannot_read:
    fprintf(stderr, "%s: %s\n", path, errno ? strerror(errno) : "too large");
    if (file)
        fclose(file);
    return 1;
}

/* Adds the number of inputs that ran to *count; returns how many could not be read. */
static int run_folder(const char *folder, unsigned *count)
{
    int failures = 0;
    DIR *dir = opendir(folder);
    if (!dir) {
        fprintf(stderr, "%s: %s\n", folder, strerror(errno));
        return 1;
    }
    for (struct dirent *entry; (entry = readdir(dir));) {
        char path[PATH_MAX_LEN];
        if (entry->d_name[0] == '.')
            continue;
        int len = snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name);
        if (len < 0 || (size_t)len >= sizeof(path)) {
            failures++;
            continue;
        }
        failures += run_file(path);
        ++*count;
    }
    closedir(dir);
    return failures;
}

int main(int argc, char **argv)
{
    int failures = 0;
    unsigned count = 0;

    LLVMFuzzerTestOneInput((const uint8_t *)"", 0);
    for (int i = 1; i < argc; i++) {
        struct stat st;
        if (stat(argv[i], &st) == 0 && !S_ISDIR(st.st_mode)) {
            failures += run_file(argv[i]);
            count++;
        } else {
            failures += run_folder(argv[i], &count);
        }
    }
    printf("%u inputs\n", count);
    return failures ? 1 : 0;
}
