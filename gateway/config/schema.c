/* SPDX-License-Identifier: MIT */
/* The tables. A new key is one line here and one member in config.h; docs/CONFIG.md is printed from here
 * (`peergate config reference`). */
#include "gateway/config/schema.h"

#include "gateway/config/config.h"

#include <assert.h>
#include <string.h>

#define KILOBYTE 1000LL
#define MEGABYTE (1000 * KILOBYTE)
#define GIGABYTE (1000 * MEGABYTE)
#define TEXT_MAX 255
#define PORT_MAX 65535
#define MODE_MAX 0777

/* The loader stores every enum through an int. */
static_assert(sizeof(enum gw_seal_policy) == sizeof(int), "enums are ints");
static_assert(sizeof(enum gw_log_level) == sizeof(int), "enums are ints");
static_assert(sizeof(enum gw_config_expose) == sizeof(int), "enums are ints");
static_assert(sizeof(struct gw_any_list) == sizeof(((struct gw_config_network *)0)->peers),
              "all lists have one shape");

#define AT(type, member) .offset = offsetof(type, member)
#define ROOT(member) AT(struct gw_config, member)
#define NETWORK(member) AT(struct gw_config_network, member)
#define PEER(member) AT(struct gw_config_peer, member)
#define SERVICE(member) AT(struct gw_config_service, member)
#define FEDERATION(member) AT(struct gw_config_federation_peer, member)
#define INHERITS(from, type, member) .inherits = GW_INHERITS_##from, .inherits_offset = offsetof(type, member)
#define RANGE(low, high) .min = (low), .max = (high)
/* What becomes of a change at a reload; the rest is in schema.h. */
#define NOW .reload = GW_RELOAD_NOW
#define LATER .reload = GW_RELOAD_LATER
#define RESTART .reload = GW_RELOAD_RESTART
#define DEPENDS .reload = GW_RELOAD_DEPENDS
#define NOTHING .reload = GW_RELOAD_NOTHING
/* clang-format off */
#define END {.name = NULL}
/* clang-format on */

/* ---- words */

static const struct gw_choice lanes[] = {{"auto", GW_CONFIG_LANES_AUTO}, {NULL, 0}};
static const struct gw_choice seals[] = {
    {"auto", GW_SEAL_AUTO}, {"required", GW_SEAL_REQUIRED}, {"forbidden", GW_SEAL_FORBIDDEN}, {NULL, 0}};
static const struct gw_choice hellos[] = {{"auto", GW_HELLO_AUTO}, {"never", GW_HELLO_NEVER}, {NULL, 0}};
static const struct gw_choice congestions[] = {{"bbr", GW_CC_BBR}, {"cubic", GW_CC_CUBIC}, {NULL, 0}};
static const struct gw_choice paths[] = {
    {"auto", GW_PATH_AUTO}, {"direct", GW_PATH_DIRECT}, {"relay", GW_PATH_RELAY}, {NULL, 0}};
static const struct gw_choice roles[] = {
    {"dynamic", GW_CONFIG_ROLE_DYNAMIC}, {"anchor", GW_CONFIG_ROLE_ANCHOR}, {NULL, 0}};
static const struct gw_choice own_roles[] = {{"dynamic", GW_CONFIG_ROLE_DYNAMIC},
                                             {"anchor", GW_CONFIG_ROLE_ANCHOR},
                                             {"auto", GW_CONFIG_ROLE_AUTO},
                                             {NULL, 0}};
static const struct gw_choice protocols[] = {{"tcp", GW_CONFIG_TCP}, {"udp", GW_CONFIG_UDP}, {NULL, 0}};
static const struct gw_choice classes[] = {{"auto", GW_CONFIG_CLASS_WISHED},
                                           {"interactive", GW_CLASS_INTERACTIVE},
                                           {"normal", GW_CLASS_NORMAL},
                                           {"bulk", GW_CLASS_BULK},
                                           {NULL, 0}};
static const struct gw_choice others[] = {
    {"reject", GW_CONFIG_OTHERS_REJECT}, {"direct", GW_CONFIG_OTHERS_DIRECT}, {NULL, 0}};
static const struct gw_choice dns_systems[] = {{"off", GW_CONFIG_DNS_OFF},
                                               {"auto", GW_CONFIG_DNS_AUTO},
                                               {"resolved", GW_CONFIG_DNS_RESOLVED},
                                               {"networkmanager", GW_CONFIG_DNS_NETWORKMANAGER},
                                               {"resolvconf", GW_CONFIG_DNS_RESOLVCONF},
                                               {"resolv.conf", GW_CONFIG_DNS_RESOLV_CONF},
                                               {NULL, 0}};
static const struct gw_choice exposes[] = {
    {"services", GW_CONFIG_EXPOSE_SERVICES}, {"host", GW_CONFIG_EXPOSE_HOST}, {NULL, 0}};
static const struct gw_choice trusts[] = {
    {"one_way", GW_CONFIG_TRUST_ONE_WAY}, {"full", GW_CONFIG_TRUST_FULL}, {NULL, 0}};
static const struct gw_choice port_mappings[] = {
    {"auto", GW_CONFIG_PORT_MAPPING_AUTO}, {"off", GW_CONFIG_PORT_MAPPING_OFF}, {NULL, 0}};
