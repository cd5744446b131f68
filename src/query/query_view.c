// Views in statements: which of their masked files a statement reads, and how.

#include "base/clock.h"
#include "base/hash.h"
#include "engine/engine_map.h"
#include "query/query_int.h"

// The mapper of sha-256-query-local, in the server's engine: until the arena goes.
struct local_map {
    struct engine *engine;
    struct masker *masker;
    struct engine_mapper mapper;
    int64_t id;
};

static void local_text(void *ctx, struct str in, struct buf *out) {
    const struct local_map *m = ctx;
    masker_text(m->masker, in, out);
}

static void local_end(void *arg) {
    struct local_map *m = arg;
    engine_map_end(m->engine, m->id);
    masker_free(m->masker);
}

// One key for the whole statement, so that its hashes of equal values are equal.
static int64_t local_begin(struct query *q, struct query_bound *bound) {
    if (bound->local_map == 0) {
        struct local_map *m = arena_alloc(q->arena, sizeof(*m));
        m->engine = q->service->engine;
        m->masker = masker_new_hash(bound->local_key);
        m->mapper = (struct engine_mapper){.text = local_text, .ctx = m};
        m->id = engine_map_begin(m->engine, &m->mapper);
        arena_defer(q->arena, local_end, m);
        bound->local_map = m->id;
    }
    return bound->local_map;
}

static bool is_over(void *ctx) {
    return query_is_over(ctx);
}

// The same view may be mentioned twice.
static void add_file(struct query *q, const struct view_file *f, struct query_bound *bound) {
    for (size_t i = 0; i < bound->file_count; i++) {
        if (str_eq(bound->files[i].name, f->name)) {
            return;
        }
    }
    bound->files = arena_grow(q->arena, bound->files, &bound->file_cap, bound->file_count + 1,
                              sizeof(*bound->files));
    bound->files[bound->file_count++] = (struct worker_file){.path = f->path, .name = f->name};
}

// For previews, with the right to read the base raw.
static enum err_code true_sql(struct query *q, const struct view_pin *pin, struct str *ret,
                              struct err *err) {
    struct catalog_dataset d;
    struct str sql;
    DEFER(buf_release) struct buf out = BUF(1U << 20);
    TRY(query_permit(q, pin->view.base, CATALOG_READ_RAW, &d, err));
    TRY(view_raw_sql(q->service->views, pin, false, q->arena, &sql, err));
    for (size_t i = 0; i < pin->view.column_count; i++) {
        buf_add_cstr(&out, i == 0 ? "SELECT " : ", ");
        buf_add_str(&out, sql_ident(pin->view.columns[i].name, q->arena));
    }
    CHECK(!out.overflow);
    *ret = arena_printf(q->arena, STR_FMT " FROM (" STR_FMT ") AS tarn_true",
                        STR_ARG(buf_str(&out)), STR_ARG(sql));
    return ERR_OK;
}

enum err_code query_view_sql(struct query *q, const struct view_pin *pin, struct query_bound *bound,
                             struct str *ret, struct err *err) {
    const struct view_wait wait = {
        .until_us = q->start_us + q->timeout_us, .is_over = is_over, .ctx = q};
    struct view_files files;
    if (q->unmasked) {
        return true_sql(q, pin, ret, err);
    }
    TRY(view_files_get(q->service->views, pin, &wait, q->arena, &files, err));
    struct str *paths = arena_array(q->arena, files.file_count, sizeof(*paths));
    for (size_t i = 0; i < files.file_count; i++) {
        paths[i] = bound->jailed ? files.files[i].name : files.files[i].path;
        if (bound->jailed) {
            add_file(q, &files.files[i], bound);
        }
    }
    q->files += files.file_count;
    const int64_t local = !view_has_local(pin) ? 0
                          : bound->jailed      ? WORKER_LOCAL_MAP
                                               : local_begin(q, bound);
    *ret = view_scan_sql(pin, paths, files.file_count, local, q->arena);
    return ERR_OK;
}

// Who may share a worker: those with the same roles, as long as these come to the same rights.
static struct str worker_key(const struct query *q) {
    DEFER(buf_release) struct buf key = BUF(16 << 20);
    for (size_t i = 0; i < q->role_count; i++) {
        buf_printf(&key, STR_FMT "\n", STR_ARG(q->roles[i]));
    }
    buf_printf(&key, "\n%u %u\n", q->rights->every_dataset, q->rights->every_view);
    for (size_t i = 0; i < q->rights->grant_count; i++) {
        const struct catalog_grant *g = &q->rights->grants[i];
        buf_printf(&key, "%d " STR_FMT " %u\n", (int)g->object, STR_ARG(g->name), g->rights);
    }
    CHECK(!key.overflow);
    return hex_sha256(sha256(buf_str(&key)), q->arena);
}

