// Types of the engine as vec_type trees, with the text that SQL would write.
#include "engine/engine_int.h"

static const char *const kind_names[] = {
#define X(kind, name) name,
    VEC_KINDS(X)
#undef X
};

static const struct kind_of_type {
    duckdb_type type;
    enum vec_kind kind;
} kinds[] = {
    {DUCKDB_TYPE_BOOLEAN, VEC_BOOL},
    {DUCKDB_TYPE_TINYINT, VEC_INT8},
    {DUCKDB_TYPE_SMALLINT, VEC_INT16},
    {DUCKDB_TYPE_INTEGER, VEC_INT32},
    {DUCKDB_TYPE_BIGINT, VEC_INT64},
    {DUCKDB_TYPE_UTINYINT, VEC_UINT8},
    {DUCKDB_TYPE_USMALLINT, VEC_UINT16},
    {DUCKDB_TYPE_UINTEGER, VEC_UINT32},
    {DUCKDB_TYPE_UBIGINT, VEC_UINT64},
    {DUCKDB_TYPE_HUGEINT, VEC_HUGEINT},
    {DUCKDB_TYPE_UHUGEINT, VEC_UHUGEINT},
    {DUCKDB_TYPE_FLOAT, VEC_FLOAT},
    {DUCKDB_TYPE_DOUBLE, VEC_DOUBLE},
    {DUCKDB_TYPE_DECIMAL, VEC_DECIMAL},
    {DUCKDB_TYPE_DATE, VEC_DATE},
    {DUCKDB_TYPE_TIME, VEC_TIME},
    {DUCKDB_TYPE_TIME_TZ, VEC_TIMETZ},
    {DUCKDB_TYPE_TIMESTAMP, VEC_TIMESTAMP},
    {DUCKDB_TYPE_TIMESTAMP_S, VEC_TIMESTAMP_S},
    {DUCKDB_TYPE_TIMESTAMP_MS, VEC_TIMESTAMP_MS},
    {DUCKDB_TYPE_TIMESTAMP_NS, VEC_TIMESTAMP_NS},
    {DUCKDB_TYPE_TIMESTAMP_TZ, VEC_TIMESTAMPTZ},
    {DUCKDB_TYPE_INTERVAL, VEC_INTERVAL},
    {DUCKDB_TYPE_VARCHAR, VEC_VARCHAR},
    {DUCKDB_TYPE_BLOB, VEC_BLOB},
    {DUCKDB_TYPE_BIT, VEC_BIT},
    {DUCKDB_TYPE_UUID, VEC_UUID},
    {DUCKDB_TYPE_ENUM, VEC_ENUM},
    {DUCKDB_TYPE_LIST, VEC_LIST},
    {DUCKDB_TYPE_ARRAY, VEC_ARRAY},
    {DUCKDB_TYPE_STRUCT, VEC_STRUCT},
    {DUCKDB_TYPE_MAP, VEC_MAP},
    {DUCKDB_TYPE_UNION, VEC_UNION},
    {DUCKDB_TYPE_SQLNULL, VEC_NULLTYPE},
};

// Types without a layout of ours. The header at hand may not know their numbers yet.
static const struct other_type {
    int type;
    const char *name;
} others[] = {{35, "BIGNUM"}, {39, "TIME_NS"}, {40, "GEOMETRY"}, {41, "VARIANT"}};

// Words that are no plain identifier: the engine's keywords of the kinds reserved and
// type_function.
static const char reserved[] =
    " all analyse analyze and anti any array as asc asof asymmetric at authorization "
    "binary both by case cast check collate collation column columns concurrently "
    "constraint create cross default deferrable desc describe distinct do else end "
    "except false fetch for foreign freeze from full generated glob group having ilike "
    "in initially inner intersect into is isnull join lambda lateral leading left like "
    "limit map natural not notnull null offset on only or order outer overlaps pivot "
    "pivot_longer pivot_wider placing positional primary qualify references returning "
    "right select semi show similar some struct summarize symmetric table tablesample "
    "then to trailing true try_cast union unique unpack unpivot using variadic verbose "
    "when where window with ";

