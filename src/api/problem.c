// Answers that every resource gives: JSON, problems (RFC 9457), and reading what was asked.

#include "api/api.h"
#include "base/clock.h"
#include "base/counters.h"
#include "base/log.h"

#define ANSWER_MAX (64U << 20)

void api_json_tree(struct call *c, int status, json_t *tree) {
    DEFER(json_decrefp) json_t *owned = tree;
    http_answer(c->http, status, "application/json", json_text(owned, c->arena));
}

// Titles are the code in words: "schema_mismatch" is "schema mismatch".
static struct str title_of(const char *code, struct arena *a) {
    char *title = arena_cstr(a, str_from(code));
    for (char *p = title; *p != '\0'; p++) {
        *p = *p == '_' ? ' ' : *p;
    }
    return str_from(title);
}

void api_problem(struct http_request *r, struct str request_id, int status, const struct err *e) {
    DEFER(buf_release) struct buf body = BUF(1U << 16);
    struct jsonw w = JSONW(&body);
    const char *code = err_text(e->code);
    jsonw_object(&w);
    jsonw_field_str(&w, "type", arena_printf(&r->arena, "urn:tarn:problem:%s", code));
    jsonw_field_str(&w, "title", title_of(code, &r->arena));
    jsonw_field_i64(&w, "status", status);
    jsonw_field_str(&w, "code", str_from(code));
    jsonw_field_str(&w, "detail", str_from(e->msg));
    if (e->position >= 0) {
        jsonw_field_i64(&w, "position", e->position);
    }
    if (request_id.len != 0) {
        jsonw_field_str(&w, "request_id", request_id);
    }
    jsonw_end_object(&w);
    if (status == 401) {
        http_set_header(r, "WWW-Authenticate", STR("Bearer realm=\"tarn\""));
    }
    if (status == 503 || status == 429) {
        http_set_header(r, "Retry-After", STR("1"));
    }
    http_answer(r, status, "application/problem+json", buf_str(&body));
}

enum err_code api_body_json(struct call *c, json_t **ret, struct err *err) {
    struct str type = STR_NONE;
    struct str media;
    (void)http_header(c->http, "Content-Type", &type);
    if (str_cut(&type, ';', &media) && !str_eq_nocase(str_trim(media), STR("application/json"))) {
        return err_set(err, ERR_UNSUPPORTED,
                       "this takes a body of type application/json, not " STR_FMT
                       " (with curl: -H 'Content-Type: application/json')",
                       STR_ARG(str_trim(media)));
    }
    if (c->http->body.len == 0) {
        return err_set(err, ERR_INVALID, "the body is empty; a JSON object is expected");
    }
    TRY(json_parse(c->http->body, ret, err));
    if (!json_is_object(*ret)) {
        json_decrefp(ret);
        *ret = NULL;
        return err_set(err, ERR_INVALID, "the body is JSON, but not an object");
    }
    return ERR_OK;
}

enum err_code api_query_number(struct call *c, const char *name, int64_t min, int64_t max,
                               int64_t *ret, struct err *err) {
    struct str text;
    int64_t n;
    if (!http_query(c->http, name, &text)) {
        return ERR_OK;
    }
    if (!str_to_i64(text, &n) || n < min || n > max) {
        return err_set(err, ERR_INVALID, "%s must be a whole number from %lld to %lld", name,
                       (long long)min, (long long)max);
    }
    *ret = n;
    return ERR_OK;
}

enum err_code api_query_flag(struct call *c, const char *name, bool *ret, struct err *err) {
    struct str text;
    if (!http_query(c->http, name, &text)) {
        return ERR_OK;
    }
    if (!str_is(text, "true") && !str_is(text, "false")) {
        return err_set(err, ERR_INVALID, "%s must be true or false", name);
    }
    *ret = str_is(text, "true");
    return ERR_OK;
}

json_t *api_time(int64_t wall_us, struct arena *a) {
    return wall_us == 0 ? json_null() : json_new_str(clock_rfc3339(wall_us, a));
}

struct catalog_author api_author(const struct call *c) {
    CHECK(c->action.len != 0); // the route says so
    return (struct catalog_author){
        .actor = c->token.principal, .action = c->action, .reason = c->reason};
}

json_t *api_schema_fields(const struct ice_schema *s, struct arena *a) {
    json_t *list = json_array();
    for (size_t i = 0; i < s->field_count; i++) {
        const struct ice_field *f = &s->fields[i];
        json_t *j = json_object();
        json_object_set_new(j, "id", json_integer(f->id));
        json_object_set_new(j, "name", json_new_str(f->name));
        json_object_set_new(j, "type", json_new_str(ice_type_text(&f->type, a)));
        json_object_set_new(j, "required", json_boolean(f->required));
        json_array_append_new(list, j);
    }
    return list;
}
