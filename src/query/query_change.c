// Statements that write: from the rows that one finds to the one commit that it makes.
//
// The rows are found in the state that the commit builds on, and again when another commit was
// quicker. They are held as a temporary table of the session, tarn_change, whose columns go by
// number, so that an expression is evaluated once, whatever is then done with its value.

#include "base/hash.h"
#include "catalog/catalog_view.h"
#include "query/query_int.h"
#include "table/table_types.h"

#define CREATE_ATTEMPTS 64
#define SQL_BYTES (256U << 20)

struct change {
    struct query *query;
    const struct guard_change *guard;
    struct arena *arena;
    struct str target; // the dataset's own name
};

static struct catalog_author author(const struct change *c) {
    return (struct catalog_author){.actor = c->query->principal,
                                   .action = str_from(c->guard->action),
                                   .reason = c->query->reason};
}

static struct query_change *done(struct change *c, struct str dataset, int64_t rows,
                                 int64_t snapshot_id) {
    struct query_change *ret = arena_alloc(c->arena, sizeof(*ret));
    const struct str action = str_from(c->guard->action);
    *ret = (struct query_change){.statement = str_slice(action, strlen("sql."), action.len),
                                 .dataset = dataset,
                                 .rows = rows,
                                 .snapshot_id = snapshot_id};
    c->query->change = ret;
    return ret;
}

static enum err_code at(struct err *err, const struct guard_name *name) {
    err->position = name->position;
    return err->code;
}

static enum err_code run_whole(struct session *s, struct str sql, struct err *err) {
    DEFER(rows_closep) struct rows *rows = NULL;
    const struct vec_chunk *chunk = NULL;
    TRY(session_query(s, sql, &rows, err)); // session_run binds no ENGINE_FALSE_LATE
    do {
        TRY(rows_next(rows, &chunk, err));
    } while (chunk != NULL);
    return ERR_OK;
}

static enum err_code run(struct change *c, struct str sql, struct err *err) {
    const enum err_code code = run_whole(c->query->session, sql, err);
    if (code != ERR_OK) {
        query_locate_error(c->query, err);
    }
    return code;
}

// ---- Requests that come twice

static struct catalog_idempotency idempotency(const struct change *c, const json_t *outcome) {
    return (struct catalog_idempotency){.principal = c->query->principal,
                                        .key = c->query->idempotency_key,
                                        .request_sha256 =
                                            hex_sha256(sha256(c->query->sql), c->arena),
                                        .outcome = outcome};
}

// Has an earlier request done it? Then query->change is set.
static enum err_code replay(struct change *c, struct err *err) {
    DEFER(json_decrefp) json_t *outcome = NULL;
    const struct catalog_idempotency i = idempotency(c, NULL);
    int64_t rows = 0;
    int64_t snapshot_id = 0;
    if (i.key.len == 0) {
        return ERR_OK;
    }
    TRY(catalog_idempotency_find(tables_catalog(c->query->service->tables), &i, &outcome, err));
    if (outcome != NULL) {
        (void)json_get_i64(outcome, "rows", &rows);
        (void)json_get_i64(outcome, "snapshot_id", &snapshot_id);
        struct query_change *change = done(c, c->target, rows, snapshot_id);
        change->replayed = true;
        (void)json_get_i64(outcome, "suppressed", &change->suppressed);
    }
    return ERR_OK;
}

static json_t *keep_outcome(void *ctx, const struct table_delta_done *d) {
    const struct change *c = ctx;
    DEFER(json_decrefp) json_t *outcome = json_object();
    const bool removes = c->guard->kind == GUARD_DELETE;
    if (c->query->idempotency_key.len == 0) {
        return NULL;
    }
    json_object_set_new(outcome, "rows", json_integer(removes ? d->removed : d->added));
    json_object_set_new(outcome, "snapshot_id", json_integer(d->snapshot_id));
    json_object_set_new(outcome, "suppressed", json_integer(d->suppressed));
    const struct catalog_idempotency i = idempotency(c, outcome);
    json_t *changes = json_array();
    catalog_idempotency_changes(tables_catalog(c->query->service->tables), &i, changes);
    return changes;
}

