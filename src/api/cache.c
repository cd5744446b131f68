// The hot cache: POST /query/cache/pin and /query/cache/evict, GET /query/cache/stats.

#include <stdlib.h>

#include "api/api.h"

// A pin on its way, apart from the request that asked for it.
struct pin_work {
    struct api *api;
    char *dataset;
};

static json_t *stat_json(const struct hot_stat *s) {
    json_t *j = json_object();
    json_object_set_new(j, "dataset", json_new_str(s->dataset));
    json_object_set_new(j, "pinned", json_boolean(s->pinned));
    json_object_set_new(j, "bytes", json_integer(s->bytes));
    json_object_set_new(j, "rows", json_integer(s->rows));
    json_object_set_new(j, "files", json_integer(s->files));
    json_object_set_new(j, "tables", json_integer(s->tables));
    json_object_set_new(j, "hits", json_integer(s->hits));
    json_object_set_new(j, "misses", json_integer(s->misses));
    json_object_set_new(j, "loads", json_integer(s->loads));
    json_object_set_new(j, "load_failures", json_integer(s->load_failures));
    json_object_set_new(j, "load_ms", json_real((double)s->load_us / 1000));
    json_object_set_new(j, "evictions", json_integer(s->evictions));
    json_object_set_new(j, "asks", json_real(s->asks));
    json_object_set_new(j, "error", s->error.len > 0 ? json_new_str(s->error) : json_null());
    return j;
}

static bool may_see(struct call *c, struct str dataset) {
    const struct catalog_wish wish = {.rights = c->rights, .need = CATALOG_READ_RAW};
    struct catalog_dataset d;
    struct err err = ERR_NONE;
    return c->rights->admin ||
           (catalog_dataset_permit(c->api->catalog, dataset, &wish, c->arena, &d, &err) == ERR_OK &&
            str_eq(d.name, dataset));
}

enum err_code cache_stats(struct call *c, struct err *err) {
    (void)err;
    struct hot_stats all;
    json_t *j = json_object();
    json_t *items = json_array();
    int64_t rows = 0;
    int64_t bytes = 0;
    hot_stats_get(c->api->hot, c->arena, &all);
    for (size_t i = 0; i < all.count; i++) {
        if (may_see(c, all.items[i].dataset)) {
            json_array_append_new(items, stat_json(&all.items[i]));
            rows += all.items[i].rows;
            bytes += all.items[i].bytes;
        }
    }
    json_object_set_new(j, "budget_bytes", json_integer(all.bytes_max));
    json_object_set_new(j, "bytes", json_integer(c->rights->admin ? all.bytes : bytes));
    json_object_set_new(j, "rows", json_integer(rows));
    json_object_set_new(j, "datasets", items);
    api_json_tree(c, 200, j);
    return ERR_OK;
}

static enum err_code pin_run(struct job *job, void *ctx, struct arena *a, json_t **ret,
                             struct err *err) {
    (void)job;
    const struct pin_work *w = ctx;
    struct hot_stats all;
    TRY(hot_pin(w->api->hot, str_from(w->dataset), err));
    hot_stats_get(w->api->hot, a, &all);
    for (size_t i = 0; i < all.count; i++) {
        if (str_eq_nocase(all.items[i].dataset, str_from(w->dataset))) {
            *ret = stat_json(&all.items[i]);
            return ERR_OK;
        }
    }
    return err_set(err, ERR_NOT_FOUND, "dataset \"%s\" was dropped meanwhile", w->dataset);
}

static void pin_work_free(void *ctx) {
    struct pin_work *w = ctx;
    free(w->dataset);
    free(w);
}

enum err_code cache_pin(struct call *c, struct err *err) {
    static const char *const keys[] = {"dataset", NULL};
    DEFER(json_decrefp) json_t *body = NULL;
    struct str dataset;
    TRY(api_body_json(c, &body, err));
    TRY(json_only_keys(body, keys, err));
    TRY(json_need_str(body, "dataset", &dataset, err));
    TRY(api_permit(c, CATALOG_WRITE, &dataset, err));
    struct pin_work *w = xcalloc(1, sizeof(*w));
    *w = (struct pin_work){.api = c->api, .dataset = xstrdup(arena_cstr(c->arena, dataset))};
    struct job_spec spec = {
        .kind = "cache_pin", .target = dataset, .run = pin_run, .release = pin_work_free, .ctx = w};
    return api_work(c, &spec, err);
}

enum err_code cache_evict(struct call *c, struct err *err) {
    static const char *const keys[] = {"dataset", "all", NULL};
    DEFER(json_decrefp) json_t *body = NULL;
    struct str dataset = STR_NONE;
    bool all = false;
    size_t count;
    TRY(api_body_json(c, &body, err));
    TRY(json_only_keys(body, keys, err));
    (void)json_get_str(body, "dataset", &dataset);
    (void)json_get_bool(body, "all", &all);
    if (all == (dataset.len > 0)) {
        return err_set(err, ERR_INVALID, "say which: {\"dataset\": NAME} or {\"all\": true}");
    }
    TRY(all ? api_permit_admin(c, err) : api_permit(c, CATALOG_WRITE, &dataset, err));
    TRY(hot_evict(c->api->hot, dataset, &count, err));
    json_t *j = json_object();
    json_object_set_new(j, "evicted", json_integer((json_int_t)count));
    api_json_tree(c, 200, j);
    return ERR_OK;
}
