// Rows that change: POST /ingest/delta, as JSON {dataset, mode, key, rows} or as a file.

#include "api/api.h"
#include "base/hash.h"

#define KEYS_MAX 32

static bool body_is_json(struct call *c) {
    struct str type = STR_NONE;
    struct str media = STR_NONE;
    return http_header(c->http, "Content-Type", &type) && str_cut(&type, ';', &media) &&
           str_eq_nocase(str_trim(media), STR("application/json"));
}

enum err_code ingest_delta_begin(struct call *c, struct err *err) {
    struct str mode;
    if (body_is_json(c)) {
        http_body_to_memory(c->http, c->api->config->http_body_max);
        return ERR_OK;
    }
    if (!http_query(c->http, "mode", &mode)) {
        return err_set(err, ERR_INVALID,
                       "say what the rows do: ?mode=append, upsert or delete (or send JSON, with "
                       "curl: -H 'Content-Type: application/json')");
    }
    return ingest_file_begin(c, err);
}

static enum err_code read_mode(struct call *c, const json_t *body, struct ingest_delta *d,
                               struct err *err) {
    static const struct {
        const char *name, *action;
        enum table_delta_mode mode;
    } modes[] = {{"append", "dataset.append", TABLE_DELTA_APPEND},
                 {"upsert", "dataset.upsert", TABLE_DELTA_UPSERT},
                 {"delete", "dataset.delete", TABLE_DELTA_DELETE}};
    struct str text;
    TRY(json_need_str(body, "mode", &text, err));
    for (size_t i = 0; i < ARRAY_LEN(modes); i++) {
        if (str_is(text, modes[i].name)) {
            d->mode = modes[i].mode;
            c->action = str_from(modes[i].action);
            return ERR_OK;
        }
    }
    return err_set(err, ERR_INVALID, "mode must be append, upsert or delete, not \"" STR_FMT "\"",
                   STR_ARG(text));
}

// One name, or an array of them.
static enum err_code read_keys(const json_t *body, struct arena *a, struct ingest_delta *d,
                               struct err *err) {
    const json_t *key = json_object_get(body, "key");
    const size_t count = json_is_array(key) ? json_array_size(key) : 1;
    struct str *keys = arena_array(a, KEYS_MAX, sizeof(*keys));
    if (d->mode == TABLE_DELTA_APPEND) {
        return ERR_OK;
    }
    if (count == 0 || count > KEYS_MAX) {
        return err_set(err, ERR_INVALID, "key must name 1 to %d columns", KEYS_MAX);
    }
    for (size_t i = 0; i < count; i++) {
        const json_t *name = json_is_array(key) ? json_array_get(key, i) : key;
        if (!json_is_string(name)) {
            return err_set(err, ERR_INVALID,
                           "key must be the name of the column that tells rows apart, or an array "
                           "of names");
        }
        keys[i] = (struct str){json_string_value(name), json_string_length(name)};
    }
    d->keys = keys;
    d->key_count = count;
    return ERR_OK;
}

static enum err_code read_duplicates(const json_t *body, struct ingest_delta *d, struct err *err) {
    struct str text = STR("fail");
    (void)json_get_str(body, "on_duplicate", &text);
    if (!str_is(text, "fail") && !str_is(text, "last")) {
        return err_set(err, ERR_INVALID, "on_duplicate must be fail or last");
    }
    d->last_wins = str_is(text, "last");
    return ERR_OK;
}

static enum err_code read_delta(struct call *c, const json_t *body, struct ingest_delta *d,
                                struct err *err) {
    static const char *const keys[] = {"dataset",      "mode",   "key",    "rows",
                                       "on_duplicate", "evolve", "reason", NULL};
    json_t *rows;
    TRY(json_only_keys(body, keys, err));
    TRY(json_need_str(body, "dataset", &d->dataset, err));
    api_about(c, d->dataset);
    TRY(read_mode(c, body, d, err));
    TRY(read_keys(body, c->arena, d, err));
    TRY(read_duplicates(body, d, err));
    TRY(json_need_array(body, "rows", &rows, err));
    d->rows = rows;
    struct str reason = STR_NONE;
    if (json_get_str(body, "reason", &reason)) {
        c->reason = arena_str(c->arena, reason);
    }
    d->who = api_author(c);
    if (http_header(c->http, "Idempotency-Key", &d->idempotency_key)) {
        d->request_sha256 = hex_sha256(sha256(c->http->body), c->arena);
    }
    return ERR_OK;
}

