// Guard, spelling: what the engine would not write back as it read it, said in another way.
//
// The engine's writer has slips: it forgets brackets around joins, writes a double so that it reads
// as a decimal, numbers grouping sets anew. Where a tree has another form of the same meaning that
// survives, it gets that form; what is left over is refused when the trees are compared.
#include "guard/guard_int.h"

#define CAST_OF_TEXT                                                                               \
    "{\"class\":\"CAST\",\"type\":\"OPERATOR_CAST\",\"alias\":\"\",\"child\":{\"class\":"          \
    "\"CONSTANT\",\"type\":\"VALUE_CONSTANT\",\"alias\":\"\",\"value\":{\"type\":{\"id\":"         \
    "\"VARCHAR\",\"type_info\":null},\"is_null\":false,\"value\":\"t\"}},\"cast_type\":{\"id\":"   \
    "\"BOOLEAN\",\"type_info\":null},\"try_cast\":false}"

// How a constant is said as text, when it has to be.
static bool constant_text(const struct ast *value, struct str *ret) {
    const struct ast *type = ast_get(value, "type");
    const struct ast *what = ast_get(value, "value");
    const struct str id = ast_text(type, "id");
    if (!what || !ast_empty(ast_get(value, "is_null"))) {
        return false;
    }
    if (str_is(id, "BOOLEAN")) {
        *ret = what->kind == AST_TRUE ? STR("t") : STR("f");
        return what->kind == AST_TRUE || what->kind == AST_FALSE;
    }
    const bool whole_decimal =
        str_is(id, "DECIMAL") && str_is(ast_text(ast_get(type, "type_info"), "scale"), "0");
    *ret = what->text;
    return what->kind == AST_NUMBER && (str_is(id, "DOUBLE") || whole_decimal);
}

void guard_spell_constant(struct guard_walk *w, struct ast *n) {
    const struct ast *value = ast_get(n, "value");
    struct str text = STR_NONE;
    if (!ast_is(n, "class", "CONSTANT") || !constant_text(value, &text)) {
        return;
    }
    struct ast *cast = ast_make(CAST_OF_TEXT, w->arena);
    ast_set_text(ast_get(ast_get(ast_get(cast, "child"), "value"), "value"), text);
    ast_set(ast_get(cast, "cast_type"), ast_get(value, "type"));
    ast_set_text(ast_get(cast, "alias"), ast_text(n, "alias"));
    ast_set(n, cast);
}

// What has no alias is called by its text: a constant keeps the name that its old spelling gave it.
static void spell_names(const struct ast *list) {
    for (const struct ast *i = list ? list->items : NULL; i; i = i->next) {
        struct ast *alias = ast_get(i, "alias");
        struct str text = STR_NONE;
        const struct ast *value = ast_get(i, "value");
        if (ast_is(i, "class", "CONSTANT") && constant_text(value, &text) && alias &&
            ast_empty(alias) && !str_is(ast_text(ast_get(value, "type"), "id"), "BOOLEAN")) {
            ast_set_text(alias, text);
        }
    }
}

// A cross join is written as a comma, which binds less than JOIN does.
static void spell_cross(struct guard_walk *w, struct ast *join) {
    struct ast *condition = ast_get(join, "condition");
    if (condition && ast_is(join, "type", "JOIN") && ast_is(join, "ref_type", "CROSS")) {
        ast_set(condition, ast_make(CAST_OF_TEXT, w->arena));
        ast_set_text(ast_get(join, "ref_type"), STR("REGULAR"));
    }
}

void guard_spell_join(struct guard_walk *w, struct ast *join) {
    if (!ast_is(join, "ref_type", "CROSS")) {
        spell_cross(w, ast_get(join, "left"));
    }
    spell_cross(w, ast_get(join, "right"));
}

// ---- Grouping sets: the expressions are numbered as the sets first name them.

struct grouping {
    struct ast **expressions;
    size_t count;
    size_t *number; // new one of each; count while it has none
    size_t next;
};

static bool group_index(const struct grouping *g, const struct ast *n, size_t *ret) {
    uint64_t v = 0;
    if (!str_to_u64(n->text, &v) || v >= g->count) {
        return false;
    }
    *ret = v;
    return true;
}

