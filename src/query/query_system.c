// Tables of the server's own: what it knows of snapshots, files, queries and the journal, as rows.
//
// The rows are made when the statement is bound, and stand in its text as JSON constants of many
// rows each. They are bounded: what would be more is refused, with a word on the condition that
// makes it less.

#include <stdlib.h>

#include "base/clock.h"
#include "base/json.h"
#include "catalog/catalog_view.h"
#include "query/query_int.h"
#include "table/table_tombstone.h"

#define ROWS_MAX 200000
#define BYTES_MAX (96U << 20)
#define PIECE_BYTES (1U << 20) // of one constant
#define PIECE_MAX (16U << 20)  // a row is no larger than a transaction
#define PAGE 1000
#define LOOK_EVERY 256 // rows of the journal between two looks whether the query is still wanted

struct system {
    struct query *query;
    const struct guard_table *mention;
    struct buf json; // [{…}, …]
    struct jsonw writer;
    struct buf pieces; // ('[…]'), ('[…]'), …
    size_t rows;
};

// The rows that have been gathered become one more constant.
static void end_piece(struct system *s) {
    jsonw_end_array(&s->writer);
    const struct str rows = buf_str(&s->json);
    buf_add_cstr(&s->pieces, s->pieces.len == 0 ? "('" : "'), ('");
    for (size_t at = 0; at < rows.len;) {
        const char *quote = memchr(rows.ptr + at, '\'', rows.len - at);
        const size_t end = quote != NULL ? (size_t)(quote - rows.ptr) + 1 : rows.len;
        buf_add_str(&s->pieces, str_slice(rows, at, end));
        if (quote != NULL) {
            buf_add_char(&s->pieces, '\'');
        }
        at = end;
    }
    s->pieces.overflow = s->pieces.overflow || s->json.overflow;
    buf_reset(&s->json);
    s->writer = JSONW(&s->json);
    jsonw_array(&s->writer);
}

static enum err_code add_row(struct system *s, struct err *err) {
    s->rows++;
    if (s->json.len >= PIECE_BYTES) {
        end_piece(s);
    }
    if (s->rows > ROWS_MAX || s->pieces.overflow) {
        err->position = s->mention->position;
        (void)err_set(err, ERR_TOO_LARGE,
                      "system." STR_FMT
                      " has more than %d rows: ask for a part of them, such as %s",
                      STR_ARG(s->mention->name), ROWS_MAX,
                      s->mention->system == GUARD_JOURNAL ? "WHERE seq >= 1000"
                                                          : "WHERE dataset = 'flights'");
        err->position = s->mention->position;
        return ERR_TOO_LARGE;
    }
    return ERR_OK;
}

static void field_time(struct system *s, const char *key, int64_t us) {
    // Without a zone: the columns are timestamps in UTC.
    const struct str text = clock_rfc3339(us, s->query->arena);
    jsonw_field_str(&s->writer, key, str_slice(text, 0, 26));
}

// ---- Which rows are asked for

// Do the conditions of the statement leave rows in that have this text in this column?
static bool wants_text(const struct system *s, const char *column, struct str value) {
    for (size_t i = 0; i < s->mention->condition_count; i++) {
        const struct guard_condition *c = &s->mention->conditions[i];
        if (!str_eq_nocase(c->column, str_from(column)) || c->literal != GUARD_LITERAL_STRING ||
            (c->op != ICE_OP_EQ && c->op != ICE_OP_IN)) {
            continue;
        }
        bool found = false;
        for (size_t v = 0; v < c->value_count && !found; v++) {
            found = str_eq(c->values[v].text, value);
        }
        if (!found) {
            return false;
        }
    }
    return true;
}

