// The edge: from a request to its handler and back. Identity, permission, ids, access log.

#include "api/api.h"
#include "base/clock.h"
#include "base/counters.h"
#include "base/hash.h"
#include "base/log.h"

#define SEQ_HEADER "X-Tarn-Seq"
#define SEQ_WAIT_MS 10000

static bool id_is_sane(struct str id) {
    bool sane = id.len > 0 && id.len <= 64;
    for (size_t i = 0; i < id.len && sane; i++) {
        char ch = id.ptr[i];
        sane = (ch >= '0' && ch <= '9') || (ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z') ||
               ch == '-' || ch == '_' || ch == '.';
    }
    return sane;
}

static struct call *call_new(struct api *api, struct http_request *r) {
    struct call *c = arena_alloc(&r->arena, sizeof(*c));
    struct str given;
    *c = (struct call){.api = api, .http = r, .arena = &r->arena};
    c->id = http_header(r, "X-Request-Id", &given) && id_is_sane(given) ? given : id_new(c->arena);
    r->user = c;
    log_set_request(c->id);
    http_set_header(r, "X-Request-Id", c->id);
    http_set_header(r, "X-Content-Type-Options", STR("nosniff"));
    http_set_header(r, "Cache-Control", STR("no-store"));
    return c;
}

static enum err_code authenticate(struct call *c, struct err *err) {
    struct str header;
    struct str scheme;
    if (!http_header(c->http, "Authorization", &header)) {
        return err_set(err, ERR_UNAUTHENTICATED,
                       "a token is needed: send \"Authorization: Bearer <token>\" (the first one "
                       "stands in the file admin.token of the data folder)");
    }
    if (!str_cut(&header, ' ', &scheme) || !str_eq_nocase(scheme, STR("Bearer"))) {
        return err_set(err, ERR_UNAUTHENTICATED,
                       "the Authorization header must be \"Bearer <token>\"");
    }
    return catalog_token_check(c->api->catalog, str_trim(header), c->arena, &c->token, err);
}

static enum err_code identify(struct call *c, struct err *err) {
    if (c->route->permission == PERMIT_ANYONE) {
        return ERR_OK;
    }
    const enum err_code code = authenticate(c, err);
    if (code != ERR_OK) {
        counter_add(COUNTER_auth_failures, 1);
    }
    return code;
}

// Every parameter behind '?' must be one that the route knows: a misspelt option is an error.
static enum err_code check_query(const struct call *c, struct err *err) {
    for (size_t i = 0; i < c->http->query_count; i++) {
        struct str name = c->http->query[i].name;
        bool known = false;
        const struct route_query *q = c->route->query;
        for (; q != NULL && q->name != NULL && !known; q++) {
            known = str_is(name, q->name);
        }
        if (str_is(name, "reason") && c->http->query[i].value.len > CATALOG_REASON_MAX) {
            return err_set(err, ERR_INVALID, "a reason has at most %d bytes", CATALOG_REASON_MAX);
        }
        if (!known) {
            return err_set(err, ERR_INVALID,
                           "unknown parameter \"" STR_FMT "\" (GET /openapi.json lists those of "
                           "this route)",
                           STR_ARG(name));
        }
    }
    return ERR_OK;
}

// A client that has been answered with a position of the log, here or by another server of the same
// bucket, sends it along: what it has seen then, it sees now.
static enum err_code wait_for_seq(struct call *c, struct err *err) {
    struct str text;
    uint64_t seq = 0;
    if (c->route->permission == PERMIT_ANYONE || !http_header(c->http, SEQ_HEADER, &text)) {
        return ERR_OK;
    }
    if (!str_to_u64(str_trim(text), &seq)) {
        return err_set(err, ERR_INVALID,
                       SEQ_HEADER " must be a number: the " SEQ_HEADER " of an earlier answer");
    }
    if (seq == 0) {
        return ERR_OK;
    }
    if (txlog_refresh(catalog_log(c->api->catalog), seq, SEQ_WAIT_MS, err) != ERR_OK) {
        return err_prefix(err, SEQ_HEADER ": ");
    }
    return ERR_OK;
}

// The position that the answer is not newer than. Not for everyone: it tells how much is written.
static void set_seq(struct call *c) {
    if (c->route->permission != PERMIT_ANYONE) {
        uint64_t seq = txlog_seq(catalog_log(c->api->catalog));
        http_set_header(c->http, SEQ_HEADER,
                        arena_printf(c->arena, "%llu", (unsigned long long)seq));
    }
}

static void answer_failure(struct call *c, const struct err *err) {
    const bool expected = err->code == ERR_BUSY || err->code == ERR_TIMEOUT; // a limit at work
    if (err_http(err->code) >= 500 && !expected) {
        log_error("failure", "code=%s at=%s:%d message=%s", err_text(err->code),
                  err->file != NULL ? err->file : "?", err->line, log_quote(str_from(err->msg)));
    }
    api_problem(c->http, c->id, err_http(err->code), err);
}

static enum err_code head(struct call *c, struct err *err) {
    struct route_match match = {0};
    enum err_code code = route_find(c->http->method, c->http->path, c->arena, &match, err);
    if (match.allow.len != 0) {
        http_set_header(c->http, "Allow", match.allow);
    }
    TRY(code);
    c->route = match.route;
    c->param = match.param;
    c->action = c->route->action != NULL ? str_from(c->route->action) : STR_NONE;
    (void)http_query(c->http, "reason", &c->reason);
    TRY(identify(c, err));
    TRY(check_query(c, err));
    TRY(wait_for_seq(c, err));
    TRY(api_authorize(c, err)); // in the state that the client has seen
    if (c->route->begin != NULL) {
        return c->route->begin(c, err);
    }
    if (c->route->request != NULL) {
        http_body_to_memory(c->http, c->api->config->http_body_max);
    }
    return ERR_OK;
}

static void on_head(void *ctx, struct http_request *r) {
    struct err err = ERR_NONE;
    struct call *c = call_new(ctx, r);
    const enum err_code code = head(c, &err);
    if (code != ERR_OK) {
        api_note_refused(c, code);
        answer_failure(c, &err);
        if (c->token.principal.len > 0) {
            set_seq(c); // whoever is told that a name is missing may ask another server as well
        }
    }
}

static void on_handle(void *ctx, struct http_request *r) {
    (void)ctx;
    struct call *c = r->user;
    struct err err = ERR_NONE;
    log_set_request(c->id);
    const enum err_code code = c->route->handle(c, &err);
    if (code != ERR_OK) {
        api_note_refused(c, code);
        answer_failure(c, &err);
    } else {
        CHECK(api_was_permitted(c));
    }
    set_seq(c);
}

static void on_fail(void *ctx, struct http_request *r, const struct err *e) {
    struct call *c = r->user != NULL ? r->user : call_new(ctx, r);
    log_set_request(c->id);
    int status = r->fail_status != 0 ? r->fail_status : err_http(e->code);
    api_note_refused(c, e->code);
    api_problem(r, c->id, status, e);
}

static void on_done(void *ctx, struct http_request *r) {
    (void)ctx;
    struct call *c = r->user;
    if (c == NULL) {
        return;
    }
    if (c->release != NULL) {
        c->release(c);
    }
    enum log_level level =
        c->route != NULL && c->route->permission == PERMIT_ANYONE ? LOG_DEBUG : LOG_INFO;
    log_line(level, "http", "method=%s path=%s status=%d ms=%lld in=%lld out=%lld principal=%s%s",
             log_quote(r->method_text), log_quote(r->path), r->status,
             (long long)((clock_mono_us() - r->start_us) / 1000), (long long)r->body_bytes,
             (long long)r->bytes_out, log_quote(c->token.principal),
             r->hung_up ? " hung_up=true" : "");
    log_set_request(STR_NONE);
}

struct http_handler api_handler(struct api *api) {
    return (struct http_handler){
        .ctx = api, .head = on_head, .handle = on_handle, .fail = on_fail, .done = on_done};
}
