// Text of values as the engine casts them to VARCHAR: the rules of DuckDB 1.5, type by type.
//
// Two differences are left. The engine writes some powers of two wrongly (2^91 as
// 4.951760157141521e+27, which is 2^92); here they are right. And of a FLOAT it sometimes (once in
// a hundred) writes the digits that a DOUBLE needs, 2265831.75 where 2265831.8 reads back as well;
// here it is always the shortest.
#include "encode/encode_int.h"

#include "base/dtoa.h"
#include "base/fmt.h"

#include <math.h>

#define US_PER_SECOND INT64_C(1000000)
#define SECONDS_PER_DAY INT64_C(86400)

typedef unsigned __int128 u128;

static char *put(char *at, const char *s) {
    while (*s) {
        *at++ = *s++;
    }
    return at;
}

// v with at least `digits` digits.
static char *put_padded(uint64_t v, size_t digits, char *at) {
    char text[32];
    const size_t len = fmt_u64(v, text);
    const size_t zeros = len < digits ? digits - len : 0;
    memset(at, '0', zeros);
    memcpy(at + zeros, text, len);
    return at + zeros + len;
}

static char *put_2(unsigned v, char *at) {
    at[0] = (char)('0' + v / 10 % 10);
    at[1] = (char)('0' + v % 10);
    return at + 2;
}

// ".123456" without zeros at the end; nothing for 0.
static char *put_fraction(uint64_t v, size_t digits, char *at) {
    if (v == 0) {
        return at;
    }
    *at = '.';
    char *end = put_padded(v, digits, at + 1);
    while (end[-1] == '0') {
        end--;
    }
    return end;
}

static char *put_clock(uint64_t seconds, char *at) {
    at = put_padded(seconds / 3600, 2, at);
    *at++ = ':';
    at = put_2((unsigned)(seconds / 60 % 60), at);
    *at++ = ':';
    return put_2((unsigned)(seconds % 60), at);
}

struct civil {
    int64_t year; // 0 is 1 BC
    unsigned month, day;
};

// Days since 1970 in the proleptic Gregorian calendar, by eras of 400 years that begin in March.
static struct civil civil_of(int64_t days) {
    const int64_t z = days + 719468;
    const int64_t era = (z >= 0 ? z : z - 146096) / 146097;
    const unsigned day_of_era = (unsigned)(z - era * 146097);
    const unsigned year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    const unsigned day_of_year =
        day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    const unsigned month_from_march = (5 * day_of_year + 2) / 153;
    const unsigned month = month_from_march < 10 ? month_from_march + 3 : month_from_march - 9;
    return (struct civil){era * 400 + year_of_era + (month <= 2 ? 1 : 0), month,
                          day_of_year - (153 * month_from_march + 2) / 5 + 1};
}

static char *put_year(int64_t year, enum text_style style, char *at) {
    if (style == TEXT_SQL) {
        return put_padded((uint64_t)(year > 0 ? year : 1 - year), 4, at);
    }
    if (year >= 0 && year <= 9999) {
        return put_padded((uint64_t)year, 4, at);
    }
    *at++ = year < 0 ? '-' : '+';
    return put_padded((uint64_t)(year < 0 ? -year : year), 6, at);
}

static char *put_days(int64_t days, enum text_style style, char *at) {
    const struct civil c = civil_of(days);
    at = put_year(c.year, style, at);
    *at++ = '-';
    at = put_2(c.month, at);
    *at++ = '-';
    at = put_2(c.day, at);
    return c.year <= 0 && style == TEXT_SQL ? put(at, " (BC)") : at;
}

static char *text_date(int32_t days, enum text_style style, char *at) {
    if (days == INT32_MAX || days == -INT32_MAX) {
        return put(at, days > 0 ? "infinity" : "-infinity");
    }
    return put_days(days, style, at);
}

static char *text_time(int64_t us, char *at) {
    at = put_clock((uint64_t)(us / US_PER_SECOND), at);
    return put_fraction((uint64_t)(us % US_PER_SECOND), 6, at);
}

