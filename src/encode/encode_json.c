// JSON and NDJSON: rows as objects or arrays, without a tree in between.
//
// What comes before a value (comma, name, colon) is made once per column. Values of bounded length
// are written into room that is reserved once per row; long ones look after themselves.
//
//   integers, decimals   exact numbers, or strings where big_as_text asks for it
//   floating point       shortest number that reads back; "NaN", "Infinity", "-Infinity"
//   date and time        ISO 8601: "2026-11-22", "2026-11-22T09:30:00.5", with "Z" for TIMESTAMPTZ,
//                        "-000043-03-15" and "+012345-01-01" outside the years 0 to 9999
//   interval, time, bit  the engine's text; UUID with dashes; BLOB in base64
//   JSON                 as it is, without white space; as a string if it is not well-formed
//   list, array          array; STRUCT object (array when its members have no names)
//   MAP                  array of {"key": ..., "value": ...}; UNION {"tag": value}
#include "encode/encode_int.h"

#include "base/fmt.h"
#include "base/json.h"

#include <math.h>

// Room for the value of a column whose text is bounded, with quotes.
#define VALUE_MAX (TEXT_MAX + 2)
#define EXACT_MAX (INT64_C(1) << 53)

struct json_column {
    struct str before; // {"name":  or  ,"name":  or a bracket or comma
    size_t rest;       // room for this column and all behind it
};

struct json_state {
    struct json_column *columns;
    struct str after; // closes a row
    bool comma;       // between rows
    bool any;         // a row was written
};

static void json_open(struct encoder *e) {
    const bool arrays = e->options.arrays;
    struct json_state *s = arena_alloc(&e->arena, sizeof(*s));
    DEFER(buf_release) struct buf text = BUF(SIZE_MAX / 2);
    s->comma = e->options.format == ENCODE_JSON;
    s->columns = arena_array(&e->arena, e->column_count, sizeof(*s->columns));
    for (size_t i = 0; i < e->column_count; i++) {
        buf_reset(&text);
        if (i > 0) {
            buf_add_char(&text, ',');
        } else {
            buf_add_char(&text, arrays ? '[' : '{');
        }
        if (!arrays) {
            json_quote(&text, e->columns[i].name);
            buf_add_char(&text, ':');
        }
        s->columns[i].before = arena_str(&e->arena, buf_str(&text));
    }
    const char *after = arrays ? "]" : "}";
    if (e->column_count == 0) {
        after = arrays ? "[]" : "{}";
    }
    s->after = arena_printf(&e->arena, "%s%s", after, s->comma ? "" : "\n");
    size_t rest = s->after.len + 1;
    for (size_t i = e->column_count; i > 0; i--) {
        rest += s->columns[i - 1].before.len + VALUE_MAX;
        s->columns[i - 1].rest = rest;
    }
    e->state = s;
}

static inline char *room(struct buf *b, size_t len) {
    return b->cap - b->len > len && !b->overflow ? b->ptr + b->len : buf_reserve(b, len);
}

static inline void fill(struct buf *b, char *end) {
    *end = '\0';
    b->len = (size_t)(end - b->ptr);
}

static inline char *put(char *at, struct str s) {
    memcpy(at, s.ptr, s.len);
    return at + s.len;
}

static char *quote_if(bool quoted, const struct vec *v, size_t row, char *at) {
    if (!quoted) {
        return text_bounded(v, row, TEXT_ISO, at);
    }
    *at = '"';
    at = text_bounded(v, row, TEXT_ISO, at + 1);
    *at = '"';
    return at + 1;
}

static char *put_i64(int64_t n, bool big_as_text, char *at) {
    if (!big_as_text || (n <= EXACT_MAX && n >= -EXACT_MAX)) {
        return at + fmt_i64(n, at);
    }
    *at++ = '"';
    at += fmt_i64(n, at);
    *at = '"';
    return at + 1;
}

static char *put_not_finite(double n, char *at) {
    if (isnan(n)) {
        return put(at, STR("\"NaN\""));
    }
    return n > 0 ? put(at, STR("\"Infinity\"")) : put(at, STR("\"-Infinity\""));
}

// -0 without a point is the integer 0 to many readers.
static char *put_finite(double n, char *at) {
    return n == 0 && signbit(n) ? put(at, STR("-0.0")) : at + fmt_double(n, at);
}

