// Types: between the engine's columns and Iceberg's.

#include "table/table_types.h"

#include "engine/engine.h"

struct scalar_row {
    enum vec_kind from;
    enum ice_kind to;
};

// Engine types without parameters and what they become.
static const struct scalar_row scalar_rows[] = {
    {VEC_BOOL, ICE_BOOLEAN},
    {VEC_INT8, ICE_INT},
    {VEC_INT16, ICE_INT},
    {VEC_INT32, ICE_INT},
    {VEC_INT64, ICE_LONG},
    {VEC_UINT8, ICE_INT},
    {VEC_UINT16, ICE_INT},
    {VEC_UINT32, ICE_LONG},
    {VEC_FLOAT, ICE_FLOAT},
    {VEC_DOUBLE, ICE_DOUBLE},
    {VEC_DATE, ICE_DATE},
    {VEC_TIME, ICE_TIME},
    {VEC_TIMESTAMP, ICE_TIMESTAMP},
    {VEC_TIMESTAMP_S, ICE_TIMESTAMP},
    {VEC_TIMESTAMP_MS, ICE_TIMESTAMP},
    {VEC_TIMESTAMP_NS, ICE_TIMESTAMP},
    {VEC_TIMESTAMPTZ, ICE_TIMESTAMPTZ},
    {VEC_VARCHAR, ICE_STRING},
    {VEC_JSON, ICE_STRING},
    {VEC_ENUM, ICE_STRING},
    {VEC_NULLTYPE, ICE_STRING},
    {VEC_BLOB, ICE_BINARY},
    {VEC_UUID, ICE_UUID},
};

// Engine types that have no form in the table format, and what to write instead.
static const struct {
    enum vec_kind kind;
    const char *advice;
} refused_rows[] = {
    {VEC_INTERVAL, "store its parts as numbers, or cast it to VARCHAR"},
    {VEC_TIMETZ, "cast it to TIME, or to VARCHAR"},
    {VEC_BIT, "cast it to VARCHAR, or to BLOB"},
    {VEC_UNION, "make it a STRUCT of its members, or cast it to VARCHAR"},
    {VEC_OTHER, "cast it to VARCHAR"},
};

static struct ice_type decimal(int precision, int scale) {
    return (struct ice_type){.kind = ICE_DECIMAL, .precision = precision, .scale = scale};
}

static enum err_code type_children(const struct vec_type *t, struct str column, struct arena *a,
                                   struct ice_type *ret, struct err *err) {
    bool is_map = t->kind == VEC_MAP;
    const struct vec_type *from = is_map ? &t->children[0] : t;
    ret->field_count = from->child_count;
    ret->fields = arena_array(a, from->child_count, sizeof(*ret->fields));
    for (size_t i = 0; i < from->child_count; i++) {
        struct ice_field *f = &ret->fields[i];
        f->name = STR("element");
        if (is_map) {
            f->name = i == 0 ? STR("key") : STR("value");
            f->required = i == 0;
        } else if (t->kind == VEC_STRUCT) {
            f->name = arena_str(a, t->names[i]);
        }
        struct str path = arena_printf(a, STR_FMT "." STR_FMT, STR_ARG(column), STR_ARG(f->name));
        TRY(table_type_of(&from->children[i], path, a, &f->type, err));
    }
    return ERR_OK;
}

static enum err_code type_refused(const struct vec_type *t, struct str column, struct err *err) {
    const char *advice = "cast it to VARCHAR";
    for (size_t i = 0; i < ARRAY_LEN(refused_rows); i++) {
        if (refused_rows[i].kind == t->kind) {
            advice = refused_rows[i].advice;
        }
    }
    return err_set(err, ERR_UNSUPPORTED,
                   "column \"" STR_FMT "\" is of type " STR_FMT
                   ", which the table format does not have: %s",
                   STR_ARG(column), STR_ARG(t->text), advice);
}

