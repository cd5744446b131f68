// Guard, conditions: what a WHERE demands of one column of one table, for skipping files.
//
// A wrong condition is a wrong answer, a missing one is only slow. So only plain comparisons of a
// column with a constant count, only where a row that fails them cannot matter by another way
// (outer joins, samples), and only constants that mean the same to the engine and to the bounds.
#include "guard/guard_int.h"

#include "base/clock.h"

enum {
    LEAVES_MAX = 64,
    VALUES_MAX = 1000,
    // Decimals up to this width and their power of ten are exact as double: dividing them rounds
    // once, as reading their text does.
    DECIMAL_WIDTH_MAX = 15,
};

// A table of the FROM.
struct leaf {
    const struct ast *node;
    struct str alias;
    bool counts; // its rows only reach the answer through the WHERE
};

struct leaves {
    struct leaf items[LEAVES_MAX];
    size_t count;
    bool over;
};

struct prune {
    struct guard_walk *walk;
    struct leaves leaves;
    size_t first;
};

// Whether rows of the left side that the WHERE drops can be dropped before the join.
static bool left_counts(const struct ast *join) {
    const struct str type = ast_text(join, "join_type");
    const struct str kind = ast_text(join, "ref_type");
    return guard_has_word("INNER LEFT SEMI ANTI", type) &&
           guard_has_word("REGULAR NATURAL CROSS ASOF", kind);
}

// The right side of an ASOF join chooses its best match: fewer rows, another match.
static bool right_counts(const struct ast *join) {
    const struct str type = ast_text(join, "join_type");
    const struct str kind = ast_text(join, "ref_type");
    return guard_has_word("INNER RIGHT", type) && guard_has_word("REGULAR NATURAL CROSS", kind);
}

static struct str name_of(const struct ast *table) {
    const struct str alias = ast_text(table, "alias");
    if (alias.len > 0) {
        return alias;
    }
    const struct str name = ast_text(table, "table_name");
    return name.len > 0 ? name : ast_text(ast_get(table, "function"), "function_name");
}

static void find_leaves(struct leaves *l, const struct ast *table, bool counts) {
    if (ast_is(table, "type", "JOIN")) {
        find_leaves(l, ast_get(table, "left"), counts && left_counts(table));
        find_leaves(l, ast_get(table, "right"), counts && right_counts(table));
        return;
    }
    if (l->count == LEAVES_MAX) {
        l->over = true;
        return;
    }
    const bool plain = ast_is(table, "type", "BASE_TABLE") &&
                       ast_empty(ast_get(table, "column_name_alias")) &&
                       ast_empty(ast_get(table, "sample"));
    l->items[l->count] = (struct leaf){table, name_of(table), counts && plain};
    l->count++;
}

// The table that a column reference speaks of; NULL when that is not certain.
static const struct leaf *find_leaf(const struct leaves *l, const struct ast *column) {
    const struct ast *names = ast_get(column, "column_names");
    if (!ast_is(column, "class", "COLUMN_REF") || !names || names->count == 0) {
        return NULL;
    }
    if (names->count == 1) {
        return l->count == 1 && l->items[0].counts ? &l->items[0] : NULL;
    }
    const struct leaf *found = NULL;
    for (size_t i = 0; i < l->count && names->count == 2; i++) {
        if (!str_eq_nocase(l->items[i].alias, names->items->text)) {
            continue;
        }
        if (found) {
            return NULL;
        }
        found = &l->items[i];
    }
    return found && found->counts ? found : NULL;
}

static struct guard_table *find_table(const struct prune *p, const struct leaf *leaf) {
    for (size_t i = p->first; leaf && i < p->walk->mention_count; i++) {
        if (p->walk->mentions[i].node == leaf->node) {
            return &p->walk->mentions[i].table;
        }
    }
    return NULL;
}

// 25 of width 2 and scale 1 is 2.5.
static bool decimal_text(struct prune *p, const struct ast *info, struct str digits,
                         struct str *ret) {
    int64_t width = 0;
    int64_t scale = 0;
    int64_t value = 0;
    if (!str_to_i64(ast_text(info, "width"), &width) || width > DECIMAL_WIDTH_MAX ||
        !str_to_i64(ast_text(info, "scale"), &scale) || scale < 0 || scale > width ||
        !str_to_i64(digits, &value)) {
        return false;
    }
    int64_t unit = 1;
    for (int64_t i = 0; i < scale; i++) {
        unit *= 10;
    }
    const int64_t size = value < 0 ? -value : value;
    const char *sign = value < 0 ? "-" : "";
    *ret = scale == 0
               ? arena_printf(p->walk->arena, "%s%lld", sign, (long long)size)
               : arena_printf(p->walk->arena, "%s%lld.%0*lld", sign, (long long)(size / unit),
                              (int)scale, (long long)(size % unit));
    return true;
}

