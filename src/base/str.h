// Strings: str is borrowed and not NUL-terminated; buf is owned, growable and bounded.
#pragma once

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/attr.h"

// Bytes that somebody else owns. {NULL, 0} is the empty string.
struct str {
    const char *ptr;
    size_t len;
};

#define STR(literal) ((struct str){"" literal, sizeof(literal) - 1})
#define STR_NONE ((struct str){NULL, 0})
#define STR_FMT "%.*s"
#define STR_ARG(s) ((int)(s).len), ((s).ptr ? (s).ptr : "")

struct str str_from(const char *cstr); // NULL gives the empty string
bool str_eq(struct str a, struct str b);
bool str_eq_nocase(struct str a, struct str b); // ASCII only
bool str_is(struct str a, const char *cstr);
int str_cmp(struct str a, struct str b); // bytewise, like strcmp
bool str_starts(struct str s, struct str prefix);
bool str_ends(struct str s, struct str suffix);
// Position of the first c, or -1.
ptrdiff_t str_find_char(struct str s, char c);
// Position of the first needle, or -1.
ptrdiff_t str_find(struct str s, struct str needle);
// Bytes [from, to), clamped to s.
struct str str_slice(struct str s, size_t from, size_t to);
struct str str_trim(struct str s); // ASCII white space at both ends
// Cuts *rest at the first sep: returns what stood before it; *rest is what follows, or empty.
// False when *rest was empty.
bool str_cut(struct str *rest, char sep, struct str *head);
// Whole string as a decimal number; false when it is empty, has other characters or overflows.
bool str_to_i64(struct str s, int64_t *ret);
bool str_to_u64(struct str s, uint64_t *ret);
// Whole string as a floating point number, rounded to the nearest: digits with an optional sign,
// point and exponent, or "inf" and "-inf". False for anything else ("nan" and hex too), for more
// than 1000 characters, and for digits that are past the largest number.
bool str_to_double(struct str s, double *ret);
bool str_to_float(struct str s, float *ret);
// Well-formed UTF-8 (no surrogates, no overlong forms, nothing past U+10FFFF).
bool str_is_utf8(struct str s);
// UTF-8 without control characters, invisible ones, and those that turn the direction of writing.
bool str_is_plain(struct str s);

// Owned bytes with a maximum. Growth past max sets overflow and drops these bytes and all that
// come later, so that the content is a true beginning: check once at the end. A buf that was
// written to is NUL-terminated; before that, ptr is NULL.
struct buf {
    char *ptr;
    size_t len;
    size_t cap;
    size_t max;
    bool overflow;
};

#define BUF(max_bytes) ((struct buf){.max = (max_bytes)})

void buf_release(struct buf *b); // also for DEFER
void buf_reset(struct buf *b);   // empty, overflow forgotten, memory kept
void buf_add(struct buf *b, const void *data, size_t len);
void buf_add_str(struct buf *b, struct str s);
void buf_add_cstr(struct buf *b, const char *s);
void buf_add_char(struct buf *b, char c);
void buf_add_utf8(struct buf *b, struct str s); // bytes that are not UTF-8 become U+FFFD
void buf_printf(struct buf *b, const char *fmt, ...) PRINTF_LIKE(2, 3);
void buf_vprintf(struct buf *b, const char *fmt, va_list args) PRINTF_LIKE(2, 0);
// Room for len more bytes, which the caller fills and then adds to b->len (the NUL is there again
// after the next buf_add). NULL on overflow.
char *buf_reserve(struct buf *b, size_t len);
struct str buf_str(const struct buf *b);