// Which records the conditions leave in, and perhaps one more at either end.
static void narrow_records(const struct system *s, uint64_t *first, uint64_t *last) {
    for (size_t i = 0; i < s->mention->condition_count; i++) {
        const struct guard_condition *c = &s->mention->conditions[i];
        int64_t value = 0;
        if (!str_eq_nocase(c->column, STR("seq")) || c->literal != GUARD_LITERAL_NUMBER ||
            c->value_count != 1 || !str_to_i64(c->values[0].text, &value)) {
            continue;
        }
        if (c->op == ICE_OP_GE || c->op == ICE_OP_GT || c->op == ICE_OP_EQ) {
            *first = MAX(*first, (uint64_t)MAX(value, 0));
        }
        if (c->op == ICE_OP_LE || c->op == ICE_OP_LT || c->op == ICE_OP_EQ) {
            *last = MIN(*last, (uint64_t)MAX(value, 0));
        }
    }
}

// ---- Rows

static enum err_code add_snapshots(struct system *s, const struct table_pin *pin, struct err *err) {
    const struct ice_metadata *m = pin->metadata;
    struct jsonw *w = &s->writer;
    for (size_t i = 0; i < m->snapshot_count; i++) {
        const struct ice_snapshot *snap = &m->snapshots[i];
        const struct ice_totals totals = ice_totals_of(snap);
        TRY(add_row(s, err));
        jsonw_object(w);
        jsonw_field_str(w, "dataset", pin->dataset.name);
        jsonw_field_i64(w, "snapshot_id", snap->id);
        if (snap->parent_id != 0) {
            jsonw_field_i64(w, "parent_id", snap->parent_id);
        }
        jsonw_field_i64(w, "sequence_number", snap->sequence_number);
        field_time(s, "committed_at", snap->timestamp_ms * 1000);
        jsonw_field_str(w, "operation", snap->operation);
        jsonw_field_i64(w, "schema_id", snap->schema_id);
        if (totals.records >= 0 && totals.position_deletes >= 0) {
            jsonw_field_i64(w, "rows", totals.records - totals.position_deletes);
        }
        if (totals.data_files >= 0) {
            jsonw_field_i64(w, "data_files", totals.data_files);
        }
        jsonw_field_bool(w, "current", snap->id == m->current_snapshot_id);
        jsonw_end_object(w);
    }
    return ERR_OK;
}

static enum err_code add_files(struct system *s, const struct table_pin *pin, struct err *err) {
    struct table_scan scan;
    const struct table_conditions none = {0};
    struct jsonw *w = &s->writer;
    TRY(table_scan_plan(s->query->service->tables, pin, &none, s->query->arena, &scan, err));
    for (size_t i = 0; i < scan.file_count; i++) {
        const struct table_file *f = &scan.files[i];
        TRY(add_row(s, err));
        jsonw_object(w);
        jsonw_field_str(w, "dataset", pin->dataset.name);
        jsonw_field_str(w, "bucket", pin->bucket->name);
        jsonw_field_str(w, "path", f->object);
        jsonw_field_i64(w, "rows", f->file->record_count);
        jsonw_field_i64(w, "deleted_rows", f->deletes != NULL ? f->deletes->count : 0);
        jsonw_field_i64(w, "bytes", f->file->file_bytes);
        jsonw_field_i64(w, "schema_id", f->schema != NULL ? f->schema->schema_id : 0);
        jsonw_end_object(w);
    }
    return ERR_OK;
}

