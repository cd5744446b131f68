// Guard, expressions: the shape of every expression, type and constant that is let through.
#include "guard/guard_int.h"

#include "guard/guard_functions.h"

enum { REPEAT_MAX = 10000000 };

// ---- Types and constants

static const struct guard_field member_fields[] = {F("first", PLAIN), F("second", TYPE), END};
static const struct guard_shape member = {NULL, NULL, member_fields, NULL};

static const struct guard_field decimal_fields[] = {F("type", PLAIN),           F("alias", EMPTY),
                                                    F("extension_info", EMPTY), F("width", PLAIN),
                                                    F("scale", PLAIN),          END};
static const struct guard_field list_fields[] = {
    F("type", PLAIN), F("alias", EMPTY), F("extension_info", EMPTY), F("child_type", TYPE), END};
static const struct guard_field array_fields[] = {F("type", PLAIN),           F("alias", EMPTY),
                                                  F("extension_info", EMPTY), F("child_type", TYPE),
                                                  F("size", PLAIN),           END};
static const struct guard_field struct_fields[] = {F("type", PLAIN),
                                                   F("alias", EMPTY),
                                                   F("extension_info", EMPTY),
                                                   {"child_types", RECORDS, &member},
                                                   END};
static const struct guard_field unbound_fields[] = {
    F("type", PLAIN),   F("alias", EMPTY), F("extension_info", EMPTY),       F("catalog", EMPTY),
    F("schema", EMPTY), F("name", PLAIN),  F("user_type_modifiers", VALUES), END};

// Types that go by name have to be the engine's own.
static enum err_code check_unbound(struct guard_walk *w, struct ast *n) {
    const struct str name = ast_text(n, "name");
    const bool known = str_eq_nocase(name, STR("JSON")) || str_eq_nocase(name, STR("ENUM"));
    if (!known || !ast_empty(ast_get(n, "schema")) || !ast_empty(ast_get(n, "catalog"))) {
        return guard_refuse(w, "there is no type \"" STR_FMT "\" here",
                            STR_ARG(str_slice(name, 0, 100)));
    }
    return ERR_OK;
}

static const struct guard_shape type_infos[] = {
    {"DECIMAL_TYPE_INFO", NULL, decimal_fields, NULL},
    {"LIST_TYPE_INFO", NULL, list_fields, NULL},
    {"ARRAY_TYPE_INFO", NULL, array_fields, NULL},
    {"STRUCT_TYPE_INFO", NULL, struct_fields, NULL},
    {"UNBOUND_TYPE_INFO", NULL, unbound_fields, check_unbound},
    {NULL, NULL, NULL, NULL},
};

enum err_code guard_walk_type(struct guard_walk *w, struct ast *n) {
    static const char *const ids =
        "BOOLEAN TINYINT SMALLINT INTEGER BIGINT HUGEINT UTINYINT USMALLINT UINTEGER UBIGINT "
        "UHUGEINT FLOAT DOUBLE DECIMAL BIGNUM VARCHAR BLOB BIT UUID DATE TIME TIME_NS TIMESTAMP "
        "TIMESTAMP_S TIMESTAMP_MS TIMESTAMP_NS INTERVAL LIST ARRAY STRUCT MAP UNION VARIANT NULL "
        "UNBOUND";
    const struct str id = ast_text(n, "id");
    const bool known = guard_has_word(ids, id) || str_is(id, "TIME WITH TIME ZONE") ||
                       str_is(id, "TIMESTAMP WITH TIME ZONE");
    struct ast *info = ast_get(n, "type_info");
    if (!known || !info || n->count != 2) {
        return guard_refuse(w, "the type " STR_FMT " is not available here",
                            STR_ARG(str_slice(id, 0, 100)));
    }
    if (info->kind == AST_NULL) {
        return ERR_OK;
    }
    const struct guard_shape *shape = guard_find_shape(type_infos, ast_text(info, "type"));
    if (!shape) {
        return guard_refuse_unknown(w, ast_text(info, "type"));
    }
    TRY(guard_deepen(w));
    TRY(guard_walk_fields(w, info, shape));
    w->depth--;
    return ERR_OK;
}

