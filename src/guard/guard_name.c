// Guard, names of columns: the engine calls a column without an alias by the text of its
// expression. Where that has a subquery, the text would be the one that runs, with the scans in it:
// where files lie, how they are read. So such a column gets its name here: the text as a client
// could have written it.
#include "guard/guard_int.h"

// Does the expression ask a table, other than by a name of a WITH?
static bool asks_table(const struct guard_walk *w, const struct ast *n) {
    if (ast_is(n, "type", "BASE_TABLE") && str_starts(ast_text(n, "table_name"), w->token)) {
        return true;
    }
    bool found = false;
    for (const struct ast *i = n->items; i != NULL && !found; i = i->next) {
        found = asks_table(w, i);
    }
    return found;
}

// *, COLUMNS(): several columns, outside of subqueries.
static bool is_several(const struct ast *n) {
    const struct ast *child = ast_get(n, "child"); // of x IN (SELECT ...)
    if (ast_is(n, "class", "SUBQUERY")) {
        return child != NULL && is_several(child);
    }
    bool found = ast_is(n, "class", "STAR");
    for (const struct ast *i = n->items; i != NULL && !found; i = i->next) {
        found = is_several(i);
    }
    return found;
}

// The canonical text of an expression.
static enum err_code write_expression(struct guard_walk *w, struct engine *parser,
                                      const struct ast *n, struct str *ret) {
    DEFER(buf_release) struct buf json = BUF(AST_TEXT_MAX);
    struct ast *tree = NULL;
    struct str text = STR_NONE;
    TRY(engine_parse(parser, STR("SELECT 1"), w->arena, &text, w->err));
    TRY(ast_read(text, w->arena, &tree, w->err));
    struct ast *statement = ast_get(tree, "statements")->items;
    ast_set(ast_get(ast_get(statement, "node"), "select_list")->items, n);
    ast_write(tree, false, &json);
    if (json.overflow) {
        return err_set(w->err, ERR_TOO_LARGE, "the statement has too many parts");
    }
    TRY(engine_unparse(parser, buf_str(&json), w->arena, &text, NULL, w->err));
    *ret = str_slice(text, STR("SELECT ").len, text.len);
    return ERR_OK;
}

static struct str plain_name(const struct guard_walk *w, struct str name) {
    bool plain = true;
    for (size_t i = 0; i < name.len; i++) {
        const char c = name.ptr[i];
        plain = plain && ((c >= 'a' && c <= 'z') || c == '_' || (i > 0 && c >= '0' && c <= '9'));
    }
    return plain ? name : sql_ident(name, w->arena);
}

// A placeholder goes where its alias is the table's own name, and is that name where it is not.
static struct str with_own_names(const struct guard_walk *w, struct str text) {
    static const struct str as = {" AS ", 4};
    DEFER(buf_release) struct buf out = BUF(AST_TEXT_MAX);
    struct str rest = text;
    for (ptrdiff_t at = 0; (at = str_find(rest, w->token)) >= 0;) {
        size_t index = 0;
        buf_add_str(&out, str_slice(rest, 0, (size_t)at));
        rest = str_slice(rest, (size_t)at + w->token.len, rest.len);
        if (!guard_take_index(&rest, &index) || index >= w->mention_count) {
            break;
        }
        if (w->mentions[index].aliased) {
            buf_add_str(&out, plain_name(w, w->mentions[index].written));
        } else if (str_starts(rest, as)) {
            rest = str_slice(rest, as.len, rest.len);
        }
    }
    buf_add_str(&out, rest);
    return arena_str(w->arena, buf_str(&out));
}

static enum err_code name_column(struct guard_walk *w, struct engine *parser, struct ast *n) {
    struct ast *alias = ast_get(n, "alias");
    struct str text = STR_NONE;
    if (alias == NULL || alias->text.len > 0 || !asks_table(w, n)) {
        return ERR_OK;
    }
    if (is_several(n)) {
        w->position = -1;
        return guard_refuse(w, "columns of * or COLUMNS() beside a subquery take a name: AS name");
    }
    TRY(write_expression(w, parser, n, &text));
    ast_set_text(alias, with_own_names(w, text));
    return ERR_OK;
}

// Not those inside of an expression: nobody sees their names.
enum err_code guard_name_columns(struct guard_walk *w, struct engine *parser, struct ast *n) {
    if (ast_is(n, "class", "SUBQUERY")) {
        return ERR_OK;
    }
    struct ast *list = ast_is(n, "type", "SELECT_NODE") ? ast_get(n, "select_list") : NULL;
    for (struct ast *i = list != NULL ? list->items : NULL; i != NULL; i = i->next) {
        TRY(name_column(w, parser, i));
    }
    for (struct ast *i = n->items; i != NULL; i = i->next) {
        TRY(guard_name_columns(w, parser, i));
    }
    return ERR_OK;
}
