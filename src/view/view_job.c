// Jobs: masked files that are to be made.
//
// What one query misses is a batch: an arena with pins of its own, so that the work goes on when
// nobody waits any more, and whoever removes objects waits for it as for a query. Each file is a
// job; a second query that wants the same file waits for the same job. Those that somebody waits
// for come first.

#include <stdlib.h>
#include <utlist.h>

#include "base/clock.h"
#include "base/counters.h"
#include "view/view_int.h"

#define BATCH_BYTES (1U << 30)
#define JOBS_MAX 50000
#define FAILED_US INT64_C(5000000) // how long a failure is remembered
#define FAILURES_MAX 1000
#define IDLE_US INT64_C(60000000)

// ---- Batches

static void copy_view(const struct catalog_view *from, struct arena *a, struct catalog_view *ret) {
    struct catalog_view_column *columns = arena_array(a, from->column_count, sizeof(*columns));
    *ret = (struct catalog_view){.name = arena_str(a, from->name),
                                 .id = arena_str(a, from->id),
                                 .number = from->number,
                                 .base = arena_str(a, from->base),
                                 .base_id = arena_str(a, from->base_id),
                                 .columns = columns,
                                 .column_count = from->column_count,
                                 .row_filter = arena_str(a, from->row_filter)};
    for (size_t i = 0; i < from->column_count; i++) {
        columns[i] = from->columns[i];
        columns[i].name = arena_str(a, from->columns[i].name);
    }
}

static void batch_free(struct view_batch *b) {
    if (b != NULL) {
        arena_release(&b->arena);
        free(b);
    }
}

static void batch_freep(struct view_batch **b) {
    batch_free(*b);
}

static enum err_code copy_pins(struct views *v, const struct view_pin *from, struct view_batch *b,
                               struct err *err) {
    struct arena *a = &b->arena;
    struct view_pin *pin = &b->pin;
    copy_view(&from->view, a, &pin->view);
    pin->pin_count = from->pin_count;
    pin->pins = arena_array(a, pin->pin_count, sizeof(*pin->pins));
    for (size_t i = 0; i < pin->pin_count; i++) {
        TRY(table_pin_again(v->tables, &from->pins[i], a, &pin->pins[i], err));
    }
    pin->fields = arena_array(a, pin->view.column_count, sizeof(void *));
    for (size_t i = 0; i < pin->view.column_count; i++) {
        pin->fields[i] = ice_schema_find_id(pin->pins[0].schema, from->fields[i]->id);
        CHECK(pin->fields[i] != NULL);
    }
    if (from->filter != NULL) {
        const struct guard_filter *f;
        TRY(view_filter_get(v, pin->pins[0].dataset.name, pin->view.row_filter, a, &f, err));
        CHECK(f->statement->table_count == from->filter->table_count);
        size_t *which = arena_array(a, f->statement->table_count, sizeof(*which));
        memcpy(which, from->filter_pins, f->statement->table_count * sizeof(*which));
        pin->filter = f->statement;
        pin->filter_pins = which;
    }
    return ERR_OK;
}

static enum err_code scan_others(struct views *v, struct view_batch *b, struct err *err) {
    const struct table_conditions none = {0};
    b->scans = arena_array(&b->arena, b->pin.pin_count, sizeof(*b->scans));
    for (size_t i = 1; i < b->pin.pin_count; i++) {
        struct table_scan scan;
        TRY(table_scan_plan(v->tables, &b->pin.pins[i], &none, &b->arena, &scan, err));
        b->scans[i] = table_scan_sql(&b->pin.pins[i], &scan, &b->arena);
    }
    return ERR_OK;
}

static enum err_code batch_new(struct views *v, const struct view_pin *pin, struct str generation,
                               struct view_batch **ret, struct err *err) {
    const struct table_conditions none = {0};
    DEFER(batch_freep) struct view_batch *b = xcalloc(1, sizeof(*b));
    b->arena = ARENA(BATCH_BYTES);
    b->generation = arena_str(&b->arena, generation);
    TRY(copy_pins(v, pin, b, err));
    TRY(view_maps_begin(v, &b->pin.view, false, &b->arena, &b->maps, err));
    TRY(table_scan_plan(v->tables, &b->pin.pins[0], &none, &b->arena, &b->scan, err));
    TRY(scan_others(v, b, err));
    *ret = TAKE(b);
    return ERR_OK;
}