static enum err_code add_tombstones(struct system *s, const struct catalog_dataset *d,
                                    struct err *err) {
    const struct table_tombstone_list *list;
    const int64_t now_us = clock_wall_us();
    struct jsonw *w = &s->writer;
    if (d->tombstones.count == 0) {
        return ERR_OK;
    }
    TRY(table_tombstone_list_load(s->query->service->tables, d, s->query->arena, &list, err));
    for (size_t i = 0; i < list->count; i++) {
        const struct table_tombstone_item *item = &list->items[i];
        TRY(add_row(s, err));
        jsonw_object(w);
        jsonw_field_str(w, "dataset", d->name);
        jsonw_field_str(w, "row_key_column", list->column);
        jsonw_field_str(w, "row_key_value", item->value);
        jsonw_field_str(w, "actor", item->on_behalf_of.len > 0 ? item->on_behalf_of : item->actor);
        jsonw_field_str(w, "principal", item->actor);
        if (item->reason.len > 0) {
            jsonw_field_str(w, "reason", item->reason);
        }
        field_time(s, "tombstoned_at", item->time_us);
        jsonw_field_i64(w, "rows", item->rows);
        if (item->purge_not_before_us != 0) {
            field_time(s, "purge_not_before", item->purge_not_before_us);
        }
        if (item->purge_by_us != 0) {
            field_time(s, "purge_by", item->purge_by_us);
        }
        jsonw_field_bool(w, "overdue", table_tombstone_overdue(item, now_us));
        jsonw_field_str(w, "subject", table_tombstone_handle(item, s->query->arena));
        jsonw_end_object(w);
    }
    return ERR_OK;
}

static enum err_code add_table(struct system *s, struct str name, const char *kind, size_t columns,
                               struct err *err) {
    struct jsonw *w = &s->writer;
    if (!wants_text(s, "name", name) || !wants_text(s, "kind", str_from(kind))) {
        return ERR_OK;
    }
    TRY(add_row(s, err));
    jsonw_object(w);
    jsonw_field_str(w, "name", name);
    jsonw_field_str(w, "kind", str_from(kind));
    jsonw_field_i64(w, "columns", (int64_t)columns);
    jsonw_end_object(w);
    return ERR_OK;
}

static enum err_code add_dataset(struct system *s, const struct catalog_dataset *d,
                                 struct err *err) {
    if (s->mention->system == GUARD_TOMBSTONES) {
        return add_tombstones(s, d, err);
    }
    const struct table_want want = {.name = d->name};
    struct table_pin pin;
    struct err failure = ERR_NONE;
    const enum err_code code =
        table_pin_at(s->query->service->tables, &want, s->query->arena, &pin, &failure);
    if (code == ERR_NOT_FOUND) {
        return ERR_OK; // it went meanwhile
    }
    if (code != ERR_OK) {
        *err = failure;
        return code;
    }
    if (s->mention->system == GUARD_TABLES) {
        return add_table(s, d->name, "dataset", pin.schema->field_count, err);
    }
    return s->mention->system == GUARD_SNAPSHOTS ? add_snapshots(s, &pin, err)
                                                 : add_files(s, &pin, err);
}

static enum err_code add_datasets(struct system *s, struct err *err) {
    struct catalog *catalog = tables_catalog(s->query->service->tables);
    struct catalog_datasets page = {.more = true};
    struct str after = STR_NONE;
    const unsigned need =
        s->mention->system == GUARD_TOMBSTONES ? CATALOG_TOMBSTONE : CATALOG_READ_RAW;
    while (page.more) {
        catalog_dataset_list(catalog, after, PAGE, s->query->arena, &page);
        for (size_t i = 0; i < page.count; i++) {
            const struct catalog_dataset *d = &page.items[i];
            const unsigned rights = catalog_rights_on(s->query->rights, d->name, d->bucket);
            if ((rights & need) != 0 && wants_text(s, "dataset", d->name)) {
                TRY(add_dataset(s, d, err));
            }
            after = d->name;
        }
    }
    return ERR_OK;
}

// What the principal can name in a statement.
static enum err_code add_tables(struct system *s, struct err *err) {
    struct catalog *catalog = tables_catalog(s->query->service->tables);
    struct catalog_view *views;
    size_t count;
    TRY(add_datasets(s, err));
    TRY(catalog_view_list_permitted(catalog, s->query->rights, s->query->arena, &views, &count,
                                    err));
    for (size_t i = 0; i < count; i++) {
        TRY(add_table(s, views[i].name, "view", views[i].column_count, err));
    }
    return ERR_OK;
}

