// Guard: from a client's text to the pieces of a canonical one.
#include "guard/guard.h"

#include "base/hash.h"
#include "guard/guard_int.h"

// ---- Text

// Bytes of what begins at s and keeps its spaces: a quoted name or string, or a comment; else 0.
static size_t quoted_len(struct str s) {
    const bool quote = s.ptr[0] == '\'' || s.ptr[0] == '"';
    const bool comment = str_starts(s, STR("--"));
    if (!quote && !comment) {
        return 0;
    }
    const ptrdiff_t end = str_find_char(str_slice(s, 1, s.len), comment ? '\n' : s.ptr[0]);
    return end < 0 ? s.len : (size_t)end + 2;
}

// Where in the client's text a place of the parsed one is: the parser counts a Unicode space
// outside quotes as one byte.
static int64_t client_position(struct str sql, int64_t position) {
    int64_t parsed = 0;
    size_t at = 0;
    while (at < sql.len && parsed < position && (unsigned char)sql.ptr[at] < 0x80) {
        at++; // what is ASCII before any other is the same in both
        parsed++;
    }
    if (parsed == position) {
        return position;
    }
    parsed = 0;
    at = 0;
    while (at < sql.len && parsed < position) {
        const struct str rest = str_slice(sql, at, sql.len);
        const size_t quoted = quoted_len(rest);
        const size_t space = guard_space_len(rest);
        const size_t step = quoted > 0 ? quoted : MAX(space, 1);
        const int64_t counted = space > 0 ? 1 : (int64_t)step;
        if (parsed + counted > position) {
            return (int64_t)at + (position - parsed);
        }
        parsed += counted;
        at += step;
    }
    return position < 0 ? -1 : (int64_t)at;
}

// ---- Tree

// The parser's answer for what is no SELECT says little: a word more where the remedy is known.
static enum err_code explain_refusal(struct str sql, struct err *err) {
    struct str rest = str_trim(sql);
    struct str first = STR_NONE;
    (void)str_cut(&rest, ' ', &first);
    if (err->code == ERR_REFUSED && str_eq_nocase(first, STR("PIVOT"))) {
        (void)err_prefix(err, "PIVOT takes its values as a list, ON column IN (values): ");
    }
    return err->code;
}

static enum err_code parse(struct engine *parser, struct str sql, struct arena *a, struct ast **ret,
                           struct err *err) {
    struct str json = STR_NONE;
    TRY(engine_parse(parser, sql, a, &json, err));
    const enum err_code code = ast_read(json, a, ret, err);
    if (code == ERR_DATA) {
        return err_set(err, ERR_REFUSED,
                       "the statement has a constant without a plain form (such as 1e999)");
    }
    return code;
}

static enum err_code find_statement(const struct ast *tree, struct ast **ret, struct err *err) {
    const struct ast *list = ast_get(tree, "statements");
    const struct ast *error = ast_get(tree, "error");
    if (!error || error->kind != AST_FALSE || tree->count != 2 || !list ||
        list->kind != AST_ARRAY) {
        return err_set(err, ERR_REFUSED, "only queries (SELECT) can be run here");
    }
    if (list->count != 1) {
        return err_set(err, ERR_REFUSED,
                       list->count == 0 ? "the statement is empty" : "one statement at a time");
    }
    *ret = list->items;
    return ERR_OK;
}

// main.t.a becomes t.a where t is a table of the statement under its own name: what the engine sees
// has no schema.
static void drop_schemas(struct guard_walk *w) {
    for (size_t i = 0; i < w->qualified_count; i++) {
        struct ast *names = ast_get(w->qualified[i], "column_names");
        const struct str table = names->items->next->text;
        bool known = false;
        for (size_t m = 0; m < w->mention_count && !known; m++) {
            known = !w->mentions[m].aliased && str_eq_nocase(w->mentions[m].written, table);
        }
        if (known) {
            names->items = names->items->next;
            names->count--;
        }
    }
}

