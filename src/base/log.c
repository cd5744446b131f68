// Log: a line is built in one buffer on the stack and written at once.
#include "base/log.h"

#include "base/clock.h"
#include "base/utf8.h"

#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

enum {
    PAIRS_MAX = 3000, // bytes that fmt may make
    LINE_MAX_BYTES = 4096,
    REQUEST_MAX = 64,
    SECRET_MIN = 24, // letters and digits after TOKEN_START that make a token, if a cut one
    QUOTED_MAX = 500,
    QUOTED_COUNT = 8,
};

// Text that never grows past its room. What does not fit is left out whole.
struct text {
    char *ptr;
    size_t len;
    size_t max;
    bool cut;
};

#define TOKEN_START "tarn_"

static const char *const level_names[] = {"debug", "info", "warn", "error"};
static _Atomic int level_min = LOG_INFO;

static _Thread_local char request[REQUEST_MAX];
static _Thread_local size_t request_len;
static _Thread_local char quoted[QUOTED_COUNT][QUOTED_MAX + 1];
static _Thread_local unsigned quoted_next;

static void add(struct text *t, const char *data, size_t len) {
    if (t->cut || len > t->max - t->len) {
        t->cut = true;
        return;
    }
    memcpy(t->ptr + t->len, data, len);
    t->len += len;
}

static void add_cstr(struct text *t, const char *s) {
    add(t, s, strlen(s));
}

static void add_hex(struct text *t, const char *bytes, size_t len) {
    char escape[4 * 4 + 1];
    size_t used = 0;
    for (size_t i = 0; i < len; i++) {
        used += (size_t)snprintf(escape + used, sizeof(escape) - used, "\\x%02x",
                                 (unsigned)(unsigned char)bytes[i]);
    }
    add(t, escape, used);
}

// Control characters: those of ASCII, DEL, and U+0080 to U+009F, which terminals obey too.
static bool is_control(const char *p, size_t len) {
    const unsigned char first = (unsigned char)p[0];
    if (len == 1) {
        return first < 0x20 || first == 0x7F;
    }
    return len == 2 && first == 0xC2 && (unsigned char)p[1] < 0xA0;
}

// Adds one character of s from i on; returns its length in s.
static size_t add_character(struct text *t, struct str s, size_t i) {
    const char *p = s.ptr + i;
    const size_t len = utf8_char_len(p, s.len - i);
    if (len == 0) {
        add_hex(t, p, 1);
        return 1;
    }
    if (*p == '\n') {
        add_cstr(t, "\\n");
    } else if (is_control(p, len)) {
        add_hex(t, p, len);
    } else {
        add(t, p, len);
    }
    return len;
}

static void add_escaped(struct text *t, struct str s) {
    size_t i = 0;
    while (i < s.len) {
        i += add_character(t, s, i);
    }
}

static bool is_bare(struct str s) {
    for (size_t i = 0; i < s.len; i++) {
        const unsigned char c = (unsigned char)s.ptr[i];
        if (c <= ' ' || c >= 0x7F || c == '"' || c == '\\' || c == '=') {
            return false;
        }
    }
    return s.len > 0;
}

static void add_quoted(struct text *t, struct str value) {
    static const size_t closing_bytes = sizeof("...\"") - 1;
    t->max -= closing_bytes;
    add_cstr(t, "\"");
    size_t i = 0;
    while (i < value.len) {
        if (value.ptr[i] == '"' || value.ptr[i] == '\\') {
            add_cstr(t, "\\");
        }
        i += add_character(t, value, i);
    }
    const bool cut = t->cut;
    t->cut = false;
    t->max += closing_bytes;
    add_cstr(t, cut ? "...\"" : "\"");
}

static void add_value(struct text *t, struct str value) {
    if (is_bare(value) && value.len <= t->max - t->len) {
        add(t, value.ptr, value.len);
    } else {
        add_quoted(t, value);
    }
}

static void add_head(struct text *t, enum log_level level, const char *event) {
    char now[CLOCK_TEXT_MAX];
    const size_t now_len = clock_text(clock_wall_us(), now);
    add_cstr(t, "time=");
    add(t, now, now_len);
    add_cstr(t, " level=");
    add_cstr(t, level_names[level]);
    if (request_len > 0) {
        add_cstr(t, " req=");
        add_value(t, log_request());
    }
    add_cstr(t, " event=");
    add_cstr(t, event);
}

void log_set_level(enum log_level level) {
    atomic_store_explicit(&level_min, (int)level, memory_order_relaxed);
}

bool log_level_parse(struct str s, enum log_level *ret) {
    for (size_t i = 0; i < ARRAY_LEN(level_names); i++) {
        if (str_is(s, level_names[i])) {
            *ret = (enum log_level)i;
            return true;
        }
    }
    return false;
}

void log_set_request(struct str id) {
    request_len = MIN(id.len, sizeof(request));
    if (request_len > 0) {
        memcpy(request, id.ptr, request_len);
    }
}

struct str log_request(void) {
    return (struct str){request, request_len};
}

static size_t letters_at(struct str s) {
    size_t len = 0;
    while (len < s.len && ((s.ptr[len] >= '0' && s.ptr[len] <= '9') ||
                           ((s.ptr[len] | 0x20) >= 'a' && (s.ptr[len] | 0x20) <= 'z'))) {
        len++;
    }
    return len;
}

static void mask_tokens(struct text *t) {
    size_t i = 0;
    ptrdiff_t at = 0;
    while ((at = str_find((struct str){t->ptr + i, t->len - i}, STR(TOKEN_START))) >= 0) {
        i += (size_t)at + strlen(TOKEN_START);
        const size_t secret = letters_at((struct str){t->ptr + i, t->len - i});
        if (secret >= SECRET_MIN) {
            memset(t->ptr + i, '*', secret);
        }
    }
}

void log_line(enum log_level level, const char *event, const char *fmt, ...) {
    if ((int)level < atomic_load_explicit(&level_min, memory_order_relaxed)) {
        return;
    }
    const int saved_errno = errno;
    static const char cut_mark[] = " cut=true";
    char line[LINE_MAX_BYTES];
    struct text t = {.ptr = line, .max = sizeof(line) - sizeof(cut_mark)};
    add_head(&t, level, event);

    char pairs[PAIRS_MAX];
    va_list args;
    va_start(args, fmt);
    const int wanted = vsnprintf(pairs, sizeof(pairs), fmt, args);
    va_end(args);
    if (wanted > 0) {
        add_cstr(&t, " ");
        add_escaped(&t, str_from(pairs));
    }

    mask_tokens(&t);
    const bool cut = t.cut || wanted >= (int)sizeof(pairs);
    t.cut = false;
    t.max = sizeof(line);
    add_cstr(&t, cut ? cut_mark : "");
    add_cstr(&t, "\n");
    const ssize_t written = write(STDERR_FILENO, t.ptr, t.len);
    (void)written; // there is nowhere to complain
    errno = saved_errno;
}

const char *log_quote(struct str value) {
    struct text t = {.ptr = quoted[quoted_next++ % QUOTED_COUNT], .max = QUOTED_MAX};
    add_value(&t, value);
    t.ptr[t.len] = '\0';
    return t.ptr;
}
