// Following a dataset: what is missing in memory is loaded, what has left the dataset goes, and
// small tables are folded into one.

#include <float.h>
#include <stdlib.h>
#include <utlist.h>

#include "base/clock.h"
#include "base/counters.h"
#include "hot/hot_int.h"

#define ARENA_BYTES (256U << 20)
#define GROWTH 4                        // bytes in memory for one of Parquet, as a first guess
#define PART_BYTES (INT64_C(256) << 20) // of Parquet that one statement reads
#define PART_FILES 256
#define RETRY_US INT64_C(60000000) // after a load that failed; twice as long after the next, …
#define RETRY_DOUBLINGS 6
#define TABLES_MAX 6 // of one schema; then small ones are folded

// A dataset on its way to its current state.
struct refresh {
    struct hot *hot;
    struct hot_set *set;
    struct arena *arena;
    struct table_pin pin;
    struct table_scan scan; // all its files
    bool *here;             // which of them are in memory
    uint64_t forgets, epoch;
    size_t made; // tables
};

static enum err_code plan(struct refresh *r, struct err *err) {
    struct table_want want = {0};
    const struct table_conditions none = {0};
    {
        LOCKED(&r->hot->lock);
        r->forgets = r->hot->forgets;
        r->epoch = r->set->epoch;
        want.name = arena_str(r->arena, buf_str(&r->set->name));
    }
    TRY(table_pin_at(r->hot->tables, &want, r->arena, &r->pin, err));
    if (!str_eq(r->pin.dataset.id, str_from(r->set->id))) {
        return err_set(err, ERR_NOT_FOUND, "dataset \"" STR_FMT "\" is another one now",
                       STR_ARG(want.name));
    }
    r->pin.raw = true; // whole files: deletes are the queries' own
    return table_scan_plan(r->hot->tables, &r->pin, &none, r->arena, &r->scan, err);
}

static int64_t current_rows(const struct hot_table *t) {
    int64_t rows = 0;
    for (size_t i = 0; i < t->file_count; i++) {
        rows += t->files[i].current ? t->files[i].rows : 0;
    }
    return rows;
}

// Finds what is in memory, and lets go of tables that the dataset has no file of any more.
static void take_stock(struct refresh *r) {
    struct hot *h = r->hot;
    struct hot_table *t = NULL;
    struct hot_table *next = NULL;
    r->here = arena_array(r->arena, r->scan.file_count, sizeof(*r->here));
    LOCKED(&h->lock);
    DL_FOREACH(r->set->tables, t) {
        for (size_t i = 0; i < t->file_count; i++) {
            t->files[i].current = false;
        }
    }
    for (size_t i = 0; i < r->scan.file_count; i++) {
        const struct str key = hot_key(r->pin.dataset.bucket, r->scan.files[i].object, r->arena);
        struct hot_file *f = NULL;
        HASH_FIND(hh, h->files, key.ptr, key.len, f);
        r->here[i] = f != NULL;
        if (f != NULL) {
            f->current = true;
        }
    }
    DL_FOREACH_SAFE(r->set->tables, t, next) {
        if (current_rows(t) == 0) {
            hot_retire(h, t);
        }
    }
}

// Of the other datasets that may go the one that was asked least lately. With the lock held.
static struct hot_set *least(struct hot *h, const struct hot_set *except) {
    const int64_t now_us = clock_mono_us();
    const double most = except->pinned ? DBL_MAX : hot_score(except, now_us);
    struct hot_set *found = NULL;
    for (struct hot_set *s = h->sets; s != NULL; s = s->hh.next) {
        if (s != except && !s->pinned && s->tables != NULL && hot_score(s, now_us) < most &&
            (found == NULL || s->used_us < found->used_us)) {
            found = s;
        }
    }
    return found;
}

// Without those that go at once. With the lock held.
static int64_t bytes_held(const struct hot *h) {
    int64_t bytes = h->bytes;
    for (const struct hot_table *t = h->retired; t != NULL; t = t->next) {
        bytes -= t->readers == 0 ? t->bytes : 0;
    }
    return bytes;
}

// Room for that many bytes more. Other datasets go for it, but for one that is not pinned only such
// as count less.
static enum err_code make_room(struct hot *h, const struct hot_set *set, int64_t bytes,
                               struct err *err) {
    enum err_code code = ERR_OK;
    {
        LOCKED(&h->lock);
        struct hot_set *out = NULL;
        while (bytes_held(h) + bytes > h->options.bytes_max && (out = least(h, set)) != NULL) {
            out->stat.evictions++;
            counter_add(COUNTER_hot_evictions, 1);
            (void)hot_set_empty(h, out);
        }
        if (bytes_held(h) + bytes > h->options.bytes_max) {
            code = err_set(err, ERR_TOO_LARGE,
                           "dataset \"%s\" needs about %lld bytes more in the hot cache, which has "
                           "%lld of %lld in use: evict others, or raise hot.bytes",
                           set->name.ptr, (long long)bytes, (long long)bytes_held(h),
                           (long long)h->options.bytes_max);
        }
    }
    hot_sweep(h);
    return code;
}