static enum vec_kind kind_of(duckdb_logical_type in) {
    const duckdb_type type = duckdb_get_type_id(in);
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        if (kinds[i].type == type) {
            DEFER(engine_textp) char *alias = duckdb_logical_type_get_alias(in);
            const bool json = kinds[i].kind == VEC_VARCHAR && str_is(str_from(alias), "JSON");
            return json ? VEC_JSON : kinds[i].kind;
        }
    }
    return VEC_OTHER;
}

static struct str other_text(duckdb_logical_type in, struct arena *a) {
    const int type = (int)duckdb_get_type_id(in);
    for (size_t i = 0; i < ARRAY_LEN(others); i++) {
        if (others[i].type == type) {
            return str_from(others[i].name);
        }
    }
    return arena_printf(a, "TYPE_%d", type);
}

static void child_type(duckdb_logical_type in, struct arena *a, struct vec_type *ret) {
    DEFER(duckdb_destroy_logical_type) duckdb_logical_type child = in;
    engine_type(child, a, ret);
}

static void one_child(struct vec_type *t, duckdb_logical_type in, struct arena *a) {
    t->children = arena_array(a, 1, sizeof(*t->children));
    t->child_count = 1;
    child_type(in, a, &t->children[0]);
}

static void map_child(struct vec_type *t, duckdb_logical_type in, struct arena *a) {
    static const struct str names[] = {{"key", 3}, {"value", 5}};
    struct vec_type *pair = arena_array(a, 1, sizeof(*pair));
    pair->kind = VEC_STRUCT;
    pair->child_count = 2;
    pair->children = arena_array(a, 2, sizeof(*pair->children));
    pair->names = arena_array(a, 2, sizeof(*pair->names));
    memcpy(pair->names, names, sizeof(names));
    child_type(duckdb_map_type_key_type(in), a, &pair->children[0]);
    child_type(duckdb_map_type_value_type(in), a, &pair->children[1]);
    t->children = pair;
    t->child_count = 1;
}

static void members(struct vec_type *t, duckdb_logical_type in, struct arena *a) {
    const bool is_union = t->kind == VEC_UNION;
    t->child_count =
        is_union ? duckdb_union_type_member_count(in) : duckdb_struct_type_child_count(in);
    t->children = arena_array(a, t->child_count, sizeof(*t->children));
    t->names = arena_array(a, t->child_count, sizeof(*t->names));
    for (size_t i = 0; i < t->child_count; i++) {
        DEFER(engine_textp)
        char *name =
            is_union ? duckdb_union_type_member_name(in, i) : duckdb_struct_type_child_name(in, i);
        t->names[i] = arena_str(a, str_from(name));
        child_type(is_union ? duckdb_union_type_member_type(in, i)
                            : duckdb_struct_type_child_type(in, i),
                   a, &t->children[i]);
    }
}

static void symbols(struct vec_type *t, duckdb_logical_type in, struct arena *a) {
    t->symbol_count = duckdb_enum_dictionary_size(in);
    t->symbols = arena_array(a, t->symbol_count, sizeof(*t->symbols));
    for (size_t i = 0; i < t->symbol_count; i++) {
        DEFER(engine_textp) char *symbol = duckdb_enum_dictionary_value(in, i);
        t->symbols[i] = arena_str(a, str_from(symbol));
    }
}

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

static bool is_plain(struct str name) {
    char word[32] = " ";
    if (name.len == 0 || name.len > sizeof(word) - 3 || is_digit(name.ptr[0])) {
        return false;
    }
    for (size_t i = 0; i < name.len; i++) {
        const char c = name.ptr[i];
        const bool upper = c >= 'A' && c <= 'Z';
        if (!upper && !(c >= 'a' && c <= 'z') && !is_digit(c) && c != '_') {
            return false;
        }
        word[i + 1] = upper ? (char)(c - 'A' + 'a') : c;
    }
    word[name.len + 1] = ' ';
    return str_find((struct str){reserved, sizeof(reserved) - 1},
                    (struct str){word, name.len + 2}) < 0;
}