// ---- Columns

// Where the target's columns get their values from.
struct columns {
    const struct ice_schema *schema;
    int64_t *sources;                // of field i: the number of its value; -1: it has none
    const struct guard_name **names; // of field i, as the statement has it; NULL: not named
    struct str *types;               // the engine's, of what the query gives
    size_t count;
};

static enum err_code find_column(struct change *c, struct columns *cols, size_t number,
                                 struct err *err) {
    const struct guard_name *name = &c->guard->columns[number];
    const struct ice_field *f = ice_schema_find(cols->schema, name->text);
    if (f == NULL) {
        (void)err_set(err, ERR_SQL, "dataset \"" STR_FMT "\" has no column \"" STR_FMT "\"",
                      STR_ARG(c->guard->target.text), STR_ARG(str_slice(name->text, 0, 100)));
        return at(err, name);
    }
    const size_t i = (size_t)(f - cols->schema->fields);
    if (cols->sources[i] >= 0) {
        (void)err_set(err, ERR_SQL, "column \"" STR_FMT "\" is named twice", STR_ARG(f->name));
        return at(err, name);
    }
    cols->sources[i] = (int64_t)number;
    cols->names[i] = name;
    return ERR_OK;
}

static enum err_code find_columns(struct change *c, const struct ice_schema *schema,
                                  struct columns *ret, struct err *err) {
    *ret = (struct columns){
        .schema = schema,
        .sources = arena_array(c->arena, schema->field_count, sizeof(*ret->sources)),
        .names = arena_array(c->arena, schema->field_count, sizeof(void *)),
    };
    for (size_t i = 0; i < schema->field_count; i++) {
        ret->sources[i] = -1;
    }
    for (size_t i = 0; i < c->guard->column_count; i++) {
        TRY(find_column(c, ret, i, err));
    }
    return ERR_OK;
}

// v0, v1, ...
static void number_list(struct buf *out, const char *prefix, size_t count) {
    for (size_t i = 0; i < count; i++) {
        buf_printf(out, "%s%s%zu", i == 0 ? "" : ", ", prefix, i);
    }
}

// What the query gives.
static enum err_code describe(struct change *c, struct str sql, struct columns *ret,
                              struct err *err) {
    DEFER(rows_closep) struct rows *rows = NULL;
    const enum err_code code = session_query(
        c->query->session,
        arena_printf(c->arena, "SELECT * FROM (" STR_FMT ") LIMIT 0", STR_ARG(sql)), &rows, err);
    if (code != ERR_OK) {
        query_locate_error(c->query, err);
        return code;
    }
    ret->count = rows_column_count(rows);
    ret->types = arena_array(c->arena, ret->count, sizeof(*ret->types));
    for (size_t i = 0; i < ret->count; i++) {
        ret->types[i] = arena_str(c->arena, rows_column_type(rows, i)->text);
    }
    return ERR_OK;
}

// A value that is NULL in all rows has no type of its own.
static bool is_null(const struct columns *cols, size_t field) {
    return str_is(cols->types[cols->sources[field]], "\"NULL\"");
}

// ---- Values

static enum err_code text(struct change *c, struct str sql, struct str *ret, struct err *err) {
    return session_text(c->query->session, sql, c->arena, ret, err);
}

static enum err_code bad_value(struct columns *cols, size_t i, const char *what, struct err *err) {
    (void)err_set(err, ERR_DATA, "column \"" STR_FMT "\" %s", STR_ARG(cols->schema->fields[i].name),
                  what);
    if (cols->names[i] != NULL) {
        (void)at(err, cols->names[i]);
    }
    return err->code;
}

