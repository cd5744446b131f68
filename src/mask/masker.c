// Masks at work: values in, what is shown of them out.
//
// A character is a code point. A byte that is not UTF-8 counts as one, and is shown as U+FFFD;
// UTF-8 finds its characters again from any place, so that the ends of a text can be looked at
// without what lies between them.
#include "mask/mask.h"

#include "base/hash.h"
#include "base/utf8.h"

#include <stdlib.h>
#include <string.h>

#define STARS "******"
#define HASH_BYTES 16

#define DAY_US INT64_C(86400000000)
// The engine's dates and timestamps: infinity, its negative, and the least that is neither.
#define DATE_INFINITY INT32_MAX
#define DATE_LEAST (-INT32_MAX + 1)
#define TIMESTAMP_INFINITY INT64_MAX
#define TIMESTAMP_LEAST (-106751991 * DAY_US) // the last midnight that has microseconds in int64

struct masker {
    struct mask mask;
    struct hmac *hmac; // of the hashes
};

static struct masker *make_new(const struct mask *m, const uint8_t key[32]) {
    struct masker *ret = xcalloc(1, sizeof(*ret));
    ret->mask = *m;
    if (key != NULL) {
        ret->hmac = hmac_new((struct str){(const char *)key, 32});
    }
    return ret;
}

struct masker *masker_new(const struct mask *m, const struct mask_keys *keys) {
    const bool is_hash = m->kind == MASK_HASH || m->kind == MASK_HASH_LOCAL;
    CHECK(!is_hash || keys != NULL);
    if (!is_hash) {
        return make_new(m, NULL);
    }
    return make_new(m, m->kind == MASK_HASH ? keys->global : keys->local);
}

struct masker *masker_new_hash(const uint8_t key[32]) {
    return make_new(&(struct mask){.kind = MASK_HASH}, key);
}

void masker_free(struct masker *m) {
    if (m) {
        hmac_free(m->hmac);
        free(m);
    }
}

void masker_freep(struct masker **m) {
    masker_free(*m);
}

// Texts

// Bytes of the character at p, of which len > 0 may be read.
static size_t char_len(const char *p, size_t len) {
    const size_t bytes = utf8_char_len(p, len);
    return bytes > 0 ? bytes : 1;
}

// Bytes of the character that ends where the len > 0 bytes at p do.
static size_t last_char_len(const char *p, size_t len) {
    for (size_t bytes = 2; bytes <= 4 && bytes <= len; bytes++) {
        const char *from = p + len - bytes;
        if (utf8_char_len(from, bytes) == bytes) {
            return bytes;
        }
    }
    return 1;
}

static size_t prefix_len(struct str in, int32_t chars) {
    size_t len = 0;
    for (int32_t i = 0; i < chars && len < in.len; i++) {
        len += char_len(in.ptr + len, in.len - len);
    }
    return len;
}

static size_t suffix_len(struct str in, int32_t chars) {
    size_t len = 0;
    for (int32_t i = 0; i < chars && len < in.len; i++) {
        len += last_char_len(in.ptr, in.len - len);
    }
    return len;
}

static bool has_chars(struct str in, int32_t chars) {
    size_t at = 0;
    if (in.len < (size_t)chars) {
        return false;
    }
    for (int32_t i = 0; i < chars; i++) {
        if (at >= in.len) {
            return false;
        }
        at += char_len(in.ptr + at, in.len - at);
    }
    return true;
}

static void keep(const struct mask *m, struct str in, struct buf *out) {
    const bool is_long = has_chars(in, 2 * (m->keep_prefix + m->keep_suffix));
    if (is_long) {
        buf_add_utf8(out, str_slice(in, 0, prefix_len(in, m->keep_prefix)));
    }
    buf_add_str(out, STR(STARS));
    if (is_long) {
        buf_add_utf8(out, str_slice(in, in.len - suffix_len(in, m->keep_suffix), in.len));
    }
}

