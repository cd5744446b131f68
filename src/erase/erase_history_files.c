// Files without a subject: data files are written again without its rows, and the position delete
// files that are for them with the positions that the other rows have now.
//
// A data file keeps its schema, field ids and order. Its rows go through tarn_sum() on their way,
// and the new file is read back through it before anything leads there.

#include "erase/erase_history_int.h"

#include "base/hash.h"
#include "iceberg/deletes.h"

bool erase_past_now(const struct erase_past *p, const struct ice_data_file *f,
                    const struct ice_data_file **ret, size_t *ret_count) {
    const struct erase_data *data = NULL;
    const struct erase_deletes *deletes = NULL;
    if (f->content == ICE_DATA) {
        HASH_FIND(hh, p->datas, f->path.ptr, f->path.len, data);
    } else {
        HASH_FIND(hh, p->deletes, f->path.ptr, f->path.len, deletes);
    }
    if (data != NULL && data->bits != NULL) {
        *ret = &data->now;
        *ret_count = data->left ? 1 : 0;
        return true;
    }
    if (deletes != NULL && deletes->changed) {
        *ret = deletes->now;
        *ret_count = deletes->now_count;
        return true;
    }
    return false;
}

bool erase_past_changes(const struct erase_past *p, const struct ice_data_file *f) {
    const struct ice_data_file *now;
    size_t count;
    return erase_past_now(p, f, &now, &count);
}

// One data file on its way.
struct writing {
    struct erase_past *past;
    struct erase_data *data;
    struct arena *arena;
    struct table_pin pin; // with the file's own schema
    struct table_deletes deletes;
    struct table_staged staged;
};

static enum err_code stage(struct writing *w, const char *folder, struct engine_sum *ret,
                           struct err *err) {
    const struct upkeep_engine *e = &w->past->engine;
    struct arena *a = w->arena;
    struct table_file f = {
        .file = w->data->file, .schema = w->data->schema, .deletes = &w->deletes};
    TRY(erase_past_local(w->past, w->data->path, a, &f.path, err));
    const struct table_scan scan = table_scan_of(e->engine, &f, 1, a);
    const int64_t sum = engine_sum_begin(e->engine);
    const struct table_stage_source source = {
        .select = arena_printf(a, "SELECT " STR_FMT " FROM (" STR_FMT ")",
                               STR_ARG(upkeep_summed_sql(w->data->schema, sum, a)),
                               STR_ARG(table_scan_sql(&w->pin, &scan, a))),
        .schema = w->data->schema,
        .folder = folder,
        .one_file = true,
    };
    const enum err_code code =
        table_stage(w->past->tables, e->session, &source, a, &w->staged, err);
    *ret = engine_sum_end(e->engine, sum);
    return code;
}

static enum err_code read_back(struct writing *w, struct engine_sum *ret, struct err *err) {
    const struct upkeep_engine *e = &w->past->engine;
    struct arena *a = w->arena;
    const struct ice_data_file size = {.record_count = w->staged.rows};
    const struct table_file f = {
        .file = &size, .path = w->staged.stats[0].path, .schema = w->data->schema};
    const struct table_scan scan = table_scan_of(e->engine, &f, 1, a);
    const int64_t sum = engine_sum_begin(e->engine);
    struct str count;
    const enum err_code code =
        session_text(e->session,
                     arena_printf(a, "SELECT count(*) FROM (" STR_FMT ") WHERE " STR_FMT,
                                  STR_ARG(table_scan_sql(&w->pin, &scan, a)),
                                  STR_ARG(upkeep_sum_sql(w->data->schema, sum, a))),
                     a, &count, err);
    *ret = engine_sum_end(e->engine, sum);
    return code;
}

static enum err_code stage_checked(struct writing *w, const char *folder, struct err *err) {
    const int64_t rows = w->data->file->record_count - w->data->erased;
    struct engine_sum written;
    struct engine_sum back = {0};
    TRY(stage(w, folder, &written, err));
    if (w->staged.count == 1) {
        TRY(read_back(w, &back, err));
    }
    if ((int64_t)written.rows != rows || w->staged.rows != rows ||
        !engine_sum_eq(&written, &back)) {
        return err_set(err, ERR_CORRUPT,
                       "dataset \"" STR_FMT "\": of " STR_FMT ", %lld rows were to be written "
                       "again, %llu were, and %llu with %s checksum were read back; nothing was "
                       "changed",
                       STR_ARG(w->pin.dataset.name), STR_ARG(w->data->path), (long long)rows,
                       (unsigned long long)written.rows, (unsigned long long)back.rows,
                       written.first == back.first && written.second == back.second ? "the same"
                                                                                    : "another");
    }
    return ERR_OK;
}

// Files of deltas stay known by their names.
static const char *prefix_of(struct str path) {
    return str_find(path, STR("/data/" TABLE_DELTA_PREFIX)) >= 0 ? TABLE_DELTA_PREFIX : NULL;
}

