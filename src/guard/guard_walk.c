// Guard, walk: goes through the tree field by field; what no shape knows is refused.
#include "guard/guard_int.h"

#include <stdarg.h>

enum err_code guard_refuse(struct guard_walk *w, const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    const struct str text = arena_vprintf(w->arena, fmt, args);
    va_end(args);
    (void)err_set(w->err, ERR_REFUSED, STR_FMT, STR_ARG(text));
    w->err->position = w->position;
    return ERR_REFUSED;
}

enum err_code guard_refuse_unknown(struct guard_walk *w, struct str what) {
    return guard_refuse(w, STR_FMT " is not available here", STR_ARG(str_slice(what, 0, 100)));
}

static bool find_word(const char *words, struct str word, bool (*eq)(struct str, struct str)) {
    struct str rest = str_from(words);
    struct str head = STR_NONE;
    while (str_cut(&rest, ' ', &head)) {
        if (eq(head, word)) {
            return true;
        }
    }
    return false;
}

bool guard_has_word(const char *words, struct str word) {
    return find_word(words, word, str_eq);
}

bool guard_has_word_nocase(const char *words, struct str word) {
    return find_word(words, word, str_eq_nocase);
}

enum err_code guard_deepen(struct guard_walk *w) {
    w->depth++;
    if (w->depth > GUARD_DEPTH_MAX) {
        return err_set(w->err, ERR_TOO_LARGE, "the statement is nested deeper than %d",
                       GUARD_DEPTH_MAX);
    }
    return ERR_OK;
}

enum err_code guard_descend(struct guard_walk *w, const struct ast *n) {
    const int64_t position = ast_position(n);
    w->position = position >= 0 ? position : w->position;
    w->nodes++;
    if (w->nodes > GUARD_NODES_MAX) {
        return err_set(w->err, ERR_TOO_LARGE, "the statement has more than %d parts",
                       GUARD_NODES_MAX);
    }
    return guard_deepen(w);
}

const struct guard_shape *guard_find_shape(const struct guard_shape *shapes, struct str name) {
    for (const struct guard_shape *s = shapes; s->name; s++) {
        if (str_is(name, s->name)) {
            return s;
        }
    }
    return NULL;
}

// ---- Fields

static enum err_code walk_table(struct guard_walk *w, struct ast *n);

static bool is_plain(const struct ast *n) {
    return n->kind != AST_ARRAY && n->kind != AST_OBJECT;
}

static enum err_code walk_names(struct guard_walk *w, const struct ast *list) {
    for (const struct ast *i = list->items; i; i = i->next) {
        if (i->kind != AST_STRING) {
            return guard_refuse_unknown(w, list->key);
        }
    }
    return ERR_OK;
}

static enum err_code walk_indexes(struct guard_walk *w, const struct ast *list) {
    for (const struct ast *i = list->items; i; i = i->next) {
        for (const struct ast *j = i->items; j; j = j->next) {
            if (i->kind != AST_ARRAY || j->kind != AST_NUMBER) {
                return guard_refuse_unknown(w, list->key);
            }
        }
    }
    return ERR_OK;
}

static enum err_code walk_record(struct guard_walk *w, struct ast *n,
                                 const struct guard_field *field) {
    return guard_walk_fields(w, n, field->shape);
}

static enum err_code walk_item(struct guard_walk *w, struct ast *n,
                               const struct guard_field *field) {
    switch (field->kind) {
    case EXPR:
    case EXPRS:
        return guard_walk_expr(w, n);
    case QUERY:
        return guard_walk_query(w, n);
    case STATEMENT:
        return guard_walk_statement(w, n);
    case TABLE:
        return walk_table(w, n);
    case CALL:
        return guard_walk_call(w, n);
    case TYPE:
        return guard_walk_type(w, n);
    case VALUE:
    case VALUES:
        return guard_walk_value(w, n);
    case RECORD:
    case RECORDS:
        return walk_record(w, n, field);
    default:
        return guard_refuse_unknown(w, n->key);
    }
}

static enum err_code walk_list(struct guard_walk *w, struct ast *list,
                               const struct guard_field *field) {
    for (struct ast *i = list->items; i; i = i->next) {
        if (i->kind != AST_OBJECT) {
            return guard_refuse_unknown(w, list->key);
        }
        TRY(walk_item(w, i, field));
    }
    return ERR_OK;
}

