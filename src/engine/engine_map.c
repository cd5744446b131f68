// tarn_map(): values as they pass are changed by functions of the server's.
//
// One name with a form for each type. The functions have no side effects, and the engine may know
// it: it asks for a constant once, and for a dictionary's entries in the place of its rows.

#include "engine/engine_map.h"
#include "engine/engine_int.h"

#define TEXT_MAX UINT32_MAX // of one value, in the engine

// The rows of one call: NULLs are passed on by the column's validity.
struct map_rows {
    const struct engine_mapper *mapper;
    struct vec in;
    duckdb_vector output;
    size_t rows;
};

int64_t engine_map_begin(struct engine *e, const struct engine_mapper *mapper) {
    return engine_named_add(e->mappers, mapper, 1);
}

void engine_map_end(struct engine *e, int64_t id) {
    engine_named_remove(e->mappers, id);
}

// Rows of a chunk by their texts: what was made of a text once is the same for the next row that
// has it. A row may be forgotten for another one.
#define KNOWN 4096
struct known {
    uint16_t rows[KNOWN]; // number + 1; 0: none
};

// Where a row with that text would be noted.
static uint16_t *known_slot(struct known *k, struct str text) {
    uint64_t hash = UINT64_C(14695981039346656037) ^ text.len;
    for (size_t at = 0; at < MIN(text.len, 64);
         at += 8) { // longer ones differ early, or are made twice
        uint64_t word = 0;
        memcpy(&word, text.ptr + at, MIN(text.len - at, 8));
        hash = (hash ^ word) * UINT64_C(0x9E3779B97F4A7C15);
        hash ^= hash >> 29;
    }
    return &k->rows[(hash >> 32) % KNOWN];
}

// NULL, or why not. Texts that are found again share the first one's bytes.
static const char *map_texts(const struct map_rows *r) {
    DEFER(buf_release) struct buf out = BUF(TEXT_MAX);
    struct known known = {0};
    struct vec_string_cell *cells = duckdb_vector_get_data(r->output);
    if (r->mapper->text == NULL) {
        return "tarn_map: the mapper takes no text";
    }
    for (size_t i = 0; i < r->rows; i++) {
        if (vec_is_null(&r->in, i)) {
            continue;
        }
        const struct str text = vec_str(&r->in, i);
        uint16_t *slot = known_slot(&known, text);
        if (*slot > 0 && str_eq(vec_str(&r->in, *slot - 1U), text)) {
            cells[i] = cells[*slot - 1];
            continue;
        }
        *slot = i < UINT16_MAX ? (uint16_t)(i + 1) : *slot;
        buf_reset(&out);
        r->mapper->text(r->mapper->ctx, text, &out);
        if (out.overflow) {
            return "tarn_map: a value is past 4 GiB";
        }
        duckdb_vector_assign_string_element_len(r->output, i, out.len > 0 ? out.ptr : "", out.len);
    }
    return NULL;
}

static const char *map_dates(const struct map_rows *r) {
    const int32_t *in = r->in.data;
    int32_t *out = duckdb_vector_get_data(r->output);
    if (r->mapper->date == NULL) {
        return "tarn_map: the mapper takes no date";
    }
    for (size_t i = 0; i < r->rows; i++) {
        if (!vec_is_null(&r->in, i)) {
            out[i] = r->mapper->date(r->mapper->ctx, in[i]);
        }
    }
    return NULL;
}

static const char *map_timestamps(const struct map_rows *r) {
    const int64_t *in = r->in.data;
    int64_t *out = duckdb_vector_get_data(r->output);
    if (r->mapper->timestamp == NULL) {
        return "tarn_map: the mapper takes no timestamp";
    }
    for (size_t i = 0; i < r->rows; i++) {
        if (!vec_is_null(&r->in, i)) {
            out[i] = r->mapper->timestamp(r->mapper->ctx, in[i]);
        }
    }
    return NULL;
}

