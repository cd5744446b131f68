// Strings: borrowed views and the growable, bounded buffer.
#include "base/str.h"

#include "base/utf8.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

struct str str_from(const char *cstr) {
    return cstr ? (struct str){cstr, strlen(cstr)} : STR_NONE;
}

bool str_eq(struct str a, struct str b) {
    return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

static char lower(char c) {
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

bool str_eq_nocase(struct str a, struct str b) {
    if (a.len != b.len) {
        return false;
    }
    for (size_t i = 0; i < a.len; i++) {
        if (lower(a.ptr[i]) != lower(b.ptr[i])) {
            return false;
        }
    }
    return true;
}

bool str_is(struct str a, const char *cstr) {
    if (!cstr) {
        return a.len == 0;
    }
    for (size_t i = 0; i < a.len; i++) { // most differ at once
        if (cstr[i] == '\0' || a.ptr[i] != cstr[i]) {
            return false;
        }
    }
    return cstr[a.len] == '\0';
}

int str_cmp(struct str a, struct str b) {
    const size_t common = MIN(a.len, b.len);
    const int order = common > 0 ? memcmp(a.ptr, b.ptr, common) : 0;
    if (order != 0) {
        return order;
    }
    return (a.len > b.len) - (a.len < b.len);
}

bool str_starts(struct str s, struct str prefix) {
    return s.len >= prefix.len && str_eq(str_slice(s, 0, prefix.len), prefix);
}

bool str_ends(struct str s, struct str suffix) {
    return s.len >= suffix.len && str_eq(str_slice(s, s.len - suffix.len, s.len), suffix);
}

ptrdiff_t str_find_char(struct str s, char c) {
    const char *at = s.len > 0 ? memchr(s.ptr, c, s.len) : NULL;
    return at ? at - s.ptr : -1;
}

ptrdiff_t str_find(struct str s, struct str needle) {
    if (needle.len == 0) {
        return 0;
    }
    size_t from = 0;
    while (s.len - from >= needle.len) {
        const struct str starts = {s.ptr + from, s.len - from - needle.len + 1};
        const ptrdiff_t at = str_find_char(starts, needle.ptr[0]);
        if (at < 0) {
            return -1;
        }
        from += (size_t)at;
        if (memcmp(s.ptr + from, needle.ptr, needle.len) == 0) {
            return (ptrdiff_t)from;
        }
        from++;
    }
    return -1;
}

struct str str_slice(struct str s, size_t from, size_t to) {
    const size_t end = MIN(to, s.len);
    const size_t start = MIN(from, end);
    return s.ptr ? (struct str){s.ptr + start, end - start} : STR_NONE;
}

static bool is_space(char c) {
    return c == ' ' || (c >= '\t' && c <= '\r');
}

struct str str_trim(struct str s) {
    size_t from = 0;
    size_t to = s.len;
    while (from < to && is_space(s.ptr[from])) {
        from++;
    }
    while (to > from && is_space(s.ptr[to - 1])) {
        to--;
    }
    return str_slice(s, from, to);
}

bool str_cut(struct str *rest, char sep, struct str *head) {
    if (rest->len == 0) {
        return false;
    }
    const ptrdiff_t at = str_find_char(*rest, sep);
    const size_t end = at < 0 ? rest->len : (size_t)at;
    *head = str_slice(*rest, 0, end);
    *rest = str_slice(*rest, end + 1, rest->len);
    return true;
}

bool str_to_u64(struct str s, uint64_t *ret) {
    uint64_t v = 0;
    for (size_t i = 0; i < s.len; i++) {
        const unsigned digit = (unsigned)(unsigned char)s.ptr[i] - '0';
        if (digit > 9 || __builtin_mul_overflow(v, UINT64_C(10), &v) ||
            __builtin_add_overflow(v, (uint64_t)digit, &v)) {
            return false;
        }
    }
    if (s.len == 0) {
        return false;
    }
    *ret = v;
    return true;
}

bool str_to_i64(struct str s, int64_t *ret) {
    const bool negative = s.len > 0 && s.ptr[0] == '-';
    uint64_t magnitude = 0;
    if (!str_to_u64(str_slice(s, negative ? 1 : 0, s.len), &magnitude)) {
        return false;
    }
    if (magnitude > (uint64_t)INT64_MAX + (negative ? 1 : 0)) {
        return false;
    }
    *ret = (int64_t)(negative ? 0 - magnitude : magnitude);
    return true;
}

static size_t digits_at(struct str s, size_t from) {
    size_t i = from;
    while (i < s.len && s.ptr[i] >= '0' && s.ptr[i] <= '9') {
        i++;
    }
    return i - from;
}

static size_t sign_at(struct str s, size_t i) {
    return i < s.len && (s.ptr[i] == '-' || s.ptr[i] == '+') ? 1 : 0;
}

// [sign] digits [. digits] [e [sign] digits], with a digit before or behind the point.
static bool is_decimal_text(struct str s) {
    size_t i = sign_at(s, 0);
    size_t digits = digits_at(s, i);
    i += digits;
    if (i < s.len && s.ptr[i] == '.') {
        const size_t fraction = digits_at(s, i + 1);
        digits += fraction;
        i += 1 + fraction;
    }
    if (i < s.len && (s.ptr[i] == 'e' || s.ptr[i] == 'E')) {
        i += 1 + sign_at(s, i + 1);
        const size_t exponent = digits_at(s, i);
        i += exponent;
        digits = exponent > 0 ? digits : 0;
    }
    return digits > 0 && i == s.len;
}

// What the C library may read: a copy with a NUL, so that it stops where the string does. The
// program never sets a locale, so the point is a point.
static bool floating_text(struct str s, char *ret, size_t cap) {
    const bool infinite = str_is(s, "inf") || str_is(s, "-inf");
    if (s.len >= cap || !(infinite || is_decimal_text(s))) {
        return false;
    }
    memcpy(ret, s.ptr, s.len);
    ret[s.len] = '\0';
    return true;
}

bool str_to_double(struct str s, double *ret) {
    char text[1001];
    if (!floating_text(s, text, sizeof(text))) {
        return false;
    }
    const double v = strtod(text, NULL);
    if (isinf(v) && !str_ends(s, STR("inf"))) {
        return false;
    }
    *ret = v;
    return true;
}

bool str_to_float(struct str s, float *ret) {
    char text[1001];
    if (!floating_text(s, text, sizeof(text))) {
        return false;
    }
    const float v = strtof(text, NULL);
    if (isinf(v) && !str_ends(s, STR("inf"))) {
        return false;
    }
    *ret = v;
    return true;
}

// True when none of the 8 bytes at p has its high bit set.
static bool is_ascii_8(const char *p) {
    uint64_t word = 0;
    memcpy(&word, p, sizeof(word));
    return (word & UINT64_C(0x8080808080808080)) == 0;
}

bool str_is_utf8(struct str s) {
    size_t i = 0;
    while (i < s.len) {
        if (s.len - i >= 8 && is_ascii_8(s.ptr + i)) {
            i += 8;
            continue;
        }
        const size_t len = utf8_char_len(s.ptr + i, s.len - i);
        if (len == 0) {
            return false;
        }
        i += len;
    }
    return true;
}

// Of no width, or blank without being U+0020, or steering what stands beside them.
static bool is_hidden(uint32_t ch) {
    static const struct {
        uint32_t first, last;
    } ranges[] = {
        {0x00, 0x1F},     {0x7F, 0xA0},     {0xAD, 0xAD},     {0x34F, 0x34F},     {0x61C, 0x61C},
        {0x115F, 0x1160}, {0x1680, 0x1680}, {0x17B4, 0x17B5}, {0x180B, 0x180F},   {0x2000, 0x200F},
        {0x2028, 0x202F}, {0x205F, 0x206F}, {0x3000, 0x3000}, {0x3164, 0x3164},   {0xFE00, 0xFE0F},
        {0xFEFF, 0xFEFF}, {0xFFA0, 0xFFA0}, {0xFFF0, 0xFFFF}, {0xE0000, 0xE0FFF},
    };
    for (size_t i = 0; i < ARRAY_LEN(ranges); i++) {
        if (ch >= ranges[i].first && ch <= ranges[i].last) {
            return true;
        }
    }
    return false;
}

bool str_is_plain(struct str s) {
    size_t len = 0;
    for (size_t i = 0; i < s.len; i += len) {
        len = utf8_char_len(s.ptr + i, s.len - i);
        if (len == 0 || is_hidden(utf8_code_point(s.ptr + i, len))) {
            return false;
        }
    }
    return true;
}

void buf_release(struct buf *b) {
    free(b->ptr);
    *b = BUF(b->max);
}

void buf_reset(struct buf *b) {
    b->len = 0;
    b->overflow = false;
    if (b->ptr) {
        b->ptr[0] = '\0';
    }
}

void buf_add(struct buf *b, const void *data, size_t len) {
    char *room = len > 0 ? buf_reserve(b, len) : NULL;
    if (room) {
        memcpy(room, data, len);
        b->len += len;
        b->ptr[b->len] = '\0';
    }
}

void buf_add_str(struct buf *b, struct str s) {
    buf_add(b, s.ptr, s.len);
}

void buf_add_cstr(struct buf *b, const char *s) {
    buf_add(b, s, strlen(s));
}

void buf_add_char(struct buf *b, char c) {
    buf_add(b, &c, 1);
}

void buf_add_utf8(struct buf *b, struct str s) {
    size_t i = 0;
    while (i < s.len) {
        const size_t len = utf8_char_len(s.ptr + i, s.len - i);
        buf_add_str(b, len > 0 ? (struct str){s.ptr + i, len} : STR("\xEF\xBF\xBD"));
        i += MAX(len, 1);
    }
}

void buf_printf(struct buf *b, const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    buf_vprintf(b, fmt, args);
    va_end(args);
}

void buf_vprintf(struct buf *b, const char *fmt, va_list args) {
    va_list again;
    va_copy(again, args);
    const int wanted = vsnprintf(NULL, 0, fmt, args);
    CHECK(wanted >= 0);
    char *room = buf_reserve(b, (size_t)wanted);
    if (room) {
        (void)vsnprintf(room, (size_t)wanted + 1, fmt, again);
        b->len += (size_t)wanted;
    }
    va_end(again);
}

char *buf_reserve(struct buf *b, size_t len) {
    if (b->overflow || len > b->max - b->len) {
        b->overflow = true;
        return NULL;
    }
    const size_t need = b->len + len + 1;
    if (need > b->cap) {
        const size_t grown = MAX(need, MIN(MAX(2 * b->cap, 64), b->max + 1));
        b->ptr = xrealloc(b->ptr, grown);
        b->cap = grown;
        b->ptr[b->len] = '\0';
    }
    return b->ptr + b->len;
}

struct str buf_str(const struct buf *b) {
    return (struct str){b->ptr, b->len};
}
