// Deltas: rows that come and rows that go, by key or by place, in one commit.
//
// The rows that come are held as a temporary table of the session, tarn_delta, with the dataset's
// names and types and, behind them, tarn_batch (whose rows they are) and tarn_order (as they were
// sent). The places of the rows that go are found in the state that the commit builds on, under the
// dataset's write lock, and held as tarn_gone. For each data file that loses rows one delete file
// is written, which holds its earlier deletes too; a data file that loses all of its rows goes
// itself.

#include "base/threads.h"
#include "table/table_commit.h"
#include "table/table_suppress.h"
#include "table/table_types.h"

#define EXACT_KEYS_MAX 64 // so few keys are looked up by value, more by their range

struct delta {
    struct tables *tables;
    const struct table_delta *request;
    struct table_write write; // the same as an append, for the schema
    struct arena *arena;
    struct str source;
    const struct ice_metadata *seen; // that the target is made for
    struct str dataset_id;
    struct table_target target;
    const struct ice_field **keys;     // of target.schema
    int64_t rows;                      // of tarn_delta
    int64_t sent;                      // before any were taken out
    int64_t suppressed;                // that were kept out
    struct table_suppress_lists lists; // that kept them out
    struct table_staged staged;
    struct table_entries entries;
    struct table_fold fold; // of the attempt
    bool moved;
    struct table_scan scan; // that the places speak of
    uint64_t **gone;        // rows that go, by file of the scan; NULL: none of the file
    int64_t removed;
    struct table_delta_batch *batches;
};

static bool has_rows(const struct delta *d) {
    return d->request->mode != TABLE_DELTA_DELETE && d->rows > 0;
}

static bool has_keys(const struct delta *d) {
    return d->request->mode == TABLE_DELTA_UPSERT || d->request->mode == TABLE_DELTA_DELETE;
}

static enum err_code run(struct delta *d, struct str sql, struct err *err) {
    return session_run(d->request->session, sql, err);
}

static enum err_code number(struct delta *d, struct str sql, int64_t *ret, struct err *err) {
    struct str text = STR_NONE;
    *ret = 0;
    TRY(session_text(d->request->session, sql, d->arena, &text, err));
    (void)str_to_i64(text, ret);
    return ERR_OK;
}

// "a", "b"
static struct str key_list(const struct delta *d) {
    DEFER(buf_release) struct buf out = BUF(1U << 20);
    for (size_t i = 0; i < d->request->key_count; i++) {
        const struct str ident = sql_ident(d->keys[i]->name, d->arena);
        buf_printf(&out, "%s" STR_FMT, i == 0 ? "" : ", ", STR_ARG(ident));
    }
    return arena_str(d->arena, buf_str(&out));
}

// Also not under the names that stand beside the keys in the look-up.
static bool can_be_key(const struct ice_field *f) {
    const struct ice_type *t = &f->type;
    return t->field_count == 0 && t->kind != ICE_FLOAT && t->kind != ICE_DOUBLE &&
           !str_eq_nocase(f->name, STR("tarn_file")) && !str_eq_nocase(f->name, STR("tarn_row"));
}

static enum err_code find_keys(struct delta *d, const struct ice_schema *schema, struct err *err) {
    const struct table_delta *r = d->request;
    if (!has_keys(d)) {
        return ERR_OK;
    }
    if (r->key_count == 0) {
        return err_set(err, ERR_INVALID,
                       "a key is needed: name the columns that tell the rows of "
                       "dataset \"" STR_FMT "\" apart",
                       STR_ARG(r->dataset));
    }
    d->keys = arena_array(d->arena, r->key_count, sizeof(void *));
    for (size_t i = 0; i < r->key_count; i++) {
        d->keys[i] = ice_schema_find(schema, r->keys[i]);
        if (d->keys[i] == NULL) {
            return err_set(err, ERR_INVALID,
                           "dataset \"" STR_FMT "\" has no column \"" STR_FMT "\" to be the key",
                           STR_ARG(r->dataset), STR_ARG(r->keys[i]));
        }
        if (!can_be_key(d->keys[i])) {
            return err_set(err, ERR_INVALID, "column \"" STR_FMT "\", " STR_FMT ", cannot be a key",
                           STR_ARG(d->keys[i]->name),
                           STR_ARG(ice_type_text(&d->keys[i]->type, d->arena)));
        }
        for (size_t j = 0; j < i; j++) {
            if (d->keys[j] == d->keys[i]) {
                return err_set(err, ERR_INVALID, "key column \"" STR_FMT "\" is named twice",
                               STR_ARG(d->keys[i]->name));
            }
        }
    }
    return ERR_OK;
}

