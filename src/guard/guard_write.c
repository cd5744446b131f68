// Guard, writing: the text of a checked tree, for the statements that most are.
//
// The engine can write any tree, but takes longer for it than to parse the text. What is written
// here is parsed again like what the engine writes, and must give the same tree; so nothing depends
// on this being right, and what it does not know it leaves to the engine.
#include "guard/guard_int.h"

struct writer {
    struct buf *out;
    struct str token; // how the placeholders begin
    bool unknown;     // something that cannot be written here
};

static void say(struct writer *w, const char *text) {
    buf_add_cstr(w->out, text);
}

static void say_str(struct writer *w, struct str text) {
    buf_add_str(w->out, text);
}

static void say_quoted(struct writer *w, struct str text, char quote) {
    buf_add_char(w->out, quote);
    while (text.len > 0) {
        const ptrdiff_t at = str_find_char(text, quote);
        const size_t len = at < 0 ? text.len : (size_t)at + 1;
        say_str(w, str_slice(text, 0, len));
        if (at >= 0) {
            buf_add_char(w->out, quote);
        }
        text = str_slice(text, len, text.len);
    }
    buf_add_char(w->out, quote);
}

static void say_name(struct writer *w, struct str name) {
    w->unknown = w->unknown || name.len == 0;
    say_quoted(w, name, '"');
}

// Names of a list with something between.
static void say_names(struct writer *w, const struct ast *list, const char *between) {
    for (const struct ast *i = list->items; i != NULL; i = i->next) {
        say(w, i == list->items ? "" : between);
        say_name(w, i->text);
    }
}

// Whether all of these fields are empty.
static bool are_empty(const struct ast *n, const char *const *fields, size_t count) {
    for (size_t i = 0; i < count; i++) {
        if (!ast_empty(ast_get(n, fields[i]))) {
            return false;
        }
    }
    return true;
}

static void say_expr(struct writer *w, const struct ast *n);
static void say_query(struct writer *w, const struct ast *n);

static void say_list(struct writer *w, const struct ast *list, const char *between) {
    for (const struct ast *i = list != NULL ? list->items : NULL; i != NULL; i = i->next) {
        say(w, i == list->items ? "" : between);
        say_expr(w, i);
    }
}

static void say_subquery(struct writer *w, const struct ast *statement) {
    say(w, "(");
    say_query(w, ast_get(statement, "node"));
    say(w, ")");
}

// ---- Expressions

// 1.50 is 150 with a scale of 2.
static void say_decimal(struct writer *w, struct str digits, struct str scale_text) {
    int64_t scale = 0;
    if (!str_to_i64(scale_text, &scale) || scale < 1 || scale > 38) {
        w->unknown = true;
        return;
    }
    if (digits.len > 0 && digits.ptr[0] == '-') {
        say(w, "-");
        digits = str_slice(digits, 1, digits.len);
    }
    const size_t behind = (size_t)scale;
    const size_t before = digits.len > behind ? digits.len - behind : 0;
    if (before == 0) { // .05 has another width than 0.05: the engine is to write it
        w->unknown = true;
        return;
    }
    say_str(w, str_slice(digits, 0, before));
    say(w, ".");
    say_str(w, str_slice(digits, before, digits.len));
}

static void say_constant(struct writer *w, const struct ast *n) {
    const struct ast *constant = ast_get(n, "value");
    const struct ast *type = ast_get(constant, "type");
    const struct ast *value = ast_get(constant, "value");
    if (ast_is(type, "id", "NULL")) {
        say(w, "NULL");
    } else if (value != NULL && value->kind == AST_STRING && ast_is(type, "id", "VARCHAR")) {
        say_quoted(w, value->text, '\'');
    } else if (value != NULL && value->kind == AST_NUMBER && ast_is(type, "id", "DECIMAL")) {
        say_decimal(w, value->text, ast_text(ast_get(type, "type_info"), "scale"));
    } else if (value != NULL && value->kind == AST_NUMBER &&
               guard_has_word("INTEGER BIGINT", ast_text(type, "id"))) {
        say_str(w, value->text);
    } else {
        w->unknown = true;
    }
}

static void say_operator(struct writer *w, const struct ast *n) {
    const struct ast *children = ast_get(n, "children");
    const struct str name = ast_text(n, "function_name");
    if (children->count != 2 || str_is(name, "->")) {
        w->unknown = true;
        return;
    }
    say(w, "(");
    say_expr(w, children->items);
    say(w, " ");
    say_str(w, name);
    say(w, " ");
    say_expr(w, children->items->next);
    say(w, ")");
}

