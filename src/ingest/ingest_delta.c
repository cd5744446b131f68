// Deltas of JSON rows: checked by their callers, written by one of them for all that wait.
//
// Each dataset that has callers has a queue. The first caller whose rows are not being written
// leads: it takes what waits and is of one kind (mode, keys, author), writes the rows as lines
// {"b": caller, "r": {row}} into a spool file, and makes one table_delta of it. Others wait; the
// next leader is among them. When a group fails, each of its callers is tried alone, so that one
// with bad rows does not spoil the others.

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <utlist.h>

#include "base/clock.h"
#include "base/counters.h"
#include "base/hashmap.h"
#include "iceberg/metrics.h"
#include "ingest/ingest_int.h"
#include "table/table_types.h"

#define GROUP_CALLERS_MAX 256
#define GROUP_BYTES_MAX (16U << 20)
#define ROWS_BYTES_MAX (1U << 30) // of one caller; the body's limit is far below
#define BATCH_COLUMN "tarn caller"

struct delta_call {
    const struct ingest_delta *request;
    struct str rows; // a line a row, without the caller's number: the objects
    size_t row_count;
    bool taken, done;
    enum err_code code;
    struct err err;
    struct ingest_delta_done result;
    struct delta_call *prev, *next;
};

struct delta_queue {
    struct str dataset; // without case
    struct delta_call *calls;
    bool led; // a caller is writing
    UT_hash_handle hh;
};

static bool is_exact(const struct ice_type *t, const json_t *value, struct arena *a) {
    char text[64];
    struct str bytes;
    if (t->kind != ICE_INT && t->kind != ICE_LONG && t->kind != ICE_DECIMAL) {
        return true;
    }
    struct ice_literal literal = {.is_number = true};
    if (json_is_string(value)) {
        literal.text = (struct str){json_string_value(value), json_string_length(value)};
    } else if (json_is_integer(value)) {
        literal.text = arena_printf(a, "%lld", (long long)json_integer_value(value));
    } else if (json_is_real(value)) {
        literal.text = (struct str){text, fmt_double(json_real_value(value), text)};
    } else {
        return false;
    }
    return ice_literal_value(t, &literal, a, &bytes);
}

// Does JSON have this value in a form that the column's type takes without a loss?
static bool fits(const struct ice_type *t, const json_t *value, struct arena *a) {
    if (json_is_null(value)) {
        return true;
    }
    switch (t->kind) {
    case ICE_STRUCT:
    case ICE_MAP:
        return json_is_object(value);
    case ICE_LIST:
        return json_is_array(value);
    case ICE_BOOLEAN:
        return json_is_boolean(value);
    case ICE_FLOAT:
    case ICE_DOUBLE:
        return json_is_number(value) || json_is_string(value);
    case ICE_INT:
    case ICE_LONG:
    case ICE_DECIMAL:
        return is_exact(t, value, a);
    case ICE_STRING:
        return json_is_string(value) || json_is_number(value) || json_is_boolean(value);
    default:
        return json_is_string(value);
    }
}

static bool is_key(const struct ingest_delta *d, const struct ice_field *f) {
    for (size_t i = 0; i < d->key_count; i++) {
        if (str_eq_nocase(d->keys[i], f->name)) {
            return true;
        }
    }
    return false;
}

// A caller's rows on their way to text.
struct rendering {
    const struct ingest_delta *request;
    const struct ice_schema *schema;
    struct arena *arena;
    struct buf out;
};

// The column that a member of a row is for; NULL: *err says why it cannot be.
static const struct ice_field *member_field(struct rendering *r, size_t row, struct str name,
                                            const json_t *value, struct err *err) {
    const struct ice_field *f = ice_schema_find(r->schema, name);
    if (f == NULL) {
        (void)err_set(err, ERR_SCHEMA,
                      "row %zu: \"" STR_FMT "\" is no column of dataset \"" STR_FMT
                      "\" (evolve=true adds columns)",
                      row + 1, STR_ARG(name), STR_ARG(r->request->dataset));
        return NULL;
    }
    if (!fits(&f->type, value, r->arena)) {
        (void)err_set(err, ERR_DATA,
                      "row %zu: column \"" STR_FMT "\" is " STR_FMT
                      ", which this value is not: " STR_FMT,
                      row + 1, STR_ARG(f->name), STR_ARG(ice_type_text(&f->type, r->arena)),
                      STR_ARG(str_slice(json_text(value, r->arena), 0, 60)));
        return NULL;
    }
    return f;
}

