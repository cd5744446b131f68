// Guard, statements about a query: DESCRIBE, SUMMARIZE and SHOW, which the parser gives as a query
// over a SHOW_REF, and EXPLAIN, which it does not take at all.
#include "guard/guard_int.h"
#include "guard/guard_token.h"

// The query over the SHOW_REF says nothing more.
static bool is_bare(const struct ast *query) {
    static const char *const empty[] = {"modifiers",  "where_clause", "group_expressions",
                                        "group_sets", "having",       "sample",
                                        "qualify"};
    const struct ast *list = ast_get(query, "select_list");
    for (size_t i = 0; i < ARRAY_LEN(empty); i++) {
        if (!ast_empty(ast_get(query, empty[i]))) {
            return false;
        }
    }
    return ast_is(query, "type", "SELECT_NODE") &&
           ast_empty(ast_get(ast_get(query, "cte_map"), "map")) && guard_is_plain_star(list);
}

// SHOW TABLES, SHOW DATABASES and so on: what is shown instead.
static enum err_code take_list(struct guard_walk *w, const struct ast *show, struct str *ret) {
    const struct str name = ast_text(show, "table_name");
    if (ast_is(show, "show_type", "SHOW_UNQUALIFIED") && str_is(name, "\"tables\"")) {
        *ret = STR("SELECT name FROM system.tables ORDER BY name");
        return ERR_OK;
    }
    if (ast_is(show, "show_type", "SHOW_UNQUALIFIED") && str_is(name, "__show_tables_expanded")) {
        *ret = STR("SELECT * FROM system.tables ORDER BY name");
        return ERR_OK;
    }
    return guard_refuse(w, "there is SHOW TABLES, SHOW ALL TABLES and SHOW name here, no other");
}

enum err_code guard_show_take(struct guard_walk *w, struct ast *statement,
                              struct guard_shown *ret) {
    struct ast *node = ast_get(statement, "node");
    const struct ast *show = ast_get(node, "from_table");
    const struct ast *query = ast_get(show, "query");
    *ret = (struct guard_shown){.show = GUARD_ROWS};
    if (!ast_is(show, "type", "SHOW_REF") || !is_bare(node)) {
        return ERR_OK; // the walk refuses a SHOW_REF where it meets one
    }
    if (!query || query->kind == AST_NULL) {
        return take_list(w, show, &ret->instead);
    }
    const bool summary = ast_is(show, "show_type", "SUMMARY");
    if ((!summary && !ast_is(show, "show_type", "DESCRIBE")) ||
        !ast_empty(ast_get(show, "sample")) || ast_text(show, "alias").len > 0 ||
        ast_text(show, "table_name").len > 0 || ast_text(show, "catalog_name").len > 0 ||
        ast_text(show, "schema_name").len > 0) {
        return guard_refuse_unknown(w, ast_text(show, "show_type"));
    }
    ret->show = summary ? GUARD_SUMMARIZE : GUARD_DESCRIBE;
    ast_set(node, query);
    return ERR_OK;
}

void guard_show_add_word(struct guard_statement *g, struct arena *a) {
    static const char *const words[] = {[GUARD_DESCRIBE] = "DESCRIBE (",
                                        [GUARD_SUMMARIZE] = "SUMMARIZE (",
                                        [GUARD_EXPLAIN] = "EXPLAIN "};
    if (g->show == GUARD_ROWS) {
        return;
    }
    struct str *first = &g->pieces[0].text;
    *first = arena_printf(a, "%s" STR_FMT, words[g->show], STR_ARG(*first));
    if (g->show != GUARD_EXPLAIN) {
        struct str *last = &g->pieces[g->piece_count - 1].text;
        *last = arena_printf(a, STR_FMT ")", STR_ARG(*last));
    }
}

enum err_code guard_explain_head(struct str sql, size_t *ret_len, struct err *err) {
    struct token t = {0};
    *ret_len = 0;
    if (!guard_next_token(sql, 0, &t) || t.kind != TOKEN_WORD ||
        !str_eq_nocase(t.text, STR("EXPLAIN"))) {
        return ERR_OK;
    }
    const size_t end = t.start + t.text.len;
    bool known = guard_next_token(sql, end, &t);
    const size_t next = t.start;
    if (known && t.kind == TOKEN_SIGN && str_is(t.text, "(")) {
        known = guard_next_token(sql, t.start + 1, &t);
    }
    if (known && t.kind == TOKEN_WORD &&
        guard_has_word_nocase("ANALYZE ANALYSE VERBOSE FORMAT", t.text)) {
        (void)err_set(err, ERR_REFUSED,
                      "EXPLAIN takes a query alone, without " STR_FMT
                      ": what running it takes is in "
                      "the Server-Timing of its answer",
                      STR_ARG(t.text));
        err->position = (int64_t)next;
        return ERR_REFUSED;
    }
    *ret_len = end;
    return ERR_OK;
}
