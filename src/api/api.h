// What the API's files share: the server's parts, and one request on its way.
#pragma once

#include "api/handlers.h"
#include "api/permit.h"
#include "api/refusals.h"
#include "base/arena.h"
#include "base/config.h"
#include "base/err.h"
#include "base/json.h"
#include "base/scratch.h"
#include "base/str.h"
#include "catalog/catalog.h"
#include "catalog/catalog_role.h"
#include "catalog/catalog_view.h"
#include "engine/engine.h"
#include "erase/erase.h"
#include "hot/hot.h"
#include "http/http.h"
#include "ingest/ingest.h"
#include "jobs/jobs.h"
#include "query/query.h"
#include "query/query_audit.h"
#include "table/table.h"
#include "upkeep/upkeep.h"
#include "view/view.h"
#include "worker/worker.h"

// The server's parts. Made in server.c, used everywhere, owned there.
struct api {
    const struct config *config;
    struct engine *engine;
    struct catalog *catalog;
    struct tables *tables;
    struct hot *hot;
    struct engine *parser; // of views: can open nothing
    struct views *views;
    struct ingest *ingest;
    struct workers *workers; // NULL: the kernel has no jail for them
    struct queries *queries;
    struct audit *audit;
    struct jobs *jobs;
    struct upkeep *upkeep;
    struct erase *erase;
    struct upkeep_policy *policy; // NULL: nothing is done unasked
    struct refusals *refusals;
    struct http_server *http;
    struct scratch spill;  // the engine's
    int64_t start_us;      // wall clock
    _Atomic bool draining; // /ready says no
    struct str openapi;    // the document, made once
};

struct call;
struct route;

// A request: made in head, released in done. Everything lives in the request's arena.
struct call {
    struct api *api;
    struct http_request *http;
    struct arena *arena;
    const struct route *route;
    struct str param; // the {…} of the route's path
    struct str id;    // request id
    // For the journal: the route's action, or a narrower one that the handler has found it to be;
    // what it is about, when that stands in the body (api_about); why, if that was given.
    struct str action, about, reason;
    struct catalog_token token;          // who asks; its principal is empty on public routes
    const struct catalog_rights *rights; // what they may; nothing on public routes
    bool permitted;                      // api_permit was asked
    bool audited; // the query's own note in the journal tells what has become of it
    void *state;  // the handler's own
    void (*release)(struct call *c);
};

// What stands behind '?': for the check of what comes, and for the documentation.
struct route_query {
    const char *name, *type, *help; // type: "string", "integer", "boolean"
};

struct route {
    enum http_method method;
    const char *path; // "/catalog/datasets/by-name/{name}"
    enum permission permission;
    const char *tag, *id, *summary;
    // Names of schemas in openapi_schemas.c; NULL: no body. A response that begins with '/' is no
    // JSON but that media type.
    const char *request, *response;
    const struct route_query *query; // ends with a NULL name; NULL: none
    // The body is there (or there is none). Answers, or fails and leaves the answer to the edge.
    enum err_code (*handle)(struct call *c, struct err *err);
    // Instead of reading the body into memory: says where it goes.
    enum err_code (*begin)(struct call *c, struct err *err);
    // What it changes, for the journal: "dataset.drop"; NULL: it only reads. And what that is done
    // to: "dataset:", followed by {…} of the path, or by what the handler names.
    const char *action, *target;
};

// The one table of routes.
const struct route *routes(size_t *ret_count);
// The route of a path. ERR_NOT_FOUND, or ERR_METHOD with the methods that there are.
struct route_match {
    const struct route *route;
    struct str param; // what {…} stood for
    struct str allow; // of ERR_METHOD
};
MUST_CHECK enum err_code route_find(enum http_method method, struct str path, struct arena *a,
                                    struct route_match *ret, struct err *err);

// The handler that http/ calls; ctx is struct api.
struct http_handler api_handler(struct api *api);

// Answers.
void api_json_tree(struct call *c, int status, json_t *tree); // takes the reference
void api_problem(struct http_request *r, struct str request_id, int status, const struct err *e);
// The body as a JSON object; ERR_INVALID, ERR_UNSUPPORTED for another content type.
MUST_CHECK enum err_code api_body_json(struct call *c, json_t **ret, struct err *err);
// A query parameter as a number within bounds; *ret is left alone when it is absent.
MUST_CHECK enum err_code api_query_number(struct call *c, const char *name, int64_t min,
                                          int64_t max, int64_t *ret, struct err *err);
MUST_CHECK enum err_code api_query_flag(struct call *c, const char *name, bool *ret,
                                        struct err *err);
json_t *api_time(int64_t wall_us, struct arena *a); // RFC 3339
// Who asks for the change, for the journal: the action is call.action.
struct catalog_author api_author(const struct call *c);
// The body names what is to be changed.
void api_about(struct call *c, struct str name);
// Notes, or counts, in the journal that the call was refused, if it tried to change something, or
// to read what it may not.
void api_note_refused(const struct call *c, enum err_code why);
// What there is to be noted, in the request's arena; false: nothing.
bool api_refusal(const struct call *c, enum err_code why, struct refusal *ret);
// Does the work and answers with its result: the client waits, or, if it sent "Prefer:
// respond-async", gets 202 and the Location of a job at once. What spec->ctx points to must not
// live in the request; spec->release is called in any case.
MUST_CHECK enum err_code api_work(struct call *c, struct job_spec *spec, struct err *err);
// The same for work that goes on when the client hangs up.
MUST_CHECK enum err_code api_work_on(struct call *c, struct job_spec *spec, struct err *err);
// [{id, name, type, required}] of a schema's columns.
json_t *api_schema_fields(const struct ice_schema *s, struct arena *a);
// How many tombstones there are, and how many of them are past their purge_by.
MUST_CHECK enum err_code tombstones_count(struct api *api, int64_t *ret_active,
                                          int64_t *ret_overdue, struct err *err);
// The OpenAPI 3.1 document, from the table of routes.
json_t *api_openapi(const struct api *api);
const char *api_openapi_schemas(void); // JSON object of named schemas

// What this process keeps of rows and statements goes, in memory and in local files: with an
// erasure, and with the key of the masks.
MUST_CHECK enum err_code api_forget(struct api *api, struct err *err);

// Takes up what a kill has interrupted, as jobs.
void erasures_take_up(struct api *api);