static const struct gw_choice levels[] = {{"error", GW_LOG_ERROR},
                                          {"warn", GW_LOG_WARN},
                                          {"info", GW_LOG_INFO},
                                          {"debug", GW_LOG_DEBUG},
                                          {NULL, 0}};

/* ---- sections */

static const struct gw_key log_keys[] = {
    {"level", GW_TYPE_ENUM, ROOT(log.level), NOW, .choices = levels, .fallback = "info",
     .doc = "The least important messages that are logged. What strangers send is only logged at `debug`."},
    {"hide_addresses", GW_TYPE_BOOL, ROOT(log.hide_addresses), NOW, .fallback = "false",
     .doc = "Leave IP addresses out of the log."},
    END};
static const struct gw_section log_section = {.keys = log_keys};

static const struct gw_key control_keys[] = {
    {"socket", GW_TYPE_PATH, ROOT(control.socket), RESTART, .fallback = "control.sock",
     .doc = "The unix socket that `peergate status` and the other commands speak to the daemon through."},
    {"mode", GW_TYPE_MODE, ROOT(control.mode), RESTART, RANGE(0, MODE_MAX), .fallback = "0600",
     .doc = "The socket's file mode. Who may write to it rules the daemon."},
    END};
static const struct gw_section control_section = {.keys = control_keys};

static const struct gw_key protocol_keys[] = {
    {"keepalive_interval", GW_TYPE_DURATION, NETWORK(protocol.keepalive_ns), NOW, RANGE(0, GW_S(3600)),
     .fallback = "20s", .further = GW_FURTHER_COMMON,
     .doc =
         "How often a session is kept open through NAT; 0: never. Three without an answer: stale. With anchors, only while connections to the peer are open: it is found again when it is needed."},
    {"connection_timeout", GW_TYPE_DURATION, NETWORK(protocol.connection_timeout_ns), LATER,
     RANGE(GW_S(5), GW_S(3600)), .fallback = "75s", .further = GW_FURTHER_COMMON,
     .doc = "How long a peer may be silent when it should answer before the session is made anew."},
    {"punch_timeout", GW_TYPE_DURATION, NETWORK(protocol.punch_timeout_ns), LATER, RANGE(GW_S(1), GW_S(60)),
     .fallback = "10s", .further = GW_FURTHER_COMMON,
     .doc = "How long one attempt to reach a peer through NAT may take."},
    {"max_punch_attempts", GW_TYPE_INT, NETWORK(protocol.max_punch_attempts), LATER, RANGE(0, 100),
     .fallback = "5", .further = GW_FURTHER_COMMON,
     .doc = "How many such attempts are made before traffic stays on the relay."},
    END};
static const struct gw_section protocol_section = {.keys = protocol_keys};

static const struct gw_key security_keys[] = {
    {"authorized_keys_file", GW_TYPE_PATH, NETWORK(security.authorized_keys_file), NOW,
     .fallback = "authorized_keys", .further = GW_FURTHER_OWN,
     .doc =
         "Who may connect: one peer ID a line, with options before it (`services=\"ssh,web\"`, `expires=\"2027-01-01\"`, "
         "`revoked=\"yes\"`, with commas between them) and a comment after it. A line for one of `peers` says what that one "
         "may use, and when it has expired or says `revoked`, that it may not connect. With `services` a peer gets those alone: no other port, and nothing of `tun.subnets`."},
    END};
static const struct gw_section security_section = {.keys = security_keys};

static const struct gw_key tun_keys[] = {
    {"enabled", GW_TYPE_BOOL, ROOT(tun.enabled), RESTART, .fallback = "false",
     .doc = "Make the network interface `name`, so that every program reaches the peers by address."},
    {"fd", GW_TYPE_INT, ROOT(tun.fd), RESTART, RANGE(0, 1000000), .fallback = "0", .fallback_doc = "none",
     .doc =
         "An open TUN (on Linux made with IFF_NO_PI) that the daemon is started with, instead of making one: its number as a file descriptor."},
    {"mtu", GW_TYPE_INT, ROOT(tun.mtu), RESTART, RANGE(1280, PORT_MAX), .fallback = "1380",
     .doc = "The interface's MTU."},
    {"routes", GW_TYPE_BOOL, ROOT(tun.routes), NOW, .fallback = "true",
     .doc =
         "Make routes for the peers' `allowed_ips`, and the rules that keep what the daemon itself says (firewall mark 0x3067) out of an exit node's tunnel. Addresses are always set."},
    {"accelerate", GW_TYPE_BOOL, ROOT(tun.accelerate), LATER, .fallback = "false",
     .doc =
         "TCP from this machine to peers of ours ends here and goes on as a flow to their services, by port, which keeps its speed on lossy links; the service sees its own machine as the client. What they do not list goes by packets."},
    {"subnets", GW_TYPE_PREFIX, GW_LIST, ROOT(tun.subnets), NOW, .max_count = GW_CONFIG_SUBNETS_MAX,
     .doc =
         "Networks behind this machine whose packets may enter the tunnel too; others are dropped. Peers reach them, unless their rights are limited to some services (`authorized_keys`): those only answer what is begun from there."},
    END};
