// Encoding measured: rows come from the engine as they would in a query, then go through each form.

#include "bench/encoding.h"

#include <stdio.h>
#include <time.h>

#include "base/json.h"
#include "encode/encode.h"
#include "engine/engine.h"

#define OUT_MAX (64U << 20)
#define ROUNDS 3

static const char source[] =
    "SELECT i AS id, 'name ' || (i %% 1000) AS name, i * 0.25 AS price, "
    "i %% 2 = 0 AS even, TIMESTAMP '2026-01-01' + to_seconds(i) AS at FROM range(%lld) t(i)";

static int64_t now_us(void) {
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

// What a run of rows costs in one form: only the work on chunks is timed, not the engine's.
struct cost {
    int64_t us, bytes;
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
    DEFER(json_decrefp) json_t *rows = json_array();
    for (size_t r = 0; r < chunk->rows; r++) {
        json_t *object = json_object();
        for (size_t i = 0; i < chunk->column_count; i++) {
            value_to_tree(&chunk->columns[i], r, object, names[i]);
        }
        json_array_append_new(rows, object);
    }
    DEFER(arena_release) struct arena a = ARENA(OUT_MAX);
    cost->bytes += (int64_t)json_text(rows, &a).len;
}

// format -1: the tree.
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
    struct encode_options o = {.format = (enum encode_format)(format < 0 ? 0 : format)};
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
        int64_t start = now_us();
        if (format < 0) {
            chunk_to_tree(chunk, names, &cost);
        } else {
            CHECK(encoder_rows(encoder, &(struct encode_rows){chunk, 0, chunk->rows}, &out, &err) ==
                  ERR_OK);
            cost.bytes += (int64_t)out.len;
            buf_reset(&out);
        }
        cost.us += now_us() - start;
        CHECK(rows_next(result, &chunk, &err) == ERR_OK);
    }
    return cost;
}

static struct cost best_of(struct engine *e, int64_t rows, int format) {
    struct cost best = measure(e, rows, format);
    for (int i = 1; i < ROUNDS; i++) {
        struct cost c = measure(e, rows, format);
        best = c.us < best.us ? c : best;
    }
    return best;
}

void encoding_measure(int64_t rows) {
    struct err err = ERR_NONE;
    struct engine_options o = {.threads = 1, .memory_bytes = 1LL << 30};
    struct engine *e;
    CHECK(engine_open(&o, &e, &err) == ERR_OK);
    struct cost tree = best_of(e, rows, -1);
    struct cost ndjson = best_of(e, rows, ENCODE_NDJSON);
    struct cost arrow = best_of(e, rows, ENCODE_ARROW);
    engine_close(e);
    printf("{\"jansson_us\": %lld, \"ndjson_us\": %lld, \"arrow_us\": %lld, "
           "\"ndjson_bytes\": %lld, \"arrow_bytes\": %lld}\n",
           (long long)tree.us, (long long)ndjson.us, (long long)arrow.us, (long long)ndjson.bytes,
           (long long)arrow.bytes);
}
