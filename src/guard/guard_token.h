// Guard, tokens: a statement as words, names, strings and signs, as the engine's parser splits it.
//
// For finding the parts of statements that write (guard_change.h). Nothing depends on its being
// right about every text: what is taken apart here is put together and parsed by the engine again.
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"

enum token_kind {
    TOKEN_END,
    TOKEN_WORD,   // name or keyword without quotes
    TOKEN_NAME,   // in double quotes
    TOKEN_STRING, // of any kind
    TOKEN_NUMBER,
    TOKEN_SIGN, // one character
};

struct token {
    enum token_kind kind;
    struct str text; // as it stands
    size_t start;    // byte offset
    size_t depth;    // of open brackets around it
    bool behind_dot; // a part of a longer name
};

// Comments and spaces are left out; the last token is TOKEN_END. ERR_REFUSED with position for what
// is not closed, and for brackets that do not fit.
MUST_CHECK enum err_code guard_tokens(struct str sql, struct arena *a, struct token **ret,
                                      size_t *ret_count, struct err *err);
// The token that begins at or behind byte `at`; false when none can be read there.
bool guard_next_token(struct str sql, size_t at, struct token *ret);
// The first word of the text, empty when it begins with something else.
struct str guard_first_word(struct str sql);
// What a name or quoted name says.
struct str guard_token_name(const struct token *t, struct arena *a);