// What the new file is in other ways than the writer knows: the same as the old one.
static void inherit(const struct ice_data_file *old, struct ice_data_file *now) {
    now->partition = old->partition;
    now->partition_count = old->partition_count;
    now->has_sort_order = old->has_sort_order;
    now->sort_order_id = old->sort_order_id;
}

static enum err_code write_data(struct erase_past *p, struct table_commit *c, struct erase_data *d,
                                struct err *err) {
    DEFER(arena_release) struct arena a = ARENA(1U << 30);
    DEFER(table_folder_release) struct table_folder folder = {0};
    struct writing w = {
        .past = p,
        .data = d,
        .arena = &a,
        .pin = *p->pin,
        .deletes = {.bits = d->bits, .rows = d->file->record_count, .count = d->erased}};
    struct table_entries entries = {0};
    w.pin.schema = d->schema;
    d->left = d->erased < d->file->record_count;
    if (d->left) {
        TRY(table_folder_make(p->tables, &a, &folder, err));
        TRY(stage_checked(&w, folder.path, err));
        w.staged.prefix = prefix_of(d->path);
        TRY(table_data_put(c, &c->kept, &w.staged, d->schema, &entries, err));
        CHECK(entries.count == 1);
        d->now = entries.items[0].file;
        inherit(d->file, &d->now);
    }
    d->done = true;
    return ERR_OK;
}

// Where the rows of a file go: the number of a row that stays, in the new file.
static void make_ranks(struct erase_past *p, struct erase_data *d) {
    const size_t words = ((size_t)d->file->record_count + 63) / 64;
    int64_t before = 0;
    if (d->bits == NULL || d->ranks != NULL) {
        return;
    }
    d->ranks = arena_array(p->arena, words, sizeof(*d->ranks));
    for (size_t i = 0; i < words; i++) {
        d->ranks[i] = before;
        before += __builtin_popcountll(d->bits[i]);
    }
}

// -1: it is erased.
static int64_t new_row(const struct erase_data *d, int64_t row) {
    const uint64_t bit = UINT64_C(1) << (row % 64);
    if (d->bits == NULL) {
        return row;
    }
    const uint64_t word = d->bits[row / 64];
    return (word & bit) != 0 ? -1
                             : row - d->ranks[row / 64] - __builtin_popcountll(word & (bit - 1));
}

// The deletes of one data file out of a delete file.
struct moved {
    struct erase_data *data;
    uint64_t *bits; // by the new numbers
    int64_t count;
    struct moved *next;
};
struct moving {
    struct erase_past *past;
    struct table_commit *commit;
    struct erase_deletes *deletes;
    struct arena *arena;
    struct moved *all;
    struct moved *last; // that was looked up; most often it is the next one too
};

static struct moved *moved_find(struct moving *m, struct str path) {
    struct erase_data *d = NULL;
    if (m->last != NULL && str_eq(m->last->data->path, path)) {
        return m->last;
    }
    HASH_FIND(hh, m->past->datas, path.ptr, path.len, d);
    if (d == NULL) {
        return NULL; // no snapshot has it any more
    }
    for (m->last = m->all; m->last != NULL && m->last->data != d;) {
        m->last = m->last->next;
    }
    if (m->last == NULL) {
        struct moved *one = arena_alloc(m->arena, sizeof(*one));
        const size_t words = ((size_t)d->file->record_count + 63) / 64;
        make_ranks(m->past, d);
        *one = (struct moved){
            .data = d, .bits = arena_array(m->arena, words, sizeof(*one->bits)), .next = m->all};
        m->all = m->last = one;
    }
    return m->last;
}

static enum err_code move_row(const struct moving *m, struct moved *to, int64_t row,
                              struct err *err) {
    if (row < 0 || row >= to->data->file->record_count) {
        return err_set(err, ERR_CORRUPT,
                       "dataset \"" STR_FMT "\": a delete file names row %lld of " STR_FMT
                       ", which has %lld",
                       STR_ARG(m->past->pin->dataset.name), (long long)row, STR_ARG(to->data->path),
                       (long long)to->data->file->record_count);
    }
    const int64_t now = new_row(to->data, row);
    if (now >= 0) {
        const uint64_t bit = UINT64_C(1) << (now % 64);
        to->count += (to->bits[now / 64] & bit) == 0 ? 1 : 0;
        to->bits[now / 64] |= bit;
    }
    return ERR_OK;
}

static enum err_code move_chunk(struct moving *m, const struct vec_chunk *chunk, struct err *err) {
    const struct vec *paths = &chunk->columns[0];
    const struct vec *rows = &chunk->columns[1];
    for (size_t i = 0; i < chunk->rows; i++) {
        struct moved *to = moved_find(m, vec_str(paths, i));
        if (to != NULL && !vec_is_null(rows, i)) {
            TRY(move_row(m, to, ((const int64_t *)rows->data)[i], err));
        }
    }
    return ERR_OK;
}