// The source's columns without the one that tells callers apart.
static void shape_without_batch(const struct table_delta *r, struct table_shape *shape) {
    size_t count = 0;
    for (size_t i = 0; i < shape->count; i++) {
        if (r->batch.len == 0 || !str_eq(shape->columns[i].name, r->batch)) {
            shape->columns[count++] = shape->columns[i];
        }
    }
    shape->count = count;
}

// DELETE needs no more than the keys.
static enum err_code only_keys(struct delta *d, const struct table_shape *shape, struct err *err) {
    const struct ice_schema *current = ice_metadata_schema(d->seen);
    struct ice_schema *keys = arena_alloc(d->arena, sizeof(*keys));
    struct table_shape some = {arena_array(d->arena, d->request->key_count, sizeof(*some.columns)),
                               0};
    struct ice_metadata *narrow = ice_metadata_copy(d->seen, d->arena);
    keys->fields = arena_array(d->arena, d->request->key_count, sizeof(*keys->fields));
    TRY(find_keys(d, current, err));
    for (size_t i = 0; i < d->request->key_count; i++) {
        keys->fields[keys->field_count++] = *d->keys[i];
        for (size_t j = 0; j < shape->count; j++) {
            if (str_eq_nocase(shape->columns[j].name, d->keys[i]->name)) {
                some.columns[some.count++] = shape->columns[j];
                break;
            }
        }
    }
    keys->schema_id = narrow->current_schema_id;
    narrow->schemas = arena_alloc(d->arena, sizeof(struct ice_schema *));
    narrow->schemas[0] = keys;
    narrow->schema_count = 1;
    d->write.evolve = false;
    return table_target_append(&some, narrow, &d->write, d->arena, &d->target, err);
}

static enum err_code decide_target(struct delta *d, struct err *err) {
    const struct table_delta *r = d->request;
    struct table_shape shape;
    TRY(table_describe(r->session, d->source, d->arena, &shape, err));
    shape_without_batch(r, &shape);
    if (r->mode == TABLE_DELTA_DELETE) {
        return only_keys(d, &shape, err);
    }
    TRY(table_target_append(&shape, d->seen, &d->write, d->arena, &d->target, err));
    return find_keys(d, d->target.schema, err);
}

static enum err_code take_rows(struct delta *d, struct err *err) {
    const struct table_delta *r = d->request;
    const struct str batch = r->batch.len > 0 ? sql_ident(r->batch, d->arena) : STR("0");
    return run(d,
               arena_printf(d->arena,
                            "CREATE OR REPLACE TEMP TABLE tarn_delta AS SELECT " STR_FMT
                            ", CAST(" STR_FMT " AS INTEGER) AS tarn_batch, row_number() OVER () AS "
                            "tarn_order FROM " STR_FMT,
                            STR_ARG(d->target.select), STR_ARG(batch), STR_ARG(d->source)),
               err);
}

