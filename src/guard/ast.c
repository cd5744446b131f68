// Syntax tree: JSON read by recursive descent into linked nodes, and written back.
#include "guard/ast.h"

#include "base/utf8.h"

struct reader {
    struct str json;
    size_t at;
    size_t values;
    int depth;
    struct arena *arena;
    struct err *err;
};

static enum err_code bad(struct reader *r, const char *what) {
    return err_set(r->err, ERR_DATA, "syntax tree, byte %zu: %s", r->at, what);
}

static char peek(const struct reader *r) {
    return r->at < r->json.len ? r->json.ptr[r->at] : '\0';
}

static void skip_space(struct reader *r) {
    for (char c = peek(r); c == ' ' || c == '\n' || c == '\r' || c == '\t'; c = peek(r)) {
        r->at++;
    }
}

static bool take(struct reader *r, char c) {
    if (peek(r) != c) {
        return false;
    }
    r->at++;
    return true;
}

static bool take_word(struct reader *r, struct str word) {
    if (!str_starts(str_slice(r->json, r->at, r->json.len), word)) {
        return false;
    }
    r->at += word.len;
    return true;
}

static bool take_digits(struct reader *r) {
    const size_t start = r->at;
    while (peek(r) >= '0' && peek(r) <= '9') {
        r->at++;
    }
    return r->at > start;
}

static enum err_code read_number(struct reader *r, struct ast *n) {
    const size_t start = r->at;
    (void)take(r, '-');
    if (!take_digits(r)) {
        return bad(r, "not a value");
    }
    if (take(r, '.') && !take_digits(r)) {
        return bad(r, "not a number");
    }
    if (take(r, 'e') || take(r, 'E')) {
        if (!take(r, '-')) {
            (void)take(r, '+');
        }
        if (!take_digits(r)) {
            return bad(r, "not a number");
        }
    }
    n->kind = AST_NUMBER;
    n->text = str_slice(r->json, start, r->at);
    return ERR_OK;
}

