// The OpenAPI 3.1 document: made from the table of routes and the table of schemas.

#include "api/api.h"
#include "base/version.h"

static json_t *schema_ref(const char *name, struct arena *a) {
    json_t *j = json_object();
    json_object_set_new(j, "$ref", json_new_str(arena_printf(a, "#/components/schemas/%s", name)));
    return j;
}

static json_t *content(const char *media, json_t *schema) {
    json_t *j = json_object();
    json_t *type = json_object();
    json_object_set_new(type, "schema", schema);
    json_object_set_new(j, media, type);
    return j;
}

static json_t *typed(const char *type) {
    json_t *j = json_object();
    json_object_set_new(j, "type", json_string(type));
    return j;
}

static json_t *parameter(const char *in, const char *name, const char *type, const char *help) {
    json_t *j = json_object();
    json_object_set_new(j, "name", json_string(name));
    json_object_set_new(j, "in", json_string(in));
    json_object_set_new(j, "required", json_boolean(str_is(str_from(in), "path")));
    json_object_set_new(j, "description", json_string(help));
    json_object_set_new(j, "schema", typed(type));
    return j;
}

// Does the route's work become a job when the client does not wait for it?
static bool may_be_job(const struct route *r) {
    static enum err_code (*const works[])(struct call * c, struct err * err) = {
        upkeep_compact_route, snapshots_rollback, snapshots_expire, snapshots_orphans, cache_pin,
        journal_verify,       erasures_begin,     erasures_resume};
    for (size_t i = 0; i < ARRAY_LEN(works); i++) {
        if (r->handle == works[i]) {
            return true;
        }
    }
    return false;
}

static json_t *parameters(const struct route *r, struct arena *a) {
    json_t *list = json_array();
    struct str rest = str_from(r->path);
    struct str part;
    while (str_cut(&rest, '/', &part)) {
        if (part.len > 2 && part.ptr[0] == '{') {
            const char *name = arena_cstr(a, str_slice(part, 1, part.len - 1));
            json_array_append_new(list, parameter("path", name, "string", "Which one."));
        }
    }
    for (const struct route_query *q = r->query; q != NULL && q->name != NULL; q++) {
        json_array_append_new(list, parameter("query", q->name, q->type, q->help));
    }
    if (may_be_job(r)) {
        json_array_append_new(list, parameter("header", "Prefer", "string",
                                              "respond-async: do not wait, answer with a job."));
    }
    if (r->handle == role_put || r->handle == role_remove || r->handle == view_make ||
        r->handle == view_remove) {
        json_array_append_new(list, parameter("header", "If-Match", "string",
                                              "The ETag of it as it was read: it is changed only "
                                              "if it still is so."));
    }
    if (r->permission != PERMIT_ANYONE) {
        json_array_append_new(list, parameter("header", "X-Tarn-Seq", "integer",
                                              "The X-Tarn-Seq of an earlier answer: wait until "
                                              "what it told of is seen here too."));
    }
    return list;
}

// "file": the file itself, or a form with it; any other name is a schema.
static json_t *request_body(const struct route *r, struct arena *a) {
    json_t *j = json_object();
    json_object_set_new(j, "required", json_true());
    if (str_is(str_from(r->request), "file")) {
        json_t *media = content("application/octet-stream", json_object());
        json_t *form = content("multipart/form-data", schema_ref("FileForm", a));
        json_object_update_new(media, form);
        json_object_set_new(j, "content", media);
        return j;
    }
    json_t *media = content("application/json", schema_ref(r->request, a));
    if (r->handle == query_sql) {
        json_object_update_new(media, content("text/plain", typed("string")));
    }
    json_object_set_new(j, "content", media);
    return j;
}

static json_t *response(const char *description, json_t *media) {
    json_t *j = json_object();
    json_object_set_new(j, "description", json_string(description));
    json_object_set_new(j, "content", media);
    return j;
}

