// JSON inside JSON: checks a text that should be JSON and copies it without its white space.
#include "encode/encode_int.h"

#define DEPTH_MAX 512

// What may come next.
enum expect { VALUE, VALUE_OR_END, KEY, KEY_OR_END, COLON, COMMA_OR_END };

struct embed {
    const char *at, *end;
    uint8_t closers[DEPTH_MAX]; // of what is open
    size_t depth;
    enum expect expect;
};

static bool is_digit(const struct embed *e) {
    return e->at < e->end && *e->at >= '0' && *e->at <= '9';
}

static bool skip_digits(struct embed *e) {
    if (!is_digit(e)) {
        return false;
    }
    while (is_digit(e)) {
        e->at++;
    }
    return true;
}

static bool skip_one(struct embed *e, const char *any_of) {
    if (e->at < e->end && *e->at != '\0' && strchr(any_of, *e->at)) {
        e->at++;
        return true;
    }
    return false;
}

static bool skip_number(struct embed *e) {
    (void)skip_one(e, "-");
    if (!skip_one(e, "0") && !skip_digits(e)) {
        return false;
    }
    if (skip_one(e, ".") && !skip_digits(e)) {
        return false;
    }
    if (skip_one(e, "eE")) {
        (void)skip_one(e, "+-");
        return skip_digits(e);
    }
    return true;
}

static bool skip_escape(struct embed *e) {
    if (!skip_one(e, "u")) {
        return skip_one(e, "\"\\/bfnrt");
    }
    for (int i = 0; i < 4; i++) {
        if (!skip_one(e, "0123456789abcdefABCDEF")) {
            return false;
        }
    }
    return true;
}

static bool skip_string(struct embed *e) {
    const char *start = e->at;
    e->at++;
    while (e->at < e->end && *e->at != '"') {
        if ((unsigned char)*e->at < 0x20) {
            return false;
        }
        if (*e->at++ == '\\' && !skip_escape(e)) {
            return false;
        }
    }
    return skip_one(e, "\"") && str_is_utf8((struct str){start, (size_t)(e->at - start)});
}

static bool skip_word(struct embed *e, struct str word) {
    const struct str rest = {e->at, (size_t)(e->end - e->at)};
    e->at += word.len;
    return str_starts(rest, word);
}

static bool skip_scalar(struct embed *e) {
    switch (*e->at) {
    case '"':
        return skip_string(e);
    case 't':
        return skip_word(e, STR("true"));
    case 'f':
        return skip_word(e, STR("false"));
    case 'n':
        return skip_word(e, STR("null"));
    default:
        return skip_number(e);
    }
}

static bool open_level(struct embed *e) {
    if (e->depth == DEPTH_MAX) {
        return false;
    }
    const bool object = *e->at++ == '{';
    e->closers[e->depth++] = object ? '}' : ']';
    e->expect = object ? KEY_OR_END : VALUE_OR_END;
    return true;
}

static bool close_level(struct embed *e) {
    if (e->depth == 0 || e->closers[e->depth - 1] != (uint8_t)*e->at) {
        return false;
    }
    e->at++;
    e->depth--;
    e->expect = COMMA_OR_END;
    return true;
}

// One token; *e->at is no white space.
static bool skip_token(struct embed *e) {
    const char c = *e->at;
    const bool may_end = e->expect == VALUE_OR_END || e->expect == KEY_OR_END;
    switch (e->expect) {
    case COLON:
        e->expect = VALUE;
        return skip_one(e, ":");
    case COMMA_OR_END:
        if (c == ',' && e->depth > 0) {
            e->at++;
            e->expect = e->closers[e->depth - 1] == '}' ? KEY : VALUE;
            return true;
        }
        return close_level(e);
    case KEY:
    case KEY_OR_END:
        if (may_end && c == '}') {
            return close_level(e);
        }
        e->expect = COLON;
        return c == '"' && skip_string(e);
    case VALUE:
    case VALUE_OR_END:
        if (may_end && c == ']') {
            return close_level(e);
        }
        if (c == '{' || c == '[') {
            return open_level(e);
        }
        e->expect = COMMA_OR_END;
        return skip_scalar(e);
    }
    return false;
}

bool json_embed(struct str text, struct buf *out) {
    struct embed e = {.at = text.ptr, .end = text.ptr + text.len, .expect = VALUE};
    const size_t start = out->len;
    while (e.at < e.end) {
        const char *token = e.at;
        if (skip_one(&e, " \t\r\n")) {
            continue;
        }
        if (!skip_token(&e)) {
            out->len = start;
            return false;
        }
        buf_add(out, token, (size_t)(e.at - token));
    }
    if (e.depth > 0 || e.expect != COMMA_OR_END) {
        out->len = start;
        return false;
    }
    return true;
}
