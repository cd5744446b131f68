// Deletes: from position delete files to a bitmap for each data file, and back.
//
// A delete file says of itself which data file it is for: by referenced_data_file, by equal bounds
// of its column file_path, or not at all; then it may hold rows of any. It applies to data files
// whose sequence number is at most its own. Bitmaps are kept in the cache under the names of the
// data file and its delete files, none of which ever change.
//
// Delete files whose object's name begins with TABLE_TOMBSTONES_PREFIX hold rows that a tombstone
// hides (table_tombstone.h). We write at most one such file and one ordinary one for a data file,
// and no row into both; a row that another engine has deleted besides is an ordinarily deleted one.

#include "base/hash.h"
#include "base/hashmap.h"
#include "iceberg/deletes.h"
#include "table/table_commit.h"

// Delete files by the data file that they are for.
struct target {
    struct str path;
    const struct ice_entry **entries;
    size_t count, cap;
    UT_hash_handle hh;
};

// A data file whose bitmap is being made.
struct making {
    struct str path; // as delete files name it
    struct str key;
    struct table_deletes deletes;
    uint64_t *bits[2]; // ordinary ones; tombstones
    UT_hash_handle hh;
};

struct loading {
    struct tables *tables;
    const struct table_pin *pin;
    struct arena *arena;
    struct target *targets;
    struct target any; // for any file
    struct making *missing;
    const struct ice_data_file **to_read; // delete files
    size_t read_count, read_cap;
};

bool table_delete_is_tombstones(const struct ice_data_file *f) {
    struct str rest = f->path;
    struct str last = STR_NONE;
    while (str_cut(&rest, '/', &last)) {
    }
    return str_starts(last, STR(TABLE_TOMBSTONES_PREFIX));
}

static size_t words_of(int64_t rows) {
    return ((size_t)rows + 63) / 64;
}

static const struct ice_bound *bound_find(const struct ice_bounds *b, int32_t id) {
    for (size_t i = 0; i < b->count; i++) {
        if (b->items[i].id == id) {
            return &b->items[i];
        }
    }
    return NULL;
}

struct str table_delete_target(const struct ice_data_file *f) {
    const struct ice_bound *lower = bound_find(&f->lower, ICE_DELETE_PATH_ID);
    const struct ice_bound *upper = bound_find(&f->upper, ICE_DELETE_PATH_ID);
    if (f->referenced_data_file.len > 0) {
        return f->referenced_data_file;
    }
    return lower != NULL && upper != NULL && str_eq(lower->bytes, upper->bytes) ? lower->bytes
                                                                                : STR_NONE;
}

static void target_add(struct loading *l, const struct ice_entry *e) {
    const struct str path = table_delete_target(&e->file);
    struct target *t = &l->any;
    if (path.len > 0) {
        HASH_FIND(hh, l->targets, path.ptr, path.len, t);
        if (t == NULL) {
            t = arena_alloc(l->arena, sizeof(*t));
            t->path = path;
            HASH_ADD_KEYPTR(hh, l->targets, t->path.ptr, t->path.len, t);
        }
    }
    t->entries = arena_grow(l->arena, t->entries, &t->cap, t->count + 1, sizeof(void *));
    t->entries[t->count++] = e;
}

static enum err_code collect(struct loading *l, const struct ice_manifest *m, struct err *err) {
    for (size_t i = 0; i < m->entry_count; i++) {
        const struct ice_entry *e = &m->entries[i];
        if (e->status == ICE_DELETED) {
            continue;
        }
        if (e->file.content != ICE_POSITION_DELETES ||
            !str_eq_nocase(e->file.format, STR("parquet"))) {
            return err_set(err, ERR_UNSUPPORTED,
                           "dataset \"" STR_FMT "\" has %s delete files, written by another "
                           "engine; this server does not read them: compact the table there",
                           STR_ARG(l->pin->dataset.name),
                           e->file.content == ICE_EQUALITY_DELETES ? "equality" : "foreign");
        }
        target_add(l, e);
    }
    return ERR_OK;
}