static void say_orders(struct writer *w, const struct ast *orders, const char *head);

static void say_function(struct writer *w, const struct ast *n) {
    static const char *const empty[] = {"schema", "catalog", "export_state"};
    const struct ast *children = ast_get(n, "children");
    const struct ast *filter = ast_get(n, "filter");
    if (!are_empty(n, empty, ARRAY_LEN(empty)) || children == NULL) {
        w->unknown = true;
        return;
    }
    if (!ast_empty(ast_get(n, "is_operator"))) {
        say_operator(w, n);
        return;
    }
    say_name(w, ast_text(n, "function_name"));
    say(w, ast_empty(ast_get(n, "distinct")) ? "(" : "(DISTINCT ");
    say_list(w, children, ", ");
    say_orders(w, ast_get(ast_get(n, "order_bys"), "orders"), " ORDER BY ");
    say(w, ")");
    if (!ast_empty(filter)) {
        say(w, " FILTER (WHERE ");
        say_expr(w, filter);
        say(w, ")");
    }
}

static void say_comparison(struct writer *w, const struct ast *n) {
    static const char *const signs[][2] = {
        {"COMPARE_EQUAL", " = "},
        {"COMPARE_NOTEQUAL", " != "},
        {"COMPARE_LESSTHAN", " < "},
        {"COMPARE_GREATERTHAN", " > "},
        {"COMPARE_LESSTHANOREQUALTO", " <= "},
        {"COMPARE_GREATERTHANOREQUALTO", " >= "},
        {"COMPARE_DISTINCT_FROM", " IS DISTINCT FROM "},
        {"COMPARE_NOT_DISTINCT_FROM", " IS NOT DISTINCT FROM "},
    };
    size_t i = 0;
    while (i < ARRAY_LEN(signs) && !ast_is(n, "type", signs[i][0])) {
        i++;
    }
    if (i == ARRAY_LEN(signs)) {
        w->unknown = true;
        return;
    }
    say(w, "(");
    say_expr(w, ast_get(n, "left"));
    say(w, signs[i][1]);
    say_expr(w, ast_get(n, "right"));
    say(w, ")");
}

static void say_conjunction(struct writer *w, const struct ast *n) {
    say(w, "(");
    say_list(w, ast_get(n, "children"), ast_is(n, "type", "CONJUNCTION_AND") ? " AND " : " OR ");
    say(w, ")");
}

static void say_in(struct writer *w, const struct ast *children, const char *word) {
    say_expr(w, children->items);
    say(w, word);
    for (const struct ast *i = children->items->next; i != NULL; i = i->next) {
        say(w, i == children->items->next ? "" : ", ");
        say_expr(w, i);
    }
    say(w, ")");
}

static void say_keyword(struct writer *w, const struct ast *n) {
    const struct ast *children = ast_get(n, "children");
    if (children == NULL || children->count == 0) {
        w->unknown = true;
        return;
    }
    say(w, "(");
    if (ast_is(n, "type", "OPERATOR_NOT")) {
        say(w, "NOT ");
        say_expr(w, children->items);
    } else if (ast_is(n, "type", "OPERATOR_IS_NULL") || ast_is(n, "type", "OPERATOR_IS_NOT_NULL")) {
        say_expr(w, children->items);
        say(w, ast_is(n, "type", "OPERATOR_IS_NULL") ? " IS NULL" : " IS NOT NULL");
    } else if (ast_is(n, "type", "COMPARE_IN") && children->count > 1) {
        say_in(w, children, " IN (");
    } else if (ast_is(n, "type", "COMPARE_NOT_IN") && children->count > 1) {
        say_in(w, children, " NOT IN (");
    } else if (ast_is(n, "type", "OPERATOR_COALESCE")) {
        say(w, "COALESCE(");
        say_list(w, children, ", ");
        say(w, ")");
    } else {
        w->unknown = true;
    }
    say(w, ")");
}

static void say_cast(struct writer *w, const struct ast *n) {
    static const char *const types =
        "BOOLEAN TINYINT SMALLINT INTEGER BIGINT HUGEINT UTINYINT USMALLINT UINTEGER UBIGINT "
        "UHUGEINT FLOAT DOUBLE VARCHAR BLOB UUID DATE TIME TIMESTAMP INTERVAL";
    const struct ast *type = ast_get(n, "cast_type");
    const struct str id = ast_text(type, "id");
    if (!ast_empty(ast_get(type, "type_info")) ||
        (!guard_has_word(types, id) && !str_is(id, "TIMESTAMP WITH TIME ZONE"))) {
        w->unknown = true;
        return;
    }
    say(w, ast_empty(ast_get(n, "try_cast")) ? "CAST(" : "TRY_CAST(");
    say_expr(w, ast_get(n, "child"));
    say(w, " AS ");
    say_str(w, id);
    say(w, ")");
}