// Makes the table; a dataset that turns out to be larger than there is room for goes again.
static enum err_code make_within(struct refresh *r, const struct hot_source *src, int64_t bytes,
                                 struct err *err) {
    struct hot *h = r->hot;
    TRY(make_room(h, r->set, bytes, err));
    TRY(hot_make(h, src, err));
    r->made++;
    if (make_room(h, r->set, 0, err) != ERR_OK) {
        LOCKED(&h->lock);
        (void)hot_set_empty(h, r->set);
        return err->code;
    }
    return ERR_OK;
}

static void columns_sql(const struct ice_schema *s, struct buf *out, struct arena *a) {
    for (size_t i = 0; i < s->field_count; i++) {
        buf_printf(out, "%s" STR_FMT " AS f%d", i == 0 ? "SELECT " : ", ",
                   STR_ARG(sql_ident(s->fields[i].name, a)), s->fields[i].id);
    }
}

// The SELECT over the missing files from `from` on that one statement reads; *end is behind them.
static struct str part_sql(struct refresh *r, const size_t *missing, size_t count, size_t *end) {
    DEFER(buf_release) struct buf sql = BUF(64U << 20);
    const struct table_file *first = &r->scan.files[missing[*end]];
    const size_t start = *end;
    int64_t bytes = 0;
    columns_sql(first->schema, &sql, r->arena);
    buf_add_cstr(&sql, " FROM read_parquet([");
    while (*end < count && *end - start < PART_FILES && (*end == start || bytes < PART_BYTES)) {
        const struct table_file *f = &r->scan.files[missing[*end]];
        buf_add_cstr(&sql, *end == start ? "" : ", ");
        buf_add_str(&sql, sql_literal(f->path, r->arena));
        bytes += f->file->file_bytes;
        ++*end;
    }
    buf_add_cstr(&sql, "], hive_partitioning=false)");
    CHECK(!sql.overflow);
    return arena_str(r->arena, buf_str(&sql));
}

// Loads files of one schema.
static enum err_code load_group(struct refresh *r, const size_t *missing, size_t count,
                                struct err *err) {
    int64_t bytes = 0;
    struct hot_source src = {.set = r->set,
                             .schema = r->scan.files[missing[0]].schema,
                             .selects = arena_array(r->arena, count, sizeof(struct str)),
                             .files = arena_array(r->arena, count, sizeof(struct hot_file)),
                             .file_count = count,
                             .forgets = r->forgets,
                             .epoch = r->epoch};
    for (size_t end = 0; end < count;) {
        src.selects[src.select_count++] = part_sql(r, missing, count, &end);
    }
    for (size_t i = 0; i < count; i++) {
        const struct table_file *f = &r->scan.files[missing[i]];
        src.files[i].key = hot_key(r->pin.dataset.bucket, f->object, r->arena);
        src.files[i].rows = f->file->record_count;
        bytes += f->file->file_bytes * GROWTH;
    }
    return make_within(r, &src, MAX(bytes, HOT_TABLE_BYTES_MIN), err);
}

// Files of one schema stand together in a scan.
static enum err_code load_missing(struct refresh *r, struct err *err) {
    const struct table_file *files = r->scan.files;
    size_t *missing = arena_array(r->arena, r->scan.file_count, sizeof(*missing));
    size_t count = 0;
    for (size_t i = 0; i < r->scan.file_count; i++) {
        if (count > 0 && !ice_schema_eq(files[missing[0]].schema, files[i].schema)) {
            TRY(load_group(r, missing, count, err));
            count = 0;
        }
        if (!r->here[i] && files[i].file->record_count > 0 && files[i].schema->field_count > 0) {
            missing[count++] = i;
        }
    }
    return count > 0 ? load_group(r, missing, count, err) : ERR_OK;
}

// Tables that are to become one.
struct fold {
    struct hot_table **tables;
    size_t count;
};

static int by_rows(const void *x, const void *y) {
    const int64_t a = (*(struct hot_table *const *)x)->copy.rows;
    const int64_t b = (*(struct hot_table *const *)y)->copy.rows;
    return a < b ? -1 : a > b;
}

// Which of the set's tables of this schema: one that has more rows of files that have gone than of
// others; or, when there are too many, the smallest, and of the larger ones those that are not much
// larger than what is folded already: so a row is copied seldom. With the lock held.
static struct fold fold_choose(struct refresh *r, const struct ice_schema *schema) {
    struct hot_table *t = NULL;
    struct fold f = {0};
    size_t cap = 0;
    DL_FOREACH(r->set->tables, t) {
        if (ice_schema_eq(t->schema, schema)) {
            f.tables =
                arena_grow(r->arena, f.tables, &cap, f.count + 1, sizeof(struct hot_table *));
            f.tables[f.count++] = t;
        }
    }
    for (size_t i = 0; i < f.count; i++) {
        if (current_rows(f.tables[i]) * 2 < f.tables[i]->copy.rows) {
            return (struct fold){f.tables + i, 1};
        }
    }
    if (f.count <= TABLES_MAX) {
        return (struct fold){0};
    }
    qsort(f.tables, f.count, sizeof(struct hot_table *), by_rows);
    const size_t least_count = f.count - TABLES_MAX + 2;
    int64_t sum = 0;
    for (size_t i = 0; i < f.count; i++) {
        if (i >= least_count && f.tables[i]->copy.rows > 2 * sum) {
            f.count = i;
        } else {
            sum += f.tables[i]->copy.rows;
        }
    }
    return f;
}