static void apply(struct table_file *f, const struct target *t, struct arena *a) {
    size_t cap = f->delete_file_count;
    for (size_t i = 0; t != NULL && i < t->count; i++) {
        if (t->entries[i]->sequence_number < f->entry->sequence_number) {
            continue;
        }
        f->delete_files =
            arena_grow(a, f->delete_files, &cap, f->delete_file_count + 1, sizeof(void *));
        f->delete_files[f->delete_file_count++] = &t->entries[i]->file;
    }
}

static struct str cache_key(const struct loading *l, const struct table_file *f) {
    DEFER(buf_release) struct buf key = BUF(64U << 20);
    buf_printf(&key, "deletes:" STR_FMT ":" STR_FMT, STR_ARG(l->pin->dataset.bucket),
               STR_ARG(f->file->path));
    for (size_t i = 0; i < f->delete_file_count; i++) {
        buf_printf(&key, "\n" STR_FMT, STR_ARG(f->delete_files[i]->path));
    }
    CHECK(!key.overflow);
    return arena_str(l->arena, buf_str(&key));
}

static bool is_to_be_read(const struct loading *l, const struct ice_data_file *f) {
    for (size_t i = l->read_count; i > 0; i--) {
        if (l->to_read[i - 1] == f) {
            return true;
        }
    }
    return false;
}

static void note_missing(struct loading *l, const struct table_file *f, struct str key) {
    struct making *m = arena_alloc(l->arena, sizeof(*m));
    m->path = f->file->path;
    m->key = key;
    m->deletes.rows = f->file->record_count;
    for (size_t i = 0; i < ARRAY_LEN(m->bits); i++) {
        m->bits[i] = arena_array(l->arena, words_of(m->deletes.rows), sizeof(**m->bits));
    }
    HASH_ADD_KEYPTR(hh, l->missing, m->path.ptr, m->path.len, m);
    for (size_t i = 0; i < f->delete_file_count; i++) {
        // One that names its data file belongs to no other.
        const bool shared = table_delete_target(f->delete_files[i]).len == 0;
        if (!shared || !is_to_be_read(l, f->delete_files[i])) {
            l->to_read =
                arena_grow(l->arena, l->to_read, &l->read_cap, l->read_count + 1, sizeof(void *));
            l->to_read[l->read_count++] = f->delete_files[i];
        }
    }
}

static enum err_code mark(struct loading *l, struct making *m, size_t class, int64_t row,
                          struct err *err) {
    if (row < 0 || row >= m->deletes.rows) {
        return err_set(err, ERR_CORRUPT,
                       "dataset \"" STR_FMT "\": a delete file names row %lld of " STR_FMT
                       ", which has %lld",
                       STR_ARG(l->pin->dataset.name), (long long)row, STR_ARG(m->path),
                       (long long)m->deletes.rows);
    }
    m->bits[class][row / 64] |= UINT64_C(1) << (row % 64);
    return ERR_OK;
}

static enum err_code mark_chunk(struct loading *l, const struct vec_chunk *chunk, struct err *err) {
    const struct vec *paths = &chunk->columns[0];
    const struct vec *rows = &chunk->columns[1];
    struct making *m = NULL;
    for (size_t i = 0; i < chunk->rows; i++) {
        const struct str path = vec_str(paths, i);
        if (m == NULL || !str_eq(m->path, path)) {
            HASH_FIND(hh, l->missing, path.ptr, path.len, m);
        }
        if (m != NULL && !vec_is_null(rows, i)) {
            const size_t class = ((const uint8_t *)chunk->columns[2].data)[i];
            TRY(mark(l, m, class, ((const int64_t *)rows->data)[i], err));
        }
    }
    return ERR_OK;
}