// 40 bits of microseconds above 24 of an offset that is stored as 15:59:59 minus itself.
static char *text_timetz(uint64_t bits, char *at) {
    const int32_t offset = 57599 - (int32_t)(bits & 0xFFFFFF);
    const unsigned size = (unsigned)(offset < 0 ? -offset : offset);
    at = text_time((int64_t)(bits >> 24), at);
    *at++ = offset < 0 ? '-' : '+';
    at = put_2(size / 3600, at);
    if (size / 60 % 60 > 0) {
        *at++ = ':';
        at = put_2(size / 60 % 60, at);
    }
    if (size % 60 > 0) { // behind hours alone too: this is how the engine writes it
        *at++ = ':';
        at = put_2(size % 60, at);
    }
    return at;
}

static char *text_timestamp(int64_t v, enum vec_kind kind, enum text_style style, char *at) {
    if (v == INT64_MAX || v == -INT64_MAX) {
        return put(at, v > 0 ? "infinity" : "-infinity");
    }
    static const struct {
        int64_t per_second;
        size_t digits;
    } units[] = {
        [VEC_TIMESTAMP] = {US_PER_SECOND, 6},   [VEC_TIMESTAMP_S] = {1, 0},
        [VEC_TIMESTAMP_MS] = {1000, 3},         [VEC_TIMESTAMP_NS] = {1000 * US_PER_SECOND, 9},
        [VEC_TIMESTAMPTZ] = {US_PER_SECOND, 6},
    };
    const int64_t per_day = SECONDS_PER_DAY * units[kind].per_second;
    const int64_t days = v / per_day - (v % per_day < 0 ? 1 : 0);
    const uint64_t rest = (uint64_t)(v % per_day + (v % per_day < 0 ? per_day : 0));
    const uint64_t per_second = (uint64_t)units[kind].per_second;
    at = put_days(days, style, at);
    *at++ = style == TEXT_ISO ? 'T' : ' ';
    at = put_clock(rest / per_second, at);
    at = put_fraction(rest % per_second, units[kind].digits, at);
    if (kind == VEC_TIMESTAMPTZ) {
        at = put(at, style == TEXT_ISO ? "Z" : "+00");
    }
    return at;
}

static char *put_part(int32_t v, const char *unit, const char *first, char *at) {
    if (v == 0) {
        return at;
    }
    if (at != first) {
        *at++ = ' ';
    }
    at += fmt_i64(v, at);
    at = put(at, unit);
    return v == 1 || v == -1 ? at : put(at, "s");
}

static char *text_interval(const struct vec_interval *v, char *at) {
    const char *first = at;
    at = put_part(v->months / 12, " year", first, at);
    at = put_part(v->months % 12, " month", first, at);
    at = put_part(v->days, " day", first, at);
    if (v->micros == 0 && at != first) {
        return at;
    }
    if (at != first) {
        *at++ = ' ';
    }
    if (v->micros < 0) {
        *at++ = '-';
    }
    const uint64_t us = v->micros < 0 ? 0 - (uint64_t)v->micros : (uint64_t)v->micros;
    at = put_clock(us / US_PER_SECOND, at);
    return put_fraction(us % US_PER_SECOND, 6, at);
}

void vec_uuid_bytes(const struct vec_i128 *v, uint8_t *ret) {
    const uint64_t upper = __builtin_bswap64((uint64_t)v->upper ^ UINT64_C(1) << 63);
    const uint64_t lower = __builtin_bswap64(v->lower);
    memcpy(ret, &upper, 8);
    memcpy(ret + 8, &lower, 8);
}

static char *text_uuid(const struct vec_i128 *v, char *at) {
    static const char hex[] = "0123456789abcdef";
    uint8_t bytes[16];
    vec_uuid_bytes(v, bytes);
    for (size_t i = 0; i < sizeof(bytes); i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10) {
            *at++ = '-';
        }
        *at++ = hex[bytes[i] >> 4];
        *at++ = hex[bytes[i] & 15];
    }
    return at;
}