static void add_members(const struct vec_type *t, struct arena *a, struct buf *out) {
    for (size_t i = 0; i < t->child_count; i++) {
        buf_add_cstr(out, i > 0 ? ", " : "");
        if (t->names[i].len > 0) { // row(1, 2) makes members without a name
            const struct str name = t->names[i];
            buf_add_str(out, is_plain(name) ? name : sql_ident(name, a));
            buf_add_char(out, ' ');
        }
        buf_add_str(out, t->children[i].text);
    }
}

static void add_text(const struct vec_type *t, struct arena *a, struct buf *out) {
    switch (t->kind) {
    case VEC_DECIMAL:
        buf_printf(out, "DECIMAL(%d,%d)", t->width, t->scale);
        break;
    case VEC_LIST:
        buf_printf(out, STR_FMT "[]", STR_ARG(t->children[0].text));
        break;
    case VEC_ARRAY:
        buf_printf(out, STR_FMT "[%zu]", STR_ARG(t->children[0].text), t->array_size);
        break;
    case VEC_MAP: {
        const struct vec_type *pair = t->children[0].children;
        buf_printf(out, "MAP(" STR_FMT ", " STR_FMT ")", STR_ARG(pair[0].text),
                   STR_ARG(pair[1].text));
        break;
    }
    case VEC_STRUCT:
    case VEC_UNION:
        buf_printf(out, "%s(", kind_names[t->kind]);
        add_members(t, a, out);
        buf_add_char(out, ')');
        break;
    case VEC_ENUM:
        for (size_t i = 0; i < t->symbol_count; i++) {
            buf_add_cstr(out, i > 0 ? ", " : "ENUM(");
            buf_add_str(out, sql_literal(t->symbols[i], a));
        }
        buf_add_char(out, ')');
        break;
    default:
        buf_add_cstr(out, kind_names[t->kind]);
    }
}

void engine_type(duckdb_logical_type in, struct arena *a, struct vec_type *ret) {
    ret->kind = kind_of(in);
    switch (ret->kind) {
    case VEC_DECIMAL:
        ret->width = duckdb_decimal_width(in);
        ret->scale = duckdb_decimal_scale(in);
        break;
    case VEC_LIST:
        one_child(ret, duckdb_list_type_child_type(in), a);
        break;
    case VEC_ARRAY:
        ret->array_size = duckdb_array_type_array_size(in);
        one_child(ret, duckdb_array_type_child_type(in), a);
        break;
    case VEC_MAP:
        map_child(ret, in, a);
        break;
    case VEC_STRUCT:
    case VEC_UNION:
        members(ret, in, a);
        break;
    case VEC_ENUM:
        symbols(ret, in, a);
        break;
    case VEC_OTHER:
        ret->text = other_text(in, a);
        return;
    default:
        ret->text = str_from(kind_names[ret->kind]);
        return;
    }
    DEFER(buf_release) struct buf text = BUF(1 << 20);
    add_text(ret, a, &text);
    ret->text = arena_str(a, buf_str(&text));
}

const struct vec_type *engine_type_other(const struct vec_type *t) {
    if (t->kind == VEC_OTHER) {
        return t;
    }
    for (size_t i = 0; i < t->child_count; i++) {
        const struct vec_type *found = engine_type_other(&t->children[i]);
        if (found) {
            return found;
        }
    }
    return NULL;
}

size_t engine_type_vecs(const struct vec_type *t) {
    size_t count = t->child_count + (t->kind == VEC_UNION ? 1 : 0);
    for (size_t i = 0; i < t->child_count; i++) {
        count += engine_type_vecs(&t->children[i]);
    }
    return count;
}