static bool is_date(struct str s) {
    int64_t us = 0;
    return s.len == 10 && clock_parse(s, &us);
}

// "2026-01-31 12:00:00.5" with a blank or T, at most six digits behind the point, and, where a zone
// may follow, Z or an offset in hours and minutes.
static bool is_timestamp(struct str s, bool zone_allowed) {
    int64_t us = 0;
    if (s.len < 19 || !clock_parse(s, &us)) {
        return false;
    }
    size_t end = 19;
    if (s.len > end && s.ptr[end] == '.') {
        end++;
        while (end < s.len && s.ptr[end] >= '0' && s.ptr[end] <= '9') {
            end++;
        }
    }
    return end <= 26 && s.ptr[17] != '6' && (end == s.len || zone_allowed);
}

static bool cast_literal(const struct ast *cast, enum guard_literal *kind, struct str *text) {
    const struct str type = ast_text(ast_get(cast, "cast_type"), "id");
    const struct ast *constant = ast_get(cast, "child");
    const struct ast *value = ast_get(constant, "value");
    const bool is_text =
        ast_is(constant, "class", "CONSTANT") && ast_is(ast_get(value, "type"), "id", "VARCHAR");
    const struct str s = ast_text(value, "value");
    if (!is_text || !ast_empty(ast_get(cast, "try_cast"))) {
        return false;
    }
    *text = s;
    if (str_is(type, "DATE")) {
        *kind = GUARD_LITERAL_DATE;
        return is_date(s);
    }
    if (str_is(type, "TIMESTAMP")) {
        *kind = GUARD_LITERAL_TIMESTAMP;
        return is_timestamp(s, false);
    }
    if (str_is(type, "TIMESTAMP WITH TIME ZONE")) {
        *kind = GUARD_LITERAL_TIMESTAMPTZ;
        return is_timestamp(s, true);
    }
    const bool yes = str_is(s, "t") || str_is(s, "true");
    *kind = GUARD_LITERAL_BOOLEAN;
    *text = yes ? STR("true") : STR("false");
    return str_is(type, "BOOLEAN") && (yes || str_is(s, "f") || str_is(s, "false"));
}

// A constant that means the same everywhere. Doubles and numbers past 64 bits do not: compared with
// other types they round.
static bool read_literal(struct prune *p, const struct ast *n, enum guard_literal *kind,
                         struct ice_literal *ret) {
    if (ast_is(n, "class", "CAST")) {
        return cast_literal(n, kind, &ret->text);
    }
    const struct ast *value = ast_get(n, "value");
    const struct ast *type = ast_get(value, "type");
    const struct ast *info = ast_get(type, "type_info");
    const struct str id = ast_text(type, "id");
    const struct str text = ast_text(value, "value");
    if (!ast_is(n, "class", "CONSTANT") || !ast_empty(ast_get(value, "is_null"))) {
        return false;
    }
    if (str_is(id, "VARCHAR")) {
        *kind = GUARD_LITERAL_STRING;
        *ret = (struct ice_literal){.text = text};
        return ast_empty(info);
    }
    *kind = GUARD_LITERAL_NUMBER;
    *ret = (struct ice_literal){.text = text, .is_number = true};
    if (str_is(id, "DECIMAL")) {
        return decimal_text(p, info, text, &ret->text);
    }
    int64_t number = 0;
    return guard_has_word("TINYINT SMALLINT INTEGER BIGINT", id) && str_to_i64(text, &number);
}

// The constants of a condition, of one kind.
static bool read_literals(struct prune *p, const struct ast *first, struct guard_condition *c) {
    size_t count = 0;
    for (const struct ast *i = first; i; i = i->next) {
        count++;
    }
    if (count == 0 || count > VALUES_MAX) {
        return false;
    }
    c->values = arena_array(p->walk->arena, count, sizeof(*c->values));
    for (const struct ast *i = first; i; i = i->next) {
        enum guard_literal kind = GUARD_LITERAL_NUMBER;
        if (!read_literal(p, i, &kind, &c->values[c->value_count]) ||
            (c->value_count > 0 && kind != c->literal)) {
            return false;
        }
        c->literal = kind;
        c->value_count++;
    }
    return true;
}