static enum err_code render_row(struct rendering *r, size_t row, const json_t *object,
                                struct err *err) {
    struct jsonw w = JSONW(&r->out);
    const char *key;
    json_t *value;
    const struct ice_field **seen = arena_array(r->arena, json_object_size(object), sizeof(void *));
    size_t seen_count = 0;
    jsonw_object(&w);
    json_object_foreach((json_t *)(uintptr_t)object, key, value) {
        const struct ice_field *f = member_field(r, row, str_from(key), value, err);
        if (f == NULL) {
            return err->code;
        }
        for (size_t i = 0; i < seen_count; i++) {
            if (seen[i] == f) {
                return err_set(err, ERR_DATA, "row %zu has column \"" STR_FMT "\" twice", row + 1,
                               STR_ARG(f->name));
            }
        }
        seen[seen_count++] = f;
        if (r->request->mode != TABLE_DELTA_DELETE || is_key(r->request, f)) {
            jsonw_key(&w, f->name);
            jsonw_json(&w, value);
        }
    }
    jsonw_end_object(&w);
    buf_add_char(&r->out, '\n');
    return ERR_OK;
}

static enum err_code render(struct ingest *i, const struct ingest_delta *d, struct arena *a,
                            struct delta_call *call, struct err *err) {
    const struct table_want want = {.name = d->dataset};
    struct table_pin pin;
    TRY(table_pin_at(i->tables, &want, a, &pin, err));
    struct rendering r = {
        .request = d, .schema = pin.schema, .arena = a, .out = BUF(ROWS_BYTES_MAX)};
    enum err_code code = ERR_OK;
    call->row_count = json_array_size(d->rows);
    for (size_t n = 0; n < call->row_count && code == ERR_OK; n++) {
        const json_t *row = json_array_get(d->rows, n);
        code = json_is_object(row)
                   ? render_row(&r, n, row, err)
                   : err_set(err, ERR_DATA, "row %zu is no object {\"column\": value, …}", n + 1);
    }
    if (code == ERR_OK && r.out.overflow) {
        code = err_set(err, ERR_TOO_LARGE, "the rows are too many for one request");
    }
    call->rows = arena_str(a, buf_str(&r.out));
    call->result.dataset = pin.dataset.name;
    buf_release(&r.out);
    return code;
}

// Callers that are written together.
struct group {
    struct ingest *ingest;
    struct delta_call **calls;
    size_t count;
    struct arena arena;
    struct str path; // of the spool file
};

static enum err_code write_lines(struct group *g, struct err *err) {
    FILE *file = fopen(g->path.ptr, "wxe");
    if (file == NULL) {
        return err_errno(err, "cannot make a spool file");
    }
    bool good = true;
    for (size_t i = 0; i < g->count; i++) {
        struct str rest = g->calls[i]->rows;
        struct str line;
        while (str_cut(&rest, '\n', &line)) {
            good = good && fprintf(file, "{\"b\":%zu,\"r\":", i) > 0 &&
                   fwrite(line.ptr, 1, line.len, file) == line.len && fputs("}\n", file) != EOF;
        }
    }
    good = fclose(file) == 0 && good;
    return good ? ERR_OK : err_errno(err, "cannot write a spool file");
}

// read_json with the types of the dataset as it is now.
static enum err_code source_sql(struct group *g, struct str *ret, struct err *err) {
    const struct ingest_delta *d = g->calls[0]->request;
    const struct table_want want = {.name = d->dataset};
    struct table_pin pin;
    DEFER(buf_release) struct buf type = BUF(16U << 20);
    TRY(table_pin_at(g->ingest->tables, &want, &g->arena, &pin, err));
    for (size_t i = 0; i < pin.schema->field_count; i++) {
        const struct ice_field *f = &pin.schema->fields[i];
        if (d->mode != TABLE_DELTA_DELETE || is_key(d, f)) {
            buf_printf(&type, "%s" STR_FMT " " STR_FMT, type.len == 0 ? "STRUCT(" : ", ",
                       STR_ARG(sql_ident(f->name, &g->arena)),
                       STR_ARG(table_type_sql(&f->type, &g->arena)));
        }
    }
    if (type.len == 0) {
        return err_set(err, ERR_INVALID, "none of the keys is a column of dataset \"" STR_FMT "\"",
                       STR_ARG(d->dataset));
    }
    buf_add_char(&type, ')');
    *ret = arena_printf(&g->arena,
                        "(SELECT b AS \"" BATCH_COLUMN "\", unnest(r) FROM read_json(" STR_FMT
                        ", format='newline_delimited', compression='uncompressed', "
                        "maximum_object_size=%d, columns={'b': 'INTEGER', 'r': " STR_FMT "}))",
                        STR_ARG(sql_literal(g->path, &g->arena)), 256 << 20,
                        STR_ARG(sql_literal(buf_str(&type), &g->arena)));
    return ERR_OK;
}

