// Texts of values to Iceberg's single-value bytes.
//
//   boolean              1 byte, 0 or 1
//   int, date            4 bytes little-endian; a date is days since 1970-01-01
//   long, time,          8 bytes little-endian; microseconds since midnight, or since
//   timestamp[tz]        1970-01-01 00:00:00 (UTC)
//   float, double        4 or 8 bytes IEEE 754, little-endian
//   string               UTF-8
//   uuid                 16 bytes as its digits are written
//   binary, fixed        as they are
//   decimal              the unscaled value, big-endian two's complement, as short as it can be
//
// Every parser here is strict: a text that could be read in two ways is not read at all.
#include "iceberg/metrics_int.h"

#include "base/hash.h"

#define DAY_US (INT64_C(86400) * 1000000)

struct str ice_little_endian(uint64_t bits, size_t len, struct arena *a) {
    char *bytes = arena_alloc(a, len);
    for (size_t i = 0; i < len; i++) {
        bytes[i] = (char)(bits >> (8 * i) & 0xff);
    }
    return (struct str){bytes, len};
}

uint64_t ice_little_endian_bits(struct str bytes) {
    uint64_t bits = 0;
    for (size_t i = bytes.len; i > 0; i--) {
        bits = bits << 8 | (uint8_t)bytes.ptr[i - 1];
    }
    return bits;
}

// Exactly len digits at the front of *rest, which moves on.
static bool take_digits(struct str *rest, size_t len, int64_t *ret) {
    uint64_t v = 0;
    if (rest->len < len || !str_to_u64(str_slice(*rest, 0, len), &v)) {
        return false;
    }
    *rest = str_slice(*rest, len, rest->len);
    *ret = (int64_t)v;
    return true;
}

static bool take_char(struct str *rest, char c) {
    if (!rest->len || rest->ptr[0] != c) {
        return false;
    }
    *rest = str_slice(*rest, 1, rest->len);
    return true;
}

static int64_t month_days(int64_t year, int64_t month) {
    static const int8_t days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return days[month - 1] + (month == 2 && leap ? 1 : 0);
}

// Days from 1970-01-01 to a day of the Gregorian calendar. Years are counted from March, so that
// the leap day is the last of its year; 719468 days lie between 0000-03-01 and 1970-01-01.
static int64_t days_since_1970(int64_t year, int64_t month, int64_t day) {
    int64_t y = month > 2 ? year : year - 1;
    int64_t months = month > 2 ? month - 3 : month + 9;
    return y * 365 + y / 4 - y / 100 + y / 400 + (153 * months + 2) / 5 + day - 1 - 719468;
}

// YYYY-MM-DD of the years 1 to 9999.
static bool take_date(struct str *rest, int64_t *ret_days) {
    int64_t year = 0;
    int64_t month = 0;
    int64_t day = 0;
    if (!take_digits(rest, 4, &year) || !take_char(rest, '-') || !take_digits(rest, 2, &month) ||
        !take_char(rest, '-') || !take_digits(rest, 2, &day)) {
        return false;
    }
    if (year < 1 || month < 1 || month > 12 || day < 1 || day > month_days(year, month)) {
        return false;
    }
    *ret_days = days_since_1970(year, month, day);
    return true;
}

// HH:MM:SS with up to six digits behind a point; 24:00:00 is the end of a day.
static bool take_time(struct str *rest, int64_t *ret_us) {
    int64_t hour = 0;
    int64_t minute = 0;
    int64_t second = 0;
    if (!take_digits(rest, 2, &hour) || !take_char(rest, ':') || !take_digits(rest, 2, &minute) ||
        !take_char(rest, ':') || !take_digits(rest, 2, &second) || minute > 59 || second > 59) {
        return false;
    }
    int64_t us = ((hour * 60 + minute) * 60 + second) * 1000000;
    if (take_char(rest, '.')) {
        int64_t scale = 100000;
        int64_t digit = 0;
        size_t digits = 0;
        for (; take_digits(rest, 1, &digit); digits++) {
            us += digit * scale;
            scale /= 10;
        }
        if (digits < 1 || digits > 6) {
            return false;
        }
    }
    *ret_us = us;
    return us <= DAY_US;
}

// "Z", or +HH and -HH with optional :MM. *ret_us is what to subtract.
static bool take_offset(struct str *rest, int64_t *ret_us) {
    if (take_char(rest, 'Z')) {
        *ret_us = 0;
        return true;
    }
    bool negative = take_char(rest, '-');
    int64_t hour = 0;
    int64_t minute = 0;
    if ((!negative && !take_char(rest, '+')) || !take_digits(rest, 2, &hour) || hour > 18) {
        return false;
    }
    if (take_char(rest, ':') && (!take_digits(rest, 2, &minute) || minute > 59)) {
        return false;
    }
    int64_t us = (hour * 60 + minute) * 60000000;
    *ret_us = negative ? -us : us;
    return true;
}