// Can all values become what the column holds?
static enum err_code check_cast(struct change *c, struct columns *cols, size_t i, struct err *err) {
    const struct ice_field *f = &cols->schema->fields[i];
    const struct str type = table_type_sql(&f->type, c->arena);
    const long long source = (long long)cols->sources[i];
    struct str value = STR_NONE;
    struct err failure = ERR_NONE;
    if (is_null(cols, i) || str_eq(cols->types[source], type)) {
        return ERR_OK;
    }
    const enum err_code code = text(
        c,
        arena_printf(c->arena,
                     "SELECT 'x' || CAST(v%lld AS VARCHAR) FROM tarn_change WHERE v%lld IS NOT "
                     "NULL AND TRY_CAST(v%lld AS " STR_FMT ") IS NULL LIMIT 1",
                     source, source, source, STR_ARG(type)),
        &value, &failure);
    if (code != ERR_OK) {
        *err = failure;
        err->position = cols->names[i] != NULL ? cols->names[i]->position : -1;
        return err_prefix(err, "column \"" STR_FMT "\": ", STR_ARG(f->name));
    }
    if (value.len == 0) {
        return ERR_OK;
    }
    return bad_value(cols, i,
                     arena_printf(c->arena, "is " STR_FMT ": '" STR_FMT "' cannot be stored in it",
                                  STR_ARG(type), STR_ARG(str_slice(value, 1, 101)))
                         .ptr,
                     err);
}

static enum err_code check_nulls(struct change *c, struct columns *cols, size_t i,
                                 struct err *err) {
    const long long source = (long long)cols->sources[i];
    struct str found = STR_NONE;
    if (!cols->schema->fields[i].required) {
        return ERR_OK;
    }
    TRY(text(c,
             source < 0
                 ? STR("SELECT 1 FROM tarn_change LIMIT 1")
                 : arena_printf(c->arena, "SELECT 1 FROM tarn_change WHERE v%lld IS NULL LIMIT 1",
                                source),
             &found, err));
    if (found.len == 0) {
        return ERR_OK;
    }
    return bad_value(cols, i,
                     arena_printf(c->arena,
                                  "takes no NULL (ALTER TABLE " STR_FMT " ALTER COLUMN " STR_FMT
                                  " DROP NOT NULL allows them)",
                                  STR_ARG(sql_ident(c->guard->target.text, c->arena)),
                                  STR_ARG(sql_ident(cols->schema->fields[i].name, c->arena)))
                         .ptr,
                     err);
}

// Values become the columns' types as they are stored. with_rest: fields that are not named keep
// what they hold (c0, c1, ...); else they get NULL.
static enum err_code check_values(struct change *c, struct columns *cols, bool with_rest,
                                  struct err *err) {
    for (size_t i = 0; i < cols->schema->field_count; i++) {
        if (cols->sources[i] >= 0) {
            TRY(check_cast(c, cols, i, err));
        }
        if (cols->sources[i] >= 0 || !with_rest) {
            TRY(check_nulls(c, cols, i, err));
        }
    }
    return ERR_OK;
}

static struct str source_sql(struct change *c, const struct columns *cols, bool with_rest) {
    DEFER(buf_release) struct buf out = BUF(SQL_BYTES);
    buf_add_cstr(&out, "(SELECT ");
    for (size_t i = 0; i < cols->schema->field_count; i++) {
        const struct ice_field *f = &cols->schema->fields[i];
        const struct str type = table_type_sql(&f->type, c->arena);
        buf_add_cstr(&out, i == 0 ? "" : ", ");
        if (cols->sources[i] >= 0 && !is_null(cols, i)) {
            buf_printf(&out, "CAST(v%lld AS " STR_FMT ")", (long long)cols->sources[i],
                       STR_ARG(type));
        } else if (cols->sources[i] < 0 && with_rest) {
            buf_printf(&out, "c%zu", i);
        } else {
            buf_printf(&out, "CAST(NULL AS " STR_FMT ")", STR_ARG(type));
        }
        buf_printf(&out, " AS " STR_FMT, STR_ARG(sql_ident(f->name, c->arena)));
    }
    buf_add_cstr(&out, " FROM tarn_change)");
    CHECK(!out.overflow);
    return arena_str(c->arena, buf_str(&out));
}