static bool has_order(const struct ast *query) {
    const struct ast *modifiers = ast_get(query, "modifiers");
    for (const struct ast *i = modifiers ? modifiers->items : NULL; i; i = i->next) {
        if (ast_is(i, "type", "ORDER_MODIFIER")) {
            return true;
        }
    }
    return false;
}

// Do they say the same but for where things stood (the fields query_location, which only the first
// text has)? For trees that are written in the same way: no says nothing.
static bool is_same_text(struct str json, struct str bare) {
    const struct str place = STR(",\"query_location\":"); // no string can have it: its quotes
    size_t at = 0;
    for (size_t i = 0; i < json.len;) {
        while (i < json.len && at < bare.len && json.ptr[i] != ',' && json.ptr[i] == bare.ptr[at]) {
            i++;
            at++;
        }
        if (i == json.len) {
            break;
        }
        if (json.ptr[i] == ',' && str_starts(str_slice(json, i, json.len), place)) {
            for (i += place.len; i < json.len && json.ptr[i] >= '0' && json.ptr[i] <= '9';) {
                i++;
            }
            continue;
        }
        if (at == bare.len || json.ptr[i] != bare.ptr[at]) {
            return false;
        }
        i++;
        at++;
    }
    return at == bare.len;
}

// The text as it is written here, if that gives the tree back.
static bool write_here(struct engine *parser, const struct guard_walk *w, const struct ast *query,
                       struct str json, struct str *ret) {
    DEFER(buf_release) struct buf text = BUF(AST_TEXT_MAX);
    (void)buf_reserve(&text, 4096);
    struct err ignored = ERR_NONE;
    struct str back = STR_NONE;
    if (!guard_write(query, w->token, &text) ||
        engine_parse(parser, buf_str(&text), w->arena, &back, &ignored) != ERR_OK ||
        !is_same_text(back, json)) {
        return false;
    }
    *ret = arena_str(w->arena, buf_str(&text));
    return true;
}

// Writes the tree and reads the text again. What comes back must be the same tree: then what runs
// is what was looked at, whatever the writer does with odd names.
static enum err_code write_tree(struct engine *parser, struct guard_walk *w, struct ast *tree,
                                const struct ast *query, struct str *ret) {
    DEFER(buf_release) struct buf json = BUF(AST_TEXT_MAX);
    (void)buf_reserve(&json, 32768); // so that it seldom grows
    ast_write(tree, false, &json);
    if (json.overflow) {
        return err_set(w->err, ERR_TOO_LARGE, "the statement has too many parts");
    }
    struct str sql = STR_NONE;
    struct str back = STR_NONE;
    struct ast *again = NULL;
    if (write_here(parser, w, query, buf_str(&json), ret)) {
        return ERR_OK;
    }
    if (engine_unparse(parser, buf_str(&json), w->arena, &sql, &back, w->err) != ERR_OK ||
        (!is_same_text(back, buf_str(&json)) &&
         (ast_read(back, w->arena, &again, w->err) != ERR_OK || !guard_spell_equal(tree, again)))) {
        return err_set(w->err, ERR_REFUSED,
                       "the statement cannot be written back faithfully: try it with fewer "
                       "brackets around joins, or in simpler words");
    }
    *ret = sql;
    return ERR_OK;
}

// ---- Pieces

static enum err_code bad_pieces(struct err *err) {
    return err_set(err, ERR_INTERNAL, "the canonical text has not each table once");
}

bool guard_take_index(struct str *rest, size_t *ret) {
    size_t len = 0;
    uint64_t v = 0;
    while (len < rest->len && rest->ptr[len] >= '0' && rest->ptr[len] <= '9') {
        len++;
    }
    if (!str_to_u64(str_slice(*rest, 0, len), &v) || len >= rest->len || rest->ptr[len] != 'x') {
        return false;
    }
    *rest = str_slice(*rest, len + 1, rest->len);
    *ret = v;
    return true;
}