// Constants are scalars, 128-bit numbers in two halves, or lists of constants.
static enum err_code check_value_items(struct guard_walk *w, struct ast *n) {
    if (n->kind != AST_OBJECT) {
        return n->kind == AST_ARRAY ? guard_refuse_unknown(w, STR("this constant")) : ERR_OK;
    }
    for (struct ast *i = n->items; i; i = i->next) {
        if (str_is(i->key, "upper") || str_is(i->key, "lower")) {
            if (i->kind != AST_NUMBER) {
                return guard_refuse_unknown(w, STR("this constant"));
            }
            continue;
        }
        if (!str_is(i->key, "children") || i->kind != AST_ARRAY) {
            return guard_refuse_unknown(w, STR("this constant"));
        }
        for (struct ast *child = i->items; child; child = child->next) {
            TRY(guard_walk_value(w, child));
        }
    }
    return ERR_OK;
}

enum err_code guard_walk_value(struct guard_walk *w, struct ast *n) {
    struct ast *value = ast_get(n, "value");
    struct ast *type = ast_get(n, "type");
    if (!type || n->count > 3) {
        return guard_refuse_unknown(w, STR("this constant"));
    }
    TRY(guard_walk_type(w, type));
    if (value) {
        TRY(guard_deepen(w));
        TRY(check_value_items(w, value));
        w->depth--;
    }
    return ERR_OK;
}

// ---- Expressions

static enum err_code check_column(struct guard_walk *w, struct ast *n) {
    static const char *const refused =
        "current_user session_user current_role current_schema current_catalog current_database";
    static const char *const clocks = "current_date current_time current_timestamp localtime "
                                      "localtimestamp";
    const struct ast *names = ast_get(n, "column_names");
    if (!names || names->kind != AST_ARRAY || names->count == 0) {
        return guard_refuse_unknown(w, STR("this column"));
    }
    // a.b.c is c of b of a: as deep as it is long.
    if (names->count > GUARD_DEPTH_MAX) {
        return err_set(w->err, ERR_TOO_LARGE, "a name has more than %d parts", GUARD_DEPTH_MAX);
    }
    const struct str first = names->items->text;
    if (names->count == 1) {
        w->varies = w->varies || guard_has_word_nocase(clocks, first);
        if (guard_has_word_nocase(refused, first)) {
            return guard_refuse(w,
                                STR_FMT " is not available here; for a column of this name write "
                                        "it behind its table: t." STR_FMT,
                                STR_ARG(first), STR_ARG(first));
        }
    }
    if (names->count >= 3 && str_eq_nocase(first, STR("main"))) {
        struct ast **grown = arena_grow(w->arena, (void *)w->qualified, &w->qualified_cap,
                                        w->qualified_count + 1, sizeof(struct ast *));
        w->qualified = grown;
        w->qualified[w->qualified_count] = n;
        w->qualified_count++;
    }
    return ERR_OK;
}

static enum err_code refuse_function(struct guard_walk *w, struct str name) {
    return guard_refuse(w, "the function " STR_FMT "() is not available here",
                        STR_ARG(str_slice(name, 0, 100)));
}

// x.f(1) comes as function f of schema x, which the engine takes for f(x, 1) when it has no such
// schema. It is written out, so that it cannot depend on what schemas there are.
static enum err_code take_method(struct guard_walk *w, struct ast *n) {
    struct ast *schema = ast_get(n, "schema");
    struct ast *catalog = ast_get(n, "catalog");
    struct ast *children = ast_get(n, "children");
    if (!schema || !catalog || !children || schema->kind != AST_STRING ||
        catalog->kind != AST_STRING || children->kind != AST_ARRAY) {
        return guard_refuse_unknown(w, STR("this function"));
    }
    if (catalog->text.len == 0 && (schema->text.len == 0 || str_is(schema->text, "main"))) {
        return ERR_OK;
    }
    const struct str outer = catalog->text.len > 0 ? catalog->text : schema->text;
    if (guard_has_word_nocase("main system memory temp pg_catalog information_schema", outer)) {
        return guard_refuse(w, "functions have no schema here");
    }
    struct ast *column =
        ast_make("{\"class\":\"COLUMN_REF\",\"type\":\"COLUMN_REF\",\"alias\":\"\","
                 "\"column_names\":[]}",
                 w->arena);
    struct ast *names = ast_get(column, "column_names");
    const struct str parts[] = {schema->text, catalog->text};
    for (size_t i = 0; i < ARRAY_LEN(parts) && parts[i].len > 0; i++) {
        struct ast *name = ast_make("\"\"", w->arena);
        ast_set_text(name, parts[i]);
        ast_prepend(names, name);
    }
    ast_set_text(schema, STR_NONE);
    ast_set_text(catalog, STR_NONE);
    ast_prepend(children, column);
    return ERR_OK;
}

