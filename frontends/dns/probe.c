/* SPDX-License-Identifier: MIT */
/* Looks at this machine's resolving: asks each server a question of its own and waits. For the command line only: it blocks. */
#include "frontends/dns/doctor.h"

#include "frontends/dns/message.h"
#include "gateway/base/err.h"

#include <errno.h>
#include <ldns/ldns.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#define TIMEOUT_MS 1500

/* ---- one question */

static int dial(const struct gw_addr *server, bool is_tcp, int timeout_ms)
{
    struct sockaddr_storage ss;
    struct timeval wait = {timeout_ms / 1000, timeout_ms % 1000 * 1000};
    socklen_t len = (socklen_t)gw_addr_to_sockaddr(server, &ss);
    int fd = socket(server->family == 6 ? AF_INET6 : AF_INET,
                    (is_tcp ? SOCK_STREAM : SOCK_DGRAM) | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof wait);
    if (connect(fd, (const struct sockaddr *)&ss, len) == 0)
        return fd;
    int err = errno == EINPROGRESS || errno == EAGAIN ? -ETIMEDOUT : -errno;
    close(fd);
    return err;
}

/* The length of what came back, or -errno. */
static ssize_t exchange(int fd, bool is_tcp, const uint8_t *query, size_t len, uint8_t *answer, size_t cap)
{
    uint8_t head[2];
    gw_store16_be(head, (uint16_t)len);
    if ((is_tcp && send(fd, head, 2, MSG_NOSIGNAL | MSG_MORE) < 0) || send(fd, query, len, MSG_NOSIGNAL) < 0)
        return -errno;
    ssize_t n = 0;
    size_t wanted = cap;
    if (is_tcp) {
        n = recv(fd, head, 2, MSG_WAITALL);
        wanted = gw_load16_be(head) < cap ? gw_load16_be(head) : cap;
        if (n == 2)
            n = recv(fd, answer, wanted, MSG_WAITALL);
    } else {
        n = recv(fd, answer, wanted, 0);
    }
    if (n < 0)
        return errno == EAGAIN ? -ETIMEDOUT : -errno;
    return n > 0 ? n : -ECONNRESET;
}

static bool has_our_soa(const ldns_rr_list *list)
{
    for (size_t i = 0; i < ldns_rr_list_rr_count(list); i++) {
        const ldns_rr *rr = ldns_rr_list_rr(list, i);
        if (ldns_rr_get_type(rr) != LDNS_RR_TYPE_SOA || ldns_rr_rd_count(rr) < 1)
            continue;
        char *text = ldns_rdf2str(ldns_rr_rdf(rr, 0));
        bool is_ours = text && strcmp(text, "ns.p2p.") == 0;
        free(text);
        if (is_ours)
            return true;
    }
    return false;
}

static void take_address(struct gw_dns_probe *probe, const ldns_rr *rr)
{
    bool is_v4 = ldns_rr_get_type(rr) == LDNS_RR_TYPE_A;
    if ((!is_v4 && ldns_rr_get_type(rr) != LDNS_RR_TYPE_AAAA) || ldns_rr_rd_count(rr) != 1)
        return;
    probe->answers++;
    if (gw_addr_is_set(&probe->address))
        return;
    probe->address.family = is_v4 ? 4 : 6;
    memcpy(probe->address.ip, ldns_rdf_data(ldns_rr_rdf(rr, 0)), is_v4 ? 4 : 16);
}

void gw_dns_probe_read(struct gw_dns_probe *probe, const uint8_t *answer, size_t len)
{
    ldns_pkt *pkt;
    if (ldns_wire2pkt(&pkt, answer, len) != LDNS_STATUS_OK) {
        probe->err = GW_E_MALFORMED;
        return;
    }
    probe->rcode = ldns_pkt_get_rcode(pkt);
    probe->is_authoritative = ldns_pkt_aa(pkt);
    probe->is_peergate = has_our_soa(ldns_pkt_answer(pkt)) || has_our_soa(ldns_pkt_authority(pkt));
    for (size_t i = 0; i < ldns_rr_list_rr_count(ldns_pkt_answer(pkt)); i++)
        take_address(probe, ldns_rr_list_rr(ldns_pkt_answer(pkt), i));
    ldns_pkt_free(pkt);
}

static uint8_t *make_query(const char *name, enum gw_dns_type type, size_t *len)
{
    uint8_t *wire = NULL;
    ldns_rdf *owner = ldns_dname_new_frm_str(name);
    ldns_pkt *pkt = owner ? ldns_pkt_query_new(owner, (ldns_rr_type)type, LDNS_RR_CLASS_IN, LDNS_RD) : NULL;
    if (pkt)
        ldns_pkt_set_random_id(pkt);
    if (pkt && ldns_pkt2wire(&wire, pkt, len) != LDNS_STATUS_OK)
        wire = NULL;
    ldns_pkt_free(pkt);
    return wire;
}

