// Tests of request heads: what is malformed or too large is refused once, and the connection
// closed.
#include "http/http.h"

#include "base/clock.h"
#include "http/http_client.h"

#include <signal.h>

static _Atomic int handled, failed, done;
static struct http_server *server;

static void on_head(void *ctx, struct http_request *r) {
    (void)ctx;
    if (str_is(r->path, "/echo")) {
        http_body_to_memory(r, 100000);
    }
}

static void on_handle(void *ctx, struct http_request *r) {
    (void)ctx;
    atomic_fetch_add(&handled, 1);
    http_answer(r, 200, "text/plain", r->path);
}

static void on_fail(void *ctx, struct http_request *r, const struct err *e) {
    (void)ctx;
    atomic_fetch_add(&failed, 1);
    http_answer(r, r->fail_status, "application/problem+json", str_from(err_text(e->code)));
}

static void on_done(void *ctx, struct http_request *r) {
    (void)ctx;
    (void)r;
    atomic_fetch_add(&done, 1);
}

static int start_server(void **state) {
    (void)state;
    const struct http_handler handler = {NULL, on_head, on_handle, on_fail, on_done};
    const struct http_options o = {
        .listen = STR("127.0.0.1:0"),
        .connections_max = 200,
        .head_max = 16 * 1024,
        .arena_max = 1 << 20,
        .idle_timeout_ms = 60000,
    };
    struct err err = ERR_NONE;
    atomic_store(&handled, 0);
    atomic_store(&failed, 0);
    atomic_store(&done, 0);
    return http_server_open(&o, &handler, &server, &err) == ERR_OK ? 0 : -1;
}

static int stop_server(void **state) {
    (void)state;
    http_server_close(server);
    return 0;
}

struct malformed {
    struct str request;
    int status; // 0: closed without an answer
};

#define GET(target) STR("GET " target " HTTP/1.1\r\nHost: x\r\n\r\n")
#define LINE(line) STR("GET /a HTTP/1.1\r\nHost: x\r\n" line "\r\n\r\n")
#define POST(lines) STR("POST /echo HTTP/1.1\r\nHost: x\r\n" lines)
#define CHUNKED(body) POST("Transfer-Encoding: chunked\r\n\r\n" body)

