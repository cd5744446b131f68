// Tests of the HTTP server: real sockets on loopback, raw bytes in, raw bytes out.
#include "http/http.h"

#include "base/clock.h"
#include "base/counters.h"
#include "http/http_client.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

// What the handler has seen; guarded by the lock.
static struct {
    pthread_mutex_t lock;
    int heads, handles, fails, dones, hung_up, cancelled;
    int64_t bytes, bytes_out;
    int status;
    char err[512];
} seen = {.lock = PTHREAD_MUTEX_INITIALIZER};

struct exchange {
    struct http_request *request;
    int64_t bytes, pieces, pieces_max, fail_at;
    struct buf text;
    _Atomic bool cancelled;
};

static struct http_server *server;
static const char *text_plain = "text/plain";

static void reset_seen(void) {
    LOCKED(&seen.lock);
    seen.heads = seen.handles = seen.fails = seen.dones = seen.hung_up = seen.cancelled = 0;
    seen.bytes = seen.bytes_out = 0;
    seen.status = 0;
    seen.err[0] = '\0';
}

static int seen_int(const int *field) {
    LOCKED(&seen.lock);
    return *field;
}

static void sleep_ms(int64_t ms) {
    const struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
    (void)nanosleep(&t, NULL);
}

static bool wait_for(const int *field, int value) {
    for (int i = 0; i < 30000 && seen_int(field) < value; i++) {
        sleep_ms(2);
    }
    return seen_int(field) >= value;
}

static enum err_code count_bytes(void *ctx, struct str piece, struct err *err) {
    struct exchange *x = ctx;
    x->bytes += (int64_t)piece.len;
    if (str_is(x->request->path, "/sink-fails") && x->bytes > 100) {
        return err_set(err, ERR_DATA, "bad data");
    }
    return ERR_OK;
}

static enum err_code list_part(void *ctx, const struct http_part *part, struct str piece,
                               struct err *err) {
    (void)err;
    struct exchange *x = ctx;
    if (part->first) {
        buf_printf(&x->text, "[" STR_FMT "|" STR_FMT "|" STR_FMT "]", STR_ARG(part->name),
                   STR_ARG(part->filename), STR_ARG(part->content_type));
    }
    buf_add_str(&x->text, piece);
    return ERR_OK;
}

static void on_head(void *ctx, struct http_request *r) {
    (void)ctx;
    struct exchange *x = xcalloc(1, sizeof(*x));
    x->request = r;
    x->text = BUF(1 << 20);
    r->user = x;
    {
        LOCKED(&seen.lock);
        seen.heads++;
    }
    if (str_is(r->path, "/denied")) {
        http_set_header(r, "WWW-Authenticate", STR("Bearer"));
        http_answer(r, 401, text_plain, STR("who are you?"));
    } else if (str_is(r->path, "/echo")) {
        http_body_to_memory(r, 100000);
    } else if (str_starts(r->path, STR("/sink"))) {
        http_body_to_sink(r, (struct http_sink){x, count_bytes}, INT64_C(1) << 40);
    } else if (str_is(r->path, "/form")) {
        http_body_to_parts(r, (struct http_part_sink){x, list_part}, 1 << 20);
    }
}

static enum err_code next_piece(void *ctx, struct buf *out, bool *last, struct err *err) {
    struct exchange *x = ctx;
    if (x->pieces == x->fail_at) {
        return err_set(err, ERR_SQL, "no more");
    }
    if (str_is(x->request->path, "/endless") && atomic_load(&x->request->cancel.set)) {
        return err_set(err, ERR_CANCELLED, "cancelled");
    }
    buf_printf(out, "piece %lld\n", (long long)x->pieces);
    if (str_is(x->request->path, "/endless")) {
        memset(buf_reserve(out, 60000), 'x', 60000);
        out->len += 60000;
    }
    x->pieces++;
    *last = x->pieces == x->pieces_max;
    return ERR_OK;
}

static void note_cancel(void *arg) {
    struct exchange *x = arg;
    atomic_store(&x->cancelled, true);
    LOCKED(&seen.lock);
    seen.cancelled++;
}

static int64_t query_number(struct http_request *r, const char *name, int64_t absent) {
    struct str text = STR_NONE;
    int64_t ret = absent;
    return http_query(r, name, &text) && str_to_i64(text, &ret) ? ret : absent;
}