// Rows of each caller that tarn_delta has: *ret in the arena.
static enum err_code batch_counts(struct delta *d, int64_t **ret, struct err *err) {
    DEFER(rows_closep) struct rows *rows = NULL;
    const struct vec_chunk *chunk = NULL;
    const size_t count = MAX(d->request->batch_count, 1);
    *ret = arena_array(d->arena, count, sizeof(**ret));
    TRY(session_query(d->request->session,
                      STR("SELECT tarn_batch, count(*) FROM tarn_delta GROUP BY tarn_batch"), &rows,
                      err));
    do {
        TRY(rows_next(rows, &chunk, err));
        for (size_t i = 0; chunk != NULL && i < chunk->rows; i++) {
            const int32_t batch = ((const int32_t *)chunk->columns[0].data)[i];
            CHECK(batch >= 0 && (size_t)batch < count);
            (*ret)[batch] = ((const int64_t *)chunk->columns[1].data)[i];
        }
    } while (chunk != NULL);
    return ERR_OK;
}

static enum err_code count_batches(struct delta *d, struct err *err) {
    const size_t count = MAX(d->request->batch_count, 1);
    int64_t *rows;
    TRY(batch_counts(d, &rows, err));
    d->batches = arena_array(d->arena, count, sizeof(*d->batches));
    d->rows = 0;
    for (size_t i = 0; i < count; i++) {
        d->batches[i].rows = rows[i];
        d->rows += rows[i];
    }
    d->sent = d->rows;
    d->suppressed = 0;
    return ERR_OK;
}

// Takes the rows of suppression lists out of those that come.
static enum err_code suppress(struct delta *d, struct err *err) {
    const size_t count = MAX(d->request->batch_count, 1);
    const struct table_suppress_work work = {.tables = d->tables,
                                             .session = d->request->session,
                                             .lists = &d->lists,
                                             .schema = d->target.schema,
                                             .arena = d->arena};
    int64_t gone;
    int64_t *before;
    int64_t *after;
    if (d->request->mode == TABLE_DELTA_DELETE) {
        return ERR_OK;
    }
    TRY(table_suppress_load(d->tables, d->write.dataset, d->arena, &d->lists, err));
    if (d->lists.count == 0 || d->rows == 0) {
        return ERR_OK;
    }
    TRY(batch_counts(d, &before, err));
    TRY(table_suppress_delta(&work, d->sent, &gone, err));
    if (gone == 0) {
        return ERR_OK;
    }
    TRY(batch_counts(d, &after, err));
    for (size_t i = 0; i < count; i++) {
        d->batches[i].suppressed += before[i] - after[i];
    }
    d->rows -= gone;
    d->suppressed += gone;
    return ERR_OK;
}

static struct str null_test(const struct delta *d) {
    DEFER(buf_release) struct buf out = BUF(1U << 20);
    for (size_t i = 0; i < d->request->key_count; i++) {
        buf_printf(&out, "%s" STR_FMT " IS NULL", i == 0 ? "" : " OR ",
                   STR_ARG(sql_ident(d->keys[i]->name, d->arena)));
    }
    return arena_str(d->arena, buf_str(&out));
}

static enum err_code refuse_null_keys(struct delta *d, struct err *err) {
    struct str row = STR_NONE;
    TRY(session_text(
        d->request->session,
        arena_printf(d->arena,
                     "SELECT CAST(min(tarn_order) AS VARCHAR) FROM tarn_delta WHERE " STR_FMT,
                     STR_ARG(null_test(d))),
        d->arena, &row, err));
    return err_set(err, ERR_DATA,
                   "row " STR_FMT " has no value in a key column (" STR_FMT
                   "): a key cannot be NULL",
                   STR_ARG(row), STR_ARG(key_list(d)));
}