// The rows of the table's files that the dataset still has. With the lock held.
static void fold_table(struct refresh *r, const struct hot_table *t, struct hot_source *src,
                       size_t *part_cap, size_t *file_cap) {
    for (size_t i = 0; i < t->file_count;) {
        size_t end = i;
        for (; end < t->file_count && t->files[end].current; end++) {
            src->files = arena_grow(r->arena, src->files, file_cap, src->file_count + 1,
                                    sizeof(*src->files));
            src->files[src->file_count++] = (struct hot_file){
                .key = arena_str(r->arena, t->files[end].key), .rows = t->files[end].rows};
        }
        if (end > i) {
            const int64_t stop = t->files[end - 1].start + t->files[end - 1].rows;
            src->selects = arena_grow(r->arena, src->selects, part_cap, src->select_count + 1,
                                      sizeof(*src->selects));
            src->selects[src->select_count++] = arena_printf(
                r->arena, "SELECT * FROM " STR_FMT " WHERE rowid >= %lld AND rowid < %lld",
                STR_ARG(t->copy.from), (long long)t->files[i].start, (long long)stop);
        }
        i = MAX(end, i + 1);
    }
}

static enum err_code fold(struct refresh *r, const struct ice_schema *schema, bool *ret_did,
                          struct err *err) {
    struct hot *h = r->hot;
    struct hot_source src = {
        .set = r->set, .schema = schema, .forgets = r->forgets, .epoch = r->epoch};
    struct fold f;
    size_t part_cap = 0;
    size_t file_cap = 0;
    {
        LOCKED(&h->lock);
        f = fold_choose(r, schema);
        // Both forms are in memory for a moment; without room for that it is left for later.
        int64_t bytes = bytes_held(h);
        for (size_t i = 0; i < f.count; i++) {
            bytes += f.tables[i]->bytes;
        }
        f.count = bytes > h->options.bytes_max ? 0 : f.count;
        for (size_t i = 0; i < f.count; i++) {
            f.tables[i]->readers++;
            fold_table(r, f.tables[i], &src, &part_cap, &file_cap);
        }
    }
    *ret_did = f.count > 0;
    if (f.count == 0) {
        return ERR_OK;
    }
    const enum err_code code = hot_make(h, &src, err);
    {
        LOCKED(&h->lock);
        for (size_t i = 0; i < f.count; i++) {
            f.tables[i]->readers--;
            if (code == ERR_OK && f.tables[i]->set != NULL) {
                hot_retire(h, f.tables[i]);
            }
        }
    }
    hot_sweep(h);
    return code;
}

static enum err_code fold_all(struct refresh *r, struct err *err) {
    for (size_t i = 0; i < r->scan.file_count; i++) {
        const struct ice_schema *schema = r->scan.files[i].schema;
        bool did = i == 0 || !ice_schema_eq(r->scan.files[i - 1].schema, schema);
        while (did) {
            TRY(fold(r, schema, &did, err));
        }
    }
    return ERR_OK;
}

static enum err_code refresh(struct refresh *r, struct err *err) {
    TRY(plan(r, err));
    take_stock(r);
    hot_sweep(r->hot);
    TRY(load_missing(r, err));
    return fold_all(r, err);
}

enum err_code hot_refresh(struct hot *h, struct hot_set *s, struct err *err) {
    DEFER(arena_release) struct arena a = ARENA(ARENA_BYTES);
    struct refresh r = {.hot = h, .set = s, .arena = &a};
    const int64_t start_us = clock_mono_us();
    const enum err_code code = refresh(&r, err);
    LOCKED(&h->lock);
    s->wanted = false;
    s->error = code == ERR_OK ? ERR_NONE : *err;
    if (code == ERR_OK) {
        s->version = r.pin.dataset.version;
        s->failures = 0;
        s->retry_us = 0;
        if (r.made > 0) {
            s->stat.loads++;
            s->stat.load_us = clock_mono_us() - start_us;
            counter_add(COUNTER_hot_loads, 1);
        }
        return ERR_OK;
    }
    s->version = 0;         // so that it is looked at again
    if (code != ERR_BUSY) { // which says that it was called off
        s->retry_us = clock_mono_us() + (RETRY_US << MIN(s->failures, RETRY_DOUBLINGS));
        s->failures++;
        s->stat.load_failures++;
        counter_add(COUNTER_hot_load_failures, 1);
    }
    return code;
}