static enum err_code split(const struct guard_walk *w, struct str sql, struct guard_statement *g) {
    bool *seen = arena_array(w->arena, w->mention_count + 1, sizeof(*seen));
    g->pieces = arena_array(w->arena, w->mention_count + 1, sizeof(*g->pieces));
    struct str rest = sql;
    for (size_t i = 0; i < w->mention_count; i++) {
        const ptrdiff_t at = str_find(rest, w->token);
        if (at < 0) {
            return bad_pieces(w->err);
        }
        size_t index = 0;
        g->pieces[i].text = str_slice(rest, 0, (size_t)at);
        rest = str_slice(rest, (size_t)at + w->token.len, rest.len);
        if (!guard_take_index(&rest, &index) || index >= w->mention_count || seen[index]) {
            return bad_pieces(w->err);
        }
        seen[index] = true;
        g->pieces[i].table = (int32_t)index;
    }
    if (str_find(rest, w->token) >= 0) {
        return bad_pieces(w->err);
    }
    g->pieces[w->mention_count] = (struct guard_piece){rest, -1};
    g->piece_count = w->mention_count + 1;
    return ERR_OK;
}

static void copy_tables(const struct guard_walk *w, struct str sql, struct guard_statement *g) {
    g->tables = arena_array(w->arena, w->mention_count, sizeof(*g->tables));
    g->table_count = w->mention_count;
    for (size_t i = 0; i < w->mention_count; i++) {
        g->tables[i] = w->mentions[i].table;
        g->tables[i].position = client_position(sql, g->tables[i].position);
    }
}

static enum err_code walk(struct guard_walk *w, struct ast *statement,
                          const struct guard_expected *expected) {
    TRY(guard_walk_statement(w, statement));
    return expected ? expected->check(expected->ctx, w, ast_get(statement, "node")) : ERR_OK;
}

// A statement on its way, and what it may be.
struct request {
    struct engine *parser;
    struct str sql;
    const struct guard_expected *expected; // or NULL
    bool shows;                            // it may be one about a query
};

static enum err_code read_statement(const struct request *r, struct str sql, struct guard_walk *w,
                                    struct ast **ret_tree, struct ast **ret) {
    if (parse(r->parser, sql, w->arena, ret_tree, w->err) != ERR_OK) {
        return explain_refusal(sql, w->err);
    }
    return find_statement(*ret_tree, ret, w->err);
}

static enum err_code check(const struct request *r, struct guard_walk *w,
                           struct guard_statement *g) {
    struct ast *tree = NULL;
    struct ast *statement = NULL;
    struct str canonical = STR_NONE;
    struct guard_shown shown = {.show = GUARD_ROWS};
    struct str sql = r->sql;
    TRY(read_statement(r, sql, w, &tree, &statement));
    if (r->shows) {
        TRY(guard_show_take(w, statement, &shown));
    }
    if (shown.instead.len > 0) {
        sql = shown.instead;
        TRY(read_statement(r, sql, w, &tree, &statement));
    }
    if (walk(w, statement, r->expected) != ERR_OK) {
        w->err->position = client_position(sql, w->err->position);
        return w->err->code;
    }
    drop_schemas(w);
    if (w->subqueries > 0) {
        TRY(guard_name_columns(w, r->parser, statement));
    }
    TRY(write_tree(r->parser, w, tree, ast_get(statement, "node"), &canonical));
    TRY(split(w, canonical, g));
    copy_tables(w, sql, g);
    for (size_t i = 0; shown.instead.len > 0 && i < g->table_count; i++) {
        g->tables[i].position = -1;
    }
    g->show = shown.show;
    g->ordered = has_order(ast_get(statement, "node"));
    g->varies = w->varies;
    return ERR_OK;
}

struct str guard_random_name(struct arena *a) {
    uint8_t random[12];
    random_bytes(random, sizeof(random));
    return arena_printf(a, "q" STR_FMT "x", STR_ARG(hex_bytes(random, sizeof(random), a)));
}