// Twice in one caller's rows is refused unless asked for.
static enum err_code refuse_doubles(struct delta *d, struct err *err) {
    const struct str keys = key_list(d);
    struct str text = STR_NONE;
    if (d->request->last_wins || d->request->mode != TABLE_DELTA_UPSERT) {
        return ERR_OK;
    }
    TRY(session_text(d->request->session,
                     arena_printf(d->arena,
                                  "SELECT 'rows ' || min(tarn_order) || ' and ' || "
                                  "max(tarn_order) FROM tarn_delta GROUP BY tarn_batch, " STR_FMT
                                  " HAVING count(*) > 1 ORDER BY min(tarn_order) LIMIT 1",
                                  STR_ARG(keys)),
                     d->arena, &text, err));
    if (text.len > 0) {
        return err_set(err, ERR_DATA,
                       STR_FMT " have the same key (" STR_FMT
                               "); on_duplicate=last lets the last one count",
                       STR_ARG(text), STR_ARG(keys));
    }
    return ERR_OK;
}

// Of the rows with one key the last one stays: a later caller's follows an earlier one's.
static enum err_code settle_doubles(struct delta *d, struct err *err) {
    TRY(refuse_doubles(d, err));
    TRY(run(d,
            arena_printf(d->arena,
                         "DELETE FROM tarn_delta WHERE tarn_order NOT IN (SELECT max(tarn_order) "
                         "FROM tarn_delta GROUP BY " STR_FMT ")",
                         STR_ARG(key_list(d))),
            err));
    return number(d, STR("SELECT count(*) FROM tarn_delta"), &d->rows, err);
}

static enum err_code settle_keys(struct delta *d, struct err *err) {
    DEFER(rows_closep) struct rows *rows = NULL;
    const struct vec_chunk *chunk = NULL;
    const struct str sql = arena_printf(d->arena,
                                        "SELECT count(*) FILTER (" STR_FMT
                                        "), count(DISTINCT (" STR_FMT ", 0)) FROM tarn_delta",
                                        STR_ARG(null_test(d)), STR_ARG(key_list(d)));
    TRY(session_query(d->request->session, sql, &rows, err));
    TRY(rows_next(rows, &chunk, err));
    CHECK(chunk != NULL && chunk->rows == 1);
    const int64_t nulls = ((const int64_t *)chunk->columns[0].data)[0];
    const int64_t keys = ((const int64_t *)chunk->columns[1].data)[0];
    rows_close(TAKE(rows));
    if (nulls > 0) {
        return refuse_null_keys(d, err);
    }
    return keys < d->rows ? settle_doubles(d, err) : ERR_OK;
}

// Nullability: a column that may hold no NULL gets none, unless the schema may change.
static enum err_code settle_nulls(struct delta *d, struct err *err) {
    for (size_t i = 0; i < d->target.schema->field_count; i++) {
        struct ice_field *f = &d->target.schema->fields[i];
        const int64_t nulls = table_staged_nulls(&d->staged, f);
        if (!f->required || nulls == 0) {
            continue;
        }
        if (!d->request->evolve) {
            return err_set(err, ERR_SCHEMA,
                           "column \"" STR_FMT
                           "\" has %lld NULLs in the rows, and dataset \"" STR_FMT
                           "\" allows none there (evolve=true allows them)",
                           STR_ARG(f->name), (long long)nulls, STR_ARG(d->request->dataset));
        }
        f->required = false;
        d->target.evolved = true;
    }
    return ERR_OK;
}

static void folder_release(void *folder) {
    table_folder_release(folder);
}

// also: SELECT of further rows; may be empty.
static enum err_code stage_rows(struct delta *d, struct str also, struct table_staged *ret,
                                struct err *err) {
    struct table_folder *folder = arena_alloc(d->arena, sizeof(*folder));
    TRY(table_folder_make(d->tables, d->arena, folder, err));
    arena_defer(d->arena, folder_release, folder);
    const struct table_stage_source source = {
        .select = arena_printf(
            d->arena, "SELECT * EXCLUDE (tarn_batch, tarn_order) FROM tarn_delta%s" STR_FMT,
            also.len > 0 ? " UNION ALL " : "", STR_ARG(also)),
        .schema = d->target.schema,
        .folder = folder->path,
    };
    TRY(table_stage(d->tables, d->request->session, &source, d->arena, ret, err));
    ret->prefix = TABLE_DELTA_PREFIX;
    return ERR_OK;
}