// ---- Failures. With the lock held.

static void failure_free(struct views *v, struct view_failure *f) {
    HASH_DEL(v->failures, f); // NOLINT: each stands in the map once
    free(f);
}

static void failures_drop(struct views *v, bool all) {
    struct view_failure *f = NULL;
    struct view_failure *next = NULL;
    HASH_ITER(hh, v->failures, f, next) {
        if (all || f->until_us <= clock_mono_us()) {
            failure_free(v, f);
        }
    }
}

static void failure_note(struct views *v, const struct view_job *j) {
    struct view_failure *f = NULL;
    HASH_FIND(hh, v->failures, j->key, VIEW_KEY_LEN, f);
    if (f == NULL) {
        failures_drop(v, HASH_COUNT(v->failures) >= FAILURES_MAX);
        f = xcalloc(1, sizeof(*f));
        memcpy(f->key, j->key, sizeof(f->key));
        HASH_ADD(hh, v->failures, key, VIEW_KEY_LEN, f);
    }
    f->err = j->err;
    f->until_us = clock_mono_us() + FAILED_US;
}

static enum err_code failure_check(struct views *v, struct str key, struct err *err) {
    struct view_failure *f = NULL;
    HASH_FIND(hh, v->failures, key.ptr, VIEW_KEY_LEN, f);
    if (f != NULL && f->until_us > clock_mono_us()) {
        *err = f->err;
        return err->code;
    }
    return ERR_OK;
}

// ---- Jobs. With the lock held.

static void job_free(struct view_job *j) {
    free(j);
}

static void job_release(struct view_job *j) {
    if (j->waiters == 0 && j->state > VIEW_RUNNING) {
        job_free(j);
    }
}

// Takes the job out of the map; *ret_batch: to be freed without the lock, or NULL.
static void job_end(struct views *v, struct view_job *j, enum view_job_state state,
                    struct view_batch **ret_batch) {
    struct view_batch *b = TAKE(j->batch);
    if (!j->dropped) {
        HASH_DEL(v->jobs, j);
    }
    v->queued--;
    j->state = state;
    b->jobs--;
    *ret_batch = b->jobs == 0 ? b : NULL;
    job_release(j);
    CHECK(pthread_cond_broadcast(&v->change) == 0);
}

void view_job_leave(struct views *v, struct view_job *j, struct masked **ret) {
    *ret = j->state == VIEW_MADE ? j->made : NULL;
    j->waiters--;
    (void)v;
    job_release(j);
}

// The first that somebody waits for, else the first.
static struct view_job *job_next(struct views *v) {
    struct view_job *j = v->queue;
    while (j != NULL && j->waiters == 0) {
        j = j->next;
    }
    return j != NULL ? j : v->queue;
}

// Those in the queue stay there for the makers to end; nobody finds them any more.
void view_jobs_drop(struct views *v) {
    struct view_job *j = NULL;
    struct view_job *next = NULL;
    HASH_ITER(hh, v->jobs, j, next) {
        HASH_DEL(v->jobs, j);
        j->dropped = true;
        j->counted = j->state == VIEW_RUNNING;
        v->dropping += j->counted ? 1 : 0;
        if (j->session != NULL) {
            session_interrupt(j->session);
        }
    }
    failures_drop(v, true);
    CHECK(pthread_cond_broadcast(&v->work) == 0);
}

enum err_code view_jobs_wait(struct views *v, int64_t wait_ms, struct err *err) {
    const int64_t until_us = clock_mono_us() + wait_ms * 1000;
    bool in_time = true;
    LOCKED(&v->lock);
    while (v->dropping > 0 && in_time) {
        in_time = threads_cond_wait_until(&v->change, &v->lock, until_us);
    }
    return v->dropping == 0
               ? ERR_OK
               : err_set(err, ERR_BUSY, "a masked file of the time before is still being made");
}

