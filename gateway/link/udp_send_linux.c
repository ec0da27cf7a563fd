/* SPDX-License-Identifier: MIT */
/* Sending: one sendmsg with UDP_SEGMENT for a whole train where the kernel and the device can, one sendmmsg of single datagrams where not.
 *
 * What a refusal means:
 *   EAGAIN                    the socket is full: the caller waits until it is writable
 *   ECONNREFUSED              told for an earlier datagram (ICMP): drained by having been told, tried again once
 *   EIO, EOPNOTSUPP           this device cannot segment (no checksum offload): single datagrams for a while
 *   EINVAL                    the same on older kernels, or the local address is gone: single datagrams, then without the address
 *   ENETUNREACH               the local address is gone (IPv4), or there is no route: without the address, then lost
 *   EMSGSIZE                  the interface, or by what ICMP said the path, is narrower than the datagrams: once more without heed of ICMP, which anybody may forge; then the
 *                             engine's to deal with
 *   EHOSTUNREACH, EPERM (a firewall), ENOBUFS, ...  lost, like a datagram on the way */
#include "gateway/link/udp.h"

#include "gateway/base/err.h"
#include "gateway/base/log.h"
#include "gateway/path/path.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <string.h>
#include <sys/socket.h>

#define GSO_PAUSE_MIN GW_S(10)
#define GSO_PAUSE_MAX GW_S(3600)

#define CONTROL_LEN \
    (CMSG_SPACE(sizeof(struct in6_pktinfo)) + CMSG_SPACE(sizeof(int)) + CMSG_SPACE(sizeof(uint16_t)))

/* One way of sending a train. */
struct attempt {
    bool with_gso;
    bool with_local;
};

struct control {
    _Alignas(struct cmsghdr) uint8_t bytes[CONTROL_LEN];
    size_t len;
};

static void add(struct control *control, int level, int type, const void *data, size_t len)
{
    struct cmsghdr *cmsg = (struct cmsghdr *)(void *)(control->bytes + control->len);
    cmsg->cmsg_level = level;
    cmsg->cmsg_type = type;
    cmsg->cmsg_len = CMSG_LEN(len);
    memcpy(CMSG_DATA(cmsg), data, len);
    control->len += CMSG_SPACE(len);
}

static void add_local(struct control *control, const struct gw_addr *local)
{
    if (local->family == 4) {
        struct in_pktinfo info = {0};
        memcpy(&info.ipi_spec_dst, local->ip, 4);
        add(control, IPPROTO_IP, IP_PKTINFO, &info, sizeof info);
    } else {
        struct in6_pktinfo info = {.ipi6_ifindex = local->scope};
        memcpy(&info.ipi6_addr, local->ip, 16);
        add(control, IPPROTO_IPV6, IPV6_PKTINFO, &info, sizeof info);
    }
}

static void make_control(struct control *control, const struct gw_train *train, struct attempt how)
{
    int ecn = train->ecn;
    memset(control, 0, sizeof *control);
    if (how.with_local)
        add_local(control, &train->tuple.local);
    if (ecn != 0 && train->tuple.remote.family == 4)
        add(control, IPPROTO_IP, IP_TOS, &ecn, sizeof ecn);
    else if (ecn != 0)
        add(control, IPPROTO_IPV6, IPV6_TCLASS, &ecn, sizeof ecn);
    if (how.with_gso)
        add(control, IPPROTO_UDP, UDP_SEGMENT, &train->stride, sizeof train->stride);
}

/* Everything from `from` on in one call. Returns how many datagrams went out, or -errno. */
static int send_segmented(int fd, struct msghdr *header, const struct gw_train *train, unsigned from)
{
    struct iovec iov = {gw_train_datagram(train, from), gw_train_len(train) - (size_t)from * train->stride};
    header->msg_iov = &iov;
    header->msg_iovlen = 1;
    return sendmsg(fd, header, MSG_DONTWAIT) < 0 ? -errno : train->count - (int)from;
}

static int send_single(int fd, const struct msghdr *header, const struct gw_train *train, unsigned from)
{
    struct mmsghdr messages[GW_TRAIN_DATAGRAMS];
    struct iovec iovs[GW_TRAIN_DATAGRAMS];
    unsigned count = train->count - from;
    for (unsigned i = 0; i < count; i++) {
        iovs[i] = (struct iovec){gw_train_datagram(train, from + i), gw_train_datagram_len(train, from + i)};
        messages[i].msg_hdr = *header;
        messages[i].msg_hdr.msg_iov = &iovs[i];
        messages[i].msg_hdr.msg_iovlen = 1;
    }
    int sent = sendmmsg(fd, messages, count, MSG_DONTWAIT);
    return sent < 0 ? -errno : sent;
}

static int send_some(struct gw_udp *udp, int fd, const struct gw_train *train, unsigned from,
                     struct attempt how)
{
    struct sockaddr_storage name;
    struct control control;
    struct msghdr header = {.msg_name = &name};

    /* One datagram needs no segmentation. */
    how.with_gso = how.with_gso && train->count - from > 1;
    header.msg_namelen = (socklen_t)gw_addr_to_sockaddr(&train->tuple.remote, &name);
    make_control(&control, train, how);
    if (control.len > 0) {
        header.msg_control = control.bytes;
        header.msg_controllen = control.len;
    }
    if (how.with_gso || train->count - from == 1)
        return send_segmented(fd, &header, train, from);
    udp->stats.segmented_by_us++;
    return send_single(fd, &header, train, from);
}