static void on_handle(void *ctx, struct http_request *r) {
    (void)ctx;
    struct exchange *x = r->user;
    {
        LOCKED(&seen.lock);
        seen.handles++;
        seen.bytes = r->body_bytes;
    }
    if (str_is(r->path, "/echo")) {
        http_answer(r, 200, "application/octet-stream", r->body);
    } else if (str_starts(r->path, STR("/sink"))) {
        const struct str text = arena_printf(&r->arena, "%lld", (long long)x->bytes);
        http_answer(r, 200, text_plain, text);
    } else if (str_is(r->path, "/form")) {
        http_answer(r, 200, text_plain, buf_str(&x->text));
    } else if (str_is(r->path, "/stream") || str_is(r->path, "/endless")) {
        x->pieces_max = query_number(r, "pieces", 3);
        x->fail_at = query_number(r, "fail_at", -1);
        http_on_cancel(r, note_cancel, x);
        http_set_header(r, "X-Request-Id", STR("the-request"));
        http_answer_stream(r, 200, text_plain, (struct http_stream){x, next_piece});
    } else if (str_is(r->path, "/slow")) {
        http_on_cancel(r, note_cancel, x);
        for (int64_t i = 0; i < query_number(r, "ms", 3600000) && !atomic_load(&x->cancelled);
             i++) {
            sleep_ms(1);
        }
        http_answer(r, 200, text_plain, STR("slept"));
    } else if (str_is(r->path, "/parameters")) {
        for (size_t i = 0; i < r->query_count; i++) {
            buf_printf(&x->text, STR_FMT "=" STR_FMT "\n", STR_ARG(r->query[i].name),
                       STR_ARG(r->query[i].value));
        }
        http_answer(r, 200, text_plain, buf_str(&x->text));
    } else if (str_is(r->path, "/nothing")) {
        http_answer(r, 204, NULL, STR_NONE);
    } else {
        http_answer(r, 200, text_plain, r->path);
    }
}

static void on_fail(void *ctx, struct http_request *r, const struct err *e) {
    (void)ctx;
    http_answer(r, r->fail_status, "application/problem+json", str_from(err_text(e->code)));
    LOCKED(&seen.lock);
    seen.fails++;
    (void)snprintf(seen.err, sizeof(seen.err), "%s", e->msg);
}

static void on_done(void *ctx, struct http_request *r) {
    (void)ctx;
    struct exchange *x = r->user;
    if (x) {
        buf_release(&x->text);
        free(x);
    }
    LOCKED(&seen.lock);
    seen.dones++;
    seen.hung_up += r->hung_up;
    seen.status = r->status;
    seen.bytes_out = r->bytes_out;
}

static const struct http_handler handler = {NULL, on_head, on_handle, on_fail, on_done};

static struct http_options options(void) {
    return (struct http_options){
        .listen = STR("127.0.0.1:0"),
        .connections_max = 200,
        .head_max = 16 * 1024,
        .arena_max = 1 << 20,
        .idle_timeout_ms = 60000,
    };
}

static struct http_server *open_server(const struct http_options *o) {
    struct http_server *s = NULL;
    struct err err = ERR_NONE;
    if (http_server_open(o, &handler, &s, &err) != ERR_OK) {
        fail_msg("%s", err.msg);
    }
    return s;
}

static int start_server(void **state) {
    (void)state;
    const struct http_options o = options();
    reset_seen();
    server = open_server(&o);
    return 0;
}

static int stop_server(void **state) {
    (void)state;
    http_server_close(server);
    server = NULL;
    return 0;
}

static int dial(void) {
    return client_dial(http_server_port(server));
}

static struct str ask(struct str request, struct arena *a) {
    return client_ask(http_server_port(server), request, a);
}

static void a_request_is_answered(void **state) {
    (void)state;
    ARENA_HERE;
    const struct str answer = ask(STR("GET /caf%C3%A9%20x HTTP/1.1\r\n" HEAD "\r\n"), &a);
    assert_int_equal(status_of(answer), 200);
    assert_true(str_eq(body_of(answer), STR("/caf\xC3\xA9 x")));
    assert_true(has(answer, "Content-Type: text/plain\r\n"));
    assert_true(has(answer, "Content-Length: 8\r\n"));
    assert_true(has(answer, "Date: "));
    assert_true(wait_for(&seen.dones, 1));
    assert_int_equal(seen_int(&seen.heads), 1);
    assert_int_equal(seen_int(&seen.handles), 1);
    assert_int_equal(seen_int(&seen.status), 200);
    assert_int_equal(seen_int(&seen.hung_up), 0);
}