// ---- INSERT, UPDATE, DELETE

static enum err_code insert_rows(struct change *c, const struct table_pin *base,
                                 struct table_change_sql *ret, struct err *err) {
    DEFER(buf_release) struct buf sql = BUF(SQL_BYTES);
    struct query_base from = {.pin = base, .change = c->guard};
    struct query_bound bound;
    struct columns cols;
    TRY(query_bind(c->query, c->guard->rows, &from, &bound, err));
    TRY(find_columns(c, base->schema, &cols, err));
    TRY(describe(c, bound.sql, &cols, err));
    const bool named = c->guard->column_count > 0;
    const size_t want = named ? c->guard->column_count : base->schema->field_count;
    if (cols.count != want) {
        (void)err_set(err, ERR_SQL, "the query gives %zu columns, %s %zu", cols.count,
                      named ? "the list before it names" : "the dataset has", want);
        return at(err, &c->guard->target);
    }
    for (size_t i = 0; i < want && !named; i++) {
        cols.sources[i] = (int64_t)i;
    }
    buf_printf(&sql,
               "CREATE OR REPLACE TEMP TABLE tarn_change AS SELECT * FROM (" STR_FMT
               ") AS tarn_rows(",
               STR_ARG(bound.sql));
    number_list(&sql, "v", cols.count);
    buf_add_char(&sql, ')');
    TRY(run(c, buf_str(&sql), err));
    TRY(check_values(c, &cols, false, err));
    ret->places = STR("SELECT CAST(0 AS BIGINT) AS tarn_file, CAST(0 AS BIGINT) AS tarn_row WHERE "
                      "false");
    ret->source = source_sql(c, &cols, false);
    return ERR_OK;
}

// One row of the target is changed at most once.
static enum err_code check_once(struct change *c, struct err *err) {
    struct str twice = STR_NONE;
    TRY(text(c,
             STR("SELECT CASE WHEN count(*) <> count(DISTINCT (tarn_file * 1099511627776 + "
                 "tarn_row)) THEN 'x' END FROM tarn_change"),
             &twice, err));
    return twice.len == 0
               ? ERR_OK
               : err_set(err, ERR_REFUSED,
                         "an expression makes several rows of one: each row is set once");
}

static enum err_code update_rows(struct change *c, const struct table_pin *base,
                                 struct table_change_sql *ret, struct err *err) {
    DEFER(buf_release) struct buf sql = BUF(SQL_BYTES);
    struct query_base from = {.pin = base, .change = c->guard, .wants_places = true};
    struct query_bound bound;
    struct columns cols;
    const size_t want = c->guard->column_count + base->schema->field_count + 2;
    TRY(find_columns(c, base->schema, &cols, err));
    TRY(query_bind(c->query, c->guard->rows, &from, &bound, err));
    TRY(describe(c, bound.sql, &cols, err));
    if (cols.count != want) {
        return err_set(err, ERR_REFUSED, "an expression of SET stands for several columns");
    }
    buf_printf(&sql,
               "CREATE OR REPLACE TEMP TABLE tarn_change AS SELECT * FROM (" STR_FMT
               ") AS tarn_rows(",
               STR_ARG(bound.sql));
    number_list(&sql, "v", c->guard->column_count);
    buf_add_cstr(&sql, ", ");
    number_list(&sql, "c", base->schema->field_count);
    buf_add_cstr(&sql, ", tarn_file, tarn_row)");
    TRY(run(c, buf_str(&sql), err));
    TRY(check_once(c, err));
    TRY(check_values(c, &cols, true, err));
    ret->scan = from.scan;
    ret->places = STR("SELECT tarn_file, tarn_row FROM tarn_change");
    ret->source = source_sql(c, &cols, true);
    return ERR_OK;
}