static char *put_u128(u128 v, size_t digits, char *at) {
    const u128 ten_19 = UINT64_C(10000000000000000000);
    if (v < ten_19) {
        return put_padded((uint64_t)v, digits, at);
    }
    at = put_u128(v / ten_19, digits > 19 ? digits - 19 : 1, at);
    return put_padded((uint64_t)(v % ten_19), 19, at);
}

static char *text_u128(u128 v, char *at) {
    return put_u128(v, 1, at);
}

static u128 magnitude(__int128 v) {
    return v < 0 ? 0 - (u128)v : (u128)v;
}

static char *text_i128(__int128 v, char *at) {
    if (v < 0) {
        *at++ = '-';
    }
    return put_u128(magnitude(v), 1, at);
}

static char *text_decimal(__int128 v, int width, int scale, bool zero, char *at) {
    if (scale == 0) {
        return text_i128(v, at);
    }
    if (v < 0) {
        *at++ = '-';
    }
    // All digits, at least one before the point; then the point goes in.
    const size_t digits = (size_t)scale + (zero || width > scale ? 1 : 0);
    char *end = put_u128(magnitude(v), digits, at);
    char *point = end - scale;
    memmove(point + 1, point, (size_t)scale);
    *point = '.';
    return end + 1;
}

__int128 vec_hugeint(const struct vec *v, size_t row) {
    const struct vec_i128 *cell = (const struct vec_i128 *)v->data + row;
    return (__int128)((u128)(uint64_t)cell->upper << 64 | cell->lower);
}

__int128 vec_decimal(const struct vec *v, size_t row) {
    const int width = v->type->width;
    if (width <= 4) {
        return ((const int16_t *)v->data)[row];
    }
    if (width <= 9) {
        return ((const int32_t *)v->data)[row];
    }
    return width <= 18 ? ((const int64_t *)v->data)[row] : vec_hugeint(v, row);
}

struct str vec_symbol(const struct vec *v, size_t row) {
    const size_t count = v->type->symbol_count;
    size_t index = 0;
    if (count <= UINT8_MAX) {
        index = ((const uint8_t *)v->data)[row];
    } else if (count <= UINT16_MAX) {
        index = ((const uint16_t *)v->data)[row];
    } else {
        index = ((const uint32_t *)v->data)[row];
    }
    CHECK(index < count);
    return v->type->symbols[index];
}

void text_bit(struct str bits, struct buf *out) {
    // The first byte tells how many bits of the second do not count.
    const size_t skip = bits.len > 0 ? (unsigned char)bits.ptr[0] : 0;
    for (size_t i = 8 + skip; i < 8 * bits.len; i++) {
        buf_add_char(out, (unsigned char)bits.ptr[i / 8] >> (7 - i % 8) & 1 ? '1' : '0');
    }
}

// Digits d1 d2 ... with the point behind the first `point` of them (which may be none or more than
// there are).
static char *put_digits(const char *digits, size_t count, int point, char *at) {
    while (count > 1 && digits[0] == '0') { // "0.001"
        digits++;
        count--;
        point--;
    }
    while (count > 1 && digits[count - 1] == '0') { // "100000"
        count--;
    }
    if (digits[0] == '0') {
        return put(at, "0.0");
    }
    const int exponent = point - 1;
    if (exponent < -4 || exponent >= 16) {
        *at++ = digits[0];
        if (count > 1) {
            *at++ = '.';
            memcpy(at, digits + 1, count - 1);
            at += count - 1;
        }
        at = put(at, exponent < 0 ? "e-" : "e+");
        return put_padded((uint64_t)(exponent < 0 ? -exponent : exponent), 2, at);
    }
    if (point <= 0) {
        at = put(at, "0.");
        memset(at, '0', (size_t)-point);
        memcpy(at - point, digits, count);
        return at - point + count;
    }
    const size_t before = MIN((size_t)point, count);
    memcpy(at, digits, before);
    memset(at + before, '0', (size_t)point - before);
    at += point;
    *at++ = '.';
    if (before == count) {
        return put(at, "0");
    }
    memcpy(at, digits + before, count - before);
    return at + (count - before);
}

