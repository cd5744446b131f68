// Arrow metadata: FlatBuffers with their offsets checked, and the fields of a schema.
#include "ingest/arrow_int.h"

#include <string.h>

enum {
    TYPE_NULL = 1,
    TYPE_INT,
    TYPE_FLOAT,
    TYPE_BINARY,
    TYPE_UTF8,
    TYPE_BOOL,
    TYPE_DECIMAL,
    TYPE_DATE,
    TYPE_TIME,
    TYPE_TIMESTAMP,
    TYPE_INTERVAL,
    TYPE_LIST,
    TYPE_STRUCT,
    TYPE_UNION,
    TYPE_FIXED_BINARY,
    TYPE_FIXED_LIST,
    TYPE_MAP,
    TYPE_DURATION,
    TYPE_LARGE_BINARY,
    TYPE_LARGE_UTF8,
    TYPE_LARGE_LIST,
    TYPE_RUN_END,
    TYPE_BINARY_VIEW,
    TYPE_UTF8_VIEW,
    TYPE_LIST_VIEW,
    TYPE_LARGE_LIST_VIEW,
};
enum { FIELD_NAME, FIELD_NULLABLE, FIELD_KIND, FIELD_TYPE, FIELD_DICTIONARY, FIELD_CHILDREN };

#define NAME_MAX_BYTES 1024
#define FIXED_MAX 100000 // elements of a fixed list, bytes of a fixed binary

uint64_t fb_int(struct fb *f, size_t at, size_t size) {
    uint64_t v = 0;
    if (at > f->data.len || size > f->data.len - at) {
        f->bad = true;
        return 0;
    }
    memcpy(&v, f->data.ptr + at, size);
    return v;
}

static struct fb_table table_at(struct fb *f, size_t at) {
    const int64_t back = (int32_t)fb_int(f, at, 4);
    const int64_t vtable = (int64_t)at - back;
    if (f->bad || vtable < 0 || vtable >= (int64_t)f->data.len) {
        f->bad = true;
        return (struct fb_table){.fb = f};
    }
    const size_t len = fb_int(f, (size_t)vtable, 2);
    return (struct fb_table){.fb = f, .at = at, .vtable = (size_t)vtable, .vtable_len = len};
}

struct fb_table fb_root(struct fb *f) {
    return table_at(f, fb_int(f, 0, 4));
}

// Where a field's value lies; 0: nowhere.
static size_t place(const struct fb_table *t, size_t field) {
    const size_t entry = 4 + 2 * field;
    if (t->at == 0 || entry + 2 > t->vtable_len) {
        return 0;
    }
    const size_t offset = fb_int(t->fb, t->vtable + entry, 2);
    return offset == 0 ? 0 : t->at + offset;
}

int64_t fb_number(const struct fb_table *t, size_t field, size_t size, int64_t otherwise) {
    const size_t at = place(t, field);
    if (at == 0) {
        return otherwise;
    }
    const uint64_t v = fb_int(t->fb, at, size);
    switch (size) {
    case 1:
        return (int64_t)(uint8_t)v;
    case 2:
        return (int16_t)v;
    case 4:
        return (int32_t)v;
    default:
        return (int64_t)v;
    }
}

static size_t target(const struct fb_table *t, size_t field) {
    const size_t at = place(t, field);
    return at == 0 ? 0 : at + fb_int(t->fb, at, 4);
}

struct fb_table fb_link(const struct fb_table *t, size_t field) {
    const size_t at = target(t, field);
    if (at == 0) {
        return (struct fb_table){.fb = t->fb};
    }
    return table_at(t->fb, at);
}

struct fb_vector fb_vector(const struct fb_table *t, size_t field, size_t size) {
    const size_t at = target(t, field);
    if (at == 0) {
        return (struct fb_vector){0};
    }
    const size_t count = fb_int(t->fb, at, 4);
    if (t->fb->bad || count > (t->fb->data.len - at - 4) / size) {
        t->fb->bad = true;
        return (struct fb_vector){0};
    }
    return (struct fb_vector){at + 4, count};
}

struct str fb_text(const struct fb_table *t, size_t field) {
    const struct fb_vector v = fb_vector(t, field, 1);
    return v.at == 0 ? STR_NONE : str_slice(t->fb->data, v.at, v.at + v.count);
}

struct fb_table fb_vector_table(struct fb *f, struct fb_vector v, size_t i) {
    const size_t at = v.at + 4 * i;
    return table_at(f, at + fb_int(f, at, 4));
}

