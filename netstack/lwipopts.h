/* SPDX-License-Identifier: MIT */
/*
 * lwIP's configuration: one stack for one process, driven from our event loop, that ends IPv4 and IPv6 TCP and UDP
 * at user level. No threads, no sockets, no Ethernet: packets come from and go to a TUN device or a session.
 *
 * Read by lwIP's own files and by netstack/ only. tests/unit/netstack holds what we rely on; the assertions at the
 * end hold what must fit together.
 */
#ifndef PEERGATE_NETSTACK_LWIPOPTS_H
#define PEERGATE_NETSTACK_LWIPOPTS_H

/* --- how it runs: called from one thread, asked for its next deadline, no operating system underneath --- */
#define NO_SYS 1
/* TCP's 250 ms tick is netstack.c's own deadline, and there only while there is a connection. */
#define LWIP_TIMERS 0
#define SYS_LIGHTWEIGHT_PROT 0
#define LWIP_SOCKET 0
#define LWIP_NETCONN 0
#define LWIP_TCPIP_CORE_LOCKING 0

/* --- memory: libc's allocator, so limits are ours to set by counting flows, not lwIP's pools --- */
#define MEM_LIBC_MALLOC 1
#define MEMP_MEM_MALLOC 1
#define MEM_ALIGNMENT 8
#define MEM_USE_POOLS 0
/* Room in front of a packet for our own headers, so that sealing needs no copy. */
#define PBUF_LINK_HLEN 0
#define PBUF_LINK_ENCAPSULATION_HLEN 64

/* --- interfaces: one for each gateway, without Ethernet --- */
#define LWIP_SINGLE_NETIF 0
#define LWIP_HAVE_LOOPIF 0
#define LWIP_NETIF_LOOPBACK 0
#define LWIP_ETHERNET 0
#define LWIP_ARP 0
#define LWIP_NETIF_API 0
/* Which netif an answer takes is the link's whose packet is being worked on (several may have one address range). */
#define LWIP_HOOK_IP4_ROUTE_SRC(src, dest) netstack_port_route()
#define LWIP_HOOK_IP6_ROUTE(src, dest) netstack_port_route()

/* --- checksums: netstack/ verifies and fills them in, for each packet that needs it, with faster code --- */
#define LWIP_CHECKSUM_CTRL_PER_NETIF 0
#define LWIP_CHECKSUM_ON_COPY 0
#define CHECKSUM_GEN_IP 0
#define CHECKSUM_GEN_UDP 0
#define CHECKSUM_GEN_TCP 0
#define CHECKSUM_GEN_ICMP 0
#define CHECKSUM_GEN_ICMP6 0
#define CHECKSUM_CHECK_IP 0
#define CHECKSUM_CHECK_UDP 0
#define CHECKSUM_CHECK_TCP 0
#define CHECKSUM_CHECK_ICMP 0
#define CHECKSUM_CHECK_ICMP6 0

/* --- IP: both versions, and only what TCP needs: UDP, ICMP and fragments are netstack/'s own --- */
#define LWIP_IPV4 1
#define LWIP_IPV6 1
#define LWIP_RAW 0
#define IP_FORWARD 0
#define IP_REASSEMBLY 0
#define IP_FRAG 0
#define LWIP_ICMP 0
#define LWIP_ICMP6 1
#define LWIP_DHCP 0
#define LWIP_AUTOIP 0
#define LWIP_ACD 0
#define LWIP_IGMP 0
#define LWIP_DNS 0
#define LWIP_IPV6_MLD 0
#define LWIP_IPV6_AUTOCONFIG 0
#define LWIP_IPV6_SEND_ROUTER_SOLICIT 0
#define LWIP_IPV6_DUP_DETECT_ATTEMPTS 0
#define LWIP_IPV6_DHCP6 0
#define LWIP_IPV6_SCOPES 0
#define LWIP_IPV6_FRAG 0
#define LWIP_IPV6_REASS 0
#define LWIP_ND6_ALLOW_RA_UPDATES 0

/* --- TCP: windows of megabytes, since 64 KB per round trip is 10 Mbit/s at 50 ms --- */
#define LWIP_TCP 1
#define LWIP_WND_SCALE 1
#define TCP_RCV_SCALE 7
#define TCP_MSS 1460
#define TCP_WND (4 * 1024 * 1024)
#define TCP_SND_BUF (4 * 1024 * 1024)
/* Segments in flight: twice the full-sized ones, since a writer of small pieces makes more of them. */
#define TCP_SND_QUEUELEN (2 * (TCP_SND_BUF / TCP_MSS))
#define TCP_SNDLOWAT (32 * TCP_MSS)
#define TCP_SNDQUEUELOWAT (TCP_SND_QUEUELEN / 2)
/* The window is announced again when the reader freed this much, not at every segment (window.c does it earlier for small ones). */
#define TCP_WND_UPDATE_THRESHOLD (64 * 1024)
#define LWIP_TCP_TIMESTAMPS 1
#define LWIP_TCP_SACK_OUT 1
#define LWIP_TCP_MAX_SACK_NUM 4
#define TCP_QUEUE_OOSEQ 1
#define TCP_OOSEQ_MAX_BYTES TCP_WND
/* As many as a window of full-sized segments; a stranger's one-byte segments cost more than their bytes. */
#define TCP_OOSEQ_MAX_PBUFS 3000
/* Half-open connections are counted and evicted by netstack/accept.c. */
#define TCP_LISTEN_BACKLOG 0
#define LWIP_TCP_KEEPALIVE 1
/* Before a round trip was measured: between RFC 6298's second and RFC 1122's three, since lwIP repeats a SYN in this rhythm and a stock peer's own handshake may
 * take 5 s. */
#define LWIP_TCP_RTO_TIME 1500
/* lwIP does not back off with these; as many as it allows. */
#define TCP_SYNMAXRTX 12
/* Half of TIME_WAIT. The way is one session, not the internet of 1981. */
#define TCP_MSL 5000UL
/* Unpredictable initial sequence numbers (RFC 6528): lwIP's own can be counted along. */
#define LWIP_HOOK_TCP_ISN(local_ip, local_port, remote_ip, remote_port) \
    netstack_port_isn(local_ip, local_port, remote_ip, remote_port)
/* Says when a connection is gone for good, TIME_WAIT included. */
#define LWIP_TCP_PCB_NUM_EXT_ARGS 1
#define LWIP_ALTCP 0

/* --- UDP --- */
#define LWIP_UDP 0
#define LWIP_UDPLITE 0

/* --- what it may say: nothing; we count at our own edges --- */
#define LWIP_STATS 0
#define LWIP_NOASSERT_ON_ERROR 0

_Static_assert(TCP_WND > 0xffff, "without large windows lwIP is useless to us");
_Static_assert(((TCP_WND) >> (TCP_RCV_SCALE)) <= 0xffff, "the scaled window fits in the header's 16 bits");
_Static_assert(((TCP_WND) >> (TCP_RCV_SCALE)) > 0, "the scaled window is not zero");
_Static_assert(TCP_RCV_SCALE <= 14, "RFC 7323, 2.3");
_Static_assert(TCP_SND_QUEUELEN <= 0xffff, "lwIP counts queued segments in 16 bits");
_Static_assert(TCP_SND_BUF > 2 * TCP_MSS, "a sender that can keep the receiver's delayed ack busy");

#endif