// Everything that does not depend on the state of the dataset beyond its schema.
static enum err_code prepare_rows(struct delta *d, struct err *err) {
    TRY(decide_target(d, err));
    TRY(take_rows(d, err));
    TRY(count_batches(d, err));
    TRY(suppress(d, err));
    if (has_keys(d) && d->rows > 0) {
        TRY(settle_keys(d, err));
    }
    if (!has_rows(d)) {
        return ERR_OK;
    }
    TRY(stage_rows(d, STR_NONE, &d->staged, err));
    return settle_nulls(d, err);
}

// Lists that came or changed since the rows were held: these are looked through again.
static enum err_code suppress_again(struct delta *d, struct err *err) {
    const uint64_t version = table_suppress_version(d->tables, d->write.dataset);
    if (!has_rows(d) || version == 0 || version == d->lists.version) {
        return ERR_OK;
    }
    if (d->moved) {
        return err_set(err, ERR_CONFLICT,
                       "the suppression lists of dataset \"" STR_FMT "\" changed meanwhile: send "
                       "it again",
                       STR_ARG(d->request->dataset));
    }
    TRY(suppress(d, err));
    d->staged = (struct table_staged){0};
    return has_rows(d) ? stage_rows(d, STR_NONE, &d->staged, err) : ERR_OK;
}

static enum err_code schema_still_fits(const struct delta *d, const struct ice_metadata *now,
                                       struct err *err) {
    if (now->current_schema_id == d->seen->current_schema_id) {
        return ERR_OK;
    }
    return err_set(err, ERR_SCHEMA,
                   "the schema of dataset \"" STR_FMT "\" changed meanwhile: send it again",
                   STR_ARG(d->request->dataset));
}

static struct ice_predicate *condition(const struct ice_field *key, enum ice_op op,
                                       struct str *texts, size_t count, struct arena *a) {
    struct ice_predicate *p = arena_alloc(a, sizeof(*p));
    struct ice_literal *values = arena_array(a, count, sizeof(*values));
    for (size_t i = 0; i < count; i++) {
        values[i] = (struct ice_literal){.text = texts[i]};
    }
    *p = (struct ice_predicate){
        .field_id = key->id, .op = op, .values = values, .value_count = count};
    return p;
}

// The values of one key column as texts: all of them, if they are few, or the least and the
// greatest.
static enum err_code key_texts(struct delta *d, const struct ice_field *key, struct str **ret,
                               size_t *ret_count, struct err *err) {
    DEFER(rows_closep) struct rows *rows = NULL;
    const struct vec_chunk *chunk = NULL;
    const struct str name = sql_ident(key->name, d->arena);
    const struct str values =
        d->rows <= EXACT_KEYS_MAX
            ? name
            : arena_printf(d->arena, "unnest([min(" STR_FMT "), max(" STR_FMT ")])", STR_ARG(name),
                           STR_ARG(name));
    struct str *texts = arena_array(d->arena, EXACT_KEYS_MAX + 2, sizeof(*texts));
    *ret_count = 0;
    TRY(session_query(d->request->session,
                      arena_printf(d->arena, "SELECT CAST(" STR_FMT " AS VARCHAR) FROM tarn_delta",
                                   STR_ARG(values)),
                      &rows, err));
    do {
        TRY(rows_next(rows, &chunk, err));
        for (size_t i = 0; chunk != NULL && i < chunk->rows; i++) {
            CHECK(*ret_count < EXACT_KEYS_MAX + 2);
            texts[(*ret_count)++] = arena_str(d->arena, vec_str(&chunk->columns[0], i));
        }
    } while (chunk != NULL);
    *ret = texts;
    return ERR_OK;
}

