// Guard, row filters: the statement that a filter stands in, and the form that it must have.
#include "guard/guard_filter.h"

#include "guard/guard_int.h"
#include "guard/guard_token.h"

#include "engine/engine.h"

struct form {
    struct guard_filter *filter;
    struct str base;
    size_t column_cap;
};

static enum err_code refuse_form(struct guard_walk *w) {
    w->position = -1;
    return guard_refuse(w, "a row filter is one condition, such as status <> 'blocked'");
}

static bool is_one_select(const struct ast *query) {
    static const char *const empty[] = {
        "modifiers", "group_expressions", "group_sets", "having", "sample", "qualify"};
    for (size_t i = 0; i < ARRAY_LEN(empty); i++) {
        if (!ast_empty(ast_get(query, empty[i]))) {
            return false;
        }
    }
    return ast_is(query, "type", "SELECT_NODE") &&
           ast_empty(ast_get(ast_get(query, "cte_map"), "map")) &&
           ast_is(query, "aggregate_handling", "STANDARD_HANDLING") &&
           guard_is_plain_star(ast_get(query, "select_list"));
}

static enum err_code find_base(const struct form *f, struct guard_walk *w, const struct ast *from) {
    for (size_t i = 0; i < w->mention_count; i++) {
        const struct guard_mention *m = &w->mentions[i];
        if (m->node == from && str_eq(m->written, f->base) && !m->aliased &&
            ast_empty(ast_get(from, "sample")) && ast_empty(ast_get(from, "column_name_alias"))) {
            f->filter->base = i;
            return ERR_OK;
        }
    }
    return refuse_form(w);
}

static enum err_code check_tables(struct guard_walk *w) {
    for (size_t i = 0; i < w->mention_count; i++) {
        const struct guard_table *t = &w->mentions[i].table;
        w->position = t->position;
        if (t->system != GUARD_NOT_SYSTEM) {
            return guard_refuse(w,
                                "a row filter cannot ask tables of the server (system." STR_FMT
                                "): they change by themselves",
                                STR_ARG(t->name));
        }
        if (t->raw) {
            return guard_refuse(w,
                                "a row filter cannot ask " GUARD_RAW " tables: write \"" STR_FMT
                                "\", without the rows that are deleted",
                                STR_ARG(t->name));
        }
        if (t->at != GUARD_AT_NOW) {
            return guard_refuse(w, "a row filter asks tables as they are now: leave out AT");
        }
    }
    return ERR_OK;
}

static void add_column(struct form *f, struct arena *a, struct str name) {
    struct guard_filter *to = f->filter;
    for (size_t i = 0; i < to->column_count; i++) {
        if (str_eq_nocase(to->columns[i], name)) {
            return;
        }
    }
    to->columns =
        arena_grow(a, to->columns, &f->column_cap, to->column_count + 1, sizeof(*to->columns));
    to->columns[to->column_count++] = name;
}

// Names are in references to columns and in USING.
static enum err_code add_names(struct form *f, struct guard_walk *w, const struct ast *n) {
    const bool names = str_is(n->key, "column_names") || str_is(n->key, "using_columns");
    for (const struct ast *i = n->items; i; i = i->next) {
        if (names && i->kind == AST_STRING) {
            add_column(f, w->arena, i->text);
        } else {
            TRY(add_names(f, w, i));
        }
    }
    const struct ast *parts = ast_get(n, "column_names");
    if (parts && parts->count == 1 && str_eq_nocase(parts->items->text, f->base)) {
        w->position = ast_position(n);
        return guard_refuse(
            w,
            "a row filter cannot take the whole row; for a column of the name \"" STR_FMT
            "\" write it behind its table: " STR_FMT "." STR_FMT,
            STR_ARG(f->base), STR_ARG(f->base), STR_ARG(f->base));
    }
    return ERR_OK;
}

static enum err_code check_form(void *ctx, struct guard_walk *w, const struct ast *query) {
    struct form *f = ctx;
    const struct ast *where = ast_get(query, "where_clause");
    if (!is_one_select(query) || !where || where->kind != AST_OBJECT) {
        return refuse_form(w);
    }
    TRY(find_base(f, w, ast_get(query, "from_table")));
    TRY(check_tables(w));
    if (guard_has_multiplier(where)) {
        w->position = -1;
        return guard_refuse(w,
                            "a row filter is one condition: *, COLUMNS() and unnest() make more");
    }
    if (w->varies) {
        w->position = -1;
        return guard_refuse(w, "a row filter gives the same answer each time: no clock, no random "
                               "numbers, no samples");
    }
    return add_names(f, w, where);
}

// A filter has no end of a bracket, string or comment that does not begin in it.
static enum err_code check_ends(struct str filter, struct arena *a, struct err *err) {
    struct token *tokens = NULL;
    size_t count = 0;
    if (str_trim(filter).len == 0) {
        return err_set(err, ERR_REFUSED, "the row filter is empty");
    }
    return guard_tokens(filter, a, &tokens, &count, err);
}

static int64_t filter_position(int64_t position, size_t head, struct str filter) {
    const int64_t ret = position - (int64_t)head;
    return ret >= 0 && ret <= (int64_t)filter.len ? ret : -1;
}

// The parser complains of the bracket that we have put behind it, which is not theirs to know of.
static enum err_code locate(size_t head, struct str filter, struct err *err) {
    if (err->code == ERR_SQL && err->position >= (int64_t)(head + filter.len)) {
        (void)err_set(err, ERR_SQL, "syntax error: the row filter ends where more is expected");
        err->position = (int64_t)filter.len;
    } else {
        err->position = filter_position(err->position, head, filter);
    }
    return err->code;
}

enum err_code guard_check_filter(struct engine *parser, struct str base, struct str filter,
                                 struct arena *a, struct guard_filter **ret, struct err *err) {
    TRY(guard_check_text(base, err));
    TRY(check_ends(filter, a, err));
    // The line end ends a comment.
    const struct str head =
        arena_printf(a, "SELECT * FROM " STR_FMT " WHERE (", STR_ARG(sql_ident(base, a)));
    const struct str sql = arena_printf(a, STR_FMT STR_FMT "\n)", STR_ARG(head), STR_ARG(filter));
    struct guard_filter *f = arena_alloc(a, sizeof(*f));
    struct form form = {.filter = f, .base = base};
    const struct guard_expected expected = {check_form, &form};
    struct guard_statement *g = NULL;
    if (guard_check_shape(parser, sql, &expected, a, &g, err) != ERR_OK) {
        return locate(head.len, filter, err);
    }
    for (size_t i = 0; i < g->table_count; i++) {
        g->tables[i].position = filter_position(g->tables[i].position, head.len, filter);
    }
    f->statement = g;
    *ret = f;
    return ERR_OK;
}
