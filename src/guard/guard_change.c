// Guard, statements that write: their heads, read token by token.
#include "guard/guard_change.h"

#include <stdarg.h>

#include "guard/guard_change_int.h"

// ---- Reading

const struct token *guard_ahead(const struct guard_head *h, size_t count) {
    return &h->tokens[MIN(h->at + count, h->count - 1)];
}

static enum err_code refuse_at(struct guard_head *h, const struct token *t, const char *fmt, ...)
    PRINTF_LIKE(3, 4);

static enum err_code refuse_at(struct guard_head *h, const struct token *t, const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    const struct str text = arena_vprintf(h->arena, fmt, args);
    va_end(args);
    (void)err_set(h->err, ERR_REFUSED, STR_FMT, STR_ARG(text));
    h->err->position = (int64_t)t->start;
    return ERR_REFUSED;
}

static bool is_word(const struct token *t, const char *word) {
    return t->kind == TOKEN_WORD && !t->behind_dot && str_eq_nocase(t->text, str_from(word));
}

static bool is_any_word(const struct token *t, const char *words) {
    return t->kind == TOKEN_WORD && !t->behind_dot && guard_has_word_nocase(words, t->text);
}

static bool is_sign(const struct token *t, char c) {
    return t->kind == TOKEN_SIGN && t->text.ptr[0] == c;
}

static bool take_word(struct guard_head *h, const char *word) {
    const bool there = is_word(guard_ahead(h, 0), word);
    h->at += there ? 1 : 0;
    return there;
}

// Words that stand behind one another: all or none are taken.
static bool take_words(struct guard_head *h, const char *words) {
    struct str rest = str_from(words);
    struct str word = STR_NONE;
    size_t count = 0;
    while (str_cut(&rest, ' ', &word)) {
        const struct token *t = guard_ahead(h, count);
        if (t->kind != TOKEN_WORD || t->behind_dot || !str_eq_nocase(t->text, word)) {
            return false;
        }
        count++;
    }
    h->at += count;
    return true;
}

static bool take_sign(struct guard_head *h, char c) {
    const bool there = is_sign(guard_ahead(h, 0), c);
    h->at += there ? 1 : 0;
    return there;
}

static struct str token_text(const struct token *t) {
    return t->kind == TOKEN_END ? STR("the end") : str_slice(t->text, 0, 60);
}

static enum err_code need_words(struct guard_head *h, const char *words, const char *form) {
    const struct token *t = guard_ahead(h, 0);
    if (take_words(h, words)) {
        return ERR_OK;
    }
    return refuse_at(h, t, "%s is expected, not " STR_FMT ": %s", words, STR_ARG(token_text(t)),
                     form);
}

static enum err_code need_end(struct guard_head *h, const char *form) {
    const struct token *t = guard_ahead(h, 0);
    if (t->kind == TOKEN_END) {
        return ERR_OK;
    }
    return refuse_at(h, t, "\"" STR_FMT "\" is not available here: %s", STR_ARG(token_text(t)),
                     form);
}

// Words that cannot be a name unless they are quoted: whoever writes them has another form in mind.
#define RESERVED                                                                                   \
    "select from where set values table into as on using with and or not null default union "      \
    "order group having limit offset returning case when then else end in is like between join "   \
    "distinct all any some exists cast create drop alter insert update delete only lateral "       \
    "window qualify primary unique check references foreign constraint"

static enum err_code take_name(struct guard_head *h, const char *what, struct guard_name *ret) {
    const struct token *t = guard_ahead(h, 0);
    const bool word = t->kind == TOKEN_WORD && !is_any_word(t, RESERVED);
    if (!word && t->kind != TOKEN_NAME) {
        return refuse_at(h, t, "%s is expected, not " STR_FMT "%s", what, STR_ARG(token_text(t)),
                         t->kind == TOKEN_STRING ? ": files cannot be written, and names stand in "
                                                   "double quotes"
                                                 : "");
    }
    *ret = (struct guard_name){guard_token_name(t, h->arena), (int64_t)t->start};
    h->at++;
    return ret->text.len > 0 ? ERR_OK : refuse_at(h, t, "%s is empty", what);
}