static enum err_code walk_rows(struct guard_walk *w, struct ast *rows) {
    static const struct guard_field row = F("", EXPRS);
    for (struct ast *i = rows->items; i; i = i->next) {
        if (i->kind != AST_ARRAY) {
            return guard_refuse_unknown(w, rows->key);
        }
        TRY(walk_list(w, i, &row));
    }
    return ERR_OK;
}

static enum err_code walk_array(struct guard_walk *w, struct ast *n,
                                const struct guard_field *field) {
    if (n->kind != AST_ARRAY) {
        return guard_refuse_unknown(w, n->key);
    }
    switch (field->kind) {
    case NAMES:
        return walk_names(w, n);
    case INDEXES:
        return walk_indexes(w, n);
    case ROWS:
        return walk_rows(w, n);
    default:
        return walk_list(w, n, field);
    }
}

static enum err_code walk_field(struct guard_walk *w, struct ast *n,
                                const struct guard_field *field) {
    switch (field->kind) {
    case DONE:
        return ERR_OK;
    case PLAIN:
        return is_plain(n) ? ERR_OK : guard_refuse_unknown(w, n->key);
    case EMPTY:
        return ast_empty(n) ? ERR_OK : guard_refuse_unknown(w, n->key);
    case NAMES:
    case INDEXES:
    case ROWS:
    case EXPRS:
    case VALUES:
    case RECORDS:
        return walk_array(w, n, field);
    case EXPR:
    case RECORD:
        if (n->kind == AST_NULL) {
            return ERR_OK;
        }
        break;
    case QUERY:
    case STATEMENT:
    case TABLE:
    case CALL:
    case TYPE:
    case VALUE:
        break;
    }
    return n->kind == AST_OBJECT ? walk_item(w, n, field) : guard_refuse_unknown(w, n->key);
}

static const struct guard_field *find_field(const struct guard_shape *shape, struct str name) {
    for (const struct guard_field *f = shape->fields; f->name; f++) {
        if (str_is(name, f->name)) {
            return f;
        }
    }
    return NULL;
}

enum err_code guard_walk_fields(struct guard_walk *w, struct ast *n,
                                const struct guard_shape *shape) {
    if (shape->check) {
        TRY(shape->check(w, n));
    }
    for (struct ast *i = n->items; i; i = i->next) {
        const struct guard_field *field = find_field(shape, i->key);
        if (!field) {
            return guard_refuse_unknown(w, i->key);
        }
        TRY(walk_field(w, i, field));
    }
    return ERR_OK;
}

// ---- Tables

static enum err_code refuse_show(struct guard_walk *w, struct ast *n) {
    (void)n;
    return guard_refuse(w, "DESCRIBE, SHOW and SUMMARIZE are statements of their own here, no part "
                           "of another one");
}

static enum err_code check_join(struct guard_walk *w, struct ast *n) {
    if (!ast_get(n, "left") || !ast_get(n, "right") || !ast_get(n, "condition")) {
        return guard_refuse_unknown(w, STR("this join"));
    }
    guard_spell_join(w, n);
    return ERR_OK;
}

static enum err_code check_sample(struct guard_walk *w, struct ast *n) {
    (void)n;
    w->varies = true;
    return ERR_OK;
}

static enum err_code check_pivot(struct guard_walk *w, struct ast *n) {
    return ast_empty(ast_get(n, "pivot_enum"))
               ? ERR_OK
               : guard_refuse(w, "PIVOT takes its values as a list: ON column IN (values)");
}

static const struct guard_field sample_fields[] = {
    F("sample_size", VALUE), F("is_percentage", PLAIN), F("method", PLAIN),
    F("seed", PLAIN),        F("repeatable", PLAIN),    END};
static const struct guard_shape sample = {NULL, NULL, sample_fields, check_sample};

static const struct guard_field entry_fields[] = {F("values", VALUES), F("star_expr", EXPR),
                                                  F("alias", PLAIN), END};
static const struct guard_shape pivot_entry = {NULL, NULL, entry_fields, NULL};
static const struct guard_field pivot_column_fields[] = {F("pivot_expressions", EXPRS),
                                                         F("unpivot_names", NAMES),
                                                         {"entries", RECORDS, &pivot_entry},
                                                         F("pivot_enum", EMPTY),
                                                         END};
static const struct guard_shape pivot_column = {NULL, NULL, pivot_column_fields, check_pivot};

// Every table has these four.
#define TABLE_FIELDS                                                                               \
    F("type", PLAIN), F("alias", PLAIN), {"sample", RECORD, &sample}, F("query_location", PLAIN)