static void say_case(struct writer *w, const struct ast *n) {
    const struct ast *checks = ast_get(n, "case_checks");
    say(w, "CASE");
    for (const struct ast *i = checks != NULL ? checks->items : NULL; i != NULL; i = i->next) {
        say(w, " WHEN ");
        say_expr(w, ast_get(i, "when_expr"));
        say(w, " THEN ");
        say_expr(w, ast_get(i, "then_expr"));
    }
    say(w, " ELSE ");
    say_expr(w, ast_get(n, "else_expr"));
    say(w, " END");
}

static void say_between(struct writer *w, const struct ast *n) {
    say(w, "(");
    say_expr(w, ast_get(n, "input"));
    say(w, " BETWEEN ");
    say_expr(w, ast_get(n, "lower"));
    say(w, " AND ");
    say_expr(w, ast_get(n, "upper"));
    say(w, ")");
}

static void say_query_expr(struct writer *w, const struct ast *n) {
    const bool exists = ast_is(n, "subquery_type", "EXISTS");
    if (ast_is(n, "subquery_type", "ANY") && ast_is(n, "comparison_type", "COMPARE_EQUAL")) {
        say(w, "(");
        say_expr(w, ast_get(n, "child"));
        say(w, " IN ");
        say_subquery(w, ast_get(n, "subquery"));
        say(w, ")");
    } else if (exists || ast_is(n, "subquery_type", "SCALAR")) {
        say(w, exists ? "EXISTS " : "");
        say_subquery(w, ast_get(n, "subquery"));
    } else {
        w->unknown = true;
    }
}

static void say_star(struct writer *w, const struct ast *n) {
    static const char *const empty[] = {"exclude_list", "replace_list",           "columns",
                                        "expr",         "qualified_exclude_list", "rename_list"};
    w->unknown = w->unknown || !are_empty(n, empty, ARRAY_LEN(empty));
    if (ast_text(n, "relation_name").len > 0) {
        say_name(w, ast_text(n, "relation_name"));
        say(w, ".");
    }
    say(w, "*");
}

static void say_column(struct writer *w, const struct ast *n) {
    say_names(w, ast_get(n, "column_names"), ".");
}

// Whatever its alias.
static void say_unnamed(struct writer *w, const struct ast *n) {
    static const struct {
        const char *class;
        void (*say)(struct writer *w, const struct ast *n);
    } classes[] = {
        {"COLUMN_REF", say_column},
        {"CONSTANT", say_constant},
        {"FUNCTION", say_function},
        {"COMPARISON", say_comparison},
        {"CONJUNCTION", say_conjunction},
        {"OPERATOR", say_keyword},
        {"CAST", say_cast},
        {"CASE", say_case},
        {"BETWEEN", say_between},
        {"SUBQUERY", say_query_expr},
        {"STAR", say_star},
    };
    const struct str class = ast_text(n, "class");
    size_t i = 0;
    while (i < ARRAY_LEN(classes) && !str_is(class, classes[i].class)) {
        i++;
    }
    if (i == ARRAY_LEN(classes)) {
        w->unknown = true;
    } else if (!w->unknown) {
        classes[i].say(w, n);
    }
}

static void say_expr(struct writer *w, const struct ast *n) {
    w->unknown = w->unknown || ast_text(n, "alias").len > 0;
    say_unnamed(w, n);
}

static void say_alias(struct writer *w, struct str alias) {
    if (alias.len > 0) {
        say(w, " AS ");
        say_name(w, alias);
    }
}

// ---- Tables

static void say_table(struct writer *w, const struct ast *n);

static void say_base(struct writer *w, const struct ast *n) {
    static const char *const empty[] = {"sample", "schema_name", "catalog_name", "at_clause"};
    const struct str name = ast_text(n, "table_name");
    const struct ast *columns = ast_get(n, "column_name_alias");
    w->unknown = w->unknown || !are_empty(n, empty, ARRAY_LEN(empty)) ||
                 (!ast_empty(columns) && ast_text(n, "alias").len == 0);
    if (str_starts(name, w->token)) {
        say_str(w, name); // the binder finds it without quotes
    } else {
        say_name(w, name);
    }
    say_alias(w, ast_text(n, "alias"));
    if (!ast_empty(columns)) {
        say(w, "(");
        say_names(w, columns, ", ");
        say(w, ")");
    }
}