struct digits {
    char text[48];
    size_t count;
    int point; // how many stand before the point
};

// From "1.5", "1.5e-07" or "1500"; first may not be a sign.
static struct digits read_digits(const char *first, const char *end) {
    struct digits d = {.text = "0", .point = -1};
    const char *p = first;
    for (; p < end && *p != 'e'; p++) {
        if (*p == '.') {
            d.point = (int)d.count;
        } else {
            d.text[d.count++] = *p;
        }
    }
    d.point = d.point < 0 ? (int)d.count : d.point;
    if (p < end) {
        int64_t exponent = 0;
        p += p[1] == '+' ? 2 : 1;
        (void)str_to_i64((struct str){p, (size_t)(end - p)}, &exponent);
        d.point += (int)exponent;
    }
    return d;
}

// Whole numbers past the precision come with all their digits; the engine rounds to the fewest
// that read back, with zeros behind. `sure` digits always tell neighbours apart.
static struct digits round_whole(u128 v, size_t sure, bool is_float) {
    char text[48];
    const size_t len = (size_t)(text_u128(v, text) - text);
    u128 step = 1;
    for (size_t i = sure; i < len; i++) {
        step *= 10;
    }
    u128 rounded = v;
    for (; step > 1; step /= 10) {
        rounded = (v + step / 2) / step * step;
        if (is_float ? (float)rounded == (float)v : (double)rounded == (double)v) {
            break;
        }
    }
    struct digits d = {.point = 0};
    d.count = (size_t)(text_u128(step > 1 ? rounded : v, d.text) - d.text);
    d.point = (int)d.count;
    return d;
}

static char *text_not_finite(double v, char *at) {
    return put(at, isnan(v) ? (signbit(v) ? "-nan" : "nan") : v > 0 ? "inf" : "-inf");
}

static char *text_double(double v, char *at) {
    char shortest[32];
    const double size = fabs(v);
    if (!isfinite(v)) {
        return text_not_finite(v, at);
    }
    const char *end = dtoa_double(size, shortest, shortest + sizeof(shortest));
    const bool whole = size >= 0x1p53 && !memchr(shortest, 'e', (size_t)(end - shortest));
    const struct digits d = whole ? round_whole((u128)size, 15, false) : read_digits(shortest, end);
    if (signbit(v)) {
        *at++ = '-';
    }
    return put_digits(d.text, d.count, d.point, at);
}

static char *text_float(float v, char *at) {
    char shortest[32];
    const float size = fabsf(v);
    if (!isfinite(v)) {
        return text_not_finite((double)v, at);
    }
    const char *end = dtoa_float(size, shortest, shortest + sizeof(shortest));
    const bool whole = size >= 0x1p24F && !memchr(shortest, 'e', (size_t)(end - shortest));
    const struct digits d = whole ? round_whole((u128)size, 6, true) : read_digits(shortest, end);
    if (signbit(v)) {
        *at++ = '-';
    }
    return put_digits(d.text, d.count, d.point, at);
}

static void add_blob(struct str s, struct buf *out) {
    static const char hex[] = "0123456789ABCDEF";
    for (size_t i = 0; i < s.len; i++) {
        const unsigned char c = (unsigned char)s.ptr[i];
        if (c >= 32 && c <= 126 && c != '\\' && c != '\'' && c != '"') {
            buf_add_char(out, (char)c);
        } else {
            const char escape[] = {'\\', 'x', hex[c >> 4], hex[c & 15]};
            buf_add(out, escape, sizeof(escape));
        }
    }
}

static bool is_space(char c) {
    return c == ' ' || (c >= '\t' && c <= '\r');
}

