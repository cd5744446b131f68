// Jobs: the registry, the workers, and the states that a job goes through.

#include "jobs/jobs.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/log.h"

#define ARENA_DEFAULT (256U << 20)
#define TEXT_MAX (1U << 20)
#define RESULT_MAX (16U << 20)

struct job {
    struct jobs *jobs;
    struct job *next; // older
    struct arena texts;
    struct str id, target, principal;
    const char *kind;
    struct job_spec spec;
    bool inline_work; // in its caller's thread

    // Guarded by jobs->lock.
    enum job_state state;
    int64_t done, total;
    int64_t created_us, started_us, ended_us;
    json_t *result;
    struct str result_text;
    struct err failure;
    uint64_t change; // from 1
    size_t users;    // that wait on it: it is not forgotten meanwhile

    struct cancel cancel;
    pthread_mutex_t hook_lock; // guards the hook, and is held while it runs
    void (*hook)(void *arg);
    void *hook_arg;
};

struct jobs {
    struct jobs_options options;
    pthread_mutex_t lock;   // guards everything below
    pthread_cond_t changed; // of any job
    pthread_cond_t work;    // for workers
    struct job *newest;
    int64_t queued, ended;
    bool stopping;
    pthread_t *workers;
};

static const char *const state_names[] = {
    [JOB_QUEUED] = "queued", [JOB_RUNNING] = "running",     [JOB_DONE] = "done",
    [JOB_FAILED] = "failed", [JOB_CANCELLED] = "cancelled",
};

// From the first to the second.
static const bool moves[5][5] = {
    [JOB_QUEUED] = {[JOB_RUNNING] = true, [JOB_CANCELLED] = true},
    [JOB_RUNNING] = {[JOB_DONE] = true, [JOB_FAILED] = true, [JOB_CANCELLED] = true},
};

const char *job_state_text(enum job_state s) {
    return state_names[s];
}

bool job_state_is_end(enum job_state s) {
    return s == JOB_DONE || s == JOB_FAILED || s == JOB_CANCELLED;
}

bool job_cancelled(const struct job *job) {
    return atomic_load(&job->cancel.set);
}

enum err_code job_check(const struct job *job, struct err *err) {
    return job_cancelled(job) ? err_set(err, ERR_CANCELLED, "the job was cancelled") : ERR_OK;
}

static void job_free(struct job *job) {
    json_decref(job->result);
    arena_release(&job->texts);
    pthread_mutex_destroy(&job->hook_lock);
    free(job);
}

// With the lock held. The oldest that ended go when there are too many.
static void forget_old(struct jobs *j) {
    struct job **oldest = NULL;
    for (struct job **at = &j->newest; *at != NULL; at = &(*at)->next) {
        oldest = job_state_is_end((*at)->state) && (*at)->users == 0 ? at : oldest;
    }
    if (j->ended > j->options.kept_max && oldest != NULL) {
        struct job *gone = *oldest;
        *oldest = gone->next;
        j->ended--;
        job_free(gone);
    }
}

// With the lock held.
static void job_changed(struct job *job) {
    job->change++;
    CHECK(pthread_cond_broadcast(&job->jobs->changed) == 0);
}

// With the lock held: the only place where a job's state changes.
static void job_move(struct job *job, enum job_state to) {
    CHECK(moves[job->state][to]);
    struct jobs *j = job->jobs;
    j->queued -= job->state == JOB_QUEUED ? 1 : 0;
    job->state = to;
    if (to == JOB_RUNNING) {
        job->started_us = clock_wall_us();
    } else {
        job->ended_us = clock_wall_us();
        j->ended++;
    }
    job_changed(job);
}

static struct job *job_new(struct jobs *j, const struct job_spec *spec) {
    struct job *job = xcalloc(1, sizeof(*job));
    job->jobs = j;
    job->texts = ARENA(TEXT_MAX);
    job->id = id_new(&job->texts);
    job->kind = spec->kind;
    job->target = arena_str(&job->texts, spec->target);
    job->principal = arena_str(&job->texts, spec->principal);
    job->spec = *spec;
    job->created_us = clock_wall_us();
    job->failure = ERR_NONE;
    CHECK(pthread_mutex_init(&job->hook_lock, NULL) == 0);
    return job;
}

