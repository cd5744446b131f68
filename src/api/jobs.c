// Jobs: GET /jobs, GET and DELETE /jobs/{id}, GET /jobs/{id}/events; and work that becomes one.

#include <stdlib.h>

#include "api/api.h"
#include "base/clock.h"

#define EVENT_WAIT_US INT64_C(15000000) // then a comment tells the client that all is well
#define LOOK_US INT64_C(250000)         // how soon a client that left is noticed
#define TEXTS_MAX (1U << 16)

static json_t *job_json(const struct job_view *v, struct arena *a) {
    json_t *j = json_object();
    json_object_set_new(j, "id", json_new_str(v->id));
    json_object_set_new(j, "kind", json_new_str(v->kind));
    json_object_set_new(j, "target", json_new_str(v->target));
    json_object_set_new(j, "principal", json_new_str(v->principal));
    json_object_set_new(j, "state", json_string(job_state_text(v->state)));
    json_object_set_new(j, "cancelling", json_boolean(v->cancelling));
    json_object_set_new(j, "done", json_integer(v->done));
    json_object_set_new(j, "total", json_integer(v->total));
    json_object_set_new(j, "created_at", api_time(v->created_us, a));
    json_object_set_new(j, "started_at", api_time(v->started_us, a));
    json_object_set_new(j, "ended_at", api_time(v->ended_us, a));
    json_t *result = NULL;
    struct err ignored = ERR_NONE;
    if (v->result.len > 0 && json_parse_stored(v->result, "result", &result, &ignored) == ERR_OK) {
        json_object_set_new(j, "result", result);
    }
    if (v->code != ERR_OK) {
        json_object_set_new(
            j, "error",
            json_pack("{s:s,s:o}", "code", err_text(v->code), "detail", json_new_str(v->message)));
    }
    return j;
}

enum err_code job_list(struct call *c, struct err *err) {
    int64_t limit = 100;
    struct str cursor = STR_NONE;
    struct job_views list;
    TRY(api_query_number(c, "limit", 1, 1000, &limit, err));
    (void)http_query(c->http, "cursor", &cursor);
    jobs_list(c->api->jobs, api_own(c), cursor, (size_t)limit, c->arena, &list);
    json_t *j = json_object();
    json_t *items = json_array();
    for (size_t i = 0; i < list.count; i++) {
        json_array_append_new(items, job_json(&list.items[i], c->arena));
    }
    json_object_set_new(j, "jobs", items);
    json_object_set_new(j, "next",
                        list.more ? json_new_str(list.items[list.count - 1].id) : json_null());
    api_json_tree(c, 200, j);
    return ERR_OK;
}

// The job of the path, if it is the caller's.
static enum err_code get_own(struct call *c, struct job_view *ret, struct err *err) {
    const struct str own = api_own(c);
    TRY(jobs_get(c->api->jobs, c->param, c->arena, ret, err));
    return own.len == 0 || str_eq(own, ret->principal) ? ERR_OK : jobs_missing(c->param, err);
}

enum err_code job_show(struct call *c, struct err *err) {
    struct job_view v;
    TRY(get_own(c, &v, err));
    api_json_tree(c, 200, job_json(&v, c->arena));
    return ERR_OK;
}

enum err_code job_stop(struct call *c, struct err *err) {
    struct job_view v;
    TRY(get_own(c, &v, err));
    TRY(jobs_cancel(c->api->jobs, c->param, err));
    TRY(jobs_get(c->api->jobs, c->param, c->arena, &v, err));
    api_json_tree(c, 202, job_json(&v, c->arena));
    return ERR_OK;
}

// A client that watches a job.
struct watcher {
    struct call *call;
    struct str id;
    uint64_t seen;
};

// One event: the job after its next change. "end" is the last.
static enum err_code next_event(void *ctx, struct buf *out, bool *last, struct err *err) {
    struct watcher *w = ctx;
    DEFER(arena_release) struct arena a = ARENA(64U << 20);
    struct job_view v = {.change = w->seen};
    const int64_t end_us = clock_mono_us() + EVENT_WAIT_US;
    int64_t now_us = clock_mono_us();
    while (v.change <= w->seen && now_us < end_us && !w->call->http->cancel.set) {
        const struct job_wait wait = {w->id, w->seen, MIN(now_us + LOOK_US, end_us)};
        TRY(jobs_wait(w->call->api->jobs, &wait, &a, &v, err));
        now_us = clock_mono_us();
    }
    if (v.change <= w->seen) {
        *last = w->call->http->cancel.set;
        buf_add_cstr(out, ": still there\n\n");
        return ERR_OK;
    }
    DEFER(json_decrefp) json_t *j = job_json(&v, &a);
    w->seen = v.change;
    *last = job_state_is_end(v.state);
    buf_printf(out, "event: %s\nid: %llu\ndata: ", *last ? "end" : "progress",
               (unsigned long long)v.change);
    json_add_text(out, j);
    buf_add_cstr(out, "\n\n");
    return ERR_OK;
}