static const struct gw_section tun_section = {.keys = tun_keys};

static const struct gw_key dns_keys[] = {
    {"enabled", GW_TYPE_BOOL, ROOT(dns.enabled), NOW, .fallback = "false",
     .doc =
         "Answer DNS queries for the peers' names, `HOST.NETWORK.p2p`. With a TUN also at offset 53 of `address_range` (10.64.0.53) and at fd83:e128:5e51::53, port 53, for this machine and `dns.allowed`."},
    {"listen", GW_TYPE_HOSTPORT, GW_LIST, ROOT(dns.listen), NOW, RANGE(0, PORT_MAX), .max_count = 8,
     .fallback = "127.0.0.1:5300", .doc = "The IP addresses and ports to answer on, by UDP and TCP."},
    {"allowed", GW_TYPE_PREFIX, GW_LIST, ROOT(dns.allowed), NOW, .max_count = 32,
     .doc = "Who may ask, beside this machine itself. Others get no answer."},
    {"upstreams", GW_TYPE_HOSTPORT, GW_LIST, ROOT(dns.upstreams), NOW, RANGE(1, PORT_MAX), .max_count = 8,
     .doc =
         "The DNS servers (IP:PORT) that other names are asked of. Without any, other names are refused; or, where `system` can only have every name asked of this server, go to those that the machine asked before. With an exit node they are asked through it, unless they are in a network that this machine is in; names that the node itself needs (endpoints, proxies, STUN servers) are asked outside. With `system` and systemd-resolved every name is then asked of this server."},
    {"rate", GW_TYPE_INT, ROOT(dns.rate), NOW, RANGE(1, 1000000), .fallback = "1000",
     .doc = "How many answers a second one IPv4 address or IPv6 /64 gets by UDP."},
    {"system", GW_TYPE_ENUM, ROOT(dns.system), NOW, .choices = dns_systems, .fallback = "off",
     .doc =
         "Who is told to ask this server, as long as the daemon runs. `auto`: whichever of the next three manages the machine."},
    {"search", GW_TYPE_BOOL, ROOT(dns.search), NOW, .fallback = "false",
     .doc = "With `system`, let bare names be looked up as `NAME.NETWORK.p2p` too."},
    END};
static const struct gw_section dns_section = {.keys = dns_keys};

static const struct gw_key virtual_router_keys[] = {
    {"enabled", GW_TYPE_BOOL, ROOT(virtual_router.enabled), NOW, INHERITS(OWN, struct gw_config, dns.enabled),
     .fallback_doc = "`dns.enabled`",
     .doc =
         "Without a TUN, listen for each peer on an address of its own in 127.64.0.0/16, with the ports of its services."},
    END};
static const struct gw_section virtual_router_section = {.keys = virtual_router_keys};

static const struct gw_key netstack_keys[] = {
    {"max_connections", GW_TYPE_INT, ROOT(netstack.max_connections), RESTART, RANGE(16, 100000),
     .fallback = "2000", .doc = "TCP connections that end here as packets or begin here as such, together."},
    {"max_half_open", GW_TYPE_INT, ROOT(netstack.max_half_open), RESTART, RANGE(16, 100000),
     .fallback = "256",
     .doc =
         "Those in the middle of their handshake. When they are too many, the oldest of the peer that has most goes."},
    {"max_associations", GW_TYPE_INT, ROOT(netstack.max_associations), RESTART, RANGE(16, 100000),
     .fallback = "4096", .doc = "UDP senders that are remembered; the one that was silent for longest goes."},
    END};
static const struct gw_section netstack_section = {.keys = netstack_keys};

static const struct gw_key user_keys[] = {{"name", GW_TYPE_TEXT, AT(struct gw_config_user, name), LATER,
                                           RANGE(1, TEXT_MAX), .doc = "The user's name."},
                                          {"password", GW_TYPE_TEXT, AT(struct gw_config_user, password),
                                           LATER, RANGE(1, TEXT_MAX), .is_secret = true, .is_required = true,
                                           .doc = "The user's password. `NAME: PASSWORD` is the short form."},
                                          END};
static const struct gw_section user_section = {
    .keys = user_keys, .size = sizeof(struct gw_config_user), .named_key = "name", .short_key = "password"};

