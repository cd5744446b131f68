// Compaction: a plan, then bin by bin: write, check, commit.
//
// A bin's rows go through tarn_sum() on their way into the new file, so that counting and summing
// them costs no reading of its own; the new file is then read back through the same function. The
// commit happens under the dataset's write lock, and only when all the bin's files are still live
// with just the deletes that were applied.

#include "base/clock.h"
#include "base/hashmap.h"
#include "base/log.h"
#include "upkeep/upkeep_int.h"

#define BIN_ATTEMPTS 4       // the last one holds the write lock from its beginning
#define BIN_ARENA (1U << 30) // statement, statistics and metadata of one bin

struct compaction {
    struct upkeep *upkeep;
    const struct upkeep_compact *request;
    struct job *job;
    struct arena *arena;
    struct upkeep_engine engine;
    struct table_pin pin;
    int64_t target_bytes;
    struct upkeep_compacted done;
    int64_t files, bytes; // of the dataset, after the last commit
};

// One attempt at a bin.
struct attempt {
    struct compaction *compaction;
    const struct upkeep_bin *bin;
    const struct table_pin *pin; // that the files are of
    struct arena *arena;
    struct table_staged staged;
    struct table_entries entries;
    bool moved;
    bool stale; // the bin's files have other deletes by now, or the table another schema
    bool lost;  // some of the bin's files are gone
};

struct str upkeep_sum_sql(const struct ice_schema *s, int64_t sum, struct arena *a) {
    DEFER(buf_release) struct buf sql = BUF(64U << 20);
    buf_printf(&sql, "tarn_sum(%lld, hash(", (long long)sum);
    for (size_t i = 0; i < s->field_count; i++) {
        buf_printf(&sql, "%s" STR_FMT, i == 0 ? "" : ", ",
                   STR_ARG(sql_ident(s->fields[i].name, a)));
    }
    buf_add_cstr(&sql, "))");
    CHECK(!sql.overflow);
    return arena_str(a, buf_str(&sql));
}

struct str upkeep_summed_sql(const struct ice_schema *s, int64_t sum, struct arena *a) {
    DEFER(buf_release) struct buf sql = BUF(64U << 20);
    const struct str first = sql_ident(s->fields[0].name, a);
    buf_printf(&sql, "CASE WHEN " STR_FMT " THEN " STR_FMT " END AS " STR_FMT,
               STR_ARG(upkeep_sum_sql(s, sum, a)), STR_ARG(first), STR_ARG(first));
    for (size_t i = 1; i < s->field_count; i++) {
        buf_printf(&sql, ", " STR_FMT, STR_ARG(sql_ident(s->fields[i].name, a)));
    }
    CHECK(!sql.overflow);
    return arena_str(a, buf_str(&sql));
}

static struct str order_sql(const struct upkeep_compact *r, struct arena *a) {
    DEFER(buf_release) struct buf sql = BUF(1U << 20);
    for (size_t i = 0; i < r->cluster_count; i++) {
        buf_printf(&sql, "%s" STR_FMT, i == 0 ? " ORDER BY " : ", ",
                   STR_ARG(sql_ident(r->cluster_by[i], a)));
    }
    return arena_str(a, buf_str(&sql));
}

// The bin's live rows into new files; *ret is what went into them.
static enum err_code stage(struct attempt *at, const char *folder, struct engine_sum *ret,
                           struct err *err) {
    struct compaction *c = at->compaction;
    struct arena *a = at->arena;
    struct table_file *files = arena_array(a, at->bin->count, sizeof(*files));
    for (size_t i = 0; i < at->bin->count; i++) {
        files[i] = *at->bin->files[i];
    }
    const struct table_scan scan = table_scan_of(c->engine.engine, files, at->bin->count, a);
    const int64_t sum = engine_sum_begin(c->engine.engine);
    const struct table_stage_source source = {
        .select = arena_printf(a, "SELECT " STR_FMT " FROM (" STR_FMT ")" STR_FMT,
                               STR_ARG(upkeep_summed_sql(at->pin->schema, sum, a)),
                               STR_ARG(table_scan_sql(at->pin, &scan, a)),
                               STR_ARG(order_sql(c->request, a))),
        .schema = at->pin->schema,
        .folder = folder,
        .one_file = c->request->cluster_count == 0,
        .target_bytes = c->target_bytes,
    };
    const enum err_code code =
        table_stage(c->upkeep->tables, c->engine.session, &source, a, &at->staged, err);
    *ret = engine_sum_end(c->engine.engine, sum);
    return code;
}

