/* SPDX-License-Identifier: MIT */
#include "frontends/dns/doctor.h"

#include "frontends/dns/message.h"
#include "gateway/base/err.h"

#include <stdarg.h>
#include <string.h>
#include <strings.h>

const char *const gw_dns_level_names[] = {"ok", "note", "wrong"};

/* ---- findings */

__attribute__((format(printf, 4, 5))) static void find(struct gw_dns_report *report, enum gw_dns_level level,
                                                       const char *advice, const char *format, ...)
{
    va_list args;
    if (report->count == GW_DNS_FINDINGS_MAX)
        return;
    struct gw_dns_finding *finding = &report->findings[report->count++];
    finding->level = level;
    snprintf(finding->advice, sizeof finding->advice, "%s", advice);
    va_start(args, format);
    vsnprintf(finding->what, sizeof finding->what, format, args);
    va_end(args);
}

static const char *rcode_word(unsigned rcode)
{
    static const char *const words[] = {"no error",        "a complaint about the question",
                                        "a failure",       "no such name",
                                        "not implemented", "a refusal"};
    return rcode < sizeof words / sizeof words[0] ? words[rcode] : "another code";
}

/* Do programs ask this address, by resolv.conf? */
static bool is_asked(const struct gw_dns_seen *seen, const struct gw_addr *server)
{
    for (unsigned i = 0; i < seen->conf.server_count; i++) {
        if (gw_addr_same_ip(&seen->conf.servers[i], server))
            return true;
    }
    return false;
}

static void judge_own(struct gw_dns_report *report, const struct gw_dns_probe *probe)
{
    char text[GW_ADDR_STRLEN];
    const char *where = gw_addr_format(&probe->server, text), *how = probe->is_tcp ? "TCP" : "UDP";
    if (probe->err)
        find(
            report, GW_DNS_WRONG,
            "is a firewall in between, or does another program hold the port? The daemon's log says where it listens",
            "our server at %s does not answer by %s: %s", where, how, gw_strerror(probe->err));
    else if (!probe->is_peergate)
        find(report, GW_DNS_WRONG,
             "another DNS server has this address: give `dns.listen` another port or address",
             "what answers at %s by %s is not ours", where, how);
    else
        find(report, GW_DNS_FINE, "", "our server answers at %s by %s", where, how);
}

static void judge_tun(struct gw_dns_report *report, const struct gw_dns_seen *seen,
                      const struct gw_dns_probe *probe, bool is_routed)
{
    char text[GW_ADDR_STRLEN];
    const char *where = gw_addr_format(&probe->server, text), *how = probe->is_tcp ? "TCP" : "UDP";
    if (probe->err == 0 && probe->is_peergate)
        find(report, GW_DNS_FINE, "", "our server answers in the tunnel at %s by %s", where, how);
    else if (!is_routed)
        find(
            report, is_asked(seen, &probe->server) ? GW_DNS_WRONG : GW_DNS_NOTE,
            "no route leads there, or another one than the TUN's: set `tun.routes`, or let the interface's owner add it",
            "packets to our server's address %s do not go into the TUN (%s)", where, how);
    else if (probe->err)
        find(report, GW_DNS_WRONG,
             "is the interface up, or does a firewall drop what comes from it? The daemon's log says more",
             "our server does not answer in the tunnel at %s by %s: %s", where, how, gw_strerror(probe->err));
    else
        find(report, GW_DNS_WRONG, "a host behind the tunnel has this address: set another `address_range`",
             "what answers in the tunnel at %s by %s is not ours", where, how);
}

static bool judge_daemon(struct gw_dns_report *report, const struct gw_dns_seen *seen)
{
    if (!seen->is_running)
        find(report, GW_DNS_WRONG, "start it: peergate up", "no daemon is running");
    else if (!seen->is_enabled)
        find(report, GW_DNS_WRONG, "set `dns: {enabled: true}` in config.yaml, then: peergate reload",
             "the daemon has no DNS server");
    for (unsigned i = 0; i < seen->own_count; i++)
        judge_own(report, &seen->own[i]);
    for (unsigned i = 0; i < seen->tun_count; i++)
        judge_tun(report, seen, &seen->tun[i], seen->is_tun_routed[i]);
    return seen->is_running && seen->is_enabled;
}

