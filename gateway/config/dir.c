/* SPDX-License-Identifier: MIT */
/* Folders and paths of a node's files: text, the environment, and mkdir. */
#include "gateway/config/dir.h"

#include "gateway/base/err.h"

#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

__attribute__((format(printf, 2, 3))) static int build(char out[GW_DIR_PATH_MAX], const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int len = vsnprintf(out, GW_DIR_PATH_MAX, format, args);
    va_end(args);
    return len >= 0 && len < GW_DIR_PATH_MAX ? 0 : GW_E_TOO_BIG;
}

/* $HOME, else the user database's; NULL when neither knows. */
static const char *home(void)
{
    const char *dir = getenv("HOME");
    if (dir && *dir == '/')
        return dir;
    const struct passwd *user = getpwuid(getuid());
    return user && user->pw_dir && *user->pw_dir == '/' ? user->pw_dir : NULL;
}

static int make_absolute(char out[GW_DIR_PATH_MAX], const char *dir)
{
    char here[GW_DIR_PATH_MAX];
    size_t len = strlen(dir);
    while (len > 1 && dir[len - 1] == '/')
        len--;
    if (*dir == '/')
        return build(out, "%.*s", (int)len, dir);
    if (!getcwd(here, sizeof here))
        return errno == ERANGE ? GW_E_TOO_BIG : -errno;
    return build(out, "%s/%.*s", strcmp(here, "/") == 0 ? "" : here, (int)len, dir);
}

static int choose_default(char out[GW_DIR_PATH_MAX])
{
    const char *xdg = getenv("XDG_CONFIG_HOME"), *dir;
    if (geteuid() == 0)
        return build(out, "/etc/peergate");
    if (xdg && *xdg == '/') /* relative ones are to be ignored, says its specification */
        return build(out, "%s/peergate", xdg);
    dir = home();
    return dir ? build(out, "%s/.config/peergate", dir) : -ENOENT;
}

int gw_dir_choose(char out[GW_DIR_PATH_MAX], const char *option)
{
    const char *environment = getenv("PEERGATE_DIR");
    if (option && *option)
        return make_absolute(out, option);
    if (environment && *environment)
        return make_absolute(out, environment);
    return choose_default(out);
}

int gw_dir_create(const char *dir)
{
    char path[GW_DIR_PATH_MAX];
    struct stat st;
    int err = build(path, "%s", dir);
    if (err)
        return err;
    for (char *slash = path + (*path == '/'); (slash = strchr(slash, '/')); slash++) {
        *slash = '\0';
        if (mkdir(path, 0700) != 0 && errno != EEXIST)
            return -errno;
        *slash = '/';
    }
    if (mkdir(path, 0700) == 0)
        return 0;
    if (errno != EEXIST)
        return -errno;
    if (stat(path, &st) != 0)
        return -errno;
    return S_ISDIR(st.st_mode) ? 0 : -ENOTDIR;
}

int gw_dir_resolve(char out[GW_DIR_PATH_MAX], const char *dir, const char *path)
{
    if (*path == '/')
        return build(out, "%s", path);
    if (path[0] == '~' && path[1] == '/')
        return home() ? build(out, "%s%s", home(), path + 1) : -ENOENT;
    if (strcmp(dir, ".") == 0)
        return build(out, "%s", path);
    return build(out, "%s/%s", strcmp(dir, "/") == 0 ? "" : dir, path);
}

int gw_dir_of_file(char out[GW_DIR_PATH_MAX], const char *path)
{
    const char *slash = strrchr(path, '/');
    if (!slash)
        return build(out, ".");
    if (slash == path)
        return build(out, "/");
    return build(out, "%.*s", (int)(slash - path), path);
}
