// Parsing: statements to the engine's tree as JSON and back, by prepared statements that are kept.
//
// The tree is what json_serialize_sql gives, but for one thing: the members
// "query_location":18446744073709551615, which mean "nowhere", are left out, since that number
// is beyond what JSON readers with 64-bit signed integers take. The way back accepts both.
#include "engine/engine_int.h"

#include "base/json.h"

#include <stdlib.h>

#define IDLE_MAX 8

struct parser {
    struct parser *next;
    duckdb_connection con;
    duckdb_prepared_statement parse, unparse;
};

static void parser_free(struct parser *p) {
    if (p) {
        duckdb_destroy_prepare(&p->parse);
        duckdb_destroy_prepare(&p->unparse);
        duckdb_disconnect(&p->con);
        free(p);
    }
}

static void parser_freep(struct parser **p) {
    parser_free(*p);
}

void engine_parsers_release(struct engine *e) {
    while (e->parsers) {
        struct parser *p = e->parsers;
        e->parsers = p->next;
        parser_free(p);
    }
    e->parser_count = 0;
}

static enum err_code prepare(struct parser *p, const char *sql, duckdb_prepared_statement *ret,
                             struct err *err) {
    if (duckdb_prepare(p->con, sql, ret) != DuckDBSuccess) {
        return engine_fail(NULL, DUCKDB_ERROR_INVALID, duckdb_prepare_error(*ret), STR_NONE, err);
    }
    return ERR_OK;
}

static enum err_code parser_new(struct engine *e, struct parser **ret, struct err *err) {
    DEFER(parser_freep) struct parser *p = xcalloc(1, sizeof(*p));
    if (duckdb_connect(e->db, &p->con) != DuckDBSuccess) {
        (void)err_set(err, ERR_INTERNAL, "cannot connect to the engine");
        return ERR_INTERNAL;
    }
    TRY(prepare(p, "SELECT json_serialize_sql(?::VARCHAR)", &p->parse, err));
    // A parameter that is cast to two types (json_deserialize_sql() takes JSON) is bound anew each
    // time that the statement runs: 110 us.
    TRY(prepare(p,
                "SELECT sql, json_serialize_sql(sql) FROM (SELECT json_deserialize_sql(tree) AS sql"
                " FROM (SELECT ?::VARCHAR AS tree))",
                &p->unparse, err));
    *ret = TAKE(p);
    return ERR_OK;
}

static struct parser *take_idle(struct engine *e) {
    LOCKED(&e->lock);
    struct parser *p = e->parsers;
    if (p) {
        e->parsers = p->next;
        e->parser_count--;
    }
    return p;
}

static enum err_code parser_take(struct engine *e, struct parser **ret, struct err *err) {
    struct parser *p = take_idle(e);
    if (p) {
        *ret = p;
        return ERR_OK;
    }
    return parser_new(e, ret, err);
}

static bool keep_idle(struct engine *e, struct parser *p) {
    LOCKED(&e->lock);
    if (e->parser_count >= IDLE_MAX) {
        return false;
    }
    p->next = e->parsers;
    e->parsers = p;
    e->parser_count++;
    return true;
}

static void parser_give(struct engine *e, struct parser *p) {
    if (!keep_idle(e, p)) {
        parser_free(p);
    }
}

// Runs one of the two statements: text in, `count` texts out.
static enum err_code apply(duckdb_prepared_statement statement, struct str in, struct arena *a,
                           struct str *ret, size_t count, struct err *err) {
    if (duckdb_bind_varchar_length(statement, 1, in.ptr ? in.ptr : "", in.len) != DuckDBSuccess) {
        return err_set(err, ERR_INVALID, "the statement is not valid UTF-8");
    }
    DEFER(duckdb_destroy_result) duckdb_result result = {0};
    if (duckdb_execute_prepared_streaming(statement, &result) != DuckDBSuccess) {
        return engine_fail_result(NULL, &result, STR_NONE, err);
    }
    DEFER(duckdb_destroy_data_chunk) duckdb_data_chunk chunk = duckdb_fetch_chunk(result);
    if (!chunk || duckdb_data_chunk_get_size(chunk) != 1) {
        return engine_fail_result(NULL, &result, STR_NONE, err);
    }
    for (size_t i = 0; i < count; i++) {
        duckdb_vector vector = duckdb_data_chunk_get_vector(chunk, i);
        const struct vec v = {.data = duckdb_vector_get_data(vector),
                              .validity = duckdb_vector_get_validity(vector)};
        if (vec_is_null(&v, 0)) {
            return err_set(err, ERR_INTERNAL, "the engine's parser gave nothing");
        }
        ret[i] = arena_str(a, vec_str(&v, 0));
    }
    return ERR_OK;
}

