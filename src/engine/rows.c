// Results: chunks of rows as the engine makes them, never more than its stream buffer ahead.
#include "engine/engine_int.h"

#include <stdlib.h>

struct rows {
    struct session *session;   // NULL: of a source
    struct rows_source source; // whose names and types are in columns
    struct arena arena;        // the statement, names, types, views
    struct str sql;
    duckdb_prepared_statement statement;
    duckdb_result result;
    duckdb_data_chunk chunk;
    bool ended;
    bool once; // not run again for the reason of its failure
    struct rows_column *columns;
    struct vec *vecs; // first one per column, then their children
    struct vec_chunk view;
};

#define REASON_TRIES 10

// The tag of a UNION is a child that its type does not name.
static const struct vec_type tag_type = {.kind = VEC_UINT8, .text = {"UTINYINT", 8}};

static duckdb_vector child_of(duckdb_vector in, enum vec_kind kind, size_t child) {
    switch (kind) {
    case VEC_LIST:
    case VEC_MAP:
        return duckdb_list_vector_get_child(in);
    case VEC_ARRAY:
        return duckdb_array_vector_get_child(in);
    default:
        return duckdb_struct_vector_get_child(in, child);
    }
}

// Makes v show the vector; vecs for its children come from *spare.
static void show(duckdb_vector in, const struct vec_type *type, struct vec *v, struct vec **spare) {
    v->type = type;
    v->data = duckdb_vector_get_data(in);
    v->validity = duckdb_vector_get_validity(in);
    const size_t tags = type->kind == VEC_UNION ? 1 : 0;
    const size_t count = type->child_count + tags;
    struct vec *children = *spare;
    v->children = children;
    *spare += count;
    for (size_t i = 0; i < count; i++) {
        const struct vec_type *t = i < tags ? &tag_type : &type->children[i - tags];
        show(child_of(in, type->kind, i), t, &children[i], spare);
    }
}

static void show_chunk(struct rows *r) {
    struct vec *spare = r->vecs + r->view.column_count;
    for (size_t i = 0; i < r->view.column_count; i++) {
        duckdb_vector in = duckdb_data_chunk_get_vector(r->chunk, i);
        show(in, &r->columns[i].type, &r->vecs[i], &spare);
    }
    r->view.rows = duckdb_data_chunk_get_size(r->chunk);
}

static enum err_code describe(struct rows *r, struct err *err) {
    const size_t count = duckdb_column_count(&r->result);
    size_t vecs = count;
    r->columns = arena_array(&r->arena, count, sizeof(*r->columns));
    for (size_t i = 0; i < count; i++) {
        struct rows_column *c = &r->columns[i];
        DEFER(duckdb_destroy_logical_type)
        duckdb_logical_type type = duckdb_column_logical_type(&r->result, i);
        c->name = arena_str(&r->arena, str_from(duckdb_column_name(&r->result, i)));
        engine_type(type, &r->arena, &c->type);
        const struct vec_type *other = engine_type_other(&c->type);
        if (other) {
            return err_set(err, ERR_SQL,
                           "column \"" STR_FMT "\" is of type " STR_FMT
                           ", which has no form outside the engine: cast it to VARCHAR",
                           STR_ARG(c->name), STR_ARG(other->text));
        }
        vecs += engine_type_vecs(&c->type);
    }
    r->vecs = arena_array(&r->arena, vecs, sizeof(*r->vecs));
    r->view = (struct vec_chunk){.column_count = count, .columns = r->vecs};
    return ERR_OK;
}

// The next chunk that has rows. A NULL chunk is the end only if the result has no error.
static enum err_code fetch(struct rows *r, struct err *err) {
    do {
        duckdb_destroy_data_chunk(&r->chunk);
        r->chunk = duckdb_fetch_chunk(r->result);
    } while (r->chunk && duckdb_data_chunk_get_size(r->chunk) == 0);
    const char *text = r->chunk ? NULL : duckdb_result_error(&r->result);
    return text && *text ? engine_fail_result(r->session, &r->result, r->sql, err) : ERR_OK;
}

static enum err_code execute(struct rows *r, struct err *err) {
    duckdb_destroy_data_chunk(&r->chunk);
    duckdb_destroy_result(&r->result);
    return duckdb_execute_prepared_streaming(r->statement, &r->result) == DuckDBSuccess
               ? ERR_OK
               : engine_fail_result(r->session, &r->result, r->sql, err);
}

static enum err_code run_to_end(struct rows *r, struct err *err) {
    TRY(execute(r, err));
    do {
        TRY(fetch(r, err));
    } while (r->chunk);
    return ERR_OK;
}