enum err_code arrow_damaged(struct err *err, const char *what) {
    return err_set(err, ERR_DATA, "the Arrow data is damaged or cut off: %s", what);
}

static enum err_code refused(const struct arrow_field *f, const char *what, struct err *err) {
    return err_set(err, ERR_UNSUPPORTED,
                   "column \"" STR_FMT "\" is of Arrow type %s, which is not read; cast it first",
                   STR_ARG(str_slice(f->name, 0, MIN(f->name.len, 60))), what);
}

static void bits(struct arrow_field *f, int64_t width, const char *form, const char *sql) {
    f->layout = ARROW_BITS;
    f->bits = width;
    f->form = form;
    f->sql = str_from(sql);
}

static void bytes(struct arrow_field *f, int64_t offset_bits, bool text) {
    f->layout = ARROW_BYTES;
    f->bits = offset_bits;
    f->text = text;
    const bool large = offset_bits == 64;
    f->form = text ? (large ? "U" : "u") : (large ? "Z" : "z");
    f->sql = text ? STR("VARCHAR") : STR("BLOB");
}

static bool int_type(const struct fb_table *t, struct arrow_field *f) {
    static const struct {
        int64_t width;
        const char *forms[2], *sql[2];
    } ints[] = {{8, {"C", "c"}, {"UTINYINT", "TINYINT"}},
                {16, {"S", "s"}, {"USMALLINT", "SMALLINT"}},
                {32, {"I", "i"}, {"UINTEGER", "INTEGER"}},
                {64, {"L", "l"}, {"UBIGINT", "BIGINT"}}};
    const int64_t width = fb_number(t, 0, 4, 0);
    const bool is_signed = fb_number(t, 1, 1, 0) != 0;
    for (size_t i = 0; i < ARRAY_LEN(ints); i++) {
        if (ints[i].width == width) {
            bits(f, width, ints[i].forms[is_signed], ints[i].sql[is_signed]);
            return true;
        }
    }
    return false;
}

static enum err_code decimal_type(struct arrow_reader *r, const struct fb_table *t,
                                  struct arrow_field *f, struct err *err) {
    const int64_t precision = fb_number(t, 0, 4, 0);
    const int64_t scale = fb_number(t, 1, 4, 0);
    const int64_t width = fb_number(t, 2, 4, 128);
    if (width != 128 || precision < 1 || precision > 38 || scale < 0 || scale > precision) {
        return refused(f, "decimal with more than 38 digits, 128 bits or an odd scale", err);
    }
    const struct str form = arena_printf(r->meta, "d:%d,%d", (int)precision, (int)scale);
    bits(f, width, form.ptr, "");
    f->sql = arena_printf(r->meta, "DECIMAL(%d,%d)", (int)precision, (int)scale);
    f->precision = (int)precision;
    return ERR_OK;
}

static enum err_code time_type(struct arrow_reader *r, int64_t kind, const struct fb_table *t,
                               struct arrow_field *f, struct err *err) {
    static const char letters[] = "smun";
    static const int64_t ticks[] = {1, 1000, 1000000, 1000000000};
    const int64_t unit = fb_number(t, 0, 2, kind == TYPE_TIMESTAMP ? 0 : 1);
    if (unit < 0 || unit > 3 || (kind == TYPE_DATE && unit > 1)) {
        return arrow_damaged(err, "a unit of time that there is not");
    }
    if (kind == TYPE_DATE) {
        bits(f, unit == 0 ? 32 : 64, unit == 0 ? "tdD" : "tdm", "DATE");
        return ERR_OK;
    }
    if (kind == TYPE_TIME) {
        const struct str form = arena_printf(r->meta, "tt%c", letters[unit]);
        bits(f, unit < 2 ? 32 : 64, form.ptr, "TIME");
        f->max = 86400 * ticks[unit];
        return ERR_OK;
    }
    const bool zoned = fb_text(t, 1).len > 0;
    const struct str form = arena_printf(r->meta, "ts%c:%s", letters[unit], zoned ? "UTC" : "");
    bits(f, 64, form.ptr, zoned ? "TIMESTAMPTZ" : unit == 3 ? "TIMESTAMP_NS" : "TIMESTAMP");
    return ERR_OK;
}

