// What the files of engine/ share: the instance, its sessions and the way from the engine's errors
// to ours.
#pragma once

#include <duckdb.h>

#include "base/threads.h"
#include "engine/engine.h"
#include "engine/engine_named.h"

struct parser;
struct sums;

struct engine {
    duckdb_database db;
    int64_t memory_bytes;
    pthread_mutex_t lock;     // guards everything below
    pthread_cond_t wake;      // for the watcher
    struct session *sessions; // all that are open
    struct parser *parsers;   // idle ones
    size_t parser_count;      // how many of them
    pthread_t watcher;
    bool watching; // the watcher runs
    bool stopping;
    int64_t wake_us;           // when the watcher looks next
    struct engine_named *live; // deleted rows of scans
    struct engine_named *counters, *mappers;
    struct sums *sums; // of rows that pass; has a lock of its own
};

struct session {
    struct engine *engine;
    duckdb_connection con;
    struct session *prev, *next; // guarded by engine->lock
    bool running;                // inside a call of the engine; guarded by engine->lock
    _Atomic bool interrupted;
    _Atomic int64_t deadline_us;
};

// One column of a result.
struct rows_column {
    struct str name;
    struct vec_type type;
};

// For DEFER of a text that the engine has allocated.
static inline void engine_textp(char **text) {
    duckdb_free(*text);
}

static inline void engine_logical_typep(duckdb_logical_type *t) {
    duckdb_destroy_logical_type(t);
}

// Brackets every call that may take time: _begin refuses when the session was interrupted or its
// deadline has passed, and lets the watcher see the session until _end.
MUST_CHECK enum err_code session_begin(struct session *s, struct err *err);
void session_end(struct session *s);
// ERR_CANCELLED, ERR_TIMEOUT or ERR_OK.
enum err_code session_stop_code(const struct session *s, int64_t now_us);
// With the lock held; starts the watcher if it does not run yet.
void engine_watch(struct engine *e);

// As session_query, for a statement that must not run twice.
MUST_CHECK enum err_code session_query_once(struct session *s, struct str sql, struct rows **ret,
                                            struct err *err);

// Fills *err from the engine's text; ERR_BUSY when it has lost the reason. type is
// DUCKDB_ERROR_INVALID where the engine gives none; then the text's own prefix tells. sql gives the
// position its meaning. s may be NULL.
enum err_code engine_fail(const struct session *s, duckdb_error_type type, const char *text,
                          struct str sql, struct err *err);
enum err_code engine_fail_result(const struct session *s, duckdb_result *result, struct str sql,
                                 struct err *err);
// Byte offset of the character number `chars` of the text, at most its length.
size_t engine_char_offset(struct str text, size_t chars);

// Our form of a logical type. Texts live in the arena.
void engine_type(duckdb_logical_type in, struct arena *a, struct vec_type *ret);
// The first part of the type that vec.h has no layout for, or NULL.
const struct vec_type *engine_type_other(const struct vec_type *t);
// How many vecs the children of one vec of this type need, all levels together.
size_t engine_type_vecs(const struct vec_type *t);

// Refuses texts with a NUL inside: the engine would see only what stands before it.
MUST_CHECK enum err_code engine_check_sql(struct str sql, struct err *err);
// Makes tarn_live() known to the instance.
MUST_CHECK enum err_code engine_live_open(struct engine *e, struct err *err);
void engine_live_release(struct engine *e);
// The same for tarn_sum().
MUST_CHECK enum err_code engine_sum_open(struct engine *e, struct err *err);
void engine_sum_release(struct engine *e);
// And for tarn_count().
MUST_CHECK enum err_code engine_count_open(struct engine *e, struct err *err);
void engine_count_release(struct engine *e);
// And for tarn_map().
MUST_CHECK enum err_code engine_map_open(struct engine *e, struct err *err);
void engine_map_release(struct engine *e);

// Frees what engine_parse keeps.
void engine_parsers_release(struct engine *e);
