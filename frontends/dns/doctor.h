/* SPDX-License-Identifier: MIT */
/* `peergate dns doctor`: what answers what on this machine, and why a name fails. Looking (probe.c, blocking, for the command line) is apart from
 * judging (doctor.c, sans-IO) and from telling (report.c). */
#ifndef FRONTENDS_DNS_DOCTOR_H
#define FRONTENDS_DNS_DOCTOR_H

#include "gateway/wire/addr.h"

#include <jansson.h>
#include <stdio.h>

#define GW_DNS_DOCTOR_SERVERS_MAX 8u
#define GW_DNS_DOCTOR_SEARCH_MAX 6u
#define GW_DNS_FINDINGS_MAX 48u

/* resolv.conf, as far as it matters. */
struct gw_dns_resolv_conf {
    bool is_there;
    struct gw_addr servers[GW_DNS_DOCTOR_SERVERS_MAX]; /* with port 53 */
    unsigned server_count;
    char search[GW_DNS_DOCTOR_SEARCH_MAX][256];
    unsigned search_count;
    unsigned ndots;
};
/* Text as in resolv.conf(5); what makes no sense is passed over. */
void gw_dns_resolv_conf_parse(struct gw_dns_resolv_conf *out, const char *text);

/* One question to one server. */
struct gw_dns_probe {
    struct gw_addr server;
    bool is_tcp;
    int err; /* 0 = something came back, else -errno (-ETIMEDOUT, -ECONNREFUSED ...) or GW_E_MALFORMED */
    unsigned rcode;
    bool is_authoritative;
    bool is_peergate; /* the answer has our SOA, or an address of it was given with authority */
    unsigned answers;
    struct gw_addr address; /* the first; family 0 = none */
};

/* What an answer says, into a probe that was zeroed; err is GW_E_MALFORMED when it is no message. */
void gw_dns_probe_read(struct gw_dns_probe *probe, const uint8_t *answer, size_t len);

/* Our server's address in the TUN. */
struct gw_dns_tun_server {
    struct gw_addr address;
    bool is_routed; /* this machine's packets to it go into the TUN, from an address of ours */
};

/* What `dns.system` has come to, as the daemon tells it. */
struct gw_dns_system {
    char state[16];     /* "off", "working", "applied", "failed"; "" = not known */
    char mechanism[16]; /* "resolved", ... */
    char text[512];
};

/* The service that a name below a host says, and what is known of it beside DNS, where every such name is the host's. */
enum gw_dns_grant {
    GW_DNS_GRANT_NOT_ASKED, /* the name says none */
    GW_DNS_GRANTED,
    GW_DNS_BY_NAME, /* ... but it has no port, so that an address is not enough */
    GW_DNS_NOT_GRANTED,
    GW_DNS_GRANT_UNKNOWN, /* who could tell does not answer */
};
struct gw_dns_wanted {
    enum gw_dns_grant grant;
    bool is_own;    /* the host is this node itself */
    bool is_silent; /* granted, and the virtual router could not listen for it */
    char service[64], host[256];
    char problem[256]; /* of GW_DNS_GRANT_UNKNOWN: what is in the way; of is_silent: what to do */
};

struct gw_dns_seen {
    char name[256];  /* what is asked for, e.g. "home.demo.p2p" */
    bool is_running; /* is there a daemon? */
    bool is_enabled; /* does it have a DNS server? */
    struct gw_dns_probe
        own[GW_DNS_DOCTOR_SERVERS_MAX]; /* p2p's SOA, UDP and TCP of each address it listens on */
    unsigned own_count;
    struct gw_dns_probe tun[GW_DNS_DOCTOR_SERVERS_MAX]; /* the same of each address that it has in the TUN */
    bool is_tun_routed[GW_DNS_DOCTOR_SERVERS_MAX];
    unsigned tun_count;
    struct gw_dns_resolv_conf conf;
    struct gw_dns_system told;
    bool has_resolved_stub;                                /* systemd-resolved runs */
    bool has_nss_resolve;                                  /* the C library asks it without resolv.conf */
    bool has_proxy;                                        /* `socks` is configured */
    struct gw_dns_probe system[GW_DNS_DOCTOR_SERVERS_MAX]; /* p2p's SOA, of each server in resolv.conf */
    unsigned system_count;
    struct gw_dns_probe upstreams[GW_DNS_DOCTOR_SERVERS_MAX]; /* the root's NS, of each upstream of ours */
    unsigned upstream_count;
    struct gw_dns_wanted wanted;          /* the caller's to set: zero = not asked */
    struct gw_dns_probe name_v4, name_v6; /* the name, of the first of our addresses that answers */
    int libc_err;                         /* getaddrinfo's result for the name */
    struct gw_addr libc_address;
};

enum gw_dns_level { GW_DNS_FINE, GW_DNS_NOTE, GW_DNS_WRONG };
extern const char *const gw_dns_level_names[3]; /* "ok", "note", "wrong" */

struct gw_dns_finding {
    enum gw_dns_level level;
    char what[320];
    char advice[320]; /* "" = none */
};

struct gw_dns_report {
    char name[256];
    struct gw_dns_finding findings[GW_DNS_FINDINGS_MAX];
    unsigned count;
};

struct gw_dns_look {
    const char *name;
    bool is_running, is_enabled;
    const struct gw_addr *own, *upstreams;
    const struct gw_dns_tun_server *tun;
    unsigned own_count, upstream_count, tun_count;
    struct gw_dns_system told;
    bool has_nss_resolve, has_proxy;
    const char *resolv_conf; /* NULL = /etc/resolv.conf */
    int timeout_ms;          /* of each question; 0 = 1500 */
};

/* Blocks for at most the timeout for each server. */
void gw_dns_doctor_look(struct gw_dns_seen *seen, const struct gw_dns_look *what);
void gw_dns_doctor_judge(struct gw_dns_report *report, const struct gw_dns_seen *seen);
/* Is anything wrong? */
bool gw_dns_report_is_good(const struct gw_dns_report *report);
void gw_dns_report_print(const struct gw_dns_report *report, FILE *out);
/* {"ok": true, "name": "...", "findings": [{"level": "ok", "what": "...", "advice": "..." or null}]}; NULL without memory. */
json_t *gw_dns_report_json(const struct gw_dns_report *report);

#endif
