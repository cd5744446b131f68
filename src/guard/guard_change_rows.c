// Guard, statements that write: the SELECT that finds their rows, and the form that it must have.
#include "guard/guard_change_int.h"

#include "engine/engine.h"

// A text put together from pieces of the client's and words of ours.
struct splice {
    struct buf text;
    struct {
        size_t at;              // where in the text
        struct guard_part part; // of the client's
    } * items;
    size_t count, cap;
    struct guard_head *head;
};

static void splice_part(struct splice *s, struct guard_part part) {
    s->items = arena_grow(s->head->arena, s->items, &s->cap, s->count + 1, sizeof(*s->items));
    s->items[s->count].at = s->text.len;
    s->items[s->count++].part = part;
    buf_add_str(&s->text, str_slice(s->head->sql, part.start, part.end));
}

// An expression in brackets. The line ends end comments.
static void splice_expression(struct splice *s, struct guard_part part) {
    buf_add_cstr(&s->text, "(\n");
    splice_part(s, part);
    buf_add_cstr(&s->text, "\n)");
}

// Where in the client's text a place of the spliced one is; in words of ours: nowhere.
static int64_t client_position(const struct splice *s, int64_t position) {
    for (size_t i = 0; i < s->count; i++) {
        const struct guard_part *p = &s->items[i].part;
        const int64_t from = (int64_t)s->items[i].at;
        if (position >= from && position <= from + (int64_t)(p->end - p->start)) {
            return position - from + (int64_t)p->start;
        }
    }
    return -1;
}

// ---- Form

// What the tree has to be.
struct form {
    struct guard_change *change;
    struct str target; // the name that stands for the target
    struct str alias;
    size_t values; // expressions before the target's columns
    bool columns;  // the target's columns; else file and row
};

static enum err_code refuse_form(struct guard_walk *w) {
    return guard_refuse(w, "an expression of this statement is more than an expression");
}

static bool is_target_star(const struct form *f, const struct ast *n) {
    return ast_is(n, "class", "STAR") && str_eq(ast_text(n, "relation_name"), f->alias) &&
           ast_empty(ast_get(n, "exclude_list")) && ast_empty(ast_get(n, "replace_list")) &&
           ast_empty(ast_get(n, "columns")) && ast_empty(ast_get(n, "expr")) &&
           ast_empty(ast_get(n, "qualified_exclude_list")) && ast_empty(ast_get(n, "rename_list"));
}

static enum err_code check_list(const struct form *f, struct guard_walk *w,
                                const struct ast *list) {
    const size_t count = f->values + (f->columns ? 1 : 2);
    if (list == NULL || list->kind != AST_ARRAY || list->count != count) {
        return refuse_form(w);
    }
    const struct ast *n = list->items;
    for (size_t i = 0; i < f->values; i++, n = n->next) {
        if (guard_has_multiplier(n)) {
            return guard_refuse(w,
                                "column \"" STR_FMT "\" is set to one value for each row: "
                                "*, COLUMNS() and unnest() make more than one",
                                STR_ARG(f->change->columns[i].text));
        }
    }
    return !f->columns || is_target_star(f, n) ? ERR_OK : refuse_form(w);
}

static enum err_code check_from(const struct form *f, struct guard_walk *w,
                                const struct ast *from) {
    size_t found = 0;
    for (size_t i = 0; i < w->mention_count; i++) {
        if (str_eq(w->mentions[i].written, f->target)) {
            found++;
            f->change->target_table = i;
            if (w->mentions[i].node != from || !ast_empty(ast_get(from, "sample")) ||
                !ast_empty(ast_get(from, "column_name_alias"))) {
                return refuse_form(w);
            }
        }
    }
    return found == 1 ? ERR_OK : refuse_form(w);
}

// Does an expression have the target's name alone?
static bool names_row(const struct form *f, const struct ast *n) {
    const struct ast *names = ast_get(n, "column_names");
    if (names != NULL && names->count == 1 && str_eq_nocase(names->items->text, f->alias)) {
        return true;
    }
    for (const struct ast *i = n != NULL ? n->items : NULL; i != NULL; i = i->next) {
        if (names_row(f, i)) {
            return true;
        }
    }
    return false;
}