// Those of one class, behind what there is of the other.
static enum err_code read_sql(const struct loading *l, bool tombstones, struct buf *sql,
                              struct err *err) {
    const char *glue = sql->len == 0 ? "" : " UNION ALL ";
    bool any = false;
    for (size_t i = 0; i < l->read_count; i++) {
        struct str object;
        struct str path;
        if (table_delete_is_tombstones(l->to_read[i]) != tombstones) {
            continue;
        }
        TRY(table_object_name(l->pin->metadata, &l->pin->dataset, l->to_read[i]->path, l->arena,
                              &object, err));
        TRY(store_local(l->pin->bucket->store, object, l->arena, &path, err));
        if (any) {
            buf_add_cstr(sql, ", ");
        } else {
            buf_printf(sql, "%sSELECT file_path, pos, %s FROM read_parquet([", glue,
                       tombstones ? "true" : "false");
        }
        any = true;
        buf_add_str(sql, sql_literal(path, l->arena));
    }
    buf_add_cstr(sql, any ? "], hive_partitioning=false)" : "");
    return ERR_OK;
}

static enum err_code read_missing(struct loading *l, struct err *err) {
    DEFER(session_closep) struct session *s = NULL;
    DEFER(rows_closep) struct rows *rows = NULL;
    DEFER(buf_release) struct buf sql = BUF(64U << 20);
    TRY(read_sql(l, false, &sql, err));
    TRY(read_sql(l, true, &sql, err));
    CHECK(!sql.overflow);
    TRY(session_open(l->tables->engine, &s, err));
    TRY(session_query(s, buf_str(&sql), &rows, err));
    const struct vec_chunk *chunk = NULL;
    do {
        TRY(rows_next(rows, &chunk, err));
        if (chunk != NULL) {
            TRY(mark_chunk(l, chunk, err));
        }
    } while (chunk != NULL);
    return ERR_OK;
}

static enum err_code copy_made(void *ctx, struct arena *own, const void **ret, struct err *err) {
    (void)err;
    const struct making *m = ctx;
    const size_t words = words_of(m->deletes.rows);
    struct table_deletes *d = arena_alloc(own, sizeof(*d));
    uint64_t *bits = arena_array(own, words, sizeof(*bits));
    uint64_t *tombstones = NULL;
    *d = m->deletes;
    for (size_t i = 0; i < words; i++) {
        const uint64_t hidden = m->bits[1][i] & ~m->bits[0][i];
        bits[i] = m->bits[0][i] | hidden;
        d->count += __builtin_popcountll(bits[i]);
        d->tombstone_count += __builtin_popcountll(hidden);
    }
    if (d->tombstone_count > 0) {
        tombstones = arena_array(own, words, sizeof(*tombstones));
        for (size_t i = 0; i < words; i++) {
            tombstones[i] = m->bits[1][i] & ~m->bits[0][i];
        }
    }
    d->bits = bits;
    d->tombstones = tombstones;
    *ret = d;
    return ERR_OK;
}

static enum err_code settle(struct loading *l, struct table_file *f, struct err *err) {
    struct making *m = NULL;
    const void *value;
    if (f->deletes != NULL || f->delete_file_count == 0) {
        return ERR_OK;
    }
    HASH_FIND(hh, l->missing, f->file->path.ptr, f->file->path.len, m);
    CHECK(m != NULL);
    const struct cache_loader loader = {copy_made, m};
    TRY(cache_get(l->tables->cache, m->key, &loader, l->arena, &value, err));
    f->deletes = value;
    return ERR_OK;
}

static void forget_hashes(struct loading *l) {
    HASH_CLEAR(hh, l->targets);
    HASH_CLEAR(hh, l->missing);
}

static enum err_code load(struct loading *l, struct table_scan *scan, struct err *err) {
    for (size_t i = 0; i < scan->file_count; i++) {
        struct table_file *f = &scan->files[i];
        struct target *t = NULL;
        HASH_FIND(hh, l->targets, f->file->path.ptr, f->file->path.len, t);
        apply(f, t, l->arena);
        apply(f, &l->any, l->arena);
        if (f->delete_file_count > 0) {
            const struct str key = cache_key(l, f);
            f->deletes = cache_find(l->tables->cache, key, l->arena);
            if (f->deletes == NULL) {
                note_missing(l, f, key);
            }
        }
    }
    if (l->read_count > 0) {
        TRY(read_missing(l, err));
    }
    for (size_t i = 0; i < scan->file_count; i++) {
        struct table_file *f = &scan->files[i];
        TRY(settle(l, f, err));
        if (f->deletes != NULL && f->deletes->count == 0) {
            f->deletes = NULL; // a shared delete file that has no row of this one
        }
    }
    return ERR_OK;
}