static const struct gw_key socks_keys[] = {
    {"listen", GW_TYPE_SOCKET, GW_LIST, ROOT(socks.listen), NOW, RANGE(0, PORT_MAX), .max_count = 16,
     .doc = "Where programs reach the proxy (SOCKS5 and HTTP on one port). Without it there is none."},
    {"mode", GW_TYPE_MODE, ROOT(socks.mode), NOW, RANGE(0, MODE_MAX), .fallback = "0600",
     .doc = "The file mode of its unix sockets."},
    {"username", GW_TYPE_TEXT, ROOT(socks.username), LATER, RANGE(1, TEXT_MAX),
     .doc = "The one user, if there is only one. Needs `password`."},
    {"password", GW_TYPE_TEXT, ROOT(socks.password), LATER, RANGE(1, TEXT_MAX), .is_secret = true,
     .doc = "The one user's password."},
    {"users", GW_TYPE_SECTION, GW_NAMED, ROOT(socks.users), LATER, .section = &user_section,
     .max_count = 1000, .doc = "Users and passwords. With any user, a password is asked for."},
    {"others", GW_TYPE_ENUM, ROOT(socks.others), LATER, .choices = others, .fallback = "reject",
     .doc = "What becomes of destinations that are not ours: refuse them, or connect directly."},
    {"allow", GW_TYPE_RULE, GW_LIST, ROOT(socks.allow), LATER, .max_count = 1000,
     .doc =
         "With `others: direct`, the only destinations that are connected to directly. Empty: all but this machine's own addresses."},
    {"deny", GW_TYPE_RULE, GW_LIST, ROOT(socks.deny), LATER, .max_count = 1000,
     .doc = "With `others: direct`, destinations that are refused, whatever `allow` says."},
    {"http", GW_TYPE_BOOL, ROOT(socks.http), LATER, .fallback = "true",
     .doc = "Understand HTTP proxy requests on the same port."},
    {"timeout", GW_TYPE_DURATION, ROOT(socks.timeout_ns), LATER, RANGE(GW_S(1), GW_S(3600)),
     .fallback = "30s",
     .doc =
         "How long a connection to a peer may take to be made, the proxy's own handshake included; also for `nc` and `forward`."},
    END};
static const struct gw_section socks_section = {.keys = socks_keys};

static const struct gw_key name_keys[] = {
    {"name", GW_TYPE_LABEL, AT(struct gw_config_name, name), NOW, .doc = "The name."},
    {"peer_id", GW_TYPE_PEER_ID, AT(struct gw_config_name, peer_id), NOW, .is_required = true,
     .doc = "The peer's peer ID. `NAME: PEER_ID` is the short form."},
    END};
static const struct gw_section name_section = {
    .keys = name_keys,
    .size = sizeof(struct gw_config_name),
    .named_key = "name",
    .short_key = "peer_id",
    .has_line = true,
    .line_offset = offsetof(struct gw_config_name, line),
};

static const struct gw_key federation_peer_keys[] = {
    {"network_name", GW_TYPE_LABEL, FEDERATION(network_name), NOTHING, .is_required = true,
     .doc = "The other network's name. Must be given."},
    {"relay", GW_TYPE_TEXT, FEDERATION(relay), NOTHING, RANGE(1, 1000),
     .doc = "Where its anchor is reached."},
    {"trust_level", GW_TYPE_ENUM, FEDERATION(trust_level), NOTHING, .choices = trusts, .fallback = "one_way",
     .doc = "Whether only we reach them, or they us as well."},
    END};
static const struct gw_section federation_peer_section = {
    .keys = federation_peer_keys,
    .size = sizeof(struct gw_config_federation_peer),
    .has_line = true,
    .line_offset = offsetof(struct gw_config_federation_peer, line),
};
static const struct gw_key federation_keys[] = {
    {"peers", GW_TYPE_SECTION, GW_LIST, ROOT(federation_peers), NOTHING, .section = &federation_peer_section,
     .max_count = 100, .doc = "Other networks. Read and kept; not acted on yet."},
    END};
static const struct gw_section federation_section = {.keys = federation_keys};

static const struct gw_key service_keys[] = {
    {"name", GW_TYPE_LABEL, SERVICE(name), NOW, .doc = "The service's name."},
    {"enabled", GW_TYPE_BOOL, SERVICE(enabled), NOW, .fallback = "true",
     .doc = "Whether peers can reach it."},
    {"local_address", GW_TYPE_SOCKET, SERVICE(local_address), NOW, RANGE(1, PORT_MAX), .is_required = true,
     .doc = "Where it really is. Must be given."},
    {"protocol", GW_TYPE_ENUM, SERVICE(protocol), NOW, .choices = protocols, .fallback = "tcp",
     .doc = "TCP connections or UDP datagrams."},
    {"port", GW_TYPE_INT, SERVICE(port), NOW, RANGE(0, PORT_MAX),
     .fallback_doc = "the port of `local_address`",
     .doc = "The port that peers may ask for instead of the name; 0: by name only."},
    {"authorized_keys", GW_TYPE_PATH, SERVICE(authorized_keys), NOW,
     .doc = "A file that says for this service alone who may use it, instead of the global one."},
    {"class", GW_TYPE_ENUM, SERVICE(class), LATER, .choices = classes, .fallback = "auto",
     .doc =
         "Who goes first when the link is full. `auto`: as the one who opens the flow wishes (`peergate nc --class`; by "
         "itself interactive for ssh, telnet, rdp and vnc, else normal)."},
    END};
static const struct gw_section service_section = {
    .keys = service_keys,
    .size = sizeof(struct gw_config_service),
    .named_key = "name",
    .has_line = true,
    .line_offset = offsetof(struct gw_config_service, line),
};

