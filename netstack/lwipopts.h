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
#define LWIP_TIMERS 1
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

/* --- interfaces: several, without Ethernet, each saying which checksums it wants --- */
#define LWIP_SINGLE_NETIF 0
#define LWIP_HAVE_LOOPIF 0
#define LWIP_NETIF_LOOPBACK 0
#define LWIP_ETHERNET 0
#define LWIP_ARP 0
#define LWIP_CHECKSUM_CTRL_PER_NETIF 1
#define LWIP_CHECKSUM_ON_COPY 1
#define LWIP_NETIF_API 0

/* --- IP: both versions; what arrives for an address that nobody has is ours to answer --- */
#define LWIP_IPV4 1
#define LWIP_IPV6 1
#define LWIP_RAW 1
#define IP_FORWARD 0
#define IP_REASSEMBLY 1
#define IP_FRAG 1
#define LWIP_ICMP 1
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
#define LWIP_IPV6_FRAG 1
#define LWIP_IPV6_REASS 1
/* Pointers are wider than the header field that reassembly would otherwise keep them in. */
#define IPV6_FRAG_COPYHEADER 1

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
/* The window is announced again when the reader freed this much, not at every segment. */
#define TCP_WND_UPDATE_THRESHOLD (64 * 1024)
#define LWIP_TCP_TIMESTAMPS 1
#define LWIP_TCP_SACK_OUT 1
#define LWIP_TCP_MAX_SACK_NUM 4
#define TCP_QUEUE_OOSEQ 1
#define TCP_OOSEQ_MAX_BYTES TCP_WND
#define TCP_LISTEN_BACKLOG 1
#define LWIP_TCP_KEEPALIVE 1
/* Below the limit of 16 bits that lwIP counts accepted but unclaimed connections in. */
#define TCP_DEFAULT_LISTEN_BACKLOG 255
#define LWIP_ALTCP 0

/* --- UDP --- */
#define LWIP_UDP 1
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