enum err_code table_type_of(const struct vec_type *t, struct str column, struct arena *a,
                            struct ice_type *ret, struct err *err) {
    for (size_t i = 0; i < ARRAY_LEN(scalar_rows); i++) {
        if (scalar_rows[i].from == t->kind) {
            *ret = (struct ice_type){.kind = scalar_rows[i].to};
            return ERR_OK;
        }
    }
    switch (t->kind) {
    case VEC_DECIMAL:
        *ret = decimal(t->width, t->scale);
        return ERR_OK;
    case VEC_UINT64:
        *ret = decimal(20, 0);
        return ERR_OK;
    case VEC_HUGEINT:
    case VEC_UHUGEINT:
        *ret = decimal(38, 0);
        return ERR_OK;
    case VEC_LIST:
    case VEC_ARRAY:
        *ret = (struct ice_type){.kind = ICE_LIST};
        return type_children(t, column, a, ret, err);
    case VEC_STRUCT:
        *ret = (struct ice_type){.kind = ICE_STRUCT};
        return type_children(t, column, a, ret, err);
    case VEC_MAP:
        *ret = (struct ice_type){.kind = ICE_MAP};
        return type_children(t, column, a, ret, err);
    default:
        return type_refused(t, column, err);
    }
}

static const char *scalar_sql(enum ice_kind kind) {
    static const char *const names[] = {
        [ICE_BOOLEAN] = "BOOLEAN",
        [ICE_INT] = "INTEGER",
        [ICE_LONG] = "BIGINT",
        [ICE_FLOAT] = "FLOAT",
        [ICE_DOUBLE] = "DOUBLE",
        [ICE_DATE] = "DATE",
        [ICE_TIME] = "TIME",
        [ICE_TIMESTAMP] = "TIMESTAMP",
        [ICE_TIMESTAMPTZ] = "TIMESTAMP WITH TIME ZONE",
        [ICE_STRING] = "VARCHAR",
        [ICE_UUID] = "UUID",
        [ICE_BINARY] = "BLOB",
        [ICE_FIXED] = "BLOB",
    };
    return (size_t)kind < ARRAY_LEN(names) ? names[kind] : NULL;
}

struct str table_type_sql(const struct ice_type *t, struct arena *a) {
    const char *scalar = scalar_sql(t->kind);
    if (scalar != NULL) {
        return str_from(scalar);
    }
    if (t->kind == ICE_DECIMAL) {
        return arena_printf(a, "DECIMAL(%d,%d)", t->precision, t->scale);
    }
    struct str first = table_type_sql(&t->fields[0].type, a);
    if (t->kind == ICE_LIST) {
        return arena_printf(a, STR_FMT "[]", STR_ARG(first));
    }
    if (t->kind == ICE_MAP) {
        struct str second = table_type_sql(&t->fields[1].type, a);
        return arena_printf(a, "MAP(" STR_FMT ", " STR_FMT ")", STR_ARG(first), STR_ARG(second));
    }
    struct str out = STR("STRUCT(");
    for (size_t i = 0; i < t->field_count; i++) {
        struct str type = table_type_sql(&t->fields[i].type, a);
        out = arena_printf(a, STR_FMT "%s" STR_FMT " " STR_FMT, STR_ARG(out), i == 0 ? "" : ", ",
                           STR_ARG(sql_ident(t->fields[i].name, a)), STR_ARG(type));
    }
    return arena_printf(a, STR_FMT ")", STR_ARG(out));
}

// Does the type hold nanoseconds, itself or somewhere inside?
static bool has_nanoseconds(const struct vec_type *t) {
    bool found = t->kind == VEC_TIMESTAMP_NS;
    for (size_t i = 0; i < t->child_count; i++) {
        found = found || has_nanoseconds(&t->children[i]);
    }
    return found;
}

// Is a column of this engine type stored as `to` without a cast?
static bool same_in_engine(const struct vec_type *from, const struct ice_type *to,
                           struct arena *a) {
    return str_eq(from->text, table_type_sql(to, a));
}