static const struct gw_key peer_keys[] = {
    {"name", GW_TYPE_TEXT, PEER(name), NOW, RANGE(1, GW_PEER_NAME_MAX),
     .doc = "What the peer is called here, and as a host name when it is made of letters, digits and `-`."},
    {"peer_id", GW_TYPE_PEER_ID, PEER(peer_id), NOW,
     .doc = "Its peer ID. Either this or `public_key` must be given."},
    {"public_key", GW_TYPE_KEY, PEER(public_key), NOW,
     .doc =
         "Its X25519 public key, as WireGuard writes it: for stock WireGuard peers, and ours without a peer ID."},
    {"preshared_key", GW_TYPE_SECRET, GW_LIST, PEER(preshared_keys), LATER, .max_count = GW_PSK_MAX,
     .is_secret = true,
     .doc = "A secret that both sides have on top of their keys. Several while one replaces another."},
    {"role", GW_TYPE_ENUM, PEER(role), NOW, .choices = roles, .fallback = "dynamic",
     .doc = "An anchor is reachable from anywhere and helps others to find each other."},
    {"endpoint", GW_TYPE_HOSTPORT, GW_LIST, PEER(endpoints), NOW, RANGE(1, PORT_MAX),
     .max_count = GW_PEER_ENDPOINTS_MAX,
     .doc = "Where it may be reached. Names are looked up again when the peer does not answer."},
    {"tunnel_ip", GW_TYPE_IP, GW_LIST, PEER(tunnel_ips), NOW, .max_count = 2,
     .doc = "Its own virtual addresses."},
    {"allowed_ips", GW_TYPE_PREFIX, GW_LIST, PEER(allowed_ips), NOW, .max_count = GW_PEER_ALLOWED_IPS_MAX - 4,
     .doc = "What lies behind it: packets to these prefixes go to it, packets from it must come from them."},
    {"anchors", GW_TYPE_TEXT, GW_LIST, PEER(anchors), NOW, RANGE(1, TEXT_MAX), .max_count = 16,
     .doc =
         "The anchors to find it through, and those only: names, peer IDs or public keys of some of `anchors`."},
    {"keepalive_interval", GW_TYPE_DURATION, PEER(keepalive_ns), NOW, RANGE(0, GW_S(3600)),
     INHERITS(OUTER, struct gw_config_network, protocol.keepalive_ns),
     .fallback_doc = "`protocol.keepalive_interval`",
     .doc =
         "As there, for this peer; another one than there holds even while the peer is not used and anchors can find it."},
    {"seal", GW_TYPE_ENUM, PEER(seal), NOW, .choices = seals, INHERITS(OUTER, struct gw_config_network, seal),
     .fallback_doc = "`seal`", .doc = "As there, for this peer."},
    {"hello", GW_TYPE_ENUM, PEER(hello), NOW, .choices = hellos, .fallback = "auto",
     .doc = "`never`: treat it as a stock WireGuard peer without asking."},
    {"path", GW_TYPE_ENUM, PEER(path), NOW, .choices = paths, .fallback = "auto",
     .doc =
         "`direct`: no data passes a relay, in or out, only what finds the direct way; `relay`: never direct, and the peer is told none of this node's addresses."},
    {"congestion", GW_TYPE_ENUM, PEER(congestion), LATER, .choices = congestions,
     INHERITS(OUTER, struct gw_config_network, congestion), .fallback_doc = "`congestion`",
     .doc = "As there, for this peer."},
    {"tls_port", GW_TYPE_INT, PEER(tls_port), LATER, RANGE(0, PORT_MAX), .fallback = "443",
     .doc = "Of an anchor, as in `anchors`."},
    {"tls_name", GW_TYPE_TEXT, PEER(tls_name), LATER, RANGE(1, GW_CARRIER_NAME_MAX),
     .doc = "Of an anchor, as in `anchors`."},
    {"eager", GW_TYPE_BOOL, PEER(eager), NOW, .fallback = "false",
     .doc =
         "Connect at the start, not when first needed. Without anchors a peer with a keepalive is connected anyway."},
    END};
static const struct gw_section peer_section = {
    .keys = peer_keys,
    .size = sizeof(struct gw_config_peer),
    .has_line = true,
    .line_offset = offsetof(struct gw_config_peer, line),
    .either = {"peer_id", "public_key"},
};

static const struct gw_key anchors_keys[] = {
    {"name", GW_TYPE_TEXT, PEER(name), NOW, RANGE(1, GW_PEER_NAME_MAX),
     .doc = "What the anchor is called here."},
    {"peer_id", GW_TYPE_PEER_ID, PEER(peer_id), NOW,
     .doc = "Its peer ID. Either this or `public_key` must be given."},
    {"public_key", GW_TYPE_KEY, PEER(public_key), NOW, .doc = "Its X25519 public key."},
    {"preshared_key", GW_TYPE_SECRET, GW_LIST, PEER(preshared_keys), LATER, .max_count = GW_PSK_MAX,
     .is_secret = true, .doc = "As for peers."},
    {"endpoint", GW_TYPE_HOSTPORT, GW_LIST, PEER(endpoints), NOW, RANGE(1, PORT_MAX), .is_required = true,
     .max_count = GW_PEER_ENDPOINTS_MAX, .doc = "Where it is reached. Must be given."},
    {"keepalive_interval", GW_TYPE_DURATION, PEER(keepalive_ns), NOW, RANGE(GW_S(5), GW_S(3600)),
     .fallback = "25s",
     .doc =
         "How often the anchor is told that this node is still there. More often where the NAT is found to forget sooner, down to 5s: being reachable goes first. Less often, up to 85s, where it is found to remember for longer and another anchor is registered with."},
    {"tls_port", GW_TYPE_INT, PEER(tls_port), LATER, RANGE(0, PORT_MAX), .fallback = "443",
     .doc =
         "The TCP port where it takes TLS connections, which are tried when it does not answer by UDP; 0: none are made."},
    {"tls_name", GW_TYPE_TEXT, PEER(tls_name), LATER, RANGE(1, GW_CARRIER_NAME_MAX),
     .fallback_doc = "the endpoint's name",
     .doc =
         "The name that such a connection says it is for (SNI), which some networks look at. It need not be the anchor's: the certificate proves nothing, the session inside does."},
    END};