static enum err_code delete_rows(struct change *c, const struct table_pin *base,
                                 struct table_change_sql *ret, struct err *err) {
    struct query_base from = {.pin = base, .change = c->guard, .wants_places = true};
    struct query_bound bound;
    TRY(query_bind(c->query, c->guard->rows, &from, &bound, err));
    ret->scan = from.scan;
    ret->places =
        arena_printf(c->arena, "SELECT * FROM (" STR_FMT ") AS tarn_rows(tarn_file, tarn_row)",
                     STR_ARG(bound.sql));
    return ERR_OK;
}

// The row as one value would show the columns that are the server's own.
static enum err_code refuse_row(const struct change *c, const struct ice_schema *schema,
                                struct err *err) {
    const struct str name = c->guard->row_name;
    if (name.len == 0 || ice_schema_find(schema, name) != NULL) {
        return ERR_OK;
    }
    err->position = -1;
    return err_set(err, ERR_REFUSED,
                   "\"" STR_FMT "\" alone is the whole row, which is not available in UPDATE and "
                   "DELETE: name its columns",
                   STR_ARG(name));
}

static enum err_code places(void *ctx, const struct table_pin *base, struct arena *a,
                            struct table_change_sql *ret, struct err *err) {
    struct change *c = ctx;
    (void)a; // the query's
    *ret = (struct table_change_sql){0};
    TRY(replay(c, err)); // the one that was quicker may have been the same request
    if (c->query->change != NULL) {
        return err_set(err, ERR_CONFLICT, "the statement was carried out already");
    }
    TRY(refuse_row(c, base->schema, err));
    switch (c->guard->kind) {
    case GUARD_INSERT:
        return insert_rows(c, base, ret, err);
    case GUARD_UPDATE:
        return update_rows(c, base, ret, err);
    default:
        return delete_rows(c, base, ret, err);
    }
}

// The dataset that the statement is about, which the principal may write.
static enum err_code find_target(struct change *c, struct catalog_dataset *ret, struct err *err) {
    if (query_permit(c->query, c->guard->target.text, CATALOG_WRITE, ret, err) != ERR_OK) {
        return at(err, &c->guard->target);
    }
    return ERR_OK;
}

// What the engine proposes instead of a name may be columns that are the server's own.
static void hide_own(const struct change *c, struct err *err) {
    char *end = strstr(err->msg, "\nCandidate bindings");
    const struct str file = c->guard->file_column;
    const char *own = arena_cstr(c->arena, str_slice(file, 0, MAX(file.len, 1) - 1));
    if (file.len > 0 && end != NULL && strstr(err->msg, own) != NULL) {
        *end = '\0';
    }
}

static void drop_temporary(struct session *s) {
    struct err none = ERR_NONE;
    (void)session_run(s, STR("DROP TABLE IF EXISTS tarn_change"), &none);
}

static enum err_code change_rows(struct change *c, struct err *err) {
    struct catalog_dataset target;
    struct table_delta_done end;
    TRY(find_target(c, &target, err));
    c->target = target.name;
    TRY(replay(c, err));
    if (c->query->change != NULL) {
        return ERR_OK;
    }
    const struct table_delta d = {.dataset = target.name,
                                  .mode = TABLE_DELTA_CHANGE,
                                  .places = places,
                                  .extras = keep_outcome,
                                  .ctx = c,
                                  .who = author(c),
                                  .session = c->query->session};
    const enum err_code code = table_delta(c->query->service->tables, &d, c->arena, &end, err);
    drop_temporary(c->query->session);
    if (code != ERR_OK && c->query->change != NULL) {
        *err = ERR_NONE;
        return ERR_OK;
    }
    if (code != ERR_OK) {
        if (code == ERR_SQL && c->guard->kind == GUARD_DELETE) {
            query_locate_error(c->query, err); // the others have looked
        }
        hide_own(c, err);
        return code;
    }
    done(c, end.dataset.name, c->guard->kind == GUARD_DELETE ? end.removed : end.added,
         end.snapshot_id)
        ->suppressed = end.suppressed;
    return ERR_OK;
}

