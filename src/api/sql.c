// Queries: POST /query/sql, and what runs now.

#include "api/api.h"
#include "base/hash.h"
#include "encode/encode.h"

#define PIECE_BYTES ((size_t)256 << 10) // an answer goes out in pieces of about this size
#define PIECE_MAX (64U << 20)           // one row may make it larger
#define ROWS_AT_FIRST 16                // are encoded at once; then as many as fill a piece
#define ROWS_MAX_MOST 1000000000

// A query on its way out. Lives in the request's arena until done.
struct answer {
    struct call *call;
    struct str id; // of the query: the request's may be the client's choice and come twice
    struct query *query;
    struct encoder *encoder;
    struct encode_column *columns;
    size_t column_count;
    enum encode_format format;
    bool whole; // JSON with its frame, not a stream of rows
    bool began, finished;
    bool truncated;
    const char *why; // it was truncated
    int64_t rows, rows_max;
    bool rows_by_role;             // rows_max is what the roles allow
    int64_t bytes, bytes_max;      // of the rows, encoded; 0: no limit
    const struct vec_chunk *chunk; // fetched ahead; NULL: at the end
    size_t chunk_done;             // rows of it that are out
    size_t rows_at_once;
    struct err failure;
};

struct sql_request {
    struct str sql;
    int64_t rows_max; // -1: not said
    bool arrays, big_as_text;
    struct str reason; // of a statement that writes
};

static enum err_code read_format(struct str value, bool *ret_arrays, struct err *err) {
    if (!str_is(value, "objects") && !str_is(value, "arrays")) {
        return err_set(err, ERR_INVALID, "format must be objects or arrays");
    }
    *ret_arrays = str_is(value, "arrays");
    return ERR_OK;
}

static enum err_code read_big(struct str value, bool *ret_text, struct err *err) {
    if (!str_is(value, "number") && !str_is(value, "string")) {
        return err_set(err, ERR_INVALID, "big_numbers must be number or string");
    }
    *ret_text = str_is(value, "string");
    return ERR_OK;
}

static enum err_code read_json(struct call *c, struct sql_request *ret, struct err *err) {
    static const char *const keys[] = {"sql", "rows_max", "format", "big_numbers", "reason", NULL};
    DEFER(json_decrefp) json_t *body = NULL;
    struct str text;
    TRY(api_body_json(c, &body, err));
    TRY(json_only_keys(body, keys, err));
    TRY(json_need_str(body, "sql", &text, err));
    ret->sql = arena_str(c->arena, text);
    if (json_object_get(body, "reason") != NULL) {
        TRY(json_need_str(body, "reason", &text, err));
        ret->reason = arena_str(c->arena, text);
    }
    if (json_object_get(body, "rows_max") != NULL) {
        TRY(json_need_i64(body, "rows_max", &ret->rows_max, err));
        if (ret->rows_max < 0 || ret->rows_max > ROWS_MAX_MOST) {
            return err_set(err, ERR_INVALID, "rows_max must be from 0 to %d", ROWS_MAX_MOST);
        }
    }
    if (json_object_get(body, "format") != NULL) {
        TRY(json_need_str(body, "format", &text, err));
        TRY(read_format(text, &ret->arrays, err));
    }
    if (json_object_get(body, "big_numbers") != NULL) {
        TRY(json_need_str(body, "big_numbers", &text, err));
        TRY(read_big(text, &ret->big_as_text, err));
    }
    return ERR_OK;
}

static enum err_code read_request(struct call *c, struct sql_request *ret, struct err *err) {
    struct str type = STR("application/json");
    struct str media;
    struct str text;
    *ret = (struct sql_request){.rows_max = -1};
    TRY(api_query_number(c, "rows_max", 0, ROWS_MAX_MOST, &ret->rows_max, err));
    if (http_query(c->http, "format", &text)) {
        TRY(read_format(text, &ret->arrays, err));
    }
    if (http_query(c->http, "big_numbers", &text)) {
        TRY(read_big(text, &ret->big_as_text, err));
    }
    (void)http_query(c->http, "reason", &ret->reason);
    (void)http_header(c->http, "Content-Type", &type);
    (void)str_cut(&type, ';', &media);
    if (str_eq_nocase(str_trim(media), STR("text/plain"))) {
        ret->sql = c->http->body;
        return ERR_OK;
    }
    return read_json(c, ret, err);
}

static const struct media {
    const char *name, *range; // "text/csv" is in "text/*"
    enum encode_format format;
    bool whole;
} media_types[] = {
    {"application/json", "application/*", ENCODE_JSON, true},
    {"application/x-ndjson", "application/*", ENCODE_NDJSON, false},
    {"application/ndjson", "application/*", ENCODE_NDJSON, false},
    {"text/csv", "text/*", ENCODE_CSV, false},
    {"text/tab-separated-values", "text/*", ENCODE_TSV, false},
    {"application/vnd.apache.arrow.stream", "application/*", ENCODE_ARROW, false},
};