// list_aggregate(x, 'name') and its like.
static enum err_code check_by_name(struct guard_walk *w, struct ast *n) {
    const struct ast *list = ast_get(n, "children")->items;
    const struct ast *name = list ? list->next : NULL;
    const struct ast *value = ast_get(name, "value");
    const struct guard_function *f = NULL;
    if (ast_is(name, "class", "CONSTANT") && ast_is(ast_get(value, "type"), "id", "VARCHAR")) {
        f = guard_function_find(ast_text(value, "value"));
    }
    if (!f || f->class != GUARD_AGGREGATE) {
        return guard_refuse(w, STR_FMT "() takes the name of an aggregate function as a constant",
                            STR_ARG(ast_text(n, "function_name")));
    }
    w->varies = w->varies || f->varies;
    return ERR_OK;
}

static enum err_code check_function(struct guard_walk *w, struct ast *n) {
    TRY(take_method(w, n));
    const struct str name = ast_text(n, "function_name");
    const struct guard_function *f = guard_function_find(name);
    if (!f || f->class == GUARD_WINDOW) {
        return refuse_function(w, name);
    }
    w->varies = w->varies || f->varies;
    return guard_function_by_name(name) ? check_by_name(w, n) : ERR_OK;
}

static enum err_code check_window(struct guard_walk *w, struct ast *n) {
    const struct str name = ast_text(n, "function_name");
    const struct guard_function *f = guard_function_find(name);
    const struct str schema = ast_text(n, "schema");
    if (schema.len > 0 && !str_is(schema, "main")) {
        return guard_refuse(w, "functions have no schema here");
    }
    if (!f || f->class == GUARD_SCALAR) {
        return refuse_function(w, name);
    }
    w->varies = w->varies || f->varies;
    return ERR_OK;
}

static enum err_code check_subquery(struct guard_walk *w, struct ast *n) {
    (void)n;
    w->subqueries++;
    return ERR_OK;
}