static char *put_float(const struct vec *v, size_t row, char *at) {
    if (v->type->kind == VEC_DOUBLE) {
        const double n = ((const double *)v->data)[row];
        return isfinite(n) ? put_finite(n, at) : put_not_finite(n, at);
    }
    const float n = ((const float *)v->data)[row];
    if (isfinite(n) && n != 0) {
        return at + fmt_float(n, at);
    }
    return isfinite(n) ? put_finite((double)n, at) : put_not_finite((double)n, at);
}

static bool is_big(const struct vec *v, size_t row) {
    const __int128 n = vec_hugeint(v, row);
    const bool negative = v->type->kind == VEC_HUGEINT && n < 0;
    const unsigned __int128 size = negative ? 0 - (unsigned __int128)n : (unsigned __int128)n;
    return size > (unsigned __int128)EXACT_MAX;
}

// A value of bounded length, or NULL when the kind has none.
static char *put_bounded(const struct encode_options *o, const struct vec *v, size_t row,
                         char *at) {
    switch (v->type->kind) {
    case VEC_BOOL:
    case VEC_INT8:
    case VEC_INT16:
    case VEC_INT32:
    case VEC_UINT8:
    case VEC_UINT16:
    case VEC_UINT32:
        return text_bounded(v, row, TEXT_ISO, at);
    case VEC_INT64:
        return put_i64(((const int64_t *)v->data)[row], o->big_as_text, at);
    case VEC_UINT64: {
        const uint64_t n = ((const uint64_t *)v->data)[row];
        return quote_if(o->big_as_text && n > (uint64_t)EXACT_MAX, v, row, at);
    }
    case VEC_HUGEINT:
    case VEC_UHUGEINT:
        return quote_if(o->big_as_text && is_big(v, row), v, row, at);
    case VEC_DECIMAL:
        return quote_if(o->big_as_text, v, row, at);
    case VEC_FLOAT:
    case VEC_DOUBLE:
        return put_float(v, row, at);
    case VEC_DATE:
    case VEC_TIME:
    case VEC_TIMETZ:
    case VEC_TIMESTAMP:
    case VEC_TIMESTAMP_S:
    case VEC_TIMESTAMP_MS:
    case VEC_TIMESTAMP_NS:
    case VEC_TIMESTAMPTZ:
    case VEC_INTERVAL:
    case VEC_UUID:
        return quote_if(true, v, row, at);
    default:
        return NULL;
    }
}

static void add_base64(struct str s, struct buf *out) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const unsigned char *p = (const unsigned char *)s.ptr;
    char *at = buf_reserve(out, (s.len + 2) / 3 * 4 + 2);
    if (!at) {
        return;
    }
    *at++ = '"';
    for (size_t i = 0; i < s.len; i += 3) {
        const size_t left = s.len - i;
        const uint32_t bits = (uint32_t)p[i] << 16 | (left > 1 ? (uint32_t)p[i + 1] << 8 : 0) |
                              (left > 2 ? p[i + 2] : 0);
        *at++ = digits[bits >> 18];
        *at++ = digits[bits >> 12 & 63];
        *at++ = left > 1 ? digits[bits >> 6 & 63] : '=';
        *at++ = left > 2 ? digits[bits & 63] : '=';
    }
    *at++ = '"';
    fill(out, at);
}

static void add_value(const struct encode_options *o, const struct vec *v, size_t row,
                      struct buf *out);

static void add_array(const struct encode_options *o, const struct vec *items,
                      struct vec_list range, struct buf *out) {
    buf_add_char(out, '[');
    for (uint64_t i = 0; i < range.length; i++) {
        if (i > 0) {
            buf_add_char(out, ',');
        }
        add_value(o, items, range.offset + i, out);
    }
    buf_add_char(out, ']');
}

// Members of a struct may be named by a client: two of the same name cannot be, the engine sees to
// that.
static void add_struct(const struct encode_options *o, const struct vec *v, size_t row,
                       struct buf *out) {
    const struct vec_type *t = v->type;
    const bool named = t->child_count > 0 && t->names[0].len > 0;
    buf_add_char(out, named ? '{' : '[');
    for (size_t i = 0; i < t->child_count; i++) {
        if (i > 0) {
            buf_add_char(out, ',');
        }
        if (named) {
            json_quote(out, t->names[i]);
            buf_add_char(out, ':');
        }
        add_value(o, &v->children[i], row, out);
    }
    buf_add_char(out, named ? '}' : ']');
}

