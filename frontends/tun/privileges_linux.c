/* SPDX-License-Identifier: MIT */
/* Linux capabilities by their system calls: three sets and the bounding set. */
#include "frontends/tun/privileges.h"

#include <errno.h>
#include <linux/capability.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define BIT(capability) (UINT64_C(1) << (capability))

struct sets {
    uint64_t effective, permitted, inheritable;
};

static int get(struct sets *sets)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2] = {0};
    if (syscall(SYS_capget, &header, data) < 0)
        return -errno;
    sets->effective = data[0].effective | (uint64_t)data[1].effective << 32;
    sets->permitted = data[0].permitted | (uint64_t)data[1].permitted << 32;
    sets->inheritable = data[0].inheritable | (uint64_t)data[1].inheritable << 32;
    return 0;
}

static int set(const struct sets *sets)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2] = {
        {(uint32_t)sets->effective, (uint32_t)sets->permitted, (uint32_t)sets->inheritable},
        {(uint32_t)(sets->effective >> 32), (uint32_t)(sets->permitted >> 32),
         (uint32_t)(sets->inheritable >> 32)}};
    return syscall(SYS_capset, &header, data) < 0 ? -errno : 0;
}

static uint64_t capabilities(unsigned keep)
{
    uint64_t bits = 0;
    if (keep & GW_PRIVILEGE_NET_ADMIN)
        bits |= BIT(CAP_NET_ADMIN);
    if (keep & GW_PRIVILEGE_FILES)
        bits |= BIT(CAP_DAC_OVERRIDE);
    return bits;
}

/* What is not in here no exec brings back. Needs CAP_SETPCAP, so it comes first; without it there is little to drop. */
static void drop_bounding(uint64_t keep)
{
    for (unsigned long i = 0; i < 64 && prctl(PR_CAPBSET_READ, i, 0, 0, 0) >= 0; i++) {
        if (!(keep & BIT(i)))
            (void)prctl(PR_CAPBSET_DROP, i, 0, 0, 0);
    }
}

int gw_privileges_drop(unsigned keep)
{
    struct sets sets;
    uint64_t kept = capabilities(keep);
    int err = get(&sets);
    if (err == 0 && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        err = -errno;
    if (err != 0)
        return err;
    drop_bounding(kept);
    (void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    sets = (struct sets){.effective = sets.permitted & kept, .permitted = sets.permitted & kept};
    return set(&sets);
}

unsigned gw_privileges_held(void)
{
    struct sets sets;
    unsigned held = 0;
    if (get(&sets) != 0)
        return 0;
    held |= sets.effective & BIT(CAP_NET_ADMIN) ? GW_PRIVILEGE_NET_ADMIN : 0;
    held |= sets.effective & BIT(CAP_DAC_OVERRIDE) ? GW_PRIVILEGE_FILES : 0;
    return held;
}