static void answer(struct call *c, const struct ingest_delta *d,
                   const struct ingest_delta_done *done) {
    const struct table_delta_batch *rows = &done->rows;
    json_t *j = json_object();
    json_object_set_new(j, "dataset", json_new_str(done->dataset));
    json_object_set_new(j, "rows", json_integer(rows->rows));
    if (d->mode == TABLE_DELTA_DELETE) {
        json_object_set_new(j, "deleted", json_integer(rows->matched));
        json_object_set_new(j, "not_found", json_integer(rows->rows - rows->matched));
    } else {
        json_object_set_new(j, "inserted",
                            json_integer(rows->rows - rows->matched - rows->suppressed));
        json_object_set_new(j, "updated", json_integer(rows->matched));
    }
    json_object_set_new(j, "snapshot",
                        done->snapshot_id != 0 ? json_integer(done->snapshot_id) : json_null());
    json_object_set_new(j, "rows_suppressed", json_integer(rows->suppressed));
    json_object_set_new(j, "replayed", json_boolean(done->replayed));
    json_object_set_new(j, "duration_ms", json_integer(done->duration_us / 1000));
    api_json_tree(c, 200, j);
}

// The rows may bring columns: so their types are found in them, as in a file.
static enum err_code evolve(struct call *c, const struct ingest_delta *d, struct err *err) {
    DEFER(buf_release) struct buf keys = BUF(1 << 20);
    for (size_t i = 0; i < d->key_count; i++) {
        buf_printf(&keys, "%s" STR_FMT, i == 0 ? "" : ",", STR_ARG(d->keys[i]));
    }
    const struct ingest_request r = {.dataset = d->dataset,
                                     .format = INGEST_NDJSON,
                                     .mode = TABLE_APPEND,
                                     .change = d->mode == TABLE_DELTA_UPSERT   ? INGEST_UPSERT
                                               : d->mode == TABLE_DELTA_DELETE ? INGEST_DELETE
                                                                               : INGEST_WRITE,
                                     .keys = buf_str(&keys),
                                     .last_wins = d->last_wins,
                                     .evolve = true,
                                     .filename = STR("the rows"),
                                     .who = d->who};
    struct ingest_upload *u = NULL;
    struct ingest_result result;
    TRY(ingest_begin(c->api->ingest, &r, &u, err));
    enum err_code code = ERR_OK;
    for (size_t i = 0; i < json_array_size(d->rows) && code == ERR_OK; i++) {
        const struct str line = json_text(json_array_get(d->rows, i), c->arena);
        code = ingest_add(u, line, err);
        code = code == ERR_OK ? ingest_add(u, STR("\n"), err) : code;
    }
    code = code == ERR_OK ? ingest_finish(u, c->arena, &result, err) : code;
    ingest_end(u);
    TRY(code);
    struct ingest_delta_done done = {.dataset = result.written.dataset.name,
                                     .snapshot_id = result.written.dataset.snapshot_id,
                                     .rows = result.change,
                                     .duration_us = result.duration_us};
    if (r.change == INGEST_WRITE) {
        done.rows.rows = result.written.rows + result.written.suppressed;
        done.rows.suppressed = result.written.suppressed;
    }
    answer(c, d, &done);
    return ERR_OK;
}

enum err_code ingest_delta_rows(struct call *c, struct err *err) {
    if (c->state != NULL) {
        return ingest_file(c, err);
    }
    DEFER(json_decrefp) json_t *body = NULL;
    struct ingest_delta d = {0};
    struct ingest_delta_done done;
    bool evolves = false;
    TRY(api_body_json(c, &body, err));
    TRY(read_delta(c, body, &d, err));
    TRY(api_permit(c, CATALOG_WRITE, &d.dataset, err));
    (void)json_get_bool(body, "evolve", &evolves);
    if (evolves) {
        return evolve(c, &d, err);
    }
    TRY(ingest_delta(c->api->ingest, &d, c->arena, &done, err));
    answer(c, &d, &done);
    return ERR_OK;
}
