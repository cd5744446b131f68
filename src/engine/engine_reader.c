// Readers: C functions that the server's own statements call to make values of text.

#include "engine/engine_int.h"

static const struct layout {
    enum vec_kind kind;
    duckdb_type type;
    size_t bytes;
} layouts[] = {
    {VEC_BOOL, DUCKDB_TYPE_BOOLEAN, 1},
    {VEC_INT64, DUCKDB_TYPE_BIGINT, 8},
    {VEC_DOUBLE, DUCKDB_TYPE_DOUBLE, 8},
    {VEC_DATE, DUCKDB_TYPE_DATE, 4},
    {VEC_TIME, DUCKDB_TYPE_TIME, 8},
    {VEC_TIMESTAMP, DUCKDB_TYPE_TIMESTAMP, 8},
    {VEC_TIMESTAMPTZ, DUCKDB_TYPE_TIMESTAMP_TZ, 8},
};

static const struct layout *find_layout(enum vec_kind kind) {
    for (size_t i = 0; i < ARRAY_LEN(layouts); i++) {
        if (layouts[i].kind == kind) {
            return &layouts[i];
        }
    }
    return NULL;
}

// The argument comes as a plain vector.
static void read_rows(duckdb_function_info info, duckdb_data_chunk input, duckdb_vector output) {
    const struct engine_reader *r = duckdb_scalar_function_get_extra_info(info);
    const size_t bytes = find_layout(r->kind)->bytes;
    const size_t rows = duckdb_data_chunk_get_size(input);
    duckdb_vector column = duckdb_data_chunk_get_vector(input, 0);
    const struct vec texts = {
        .data = duckdb_vector_get_data(column),
        .validity = duckdb_vector_get_validity(column),
    };
    char *out = duckdb_vector_get_data(output);
    uint64_t *validity = NULL;
    if (texts.validity != NULL) {
        duckdb_vector_ensure_validity_writable(output);
        validity = duckdb_vector_get_validity(output);
    }
    for (size_t i = 0; i < rows; i++, out += bytes) {
        if (vec_is_null(&texts, i)) {
            duckdb_validity_set_row_invalid(validity, i);
        } else if (!r->read(vec_str(&texts, i), out)) {
            duckdb_scalar_function_set_error(info, "another type");
            return;
        }
    }
}

enum err_code engine_reader_add(struct engine *e, const struct engine_reader *r, struct err *err) {
    const struct layout *layout = find_layout(r->kind);
    CHECK(layout != NULL);
    DEFER(session_closep) struct session *s = NULL;
    TRY(session_open(e, &s, err));
    DEFER(duckdb_destroy_scalar_function)
    duckdb_scalar_function f = duckdb_create_scalar_function();
    DEFER(engine_logical_typep)
    duckdb_logical_type text = duckdb_create_logical_type(DUCKDB_TYPE_VARCHAR);
    DEFER(engine_logical_typep)
    duckdb_logical_type result = duckdb_create_logical_type(layout->type);
    duckdb_scalar_function_set_name(f, r->name);
    duckdb_scalar_function_add_parameter(f, text);
    duckdb_scalar_function_set_return_type(f, result);
    // The engine does not write there.
    duckdb_scalar_function_set_extra_info(f, (void *)(uintptr_t)r, NULL);
    duckdb_scalar_function_set_function(f, read_rows);
    if (duckdb_register_scalar_function(s->con, f) != DuckDBSuccess) {
        return err_set(err, ERR_INTERNAL, "the engine does not take the function %s", r->name);
    }
    return ERR_OK;
}