// ---- CREATE, DROP

// The version of the target that the statement read, or 0.
static uint64_t version_read(const struct change *c, const struct query_bound *bound,
                             struct str target) {
    for (size_t i = 0; i < c->guard->rows->table_count; i++) {
        const struct table_pin *pin = &bound->pins[i];
        if (pin->metadata != NULL && str_eq(pin->dataset.name, target)) {
            return pin->dataset.version;
        }
    }
    return 0;
}

static enum err_code create_once(struct change *c, const struct catalog_dataset *there,
                                 bool *ret_again, struct err *err) {
    struct tables *t = c->query->service->tables;
    struct query_bound bound;
    struct table_written written;
    *ret_again = false;
    TRY(query_bind(c->query, c->guard->rows, NULL, &bound, err));
    const struct table_write w = {
        .dataset = there->name.len > 0 ? there->name : c->guard->target.text,
        // What they do not know of is not replaced.
        .mode = c->guard->replace && (there->name.len > 0 || c->query->rights->admin)
                    ? TABLE_REPLACE
                    : TABLE_CREATE,
        .nullable = true,
        .version = version_read(c, &bound, there->name),
        .source = arena_printf(c->arena, "(" STR_FMT ")", STR_ARG(bound.sql)),
        .who = author(c),
        .session = c->query->session,
    };
    const enum err_code code = table_write(t, &w, c->arena, &written, err);
    if (code != ERR_OK) {
        *ret_again = code == ERR_CONFLICT && w.version != 0;
        query_locate_error(c->query, err);
        return code;
    }
    done(c, written.dataset.name, written.rows, written.dataset.snapshot_id)->suppressed =
        written.suppressed;
    return ERR_OK;
}

static enum err_code permit_name(const struct change *c, struct str name, struct err *err) {
    return catalog_permit_name(tables_catalog(c->query->service->tables), c->query->rights, name,
                               err);
}

static enum err_code permit_make(const struct change *c, const struct guard_name *name,
                                 struct err *err) {
    TRY(catalog_permit_create(c->query->rights, STR_NONE, err));
    return permit_name(c, name->text, err);
}

static enum err_code create(struct change *c, struct err *err) {
    struct catalog_dataset there = {0};
    struct err missing = ERR_NONE;
    if (catalog_check_name(c->guard->target.text, err) != ERR_OK) {
        return at(err, &c->guard->target);
    }
    const enum err_code found = find_target(c, &there, &missing);
    const bool exists = found == ERR_OK;
    if (found == ERR_NOT_FOUND) {
        if (permit_make(c, &c->guard->target, err) != ERR_OK) {
            return at(err, &c->guard->target);
        }
    } else if (!exists) {
        *err = missing;
        return found;
    }
    if (exists && c->guard->lenient) {
        (void)done(c, there.name, 0, 0);
        return ERR_OK;
    }
    if (exists && !c->guard->replace) {
        (void)err_set(err, ERR_EXISTS,
                      "there is a dataset \"" STR_FMT "\" already (CREATE OR REPLACE TABLE puts "
                      "another in its place)",
                      STR_ARG(there.name));
        return at(err, &c->guard->target);
    }
    enum err_code code = ERR_OK;
    bool again = true;
    for (size_t i = 0; i < CREATE_ATTEMPTS && again; i++) {
        *err = ERR_NONE;
        code = create_once(c, &there, &again, err);
    }
    return code;
}