// How much a client wants a media type: what the narrowest range of Accept that it is in says.
struct wish {
    double q;
    int narrow;   // 3: named, 2: text/*, 1: */*, 0: not wanted
    size_t place; // of the range in Accept
};

static int narrowness(struct str range, const struct media *m) {
    if (str_eq_nocase(range, str_from(m->name))) {
        return 3;
    }
    if (str_eq_nocase(range, str_from(m->range))) {
        return 2;
    }
    return str_is(range, "*/*") ? 1 : 0;
}

static struct wish wish_for(const struct media *m, struct str accept) {
    struct wish ret = {0};
    struct str item;
    for (size_t place = 0; str_cut(&accept, ',', &item); place++) {
        struct str range;
        double q = 1;
        (void)str_cut(&item, ';', &range);
        ptrdiff_t at = str_find(item, STR("q="));
        if (at >= 0) {
            (void)str_to_double(str_trim(str_slice(item, (size_t)at + 2, item.len)), &q);
        }
        int narrow = narrowness(str_trim(range), m);
        if (narrow > ret.narrow) {
            ret = (struct wish){q, narrow, place};
        }
    }
    return ret;
}

// The media type of the highest q; of several, the one that Accept, then our table has first.
static enum err_code choose_format(struct call *c, enum encode_format *ret, bool *ret_whole,
                                   struct err *err) {
    struct str accept = STR("*/*");
    struct wish best = {0};
    (void)http_header(c->http, "Accept", &accept);
    for (size_t i = 0; i < ARRAY_LEN(media_types); i++) {
        struct wish w = wish_for(&media_types[i], accept);
        if (w.q > best.q || (w.q > 0 && w.q >= best.q && w.place < best.place)) {
            best = w;
            *ret = media_types[i].format;
            *ret_whole = media_types[i].whole;
        }
    }
    if (best.q <= 0) {
        return err_set(
            err, ERR_NOT_ACCEPTABLE,
            "rows come as application/json, application/x-ndjson, text/csv, "
            "text/tab-separated-values or application/vnd.apache.arrow.stream, not as " STR_FMT,
            STR_ARG(accept));
    }
    return ERR_OK;
}

static void answer_end(struct answer *an, const struct err *outcome) {
    if (an->query != NULL) {
        query_end(an->query, an->rows, an->bytes, outcome);
        an->query = NULL;
    }
}

static void answer_release(struct call *c) {
    struct answer *an = c->state;
    struct err cut = ERR_NONE;
    http_on_cancel(c->http, NULL, NULL);
    if (an->query != NULL) { // the client left before the end
        (void)err_set(&cut, ERR_CANCELLED, "the client hung up");
        answer_end(an, &cut);
    }
    encoder_free(an->encoder);
}

// What a statement that writes has done.
static void frame_change(struct answer *an, struct buf *out) {
    const struct query_change *change = query_change(an->query);
    if (change == NULL) {
        return;
    }
    buf_add_cstr(out, ",\"statement\":");
    json_quote(out, change->statement);
    buf_add_cstr(out, ",\"dataset\":");
    json_quote(out, change->dataset);
    buf_printf(out, ",\"rows_affected\":%lld,\"rows_suppressed\":%lld,\"snapshot\":",
               (long long)change->rows, (long long)change->suppressed);
    if (change->snapshot_id != 0) {
        buf_printf(out, "%lld", (long long)change->snapshot_id);
    } else {
        buf_add_cstr(out, "null");
    }
    buf_printf(out, ",\"replayed\":%s", change->replayed ? "true" : "false");
}

static void frame_head(struct answer *an, struct buf *out) {
    size_t count;
    const struct query_snapshot *snapshots = query_snapshots(an->query, &count);
    buf_add_cstr(out, "{\"query_id\":");
    json_quote(out, query_id(an->query));
    buf_add_cstr(out, ",\"snapshots\":{");
    for (size_t i = 0; i < count; i++) {
        buf_add_cstr(out, i == 0 ? "" : ",");
        json_quote(out, snapshots[i].dataset);
        buf_printf(out, ":%lld", (long long)snapshots[i].snapshot_id);
    }
    buf_add_char(out, '}');
    frame_change(an, out);
    buf_add_cstr(out, ",\"columns\":");
    encode_columns(an->columns, an->column_count, out);
    buf_add_cstr(out, ",\"rows\":");
}

static void frame_tail(struct answer *an, struct buf *out) {
    buf_printf(out, ",\"row_count\":%lld,\"truncated\":%s", (long long)an->rows,
               an->truncated ? "true" : "false");
    if (an->truncated) {
        buf_add_cstr(out, ",\"hint\":");
        json_quote(out, str_from(an->why));
    }
    buf_printf(out, ",\"elapsed_ms\":%.3f}\n", (double)query_elapsed_us(an->query) / 1000.0);
}