// Has another server removed all masked files, for an erasure or a new key? Then workers of this
// one must not remember them either.
static void forget_others(struct queries *s, const struct view_pin *views, size_t count) {
    bool is_new = false;
    for (size_t i = 0; i < count; i++) {
        const struct str now = views[i].generation;
        if (now.len == 0 || now.len >= sizeof(s->generation)) {
            continue;
        }
        LOCKED(&s->lock);
        const struct str before = str_from(s->generation);
        is_new = is_new || (before.len > 0 && !str_eq(before, now));
        memcpy(s->generation, now.ptr, now.len);
        s->generation[now.len] = '\0';
    }
    if (is_new) {
        workers_forget(s->workers);
    }
}

// From here on queries_cancel reaches the worker.
static enum err_code worker_take(struct query *q, const struct worker_request *r, struct err *err) {
    struct worker_call *call;
    TRY(worker_begin(q->service->workers, r, &call, err));
    return query_worker_set(q, call, err);
}

enum err_code query_jail_start(struct query *q, const struct query_bound *bound, struct err *err) {
    const int64_t deadline_us = q->start_us + q->timeout_us;
    struct worker_request r = {.key = worker_key(q),
                               .sql = bound->sql,
                               .files = bound->files,
                               .file_count = bound->file_count,
                               .deadline_us = deadline_us,
                               .wait_us =
                                   MIN(deadline_us, clock_mono_us() + q->service->wait_timeout_us)};
    if (q->service->workers == NULL) {
        return err_set(err, ERR_BUSY,
                       "this server cannot run queries of restricted principals: its kernel has no "
                       "Landlock, and worker.weak_jail is not set");
    }
    memcpy(r.local_key, bound->local_key, sizeof(r.local_key));
    forget_others(q->service, bound->views, bound->view_count);
    TRY(worker_take(q, &r, err));
    if (worker_ask(q->worker, &q->rows, err) != ERR_OK) {
        query_locate_error(q, err);
        return err->code;
    }
    return ERR_OK;
}

// ---- Comparing

// What is read is the base.
static void note_compared(struct query *q, const struct view_pin *pin) {
    const struct catalog_view *v = &pin->view;
    const struct ice_snapshot *snapshot = pin->pins[0].snapshot;
    q->views = arena_alloc(q->arena, sizeof(*q->views));
    q->views[0] = (struct query_view){v->name, v->number, v->base};
    q->view_count = 1;
    q->snapshots = arena_alloc(q->arena, sizeof(*q->snapshots));
    q->snapshots[0] = (struct query_snapshot){v->base, snapshot != NULL ? snapshot->id : 0};
    q->snapshot_count = 1;
}

static enum err_code compare_sql(struct query *q, const struct query_compare *compare,
                                 struct str *ret, struct err *err) {
    struct queries *s = q->service;
    struct catalog_view view;
    struct catalog_dataset base;
    struct view_pin pin;
    struct str sql;
    TRY(catalog_view_get(tables_catalog(s->tables), compare->view, q->arena, &view, err));
    TRY(query_permit(q, view.base, CATALOG_READ_RAW, &base, err));
    const struct table_want want = {.name = view.base};
    TRY(view_pin_at(s->views, &view, &want, q->arena, &pin, err));
    note_compared(q, &pin);
    TRY(view_compare_sql(s->views, &pin, q->arena, &sql, err));
    *ret = compare->count
               ? arena_printf(q->arena,
                              "SELECT count(*), count(*) FILTER (WHERE tarn_shown) FROM (" STR_FMT
                              ") AS tarn_compared",
                              STR_ARG(sql))
               : sql;
    return ERR_OK;
}

static enum err_code compare_run(struct query *q, const void *ctx, struct err *err) {
    struct str sql;
    TRY(query_place_take(q, err));
    TRY(compare_sql(q, ctx, &sql, err));
    TRY(query_audit_begin(q, err));
    TRY(query_session_take(q, err));
    return query_ask(q, sql, err);
}

enum err_code query_compare_start(struct queries *s, const struct query_request *r,
                                  const struct query_compare *compare, struct arena *a,
                                  struct query **ret, struct err *err) {
    const struct query_way way = {compare_run, compare};
    return query_start_by(s, r, &way, a, ret, err);
}