struct str table_column_sql(struct str column, const struct vec_type *from,
                            const struct ice_type *to, struct arena *a) {
    struct str name = sql_ident(column, a);
    if (same_in_engine(from, to, a)) {
        return name;
    }
    struct str type = table_type_sql(to, a);
    struct str cast =
        arena_printf(a, "CAST(" STR_FMT " AS " STR_FMT ")", STR_ARG(name), STR_ARG(type));
    if (!has_nanoseconds(from)) {
        return cast;
    }
    return arena_printf(
        a,
        "CASE WHEN CAST(" STR_FMT " AS " STR_FMT ") IS DISTINCT FROM " STR_FMT
        " THEN error('column ' || " STR_FMT " || ' has parts of a microsecond, which the table "
        "format does not keep: round it, or cast it to VARCHAR') ELSE " STR_FMT " END",
        STR_ARG(cast), STR_ARG(from->text), STR_ARG(name), STR_ARG(sql_literal(column, a)),
        STR_ARG(cast));
}

static void field_ids(const struct ice_field *f, struct buf *out, struct arena *a);

static void field_ids_of(const struct ice_field *fields, size_t count, struct buf *out,
                         struct arena *a) {
    for (size_t i = 0; i < count; i++) {
        buf_add_cstr(out, i == 0 ? "" : ", ");
        field_ids(&fields[i], out, a);
    }
}

static void field_ids(const struct ice_field *f, struct buf *out, struct arena *a) {
    buf_add_str(out, sql_ident(f->name, a));
    if (f->type.field_count == 0) {
        buf_printf(out, ": %d", f->id);
        return;
    }
    buf_printf(out, ": {__duckdb_field_id: %d, ", f->id);
    field_ids_of(f->type.fields, f->type.field_count, out, a);
    buf_add_char(out, '}');
}

struct str table_field_ids_sql(const struct ice_schema *s, struct arena *a) {
    DEFER(buf_release) struct buf out = BUF(16U << 20);
    buf_add_char(&out, '{');
    field_ids_of(s->fields, s->field_count, &out, a);
    buf_add_char(&out, '}');
    return arena_str(a, buf_str(&out));
}

static bool has_float(const struct ice_type *t) {
    if (t->kind == ICE_FLOAT || t->kind == ICE_DOUBLE) {
        return true;
    }
    for (size_t i = 0; t->kind == ICE_STRUCT && i < t->field_count; i++) {
        if (has_float(&t->fields[i].type)) {
            return true;
        }
    }
    return false;
}

// The negative zero and a zero are a zero.
static struct str plain_zero(const struct ice_type *t, struct str value, struct arena *a) {
    if (!has_float(t)) {
        return value;
    }
    if (t->kind != ICE_STRUCT) {
        return arena_printf(a, STR_FMT " + 0::" STR_FMT, STR_ARG(value),
                            STR_ARG(table_type_sql(t, a)));
    }
    DEFER(buf_release) struct buf out = BUF(16U << 20);
    buf_add_cstr(&out, "CASE WHEN ");
    buf_add_str(&out, value);
    buf_add_cstr(&out, " IS NOT NULL THEN struct_pack(");
    for (size_t i = 0; i < t->field_count; i++) {
        const struct str name = t->fields[i].name;
        const struct str member = arena_printf(a, "struct_extract(" STR_FMT ", " STR_FMT ")",
                                               STR_ARG(value), STR_ARG(sql_literal(name, a)));
        buf_add_cstr(&out, i == 0 ? "" : ", ");
        buf_add_str(&out, sql_ident(name, a));
        buf_add_cstr(&out, " := ");
        buf_add_str(&out, plain_zero(&t->fields[i].type, member, a));
    }
    buf_add_cstr(&out, ") END");
    return arena_str(a, buf_str(&out));
}

struct str table_plain_zeros_sql(const struct ice_schema *s, struct str select, struct arena *a) {
    DEFER(buf_release) struct buf out = BUF(64U << 20);
    for (size_t i = 0; i < s->field_count; i++) {
        const struct ice_field *f = &s->fields[i];
        if (has_float(&f->type)) {
            const struct str name = sql_ident(f->name, a);
            buf_add_cstr(&out, out.len == 0 ? "SELECT * REPLACE (" : ", ");
            buf_add_str(&out, plain_zero(&f->type, name, a));
            buf_add_cstr(&out, " AS ");
            buf_add_str(&out, name);
        }
    }
    if (out.len == 0) {
        return select;
    }
    buf_add_cstr(&out, ") FROM (");
    buf_add_str(&out, select);
    buf_add_cstr(&out, "\n)"); // the line break ends a comment
    return arena_str(a, buf_str(&out));
}