static enum err_code check_form(void *ctx, struct guard_walk *w, const struct ast *query) {
    const struct form *f = ctx;
    static const char *const empty[] = {
        "modifiers", "group_expressions", "group_sets", "having", "sample", "qualify"};
    if (!ast_is(query, "type", "SELECT_NODE") ||
        !ast_empty(ast_get(ast_get(query, "cte_map"), "map")) ||
        !ast_is(query, "aggregate_handling", "STANDARD_HANDLING")) {
        return refuse_form(w);
    }
    for (size_t i = 0; i < ARRAY_LEN(empty); i++) {
        if (!ast_empty(ast_get(query, empty[i]))) {
            return refuse_form(w);
        }
    }
    if (guard_has_multiplier(ast_get(query, "where_clause"))) {
        return guard_refuse(w, "WHERE takes one condition: *, COLUMNS() and unnest() make more");
    }
    TRY(check_list(f, w, ast_get(query, "select_list")));
    if (names_row(f, ast_get(query, "select_list")) ||
        names_row(f, ast_get(query, "where_clause"))) {
        f->change->row_name = f->alias;
    }
    return check_from(f, w, ast_get(query, "from_table"));
}

// ---- Rows

static enum err_code check_spliced(struct engine *parser, struct splice *s,
                                   const struct guard_expected *expected) {
    struct guard_head *h = s->head;
    if (s->text.overflow) {
        return err_set(h->err, ERR_TOO_LARGE, "the statement is longer than %d bytes",
                       GUARD_TEXT_MAX);
    }
    struct guard_statement *g = NULL;
    const enum err_code code = guard_check_shape(parser, arena_str(h->arena, buf_str(&s->text)),
                                                 expected, h->arena, &g, h->err);
    if (code != ERR_OK) {
        h->err->position = client_position(s, h->err->position);
        return code;
    }
    for (size_t i = 0; i < g->table_count; i++) {
        g->tables[i].position = client_position(s, g->tables[i].position);
    }
    h->change->rows = g;
    return ERR_OK;
}

static enum err_code check_query(struct engine *parser, struct guard_head *h) {
    DEFER(buf_release) struct buf text = BUF(GUARD_TEXT_MAX);
    struct splice s = {.text = text, .head = h};
    splice_part(&s, h->query);
    const enum err_code code = check_spliced(parser, &s, NULL);
    text = s.text;
    return code;
}

// SELECT of the new values and all columns, or of the places, of the rows that the condition takes.
static void splice_select(struct splice *s, const struct form *f) {
    struct guard_head *h = s->head;
    const struct guard_change *c = h->change;
    const struct str alias = sql_ident(h->alias, h->arena);
    buf_add_cstr(&s->text, "SELECT ");
    for (size_t i = 0; i < f->values; i++) {
        splice_expression(s, h->values[i]);
        buf_add_cstr(&s->text, ", ");
    }
    if (f->columns) {
        buf_printf(&s->text, STR_FMT ".*", STR_ARG(alias));
    } else {
        buf_printf(&s->text, STR_FMT "." STR_FMT ", " STR_FMT "." STR_FMT, STR_ARG(alias),
                   STR_ARG(c->file_column), STR_ARG(alias), STR_ARG(c->row_column));
    }
    buf_printf(&s->text, " FROM " STR_FMT " AS " STR_FMT, STR_ARG(f->target), STR_ARG(alias));
    if (h->has_where) {
        buf_add_cstr(&s->text, " WHERE ");
        splice_expression(s, h->where);
    }
}

static enum err_code check_places(struct engine *parser, struct guard_head *h) {
    struct guard_change *c = h->change;
    const struct str name = guard_random_name(h->arena);
    DEFER(buf_release) struct buf text = BUF(GUARD_TEXT_MAX);
    struct splice s = {.text = text, .head = h};
    struct form f = {.change = c,
                     .target = name,
                     .alias = h->alias,
                     .values = c->kind == GUARD_UPDATE ? c->column_count : 0,
                     .columns = c->kind == GUARD_UPDATE};
    c->file_column = arena_printf(h->arena, STR_FMT "f", STR_ARG(name));
    c->row_column = arena_printf(h->arena, STR_FMT "r", STR_ARG(name));
    const struct guard_expected expected = {check_form, &f};
    splice_select(&s, &f);
    const enum err_code code = check_spliced(parser, &s, &expected);
    text = s.text;
    return code;
}

enum err_code guard_change_rows(struct engine *parser, struct guard_head *h) {
    switch (h->change->kind) {
    case GUARD_INSERT:
    case GUARD_CREATE:
        return check_query(parser, h);
    case GUARD_UPDATE:
    case GUARD_DELETE:
        return check_places(parser, h);
    case GUARD_DROP:
    case GUARD_ALTER:
        return ERR_OK;
    }
    return ERR_OK;
}
