// Upkeep: POST /query/compact, and what can be done to a dataset's snapshots and objects.

#include "api/api.h"

#include <stdlib.h>

#define CLUSTER_MAX 16
#define TEXTS_MAX (1U << 20)
#define ORPHANS_AGE_MS (INT64_C(3) * 24 * 3600 * 1000)
#define ORPHANS_AGE_MIN_MS (INT64_C(3600) * 1000) // longer than any write takes
#define TARGET_MIN (INT64_C(1) << 20)
#define TARGET_MAX (INT64_C(1) << 32)

// What was asked for. It outlives the request: a job may take it along.
struct task {
    struct upkeep *upkeep;
    struct catalog *catalog;
    struct arena texts;
    struct catalog_author who;
    struct str dataset; // empty: all
    struct upkeep_compact compact;
    struct upkeep_rollback rollback;
    struct upkeep_expire expire;
    struct upkeep_orphans orphans;
};

static struct task *task_new(struct call *c) {
    struct task *t = xcalloc(1, sizeof(*t));
    const struct catalog_author who = api_author(c);
    t->upkeep = c->api->upkeep;
    t->catalog = c->api->catalog;
    t->texts = ARENA(TEXTS_MAX);
    t->who = (struct catalog_author){.actor = arena_str(&t->texts, who.actor),
                                     .action = arena_str(&t->texts, who.action),
                                     .reason = arena_str(&t->texts, who.reason)};
    return t;
}

static void task_free(void *task) {
    struct task *t = task;
    if (t != NULL) {
        arena_release(&t->texts);
        free(t);
    }
}

static void task_freep(struct task **t) {
    task_free(*t);
}

// Compaction

static json_t *compacted_json(const struct upkeep_compacted *d, bool dry_run) {
    json_t *j = json_object();
    json_object_set_new(j, "dataset", json_new_str(d->dataset));
    json_object_set_new(j, "dry_run", json_boolean(dry_run));
    json_object_set_new(j, "files_before", json_integer(d->files_before));
    json_object_set_new(j, "files_after", json_integer(d->files_after));
    json_object_set_new(j, "bytes_before", json_integer(d->bytes_before));
    if (!dry_run) {
        json_object_set_new(j, "bytes_after", json_integer(d->bytes_after));
    }
    json_object_set_new(j, "files_read", json_integer(d->files_read));
    json_object_set_new(j, "files_written", json_integer(d->files_written));
    json_object_set_new(j, "rows", json_integer(d->rows));
    json_object_set_new(j, "deletes_applied", json_integer(d->deletes_applied));
    json_object_set_new(j, "tombstones_applied", json_integer(d->tombstones_applied));
    json_object_set_new(j, "rows_dropped_by_tombstones",
                        json_integer(d->rows_dropped_by_tombstones));
    json_object_set_new(j, "bins", json_integer(d->bins));
    json_object_set_new(j, "bins_left_out", json_integer(d->bins_left_out));
    json_object_set_new(j, "bins_again", json_integer(d->again));
    json_object_set_new(j, "snapshot", json_integer(d->snapshot_id));
    json_object_set_new(j, "duration_ms", json_integer(d->duration_us / 1000));
    return j;
}

static enum err_code compact_one(struct job *job, void *ctx, struct arena *a, json_t **ret,
                                 struct err *err) {
    struct task *t = ctx;
    struct upkeep_compacted done;
    TRY(upkeep_compact(t->upkeep, &t->compact, job, a, &done, err));
    *ret = compacted_json(&done, t->compact.dry_run);
    return ERR_OK;
}

// Every dataset in turn; one that fails does not keep the others from it, and is told of.
static enum err_code compact_all(struct job *job, void *ctx, struct arena *a, json_t **ret,
                                 struct err *err) {
    struct task *t = ctx;
    DEFER(json_decrefp) json_t *list = json_array();
    struct str after = STR_NONE;
    struct catalog_datasets page;
    do {
        catalog_dataset_list(t->catalog, after, 100, a, &page);
        for (size_t i = 0; i < page.count; i++) {
            struct upkeep_compact one = t->compact;
            struct upkeep_compacted done;
            struct err failure = ERR_NONE;
            TRY(job_check(job, err));
            one.dataset = after = page.items[i].name;
            const enum err_code code = upkeep_compact(t->upkeep, &one, job, a, &done, &failure);
            if (code == ERR_CANCELLED) {
                *err = failure;
                return code;
            }
            json_array_append_new(list, code == ERR_OK
                                            ? compacted_json(&done, one.dry_run)
                                            : json_pack("{s:o,s:{s:s,s:s}}", "dataset",
                                                        json_new_str(one.dataset), "error", "code",
                                                        err_text(code), "detail", failure.msg));
        }
    } while (page.more);
    *ret = json_pack("{s:O}", "datasets", list);
    return ERR_OK;
}