static void say_derived(struct writer *w, const struct ast *n) {
    const struct ast *columns = ast_get(n, "column_name_alias");
    w->unknown = w->unknown || !ast_empty(ast_get(n, "sample")) ||
                 (!ast_empty(columns) && ast_text(n, "alias").len == 0);
    say_subquery(w, ast_get(n, "subquery"));
    say_alias(w, ast_text(n, "alias"));
    if (!ast_empty(columns)) {
        say(w, "(");
        say_names(w, columns, ", ");
        say(w, ")");
    }
}

static void say_join(struct writer *w, const struct ast *n) {
    static const char *const words[][2] = {{"INNER", " INNER JOIN "},
                                           {"LEFT", " LEFT JOIN "},
                                           {"RIGHT", " RIGHT JOIN "},
                                           {"FULL", " FULL JOIN "}};
    static const char *const empty[] = {"alias", "sample", "duplicate_eliminated_columns"};
    const struct ast *condition = ast_get(n, "condition");
    const struct ast *using = ast_get(n, "using_columns");
    size_t i = 0;
    while (i < ARRAY_LEN(words) && !ast_is(n, "join_type", words[i][0])) {
        i++;
    }
    if (i == ARRAY_LEN(words) || !ast_is(n, "ref_type", "REGULAR") ||
        !are_empty(n, empty, ARRAY_LEN(empty)) || ast_is(ast_get(n, "right"), "type", "JOIN") ||
        ast_empty(condition) == ast_empty(using)) {
        w->unknown = true;
        return;
    }
    say_table(w, ast_get(n, "left"));
    say(w, words[i][1]);
    say_table(w, ast_get(n, "right"));
    if (!ast_empty(condition)) {
        say(w, " ON (");
        say_expr(w, condition);
    } else {
        say(w, " USING (");
        say_names(w, using, ", ");
    }
    say(w, ")");
}

static void say_table(struct writer *w, const struct ast *n) {
    if (ast_is(n, "type", "BASE_TABLE")) {
        say_base(w, n);
    } else if (ast_is(n, "type", "SUBQUERY")) {
        say_derived(w, n);
    } else if (ast_is(n, "type", "JOIN") && !w->unknown) {
        say_join(w, n);
    } else {
        w->unknown = true;
    }
}

// ---- Queries

static void say_orders(struct writer *w, const struct ast *orders, const char *head) {
    for (const struct ast *i = orders != NULL ? orders->items : NULL; i != NULL; i = i->next) {
        say(w, i == orders->items ? head : ", ");
        say_expr(w, ast_get(i, "expression"));
        if (!ast_is(i, "type", "ORDER_DEFAULT")) {
            say(w, ast_is(i, "type", "DESCENDING") ? " DESC" : " ASC");
        }
        if (!ast_is(i, "null_order", "ORDER_DEFAULT")) {
            say(w, " ");
            say_str(w, ast_text(i, "null_order"));
        }
    }
}

static void say_modifiers(struct writer *w, const struct ast *n) {
    const struct ast *modifiers = ast_get(n, "modifiers");
    for (const struct ast *i = modifiers != NULL ? modifiers->items : NULL; i; i = i->next) {
        if (ast_is(i, "type", "ORDER_MODIFIER")) {
            say_orders(w, ast_get(i, "orders"), " ORDER BY ");
        } else if (ast_is(i, "type", "LIMIT_MODIFIER")) {
            if (!ast_empty(ast_get(i, "limit"))) {
                say(w, " LIMIT ");
                say_expr(w, ast_get(i, "limit"));
            }
            if (!ast_empty(ast_get(i, "offset"))) {
                say(w, " OFFSET ");
                say_expr(w, ast_get(i, "offset"));
            }
        } else if (!ast_is(n, "type", "SELECT_NODE") || i != modifiers->items ||
                   !ast_is(i, "type", "DISTINCT_MODIFIER") ||
                   !ast_empty(ast_get(i, "distinct_on_targets"))) {
            w->unknown = true; // DISTINCT stands in front
        }
    }
}