static void cut_short(struct answer *an, const char *why) {
    an->truncated = true;
    an->why = why;
    an->chunk = NULL;
}

// Encodes so many rows, unless their bytes would be more than the roles allow: then half as many
// are tried, and so on.
static enum err_code answer_some(struct answer *an, size_t count, struct buf *out,
                                 struct err *err) {
    const struct encode_rows rows = {an->chunk, an->chunk_done, count};
    const size_t before = out->len;
    TRY(encoder_rows(an->encoder, &rows, out, err));
    const size_t added = out->len - before;
    if (an->bytes_max > 0 && an->bytes + (int64_t)added > an->bytes_max) {
        out->len = before;
        an->rows_at_once = count / 2;
        if (count > 1) {
            return ERR_OK;
        }
        if (!an->whole) { // no place is left to say that it was cut
            return err_set(err, ERR_TOO_LARGE,
                           "the answer has more than %lld bytes, which is what this token's roles "
                           "allow: ask for fewer columns or rows",
                           (long long)an->bytes_max);
        }
        cut_short(an, "more bytes than this token's roles allow in one answer (bytes_max): ask for "
                      "fewer columns or rows");
        return ERR_OK;
    }
    an->bytes += (int64_t)added;
    an->rows += (int64_t)count;
    an->chunk_done += count;
    an->rows_at_once = MAX((size_t)4 * PIECE_BYTES * count / MAX(added, 1), 1);
    return ERR_OK;
}

// Encodes rows of the current chunk, about a piece full, and fetches the next when it is used up.
static enum err_code answer_rows(struct answer *an, struct buf *out, struct err *err) {
    const int64_t room = an->rows_max - an->rows;
    size_t here = MIN(an->chunk->rows - an->chunk_done, an->rows_at_once);
    const bool over = (int64_t)here > room;
    here = over ? (size_t)room : here;
    const size_t goal = an->chunk_done + here;
    if (here > 0) {
        TRY(answer_some(an, here, out, err));
    }
    if (an->chunk == NULL) {
        return ERR_OK;
    }
    if (over && an->chunk_done == goal) {
        cut_short(an, an->rows_by_role
                          ? "more rows than this token's roles allow in one answer (rows_max): ask "
                            "for a part of them"
                          : "more rows than rows_max: raise it, or ask for text/csv, "
                            "application/x-ndjson or application/vnd.apache.arrow.stream, which "
                            "have no such limit");
        return ERR_OK;
    }
    if (an->chunk_done < an->chunk->rows) {
        return ERR_OK;
    }
    an->chunk_done = 0;
    return rows_next(query_rows(an->query), &an->chunk, err);
}

static enum err_code answer_fill(struct answer *an, struct buf *out, struct err *err) {
    if (!an->began) {
        an->began = true;
        if (an->whole) {
            frame_head(an, out);
        }
        encoder_head(an->encoder, out);
    }
    while (an->chunk != NULL && out->len < PIECE_BYTES && !out->overflow) {
        TRY(answer_rows(an, out, err));
    }
    if (an->chunk == NULL) {
        encoder_tail(an->encoder, out);
        if (an->whole) {
            frame_tail(an, out);
        }
        an->finished = true;
    }
    if (out->overflow) {
        return err_set(err, ERR_TOO_LARGE, "one row of the answer is larger than %u bytes",
                       PIECE_MAX);
    }
    return ERR_OK;
}

static enum err_code answer_next(void *ctx, struct buf *out, bool *last, struct err *err) {
    struct answer *an = ctx;
    enum err_code code = answer_fill(an, out, err);
    if (code != ERR_OK) {
        answer_end(an, err);
        return code;
    }
    *last = an->finished;
    if (an->finished) {
        answer_end(an, NULL);
    }
    return ERR_OK;
}

static void request_cancel(void *arg) {
    struct answer *an = arg;
    struct err err = ERR_NONE;
    (void)queries_cancel(an->call->api->queries, an->id, STR_NONE, &err);
}

static void timing_header(struct answer *an) {
    struct query_timing t = query_timing(an->query);
    struct call *c = an->call;
    http_set_header(c->http, "Server-Timing",
                    arena_printf(c->arena,
                                 "guard;dur=%.3f, wait;dur=%.3f, plan;dur=%.3f, "
                                 "start;dur=%.3f, total;dur=%.3f",
                                 (double)t.guard_us / 1000.0, (double)t.wait_us / 1000.0,
                                 (double)t.plan_us / 1000.0, (double)t.start_us / 1000.0,
                                 (double)query_elapsed_us(an->query) / 1000.0));
}