static bool date_value(struct str text, struct arena *a, struct str *ret) {
    int64_t days = 0;
    if (!take_date(&text, &days) || text.len) {
        return false;
    }
    *ret = ice_little_endian((uint64_t)days, 4, a);
    return true;
}

static bool time_value(struct str text, struct arena *a, struct str *ret) {
    int64_t us = 0;
    if (!take_time(&text, &us) || text.len) {
        return false;
    }
    *ret = ice_little_endian((uint64_t)us, 8, a);
    return true;
}

// A date, or a date, a blank or 'T' and a time. Only a timestamptz has an offset.
static bool timestamp_value(struct str text, bool with_zone, struct arena *a, struct str *ret,
                            bool *ret_local) {
    int64_t days = 0;
    int64_t us = 0;
    int64_t offset = 0;
    if (!take_date(&text, &days)) {
        return false;
    }
    if (text.len && ((!take_char(&text, ' ') && !take_char(&text, 'T')) || !take_time(&text, &us) ||
                     us == DAY_US)) {
        return false;
    }
    *ret_local = with_zone && !text.len;
    if (with_zone && text.len && !take_offset(&text, &offset)) {
        return false;
    }
    *ret = ice_little_endian((uint64_t)(days * DAY_US + us - offset), 8, a);
    return !text.len;
}

static bool boolean_value(struct str text, enum ice_text_source source, struct arena *a,
                          struct str *ret) {
    bool engine = source == ICE_TEXT_ENGINE;
    bool yes = str_is(text, "true") || (engine && str_is(text, "1"));
    bool no = str_is(text, "false") || (engine && str_is(text, "0"));
    *ret = ice_little_endian(yes ? 1 : 0, 1, a);
    return yes || no;
}

// Cuts a fraction of zeros off a number, where floating point would not differ: "5.0".
static struct str without_zero_fraction(struct str text) {
    ptrdiff_t point = str_find_char(text, '.');
    if (point <= 0 || text.len > 16) {
        return text;
    }
    for (size_t i = (size_t)point + 1; i < text.len; i++) {
        if (text.ptr[i] != '0') {
            return text;
        }
    }
    return str_slice(text, 0, (size_t)point);
}

static bool integer_value(const struct ice_type *t, struct str text, enum ice_text_source source,
                          struct arena *a, struct str *ret) {
    int64_t v = 0;
    if (source == ICE_TEXT_NUMBER) {
        text = without_zero_fraction(text);
    }
    if (!str_to_i64(text, &v)) {
        return false;
    }
    if (t->kind == ICE_INT && (v < INT32_MIN || v > INT32_MAX)) {
        return false;
    }
    *ret = ice_little_endian((uint64_t)v, t->kind == ICE_INT ? 4 : 8, a);
    return true;
}

static bool floating_value(const struct ice_type *t, struct str text, struct arena *a,
                           struct str *ret) {
    if (t->kind == ICE_FLOAT) {
        float f = 0;
        uint32_t bits = 0;
        if (!str_to_float(text, &f)) {
            return false;
        }
        memcpy(&bits, &f, sizeof(bits));
        *ret = ice_little_endian(bits, sizeof(bits), a);
        return true;
    }
    double d = 0;
    uint64_t bits = 0;
    if (!str_to_double(text, &d)) {
        return false;
    }
    memcpy(&bits, &d, sizeof(bits));
    *ret = ice_little_endian(bits, sizeof(bits), a);
    return true;
}

// Adds the digits of s to an unscaled value; false when there are more than 38 that count.
static bool add_digits(struct str s, __int128 *v) {
    const __int128 limit = (__int128)1000000000000000000 * 1000000000000000000 * 10; // 10^37
    for (size_t i = 0; i < s.len; i++) {
        if (s.ptr[i] < '0' || s.ptr[i] > '9' || *v >= limit) {
            return false;
        }
        *v = *v * 10 + (s.ptr[i] - '0');
    }
    return true;
}

static bool fits_precision(__int128 v, int32_t precision) {
    for (int32_t i = 0; i < precision; i++) {
        v /= 10;
    }
    return v == 0;
}