// With the lock held.
static void job_add(struct jobs *j, struct job *job) {
    job->next = j->newest;
    j->newest = job;
    j->queued++;
    job_changed(job);
}

static void release_work(const struct job_spec *spec) {
    if (spec->release != NULL) {
        spec->release(spec->ctx);
    }
}

static void log_end(const struct job *job) {
    const bool failed = job->state == JOB_FAILED;
    log_line(failed ? LOG_ERROR : LOG_INFO, "job",
             "id=" STR_FMT " kind=%s target=%s state=%s ms=%lld%s%s", STR_ARG(job->id), job->kind,
             log_quote(job->target), job_state_text(job->state),
             (long long)((job->ended_us - job->started_us) / 1000), failed ? " error=" : "",
             failed ? log_quote(str_from(job->failure.msg)) : "");
}

// The job is running already.
static enum err_code job_do(struct job *job) {
    struct arena a = ARENA(job->spec.arena_bytes > 0 ? job->spec.arena_bytes : ARENA_DEFAULT);
    struct err err = ERR_NONE;
    json_t *result = NULL;
    enum err_code code = job_check(job, &err);
    if (code == ERR_OK) {
        code = job->spec.run(job, job->spec.ctx, &a, &result, &err);
    }
    arena_release(&a);
    job_on_cancel(job, NULL, NULL);
    release_work(&job->spec);
    DEFER(buf_release) struct buf text = BUF(RESULT_MAX);
    if (result != NULL) {
        json_add_text(&text, result);
    }
    if (code == ERR_OK && text.overflow) {
        code = err_set(&err, ERR_TOO_LARGE, "the result of the job is too long to be kept");
    }
    const bool cancelled = code == ERR_CANCELLED && job_cancelled(job);
    {
        LOCKED(&job->jobs->lock);
        job->texts.limit = RESULT_MAX + TEXT_MAX;
        job->result_text = code == ERR_OK ? arena_str(&job->texts, buf_str(&text)) : STR_NONE;
        job->result = result;
        job->failure = err;
        job_move(job, code == ERR_OK ? JOB_DONE : cancelled ? JOB_CANCELLED : JOB_FAILED);
        log_end(job);
    }
    return code;
}

// With the lock held: the oldest that waits, or NULL.
static struct job *next_queued(const struct jobs *j) {
    struct job *found = NULL;
    for (struct job *job = j->newest; job != NULL; job = job->next) {
        found = job->state == JOB_QUEUED && !job->inline_work ? job : found;
    }
    return found;
}

// The next job, which runs from here on; NULL at the end.
static struct job *take_work(struct jobs *j) {
    LOCKED(&j->lock);
    struct job *job = next_queued(j);
    while (job == NULL && !j->stopping) {
        CHECK(pthread_cond_wait(&j->work, &j->lock) == 0);
        job = next_queued(j);
    }
    if (job != NULL) {
        job_move(job, JOB_RUNNING);
        job->users++;
    }
    return job;
}

static void job_leave(struct job *job) {
    LOCKED(&job->jobs->lock);
    job->users--;
    forget_old(job->jobs);
}

static void *worker_run(void *arg) {
    struct jobs *j = arg;
    for (struct job *job = take_work(j); job != NULL; job = take_work(j)) {
        log_set_request(job->id);
        (void)job_do(job);
        log_set_request(STR_NONE);
        job_leave(job);
    }
    return NULL;
}

struct jobs *jobs_new(const struct jobs_options *o) {
    struct jobs *j = xcalloc(1, sizeof(*j));
    j->options = *o;
    CHECK(pthread_mutex_init(&j->lock, NULL) == 0);
    threads_cond_init(&j->changed);
    threads_cond_init(&j->work);
    j->workers = xcalloc((size_t)o->workers, sizeof(*j->workers));
    for (int64_t i = 0; i < o->workers; i++) {
        j->workers[i] = threads_start("job", worker_run, j);
    }
    return j;
}

// Ends a job that waits, and drops its work; false when it does not wait (any more).
static bool drop_queued(struct job *job) {
    {
        LOCKED(&job->jobs->lock);
        if (job->state != JOB_QUEUED || job->inline_work) {
            return false;
        }
        job_move(job, JOB_CANCELLED);
    }
    release_work(&job->spec);
    return true;
}

