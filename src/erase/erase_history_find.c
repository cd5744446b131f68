// Finding a subject: which files a dataset's snapshots have, and which rows of them are the
// subject's, deleted ones too.

#include "erase/erase_history_int.h"

#include <stdlib.h>

#include "base/hash.h"
#include "iceberg/metrics.h"

#define SEARCH_FILES 64  // that one statement searches
#define INSERT_KEYS 1000 // that one statement inserts

static int kind_of(const struct ice_type *t) {
    switch (t->kind) {
    case ICE_STRING:
        return ERASE_TEXT;
    case ICE_INT:
    case ICE_LONG:
        return ERASE_INTEGER;
    case ICE_UUID:
        return ERASE_UUID;
    default:
        return -1;
    }
}

static struct str integer_bytes(int64_t value, struct arena *a) {
    char *bytes = arena_alloc(a, sizeof(value));
    for (size_t i = 0; i < sizeof(value); i++) {
        bytes[i] = (char)(uint8_t)((uint64_t)value >> (8 * i));
    }
    return (struct str){bytes, sizeof(value)};
}

// A key's text as a value of that kind of column; false: it cannot be one.
static bool value_of(int kind, struct str text, struct arena *a, struct str *ret) {
    static const struct ice_type uuid = {.kind = ICE_UUID};
    const struct ice_literal literal = {.text = text};
    int64_t number;
    switch (kind) {
    case ERASE_TEXT:
        *ret = text;
        return str_is_utf8(text) && str_find_char(text, '\0') < 0;
    case ERASE_INTEGER:
        if (!str_to_i64(text, &number)) {
            return false;
        }
        *ret = integer_bytes(number, a);
        return true;
    default:
        return ice_literal_value(&uuid, &literal, a, ret);
    }
}

static int by_bytes(const void *x, const void *y) {
    return str_cmp(*(const struct str *)x, *(const struct str *)y);
}

static bool has_value(const struct erase_values *v, struct str value) {
    return v->count > 0 && bsearch(&value, v->items, v->count, sizeof(*v->items), by_bytes) != NULL;
}

bool erase_past_has(const struct erase_past *p, const struct ice_type *t, struct str text) {
    DEFER(arena_release) struct arena a = ARENA(1 << 16);
    const int kind = kind_of(t);
    struct str value;
    return kind >= 0 && value_of(kind, text, &a, &value) && has_value(&p->values[kind], value);
}

static void make_values(struct erase_past *p) {
    const struct erase_subjects *s = p->work->subjects;
    for (int kind = 0; kind < ERASE_KINDS; kind++) {
        struct erase_values *v = &p->values[kind];
        v->items = arena_array(p->arena, s->key_count, sizeof(*v->items));
        for (size_t i = 0; i < s->key_count; i++) {
            v->count += value_of(kind, s->keys[i].text, p->arena, &v->items[v->count]) ? 1 : 0;
        }
        qsort(v->items, v->count, sizeof(*v->items), by_bytes);
    }
    p->found = arena_array(p->arena, s->key_count, sizeof(*p->found));
}

void erase_past_open(struct erase *e, struct erase_past *p) {
    p->erase = e;
    p->tables = e->options.tables;
    make_values(p);
}

void erase_past_close(struct erase_past *p) {
    HASH_CLEAR(hh, p->datas);
    HASH_CLEAR(hh, p->deletes);
    HASH_CLEAR(hh, p->hashed);
    HASH_CLEAR(hh, p->manifests);
    upkeep_engine_close(&p->engine);
}

enum err_code erase_past_step(struct erase_past *p, int64_t steps, struct err *err) {
    p->job_done += steps;
    upkeep_progress(p->job, p->job_done, p->job_total);
    return upkeep_check(p->job, err);
}

enum err_code erase_past_local(const struct erase_past *p, struct str uri, struct arena *a,
                               struct str *ret, struct err *err) {
    struct str object;
    TRY(table_object_name(p->pin->metadata, &p->pin->dataset, uri, a, &object, err));
    return store_local(p->pin->bucket->store, object, a, ret, err);
}