static enum err_code read_deletes(struct moving *m, struct err *err) {
    DEFER(rows_closep) struct rows *rows = NULL;
    const struct vec_chunk *chunk = NULL;
    struct str path;
    TRY(erase_past_local(m->past, m->deletes->path, m->arena, &path, err));
    TRY(erase_past_engine(m->past, err));
    TRY(session_query(m->past->engine.session,
                      arena_printf(m->arena,
                                   "SELECT file_path, pos FROM read_parquet([" STR_FMT
                                   "], hive_partitioning=" ENGINE_FALSE_LATE ")",
                                   STR_ARG(sql_literal(path, m->arena))),
                      &rows, err));
    do {
        TRY(rows_next(rows, &chunk, err));
        if (chunk != NULL) {
            TRY(move_chunk(m, chunk, err));
        }
    } while (chunk != NULL);
    return ERR_OK;
}

// The class of a delete file stands in its name.
static struct str deletes_object(const struct moving *m, struct arena *a) {
    const struct str dir = m->commit->dir;
    return table_delete_is_tombstones(m->deletes->file)
               ? arena_printf(a, STR_FMT "/data/" TABLE_TOMBSTONES_PREFIX STR_FMT ".parquet",
                              STR_ARG(dir), STR_ARG(uuid_new(a)))
               : arena_printf(a, STR_FMT "/data/" STR_FMT "-deletes.parquet", STR_ARG(dir),
                              STR_ARG(uuid_new(a)));
}

static struct ice_bounds copy_bounds(const struct ice_bounds *b, struct arena *a) {
    struct ice_bounds copy = {arena_array(a, b->count, sizeof(*b->items)), b->count};
    for (size_t i = 0; i < b->count; i++) {
        copy.items[i] = (struct ice_bound){b->items[i].id, arena_str(a, b->items[i].bytes)};
    }
    return copy;
}

static enum err_code put_moved(struct moving *m, const struct moved *one, struct err *err) {
    struct arena *a = m->past->arena;
    struct ice_data_file *now = &m->deletes->now[m->deletes->now_count];
    const struct str path = one->data->bits != NULL ? one->data->now.path : one->data->path;
    const struct ice_deleted deleted = {path, one->bits, one->data->file->record_count};
    const struct str object = deletes_object(m, a);
    struct ice_data_file made;
    struct str data;
    TRY(ice_position_deletes_write(&deleted, m->arena, &data, &made, err));
    TRY(table_object_put(m->commit, &m->commit->kept, object, data, err));
    *now = made;
    now->path = table_object_uri(m->commit, object);
    now->lower = copy_bounds(&made.lower, a);
    now->upper = copy_bounds(&made.upper, a);
    now->partition = m->deletes->file->partition;
    now->partition_count = m->deletes->file->partition_count;
    m->deletes->now_count++;
    return ERR_OK;
}

static enum err_code put_all_moved(struct moving *m, struct err *err) {
    size_t count = 0;
    for (const struct moved *one = m->all; one != NULL; one = one->next) {
        count++;
    }
    m->deletes->changed = true;
    m->deletes->now_count = 0;
    m->deletes->now = arena_array(m->past->arena, count, sizeof(*m->deletes->now));
    for (const struct moved *one = m->all; one != NULL; one = one->next) {
        if (one->count > 0) {
            TRY(put_moved(m, one, err));
        }
    }
    return ERR_OK;
}

static bool any_changed(const struct moving *m) {
    for (const struct moved *one = m->all; one != NULL; one = one->next) {
        if (one->data->bits != NULL) {
            return true;
        }
    }
    return false;
}

static enum err_code write_deletes(struct erase_past *p, struct table_commit *c,
                                   struct erase_deletes *d, struct err *err) {
    DEFER(arena_release) struct arena a = ARENA(1U << 30);
    struct moving m = {.past = p, .commit = c, .deletes = d, .arena = &a};
    const struct str target = table_delete_target(d->file);
    const struct erase_data *data = NULL;
    if (target.len > 0) {
        HASH_FIND(hh, p->datas, target.ptr, target.len, data);
    }
    if (target.len == 0 || (data != NULL && data->bits != NULL)) {
        TRY(read_deletes(&m, err));
        if (target.len > 0 || any_changed(&m)) {
            TRY(put_all_moved(&m, err));
        }
    }
    d->done = true;
    return ERR_OK;
}

enum err_code erase_past_write(struct erase_past *p, struct table_commit *c, struct err *err) {
    p->job_total += p->done.files + (int64_t)HASH_COUNT(p->deletes);
    for (struct erase_data *d = p->datas; d != NULL; d = d->hh.next) {
        if (d->live && d->bits != NULL && !d->done) {
            TRY(write_data(p, c, d, err));
            TRY(erase_past_step(p, 1, err));
        }
        p->done.bytes_written += d->live && d->left ? d->now.file_bytes : 0;
    }
    for (struct erase_deletes *d = p->deletes; d != NULL; d = d->hh.next) {
        if (d->live && !d->done) {
            TRY(write_deletes(p, c, d, err));
            TRY(erase_past_step(p, 1, err));
        }
    }
    return ERR_OK;
}