static enum err_code read_back(struct attempt *at, struct engine_sum *ret, struct err *err) {
    struct compaction *c = at->compaction;
    struct arena *a = at->arena;
    struct table_file *files = arena_array(a, at->staged.count, sizeof(*files));
    struct ice_data_file *sizes = arena_array(a, at->staged.count, sizeof(*sizes));
    for (size_t i = 0; i < at->staged.count; i++) {
        sizes[i].record_count = at->staged.stats[i].rows;
        files[i].file = &sizes[i];
        files[i].path = at->staged.stats[i].path;
        files[i].schema = at->pin->schema;
    }
    const struct table_scan scan = table_scan_of(c->engine.engine, files, at->staged.count, a);
    const int64_t sum = engine_sum_begin(c->engine.engine);
    struct str count;
    const enum err_code code =
        session_text(c->engine.session,
                     arena_printf(a, "SELECT count(*) FROM (" STR_FMT ") WHERE " STR_FMT,
                                  STR_ARG(table_scan_sql(at->pin, &scan, a)),
                                  STR_ARG(upkeep_sum_sql(at->pin->schema, sum, a))),
                     a, &count, err);
    *ret = engine_sum_end(c->engine.engine, sum);
    return code;
}

static enum err_code check(struct attempt *at, const struct engine_sum *written, struct err *err) {
    struct engine_sum back;
    TRY(read_back(at, &back, err));
    const bool counts = (int64_t)written->rows == at->bin->live && at->staged.rows == at->bin->live;
    if (!counts || !engine_sum_eq(written, &back)) {
        return err_set(err, ERR_CORRUPT,
                       "compaction of dataset \"" STR_FMT
                       "\": %lld rows were to be written, %llu were, and %llu with %s checksum "
                       "were read back; nothing was changed",
                       STR_ARG(at->pin->dataset.name), (long long)at->bin->live,
                       (unsigned long long)written->rows, (unsigned long long)back.rows,
                       written->first == back.first && written->second == back.second ? "the same"
                                                                                      : "another");
    }
    return ERR_OK;
}

// Live files of a state, by path.
struct live_file {
    const struct table_file *file;
    bool removed;
    UT_hash_handle hh;
};

static bool same_deletes(const struct table_file *x, const struct table_file *y) {
    bool same = x->delete_file_count == y->delete_file_count;
    for (size_t i = 0; same && i < x->delete_file_count; i++) {
        bool found = false;
        for (size_t j = 0; !found && j < y->delete_file_count; j++) {
            found = str_eq(x->delete_files[i]->path, y->delete_files[j]->path);
        }
        same = found;
    }
    return same;
}

// A delete file that names no data file goes when none is left that it could be for.
static bool is_of_no_use(const struct ice_data_file *deletes, const struct live_file *live) {
    for (const struct live_file *l = live; l != NULL; l = l->hh.next) {
        for (size_t i = 0; !l->removed && i < l->file->delete_file_count; i++) {
            if (str_eq(l->file->delete_files[i]->path, deletes->path)) {
                return false;
            }
        }
    }
    return true;
}

static void remove_deletes(struct table_commit *c, const struct table_file *f,
                           const struct live_file *live, struct table_edit *e) {
    for (size_t i = 0; i < f->delete_file_count; i++) {
        const struct ice_data_file *d = f->delete_files[i];
        bool goes = table_delete_target(d).len > 0;
        if (!goes && is_of_no_use(d, live)) {
            goes = true;
            for (size_t j = 0; goes && j < e->removed.count; j++) {
                goes = !str_eq(e->removed.items[j], d->path); // it stands there already
            }
        }
        if (goes) {
            table_path_add(&e->removed, d->path, c->arena);
        }
    }
}

// What the bin's files are in the state that the commit builds on. They must be as they were.
static enum err_code remove_files(struct attempt *at, struct table_commit *c,
                                  struct live_file *live, struct table_edit *e, struct err *err) {
    for (size_t i = 0; i < at->bin->count; i++) {
        const struct str path = at->bin->files[i]->file->path;
        struct live_file *l = NULL;
        HASH_FIND(hh, live, path.ptr, path.len, l);
        at->lost = l == NULL;
        at->stale = l != NULL && !same_deletes(l->file, at->bin->files[i]);
        if (at->lost || at->stale) {
            return err_set(err, ERR_CONFLICT,
                           "file " STR_FMT " of dataset \"" STR_FMT "\" %s meanwhile",
                           STR_ARG(path), STR_ARG(c->dataset),
                           at->lost ? "was replaced" : "got further deletes");
        }
        l->removed = true;
        table_path_add(&e->removed, path, c->arena);
    }
    for (size_t i = 0; i < at->bin->count; i++) {
        remove_deletes(c, at->bin->files[i], live, e);
    }
    return ERR_OK;
}