static struct view_job *job_new(struct views *v, struct view_batch *b, struct str key,
                                size_t file) {
    struct view_job *j = xcalloc(1, sizeof(*j));
    memcpy(j->key, key.ptr, VIEW_KEY_LEN);
    j->batch = b;
    j->file = file;
    j->err = ERR_NONE;
    b->jobs++;
    v->queued++;
    HASH_ADD(hh, v->jobs, key, VIEW_KEY_LEN, j);
    DL_APPEND(v->queue, j);
    CHECK(pthread_cond_signal(&v->work) == 0);
    return j;
}

static enum err_code add_jobs(struct views *v, struct view_batch *b,
                              const struct view_missing *missing, struct view_job **ret,
                              struct err *err) {
    LOCKED(&v->lock);
    if (v->queued + missing->count > JOBS_MAX) {
        return err_set(err, ERR_BUSY, "too many masked files are to be made: try again later");
    }
    for (size_t i = 0; i < missing->count; i++) {
        TRY(failure_check(v, missing->keys[i], err));
    }
    for (size_t i = 0; i < missing->count; i++) {
        struct view_job *j = NULL;
        struct masked *there = NULL;
        const struct str key = missing->keys[i];
        HASH_FIND(hh, v->jobs, key.ptr, VIEW_KEY_LEN, j);
        HASH_FIND(hh, v->files, key.ptr, VIEW_KEY_LEN, there);
        ret[i] = there != NULL ? NULL : j != NULL ? j : job_new(v, b, key, missing->files[i]);
        if (ret[i] != NULL) {
            ret[i]->waiters++;
        }
    }
    return ERR_OK;
}

enum err_code view_jobs_add(struct views *v, const struct view_pin *pin,
                            const struct view_missing *missing, struct view_job **ret,
                            struct err *err) {
    DEFER(batch_freep) struct view_batch *b = NULL;
    if (batch_new(v, pin, missing->generation, &b, err) != ERR_OK) {
        return view_hide(&pin->view, err);
    }
    b->jobs = 1; // so that it stays while jobs are added
    const enum err_code code = add_jobs(v, b, missing, ret, err);
    bool unused;
    {
        LOCKED(&v->lock);
        unused = --b->jobs == 0;
    }
    if (!unused) {
        (void)TAKE(b); // the last job frees it
    }
    return code;
}

// ---- For the makers

struct view_job *view_job_take(struct views *v) {
    LOCKED(&v->lock);
    while (!v->stopping && v->queue == NULL) {
        (void)threads_cond_wait_until(&v->work, &v->lock, clock_mono_us() + IDLE_US);
    }
    struct view_job *j = job_next(v);
    if (j != NULL) {
        DL_DELETE(v->queue, j);
        j->state = VIEW_RUNNING;
    }
    return j;
}

void view_job_finish(struct views *v, struct view_job *j, enum err_code code, int64_t since_us) {
    struct view_batch *b = NULL;
    const bool off = code == ERR_CANCELLED || code == ERR_BUSY;
    {
        LOCKED(&v->lock);
        const bool was_dropped = j->dropped && j->counted;
        if (code == ERR_OK) {
            v->stats.made++;
            v->stats.make_us += clock_mono_us() - since_us;
            counter_add(COUNTER_view_makes, 1);
        } else if (!off) {
            v->stats.failures++;
            counter_add(COUNTER_view_failures, 1);
            failure_note(v, j);
        }
        v->dropping -= was_dropped ? 1 : 0;
        job_end(v, j, code == ERR_OK ? VIEW_MADE : off ? VIEW_DROPPED : VIEW_FAILED, &b);
    }
    batch_free(b);
}

// What is queued is ended by the makers; nobody waits any more.
void view_jobs_stop(struct views *v) {
    LOCKED(&v->lock);
    v->stopping = true;
    view_jobs_drop(v);
}

void view_jobs_close(struct views *v) {
    LOCKED(&v->lock);
    CHECK(v->jobs == NULL && v->queue == NULL);
    failures_drop(v, true);
}
