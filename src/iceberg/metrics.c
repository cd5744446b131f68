// Column metrics: cutting bounds, comparing values, and which files a condition rules out.
//
// A file is ruled out only by what its metrics prove. Whatever is unknown (no bound, no count, a
// constant without an exact form, bytes of the wrong width) keeps it.
#include "iceberg/metrics_int.h"

#include <math.h>

#define HOUR_US (INT64_C(3600) * 1000000)
#define ZONE_HOURS_MAX 26 // no zone is further from UTC

static bool is_floating(const struct ice_type *t) {
    return t->kind == ICE_FLOAT || t->kind == ICE_DOUBLE;
}

// Length of the first `limit` code points of UTF-8.
static size_t prefix_len(struct str s, int limit) {
    size_t i = 0;
    for (int n = 0; n < limit && i < s.len; n++) {
        i++;
        while (i < s.len && ((uint8_t)s.ptr[i] & 0xc0) == 0x80) {
            i++;
        }
    }
    return i;
}

// Appends a code point in UTF-8.
static size_t put_code_point(uint32_t c, char *out) {
    if (c < 0x80) {
        out[0] = (char)c;
        return 1;
    }
    size_t len = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    for (size_t i = len - 1; i > 0; i--) {
        out[i] = (char)(0x80 | (c & 0x3f));
        c >>= 6;
    }
    out[0] = (char)((0xf00U >> len & 0xf0U) | c);
    return len;
}

// The shortest string that is greater than every string with this prefix: the last code point goes
// up by one, or, when it is the last of all, it is dropped and the one before goes up.
static bool next_string(struct str prefix, struct arena *a, struct str *ret) {
    char *bytes = arena_alloc(a, prefix.len + 4);
    size_t len = prefix.len;
    while (len > 0) {
        size_t start = len - 1;
        while (start > 0 && ((uint8_t)prefix.ptr[start] & 0xc0) == 0x80) {
            start--;
        }
        size_t char_len = len - start;
        uint8_t lead = (uint8_t)prefix.ptr[start];
        uint32_t c = char_len == 1 ? lead : lead & (0x7fU >> char_len);
        for (size_t i = start + 1; i < len; i++) {
            c = c << 6 | ((uint8_t)prefix.ptr[i] & 0x3fU);
        }
        c = c == 0xd7ff ? 0xe000 : c + 1;
        if (c <= 0x10ffff) {
            memcpy(bytes, prefix.ptr, start);
            *ret = (struct str){bytes, start + put_code_point(c, bytes + start)};
            return true;
        }
        len = start;
    }
    return false;
}

static bool next_bytes(struct str prefix, struct arena *a, struct str *ret) {
    size_t len = prefix.len;
    while (len > 0 && (uint8_t)prefix.ptr[len - 1] == 0xff) {
        len--;
    }
    if (len == 0) {
        return false;
    }
    char *bytes = arena_cstr(a, str_slice(prefix, 0, len));
    bytes[len - 1] = (char)((uint8_t)bytes[len - 1] + 1);
    *ret = (struct str){bytes, len};
    return true;
}

// Zero has two signs and they are equal: a lower bound takes the lower one, an upper one the upper.
static void sign_zero(const struct ice_type *t, bool upper, struct str *bytes, struct arena *a) {
    uint64_t sign = t->kind == ICE_FLOAT ? UINT64_C(1) << 31 : UINT64_C(1) << 63;
    if ((ice_little_endian_bits(*bytes) & ~sign) == 0) {
        *bytes = ice_little_endian(upper ? 0 : sign, bytes->len, a);
    }
}

static bool bound(const struct ice_type *t, struct str text, bool upper, int truncate,
                  struct arena *a, struct str *ret) {
    struct str whole = STR_NONE;
    if (!ice_text_value(t, text, ICE_TEXT_ENGINE, a, &whole, NULL)) {
        return false;
    }
    if (is_floating(t)) {
        sign_zero(t, upper, &whole, a);
    }
    bool string = t->kind == ICE_STRING;
    bool cut = truncate > 0 && (string || t->kind == ICE_BINARY || t->kind == ICE_FIXED);
    size_t len = whole.len;
    if (cut) {
        len = string ? prefix_len(whole, truncate) : MIN(whole.len, (size_t)truncate);
    }
    struct str prefix = str_slice(whole, 0, len);
    if (!upper || len == whole.len) {
        *ret = prefix;
        return true;
    }
    return string ? next_string(prefix, a, ret) : next_bytes(prefix, a, ret);
}

bool ice_lower_bound(const struct ice_type *t, struct str text, int truncate, struct arena *a,
                     struct str *ret) {
    return bound(t, text, false, truncate, a, ret);
}

bool ice_upper_bound(const struct ice_type *t, struct str text, int truncate, struct arena *a,
                     struct str *ret) {
    return bound(t, text, true, truncate, a, ret);
}