void job_cancel(struct job *job) {
    LOCKED(&job->hook_lock);
    if (atomic_exchange(&job->cancel.set, true)) {
        return;
    }
    if (job->hook != NULL) {
        job->hook(job->hook_arg);
    }
    LOCKED(&job->jobs->lock);
    job_changed(job);
}

// The newest job that is to be stopped and has not been; held with users.
static struct job *next_to_stop(struct jobs *j) {
    LOCKED(&j->lock);
    for (struct job *job = j->newest; job != NULL; job = job->next) {
        if (!job->inline_work && !job_state_is_end(job->state) && !job_cancelled(job)) {
            job->users++;
            return job;
        }
    }
    return NULL;
}

void jobs_stop(struct jobs *j) {
    {
        LOCKED(&j->lock);
        j->stopping = true;
        CHECK(pthread_cond_broadcast(&j->work) == 0);
    }
    for (struct job *job = next_to_stop(j); job != NULL; job = next_to_stop(j)) {
        job_cancel(job);
        (void)drop_queued(job);
        job_leave(job);
    }
}

void jobs_close(struct jobs *j) {
    if (j == NULL) {
        return;
    }
    jobs_stop(j);
    for (int64_t i = 0; i < j->options.workers; i++) {
        CHECK(pthread_join(j->workers[i], NULL) == 0);
    }
    for (struct job *job = j->newest; job != NULL;) {
        struct job *next = job->next;
        CHECK(job_state_is_end(job->state) && job->users == 0);
        job_free(job);
        job = next;
    }
    free(j->workers);
    pthread_cond_destroy(&j->changed);
    pthread_cond_destroy(&j->work);
    pthread_mutex_destroy(&j->lock);
    free(j);
}

static enum err_code refuse_new(const struct jobs *j, struct err *err) {
    if (j->stopping) {
        return err_set(err, ERR_BUSY, "the server stops: no job can begin");
    }
    if (j->queued >= j->options.queued_max) {
        return err_set(err, ERR_BUSY, "%lld jobs wait already; try again later",
                       (long long)j->queued);
    }
    return ERR_OK;
}

enum err_code jobs_start(struct jobs *j, const struct job_spec *spec, struct arena *a,
                         struct str *ret_id, struct err *err) {
    struct job *job = job_new(j, spec);
    enum err_code code;
    {
        LOCKED(&j->lock);
        code = refuse_new(j, err);
        if (code == ERR_OK) {
            *ret_id = arena_str(a, job->id);
            job_add(j, job);
            CHECK(pthread_cond_signal(&j->work) == 0);
        }
    }
    if (code != ERR_OK) {
        release_work(spec);
        job_free(job);
    }
    return code;
}

enum err_code jobs_run(struct jobs *j, const struct job_spec *spec, const struct jobs_watch *watch,
                       json_t **ret, struct err *err) {
    struct job *job = job_new(j, spec);
    job->inline_work = true;
    {
        LOCKED(&j->lock);
        job_add(j, job);
        job_move(job, JOB_RUNNING);
        job->users++;
    }
    if (watch != NULL) {
        watch->started(watch->ctx, job);
    }
    const enum err_code code = job_do(job);
    if (watch != NULL) {
        watch->started(watch->ctx, NULL);
    }
    *err = job->failure;
    if (code == ERR_OK) {
        *ret = json_incref(job->result);
    }
    job_leave(job);
    return code;
}

void job_progress(struct job *job, int64_t done, int64_t total) {
    LOCKED(&job->jobs->lock);
    if (job->done != done || job->total != total) {
        job->done = done;
        job->total = total;
        job_changed(job);
    }
}

void job_on_cancel(struct job *job, void (*fn)(void *arg), void *arg) {
    LOCKED(&job->hook_lock);
    job->hook = fn;
    job->hook_arg = arg;
    if (fn != NULL && job_cancelled(job)) {
        fn(arg);
    }
}