// Which files can hold a key at all.
static enum err_code key_conditions(struct delta *d, struct table_conditions *ret,
                                    struct err *err) {
    struct ice_predicate *items = arena_array(d->arena, 2 * d->request->key_count, sizeof(*items));
    size_t count = 0;
    for (size_t i = 0; i < d->request->key_count; i++) {
        const struct ice_field *key = d->keys[i];
        struct str *texts;
        size_t text_count;
        if (key->type.kind == ICE_BINARY || key->type.kind == ICE_FIXED) {
            continue; // their text has another form than bounds read
        }
        TRY(key_texts(d, key, &texts, &text_count, err));
        if (d->rows <= EXACT_KEYS_MAX) {
            items[count++] = *condition(key, ICE_OP_IN, texts, text_count, d->arena);
        } else {
            items[count++] = *condition(key, ICE_OP_GE, &texts[0], 1, d->arena);
            items[count++] = *condition(key, ICE_OP_LE, &texts[1], 1, d->arena);
        }
    }
    *ret = (struct table_conditions){items, count};
    return ERR_OK;
}

static enum err_code find_by_key(struct delta *d, const struct table_pin *base, struct str *ret,
                                 struct err *err) {
    struct table_conditions conditions;
    struct ice_schema keys = {
        .fields = arena_array(d->arena, d->request->key_count, sizeof(*keys.fields)),
        .field_count = d->request->key_count};
    DEFER(buf_release) struct buf on = BUF(1U << 20);
    TRY(key_conditions(d, &conditions, err));
    TRY(table_scan_plan(d->tables, base, &conditions, d->arena, &d->scan, err));
    for (size_t i = 0; i < keys.field_count; i++) {
        const struct str ident = sql_ident(d->keys[i]->name, d->arena);
        keys.fields[i] = *d->keys[i];
        buf_printf(&on, "%ss." STR_FMT " = d." STR_FMT, i == 0 ? "" : " AND ", STR_ARG(ident),
                   STR_ARG(ident));
    }
    *ret = arena_printf(d->arena,
                        "SELECT s.tarn_file, s.tarn_row, d.tarn_batch, d.tarn_order FROM (" STR_FMT
                        ") s JOIN tarn_delta d ON " STR_FMT,
                        STR_ARG(table_scan_places_sql(base, &d->scan, &keys, d->arena)),
                        STR_ARG(buf_str(&on)));
    return ERR_OK;
}

// Rows that go, as the engine finds them: tarn_file, tarn_row, and by key also tarn_batch and
// tarn_order of the row that they were found for.
struct finding {
    struct delta *delta;
    uint64_t *matched; // bit per tarn_order: it was counted
};

static enum err_code find_row(struct finding *f, const struct vec_chunk *chunk, size_t i) {
    struct delta *d = f->delta;
    const int64_t file = ((const int64_t *)chunk->columns[0].data)[i];
    const int64_t row = ((const int64_t *)chunk->columns[1].data)[i];
    CHECK(file >= 0 && (size_t)file < d->scan.file_count);
    const int64_t rows = d->scan.files[file].file->record_count;
    CHECK(row >= 0 && row < rows);
    if (d->gone[file] == NULL) {
        d->gone[file] = arena_array(d->arena, ((size_t)rows + 63) / 64, sizeof(**d->gone));
    }
    const uint64_t bit = UINT64_C(1) << (row % 64);
    d->removed += (d->gone[file][row / 64] & bit) == 0 ? 1 : 0;
    d->gone[file][row / 64] |= bit;
    return ERR_OK;
}

static void count_match(struct finding *f, const struct vec_chunk *chunk, size_t i) {
    const int32_t batch = ((const int32_t *)chunk->columns[2].data)[i];
    const uint64_t order = (uint64_t)((const int64_t *)chunk->columns[3].data)[i];
    const uint64_t bit = UINT64_C(1) << (order % 64);
    if ((f->matched[order / 64] & bit) == 0) {
        f->matched[order / 64] |= bit;
        f->delta->batches[batch].matched++;
    }
}