// What {"error":true,...} says: a syntax error with its place, or a statement of another kind.
static enum err_code refusal(struct str json, struct str sql, struct err *err) {
    DEFER(json_decrefp) json_t *tree = NULL;
    struct str type = STR_NONE;
    struct str message = STR_NONE;
    struct str position = STR_NONE;
    int64_t chars = 0;
    TRY(json_parse(json, &tree, err));
    TRY(json_need_str(tree, "error_type", &type, err));
    TRY(json_need_str(tree, "error_message", &message, err));
    if (str_starts(message, STR("Only SELECT statements"))) {
        return err_set(err, ERR_REFUSED, "only queries (SELECT) can be run here");
    }
    (void)err_set(err, ERR_SQL, STR_FMT, STR_ARG(message));
    // The engine counts characters.
    if (json_get_str(tree, "position", &position) && str_to_i64(position, &chars) && chars >= 0) {
        err->position = (int64_t)engine_char_offset(sql, (size_t)chars);
    }
    return ERR_SQL;
}

// A copy without the "nowhere" members. Inside a JSON string their quotes would have a backslash,
// so the exact text is never part of one.
static struct str drop_nowhere(struct str json, struct arena *a) {
    const struct str member = STR(",\"query_location\":");
    const struct str number =
        STR("18446744073709551615"); // looked for, since commas are everywhere
    char *out = arena_alloc(a, json.len + 1);
    size_t len = 0;
    struct str rest = json;
    while (rest.len > 0) {
        const ptrdiff_t at = str_find(rest, number);
        const struct str before = str_slice(rest, 0, at < 0 ? rest.len : (size_t)at);
        const bool nowhere = at >= 0 && str_ends(before, member);
        const size_t behind = before.len + (at < 0 ? 0 : number.len);
        const size_t keep = nowhere ? before.len - member.len : behind;
        memcpy(out + len, rest.ptr, keep);
        len += keep;
        rest = str_slice(rest, behind, rest.len);
    }
    return (struct str){out, len};
}

// The tree in the engine's answer to the text.
static enum err_code take_tree(struct str json, struct str sql, struct arena *a, struct str *ret,
                               struct err *err) {
    if (str_starts(json, STR("{\"error\":true"))) {
        return refusal(json, sql, err);
    }
    *ret = drop_nowhere(json, a);
    return ERR_OK;
}

enum err_code engine_parse(struct engine *e, struct str sql, struct arena *a, struct str *ret_json,
                           struct err *err) {
    TRY(engine_check_sql(sql, err));
    DEFER(arena_release) struct arena scratch = ARENA(SIZE_MAX);
    struct parser *p = NULL;
    struct str json = STR_NONE;
    TRY(parser_take(e, &p, err));
    const enum err_code code = apply(p->parse, sql, &scratch, &json, 1, err);
    parser_give(e, p);
    TRY(code);
    return take_tree(json, sql, a, ret_json, err);
}

enum err_code engine_unparse(struct engine *e, struct str json, struct arena *a,
                             struct str *ret_sql, struct str *ret_json, struct err *err) {
    DEFER(arena_release) struct arena scratch = ARENA(SIZE_MAX);
    struct parser *p = NULL;
    struct str texts[2] = {STR_NONE, STR_NONE}; // SQL and tree
    TRY(parser_take(e, &p, err));
    const enum err_code code = apply(p->unparse, json, &scratch, texts, ARRAY_LEN(texts), err);
    parser_give(e, p);
    TRY(code);
    if (ret_json) {
        TRY(take_tree(texts[1], texts[0], a, ret_json, err));
    }
    *ret_sql = arena_str(a, texts[0]);
    return ERR_OK;
}
