// Files in: POST /ingest/file with the file as body or as the file part of a form.

#include "api/api.h"

// The options of an ingest, from the query and, in a form, from the fields before the file.
struct upload {
    struct call *call;
    struct ingest_request request;
    struct ingest_upload *upload; // NULL until the file begins
    struct buf field;             // of the form field being received
    struct str field_name;
    size_t fields;
    bool form, in_file, ended;
};

#define FIELD_MAX 4096
#define FIELDS_MAX 32

static enum err_code parse_tri(struct str name, struct str value, enum ingest_tri *ret,
                               struct err *err) {
    if (!str_is(value, "true") && !str_is(value, "false")) {
        return err_set(err, ERR_INVALID, STR_FMT " must be true or false", STR_ARG(name));
    }
    *ret = str_is(value, "true") ? INGEST_YES : INGEST_NO;
    return ERR_OK;
}

static enum err_code parse_mode(struct str value, struct ingest_request *r, struct err *err) {
    static const struct {
        const char *name;
        enum table_mode mode;
        enum ingest_change change;
    } modes[] = {{"create", TABLE_CREATE, INGEST_WRITE},
                 {"append", TABLE_APPEND, INGEST_WRITE},
                 {"replace", TABLE_REPLACE, INGEST_WRITE},
                 {"upsert", TABLE_APPEND, INGEST_UPSERT},
                 {"delete", TABLE_APPEND, INGEST_DELETE}};
    for (size_t i = 0; i < ARRAY_LEN(modes); i++) {
        if (str_is(value, modes[i].name)) {
            r->mode = modes[i].mode;
            r->change = modes[i].change;
            return ERR_OK;
        }
    }
    return err_set(err, ERR_INVALID,
                   "mode must be create, append, replace, upsert or delete, not \"" STR_FMT "\"",
                   STR_ARG(value));
}

static enum err_code parse_on_duplicate(struct str value, bool *ret, struct err *err) {
    if (!str_is(value, "fail") && !str_is(value, "last")) {
        return err_set(err, ERR_INVALID, "on_duplicate must be fail or last");
    }
    *ret = str_is(value, "last");
    return ERR_OK;
}

static enum err_code parse_on_error(struct str value, bool *ret, struct err *err) {
    if (!str_is(value, "fail") && !str_is(value, "reject")) {
        return err_set(err, ERR_INVALID, "on_error must be fail or reject");
    }
    *ret = str_is(value, "reject");
    return ERR_OK;
}

static enum err_code parse_format(struct str value, enum ingest_format *ret, struct err *err) {
    if (!ingest_format_parse(value, ret)) {
        return err_set(
            err, ERR_INVALID,
            "format must be auto, csv, tsv, json, ndjson, parquet or arrow, not \"" STR_FMT "\"",
            STR_ARG(value));
    }
    return ERR_OK;
}

// One option by name. Texts live in the request's arena.
static enum err_code set_option(struct upload *u, struct str name, struct str value,
                                struct err *err) {
    struct ingest_request *r = &u->request;
    enum ingest_tri tri = INGEST_DETECT;
    const struct {
        const char *name;
        struct str *text;
    } texts[] = {{"dataset", &r->dataset},     {"bucket", &r->bucket}, {"filename", &r->filename},
                 {"delimiter", &r->delimiter}, {"quote", &r->quote},   {"encoding", &r->encoding},
                 {"reason", &r->who.reason},   {"key", &r->keys}};
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        if (str_is(name, texts[i].name)) {
            *texts[i].text = value;
            return ERR_OK;
        }
    }
    if (str_is(name, "format")) {
        return parse_format(value, &r->format, err);
    }
    if (str_is(name, "mode")) {
        return parse_mode(value, r, err);
    }
    if (str_is(name, "on_duplicate")) {
        return parse_on_duplicate(value, &r->last_wins, err);
    }
    if (str_is(name, "on_error")) {
        return parse_on_error(value, &r->reject, err);
    }
    if (str_is(name, "header")) {
        return parse_tri(name, value, &r->header, err);
    }
    if (str_is(name, "evolve")) {
        TRY(parse_tri(name, value, &tri, err));
        r->evolve = tri == INGEST_YES;
        return ERR_OK;
    }
    return err_set(err, ERR_INVALID, "unknown field \"" STR_FMT "\" in the form", STR_ARG(name));
}