static enum err_code find_rows(struct delta *d, struct str places, struct err *err) {
    DEFER(rows_closep) struct rows *rows = NULL;
    const struct vec_chunk *chunk = NULL;
    struct finding f = {.delta = d};
    if (has_keys(d)) {
        f.matched = arena_array(d->arena, (size_t)d->sent / 64 + 1, sizeof(*f.matched));
    }
    d->gone = arena_array(d->arena, d->scan.file_count, sizeof(void *));
    TRY(session_query(d->request->session, places, &rows, err));
    do {
        TRY(rows_next(rows, &chunk, err));
        for (size_t i = 0; chunk != NULL && i < chunk->rows; i++) {
            TRY(find_row(&f, chunk, i));
            if (has_keys(d)) {
                count_match(&f, chunk, i);
            }
        }
    } while (chunk != NULL);
    return ERR_OK;
}

static enum err_code put_deletes(struct delta *d, struct table_commit *c, struct table_edit *e,
                                 struct err *err) {
    for (size_t i = 0; d->gone != NULL && i < d->scan.file_count; i++) {
        if (d->gone[i] != NULL && !table_fold_has(&d->fold, &d->scan.files[i])) {
            const struct table_gone gone = {.file = &d->scan.files[i], .bits = d->gone[i]};
            TRY(table_gone_put(c, &gone, e, err));
        }
    }
    return ERR_OK;
}

static enum err_code find_places(struct delta *d, struct table_commit *c, struct err *err) {
    struct str places = STR_NONE;
    if (!has_keys(d) || d->rows == 0) {
        return ERR_OK;
    }
    for (size_t i = 0; i < MAX(d->request->batch_count, 1); i++) {
        d->batches[i].matched = 0;
    }
    TRY(find_by_key(d, &c->base, &places, err));
    return d->scan.file_count > 0 ? find_rows(d, places, err) : ERR_OK;
}

// Rows that come are made from the state before the change, and again with each attempt.
static enum err_code find_change(struct delta *d, struct table_commit *c, struct err *err) {
    struct table_change_sql sql = {0};
    TRY(d->request->places(d->request->ctx, &c->base, d->arena, &sql, err));
    d->scan = sql.scan;
    d->seen = c->base.metadata;
    d->source = sql.source;
    d->entries = (struct table_entries){0};
    d->rows = 0;
    TRY(find_rows(d, sql.places, err));
    return sql.source.len > 0 ? prepare_rows(d, err) : ERR_OK;
}

// A change's rows are made for the attempt alone, and so is what a fold makes of them.
static enum err_code put_rows(struct delta *d, struct table_commit *c, struct err *err) {
    const bool change = d->request->mode == TABLE_DELTA_CHANGE;
    struct table_staged folded;
    if (!has_rows(d) || (d->moved && !change)) {
        return ERR_OK;
    }
    if (d->fold.count > 0) {
        d->entries = (struct table_entries){0};
        TRY(stage_rows(d, d->fold.select, &folded, err));
        return table_data_put(c, &c->attempt, &folded, d->target.schema, &d->entries, err);
    }
    d->moved = true;
    return table_data_put(c, change ? &c->attempt : &c->kept, &d->staged, d->target.schema,
                          &d->entries, err);
}

static enum err_code find_fold(struct delta *d, struct table_commit *c, struct err *err) {
    d->fold = (struct table_fold){.scan = &d->scan, .gone = d->gone, .rows = d->rows};
    const bool may = has_rows(d) && !d->moved && !d->target.evolved;
    return may ? table_fold_plan(d->tables, &c->base, &d->fold, d->arena, err) : ERR_OK;
}