static void add_condition(struct prune *p, const struct ast *column, struct guard_condition c) {
    struct guard_table *t = find_table(p, find_leaf(&p->leaves, column));
    if (!t) {
        return;
    }
    const struct ast *name = ast_get(column, "column_names")->items;
    c.column = name->next ? name->next->text : name->text;
    // Few: a copy that is one longer each time.
    struct guard_condition *grown =
        arena_array(p->walk->arena, t->condition_count + 1, sizeof(*grown));
    for (size_t i = 0; i < t->condition_count; i++) {
        grown[i] = t->conditions[i];
    }
    grown[t->condition_count] = c;
    t->conditions = grown;
    t->condition_count++;
}

// One value, without what stands behind it in the tree.
static bool read_single(struct prune *p, const struct ast *constant, struct guard_condition *c) {
    struct ast alone = *constant;
    alone.next = NULL;
    return read_literals(p, &alone, c);
}

static void add_single(struct prune *p, const struct ast *column, enum ice_op op,
                       const struct ast *constant) {
    struct guard_condition c = {.op = op};
    if (read_single(p, constant, &c)) {
        add_condition(p, column, c);
    }
}

// The engine compares all three in one type: each bound counts only if the other is of its kind.
static void take_between(struct prune *p, const struct ast *n) {
    struct guard_condition lower = {.op = ICE_OP_GE};
    struct guard_condition upper = {.op = ICE_OP_LE};
    if (read_single(p, ast_get(n, "lower"), &lower) &&
        read_single(p, ast_get(n, "upper"), &upper) && lower.literal == upper.literal) {
        add_condition(p, ast_get(n, "input"), lower);
        add_condition(p, ast_get(n, "input"), upper);
    }
}

struct comparison {
    const char *type;
    enum ice_op op, flipped; // flipped: constant on the left
};

static void take_comparison(struct prune *p, const struct ast *n) {
    static const struct comparison comparisons[] = {
        {"COMPARE_EQUAL", ICE_OP_EQ, ICE_OP_EQ},
        {"COMPARE_NOTEQUAL", ICE_OP_NE, ICE_OP_NE},
        {"COMPARE_LESSTHAN", ICE_OP_LT, ICE_OP_GT},
        {"COMPARE_LESSTHANOREQUALTO", ICE_OP_LE, ICE_OP_GE},
        {"COMPARE_GREATERTHAN", ICE_OP_GT, ICE_OP_LT},
        {"COMPARE_GREATERTHANOREQUALTO", ICE_OP_GE, ICE_OP_LE},
    };
    const struct ast *left = ast_get(n, "left");
    const struct ast *right = ast_get(n, "right");
    for (size_t i = 0; i < ARRAY_LEN(comparisons); i++) {
        if (!ast_is(n, "type", comparisons[i].type)) {
            continue;
        }
        if (ast_is(left, "class", "COLUMN_REF")) {
            add_single(p, left, comparisons[i].op, right);
        } else if (ast_is(right, "class", "COLUMN_REF")) {
            add_single(p, right, comparisons[i].flipped, left);
        }
    }
}

static void take_operator(struct prune *p, const struct ast *n) {
    const struct ast *children = ast_get(n, "children");
    const struct ast *column = children ? children->items : NULL;
    if (!column) {
        return;
    }
    struct guard_condition c = {.op = ICE_OP_IN};
    if (ast_is(n, "type", "OPERATOR_IS_NULL")) {
        c.op = ICE_OP_IS_NULL;
    } else if (ast_is(n, "type", "OPERATOR_IS_NOT_NULL")) {
        c.op = ICE_OP_NOT_NULL;
    } else if (!ast_is(n, "type", "COMPARE_IN") || !read_literals(p, column->next, &c)) {
        return;
    }
    add_condition(p, column, c);
}

static void take_part(struct prune *p, const struct ast *n) {
    if (ast_is(n, "type", "CONJUNCTION_AND")) {
        const struct ast *children = ast_get(n, "children");
        for (const struct ast *i = children ? children->items : NULL; i; i = i->next) {
            take_part(p, i);
        }
    } else if (ast_is(n, "class", "COMPARISON")) {
        take_comparison(p, n);
    } else if (ast_is(n, "class", "BETWEEN")) {
        take_between(p, n);
    } else if (ast_is(n, "class", "OPERATOR")) {
        take_operator(p, n);
    }
}

void guard_prune(struct guard_walk *w, const struct ast *select, size_t first) {
    const struct ast *where = ast_get(select, "where_clause");
    if (ast_empty(where) || !ast_empty(ast_get(select, "sample"))) {
        return;
    }
    struct prune *p = arena_alloc(w->arena, sizeof(*p));
    p->walk = w;
    p->first = first;
    find_leaves(&p->leaves, ast_get(select, "from_table"), true);
    if (!p->leaves.over) {
        take_part(p, where);
    }
}