static bool get_integer(struct str s, int64_t *ret) {
    uint64_t bits = ice_little_endian_bits(str_slice(s, 0, 8));
    *ret = s.len == 4 ? (int64_t)(int32_t)(uint32_t)bits : (int64_t)bits;
    return s.len == 4 || s.len == 8;
}

static bool get_floating(struct str s, double *ret) {
    uint64_t bits = ice_little_endian_bits(str_slice(s, 0, 8));
    if (s.len == 4) {
        uint32_t low = (uint32_t)bits;
        float f = 0;
        memcpy(&f, &low, sizeof(f));
        *ret = (double)f;
    } else {
        memcpy(ret, &bits, sizeof(*ret));
    }
    return (s.len == 4 || s.len == 8) && !isnan(*ret);
}

static bool get_decimal(struct str s, __int128 *ret) {
    if (s.len == 0 || s.len > 16) {
        return false;
    }
    __int128 v = (uint8_t)s.ptr[0] & 0x80 ? -1 : 0;
    for (size_t i = 0; i < s.len; i++) {
        v = (__int128)((unsigned __int128)v << 8 | (uint8_t)s.ptr[i]);
    }
    *ret = v;
    return true;
}

static int integer_cmp(struct str a, struct str b, bool *ok) {
    int64_t x = 0;
    int64_t y = 0;
    *ok = get_integer(a, &x) && get_integer(b, &y);
    return (x > y) - (x < y);
}

static int floating_cmp(struct str a, struct str b, bool *ok) {
    double x = 0;
    double y = 0;
    *ok = get_floating(a, &x) && get_floating(b, &y);
    return (x > y) - (x < y);
}

static int decimal_cmp(struct str a, struct str b, bool *ok) {
    __int128 x = 0;
    __int128 y = 0;
    *ok = get_decimal(a, &x) && get_decimal(b, &y);
    return (x > y) - (x < y);
}

static int boolean_cmp(struct str a, struct str b, bool *ok) {
    *ok = a.len == 1 && b.len == 1;
    int x = *ok && a.ptr[0] != 0;
    int y = *ok && b.ptr[0] != 0;
    return x - y;
}

int ice_value_cmp(const struct ice_type *t, struct str a, struct str b, bool *ok) {
    switch (t->kind) {
    case ICE_BOOLEAN:
        return boolean_cmp(a, b, ok);
    case ICE_INT:
    case ICE_LONG:
    case ICE_DATE:
    case ICE_TIME:
    case ICE_TIMESTAMP:
    case ICE_TIMESTAMPTZ:
        return integer_cmp(a, b, ok);
    case ICE_FLOAT:
    case ICE_DOUBLE:
        return floating_cmp(a, b, ok);
    case ICE_DECIMAL:
        return decimal_cmp(a, b, ok);
    case ICE_STRING:
    case ICE_BINARY:
    case ICE_FIXED:
        *ok = true;
        return str_cmp(a, b);
    case ICE_UUID:
        *ok = a.len == 16 && b.len == 16;
        return str_cmp(a, b);
    case ICE_STRUCT:
    case ICE_LIST:
    case ICE_MAP:
        break;
    }
    *ok = false;
    return 0;
}

bool ice_literal_value(const struct ice_type *t, const struct ice_literal *v, struct arena *a,
                       struct str *ret) {
    struct str value = STR_NONE;
    enum ice_text_source source = v->is_number ? ICE_TEXT_NUMBER : ICE_TEXT_STRING;
    if (!ice_text_value(t, v->text, source, a, &value, NULL)) {
        return false;
    }
    *ret = value;
    return true;
}

// What a constant may mean: all values from low to high.
struct range {
    struct str low, high;
};

static struct str floating_bytes(const struct ice_type *t, double d, struct arena *a) {
    uint64_t bits = 0;
    if (t->kind == ICE_DOUBLE) {
        memcpy(&bits, &d, sizeof(d));
        return ice_little_endian(bits, sizeof(d), a);
    }
    float f = (float)d;
    uint32_t low = 0;
    memcpy(&low, &f, sizeof(f));
    return ice_little_endian(low, sizeof(f), a);
}

static double step(const struct ice_type *t, double v, double towards) {
    for (int i = 0; i < 4; i++) {
        v = t->kind == ICE_FLOAT ? (double)nextafterf((float)v, (float)towards)
                                 : nextafter(v, towards);
    }
    return v;
}

// The engine compares a float with a constant as float or as double, and turns a long decimal into
// a double in more than one step: the last few bits of the constant are not certain.
static bool floating_range(const struct ice_type *t, struct str exact, struct arena *a,
                           struct range *ret) {
    double v = 0;
    if (!get_floating(exact, &v)) {
        return false;
    }
    ret->low = floating_bytes(t, step(t, v, -(double)INFINITY), a);
    ret->high = floating_bytes(t, step(t, v, (double)INFINITY), a);
    return true;
}