static enum err_code check_files(struct attempt *at, struct table_commit *c, struct table_edit *e,
                                 struct err *err) {
    struct table_scan now;
    struct live_file *live = NULL;
    TRY(table_files_load(c->tables, &c->base, c->arena, &now, err));
    for (size_t i = 0; i < now.file_count; i++) {
        struct live_file *l = arena_alloc(c->arena, sizeof(*l));
        const struct str path = now.files[i].file->path;
        l->file = &now.files[i];
        HASH_ADD_KEYPTR(hh, live, path.ptr, path.len, l);
    }
    const enum err_code code = remove_files(at, c, live, e, err);
    HASH_CLEAR(hh, live);
    return code;
}

static enum err_code prepare(struct table_commit *c, struct table_edit *e, struct err *err) {
    struct attempt *at = c->ctx;
    if (c->base.metadata->current_schema_id != at->pin->metadata->current_schema_id) {
        at->stale = true;
        return err_set(err, ERR_CONFLICT, "the schema of dataset \"" STR_FMT "\" changed meanwhile",
                       STR_ARG(c->dataset));
    }
    TRY(check_files(at, c, e, err));
    if (!at->moved) {
        TRY(table_data_put(c, &c->kept, &at->staged, at->pin->schema, &at->entries, err));
        at->moved = true;
    }
    // The rows are as old as the state that they were read from: deletes by value that came since
    // then still apply to them.
    for (size_t i = 0; i < at->entries.count; i++) {
        at->entries.items[i].inherit = false;
        at->entries.items[i].sequence_number = at->pin->snapshot->sequence_number;
    }
    e->operation = STR("replace");
    e->added = at->entries;
    return ERR_OK;
}

static enum err_code commit(struct attempt *at, struct err *err) {
    struct compaction *comp = at->compaction;
    struct table_commit c = {.tables = comp->upkeep->tables,
                             .dataset = at->pin->dataset.name,
                             .dataset_id = at->pin->dataset.id,
                             .who = comp->request->who,
                             .prepare = prepare,
                             .ctx = at,
                             .arena = at->arena};
    TRY(table_commit_run(&c, err));
    comp->done.bins++;
    comp->done.snapshot_id = c.snapshot_id;
    comp->done.rows += at->staged.rows;
    comp->done.deletes_applied += at->bin->deleted;
    comp->done.rows_dropped_by_tombstones += at->bin->tombstoned;
    comp->done.files_read += (int64_t)at->bin->count;
    comp->done.files_written += (int64_t)at->staged.count;
    comp->files = c.after.files;
    comp->bytes = c.after.bytes;
    return ERR_OK;
}

static void tell_staged(const struct upkeep_compact *r, const char *folder) {
    if (r->staged != NULL) {
        r->staged(r->ctx, folder);
    }
}

static void tell_checked(const struct upkeep_compact *r) {
    if (r->checked != NULL) {
        r->checked(r->ctx);
    }
}

static enum err_code write_and_commit(struct attempt *at, pthread_mutex_t *lock, struct err *err) {
    struct compaction *c = at->compaction;
    struct engine_sum written = {0};
    DEFER(table_folder_release) struct table_folder folder = {0};
    TRY(table_folder_make(c->upkeep->tables, at->arena, &folder, err));
    const int64_t start_us = clock_mono_us();
    int64_t staged_us = start_us;
    if (at->bin->live > 0) {
        TRY(stage(at, folder.path, &written, err));
        staged_us = clock_mono_us();
        tell_staged(c->request, folder.path);
        TRY(check(at, &written, err));
    }
    log_debug("compact.bin", "files=%zu rows=%lld write_ms=%lld check_ms=%lld", at->bin->count,
              (long long)at->bin->live, (long long)((staged_us - start_us) / 1000),
              (long long)((clock_mono_us() - staged_us) / 1000));
    tell_checked(c->request);
    TRY(upkeep_check(c->job, err));
    if (lock == NULL) {
        return commit(at, err); // it is held already
    }
    LOCKED(lock);
    return commit(at, err);
}

