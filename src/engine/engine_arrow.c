// Arrow's rows into a temporary table: windows of a batch become chunks of an appender.
#include "engine/arrow.h"
#include "engine/engine_int.h"

#include <stdlib.h>

struct session_arrow {
    struct session *session;
    duckdb_arrow_converted_schema schema;
    duckdb_appender appender;
};

void arrow_schema_keep(struct ArrowSchema *s) {
    s->release = NULL;
}

void arrow_array_keep(struct ArrowArray *a) {
    a->release = NULL;
}

static enum err_code check(struct session *s, duckdb_error_data error, struct err *err) {
    enum err_code code = ERR_OK;
    if (error != NULL && duckdb_error_data_has_error(error)) {
        code = engine_fail(s, duckdb_error_data_error_type(error), duckdb_error_data_message(error),
                           STR_NONE, err);
    }
    if (error != NULL) {
        duckdb_destroy_error_data(&error);
    }
    return code;
}

static enum err_code appender_fail(struct session_arrow *w, struct err *err) {
    duckdb_error_data error = duckdb_appender_error_data(w->appender);
    TRY(check(w->session, error, err));
    return err_set(err, ERR_INTERNAL, "the engine does not take the rows");
}

enum err_code session_arrow_open(struct session *s, struct ArrowSchema *schema, const char *table,
                                 struct session_arrow **ret, struct err *err) {
    DEFER(session_arrow_closep) struct session_arrow *w = xcalloc(1, sizeof(*w));
    w->session = s;
    TRY(check(s, duckdb_schema_from_arrow(s->con, schema, &w->schema), err));
    if (duckdb_appender_create_ext(s->con, "temp", "main", table, &w->appender) != DuckDBSuccess) {
        return appender_fail(w, err);
    }
    *ret = TAKE(w);
    return ERR_OK;
}

static void chunkp(duckdb_data_chunk *chunk) {
    if (*chunk != NULL) {
        duckdb_destroy_data_chunk(chunk);
    }
}

static enum err_code add_window(struct session_arrow *w, const struct ArrowArray *batch,
                                int64_t start, int64_t count, struct err *err) {
    for (int64_t i = 0; i < batch->n_children; i++) {
        batch->children[i]->offset = start;
        batch->children[i]->length = count;
    }
    // The engine takes this copy for its own and releases it with the chunk.
    struct ArrowArray window = *batch;
    window.length = count;
    window.release = arrow_array_keep;
    DEFER(chunkp) duckdb_data_chunk chunk = NULL;
    TRY(check(w->session, duckdb_data_chunk_from_arrow(w->session->con, &window, w->schema, &chunk),
              err));
    return duckdb_append_data_chunk(w->appender, chunk) == DuckDBSuccess ? ERR_OK
                                                                         : appender_fail(w, err);
}

enum err_code session_arrow_add(struct session_arrow *w, struct ArrowArray *batch,
                                struct err *err) {
    const int64_t step = (int64_t)duckdb_vector_size();
    for (int64_t at = 0; at < batch->length; at += step) {
        TRY(session_begin(w->session, err));
        const enum err_code code = add_window(w, batch, at, MIN(step, batch->length - at), err);
        session_end(w->session);
        TRY(code);
    }
    return ERR_OK;
}

enum err_code session_arrow_end(struct session_arrow *w, struct err *err) {
    TRY(session_begin(w->session, err));
    const duckdb_state state = duckdb_appender_close(w->appender);
    session_end(w->session);
    return state == DuckDBSuccess ? ERR_OK : appender_fail(w, err);
}

void session_arrow_closep(struct session_arrow **w) {
    if (*w == NULL) {
        return;
    }
    if ((*w)->appender != NULL) {
        (void)duckdb_appender_destroy(&(*w)->appender);
    }
    if ((*w)->schema != NULL) {
        duckdb_destroy_arrow_converted_schema(&(*w)->schema);
    }
    free(*w);
    *w = NULL;
}