static const struct gw_section anchors_section = {
    .keys = anchors_keys,
    .size = sizeof(struct gw_config_peer),
    .has_line = true,
    .line_offset = offsetof(struct gw_config_peer, line),
    .either = {"peer_id", "public_key"},
};

static const struct gw_key anchor_keys[] = {
    {"tls", GW_TYPE_HOSTPORT, GW_LIST, NETWORK(anchor.tls), NOW, RANGE(1, PORT_MAX), .max_count = 4,
     .doc =
         "Where TLS connections of peers are taken whose networks block UDP, `[::]:443` for every address: IP:PORT. They look like HTTPS, and carry what otherwise goes by UDP."},
    {"certificate", GW_TYPE_PATH, NETWORK(anchor.certificate), LATER,
     .fallback_doc = "one of its own that nobody has signed",
     .doc =
         "A PEM file with the certificate that those connections show, and behind it those that signed it: for who looks on, or asks by HTTPS; peers go by the session inside. Needs `key`. Both files are read again at each reload, for connections from then on."},
    {"key", GW_TYPE_PATH, NETWORK(anchor.key), LATER,
     .doc =
         "A PEM file with the certificate's private key, without a passphrase. It should be its owner's alone (`chmod 600`)."},
    {"relay", GW_TYPE_BOOL, NETWORK(anchor.relay), NOW, .fallback = "true",
     .doc =
         "Carry what two peers say to each other (sealed, and unreadable here) where they have no direct way."},
    {"rate", GW_TYPE_BYTES, NETWORK(anchor.rate), NOW, RANGE(0, 100 * GIGABYTE), .fallback = "0",
     .doc = "How much of that a second, for each pair of peers; 0: no limit."},
    {"total_rate", GW_TYPE_BYTES, NETWORK(anchor.total_rate), NOW, RANGE(0, 100 * GIGABYTE), .fallback = "0",
     .doc = "How much of that a second in all; 0: no limit."},
    {"volume", GW_TYPE_BYTES, NETWORK(anchor.volume), NOW, RANGE(0, 1000000 * GIGABYTE), .fallback = "0",
     .doc = "How much of that an hour, for each pair of peers; 0: no limit."},
    {"max_channels", GW_TYPE_INT, NETWORK(anchor.max_channels), LATER, RANGE(1, 100000), .fallback = "10000",
     .doc = "How many pairs of peers at a time."},
    {"max_tags", GW_TYPE_INT, NETWORK(anchor.max_tags), LATER, RANGE(1, 1024), .fallback = "256",
     .doc = "Through how many pairs one peer may be found: one for each peer that it knows."},
    {"directory", GW_TYPE_TEXT, NETWORK(anchor.directory), RESTART, RANGE(1, TEXT_MAX), .is_secret = true,
     .fallback_doc = "its own memory",
     .doc =
         "A Redis that several anchors share (`redis://[:PASSWORD@]IP:PORT[/DATABASE]` or `unix://PATH`): "
         "peers of one are then found by, and reach, those of another. Without it, or while it is away, an "
         "anchor has its own peers only. Needs `fleet_key`, and `advertise` where the others do not reach "
         "this node at an interface's address."},
    {"fleet_key", GW_TYPE_SECRET, NETWORK(anchor.fleet_key), RESTART, .is_secret = true,
     .doc =
         "The key of all anchors that share a directory, the same at each, as `peergate genkey` prints it. "
         "What they leave there is sealed with it."},
    END};
static const struct gw_section anchor_section = {.keys = anchor_keys};

/* ---- a network */