// A row of the table of keys: its number, and what it is in each kind of column.
static void key_sql(const struct erase_past *p, size_t at, struct buf *out, struct arena *a) {
    const struct str text = p->work->subjects->keys[at].text;
    struct str value;
    int64_t number;
    buf_printf(out, "(%zu", at);
    if (value_of(ERASE_TEXT, text, a, &value)) {
        buf_printf(out, ", " STR_FMT, STR_ARG(sql_literal(text, a)));
    } else {
        buf_add_cstr(out, ", NULL");
    }
    if (str_to_i64(text, &number)) {
        buf_printf(out, ", '%lld'::BIGINT", (long long)number);
    } else {
        buf_add_cstr(out, ", NULL");
    }
    if (value_of(ERASE_UUID, text, a, &value)) {
        buf_printf(out, ", '" STR_FMT "'::UUID)", STR_ARG(hex_bytes(value.ptr, value.len, a)));
    } else {
        buf_add_cstr(out, ", NULL)");
    }
}

static enum err_code insert_keys(struct erase_past *p, struct err *err) {
    TRY(session_run(p->engine.session,
                    STR("CREATE TEMP TABLE tarn_keys"
                        "(tarn_n BIGINT, tarn_text VARCHAR, tarn_integer BIGINT, tarn_uuid UUID)"),
                    err));
    for (size_t i = 0; i < p->work->subjects->key_count;) {
        DEFER(arena_release) struct arena a = ARENA(64U << 20);
        DEFER(buf_release) struct buf sql = BUF(64U << 20);
        const size_t end = MIN(i + INSERT_KEYS, p->work->subjects->key_count);
        buf_add_cstr(&sql, "INSERT INTO tarn_keys VALUES ");
        for (size_t at = i; at < end; at++) {
            buf_add_cstr(&sql, at == i ? "" : ", ");
            key_sql(p, at, &sql, &a);
        }
        CHECK(!sql.overflow);
        TRY(session_run(p->engine.session, buf_str(&sql), err));
        i = end;
    }
    return ERR_OK;
}

enum err_code erase_past_engine(struct erase_past *p, struct err *err) {
    if (p->engine.engine != NULL) {
        return ERR_OK;
    }
    TRY(upkeep_engine_open(p->erase->options.upkeep, 0, p->job, &p->engine, err));
    return insert_keys(p, err);
}

static bool has_id(const struct ice_schema *s, int32_t id) {
    for (size_t i = 0; i < s->field_count; i++) {
        if (s->fields[i].id == id) {
            return true;
        }
    }
    return false;
}

static void add_key_id(struct erase_past *p, int32_t id, size_t *cap) {
    for (size_t i = 0; i < p->key_count; i++) {
        if (p->key_ids[i] == id) {
            return;
        }
    }
    p->key_ids = arena_grow(p->arena, p->key_ids, cap, p->key_count + 1, sizeof(*p->key_ids));
    p->key_ids[p->key_count++] = id;
}

// The column, and columns of that name that were dropped: old snapshots still have those.
static enum err_code find_columns(struct erase_past *p, struct err *err) {
    const struct ice_metadata *m = p->pin->metadata;
    const struct ice_schema *now = ice_metadata_schema(m);
    const struct ice_field *f = ice_schema_find(now, p->work->target->column);
    size_t cap = 0;
    p->key_ids = NULL;
    p->key_count = 0;
    if (f != NULL && kind_of(&f->type) < 0) {
        return err_set(err, ERR_INVALID,
                       "column \"" STR_FMT "\" of dataset \"" STR_FMT "\" is a " STR_FMT
                       "; people are found by text, integers or UUIDs",
                       STR_ARG(f->name), STR_ARG(p->pin->dataset.name),
                       STR_ARG(ice_type_text(&f->type, p->arena)));
    }
    if (f != NULL) {
        p->done.column = arena_str(p->texts, f->name);
        add_key_id(p, f->id, &cap);
    }
    for (size_t i = 0; i < m->schema_count; i++) {
        f = ice_schema_find(m->schemas[i], p->work->target->column);
        if (f != NULL && kind_of(&f->type) >= 0 && !has_id(now, f->id)) {
            add_key_id(p, f->id, &cap);
        }
    }
    if (p->key_count == 0) {
        return err_set(err, ERR_INVALID, "dataset \"" STR_FMT "\" has no column \"" STR_FMT "\"",
                       STR_ARG(p->pin->dataset.name), STR_ARG(p->work->target->column));
    }
    if (p->done.column.len == 0) {
        p->done.column = arena_str(p->texts, p->work->target->column);
    }
    return ERR_OK;
}

static const struct ice_field *key_field(const struct ice_schema *s, int32_t id) {
    for (size_t i = 0; i < s->field_count; i++) {
        if (s->fields[i].id == id && kind_of(&s->fields[i].type) >= 0) {
            return &s->fields[i];
        }
    }
    return NULL;
}

