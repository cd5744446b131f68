// Server: opens and closes libmicrohttpd, and turns its callbacks into the calls of a handler.
#include "http/http_int.h"

#include "base/clock.h"
#include "base/counters.h"

#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    POOL_BYTES = 32 * 1024, // of libmicrohttpd, for one connection
    PEM_MAX = 1024 * 1024,
    DRAIN_STEP_NS = 5 * 1000 * 1000,
    CANCEL_GRACE_US = 2000000,
};

// What libmicrohttpd logs has no connection in it; but a connection has its thread.
static _Thread_local struct http_conn *thread_conn;
static _Thread_local struct http_server *thread_opening;

static void set_state(struct http_conn *c, enum http_state state) {
    atomic_store(&c->state, (int)state);
    atomic_fetch_add(&c->turns, 1);
}

void http_work_begin(struct http_conn *c) {
    atomic_fetch_add(&c->server->working, 1);
    LOCKED(&c->lock);
    c->in_work = true;
    c->cancellable = true;
    atomic_store(&c->request.cancel.set, c->hung_up || atomic_load(&c->server->cancelling));
}

static void refuse(struct http_conn *c, const struct err *err, int status) {
    counter_add(COUNTER_http_refused, 1);
    http_refuse(c, err, status);
}

static enum MHD_Result on_head(struct http_conn *c, const char *method, const char *version) {
    const struct http_handler *h = &c->server->handler;
    struct http_request *r = &c->request;
    struct err err = ERR_NONE;
    set_state(c, HTTP_WORK);
    c->checked = true;
    if (http_request_check(c, method, version, &err) != ERR_OK) {
        c->close = true;
        refuse(c, &err, r->fail_status);
        return http_answer_queue(c);
    }
    c->headed = true;
    http_work_begin(c);
    h->head(h->ctx, r);
    if (!c->answer.given && http_body_check(c, &err) != ERR_OK) {
        refuse(c, &err, 0);
    }
    if (c->answer.given && c->body.length != 0) {
        c->close = true; // the body is not read
        return http_answer_queue(c);
    }
    // libmicrohttpd closes after an answer that is queued here, so one to a request without a body
    // waits for the next call, which comes at once.
    if (c->body.length != 0) {
        set_state(c, HTTP_BODY);
    }
    return MHD_YES;
}

static enum MHD_Result on_piece(struct http_conn *c, struct str piece) {
    struct http_request *r = &c->request;
    struct err err = ERR_NONE;
    set_state(c, HTTP_WORK);
    r->body_bytes += (int64_t)piece.len;
    counter_add(COUNTER_http_bytes_in, (int64_t)piece.len);
    if (!c->answer.given && http_body_piece(c, piece, &err) != ERR_OK && !c->answer.given) {
        refuse(c, &err, 0);
    }
    const int64_t left = c->body.length - r->body_bytes;
    if (c->answer.given && (c->body.length < 0 || left > HTTP_SWALLOW_MAX)) {
        http_answer_send(c);
        return MHD_NO;
    }
    set_state(c, HTTP_BODY);
    return MHD_YES;
}

static enum MHD_Result on_complete(struct http_conn *c) {
    const struct http_handler *h = &c->server->handler;
    struct err err = ERR_NONE;
    set_state(c, HTTP_WORK);
    c->body.complete = true;
    if (!c->answer.given && http_body_end(c, &err) != ERR_OK && !c->answer.given) {
        refuse(c, &err, 0);
    }
    if (!c->answer.given) {
        h->handle(h->ctx, &c->request);
    }
    CHECK(c->answer.given);
    return http_answer_queue(c);
}

static enum MHD_Result on_request(void *cls, struct MHD_Connection *mhd, const char *url,
                                  const char *method, const char *version, const char *data,
                                  size_t *data_len, void **context) {
    (void)cls;
    (void)mhd;
    (void)url;
    struct http_conn *c = *context;
    if (!c->checked) {
        return on_head(c, method, version);
    }
    if (*data_len > 0) {
        const struct str piece = {data, *data_len};
        *data_len = 0;
        return on_piece(c, piece);
    }
    return on_complete(c);
}

