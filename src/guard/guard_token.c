// Guard, tokens: a statement as words, names, strings and signs, as the engine's parser splits it.
#include "guard/guard_token.h"

#include "guard/guard_int.h"

struct reader {
    struct str sql;
    size_t at;
    struct err *err;
};

static char peek(const struct reader *r, size_t ahead) {
    return r->at + ahead < r->sql.len ? r->sql.ptr[r->at + ahead] : '\0';
}

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

static bool begins_word(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (unsigned char)c >= 0x80;
}

static bool goes_on(char c) {
    return begins_word(c) || is_digit(c) || c == '$';
}

static enum err_code not_closed(struct reader *r, size_t start, const char *what) {
    r->err->position = (int64_t)start;
    (void)err_set(r->err, ERR_REFUSED, "%s is not closed", what);
    r->err->position = (int64_t)start;
    return ERR_REFUSED;
}

// A comment between /* and */; there may be others within.
static enum err_code skip_block(struct reader *r) {
    const size_t start = r->at;
    size_t depth = 0;
    do {
        if (peek(r, 0) == '/' && peek(r, 1) == '*') {
            depth++;
            r->at += 2;
        } else if (peek(r, 0) == '*' && peek(r, 1) == '/') {
            depth--;
            r->at += 2;
        } else {
            r->at++;
        }
    } while (depth > 0 && r->at < r->sql.len);
    return depth == 0 ? ERR_OK : not_closed(r, start, "a comment");
}

static void skip_line(struct reader *r) {
    while (r->at < r->sql.len && peek(r, 0) != '\n' && peek(r, 0) != '\r') {
        r->at++;
    }
}

// Past spaces and comments.
static enum err_code skip(struct reader *r) {
    for (;;) {
        const size_t space = guard_space_len(str_slice(r->sql, r->at, r->sql.len));
        const char c = peek(r, 0);
        if (space > 0) {
            r->at += space;
        } else if (c != '\0' && strchr(" \t\n\r\f\v", c)) {
            r->at++;
        } else if (c == '-' && peek(r, 1) == '-') {
            skip_line(r);
        } else if (c == '/' && peek(r, 1) == '*') {
            TRY(skip_block(r));
        } else {
            return ERR_OK;
        }
    }
}

// Behind the opening quote. A quote twice is one in the text.
static enum err_code take_quoted(struct reader *r, char quote, bool backslash, const char *what) {
    const size_t start = r->at;
    r->at++;
    while (r->at < r->sql.len) {
        const char c = peek(r, 0);
        const bool pair = (backslash && c == '\\') || (c == quote && peek(r, 1) == quote);
        r->at += pair ? 2 : 1;
        if (c == quote && !pair) {
            return ERR_OK;
        }
    }
    return not_closed(r, start, what);
}

// $tag$ … $tag$; false: this is something else.
static bool dollar_tag(const struct reader *r, struct str *ret) {
    size_t len = 1;
    if (peek(r, 0) != '$' || is_digit(peek(r, 1))) {
        return false;
    }
    while (goes_on(peek(r, len)) && peek(r, len) != '$') {
        len++;
    }
    *ret = str_slice(r->sql, r->at, r->at + len + 1);
    return peek(r, len) == '$';
}

static enum err_code take_dollars(struct reader *r, struct str tag) {
    const size_t start = r->at;
    const ptrdiff_t end = str_find(str_slice(r->sql, r->at + tag.len, r->sql.len), tag);
    r->at += end < 0 ? 0 : (size_t)end + 2 * tag.len;
    return end < 0 ? not_closed(r, start, "a string") : ERR_OK;
}

static void take_word(struct reader *r) {
    while (goes_on(peek(r, 0)) && guard_space_len(str_slice(r->sql, r->at, r->sql.len)) == 0) {
        r->at++;
    }
}

static void take_number(struct reader *r) {
    while (goes_on(peek(r, 0)) || (peek(r, 0) == '.' && peek(r, 1) != '.')) {
        r->at++;
    }
}