static enum err_code fixed_type(struct arrow_reader *r, int64_t kind, const struct fb_table *t,
                                struct arrow_field *f, struct err *err) {
    const int64_t size = fb_number(t, 0, 4, 0);
    if (size < 1 || size > FIXED_MAX) {
        return refused(f, "fixed size of less than 1 or more than 100000", err);
    }
    if (kind == TYPE_FIXED_BINARY) {
        bits(f, size * 8, arena_printf(r->meta, "w:%d", (int)size).ptr, "BLOB");
        return ERR_OK;
    }
    f->layout = ARROW_FIXED_LIST;
    f->bits = size;
    f->form = arena_printf(r->meta, "+w:%d", (int)size).ptr;
    return ERR_OK;
}

static const char *type_name(int64_t kind) {
    static const char *const names[] = {
        [TYPE_INTERVAL] = "interval",         [TYPE_UNION] = "union",
        [TYPE_DURATION] = "duration",         [TYPE_RUN_END] = "run-end encoded",
        [TYPE_BINARY_VIEW] = "binary view",   [TYPE_UTF8_VIEW] = "utf8 view",
        [TYPE_LIST_VIEW] = "list view",       [TYPE_LARGE_LIST_VIEW] = "large list view",
        [TYPE_FLOAT] = "float of half width", [TYPE_INT] = "int of an odd width"};
    const bool known = kind >= 0 && kind < (int64_t)ARRAY_LEN(names) && names[kind] != NULL;
    return known ? names[kind] : "unknown to this server";
}

static bool simple_type(int64_t kind, const struct fb_table *t, struct arrow_field *f) {
    const int64_t precision = kind == TYPE_FLOAT ? fb_number(t, 0, 2, 0) : 0;
    switch (kind) {
    case TYPE_NULL:
        f->layout = ARROW_NOTHING;
        f->form = "n";
        f->sql = STR("INTEGER");
        return true;
    case TYPE_INT:
        return int_type(t, f);
    case TYPE_FLOAT:
        bits(f, precision == 1 ? 32 : 64, precision == 1 ? "f" : "g",
             precision == 1 ? "FLOAT" : "DOUBLE");
        return precision == 1 || precision == 2;
    case TYPE_BOOL:
        bits(f, 1, "b", "BOOLEAN");
        return true;
    case TYPE_BINARY:
    case TYPE_LARGE_BINARY:
        bytes(f, kind == TYPE_BINARY ? 32 : 64, false);
        return true;
    case TYPE_UTF8:
    case TYPE_LARGE_UTF8:
        bytes(f, kind == TYPE_UTF8 ? 32 : 64, true);
        return true;
    case TYPE_LIST:
    case TYPE_LARGE_LIST:
    case TYPE_MAP:
        f->layout = ARROW_LIST;
        f->bits = kind == TYPE_LARGE_LIST ? 64 : 32;
        f->form = kind == TYPE_MAP ? "+m" : kind == TYPE_LIST ? "+l" : "+L";
        return true;
    case TYPE_STRUCT:
        f->layout = ARROW_STRUCT;
        f->form = "+s";
        return true;
    default:
        return false;
    }
}

static enum err_code read_type(struct arrow_reader *r, int64_t kind, const struct fb_table *t,
                               struct arrow_field *f, struct err *err) {
    switch (kind) {
    case TYPE_DECIMAL:
        return decimal_type(r, t, f, err);
    case TYPE_DATE:
    case TYPE_TIME:
    case TYPE_TIMESTAMP:
        return time_type(r, kind, t, f, err);
    case TYPE_FIXED_BINARY:
    case TYPE_FIXED_LIST:
        return fixed_type(r, kind, t, f, err);
    default:
        return simple_type(kind, t, f) ? ERR_OK : refused(f, type_name(kind), err);
    }
}

// The types of lists, maps and structs from those of their children.
static enum err_code nested_sql(struct arrow_reader *r, struct arrow_field *f, struct err *err) {
    const bool map = strcmp(f->form, "+m") == 0;
    const bool list = f->layout == ARROW_LIST || f->layout == ARROW_FIXED_LIST;
    const struct arrow_field *c = f->children;
    if ((list && f->child_count != 1) || (f->layout == ARROW_STRUCT && f->child_count == 0) ||
        (map && (c->layout != ARROW_STRUCT || c->child_count != 2 || c->index_bits > 0))) {
        return arrow_damaged(err, "a list, map or struct without its parts");
    }
    if (map) {
        f->sql = arena_printf(r->meta, "MAP(" STR_FMT ", " STR_FMT ")", STR_ARG(c->children[0].sql),
                              STR_ARG(c->children[1].sql));
    } else if (list) {
        f->sql = arena_printf(r->meta, STR_FMT "[]", STR_ARG(c->sql));
    } else if (f->layout == ARROW_STRUCT) {
        DEFER(buf_release) struct buf out = BUF(16U << 20);
        for (size_t i = 0; i < f->child_count; i++) {
            buf_printf(&out, "%s" STR_FMT " " STR_FMT, i == 0 ? "STRUCT(" : ", ",
                       STR_ARG(sql_ident(c[i].name, r->meta)), STR_ARG(c[i].sql));
        }
        buf_add_char(&out, ')');
        f->sql = arena_str(r->meta, buf_str(&out));
    }
    return ERR_OK;
}