static bool was_hung_up(struct http_conn *c, enum MHD_RequestTerminationCode how) {
    const struct http_answer *a = &c->answer;
    if (atomic_load(&c->request.cancel.set)) {
        LOCKED(&c->lock);
        return c->hung_up;
    }
    const bool ours = a->broken || (a->queued && !c->body.complete) ||
                      how == MHD_REQUEST_TERMINATED_DAEMON_SHUTDOWN;
    return how != MHD_REQUEST_TERMINATED_COMPLETED_OK && !ours;
}

static void count(const struct http_request *r) {
    counter_add(COUNTER_http_requests, 1);
    counter_add(COUNTER_http_bytes_out, r->bytes_out);
    if (r->status >= 400) {
        counter_add(r->status >= 500 ? COUNTER_http_errors_server : COUNTER_http_errors_client, 1);
    }
    if (r->hung_up) {
        counter_add(COUNTER_http_hangups, 1);
    }
}

static void finish(struct http_conn *c, enum MHD_RequestTerminationCode how) {
    const struct http_handler *h = &c->server->handler;
    struct http_request *r = &c->request;
    r->hung_up = was_hung_up(c, how);
    r->status = c->answer.given ? c->answer.status : err_http(ERR_CANCELLED);
    if (how == MHD_REQUEST_TERMINATED_COMPLETED_OK && c->answer.last && !c->answer.streamed &&
        r->method != HTTP_HEAD) {
        r->bytes_out = (int64_t)c->answer.body.len;
    }
    {
        LOCKED(&c->lock);
        c->in_work = false;
        c->cancellable = false;
        c->on_cancel = NULL;
    }
    count(r);
    h->done(h->ctx, r);
    atomic_fetch_sub(&c->server->working, 1);
}

static void on_completed(void *cls, struct MHD_Connection *mhd, void **context,
                         enum MHD_RequestTerminationCode how) {
    (void)cls;
    (void)mhd;
    struct http_conn *c = *context;
    if (!c || !c->active) {
        return;
    }
    const bool unread = c->headed && c->answer.queued && !c->body.complete &&
                        how != MHD_REQUEST_TERMINATED_CLIENT_ABORT &&
                        how != MHD_REQUEST_TERMINATED_READ_ERROR &&
                        how != MHD_REQUEST_TERMINATED_DAEMON_SHUTDOWN;
    if (c->headed) {
        finish(c, how);
    }
    http_body_reset(c);
    http_answer_reset(c);
    http_request_end(c);
    if (unread) {
        http_linger(c);
    }
    set_state(c, HTTP_IDLE);
}

// At the request line, before its headers.
static void *on_target(void *cls, const char *target, struct MHD_Connection *mhd) {
    (void)cls;
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    struct http_conn *c = info->socket_context;
    thread_conn = c;
    http_request_begin(c, target);
    return c;
}

// Escapes are undone in http_request.c, strictly.
static size_t keep_escaped(void *cls, struct MHD_Connection *mhd, char *text) {
    (void)cls;
    (void)mhd;
    return strlen(text);
}

// libmicrohttpd refuses some requests by itself and tells only its log. After some of them it
// forgets that it has answered and does so twice; so we answer, and shut the socket before it does.
PRINTF_LIKE(2, 0) static void on_log(void *cls, const char *fmt, va_list args) {
    (void)cls;
    if (thread_opening) {
        (void)vsnprintf(thread_opening->complaint, sizeof(thread_opening->complaint), fmt, args);
    }
    struct http_conn *c = thread_conn;
    if (!strstr(fmt, "HTTP response code is %u")) {
        return;
    }
    const unsigned status = va_arg(args, unsigned);
    if (!c || !c->active) {
        counter_add(COUNTER_http_refused, 1);
        return;
    }
    if (!c->answer.given) {
        struct err err = ERR_NONE;
        (void)err_set(&err, status == 400 ? ERR_INVALID : ERR_TOO_LARGE, "%s",
                      status == 400 ? "the request is malformed" : "the request is too large");
        refuse(c, &err, (int)status);
    }
    if (!c->answer.queued) {
        http_answer_send(c);
    }
}