static enum err_code read_cluster(struct task *t, const json_t *body, struct err *err) {
    const json_t *list = json_object_get(body, "cluster_by");
    if (list == NULL || json_is_null(list)) {
        return ERR_OK;
    }
    const size_t count = json_array_size(list);
    if (!json_is_array(list) || count == 0 || count > CLUSTER_MAX) {
        return err_set(err, ERR_INVALID, "cluster_by must be a list of 1 to %d names of columns",
                       CLUSTER_MAX);
    }
    struct str *names = arena_array(&t->texts, count, sizeof(*names));
    for (size_t i = 0; i < count; i++) {
        const json_t *name = json_array_get(list, i);
        if (!json_is_string(name)) {
            return err_set(err, ERR_INVALID, "cluster_by must be a list of names of columns");
        }
        names[i] =
            arena_str(&t->texts, (struct str){json_string_value(name), json_string_length(name)});
    }
    t->compact.cluster_by = names;
    t->compact.cluster_count = count;
    return ERR_OK;
}

static enum err_code read_compact(struct call *c, struct task *t, const json_t *body,
                                  struct err *err) {
    static const char *const keys[] = {"dataset",      "all",           "dry_run", "cluster_by",
                                       "target_bytes", "deletes_share", NULL};
    struct str dataset = STR_NONE;
    bool all = false;
    int64_t target = 0;
    double share = 0;
    TRY(json_only_keys(body, keys, err));
    (void)json_get_str(body, "dataset", &dataset);
    (void)json_get_bool(body, "all", &all);
    (void)json_get_bool(body, "dry_run", &t->compact.dry_run);
    if (all == (dataset.len > 0)) {
        return err_set(
            err, ERR_INVALID,
            "say which dataset, or \"all\": true, and not both: {\"dataset\": \"NAME\"}");
    }
    if (json_get_i64(body, "target_bytes", &target) &&
        (target < TARGET_MIN || target > TARGET_MAX)) {
        return err_set(err, ERR_INVALID, "target_bytes must be from %lld to %lld",
                       (long long)TARGET_MIN, (long long)TARGET_MAX);
    }
    const json_t *given = json_object_get(body, "deletes_share");
    share = json_is_number(given) ? json_number_value(given) : 0;
    if ((given != NULL && !json_is_number(given)) || share < 0 || share > 1) {
        return err_set(err, ERR_INVALID, "deletes_share must be a number from 0 to 1");
    }
    t->dataset = arena_str(&t->texts, dataset);
    api_about(c, t->dataset.len > 0 ? t->dataset : STR("*"));
    t->compact.dataset = t->dataset;
    t->compact.target_bytes = target;
    t->compact.deletes_share = (int64_t)(share * 1000);
    t->compact.who = t->who;
    return read_cluster(t, body, err);
}

enum err_code upkeep_compact_route(struct call *c, struct err *err) {
    DEFER(json_decrefp) json_t *body = NULL;
    DEFER(task_freep) struct task *t = task_new(c);
    TRY(api_body_json(c, &body, err));
    TRY(read_compact(c, t, body, err));
    if (t->dataset.len == 0) {
        TRY(api_permit_admin(c, err));
    } else {
        struct str name = t->dataset;
        TRY(api_permit(c, CATALOG_WRITE, &name, err));
        t->dataset = t->compact.dataset = arena_str(&t->texts, name);
    }
    struct job_spec spec = {.kind = "compact",
                            .target = t->dataset,
                            .run = t->dataset.len > 0 ? compact_one : compact_all,
                            .release = task_free,
                            .ctx = TAKE(t)};
    return api_work(c, &spec, err);
}

// Snapshots

static enum err_code body_or_none(struct call *c, json_t **ret, struct err *err) {
    if (c->http->body.len == 0) {
        *ret = json_object();
        return ERR_OK;
    }
    return api_body_json(c, ret, err);
}

// A whole number of the body within bounds; *ret is left alone when it is absent.
static enum err_code body_number(const json_t *body, const char *key, int64_t min, int64_t *ret,
                                 struct err *err) {
    const json_t *given = json_object_get(body, key);
    if (given == NULL || json_is_null(given)) {
        return ERR_OK;
    }
    if (!json_is_integer(given) || json_integer_value(given) < min) {
        return err_set(err, ERR_INVALID, "%s must be a whole number from %lld on", key,
                       (long long)min);
    }
    *ret = json_integer_value(given);
    return ERR_OK;
}

