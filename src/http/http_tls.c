// TLS: what has to go past libmicrohttpd, over its own GnuTLS session.
//
// GnuTLS comes in with libmicrohttpd and is none of our libraries, so its two calls are looked up
// where it has put them.
#include "http/http_int.h"

#include "base/clock.h"

#include <dlfcn.h>
#include <errno.h>
#include <gnutls/gnutls.h>
#include <poll.h>
#include <sys/socket.h>

static gnutls_session_t session_of(const struct http_conn *c) {
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(c->mhd, MHD_CONNECTION_INFO_GNUTLS_SESSION);
    return info ? info->tls_session : NULL;
}

// Bytes that were taken, 0 for "later", -1 for never.
static ssize_t send_tls(gnutls_session_t session, struct str data) {
    typeof(gnutls_record_send) *record_send = NULL;
    *(void **)&record_send = dlsym(RTLD_DEFAULT, "gnutls_record_send");
    if (!session || !record_send) {
        return -1;
    }
    const ssize_t len = record_send(session, data.ptr, data.len);
    return len == GNUTLS_E_AGAIN || len == GNUTLS_E_INTERRUPTED ? 0 : MAX(len, -1);
}

static ssize_t send_plain(int fd, struct str data) {
    const ssize_t len = send(fd, data.ptr, data.len, MSG_NOSIGNAL | MSG_DONTWAIT);
    return len < 0 && (errno == EAGAIN || errno == EINTR) ? 0 : len;
}

bool http_send(struct http_conn *c, struct str data, int64_t deadline_us) {
    gnutls_session_t session = c->server->tls ? session_of(c) : NULL;
    size_t sent = 0;
    while (sent < data.len) {
        const struct str rest = str_slice(data, sent, data.len);
        const ssize_t len = c->server->tls ? send_tls(session, rest) : send_plain(c->fd, rest);
        struct pollfd wait = {.fd = c->fd, .events = POLLOUT};
        const int64_t left_ms = (deadline_us - clock_mono_us()) / 1000;
        if (len < 0 || (len == 0 && (left_ms <= 0 || poll(&wait, 1, (int)left_ms) <= 0))) {
            return false;
        }
        sent += (size_t)len;
    }
    return true;
}

void http_send_end(struct http_conn *c) {
    if (c->server->tls) {
        typeof(gnutls_bye) *bye = NULL;
        *(void **)&bye = dlsym(RTLD_DEFAULT, "gnutls_bye");
        gnutls_session_t session = session_of(c);
        if (session && bye) {
            (void)bye(session, GNUTLS_SHUT_WR);
        }
    }
    (void)shutdown(c->fd, SHUT_WR);
}
