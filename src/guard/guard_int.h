// Guard, inside: what the walk over the tree carries, and its parts.
#pragma once

#include "guard/ast.h"
#include "guard/guard.h"

// A common table expression whose name may be used where the walk stands.
struct guard_cte {
    const struct guard_cte *outer;
    struct str name;
    bool keyed; // its recursive arm may say recurring.name
};

struct guard_mention {
    struct ast *node;   // the BASE_TABLE
    bool aliased;       // by the client
    struct str written; // __raw__ and all
    struct guard_table table;
};

struct guard_walk {
    struct arena *arena;
    struct err *err;
    struct str token;             // how the placeholders begin
    const struct guard_cte *ctes; // innermost first
    struct guard_mention *mentions;
    size_t mention_count, mention_cap;
    struct ast **qualified; // references to columns as main.table.column
    size_t qualified_count, qualified_cap;
    size_t nodes, queries;
    size_t subqueries; // in expressions
    int depth;
    int64_t position; // of the node being looked at, or of the nearest around it
    bool varies;
};

// The grammar of the tree: which fields a node of a kind has, and what stands in each.
enum guard_field_kind {
    PLAIN, // a string, number, truth value or null
    EMPTY, // nothing: what would stand there is not let through
    DONE,  // looked at by the shape's own function
    NAMES, // list of strings
    EXPR,  // an expression or null
    EXPRS, // list of expressions
    ROWS,  // list of these
    QUERY,
    STATEMENT, // a query and its parameters
    TABLE,
    CALL, // of a table function
    TYPE,
    VALUE,
    VALUES,
    RECORD,  // an object of the shape that the field says, or null
    RECORDS, // a list of such
    INDEXES, // list of lists of numbers
};

struct guard_shape;

struct guard_field {
    const char *name;
    enum guard_field_kind kind;
    const struct guard_shape *shape; // of a RECORD
};

struct guard_shape {
    const char *name;  // class of an expression, type of another node; NULL of a record
    const char *types; // of an expression of this class, between spaces
    const struct guard_field *fields;
    enum err_code (*check)(struct guard_walk *w, struct ast *n); // before the fields; may be NULL
};

// The last field of a list; a field that is no record.
#define END                                                                                        \
    { NULL, PLAIN, NULL }
#define F(name, kind)                                                                              \
    { name, kind, NULL }

// ORDER BY, in queries and in calls.
extern const struct guard_shape guard_order;

enum err_code guard_refuse(struct guard_walk *w, const char *fmt, ...) PRINTF_LIKE(2, 3);
enum err_code guard_refuse_unknown(struct guard_walk *w, struct str what);
// Whether word is one of those between single spaces; the other one without regard to case.
bool guard_has_word(const char *words, struct str word);
bool guard_has_word_nocase(const char *words, struct str word);

// One level down; the way up is w->depth--. The second one also counts the node and notes where it
// stands.
MUST_CHECK enum err_code guard_deepen(struct guard_walk *w);
MUST_CHECK enum err_code guard_descend(struct guard_walk *w, const struct ast *n);
MUST_CHECK enum err_code guard_walk_fields(struct guard_walk *w, struct ast *n,
                                           const struct guard_shape *shape);
const struct guard_shape *guard_find_shape(const struct guard_shape *shapes, struct str name);
MUST_CHECK enum err_code guard_walk_expr(struct guard_walk *w, struct ast *n);
MUST_CHECK enum err_code guard_walk_type(struct guard_walk *w, struct ast *n);
MUST_CHECK enum err_code guard_walk_value(struct guard_walk *w, struct ast *n);
// A table function's call.
MUST_CHECK enum err_code guard_walk_call(struct guard_walk *w, struct ast *n);

// The walk: every node below n is known and allowed, every table is a mention.
MUST_CHECK enum err_code guard_walk_query(struct guard_walk *w, struct ast *n);
// The same for {"node": ..., "named_param_map": []}, and its parts for guard_scope.c.
MUST_CHECK enum err_code guard_walk_statement(struct guard_walk *w, struct ast *n);
MUST_CHECK enum err_code guard_walk_recursive(struct guard_walk *w, struct ast *n);
MUST_CHECK enum err_code guard_walk_cte(struct guard_walk *w, struct ast *value);
// Is there something in the expression, outside its subqueries, that makes one row into several or
// stands for several columns?
bool guard_has_multiplier(const struct ast *n);

// Walks the common table expressions of a query in their order; each is visible to those behind it
// and to the query. The caller puts w->ctes back when the query ends.
MUST_CHECK enum err_code guard_scope_enter(struct guard_walk *w, struct ast *cte_map);
// Makes a BASE_TABLE a placeholder, unless it is the name of a CTE.
MUST_CHECK enum err_code guard_scope_table(struct guard_walk *w, struct ast *n);

// Other spellings, see guard_spell.c. The last takes both trees apart.
void guard_spell_constant(struct guard_walk *w, struct ast *n);
void guard_spell_join(struct guard_walk *w, struct ast *join);
void guard_spell_select(struct guard_walk *w, struct ast *select);
bool guard_spell_equal(struct ast *a, struct ast *b);

// Writes the text of a query that has been walked; false: it is one that only the engine can write.
// What is written has to be parsed again and compared. token: how placeholders begin.
bool guard_write(const struct ast *query, struct str token, struct buf *out);

// Length, UTF-8 and no NUL.
MUST_CHECK enum err_code guard_check_text(struct str sql, struct err *err);
// Bytes of the Unicode space at the start of s, which the engine's parser replaces by a blank; else
// 0.
size_t guard_space_len(struct str s);
// Reads "12x" behind a token: the number of a mention.
bool guard_take_index(struct str *rest, size_t *ret);
// Names the columns whose expressions ask tables, see guard_name.c. After the walk.
MUST_CHECK enum err_code guard_name_columns(struct guard_walk *w, struct engine *parser,
                                            struct ast *n);
// A name that no client can know beforehand.
struct str guard_random_name(struct arena *a);
// guard_check, with a further look at the query after the walk.
struct guard_expected {
    enum err_code (*check)(void *ctx, struct guard_walk *w, const struct ast *query);
    void *ctx;
};
// Not for statements about a query (enum guard_show): those are refused.
MUST_CHECK enum err_code guard_check_shape(struct engine *parser, struct str sql,
                                           const struct guard_expected *expected, struct arena *a,
                                           struct guard_statement **ret, struct err *err);

// Is the list of columns "*" and nothing else?
bool guard_is_plain_star(const struct ast *select_list);

// DESCRIBE, SUMMARIZE and SHOW: what the statement asks, with the query that it is about in its
// place; or the text of a query that stands for it.
struct guard_shown {
    enum guard_show show;
    struct str instead; // empty: none
};
MUST_CHECK enum err_code guard_show_take(struct guard_walk *w, struct ast *statement,
                                         struct guard_shown *ret);
// Puts the word before the pieces.
void guard_show_add_word(struct guard_statement *g, struct arena *a);
// How long the word EXPLAIN is at the start of the text, with what stands before it; 0: there is
// none. ERR_REFUSED for its options.
MUST_CHECK enum err_code guard_explain_head(struct str sql, size_t *ret_len, struct err *err);

// Finds the conditions in the WHERE of a SELECT_NODE that has been walked; `first` is the number of
// mentions before it.
void guard_prune(struct guard_walk *w, const struct ast *select, size_t first);