static bool unscaled(const struct ice_type *t, struct str text, __int128 *ret) {
    bool negative = take_char(&text, '-');
    ptrdiff_t point = str_find_char(text, '.');
    struct str whole = point < 0 ? text : str_slice(text, 0, (size_t)point);
    struct str fraction = point < 0 ? STR_NONE : str_slice(text, (size_t)point + 1, text.len);
    if (whole.len + fraction.len == 0) {
        return false;
    }
    while (fraction.len > (size_t)t->scale && str_ends(fraction, STR("0"))) {
        fraction.len--;
    }
    __int128 v = 0;
    if (fraction.len > (size_t)t->scale || !add_digits(whole, &v) || !add_digits(fraction, &v)) {
        return false;
    }
    for (size_t i = fraction.len; i < (size_t)t->scale; i++) {
        if (!add_digits(STR("0"), &v)) {
            return false;
        }
    }
    *ret = negative ? -v : v;
    return fits_precision(v, t->precision);
}

static bool decimal_value(const struct ice_type *t, struct str text, struct arena *a,
                          struct str *ret) {
    __int128 v = 0;
    if (!unscaled(t, text, &v)) {
        return false;
    }
    size_t len = 1;
    while (len < 16 && v >> (8 * len - 1) != (v < 0 ? -1 : 0)) {
        len++;
    }
    char *bytes = arena_alloc(a, len);
    for (size_t i = 0; i < len; i++) {
        bytes[len - 1 - i] = (char)(v >> (8 * i) & 0xff);
    }
    *ret = (struct str){bytes, len};
    return true;
}

static bool uuid_value(struct str text, struct arena *a, struct str *ret) {
    static const size_t groups[] = {8, 4, 4, 4, 12};
    char *bytes = arena_alloc(a, 16);
    size_t at = 0;
    for (size_t i = 0; i < ARRAY_LEN(groups); i++) {
        if (i && !take_char(&text, '-')) {
            return false;
        }
        if (!hex_decode(str_slice(text, 0, groups[i]), bytes + at, groups[i] / 2)) {
            return false;
        }
        at += groups[i] / 2;
        text = str_slice(text, groups[i], text.len);
    }
    *ret = (struct str){bytes, at};
    return !text.len;
}

static bool hex_value(struct str text, struct arena *a, struct str *ret) {
    char *bytes = arena_alloc(a, text.len / 2);
    *ret = (struct str){bytes, text.len / 2};
    return text.len % 2 == 0 && hex_decode(text, bytes, text.len / 2);
}

// A string constant as the engine turns it into bytes: ASCII, and \xHH for everything else.
static bool escaped_value(struct str text, struct arena *a, struct str *ret) {
    char *bytes = arena_alloc(a, text.len);
    size_t len = 0;
    while (text.len) {
        char c = text.ptr[0];
        if ((unsigned char)c >= 0x80) {
            return false;
        }
        size_t used = 1;
        if (c == '\\') {
            used = 4;
            if (text.len < used || text.ptr[1] != 'x' ||
                !hex_decode(str_slice(text, 2, used), &c, 1)) {
                return false;
            }
        }
        bytes[len++] = c;
        text = str_slice(text, used, text.len);
    }
    *ret = (struct str){bytes, len};
    return true;
}

static bool binary_value(struct str text, enum ice_text_source source, struct arena *a,
                         struct str *ret) {
    return source == ICE_TEXT_ENGINE ? hex_value(text, a, ret) : escaped_value(text, a, ret);
}

static bool string_value(struct str text, struct arena *a, struct str *ret) {
    *ret = arena_str(a, text);
    return str_is_utf8(text);
}

bool ice_text_value(const struct ice_type *t, struct str text, enum ice_text_source source,
                    struct arena *a, struct str *ret, bool *ret_local) {
    bool local = false;
    bool *local_or_none = ret_local ? ret_local : &local;
    *local_or_none = false;
    bool number = source == ICE_TEXT_NUMBER;
    switch (t->kind) {
    case ICE_BOOLEAN:
        return !number && boolean_value(text, source, a, ret);
    case ICE_INT:
    case ICE_LONG:
        return integer_value(t, text, source, a, ret);
    case ICE_FLOAT:
    case ICE_DOUBLE:
        return floating_value(t, text, a, ret);
    case ICE_DECIMAL:
        return decimal_value(t, text, a, ret);
    case ICE_DATE:
        return !number && date_value(text, a, ret);
    case ICE_TIME:
        return !number && time_value(text, a, ret);
    case ICE_TIMESTAMP:
    case ICE_TIMESTAMPTZ:
        return !number && timestamp_value(text, t->kind == ICE_TIMESTAMPTZ, a, ret, local_or_none);
    case ICE_STRING:
        return !number && string_value(text, a, ret);
    case ICE_UUID:
        return !number && uuid_value(text, a, ret);
    case ICE_BINARY:
        return !number && binary_value(text, source, a, ret);
    case ICE_FIXED:
        return !number && binary_value(text, source, a, ret) && ret->len == (size_t)t->length;
    case ICE_STRUCT:
    case ICE_LIST:
    case ICE_MAP:
        break;
    }
    return false;
}