static bool is_stub(const struct gw_addr *server)
{
    return server->family == 4 && server->ip[0] == 127 && server->ip[1] == 0 && server->ip[2] == 0 &&
           (server->ip[3] == 53 || server->ip[3] == 54);
}

static const char *how_to_route(const struct gw_dns_seen *seen, const struct gw_dns_probe *probe)
{
    if (is_stub(&probe->server) || seen->has_resolved_stub)
        return "systemd-resolved answers here: it must send ~p2p to our server (resolvectl status shows its domains); set `dns.system: resolved`";
    return "this server knows nothing of p2p: let it forward p2p to ours, or name ours first in resolv.conf (`dns.system: resolv.conf`)";
}

/* true = who asks it reaches us. */
static bool judge_system_one(struct gw_dns_report *report, const struct gw_dns_seen *seen,
                             const struct gw_dns_probe *probe)
{
    char text[GW_ADDR_STRLEN];
    const char *where = gw_addr_format(&probe->server, text);
    if (probe->err == 0 && probe->is_peergate) {
        find(report, GW_DNS_FINE, "", "the system's server %s asks us for p2p", where);
        return true;
    }
    if (probe->err)
        find(report, GW_DNS_NOTE, "programs wait for it before they try the next one",
             "the system's server %s does not answer: %s", where, gw_strerror(probe->err));
    else
        find(report, GW_DNS_NOTE, how_to_route(seen, probe),
             "the system's server %s does not ask us for p2p: %s", where, rcode_word(probe->rcode));
    return false;
}

/* Do programs get what our server says of the name? */
static bool reaches_us(const struct gw_dns_seen *seen)
{
    const struct gw_addr *got = &seen->libc_address;
    return seen->libc_err == 0 && gw_addr_is_set(got) &&
           (gw_addr_same_ip(got, &seen->name_v4.address) || gw_addr_same_ip(got, &seen->name_v6.address));
}

static void judge_told(struct gw_dns_report *report, const struct gw_dns_seen *seen)
{
    const struct gw_dns_system *told = &seen->told;
    if (strcmp(told->state, "applied") == 0)
        find(report, GW_DNS_FINE, "", "%.300s", told->text);
    else if (strcmp(told->state, "working") == 0)
        find(report, GW_DNS_NOTE, "ask again in a few seconds", "the machine is being told of our server");
    else if (strcmp(told->state, "failed") == 0)
        find(report, reaches_us(seen) ? GW_DNS_NOTE : GW_DNS_WRONG, told->text,
             "nobody on this machine is told of our server%s%s",
             told->mechanism[0] && strcmp(told->mechanism, "off") != 0 ? " by " : "",
             strcmp(told->mechanism, "off") != 0 ? told->mechanism : "");
    else if (strcmp(told->state, "off") == 0 && !reaches_us(seen))
        find(report, GW_DNS_NOTE, "set `dns.system: auto` in config.yaml, then: peergate reload",
             "nobody on this machine is told of our server: `dns.system` is off");
}

static void judge_system(struct gw_dns_report *report, const struct gw_dns_seen *seen)
{
    unsigned good = 0;
    enum gw_dns_level level = seen->has_nss_resolve && reaches_us(seen) ? GW_DNS_NOTE : GW_DNS_WRONG;
    if (!seen->conf.is_there || seen->system_count == 0) {
        find(report, GW_DNS_WRONG, "without a nameserver line the C library asks 127.0.0.1", "resolv.conf %s",
             seen->conf.is_there ? "names no server" : "cannot be read");
        return;
    }
    for (unsigned i = 0; i < seen->system_count; i++)
        good += judge_system_one(report, seen, &seen->system[i]);
    if (good == 0)
        find(
            report, level,
            level == GW_DNS_NOTE
                ? "the C library asks systemd-resolved itself; programs that read resolv.conf (dig, Go's) miss ours"
            : seen->has_proxy
                ? "meanwhile the SOCKS5 proxy resolves our names by itself (socks5h)"
                : "see `dns.system` in config.yaml; a proxy (`socks` there) would resolve our names by itself (socks5h)",
            "no server in resolv.conf leads to ours");
    else if (!seen->system[0].is_peergate)
        find(report, level, "programs ask the first server; \"no such name\" from it is final",
             "the first server in resolv.conf does not lead to ours");
}