static enum err_code drop(struct change *c, struct err *err) {
    struct catalog_dataset target;
    const struct catalog_author who = author(c);
    uint64_t seq;
    const enum err_code code = find_target(c, &target, err);
    if (code == ERR_NOT_FOUND && c->guard->lenient) {
        *err = ERR_NONE;
        (void)done(c, c->guard->target.text, 0, 0);
        return ERR_OK;
    }
    TRY(code);
    TRY(table_drop(c->query->service->tables, target.name, &who, &seq, err));
    (void)done(c, target.name, target.rows, 0);
    return ERR_OK;
}

// ---- ALTER

static enum err_code rename_table(struct change *c, const struct catalog_dataset *target,
                                  struct err *err) {
    const struct catalog_author who = author(c);
    const struct guard_name *to = &c->guard->alters[0].column;
    uint64_t version;
    if (catalog_permit_rename(c->query->rights, target, to->text, err) != ERR_OK ||
        permit_name(c, to->text, err) != ERR_OK) {
        return at(err, to);
    }
    if (catalog_dataset_rename(tables_catalog(c->query->service->tables), target, to->text, &who,
                               &version, err) != ERR_OK) {
        return at(err, to);
    }
    (void)done(c, to->text, 0, 0);
    return ERR_OK;
}

static enum err_code alter_columns(struct change *c, const struct catalog_dataset *target,
                                   struct err *err) {
    static const enum table_column_op ops[] = {
        [GUARD_ADD_COLUMN] = TABLE_COLUMN_ADD,       [GUARD_DROP_COLUMN] = TABLE_COLUMN_DROP,
        [GUARD_RENAME_COLUMN] = TABLE_COLUMN_RENAME, [GUARD_RETYPE_COLUMN] = TABLE_COLUMN_WIDEN,
        [GUARD_ALLOW_NULLS] = TABLE_COLUMN_NULLABLE,
    };
    const struct guard_change *g = c->guard;
    struct table_column_change *changes = arena_array(c->arena, g->alter_count, sizeof(*changes));
    struct table_altered altered;
    for (size_t i = 0; i < g->alter_count; i++) {
        changes[i] = (struct table_column_change){.op = ops[g->alters[i].kind],
                                                  .name = g->alters[i].column.text,
                                                  .to = g->alters[i].to,
                                                  .type = g->alters[i].type,
                                                  .lenient = g->alters[i].lenient};
    }
    const struct table_alter r = {
        .dataset = target->name, .changes = changes, .count = g->alter_count, .who = author(c)};
    TRY(table_alter(c->query->service->tables, &r, c->arena, &altered, err));
    (void)done(c, altered.dataset.name, 0, 0);
    return ERR_OK;
}

static enum err_code alter(struct change *c, struct err *err) {
    struct catalog_dataset target;
    const enum err_code code = find_target(c, &target, err);
    if (code == ERR_NOT_FOUND && c->guard->lenient) {
        *err = ERR_NONE;
        (void)done(c, c->guard->target.text, 0, 0);
        return ERR_OK;
    }
    TRY(code);
    return c->guard->alters[0].kind == GUARD_RENAME_TABLE ? rename_table(c, &target, err)
                                                          : alter_columns(c, &target, err);
}

enum err_code query_change_run(struct query *q, const struct guard_change *g, struct err *err) {
    struct change c = {.query = q, .guard = g, .arena = q->arena};
    const bool of_rows =
        g->kind == GUARD_INSERT || g->kind == GUARD_UPDATE || g->kind == GUARD_DELETE;
    if (q->idempotency_key.len > 0 && !of_rows) {
        return err_set(err, ERR_INVALID,
                       "an Idempotency-Key is for INSERT, UPDATE and DELETE: other statements may "
                       "be sent again with IF EXISTS or IF NOT EXISTS");
    }
    switch (g->kind) {
    case GUARD_INSERT:
    case GUARD_UPDATE:
    case GUARD_DELETE:
        return change_rows(&c, err);
    case GUARD_CREATE:
        return create(&c, err);
    case GUARD_DROP:
        return drop(&c, err);
    case GUARD_ALTER:
        return alter(&c, err);
    }
    return ERR_OK;
}
