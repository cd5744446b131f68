// Health, readiness, versions, counters: GET /health, /{service}/health, /ready, /version,
// /metrics.

#include "api/api.h"
#include "base/clock.h"
#include "base/counters.h"
#include "base/version.h"

static enum err_code check_gateway(struct api *api, struct err *err) {
    (void)api;
    (void)err;
    return ERR_OK;
}

static enum err_code check_storage(struct api *api, struct err *err) {
    const struct catalog_bucket *bucket;
    DEFER(arena_release) struct arena a = ARENA(1 << 20);
    struct store_list list;
    TRY(catalog_bucket_find(api->catalog, STR_NONE, &bucket, err));
    struct store_page page = {.prefix = STR("_catalog/"), .max = 1};
    return store_list(bucket->store, &page, &a, &list, err);
}

static enum err_code check_catalog(struct api *api, struct err *err) {
    return txlog_health(catalog_log(api->catalog), err);
}

static enum err_code check_query(struct api *api, struct err *err) {
    DEFER(session_closep) struct session *s = NULL;
    DEFER(arena_release) struct arena a = ARENA(1 << 16);
    struct str one;
    TRY(session_open(api->engine, &s, err));
    TRY(session_text(s, STR("SELECT 1"), &a, &one, err));
    return str_is(one, "1") ? ERR_OK : err_set(err, ERR_INTERNAL, "the engine cannot count");
}

static enum err_code check_ingest(struct api *api, struct err *err) {
    return ingest_health(api->ingest, err);
}

static const struct service {
    const char *name;
    enum err_code (*check)(struct api *api, struct err *err);
} services[] = {
    {"gateway", check_gateway}, {"storage", check_storage}, {"catalog", check_catalog},
    {"query", check_query},     {"ingest", check_ingest},
};

enum err_code health_service(struct call *c, struct err *err) {
    bool all = c->param.len == 0;
    const struct service *found = NULL;
    for (size_t i = 0; i < ARRAY_LEN(services); i++) {
        found = str_is(c->param, services[i].name) ? &services[i] : found;
    }
    if (!all && found == NULL) {
        return err_set(err, ERR_NOT_FOUND,
                       "no service \"" STR_FMT "\"; there are gateway, storage, catalog, query and "
                       "ingest",
                       STR_ARG(c->param));
    }
    struct err why = ERR_NONE;
    enum err_code code = found != NULL ? found->check(c->api, &why) : ERR_OK;
    json_t *j = json_object();
    json_object_set_new(j, "status", json_string(code == ERR_OK ? "ok" : "failing"));
    json_object_set_new(j, "service", json_string(found != NULL ? found->name : "tarn"));
    if (code != ERR_OK) {
        json_object_set_new(j, "detail", json_string(why.msg));
    }
    api_json_tree(c, code == ERR_OK ? 200 : 503, j);
    return ERR_OK;
}

enum err_code health_ready(struct call *c, struct err *err) {
    if (c->api->draining) {
        return err_set(err, ERR_BUSY, "the server is stopping");
    }
    for (size_t i = 0; i < ARRAY_LEN(services); i++) {
        struct err why = ERR_NONE;
        if (services[i].check(c->api, &why) != ERR_OK) {
            return err_set(err, ERR_BUSY, "%s is failing: %s", services[i].name, why.msg);
        }
    }
    json_t *j = json_object();
    json_object_set_new(j, "status", json_string("ready"));
    json_object_set_new(j, "service", json_string("tarn"));
    api_json_tree(c, 200, j);
    return ERR_OK;
}

enum err_code health_version(struct call *c, struct err *err) {
    (void)err;
    json_t *j = json_object();
    json_object_set_new(j, "name", json_string("tarn"));
    json_object_set_new(j, "version", json_string(version_text()));
    json_object_set_new(j, "commit", json_string(version_commit()));
    json_object_set_new(j, "engine", json_string(engine_version()));
    api_json_tree(c, 200, j);
    return ERR_OK;
}

enum err_code health_metrics(struct call *c, struct err *err) {
    DEFER(buf_release) struct buf out = BUF(1U << 20);
    int64_t tombstones = 0;
    int64_t overdue = 0;
    TRY(tombstones_count(c->api, &tombstones, &overdue, err));
    counters_text(&out);
    buf_printf(&out,
               "# HELP tarn_datasets Datasets in the catalog.\n# TYPE tarn_datasets gauge\n"
               "tarn_datasets %zu\n"
               "# HELP tarn_log_seq Newest record of the catalog log.\n"
               "# TYPE tarn_log_seq gauge\ntarn_log_seq %llu\n"
               "# HELP tarn_uptime_seconds Time since the start.\n"
               "# TYPE tarn_uptime_seconds gauge\ntarn_uptime_seconds %lld\n"
               "# HELP tarn_tombstones Keys whose rows are hidden.\n"
               "# TYPE tarn_tombstones gauge\ntarn_tombstones %lld\n"
               "# HELP tarn_tombstones_overdue Those of them that are past their purge_by.\n"
               "# TYPE tarn_tombstones_overdue gauge\ntarn_tombstones_overdue %lld\n",
               catalog_dataset_count(c->api->catalog),
               (unsigned long long)txlog_seq(catalog_log(c->api->catalog)),
               (long long)((clock_wall_us() - c->api->start_us) / 1000000), (long long)tombstones,
               (long long)overdue);
    if (out.overflow) {
        return err_set(err, ERR_INTERNAL, "the counters do not fit");
    }
    http_answer(c->http, 200, "text/plain; version=0.0.4; charset=utf-8", buf_str(&out));
    return ERR_OK;
}

enum err_code health_openapi(struct call *c, struct err *err) {
    (void)err;
    http_answer(c->http, 200, "application/json", c->api->openapi);
    return ERR_OK;
}