// Without an offset a text means the session's zone, which is not known here.
static bool local_range(struct str exact, struct arena *a, struct range *ret) {
    int64_t v = 0;
    if (!get_integer(exact, &v)) {
        return false;
    }
    ret->low = ice_little_endian((uint64_t)(v - ZONE_HOURS_MAX * HOUR_US), 8, a);
    ret->high = ice_little_endian((uint64_t)(v + ZONE_HOURS_MAX * HOUR_US), 8, a);
    return true;
}

static bool literal_range(const struct ice_type *t, const struct ice_literal *v, struct arena *a,
                          struct range *ret) {
    struct str exact = STR_NONE;
    bool local = false;
    enum ice_text_source source = v->is_number ? ICE_TEXT_NUMBER : ICE_TEXT_STRING;
    if (!ice_text_value(t, v->text, source, a, &exact, &local)) {
        return false;
    }
    if (is_floating(t)) {
        return floating_range(t, exact, a, ret);
    }
    if (local) {
        return local_range(exact, a, ret);
    }
    *ret = (struct range){exact, exact};
    return true;
}

static const struct ice_bound *find_bound(const struct ice_bounds *b, int32_t id) {
    for (size_t i = 0; i < b->count; i++) {
        if (b->items[i].id == id) {
            return &b->items[i];
        }
    }
    return NULL;
}

// -1: not known.
static int64_t find_count(const struct ice_counts *c, int32_t id) {
    for (size_t i = 0; i < c->count; i++) {
        if (c->items[i].id == id) {
            return c->items[i].value;
        }
    }
    return -1;
}

// Is bound surely less than (sign -1) or greater than (sign 1) v? or_equal: or equal to it.
static bool surely(const struct ice_type *t, const struct ice_bound *b, int sign, bool or_equal,
                   struct str v) {
    if (!b) {
        return false;
    }
    bool ok = false;
    int order = ice_value_cmp(t, b->bytes, v, &ok);
    return ok && (order == 0 ? or_equal : (order > 0) == (sign > 0));
}

struct column {
    const struct ice_type *type;
    const struct ice_bound *lower, *upper;
    bool has_nan; // or may have: not a number is greater than every number
};

static bool may_equal(const struct column *c, const struct range *v) {
    return !surely(c->type, c->upper, -1, false, v->low) &&
           !surely(c->type, c->lower, 1, false, v->high);
}

// All rows hold one value, and it is v.
static bool all_equal(const struct column *c, const struct range *v) {
    bool ok = false;
    return !c->has_nan && ice_value_cmp(c->type, v->low, v->high, &ok) == 0 && ok &&
           surely(c->type, c->lower, 1, true, v->high) &&
           surely(c->type, c->upper, -1, true, v->low);
}

static bool may_compare(const struct column *c, enum ice_op op, const struct ice_literal *literal,
                        struct arena *a) {
    struct range v;
    if (!literal_range(c->type, literal, a, &v)) {
        return true;
    }
    switch (op) {
    case ICE_OP_EQ:
    case ICE_OP_IN:
        return may_equal(c, &v);
    case ICE_OP_NE:
        return !all_equal(c, &v);
    case ICE_OP_LT:
        return !surely(c->type, c->lower, 1, true, v.high);
    case ICE_OP_LE:
        return !surely(c->type, c->lower, 1, false, v.high);
    case ICE_OP_GT:
        return c->has_nan || !surely(c->type, c->upper, -1, true, v.low);
    case ICE_OP_GE:
        return c->has_nan || !surely(c->type, c->upper, -1, false, v.low);
    case ICE_OP_IS_NULL:
    case ICE_OP_NOT_NULL:
        break;
    }
    return true;
}

bool ice_may_match(const struct ice_type *t, const struct ice_data_file *f,
                   const struct ice_predicate *p, struct arena *a) {
    int64_t nulls = find_count(&f->null_counts, p->field_id);
    int64_t values = find_count(&f->value_counts, p->field_id);
    if (p->op == ICE_OP_IS_NULL) {
        // A field of a struct is NULL where the struct is, which not every writer counts.
        return nulls != 0 || (values >= 0 && values != f->record_count);
    }
    // No other condition holds for a NULL.
    if (values > 0 && nulls == values) {
        return false;
    }
    if (p->op == ICE_OP_NOT_NULL || p->value_count == 0) {
        return true;
    }
    struct column c = {
        .type = t,
        .lower = find_bound(&f->lower, p->field_id),
        .upper = find_bound(&f->upper, p->field_id),
        .has_nan = is_floating(t) && find_count(&f->nan_counts, p->field_id) != 0,
    };
    for (size_t i = 0; i < p->value_count; i++) {
        if (may_compare(&c, p->op, &p->values[i], a)) {
            return true;
        }
    }
    return false;
}