static json_t *success_content(const struct route *r, struct arena *a) {
    static const char *const streams[] = {"text/csv", "text/tab-separated-values",
                                          "application/x-ndjson",
                                          "application/vnd.apache.arrow.stream"};
    if (str_find_char(str_from(r->response), '/') >= 0) {
        return content(r->response, typed("string"));
    }
    json_t *media = content("application/json", schema_ref(r->response, a));
    for (size_t i = 0; r->handle == query_sql && i < ARRAY_LEN(streams); i++) {
        json_object_update_new(media, content(streams[i], typed("string")));
    }
    return media;
}

static json_t *operation(const struct route *r, struct arena *a) {
    json_t *j = json_object();
    json_t *tags = json_array();
    json_t *responses = json_object();
    json_array_append_new(tags, json_string(r->tag));
    json_object_set_new(j, "operationId", json_string(r->id));
    json_object_set_new(j, "summary", json_string(r->summary));
    json_object_set_new(j, "tags", tags);
    json_object_set_new(j, "x-tarn-permission", api_permission_json(r->permission));
    json_object_set_new(j, "parameters", parameters(r, a));
    if (r->request != NULL) {
        json_object_set_new(j, "requestBody", request_body(r, a));
    }
    json_object_set_new(responses, "2XX", response("It went well.", success_content(r, a)));
    if (may_be_job(r)) {
        json_object_set_new(responses, "202",
                            response("The work goes on as a job, see Location.",
                                     content("application/json", schema_ref("Job", a))));
    }
    json_object_set_new(responses, "default",
                        response("It did not; code says why.",
                                 content("application/problem+json", schema_ref("Problem", a))));
    json_object_set_new(j, "responses", responses);
    if (r->permission == PERMIT_ANYONE) {
        json_object_set_new(j, "security", json_array());
    }
    return j;
}

static json_t *paths(struct arena *a) {
    static const char *const verbs[] = {
        [HTTP_GET] = "get", [HTTP_HEAD] = "head",     [HTTP_POST] = "post",
        [HTTP_PUT] = "put", [HTTP_DELETE] = "delete", [HTTP_PATCH] = "patch"};
    size_t count;
    const struct route *table = routes(&count);
    json_t *j = json_object();
    for (size_t i = 0; i < count; i++) {
        json_t *path = json_object_get(j, table[i].path);
        if (path == NULL) {
            path = json_object();
            json_object_set_new(j, table[i].path, path);
        }
        json_object_set_new(path, verbs[table[i].method], operation(&table[i], a));
    }
    return j;
}

static json_t *components(void) {
    struct err err = ERR_NONE;
    json_t *schemas = NULL;
    json_t *j = json_object();
    json_t *schemes = json_object();
    json_t *bearer = typed("http");
    json_object_set_new(bearer, "scheme", json_string("bearer"));
    json_object_set_new(schemes, "token", bearer);
    CHECK(json_parse(str_from(api_openapi_schemas()), &schemas, &err) == ERR_OK);
    json_object_set_new(j, "schemas", schemas);
    json_object_set_new(j, "securitySchemes", schemes);
    return j;
}

json_t *api_openapi(const struct api *api) {
    (void)api;
    DEFER(arena_release) struct arena a = ARENA(1 << 20);
    json_t *j = json_object();
    json_t *info = json_object();
    json_t *security = json_array();
    json_t *token = json_object();
    json_object_set_new(info, "title", json_string("Tarn"));
    json_object_set_new(info, "version", json_string(version_text()));
    json_object_set_new(info, "description",
                        json_string("A lakehouse server: files in buckets as governed tables."));
    json_object_set_new(token, "token", json_array());
    json_array_append_new(security, token);
    json_object_set_new(j, "openapi", json_string("3.1.0"));
    json_object_set_new(j, "info", info);
    json_object_set_new(j, "security", security);
    json_object_set_new(j, "paths", paths(&a));
    json_object_set_new(j, "components", components());
    return j;
}
