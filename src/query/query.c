// Queries: places, the list of what runs, and the life of one query.

#include "query/query.h"

#include <stdlib.h>
#include <utlist.h>

#include "base/clock.h"
#include "base/counters.h"
#include "base/log.h"
#include "query/query_audit.h"
#include "query/query_int.h"

#define GUARDED_BYTES (16 << 20)

enum err_code queries_open(const struct config *c, const struct queries_parts *parts,
                           struct queries **ret, struct err *err) {
    struct engine_options parser = {.threads = 1, .memory_bytes = 256 << 20, .no_files = true};
    struct engine *p;
    TRY(engine_open(&parser, &p, err));
    struct queries *s = xcalloc(1, sizeof(*s));
    s->tables = parts->tables;
    s->hot = parts->hot;
    s->views = parts->views;
    s->workers = parts->workers;
    s->engine = parts->engine;
    s->audit = parts->audit;
    s->parser = p;
    s->guarded = cache_new(GUARDED_BYTES);
    s->running_max = (size_t)c->query_running_max;
    s->waiting_max = (size_t)c->query_waiting_max;
    s->sql_max = (size_t)c->query_sql_max;
    s->wait_timeout_us = c->query_wait_timeout * 1000;
    s->timeout_us = c->query_timeout * 1000;
    s->log_sql = c->query_log_sql;
    CHECK(pthread_mutex_init(&s->lock, NULL) == 0);
    threads_cond_init(&s->change);
    *ret = s;
    return ERR_OK;
}

static void queries_free(struct queries *s) {
    cache_free(s->guarded);
    engine_close(s->parser);
    pthread_mutex_destroy(&s->lock);
    pthread_cond_destroy(&s->change);
    free(s);
}

void queries_close(struct queries *s) {
    if (s != NULL) {
        CHECK(s->all == NULL);
        queries_free(s);
    }
}

void queries_forget(struct queries *q) {
    cache_clear(q->guarded);
}

// With the lock held.
static void cancel_locked(struct query *q) {
    q->cancelled = true;
    if (q->session != NULL) {
        session_interrupt(q->session);
    }
    if (q->worker != NULL) {
        worker_cancel(q->worker);
    }
    pthread_cond_broadcast(&q->service->change);
}

void queries_stop(struct queries *s) {
    LOCKED(&s->lock);
    s->stopping = true;
    struct query *q;
    DL_FOREACH(s->all, q) {
        cancel_locked(q);
    }
}

static void waiting_add(struct queries *s, int64_t n) {
    s->waiting = (size_t)((int64_t)s->waiting + n);
    counter_add(COUNTER_queries_waiting, n);
}

static void running_add(struct queries *s, int64_t n) {
    s->running = (size_t)((int64_t)s->running + n);
    counter_add(COUNTER_queries_running, n);
}

// Waits for a place, first come first served as far as the lock is.
enum err_code query_place_take(struct query *q, struct err *err) {
    struct queries *s = q->service;
    LOCKED(&s->lock);
    if (s->running >= s->running_max && s->waiting >= s->waiting_max) {
        counter_add(COUNTER_queries_turned_away, 1);
        return err_set(err, ERR_BUSY, "%zu queries run and %zu wait: try again in a moment",
                       s->running, s->waiting);
    }
    int64_t until = MIN(clock_mono_us() + s->wait_timeout_us, q->start_us + q->timeout_us);
    bool in_time = true;
    waiting_add(s, 1);
    while (s->running >= s->running_max && in_time && !q->cancelled && !s->stopping) {
        in_time = threads_cond_wait_until(&s->change, &s->lock, until);
    }
    waiting_add(s, -1);
    if (q->cancelled || s->stopping) {
        return err_set(err, ERR_CANCELLED, "the query was cancelled before it ran");
    }
    if (s->running >= s->running_max) {
        counter_add(COUNTER_queries_turned_away, 1);
        return err_set(err, ERR_BUSY, "no place became free in %lld ms: try again in a moment",
                       (long long)(s->wait_timeout_us / 1000));
    }
    running_add(s, 1);
    q->has_place = true;
    q->state = QUERY_RUNNING;
    return ERR_OK;
}

enum err_code query_place_leave(struct query *q, struct err *err) {
    struct queries *s = q->service;
    LOCKED(&s->lock);
    if (s->waiting >= s->waiting_max) {
        counter_add(COUNTER_queries_turned_away, 1);
        return err_set(err, ERR_BUSY, "%zu queries wait: try again in a moment", s->waiting);
    }
    running_add(s, -1);
    waiting_add(s, 1);
    q->has_place = false;
    q->waits = true;
    q->state = QUERY_WAITING;
    pthread_cond_broadcast(&s->change);
    return ERR_OK;
}