enum err_code table_deletes_load(struct tables *t, const struct table_pin *pin,
                                 const struct ice_manifest_list *list, struct table_scan *scan,
                                 struct arena *a, struct err *err) {
    struct loading l = {.tables = t, .pin = pin, .arena = a};
    enum err_code code = ERR_OK;
    bool any = false;
    for (size_t i = 0; i < list->manifest_count && code == ERR_OK; i++) {
        const struct ice_manifest_ref *ref = &list->manifests[i];
        const struct ice_manifest *m;
        if (!ref->deletes || ref->added_files + ref->existing_files == 0) {
            continue;
        }
        any = true;
        code = table_manifest_load(t, pin, ref, a, &m, err);
        code = code == ERR_OK ? collect(&l, m, err) : code;
    }
    if (any && code == ERR_OK) {
        code = load(&l, scan, err);
    }
    forget_hashes(&l);
    return code;
}

// Earlier delete files of one class, of this data file alone; one that others share stays, since a
// row that is deleted twice is deleted.
static void remove_earlier(struct table_commit *c, const struct table_file *f, bool tombstones,
                           struct table_edit *e) {
    for (size_t i = 0; i < f->delete_file_count; i++) {
        if (table_delete_target(f->delete_files[i]).len > 0 &&
            table_delete_is_tombstones(f->delete_files[i]) == tombstones) {
            table_path_add(&e->removed, f->delete_files[i]->path, c->arena);
        }
    }
}

static enum err_code put_bits(struct table_commit *c, const struct table_gone *g,
                              const char *prefix, struct table_edit *e, struct err *err) {
    struct str data;
    struct str object = arena_printf(c->arena, STR_FMT "/data/%s" STR_FMT "-deletes.parquet",
                                     STR_ARG(c->dir), prefix, STR_ARG(uuid_new(c->arena)));
    struct ice_entry *entry = table_entry_add(&e->deletes, c->arena);
    *entry = (struct ice_entry){.status = ICE_ADDED, .inherit = true};
    const struct ice_deleted deleted = {g->file->file->path, g->bits, g->file->file->record_count};
    TRY(ice_position_deletes_write(&deleted, c->arena, &data, &entry->file, err));
    entry->file.path = table_object_uri(c, object);
    return table_object_put(c, &c->attempt, object, data, err);
}

enum err_code table_gone_put(struct table_commit *c, const struct table_gone *g,
                             struct table_edit *e, struct err *err) {
    const struct table_file *f = g->file;
    const struct table_deletes *d = f->deletes;
    int64_t count = 0;
    for (size_t i = 0; i < words_of(f->file->record_count); i++) {
        const uint64_t hidden = d != NULL && d->tombstones != NULL ? d->tombstones[i] : 0;
        g->bits[i] = (g->bits[i] | (d != NULL ? d->bits[i] : 0)) & ~hidden;
        count += __builtin_popcountll(g->bits[i]);
    }
    remove_earlier(c, f, false, e);
    if (count == f->file->record_count) {
        table_path_add(&e->removed, f->file->path, c->arena);
        return ERR_OK;
    }
    return put_bits(c, g, "", e, err);
}

enum err_code table_hidden_put(struct table_commit *c, const struct table_gone *g,
                               struct table_edit *e, struct err *err) {
    const struct table_file *f = g->file;
    int64_t count = 0;
    for (size_t i = 0; i < words_of(f->file->record_count); i++) {
        count += __builtin_popcountll(g->bits[i]);
    }
    remove_earlier(c, f, true, e);
    return count > 0 ? put_bits(c, g, TABLE_TOMBSTONES_PREFIX, e, err) : ERR_OK;
}