static enum err_code prepare(struct table_commit *c, struct table_edit *e, struct err *err) {
    struct delta *d = c->ctx;
    d->removed = 0;
    d->gone = NULL;
    if (d->request->mode == TABLE_DELTA_CHANGE) {
        TRY(find_change(d, c, err));
    } else {
        TRY(schema_still_fits(d, c->base.metadata, err));
        TRY(suppress_again(d, err));
        TRY(find_places(d, c, err));
    }
    TRY(find_fold(d, c, err));
    TRY(put_deletes(d, c, e, err));
    TRY(put_rows(d, c, err));
    table_fold_edit(&d->fold, e, d->arena);
    e->added = d->entries;
    c->who.details = table_suppress_details(d->request->who.details, d->suppressed, d->arena);
    const bool still = d->removed == 0 && d->entries.count == 0;
    e->nothing = still && d->suppressed == 0; // what was kept out is told
    if (has_rows(d)) {
        e->schema = d->target.evolved ? d->target.schema : NULL;
        e->last_column_id = d->target.last_column_id;
    }
    e->operation = still                                     ? STR_NONE
                   : d->entries.count == 0                   ? STR("delete")
                   : e->removed.count + e->deletes.count > 0 ? STR("overwrite")
                                                             : STR("append");
    return ERR_OK;
}

// What there is before: the schema that the rows are brought to.
static enum err_code look_up(struct delta *d, struct err *err) {
    struct catalog_dataset found;
    TRY(table_dataset_use(d->tables, d->request->dataset, d->arena, &found, err));
    TRY(table_metadata_load(d->tables, &found, d->arena, &d->seen, err));
    d->write = (struct table_write){.dataset = found.name,
                                    .mode = TABLE_APPEND,
                                    .evolve = d->request->evolve,
                                    .who = d->request->who,
                                    .session = d->request->session};
    d->dataset_id = found.id;
    return ERR_OK;
}

static void drop_temporaries(struct session *s) {
    struct err none = ERR_NONE;
    (void)session_run(s, STR("DROP TABLE IF EXISTS tarn_delta"), &none);
}

static struct table_delta_done done_of(const struct delta *d, const struct table_commit *c) {
    return (struct table_delta_done){.snapshot_id = c->snapshot_id,
                                     .added = has_rows(d) ? d->rows : 0,
                                     .removed = d->removed,
                                     .suppressed = d->suppressed,
                                     .batches = d->batches};
}

static json_t *extras(struct table_commit *c) {
    const struct delta *d = c->ctx;
    const struct table_delta_done done = done_of(d, c);
    return d->request->extras != NULL ? d->request->extras(d->request->ctx, &done) : NULL;
}

static enum err_code commit(struct delta *d, struct table_delta_done *ret, struct err *err) {
    struct table_commit c = {.tables = d->tables,
                             .dataset = d->write.dataset,
                             .dataset_id = d->dataset_id,
                             .who = d->request->who,
                             .prepare = prepare,
                             .extras = extras,
                             .ctx = d,
                             .arena = d->arena};
    LOCKED(table_write_lock(d->tables, d->write.dataset));
    TRY(table_commit_run(&c, err));
    *ret = done_of(d, &c);
    ret->dataset = c.after;
    ret->schema = ice_metadata_schema(c.metadata);
    return ERR_OK;
}

static enum err_code delta(struct delta *d, struct table_delta_done *ret, struct err *err) {
    TRY(look_up(d, err));
    if (d->request->mode == TABLE_DELTA_CHANGE) {
        d->batches = arena_alloc(d->arena, sizeof(*d->batches));
    } else {
        TRY(prepare_rows(d, err));
    }
    return commit(d, ret, err);
}

enum err_code table_delta(struct tables *t, const struct table_delta *request, struct arena *a,
                          struct table_delta_done *ret, struct err *err) {
    struct delta d = {.tables = t, .request = request, .source = request->source, .arena = a};
    const enum err_code code = delta(&d, ret, err);
    drop_temporaries(request->session);
    return code;
}