static const struct str *bound_of(const struct ice_bounds *b, int32_t id) {
    for (size_t i = 0; i < b->count; i++) {
        if (b->items[i].id == id) {
            return &b->items[i].bytes;
        }
    }
    return NULL;
}

// False only if the bounds rule out that the file has one of the keys in that column.
static bool may_hold(const struct erase_past *p, const struct ice_data_file *f,
                     const struct ice_field *field) {
    const struct erase_values *v = &p->values[kind_of(&field->type)];
    const struct str *lower = bound_of(&f->lower, field->id);
    const struct str *upper = bound_of(&f->upper, field->id);
    bool may = v->count > 0 && (lower == NULL || upper == NULL);
    for (size_t i = 0; !may && i < v->count; i++) {
        bool low_known = false;
        bool high_known = false;
        const int low = ice_value_cmp(&field->type, v->items[i], *lower, &low_known);
        const int high = ice_value_cmp(&field->type, v->items[i], *upper, &high_known);
        may = !low_known || !high_known || (low >= 0 && high <= 0);
    }
    return may;
}

static bool tells_anything(const struct ice_data_file *f) {
    return f->lower.count > 0 || f->upper.count > 0 || f->partition_count > 0;
}

// An entry of a file that went: do its bounds tell of rows that a subject may have been among?
static bool may_tell(const struct erase_past *p, const struct ice_data_file *f,
                     const struct ice_schema *s) {
    bool may = false;
    for (size_t i = 0; !may && i < p->key_count; i++) {
        const struct ice_field *field = key_field(s, p->key_ids[i]);
        may = field != NULL && may_hold(p, f, field);
    }
    return may && tells_anything(f);
}

static enum err_code unsupported(const struct erase_past *p, const struct ice_data_file *f,
                                 const char *what, struct err *err) {
    return err_set(err, ERR_UNSUPPORTED,
                   "dataset \"" STR_FMT "\" has %s, written by another engine; nothing can be "
                   "erased from it until its snapshots lead to none: compact it there and expire "
                   "its snapshots (one is " STR_FMT ")",
                   STR_ARG(p->pin->dataset.name), what, STR_ARG(f->path));
}

static enum err_code add_data(struct erase_past *p, const struct ice_data_file *f,
                              const struct ice_schema *schema, struct err *err) {
    struct erase_data *d = NULL;
    if (!str_eq_nocase(f->format, STR("parquet"))) {
        return unsupported(p, f, "data files that are not Parquet", err);
    }
    HASH_FIND(hh, p->datas, f->path.ptr, f->path.len, d);
    if (d == NULL) {
        d = arena_alloc(p->arena, sizeof(*d));
        d->path = f->path;
        d->file = f;
        d->schema = schema;
        HASH_ADD_KEYPTR(hh, p->datas, d->path.ptr, d->path.len, d);
    }
    d->live = true;
    return ERR_OK;
}

static enum err_code add_deletes(struct erase_past *p, const struct ice_data_file *f,
                                 struct err *err) {
    struct erase_deletes *d = NULL;
    if (f->content == ICE_EQUALITY_DELETES) {
        return unsupported(p, f, "equality delete files, which hold keys themselves", err);
    }
    if (!str_eq_nocase(f->format, STR("parquet"))) {
        return unsupported(p, f, "delete files that are not Parquet", err);
    }
    HASH_FIND(hh, p->deletes, f->path.ptr, f->path.len, d);
    if (d == NULL) {
        d = arena_alloc(p->arena, sizeof(*d));
        d->path = f->path;
        d->file = f;
        HASH_ADD_KEYPTR(hh, p->deletes, d->path.ptr, d->path.len, d);
    }
    d->live = true;
    return ERR_OK;
}

static enum err_code add_entry(struct erase_past *p, const struct ice_manifest *m,
                               const struct ice_entry *e, struct err *err) {
    if (e->status == ICE_DELETED) {
        p->stale_bounds = p->stale_bounds || may_tell(p, &e->file, m->schema);
        return ERR_OK;
    }
    return e->file.content == ICE_DATA ? add_data(p, &e->file, m->schema, err)
                                       : add_deletes(p, &e->file, err);
}

struct erase_manifest *erase_past_manifest(const struct erase_past *p,
                                           const struct ice_manifest_ref *ref) {
    struct erase_manifest *m = NULL;
    HASH_FIND(hh, p->manifests, ref->path.ptr, ref->path.len, m);
    return m;
}

