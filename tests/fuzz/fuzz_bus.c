/* SPDX-License-Identifier: MIT */
/* What NetworkManager, and the bus itself, may say: well-formed D-Bus messages of any shape, made by the input, read by each of our readers. (The bytes on the bus are
 * libsystemd's to decode.) Input: which signature u8 | what the values are made of, a byte at a time. */
#include "frontends/dns/system/nm_global.h"
#include "frontends/dns/system/nm_servers.h"

#include <assert.h>
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define DEPTH_MAX 16u

static struct gw_sd_bus sd;
static struct {
    __typeof__(sd_bus_new) *new;
    __typeof__(sd_bus_set_fd) *set_fd;
    __typeof__(sd_bus_start) *start;
    __typeof__(sd_bus_message_seal) *seal;
    __typeof__(sd_bus_message_rewind) *rewind;
    __typeof__(sd_bus_message_append_basic) *append_basic;
} more;
static sd_bus *bus;

struct source {
    const uint8_t *data;
    size_t size;
};

static unsigned take(struct source *from)
{
    if (from->size == 0)
        return 0;
    from->size--;
    return *from->data++;
}

/* ---- the message */

static const char *make_text(struct source *from, char out[64])
{
    static const char *const words[] = {"org.freedesktop.NetworkManager.IP4Config",
                                        "org.freedesktop.NetworkManager.IP6Config",
                                        "NameserverData",
                                        "Nameservers",
                                        "address",
                                        "192.0.2.1",
                                        "2001:db8::1%2",
                                        "domains",
                                        "*",
                                        "servers",
                                        "",
                                        "org.freedesktop.resolve1"};
    unsigned which = take(from);
    if (which < sizeof words / sizeof *words)
        return words[which];
    size_t len = which % 64;
    for (size_t i = 0; i < len; i++)
        out[i] = (char)(1 + take(from) % 127); /* the library lets nothing through that is no UTF-8 */
    out[len] = '\0';
    return out;
}

static size_t type_len(const char *type)
{
    if (*type == 'a')
        return 1 + type_len(type + 1);
    if (*type != '(' && *type != '{')
        return 1;
    size_t len = 1;
    while (type[len] != ')' && type[len] != '}')
        len += type_len(type + len);
    return len + 1;
}

static void put(sd_bus_message *message, const char *type, struct source *from, unsigned depth);

static void put_all(sd_bus_message *message, const char *types, size_t len, struct source *from,
                    unsigned depth)
{
    for (size_t i = 0; i < len; i += type_len(types + i))
        put(message, types + i, from, depth);
}

static void put_array(sd_bus_message *message, const char *item, struct source *from, unsigned depth)
{
    char contents[32] = "";
    memcpy(contents, item, type_len(item));
    sd.message_open_container(message, 'a', contents);
    unsigned count = *item == 'y' ? take(from) % 20 : take(from) % 6;
    for (unsigned i = 0; i < count && from->size > 0; i++)
        put(message, item, from, depth + 1);
    sd.message_close_container(message);
}

static void put_variant(sd_bus_message *message, struct source *from, unsigned depth)
{
    static const char *const contents[] = {"s", "aa{sv}", "aay",    "a{sv}",   "as",  "u", "a{ss}", "ay", "o",
                                           "v", "au",     "aa{ss}", "(iayqs)", "aau", "b", "a{sas}"};
    const char *type = depth < DEPTH_MAX ? contents[take(from) % 16] : "u";
    sd.message_open_container(message, 'v', type);
    put(message, type, from, depth + 1);
    sd.message_close_container(message);
}