// Those of the bin's files that are still there, as they are now.
static enum err_code look_again(struct compaction *c, const struct upkeep_bin *bin,
                                struct attempt *at, struct table_pin *ret_pin,
                                struct upkeep_bin *ret, struct err *err) {
    const struct table_want want = {.name = c->pin.dataset.name};
    struct table_scan now;
    TRY(table_pin_at(c->upkeep->tables, &want, at->arena, ret_pin, err));
    TRY(table_files_load(c->upkeep->tables, ret_pin, at->arena, &now, err));
    TRY(upkeep_tombstones_hold(c->upkeep, c->request, ret_pin, &now, at->arena, err));
    *ret = (struct upkeep_bin){.files = arena_array(at->arena, bin->count, sizeof(void *))};
    for (size_t i = 0; i < now.file_count; i++) {
        const struct table_file *f = &now.files[i];
        for (size_t j = 0; j < bin->count; j++) {
            if (str_eq(f->file->path, bin->files[j]->file->path)) {
                ret->files[ret->count] = f;
                upkeep_bin_add(ret, f);
                break;
            }
        }
    }
    return ERR_OK;
}

// One attempt. *ret_again: with the files and deletes as they are now it may succeed.
static enum err_code try_bin(struct compaction *c, const struct upkeep_bin *bin, int number,
                             bool *ret_again, struct err *err) {
    DEFER(arena_release) struct arena a = ARENA(BIN_ARENA);
    struct attempt at = {.compaction = c, .bin = bin, .pin = &c->pin, .arena = &a};
    pthread_mutex_t *lock = table_write_lock(c->upkeep->tables, c->pin.dataset.name);
    struct table_pin pin;
    struct upkeep_bin now;
    *err = ERR_NONE;
    *ret_again = false;
    if (number > 0) {
        TRY(look_again(c, bin, &at, &pin, &now, err));
        at.pin = &pin;
        at.bin = &now;
        if (!upkeep_bin_is_of_use(&now)) {
            c->done.bins_left_out++; // others have done what was to be done
            return ERR_OK;
        }
    }
    const enum err_code code = write_and_commit(&at, number == BIN_ATTEMPTS - 1 ? NULL : lock, err);
    *ret_again = code == ERR_CONFLICT && (at.stale || at.lost);
    return code;
}

static enum err_code do_bin(struct compaction *c, const struct upkeep_bin *bin, struct err *err) {
    enum err_code code = ERR_OK;
    bool again = true;
    for (int i = 0; again && i < BIN_ATTEMPTS - 1; i++) {
        c->done.again += i > 0 ? 1 : 0;
        code = try_bin(c, bin, i, &again, err);
    }
    if (again) {
        // Writers of this process wait this once, or the bin might never be done.
        LOCKED(table_write_lock(c->upkeep->tables, c->pin.dataset.name));
        c->done.again++;
        code = try_bin(c, bin, BIN_ATTEMPTS - 1, &again, err);
    }
    return code;
}

static enum err_code do_bins(struct compaction *c, const struct upkeep_plan *plan,
                             struct err *err) {
    int64_t total = 0;
    int64_t done = 0;
    for (size_t i = 0; i < plan->count; i++) {
        total += plan->bins[i].bytes;
    }
    TRY(upkeep_engine_open(c->upkeep, c->request->threads, c->job, &c->engine, err));
    for (size_t i = 0; i < plan->count; i++) {
        const int64_t start_us = clock_mono_us();
        upkeep_progress(c->job, done, total);
        TRY(upkeep_check(c->job, err));
        TRY(do_bin(c, &plan->bins[i], err));
        done += plan->bins[i].bytes;
        const int64_t rate = c->request->bytes_a_second;
        if (rate > 0 && c->job != NULL && i + 1 < plan->count) {
            const int64_t due_us = (int64_t)((double)plan->bins[i].bytes * 1e6 / (double)rate);
            TRY(job_pause(c->job, MAX(start_us + due_us - clock_mono_us(), 0), err));
        }
    }
    upkeep_progress(c->job, total, total);
    return ERR_OK;
}

