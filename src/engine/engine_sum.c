// tarn_sum(): counts the rows that pass, and sums their hashes, while a statement does its work.
//
// A statement has "WHERE tarn_sum(id, hash(a, b))" above the rows that it writes or reads: true for
// every row, and what was seen is added to the sums registered under the number. Sums do not depend
// on the order of the rows. The second one is of the hashes once more mixed, so that two wrong rows
// would have to agree in both.

#include <stdlib.h>

#include "base/hashmap.h"
#include "engine/engine_int.h"

struct sum {
    int64_t id;
    _Atomic uint64_t rows, first, second;
    UT_hash_handle hh;
};

struct sums {
    pthread_mutex_t lock; // guards everything below, but not what is in a sum
    struct sum *all;
    int64_t last_id;
};

static void sum_free(struct sum *s) {
    free(s);
}

int64_t engine_sum_begin(struct engine *e) {
    struct sums *sums = e->sums;
    struct sum *s = xcalloc(1, sizeof(*s));
    LOCKED(&sums->lock);
    s->id = ++sums->last_id;
    HASH_ADD(hh, sums->all, id, sizeof(s->id), s);
    return s->id;
}

static struct sum *find(struct sums *sums, int64_t id) {
    struct sum *s = NULL;
    LOCKED(&sums->lock);
    HASH_FIND(hh, sums->all, &id, sizeof(id), s);
    return s;
}

struct engine_sum engine_sum_end(struct engine *e, int64_t id) {
    struct sum *s = find(e->sums, id);
    CHECK(s != NULL);
    const struct engine_sum sum = {s->rows, s->first, s->second};
    {
        LOCKED(&e->sums->lock);
        HASH_DEL(e->sums->all, s);
    }
    sum_free(s);
    return sum;
}

bool engine_sum_eq(const struct engine_sum *x, const struct engine_sum *y) {
    return x->rows == y->rows && x->first == y->first && x->second == y->second;
}

static uint64_t mixed(uint64_t h) {
    h = (h ^ (h >> 31)) * UINT64_C(0x9E3779B97F4A7C15);
    return h ^ (h >> 29);
}

static void sum_rows(duckdb_function_info info, duckdb_data_chunk input, duckdb_vector output) {
    struct engine *e = duckdb_scalar_function_get_extra_info(info);
    const size_t rows = duckdb_data_chunk_get_size(input);
    const int64_t *id = duckdb_vector_get_data(duckdb_data_chunk_get_vector(input, 0));
    const uint64_t *hash = duckdb_vector_get_data(duckdb_data_chunk_get_vector(input, 1));
    bool *out = duckdb_vector_get_data(output);
    uint64_t first = 0;
    uint64_t second = 0;
    if (rows == 0) {
        return;
    }
    struct sum *s = find(e->sums, id[0]);
    if (s == NULL) {
        duckdb_scalar_function_set_error(info, "tarn_sum: no such sum");
        return;
    }
    for (size_t i = 0; i < rows; i++) {
        first += hash[i];
        second += mixed(hash[i]);
        out[i] = true;
    }
    atomic_fetch_add(&s->rows, rows);
    atomic_fetch_add(&s->first, first);
    atomic_fetch_add(&s->second, second);
}

static void add_parameter(duckdb_scalar_function f, duckdb_type type) {
    DEFER(engine_logical_typep) duckdb_logical_type t = duckdb_create_logical_type(type);
    duckdb_scalar_function_add_parameter(f, t);
}

enum err_code engine_sum_open(struct engine *e, struct err *err) {
    struct sums *sums = xcalloc(1, sizeof(*sums));
    CHECK(pthread_mutex_init(&sums->lock, NULL) == 0);
    e->sums = sums;
    DEFER(session_closep) struct session *s = NULL;
    TRY(session_open(e, &s, err));
    DEFER(duckdb_destroy_scalar_function)
    duckdb_scalar_function f = duckdb_create_scalar_function();
    duckdb_scalar_function_set_name(f, "tarn_sum");
    add_parameter(f, DUCKDB_TYPE_BIGINT);
    add_parameter(f, DUCKDB_TYPE_UBIGINT);
    DEFER(engine_logical_typep)
    duckdb_logical_type truth = duckdb_create_logical_type(DUCKDB_TYPE_BOOLEAN);
    duckdb_scalar_function_set_return_type(f, truth);
    duckdb_scalar_function_set_volatile(f); // once for each row, and for no other
    duckdb_scalar_function_set_extra_info(f, e, NULL);
    duckdb_scalar_function_set_function(f, sum_rows);
    if (duckdb_register_scalar_function(s->con, f) != DuckDBSuccess) {
        return err_set(err, ERR_INTERNAL, "the engine does not take the function tarn_sum");
    }
    return ERR_OK;
}

void engine_sum_release(struct engine *e) {
    if (e->sums == NULL) {
        return;
    }
    CHECK(e->sums->all == NULL);
    pthread_mutex_destroy(&e->sums->lock);
    free(e->sums);
}
