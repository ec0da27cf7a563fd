/* SPDX-License-Identifier: MIT */
/* Receiving: one recvmmsg into the slabs, one train a message. With UDP_GRO a message is up to 64 datagrams of one sender and takes a slab;
 * without, it is one datagram and a slab is cut into small slots, so that a call still brings many. */
#include "gateway/link/udp.h"

#include "gateway/base/err.h"

#include <netinet/in.h>
#include <netinet/udp.h>
#include <string.h>
#include <sys/socket.h>

#define SMALL_SLOT 9216u /* a datagram without coalescing; gw_interfaces_mtu has no larger one of ours */

/* What the kernel tells beside a datagram: UDP_GRO's int, the packet info, and the TOS or traffic class. */
#define CONTROL_LEN \
    (CMSG_SPACE(sizeof(int)) + CMSG_SPACE(sizeof(struct in6_pktinfo)) + CMSG_SPACE(sizeof(int)))

struct batch {
    struct mmsghdr messages[GW_UDP_MESSAGES];
    struct iovec iovs[GW_UDP_MESSAGES];
    struct sockaddr_storage names[GW_UDP_MESSAGES];
    _Alignas(struct cmsghdr) uint8_t controls[GW_UDP_MESSAGES][CONTROL_LEN];
};

static unsigned prepare(struct batch *batch, uint8_t *slabs, unsigned max, size_t slot)
{
    unsigned count = (unsigned)(max * GW_TRAIN_SLAB / slot);
    if (count > GW_UDP_MESSAGES)
        count = GW_UDP_MESSAGES;
    for (unsigned i = 0; i < count; i++) {
        batch->iovs[i] = (struct iovec){slabs + i * slot, slot};
        batch->messages[i] = (struct mmsghdr){.msg_hdr = {
                                                  .msg_name = &batch->names[i],
                                                  .msg_namelen = sizeof batch->names[i],
                                                  .msg_iov = &batch->iovs[i],
                                                  .msg_iovlen = 1,
                                                  .msg_control = batch->controls[i],
                                                  .msg_controllen = CONTROL_LEN,
                                              }};
    }
    return count;
}

static void read_pktinfo(struct gw_addr *local, const struct cmsghdr *cmsg)
{
    if (cmsg->cmsg_level == IPPROTO_IP) {
        struct in_pktinfo info;
        memcpy(&info, CMSG_DATA(cmsg), sizeof info);
        local->family = 4;
        memcpy(local->ip, &info.ipi_spec_dst, 4);
    } else {
        struct in6_pktinfo info;
        memcpy(&info, CMSG_DATA(cmsg), sizeof info);
        local->family = 6;
        memcpy(local->ip, &info.ipi6_addr, 16);
        if (IN6_IS_ADDR_LINKLOCAL(&info.ipi6_addr))
            local->scope = (uint32_t)info.ipi6_ifindex;
    }
}

/* Fills what the control messages tell; returns the stride, 0 when there is one datagram only. */
static unsigned read_control(struct gw_train *train, struct msghdr *header)
{
    unsigned stride = 0;
    for (struct cmsghdr *cmsg = CMSG_FIRSTHDR(header); cmsg; cmsg = CMSG_NXTHDR(header, cmsg)) {
        int value = 0;
        bool is_v4 = cmsg->cmsg_level == IPPROTO_IP, is_v6 = cmsg->cmsg_level == IPPROTO_IPV6;
        if ((is_v4 && cmsg->cmsg_type == IP_PKTINFO) || (is_v6 && cmsg->cmsg_type == IPV6_PKTINFO)) {
            read_pktinfo(&train->tuple.local, cmsg);
        } else if (is_v4 && cmsg->cmsg_type == IP_TOS) {
            train->ecn = *CMSG_DATA(cmsg) & 3;
        } else if (is_v6 && cmsg->cmsg_type == IPV6_TCLASS) {
            memcpy(&value, CMSG_DATA(cmsg), sizeof value);
            train->ecn = (uint8_t)(value & 3);
        } else if (cmsg->cmsg_level == IPPROTO_UDP && cmsg->cmsg_type == UDP_GRO) {
            memcpy(&value, CMSG_DATA(cmsg), sizeof value);
            stride = value > 0 ? (unsigned)value : 0;
        }
    }
    return stride;
}

static void set_datagrams(struct gw_train *train, unsigned len, unsigned stride)
{
    if (stride == 0 || stride >= len) {
        train->stride = train->last_len = (uint16_t)len;
        train->count = 1;
        return;
    }
    unsigned count = (len + stride - 1) / stride;
    train->stride = (uint16_t)stride;
    train->count = (uint16_t)(count > GW_TRAIN_DATAGRAMS ? GW_TRAIN_DATAGRAMS : count);
    train->last_len = (uint16_t)(count > GW_TRAIN_DATAGRAMS ? stride : len - (count - 1) * stride);
}

/* false: nothing in it for anybody. */
static bool make_train(struct gw_udp *udp, struct gw_train *train, struct mmsghdr *message)
{
    struct msghdr *header = &message->msg_hdr;
    *train = (struct gw_train){.slab = header->msg_iov->iov_base, .tuple = {.link = udp->link}};
    if (header->msg_flags & MSG_TRUNC) {
        udp->stats.truncated++;
        return false;
    }
    /* A datagram's length fits in 16 bits, and so does what the kernel coalesces. */
    if (message->msg_len == 0 || message->msg_len > UINT16_MAX ||
        gw_addr_from_sockaddr(&train->tuple.remote, header->msg_name) != 0)
        return false;
    set_datagrams(train, message->msg_len, read_control(train, header));
    train->tuple.local.port = train->tuple.local.family != 0 ? udp->port : 0;
    udp->stats.trains_received++;
    udp->stats.datagrams_received += train->count;
    udp->stats.bytes_received += message->msg_len;
    return true;
}

unsigned gw_udp_receive(struct gw_udp *udp, enum gw_udp_family family, struct gw_slabs *slabs, unsigned max,
                        struct gw_train trains[GW_UDP_MESSAGES], bool *is_drained)
{
    struct gw_udp_socket *sock = &udp->sockets[family];
    struct batch batch;
    unsigned room = prepare(&batch, slabs->receive, max, sock->has_gro ? GW_TRAIN_SLAB : SMALL_SLOT),
             made = 0;

    int got = recvmmsg(sock->fd, batch.messages, room, MSG_DONTWAIT, NULL);
    if (got < 0) {
        /* An error of an earlier datagram (ICMP) is told once and gone with it; there may be more to read. */
        *is_drained = errno == EAGAIN || errno == EWOULDBLOCK;
        if (!*is_drained && errno != EINTR)
            udp->stats.receive_errors++;
        return 0;
    }
    *is_drained = (unsigned)got < room;
    for (int i = 0; i < got; i++) {
        if (make_train(udp, &trains[made], &batch.messages[i]))
            made++;
    }
    return made;
}