static const char *action_of(const struct ingest_request *r) {
    static const char *const actions[] = {[TABLE_CREATE] = "dataset.create",
                                          [TABLE_APPEND] = "dataset.append",
                                          [TABLE_REPLACE] = "dataset.replace"};
    static const char *const changes[] = {
        [INGEST_UPSERT] = "dataset.upsert", [INGEST_DELETE] = "dataset.delete"};
    return r->change == INGEST_WRITE ? actions[r->mode] : changes[r->change];
}

static enum err_code file_start(struct upload *u, struct err *err) {
    struct call *c = u->call;
    const struct str reason = u->request.who.reason;
    c->action = str_from(action_of(&u->request));
    c->reason = reason.len > 0 ? reason : c->reason;
    u->request.who = api_author(c);
    api_about(c, u->request.dataset);
    if (u->request.change != INGEST_WRITE && u->request.keys.len == 0) {
        return err_set(err, ERR_INVALID,
                       "say by which columns rows are told apart: ?key=NAME or ?key=NAME,NAME");
    }
    if (u->request.dataset.len == 0) {
        return err_set(err, ERR_INVALID, "say which dataset: ?dataset=NAME%s",
                       u->form ? ", or a field \"dataset\" before the file" : "");
    }
    TRY(api_permit_ingest(u->call, &u->request, err));
    return ingest_begin(u->call->api->ingest, &u->request, &u->upload, err);
}

static enum err_code body_piece(void *ctx, struct str piece, struct err *err) {
    struct upload *u = ctx;
    return ingest_add(u->upload, piece, err);
}

static enum err_code field_end(struct upload *u, struct err *err) {
    struct str name = u->field_name;
    if (name.len == 0) {
        return ERR_OK;
    }
    if (u->field.overflow) {
        return err_set(err, ERR_TOO_LARGE, "field \"" STR_FMT "\" has more than %d bytes",
                       STR_ARG(name), FIELD_MAX);
    }
    struct str value = arena_str(u->call->arena, buf_str(&u->field));
    u->field_name = STR_NONE;
    buf_reset(&u->field);
    return set_option(u, name, value, err);
}

static enum err_code part_start(struct upload *u, const struct http_part *part, struct err *err) {
    TRY(field_end(u, err));
    if (++u->fields > FIELDS_MAX) {
        return err_set(err, ERR_TOO_LARGE, "the form has more than %d parts", FIELDS_MAX);
    }
    u->in_file = part->filename.len != 0 || str_is(part->name, "file");
    if (!u->in_file) {
        if (u->upload != NULL) {
            return err_set(err, ERR_INVALID, "field \"" STR_FMT "\" must stand before the file",
                           STR_ARG(part->name));
        }
        u->field_name = arena_str(u->call->arena, part->name);
        return ERR_OK;
    }
    if (u->upload != NULL) {
        return err_set(err, ERR_INVALID, "the form has more than one file");
    }
    if (u->request.filename.len == 0) {
        u->request.filename = arena_str(u->call->arena, part->filename);
    }
    return file_start(u, err);
}

static enum err_code form_piece(void *ctx, const struct http_part *part, struct str piece,
                                struct err *err) {
    struct upload *u = ctx;
    if (part->first) {
        TRY(part_start(u, part, err));
    }
    if (u->in_file) {
        return ingest_add(u->upload, piece, err);
    }
    buf_add_str(&u->field, piece);
    return ERR_OK;
}

static void upload_cancel(void *arg) {
    ingest_cancel(arg);
}

static void upload_release(struct call *c) {
    struct upload *u = c->state;
    http_on_cancel(c->http, NULL, NULL);
    ingest_end(u->upload);
    buf_release(&u->field);
}

static bool body_is_form(struct call *c) {
    struct str type;
    return http_header(c->http, "Content-Type", &type) &&
           str_eq_nocase(str_slice(type, 0, 19), STR("multipart/form-data"));
}

