// Errors, failed checks and memory that is there or aborts.
#include "base/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct {
    int http;
    const char *text;
} codes[] = {
#define X(name, http, text) {http, text},
    ERR_MAP(X)
#undef X
};

// Takes back a character that the end of the message cut in two.
static void drop_half_character(char *msg) {
    size_t len = strlen(msg);
    while (len > 0 && ((unsigned char)msg[len - 1] & 0xC0) == 0x80) {
        len--;
    }
    if (len > 0 && (unsigned char)msg[len - 1] >= 0xC0) {
        len--;
    }
    msg[len] = '\0';
}

// Adds to the message what has room.
static void message_add(struct err *err, const char *fmt, va_list args) PRINTF_LIKE(2, 0);
static void message_add(struct err *err, const char *fmt, va_list args) {
    const size_t len = strlen(err->msg);
    const size_t room = sizeof(err->msg) - len;
    const int wanted = vsnprintf(err->msg + len, room, fmt, args);
    CHECK(wanted >= 0);
    if ((size_t)wanted >= room) {
        drop_half_character(err->msg);
    }
}

static void message_addf(struct err *err, const char *fmt, ...) PRINTF_LIKE(2, 3);
static void message_addf(struct err *err, const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    message_add(err, fmt, args);
    va_end(args);
}

static void start(struct err *err, enum err_code code, const char *file, int line) {
    err->code = code;
    err->file = file;
    err->line = line;
    err->position = -1;
    err->msg[0] = '\0';
}

void err_fill(struct err *err, enum err_code code, const char *file, int line, const char *fmt,
              ...) {
    CHECK(code != ERR_OK);
    start(err, code, file, line);
    va_list args;
    va_start(args, fmt);
    message_add(err, fmt, args);
    va_end(args);
}

enum err_code err_fill_errno(struct err *err, const char *file, int line, const char *fmt, ...) {
    const int number = errno;
    const bool full = number == ENOSPC || number == EDQUOT;
    start(err, full ? ERR_NO_SPACE : ERR_IO, file, line);
    va_list args;
    va_start(args, fmt);
    message_add(err, fmt, args);
    va_end(args);

    char reason[128];
    if (strerror_r(number, reason, sizeof(reason)) != 0) {
        (void)snprintf(reason, sizeof(reason), "error %d", number);
    }
    message_addf(err, ": %s", reason);
    return err->code;
}

enum err_code err_prefix(struct err *err, const char *fmt, ...) {
    char old[sizeof(err->msg)];
    memcpy(old, err->msg, sizeof(old));
    err->msg[0] = '\0';
    va_list args;
    va_start(args, fmt);
    message_add(err, fmt, args);
    va_end(args);
    message_addf(err, "%s", old);
    return err->code;
}

const char *err_text(enum err_code code) {
    CHECK((size_t)code < ARRAY_LEN(codes));
    return codes[code].text;
}

int err_http(enum err_code code) {
    CHECK((size_t)code < ARRAY_LEN(codes));
    return codes[code].http;
}

void check_failed(const char *cond, const char *file, int line) {
    (void)dprintf(STDERR_FILENO, "check failed: %s at %s:%d\n", cond, file, line);
    abort();
}

void *xmalloc(size_t size) {
    void *ptr = malloc(MAX(size, 1));
    CHECK(ptr != NULL);
    return ptr;
}

void *xcalloc(size_t count, size_t size) {
    void *ptr = calloc(MAX(count, 1), MAX(size, 1));
    CHECK(ptr != NULL);
    return ptr;
}

void *xrealloc(void *ptr, size_t size) {
    void *grown = realloc(ptr, MAX(size, 1));
    CHECK(grown != NULL);
    return grown;
}

char *xstrdup(const char *s) {
    const size_t bytes = strlen(s) + 1;
    return memcpy(xmalloc(bytes), s, bytes);
}

void freep(void *p) {
    void *ptr = NULL;
    memcpy(&ptr, p, sizeof(ptr));
    free(ptr);
}

void closep(int *fd) {
    if (*fd >= 0) {
        (void)close(*fd);
    }
}