static void judge_upstreams(struct gw_dns_report *report, const struct gw_dns_seen *seen)
{
    char text[GW_ADDR_STRLEN];
    for (unsigned i = 0; i < seen->upstream_count; i++) {
        const struct gw_dns_probe *probe = &seen->upstreams[i];
        const char *where = gw_addr_format(&probe->server, text);
        if (probe->err)
            find(report, GW_DNS_WRONG, "names outside p2p wait for it; change `dns.upstreams`",
                 "upstream %s does not answer: %s", where, gw_strerror(probe->err));
        else if (probe->rcode != GW_DNS_NOERROR)
            find(report, GW_DNS_WRONG, "it does not resolve for us; change `dns.upstreams`",
                 "upstream %s answers with %s", where, rcode_word(probe->rcode));
        else
            find(report, GW_DNS_FINE, "", "upstream %s answers", where);
    }
}

static bool is_p2p(const char *name)
{
    size_t len = strlen(name);
    return len > 4 &&
           (strcasecmp(name + len - 4, ".p2p") == 0 || (len > 5 && strcasecmp(name + len - 5, ".p2p.") == 0));
}

/* Our server's answer without an address: the name is there, and nothing of the kind. */
static const char *why_no_address(const struct gw_dns_seen *seen)
{
    const char *dot = strchr(seen->name, '.');
    bool is_top = strcasecmp(seen->name, "p2p") == 0 || strcasecmp(seen->name, "p2p.") == 0;
    if (!is_top && !is_p2p(seen->name))
        return "";
    if (is_top || strncasecmp(dot, ".p2p", 4) == 0)
        return "a network's name alone is no host: put a host before it (`peergate peers` lists them)";
    if (seen->name[0] == '_')
        return "names with underscores are asked for SRV and TXT records, not for addresses";
    return "with a TUN only addresses are told that lead to the peer: give it a `tunnel_ip` or `allowed_ips`";
}

/* Any name below a host is the host's, whether there is such a service or not. */
static void judge_service(struct gw_dns_report *report, const struct gw_dns_seen *seen, const char *address)
{
    const struct gw_dns_wanted *wanted = &seen->wanted;
    char advice[sizeof report->findings[0].advice];
    switch (wanted->grant) {
    case GW_DNS_GRANT_NOT_ASKED:
    case GW_DNS_GRANTED:
        if (!wanted->is_silent)
            find(report, GW_DNS_FINE, "", "%s is %s", seen->name, address);
        else
            find(report, GW_DNS_WRONG, wanted->problem, "%s is %s, but nobody listens there for %s",
                 seen->name, address, wanted->service);
        break;
    case GW_DNS_BY_NAME:
        find(
            report, GW_DNS_WRONG,
            "there, give the service a `port` and `peergate reload`; the proxy and `peergate nc` reach it without",
            "%s is %s, but its service %s has no port", seen->name, address, wanted->service);
        break;
    case GW_DNS_NOT_GRANTED:
        snprintf(
            advice, sizeof advice,
            wanted->is_own
                ? "`peergate services` lists those it has; write it into config.yaml, under `services`, "
                  "then: peergate reload"
                : "`peergate services %.160s` lists those it may use; there, write it into `services`, and this node "
                  "into its `authorized_keys` if it has those, then: peergate reload",
            wanted->host);
        find(report, GW_DNS_WRONG, advice, "%s is %s, as is any name below %s, but %s no service %s%s",
             seen->name, address, wanted->host, wanted->is_own ? "this node has" : "it has", wanted->service,
             wanted->is_own ? "" : " for this node");
        break;
    case GW_DNS_GRANT_UNKNOWN:
        snprintf(advice, sizeof advice, "`peergate why %.200s` says how it is reached", wanted->host);
        find(report, GW_DNS_NOTE, advice,
             "%s is %s, as is any name below %s; whether it has a service %s for this node is not known: %s",
             seen->name, address, wanted->host, wanted->service, wanted->problem);
        break;
    }
}