enum err_code job_pause(struct job *job, int64_t us, struct err *err) {
    const int64_t end_us = clock_mono_us() + us;
    const int64_t step_us = 50000;
    while (!job_cancelled(job) && clock_mono_us() < end_us) {
        LOCKED(&job->jobs->lock);
        (void)threads_cond_wait_until(&job->jobs->changed, &job->jobs->lock,
                                      MIN(end_us, clock_mono_us() + step_us));
    }
    return job_check(job, err);
}

// With the lock held.
static struct job *find(const struct jobs *j, struct str id) {
    struct job *job = j->newest;
    while (job != NULL && !str_eq(job->id, id)) {
        job = job->next;
    }
    return job;
}

// With the lock held.
static struct job_view view_of(const struct job *job, struct arena *a) {
    const bool ended = job_state_is_end(job->state);
    return (struct job_view){
        .id = arena_str(a, job->id),
        .kind = str_from(job->kind),
        .target = arena_str(a, job->target),
        .principal = arena_str(a, job->principal),
        .state = job->state,
        .cancelling = !ended && job_cancelled(job),
        .done = job->done,
        .total = job->total,
        .created_us = job->created_us,
        .started_us = job->started_us,
        .ended_us = job->ended_us,
        .result = arena_str(a, job->result_text),
        .code = job->state == JOB_FAILED ? job->failure.code : ERR_OK,
        .message = job->state == JOB_FAILED ? arena_str(a, str_from(job->failure.msg)) : STR_NONE,
        .change = job->change,
    };
}

enum err_code jobs_missing(struct str id, struct err *err) {
    return err_set(err, ERR_NOT_FOUND,
                   "there is no job \"" STR_FMT "\" (GET /jobs lists those that run, and the "
                   "newest that ended)",
                   STR_ARG(id));
}

enum err_code jobs_get(struct jobs *j, struct str id, struct arena *a, struct job_view *ret,
                       struct err *err) {
    LOCKED(&j->lock);
    const struct job *job = find(j, id);
    if (job == NULL) {
        return jobs_missing(id, err);
    }
    *ret = view_of(job, a);
    return ERR_OK;
}

void jobs_list(struct jobs *j, struct str principal, struct str before, size_t max, struct arena *a,
               struct job_views *ret) {
    *ret = (struct job_views){.items = arena_array(a, max, sizeof(*ret->items))};
    LOCKED(&j->lock);
    const struct job *from = find(j, before);
    for (const struct job *job = from != NULL ? from->next : j->newest; job != NULL;
         job = job->next) {
        if (from == NULL && before.len > 0 && str_cmp(job->id, before) >= 0) {
            continue; // it was forgotten, but ids sort by the time that they were made
        }
        if (principal.len > 0 && !str_eq(job->principal, principal)) {
            continue;
        }
        if (ret->count == max) {
            ret->more = true;
            return;
        }
        ret->items[ret->count++] = view_of(job, a);
    }
}

enum err_code jobs_wait(struct jobs *j, const struct job_wait *w, struct arena *a,
                        struct job_view *ret, struct err *err) {
    LOCKED(&j->lock);
    struct job *job = find(j, w->id);
    if (job == NULL) {
        return jobs_missing(w->id, err);
    }
    job->users++;
    while (job->change <= w->seen && clock_mono_us() < w->deadline_us) {
        (void)threads_cond_wait_until(&j->changed, &j->lock, w->deadline_us);
    }
    *ret = view_of(job, a);
    job->users--;
    return ERR_OK;
}

enum err_code jobs_cancel(struct jobs *j, struct str id, struct err *err) {
    struct job *job;
    {
        LOCKED(&j->lock);
        job = find(j, id);
        if (job == NULL) {
            return jobs_missing(id, err);
        }
        if (job_state_is_end(job->state)) {
            return err_set(err, ERR_CONFLICT, "the job is %s already", job_state_text(job->state));
        }
        job->users++;
    }
    job_cancel(job);
    (void)drop_queued(job);
    job_leave(job);
    return ERR_OK;
}

bool jobs_active(struct jobs *j, const char *kind, struct str target) {
    LOCKED(&j->lock);
    for (const struct job *job = j->newest; job != NULL; job = job->next) {
        if (!job_state_is_end(job->state) && str_is(str_from(job->kind), kind) &&
            (target.len == 0 || str_eq(target, job->target))) {
            return true;
        }
    }
    return false;
}
