// The scan of Parquet: every row of every row group, by the engine, columns that can hold a hit.
//
// Texts are looked at in the engine's own threads, as they pass (tarn_count). Other values are
// looked at where the engine has them, nested ones too: a cast to text would escape some of their
// characters. A file with a type that vec.h has no layout for is read as texts.

#include "erase/erase_scan_int.h"

#define SQL_MAX (64U << 20)

struct column {
    struct str name;
    int64_t found;
};

// Columns that are read by one statement.
struct columns {
    struct column *items;
    size_t count;
    struct buf sql; // the list of what is selected
};

struct reading {
    struct scanner *scanner;
    struct arena *arena;
    struct str from; // what stands behind FROM
    struct columns texts, others;
    int64_t counters[2]; // of columns that are no key, and of keys
};

static bool is_integer(enum vec_kind k) {
    return k >= VEC_INT8 && k <= VEC_UINT64;
}

static bool is_nested(enum vec_kind k) {
    return k == VEC_LIST || k == VEC_ARRAY || k == VEC_STRUCT || k == VEC_MAP || k == VEC_UNION;
}

static bool is_text(enum vec_kind k) {
    return k == VEC_VARCHAR || k == VEC_JSON || k == VEC_BLOB || k == VEC_BIT;
}

static bool member_is_key(const struct scanner *s, const struct vec_type *t, size_t i, bool key) {
    return key || (t->kind == VEC_STRUCT && i < t->child_count && scan_is_key(s, t->names[i]));
}

// Can a value of the type be found? key: it is that of a key column.
static bool can_hold(const struct scanner *s, const struct vec_type *t, bool key) {
    if (!is_nested(t->kind)) {
        return key || is_text(t->kind) || t->kind == VEC_UUID || t->kind == VEC_ENUM;
    }
    for (size_t i = 0; i < t->child_count; i++) {
        if (can_hold(s, &t->children[i], member_is_key(s, t, i, key))) {
            return true;
        }
    }
    return false;
}

// As the query selects it: what no layout is looked at for, and would have to be a key, as text.
static bool wants_cast(const struct vec_type *t) {
    return t->kind == VEC_ENUM || (!is_nested(t->kind) && !is_text(t->kind) &&
                                   !is_integer(t->kind) && t->kind != VEC_UUID);
}

// Searching

static int64_t integer_at(const struct vec *v, size_t row) {
    switch (v->type->kind) {
    case VEC_INT8:
        return ((const int8_t *)v->data)[row];
    case VEC_INT16:
        return ((const int16_t *)v->data)[row];
    case VEC_INT32:
        return ((const int32_t *)v->data)[row];
    case VEC_UINT8:
        return ((const uint8_t *)v->data)[row];
    case VEC_UINT16:
        return ((const uint16_t *)v->data)[row];
    case VEC_UINT32:
        return ((const uint32_t *)v->data)[row];
    default:
        return ((const int64_t *)v->data)[row];
    }
}

static int64_t in_number(const struct scanner *s, const struct vec *v, size_t row) {
    const int64_t number = integer_at(v, row);
    const bool past = v->type->kind == VEC_UINT64 && number < 0;
    return !past && erase_match_integer(s->matcher, number) ? 1 : 0;
}

static int64_t in_uuid(const struct scanner *s, const struct vec *v, size_t row) {
    const struct vec_i128 *u = (const struct vec_i128 *)v->data + row;
    const uint64_t halves[2] = {(uint64_t)u->upper ^ UINT64_C(1) << 63, u->lower};
    uint8_t bytes[16];
    for (size_t i = 0; i < sizeof(bytes); i++) {
        bytes[i] = (uint8_t)(halves[i / 8] >> (56 - 8 * (i % 8)));
    }
    return scan_is_uuid(s, bytes) ? 1 : 0;
}

static int64_t in_cell(const struct scanner *s, const struct vec *v, size_t row, bool key);

static int64_t in_items(const struct scanner *s, const struct vec *v, struct vec_list items,
                        bool key) {
    int64_t n = 0;
    for (uint64_t i = 0; i < items.length; i++) {
        n += in_cell(s, &v->children[0], items.offset + i, key);
    }
    return n;
}