static enum err_code take(struct reader *r, struct token *t) {
    struct str tag = STR_NONE;
    const char c = peek(r, 0);
    if ((c == 'e' || c == 'E') && peek(r, 1) == '\'') {
        t->kind = TOKEN_STRING;
        r->at++;
        return take_quoted(r, '\'', true, "a string");
    }
    if (c == '\'') {
        t->kind = TOKEN_STRING;
        return take_quoted(r, '\'', false, "a string");
    }
    if (c == '"') {
        t->kind = TOKEN_NAME;
        return take_quoted(r, '"', false, "a name in quotes");
    }
    if (dollar_tag(r, &tag)) {
        t->kind = TOKEN_STRING;
        return take_dollars(r, tag);
    }
    if (begins_word(c)) {
        t->kind = TOKEN_WORD;
        take_word(r);
        return ERR_OK;
    }
    if (is_digit(c) || (c == '.' && is_digit(peek(r, 1)))) {
        t->kind = TOKEN_NUMBER;
        take_number(r);
        return ERR_OK;
    }
    t->kind = TOKEN_SIGN;
    r->at++;
    return ERR_OK;
}

static bool is_sign(const struct token *t, const char *set) {
    return t->kind == TOKEN_SIGN && strchr(set, t->text.ptr[0]) != NULL;
}

static char closer(char opener) {
    return opener == '(' ? ')' : opener == '[' ? ']' : '}';
}

// Which brackets are open.
struct brackets {
    char open[GUARD_DEPTH_MAX * 8];
    size_t count;
};

static enum err_code place(struct brackets *b, struct token *t, struct err *err) {
    const bool closes = is_sign(t, ")]}");
    if (closes && (b->count == 0 || closer(b->open[b->count - 1]) != t->text.ptr[0])) {
        (void)err_set(err, ERR_REFUSED, "a bracket closes what was not opened");
        err->position = (int64_t)t->start;
        return ERR_REFUSED;
    }
    b->count -= closes ? 1 : 0;
    t->depth = b->count;
    if (is_sign(t, "([{")) {
        if (b->count == sizeof(b->open)) {
            return err_set(err, ERR_TOO_LARGE, "the statement is nested deeper than %zu",
                           sizeof(b->open));
        }
        b->open[b->count++] = t->text.ptr[0];
    }
    return ERR_OK;
}

static enum err_code next_token(struct reader *r, struct token *ret) {
    TRY(skip(r));
    *ret = (struct token){.start = r->at};
    if (r->at < r->sql.len) {
        TRY(take(r, ret));
        ret->text = str_slice(r->sql, ret->start, r->at);
    }
    return ERR_OK;
}

enum err_code guard_tokens(struct str sql, struct arena *a, struct token **ret, size_t *ret_count,
                           struct err *err) {
    struct reader r = {.sql = sql, .err = err};
    struct brackets b = {.count = 0};
    struct token *list = NULL;
    size_t count = 0;
    size_t cap = 0;
    do {
        list = arena_grow(a, list, &cap, count + 1, sizeof(*list));
        TRY(next_token(&r, &list[count]));
        TRY(place(&b, &list[count], err));
        list[count].behind_dot = count > 0 && is_sign(&list[count - 1], ".");
        count++;
    } while (list[count - 1].kind != TOKEN_END);
    if (b.count > 0) {
        return not_closed(&r, sql.len, "a bracket");
    }
    *ret = list;
    *ret_count = count;
    return ERR_OK;
}

bool guard_next_token(struct str sql, size_t at, struct token *ret) {
    struct err ignored = ERR_NONE;
    struct reader r = {.sql = sql, .at = at, .err = &ignored};
    return next_token(&r, ret) == ERR_OK;
}

struct str guard_first_word(struct str sql) {
    struct token t;
    return guard_next_token(sql, 0, &t) && t.kind == TOKEN_WORD ? t.text : STR_NONE;
}

struct str guard_token_name(const struct token *t, struct arena *a) {
    if (t->kind != TOKEN_NAME) {
        return arena_str(a, t->text);
    }
    char *out = arena_alloc(a, t->text.len);
    size_t len = 0;
    for (size_t i = 1; i + 1 < t->text.len; i++) {
        out[len++] = t->text.ptr[i];
        i += t->text.ptr[i] == '"' ? 1 : 0;
    }
    return (struct str){out, len};
}
