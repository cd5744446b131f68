// Jobs: long work that can be seen, waited for and stopped.
//
// A job is queued, then running, then done, failed or cancelled, and never leaves one of these
// three. jobs_start gives it to one of the workers; jobs_run does it in the caller's thread, where
// it is seen and can be stopped all the same. Of the jobs that have ended the newest are kept, for
// as long as the process lives: a job is nothing durable, what it does must be.
//
// Threads: any.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/json.h"
#include "base/str.h"
#include "base/threads.h"

struct jobs;
struct job; // one, as its work sees it

enum job_state { JOB_QUEUED, JOB_RUNNING, JOB_DONE, JOB_FAILED, JOB_CANCELLED };
const char *job_state_text(enum job_state s); // "queued"
bool job_state_is_end(enum job_state s);

struct jobs_options {
    int64_t workers;
    int64_t queued_max; // that wait for a worker
    int64_t kept_max;   // that have ended
};
struct jobs *jobs_new(const struct jobs_options *o);
// Takes no more jobs, drops those that wait, and asks those that run in workers to stop. What
// jobs_run does belongs to its caller and goes on.
void jobs_stop(struct jobs *j);
void jobs_close(struct jobs *j); // stops, and waits for the workers; takes NULL

// What is to be done. Texts are copied. run gives the result, a new reference; its arena ends with
// it. A failure with ERR_CANCELLED after the job was cancelled ends it as cancelled. release is
// called once, when run has returned or never will be called; it may be NULL.
struct job_spec {
    const char *kind;     // "compact"
    struct str target;    // a dataset's name; may be empty
    struct str principal; // who asked
    size_t arena_bytes;   // limit of the arena; 0: 256 MiB
    enum err_code (*run)(struct job *job, void *ctx, struct arena *a, json_t **ret,
                         struct err *err);
    void (*release)(void *ctx);
    void *ctx;
};
// *ret_id lives in the arena. ERR_BUSY: too many wait, or the server stops.
MUST_CHECK enum err_code jobs_start(struct jobs *j, const struct job_spec *spec, struct arena *a,
                                    struct str *ret_id, struct err *err);
// Its result, a new reference, or its failure. started, unless NULL, is told of the job before it
// runs, and of NULL after it: so that whoever waits can be made to cancel it with job_cancel.
struct jobs_watch {
    void (*started)(void *ctx, struct job *job);
    void *ctx;
};
MUST_CHECK enum err_code jobs_run(struct jobs *j, const struct job_spec *spec,
                                  const struct jobs_watch *watch, json_t **ret, struct err *err);

// For the work. Progress is in whatever unit the work counts; total 0: not known.
void job_progress(struct job *job, int64_t done, int64_t total);
bool job_cancelled(const struct job *job);
// ERR_CANCELLED when it was cancelled: between two steps, TRY(job_check(job, err)).
MUST_CHECK enum err_code job_check(const struct job *job, struct err *err);
// Calls fn(arg) once when the job is cancelled, from the thread that cancels; at once, from here,
// if it is already. NULL takes it back: after that fn neither runs nor will run.
void job_on_cancel(struct job *job, void (*fn)(void *arg), void *arg);
// Waits, but not longer than the job is wanted.
MUST_CHECK enum err_code job_pause(struct job *job, int64_t us, struct err *err);
void job_cancel(struct job *job);

// A job as it was at one moment. Texts live in the arena.
struct job_view {
    struct str id, kind, target, principal;
    enum job_state state;
    bool cancelling; // asked to stop, but not yet at its end
    int64_t done, total;
    int64_t created_us, started_us, ended_us; // wall clock; 0: not yet
    struct str result;                        // JSON; empty unless done
    enum err_code code;                       // of a failure
    struct str message;
    uint64_t change; // from 1; grows with every change of the job
};
// ERR_NOT_FOUND: no such job, or it ended so long ago that it was forgotten.
MUST_CHECK enum err_code jobs_get(struct jobs *j, struct str id, struct arena *a,
                                  struct job_view *ret, struct err *err);
// That same error, for a job that somebody is not to know of.
enum err_code jobs_missing(struct str id, struct err *err);
// Newest first: jobs of the principal (empty: of all) that are older than the one with the id
// `before` (empty: from the newest), at most max.
struct job_views {
    struct job_view *items;
    size_t count;
    bool more;
};
void jobs_list(struct jobs *j, struct str principal, struct str before, size_t max, struct arena *a,
               struct job_views *ret);
// Waits until the job is past `seen`, at most until deadline_us (clock_mono_us); then like
// jobs_get.
struct job_wait {
    struct str id;
    uint64_t seen;
    int64_t deadline_us;
};
MUST_CHECK enum err_code jobs_wait(struct jobs *j, const struct job_wait *w, struct arena *a,
                                   struct job_view *ret, struct err *err);
// Asks it to stop: one that waits ends at once. ERR_NOT_FOUND; ERR_CONFLICT: it has ended.
MUST_CHECK enum err_code jobs_cancel(struct jobs *j, struct str id, struct err *err);
// Is one of this kind and target (empty: any) queued or running?
bool jobs_active(struct jobs *j, const char *kind, struct str target);