static enum err_code check_columns(const struct compaction *c, struct err *err) {
    const struct upkeep_compact *r = c->request;
    for (size_t i = 0; i < r->cluster_count; i++) {
        if (ice_schema_find(c->pin.schema, r->cluster_by[i]) == NULL) {
            return err_set(err, ERR_INVALID,
                           "dataset \"" STR_FMT "\" has no column \"" STR_FMT "\" to cluster by",
                           STR_ARG(c->pin.dataset.name), STR_ARG(r->cluster_by[i]));
        }
    }
    return ERR_OK;
}

static void plan_into_result(const struct upkeep_plan *plan, struct upkeep_compacted *ret) {
    ret->bins = (int64_t)plan->count;
    for (size_t i = 0; i < plan->count; i++) {
        ret->files_read += (int64_t)plan->bins[i].count;
        ret->files_written += plan->bins[i].live > 0 ? 1 : 0;
        ret->rows += plan->bins[i].live;
        ret->deletes_applied += plan->bins[i].deleted;
        ret->rows_dropped_by_tombstones += plan->bins[i].tombstoned;
    }
    ret->files_after = ret->files_before - ret->files_read + ret->files_written;
}

// The tombstones that would leave the list: the files of no bin are left.
static enum err_code look_at_tombstones(struct compaction *c, const struct table_scan *all,
                                        const struct upkeep_plan *plan, struct arena *a,
                                        struct err *err) {
    struct table_scan left = {.files = arena_array(a, all->file_count, sizeof(*left.files))};
    struct upkeep_done_with done;
    for (size_t i = 0; i < all->file_count; i++) {
        bool goes = all->files[i].deletes == NULL; // then it is of no interest
        for (size_t b = 0; b < plan->count && !goes; b++) {
            for (size_t k = 0; k < plan->bins[b].count && !goes; k++) {
                goes = plan->bins[b].files[k]->file == all->files[i].file;
            }
        }
        if (!goes) {
            left.files[left.file_count++] = all->files[i];
        }
    }
    const struct upkeep_state state = {&c->pin, &left};
    TRY(upkeep_tombstones_done(c->upkeep, c->request, &state, a, &done, err));
    c->done.tombstones_applied = (int64_t)done.count;
    return ERR_OK;
}

static enum err_code compact(struct compaction *c, struct err *err) {
    const struct upkeep_compact *r = c->request;
    const struct table_want want = {.name = r->dataset};
    DEFER(arena_release) struct arena a = ARENA(1UL << 32);
    struct table_scan all;
    struct table_scan files;
    struct upkeep_plan plan;
    TRY(table_pin_at(c->upkeep->tables, &want, &a, &c->pin, err));
    TRY(check_columns(c, err));
    TRY(table_files_load(c->upkeep->tables, &c->pin, &a, &all, err));
    files = (struct table_scan){.files = arena_array(&a, all.file_count, sizeof(*files.files)),
                                .file_count = all.file_count};
    for (size_t i = 0; i < all.file_count; i++) {
        files.files[i] = all.files[i];
    }
    TRY(upkeep_tombstones_hold(c->upkeep, r, &c->pin, &files, &a, err));
    upkeep_plan_make(r, &files, c->target_bytes, &a, &plan);
    c->files = c->pin.dataset.files;
    c->bytes = c->pin.dataset.bytes;
    c->done.dataset = arena_str(c->arena, c->pin.dataset.name);
    c->done.files_before = c->done.files_after = c->files;
    c->done.bytes_before = c->done.bytes_after = c->bytes;
    if (r->dry_run) {
        plan_into_result(&plan, &c->done);
        return look_at_tombstones(c, &all, &plan, &a, err);
    }
    enum err_code code = plan.count > 0 ? do_bins(c, &plan, err) : ERR_OK;
    upkeep_engine_close(&c->engine);
    if (code == ERR_OK) {
        code = upkeep_tombstones_apply(c->upkeep, r, &c->done.tombstones_applied, err);
    }
    c->done.files_after = c->files;
    c->done.bytes_after = c->bytes;
    return code;
}

enum err_code upkeep_compact(struct upkeep *u, const struct upkeep_compact *request,
                             struct job *job, struct arena *a, struct upkeep_compacted *ret,
                             struct err *err) {
    struct compaction c = {.upkeep = u,
                           .request = request,
                           .job = job,
                           .arena = a,
                           .target_bytes = request->target_bytes > 0 ? request->target_bytes
                                                                     : u->options.target_bytes};
    const int64_t start_us = clock_mono_us();
    TRY(compact(&c, err));
    c.done.duration_us = clock_mono_us() - start_us;
    *ret = c.done;
    return ERR_OK;
}