static void ask(struct gw_dns_probe *probe, const struct gw_addr *server, bool is_tcp, const char *name,
                enum gw_dns_type type, int timeout_ms)
{
    uint8_t answer[4096];
    size_t len;
    *probe = (struct gw_dns_probe){.server = *server, .is_tcp = is_tcp};
    uint8_t *query = make_query(name, type, &len);
    int fd = query ? dial(server, is_tcp, timeout_ms) : GW_E_INVAL;
    ssize_t n = fd >= 0 ? exchange(fd, is_tcp, query, len, answer, sizeof answer) : fd;
    if (n < 0)
        probe->err = (int)n;
    else
        gw_dns_probe_read(probe, answer, (size_t)n);
    if (fd >= 0)
        close(fd);
    free(query);
}

/* ---- the machine */

static void read_resolv_conf(struct gw_dns_resolv_conf *out, const char *path)
{
    char text[16384];
    FILE *file = fopen(path, "re");
    *out = (struct gw_dns_resolv_conf){0};
    if (!file)
        return;
    text[fread(text, 1, sizeof text - 1, file)] = '\0';
    fclose(file);
    gw_dns_resolv_conf_parse(out, text);
}

static void ask_libc(struct gw_dns_seen *seen)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found = NULL;
    seen->libc_err = getaddrinfo(seen->name, NULL, &hints, &found);
    if (seen->libc_err == 0 && gw_addr_from_sockaddr(&seen->libc_address, found->ai_addr) != 0)
        seen->libc_err = EAI_NONAME;
    if (found)
        freeaddrinfo(found);
}

static void look_at_own(struct gw_dns_seen *seen, const struct gw_dns_look *what, int timeout_ms)
{
    for (unsigned i = 0; i < what->own_count && seen->own_count + 2 <= GW_DNS_DOCTOR_SERVERS_MAX; i++) {
        ask(&seen->own[seen->own_count++], &what->own[i], false, "p2p.", GW_DNS_SOA, timeout_ms);
        ask(&seen->own[seen->own_count++], &what->own[i], true, "p2p.", GW_DNS_SOA, timeout_ms);
    }
}

static void look_at_tun(struct gw_dns_seen *seen, const struct gw_dns_look *what, int timeout_ms)
{
    for (unsigned i = 0; i < what->tun_count && seen->tun_count + 2 <= GW_DNS_DOCTOR_SERVERS_MAX; i++) {
        for (int is_tcp = 0; is_tcp < 2; is_tcp++) {
            seen->is_tun_routed[seen->tun_count] = what->tun[i].is_routed;
            ask(&seen->tun[seen->tun_count++], &what->tun[i].address, is_tcp, "p2p.", GW_DNS_SOA, timeout_ms);
        }
    }
}

static const struct gw_dns_probe *first_good(const struct gw_dns_probe *probes, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        if (!probes[i].is_tcp && probes[i].err == 0 && probes[i].is_peergate)
            return &probes[i];
    }
    return NULL;
}

/* Of an address that is dead it would only be learned again that it is. */
static void look_for_name(struct gw_dns_seen *seen, int timeout_ms)
{
    const struct gw_dns_probe *whom = first_good(seen->own, seen->own_count);
    if (!whom)
        whom = first_good(seen->tun, seen->tun_count);
    if (!whom && seen->own_count > 0)
        whom = &seen->own[0];
    if (!whom || !seen->name[0])
        return;
    ask(&seen->name_v4, &whom->server, false, seen->name, GW_DNS_A, timeout_ms);
    ask(&seen->name_v6, &whom->server, false, seen->name, GW_DNS_AAAA, timeout_ms);
    ask_libc(seen);
}

void gw_dns_doctor_look(struct gw_dns_seen *seen, const struct gw_dns_look *what)
{
    int timeout_ms = what->timeout_ms > 0 ? what->timeout_ms : TIMEOUT_MS;
    *seen = (struct gw_dns_seen){.is_running = what->is_running,
                                 .is_enabled = what->is_enabled,
                                 .told = what->told,
                                 .has_nss_resolve = what->has_nss_resolve,
                                 .has_proxy = what->has_proxy};
    snprintf(seen->name, sizeof seen->name, "%s", what->name ? what->name : "");
    read_resolv_conf(&seen->conf, what->resolv_conf ? what->resolv_conf : "/etc/resolv.conf");
    seen->has_resolved_stub = access("/run/systemd/resolve/stub-resolv.conf", F_OK) == 0;
    look_at_own(seen, what, timeout_ms);
    look_at_tun(seen, what, timeout_ms);
    look_for_name(seen, timeout_ms);
    for (unsigned i = 0; i < seen->conf.server_count; i++)
        ask(&seen->system[seen->system_count++], &seen->conf.servers[i], false, "p2p.", GW_DNS_SOA,
            timeout_ms);
    for (unsigned i = 0; i < what->upstream_count && i < GW_DNS_DOCTOR_SERVERS_MAX; i++)
        ask(&seen->upstreams[seen->upstream_count++], &what->upstreams[i], false, ".", GW_DNS_NS, timeout_ms);
}
