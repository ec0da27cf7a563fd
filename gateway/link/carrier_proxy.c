/* SPDX-License-Identifier: MIT */
#include "gateway/link/carrier_proxy.h"

#include "gateway/base/log.h"
#include "gateway/base/secret.h"
#include "gateway/wire/http_connect.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <stdlib.h>
#include <unistd.h>

struct gw_carrier_proxy_call {
    struct bufferevent *bev; /* does not close its fd */
    struct gw_addr proxy;
    void (*on_through)(int fd, void *ctx);
    void (*on_failed)(void *ctx);
    void *ctx;
};

void gw_carrier_proxy_call_free(struct gw_carrier_proxy_call *call)
{
    if (!call)
        return;
    int fd = bufferevent_getfd(call->bev);
    bufferevent_free(call->bev);
    close(fd);
    free(call);
}

static void fail(struct gw_carrier_proxy_call *call)
{
    void (*on_failed)(void *ctx) = call->on_failed;
    void *ctx = call->ctx;
    gw_carrier_proxy_call_free(call);
    on_failed(ctx);
}

static void succeed(struct gw_carrier_proxy_call *call)
{
    struct gw_carrier_proxy_call is = *call;
    int fd = bufferevent_getfd(call->bev);
    bufferevent_free(call->bev);
    free(call);
    is.on_through(fd, is.ctx);
}

static const char *reason(unsigned status)
{
    switch (status) {
    case 401:
    case 407:
        return ": it asks who we are; `tls_proxy` can name a user and a password";
    case 403:
    case 405:
        return ": it does not allow that";
    default:
        return "";
    }
}

static void on_readable(struct bufferevent *bev, void *arg)
{
    struct gw_carrier_proxy_call *call = arg;
    struct evbuffer *in = bufferevent_get_input(bev);
    size_t len = evbuffer_get_length(in), used;
    unsigned status;
    char at[GW_ADDR_STRLEN];
    const uint8_t *bytes = evbuffer_pullup(in, -1);
    enum gw_http_connect is = gw_http_connect_read(bytes, len, &status, &used);
    if (is == GW_HTTP_CONNECT_MORE)
        return;
    if (is == GW_HTTP_CONNECT_OPEN && used == len) { /* in TLS the server waits for the client */
        succeed(call);
        return;
    }
    if (is == GW_HTTP_CONNECT_REFUSED)
        gw_log_warn("the proxy %s lets no TLS connection through, it says %u%s",
                    gw_addr_log(&call->proxy, at), status, reason(status));
    else
        gw_log_debug("what the proxy %s says is no answer to CONNECT", gw_addr_log(&call->proxy, at));
    fail(call);
}

static void on_event(struct bufferevent *bev, short what, void *arg)
{
    (void)bev;
    if (!(what & BEV_EVENT_CONNECTED))
        fail(arg);
}

struct gw_carrier_proxy_call *gw_carrier_proxy_call_new(struct event_base *base, int fd,
                                                        const struct gw_addr *to,
                                                        const struct gw_carriers_proxy *proxy,
                                                        void (*on_through)(int fd, void *ctx),
                                                        void (*on_failed)(void *ctx), void *ctx)
{
    char request[GW_HTTP_CONNECT_MAX];
    struct gw_carrier_proxy_call *call = calloc(1, sizeof *call);
    struct bufferevent *bev = call ? bufferevent_socket_new(base, fd, 0) : NULL;
    size_t len = gw_http_connect_write(request, to, proxy->credentials);
    if (!bev || bufferevent_write(bev, request, len) != 0) {
        if (bev)
            bufferevent_free(bev);
        free(call);
        gw_wipe(request, sizeof request);
        return NULL;
    }
    gw_wipe(request, sizeof request);
    *call = (struct gw_carrier_proxy_call){bev, proxy->at, on_through, on_failed, ctx};
    bufferevent_setcb(bev, on_readable, NULL, on_event, call);
    bufferevent_setwatermark(bev, EV_READ, 0, GW_HTTP_ANSWER_MAX + 1);
    bufferevent_enable(bev, EV_READ | EV_WRITE);
    return call;
}