static enum err_code add_manifest(struct erase_past *p, const struct ice_manifest_ref *ref,
                                  struct err *err) {
    struct erase_manifest *m = erase_past_manifest(p, ref);
    if (m != NULL) {
        return ERR_OK;
    }
    m = arena_alloc(p->arena, sizeof(*m));
    m->path = ref->path;
    m->ref = ref;
    HASH_ADD_KEYPTR(hh, p->manifests, m->path.ptr, m->path.len, m);
    TRY(table_manifest_load(p->tables, p->pin, ref, p->arena, &m->manifest, err));
    for (size_t i = 0; i < m->manifest->entry_count; i++) {
        TRY(add_entry(p, m->manifest, &m->manifest->entries[i], err));
    }
    return ERR_OK;
}

static enum err_code walk(struct erase_past *p, struct err *err) {
    const struct ice_metadata *m = p->pin->metadata;
    p->snapshots = arena_array(p->arena, m->snapshot_count, sizeof(*p->snapshots));
    for (size_t i = 0; i < m->snapshot_count; i++) {
        struct table_pin at = *p->pin;
        at.snapshot = &m->snapshots[i];
        TRY(upkeep_check(p->job, err));
        TRY(table_manifest_list_load(p->tables, &at, p->arena, &p->snapshots[i].list, err));
        for (size_t j = 0; j < p->snapshots[i].list->manifest_count; j++) {
            TRY(add_manifest(p, &p->snapshots[i].list->manifests[j], err));
        }
    }
    return ERR_OK;
}

// Files that one statement searches: of one schema, in one column.
struct search {
    struct erase_past *past;
    const struct ice_field *field;
    struct erase_data *files[SEARCH_FILES];
    size_t count;
};

static enum err_code search_sql(const struct search *s, struct arena *a, struct str *ret,
                                struct err *err) {
    static const char *const columns[] = {"tarn_text", "tarn_integer", "tarn_uuid"};
    DEFER(buf_release) struct buf sql = BUF(16U << 20);
    buf_add_cstr(&sql, "SELECT CAST(f.file_index AS BIGINT), CAST(f.file_row_number AS BIGINT), "
                       "k.tarn_n FROM read_parquet([");
    for (size_t i = 0; i < s->count; i++) {
        struct str path;
        TRY(erase_past_local(s->past, s->files[i]->path, a, &path, err));
        buf_add_cstr(&sql, i == 0 ? "" : ", ");
        buf_add_str(&sql, sql_literal(path, a));
    }
    buf_printf(&sql,
               "], hive_partitioning=" ENGINE_FALSE_LATE ") f JOIN tarn_keys k ON f." STR_FMT
               " = k.%s",
               STR_ARG(sql_ident(s->field->name, a)), columns[kind_of(&s->field->type)]);
    CHECK(!sql.overflow);
    *ret = arena_str(a, buf_str(&sql));
    return ERR_OK;
}

static enum err_code mark(struct erase_past *p, struct erase_data *d, int64_t row,
                          struct err *err) {
    const int64_t rows = d->file->record_count;
    if (row < 0 || row >= rows) {
        return err_set(err, ERR_CORRUPT,
                       "dataset \"" STR_FMT "\": " STR_FMT " has more than the %lld rows that its "
                       "manifest names",
                       STR_ARG(p->pin->dataset.name), STR_ARG(d->path), (long long)rows);
    }
    if (d->bits == NULL) {
        d->bits = arena_array(p->arena, ((size_t)rows + 63) / 64, sizeof(*d->bits));
    }
    const uint64_t bit = UINT64_C(1) << (row % 64);
    d->erased += (d->bits[row / 64] & bit) == 0 ? 1 : 0;
    d->bits[row / 64] |= bit;
    return ERR_OK;
}

static enum err_code mark_chunk(const struct search *s, const struct vec_chunk *chunk,
                                struct err *err) {
    const int64_t *files = chunk->columns[0].data;
    const int64_t *rows = chunk->columns[1].data;
    const int64_t *keys = chunk->columns[2].data;
    for (size_t i = 0; i < chunk->rows; i++) {
        CHECK(files[i] >= 0 && (size_t)files[i] < s->count);
        TRY(mark(s->past, s->files[files[i]], rows[i], err));
        s->past->found[keys[i]] = true;
    }
    return ERR_OK;
}