enum err_code query_worker_set(struct query *q, struct worker_call *worker, struct err *err) {
    LOCKED(&q->service->lock);
    CHECK(q->waits);
    waiting_add(q->service, -1);
    q->waits = false;
    q->state = QUERY_RUNNING;
    q->worker = worker;
    if (q->cancelled) {
        return err_set(err, ERR_CANCELLED, "the query was cancelled before it ran");
    }
    return ERR_OK;
}

// The session becomes visible to queries_cancel only here, and stops being so in query_end.
enum err_code query_session_take(struct query *q, struct err *err) {
    struct session *session;
    TRY(session_open(q->service->engine, &session, err));
    session_deadline(session, q->start_us + q->timeout_us);
    LOCKED(&q->service->lock);
    q->session = session;
    if (q->cancelled) {
        return err_set(err, ERR_CANCELLED, "the query was cancelled before it ran");
    }
    return ERR_OK;
}

static int64_t lap(int64_t *since) {
    int64_t now = clock_mono_us();
    int64_t taken = now - *since;
    *since = now;
    return taken;
}

enum err_code query_permit(const struct query *q, struct str name, unsigned need,
                           struct catalog_dataset *ret, struct err *err) {
    const struct catalog_wish wish = {q->rights, need};
    return catalog_dataset_permit(tables_catalog(q->service->tables), name, &wish, q->arena, ret,
                                  err);
}

enum err_code query_permit_table(const struct query *q, struct str name, struct catalog_table *ret,
                                 struct err *err) {
    const struct catalog_wish wish = {q->rights, CATALOG_READ_RAW};
    return catalog_table_permit(tables_catalog(q->service->tables), name, &wish, q->arena, ret,
                                err);
}

bool query_is_over(struct query *q) {
    LOCKED(&q->service->lock);
    return q->cancelled || q->service->stopping;
}

// The query, as far as it has come, as the audit is told of it. What is too long to be a statement
// is not looked at, nor told.
static struct audit_entry audit_entry_of(const struct query *q) {
    return (struct audit_entry){.action = q->preview ? STR("query.preview") : STR("query.sql"),
                                .query_id = q->id,
                                .principal = q->principal,
                                .reason = q->reason,
                                .sql = q->sql.len <= q->service->sql_max ? q->sql : STR_NONE,
                                .roles = q->roles,
                                .role_count = q->role_count,
                                .views = q->views,
                                .view_count = q->view_count,
                                .snapshots = q->snapshots,
                                .snapshot_count = q->snapshot_count,
                                .restricted = q->restricted,
                                .duration_us = query_elapsed_us(q)};
}

// Before anything of the statement runs.
enum err_code query_audit_begin(struct query *q, struct err *err) {
    if (!audit_is_strict(q->service->audit)) {
        return ERR_OK;
    }
    struct audit_entry e = audit_entry_of(q);
    e.action = STR("query.begin");
    e.durable = true;
    const enum err_code code = audit_add(q->service->audit, &e, err);
    q->unheard = code != ERR_OK;
    return code;
}

// One that writes and has failed is told under the name of what it tried; what one has done, the
// change itself tells besides.
static enum err_code audit_failure(const struct query *q, const struct err *outcome,
                                   struct err *err) {
    struct audit_entry e = audit_entry_of(q);
    e.outcome = outcome->code;
    e.durable = !q->unheard;
    if (q->attempt.action.len > 0) {
        e.action = q->attempt.action;
    }
    if (q->attempt.target.len > 0) {
        e.target = catalog_target(q->attempt.target, q->arena);
    }
    return audit_add(q->service->audit, &e, err);
}

static void audit_end(const struct query *q, int64_t rows, int64_t bytes,
                      const struct err *outcome) {
    struct audit_entry e = audit_entry_of(q);
    struct err none = ERR_NONE;
    e.rows = rows;
    e.bytes = bytes;
    e.outcome = outcome != NULL ? outcome->code : ERR_OK;
    (void)audit_add(q->service->audit, &e, &none);
}

enum err_code query_ask(struct query *q, struct str sql, struct err *err) {
    const enum err_code code = session_query(q->session, sql, &q->rows, err);
    if (code != ERR_OK) {
        query_locate_error(q, err);
    }
    return code;
}

static enum err_code read_start(struct query *q, struct err *err) {
    const struct guard_statement *g;
    struct query_bound bound;
    int64_t since = q->start_us;
    TRY(query_check(q, &g, err));
    q->timing.guard_us = lap(&since);
    TRY(query_place_take(q, err));
    q->timing.wait_us = lap(&since);
    TRY(query_bind(q, g, NULL, &bound, err));
    q->timing.plan_us = lap(&since);
    TRY(query_audit_begin(q, err));
    if (bound.jailed) {
        TRY(query_jail_start(q, &bound, err));
    } else {
        TRY(query_session_take(q, err));
        TRY(query_ask(q, bound.sql, err));
    }
    q->timing.start_us = lap(&since);
    return ERR_OK;
}

