/* SPDX-License-Identifier: MIT */
/* What `peergate dns doctor` and dns.system look at on a machine that others configured: the first byte chooses. 0: an answer of whoever is asked there; 1: resolv.conf as programs
 * understand it; 2: the machine's files, as  /etc/resolv.conf \0 /etc/nsswitch.conf \0 /usr/sbin/resolvconf. */
#include "frontends/dns/doctor.h"
#include "frontends/dns/system/facts.h"
#include "gateway/base/err.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_answer(const uint8_t *data, size_t size)
{
    struct gw_dns_probe probe = {.err = 0};
    gw_dns_probe_read(&probe, data, size);
    assert(probe.err == 0 || probe.err == GW_E_MALFORMED);
    assert(probe.err == 0 || (probe.answers == 0 && !probe.is_peergate));
    assert((probe.answers == 0) == (probe.address.family == 0));
    assert(probe.rcode < 16);
}

static void read_resolv_conf(const uint8_t *data, size_t size)
{
    struct gw_dns_resolv_conf conf;
    char *text = malloc(size + 1);
    if (!text)
        abort();
    if (size > 0)
        memcpy(text, data, size);
    text[size] = '\0';
    gw_dns_resolv_conf_parse(&conf, text);
    assert(conf.server_count <= GW_DNS_DOCTOR_SERVERS_MAX && conf.search_count <= GW_DNS_DOCTOR_SEARCH_MAX);
    for (unsigned i = 0; i < conf.server_count; i++)
        assert(gw_addr_is_set(&conf.servers[i]) && conf.servers[i].port == 53);
    for (unsigned i = 0; i < conf.search_count; i++)
        assert(conf.search[i][0] && memchr(conf.search[i], '\0', sizeof conf.search[i]));
    free(text);
}

/* ---- files */

static char root[] = "/tmp/peergate-fuzz-XXXXXX";
static const char *const folders[] = {"", "/etc", "/usr", "/usr/sbin"};
static const char *const files[] = {"/etc/resolv.conf", "/etc/nsswitch.conf", "/usr/sbin/resolvconf"};

static const char *under(const char *path)
{
    static char full[128];
    snprintf(full, sizeof full, "%s%s", root, path);
    return full;
}

static void remove_all(void)
{
    for (unsigned i = 0; i < 3; i++)
        unlink(under(files[i]));
    for (unsigned i = 4; i-- > 0;)
        rmdir(under(folders[i]));
}

static void look_at_files(const uint8_t *data, size_t size)
{
    struct gw_sysdns_facts facts;
    for (unsigned i = 0; i < 3; i++) {
        const uint8_t *end = size > 0 ? memchr(data, '\0', size) : NULL;
        size_t len = end && i < 2 ? (size_t)(end - data) : size;
        FILE *file = fopen(under(files[i]), "we");
        if (!file || fwrite(data, 1, len, file) != len || fclose(file) != 0)
            abort();
        len += end && i < 2;
        data += len, size -= len;
    }
    chmod(under(files[2]), 0700);
    gw_sysdns_look(&facts, root);
    assert(memchr(facts.link, '\0', sizeof facts.link));
    assert(facts.resolvconf == GW_SYSDNS_DEBIAN || facts.resolvconf == GW_SYSDNS_OPENRESOLV);
    assert(strcmp(facts.resolvconf_path, files[2]) == 0);
}

static void set_up(void)
{
    if (!mkdtemp(root))
        abort();
    for (unsigned i = 1; i < 4; i++)
        mkdir(under(folders[i]), 0700);
    atexit(remove_all);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static void (*const readers[])(const uint8_t *data, size_t size) = {read_answer, read_resolv_conf,
                                                                        look_at_files};
    static bool is_set_up;
    if (size < 1)
        return 0;
    if (!is_set_up)
        set_up();
    is_set_up = true;
    readers[data[0] % 3](data + 1, size - 1);
    return 0;
}