static void connections_are_kept(void **state) {
    (void)state;
    ARENA_HERE;
    const int fd = dial();
    for (int i = 0; i < 50; i++) {
        send_all(fd, STR("GET /a HTTP/1.1\r\nHost: x\r\n\r\n"));
        assert_int_equal(status_of(read_answer(fd, false, &a)), 200);
    }
    // Refused in head, but there is no body: no reason to close.
    send_all(fd, STR("GET /denied HTTP/1.1\r\nHost: x\r\n\r\n"));
    const struct str denied = read_answer(fd, false, &a);
    assert_int_equal(status_of(denied), 401);
    assert_true(has(denied, "WWW-Authenticate: Bearer\r\n"));
    // Pipelined, in pieces.
    send_all(fd, STR("GET /a HTTP/1.1\r\nHost: x\r\n\r\nGET /b HTT"));
    assert_true(str_is(body_of(read_answer(fd, false, &a)), "/a"));
    send_all(fd, STR("P/1.1\r\nHost: x\r\n\r\n"));
    assert_true(str_is(body_of(read_answer(fd, false, &a)), "/b"));
    send_all(fd, STR("GET /nothing HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"));
    const struct str last = read_to_end(fd, &a);
    assert_int_equal(status_of(last), 204);
    assert_true(has(last, "Connection: close\r\n"));
    (void)close(fd);
    assert_true(wait_for(&seen.dones, 54));
    assert_int_equal(seen_int(&seen.handles), 53);
}

static void a_head_may_come_byte_by_byte(void **state) {
    (void)state;
    ARENA_HERE;
    const struct str request = STR("POST /echo?a=b HTTP/1.1\r\nCookie: a=b\r\nHost: x\r\n"
                                   "Content-Length: 5\r\nConnection: close\r\n\r\nhello");
    const int fd = dial();
    for (size_t i = 0; i < request.len; i++) {
        send_all(fd, str_slice(request, i, i + 1));
        sleep_ms(1);
    }
    assert_true(str_is(body_of(read_to_end(fd, &a)), "hello"));
    (void)close(fd);
}

static void head_is_get_without_the_body(void **state) {
    (void)state;
    ARENA_HERE;
    const int fd = dial();
    send_all(fd, STR("HEAD /hello HTTP/1.1\r\nHost: x\r\n\r\n"));
    const struct str answer = read_answer(fd, true, &a);
    assert_int_equal(status_of(answer), 200);
    assert_true(has(answer, "Content-Length: 6\r\n"));
    send_all(fd, STR("GET /next HTTP/1.1\r\n" HEAD "\r\n"));
    const struct str next = read_to_end(fd, &a);
    assert_true(str_starts(next, STR("HTTP/1.1 200")));
    (void)close(fd);
    const struct str streamed = ask(STR("HEAD /stream HTTP/1.1\r\n" HEAD "\r\n"), &a);
    assert_int_equal(status_of(streamed), 200);
    assert_int_equal(body_of(streamed).len, 0);
}

static void parameters_are_decoded(void **state) {
    (void)state;
    ARENA_HERE;
    const struct str answer =
        ask(STR("GET /parameters?a=1&&b+c=%C3%A4%0A&d&=x&a=2%26 HTTP/1.1\r\n" //
                HEAD "\r\n"),
            &a);
    assert_true(str_eq(body_of(answer), STR("a=1\nb c=\xC3\xA4\n\nd=\n=x\na=2&\n")));
}

// Either would fill the memory of libmicrohttpd if it took them apart.
static void many_cookies_and_parameters_fit(void **state) {
    (void)state;
    ARENA_HERE;
    struct buf request = BUF(ANSWER_MAX);
    buf_add_str(&request, STR("GET /parameters?"));
    for (int i = 0; i < 255; i++) {
        buf_printf(&request, "p%d=&", i);
    }
    buf_add_str(&request, STR("last=1&&&&&&&& HTTP/1.1\r\n" HEAD "Cookie: "));
    for (int i = 0; i < 2000; i++) {
        buf_printf(&request, "c%d=;", i);
    }
    buf_add_str(&request, STR("\r\n\r\n"));
    const struct str answer = ask(buf_str(&request), &a);
    assert_int_equal(status_of(answer), 200);
    assert_int_equal(answers_in(answer), 1);
    assert_true(str_ends(answer, STR("p254=\nlast=1\n")));
    buf_release(&request);
}

static void bodies_go_to_memory(void **state) {
    (void)state;
    ARENA_HERE;
    struct str answer =
        ask(STR("POST /echo HTTP/1.1\r\n" HEAD "Content-Length: 11\r\n\r\nhello\0world"), &a);
    assert_true(str_eq(body_of(answer), STR("hello\0world")));
    answer = ask(STR("POST /echo HTTP/1.1\r\n" HEAD "Transfer-Encoding: Chunked\r\n\r\n"
                     "5;x=y\r\nhello\r\n00A\r\n wide worl\r\n1\r\nd\r\n0\r\nTrailer: x\r\n\r\n"),
                 &a);
    assert_true(str_eq(body_of(answer), STR("hello wide world")));
    answer = ask(STR("POST /echo HTTP/1.1\r\n" HEAD "Content-Length: 0\r\n\r\n"), &a);
    assert_int_equal(status_of(answer), 200);
    assert_int_equal(body_of(answer).len, 0);
    const struct str large =
        stuffed("POST /echo HTTP/1.1\r\n" HEAD "Content-Length: 96000\r\n\r\n", 1500, "", &a);
    answer = ask(large, &a);
    assert_true(str_eq(body_of(answer), body_of(large)));
}