static int64_t in_members(const struct scanner *s, const struct vec *v, size_t row, bool key) {
    int64_t n = 0;
    const size_t tags = v->type->kind == VEC_UNION ? 1 : 0;
    for (size_t i = 0; i < v->type->child_count; i++) {
        n += in_cell(s, &v->children[i + tags], row, member_is_key(s, v->type, i, key));
    }
    return n;
}

static int64_t in_symbol(const struct scanner *s, const struct vec *v, size_t row, bool key) {
    const size_t count = v->type->symbol_count;
    const size_t symbol = count <= 256     ? ((const uint8_t *)v->data)[row]
                          : count <= 65536 ? ((const uint16_t *)v->data)[row]
                                           : ((const uint32_t *)v->data)[row];
    return symbol < count ? scan_text(s, v->type->symbols[symbol], key) : 0;
}

static int64_t in_cell(const struct scanner *s, const struct vec *v, size_t row, bool key) {
    if (vec_is_null(v, row)) {
        return 0;
    }
    switch (v->type->kind) {
    case VEC_VARCHAR:
    case VEC_JSON:
    case VEC_BLOB:
    case VEC_BIT:
        return scan_text(s, vec_str(v, row), key);
    case VEC_UUID:
        return in_uuid(s, v, row);
    case VEC_ENUM:
        return in_symbol(s, v, row, key);
    case VEC_LIST:
    case VEC_MAP:
        return in_items(s, v, ((const struct vec_list *)v->data)[row], key);
    case VEC_ARRAY:
        return in_items(s, v, (struct vec_list){row * v->type->array_size, v->type->array_size},
                        key);
    case VEC_STRUCT:
    case VEC_UNION:
        return in_members(s, v, row, key);
    default:
        return key && is_integer(v->type->kind) ? in_number(s, v, row) : 0;
    }
}

static int64_t in_column(const struct scanner *s, const struct vec *v, size_t rows, bool key) {
    int64_t n = 0;
    for (size_t i = 0; i < rows; i++) {
        n += in_cell(s, v, i, key);
    }
    return n;
}

// Reading

static struct str from_sql(struct str path, struct arena *a) {
    DEFER(buf_release) struct buf glob = BUF(1U << 20);
    for (size_t i = 0; i < path.len; i++) {
        const char c = path.ptr[i];
        buf_printf(&glob, c == '*' || c == '?' || c == '[' ? "[%c]" : "%c", c);
    }
    return arena_printf(a, "read_parquet(" STR_FMT ", hive_partitioning=false)",
                        STR_ARG(sql_literal(buf_str(&glob), a)));
}

static void add_column(struct reading *r, struct str name, const struct vec_type *type) {
    const bool key = scan_is_key(r->scanner, name);
    const bool text = type->kind == VEC_VARCHAR || type->kind == VEC_JSON || type->kind == VEC_BLOB;
    const struct str ident = sql_ident(name, r->arena);
    struct columns *c = text ? &r->texts : &r->others;
    if (!can_hold(r->scanner, type, key)) {
        return;
    }
    if (text) {
        buf_printf(&c->sql, ", sum(tarn_count(%lld, " STR_FMT "))::BIGINT",
                   (long long)r->counters[key ? 1 : 0], STR_ARG(ident));
    } else {
        buf_printf(&c->sql, "%s" STR_FMT "%s", c->count == 0 ? "" : ", ", STR_ARG(ident),
                   wants_cast(type) ? "::VARCHAR" : "");
    }
    c->items[c->count++].name = arena_str(r->arena, name);
}

static enum err_code plan(struct reading *r, struct err *err) {
    DEFER(rows_closep) struct rows *rows = NULL;
    const struct str all =
        arena_printf(r->arena, "SELECT * FROM " STR_FMT " LIMIT 0", STR_ARG(r->from));
    TRY(session_query(r->scanner->engine.session, all, &rows, err));
    const size_t count = rows_column_count(rows);
    r->texts.items = arena_array(r->arena, count, sizeof(struct column));
    r->others.items = arena_array(r->arena, count, sizeof(struct column));
    for (size_t i = 0; i < count; i++) {
        add_column(r, rows_column_name(rows, i), rows_column_type(rows, i));
    }
    CHECK(!r->texts.sql.overflow && !r->others.sql.overflow);
    return ERR_OK;
}

