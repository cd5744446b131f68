// tarn_live() and tarn_placed(): the rows of a scan without those that were deleted.
//
// A scan's bitmaps are registered under a number for as long as its statement runs. The function
// finds them once for each chunk of 2048 rows; then a row costs a load and a shift. Its arguments
// are key BIGINT, file UBIGINT (the reader's file_index) and row BIGINT (its file_row_number).

#include <stdlib.h>

#include "engine/engine_int.h"

#define FILE_BITS 24

int64_t engine_live_key(int64_t id, size_t first) {
    CHECK(first < ENGINE_LIVE_FILES_MAX);
    return (id << FILE_BITS) | (int64_t)first;
}

int64_t engine_live_add(struct engine *e, const struct engine_live_file *files, size_t count) {
    CHECK(count <= ENGINE_LIVE_FILES_MAX);
    return engine_named_add(e->live, files, count);
}

void engine_live_remove(struct engine *e, int64_t id) {
    engine_named_remove(e->live, id);
}

// The files of the scan that a key names; NULL: there is no such scan.
static const struct engine_live_file *find(struct engine *e, int64_t key, size_t *ret_count) {
    return engine_named_find(e->live, key >> FILE_BITS, ret_count);
}

static bool is_live(const struct engine_live_file *f, uint64_t row) {
    return f->deleted == NULL || row >= f->rows || (f->deleted[row / 64] >> (row % 64) & 1) == 0;
}

// All three arguments come as plain vectors without NULLs: the first is a constant of the
// statement, the others are made by the reader.
static void live_rows(duckdb_function_info info, duckdb_data_chunk input, duckdb_vector output) {
    struct engine *e = duckdb_scalar_function_get_extra_info(info);
    const size_t rows = duckdb_data_chunk_get_size(input);
    const int64_t *key = duckdb_vector_get_data(duckdb_data_chunk_get_vector(input, 0));
    const uint64_t *file = duckdb_vector_get_data(duckdb_data_chunk_get_vector(input, 1));
    const int64_t *row = duckdb_vector_get_data(duckdb_data_chunk_get_vector(input, 2));
    bool *out = duckdb_vector_get_data(output);
    if (rows == 0) {
        return;
    }
    const uint64_t first = (uint64_t)key[0] & ((1U << FILE_BITS) - 1);
    size_t file_count = 0;
    const struct engine_live_file *files = find(e, key[0], &file_count);
    if (files == NULL) {
        duckdb_scalar_function_set_error(info, "tarn_live: no such scan");
        return;
    }
    for (size_t i = 0; i < rows; i++) {
        const uint64_t at = first + file[i];
        out[i] = at >= file_count || is_live(&files[at], (uint64_t)row[i]);
    }
}

// No bit among `rows` from row `from` on is set.
static bool is_clear(const struct engine_live_file *f, uint64_t from, size_t rows) {
    const uint64_t to = from + rows; // at most f->rows
    uint64_t set = f->deleted[from / 64] >> (from % 64) << (from % 64);
    for (uint64_t word = from / 64; word < (to - 1) / 64; word++) {
        if (set != 0) {
            return false;
        }
        set = f->deleted[word + 1];
    }
    return to % 64 == 0 ? set == 0 : (set & ((UINT64_C(1) << (to % 64)) - 1)) == 0;
}

// tarn_live for a scan of one file. A reader gives rows in their order, so that whole chunks are
// often without a deleted row.
static void live_rows_of_one(duckdb_function_info info, duckdb_data_chunk input,
                             duckdb_vector output) {
    struct engine *e = duckdb_scalar_function_get_extra_info(info);
    const size_t rows = duckdb_data_chunk_get_size(input);
    const int64_t *key = duckdb_vector_get_data(duckdb_data_chunk_get_vector(input, 0));
    const int64_t *row = duckdb_vector_get_data(duckdb_data_chunk_get_vector(input, 1));
    bool *out = duckdb_vector_get_data(output);
    if (rows == 0) {
        return;
    }
    const uint64_t at = (uint64_t)key[0] & ((1U << FILE_BITS) - 1);
    size_t file_count = 0;
    const struct engine_live_file *files = find(e, key[0], &file_count);
    if (files == NULL || at >= file_count) {
        duckdb_scalar_function_set_error(info, "tarn_live_one: no such scan");
        return;
    }
    const struct engine_live_file *f = &files[at];
    const uint64_t from = (uint64_t)row[0];
    const bool together = (uint64_t)row[rows - 1] == from + rows - 1 && from + rows <= f->rows;
    if (f->deleted == NULL || (together && is_clear(f, from, rows))) {
        memset(out, 1, rows);
        return;
    }
    for (size_t i = 0; i < rows; i++) {
        out[i] = is_live(f, (uint64_t)row[i]);
    }
}