// A dataset to write to: a name, or main.name.
static enum err_code take_target(struct guard_head *h) {
    struct guard_name *name = &h->change->target;
    const struct token *t = guard_ahead(h, 0);
    TRY(take_name(h, "the name of a dataset", name));
    if (take_sign(h, '.')) {
        if (str_eq_nocase(name->text, STR("system"))) {
            return refuse_at(h, t, "the tables of system are for reading only");
        }
        if (!str_eq_nocase(name->text, STR("main"))) {
            return refuse_at(h, t, "names have no schema here: write the dataset's name alone");
        }
        TRY(take_name(h, "the name of a dataset", name));
    }
    if (is_sign(guard_ahead(h, 0), '.')) {
        return refuse_at(h, t, "names have no schema here: write the dataset's name alone");
    }
    if (guard_is_raw(name->text)) {
        return refuse_at(h, t, "__raw__ names are for reading only: write to the dataset itself");
    }
    return ERR_OK;
}

// ---- Pieces of the client's text

// Tokens [h->at, end): the piece, which h moves behind.
static struct guard_part take_part(struct guard_head *h, size_t end) {
    const struct token *first = guard_ahead(h, 0);
    const struct token *last = &h->tokens[end - 1];
    const struct guard_part ret = {first->start, last->start + last->text.len};
    h->at = end;
    return ret;
}

// The first token from h->at on, outside of brackets, that is one of the words or this sign.
static size_t find_end(const struct guard_head *h, const char *words, char sign) {
    size_t i = h->at;
    for (; h->tokens[i].kind != TOKEN_END; i++) {
        const struct token *t = &h->tokens[i];
        if (t->depth == 0 && (is_any_word(t, words) || (sign != '\0' && is_sign(t, sign)))) {
            break;
        }
    }
    return i;
}

// Words that end no expression that is known here, and what to do instead.
static enum err_code check_clauses(struct guard_head *h, size_t end, const char *form) {
    for (size_t i = h->at; i < end; i++) {
        const struct token *t = &h->tokens[i];
        if (t->depth > 0) {
            continue;
        }
        if (is_sign(t, ',')) {
            return refuse_at(h, t, "one condition is expected, with AND and OR in it: %s", form);
        }
        const bool compares = i > 0 && is_word(&h->tokens[i - 1], "distinct");
        if (is_word(t, "returning")) {
            return refuse_at(h, t, "RETURNING is not available: ask for the rows with a SELECT");
        }
        if (is_word(t, "using") || (is_word(t, "from") && !compares)) {
            return refuse_at(h, t,
                             "other tables come in by a subquery, such as SET a = (SELECT b FROM "
                             "u WHERE u.id = t.id), or WHERE id IN (SELECT id FROM u)");
        }
        if (is_any_word(t, "where order limit offset group having union intersect except window "
                           "qualify set fetch on select with")) {
            return refuse_at(h, t, STR_FMT " is not available here: %s", STR_ARG(t->text), form);
        }
    }
    return ERR_OK;
}

// An expression that ends before tokens[end].
static enum err_code take_expression(struct guard_head *h, size_t end, const char *form,
                                     struct guard_part *ret) {
    const struct token *t = guard_ahead(h, 0);
    if (h->at >= end) {
        return refuse_at(h, t, "an expression is expected, not " STR_FMT, STR_ARG(token_text(t)));
    }
    if (is_word(t, "default") && h->at + 1 == end) {
        return refuse_at(h, t, "columns have no DEFAULT: write the value, or NULL");
    }
    TRY(check_clauses(h, end, form));
    *ret = take_part(h, end);
    return ERR_OK;
}

// The query that makes up the rest of the statement.
static enum err_code take_query(struct guard_head *h, const char *form, struct guard_part *ret) {
    const struct token *t = guard_ahead(h, 0);
    if (!is_any_word(t, "select values with from table") && !is_sign(t, '(')) {
        return refuse_at(h, t, "a query is expected, not " STR_FMT ": %s", STR_ARG(token_text(t)),
                         form);
    }
    for (size_t i = h->at; i < h->count - 1; i++) {
        const struct token *w = &h->tokens[i];
        if (w->depth == 0 && is_word(w, "returning")) {
            return refuse_at(h, w, "RETURNING is not available: ask for the rows with a SELECT");
        }
        if (w->depth == 0 && is_word(w, "on") && is_word(&h->tokens[i + 1], "conflict")) {
            return refuse_at(h, w,
                             "ON CONFLICT is not available: POST /ingest/delta with "
                             "mode=upsert puts rows in by key");
        }
    }
    *ret = take_part(h, h->count - 1);
    return ERR_OK;
}

