// Messages on a worker's socket: made, sent, received and taken apart.
#include "worker/worker_int.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>

#include "base/clock.h"

#define HEAD_BYTES 5
#define STEP_BYTES (1U << 20) // memory that is taken ahead of bytes

size_t message_begin(enum message kind, struct buf *out) {
    const size_t start = out->len;
    const char head[HEAD_BYTES] = {0, 0, 0, 0, (char)kind};
    buf_add(out, head, sizeof(head));
    return start;
}

void message_end(size_t start, struct buf *out) {
    if (!out->overflow) {
        const uint32_t len = (uint32_t)(out->len - start - HEAD_BYTES);
        memcpy(out->ptr + start, &len, sizeof(len));
    }
}

void message_add_text(struct str s, struct buf *out) {
    const uint32_t len = (uint32_t)s.len;
    buf_add(out, &len, sizeof(len));
    buf_add_str(out, s);
}

bool message_take(struct str *rest, void *ret, size_t len) {
    if (rest->len < len) {
        return false;
    }
    memcpy(ret, rest->ptr, len);
    *rest = str_slice(*rest, len, rest->len);
    return true;
}

bool message_take_text(struct str *rest, struct str *ret) {
    uint32_t len = 0;
    if (!message_take(rest, &len, sizeof(len)) || rest->len < len) {
        return false;
    }
    *ret = str_slice(*rest, 0, len);
    *rest = str_slice(*rest, len, rest->len);
    return true;
}

// Waits for an event; false: until_us has passed.
static bool wait_for(int fd, short events, int64_t until_us) {
    struct pollfd p = {.fd = fd, .events = events};
    int n = 0;
    do {
        const int64_t left_us = until_us - clock_mono_us();
        if (until_us > 0 && left_us <= 0) {
            return false;
        }
        const int64_t ms = MIN(left_us / 1000 + 1, INT32_MAX);
        n = poll(&p, 1, until_us > 0 ? (int)ms : -1);
    } while (n == 0 || (n < 0 && errno == EINTR));
    return true;
}

// After a call that took nothing: shall it be tried again?
static enum message_end again(int fd, short events, int64_t until_us) {
    if (errno == EINTR) {
        return MESSAGE_DONE;
    }
    if (errno != EAGAIN && errno != EWOULDBLOCK) {
        return MESSAGE_GONE;
    }
    return wait_for(fd, events, until_us) ? MESSAGE_DONE : MESSAGE_LATE;
}

enum message_end message_send(int fd, struct str bytes, int64_t until_us) {
    while (bytes.len > 0) {
        const ssize_t n = send(fd, bytes.ptr, bytes.len, MSG_DONTWAIT | MSG_NOSIGNAL);
        const enum message_end end = n < 0 ? again(fd, POLLOUT, until_us) : MESSAGE_DONE;
        if (end != MESSAGE_DONE) {
            return end;
        }
        bytes = str_slice(bytes, n > 0 ? (size_t)n : 0, bytes.len);
    }
    return MESSAGE_DONE;
}

static enum message_end receive(int fd, int64_t until_us, char *to, size_t len) {
    while (len > 0) {
        const ssize_t n = recv(fd, to, len, MSG_DONTWAIT);
        if (n == 0) {
            return MESSAGE_GONE;
        }
        const enum message_end end = n < 0 ? again(fd, POLLIN, until_us) : MESSAGE_DONE;
        if (end != MESSAGE_DONE) {
            return end;
        }
        to += n > 0 ? n : 0;
        len -= n > 0 ? (size_t)n : 0;
    }
    return MESSAGE_DONE;
}

enum message_end message_receive(int fd, int64_t until_us, enum message *ret_kind, struct buf *in) {
    char head[HEAD_BYTES] = {0};
    uint32_t left = 0;
    buf_reset(in);
    // What is there already is not waited for: whoever sends without end must not outlast its time.
    enum message_end end = until_us > 0 && clock_mono_us() >= until_us
                               ? MESSAGE_LATE
                               : receive(fd, until_us, head, sizeof(head));
    memcpy(&left, head, sizeof(left));
    if (end == MESSAGE_DONE &&
        (left > MESSAGE_MAX || head[4] < MESSAGE_SETUP || head[4] > MESSAGE_ERROR)) {
        return MESSAGE_WILD;
    }
    while (end == MESSAGE_DONE && left > 0) {
        const uint32_t step = MIN(left, STEP_BYTES);
        char *to = buf_reserve(in, step);
        if (!to) {
            return MESSAGE_WILD;
        }
        end = receive(fd, until_us, to, step);
        in->len += end == MESSAGE_DONE ? step : 0;
        left -= step;
    }
    *ret_kind = (enum message)head[4];
    return end;
}