static int hex_digit(char c) {
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    const char lower = (char)(c | 0x20);
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

static bool take_hex4(struct reader *r, uint32_t *ret) {
    uint32_t v = 0;
    for (int i = 0; i < 4; i++) {
        const int digit = hex_digit(peek(r));
        if (digit < 0) {
            return false;
        }
        v = v * 16 + (uint32_t)digit;
        r->at++;
    }
    *ret = v;
    return true;
}

static size_t put_utf8(uint32_t c, char *out) {
    if (c < 0x80) {
        out[0] = (char)c;
        return 1;
    }
    if (c < 0x800) {
        out[0] = (char)(0xC0 | c >> 6);
        out[1] = (char)(0x80 | (c & 0x3F));
        return 2;
    }
    if (c < 0x10000) {
        out[0] = (char)(0xE0 | c >> 12);
        out[1] = (char)(0x80 | (c >> 6 & 0x3F));
        out[2] = (char)(0x80 | (c & 0x3F));
        return 3;
    }
    out[0] = (char)(0xF0 | c >> 18);
    out[1] = (char)(0x80 | (c >> 12 & 0x3F));
    out[2] = (char)(0x80 | (c >> 6 & 0x3F));
    out[3] = (char)(0x80 | (c & 0x3F));
    return 4;
}

// After "\u": one character, from two escapes when it is a surrogate pair.
static enum err_code read_unicode(struct reader *r, char *out, size_t *len) {
    uint32_t c = 0;
    if (!take_hex4(r, &c) || c == 0) {
        return bad(r, "a NUL or a broken escape");
    }
    if (c >= 0xD800 && c < 0xE000) {
        uint32_t low = 0;
        const bool paired = c < 0xDC00 && take_word(r, STR("\\u")) && take_hex4(r, &low) &&
                            low >= 0xDC00 && low < 0xE000;
        if (!paired) {
            return bad(r, "half of a surrogate pair");
        }
        c = 0x10000 + ((c - 0xD800) << 10) + (low - 0xDC00);
    }
    *len += put_utf8(c, out + *len);
    return ERR_OK;
}

static enum err_code read_escape(struct reader *r, char *out, size_t *len) {
    static const char from[] = "\"\\/bfnrt";
    static const char to[] = "\"\\/\b\f\n\r\t";
    const char c = peek(r);
    r->at++;
    if (c == 'u') {
        return read_unicode(r, out, len);
    }
    const char *found = c ? strchr(from, c) : NULL;
    if (!found) {
        return bad(r, "an unknown escape");
    }
    out[*len] = to[found - from];
    (*len)++;
    return ERR_OK;
}

static bool is_plain(char c) {
    return (unsigned char)c >= 0x20 && c != '"' && c != '\\';
}

// The text behind the opening quote. Without escapes it is a slice of the JSON.
static enum err_code read_text(struct reader *r, struct str *ret) {
    const size_t start = r->at;
    size_t end = start;
    bool escapes = false;
    for (;;) {
        while (end < r->json.len && is_plain(r->json.ptr[end])) {
            end++;
        }
        if (end >= r->json.len || r->json.ptr[end] == '"') {
            break;
        }
        const bool escape = r->json.ptr[end] == '\\';
        if ((unsigned char)r->json.ptr[end] < 0x20) {
            return bad(r, "a control character in a string");
        }
        escapes = escapes || escape;
        end += escape ? 2 : 1;
    }
    if (end >= r->json.len) {
        return bad(r, "a string without end");
    }
    if (!escapes) {
        *ret = str_slice(r->json, start, end);
        r->at = end + 1;
        return ERR_OK;
    }
    char *out = arena_alloc(r->arena, end - start + 1);
    size_t len = 0;
    while (r->at < end) {
        const char c = r->json.ptr[r->at];
        r->at++;
        if (c != '\\') {
            out[len] = c;
            len++;
            continue;
        }
        TRY(read_escape(r, out, &len));
    }
    r->at = end + 1;
    *ret = (struct str){out, len};
    return ERR_OK;
}

static enum err_code read_value(struct reader *r, struct ast *n);

static enum err_code read_member(struct reader *r, struct ast *object, struct ast *item) {
    if (!take(r, '"')) {
        return bad(r, "a field has a name");
    }
    TRY(read_text(r, &item->key));
    for (const struct ast *i = object->items; i; i = i->next) {
        if (i->key.len == item->key.len && str_eq(i->key, item->key)) { // lengths mostly differ
            return bad(r, "a field stands twice");
        }
    }
    skip_space(r);
    if (!take(r, ':')) {
        return bad(r, "a colon is missing");
    }
    return ERR_OK;
}

static enum err_code read_items(struct reader *r, struct ast *n) {
    const char close = n->kind == AST_OBJECT ? '}' : ']';
    struct ast **tail = &n->items;
    skip_space(r);
    if (take(r, close)) {
        return ERR_OK;
    }
    do {
        struct ast *item = arena_alloc(r->arena, sizeof(*item));
        skip_space(r);
        if (n->kind == AST_OBJECT) {
            TRY(read_member(r, n, item));
        }
        TRY(read_value(r, item));
        *tail = item;
        tail = &item->next;
        n->count++;
        skip_space(r);
    } while (take(r, ','));
    return take(r, close) ? ERR_OK : bad(r, "a bracket is missing");
}

static enum err_code read_nested(struct reader *r, struct ast *n) {
    if (r->depth >= AST_DEPTH_MAX) {
        return err_set(r->err, ERR_TOO_LARGE, "the statement is nested too deep");
    }
    r->depth++;
    TRY(read_items(r, n));
    r->depth--;
    return ERR_OK;
}

static enum err_code read_value(struct reader *r, struct ast *n) {
    r->values++;
    if (r->values > AST_VALUES_MAX) {
        return err_set(r->err, ERR_TOO_LARGE, "the statement has too many parts");
    }
    skip_space(r);
    if (take(r, '{')) {
        n->kind = AST_OBJECT;
        return read_nested(r, n);
    }
    if (take(r, '[')) {
        n->kind = AST_ARRAY;
        return read_nested(r, n);
    }
    if (take(r, '"')) {
        n->kind = AST_STRING;
        return read_text(r, &n->text);
    }
    if (take_word(r, STR("null"))) {
        return ERR_OK;
    }
    if (take_word(r, STR("true"))) {
        n->kind = AST_TRUE;
        return ERR_OK;
    }
    if (take_word(r, STR("false"))) {
        n->kind = AST_FALSE;
        return ERR_OK;
    }
    return read_number(r, n);
}

enum err_code ast_read(struct str json, struct arena *a, struct ast **ret, struct err *err) {
    if (json.len > AST_TEXT_MAX) {
        return err_set(err, ERR_TOO_LARGE, "the statement has too many parts");
    }
    struct reader r = {.json = json, .arena = a, .err = err};
    if (!str_is_utf8(json)) {
        return bad(&r, "not UTF-8");
    }
    struct ast *root = arena_alloc(a, sizeof(*root));
    TRY(read_value(&r, root));
    skip_space(&r);
    if (r.at < json.len) {
        return bad(&r, "more text behind the value");
    }
    *ret = root;
    return ERR_OK;
}

// buf_add without the call, where there is room.
static void put(struct buf *out, const char *data, size_t len) {
    if (len < out->cap - out->len && !out->overflow) {
        memcpy(out->ptr + out->len, data, len);
        out->len += len;
        out->ptr[out->len] = '\0';
    } else {
        buf_add(out, data, len);
    }
}

static void put_char(struct buf *out, char c) {
    put(out, &c, 1);
}

static void write_text(struct str s, struct buf *out) {
    put_char(out, '"');
    size_t done = 0;
    for (size_t i = 0; i < s.len; i++) {
        const unsigned char c = (unsigned char)s.ptr[i];
        if (is_plain(s.ptr[i])) {
            continue;
        }
        put(out, s.ptr + done, i - done);
        done = i + 1;
        if (c < 0x20) {
            buf_printf(out, "\\u%04x", c);
        } else {
            buf_add_char(out, '\\');
            buf_add_char(out, (char)c);
        }
    }
    if (s.len > done) {
        put(out, s.ptr + done, s.len - done);
    }
    put_char(out, '"');
}

static void write_items(const struct ast *n, bool places, struct buf *out) {
    put_char(out, n->kind == AST_OBJECT ? '{' : '[');
    bool first = true;
    for (const struct ast *i = n->items; i; i = i->next) {
        if (!places && str_is(i->key, "query_location")) {
            continue;
        }
        if (!first) {
            put_char(out, ',');
        }
        first = false;
        if (n->kind == AST_OBJECT) {
            write_text(i->key, out);
            put_char(out, ':');
        }
        ast_write(i, places, out);
    }
    put_char(out, n->kind == AST_OBJECT ? '}' : ']');
}

void ast_write(const struct ast *n, bool places, struct buf *out) {
    switch (n->kind) {
    case AST_NULL:
        put(out, "null", 4);
        return;
    case AST_FALSE:
        put(out, "false", 5);
        return;
    case AST_TRUE:
        put(out, "true", 4);
        return;
    case AST_NUMBER:
        put(out, n->text.ptr, n->text.len);
        return;
    case AST_STRING:
        write_text(n->text, out);
        return;
    case AST_ARRAY:
    case AST_OBJECT:
        write_items(n, places, out);
        return;
    }
}

struct ast *ast_get(const struct ast *n, const char *key) {
    if (!n || n->kind != AST_OBJECT) {
        return NULL;
    }
    const size_t len = strlen(key);
    for (struct ast *i = n->items; i; i = i->next) {
        if (i->key.len == len && memcmp(i->key.ptr, key, len) == 0) {
            return i;
        }
    }
    return NULL;
}

struct str ast_text(const struct ast *n, const char *key) {
    const struct ast *field = ast_get(n, key);
    return field && (field->kind == AST_STRING || field->kind == AST_NUMBER) ? field->text
                                                                             : STR_NONE;
}

bool ast_is(const struct ast *n, const char *key, const char *text) {
    const struct ast *field = ast_get(n, key);
    return field && field->kind == AST_STRING && str_is(field->text, text);
}

bool ast_empty(const struct ast *n) {
    if (!n || n->kind == AST_NULL || n->kind == AST_FALSE) {
        return true;
    }
    if (n->kind == AST_STRING) {
        return n->text.len == 0;
    }
    if (n->kind == AST_ARRAY) {
        return n->count == 0;
    }
    if (n->kind != AST_OBJECT) {
        return false;
    }
    for (const struct ast *i = n->items; i; i = i->next) {
        if (!ast_empty(i)) {
            return false;
        }
    }
    return true;
}

int64_t ast_position(const struct ast *n) {
    int64_t ret = 0;
    return str_to_i64(ast_text(n, "query_location"), &ret) ? ret : -1;
}

void ast_set(struct ast *n, const struct ast *from) {
    n->kind = from->kind;
    n->count = from->count;
    n->text = from->text;
    n->items = from->items;
}

void ast_set_null(struct ast *n) {
    ast_set(n, &(struct ast){.kind = AST_NULL});
}

void ast_set_text(struct ast *n, struct str text) {
    ast_set(n, &(struct ast){.kind = AST_STRING, .text = text});
}

void ast_prepend(struct ast *array, struct ast *item) {
    CHECK(array->kind == AST_ARRAY);
    item->next = array->items;
    array->items = item;
    array->count++;
}

struct ast *ast_make(const char *json, struct arena *a) {
    struct ast *ret = NULL;
    struct err err = ERR_NONE;
    CHECK(ast_read(str_from(json), a, &ret, &err) == ERR_OK);
    return ret;
}

// The item itself or the first behind it that counts in a comparison.
static const struct ast *skip_position(const struct ast *n) {
    while (n && str_is(n->key, "query_location")) {
        n = n->next;
    }
    return n;
}

bool ast_equal(const struct ast *a, const struct ast *b) {
    if (a->kind != b->kind || !str_eq(a->text, b->text) || !str_eq(a->key, b->key)) {
        return false;
    }
    const struct ast *i = skip_position(a->items);
    const struct ast *j = skip_position(b->items);
    while (i && j && ast_equal(i, j)) {
        i = skip_position(i->next);
        j = skip_position(j->next);
    }
    return !i && !j;
}