// What was done is answered by a session that no deadline and no cancelling ends: it has happened.
static enum err_code answer_change(struct query *q, struct err *err) {
    struct session *fresh;
    struct session *used;
    TRY(session_open(q->service->engine, &fresh, err));
    {
        LOCKED(&q->service->lock);
        used = q->session;
        q->session = fresh;
    }
    session_close(used);
    return query_ask(q,
                     arena_printf(q->arena, "SELECT CAST(%lld AS BIGINT) AS rows_affected",
                                  (long long)q->change->rows),
                     err);
}

static enum err_code change_start(struct query *q, struct err *err) {
    const struct guard_change *c;
    int64_t since = q->start_us;
    TRY(query_check_change(q, &c, err));
    q->attempt = (struct query_attempt){.action = str_from(c->action), .target = c->target.text};
    q->timing.guard_us = lap(&since);
    TRY(query_place_take(q, err));
    q->timing.wait_us = lap(&since);
    TRY(query_audit_begin(q, err));
    TRY(query_session_take(q, err));
    TRY(query_change_run(q, c, err));
    TRY(answer_change(q, err));
    q->timing.start_us = lap(&since);
    return ERR_OK;
}

static struct query *query_new(struct queries *s, const struct query_request *r, struct arena *a) {
    struct query *q = arena_alloc(a, sizeof(*q));
    q->service = s;
    q->arena = a;
    q->id = r->id;
    q->principal = r->principal;
    q->rights = r->rights;
    q->roles = r->roles;
    q->role_count = r->role_count;
    q->reason = r->reason;
    q->idempotency_key = r->idempotency_key;
    q->preview = r->preview;
    q->unmasked = r->unmasked;
    q->sql = r->sql;
    q->start_us = clock_mono_us();
    q->wall_us = clock_wall_us();
    q->timeout_us = s->timeout_us;
    CHECK(r->rights != NULL);
    q->restricted = !r->rights->admin; // until it is known to read raw rows
    if (r->rights->limits.time_ms > 0 && r->rights->limits.time_ms < s->timeout_us / 1000) {
        q->timeout_us = r->rights->limits.time_ms * 1000;
    }
    return q;
}

// With the lock held.
static enum err_code number_permit(const struct query *q, struct err *err) {
    const int64_t most = q->rights->limits.queries_max;
    int64_t count = 0;
    const struct query *other;
    DL_FOREACH(q->service->all, other) {
        count += str_eq(other->principal, q->principal) ? 1 : 0;
    }
    if (most > 0 && count >= most) {
        counter_add(COUNTER_queries_turned_away, 1);
        return err_set(err, ERR_LIMIT,
                       "%lld queries of this principal run or wait, as many as its roles allow at "
                       "once: try again when one has ended",
                       (long long)count);
    }
    return ERR_OK;
}

static enum err_code query_admit(struct query *q, struct err *err) {
    LOCKED(&q->service->lock);
    TRY(number_permit(q, err));
    DL_APPEND(q->service->all, q);
    q->admitted = true;
    return ERR_OK;
}

enum err_code query_alter(struct queries *s, const struct query_request *r,
                          const struct table_alter *alter, struct arena *a,
                          struct table_altered *ret, struct err *err) {
    const struct query *q = query_new(s, r, a);
    struct table_alter own = *alter;
    struct catalog_dataset d;
    TRY(query_permit(q, alter->dataset, CATALOG_WRITE, &d, err));
    own.dataset = d.name;
    return table_alter(s->tables, &own, a, ret, err);
}

const struct query_change *query_change(const struct query *q) {
    return q->change;
}

struct str query_id(const struct query *q) {
    return q->id;
}

struct rows *query_rows(struct query *q) {
    return q->rows;
}

const struct query_snapshot *query_snapshots(const struct query *q, size_t *ret_count) {
    *ret_count = q->snapshot_count;
    return q->snapshots;
}

const struct query_view *query_views(const struct query *q, size_t *ret_count) {
    *ret_count = q->view_count;
    return q->views;
}

int64_t query_elapsed_us(const struct query *q) {
    return clock_mono_us() - q->start_us;
}

struct query_timing query_timing(const struct query *q) {
    return q->timing;
}

static void outcome_count(const struct err *outcome, int64_t rows) {
    counter_add(COUNTER_query_rows, rows);
    if (outcome == NULL) {
        counter_add(COUNTER_queries, 1);
    } else if (outcome->code == ERR_REFUSED) {
        counter_add(COUNTER_query_refusals, 1);
    } else if (outcome->code == ERR_CANCELLED || outcome->code == ERR_TIMEOUT) {
        counter_add(COUNTER_query_cancelled, 1);
    } else {
        counter_add(COUNTER_query_failures, 1);
    }
}