static void early_refusals_do_not_read_the_body(void **state) {
    (void)state;
    ARENA_HERE;
    struct str answer =
        ask(STR("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 100001\r\n\r\n"), &a);
    assert_int_equal(status_of(answer), 413);
    assert_true(has(answer, "Connection: close\r\n"));
    answer = ask(STR("POST /denied HTTP/1.1\r\nHost: x\r\nContent-Length: 9999999\r\n"
                     "Expect: 100-continue\r\n\r\n"),
                 &a);
    assert_int_equal(status_of(answer), 401);
    assert_int_equal(answers_in(answer), 1);
    answer = ask(STR("POST /nothing HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\n"), &a);
    assert_int_equal(status_of(answer), 413);
    // The client sends on for a while and still gets to see its answer.
    answer = ask(stuffed("POST /denied HTTP/1.1\r\nHost: x\r\nContent-Length: 9999999\r\n\r\n",
                         15000, "", &a),
                 &a);
    assert_int_equal(status_of(answer), 401);
    assert_int_equal(seen_int(&seen.handles), 0);
    assert_true(wait_for(&seen.dones, 4));
    assert_int_equal(seen_int(&seen.hung_up), 0);
}

static void a_body_may_be_asked_for(void **state) {
    (void)state;
    ARENA_HERE;
    const int fd = dial();
    send_all(fd, STR("POST /echo HTTP/1.1\r\n" HEAD "Content-Length: 5\r\n"
                     "Expect: 100-continue\r\n\r\n"));
    assert_int_equal(status_of(read_answer(fd, true, &a)), 100);
    send_all(fd, STR("hello"));
    assert_true(str_is(body_of(read_to_end(fd, &a)), "hello"));
    (void)close(fd);
}

static void bodies_go_to_sinks(void **state) {
    (void)state;
    ARENA_HERE;
    const int fd = dial();
    const struct str part = stuffed("", 4096, "", &a);
    send_all(fd, STR("PUT /sink HTTP/1.1\r\n" HEAD "Content-Length: 67108864\r\n\r\n"));
    for (size_t i = 0; i < 67108864 / part.len; i++) {
        send_all(fd, part);
    }
    assert_true(str_is(body_of(read_to_end(fd, &a)), "67108864"));
    (void)close(fd);
    LOCKED(&seen.lock);
    assert_int_equal(seen.bytes, 67108864);
}

static void a_failing_sink_answers_at_once(void **state) {
    (void)state;
    ARENA_HERE;
    // Much is to come: answered in the midst of the body, and closed.
    struct str answer = ask(stuffed("PUT /sink-fails HTTP/1.1\r\nHost: x\r\n"
                                    "Content-Length: 99999999\r\n\r\n",
                                    10, "", &a),
                            &a);
    assert_int_equal(status_of(answer), 422);
    assert_true(str_ends(answer, STR("\r\n\r\nbad_data")));
    assert_true(has(answer, "Connection: close\r\n"));
    // Little: read and thrown away, and the connection stays.
    const int fd = dial();
    send_all(fd, stuffed("PUT /sink-fails HTTP/1.1\r\nHost: x\r\nContent-Length: 640\r\n\r\n", 10,
                         "GET /next HTTP/1.1\r\n" HEAD "\r\n", &a));
    answer = read_to_end(fd, &a);
    (void)close(fd);
    assert_int_equal(status_of(answer), 422);
    assert_int_equal(answers_in(answer), 2);
    assert_true(str_ends(answer, STR("/next")));
    // Chunked.
    answer = ask(stuffed("PUT /sink-fails HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
                         "10000\r\n",
                         10, "", &a),
                 &a);
    assert_int_equal(status_of(answer), 422);
    assert_true(wait_for(&seen.dones, 4));
    assert_int_equal(seen_int(&seen.fails), 3);
    assert_int_equal(seen_int(&seen.handles), 1);
}

static void too_long_chunked_bodies_are_cut_off(void **state) {
    (void)state;
    ARENA_HERE;
    const struct str answer = ask(stuffed("POST /echo HTTP/1.1\r\nHost: x\r\n"
                                          "Transfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n",
                                          3000, "", &a),
                                  &a);
    assert_int_equal(status_of(answer), 413);
    assert_int_equal(answers_in(answer), 1);
}