// [[AS] x], where what follows begins with one of the words.
static enum err_code take_alias(struct guard_head *h, const char *words) {
    const struct token *t = guard_ahead(h, 0);
    struct guard_name alias = {.text = h->change->target.text};
    const bool as = take_word(h, "as");
    if (as || (t->kind != TOKEN_END && t->kind != TOKEN_SIGN && !is_any_word(t, words))) {
        TRY(take_name(h, "another name for the dataset", &alias));
    }
    h->alias = alias.text;
    return ERR_OK;
}

// ---- Statements

#define INSERT_FORM "INSERT INTO t [(columns)] SELECT ... or VALUES ..."
#define UPDATE_FORM "UPDATE t SET column = expression, ... [WHERE condition]"
#define DELETE_FORM "DELETE FROM t [WHERE condition]"
#define CREATE_FORM "CREATE [OR REPLACE] TABLE [IF NOT EXISTS] t AS SELECT ..."
#define DROP_FORM "DROP TABLE [IF EXISTS] t"

static struct guard_name *add_column(struct guard_head *h) {
    struct guard_change *c = h->change;
    c->columns =
        arena_grow(h->arena, c->columns, &h->column_cap, c->column_count + 1, sizeof(*c->columns));
    return &c->columns[c->column_count++];
}

static enum err_code take_columns(struct guard_head *h) {
    do {
        struct guard_name *name = add_column(h);
        TRY(take_name(h, "the name of a column", name));
    } while (take_sign(h, ','));
    const struct token *t = guard_ahead(h, 0);
    return take_sign(h, ')') ? ERR_OK
                             : refuse_at(h, t, ", or ) is expected, not " STR_FMT ": " INSERT_FORM,
                                         STR_ARG(token_text(t)));
}

static enum err_code read_insert(struct guard_head *h) {
    const struct token *t = guard_ahead(h, 0);
    if (is_word(t, "or")) {
        return refuse_at(h, t,
                         "INSERT OR is not available: POST /ingest/delta with mode=upsert "
                         "puts rows in by key");
    }
    TRY(need_words(h, "INTO", INSERT_FORM));
    TRY(take_target(h));
    const struct token *inside = guard_ahead(h, 1);
    if (is_sign(guard_ahead(h, 0), '(') && !is_any_word(inside, "select values with from table") &&
        !is_sign(inside, '(')) {
        h->at++;
        TRY(take_columns(h));
    }
    return take_query(h, INSERT_FORM, &h->query);
}

static enum err_code take_assignment(struct guard_head *h) {
    struct guard_name *name = add_column(h);
    const struct token *t = guard_ahead(h, 0);
    if (is_sign(t, '(')) {
        return refuse_at(h, t, "columns are set one by one: " UPDATE_FORM);
    }
    TRY(take_name(h, "the name of a column", name));
    for (size_t i = 0; i + 1 < h->change->column_count; i++) {
        if (str_eq_nocase(h->change->columns[i].text, name->text)) {
            return refuse_at(h, t, "column \"" STR_FMT "\" is set twice", STR_ARG(name->text));
        }
    }
    const struct token *equals = guard_ahead(h, 0);
    if (!take_sign(h, '=') || is_sign(guard_ahead(h, 0), '=')) {
        return refuse_at(
            h, equals, "= is expected behind the name of the column, not " STR_FMT ": " UPDATE_FORM,
            STR_ARG(token_text(equals)));
    }
    h->values =
        arena_grow(h->arena, h->values, &h->value_cap, h->change->column_count, sizeof(*h->values));
    return take_expression(h, find_end(h, "where", ','), UPDATE_FORM,
                           &h->values[h->change->column_count - 1]);
}

static enum err_code take_where(struct guard_head *h, const char *form) {
    h->has_where = take_word(h, "where");
    return h->has_where ? take_expression(h, h->count - 1, form, &h->where) : need_end(h, form);
}

static enum err_code read_update(struct guard_head *h) {
    TRY(take_target(h));
    TRY(take_alias(h, "set from where using returning"));
    TRY(need_words(h, "SET", UPDATE_FORM));
    do {
        TRY(take_assignment(h));
    } while (take_sign(h, ','));
    return take_where(h, UPDATE_FORM);
}