static const struct guard_field base_fields[] = {TABLE_FIELDS,
                                                 F("schema_name", PLAIN),
                                                 F("table_name", PLAIN),
                                                 F("column_name_alias", NAMES),
                                                 F("catalog_name", EMPTY),
                                                 F("at_clause", EMPTY),
                                                 END};
static const struct guard_field subquery_fields[] = {TABLE_FIELDS, F("subquery", STATEMENT),
                                                     F("column_name_alias", NAMES), END};
static const struct guard_field join_fields[] = {TABLE_FIELDS,
                                                 F("left", TABLE),
                                                 F("right", TABLE),
                                                 F("condition", EXPR),
                                                 F("join_type", PLAIN),
                                                 F("ref_type", PLAIN),
                                                 F("using_columns", NAMES),
                                                 F("delim_flipped", EMPTY),
                                                 F("duplicate_eliminated_columns", EMPTY),
                                                 END};
static const struct guard_field function_fields[] = {TABLE_FIELDS, F("function", CALL),
                                                     F("column_name_alias", NAMES),
                                                     F("with_ordinality", PLAIN), END};
static const struct guard_field list_fields[] = {
    TABLE_FIELDS, F("expected_names", NAMES), F("expected_types", EMPTY), F("values", ROWS), END};
static const struct guard_field empty_fields[] = {TABLE_FIELDS, END};
static const struct guard_field pivot_fields[] = {TABLE_FIELDS,
                                                  F("source", TABLE),
                                                  F("aggregates", EXPRS),
                                                  F("unpivot_names", NAMES),
                                                  {"pivots", RECORDS, &pivot_column},
                                                  F("groups", NAMES),
                                                  F("column_name_alias", NAMES),
                                                  F("include_nulls", PLAIN),
                                                  END};

static const struct guard_shape tables[] = {
    {"BASE_TABLE", NULL, base_fields, guard_scope_table},
    {"JOIN", NULL, join_fields, check_join},
    {"SUBQUERY", NULL, subquery_fields, NULL},
    {"EMPTY", NULL, empty_fields, NULL},
    {"TABLE_FUNCTION", NULL, function_fields, NULL},
    {"EXPRESSION_LIST", NULL, list_fields, NULL},
    {"PIVOT", NULL, pivot_fields, NULL},
    {"SHOW_REF", NULL, empty_fields, refuse_show},
    {NULL, NULL, NULL, NULL},
};

static enum err_code walk_table(struct guard_walk *w, struct ast *n) {
    const int64_t position = w->position;
    TRY(guard_descend(w, n));
    const struct guard_shape *shape = guard_find_shape(tables, ast_text(n, "type"));
    if (!shape) {
        return guard_refuse_unknown(w, ast_text(n, "type"));
    }
    TRY(guard_walk_fields(w, n, shape));
    w->depth--;
    w->position = position;
    return ERR_OK;
}

// ---- Queries

static const struct guard_field modifier_fields[] = {
    F("type", PLAIN),  {"orders", RECORDS, &guard_order}, F("limit", EXPR),
    F("offset", EXPR), F("distinct_on_targets", EXPRS),   END};

static enum err_code check_modifier(struct guard_walk *w, struct ast *n) {
    const struct str type = ast_text(n, "type");
    return guard_has_word("ORDER_MODIFIER LIMIT_MODIFIER LIMIT_PERCENT_MODIFIER DISTINCT_MODIFIER",
                          type)
               ? ERR_OK
               : guard_refuse_unknown(w, type);
}

static const struct guard_shape modifier = {NULL, NULL, modifier_fields, check_modifier};

static enum err_code enter_ctes(struct guard_walk *w, struct ast *n) {
    guard_spell_select(w, n);
    struct ast *map = ast_get(n, "cte_map");
    return map ? guard_scope_enter(w, map) : guard_refuse_unknown(w, STR("this query"));
}

// Every query has these three.
#define QUERY_FIELDS F("type", PLAIN), {"modifiers", RECORDS, &modifier}, F("cte_map", DONE)

static const struct guard_field select_fields[] = {QUERY_FIELDS,
                                                   F("select_list", EXPRS),
                                                   F("from_table", TABLE),
                                                   F("where_clause", EXPR),
                                                   F("group_expressions", EXPRS),
                                                   F("group_sets", INDEXES),
                                                   F("aggregate_handling", PLAIN),
                                                   F("having", EXPR),
                                                   {"sample", RECORD, &sample},
                                                   F("qualify", EXPR),
                                                   END};