// The file that has the row, or NULL. Files are sorted by where they start.
static const struct engine_live_file *placed_find(const struct engine_live_file *files,
                                                  size_t count, uint64_t row) {
    size_t low = 0;
    size_t high = count;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if (files[middle].start <= row) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    const struct engine_live_file *f = low > 0 ? &files[low - 1] : NULL;
    return f != NULL && row - f->start < f->rows ? f : NULL;
}

static void placed_rows(duckdb_function_info info, duckdb_data_chunk input, duckdb_vector output) {
    struct engine *e = duckdb_scalar_function_get_extra_info(info);
    const size_t rows = duckdb_data_chunk_get_size(input);
    const int64_t *key = duckdb_vector_get_data(duckdb_data_chunk_get_vector(input, 0));
    const int64_t *count = duckdb_vector_get_data(duckdb_data_chunk_get_vector(input, 1));
    const int64_t *row = duckdb_vector_get_data(duckdb_data_chunk_get_vector(input, 2));
    bool *out = duckdb_vector_get_data(output);
    if (rows == 0) {
        return;
    }
    const size_t first = (size_t)key[0] & ((1U << FILE_BITS) - 1);
    size_t file_count = 0;
    const struct engine_live_file *files = find(e, key[0], &file_count);
    if (files == NULL || first > file_count || (size_t)count[0] > file_count - first) {
        duckdb_scalar_function_set_error(info, "tarn_placed: no such scan");
        return;
    }
    const struct engine_live_file *f = NULL;
    for (size_t i = 0; i < rows; i++) {
        const uint64_t at = (uint64_t)row[i];
        if (f == NULL || at < f->start || at - f->start >= f->rows) {
            f = placed_find(files + first, (size_t)count[0], at);
        }
        out[i] = f != NULL && is_live(f, at - f->start);
    }
}

static void add_parameter(duckdb_scalar_function f, duckdb_type type) {
    DEFER(engine_logical_typep) duckdb_logical_type t = duckdb_create_logical_type(type);
    duckdb_scalar_function_add_parameter(f, t);
}

// second DUCKDB_TYPE_INVALID: there are two parameters only.
static enum err_code add_function(struct engine *e, struct session *s, const char *name,
                                  duckdb_type second, duckdb_scalar_function_t fn,
                                  struct err *err) {
    DEFER(duckdb_destroy_scalar_function)
    duckdb_scalar_function f = duckdb_create_scalar_function();
    duckdb_scalar_function_set_name(f, name);
    add_parameter(f, DUCKDB_TYPE_BIGINT);
    if (second != DUCKDB_TYPE_INVALID) {
        add_parameter(f, second);
    }
    add_parameter(f, DUCKDB_TYPE_BIGINT);
    DEFER(engine_logical_typep)
    duckdb_logical_type truth = duckdb_create_logical_type(DUCKDB_TYPE_BOOLEAN);
    duckdb_scalar_function_set_return_type(f, truth);
    duckdb_scalar_function_set_extra_info(f, e, NULL);
    duckdb_scalar_function_set_function(f, fn);
    if (duckdb_register_scalar_function(s->con, f) != DuckDBSuccess) {
        return err_set(err, ERR_INTERNAL, "the engine does not take the function %s", name);
    }
    return ERR_OK;
}

enum err_code engine_live_open(struct engine *e, struct err *err) {
    e->live = engine_named_new();
    DEFER(session_closep) struct session *s = NULL;
    TRY(session_open(e, &s, err));
    TRY(add_function(e, s, "tarn_live", DUCKDB_TYPE_UBIGINT, live_rows, err));
    TRY(add_function(e, s, "tarn_live_one", DUCKDB_TYPE_INVALID, live_rows_of_one, err));
    return add_function(e, s, "tarn_placed", DUCKDB_TYPE_BIGINT, placed_rows, err);
}

void engine_live_release(struct engine *e) {
    engine_named_free(e->live);
}