static enum err_code read_delete(struct guard_head *h) {
    TRY(need_words(h, "FROM", DELETE_FORM));
    TRY(take_target(h));
    TRY(take_alias(h, "set from where using returning"));
    const size_t end = is_word(guard_ahead(h, 0), "where") ? h->at : h->count - 1;
    TRY(check_clauses(h, end, DELETE_FORM));
    return take_where(h, DELETE_FORM);
}

static enum err_code read_create(struct guard_head *h) {
    h->change->replace = take_words(h, "or replace");
    TRY(need_words(h, "TABLE", CREATE_FORM));
    h->change->lenient = take_words(h, "if not exists");
    TRY(take_target(h));
    const struct token *t = guard_ahead(h, 0);
    if (is_sign(t, '(')) {
        return refuse_at(h, t,
                         "a table gets its columns from a query: " CREATE_FORM
                         " (none have to be in it: SELECT 1::BIGINT AS id WHERE false)");
    }
    TRY(need_words(h, "AS", CREATE_FORM));
    return take_query(h, CREATE_FORM, &h->query);
}

static enum err_code read_drop(struct guard_head *h) {
    TRY(need_words(h, "TABLE", DROP_FORM));
    h->change->lenient = take_words(h, "if exists");
    TRY(take_target(h));
    return need_end(h, DROP_FORM);
}

// ---- ALTER TABLE

#define ALTER_FORM                                                                                 \
    "ALTER TABLE t with ADD COLUMN a type, DROP COLUMN a, RENAME COLUMN a TO b, RENAME TO t2, "    \
    "ALTER COLUMN a TYPE type or ALTER COLUMN a DROP NOT NULL"

static enum err_code take_type(struct guard_head *h, struct str *ret) {
    const size_t end = find_end(h, "", ',');
    const struct token *t = guard_ahead(h, 0);
    if (h->at >= end) {
        return refuse_at(h, t, "a type is expected, not " STR_FMT, STR_ARG(token_text(t)));
    }
    for (size_t i = h->at; i < end; i++) {
        if (is_any_word(&h->tokens[i], "not null default check primary unique references generated "
                                       "constraint collate using as")) {
            return refuse_at(h, &h->tokens[i],
                             STR_FMT " is not available here: a column has a name and a type, and "
                                     "one that is added is empty in the rows that there are",
                             STR_ARG(h->tokens[i].text));
        }
    }
    const struct guard_part part = take_part(h, end);
    *ret = str_slice(h->sql, part.start, part.end);
    return ERR_OK;
}

static enum err_code read_alter_column(struct guard_head *h, struct guard_alter *a) {
    (void)take_word(h, "column");
    TRY(take_name(h, "the name of a column", &a->column));
    if (take_words(h, "drop not null")) {
        a->kind = GUARD_ALLOW_NULLS;
        return ERR_OK;
    }
    a->kind = GUARD_RETYPE_COLUMN;
    (void)take_words(h, "set data");
    TRY(need_words(h, "TYPE", ALTER_FORM));
    return take_type(h, &a->type);
}

static enum err_code read_rename(struct guard_head *h, struct guard_alter *a) {
    if (take_word(h, "to")) {
        a->kind = GUARD_RENAME_TABLE;
        return take_name(h, "the new name", &a->column);
    }
    struct guard_name to = {0};
    a->kind = GUARD_RENAME_COLUMN;
    (void)take_word(h, "column");
    TRY(take_name(h, "the name of a column", &a->column));
    TRY(need_words(h, "TO", ALTER_FORM));
    TRY(take_name(h, "the new name", &to));
    a->to = to.text;
    return ERR_OK;
}

static enum err_code read_alter_one(struct guard_head *h, struct guard_alter *a) {
    const struct token *t = guard_ahead(h, 0);
    if (take_word(h, "add")) {
        a->kind = GUARD_ADD_COLUMN;
        (void)take_word(h, "column");
        a->lenient = take_words(h, "if not exists");
        TRY(take_name(h, "the name of a column", &a->column));
        return take_type(h, &a->type);
    }
    if (take_word(h, "drop")) {
        a->kind = GUARD_DROP_COLUMN;
        (void)take_word(h, "column");
        a->lenient = take_words(h, "if exists");
        return take_name(h, "the name of a column", &a->column);
    }
    if (take_word(h, "rename")) {
        return read_rename(h, a);
    }
    if (take_word(h, "alter")) {
        return read_alter_column(h, a);
    }
    return refuse_at(h, t, "\"" STR_FMT "\" is not available here: " ALTER_FORM,
                     STR_ARG(token_text(t)));
}