static void write_address(const struct sockaddr *address, char *ret, size_t len) {
    char host[NI_MAXHOST] = "?";
    char port[NI_MAXSERV] = "?";
    const bool v6 = address->sa_family == AF_INET6;
    const socklen_t size = v6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
    (void)getnameinfo(address, size, host, sizeof(host), port, sizeof(port),
                      NI_NUMERICHOST | NI_NUMERICSERV);
    const bool mapped = strncmp(host, "::ffff:", 7) == 0;
    const bool brackets = v6 && !mapped;
    (void)snprintf(ret, len, "%s%.45s%s:%.5s", brackets ? "[" : "", mapped ? host + 7 : host,
                   brackets ? "]" : "", port);
}

static struct http_conn *conn_new(struct http_server *s, struct MHD_Connection *mhd) {
    struct http_conn *c = xcalloc(1, sizeof(*c));
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CONNECTION_FD);
    c->server = s;
    c->mhd = mhd;
    c->fd = info->connect_fd;
    c->request.arena = ARENA((size_t)s->arena_max);
    CHECK(pthread_mutex_init(&c->lock, NULL) == 0);
    info = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    write_address(info->client_addr, c->remote, sizeof(c->remote));
    return c;
}

void http_conn_free(struct http_conn *c) {
    http_form_close(c->body.form);
    buf_release(&c->body.memory);
    buf_release(&c->answer.body);
    arena_release(&c->request.arena);
    (void)pthread_mutex_destroy(&c->lock);
    free(c);
}

static void on_connection(void *cls, struct MHD_Connection *mhd, void **context,
                          enum MHD_ConnectionNotificationCode what) {
    struct http_server *s = cls;
    if (what == MHD_CONNECTION_NOTIFY_STARTED) {
        struct http_conn *c = conn_new(s, mhd);
        *context = c;
        http_monitor_add(c);
        counter_add(COUNTER_http_connections, 1);
    } else {
        http_monitor_remove(*context);
        counter_add(COUNTER_http_connections, -1);
    }
}

static enum err_code read_pem(struct str name, struct buf *out, struct err *err) {
    DEFER(arena_release) struct arena a = ARENA(4096);
    const char *path = arena_cstr(&a, name);
    DEFER(closep) int fd = open(path, O_RDONLY | O_CLOEXEC);
    *out = BUF(PEM_MAX);
    ssize_t len = fd < 0 ? -1 : 0;
    do {
        char *room = fd < 0 ? NULL : buf_reserve(out, 4096);
        len = room ? read(fd, room, 4096) : -1;
        out->len += len > 0 ? (size_t)len : 0;
    } while (len > 0);
    if (len < 0 || out->len == 0 || !buf_reserve(out, 1)) {
        return err_set(err, ERR_INVALID, "certificate or key \"" STR_FMT "\" cannot be read",
                       STR_ARG(name));
    }
    out->ptr[out->len] = '\0';
    return ERR_OK;
}

static enum err_code start(struct http_server *s, const struct http_options *o, struct err *err) {
    const unsigned flags = MHD_USE_THREAD_PER_CONNECTION | MHD_USE_INTERNAL_POLLING_THREAD |
                           MHD_USE_POLL | MHD_USE_ITC | MHD_USE_ERROR_LOG;
    const unsigned tls = s->tls ? MHD_USE_TLS : 0;
    const size_t pool = (size_t)MAX(POOL_BYTES, o->head_max + POOL_BYTES / 2);
    struct MHD_OptionItem tls_options[] = {
        {MHD_OPTION_HTTPS_MEM_CERT, 0, s->cert.ptr},
        {MHD_OPTION_HTTPS_MEM_KEY, 0, s->key.ptr},
        {MHD_OPTION_HTTPS_PRIORITIES, 0,
         (void *)(uintptr_t) "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2"},
        {MHD_OPTION_END, 0, NULL},
    };
    if (!s->tls) {
        tls_options[0] = (struct MHD_OptionItem){MHD_OPTION_END, 0, NULL};
    }
    thread_opening = s;
    s->daemon = MHD_start_daemon(flags | tls, 0, NULL, NULL, on_request, s, //
                                 MHD_OPTION_EXTERNAL_LOGGER, on_log, s,  // first, to see the rest
                                 MHD_OPTION_LISTEN_SOCKET, s->listen_fd, //
                                 MHD_OPTION_CONNECTION_LIMIT, (unsigned)o->connections_max, //
                                 MHD_OPTION_CONNECTION_MEMORY_LIMIT, pool,                  //
                                 MHD_OPTION_THREAD_STACK_SIZE, (size_t)HTTP_STACK_BYTES,    //
                                 MHD_OPTION_NOTIFY_COMPLETED, on_completed, s,              //
                                 MHD_OPTION_NOTIFY_CONNECTION, on_connection, s,            //
                                 MHD_OPTION_URI_LOG_CALLBACK, on_target, s,                 //
                                 MHD_OPTION_UNESCAPE_CALLBACK, keep_escaped, s,             //
                                 MHD_OPTION_ARRAY, tls_options, MHD_OPTION_END);
    thread_opening = NULL;
    if (!s->daemon) {
        s->listen_fd = -1; // libmicrohttpd has closed it
        const struct str why = str_trim(str_from(s->complaint));
        return err_set(err, ERR_INVALID, "the HTTP server does not start: " STR_FMT, STR_ARG(why));
    }
    return ERR_OK;
}

