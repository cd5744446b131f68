// Erasures: POST /catalog/datasets/by-name/{name}/erase, and /erasures.

#include "api/api.h"

#include <stdlib.h>

#include "base/hash.h"
#include "base/log.h"
#include "erase/erase_receipt.h"

#define TEXTS_MAX (64U << 20)

// What was asked for. It outlives the request: a job takes it along.
struct task {
    struct erase *erase;
    struct arena texts;
    struct erase_request request;
    struct str id; // of an erasure that has begun
    bool dry_run;
};

static struct task *task_new(struct api *api) {
    struct task *t = xcalloc(1, sizeof(*t));
    t->erase = api->erase;
    t->texts = ARENA(TEXTS_MAX);
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

static struct str json_value(const json_t *j) {
    return (struct str){json_string_value(j), json_string_length(j)};
}

static enum err_code read_keys(struct task *t, const json_t *list, struct err *err) {
    const size_t count = json_array_size(list);
    struct table_key *keys = arena_array(&t->texts, count, sizeof(*keys));
    for (size_t i = 0; i < count; i++) {
        const json_t *value = json_array_get(list, i);
        if (json_is_integer(value)) {
            keys[i] = (struct table_key){
                arena_printf(&t->texts, "%lld", (long long)json_integer_value(value)), true};
        } else if (json_is_string(value)) {
            keys[i].text = arena_str(&t->texts, json_value(value));
        } else {
            return err_set(err, ERR_INVALID,
                           "row_key_values must hold texts and whole numbers; value %zu is neither",
                           i + 1);
        }
    }
    t->request.keys = keys;
    t->request.key_count = count;
    return ERR_OK;
}

static enum err_code read_search(struct task *t, const json_t *body, struct err *err) {
    json_t *list = json_object_get(body, "search");
    if (list == NULL) {
        return ERR_OK;
    }
    TRY(json_need_array(body, "search", &list, err));
    struct str *texts = arena_array(&t->texts, json_array_size(list), sizeof(*texts));
    for (size_t i = 0; i < json_array_size(list); i++) {
        if (!json_is_string(json_array_get(list, i))) {
            return err_set(err, ERR_INVALID, "search must be a list of texts");
        }
        texts[i] = arena_str(&t->texts, json_value(json_array_get(list, i)));
    }
    t->request.search = texts;
    t->request.search_count = json_array_size(list);
    return ERR_OK;
}

// A further dataset: its name, or {"dataset", "column"}.
static enum err_code read_target(struct task *t, const json_t *item, struct erase_target *ret,
                                 struct err *err) {
    static const char *const keys[] = {"dataset", "column", NULL};
    struct str name = STR_NONE;
    if (json_is_string(item)) {
        ret->dataset = arena_str(&t->texts, json_value(item));
        return ERR_OK;
    }
    if (!json_is_object(item)) {
        return err_set(err, ERR_INVALID,
                       "datasets must hold names, or {\"dataset\": …, \"column\": …}");
    }
    TRY(json_only_keys(item, keys, err));
    TRY(json_need_str(item, "dataset", &name, err));
    ret->dataset = arena_str(&t->texts, name);
    if (json_get_str(item, "column", &name)) {
        ret->column = arena_str(&t->texts, name);
    }
    return ERR_OK;
}

static enum err_code read_targets(struct task *t, struct str first, const json_t *body,
                                  struct err *err) {
    struct str column = STR_NONE;
    json_t *more = json_object_get(body, "datasets");
    if (more != NULL) {
        TRY(json_need_array(body, "datasets", &more, err));
    }
    TRY(json_need_str(body, "row_key_column", &column, err));
    column = arena_str(&t->texts, column);
    const size_t count = 1 + json_array_size(more);
    struct erase_target *targets = arena_array(&t->texts, count, sizeof(*targets));
    targets[0] = (struct erase_target){arena_str(&t->texts, first), column};
    for (size_t i = 1; i < count; i++) {
        targets[i].column = column;
        TRY(read_target(t, json_array_get(more, i - 1), &targets[i], err));
    }
    t->request.targets = targets;
    t->request.target_count = count;
    return ERR_OK;
}

static enum err_code read_body(struct call *c, struct task *t, const json_t *body,
                               struct err *err) {
    static const char *const keys[] = {
        "row_key_column", "row_key_values", "datasets", "shared",        "search",
        "suppress",       "dry_run",        "reason",   "override_hold", NULL};
    struct erase_request *r = &t->request;
    json_t *values;
    struct catalog_author who = api_author(c);
    TRY(json_only_keys(body, keys, err));
    TRY(json_need_array(body, "row_key_values", &values, err));
    TRY(read_keys(t, values, err));
    TRY(read_search(t, body, err));
    TRY(read_targets(t, c->param, body, err));
    (void)json_get_bool(body, "shared", &r->shared);
    (void)json_get_bool(body, "suppress", &r->suppress);
    (void)json_get_bool(body, "override_hold", &r->overrides_hold);
    (void)json_get_bool(body, "dry_run", &t->dry_run);
    (void)json_get_str(body, "reason", &who.reason);
    r->who = (struct catalog_author){.actor = arena_str(&t->texts, who.actor),
                                     .action = STR("dataset.erase"),
                                     .reason = arena_str(&t->texts, who.reason)};
    return ERR_OK;
}

// The right is needed on each dataset that is named; whoever says "all that share the column" must
// have every right.
static enum err_code permit_targets(struct call *c, struct task *t, struct err *err) {
    struct erase_request *r = &t->request;
    struct err none = ERR_NONE;
    struct erase_target *targets = arena_array(&t->texts, r->target_count, sizeof(*targets));
    r->tells_sharing = api_permit_admin(c, &none) == ERR_OK;
    if (r->shared) {
        TRY(api_permit_admin(c, err));
    }
    for (size_t i = 0; i < r->target_count; i++) {
        struct str name = r->targets[i].dataset;
        TRY(api_permit(c, CATALOG_ERASE, &name, err));
        targets[i] = (struct erase_target){arena_str(&t->texts, name), r->targets[i].column};
    }
    r->targets = targets;
    return ERR_OK;
}

static enum err_code look(struct job *job, void *ctx, struct arena *a, json_t **ret,
                          struct err *err) {
    const struct task *t = ctx;
    return erase_look(t->erase, &t->request, job, a, ret, err);
}

static enum err_code run(struct job *job, void *ctx, struct arena *a, json_t **ret,
                         struct err *err) {
    const struct task *t = ctx;
    return erase_run(t->erase, t->id, job, a, ret, err);
}

// The job knows the erasure by its id alone; the values stay with the request.
static struct job_spec spec_of(struct api *api, struct str id) {
    struct task *t = task_new(api);
    t->id = arena_str(&t->texts, id);
    return (struct job_spec){
        .kind = "erase", .target = t->id, .run = run, .release = task_free, .ctx = t};
}

enum err_code erasures_begin(struct call *c, struct err *err) {
    DEFER(json_decrefp) json_t *body = NULL;
    DEFER(task_freep) struct task *t = task_new(c->api);
    struct str id;
    TRY(api_body_json(c, &body, err));
    TRY(read_body(c, t, body, err));
    TRY(permit_targets(c, t, err));
    if (t->dry_run) {
        struct job_spec spec = {.kind = "erase.look",
                                .target = c->param,
                                .run = look,
                                .release = task_free,
                                .ctx = TAKE(t)};
        return api_work(c, &spec, err);
    }
    TRY(erase_begin(c->api->erase, &t->request, c->arena, &id, err));
    struct job_spec spec = spec_of(c->api, id);
    http_set_header(c->http, "X-Tarn-Erasure", id);
    return api_work_on(c, &spec, err);
}

enum err_code erasures_resume(struct call *c, struct err *err) {
    struct erase_view v;
    TRY(erase_get(c->api->erase, c->param, c->arena, &v, err));
    struct job_spec spec = spec_of(c->api, v.id);
    return api_work_on(c, &spec, err);
}

void erasures_take_up(struct api *api) {
    DEFER(arena_release) struct arena a = ARENA(256U << 20);
    struct erase_view *list;
    size_t count;
    erase_list(api->erase, &a, &list, &count);
    for (size_t i = count; i > 0; i--) {
        struct err err = ERR_NONE;
        struct str job;
        if (str_is(list[i - 1].state, "done")) {
            continue;
        }
        struct job_spec spec = spec_of(api, list[i - 1].id);
        spec.principal = list[i - 1].actor;
        if (jobs_start(api->jobs, &spec, &a, &job, &err) != ERR_OK) {
            log_error("erase", "erasure=" STR_FMT " error=\"%s\"", STR_ARG(list[i - 1].id),
                      err.msg);
        } else {
            log_info("erase", "erasure=" STR_FMT " resumed=true job=" STR_FMT,
                     STR_ARG(list[i - 1].id), STR_ARG(job));
        }
    }
}

static json_t *view_json(struct call *c, const struct erase_view *v) {
    static const char *const members[] = {
        "dataset",         "column",        "state",     "rows_removed",
        "files_rewritten", "files_removed", "snapshots", "snapshots_rewritten"};
    const json_t *targets = json_object_get(v->entity, "targets");
    const bool done = str_is(v->state, "done");
    json_t *list = json_array();
    for (size_t i = 0; i < json_array_size(targets); i++) {
        const json_t *target = json_array_get(targets, i);
        json_t *one = json_object();
        for (size_t k = 0; k < ARRAY_LEN(members); k++) {
            json_t *value = json_object_get(target, members[k]);
            json_object_set(one, members[k], value != NULL ? value : json_null());
        }
        json_array_append_new(list, one);
    }
    json_t *j = json_object();
    json_object_set_new(j, "id", json_new_str(v->id));
    json_object_set_new(j, "state", json_new_str(v->state));
    json_object_set_new(j, "actor", json_new_str(v->actor));
    json_object_set_new(j, "reason", json_new_str(v->reason));
    json_object_set_new(j, "requested_at", api_time(v->created_us, c->arena));
    json_object_set_new(j, "finished_at", done ? api_time(v->finished_us, c->arena) : json_null());
    json_object_set_new(j, "subjects", json_integer(v->subjects));
    json_object_set_new(j, "rows", json_integer(v->rows));
    json_object_set_new(j, "clean", done ? json_boolean(v->clean) : json_null());
    json_object_set_new(j, "datasets", list);
    json_object_set_new(
        j, "receipt",
        done ? json_new_str(arena_printf(c->arena, "/erasures/" STR_FMT "/receipt", STR_ARG(v->id)))
             : json_null());
    return j;
}

enum err_code erasures_list(struct call *c, struct err *err) {
    struct erase_view *list;
    size_t count;
    struct str cursor = STR_NONE;
    int64_t limit = 100;
    bool more = false;
    TRY(api_query_number(c, "limit", 1, 1000, &limit, err));
    (void)http_query(c->http, "cursor", &cursor);
    erase_list(c->api->erase, c->arena, &list, &count);
    json_t *items = json_array();
    struct str last = STR_NONE;
    for (size_t i = 0; i < count && !more; i++) {
        if (cursor.len > 0 && str_cmp(list[i].id, cursor) >= 0) {
            continue;
        }
        more = json_array_size(items) == (size_t)limit;
        if (!more) {
            json_array_append_new(items, view_json(c, &list[i]));
            last = list[i].id;
        }
    }
    json_t *j = json_object();
    json_object_set_new(j, "erasures", items);
    json_object_set_new(j, "next", more ? json_new_str(last) : json_null());
    api_json_tree(c, 200, j);
    return ERR_OK;
}

enum err_code erasures_show(struct call *c, struct err *err) {
    struct erase_view v;
    TRY(erase_get(c->api->erase, c->param, c->arena, &v, err));
    api_json_tree(c, 200, view_json(c, &v));
    return ERR_OK;
}

// The bytes that were signed, or the page to be read.
enum err_code erasures_receipt(struct call *c, struct err *err) {
    struct str text;
    struct str accept = STR_NONE;
    TRY(erase_receipt(c->api->erase, c->param, c->arena, &text, err));
    (void)http_header(c->http, "Accept", &accept);
    const bool page = str_find(accept, STR("text/html")) >= 0;
    if (page) {
        TRY(erase_receipt_page(text, c->arena, &text, err));
        http_set_header(c->http, "Content-Security-Policy", STR(ERASE_RECEIPT_PAGE_POLICY));
        http_set_header(c->http, "Content-Security-Policy", STR(ERASE_RECEIPT_PAGE_POLICY));
    }
    http_answer(c->http, 200, page ? "text/html; charset=utf-8" : "application/json", text);
    return ERR_OK;
}

enum err_code erasures_verify(struct call *c, struct err *err) {
    struct erase_verdict verdict;
    TRY(erase_receipt_verify(c->api->catalog, c->http->body, c->arena, &verdict, err));
    api_json_tree(c, 200, erase_verdict_json(&verdict));
    return ERR_OK;
}

enum err_code erasures_key(struct call *c, struct err *err) {
    struct erase_receipt_key key;
    TRY(erase_receipt_key_get(c->api->catalog, c->arena, &key, err));
    api_json_tree(
        c, 200,
        json_pack("{s:o,s:s,s:o}", "id", json_new_str(key.id), "algorithm", "ed25519", "public",
                  json_new_str(hex_bytes(key.public_key, sizeof(key.public_key), c->arena))));
    return ERR_OK;
}