static json_t *outcome_json(const struct ingest_delta_done *done) {
    json_t *j = json_object();
    json_object_set_new(j, "snapshot_id", json_integer(done->snapshot_id));
    json_object_set_new(j, "rows", json_integer(done->rows.rows));
    json_object_set_new(j, "matched", json_integer(done->rows.matched));
    json_object_set_new(j, "suppressed", json_integer(done->rows.suppressed));
    return j;
}

static json_t *idempotency_changes(void *ctx, const struct table_delta_done *done) {
    const struct group *g = ctx;
    json_t *changes = json_array();
    for (size_t i = 0; i < g->count; i++) {
        const struct ingest_delta *d = g->calls[i]->request;
        if (d->idempotency_key.len == 0) {
            continue;
        }
        const struct ingest_delta_done outcome = {.snapshot_id = done->snapshot_id,
                                                  .rows = done->batches[i]};
        DEFER(json_decrefp) json_t *j = outcome_json(&outcome);
        const struct catalog_idempotency kept = {.principal = d->who.actor,
                                                 .key = d->idempotency_key,
                                                 .request_sha256 = d->request_sha256,
                                                 .outcome = j};
        catalog_idempotency_changes(tables_catalog(g->ingest->tables), &kept, changes);
    }
    return changes;
}

static enum err_code write_group(struct group *g, struct table_delta_done *ret, struct err *err) {
    const struct ingest_delta *d = g->calls[0]->request;
    DEFER(session_closep) struct session *s = NULL;
    struct table_delta request = {.dataset = d->dataset,
                                  .mode = d->mode,
                                  .keys = d->keys,
                                  .key_count = d->key_count,
                                  .batch = STR(BATCH_COLUMN),
                                  .batch_count = g->count,
                                  .last_wins = d->last_wins,
                                  .extras = idempotency_changes,
                                  .ctx = g,
                                  .who = d->who};
    g->path = arena_printf(&g->arena, "%s/" STR_FMT, g->ingest->delta_folder.path,
                           STR_ARG(id_new(&g->arena)));
    TRY(write_lines(g, err));
    TRY(source_sql(g, &request.source, err));
    TRY(session_open(g->ingest->engine, &s, err));
    request.session = s;
    return table_delta(g->ingest->tables, &request, &g->arena, ret, err);
}

// Writes some callers' rows and tells each of them.
static enum err_code run_group(struct ingest *i, struct delta_call **calls, size_t count) {
    struct group g = {.ingest = i, .calls = calls, .count = count, .arena = ARENA(1U << 30)};
    struct table_delta_done done = {0};
    struct err err = ERR_NONE;
    const enum err_code code = write_group(&g, &done, &err);
    if (code != ERR_OK) {
        ingest_clean_message(str_from(i->delta_folder.path), STR("the rows"), &err);
        err.code = code == ERR_SQL ? ERR_DATA : code;
    }
    for (size_t n = 0; n < count; n++) {
        calls[n]->code = err.code;
        calls[n]->err = err;
        calls[n]->result.snapshot_id = done.snapshot_id;
        if (code == ERR_OK) {
            calls[n]->result.rows = done.batches[n];
        }
    }
    if (g.path.len > 0) {
        (void)unlink(g.path.ptr);
    }
    arena_release(&g.arena);
    return code;
}

static enum err_code replay(struct ingest *i, const struct ingest_delta *d,
                            struct ingest_delta_done *ret, bool *ret_done, struct err *err) {
    *ret_done = false;
    if (d->idempotency_key.len == 0) {
        return ERR_OK;
    }
    const struct catalog_idempotency kept = {
        .principal = d->who.actor, .key = d->idempotency_key, .request_sha256 = d->request_sha256};
    DEFER(json_decrefp) json_t *outcome = NULL;
    TRY(catalog_idempotency_find(tables_catalog(i->tables), &kept, &outcome, err));
    if (outcome != NULL) {
        *ret = (struct ingest_delta_done){.dataset = d->dataset, .replayed = true};
        (void)json_get_i64(outcome, "snapshot_id", &ret->snapshot_id);
        (void)json_get_i64(outcome, "rows", &ret->rows.rows);
        (void)json_get_i64(outcome, "matched", &ret->rows.matched);
        (void)json_get_i64(outcome, "suppressed", &ret->rows.suppressed);
        *ret_done = true;
    }
    return ERR_OK;
}

// Leaves out those whose request was carried out while they waited.
static size_t without_replays(struct ingest *i, struct delta_call **calls, size_t count,
                              struct delta_call **ret) {
    size_t left = 0;
    for (size_t n = 0; n < count; n++) {
        struct delta_call *c = calls[n];
        bool done;
        c->code = replay(i, c->request, &c->result, &done, &c->err);
        if (c->code == ERR_OK && !done) {
            ret[left++] = c;
        }
    }
    return left;
}