static enum err_code read_dictionary(struct arrow_reader *r, const struct fb_table *t,
                                     struct arrow_field *f, struct err *err) {
    const struct fb_table d = fb_link(t, FIELD_DICTIONARY);
    if (d.at == 0) {
        return ERR_OK;
    }
    const struct fb_table type = fb_link(&d, 1);
    struct arrow_field index = {.bits = 32, .form = "i"};
    if ((type.at != 0 && !int_type(&type, &index)) || f->layout == ARROW_STRUCT ||
        f->layout == ARROW_LIST || f->layout == ARROW_FIXED_LIST || f->layout == ARROW_NOTHING) {
        return refused(f, "dictionary of lists, structs or nothing", err);
    }
    f->dictionary_id = fb_number(&d, 0, 8, 0);
    f->index_bits = index.bits;
    f->index_signed = strchr("csil", index.form[0]) != NULL;
    r->dictionaries[r->dictionary_count++] = f;
    return ERR_OK;
}

static enum err_code read_children(struct arrow_reader *r, const struct fb_table *t, size_t field,
                                   struct arrow_field *f, int depth, struct err *err);

static enum err_code read_field(struct arrow_reader *r, const struct fb_table *t,
                                struct arrow_field *f, int depth, struct err *err) {
    if (++r->field_count > ARROW_FIELDS_MAX || depth > ARROW_DEPTH_MAX) {
        return err_set(err, ERR_TOO_LARGE, "the Arrow schema has more than %d fields or levels",
                       depth > ARROW_DEPTH_MAX ? ARROW_DEPTH_MAX : ARROW_FIELDS_MAX);
    }
    const struct str name = fb_text(t, FIELD_NAME);
    if (t->fb->bad || name.len > NAME_MAX_BYTES || !str_is_utf8(name) ||
        str_find_char(name, '\0') >= 0) {
        return arrow_damaged(err, "the name of a column");
    }
    f->name = (struct str){arena_cstr(r->meta, name), name.len};
    const struct fb_table type = fb_link(t, FIELD_TYPE);
    TRY(read_type(r, fb_number(t, FIELD_KIND, 1, 0), &type, f, err));
    if (f->layout >= ARROW_LIST) {
        TRY(read_children(r, t, FIELD_CHILDREN, f, depth + 1, err));
        TRY(nested_sql(r, f, err));
    }
    TRY(read_dictionary(r, t, f, err));
    return t->fb->bad ? arrow_damaged(err, "its schema") : ERR_OK;
}

static enum err_code read_children(struct arrow_reader *r, const struct fb_table *t, size_t field,
                                   struct arrow_field *f, int depth, struct err *err) {
    const struct fb_vector v = fb_vector(t, field, 4);
    if (v.count > ARROW_FIELDS_MAX) {
        return err_set(err, ERR_TOO_LARGE, "the Arrow schema has more than %d fields",
                       ARROW_FIELDS_MAX);
    }
    f->children = arena_array(r->meta, v.count, sizeof(*f->children));
    f->child_count = v.count;
    for (size_t i = 0; i < v.count; i++) {
        const struct fb_table child = fb_vector_table(t->fb, v, i);
        if (t->fb->bad) {
            return arrow_damaged(err, "its schema");
        }
        TRY(read_field(r, &child, &f->children[i], depth, err));
    }
    return ERR_OK;
}

enum err_code arrow_read_fields(struct arrow_reader *r, const struct fb_table *schema,
                                struct err *err) {
    if (fb_number(schema, 0, 2, 0) != 0) {
        return err_set(err, ERR_UNSUPPORTED,
                       "the Arrow data is big-endian; write it little-endian");
    }
    r->root = (struct arrow_field){.layout = ARROW_STRUCT, .form = "+s"};
    TRY(read_children(r, schema, 1, &r->root, 0, err));
    return r->root.child_count > 0 ? ERR_OK
                                   : err_set(err, ERR_DATA, "the Arrow data has no columns");
}