static const struct gw_key network_keys[] = {
    {"hostname", GW_TYPE_LABEL, NETWORK(hostname), RESTART, .fallback_doc = "the machine's name",
     .further = GW_FURTHER_COMMON,
     .doc = "What this node is called: peers reach it as `HOSTNAME.NETWORK.p2p`."},
    {"network", GW_TYPE_LABEL, NETWORK(name), RESTART, .fallback = "mesh", .further = GW_FURTHER_OWN,
     .doc = "The name of the network that it is in."},
    {"port", GW_TYPE_INT, NETWORK(port), RESTART, RANGE(0, PORT_MAX), .fallback = "51820",
     .doc = "The UDP port, for IPv4 and IPv6; 0: any that is free."},
    {"listen", GW_TYPE_IP, GW_LIST, NETWORK(listen), RESTART, .max_count = 2,
     .fallback = "0.0.0.0, ::", .doc = "The local addresses that the port is opened on, one of each family."},
    {"identity", GW_TYPE_PATH, NETWORK(identity), RESTART, .fallback = "identity.key",
     .further = GW_FURTHER_OWN, .doc = "The file with this node's Ed25519 key."},
    {"private_key", GW_TYPE_SECRET, NETWORK(private_key), RESTART, .is_secret = true,
     .doc = "An X25519 key for the tunnel instead of the identity's own, as `peergate genkey` prints it."},
    {"address", GW_TYPE_ADDRESS, GW_LIST, NETWORK(addresses), NOW, .max_count = 2,
     .doc = "This node's own virtual addresses, one of each family."},
    {"address_range", GW_TYPE_PREFIX, NETWORK(address_range), NOW, .fallback = "10.64.0.0/16",
     .doc =
         "Where peers without a `tunnel_ip` get their virtual IPv4 addresses from: a prefix of 8 to 28 bits."},
    {"alias_range", GW_TYPE_PREFIX, NETWORK(alias_range), NOW,
     .fallback_doc = "`address_range`, or a free one where another network of this node has that already",
     .doc =
         "Where `address_range` is on this machine: a prefix of the same length that no other network of this node has."},
    {"seal", GW_TYPE_ENUM, NETWORK(seal), NOW, .choices = seals, .fallback = "auto",
     .further = GW_FURTHER_COMMON,
     .doc = "Fast encryption (AEGIS) between our own nodes: where both have the hardware, always, or never."},
    {"congestion", GW_TYPE_ENUM, NETWORK(congestion), LATER, .choices = congestions, .fallback = "bbr",
     .further = GW_FURTHER_COMMON, .doc = "Congestion control of streams."},
    {"role", GW_TYPE_ENUM, NETWORK(role), RESTART, .choices = own_roles, .fallback = "dynamic",
     .doc =
         "`anchor`: reachable from anywhere, and every peer that this node knows may find the peers it "
         "shares with others through it. `auto`: that while there is neither a NAT nor a firewall before it, as an anchor "
         "of its own finds out, or `advertise` is set."},
    {"relay", GW_TYPE_BOOL, NETWORK(relay), RESTART, .fallback = "false",
     .doc =
         "Relay between the `peers` of this node that have no direct way and no anchor to help them: sealed, and unreadable here. "
         "They are told, find each other through this node, and need nothing in their configuration. "
         "`anchor.rate`, `total_rate`, `volume` and `max_channels` are the limits."},
    {"anchor", GW_TYPE_SECTION, .section = &anchor_section},
    {"anchors", GW_TYPE_SECTION, GW_LIST, NETWORK(anchors), NOW, .section = &anchors_section, .max_count = 8,
     .doc = "The anchors that peers without an `endpoint` are found through. They may use no service here."},
    {"advertise", GW_TYPE_HOSTPORT, GW_LIST, NETWORK(advertise), NOW, RANGE(1, PORT_MAX), .max_count = 4,
     .doc =
         "Addresses (IP:PORT) that this node is reached at from outside, by a port forwarded to it for example. "
         "Peers are told them, beside those that are found out."},
    {"stun", GW_TYPE_HOSTPORT, GW_LIST, NETWORK(stun), NOW, RANGE(1, PORT_MAX), .max_count = 8,
     .doc =
         "STUN servers (HOST:PORT) that are asked where they see this node; peers are told. One with two addresses also tells what kind of NAT it is (`peergate netcheck`). Anchors do the same: none is needed where there are two."},
    {"tls_proxy", GW_TYPE_TEXT, NETWORK(tls_proxy), LATER, RANGE(1, TEXT_MAX), .is_secret = true,
     .fallback_doc = "`https_proxy` and `no_proxy` of the environment",
     .doc =
         "The HTTP proxy that TLS connections to anchors go through, http://[USER:PASSWORD@]HOST:PORT, where a network lets nothing else out; `none`: straight, whatever the environment says."},
    {"port_mapping", GW_TYPE_ENUM, NETWORK(port_mapping), NOW, .choices = port_mappings, .fallback = "auto",
     .doc =
         "`auto`: where this machine has only private IPv4 addresses, ask the router to forward the port to it, by PCP, NAT-PMP or UPnP; and where it has a global IPv6 address, to let the port through its firewall, by PCP. Peers are told. It ends with the daemon."},
    {"protocol", GW_TYPE_SECTION, .section = &protocol_section},
    {"security", GW_TYPE_SECTION, .section = &security_section},
    {"peers", GW_TYPE_SECTION, GW_LIST, NETWORK(peers), NOW, .section = &peer_section, .max_count = 4096,
     .doc =
         "The peers that this node knows. Each may use every service, unless it has a line in "
         "`authorized_keys`: then what that says. A line that has expired or says `revoked` makes it a stranger, whose "
         "session ends; one that cannot be read gives it no service."},
    {"services", GW_TYPE_SECTION, GW_NAMED, NETWORK(services), NOW, .section = &service_section,
     .max_count = 1000,
     .doc = "What peers may reach here, by name. Nothing that is not listed is reachable."},
    {"expose", GW_TYPE_ENUM, NETWORK(expose), NOW, .choices = exposes, .fallback = "services",
     .doc =
         "What packets to this node's virtual addresses reach: `services` only, by their ports, or every port of "
         "this `host` and what it forwards to, for peers whose rights are not limited to some services."},
    END};
