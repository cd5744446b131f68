// Syntax tree: the engine's serialised statement as nodes that can be looked at, changed and
// written back.
//
// A strict reader and writer of JSON. Numbers stay the text that they came as: locations reach
// 18446744073709551615 and constants 128 bits, and what is not touched must go back unchanged.
// Everything lives in the arena; a tree belongs to one thread.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"

#define AST_DEPTH_MAX 1500      // nested values; the reader recurses no deeper
#define AST_VALUES_MAX 400000   // of the text, numbers and strings included
#define AST_TEXT_MAX (16 << 20) // bytes of JSON, read or written

enum ast_kind { AST_NULL, AST_FALSE, AST_TRUE, AST_NUMBER, AST_STRING, AST_ARRAY, AST_OBJECT };

struct ast {
    enum ast_kind kind;
    uint32_t count;    // of items
    struct str key;    // in an object: its name
    struct str text;   // number as written; string decoded
    struct ast *items; // of an array or object: the first; their order is kept
    struct ast *next;  // among the items of the parent
};

// ERR_TOO_LARGE past the limits above; ERR_DATA when the text is not JSON, has a number outside its
// grammar (Infinity), a NUL in a string or a field twice.
MUST_CHECK enum err_code ast_read(struct str json, struct arena *a, struct ast **ret,
                                  struct err *err);
// places: with the fields query_location.
void ast_write(const struct ast *n, bool places, struct buf *out);

// The field of an object; NULL when n is NULL, no object or has none of this name.
struct ast *ast_get(const struct ast *n, const char *key);
// The text of a string or number field, else the empty string.
struct str ast_text(const struct ast *n, const char *key);
// Whether the field is a string with this text.
bool ast_is(const struct ast *n, const char *key, const char *text);
// Whether there is nothing in it: NULL, null, false, "", [], {} and what holds only such.
bool ast_empty(const struct ast *n);
// The field query_location as bytes; -1 when it has none.
int64_t ast_position(const struct ast *n);

// Changes in place; key and place among the siblings stay.
void ast_set_null(struct ast *n);
void ast_set_text(struct ast *n, struct str text);
// A copy of what `from` says.
void ast_set(struct ast *n, const struct ast *from);
// Puts item in front of an array's items.
void ast_prepend(struct ast *array, struct ast *item);
// A tree from JSON text that this program has written down; bad text is a bug.
struct ast *ast_make(const char *json, struct arena *a);

// The same tree apart from where things stood in the text (fields query_location).
bool ast_equal(const struct ast *a, const struct ast *b);