static enum err_code check_collation(struct guard_walk *w, struct ast *n) {
    const struct str name = ast_text(n, "collation");
    bool ok = name.len > 0 && name.len <= 64;
    for (size_t i = 0; i < name.len; i++) {
        const char c = name.ptr[i];
        const char lower = (char)(c | 0x20);
        ok = ok &&
             ((lower >= 'a' && lower <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '.');
    }
    return ok ? ERR_OK : guard_refuse(w, "there is no such collation");
}

// Every expression has these four.
#define EXPRESSION                                                                                 \
    F("class", PLAIN), F("type", PLAIN), F("alias", PLAIN), F("query_location", PLAIN)

static const struct guard_field order_fields[] = {F("type", PLAIN), F("null_order", PLAIN),
                                                  F("expression", EXPR), END};
const struct guard_shape guard_order = {NULL, NULL, order_fields, NULL};
static const struct guard_field order_by_fields[] = {
    F("type", PLAIN), {"orders", RECORDS, &guard_order}, END};
static const struct guard_shape order_by = {NULL, NULL, order_by_fields, NULL};

static const struct guard_field check_fields[] = {F("when_expr", EXPR), F("then_expr", EXPR), END};
static const struct guard_shape case_check = {NULL, NULL, check_fields, NULL};
static const struct guard_field replace_fields[] = {F("key", PLAIN), F("value", EXPR), END};
static const struct guard_shape replace = {NULL, NULL, replace_fields, NULL};
static const struct guard_field qualified_fields[] = {F("catalog", EMPTY), F("schema", EMPTY),
                                                      F("table", PLAIN), F("column", PLAIN), END};
static const struct guard_shape qualified = {NULL, NULL, qualified_fields, NULL};
static const struct guard_field rename_fields[] = {
    {"key", RECORD, &qualified}, F("value", PLAIN), END};
static const struct guard_shape rename_item = {NULL, NULL, rename_fields, NULL};

static const struct guard_field case_fields[] = {
    EXPRESSION, {"case_checks", RECORDS, &case_check}, F("else_expr", EXPR), END};
static const struct guard_field cast_fields[] = {EXPRESSION, F("child", EXPR), F("cast_type", TYPE),
                                                 F("try_cast", PLAIN), END};
static const struct guard_field column_fields[] = {EXPRESSION, F("column_names", NAMES), END};
static const struct guard_field pair_fields[] = {EXPRESSION, F("left", EXPR), F("right", EXPR),
                                                 END};
static const struct guard_field children_fields[] = {EXPRESSION, F("children", EXPRS), END};
static const struct guard_field constant_fields[] = {EXPRESSION, F("value", VALUE), END};
static const struct guard_field function_fields[] = {EXPRESSION,
                                                     F("function_name", PLAIN),
                                                     F("schema", PLAIN),
                                                     F("catalog", EMPTY),
                                                     F("children", EXPRS),
                                                     F("filter", EXPR),
                                                     {"order_bys", RECORD, &order_by},
                                                     F("distinct", PLAIN),
                                                     F("is_operator", PLAIN),
                                                     F("export_state", EMPTY),
                                                     END};
static const struct guard_field star_fields[] = {EXPRESSION,
                                                 F("relation_name", PLAIN),
                                                 F("exclude_list", NAMES),
                                                 {"replace_list", RECORDS, &replace},
                                                 F("columns", PLAIN),
                                                 F("expr", EXPR),
                                                 {"qualified_exclude_list", RECORDS, &qualified},
                                                 {"rename_list", RECORDS, &rename_item},
                                                 END};
static const struct guard_field subquery_fields[] = {
    EXPRESSION,       F("subquery_type", PLAIN),   F("subquery", STATEMENT),
    F("child", EXPR), F("comparison_type", PLAIN), END};
static const struct guard_field window_fields[] = {EXPRESSION,
                                                   F("function_name", PLAIN),
                                                   F("schema", PLAIN),
                                                   F("catalog", EMPTY),
                                                   F("children", EXPRS),
                                                   F("partitions", EXPRS),
                                                   {"orders", RECORDS, &guard_order},
                                                   F("start", PLAIN),
                                                   F("end", PLAIN),
                                                   F("start_expr", EXPR),
                                                   F("end_expr", EXPR),
                                                   F("offset_expr", EXPR),
                                                   F("default_expr", EXPR),
                                                   F("ignore_nulls", PLAIN),
                                                   F("filter_expr", EXPR),
                                                   F("exclude_clause", PLAIN),
                                                   F("distinct", PLAIN),
                                                   {"arg_orders", RECORDS, &guard_order},
                                                   END};
static const struct guard_field collate_fields[] = {EXPRESSION, F("child", EXPR),
                                                    F("collation", PLAIN), END};
static const struct guard_field lambda_fields[] = {EXPRESSION, F("lhs", EXPR), F("expr", EXPR),
                                                   END};
static const struct guard_field position_fields[] = {EXPRESSION, F("index", PLAIN), END};
static const struct guard_field between_fields[] = {EXPRESSION, F("input", EXPR), F("lower", EXPR),
                                                    F("upper", EXPR), END};

static const struct guard_shape call = {"TABLE_FUNCTION", NULL, function_fields, NULL};

static const struct guard_shape expressions[] = {
    {"COLUMN_REF", "COLUMN_REF", column_fields, check_column},
    {"CONSTANT", "VALUE_CONSTANT", constant_fields, NULL},
    {"FUNCTION", "FUNCTION", function_fields, check_function},
    {"COMPARISON",
     "COMPARE_EQUAL COMPARE_NOTEQUAL COMPARE_LESSTHAN COMPARE_GREATERTHAN "
     "COMPARE_LESSTHANOREQUALTO COMPARE_GREATERTHANOREQUALTO COMPARE_DISTINCT_FROM "
     "COMPARE_NOT_DISTINCT_FROM",
     pair_fields, NULL},
    {"CONJUNCTION", "CONJUNCTION_AND CONJUNCTION_OR", children_fields, NULL},
    {"OPERATOR",
     "OPERATOR_NOT OPERATOR_IS_NULL OPERATOR_IS_NOT_NULL COMPARE_IN COMPARE_NOT_IN "
     "OPERATOR_COALESCE OPERATOR_NULLIF OPERATOR_TRY OPERATOR_UNPACK GROUPING_FUNCTION "
     "ARRAY_EXTRACT ARRAY_SLICE STRUCT_EXTRACT ARRAY_CONSTRUCTOR",
     children_fields, NULL},
    {"STAR", "STAR", star_fields, NULL},
    {"CAST", "OPERATOR_CAST", cast_fields, NULL},
    {"CASE", "CASE_EXPR", case_fields, NULL},
    {"BETWEEN", "COMPARE_BETWEEN", between_fields, NULL},
    {"SUBQUERY", "SUBQUERY", subquery_fields, check_subquery},
    {"WINDOW",
     "WINDOW_AGGREGATE WINDOW_RANK WINDOW_RANK_DENSE WINDOW_NTILE WINDOW_PERCENT_RANK "
     "WINDOW_CUME_DIST WINDOW_ROW_NUMBER WINDOW_FIRST_VALUE WINDOW_LAST_VALUE WINDOW_LEAD "
     "WINDOW_LAG WINDOW_NTH_VALUE WINDOW_FILL",
     window_fields, check_window},
    {"COLLATE", "COLLATE", collate_fields, check_collation},
    {"LAMBDA", "LAMBDA", lambda_fields, NULL},
    {"POSITIONAL_REFERENCE", "POSITIONAL_REFERENCE", position_fields, NULL},
    {NULL, NULL, NULL, NULL},
};

enum err_code guard_walk_expr(struct guard_walk *w, struct ast *n) {
    const int64_t position = w->position;
    TRY(guard_descend(w, n));
    guard_spell_constant(w, n);
    const struct str class = ast_text(n, "class");
    const struct str type = ast_text(n, "type");
    const struct guard_shape *shape = guard_find_shape(expressions, class);
    if (str_is(class, "PARAMETER")) {
        return guard_refuse(w, "parameters are not available here: write the values themselves");
    }
    if (!shape || !guard_has_word(shape->types, type)) {
        return guard_refuse_unknown(w, type.len > 0 ? type : class);
    }
    TRY(guard_walk_fields(w, n, shape));
    w->depth--;
    w->position = position;
    return ERR_OK;
}

// Table functions that make rows from their arguments alone.
enum err_code guard_walk_call(struct guard_walk *w, struct ast *n) {
    static const char *const allowed = "unnest range generate_series json_each json_tree repeat";
    const struct str name = ast_text(n, "function_name");
    const struct str schema = ast_text(n, "schema");
    if (!ast_is(n, "class", "FUNCTION") || !guard_has_word_nocase(allowed, name) ||
        (schema.len > 0 && !str_is(schema, "main")) || ast_text(n, "catalog").len > 0) {
        return guard_refuse(w,
                            "the table function " STR_FMT "() is not available here: tables go by "
                            "their dataset's name",
                            STR_ARG(str_slice(name, 0, 100)));
    }
    int64_t count = 0;
    const struct ast *first = ast_get(n, "children") ? ast_get(n, "children")->items : NULL;
    const struct ast *value = first ? ast_get(first->next, "value") : NULL;
    if (str_eq_nocase(name, STR("repeat")) &&
        (!str_to_i64(ast_text(value, "value"), &count) || count < 0 || count > REPEAT_MAX)) {
        return guard_refuse(w, "repeat() makes a constant number of rows, at most %d", REPEAT_MAX);
    }
    TRY(guard_descend(w, n));
    TRY(guard_walk_fields(w, n, &call));
    w->depth--;
    return ERR_OK;
}