static enum err_code do_rollback(struct job *job, void *ctx, struct arena *a, json_t **ret,
                                 struct err *err) {
    struct task *t = ctx;
    struct upkeep_rolled done;
    (void)job;
    TRY(upkeep_rollback(t->upkeep, &t->rollback, a, &done, err));
    json_t *j = json_object();
    json_object_set_new(j, "dataset", json_new_str(done.dataset));
    json_object_set_new(j, "dry_run", json_boolean(t->rollback.dry_run));
    json_object_set_new(j, "from", json_integer(done.from_snapshot));
    json_object_set_new(j, "to", json_integer(done.to_snapshot));
    json_object_set_new(j, "rows_before", json_integer(done.rows_before));
    json_object_set_new(j, "rows_after", json_integer(done.rows_after));
    *ret = j;
    return ERR_OK;
}

static enum err_code do_expire(struct job *job, void *ctx, struct arena *a, json_t **ret,
                               struct err *err) {
    struct task *t = ctx;
    struct upkeep_expired done;
    TRY(upkeep_expire(t->upkeep, &t->expire, job, a, &done, err));
    json_t *j = json_object();
    json_object_set_new(j, "dataset", json_new_str(done.dataset));
    json_object_set_new(j, "dry_run", json_boolean(t->expire.dry_run));
    json_object_set_new(j, "snapshots_before", json_integer(done.snapshots_before));
    json_object_set_new(j, "snapshots_removed", json_integer(done.snapshots_removed));
    json_object_set_new(j, "snapshots_after", json_integer(done.snapshots_after));
    json_object_set_new(j, "objects_removed", json_integer(done.objects_removed));
    json_object_set_new(j, "bytes_removed", json_integer(done.bytes_removed));
    json_object_set_new(j, "duration_ms", json_integer(done.duration_us / 1000));
    *ret = j;
    return ERR_OK;
}

static enum err_code do_orphans(struct job *job, void *ctx, struct arena *a, json_t **ret,
                                struct err *err) {
    struct task *t = ctx;
    struct upkeep_orphaned done;
    TRY(upkeep_orphans(t->upkeep, &t->orphans, job, a, &done, err));
    json_t *names = json_array();
    for (size_t i = 0; i < done.name_count; i++) {
        json_array_append_new(names, json_new_str(done.names[i]));
    }
    json_t *j = json_object();
    json_object_set_new(j, "dataset", json_new_str(done.dataset));
    json_object_set_new(j, "dry_run", json_boolean(t->orphans.dry_run));
    json_object_set_new(j, "objects_seen", json_integer(done.objects_seen));
    json_object_set_new(j, "orphans", json_integer(done.objects));
    json_object_set_new(j, "bytes", json_integer(done.bytes));
    json_object_set_new(j, "names", names);
    *ret = j;
    return ERR_OK;
}

static enum err_code read_rollback(struct task *t, const json_t *body, struct err *err) {
    static const char *const keys[] = {"version", "dry_run", NULL};
    TRY(json_only_keys(body, keys, err));
    TRY(json_need_i64(body, "version", &t->rollback.version, err));
    (void)json_get_bool(body, "dry_run", &t->rollback.dry_run);
    t->rollback.dataset = t->dataset;
    t->rollback.who = t->who;
    return ERR_OK;
}

static enum err_code read_expire(struct task *t, const json_t *body, struct err *err) {
    static const char *const keys[] = {"max_age_ms", "keep_min", "keep_max", "dry_run", NULL};
    TRY(json_only_keys(body, keys, err));
    t->expire = (struct upkeep_expire){.dataset = t->dataset, .older_than_ms = -1, .who = t->who};
    TRY(body_number(body, "max_age_ms", 0, &t->expire.older_than_ms, err));
    TRY(body_number(body, "keep_min", 1, &t->expire.keep_min, err));
    TRY(body_number(body, "keep_max", 1, &t->expire.keep_max, err));
    (void)json_get_bool(body, "dry_run", &t->expire.dry_run);
    return ERR_OK;
}

static enum err_code read_orphans(struct task *t, const json_t *body, struct err *err) {
    static const char *const keys[] = {"older_than_ms", "dry_run", NULL};
    TRY(json_only_keys(body, keys, err));
    t->orphans = (struct upkeep_orphans){
        .dataset = t->dataset, .older_than_ms = ORPHANS_AGE_MS, .who = t->who};
    TRY(body_number(body, "older_than_ms", ORPHANS_AGE_MIN_MS, &t->orphans.older_than_ms, err));
    (void)json_get_bool(body, "dry_run", &t->orphans.dry_run);
    return ERR_OK;
}