static enum err_code add_queries(struct system *s, struct err *err) {
    struct query_info *list;
    size_t count;
    struct jsonw *w = &s->writer;
    queries_list(s->query->service, s->query->rights->admin ? STR_NONE : s->query->principal,
                 s->query->arena, &list, &count);
    for (size_t i = 0; i < count; i++) {
        TRY(add_row(s, err));
        jsonw_object(w);
        jsonw_field_str(w, "query_id", list[i].id);
        jsonw_field_str(w, "principal", list[i].principal);
        jsonw_field_str(w, "state", list[i].state);
        field_time(s, "started_at", list[i].started_us);
        jsonw_field_i64(w, "elapsed_ms", list[i].elapsed_us / 1000);
        jsonw_end_object(w);
    }
    return ERR_OK;
}

struct journal {
    struct system *system;
    struct err *err;
    enum err_code code;
    size_t seen;
};

// Reading a long log takes its time: is the query still wanted?
static enum err_code still_wanted(struct query *q, struct err *err) {
    if (query_is_over(q)) {
        return err_set(err, ERR_CANCELLED, "the query was cancelled");
    }
    if (clock_mono_us() > q->start_us + q->timeout_us) {
        return err_set(err, ERR_TIMEOUT,
                       "the journal is too long to be read in the time of a query: ask for a part "
                       "of it, such as WHERE seq >= 1000");
    }
    return ERR_OK;
}

static void write_transaction(struct system *s, const struct txlog_item *item,
                              const struct str *values, const char *const *names, size_t count) {
    const json_t *details = json_object_get(item->transaction, "details");
    struct jsonw *w = &s->writer;
    jsonw_object(w);
    jsonw_field_i64(w, "seq", (int64_t)item->seq);
    field_time(s, "time", item->time_us);
    for (size_t i = 0; i < count; i++) {
        jsonw_field_str(w, names[i], values[i]);
    }
    if (details != NULL) {
        DEFER(arena_release) struct arena a = ARENA(SIZE_MAX);
        jsonw_field_str(w, "details", json_text(details, &a));
    }
    jsonw_end_object(w);
}

static bool add_transaction(void *ctx, const struct txlog_item *item) {
    static const char *const names[] = {"node",   "id",     "actor",  "action",
                                        "target", "reason", "outcome"};
    struct journal *j = ctx;
    struct str values[ARRAY_LEN(names)] = {item->node};
    bool wanted = wants_text(j->system, names[0], values[0]);
    for (size_t i = 1; i < ARRAY_LEN(names) && wanted; i++) {
        values[i] = STR("done"); // only an outcome may be missing
        (void)json_get_str(item->transaction, names[i], &values[i]);
        wanted = wants_text(j->system, names[i], values[i]);
    }
    if (j->seen++ % LOOK_EVERY == 0) {
        j->code = still_wanted(j->system->query, j->err);
    }
    if (wanted && j->code == ERR_OK) {
        j->code = add_row(j->system, j->err);
    }
    if (wanted && j->code == ERR_OK) {
        write_transaction(j->system, item, values, names, ARRAY_LEN(names));
    }
    return j->code == ERR_OK;
}

static enum err_code add_journal(struct system *s, struct err *err) {
    struct catalog *catalog = tables_catalog(s->query->service->tables);
    const struct catalog_bucket *bucket;
    struct journal j = {.system = s, .err = err, .code = ERR_OK};
    const struct txlog_walker walker = {add_transaction, &j};
    uint64_t last = txlog_seq(catalog_log(catalog));
    uint64_t first = 1;
    TRY(catalog_bucket_find(catalog, STR_NONE, &bucket, err));
    narrow_records(s, &first, &last);
    if (first > last) {
        return ERR_OK;
    }
    TRY(txlog_walk(bucket->store, first, last, &walker, err));
    return j.code;
}

// ---- As SQL