static enum err_code read_alter(struct guard_head *h) {
    struct guard_change *c = h->change;
    size_t cap = 0;
    TRY(need_words(h, "TABLE", ALTER_FORM));
    c->lenient = take_words(h, "if exists");
    TRY(take_target(h));
    do {
        c->alters = arena_grow(h->arena, c->alters, &cap, c->alter_count + 1, sizeof(*c->alters));
        const struct token *t = guard_ahead(h, 0);
        struct guard_alter *a = &c->alters[c->alter_count++];
        *a = (struct guard_alter){0};
        TRY(read_alter_one(h, a));
        if (c->alter_count > 1 &&
            (a->kind == GUARD_RENAME_TABLE || c->alters[0].kind == GUARD_RENAME_TABLE)) {
            return refuse_at(h, t, "RENAME TO stands alone in its statement");
        }
    } while (take_sign(h, ','));
    return need_end(h, ALTER_FORM);
}

// ---- All of it

static const struct {
    const char *word;
    enum guard_change_kind kind;
    const char *action;
    enum err_code (*read)(struct guard_head *h);
} statements[] = {
    {"insert", GUARD_INSERT, "sql.insert", read_insert},
    {"update", GUARD_UPDATE, "sql.update", read_update},
    {"delete", GUARD_DELETE, "sql.delete", read_delete},
    {"create", GUARD_CREATE, "sql.create", read_create},
    {"drop", GUARD_DROP, "sql.drop", read_drop},
    {"alter", GUARD_ALTER, "sql.alter", read_alter},
};

static const struct {
    const char *word, *advice;
} strangers[] = {
    {"truncate", "DELETE FROM t takes out all rows"},
    {"merge", "POST /ingest/delta with mode=upsert puts rows in by key"},
    {"replace", "POST /ingest/delta with mode=upsert puts rows in by key"},
    {"upsert", "POST /ingest/delta with mode=upsert puts rows in by key"},
};

bool guard_writes(struct str sql) {
    const struct str word = guard_first_word(sql);
    return guard_has_word_nocase("insert update delete create drop alter truncate merge replace "
                                 "upsert",
                                 word);
}

// One statement: semicolons may stand only behind it.
static enum err_code drop_semicolons(struct guard_head *h) {
    while (h->count > 1 && is_sign(&h->tokens[h->count - 2], ';')) {
        h->tokens[h->count - 2] = h->tokens[h->count - 1];
        h->count--;
    }
    for (size_t i = 0; i < h->count; i++) {
        if (is_sign(&h->tokens[i], ';')) {
            return refuse_at(h, &h->tokens[i], "one statement at a time");
        }
    }
    return ERR_OK;
}

static enum err_code read_statement(struct guard_head *h) {
    const struct token *first = guard_ahead(h, 0);
    for (size_t i = 0; i < ARRAY_LEN(statements); i++) {
        if (take_word(h, statements[i].word)) {
            h->change->kind = statements[i].kind;
            h->change->action = statements[i].action;
            return statements[i].read(h);
        }
    }
    for (size_t i = 0; i < ARRAY_LEN(strangers); i++) {
        if (is_word(first, strangers[i].word)) {
            return refuse_at(h, first, STR_FMT " is not available: %s", STR_ARG(first->text),
                             strangers[i].advice);
        }
    }
    return refuse_at(h, first, "this is no statement that writes");
}

enum err_code guard_check_change(struct engine *parser, struct str sql, struct arena *a,
                                 struct guard_change **ret, struct err *err) {
    struct guard_head h = {.sql = sql, .arena = a, .err = err};
    h.change = arena_alloc(a, sizeof(*h.change));
    TRY(guard_check_text(sql, err));
    TRY(guard_tokens(sql, a, &h.tokens, &h.count, err));
    TRY(drop_semicolons(&h));
    TRY(read_statement(&h));
    TRY(guard_change_rows(parser, &h));
    *ret = h.change;
    return ERR_OK;
}