static void say_with(struct writer *w, const struct ast *n) {
    const struct ast *map = ast_get(ast_get(n, "cte_map"), "map");
    for (const struct ast *i = map != NULL ? map->items : NULL; i != NULL; i = i->next) {
        const struct ast *value = ast_get(i, "value");
        const struct ast *names = ast_get(value, "aliases");
        say(w, i == map->items ? "WITH " : ", ");
        say_name(w, ast_text(i, "key"));
        if (!ast_empty(names)) {
            say(w, "(");
            say_names(w, names, ", ");
            say(w, ")");
        }
        say(w, ast_is(value, "materialized", "CTE_MATERIALIZE_DEFAULT")  ? " AS "
               : ast_is(value, "materialized", "CTE_MATERIALIZE_ALWAYS") ? " AS MATERIALIZED "
                                                                         : " AS NOT MATERIALIZED ");
        w->unknown = w->unknown || !ast_empty(ast_get(value, "key_targets"));
        say_subquery(w, ast_get(value, "query"));
        say(w, i->next == NULL ? " " : "");
    }
}

// GROUP BY of one set: all expressions in their order.
static bool is_one_set(const struct ast *list, const struct ast *sets) {
    if (sets == NULL || sets->count != 1 || sets->items->count != list->count) {
        return false;
    }
    uint64_t want = 0;
    for (const struct ast *i = sets->items->items; i != NULL; i = i->next) {
        uint64_t index = 0;
        if (!str_to_u64(i->text, &index) || index != want++) {
            return false;
        }
    }
    return true;
}

static void say_groups(struct writer *w, const struct ast *n) {
    const struct ast *list = ast_get(n, "group_expressions");
    const struct ast *sets = ast_get(n, "group_sets");
    const bool none = (list == NULL || list->count == 0) && (sets == NULL || sets->count == 0);
    const bool standard = ast_is(n, "aggregate_handling", "STANDARD_HANDLING");
    if (none && ast_is(n, "aggregate_handling", "FORCE_AGGREGATES")) {
        say(w, " GROUP BY ALL");
    } else if (standard && !none && list != NULL && is_one_set(list, sets)) {
        say(w, " GROUP BY ");
        say_list(w, list, ", ");
    } else if (!standard || !none) {
        w->unknown = true;
    }
}

static void say_part(struct writer *w, const struct ast *n, const char *field, const char *word) {
    const struct ast *part = ast_get(n, field);
    if (part != NULL && part->kind == AST_OBJECT) {
        say(w, word);
        say_expr(w, part);
    }
}

static void say_select(struct writer *w, const struct ast *n) {
    const struct ast *list = ast_get(n, "select_list");
    const struct ast *modifiers = ast_get(n, "modifiers");
    const bool distinct = modifiers != NULL && modifiers->items != NULL &&
                          ast_is(modifiers->items, "type", "DISTINCT_MODIFIER");
    say(w, distinct ? "SELECT DISTINCT " : "SELECT ");
    for (const struct ast *i = list != NULL ? list->items : NULL; i != NULL; i = i->next) {
        say(w, i == list->items ? "" : ", ");
        say_unnamed(w, i);
        say_alias(w, ast_text(i, "alias"));
    }
    if (!ast_is(ast_get(n, "from_table"), "type", "EMPTY")) {
        say(w, " FROM ");
        say_table(w, ast_get(n, "from_table"));
    }
    w->unknown = w->unknown || !ast_empty(ast_get(n, "sample"));
    say_part(w, n, "where_clause", " WHERE ");
    say_groups(w, n);
    say_part(w, n, "having", " HAVING ");
    say_part(w, n, "qualify", " QUALIFY ");
}

static void say_set(struct writer *w, const struct ast *n) {
    const struct str type = ast_text(n, "setop_type");
    w->unknown = w->unknown || !guard_has_word("UNION EXCEPT INTERSECT", type);
    say(w, "(");
    say_query(w, ast_get(n, "left"));
    say(w, ") ");
    say_str(w, type);
    say(w, ast_empty(ast_get(n, "setop_all")) ? " (" : " ALL (");
    say_query(w, ast_get(n, "right"));
    say(w, ")");
}

static void say_query(struct writer *w, const struct ast *n) {
    if (w->unknown) {
        return;
    }
    say_with(w, n);
    if (ast_is(n, "type", "SELECT_NODE")) {
        say_select(w, n);
    } else if (ast_is(n, "type", "SET_OPERATION_NODE")) {
        say_set(w, n);
    } else {
        w->unknown = true;
    }
    say_modifiers(w, n);
}

bool guard_write(const struct ast *query, struct str token, struct buf *out) {
    struct writer w = {.out = out, .token = token};
    say_query(&w, query);
    return !w.unknown && !out->overflow;
}