static const struct {
    enum guard_system table;
    const char *columns; // the structure of a row
    enum err_code (*add)(struct system *s, struct err *err);
} tables[] = {
    {GUARD_SNAPSHOTS,
     "[{\"dataset\":\"VARCHAR\",\"snapshot_id\":\"BIGINT\",\"parent_id\":\"BIGINT\","
     "\"sequence_number\":\"BIGINT\",\"committed_at\":\"TIMESTAMP\",\"operation\":\"VARCHAR\","
     "\"schema_id\":\"BIGINT\",\"rows\":\"BIGINT\",\"data_files\":\"BIGINT\","
     "\"current\":\"BOOLEAN\"}]",
     add_datasets},
    {GUARD_FILES,
     "[{\"dataset\":\"VARCHAR\",\"bucket\":\"VARCHAR\",\"path\":\"VARCHAR\",\"rows\":\"BIGINT\","
     "\"deleted_rows\":\"BIGINT\",\"bytes\":\"BIGINT\",\"schema_id\":\"BIGINT\"}]",
     add_datasets},
    {GUARD_QUERIES,
     "[{\"query_id\":\"VARCHAR\",\"principal\":\"VARCHAR\",\"state\":\"VARCHAR\","
     "\"started_at\":\"TIMESTAMP\",\"elapsed_ms\":\"BIGINT\"}]",
     add_queries},
    {GUARD_JOURNAL,
     "[{\"seq\":\"BIGINT\",\"time\":\"TIMESTAMP\",\"node\":\"VARCHAR\",\"id\":\"VARCHAR\","
     "\"actor\":\"VARCHAR\",\"action\":\"VARCHAR\",\"target\":\"VARCHAR\","
     "\"reason\":\"VARCHAR\",\"outcome\":\"VARCHAR\",\"details\":\"VARCHAR\"}]",
     add_journal},
    {GUARD_TOMBSTONES,
     "[{\"dataset\":\"VARCHAR\",\"row_key_column\":\"VARCHAR\","
     "\"row_key_value\":\"VARCHAR\",\"actor\":\"VARCHAR\",\"principal\":\"VARCHAR\","
     "\"reason\":\"VARCHAR\",\"tombstoned_at\":\"TIMESTAMP\",\"rows\":\"BIGINT\","
     "\"purge_not_before\":\"TIMESTAMP\",\"purge_by\":\"TIMESTAMP\","
     "\"overdue\":\"BOOLEAN\",\"subject\":\"VARCHAR\"}]",
     add_datasets},
    {GUARD_TABLES, "[{\"name\":\"VARCHAR\",\"kind\":\"VARCHAR\",\"columns\":\"BIGINT\"}]",
     add_tables},
};

enum err_code query_system_sql(struct query *q, const struct guard_table *mention, struct str *ret,
                               struct err *err) {
    size_t t = 0;
    while (t < ARRAY_LEN(tables) && tables[t].table != mention->system) {
        t++;
    }
    CHECK(t < ARRAY_LEN(tables));
    struct system s = {
        .query = q, .mention = mention, .json = BUF(PIECE_MAX), .pieces = BUF(BYTES_MAX)};
    s.writer = JSONW(&s.json);
    jsonw_array(&s.writer);
    enum err_code code = tables[t].add(&s, err);
    end_piece(&s);
    if (code == ERR_OK && s.pieces.overflow) {
        s.rows = ROWS_MAX;
        code = add_row(&s, err);
    }
    if (code == ERR_OK) {
        *ret = arena_printf(q->arena,
                            "SELECT unnest(from_json(tarn_rows, '%s'), max_depth := 2) FROM "
                            "(VALUES " STR_FMT "')) AS tarn_pieces(tarn_rows)",
                            tables[t].columns, STR_ARG(buf_str(&s.pieces)));
    }
    buf_release(&s.json);
    buf_release(&s.pieces);
    return code;
}