static bool number_sets(struct grouping *g, const struct ast *sets) {
    for (const struct ast *set = sets->items; set; set = set->next) {
        for (const struct ast *i = set->items; i; i = i->next) {
            size_t old = 0;
            if (!group_index(g, i, &old)) {
                return false;
            }
            if (g->number[old] == g->count) {
                g->number[old] = g->next;
                g->next++;
            }
        }
    }
    return g->next == g->count;
}

// Numbers of one set in rising order, as the parser gives them.
static void write_set(struct guard_walk *w, struct grouping *g, struct ast *set) {
    bool *in = arena_array(w->arena, g->count, sizeof(*in));
    for (const struct ast *i = set->items; i; i = i->next) {
        size_t old = 0;
        if (group_index(g, i, &old)) {
            in[g->number[old]] = true;
        }
    }
    struct ast *item = set->items;
    for (size_t k = 0; k < g->count && item; k++) {
        if (in[k]) {
            item->text = arena_printf(w->arena, "%zu", k);
            item = item->next;
        }
    }
}

static void spell_groups(struct guard_walk *w, struct ast *select) {
    struct ast *list = ast_get(select, "group_expressions");
    struct ast *sets = ast_get(select, "group_sets");
    if (!list || !sets || sets->count < 2 || list->count < 2) {
        return;
    }
    struct grouping g = {.count = list->count};
    g.expressions = arena_array(w->arena, g.count, sizeof(struct ast *));
    g.number = arena_array(w->arena, g.count, sizeof(*g.number));
    struct ast *item = list->items;
    for (size_t i = 0; i < g.count; i++, item = item->next) {
        g.expressions[i] = item;
        g.number[i] = g.count;
    }
    if (!number_sets(&g, sets)) {
        return;
    }
    for (struct ast *set = sets->items; set; set = set->next) {
        write_set(w, &g, set);
    }
    struct ast **order = arena_array(w->arena, g.count, sizeof(struct ast *));
    for (size_t i = 0; i < g.count; i++) {
        order[g.number[i]] = g.expressions[i];
    }
    list->items = order[0];
    for (size_t i = 0; i < g.count; i++) {
        order[i]->next = i + 1 < g.count ? order[i + 1] : NULL;
    }
}

void guard_spell_select(struct guard_walk *w, struct ast *select) {
    spell_names(ast_get(select, "select_list"));
    spell_groups(w, select);
}

// ---- Comparison

// SELECT * FROM (VALUES ...) and nothing else: its list of values.
static const struct ast *values_only(const struct ast *query) {
    static const char *const empty[] = {
        "modifiers",  "cte_map", "where_clause", "group_expressions",
        "group_sets", "having",  "sample",       "qualify"};
    const struct ast *list = ast_get(query, "select_list");
    const struct ast *from = ast_get(query, "from_table");
    for (size_t i = 0; i < ARRAY_LEN(empty); i++) {
        if (!ast_empty(ast_get(query, empty[i]))) {
            return NULL;
        }
    }
    if (!ast_is(query, "type", "SELECT_NODE") || !list || list->count != 1 ||
        !ast_is(query, "aggregate_handling", "STANDARD_HANDLING") ||
        !ast_is(from, "type", "EXPRESSION_LIST")) {
        return NULL;
    }
    for (const struct ast *i = list->items->items; i; i = i->next) {
        const bool known = guard_has_word("class type query_location", i->key);
        if (!known && !ast_empty(i)) {
            return NULL;
        }
    }
    return ast_is(list->items, "class", "STAR") ? from : NULL;
}

// A list of values in a FROM is written as a sub-query that the parser wraps once more. Both sides
// are taken back to the list.
static void unwrap_values(struct ast *n) {
    for (struct ast *i = n->items; i; i = i->next) {
        unwrap_values(i);
    }
    if (!ast_is(n, "type", "SUBQUERY") || !ast_is(n, "alias", "valueslist") ||
        !ast_empty(ast_get(n, "column_name_alias")) || !ast_empty(ast_get(n, "sample"))) {
        return;
    }
    const struct ast *statement = ast_get(n, "subquery");
    const struct ast *values = values_only(ast_get(statement, "node"));
    if (values && ast_is(values, "alias", "valueslist")) {
        ast_set(n, values);
    }
}

bool guard_spell_equal(struct ast *a, struct ast *b) {
    unwrap_values(a);
    unwrap_values(b);
    return ast_equal(a, b);
}
