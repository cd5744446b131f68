// Upkeep: POST /query/compact, and what can be done to a dataset's snapshots and objects.

#include "api/api.h"

#include <stdlib.h>

#define CLUSTER_MAX 16
#define TEXTS_MAX (1U << 20)
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
};

static struct task *task_new(struct call *c, const char *action) {
    struct task *t = xcalloc(1, sizeof(*t));
    const struct catalog_author who = api_author(c, action);
    t->upkeep = c->api->upkeep;
    t->catalog = c->api->catalog;
    t->texts = ARENA(TEXTS_MAX);
    t->who = (struct catalog_author){.actor = arena_str(&t->texts, who.actor),
                                     .action = str_from(action),
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

static enum err_code read_compact(struct task *t, const json_t *body, struct err *err) {
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
    t->compact.dataset = t->dataset;
    t->compact.target_bytes = target;
    t->compact.deletes_share = (int64_t)(share * 1000);
    t->compact.who = t->who;
    return read_cluster(t, body, err);
}

enum err_code upkeep_compact_route(struct call *c, struct err *err) {
    DEFER(json_decrefp) json_t *body = NULL;
    DEFER(task_freep) struct task *t = task_new(c, "dataset.compact");
    TRY(api_body_json(c, &body, err));
    TRY(read_compact(t, body, err));
    struct job_spec spec = {.kind = "compact",
                            .target = t->dataset,
                            .run = t->dataset.len > 0 ? compact_one : compact_all,
                            .release = task_free,
                            .ctx = TAKE(t)};
    return api_work(c, &spec, err);
}