static const struct guard_field set_fields[] = {QUERY_FIELDS,          F("setop_type", PLAIN),
                                                F("left", QUERY),      F("right", QUERY),
                                                F("setop_all", PLAIN), END};
static const struct guard_field recursive_fields[] = {
    QUERY_FIELDS,     F("cte_name", PLAIN), F("union_all", PLAIN),   F("left", DONE),
    F("right", DONE), F("aliases", NAMES),  F("key_targets", EXPRS), END};
static const struct guard_field cte_fields[] = {
    F("aliases", NAMES), F("query", DONE), F("materialized", PLAIN), F("key_targets", EXPRS), END};
static const struct guard_field statement_fields[] = {F("node", QUERY), F("named_param_map", EMPTY),
                                                      END};

// A recursive query is known only as the body of a WITH.
static const struct guard_shape queries[] = {
    {"SELECT_NODE", NULL, select_fields, enter_ctes},
    {"SET_OPERATION_NODE", NULL, set_fields, enter_ctes},
    {NULL, NULL, NULL, NULL},
};
static const struct guard_shape recursive = {NULL, NULL, recursive_fields, NULL};
static const struct guard_shape cte = {NULL, NULL, cte_fields, NULL};
static const struct guard_shape statement = {NULL, NULL, statement_fields, NULL};

enum err_code guard_walk_query(struct guard_walk *w, struct ast *n) {
    const struct guard_cte *outer = w->ctes;
    const size_t first = w->mention_count;
    TRY(guard_descend(w, n));
    w->queries++;
    if (w->queries > GUARD_QUERIES_MAX) {
        return err_set(w->err, ERR_TOO_LARGE, "the statement has more than %d queries",
                       GUARD_QUERIES_MAX);
    }
    const struct guard_shape *shape = guard_find_shape(queries, ast_text(n, "type"));
    if (!shape) {
        return guard_refuse_unknown(w, ast_text(n, "type"));
    }
    TRY(guard_walk_fields(w, n, shape));
    if (ast_is(n, "type", "SELECT_NODE")) {
        guard_prune(w, n, first);
    }
    w->ctes = outer;
    w->depth--;
    return ERR_OK;
}

enum err_code guard_walk_statement(struct guard_walk *w, struct ast *n) {
    return guard_walk_fields(w, n, &statement);
}

// Its arms are for the caller: they see different names.
enum err_code guard_walk_recursive(struct guard_walk *w, struct ast *n) {
    if (!ast_empty(ast_get(n, "cte_map")) || !ast_get(n, "left") || !ast_get(n, "right")) {
        return guard_refuse_unknown(w, STR("this recursive query"));
    }
    TRY(guard_descend(w, n));
    TRY(guard_walk_fields(w, n, &recursive));
    w->depth--;
    return ERR_OK;
}

enum err_code guard_walk_cte(struct guard_walk *w, struct ast *value) {
    return guard_walk_fields(w, value, &cte);
}

// ---- Looking at what was walked

bool guard_is_plain_star(const struct ast *list) {
    static const char *const empty[] = {
        "relation_name", "exclude_list", "replace_list",           "columns",
        "expr",          "rename_list",  "qualified_exclude_list",
    };
    if (!list || list->kind != AST_ARRAY || list->count != 1 ||
        !ast_is(list->items, "class", "STAR")) {
        return false;
    }
    for (size_t i = 0; i < ARRAY_LEN(empty); i++) {
        if (!ast_empty(ast_get(list->items, empty[i]))) {
            return false;
        }
    }
    return true;
}

// Makes one row into several, or stands for several columns.
static bool multiplies(const struct ast *n) {
    return ast_is(n, "class", "STAR") || ast_is(n, "type", "OPERATOR_UNPACK") ||
           (ast_is(n, "class", "FUNCTION") &&
            guard_has_word_nocase("unnest unpivot_list generate_subscripts",
                                  ast_text(n, "function_name")));
}

bool guard_has_multiplier(const struct ast *n) {
    if (ast_is(n, "class", "SUBQUERY")) {
        return guard_has_multiplier(ast_get(n, "child"));
    }
    bool found = n != NULL && n->kind == AST_OBJECT && multiplies(n);
    for (const struct ast *i = n != NULL ? n->items : NULL; i != NULL && !found; i = i->next) {
        found = guard_has_multiplier(i);
    }
    return found;
}
