// Metrics: bounds from texts, their cut ends, and files that a condition may not rule out.
#include "iceberg/metrics.h"

#include "base/fmt.h"
#include "iceberg/support_test.h"

#include <math.h>
#include <stdlib.h>
#include <time.h>

static const struct ice_type string_type = {.kind = ICE_STRING};
static const struct ice_type binary_type = {.kind = ICE_BINARY};
static const struct ice_type long_type = {.kind = ICE_LONG};
static const struct ice_type double_type = {.kind = ICE_DOUBLE};
static const struct ice_type decimal_type = {.kind = ICE_DECIMAL, .precision = 10, .scale = 2};

static void texts_become_the_bytes_of_the_specification(void **state) {
    (void)state;
    static const struct {
        struct ice_type type;
        const char *text, *lower, *upper;
    } cases[] = {
        {{.kind = ICE_BOOLEAN}, "1", "01", "01"},
        {{.kind = ICE_BOOLEAN}, "false", "00", "00"},
        {{.kind = ICE_INT}, "-1", "ffffffff", "ffffffff"},
        {{.kind = ICE_LONG}, "1000", "e803000000000000", "e803000000000000"},
        {{.kind = ICE_LONG}, "-9223372036854775808", "0000000000000080", "0000000000000080"},
        {{.kind = ICE_FLOAT}, "16777216.0", "0000804b", "0000804b"},
        {{.kind = ICE_FLOAT}, "0.1", "cdcccc3d", "cdcccc3d"},
        {{.kind = ICE_FLOAT}, "-inf", "000080ff", "000080ff"},
        {{.kind = ICE_FLOAT}, "0.0", "00000080", "00000000"},
        {{.kind = ICE_DOUBLE}, "-0.0", "0000000000000080", "0000000000000000"},
        {{.kind = ICE_DOUBLE}, "1e+300", "9c7500883ce4377e", "9c7500883ce4377e"},
        {{.kind = ICE_DATE}, "2026-01-01", "e64f0000", "e64f0000"},
        {{.kind = ICE_DATE}, "1970-01-01", "00000000", "00000000"},
        {{.kind = ICE_DATE}, "1969-12-31", "ffffffff", "ffffffff"},
        {{.kind = ICE_DATE}, "2024-02-29", "464d0000", "464d0000"},
        {{.kind = ICE_DATE}, "0001-01-01", "c606f5ff", "c606f5ff"},
        {{.kind = ICE_TIME}, "00:00:01.5", "60e3160000000000", "60e3160000000000"},
        {{.kind = ICE_TIME}, "24:00:00", "0060d71d14000000", "0060d71d14000000"},
        {{.kind = ICE_TIMESTAMP}, "1969-12-31 23:59:59.5", "e05ef8ffffffffff", "e05ef8ffffffffff"},
        {{.kind = ICE_TIMESTAMPTZ},
         "2026-01-01 00:00:00+00",
         "0040204648470600",
         "0040204648470600"},
        {{.kind = ICE_TIMESTAMPTZ},
         "2026-01-01 02:00:00+02",
         "0040204648470600",
         "0040204648470600"},
        {{.kind = ICE_STRING}, "abc", "616263", "616263"},
        {{.kind = ICE_UUID},
         "f79c3e09-677c-4bbd-a479-3f349cb785e7",
         "f79c3e09677c4bbda4793f349cb785e7",
         "f79c3e09677c4bbda4793f349cb785e7"},
        {{.kind = ICE_BINARY}, "00ABFF", "00abff", "00abff"},
        {{.kind = ICE_FIXED, .length = 2}, "00FF", "00ff", "00ff"},
        {{.kind = ICE_DECIMAL, .precision = 10, .scale = 2}, "750.00", "0124f8", "0124f8"},
        {{.kind = ICE_DECIMAL, .precision = 10, .scale = 2}, "-500", "ff3cb0", "ff3cb0"},
        {{.kind = ICE_DECIMAL, .precision = 4, .scale = 2}, "1.27", "7f", "7f"},
        {{.kind = ICE_DECIMAL, .precision = 4, .scale = 2}, "1.28", "0080", "0080"},
        {{.kind = ICE_DECIMAL, .precision = 4, .scale = 2}, "-1.28", "80", "80"},
        {{.kind = ICE_DECIMAL, .precision = 38, .scale = 0},
         "99999999999999999999999999999999999999",
         "4b3b4ca85a86c47a098a223fffffffff",
         "4b3b4ca85a86c47a098a223fffffffff"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        DEFER(arena_release) struct arena a = ARENA(1 << 16);
        struct str bytes = STR_NONE;
        struct str text = str_from(cases[i].text);
        assert_true(ice_lower_bound(&cases[i].type, text, 16, &a, &bytes));
        ASSERT_STR(hex_bytes(bytes.ptr, bytes.len, &a), str_from(cases[i].lower));
        assert_true(ice_upper_bound(&cases[i].type, text, 16, &a, &bytes));
        ASSERT_STR(hex_bytes(bytes.ptr, bytes.len, &a), str_from(cases[i].upper));
    }
}

static void what_is_not_understood_exactly_is_no_bound(void **state) {
    (void)state;
    static const struct {
        struct ice_type type;
        const char *text;
    } cases[] = {
        {{.kind = ICE_INT}, "2147483648"},
        {{.kind = ICE_INT}, "1.0"},
        {{.kind = ICE_LONG}, ""},
        {{.kind = ICE_DOUBLE}, "nan"},
        {{.kind = ICE_DOUBLE}, "1e999"},
        {{.kind = ICE_FLOAT}, "1e39"},
        {{.kind = ICE_DATE}, "infinity"},
        {{.kind = ICE_DATE}, "0044-03-15 (BC)"},
        {{.kind = ICE_DATE}, "12026-01-01"},
        {{.kind = ICE_DATE}, "2023-02-29"},
        {{.kind = ICE_DATE}, "1900-02-29"},
        {{.kind = ICE_DATE}, "0000-01-01"},
        {{.kind = ICE_TIMESTAMP}, "0044-03-15 (BC) 00:00:00"},
        {{.kind = ICE_TIMESTAMP}, "2026-01-01 00:00:00.1234567"},
        {{.kind = ICE_TIMESTAMP}, "2026-01-01 00:00:00+00"},
        {{.kind = ICE_TIMESTAMP}, "2026-01-01 24:00:00"},
        {{.kind = ICE_TIMESTAMPTZ}, "-infinity"},
        {{.kind = ICE_TIME}, "10:11"},
        {{.kind = ICE_TIME}, "10:61:00"},
        {{.kind = ICE_UUID}, "f79c3e09677c4bbda4793f349cb785e7"},
        {{.kind = ICE_BINARY}, "ABC"},
        {{.kind = ICE_FIXED, .length = 3}, "00FF"},
        {{.kind = ICE_STRING}, "\xff"},
        {{.kind = ICE_DECIMAL, .precision = 4, .scale = 2}, "1.005"},
        {{.kind = ICE_DECIMAL, .precision = 4, .scale = 2}, "100.00"},
        {{.kind = ICE_DECIMAL, .precision = 4, .scale = 2}, "1e1"},
        {{.kind = ICE_DECIMAL, .precision = 38, .scale = 0},
         "100000000000000000000000000000000000000"},
        {{.kind = ICE_LIST}, "[1]"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        DEFER(arena_release) struct arena a = ARENA(1 << 16);
        struct str bytes = STR_NONE;
        struct str text = str_from(cases[i].text);
        if (ice_lower_bound(&cases[i].type, text, 16, &a, &bytes) ||
            ice_upper_bound(&cases[i].type, text, 16, &a, &bytes)) {
            fail_msg("\"%s\" became a bound", cases[i].text);
        }
    }
}

static void assert_upper(const struct ice_type *t, const char *text, int truncate,
                         const char *wanted) {
    DEFER(arena_release) struct arena a = ARENA(1 << 16);
    struct str bytes = STR_NONE;
    bool has = ice_upper_bound(t, str_from(text), truncate, &a, &bytes);
    assert_int_equal(has, wanted != NULL);
    if (wanted) {
        ASSERT_STR(bytes, str_from(wanted));
    }
}

static void a_cut_upper_bound_is_the_next_greater_prefix(void **state) {
    (void)state;
    DEFER(arena_release) struct arena a = ARENA(1 << 16);
    struct str bytes = STR_NONE;
    assert_upper(&string_type, "abc", 3, "abc");
    assert_upper(&string_type, "abcd", 3, "abd");
    assert_upper(&string_type, "abcd", 0, "abcd");
    assert_upper(&string_type, "ab\x7fx", 3, "ab\xc2\x80");
    assert_upper(&string_type, "a\xc3\xa4\xc3\xa4z", 2, "a\xc3\xa5");
    assert_upper(&string_type, "a\xdf\xbfz", 2, "a\xe0\xa0\x80");
    assert_upper(&string_type, "a\xed\x9f\xbfz", 2, "a\xee\x80\x80");     // U+D7FF
    assert_upper(&string_type, "a\xef\xbf\xbfz", 2, "a\xf0\x90\x80\x80"); // U+FFFF
    assert_upper(&string_type, "a\xf4\x8f\xbf\xbfz", 2, "b");             // U+10FFFF
    assert_upper(&string_type, "\xf4\x8f\xbf\xbf\xf4\x8f\xbf\xbf", 1, NULL);
    assert_upper(&binary_type, "00FF01", 2, "\x01");
    assert_upper(&binary_type, "FFFF01", 2, NULL);
    assert_true(ice_lower_bound(&string_type, STR("\xf0\x9f\x90\x9fx"), 1, &a, &bytes));
    ASSERT_STR(bytes, STR("\xf0\x9f\x90\x9f"));
}

static int compare(const struct ice_type *t, const char *x, const char *y) {
    DEFER(arena_release) struct arena a = ARENA(1 << 16);
    bool ok = false;
    int order = ice_value_cmp(t, unhex(x, &a), unhex(y, &a), &ok);
    return ok ? order : 99;
}

static void values_before_a_widening_compare(void **state) {
    (void)state;
    assert_int_equal(compare(&long_type, "ffffffff", "0000000000000000"), -1);
    assert_int_equal(compare(&long_type, "05000000", "0500000000000000"), 0);
    assert_int_equal(compare(&double_type, "0000c03f", "000000000000f83f"), 0);
    assert_int_equal(compare(&double_type, "0000000000000080", "0000000000000000"), 0);
    assert_int_equal(compare(&double_type, "0000c07f", "0000c07f"), 99); // not a number
    assert_int_equal(compare(&long_type, "050000", "05000000"), 99);
    assert_int_equal(compare(&decimal_type, "ff3cb0", "ffffffffffff3cb0"), 0);
    assert_int_equal(compare(&decimal_type, "ff3cb0", "00"), -1);
    assert_int_equal(compare(&decimal_type, "", "00"), 99);
}

static void assert_literal(struct ice_type t, struct ice_literal v, const char *wanted_hex) {
    DEFER(arena_release) struct arena a = ARENA(1 << 16);
    struct str bytes = STR_NONE;
    bool has = ice_literal_value(&t, &v, &a, &bytes);
    if (has != (wanted_hex != NULL)) {
        fail_msg("literal " STR_FMT, STR_ARG(v.text));
    }
    if (wanted_hex) {
        ASSERT_STR(hex_bytes(bytes.ptr, bytes.len, &a), str_from(wanted_hex));
    }
}

static void constants_have_a_value_only_when_it_is_exact(void **state) {
    (void)state;
    struct ice_type date = {.kind = ICE_DATE};
    struct ice_type boolean = {.kind = ICE_BOOLEAN};
    assert_literal(long_type, (struct ice_literal){STR("5"), true}, "0500000000000000");
    assert_literal(long_type, (struct ice_literal){STR("5.00"), true}, "0500000000000000");
    assert_literal(long_type, (struct ice_literal){STR("1.5"), true}, NULL);
    assert_literal(long_type, (struct ice_literal){STR("1e3"), true}, NULL);
    assert_literal(long_type, (struct ice_literal){STR("9007199254740992.0"), true}, NULL);
    assert_literal(long_type, (struct ice_literal){STR("5"), false}, "0500000000000000");
    assert_literal(long_type, (struct ice_literal){STR("5.4"), false}, NULL);
    assert_literal(decimal_type, (struct ice_literal){STR("-500"), true}, "ff3cb0");
    assert_literal(decimal_type, (struct ice_literal){STR("1.999"), true}, NULL);
    assert_literal(string_type, (struct ice_literal){STR("5"), true}, NULL);
    assert_literal(string_type, (struct ice_literal){STR("5"), false}, "35");
    assert_literal(date, (struct ice_literal){STR("2026-01-01"), false}, "e64f0000");
    assert_literal(date, (struct ice_literal){STR("2026-01-01 10:00:00"), false}, NULL);
    assert_literal(date, (struct ice_literal){STR("5"), true}, NULL);
    assert_literal(boolean, (struct ice_literal){STR("true"), false}, "01");
    assert_literal(boolean, (struct ice_literal){STR("1"), true}, NULL);
    assert_literal(binary_type, (struct ice_literal){STR("a\\xFF"), false}, "61ff");
    assert_literal(binary_type, (struct ice_literal){STR("a\\n"), false}, NULL);
    assert_literal(double_type, (struct ice_literal){STR("nan"), false}, NULL);
}

// The property: random rows make a file, random conditions are evaluated row by row as the engine
// does it, and a file with a row that matches is never ruled out.

struct cell {
    bool is_null;
    int64_t i; // whole numbers, microseconds, days, unscaled decimals, booleans
    double d;
    struct str s;
};

struct world {
    uint64_t random;
    struct arena a;
    const struct ice_type *type;
    struct cell rows[6];
    size_t row_count;
    struct ice_bound lower, upper;
    struct ice_count values, nulls, nans;
    struct ice_data_file file;
};

static uint64_t below(struct world *w, uint64_t n) {
    return next_random(&w->random) % n;
}

static bool is_floating(const struct ice_type *t) {
    return t->kind == ICE_FLOAT || t->kind == ICE_DOUBLE;
}

static bool is_bytes(const struct ice_type *t) {
    return t->kind == ICE_STRING || t->kind == ICE_BINARY || t->kind == ICE_UUID ||
           t->kind == ICE_FIXED;
}

static struct str random_bytes_of(struct world *w) {
    static const char *const points[] = {"a",
                                         "b",
                                         "\x7f",
                                         "\xc2\x80",
                                         "\xed\x9f\xbf",
                                         "\xee\x80\x80",
                                         "\xef\xbf\xbf",
                                         "\xf0\x90\x80\x80",
                                         "\xf4\x8f\xbf\xbf"};
    bool fixed = w->type->kind == ICE_UUID || w->type->kind == ICE_FIXED;
    uint64_t len = fixed ? 16 : below(w, 6);
    if (w->type->kind == ICE_FIXED) {
        len = (uint64_t)w->type->length;
    }
    struct str s = STR("");
    for (uint64_t i = 0; i < len; i++) {
        bool text = w->type->kind == ICE_STRING;
        const char *piece = text ? points[below(w, ARRAY_LEN(points))] : "";
        char byte = below(w, 2) ? '\xff' : (char)below(w, 3);
        s = text ? arena_printf(&w->a, STR_FMT "%s", STR_ARG(s), piece) : s;
        if (!text) {
            char *longer = arena_alloc(&w->a, s.len + 1);
            memcpy(longer, s.ptr, s.len);
            longer[s.len] = byte;
            s = (struct str){longer, s.len + 1};
        }
    }
    return s;
}

static struct cell random_cell(struct world *w) {
    static const double doubles[] = {0.0, -0.0, 0.1, -0.1, 16777216, 16777217, 1e30, -1e30, 5};
    struct cell c = {0};
    int64_t small = (int64_t)below(w, 21) - 10;
    switch (w->type->kind) {
    case ICE_BOOLEAN:
        c.i = (int64_t)below(w, 2);
        break;
    case ICE_TIME:
        c.i = (small + 10) * 500000;
        break;
    case ICE_TIMESTAMP:
    case ICE_TIMESTAMPTZ:
        c.i = small * INT64_C(3600000000) * (below(w, 2) ? 24 : 1) + (int64_t)below(w, 2);
        break;
    case ICE_FLOAT:
    case ICE_DOUBLE: {
        uint64_t pick = below(w, ARRAY_LEN(doubles) + 3);
        double special[] = {(double)NAN, (double)INFINITY, -(double)INFINITY};
        c.d = pick < ARRAY_LEN(doubles) ? doubles[pick] : special[pick - ARRAY_LEN(doubles)];
        c.d = w->type->kind == ICE_FLOAT ? (double)(float)c.d : c.d;
        break;
    }
    default:
        c.i = small;
        c.s = is_bytes(w->type) ? random_bytes_of(w) : STR_NONE;
    }
    return c;
}

// YYYY-MM-DD HH:MM:SS[.ffffff]
static struct str moment(struct world *w, int64_t us) {
    int64_t seconds = us / 1000000 - (us % 1000000 < 0 ? 1 : 0);
    time_t t = (time_t)seconds;
    struct tm tm;
    char text[40];
    assert_non_null(gmtime_r(&t, &tm));
    assert_true(strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S", &tm) > 0);
    int64_t rest = us - seconds * 1000000;
    if (!rest) {
        return arena_printf(&w->a, "%s", text);
    }
    return arena_printf(&w->a, "%s.%06lld", text, (long long)rest);
}

// As the engine prints it; a constant differs from that in binaries only.
static struct str text_of(struct world *w, const struct cell *c, bool constant) {
    const struct ice_type *t = w->type;
    char number[32];
    switch (t->kind) {
    case ICE_BOOLEAN:
        return constant ? (c->i ? STR("true") : STR("false")) : (c->i ? STR("1") : STR("0"));
    case ICE_DATE:
        return str_slice(moment(w, c->i * INT64_C(86400000000)), 0, 10);
    case ICE_TIME:
        return str_slice(moment(w, c->i), 11, SIZE_MAX);
    case ICE_TIMESTAMP:
        return moment(w, c->i);
    case ICE_TIMESTAMPTZ:
        return arena_printf(&w->a, STR_FMT "+00", STR_ARG(moment(w, c->i)));
    case ICE_FLOAT:
        return arena_str(&w->a, (struct str){number, fmt_float((float)c->d, number)});
    case ICE_DOUBLE:
        return arena_str(&w->a, (struct str){number, fmt_double(c->d, number)});
    case ICE_DECIMAL:
        return arena_printf(&w->a, "%s%lld.%02lld", c->i < 0 ? "-" : "",
                            (long long)(llabs(c->i) / 100), (long long)(llabs(c->i) % 100));
    case ICE_STRING:
        return c->s;
    case ICE_UUID: {
        struct str h = hex_bytes(c->s.ptr, c->s.len, &w->a);
        return arena_printf(&w->a, "%.8s-%.4s-%.4s-%.4s-%.12s", h.ptr, h.ptr + 8, h.ptr + 12,
                            h.ptr + 16, h.ptr + 20);
    }
    case ICE_BINARY:
    case ICE_FIXED: {
        struct str h = hex_bytes(c->s.ptr, c->s.len, &w->a);
        struct str escaped = STR("");
        for (size_t i = 0; i < c->s.len; i++) {
            escaped = arena_printf(&w->a, STR_FMT "\\x%.2s", STR_ARG(escaped), h.ptr + 2 * i);
        }
        return constant ? escaped : h;
    }
    default:
        return arena_printf(&w->a, "%lld", (long long)c->i);
    }
}

// The engine's order: not a number is greater than every number and equal to itself.
static int floating_order(double x, double y) {
    if (isnan(x) || isnan(y)) {
        return (isnan(x) ? 1 : 0) - (isnan(y) ? 1 : 0);
    }
    return (x > y) - (x < y);
}

static int cell_order(const struct ice_type *t, const struct cell *x, const struct cell *y) {
    if (is_floating(t)) {
        return floating_order(x->d, y->d);
    }
    return is_bytes(t) ? str_cmp(x->s, y->s) : (x->i > y->i) - (x->i < y->i);
}

static void make_file(struct world *w) {
    const struct cell *least = NULL;
    const struct cell *most = NULL;
    int64_t nulls = 0;
    int64_t nans = 0;
    for (size_t i = 0; i < w->row_count; i++) {
        const struct cell *c = &w->rows[i];
        nulls += c->is_null ? 1 : 0;
        bool nan = is_floating(w->type) && isnan(c->d);
        nans += !c->is_null && nan ? 1 : 0;
        if (c->is_null || nan) {
            continue;
        }
        least = !least || cell_order(w->type, c, least) < 0 ? c : least;
        most = !most || cell_order(w->type, c, most) > 0 ? c : most;
    }
    w->values = (struct ice_count){1, (int64_t)w->row_count};
    w->nulls = (struct ice_count){1, nulls};
    w->nans = (struct ice_count){1, nans};
    w->lower.id = 1;
    w->upper.id = 1;
    int cut = (int)below(w, 4);
    struct ice_data_file f = {.record_count = (int64_t)w->row_count};
    f.value_counts = (struct ice_counts){&w->values, below(w, 8) ? 1 : 0};
    f.null_counts = (struct ice_counts){&w->nulls, below(w, 8) ? 1 : 0};
    f.nan_counts = (struct ice_counts){&w->nans, is_floating(w->type) && below(w, 2) ? 1 : 0};
    f.lower.items = &w->lower;
    f.upper.items = &w->upper;
    f.lower.count =
        least && ice_lower_bound(w->type, text_of(w, least, false), cut, &w->a, &w->lower.bytes);
    f.upper.count =
        most && ice_upper_bound(w->type, text_of(w, most, false), cut, &w->a, &w->upper.bytes);
    w->file = f;
}

struct constant {
    struct cell cell;
    bool half; // a digit more than the column has: 0.5 of its last one is added
    struct ice_literal literal;
};

static struct constant random_constant(struct world *w) {
    const struct ice_type *t = w->type;
    struct constant k = {.cell = below(w, 3) ? w->rows[below(w, w->row_count)] : random_cell(w)};
    bool whole = t->kind == ICE_INT || t->kind == ICE_LONG;
    bool number = whole || t->kind == ICE_DECIMAL || is_floating(t);
    k.half = (whole || t->kind == ICE_DECIMAL) && k.cell.i >= 0 && below(w, 4) == 0;
    struct str text = text_of(w, &k.cell, true);
    if (k.half) {
        text = arena_printf(&w->a, STR_FMT "%s", STR_ARG(text), whole ? ".5" : "5");
    }
    k.literal = (struct ice_literal){text, number && (k.half || below(w, 4))};
    return k;
}

static bool op_holds(enum ice_op op, int order) {
    switch (op) {
    case ICE_OP_EQ:
    case ICE_OP_IN:
        return order == 0;
    case ICE_OP_NE:
        return order != 0;
    case ICE_OP_LT:
        return order < 0;
    case ICE_OP_LE:
        return order <= 0;
    case ICE_OP_GT:
        return order > 0;
    default:
        return order >= 0;
    }
}

// Does the engine's comparison of row and constant hold? A float may be compared as either width.
static bool row_matches(const struct ice_type *t, const struct cell *row, enum ice_op op,
                        const struct constant *k) {
    if (row->is_null) {
        return false;
    }
    if (is_floating(t)) {
        double exact = k->cell.d;
        return op_holds(op, floating_order(row->d, exact)) ||
               (t->kind == ICE_FLOAT && op_holds(op, floating_order(row->d, (double)(float)exact)));
    }
    if (k->half) {
        return op_holds(op, 2 * row->i > 2 * k->cell.i + 1 ? 1 : -1);
    }
    return op_holds(op, cell_order(t, row, &k->cell));
}

static bool any_row_matches(const struct world *w, enum ice_op op, const struct constant *k,
                            size_t count) {
    for (size_t i = 0; i < w->row_count; i++) {
        if (op == ICE_OP_IS_NULL || op == ICE_OP_NOT_NULL) {
            if (w->rows[i].is_null == (op == ICE_OP_IS_NULL)) {
                return true;
            }
            continue;
        }
        for (size_t n = 0; n < count; n++) {
            if (row_matches(w->type, &w->rows[i], op, &k[n])) {
                return true;
            }
        }
    }
    return false;
}

// One file and one condition on it; true when the file was ruled out.
static bool try_once(struct world *w) {
    w->row_count = 1 + below(w, ARRAY_LEN(w->rows));
    for (size_t i = 0; i < w->row_count; i++) {
        w->rows[i] = random_cell(w);
        w->rows[i].is_null = below(w, 5) == 0;
    }
    make_file(w);
    enum ice_op op = (enum ice_op)below(w, ICE_OP_IN + 1);
    struct constant k[3];
    struct ice_literal literals[3];
    size_t count = op == ICE_OP_IN ? 1 + below(w, 3) : 1;
    for (size_t i = 0; i < count; i++) {
        k[i] = random_constant(w);
        literals[i] = k[i].literal;
    }
    struct ice_predicate p = {1, op, literals, count};
    bool kept = ice_may_match(w->type, &w->file, &p, &w->a);
    if (!kept && any_row_matches(w, op, k, count)) {
        fail_msg("a row matches: type %d op %d constant \"" STR_FMT "\"", w->type->kind, op,
                 STR_ARG(literals[0].text));
    }
    return !kept;
}

static void a_file_with_a_matching_row_is_never_ruled_out(void **state) {
    (void)state;
    static const struct ice_type types[] = {
        {.kind = ICE_BOOLEAN},
        {.kind = ICE_INT},
        {.kind = ICE_LONG},
        {.kind = ICE_FLOAT},
        {.kind = ICE_DOUBLE},
        {.kind = ICE_DATE},
        {.kind = ICE_TIME},
        {.kind = ICE_TIMESTAMP},
        {.kind = ICE_TIMESTAMPTZ},
        {.kind = ICE_STRING},
        {.kind = ICE_UUID},
        {.kind = ICE_BINARY},
        {.kind = ICE_FIXED, .length = 3},
        {.kind = ICE_DECIMAL, .precision = 9, .scale = 2},
    };
    for (size_t t = 0; t < ARRAY_LEN(types); t++) {
        struct world w = {.random = 88172645463325252U + t, .type = &types[t]};
        w.a = ARENA(1 << 20);
        int ruled_out = 0;
        for (int i = 0; i < 20000; i++) {
            arena_reset(&w.a);
            ruled_out += try_once(&w) ? 1 : 0;
        }
        arena_release(&w.a);
        assert_true(ruled_out > 1000); // or the test would show nothing
    }
}

static bool may_match(const struct ice_type *t, const struct ice_data_file *f, enum ice_op op,
                      struct ice_literal v) {
    DEFER(arena_release) struct arena a = ARENA(1 << 16);
    struct ice_predicate p = {1, op, &v, 1};
    return ice_may_match(t, f, &p, &a);
}

static void a_column_that_may_hold_nan_has_no_greatest_value(void **state) {
    (void)state;
    struct ice_bound low = {1, STR("\0\0\0\0\0\0\0\0")};
    struct ice_count none = {1, 0};
    struct ice_data_file f = {.record_count = 1};
    f.lower = (struct ice_bounds){&low, 1};
    f.upper = f.lower; // every number is 0
    struct ice_literal five = {STR("5"), true};
    assert_true(may_match(&double_type, &f, ICE_OP_GT, five));
    assert_true(may_match(&double_type, &f, ICE_OP_GE, five));
    assert_true(may_match(&double_type, &f, ICE_OP_NE, (struct ice_literal){STR("0"), true}));
    assert_true(may_match(&double_type, &f, ICE_OP_EQ, (struct ice_literal){STR("nan"), false}));
    assert_false(may_match(&double_type, &f, ICE_OP_EQ, five));
    f.nan_counts = (struct ice_counts){&none, 1};
    assert_false(may_match(&double_type, &f, ICE_OP_GT, five));
}

static void a_zone_that_is_not_said_is_any_zone(void **state) {
    (void)state;
    DEFER(arena_release) struct arena a = ARENA(1 << 16);
    struct ice_type t = {.kind = ICE_TIMESTAMPTZ};
    struct ice_bound b = {.id = 1};
    assert_true(ice_lower_bound(&t, STR("2026-01-01 00:00:00+00"), 0, &a, &b.bytes));
    struct ice_data_file f = {.record_count = 1, .lower = {&b, 1}, .upper = {&b, 1}};
    struct ice_literal near = {STR("2026-01-01 12:00:00"), false};
    struct ice_literal exact = {STR("2026-01-01 12:00:00+00"), false};
    struct ice_literal far = {STR("2026-01-05"), false};
    assert_true(may_match(&t, &f, ICE_OP_EQ, near));
    assert_false(may_match(&t, &f, ICE_OP_EQ, exact));
    assert_false(may_match(&t, &f, ICE_OP_GT, far));
}

static void nothing_known_keeps_the_file(void **state) {
    (void)state;
    struct ice_data_file f = {.record_count = 5};
    struct ice_literal five = {STR("5"), true};
    for (int op = ICE_OP_EQ; op <= ICE_OP_IN; op++) {
        assert_true(may_match(&long_type, &f, (enum ice_op)op, five));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_become_the_bytes_of_the_specification),
        cmocka_unit_test(what_is_not_understood_exactly_is_no_bound),
        cmocka_unit_test(a_cut_upper_bound_is_the_next_greater_prefix),
        cmocka_unit_test(values_before_a_widening_compare),
        cmocka_unit_test(constants_have_a_value_only_when_it_is_exact),
        cmocka_unit_test(a_file_with_a_matching_row_is_never_ruled_out),
        cmocka_unit_test(a_column_that_may_hold_nan_has_no_greatest_value),
        cmocka_unit_test(a_zone_that_is_not_said_is_any_zone),
        cmocka_unit_test(nothing_known_keeps_the_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