static void pause_gso(struct gw_udp *udp, struct gw_udp_socket *sock, struct gw_mono now, int err)
{
    sock->gso_pause_ns = sock->gso_pause_ns == 0 ? GSO_PAUSE_MIN : 2 * sock->gso_pause_ns;
    if (sock->gso_pause_ns > GSO_PAUSE_MAX)
        sock->gso_pause_ns = GSO_PAUSE_MAX;
    sock->gso_again = gw_mono_add(now, sock->gso_pause_ns);
    if (!udp->is_quiet)
        gw_log_debug("udp: the device does not segment (%s): single datagrams for %d s", gw_strerror(err),
                     (int)(sock->gso_pause_ns / GW_S(1)));
}

/* What to try next after `err`; false: it is the datagrams' own fault, or the network's. */
static bool next_attempt(struct attempt *how, int err, bool *is_drained_once)
{
    switch (err) {
    case -EINTR:
        return true;
    case -ECONNREFUSED:
        if (*is_drained_once)
            return false;
        *is_drained_once = true;
        return true;
    case -EIO:
    case -EOPNOTSUPP:
    case -ENOPROTOOPT:
        if (!how->with_gso)
            return false;
        how->with_gso = false;
        return true;
    case -ENETUNREACH:
    case -EADDRNOTAVAIL:
        if (!how->with_local)
            return false;
        how->with_local = false;
        return true;
    case -EINVAL:
        if (how->with_gso)
            how->with_gso = false;
        else if (how->with_local)
            how->with_local = false;
        else
            return false;
        return true;
    default:
        return false;
    }
}

static void count_sent(struct gw_udp *udp, const struct gw_train *train, unsigned from, unsigned sent)
{
    udp->stats.datagrams_sent += sent;
    for (unsigned i = from; i < from + sent; i++)
        udp->stats.bytes_sent += gw_train_datagram_len(train, i);
    if (from + sent == train->count)
        udp->stats.trains_sent++;
}

/* The train got through: what does that say about segmentation? `refused` is what the whole train got before its datagrams went one by one. */
static void learn(struct gw_udp *udp, struct gw_udp_socket *sock, const struct gw_train *train,
                  struct attempt how, int refused, struct gw_mono now)
{
    bool is_as_wanted = how.with_local == gw_addr_is_set(&train->tuple.local);
    if (refused != 0 && !how.with_gso && is_as_wanted)
        pause_gso(udp, sock, now, refused);
    else if (how.with_gso && train->count > 1)
        sock->gso_pause_ns = 0;
}

/* What the kernel does about the path's size. */
enum discovery {
    USUAL,  /* DF; what ICMP said is too large is refused */
    CUT,    /* no DF */
    PROBES, /* DF, and nothing that ICMP said counts */
};

/* It is the socket's, not the datagram's: IPv4 has no control message for it. */
static void set_discovery(int fd, uint8_t family, enum discovery how)
{
    static const int v4[] = {IP_PMTUDISC_DO, IP_PMTUDISC_DONT, IP_PMTUDISC_PROBE};
    static const int v6[] = {IPV6_PMTUDISC_DO, IPV6_PMTUDISC_DONT, IPV6_PMTUDISC_PROBE};
    int forbid = how != CUT;
    if (family == 6) {
        setsockopt(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, &v6[how], sizeof v6[how]);
        setsockopt(fd, IPPROTO_IPV6, IPV6_DONTFRAG, &forbid, sizeof forbid);
    } else {
        setsockopt(fd, IPPROTO_IP, IP_MTU_DISCOVER, &v4[how], sizeof v4[how]);
    }
}

static int send_train(struct gw_udp *udp, const struct gw_train *train, unsigned *done, struct gw_mono now)
{
    struct gw_udp_socket *sock = &udp->sockets[train->tuple.remote.family == 6 ? GW_UDP_V6 : GW_UDP_V4];
    struct attempt how = {sock->has_gso && gw_mono_due(sock->gso_again, now),
                          gw_addr_is_set(&train->tuple.local)};
    bool is_drained_once = false;
    int refused = 0;

    if (sock->fd < 0)
        return -ENETUNREACH;
    while (*done < train->count) {
        bool was_with_gso = how.with_gso;
        int sent = send_some(udp, sock->fd, train, *done, how);
        if (sent > 0) {
            learn(udp, sock, train, how, refused, now);
            refused = 0;
            count_sent(udp, train, *done, (unsigned)sent);
            *done += (unsigned)sent;
        } else if (sent == GW_E_AGAIN) {
            udp->stats.send_full++;
            return sent;
        } else if (!next_attempt(&how, sent, &is_drained_once)) {
            udp->stats.send_errors++;
            return sent;
        } else {
            udp->stats.send_retried++;
            if (was_with_gso && !how.with_gso)
                refused = sent;
        }
    }
    return 0;
}

int gw_udp_send(struct gw_udp *udp, const struct gw_train *train, unsigned *done, struct gw_mono now)
{
    uint8_t family = train->tuple.remote.family;
    int fd = udp->sockets[family == 6 ? GW_UDP_V6 : GW_UDP_V4].fd;
    enum discovery how = train->may_be_cut ? CUT : USUAL;
    if (how == CUT && fd >= 0)
        set_discovery(fd, family, CUT);
    int err = send_train(udp, train, done, now);
    if (err == -EMSGSIZE && how == USUAL && (!train->heeds_icmp || train->stride <= GW_PAYLOAD_START)) {
        how = PROBES;
        set_discovery(fd, family, how);
        udp->stats.send_errors--;
        udp->stats.send_retried++;
        err = send_train(udp, train, done, now);
    }
    if (how != USUAL && fd >= 0)
        set_discovery(fd, family, USUAL);
    return err;
}
