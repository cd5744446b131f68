// Client of the HTTP tests: sends raw bytes and reads what comes back.
#pragma once

#include "base/arena.h"
#include "base/str.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <cmocka.h>

enum { ANSWER_MAX = 1 << 20 };

#define ARENA_HERE DEFER(arena_release) struct arena a = ARENA(16 << 20)
#define HEAD "Host: x\r\nConnection: close\r\n"

static inline int client_dial(int port) {
    const int fd = socket(AF_INET, SOCK_STREAM, 0);
    const struct sockaddr_in at = {
        .sin_family = AF_INET,
        .sin_port = htons((uint16_t)port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    const struct timeval limit = {.tv_sec = 60};
    assert_true(fd >= 0);
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    if (connect(fd, (const struct sockaddr *)&at, sizeof(at)) != 0) {
        (void)close(fd);
        return -1;
    }
    return fd;
}

static inline void send_all(int fd, struct str data) {
    while (data.len > 0) {
        const ssize_t len = send(fd, data.ptr, data.len, MSG_NOSIGNAL);
        if (len <= 0) {
            return; // the server has refused; what it says is checked
        }
        data = str_slice(data, (size_t)len, data.len);
    }
}

// Everything until the server closes, which it must.
static inline struct str read_to_end(int fd, struct arena *a) {
    struct buf text = BUF(ANSWER_MAX);
    ssize_t len = 0;
    do {
        char *room = buf_reserve(&text, 4096);
        assert_non_null(room);
        len = recv(fd, room, 4096, 0);
        text.len += len > 0 ? (size_t)len : 0;
    } while (len > 0);
    assert_false(len < 0 && errno == EAGAIN);
    const struct str ret = arena_str(a, buf_str(&text));
    buf_release(&text);
    return ret;
}

// One answer with a Content-Length, or a head alone.
static inline struct str read_answer(int fd, bool head_only, struct arena *a) {
    struct buf text = BUF(ANSWER_MAX);
    size_t need = SIZE_MAX;
    while (text.len < need) {
        char *room = buf_reserve(&text, 1);
        if (recv(fd, room, 1, 0) != 1) {
            break;
        }
        text.len++;
        const struct str now = {text.ptr, text.len};
        if (need == SIZE_MAX && str_ends(now, STR("\r\n\r\n"))) {
            const ptrdiff_t at = str_find(now, STR("Content-Length: "));
            struct str rest = at < 0 ? STR("0\r") : str_slice(now, (size_t)at + 16, now.len);
            struct str number = STR_NONE;
            uint64_t len = 0;
            assert_true(str_cut(&rest, '\r', &number) && str_to_u64(number, &len));
            need = text.len + (head_only ? 0 : (size_t)len);
        }
    }
    const struct str ret = arena_str(a, (struct str){text.ptr, text.len});
    buf_release(&text);
    return ret;
}

static inline int status_of(struct str answer) {
    uint64_t status = 0;
    return str_starts(answer, STR("HTTP/1.1 ")) && str_to_u64(str_slice(answer, 9, 12), &status)
               ? (int)status
               : 0;
}

static inline struct str body_of(struct str answer) {
    const ptrdiff_t at = str_find(answer, STR("\r\n\r\n"));
    return at < 0 ? STR_NONE : str_slice(answer, (size_t)at + 4, answer.len);
}

static inline int answers_in(struct str text) {
    int count = 0;
    ptrdiff_t at = 0;
    while ((at = str_find(text, STR("HTTP/1.1 "))) >= 0) {
        count++;
        text = str_slice(text, (size_t)at + 1, text.len);
    }
    return count;
}

static inline bool has(struct str text, const char *what) {
    return str_find(text, str_from(what)) >= 0;
}

static inline struct str client_ask(int port, struct str request, struct arena *a) {
    const int fd = client_dial(port);
    send_all(fd, request);
    const struct str answer = read_to_end(fd, a);
    (void)close(fd);
    return answer;
}

static const char long_part[] = "0123456789012345678901234567890123456789012345678901234567890123";

// Repeats long_part between two texts.
static inline struct str stuffed(const char *before, int times, const char *after,
                                 struct arena *a) {
    struct buf text = BUF(ANSWER_MAX);
    buf_add_cstr(&text, before);
    for (int i = 0; i < times; i++) {
        buf_add_cstr(&text, long_part);
    }
    buf_add_cstr(&text, after);
    const struct str ret = arena_str(a, buf_str(&text));
    buf_release(&text);
    return ret;
}