static const struct gw_section network_section = {
    .keys = network_keys,
    .size = sizeof(struct gw_config_network),
    .has_line = true,
    .line_offset = offsetof(struct gw_config_network, line),
};

/* ---- the file */

static const struct gw_key root_keys[] = {
    {"", GW_TYPE_SECTION, GW_INLINE, ROOT(top), .section = &network_section},
    {"name", GW_TYPE_TEXT, ROOT(interface), RESTART, RANGE(1, 15), .fallback = "peer0",
     .doc = "The network interface's name, where one is made."},
    {"memory", GW_TYPE_BYTES, ROOT(memory), NOW, RANGE(4 * MEGABYTE, 1000 * GIGABYTE), .fallback = "64MB",
     .doc = "What all streams together may hold in buffers."},
    {"busy_poll", GW_TYPE_DURATION, ROOT(busy_poll_ns), NOW, RANGE(0, GW_S(10)), .fallback = "0s",
     .doc =
         "How long after traffic the daemon goes on asking for more instead of sleeping, so that answers need not wait until it is woken. It "
         "keeps one core fully busy meanwhile, and none when nothing has come or gone for that long. 0: off."},
    {"lanes", GW_TYPE_INT, ROOT(lanes), DEPENDS, RANGE(0, GW_CONFIG_LANES_MAX), .choices = lanes,
     .fallback = "0",
     .doc =
         "How many threads carry the TUN's packets beside the main one; 0: the main one does it. `auto`: 2 on 4 processors or more, else 0. There are none beside `tun.accelerate`, and they sleep whatever `busy_poll` says."},
    {"log", GW_TYPE_SECTION, .section = &log_section},
    {"control", GW_TYPE_SECTION, .section = &control_section},
    {"socks", GW_TYPE_SECTION, .section = &socks_section},
    {"tun", GW_TYPE_SECTION, .section = &tun_section},
    {"dns", GW_TYPE_SECTION, .section = &dns_section},
    {"virtual_router", GW_TYPE_SECTION, .section = &virtual_router_section},
    {"netstack", GW_TYPE_SECTION, .section = &netstack_section},
    {"names", GW_TYPE_SECTION, GW_NAMED, ROOT(names), NOW, .section = &name_section, .max_count = 4096,
     .doc =
         "The owner's own names for peers that `peers` or authorized_keys has, as in names.yaml, which goes before them."},
    {"federation", GW_TYPE_SECTION, .section = &federation_section},
    {"networks", GW_TYPE_SECTION, GW_LIST, ROOT(networks), NOW, .section = &network_section, .max_count = 15,
     .doc =
         "Further networks that this node is in, each with an identity, a port, peers and services of its own. With `networks`, the top level describes "
         "one as well only if it names it (`network`)."},
    END};

const struct gw_section gw_schema = {.keys = root_keys, .size = sizeof(struct gw_config)};

/* ---- */

static const size_t sizes[GW_TYPE_COUNT] = {
    [GW_TYPE_TEXT] = sizeof(char *),
    [GW_TYPE_LABEL] = sizeof(char *),
    [GW_TYPE_PATH] = sizeof(char *),
    [GW_TYPE_INT] = sizeof(int64_t),
    [GW_TYPE_BOOL] = sizeof(bool),
    [GW_TYPE_DURATION] = sizeof(int64_t),
    [GW_TYPE_BYTES] = sizeof(int64_t),
    [GW_TYPE_MODE] = sizeof(int64_t),
    [GW_TYPE_ENUM] = sizeof(int),
    [GW_TYPE_HOSTPORT] = sizeof(struct gw_config_endpoint),
    [GW_TYPE_SOCKET] = sizeof(struct gw_config_endpoint),
    [GW_TYPE_IP] = sizeof(struct gw_addr),
    [GW_TYPE_PREFIX] = sizeof(struct gw_prefix),
    [GW_TYPE_ADDRESS] = sizeof(struct gw_prefix),
    [GW_TYPE_RULE] = sizeof(struct gw_rule),
    [GW_TYPE_KEY] = sizeof(struct gw_config_key),
    [GW_TYPE_SECRET] = sizeof(struct gw_config_key),
    [GW_TYPE_PEER_ID] = sizeof(struct gw_config_peer_id),
    [GW_TYPE_SECTION] = 0, /* its own says it */
};

size_t gw_type_size(const struct gw_key *key)
{
    return key->type == GW_TYPE_SECTION ? key->section->size : sizes[key->type];
}

const struct gw_key *gw_section_find(const struct gw_section *section, const char *name)
{
    for (const struct gw_key *key = section->keys; key->name; key++) {
        const struct gw_key *inner = key->shape == GW_INLINE ? gw_section_find(key->section, name) : NULL;
        if (inner || strcmp(key->name, name) == 0)
            return inner ? inner : key;
    }
    return NULL;
}