static void judge_answer(struct gw_dns_report *report, const struct gw_dns_seen *seen)
{
    char text[GW_ADDR_STRLEN];
    const struct gw_dns_probe *probe =
        seen->name_v4.answers || !seen->name_v6.answers ? &seen->name_v4 : &seen->name_v6;
    if (probe->err)
        find(report, GW_DNS_WRONG, "", "our server says nothing about %s: %s", seen->name,
             gw_strerror(probe->err));
    else if (probe->rcode == GW_DNS_NXDOMAIN)
        find(report, GW_DNS_WRONG,
             is_p2p(seen->name) ? "`peergate peers` lists who is known, names.yaml gives more names"
                                : "the upstreams know no such name; ours end in .p2p",
             "nobody is called %s: our server answers NXDOMAIN", seen->name);
    else if (probe->rcode == GW_DNS_REFUSED && !strchr(seen->name, '.'))
        find(
            report, GW_DNS_WRONG,
            "a host's whole name is HOST.NETWORK.p2p (`peergate resolve` says it); with `dns.search: true` beside "
            "`dns.system` programs find the short one, too",
            "our server refuses %s, which has no network", seen->name);
    else if (probe->rcode == GW_DNS_REFUSED)
        find(report, GW_DNS_WRONG, "names outside p2p are refused without `dns.upstreams`",
             "our server refuses %s", seen->name);
    else if (probe->rcode != GW_DNS_NOERROR)
        find(report, GW_DNS_WRONG, "the upstreams could not tell", "our server answers %s with %s",
             seen->name, rcode_word(probe->rcode));
    else if (probe->answers == 0)
        find(report, GW_DNS_WRONG, why_no_address(seen),
             "%s exists, but has no address: our server answers NODATA", seen->name);
    else
        judge_service(report, seen, gw_addr_format_ip(&probe->address, text));
}

static bool is_led_to_us(const struct gw_dns_seen *seen)
{
    bool is_led = seen->has_nss_resolve && reaches_us(seen);
    for (unsigned i = 0; i < seen->system_count; i++)
        is_led |= seen->system[i].is_peergate;
    return is_led;
}

static void judge_libc(struct gw_dns_report *report, const struct gw_dns_seen *seen)
{
    char theirs[GW_ADDR_STRLEN], ours[GW_ADDR_STRLEN];
    bool we_know = seen->name_v4.answers || seen->name_v6.answers;
    if (seen->libc_err && we_know)
        find(report, GW_DNS_WRONG,
             is_led_to_us(seen) ? "is `dns` in the hosts line of /etc/nsswitch.conf?"
                                : "nobody whom it asks leads to our server, see above",
             "programs do not get %s: the C library finds nothing", seen->name);
    if (seen->libc_err || !we_know)
        return;
    if (gw_addr_same_ip(&seen->libc_address, &seen->name_v4.address) ||
        gw_addr_same_ip(&seen->libc_address, &seen->name_v6.address))
        find(report, GW_DNS_FINE, "", "programs get %s for %s",
             gw_addr_format_ip(&seen->libc_address, theirs), seen->name);
    else
        find(report, GW_DNS_WRONG,
             "is there a line for it in /etc/hosts, or a server that invents addresses?",
             "programs get %s for %s, not %s", gw_addr_format_ip(&seen->libc_address, theirs), seen->name,
             gw_addr_format_ip(&seen->name_v4.address, ours));
}

void gw_dns_doctor_judge(struct gw_dns_report *report, const struct gw_dns_seen *seen)
{
    *report = (struct gw_dns_report){0};
    snprintf(report->name, sizeof report->name, "%s", seen->name);
    bool is_serving = judge_daemon(report, seen);
    if (is_serving)
        judge_told(report, seen);
    judge_system(report, seen);
    judge_upstreams(report, seen);
    if (!is_serving || !seen->name[0])
        return;
    judge_answer(report, seen);
    judge_libc(report, seen);
}

bool gw_dns_report_is_good(const struct gw_dns_report *report)
{
    for (unsigned i = 0; i < report->count; i++) {
        if (report->findings[i].level == GW_DNS_WRONG)
            return false;
    }
    return true;
}