// Whether a text inside a nested value stands in quotes.
static bool needs_quotes(struct str s) {
    if (s.len == 0 || is_space(s.ptr[0]) || is_space(s.ptr[s.len - 1]) ||
        str_eq_nocase(s, STR("NULL"))) {
        return true;
    }
    for (size_t i = 0; i < s.len; i++) {
        if (s.ptr[i] != '\0' && strchr("\"'(),:=[]{}", s.ptr[i])) {
            return true;
        }
    }
    return false;
}

static void add_quoted(struct str s, struct buf *out) {
    buf_add_char(out, '\'');
    for (size_t i = 0; i < s.len; i++) {
        if (s.ptr[i] == '\'' || s.ptr[i] == '\\') {
            buf_add_char(out, '\\');
        }
        buf_add_char(out, s.ptr[i]);
    }
    buf_add_char(out, '\'');
}

static bool is_nested(enum vec_kind kind) {
    return kind == VEC_LIST || kind == VEC_ARRAY || kind == VEC_STRUCT || kind == VEC_MAP ||
           kind == VEC_UNION;
}

// A value inside a struct or map.
static void add_item(const struct vec *v, size_t row, struct buf *out) {
    if (vec_is_null(v, row)) {
        buf_add_cstr(out, "NULL");
        return;
    }
    const size_t start = out->len;
    encode_text(v, row, out);
    if (is_nested(v->type->kind)) {
        return;
    }
    const struct str text = str_slice(buf_str(out), start, out->len);
    if (needs_quotes(text)) {
        DEFER(buf_release) struct buf copy = BUF(SIZE_MAX / 2);
        buf_add_str(&copy, text);
        out->len = start;
        add_quoted(buf_str(&copy), out);
    }
}

static void add_list(const struct vec *v, size_t row, struct buf *out) {
    const struct vec_list range = ((const struct vec_list *)v->data)[row];
    buf_add_char(out, '[');
    for (uint64_t i = 0; i < range.length; i++) {
        const struct vec *items = &v->children[0];
        buf_add_cstr(out, i > 0 ? ", " : "");
        if (items->type->kind == VEC_JSON && !vec_is_null(items, range.offset + i)) {
            buf_add_str(out, vec_str(items, range.offset + i)); // here the engine quotes none
        } else {
            add_item(items, range.offset + i, out);
        }
    }
    buf_add_char(out, ']');
}

// Nothing stands in quotes here: so the engine has it.
static void add_array(const struct vec *v, size_t row, struct buf *out) {
    const size_t size = v->type->array_size;
    buf_add_char(out, '[');
    for (size_t i = 0; i < size; i++) {
        buf_add_cstr(out, i > 0 ? ", " : "");
        if (vec_is_null(&v->children[0], row * size + i)) {
            buf_add_cstr(out, "NULL");
        } else {
            encode_text(&v->children[0], row * size + i, out);
        }
    }
    buf_add_char(out, ']');
}

static void add_struct(const struct vec *v, size_t row, struct buf *out) {
    const struct vec_type *t = v->type;
    const bool named = t->child_count > 0 && t->names[0].len > 0;
    buf_add_char(out, named ? '{' : '(');
    for (size_t i = 0; i < t->child_count; i++) {
        buf_add_cstr(out, i > 0 ? ", " : "");
        if (named) {
            add_quoted(t->names[i], out);
            buf_add_cstr(out, ": ");
        }
        add_item(&v->children[i], row, out);
    }
    buf_add_char(out, named ? '}' : ')');
}

static void add_map(const struct vec *v, size_t row, struct buf *out) {
    const struct vec_list range = ((const struct vec_list *)v->data)[row];
    const struct vec *pair = &v->children[0];
    buf_add_char(out, '{');
    for (uint64_t i = 0; i < range.length; i++) {
        buf_add_cstr(out, i > 0 ? ", " : "");
        add_item(&pair->children[0], range.offset + i, out);
        buf_add_char(out, '=');
        add_item(&pair->children[1], range.offset + i, out);
    }
    buf_add_char(out, '}');
}