enum err_code ingest_file_begin(struct call *c, struct err *err) {
    struct upload *u = arena_alloc(c->arena, sizeof(*u));
    u->call = c;
    u->field = BUF(FIELD_MAX);
    c->state = u;
    c->release = upload_release;
    for (size_t i = 0; i < c->http->query_count; i++) {
        TRY(set_option(u, c->http->query[i].name, c->http->query[i].value, err));
    }
    (void)http_header(c->http, "X-Lakehouse-Bucket", &u->request.bucket);
    (void)http_header(c->http, "Idempotency-Key", &u->request.idempotency_key);
    int64_t max = c->api->config->http_upload_max;
    u->form = body_is_form(c);
    if (u->form) {
        http_body_to_parts(c->http, (struct http_part_sink){u, form_piece}, max);
        return ERR_OK;
    }
    TRY(file_start(u, err));
    http_body_to_sink(c->http, (struct http_sink){u, body_piece}, max);
    return ERR_OK;
}

static json_t *reject_json(const struct ingest_reject *r) {
    json_t *j = json_object();
    json_object_set_new(j, "line", r->line > 0 ? json_integer(r->line) : json_null());
    json_object_set_new(j, "column", json_new_str(r->column));
    json_object_set_new(j, "reason", json_new_str(r->reason));
    return j;
}

static json_t *rejected_json(const struct ingest_result *r, struct arena *a) {
    json_t *j = json_object();
    json_t *first = json_array();
    for (size_t i = 0; i < r->first_count; i++) {
        json_array_append_new(first, reject_json(&r->first[i]));
    }
    json_object_set_new(j, "count", json_integer(r->rejected));
    json_object_set_new(
        j, "url",
        r->rejects_id.len == 0
            ? json_null()
            : json_new_str(arena_printf(a, "/ingest/rejects/" STR_FMT, STR_ARG(r->rejects_id))));
    json_object_set_new(j, "first", first);
    return j;
}

static const char *format_name(enum ingest_format f) {
    static const char *const names[] = {
        [INGEST_AUTO] = "auto",  [INGEST_CSV] = "csv",       [INGEST_TSV] = "tsv",
        [INGEST_JSON] = "json",  [INGEST_NDJSON] = "ndjson", [INGEST_PARQUET] = "parquet",
        [INGEST_ARROW] = "arrow"};
    return names[f];
}

static json_t *ingested_json(const struct ingest_result *r, bool change, struct arena *a) {
    const struct table_written *w = &r->written;
    json_t *j = json_object();
    json_object_set_new(j, "dataset", json_new_str(w->dataset.name));
    json_object_set_new(j, "format", json_string(format_name(r->format)));
    json_object_set_new(j, "rows", json_integer(w->rows));
    json_object_set_new(j, "bytes", json_integer(w->bytes));
    json_object_set_new(j, "files", json_integer(w->files));
    json_object_set_new(j, "total_rows", json_integer(w->dataset.rows));
    json_object_set_new(j, "schema", api_schema_fields(w->schema, a));
    json_object_set_new(j, "fingerprint", json_new_str(w->dataset.fingerprint));
    json_object_set_new(j, "snapshot", json_integer(w->dataset.snapshot_id));
    json_object_set_new(j, "bucket", json_new_str(w->dataset.bucket));
    json_object_set_new(j, "duration_ms", json_integer(r->duration_us / 1000));
    json_object_set_new(j, "unchanged", json_boolean(w->unchanged));
    json_object_set_new(j, "replayed", json_boolean(r->replayed));
    json_object_set_new(j, "rows_suppressed", json_integer(w->suppressed));
    json_object_set_new(j, "rejected", rejected_json(r, a));
    if (change) {
        json_t *changed = json_object();
        json_object_set_new(changed, "rows", json_integer(r->change.rows));
        json_object_set_new(changed, "matched", json_integer(r->change.matched));
        json_object_set_new(j, "changed", changed);
    }
    return j;
}

enum err_code ingest_file(struct call *c, struct err *err) {
    struct upload *u = c->state;
    struct ingest_result result;
    TRY(field_end(u, err));
    if (u->upload == NULL) {
        return err_set(err, ERR_INVALID, "the form has no file");
    }
    http_on_cancel(c->http, upload_cancel, u->upload);
    const enum err_code code = ingest_finish(u->upload, c->arena, &result, err);
    http_on_cancel(c->http, NULL, NULL);
    // Before the answer: whoever has it finds the place free and the spool folder gone.
    ingest_end(TAKE(u->upload));
    TRY(code);
    api_json_tree(c, result.written.created ? 201 : 200,
                  ingested_json(&result, u->request.change != INGEST_WRITE, c->arena));
    return ERR_OK;
}