static void forms_are_cut_into_parts(void **state) {
    (void)state;
    ARENA_HERE;
    struct str answer = ask(STR("POST /form HTTP/1.1\r\n" HEAD "Content-Length: 8\r\n"
                                "Content-Type: application/x-www-form-urlencoded\r\n\r\n"
                                "a=1&b=%32"),
                            &a);
    assert_true(str_is(body_of(answer), "[a||]1[b||]") || status_of(answer) == 400);
    answer = ask(STR("POST /form HTTP/1.1\r\n" HEAD "Content-Length: 9\r\n"
                     "Content-Type: application/x-www-form-urlencoded\r\n\r\na=1&b=%32"),
                 &a);
    assert_true(str_is(body_of(answer), "[a||]1[b||]2"));
    const struct str type = STR("Content-Type: multipart/form-data; boundary=XX\r\n");
    const struct str body =
        STR("--XX\r\nContent-Disposition: form-data; name=\"f\"; "
            "filename=\"a.csv\"\r\nContent-Type: text/csv\r\n\r\n1,2\r\n--XX--");
    const struct str request = arena_printf(
        &a, "POST /form HTTP/1.1\r\n" HEAD "Content-Length: %zu\r\n" STR_FMT "\r\n" STR_FMT,
        body.len, STR_ARG(type), STR_ARG(body));
    assert_true(str_is(body_of(ask(request, &a)), "[f|a.csv|text/csv]1,2"));
    answer = ask(STR("POST /form HTTP/1.1\r\n" HEAD "Content-Length: 2\r\n"
                     "Content-Type: application/json\r\n\r\n{}"),
                 &a);
    assert_int_equal(status_of(answer), 415);
    answer = ask(STR("POST /form HTTP/1.1\r\n" HEAD "Content-Length: 4\r\n"
                     "Content-Type: multipart/form-data; boundary=XX\r\n\r\n--XX"),
                 &a);
    assert_int_equal(status_of(answer), 400);
}

static void streams_are_chunked(void **state) {
    (void)state;
    ARENA_HERE;
    const struct str answer = ask(STR("GET /stream HTTP/1.1\r\n" HEAD "\r\n"), &a);
    assert_int_equal(status_of(answer), 200);
    assert_true(has(answer, "Transfer-Encoding: chunked\r\n"));
    assert_true(
        str_is(body_of(answer), "8\r\npiece 0\n\r\n8\r\npiece 1\n\r\n8\r\npiece 2\n\r\n0\r\n\r\n"));
    const struct str one = ask(STR("GET /stream?pieces=1 HTTP/1.1\r\n" HEAD "\r\n"), &a);
    assert_true(has(one, "Content-Length: 8\r\n"));
    const struct str old = ask(STR("GET /stream HTTP/1.0\r\n\r\n"), &a);
    assert_int_equal(status_of(old), 200);
    assert_true(str_is(body_of(old), "piece 0\npiece 1\npiece 2\n"));
    assert_true(has(old, "Connection: close\r\n"));
    assert_true(wait_for(&seen.dones, 3));
    assert_int_equal(seen_int(&seen.hung_up), 0);
    LOCKED(&seen.lock);
    assert_int_equal(seen.bytes_out, 24);
}

static void a_stream_that_fails_is_a_problem_or_cut(void **state) {
    (void)state;
    ARENA_HERE;
    const struct str first = ask(STR("GET /stream?fail_at=0 HTTP/1.1\r\n" HEAD "\r\n"), &a);
    assert_int_equal(status_of(first), 422);
    assert_true(str_is(body_of(first), "sql_error"));
    assert_true(has(first, "X-Request-Id: the-request\r\n"));
    const struct str later = ask(STR("GET /stream?fail_at=2 HTTP/1.1\r\n" HEAD "\r\n"), &a);
    assert_int_equal(status_of(later), 200);
    assert_true(has(later, "piece 1\n"));
    assert_false(str_ends(later, STR("0\r\n\r\n")));
    // Without chunks only a reset can say it.
    const int fd = dial();
    send_all(fd, STR("GET /stream?fail_at=2 HTTP/1.0\r\n\r\n"));
    char byte = 0;
    ssize_t len = 0;
    do {
        len = recv(fd, &byte, 1, 0);
    } while (len == 1);
    assert_int_equal(len, -1);
    (void)close(fd);
    assert_true(wait_for(&seen.dones, 3));
    assert_int_equal(seen_int(&seen.hung_up), 0);
    assert_int_equal(seen_int(&seen.fails), 1);
}

