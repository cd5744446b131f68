// Encoding measured: rows come from the engine as they would in a query, then go through each form.

#include "bench/encoding.h"

#include <stdio.h>

#include "base/clock.h"
#include "base/json.h"
#include "encode/encode.h"
#include "engine/engine.h"

#define OUT_MAX (64U << 20)
#define ROUNDS 3
#define TREE (-1) // instead of a format

static const char source[] =
    "SELECT i AS id, 'name ' || (i %% 1000) AS name, i * 0.25 AS price, "
    "i %% 2 = 0 AS even, TIMESTAMP '2026-01-01' + to_seconds(i) AS at FROM range(%lld) t(i)";

// What a run of rows costs in one form: CPU time of the work on chunks, without the engine's.
struct cost {
    int64_t us;
    int64_t dump_us; // TREE: to write it, which comes on top
};

static void value_to_tree(const struct vec *v, size_t row, json_t *object, const char *name) {
    DEFER(buf_release) struct buf text = BUF(1U << 16);
    json_t *value = NULL;
    if (vec_is_null(v, row)) {
        value = json_null();
    } else if (v->type->kind == VEC_INT64) {
        value = json_integer(((const int64_t *)v->data)[row]);
    } else if (v->type->kind == VEC_BOOL) {
        value = json_boolean(((const uint8_t *)v->data)[row] != 0);
    } else if (v->type->kind == VEC_VARCHAR) {
        value = json_new_str(vec_str(v, row));
    } else {
        encode_text(v, row, &text);
        value = json_new_str(buf_str(&text));
    }
    json_object_set_new(object, name, value);
}

static void chunk_to_tree(const struct vec_chunk *chunk, char names[][32], struct cost *cost) {
    const int64_t start = clock_cpu_us();
    DEFER(json_decrefp) json_t *rows = json_array();
    for (size_t r = 0; r < chunk->rows; r++) {
        json_t *object = json_object();
        for (size_t i = 0; i < chunk->column_count; i++) {
            value_to_tree(&chunk->columns[i], r, object, names[i]);
        }
        json_array_append_new(rows, object);
    }
    const int64_t built = clock_cpu_us();
    DEFER(arena_release) struct arena a = ARENA(OUT_MAX);
    CHECK(json_text(rows, &a).len > 0);
    cost->us += built - start;
    cost->dump_us += clock_cpu_us() - built;
}

static struct cost measure(struct engine *e, int64_t rows, int format) {
    struct err err = ERR_NONE;
    DEFER(session_closep) struct session *s = NULL;
    DEFER(rows_closep) struct rows *result = NULL;
    DEFER(encoder_freep) struct encoder *encoder = NULL;
    DEFER(buf_release) struct buf out = BUF(OUT_MAX);
    DEFER(arena_release) struct arena a = ARENA(1 << 20);
    char names[8][32];
    struct cost cost = {0};
    struct encode_column columns[8];
    struct encode_options o = {.format = (enum encode_format)(format == TREE ? 0 : format)};
    CHECK(session_open(e, &s, &err) == ERR_OK);
    CHECK(session_query(s, arena_printf(&a, source, (long long)rows), &result, &err) == ERR_OK);
    size_t count = rows_column_count(result);
    CHECK(count <= ARRAY_LEN(columns));
    for (size_t i = 0; i < count; i++) {
        columns[i] =
            (struct encode_column){rows_column_name(result, i), rows_column_type(result, i)};
        (void)snprintf(names[i], sizeof(names[i]), STR_FMT, STR_ARG(columns[i].name));
    }
    encoder = encoder_new(&o, columns, count);
    encoder_head(encoder, &out);
    const struct vec_chunk *chunk;
    CHECK(rows_next(result, &chunk, &err) == ERR_OK);
    while (chunk != NULL) {
        const int64_t start = clock_cpu_us();
        if (format == TREE) {
            chunk_to_tree(chunk, names, &cost);
        } else {
            CHECK(encoder_rows(encoder, &(struct encode_rows){chunk, 0, chunk->rows}, &out, &err) ==
                  ERR_OK);
            cost.us += clock_cpu_us() - start;
            buf_reset(&out);
        }
        CHECK(rows_next(result, &chunk, &err) == ERR_OK);
    }
    return cost;
}

static void keep_best(struct cost *best, struct cost c) {
    *best = best->us == 0 || c.us < best->us ? c : *best;
}

void encoding_measure(int64_t rows) {
    struct err err = ERR_NONE;
    struct engine_options o = {.threads = 1, .memory_bytes = 1LL << 30};
    struct engine *e;
    CHECK(engine_open(&o, &e, &err) == ERR_OK);
    struct cost tree = {0};
    struct cost ndjson = {0};
    struct cost arrow = {0};
    for (int i = 0; i < ROUNDS; i++) {
        keep_best(&tree, measure(e, rows, TREE));
        keep_best(&ndjson, measure(e, rows, ENCODE_NDJSON));
        keep_best(&arrow, measure(e, rows, ENCODE_ARROW));
    }
    engine_close(e);
    printf("{\"tree_us\": %lld, \"dump_us\": %lld, \"ndjson_us\": %lld, \"arrow_us\": %lld}\n",
           (long long)tree.us, (long long)tree.dump_us, (long long)ndjson.us, (long long)arrow.us);
}
