// JSON writer: the row path. Text that needs no escape is found eight bytes at a time and copied.
#include "base/json.h"

#include "base/utf8.h"

enum { NUMBER_MAX = 32 };

static const struct str replacement = {"\xEF\xBF\xBD", 3}; // U+FFFD

// 1 for the bytes that stand for themselves in a JSON string: ASCII without controls, " and \.
static const uint8_t plain[256] = {
    [0x20 ... 0x21] = 1,
    [0x23 ... 0x5B] = 1,
    [0x5D ... 0x7F] = 1,
};

// The letter behind the backslash for the controls that have one.
static const char short_escape[256] = {
    ['"'] = '"',  ['\\'] = '\\', ['\b'] = 'b', ['\f'] = 'f',
    ['\n'] = 'n', ['\r'] = 'r',  ['\t'] = 't',
};

#define EACH(byte) (UINT64_C(0x0101010101010101) * (byte))

// True when all 8 bytes at p are plain. Per byte: the high bit stays clear unless the byte has it,
// is below 0x20, or equals one of the two; a borrow can only make a hit out of a neighbour of one.
static inline bool is_plain_8(const char *p) {
    uint64_t word = 0;
    memcpy(&word, p, sizeof(word));
    const uint64_t quote = word ^ EACH('"');
    const uint64_t backslash = word ^ EACH('\\');
    const uint64_t hit = word | (word - EACH(0x20)) | (quote - EACH(1)) | (backslash - EACH(1));
    return (hit & EACH(0x80)) == 0;
}

// Words that overlap leave no tail to go through byte by byte.
static inline bool is_plain(const char *p, size_t len) {
    if (len >= 8) {
        for (size_t i = 0; i + 8 <= len; i += 8) {
            if (!is_plain_8(p + i)) {
                return false;
            }
        }
        return is_plain_8(p + len - 8);
    }
    if (len >= 4) {
        char both[8];
        memcpy(both, p, 4);
        memcpy(both + 4, p + len - 4, 4);
        return is_plain_8(both);
    }
    for (size_t i = 0; i < len; i++) {
        if (!plain[(unsigned char)p[i]]) {
            return false;
        }
    }
    return true;
}

// buf_reserve with the common case in line.
static inline char *room(struct buf *b, size_t len) {
    return b->cap - b->len > len && !b->overflow ? b->ptr + b->len : buf_reserve(b, len);
}

// Ends what was written into a room.
static inline void fill(struct buf *b, char *end) {
    *end = '\0';
    b->len = (size_t)(end - b->ptr);
}

// memcpy that needs no call for a short text. Returns the end.
static inline char *put(char *at, const char *data, size_t len) {
    if (len > 16) {
        memcpy(at, data, len);
    } else if (len >= 8) {
        uint64_t first = 0;
        uint64_t last = 0;
        memcpy(&first, data, 8);
        memcpy(&last, data + len - 8, 8);
        memcpy(at, &first, 8);
        memcpy(at + len - 8, &last, 8);
    } else if (len >= 4) {
        uint32_t first = 0;
        uint32_t last = 0;
        memcpy(&first, data, 4);
        memcpy(&last, data + len - 4, 4);
        memcpy(at, &first, 4);
        memcpy(at + len - 4, &last, 4);
    } else {
        for (size_t i = 0; i < len; i++) {
            at[i] = data[i];
        }
    }
    return at + len;
}

static void add_escape(struct buf *out, unsigned char c) {
    static const char hex[] = "0123456789abcdef";
    if (short_escape[c]) {
        const char text[] = {'\\', short_escape[c]};
        buf_add(out, text, sizeof(text));
    } else {
        const char text[] = {'\\', 'u', '0', '0', hex[c >> 4], hex[c & 15]};
        buf_add(out, text, sizeof(text));
    }
}

// Bytes from the start of s that can be copied: plain ones and well-formed characters.
static size_t copyable_len(struct str s) {
    size_t i = 0;
    while (i < s.len) {
        const bool ascii = (unsigned char)s.ptr[i] < 0x80;
        size_t len = 0;
        if (!ascii) {
            len = utf8_char_len(s.ptr + i, s.len - i);
        } else if (s.len - i >= 8 && is_plain_8(s.ptr + i)) {
            len = 8;
        } else {
            len = plain[(unsigned char)s.ptr[i]];
        }
        if (len == 0) {
            break;
        }
        i += len;
    }
    return i;
}