enum err_code job_events(struct call *c, struct err *err) {
    struct job_view v;
    TRY(get_own(c, &v, err));
    struct watcher *w = arena_alloc(c->arena, sizeof(*w));
    *w = (struct watcher){.call = c, .id = c->param};
    w->seen = v.change - 1; // the first event tells how the job is now
    http_answer_stream(c->http, 200, "text/event-stream", (struct http_stream){w, next_event});
    return ERR_OK;
}

static bool wants_async(struct call *c) {
    struct str rest;
    struct str item;
    if (!http_header(c->http, "Prefer", &rest)) {
        return false;
    }
    while (str_cut(&rest, ',', &item)) {
        if (str_eq_nocase(str_trim(item), STR("respond-async"))) {
            return true;
        }
    }
    return false;
}

static void cancel_job(void *job) {
    job_cancel(job);
}

// A client that hangs up stops the work that it waits for.
static void bind_client(void *ctx, struct job *job) {
    struct call *c = ctx;
    http_on_cancel(c->http, job != NULL ? cancel_job : NULL, job);
}

// A job that goes on without its client: what becomes of it is noted by itself.
struct unattended {
    struct job_spec spec;
    struct refusals *refusals;
    struct arena texts;
    struct refusal refusal;
};

static enum err_code unattended_run(struct job *job, void *ctx, struct arena *a, json_t **ret,
                                    struct err *err) {
    struct unattended *u = ctx;
    const enum err_code code = u->spec.run(job, u->spec.ctx, a, ret, err);
    if (code != ERR_OK) {
        u->refusal.why = code;
        refusals_note(u->refusals, &u->refusal);
    }
    return code;
}

static void unattended_free(void *ctx) {
    struct unattended *u = ctx;
    if (u->spec.release != NULL) {
        u->spec.release(u->spec.ctx);
    }
    arena_release(&u->texts);
    free(u);
}

// Puts itself around the work, if a failure of it is to be noted.
static void attend(struct call *c, struct job_spec *spec) {
    struct refusal what;
    if (!api_refusal(c, ERR_OK, &what)) {
        return;
    }
    struct unattended *u = xcalloc(1, sizeof(*u));
    u->spec = *spec;
    u->refusals = c->api->refusals;
    u->texts = ARENA(TEXTS_MAX);
    u->refusal = (struct refusal){.actor = arena_str(&u->texts, what.actor),
                                  .action = arena_str(&u->texts, what.action),
                                  .target = arena_str(&u->texts, what.target),
                                  .reason = arena_str(&u->texts, what.reason)};
    spec->run = unattended_run;
    spec->release = unattended_free;
    spec->ctx = u;
}

static void answer_job(struct call *c, const struct job_view *v) {
    http_set_header(c->http, "Location", arena_printf(c->arena, "/jobs/" STR_FMT, STR_ARG(v->id)));
    if (wants_async(c)) {
        http_set_header(c->http, "Preference-Applied", STR("respond-async"));
    }
    api_json_tree(c, 202, job_json(v, c->arena));
}

static enum err_code start(struct call *c, struct job_spec *spec, struct job_view *ret,
                           struct err *err) {
    struct str id;
    spec->principal = c->token.principal;
    attend(c, spec);
    TRY(jobs_start(c->api->jobs, spec, c->arena, &id, err));
    return jobs_get(c->api->jobs, id, c->arena, ret, err);
}

enum err_code api_work(struct call *c, struct job_spec *spec, struct err *err) {
    struct job_view v;
    spec->principal = c->token.principal;
    if (!wants_async(c)) {
        const struct jobs_watch watch = {bind_client, c};
        json_t *result = NULL;
        TRY(jobs_run(c->api->jobs, spec, &watch, &result, err));
        api_json_tree(c, 200, result);
        return ERR_OK;
    }
    TRY(start(c, spec, &v, err));
    answer_job(c, &v);
    return ERR_OK;
}

static enum err_code answer_end(struct call *c, const struct job_view *v, struct err *err) {
    json_t *result = NULL;
    if (v->code != ERR_OK) {
        return err_set(err, v->code, STR_FMT, STR_ARG(v->message));
    }
    if (v->state != JOB_DONE) {
        return err_set(err, ERR_CANCELLED, "the job was stopped");
    }
    TRY(json_parse_stored(v->result, "the result", &result, err));
    api_json_tree(c, 200, result);
    return ERR_OK;
}

enum err_code api_work_on(struct call *c, struct job_spec *spec, struct err *err) {
    struct job_view v;
    TRY(start(c, spec, &v, err));
    while (!wants_async(c) && !job_state_is_end(v.state) && !c->http->cancel.set) {
        // Views of a long wait must not fill the request's arena.
        DEFER(arena_release) struct arena a = ARENA(64U << 20);
        const struct job_wait wait = {v.id, v.change, clock_mono_us() + LOOK_US};
        struct job_view now;
        TRY(jobs_wait(c->api->jobs, &wait, &a, &now, err));
        v.change = now.change;
        if (job_state_is_end(now.state)) {
            TRY(jobs_get(c->api->jobs, v.id, c->arena, &v, err));
        }
    }
    if (job_state_is_end(v.state)) {
        return answer_end(c, &v, err);
    }
    answer_job(c, &v);
    return ERR_OK;
}