// Whoever was told of some rows has them; the rows of these runs are of no interest. When the
// statement does not fail again, its first failure stands.
static enum err_code find_reason(struct rows *r, struct err *err) {
    for (size_t i = 0; i < REASON_TRIES && !r->once && err->code == ERR_BUSY; i++) {
        struct err again = ERR_NONE;
        if (run_to_end(r, &again) != ERR_OK) {
            *err = again;
        }
    }
    return err->code;
}

static enum err_code start(struct rows *r, const struct str *arg, struct err *err) {
    struct session *s = r->session;
    if (duckdb_prepare(s->con, r->sql.ptr, &r->statement) != DuckDBSuccess) {
        return engine_fail(s, DUCKDB_ERROR_INVALID, duckdb_prepare_error(r->statement), r->sql,
                           err);
    }
    if (arg && duckdb_bind_varchar_length(r->statement, 1, arg->ptr ? arg->ptr : "", arg->len) !=
                   DuckDBSuccess) {
        return err_set(err, ERR_INVALID, "the argument is not valid UTF-8");
    }
    if (!arg && duckdb_nparams(r->statement) == 1) {
        (void)duckdb_bind_boolean(r->statement, 1, false); // ENGINE_FALSE_LATE
    }
    if (execute(r, err) != ERR_OK) {
        return find_reason(r, err);
    }
    return describe(r, err);
}

static enum err_code query(struct session *s, struct str sql, const struct str *arg, bool once,
                           struct rows **ret, struct err *err) {
    DEFER(rows_closep) struct rows *r = xcalloc(1, sizeof(*r));
    r->session = s;
    r->once = once;
    r->arena = ARENA(sql.len + (1 << 20));
    TRY(engine_check_sql(sql, err));
    r->sql = (struct str){arena_cstr(&r->arena, sql), sql.len};
    TRY(session_begin(s, err));
    const enum err_code code = start(r, arg, err);
    session_end(s);
    TRY(code);
    *ret = TAKE(r);
    return ERR_OK;
}

enum err_code session_query(struct session *s, struct str sql, struct rows **ret, struct err *err) {
    return query(s, sql, NULL, false, ret, err);
}

enum err_code session_query_once(struct session *s, struct str sql, struct rows **ret,
                                 struct err *err) {
    return query(s, sql, NULL, true, ret, err);
}

enum err_code session_query_text(struct session *s, const char *sql, struct str arg,
                                 struct rows **ret, struct err *err) {
    return query(s, str_from(sql), &arg, false, ret, err);
}

struct rows *rows_from(const struct rows_source *s) {
    struct rows *r = xcalloc(1, sizeof(*r));
    r->source = *s;
    r->arena = ARENA(SIZE_MAX);
    r->columns = arena_array(&r->arena, s->column_count, sizeof(*r->columns));
    r->view.column_count = s->column_count;
    for (size_t i = 0; i < s->column_count; i++) {
        r->columns[i] = (struct rows_column){s->names[i], s->types[i]};
    }
    return r;
}

size_t rows_column_count(const struct rows *r) {
    return r->view.column_count;
}

struct str rows_column_name(const struct rows *r, size_t column) {
    CHECK(column < r->view.column_count);
    return r->columns[column].name;
}

const struct vec_type *rows_column_type(const struct rows *r, size_t column) {
    CHECK(column < r->view.column_count);
    return &r->columns[column].type;
}

enum err_code rows_next(struct rows *r, const struct vec_chunk **ret_chunk, struct err *err) {
    if (r->ended) {
        *ret_chunk = NULL;
        return ERR_OK;
    }
    if (!r->session) {
        TRY(r->source.next(r->source.ctx, ret_chunk, err));
        r->ended = *ret_chunk == NULL;
        return ERR_OK;
    }
    TRY(session_begin(r->session, err));
    const enum err_code code = fetch(r, err) == ERR_OK ? ERR_OK : find_reason(r, err);
    session_end(r->session);
    TRY(code);
    r->ended = r->chunk == NULL;
    if (r->chunk) {
        show_chunk(r);
    }
    *ret_chunk = r->ended ? NULL : &r->view;
    return ERR_OK;
}

void rows_close(struct rows *r) {
    if (!r) {
        return;
    }
    if (!r->session) {
        r->source.close(r->source.ctx);
    }
    duckdb_destroy_data_chunk(&r->chunk);
    duckdb_destroy_result(&r->result);
    duckdb_destroy_prepare(&r->statement);
    arena_release(&r->arena);
    free(r);
}

void rows_closep(struct rows **r) {
    rows_close(*r);
    *r = NULL;
}