static void put(sd_bus_message *message, const char *type, struct source *from, unsigned depth)
{
    uint64_t number = 0;
    char text[64];
    switch (*type) {
    case 'a':
        put_array(message, type + 1, from, depth);
        break;
    case 'v':
        put_variant(message, from, depth);
        break;
    case '(':
    case '{': {
        char contents[32] = "";
        memcpy(contents, type + 1, type_len(type) - 2);
        sd.message_open_container(message, *type == '(' ? 'r' : 'e', contents);
        put_all(message, contents, strlen(contents), from, depth + 1);
        sd.message_close_container(message);
        break;
    }
    case 's':
        more.append_basic(message, 's', make_text(from, text));
        break;
    case 'o':
        more.append_basic(message, 'o', take(from) % 2 ? "/org/freedesktop/NetworkManager/IP4Config/1" : "/");
        break;
    default:
        number = take(from) % (*type == 'b' ? 2 : 256);
        more.append_basic(message, *type, &number);
        break;
    }
}

static sd_bus_message *make_message(struct source *from)
{
    static const char *const signatures[] = {"a{oa{sa{sv}}}", "v",     "sss", "a{sv}", "a{oa{sv}}", "",
                                             "ssv",           "a{os}", "s",   "vs"};
    const char *signature = signatures[take(from) % 10];
    sd_bus_message *message = NULL;
    if (sd.message_new_method_call(bus, &message, "a.b", "/", "a.b", "C") < 0)
        abort();
    put_all(message, signature, strlen(signature), from, 0);
    if (more.seal(message, 1, 0) < 0)
        abort();
    return message;
}

/* ---- the readers */

static void read_servers(struct gw_bus *ours, sd_bus_message *message)
{
    struct gw_addr servers[GW_SYSDNS_OLD_MAX];
    unsigned count = gw_nm_servers_read(ours, message, servers);
    assert(count <= GW_SYSDNS_OLD_MAX);
    for (unsigned i = 0; i < count; i++) {
        assert(gw_addr_is_set(&servers[i]) && servers[i].port == 53);
        assert(i == 0 || memcmp(&servers[i - 1], &servers[i], sizeof *servers) < 0);
    }
}

static void read_global(struct gw_bus *ours, sd_bus_message *message)
{
    char servers[GW_NM_SERVERS_LEN];
    memset(servers, 'x', sizeof servers);
    bool is_there = gw_nm_global_read(ours, message, servers);
    assert(memchr(servers, '\0', sizeof servers));
    assert(is_there || servers[0] == '\0');
}

static void read_owner(struct gw_bus *ours, sd_bus_message *message)
{
    (void)gw_bus_has_owner(ours, message);
}

static void set_up(void)
{
    int pair[2];
    void *library = dlopen("libsystemd.so.0", RTLD_NOW | RTLD_LOCAL);
    bool has_all = library != NULL;
#define FIND_IN(where, name, symbol) \
    has_all =                        \
        has_all &&                   \
        ((where).name = (__typeof__((where).name))(uintptr_t)dlsym(library, "sd_bus_" symbol)) != NULL;
#define FIND(name) FIND_IN(sd, name, #name)
    GW_SD_BUS_FUNCTIONS(FIND)
    FIND_IN(more, new, "new")
    FIND_IN(more, set_fd, "set_fd")
    FIND_IN(more, start, "start")
    FIND_IN(more, seal, "message_seal")
    FIND_IN(more, rewind, "message_rewind")
    FIND_IN(more, append_basic, "message_append_basic")
    if (!has_all || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0 || more.new(&bus) < 0 ||
        more.set_fd(bus, pair[0], pair[0]) < 0 || more.start(bus) < 0)
        abort();
}

typedef void reader(struct gw_bus *ours, sd_bus_message *message);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static reader *const readers[] = {read_servers, read_global, read_owner};
    struct source from = {data, size};
    struct gw_bus ours = {.sd = &sd};
    if (!bus)
        set_up();
    sd_bus_message *message = make_message(&from);
    for (unsigned i = 0; i < sizeof readers / sizeof *readers; i++) {
        more.rewind(message, 1);
        readers[i](&ours, message);
    }
    sd.message_unref(message);
    return 0;
}