static void add_nested(const struct vec *v, size_t row, struct buf *out) {
    switch (v->type->kind) {
    case VEC_LIST:
        add_list(v, row, out);
        break;
    case VEC_ARRAY:
        add_array(v, row, out);
        break;
    case VEC_STRUCT:
        add_struct(v, row, out);
        break;
    case VEC_MAP:
        add_map(v, row, out);
        break;
    default: { // UNION
        const size_t tag = ((const uint8_t *)v->children[0].data)[row];
        const struct vec *member = &v->children[1 + tag];
        CHECK(tag < v->type->child_count);
        if (vec_is_null(member, row)) {
            buf_add_cstr(out, "NULL"); // the union itself is not NULL
        } else {
            encode_text(member, row, out);
        }
    }
    }
}

char *text_bounded(const struct vec *v, size_t row, enum text_style style, char *at) {
    const void *data = v->data;
    switch (v->type->kind) {
    case VEC_BOOL:
        return put(at, ((const uint8_t *)data)[row] ? "true" : "false");
    case VEC_INT8:
        return at + fmt_i64(((const int8_t *)data)[row], at);
    case VEC_INT16:
        return at + fmt_i64(((const int16_t *)data)[row], at);
    case VEC_INT32:
        return at + fmt_i64(((const int32_t *)data)[row], at);
    case VEC_INT64:
        return at + fmt_i64(((const int64_t *)data)[row], at);
    case VEC_UINT8:
        return at + fmt_u64(((const uint8_t *)data)[row], at);
    case VEC_UINT16:
        return at + fmt_u64(((const uint16_t *)data)[row], at);
    case VEC_UINT32:
        return at + fmt_u64(((const uint32_t *)data)[row], at);
    case VEC_UINT64:
        return at + fmt_u64(((const uint64_t *)data)[row], at);
    case VEC_HUGEINT:
        return text_i128(vec_hugeint(v, row), at);
    case VEC_UHUGEINT:
        return text_u128((u128)vec_hugeint(v, row), at);
    case VEC_FLOAT:
        return text_float(((const float *)data)[row], at);
    case VEC_DOUBLE:
        return text_double(((const double *)data)[row], at);
    case VEC_DECIMAL:
        return text_decimal(vec_decimal(v, row), v->type->width, v->type->scale, style == TEXT_ISO,
                            at);
    case VEC_DATE:
        return text_date(((const int32_t *)data)[row], style, at);
    case VEC_TIME:
        return text_time(((const int64_t *)data)[row], at);
    case VEC_TIMETZ:
        return text_timetz(((const uint64_t *)data)[row], at);
    case VEC_TIMESTAMP:
    case VEC_TIMESTAMP_S:
    case VEC_TIMESTAMP_MS:
    case VEC_TIMESTAMP_NS:
    case VEC_TIMESTAMPTZ:
        return text_timestamp(((const int64_t *)data)[row], v->type->kind, style, at);
    case VEC_INTERVAL:
        return text_interval((const struct vec_interval *)data + row, at);
    case VEC_UUID:
        return text_uuid((const struct vec_i128 *)data + row, at);
    default:
        return NULL;
    }
}

void encode_text(const struct vec *v, size_t row, struct buf *out) {
    char text[TEXT_MAX];
    if (vec_is_null(v, row)) {
        return;
    }
    const char *end = text_bounded(v, row, TEXT_SQL, text);
    if (end) {
        buf_add(out, text, (size_t)(end - text));
        return;
    }
    switch (v->type->kind) {
    case VEC_VARCHAR:
    case VEC_JSON:
        buf_add_str(out, vec_str(v, row));
        break;
    case VEC_BLOB:
        add_blob(vec_str(v, row), out);
        break;
    case VEC_BIT:
        text_bit(vec_str(v, row), out);
        break;
    case VEC_ENUM:
        buf_add_str(out, vec_symbol(v, row));
        break;
    case VEC_NULLTYPE:
    case VEC_OTHER:
        buf_add_char(out, '?');
        break;
    default:
        add_nested(v, row, out);
    }
}