static enum err_code search_run(struct search *s, struct err *err) {
    DEFER(arena_release) struct arena a = ARENA(32U << 20);
    DEFER(rows_closep) struct rows *rows = NULL;
    const struct vec_chunk *chunk = NULL;
    struct str sql;
    const size_t count = s->count;
    if (count == 0) {
        return ERR_OK;
    }
    TRY(erase_past_engine(s->past, err));
    TRY(search_sql(s, &a, &sql, err));
    TRY(session_query(s->past->engine.session, sql, &rows, err));
    do {
        TRY(rows_next(rows, &chunk, err));
        if (chunk != NULL) {
            TRY(mark_chunk(s, chunk, err));
        }
    } while (chunk != NULL);
    s->count = 0;
    return erase_past_step(s->past, (int64_t)count, err);
}

// The files that were not searched before, in the column with that id.
static enum err_code search_column(struct erase_past *p, int32_t id, struct err *err) {
    struct search s = {.past = p};
    const struct ice_schema *schema = NULL;
    for (struct erase_data *d = p->datas; d != NULL; d = d->hh.next) {
        const struct ice_field *field = key_field(d->schema, id);
        if (!d->live || d->searched || field == NULL || !may_hold(p, d->file, field)) {
            continue;
        }
        const bool fits =
            schema == d->schema || (schema != NULL && ice_schema_eq(schema, d->schema));
        if (!fits || s.count == SEARCH_FILES) {
            TRY(search_run(&s, err));
        }
        schema = d->schema;
        s.field = field;
        s.files[s.count++] = d;
    }
    return search_run(&s, err);
}

// Does a snapshot have a file that changes, by way of this manifest?
static bool leads_to_change(const struct erase_past *p, const struct ice_manifest *m) {
    for (size_t i = 0; i < m->entry_count; i++) {
        if (m->entries[i].status != ICE_DELETED && erase_past_changes(p, &m->entries[i].file)) {
            return true;
        }
    }
    return false;
}

static void count_snapshots(struct erase_past *p) {
    for (struct erase_manifest *m = p->manifests; m != NULL; m = m->hh.next) {
        m->changed = leads_to_change(p, m->manifest);
    }
    for (size_t i = 0; i < p->pin->metadata->snapshot_count; i++) {
        const struct ice_manifest_list *list = p->snapshots[i].list;
        bool changed = false;
        for (size_t j = 0; !changed && j < list->manifest_count; j++) {
            changed = erase_past_manifest(p, &list->manifests[j])->changed;
        }
        p->done.snapshots_changed += changed ? 1 : 0;
    }
}

static void count_files(struct erase_past *p) {
    struct erase_history *h = &p->done;
    for (const struct erase_data *d = p->datas; d != NULL; d = d->hh.next) {
        if (d->live && d->bits != NULL) {
            h->rows += d->erased;
            h->files++;
            h->files_written += d->erased < d->file->record_count ? 1 : 0;
            h->bytes_read += d->file->file_bytes;
        }
    }
    for (size_t i = 0; i < p->work->subjects->key_count; i++) {
        h->keys_found += p->found[i] ? 1 : 0;
    }
    count_snapshots(p);
}

// What an earlier attempt saw and wrote stays known; whether it is still there is found anew.
static void look_anew(struct erase_past *p, const struct table_pin *pin) {
    p->pin = pin;
    HASH_CLEAR(hh, p->manifests);
    p->stale_bounds = false;
    p->done = (struct erase_history){
        .dataset = arena_str(p->texts, pin->dataset.name),
        .dataset_id = arena_str(p->texts, pin->dataset.id),
        .snapshots = (int64_t)pin->metadata->snapshot_count,
    };
    for (struct erase_data *d = p->datas; d != NULL; d = d->hh.next) {
        d->live = false;
    }
    for (struct erase_deletes *d = p->deletes; d != NULL; d = d->hh.next) {
        d->live = false;
    }
    for (struct erase_removed *r = p->hashed; r != NULL; r = r->hh.next) {
        r->listed = false;
    }
}

enum err_code erase_past_find(struct erase_past *p, const struct table_pin *pin, struct err *err) {
    look_anew(p, pin);
    TRY(find_columns(p, err));
    TRY(walk(p, err));
    p->job_done = 0;
    p->job_total = (int64_t)HASH_COUNT(p->datas);
    for (size_t i = 0; i < p->key_count; i++) {
        TRY(search_column(p, p->key_ids[i], err));
    }
    for (struct erase_data *d = p->datas; d != NULL; d = d->hh.next) {
        d->searched = d->searched || d->live;
    }
    count_files(p);
    return ERR_OK;
}