// What the three have in common: a task of one dataset, read from the body and done.
struct act {
    const char *kind;
    enum err_code (*read)(struct task *t, const json_t *body, struct err *err);
    enum err_code (*run)(struct job *job, void *ctx, struct arena *a, json_t **ret,
                         struct err *err);
};

static enum err_code act_on(struct call *c, const struct act *act, struct err *err) {
    DEFER(json_decrefp) json_t *body = NULL;
    DEFER(task_freep) struct task *t = task_new(c);
    t->dataset = arena_str(&t->texts, c->param);
    TRY(body_or_none(c, &body, err));
    TRY(act->read(t, body, err));
    struct job_spec spec = {.kind = act->kind,
                            .target = t->dataset,
                            .run = act->run,
                            .release = task_free,
                            .ctx = TAKE(t)};
    return api_work(c, &spec, err);
}

enum err_code snapshots_rollback(struct call *c, struct err *err) {
    static const struct act act = {"rollback", read_rollback, do_rollback};
    return act_on(c, &act, err);
}

enum err_code snapshots_expire(struct call *c, struct err *err) {
    static const struct act act = {"expire", read_expire, do_expire};
    return act_on(c, &act, err);
}

enum err_code snapshots_orphans(struct call *c, struct err *err) {
    static const struct act act = {"orphans", read_orphans, do_orphans};
    return act_on(c, &act, err);
}

static json_t *snapshot_json(const struct ice_metadata *m, const struct ice_snapshot *s,
                             struct arena *a) {
    const struct ice_totals totals = ice_totals_of(s);
    json_t *summary = json_object();
    json_t *j = json_object();
    for (size_t i = 0; i < s->summary_count; i++) {
        json_object_set_new(summary, arena_cstr(a, s->summary[i].key),
                            json_new_str(s->summary[i].value));
    }
    json_object_set_new(j, "id", json_integer(s->id));
    json_object_set_new(j, "parent", s->parent_id != 0 ? json_integer(s->parent_id) : json_null());
    json_object_set_new(j, "sequence_number", json_integer(s->sequence_number));
    json_object_set_new(j, "timestamp", api_time(s->timestamp_ms * 1000, a));
    json_object_set_new(j, "operation", json_new_str(s->operation));
    json_object_set_new(j, "schema_id", json_integer(s->schema_id));
    json_object_set_new(j, "current", json_boolean(s->id == m->current_snapshot_id));
    json_object_set_new(j, "rows",
                        totals.records >= 0
                            ? json_integer(totals.records - MAX(totals.position_deletes, 0))
                            : json_null());
    json_object_set_new(j, "files",
                        totals.data_files >= 0 ? json_integer(totals.data_files) : json_null());
    json_object_set_new(j, "summary", summary);
    return j;
}

// Newest first; the cursor is the id of the last one of the page before.
enum err_code snapshots_list(struct call *c, struct err *err) {
    const struct table_want want = {.name = c->param};
    struct table_pin pin;
    struct str cursor = STR_NONE;
    int64_t limit = 100;
    int64_t after = 0;
    TRY(api_query_number(c, "limit", 1, 1000, &limit, err));
    if (http_query(c->http, "cursor", &cursor) && !str_to_i64(cursor, &after)) {
        return err_set(err, ERR_INVALID, "cursor must be the value of next of the page before");
    }
    TRY(table_pin_at(c->api->tables, &want, c->arena, &pin, err));
    size_t at = pin.metadata->snapshot_count;
    while (after != 0 && at > 0 && pin.metadata->snapshots[at - 1].id != after) {
        at--;
    }
    at -= after != 0 && at > 0 ? 1 : 0;
    json_t *list = json_array();
    json_t *next = json_null();
    for (; at > 0 && limit > 0; at--, limit--) {
        const struct ice_snapshot *s = &pin.metadata->snapshots[at - 1];
        json_array_append_new(list, snapshot_json(pin.metadata, s, c->arena));
        if (limit == 1 && at > 1) {
            next = json_new_str(arena_printf(c->arena, "%lld", (long long)s->id));
        }
    }
    json_t *j = json_object();
    json_object_set_new(j, "snapshots", list);
    json_object_set_new(j, "next", next);
    api_json_tree(c, 200, j);
    return ERR_OK;
}