// Where the ten decimal digits of each script begin: general category Nd of Unicode 14, from 0x80
// on, in order.
static const uint32_t digit_zeros[] = {
    0x0660,  0x06F0,  0x07C0,  0x0966,  0x09E6,  0x0A66,  0x0AE6,  0x0B66,  0x0BE6,  0x0C66,
    0x0CE6,  0x0D66,  0x0DE6,  0x0E50,  0x0ED0,  0x0F20,  0x1040,  0x1090,  0x17E0,  0x1810,
    0x1946,  0x19D0,  0x1A80,  0x1A90,  0x1B50,  0x1BB0,  0x1C40,  0x1C50,  0xA620,  0xA8D0,
    0xA900,  0xA9D0,  0xA9F0,  0xAA50,  0xABF0,  0xFF10,  0x104A0, 0x10D30, 0x11066, 0x110F0,
    0x11136, 0x111D0, 0x112F0, 0x11450, 0x114D0, 0x11650, 0x116C0, 0x11730, 0x118E0, 0x11950,
    0x11C50, 0x11D50, 0x11DA0, 0x16A60, 0x16AC0, 0x16B50, 0x1D7CE, 0x1D7D8, 0x1D7E2, 0x1D7EC,
    0x1D7F6, 0x1E140, 0x1E2F0, 0x1E950, 0x1FBF0,
};

static bool is_digit(uint32_t c) {
    size_t low = 0;
    size_t high = ARRAY_LEN(digit_zeros);
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if (digit_zeros[middle] <= c) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low > 0 && c - digit_zeros[low - 1] < 10;
}

static char alphanum_ascii(char c) {
    if (c >= '0' && c <= '9') {
        return 'n';
    }
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ? 'x' : c;
}

// Writes at most as many bytes as it reads.
static size_t alphanum(struct str in, char *ret) {
    size_t len = 0;
    for (size_t at = 0; at < in.len;) {
        const char *c = in.ptr + at;
        const size_t bytes = char_len(c, in.len - at);
        if ((unsigned char)*c < 0x80) {
            ret[len++] = alphanum_ascii(*c);
        } else {
            ret[len++] = bytes > 1 && is_digit(utf8_code_point(c, bytes)) ? 'n' : 'x';
        }
        at += bytes;
    }
    return len;
}

void masker_text(const struct masker *m, struct str in, struct buf *out) {
    char *room = NULL;
    struct sha256 hash;
    switch (m->mask.kind) {
    case MASK_KEEP:
        keep(&m->mask, in, out);
        return;
    case MASK_ALPHANUM:
        room = buf_reserve(out, in.len);
        out->len += room != NULL ? alphanum(in, room) : 0;
        return;
    case MASK_HASH:
    case MASK_HASH_LOCAL:
        hash = hmac_of(m->hmac, in);
        room = buf_reserve(out, 2 * (size_t)HASH_BYTES);
        if (room != NULL) {
            hex_write(hash.bytes, HASH_BYTES, room);
            out->len += 2 * (size_t)HASH_BYTES;
        }
        return;
    default:
        CHECK(false); // the caller asks this mask for no text
    }
}

// Days

static int64_t floor_div(int64_t a, int64_t b) {
    return a / b - (a % b < 0 ? 1 : 0);
}

// Days from 1970-01-01 to 1 March of a year of the Gregorian calendar, which is reckoned back
// beyond its beginning; there is a year 0. Years that begin in March have their leap day at the
// end.
static int64_t days_to_march(int64_t year) {
    return 365 * year + floor_div(year, 4) - floor_div(year, 100) + floor_div(year, 400) - 719468;
}

// The day that its year or month began with.
static int64_t first_day(enum mask_kind kind, int64_t day) {
    CHECK(kind == MASK_YEAR || kind == MASK_MONTH);
    // 400 years have 146097 days: the guess is one too high or too low at most.
    int64_t year = floor_div((day + 719468) * 400, 146097);
    year += days_to_march(year) > day ? -1 : 0;
    year += days_to_march(year + 1) <= day ? 1 : 0;
    const int64_t since_march = day - days_to_march(year);
    // Months from March on have 31, 30, 31, 30, 31 days, and again: 153 days in five of them.
    const int64_t month = (5 * since_march + 2) / 153;
    if (kind == MASK_MONTH) {
        return days_to_march(year) + (153 * month + 2) / 5;
    }
    // January and February are the months 10 and 11 of the year before.
    return days_to_march(month < 10 ? year - 1 : year) + 306;
}

int32_t masker_date(const struct masker *m, int32_t days) {
    if (days == DATE_INFINITY || days == -DATE_INFINITY) {
        return days;
    }
    return (int32_t)MAX(first_day(m->mask.kind, days), DATE_LEAST);
}

int64_t masker_timestamp(const struct masker *m, int64_t us) {
    if (us == TIMESTAMP_INFINITY || us == -TIMESTAMP_INFINITY) {
        return us;
    }
    const int64_t day = first_day(m->mask.kind, floor_div(us, DAY_US));
    return MAX(day, TIMESTAMP_LEAST / DAY_US) * DAY_US;
}