static void add_union(const struct encode_options *o, const struct vec *v, size_t row,
                      struct buf *out) {
    const size_t tag = ((const uint8_t *)v->children[0].data)[row];
    CHECK(tag < v->type->child_count);
    buf_add_char(out, '{');
    json_quote(out, v->type->names[tag]);
    buf_add_char(out, ':');
    add_value(o, &v->children[1 + tag], row, out);
    buf_add_char(out, '}');
}

// A value of any length that is not NULL.
static void add_long(const struct encode_options *o, const struct vec *v, size_t row,
                     struct buf *out) {
    switch (v->type->kind) {
    case VEC_VARCHAR:
        json_quote(out, vec_str(v, row));
        break;
    case VEC_ENUM:
        json_quote(out, vec_symbol(v, row));
        break;
    case VEC_JSON:
        if (!json_embed(vec_str(v, row), out)) {
            json_quote(out, vec_str(v, row));
        }
        break;
    case VEC_BLOB:
        add_base64(vec_str(v, row), out);
        break;
    case VEC_BIT:
        buf_add_char(out, '"');
        text_bit(vec_str(v, row), out);
        buf_add_char(out, '"');
        break;
    case VEC_LIST:
    case VEC_MAP:
        add_array(o, &v->children[0], ((const struct vec_list *)v->data)[row], out);
        break;
    case VEC_ARRAY: {
        const uint64_t size = v->type->array_size;
        add_array(o, &v->children[0], (struct vec_list){row * size, size}, out);
        break;
    }
    case VEC_STRUCT:
        add_struct(o, v, row, out);
        break;
    case VEC_UNION:
        add_union(o, v, row, out);
        break;
    default: // NULLTYPE and OTHER have no values
        buf_add_cstr(out, "null");
    }
}

static void add_value(const struct encode_options *o, const struct vec *v, size_t row,
                      struct buf *out) {
    if (vec_is_null(v, row)) {
        buf_add_cstr(out, "null");
        return;
    }
    char text[VALUE_MAX];
    const char *end = put_bounded(o, v, row, text);
    if (end) {
        buf_add(out, text, (size_t)(end - text));
    } else {
        add_long(o, v, row, out);
    }
}

// Returns where to go on, with room for what comes behind column i; NULL on overflow.
static char *put_column(struct encoder *e, size_t i, const struct vec *v, size_t row, char *at,
                        struct buf *out) {
    if (vec_is_null(v, row)) {
        return put(at, STR("null"));
    }
    char *end = put_bounded(&e->options, v, row, at);
    if (end) {
        return end;
    }
    const struct json_state *s = e->state;
    fill(out, at);
    add_long(&e->options, v, row, out);
    return room(out, i + 1 < e->column_count ? s->columns[i + 1].rest : s->after.len + 1);
}

static void add_row(struct encoder *e, const struct vec *columns, size_t row, struct buf *out) {
    struct json_state *s = e->state;
    char *at = room(out, 1 + s->after.len + (e->column_count > 0 ? s->columns[0].rest : 0));
    if (!at) {
        return;
    }
    if (s->comma && s->any) {
        *at++ = ',';
    }
    s->any = true;
    for (size_t i = 0; i < e->column_count; i++) {
        at = put(at, s->columns[i].before);
        at = put_column(e, i, &columns[i], row, at, out);
        if (!at) {
            return;
        }
    }
    fill(out, put(at, s->after));
}

static void json_head(struct encoder *e, struct buf *out) {
    if (e->options.format == ENCODE_JSON) {
        buf_add_char(out, '[');
    }
}

static enum err_code json_rows(struct encoder *e, const struct encode_rows *rows, struct buf *out,
                               struct err *err) {
    (void)err;
    for (size_t i = 0; i < rows->count && !out->overflow; i++) {
        add_row(e, rows->chunk->columns, rows->first + i, out);
    }
    return ERR_OK;
}

static void json_tail(struct encoder *e, struct buf *out) {
    if (e->options.format == ENCODE_JSON) {
        buf_add_char(out, ']');
    }
}

const struct encode_ops encode_json_ops = {json_open, json_head, json_rows, json_tail};