static void describe_columns(struct answer *an) {
    struct rows *rows = query_rows(an->query);
    an->column_count = rows_column_count(rows);
    an->columns = arena_array(an->call->arena, an->column_count, sizeof(*an->columns));
    for (size_t i = 0; i < an->column_count; i++) {
        an->columns[i] =
            (struct encode_column){rows_column_name(rows, i), rows_column_type(rows, i)};
    }
}

// What the roles allow is never passed, whatever is asked for. The first row is encoded alone: an
// encoder whose first rows were taken back would not know that there are none.
static void limits_set(struct answer *an, const struct catalog_limits *l) {
    if (l->rows_max > 0 && l->rows_max < an->rows_max) {
        an->rows_max = l->rows_max;
        an->rows_by_role = true;
    }
    an->bytes_max = l->bytes_max;
    if (an->bytes_max > 0) {
        an->rows_at_once = 1;
    }
}

enum err_code query_sql(struct call *c, struct err *err) {
    struct answer *an = arena_alloc(c->arena, sizeof(*an));
    struct sql_request r;
    struct query_attempt attempt = {0};
    an->call = c;
    an->rows_at_once = ROWS_AT_FIRST;
    an->id = id_new(c->arena);
    TRY(read_request(c, &r, err));
    c->reason = r.reason;
    TRY(choose_format(c, &an->format, &an->whole, err));
    int64_t most = an->whole ? c->api->config->query_rows_max : INT64_MAX;
    an->rows_max = r.rows_max >= 0 ? r.rows_max : most;
    limits_set(an, &c->rights->limits);
    c->permitted = true; // the query asks for the rights on what it names
    struct query_request q = {.id = an->id,
                              .sql = r.sql,
                              .principal = c->token.principal,
                              .rights = c->rights,
                              .roles = c->token.roles,
                              .role_count = c->token.role_count,
                              .reason = r.reason,
                              .attempt = &attempt};
    (void)http_header(c->http, "Idempotency-Key", &q.idempotency_key);
    c->state = an;
    c->release = answer_release;
    http_on_cancel(c->http, request_cancel, an);
    enum err_code code = query_start(c->api->queries, &q, c->arena, &an->query, err);
    c->action = attempt.action;
    c->audited = attempt.audited;
    api_about(c, attempt.target);
    TRY(code);
    describe_columns(an);
    struct encode_options o = {
        .format = an->format, .arrays = r.arrays, .big_as_text = r.big_as_text};
    an->encoder = encoder_new(&o, an->columns, an->column_count);
    code = rows_next(query_rows(an->query), &an->chunk, err);
    if (code != ERR_OK) {
        answer_end(an, err);
        return code;
    }
    timing_header(an);
    http_set_header(c->http, "X-Tarn-Query", query_id(an->query));
    const bool capped = !an->whole && an->rows_max < INT64_MAX;
    if (capped) {
        // A stream has no place to say "truncated": that it may be is said at once.
        http_set_header(c->http, "X-Tarn-Rows-Max",
                        arena_printf(c->arena, "%lld", (long long)an->rows_max));
    }
    if (!an->whole && an->bytes_max > 0) {
        http_set_header(c->http, "X-Tarn-Bytes-Max",
                        arena_printf(c->arena, "%lld", (long long)an->bytes_max));
    }
    http_answer_stream(c->http, 200, encode_content_type(an->format),
                       (struct http_stream){an, answer_next});
    if (capped && an->finished) { // in one piece, and nothing is sent yet
        http_set_header(c->http, "X-Tarn-Truncated", an->truncated ? STR("true") : STR("false"));
    }
    return ERR_OK;
}

enum err_code query_running(struct call *c, struct err *err) {
    (void)err;
    struct query_info *list;
    size_t count;
    queries_list(c->api->queries, api_own(c), c->arena, &list, &count);
    json_t *items = json_array();
    for (size_t i = 0; i < count; i++) {
        json_t *j = json_object();
        json_object_set_new(j, "id", json_new_str(list[i].id));
        json_object_set_new(j, "principal", json_new_str(list[i].principal));
        json_object_set_new(j, "state", json_new_str(list[i].state));
        json_object_set_new(j, "started_at", api_time(list[i].started_us, c->arena));
        json_object_set_new(j, "elapsed_ms", json_integer(list[i].elapsed_us / 1000));
        json_array_append_new(items, j);
    }
    json_t *j = json_object();
    json_object_set_new(j, "queries", items);
    api_json_tree(c, 200, j);
    return ERR_OK;
}

enum err_code query_stop(struct call *c, struct err *err) {
    TRY(queries_cancel(c->api->queries, c->param, api_own(c), err));
    json_t *j = json_object();
    json_object_set_new(j, "id", json_new_str(c->param));
    json_object_set_new(j, "stopped", json_true());
    api_json_tree(c, 200, j);
    return ERR_OK;
}