// Each is refused and the connection closed; the bytes of a second request behind it are not read
// as one.
static const struct malformed malformed[] = {
    {POST("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), 400},
    {POST("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n"), 400},
    {POST("Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello"), 400},
    {POST("Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello"), 400},
    {POST("Content-Length: 0\r\nContent-Length: 5\r\n\r\nhello"), 400},
    {POST("Content-Length: 5, 5\r\n\r\nhello"), 400},
    {POST("Content-Length: +5\r\n\r\nhello"), 400},
    {POST("Content-Length: -1\r\n\r\nhello"), 400},
    {POST("Content-Length: 0x5\r\n\r\nhello"), 400},
    {POST("Content-Length: five\r\n\r\nhello"), 400},
    {POST("Content-Length: 5 5\r\n\r\nhello"), 400},
    {POST("Content-Length:\r\n\r\nhello"), 400},
    {POST("Content-Length: 99999999999999999999999\r\n\r\nhello"), 413},
    {POST("Content-Length: 9999999999999999999\r\n\r\nhello"), 413},
    {POST("Content-Length: 9223372036854775807\r\n\r\nhello"), 413},
    {POST("Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n"), 400},
    {POST("Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"), 400},
    {POST("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), 400},
    {POST("Transfer-Encoding: identity\r\n\r\n"), 400},
    {POST("Transfer-Encoding:\r\n\r\n"), 400},
    {POST("Transfer-Encoding: x\r\n chunked\r\n\r\n0\r\n\r\n"), 400},
    {POST("Content-Length: 5\r\n \r\n\r\nhello"), 400},
    {POST("Content-Length : 5\r\n\r\nhello"), 400},
    {POST("Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n"), 400},
    {STR("POST /echo HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), 400},
    {CHUNKED("x\r\nhello\r\n0\r\n\r\n"), 400},
    {CHUNKED("-5\r\nhello\r\n0\r\n\r\n"), 400},
    {CHUNKED("+5\r\nhello\r\n0\r\n\r\n"), 400},
    {CHUNKED("0x5\r\nhello\r\n0\r\n\r\n"), 400},
    {CHUNKED(" 5\r\nhello\r\n0\r\n\r\n"), 400},
    {CHUNKED("\r\nhello\r\n0\r\n\r\n"), 400},
    {CHUNKED("5\r\nhelloworld\r\n0\r\n\r\n"), 400},
    {CHUNKED("FFFFFFFFFFFFFFFFF\r\nhello\r\n0\r\n\r\n"), 413},
    {CHUNKED("0\r\nno colon\r\n\r\n"), 400},
    {LINE("Space : x"), 400},
    {LINE("Tab\t: x"), 400},
    {LINE("no colon"), 400},
    {LINE(": no name"), 400},
    {LINE("Fold: a\r\n b"), 400},
    {LINE("Fold: a\r\n\tb"), 400},
    {LINE("Fold: a\r\n "), 400},
    {STR("GET /a HTTP/1.1\r\n Fold: a\r\nHost: x\r\n\r\n"), 400},
    {LINE("Nul: a\0b"), 400},
    {LINE("Nul: a\0\0Other: b"), 400},
    {LINE("N\0ul: a"), 400},
    {LINE("Bell: a\ab"), 400},
    {LINE("Return: a\rb"), 400},
    {LINE("Return: a\r\r"), 400},
    {LINE("Bad{Name: a"), 400},
    {LINE("B\xC3\xA4: a"), 400},
    {STR("GET /a HTTP/1.1\nHost: x\r\n\r\n"), 400},
    {STR("GET /a HTTP/1.1\r\nHost: x\n\r\n"), 400},
    {STR("GET /a HTTP/1.1\r\nHost: x\r\n\n"), 400},
    {STR("GET /a HTTP/1.1\r\nHost: x\nA: b\r\n\r\n"), 400},
    {STR("GET /a HTTP/1.1\nHost: x\n\n"), 400},
    {STR("GET /a HTTP/1.1\r\n\r\n"), 400},
    {STR("GET /a HTTP/1.1\n\n"), 400},
    {STR("GET /a HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"), 400},
    {STR("GET /a HTTP/1.1\r\nHost: a b\r\n\r\n"), 400},
    {STR("GET /a HTTP/1.1\r\nHost: a/b\r\n\r\n"), 400},
    {STR("GET /a HTTP/1.1\r\nHost: u@b\r\n\r\n"), 400},
    {STR("GET  /a HTTP/1.1\r\nHost: x\r\n\r\n"), 400},
    {STR("GET /a  HTTP/1.1\r\nHost: x\r\n\r\n"), 400},
    {STR("GET /a b HTTP/1.1\r\nHost: x\r\n\r\n"), 400},
    {STR("GET /a HTTP/1.1 \r\nHost: x\r\n\r\n"), 400},
    {STR("GET /a\r\nHost: x\r\n\r\n"), 400},
    {STR("GET\r\nHost: x\r\n\r\n"), 0},
    {STR("GET /a HTTP/9.9\r\nHost: x\r\n\r\n"), 505},
    {STR("GET /a HTTP/0.9\r\nHost: x\r\n\r\n"), 505},
    {STR("GET /a http/1.1\r\nHost: x\r\n\r\n"), 400},
    {STR("GET /a HTTP/1.1x\r\nHost: x\r\n\r\n"), 400},
    {STR("G(T /a HTTP/1.1\r\nHost: x\r\n\r\n"), 400},
    {STR("\x16\x03\x01\x02\x00\x01\xfc\r\n\r\n"), 0},
    {GET("/a\0b"), 400},
    {GET("/a\tb"), 400},
    {GET("/a\x01"), 400},
    {GET("/a\x7f"), 400},
    {GET("/a#b"), 400},
    {GET("/../etc"), 400},
    {GET("/a/.."), 400},
    {GET("/a/./b"), 400},
    {GET("/%2e%2e/etc"), 400},
    {GET("/.%2E/etc"), 400},
    {GET("//a"), 400},
    {GET("/a//b"), 400},
    {GET("/a%2fb"), 400},
    {GET("/a%2Fb"), 400},
    {GET("/a%5cb"), 400},
    {GET("/a\\b"), 400},
    {GET("/a%00"), 400},
    {GET("/a%0d%0ab"), 400},
    {GET("/a%7f"), 400},
    {GET("/%c0%ae%c0%ae/"), 400},
    {GET("/\xc0\xae"), 400},
    {GET("/%ff"), 400},
    {GET("/%ed%a0%80"), 400},
    {GET("/a%"), 400},
    {GET("/a%2"), 400},
    {GET("/a%zz"), 400},
    {GET("http://x/a"), 400},
    {GET("x"), 400},
    {GET("*"), 400},
    {GET("?a=b"), 400},
    {GET("/a?b=%zz"), 400},
    {GET("/a?b=%00"), 400},
    {GET("/a?b=%ff"), 400},
    {GET("/a?b%"), 400},
    {GET("/a?b=\x01"), 400},
    {GET("/a?b=c#d"), 400},
    {STR("CONNECT x:443 HTTP/1.1\r\nHost: x\r\n\r\n"), 400},
};

static void check_refused(struct str request, int status, size_t number) {
    ARENA_HERE;
    const int64_t start_us = clock_mono_us();
    char *both = arena_alloc(&a, request.len + 64);
    memcpy(both, request.ptr, request.len);
    const struct str second = STR("GET /second HTTP/1.1\r\nHost: x\r\n\r\n");
    memcpy(both + request.len, second.ptr, second.len);
    const struct str twice = {both, request.len + second.len};
    const struct str answer = client_ask(http_server_port(server), twice, &a);
    // When the client still sends what libmicrohttpd refuses by itself, the answer may be lost.
    const bool lost = answer.len == 0 && request.len > 30000;
    if ((status_of(answer) != status && !lost) || answers_in(answer) > (status != 0) ||
        has(answer, "/second") || clock_mono_us() - start_us > 5000000) {
        fail_msg("malformed request %zu: status %d, %d answers: %.200s\n%.400s", number,
                 status_of(answer), answers_in(answer), request.ptr, answer.ptr);
    }
    assert_int_equal(atomic_load(&handled), 0);
}

static void malformed_requests_are_refused_once_and_closed(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof(malformed) / sizeof(malformed[0]); i++) {
        check_refused(malformed[i].request, malformed[i].status, i);
    }
    (void)http_server_drain(server, 10000);
    assert_true(atomic_load(&failed) > 80);
    assert_int_equal(atomic_load(&done), atomic_load(&failed));
}

static void malformed_requests_are_refused_on_kept_connections(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof(malformed) / sizeof(malformed[0]); i++) {
        ARENA_HERE;
        const int fd = client_dial(http_server_port(server));
        send_all(fd, STR("GET /first?a=b HTTP/1.1\r\nHost: x\r\nCookie: a=b\r\n\r\n"));
        assert_true(str_is(body_of(read_answer(fd, false, &a)), "/first"));
        send_all(fd, malformed[i].request);
        (void)shutdown(fd, SHUT_WR);
        const struct str answer = read_to_end(fd, &a);
        (void)close(fd);
        if (answers_in(answer) > 1 || status_of(answer) / 100 == 2) {
            fail_msg("malformed request %zu: " STR_FMT, i, STR_ARG(answer));
        }
    }
}

static void what_is_too_large_is_refused(void **state) {
    (void)state;
    ARENA_HERE;
    check_refused(stuffed("GET /", 140, " HTTP/1.1\r\nHost: x\r\n\r\n", &a), 414, 1000);
    check_refused(stuffed("GET /", 1000, " HTTP/1.1\r\nHost: x\r\n\r\n", &a), 414, 1001);
    check_refused(stuffed("GET / HTTP/1.1\r\nHost: x\r\nA: ", 270, "\r\n\r\n", &a), 431, 1002);
    check_refused(stuffed("GET / HTTP/1.1\r\nHost: x\r\nA: ", 1000, "\r\n\r\n", &a), 431, 1003);
    struct buf many = BUF(ANSWER_MAX);
    buf_add_str(&many, STR("GET / HTTP/1.1\r\nHost: x\r\n"));
    for (int i = 0; i < 100; i++) {
        buf_printf(&many, "H%d: x\r\n", i);
    }
    buf_add_str(&many, STR("\r\n"));
    check_refused(buf_str(&many), 431, 1004);
    buf_release(&many);
}

static const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, start_server, stop_server)
    TEST(malformed_requests_are_refused_once_and_closed),
    TEST(malformed_requests_are_refused_on_kept_connections),
    TEST(what_is_too_large_is_refused),
};

int main(void) {
    (void)signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
