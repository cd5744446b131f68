// Row keys: canonical texts, and the rows that have them.
//
// The keys are held as a temporary table of the session, tarn_keys, which the key column of the
// files is joined with: one pass, however many keys there are.

#include "table/table_keys.h"

#include <stdlib.h>

#include "base/json.h"
#include "table/table_types.h"

#define EXACT_KEYS_MAX 64     // so few keys are looked up in bounds one by one
#define WITHIN_MAX (1U << 20) // keys times files that bounds are asked for
#define UUID_LEN 36
#define KEYS_BYTES (512U << 20) // of all keys as JSON

bool table_key_type_fits(const struct ice_type *t) {
    return t->kind == ICE_STRING || t->kind == ICE_INT || t->kind == ICE_LONG ||
           t->kind == ICE_UUID;
}

static bool is_integer(const struct ice_type *t) {
    return t->kind == ICE_INT || t->kind == ICE_LONG;
}

bool table_key_types_agree(const struct ice_type *x, const struct ice_type *y) {
    return table_key_type_fits(x) && (x->kind == y->kind || (is_integer(x) && is_integer(y)));
}

static bool integer_text(struct str text, const struct ice_type *t, struct arena *a,
                         struct str *ret) {
    int64_t n;
    if (!str_to_i64(text, &n) || (t->kind == ICE_INT && (n < INT32_MIN || n > INT32_MAX))) {
        return false;
    }
    *ret = arena_printf(a, "%lld", (long long)n);
    return true;
}

static bool is_dash_place(size_t i) {
    return i == 8 || i == 13 || i == 18 || i == 23;
}