static void run_calls(struct ingest *i, struct delta_call **all, size_t all_count) {
    struct delta_call *calls[GROUP_CALLERS_MAX];
    const size_t count = without_replays(i, all, all_count, calls);
    if (count == 0) {
        return;
    }
    const enum err_code code = run_group(i, calls, count);
    if (code == ERR_OK || code == ERR_UNKNOWN || count == 1) {
        return;
    }
    for (size_t n = 0; n < count; n++) {
        (void)run_group(i, &calls[n], 1);
    }
}

static bool goes_with(const struct ingest_delta *x, const struct ingest_delta *y) {
    const bool twice = x->idempotency_key.len > 0 && str_eq(x->idempotency_key, y->idempotency_key);
    bool same = !twice && x->mode == y->mode && x->key_count == y->key_count &&
                x->last_wins == y->last_wins && str_eq(x->who.actor, y->who.actor) &&
                str_eq(x->who.reason, y->who.reason);
    for (size_t i = 0; i < x->key_count && same; i++) {
        same = str_eq(x->keys[i], y->keys[i]);
    }
    return same;
}

// The callers from the first that waits on, as far as they go together. Under the lock.
static size_t take_group(struct delta_queue *q, struct delta_call **ret) {
    size_t count = 0;
    size_t bytes = 0;
    const struct delta_call *first = NULL;
    struct delta_call *c;
    DL_FOREACH(q->calls, c) {
        if (c->taken) {
            continue;
        }
        first = first == NULL ? c : first;
        bytes += c->rows.len;
        if (c != first && (!goes_with(first->request, c->request) || bytes > GROUP_BYTES_MAX ||
                           count == GROUP_CALLERS_MAX)) {
            break;
        }
        c->taken = true;
        ret[count++] = c;
    }
    return count;
}

// With the lock held, which is let go while the rows are written.
static void lead(struct ingest *i, struct delta_queue *q) {
    struct delta_call *calls[GROUP_CALLERS_MAX];
    const size_t count = take_group(q, calls);
    q->led = true;
    CHECK(pthread_mutex_unlock(&i->lock) == 0);
    run_calls(i, calls, count);
    CHECK(pthread_mutex_lock(&i->lock) == 0);
    q->led = false;
    for (size_t n = 0; n < count; n++) {
        calls[n]->done = true;
    }
    CHECK(pthread_cond_broadcast(&i->delta_done) == 0);
}

static struct delta_queue *queue_enter(struct ingest *i, struct str dataset,
                                       struct delta_call *call, struct arena *a) {
    struct delta_queue *q = NULL;
    char *name = arena_cstr(a, dataset);
    for (char *p = name; *p != '\0'; p++) {
        *p = *p >= 'A' && *p <= 'Z' ? (char)(*p - 'A' + 'a') : *p;
    }
    HASH_FIND(hh, i->deltas, name, dataset.len, q);
    if (q == NULL) {
        q = xcalloc(1, sizeof(*q));
        q->dataset = (struct str){xstrdup(name), dataset.len};
        HASH_ADD_KEYPTR(hh, i->deltas, q->dataset.ptr, q->dataset.len, q);
    }
    DL_APPEND(q->calls, call);
    return q;
}

static void queue_free(struct delta_queue *q) {
    free((char *)(uintptr_t)q->dataset.ptr);
    free(q);
}

static void queue_leave(struct ingest *i, struct delta_queue *q, struct delta_call *call) {
    DL_DELETE(q->calls, call);
    if (q->calls == NULL) {
        HASH_DEL(i->deltas, q);
        queue_free(q);
    }
}

static void wait_turn(struct ingest *i, struct delta_call *call, struct arena *a) {
    LOCKED(&i->lock);
    struct delta_queue *q = queue_enter(i, call->request->dataset, call, a);
    while (!call->done) {
        if (!q->led) {
            lead(i, q);
        } else {
            CHECK(pthread_cond_wait(&i->delta_done, &i->lock) == 0);
        }
    }
    queue_leave(i, q, call);
}

enum err_code ingest_delta(struct ingest *i, const struct ingest_delta *d, struct arena *a,
                           struct ingest_delta_done *ret, struct err *err) {
    const int64_t start_us = clock_mono_us();
    struct delta_call call = {.request = d};
    bool done;
    TRY(replay(i, d, ret, &done, err));
    if (done) {
        return ERR_OK;
    }
    TRY(render(i, d, a, &call, err));
    if (call.row_count > 0) {
        wait_turn(i, &call, a);
    }
    if (call.code != ERR_OK) {
        counter_add(COUNTER_ingest_failures, 1);
        *err = call.err;
        return call.code;
    }
    *ret = call.result;
    ret->duration_us = clock_mono_us() - start_us;
    counter_add(COUNTER_ingest_rows, ret->rows.rows);
    return ERR_OK;
}