static void http_server_closep(struct http_server **s) {
    http_server_close(*s);
}

enum err_code http_server_open(const struct http_options *o, const struct http_handler *handler,
                               struct http_server **ret, struct err *err) {
    DEFER(http_server_closep) struct http_server *s = xcalloc(1, sizeof(*s));
    s->handler = *handler;
    s->head_max = o->head_max;
    s->arena_max = o->arena_max;
    s->idle_timeout_us = o->idle_timeout_ms * 1000;
    s->listen_fd = s->epoll_fd = s->wake_fd = -1;
    CHECK(pthread_mutex_init(&s->lock, NULL) == 0);
    s->tls = o->tls_cert.len > 0 || o->tls_key.len > 0;
    if (s->tls) {
        TRY(read_pem(o->tls_cert, &s->cert, err));
        TRY(read_pem(o->tls_key, &s->key, err));
    }
    TRY(http_listen_open(o->listen, &s->listen_fd, &s->port, err));
    http_monitor_start(s);
    TRY(start(s, o, err));
    *ret = TAKE(s);
    return ERR_OK;
}

int http_server_port(const struct http_server *s) {
    return s->port;
}

static void step_on(void) {
    const struct timespec step = {.tv_nsec = DRAIN_STEP_NS};
    (void)nanosleep(&step, NULL);
}

static void stop_accepting(struct http_server *s) {
    atomic_store(&s->draining, true);
    (void)MHD_quiesce_daemon(s->daemon);
    (void)shutdown(s->listen_fd, SHUT_RDWR); // who comes now is refused by the kernel
}

// Waits until no request is in work; connections that become idle are closed meanwhile.
static bool wait_idle(struct http_server *s, int64_t until_us, bool hurry) {
    while (atomic_load(&s->working) > 0) {
        if (clock_mono_us() >= until_us || (hurry && atomic_load(&s->hurrying))) {
            return false;
        }
        step_on();
        (void)http_monitor_cut(s, false);
    }
    return true;
}

bool http_server_drain(struct http_server *s, int64_t timeout_ms) {
    stop_accepting(s);
    (void)http_monitor_cut(s, false);
    if (wait_idle(s, clock_mono_us() + timeout_ms * 1000, true)) {
        return true;
    }
    http_monitor_cancel_all(s);
    (void)wait_idle(s, clock_mono_us() + CANCEL_GRACE_US, false);
    return false;
}

void http_server_hurry(struct http_server *s) {
    atomic_store(&s->hurrying, true);
}

void http_server_close(struct http_server *s) {
    if (!s) {
        return;
    }
    if (s->daemon) {
        // libmicrohttpd crashes when it refuses a request while it stops (in 0.9.75 it then uses a
        // response that it has not taken), so it is stopped when it has no connections any more.
        stop_accepting(s);
        http_monitor_cancel_all(s);
        while (http_monitor_cut(s, true) > 0) {
            step_on();
        }
        MHD_stop_daemon(s->daemon);
    }
    if (s->epoll_fd >= 0) {
        http_monitor_stop(s);
    }
    closep(&s->listen_fd);
    buf_release(&s->cert);
    buf_release(&s->key);
    (void)pthread_mutex_destroy(&s->lock);
    free(s);
}
