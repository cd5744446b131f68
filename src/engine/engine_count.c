// tarn_count(): texts as they pass are shown to a function of the server's, which counts in them.
//
// A statement has "sum(tarn_count(id, a))". The function may be called for a text once though many
// rows have it: the engine looks at a dictionary's entries, not at its rows, where it can.

#include "engine/engine_int.h"

int64_t engine_count_begin(struct engine *e, const struct engine_counter *counter) {
    return engine_named_add(e->counters, counter, 1);
}

void engine_count_end(struct engine *e, int64_t id) {
    engine_named_remove(e->counters, id);
}

static void count_rows(duckdb_function_info info, duckdb_data_chunk input, duckdb_vector output) {
    struct engine *e = duckdb_scalar_function_get_extra_info(info);
    const size_t rows = duckdb_data_chunk_get_size(input);
    const int64_t *id = duckdb_vector_get_data(duckdb_data_chunk_get_vector(input, 0));
    duckdb_vector column = duckdb_data_chunk_get_vector(input, 1);
    const struct vec texts = {.data = duckdb_vector_get_data(column),
                              .validity = duckdb_vector_get_validity(column)};
    int64_t *out = duckdb_vector_get_data(output);
    if (rows == 0) {
        return;
    }
    const struct engine_counter *c = engine_named_find(e->counters, id[0], NULL);
    if (c == NULL) {
        duckdb_scalar_function_set_error(info, "tarn_count: no such counter");
        return;
    }
    for (size_t i = 0; i < rows; i++) {
        out[i] = vec_is_null(&texts, i) ? 0 : c->count(c->ctx, vec_str(&texts, i));
    }
}

static void add_form(duckdb_scalar_function_set set, duckdb_type type, struct engine *e) {
    DEFER(duckdb_destroy_scalar_function)
    duckdb_scalar_function f = duckdb_create_scalar_function();
    DEFER(engine_logical_typep) duckdb_logical_type text = duckdb_create_logical_type(type);
    DEFER(engine_logical_typep)
    duckdb_logical_type number = duckdb_create_logical_type(DUCKDB_TYPE_BIGINT);
    duckdb_scalar_function_set_name(f, "tarn_count");
    duckdb_scalar_function_add_parameter(f, number);
    duckdb_scalar_function_add_parameter(f, text);
    duckdb_scalar_function_set_return_type(f, number);
    duckdb_scalar_function_set_special_handling(f); // of NULLs: they are nothing
    duckdb_scalar_function_set_extra_info(f, e, NULL);
    duckdb_scalar_function_set_function(f, count_rows);
    (void)duckdb_add_scalar_function_to_set(set, f);
}

enum err_code engine_count_open(struct engine *e, struct err *err) {
    e->counters = engine_named_new();
    DEFER(session_closep) struct session *s = NULL;
    TRY(session_open(e, &s, err));
    DEFER(duckdb_destroy_scalar_function_set)
    duckdb_scalar_function_set set = duckdb_create_scalar_function_set("tarn_count");
    add_form(set, DUCKDB_TYPE_VARCHAR, e);
    add_form(set, DUCKDB_TYPE_BLOB, e);
    if (duckdb_register_scalar_function_set(s->con, set) != DuckDBSuccess) {
        return err_set(err, ERR_INTERNAL, "the engine does not take the function tarn_count");
    }
    return ERR_OK;
}

void engine_count_release(struct engine *e) {
    engine_named_free(e->counters);
}
