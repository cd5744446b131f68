// Answers: buffered, streamed, and those that libmicrohttpd cannot be given any more.
#include "http/http_int.h"

#include "base/clock.h"
#include "base/counters.h"

#include <poll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    BLOCK_BYTES = 32 * 1024, // of a streamed answer to an HTTP/1.0 client
    SEND_MS = 2000,          // for an answer that is sent past libmicrohttpd
    LINGER_MS = 3000,
    LINGER_SILENCE_MS = 1000,
};

static void set_state(struct http_conn *c, enum http_state state) {
    atomic_store(&c->state, (int)state);
    atomic_fetch_add(&c->turns, 1);
}

// Nothing is being made any more: a client that hangs up now has had its answer.
static void end_of_making(struct http_conn *c) {
    LOCKED(&c->lock);
    c->cancellable = false;
    c->on_cancel = NULL;
}

void http_set_header(struct http_request *r, const char *name, struct str value) {
    struct http_answer *a = &r->conn->answer;
    CHECK(!a->queued && http_has_only(str_from(name), STR("-")));
    for (size_t i = 0; i < value.len; i++) {
        const unsigned char ch = (unsigned char)value.ptr[i];
        CHECK((ch >= 0x20 || ch == '\t') && ch != 0x7f);
    }
    a->headers =
        arena_grow(&r->arena, a->headers, &a->header_cap, a->header_count + 1, sizeof(*a->headers));
    a->headers[a->header_count++] = (struct http_pair){
        .name = arena_str(&r->arena, str_from(name)),
        .value = arena_str(&r->arena, value),
    };
}

static struct http_answer *give(struct http_request *r, int status, const char *content_type) {
    struct http_answer *a = &r->conn->answer;
    CHECK(!a->given && status >= 200 && status <= 599);
    a->given = true;
    a->status = status;
    a->content_type = content_type;
    return a;
}

void http_answer(struct http_request *r, int status, const char *content_type, struct str body) {
    struct http_answer *a = give(r, status, content_type);
    a->body.max = MAX(body.len, HTTP_KEPT_MAX);
    buf_reset(&a->body);
    buf_add_str(&a->body, body);
    a->last = true;
    end_of_making(r->conn);
}

// The next piece that has bytes, or the last one.
static enum err_code pull(struct http_conn *c, struct err *err) {
    struct http_answer *a = &c->answer;
    a->sent = 0;
    do {
        if (atomic_load(&c->request.cancel.set)) {
            return err_set(err, ERR_CANCELLED, "the client has hung up");
        }
        buf_reset(&a->body);
        TRY(a->stream.next(a->stream.ctx, &a->body, &a->last, err));
        if (a->body.overflow) {
            return err_set(err, ERR_INTERNAL, "a piece of the answer is too large");
        }
    } while (a->body.len == 0 && !a->last);
    if (a->last) {
        end_of_making(c);
    }
    return ERR_OK;
}

void http_answer_stream(struct http_request *r, int status, const char *content_type,
                        struct http_stream stream) {
    struct http_answer *a = give(r, status, content_type);
    a->body.max = HTTP_PIECE_MAX;
    a->stream = stream;
    a->streamed = true;
    struct err err = ERR_NONE;
    if (pull(r->conn, &err) != ERR_OK) {
        const struct http_answer before = *a;
        http_answer_reset(r->conn);
        a->headers = before.headers; // they are the request's, whatever its answer is
        a->header_count = before.header_count;
        a->header_cap = before.header_cap;
        http_refuse(r->conn, &err, 0);
    } else if (a->last) {
        a->streamed = false;
    }
}

void http_refuse(struct http_conn *c, const struct err *err, int status) {
    struct http_request *r = &c->request;
    if (!c->headed) {
        c->headed = true;
        http_work_begin(c);
    }
    r->fail_status = status != 0 ? status : err_http(err->code);
    c->server->handler.fail(c->server->handler.ctx, r, err);
    CHECK(c->answer.given && !c->answer.streamed);
}

void http_answer_reset(struct http_conn *c) {
    struct buf body = c->answer.body;
    if (body.cap > HTTP_KEPT_MAX) {
        buf_release(&body);
    }
    c->answer = (struct http_answer){.body = body};
}

// In HTTP/1.0 the end of the connection ends the answer, so only a reset can say that it is cut.
static void reset_connection(const struct http_conn *c) {
    const struct sockaddr nowhere = {.sa_family = AF_UNSPEC};
    (void)connect(c->fd, &nowhere, sizeof(nowhere));
}