static enum err_code check_request(const struct request *r, struct arena *a,
                                   struct guard_statement **ret, struct err *err) {
    TRY(guard_check_text(r->sql, err));
    struct guard_walk w = {.arena = a, .err = err, .position = -1};
    w.token = guard_random_name(a);
    struct guard_statement *g = arena_alloc(a, sizeof(*g));
    TRY(check(r, &w, g));
    *ret = g;
    return ERR_OK;
}

enum err_code guard_check_shape(struct engine *parser, struct str sql,
                                const struct guard_expected *expected, struct arena *a,
                                struct guard_statement **ret, struct err *err) {
    return check_request(&(struct request){.parser = parser, .sql = sql, .expected = expected}, a,
                         ret, err);
}

static void copy_table(struct guard_table *t, struct arena *a) {
    struct guard_condition *conditions = arena_array(a, t->condition_count, sizeof(*conditions));
    t->name = arena_str(a, t->name);
    for (size_t i = 0; i < t->condition_count; i++) {
        struct guard_condition *c = &conditions[i];
        *c = t->conditions[i];
        c->column = arena_str(a, c->column);
        c->values = arena_array(a, c->value_count, sizeof(*c->values));
        for (size_t k = 0; k < c->value_count; k++) {
            c->values[k] = t->conditions[i].values[k];
            c->values[k].text = arena_str(a, c->values[k].text);
        }
    }
    t->conditions = conditions;
}

// Away from the trees that it was made of, which are a hundred times as large.
static struct guard_statement *copy_statement(const struct guard_statement *from, struct arena *a) {
    struct guard_statement *g = arena_alloc(a, sizeof(*g));
    *g = *from;
    g->pieces = arena_array(a, g->piece_count, sizeof(*g->pieces));
    for (size_t i = 0; i < g->piece_count; i++) {
        g->pieces[i] = from->pieces[i];
        g->pieces[i].text = arena_str(a, from->pieces[i].text);
    }
    g->tables = arena_array(a, g->table_count, sizeof(*g->tables));
    for (size_t i = 0; i < g->table_count; i++) {
        g->tables[i] = from->tables[i];
        copy_table(&g->tables[i], a);
    }
    return g;
}

static int64_t shifted(int64_t position, size_t head) {
    return position < 0 ? position : position + (int64_t)head;
}

enum err_code guard_check(struct engine *parser, struct str sql, struct arena *a,
                          struct guard_statement **ret, struct err *err) {
    DEFER(arena_release) struct arena scratch = ARENA(SIZE_MAX);
    size_t head = 0; // the word EXPLAIN
    struct guard_statement *g = NULL;
    TRY(guard_explain_head(sql, &head, err));
    const struct request r = {
        .parser = parser, .sql = str_slice(sql, head, sql.len), .shows = head == 0};
    if (check_request(&r, &scratch, &g, err) != ERR_OK) {
        err->position = shifted(err->position, head);
        return err->code;
    }
    for (size_t i = 0; i < g->table_count; i++) {
        g->tables[i].position = shifted(g->tables[i].position, head);
    }
    g->show = head > 0 ? GUARD_EXPLAIN : g->show;
    guard_show_add_word(g, &scratch);
    *ret = copy_statement(g, a);
    return ERR_OK;
}

struct str guard_bind(const struct guard_statement *g, const struct str *scans, struct arena *a) {
    DEFER(buf_release) struct buf out = BUF(SIZE_MAX / 2);
    for (size_t i = 0; i < g->piece_count; i++) {
        buf_add_str(&out, g->pieces[i].text);
        if (g->pieces[i].table >= 0) {
            buf_add_char(&out, '(');
            buf_add_str(&out, scans[g->pieces[i].table]);
            buf_add_char(&out, ')');
        }
    }
    return arena_str(a, buf_str(&out));
}