// The client leaves while the handler computes, or streams.
static void hang_ups_cancel(const char *request, bool reset) {
    reset_seen();
    const int fd = dial();
    send_all(fd, str_from(request));
    assert_true(wait_for(&seen.handles, 1));
    sleep_ms(30);
    const struct linger now = {.l_onoff = 1};
    if (reset) {
        (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
    }
    (void)close(fd);
    assert_true(wait_for(&seen.dones, 1)); // by itself it takes an hour, or for ever
    assert_int_equal(seen_int(&seen.hung_up), 1);
}

static void a_client_that_leaves_is_seen(void **state) {
    (void)state;
    for (int i = 0; i < 5; i++) {
        hang_ups_cancel("GET /slow HTTP/1.1\r\nHost: x\r\n\r\n", false);
        hang_ups_cancel("GET /slow HTTP/1.1\r\nHost: x\r\n\r\n", true);
        hang_ups_cancel("GET /endless?pieces=0 HTTP/1.1\r\nHost: x\r\n\r\n", false);
        hang_ups_cancel("GET /endless?pieces=0 HTTP/1.0\r\n\r\n", true);
    }
    // In the midst of its body there is nothing to cancel but the upload.
    reset_seen();
    const int fd = dial();
    send_all(fd, STR("PUT /sink HTTP/1.1\r\nHost: x\r\nContent-Length: 999\r\n\r\nabc"));
    assert_true(wait_for(&seen.heads, 1));
    (void)close(fd);
    assert_true(wait_for(&seen.dones, 1));
    assert_int_equal(seen_int(&seen.hung_up), 1);
    assert_int_equal(seen_int(&seen.handles), 0);
    assert_int_equal(seen_int(&seen.status), 499);
}

static void a_slow_reader_holds_nobody(void **state) {
    (void)state;
    ARENA_HERE;
    int slow[20];
    for (int i = 0; i < 20; i++) {
        slow[i] = dial();
        send_all(slow[i], STR("GET /endless?pieces=0 HTTP/1.1\r\nHost: x\r\n\r\n"));
    }
    assert_true(wait_for(&seen.handles, 20));
    for (int i = 0; i < 20; i++) {
        assert_int_equal(status_of(ask(STR("GET /a HTTP/1.1\r\n" HEAD "\r\n"), &a)), 200);
    }
    for (int i = 0; i < 20; i++) {
        (void)close(slow[i]);
    }
    assert_true(wait_for(&seen.dones, 40));
    assert_int_equal(seen_int(&seen.hung_up), 20);
}

static void drain_waits_for_requests_but_not_for_idlers(void **state) {
    (void)state;
    ARENA_HERE;
    const int idle = dial();
    send_all(idle, STR("GET /a HTTP/1.1\r\nHost: x\r\n\r\n"));
    assert_int_equal(status_of(read_answer(idle, false, &a)), 200);
    const int half = dial();
    send_all(half, STR("GET /a HTT"));
    const int busy = dial();
    send_all(busy, STR("GET /slow?ms=300 HTTP/1.1\r\nHost: x\r\n\r\n"));
    assert_true(wait_for(&seen.handles, 2));
    assert_true(http_server_drain(server, 20000)); // false after that time
    const struct str answer = read_to_end(busy, &a);
    assert_int_equal(status_of(answer), 200);
    assert_true(has(answer, "Connection: close\r\n"));
    assert_int_equal(read_to_end(idle, &a).len, 0);
    assert_int_equal(read_to_end(half, &a).len, 0);
    assert_int_equal(dial(), -1);
    (void)close(idle);
    (void)close(half);
    (void)close(busy);
}

static void drain_cancels_what_takes_too_long(void **state) {
    (void)state;
    ARENA_HERE;
    const int busy = dial();
    send_all(busy, STR("GET /slow?ms=60000 HTTP/1.1\r\nHost: x\r\n\r\n"));
    assert_true(wait_for(&seen.handles, 1));
    assert_false(http_server_drain(server, 100));
    assert_int_equal(seen_int(&seen.cancelled), 1);
    assert_int_equal(status_of(read_to_end(busy, &a)), 200);
    (void)close(busy);
}

static void *hurry(void *arg) {
    sleep_ms(50);
    http_server_hurry(arg);
    return NULL;
}

static void drain_can_be_cut_short(void **state) {
    (void)state;
    ARENA_HERE;
    const int busy = dial();
    send_all(busy, STR("GET /slow?ms=60000 HTTP/1.1\r\nHost: x\r\n\r\n"));
    assert_true(wait_for(&seen.handles, 1));
    const pthread_t thread = threads_start("hurry", hurry, server);
    assert_false(http_server_drain(server, 600000));
    (void)pthread_join(thread, NULL);
    assert_int_equal(seen_int(&seen.cancelled), 1);
    assert_int_equal(status_of(read_to_end(busy, &a)), 200);
    (void)close(busy);
}

static void silent_clients_are_left(void **state) {
    (void)state;
    ARENA_HERE;
    stop_server(NULL);
    struct http_options o = options();
    o.idle_timeout_ms = 1000;
    server = open_server(&o);
    const int idle = dial();
    const int body = dial();
    send_all(body, STR("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nabc"));
    const int paused = dial();
    send_all(paused, STR("GET /endless?pieces=0 HTTP/1.1\r\nHost: x\r\n\r\n"));
    // A handler that computes for longer is not silence.
    const struct str slow = ask(STR("GET /slow?ms=2000 HTTP/1.1\r\n" HEAD "\r\n"), &a);
    assert_int_equal(status_of(slow), 200);
    assert_int_equal(read_to_end(idle, &a).len, 0);
    assert_int_equal(status_of(read_to_end(body, &a)), 0);
    assert_true(wait_for(&seen.dones, 3));
    (void)close(idle);
    (void)close(body);
    (void)close(paused);
}

static void a_head_that_trickles_is_cut_off(void **state) {
    (void)state;
    ARENA_HERE;
    const int64_t start_us = clock_mono_us();
    const int fresh = dial();
    const int kept = dial();
    send_all(kept, STR("GET /a HTTP/1.1\r\nHost: x\r\n\r\n"));
    (void)read_answer(kept, false, &a);
    sleep_ms(600);
    struct pollfd ends[2] = {{.fd = fresh, .events = POLLIN}, {.fd = kept, .events = POLLIN}};
    while ((!ends[0].revents || !ends[1].revents) && clock_mono_us() - start_us < 60000000) {
        send_all(fresh, STR("G"));
        send_all(kept, STR("G"));
        sleep_ms(100);
        (void)poll(ends, 2, 0);
    }
    assert_true(ends[0].revents != 0 && ends[1].revents != 0);
    (void)close(fresh);
    (void)close(kept);
}

static void the_number_of_connections_is_limited(void **state) {
    (void)state;
    ARENA_HERE;
    stop_server(NULL);
    struct http_options o = options();
    o.connections_max = 3;
    server = open_server(&o);
    int fds[3];
    for (int i = 0; i < 3; i++) {
        fds[i] = dial();
        send_all(fds[i], STR("GET /a HTTP/1.1\r\nHost: x\r\n\r\n"));
        assert_int_equal(status_of(read_answer(fds[i], false, &a)), 200);
    }
    assert_int_equal(counter_get(COUNTER_http_connections), 3);
    assert_int_equal(ask(STR("GET /a HTTP/1.1\r\n" HEAD "\r\n"), &a).len, 0);
    (void)close(fds[0]);
    struct str answer = STR_NONE;
    for (int i = 0; i < 6000 && answer.len == 0; i++) {
        sleep_ms(5);
        answer = ask(STR("GET /a HTTP/1.1\r\n" HEAD "\r\n"), &a);
    }
    assert_int_equal(status_of(answer), 200);
    (void)close(fds[1]);
    (void)close(fds[2]);
}

static void requests_are_counted(void **state) {
    (void)state;
    ARENA_HERE;
    const int64_t requests = counter_get(COUNTER_http_requests);
    const int64_t client = counter_get(COUNTER_http_errors_client);
    const int64_t refused = counter_get(COUNTER_http_refused);
    const int64_t in = counter_get(COUNTER_http_bytes_in);
    const int64_t out = counter_get(COUNTER_http_bytes_out);
    (void)ask(STR("POST /echo HTTP/1.1\r\n" HEAD "Content-Length: 5\r\n\r\nhello"), &a);
    (void)ask(STR("GET /denied HTTP/1.1\r\n" HEAD "\r\n"), &a);
    (void)ask(STR("GET /.. HTTP/1.1\r\n" HEAD "\r\n"), &a);
    (void)ask(STR("GET /stream?pieces=1 HTTP/1.1\r\n" HEAD "\r\n"), &a);
    (void)ask(STR("GET /stream?pieces=2 HTTP/1.1\r\n" HEAD "\r\n"), &a);
    assert_true(wait_for(&seen.dones, 5));
    assert_int_equal(counter_get(COUNTER_http_requests) - requests, 5);
    assert_int_equal(counter_get(COUNTER_http_errors_client) - client, 2);
    assert_int_equal(counter_get(COUNTER_http_refused) - refused, 1);
    assert_int_equal(counter_get(COUNTER_http_bytes_in) - in, 5);
    assert_int_equal(counter_get(COUNTER_http_bytes_out) - out, 5 + 12 + 16 + 8 + 16);
}

static void *hammer(void *arg) {
    (void)arg;
    ARENA_HERE;
    for (int i = 0; i < 20; i++) {
        const int fd = dial();
        for (int j = 0; j < 10; j++) {
            send_all(fd, STR("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc"));
            if (!str_is(body_of(read_answer(fd, false, &a)), "abc")) {
                (void)close(fd);
                return NULL;
            }
        }
        (void)close(fd);
    }
    return &server;
}

static void many_clients_at_once(void **state) {
    (void)state;
    pthread_t threads[8];
    for (int i = 0; i < 8; i++) {
        threads[i] = threads_start("hammer", hammer, NULL);
    }
    for (int i = 0; i < 8; i++) {
        void *result = NULL;
        assert_int_equal(pthread_join(threads[i], &result), 0);
        assert_non_null(result);
    }
    assert_true(wait_for(&seen.dones, 1600));
    assert_int_equal(seen_int(&seen.heads), 1600);
    assert_int_equal(seen_int(&seen.dones), 1600);
}

static void addresses_are_understood(void **state) {
    (void)state;
    static const struct {
        const char *listen;
        enum err_code expected;
        bool loopback;
    } cases[] = {
        {"127.0.0.1:0", ERR_OK, true},
        {"localhost:0", ERR_OK, true},
        {":0", ERR_OK, false},
        {"0.0.0.0:0", ERR_OK, false},
        {"127.0.0.1", ERR_INVALID, false},
        {"127.0.0.1:99999", ERR_INVALID, true},
        {"127.0.0.1:x", ERR_INVALID, false},
        {"", ERR_INVALID, false},
        {"192.0.2.1:0", ERR_INVALID, false},
        {"::1:0", ERR_INVALID, false},
        {"127.evil.invalid:0", ERR_INVALID, false},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct http_options o = options();
        struct http_server *s = NULL;
        struct err err = ERR_NONE;
        o.listen = str_from(cases[i].listen);
        const enum err_code got = http_server_open(&o, &handler, &s, &err);
        http_server_close(s);
        if (got != cases[i].expected ||
            (got == ERR_OK && http_listen_is_loopback(o.listen) != cases[i].loopback)) {
            fail_msg("%s: %d %s", cases[i].listen, (int)got, err.msg);
        }
    }
    assert_true(http_listen_is_loopback(STR("[::1]:1")));
    assert_false(http_listen_is_loopback(STR("[::]:1")));
    assert_false(http_listen_is_loopback(STR("127.evil.example:1")));

    struct http_options o = options();
    struct http_server *s = NULL;
    struct err err = ERR_NONE;
    char listen[32];
    (void)snprintf(listen, sizeof(listen), "127.0.0.1:%d", http_server_port(server));
    o.listen = str_from(listen);
    assert_int_equal(http_server_open(&o, &handler, &s, &err), ERR_BUSY);
    o.listen = STR("127.0.0.1:0");
    o.tls_cert = o.tls_key = STR("/nowhere/at-all.pem");
    assert_int_equal(http_server_open(&o, &handler, &s, &err), ERR_INVALID);
    assert_non_null(strstr(err.msg, "/nowhere/at-all.pem"));
    o.tls_cert = o.tls_key = STR("/etc/hostname");
    assert_int_equal(http_server_open(&o, &handler, &s, &err), ERR_INVALID);
}

static const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, start_server, stop_server)
    TEST(a_request_is_answered),
    TEST(connections_are_kept),
    TEST(a_head_may_come_byte_by_byte),
    TEST(head_is_get_without_the_body),
    TEST(parameters_are_decoded),
    TEST(many_cookies_and_parameters_fit),
    TEST(bodies_go_to_memory),
    TEST(early_refusals_do_not_read_the_body),
    TEST(a_body_may_be_asked_for),
    TEST(bodies_go_to_sinks),
    TEST(a_failing_sink_answers_at_once),
    TEST(too_long_chunked_bodies_are_cut_off),
    TEST(forms_are_cut_into_parts),
    TEST(streams_are_chunked),
    TEST(a_stream_that_fails_is_a_problem_or_cut),
    TEST(a_client_that_leaves_is_seen),
    TEST(a_slow_reader_holds_nobody),
    TEST(drain_waits_for_requests_but_not_for_idlers),
    TEST(drain_cancels_what_takes_too_long),
    TEST(drain_can_be_cut_short),
    TEST(silent_clients_are_left),
    TEST(a_head_that_trickles_is_cut_off),
    TEST(the_number_of_connections_is_limited),
    TEST(requests_are_counted),
    TEST(many_clients_at_once),
    TEST(addresses_are_understood),
};

int main(void) {
    (void)signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