static ssize_t read_stream(void *cls, uint64_t position, char *out, size_t max) {
    (void)position;
    struct http_conn *c = cls;
    struct http_answer *a = &c->answer;
    if (a->sent == a->body.len) {
        if (a->last) {
            return MHD_CONTENT_READER_END_OF_STREAM;
        }
        struct err err = ERR_NONE;
        set_state(c, HTTP_WORK);
        const enum err_code failed = pull(c, &err);
        set_state(c, HTTP_SEND);
        if (failed) {
            a->broken = true;
            end_of_making(c); // what follows is our doing, no hang-up
            if (c->http_1_0) {
                reset_connection(c);
            }
            return MHD_CONTENT_READER_END_WITH_ERROR;
        }
    }
    const size_t len = MIN(max, a->body.len - a->sent);
    if (len == 0) {
        return MHD_CONTENT_READER_END_OF_STREAM;
    }
    memcpy(out, a->body.ptr + a->sent, len);
    a->sent += len;
    c->request.bytes_out += (int64_t)len;
    return (ssize_t)len;
}

enum MHD_Result http_answer_queue(struct http_conn *c) {
    struct http_answer *a = &c->answer;
    CHECK(a->given && !a->queued);
    a->queued = true;
    struct MHD_Response *response =
        a->last ? MHD_create_response_from_buffer(a->body.len, a->body.ptr, MHD_RESPMEM_PERSISTENT)
                : MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, BLOCK_BYTES, read_stream, c,
                                                    NULL);
    CHECK(response != NULL);
    if (!a->last && c->request.method == HTTP_HEAD) {
        // libmicrohttpd would send the end of a chunked body; so there is none, and no length.
        (void)MHD_set_response_options(response, MHD_RF_HTTP_1_0_COMPATIBLE_STRICT, MHD_RO_END);
    }
    if (a->content_type) {
        (void)MHD_add_response_header(response, "Content-Type", a->content_type);
    }
    for (size_t i = 0; i < a->header_count; i++) {
        (void)MHD_add_response_header(response, a->headers[i].name.ptr, a->headers[i].value.ptr);
    }
    if (c->close || atomic_load(&c->server->draining)) {
        (void)MHD_add_response_header(response, "Connection", "close");
    }
    set_state(c, HTTP_SEND);
    const enum MHD_Result ret = MHD_queue_response(c->mhd, (unsigned)a->status, response);
    MHD_destroy_response(response);
    return ret;
}

static struct str answer_head(struct http_conn *c) {
    struct http_answer *a = &c->answer;
    struct arena *arena = &c->request.arena;
    const time_t now = (time_t)(clock_wall_us() / 1000000);
    struct tm utc;
    char date[40];
    CHECK(gmtime_r(&now, &utc) != NULL);
    (void)strftime(date, sizeof(date), "%a, %d %b %Y %H:%M:%S GMT", &utc);
    struct str head = arena_printf(arena, "HTTP/1.1 %d %s\r\nDate: %s\r\nConnection: close\r\n",
                                   a->status, MHD_get_reason_phrase_for((unsigned)a->status), date);
    for (size_t i = 0; i < a->header_count; i++) {
        head = arena_printf(arena, STR_FMT "%s: %s\r\n", STR_ARG(head), a->headers[i].name.ptr,
                            a->headers[i].value.ptr);
    }
    return arena_printf(arena, STR_FMT "%s%s%sContent-Length: %zu\r\n\r\n", STR_ARG(head),
                        a->content_type ? "Content-Type: " : "",
                        a->content_type ? a->content_type : "", a->content_type ? "\r\n" : "",
                        a->body.len);
}

void http_answer_send(struct http_conn *c) {
    struct http_answer *a = &c->answer;
    CHECK(a->given && a->last && !a->queued);
    a->queued = true;
    set_state(c, HTTP_SEND);
    const struct str head = answer_head(c);
    const struct str body = c->request.method == HTTP_HEAD ? STR_NONE : buf_str(&a->body);
    const int64_t deadline_us = clock_mono_us() + INT64_C(1000) * SEND_MS;
    if (http_send(c, head, deadline_us) && http_send(c, body, deadline_us)) {
        c->request.bytes_out = (int64_t)body.len;
    }
    http_send_end(c);
}

void http_linger(struct http_conn *c) {
    set_state(c, HTTP_LINGER);
    if (!c->server->tls) {
        (void)shutdown(c->fd, SHUT_WR); // over TLS the end is not ours to send
    }
    const int64_t deadline_us = clock_mono_us() + INT64_C(1000) * LINGER_MS;
    struct pollfd wait = {.fd = c->fd, .events = POLLIN};
    char scrap[16 * 1024];
    while (clock_mono_us() < deadline_us && poll(&wait, 1, LINGER_SILENCE_MS) > 0) {
        if (recv(c->fd, scrap, sizeof(scrap), MSG_DONTWAIT) <= 0) {
            return;
        }
    }
}