// Counts the rows, too.
static enum err_code read_texts(struct reading *r, struct err *err) {
    DEFER(rows_closep) struct rows *rows = NULL;
    const struct vec_chunk *chunk;
    const struct str sql = arena_printf(r->arena, "SELECT count(*)" STR_FMT " FROM " STR_FMT,
                                        STR_ARG(buf_str(&r->texts.sql)), STR_ARG(r->from));
    TRY(session_query(r->scanner->engine.session, sql, &rows, err));
    TRY(rows_next(rows, &chunk, err));
    CHECK(chunk != NULL && chunk->rows == 1);
    r->scanner->done.rows += *(const int64_t *)chunk->columns[0].data;
    for (size_t i = 0; i < r->texts.count; i++) {
        const struct vec *sum = &chunk->columns[i + 1];
        r->texts.items[i].found = vec_is_null(sum, 0) ? 0 : *(const int64_t *)sum->data;
    }
    return ERR_OK;
}

static enum err_code read_others(struct reading *r, struct err *err) {
    DEFER(rows_closep) struct rows *rows = NULL;
    const struct str sql = arena_printf(r->arena, "SELECT " STR_FMT " FROM " STR_FMT,
                                        STR_ARG(buf_str(&r->others.sql)), STR_ARG(r->from));
    TRY(session_query(r->scanner->engine.session, sql, &rows, err));
    for (;;) {
        const struct vec_chunk *chunk;
        TRY(rows_next(rows, &chunk, err));
        if (chunk == NULL) {
            return ERR_OK;
        }
        for (size_t i = 0; i < r->others.count; i++) {
            struct column *c = &r->others.items[i];
            c->found += in_column(r->scanner, &chunk->columns[i], chunk->rows,
                                  scan_is_key(r->scanner, c->name));
        }
    }
}

static enum err_code search(struct reading *r, struct str path, struct err *err) {
    r->from = from_sql(path, r->arena);
    enum err_code code = plan(r, err);
    if (code == ERR_SQL) { // a type without a layout, most likely
        *err = ERR_NONE;
        r->from = arena_printf(r->arena, "(SELECT COLUMNS(*)::VARCHAR FROM " STR_FMT ")",
                               STR_ARG(r->from));
        code = plan(r, err);
    }
    TRY(code);
    TRY(read_texts(r, err));
    return r->others.count > 0 ? read_others(r, err) : ERR_OK;
}

static int64_t count_in(void *ctx, struct str text) {
    return scan_text(ctx, text, false);
}

static int64_t count_in_key(void *ctx, struct str text) {
    return scan_text(ctx, text, true);
}

static void tell(struct scanner *s, struct str object, const struct columns *c) {
    for (size_t i = 0; i < c->count; i++) {
        scan_found_at(s, object, "column", c->items[i].name, c->items[i].found);
    }
}

enum err_code scan_parquet(struct scanner *s, struct str object, struct str path, struct err *err) {
    DEFER(arena_release) struct arena a = ARENA(1U << 30);
    const struct engine_counter of_text = {count_in, s};
    const struct engine_counter of_key = {count_in_key, s};
    struct engine *e = s->engine.engine;
    struct reading r = {
        .scanner = s,
        .arena = &a,
        .texts.sql = BUF(SQL_MAX),
        .others.sql = BUF(SQL_MAX),
        .counters = {engine_count_begin(e, &of_text), engine_count_begin(e, &of_key)}};
    const enum err_code code = search(&r, path, err);
    engine_count_end(e, r.counters[0]);
    engine_count_end(e, r.counters[1]);
    tell(s, object, &r.texts);
    tell(s, object, &r.others);
    buf_release(&r.texts.sql);
    buf_release(&r.others.sql);
    return code;
}