static void outcome_log(const struct query *q, int64_t rows, const struct err *outcome) {
    const char *text = outcome == NULL ? "ok" : err_text(outcome->code);
    if (q->service->log_sql) {
        log_info("query",
                 "id=%s principal=%s outcome=%s ms=%lld rows=%lld files=%zu pruned=%zu "
                 "sql=%s",
                 log_quote(q->id), log_quote(q->principal), text,
                 (long long)(query_elapsed_us(q) / 1000), (long long)rows, q->files, q->pruned,
                 log_quote(q->sql));
        return;
    }
    log_info("query", "id=%s principal=%s outcome=%s ms=%lld rows=%lld files=%zu pruned=%zu",
             log_quote(q->id), log_quote(q->principal), text,
             (long long)(query_elapsed_us(q) / 1000), (long long)rows, q->files, q->pruned);
}

static void query_leave(struct query *q, int64_t rows, const struct err *outcome) {
    struct queries *s = q->service;
    struct session *session = NULL;
    struct worker_call *worker = NULL;
    outcome_count(outcome, rows);
    outcome_log(q, rows, outcome);
    rows_close(q->rows);
    {
        LOCKED(&s->lock);
        session = TAKE(q->session);
        worker = TAKE(q->worker);
        DL_DELETE(s->all, q); // NOLINT: it is in the list since query_start
        running_add(s, q->has_place ? -1 : 0);
        waiting_add(s, q->waits ? -1 : 0);
        pthread_cond_broadcast(&s->change);
    }
    session_close(session);
    worker_end(worker);
}

void query_end(struct query *q, int64_t rows, int64_t bytes, const struct err *outcome) {
    if (q != NULL) {
        query_leave(q, rows, outcome);
        audit_end(q, rows, bytes, outcome);
    }
}

enum err_code query_start_by(struct queries *s, const struct query_request *r,
                             const struct query_way *way, struct arena *a, struct query **ret,
                             struct err *err) {
    struct query *q = query_new(s, r, a);
    q->writes = r->sql.len <= s->sql_max && guard_writes(r->sql);
    q->attempt.action = q->writes ? STR("sql.write") : STR_NONE;
    enum err_code code = query_admit(q, err);
    if (code == ERR_OK) {
        code = way->run(q, way->ctx, err);
    }
    q->attempt.audited = audit_wants(s->audit, q->restricted);
    if (code == ERR_OK) {
        *ret = q;
        return ERR_OK;
    }
    if (r->attempt != NULL) {
        *r->attempt = q->attempt;
    }
    const struct err outcome = *err;
    if (q->admitted) {
        query_leave(q, 0, &outcome);
    }
    TRY(audit_failure(q, &outcome, err));
    return code;
}

static enum err_code run_statement(struct query *q, const void *ctx, struct err *err) {
    (void)ctx;
    if (q->writes && q->preview) {
        return err_set(err, ERR_REFUSED, "a preview only reads");
    }
    return q->writes ? change_start(q, err) : read_start(q, err);
}

enum err_code query_start(struct queries *s, const struct query_request *r, struct arena *a,
                          struct query **ret, struct err *err) {
    const struct query_way way = {.run = run_statement};
    return query_start_by(s, r, &way, a, ret, err);
}

static bool is_of(const struct query *q, struct str principal) {
    return principal.len == 0 || str_eq(q->principal, principal);
}

void queries_list(struct queries *s, struct str principal, struct arena *a, struct query_info **ret,
                  size_t *ret_count) {
    struct query_info *list = NULL;
    size_t count = 0;
    size_t cap = 0;
    LOCKED(&s->lock);
    struct query *q;
    DL_FOREACH(s->all, q) {
        if (!is_of(q, principal)) {
            continue;
        }
        list = arena_grow(a, list, &cap, count + 1, sizeof(*list));
        list[count++] = (struct query_info){.id = arena_str(a, q->id),
                                            .principal = arena_str(a, q->principal),
                                            .state = q->state == QUERY_RUNNING ? STR("running")
                                                                               : STR("waiting"),
                                            .started_us = q->wall_us,
                                            .elapsed_us = query_elapsed_us(q)};
    }
    *ret = list;
    *ret_count = count;
}

enum err_code queries_cancel(struct queries *s, struct str id, struct str principal,
                             struct err *err) {
    LOCKED(&s->lock);
    struct query *q;
    DL_FOREACH(s->all, q) {
        if (str_eq(q->id, id) && is_of(q, principal)) {
            cancel_locked(q);
            return ERR_OK;
        }
    }
    return err_set(err, ERR_NOT_FOUND, "no query \"" STR_FMT "\" runs", STR_ARG(id));
}