static bool uuid_text(struct str text, struct arena *a, struct str *ret) {
    char *out = arena_alloc(a, UUID_LEN + 1);
    if (text.len != UUID_LEN) {
        return false;
    }
    for (size_t i = 0; i < UUID_LEN; i++) {
        const char c = text.ptr[i];
        const bool digit =
            (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
        if (is_dash_place(i) ? c != '-' : !digit) {
            return false;
        }
        out[i] = c >= 'A' && c <= 'F' ? (char)(c - 'A' + 'a') : c;
    }
    *ret = (struct str){out, UUID_LEN};
    return true;
}

bool table_key_text(const struct table_key *key, const struct ice_type *t, struct arena *a,
                    struct str *ret) {
    if (is_integer(t)) {
        return integer_text(key->text, t, a, ret);
    }
    if (key->integer) {
        return false;
    }
    if (t->kind == ICE_UUID) {
        return uuid_text(key->text, a, ret);
    }
    *ret = arena_str(a, key->text);
    return str_is_utf8(key->text) && str_find_char(key->text, '\0') < 0;
}

// Bounds

// As the engine orders values of the type.
static int compare(const struct ice_type *t, struct str x, struct str y) {
    int64_t a = 0;
    int64_t b = 0;
    if (!is_integer(t)) {
        return str_cmp(x, y);
    }
    (void)str_to_i64(x, &a);
    (void)str_to_i64(y, &b);
    return a < b ? -1 : a > b;
}

static struct ice_predicate condition(const struct table_keys *k, enum ice_op op,
                                      const struct str *values, size_t count, struct arena *a) {
    struct ice_literal *literals = arena_array(a, count, sizeof(*literals));
    for (size_t i = 0; i < count; i++) {
        literals[i].text = values[i];
    }
    return (struct ice_predicate){
        .field_id = k->field->id, .op = op, .values = literals, .value_count = count};
}

struct table_conditions table_keys_conditions(const struct table_keys *k, struct arena *a) {
    struct ice_predicate *items = arena_array(a, 2, sizeof(*items));
    if (k->count <= EXACT_KEYS_MAX) {
        items[0] = condition(k, ICE_OP_IN, k->values, k->count, a);
        return (struct table_conditions){items, 1};
    }
    struct str least = k->values[0];
    struct str most = k->values[0];
    for (size_t i = 1; i < k->count; i++) {
        least = compare(&k->field->type, k->values[i], least) < 0 ? k->values[i] : least;
        most = compare(&k->field->type, k->values[i], most) > 0 ? k->values[i] : most;
    }
    items[0] = condition(k, ICE_OP_GE, &least, 1, a);
    items[1] = condition(k, ICE_OP_LE, &most, 1, a);
    return (struct table_conditions){items, 2};
}

static bool is_within(const struct table_keys *k, const struct ice_schema *s,
                      const struct table_scan *scan, struct str value, struct arena *scratch) {
    const struct ice_predicate is = condition(k, ICE_OP_EQ, &value, 1, scratch);
    const struct table_conditions conditions = {&is, 1};
    bool within = false;
    for (size_t i = 0; i < scan->file_count && !within; i++) {
        within = table_file_may_match(s, scan->files[i].file, &conditions, scratch);
    }
    arena_reset(scratch);
    return within;
}

struct table_keys table_keys_within(const struct table_keys *k, const struct ice_schema *s,
                                    const struct table_scan *scan, struct arena *a) {
    DEFER(arena_release) struct arena scratch = ARENA(1 << 20);
    if (k->count * scan->file_count > WITHIN_MAX) {
        return *k;
    }
    struct str *values = arena_array(a, k->count, sizeof(*values));
    size_t count = 0;
    for (size_t i = 0; i < k->count; i++) {
        if (is_within(k, s, scan, k->values[i], &scratch)) {
            values[count++] = k->values[i];
        }
    }
    return (struct table_keys){.field = k->field, .values = values, .count = count};
}

// Rows

static enum err_code hold_keys(struct session *s, const struct table_keys *k, struct arena *a,
                               struct err *err) {
    DEFER(buf_release) struct buf json = BUF(KEYS_BYTES);
    struct jsonw w = JSONW(&json);
    jsonw_array(&w);
    for (size_t i = 0; i < k->count; i++) {
        jsonw_str(&w, k->values[i]);
    }
    jsonw_end_array(&w);
    if (json.overflow) {
        return err_set(err, ERR_TOO_LARGE, "%zu row keys are too much to look for at once",
                       k->count);
    }
    return session_run(
        s,
        arena_printf(a,
                     "CREATE OR REPLACE TEMP TABLE tarn_keys AS SELECT CAST(v AS " STR_FMT
                     ") AS v, n FROM (SELECT unnest(from_json(" STR_FMT
                     ", '[\"VARCHAR\"]')) AS v, unnest(range(%zu)) AS n)",
                     STR_ARG(table_type_sql(&k->field->type, a)),
                     STR_ARG(sql_literal(buf_str(&json), a)), k->count),
        err);
}

static void let_keys_go(struct session *s) {
    struct err none = ERR_NONE;
    (void)session_run(s, STR("DROP TABLE IF EXISTS tarn_keys"), &none);
}

static void note(struct table_key_rows *r, const struct table_scan *scan,
                 const struct vec_chunk *chunk, size_t i, struct arena *a) {
    const int64_t file = ((const int64_t *)chunk->columns[0].data)[i];
    const int64_t row = ((const int64_t *)chunk->columns[1].data)[i];
    const int64_t key = ((const int64_t *)chunk->columns[2].data)[i];
    CHECK(file >= 0 && (size_t)file < scan->file_count);
    const int64_t rows = scan->files[file].file->record_count;
    CHECK(row >= 0 && row < rows);
    if (r->bits[file] == NULL) {
        r->bits[file] = arena_array(a, ((size_t)rows + 63) / 64, sizeof(uint64_t));
    }
    r->bits[file][row / 64] |= UINT64_C(1) << (row % 64);
    r->by_key[key]++;
    r->rows++;
}

static enum err_code read_rows(struct session *s, struct str sql, const struct table_scan *scan,
                               struct arena *a, struct table_key_rows *ret, struct err *err) {
    DEFER(rows_closep) struct rows *rows = NULL;
    const struct vec_chunk *chunk = NULL;
    TRY(session_query(s, sql, &rows, err));
    do {
        TRY(rows_next(rows, &chunk, err));
        for (size_t i = 0; chunk != NULL && i < chunk->rows; i++) {
            note(ret, scan, chunk, i, a);
        }
    } while (chunk != NULL);
    return ERR_OK;
}

enum err_code table_keys_find(struct tables *t, const struct table_key_search *search,
                              struct arena *a, struct table_key_rows *ret, struct err *err) {
    DEFER(session_closep) struct session *own = NULL;
    const struct table_scan *scan = search->scan;
    const struct table_keys *keys = &search->keys;
    struct table_key_rows found = {.bits = arena_array(a, scan->file_count, sizeof(void *)),
                                   .by_key = arena_array(a, keys->count, sizeof(int64_t))};
    if (keys->count > 0 && scan->file_count > 0) {
        struct ice_field field = *keys->field;
        const struct ice_schema column = {.fields = &field, .field_count = 1};
        const struct str sql =
            arena_printf(a,
                         "SELECT s.tarn_file, s.tarn_row, k.n FROM (" STR_FMT
                         ") s JOIN tarn_keys k ON s." STR_FMT " = k.v",
                         STR_ARG(table_scan_places_sql(search->pin, scan, &column, a)),
                         STR_ARG(sql_ident(field.name, a)));
        if (search->session == NULL) {
            TRY(session_open(t->engine, &own, err));
        }
        struct session *s = search->session != NULL ? search->session : own;
        TRY(hold_keys(s, keys, a, err));
        const enum err_code code = read_rows(s, sql, scan, a, &found, err);
        let_keys_go(s);
        TRY(code);
    }
    *ret = found;
    return ERR_OK;
}