static void add_string_body(struct buf *out, struct str s) {
    struct str rest = s;
    while (rest.len > 0) {
        const size_t len = copyable_len(rest);
        buf_add(out, rest.ptr, len);
        rest = str_slice(rest, len, rest.len);
        if (rest.len == 0) {
            break;
        }
        const unsigned char c = (unsigned char)rest.ptr[0];
        if (c < 0x80) {
            add_escape(out, c);
        } else {
            buf_add_str(out, replacement);
        }
        rest = str_slice(rest, 1, rest.len);
    }
}

static void add_string_slow(struct buf *out, bool comma, struct str s, bool is_key) {
    buf_add_cstr(out, comma ? ",\"" : "\"");
    add_string_body(out, s);
    buf_add_cstr(out, is_key ? "\":" : "\"");
}

// s as a string literal, with a comma before it and a colon behind it where they are wanted.
static inline void add_string(struct buf *out, bool comma, struct str s, bool is_key) {
    if (!is_plain(s.ptr, s.len)) {
        add_string_slow(out, comma, s, is_key);
        return;
    }
    char *at = room(out, s.len + 2 + (comma ? 1 : 0) + (is_key ? 1 : 0));
    if (!at) {
        return;
    }
    *at = ',';
    at += comma ? 1 : 0;
    *at++ = '"';
    at = put(at, s.ptr, s.len);
    *at++ = '"';
    if (is_key) {
        *at++ = ':';
    }
    fill(out, at);
}

void json_quote(struct buf *out, struct str s) {
    add_string(out, false, s, false);
}

static inline uint64_t level_bit(const struct jsonw *w) {
    return UINT64_C(1) << w->depth;
}

// Whether a comma goes before what comes now; from here on one goes before what comes next.
static inline bool take_comma(struct jsonw *w) {
    const uint64_t bit = level_bit(w);
    const bool comma = (w->first & bit) == 0;
    w->first &= ~bit;
    return comma;
}

// A value of one piece.
static inline void add_value(struct jsonw *w, const char *data, size_t len) {
    const bool comma = take_comma(w);
    char *at = room(w->out, len + (comma ? 1 : 0));
    if (at) {
        *at = ',';
        fill(w->out, put(at + (comma ? 1 : 0), data, len));
    }
}

static inline void open_level(struct jsonw *w, const char *bracket) {
    add_value(w, bracket, 1);
    CHECK(w->depth < JSONW_DEPTH_MAX);
    w->depth++;
    w->first |= level_bit(w);
}

static inline void close_level(struct jsonw *w, const char *bracket) {
    CHECK(w->depth > 0);
    w->depth--;
    char *at = room(w->out, 1);
    if (at) {
        fill(w->out, put(at, bracket, 1));
    }
}

void jsonw_object(struct jsonw *w) {
    open_level(w, "{");
}

void jsonw_array(struct jsonw *w) {
    open_level(w, "[");
}

void jsonw_end_object(struct jsonw *w) {
    close_level(w, "}");
}

void jsonw_end_array(struct jsonw *w) {
    close_level(w, "]");
}

void jsonw_key(struct jsonw *w, struct str key) {
    add_string(w->out, take_comma(w), key, true);
    w->first |= level_bit(w);
}

void jsonw_str(struct jsonw *w, struct str s) {
    add_string(w->out, take_comma(w), s, false);
}

void jsonw_i64(struct jsonw *w, int64_t v) {
    char text[NUMBER_MAX];
    add_value(w, text, fmt_i64(v, text));
}

void jsonw_bool(struct jsonw *w, bool v) {
    jsonw_raw(w, v ? STR("true") : STR("false"));
}

void jsonw_raw(struct jsonw *w, struct str json) {
    add_value(w, json.ptr, json.len);
}

void jsonw_json(struct jsonw *w, const json_t *j) {
    add_value(w, NULL, 0);
    json_add_text(w->out, j);
}

void jsonw_field_str(struct jsonw *w, const char *key, struct str v) {
    jsonw_key(w, str_from(key));
    jsonw_str(w, v);
}

void jsonw_field_i64(struct jsonw *w, const char *key, int64_t v) {
    jsonw_key(w, str_from(key));
    jsonw_i64(w, v);
}

void jsonw_field_bool(struct jsonw *w, const char *key, bool v) {
    jsonw_key(w, str_from(key));
    jsonw_bool(w, v);
}