static void pass_nulls(const struct map_rows *r) {
    if (r->in.validity == NULL) {
        return;
    }
    duckdb_vector_ensure_validity_writable(r->output);
    memcpy(duckdb_vector_get_validity(r->output), r->in.validity,
           (r->rows + 63) / 64 * sizeof(*r->in.validity));
}

// Both arguments come as plain vectors; the number is one constant of the statement.
static void map_chunk(duckdb_function_info info, duckdb_data_chunk input, duckdb_vector output,
                      const char *(*map)(const struct map_rows *r)) {
    struct engine *e = duckdb_scalar_function_get_extra_info(info);
    duckdb_vector ids = duckdb_data_chunk_get_vector(input, 0);
    duckdb_vector column = duckdb_data_chunk_get_vector(input, 1);
    const int64_t *id = duckdb_vector_get_data(ids);
    struct map_rows r = {
        .in = {.data = duckdb_vector_get_data(column),
               .validity = duckdb_vector_get_validity(column)},
        .output = output,
        .rows = duckdb_data_chunk_get_size(input),
    };
    if (r.rows == 0) {
        return;
    }
    r.mapper = engine_named_find(e->mappers, id[0], NULL);
    const char *failure = "tarn_map: no such mapper";
    if (r.mapper != NULL) {
        pass_nulls(&r);
        failure = map(&r);
    }
    if (failure != NULL) {
        duckdb_scalar_function_set_error(info, failure);
    }
}

static void map_text_chunk(duckdb_function_info info, duckdb_data_chunk input,
                           duckdb_vector output) {
    map_chunk(info, input, output, map_texts);
}

static void map_date_chunk(duckdb_function_info info, duckdb_data_chunk input,
                           duckdb_vector output) {
    map_chunk(info, input, output, map_dates);
}

static void map_timestamp_chunk(duckdb_function_info info, duckdb_data_chunk input,
                                duckdb_vector output) {
    map_chunk(info, input, output, map_timestamps);
}

static const struct form {
    duckdb_type type;
    duckdb_scalar_function_t fn;
} forms[] = {
    {DUCKDB_TYPE_VARCHAR, map_text_chunk},
    {DUCKDB_TYPE_DATE, map_date_chunk},
    {DUCKDB_TYPE_TIMESTAMP, map_timestamp_chunk},
    {DUCKDB_TYPE_TIMESTAMP_TZ, map_timestamp_chunk},
};

static void add_form(duckdb_scalar_function_set set, const struct form *form, struct engine *e) {
    DEFER(duckdb_destroy_scalar_function)
    duckdb_scalar_function f = duckdb_create_scalar_function();
    DEFER(engine_logical_typep)
    duckdb_logical_type number = duckdb_create_logical_type(DUCKDB_TYPE_BIGINT);
    DEFER(engine_logical_typep) duckdb_logical_type value = duckdb_create_logical_type(form->type);
    duckdb_scalar_function_set_name(f, "tarn_map");
    duckdb_scalar_function_add_parameter(f, number);
    duckdb_scalar_function_add_parameter(f, value);
    duckdb_scalar_function_set_return_type(f, value);
    duckdb_scalar_function_set_extra_info(f, e, NULL);
    duckdb_scalar_function_set_function(f, form->fn);
    CHECK(duckdb_add_scalar_function_to_set(set, f) == DuckDBSuccess);
}

enum err_code engine_map_open(struct engine *e, struct err *err) {
    e->mappers = engine_named_new();
    DEFER(session_closep) struct session *s = NULL;
    TRY(session_open(e, &s, err));
    DEFER(duckdb_destroy_scalar_function_set)
    duckdb_scalar_function_set set = duckdb_create_scalar_function_set("tarn_map");
    for (size_t i = 0; i < ARRAY_LEN(forms); i++) {
        add_form(set, &forms[i], e);
    }
    if (duckdb_register_scalar_function_set(s->con, set) != DuckDBSuccess) {
        return err_set(err, ERR_INTERNAL, "the engine does not take the function tarn_map");
    }
    return ERR_OK;
}

void engine_map_release(struct engine *e) {
    engine_named_free(e->mappers);
}
