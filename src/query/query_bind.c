// Binding: from the tables that a checked statement mentions to scans of one consistent state.

#include "base/hash.h"
#include "query/query_int.h"

#define PIN_ATTEMPTS 16

// A statement on its way through the guard, for the cache. What kind it is, its text says.
struct check {
    struct queries *service;
    struct str sql;
};

static enum err_code check_load(void *ctx, struct arena *own, const void **ret, struct err *err) {
    struct check *c = ctx;
    struct guard_statement *g;
    TRY(guard_check(c->service->parser, arena_str(own, c->sql), own, &g, err));
    *ret = g;
    return ERR_OK;
}

static enum err_code change_load(void *ctx, struct arena *own, const void **ret, struct err *err) {
    struct check *c = ctx;
    struct guard_change *g;
    TRY(guard_check_change(c->service->parser, arena_str(own, c->sql), own, &g, err));
    *ret = g;
    return ERR_OK;
}

static enum err_code check_text(struct query *q,
                                enum err_code (*load)(void *ctx, struct arena *own,
                                                      const void **ret, struct err *err),
                                const void **ret, struct err *err) {
    struct queries *s = q->service;
    if (q->sql.len > s->sql_max) {
        return err_set(err, ERR_TOO_LARGE, "the statement has %zu bytes; at most %zu are taken",
                       q->sql.len, s->sql_max);
    }
    struct check c = {.service = s, .sql = q->sql};
    struct cache_loader loader = {load, &c};
    return cache_get(s->guarded, q->sql, &loader, q->arena, ret, err);
}

enum err_code query_check(struct query *q, const struct guard_statement **ret, struct err *err) {
    const void *value = NULL;
    TRY(check_text(q, check_load, &value, err));
    *ret = value;
    return ERR_OK;
}

enum err_code query_check_change(struct query *q, const struct guard_change **ret,
                                 struct err *err) {
    const void *value = NULL;
    TRY(check_text(q, change_load, &value, err));
    *ret = value;
    return ERR_OK;
}

static bool may_read(const struct query *q, const struct catalog_dataset *d) {
    return (catalog_rights_on(q->rights, d->name, d->bucket) & CATALOG_READ_RAW) != 0;
}

// For the journal: what a statement that only reads wanted, unless it is told already.
static void note_attempt(struct query *q, const char *prefix, struct str name) {
    if (q->attempt.target.len == 0) {
        q->attempt.target = arena_printf(q->arena, "%s" STR_FMT, prefix, STR_ARG(name));
    }
}

static struct table_want want_of(const struct guard_table *mention, struct str name) {
    struct table_want want = {.name = name, .raw = mention->raw};
    if (mention->at == GUARD_AT_VERSION) {
        want.at = TABLE_AT_VERSION;
        want.value = mention->version;
    } else if (mention->at == GUARD_AT_TIMESTAMP) {
        want.at = TABLE_AT_TIMESTAMP;
        want.value = mention->timestamp_us;
    }
    return want;
}

// A bind under way.
struct bind {
    struct query *query;
    const struct guard_statement *statement;
    struct query_base *base; // or NULL
    struct table_pin *pins;
    struct view_pin *views;
};

// With the rows that are deleted there is a dataset alone.
static enum err_code find_named(const struct query *q, const struct guard_table *mention,
                                struct catalog_table *ret, struct err *err) {
    *ret = (struct catalog_table){0};
    return mention->raw ? query_permit(q, mention->name, CATALOG_READ_RAW, &ret->dataset, err)
                        : query_permit_table(q, mention->name, ret, err);
}

static enum err_code pin_table(struct query *q, const struct guard_table *mention,
                               const struct catalog_dataset *d, struct table_pin *ret,
                               struct err *err) {
    const struct table_want want = want_of(mention, d->name);
    TRY(table_pin_at(q->service->tables, &want, q->arena, ret, err));
    if (!may_read(q, &ret->dataset)) { // it was made anew meanwhile
        return err_set(err, ERR_NOT_FOUND, "no dataset \"" STR_FMT "\"", STR_ARG(mention->name));
    }
    return ERR_OK;
}

static enum err_code pin_named(struct bind *b, size_t i, struct err *err) {
    struct query *q = b->query;
    const struct guard_table *mention = &b->statement->tables[i];
    struct catalog_table found;
    enum err_code code = find_named(q, mention, &found, err);
    b->pins[i] = (struct table_pin){0};
    b->views[i] = (struct view_pin){0};
    if (code == ERR_OK && found.is_view) {
        const struct table_want want = want_of(mention, found.view.base);
        CHECK(q->service->views != NULL);
        code = view_pin_at(q->service->views, &found.view, &want, q->arena, &b->views[i], err);
    } else if (code == ERR_OK) {
        code = pin_table(q, mention, &found.dataset, &b->pins[i], err);
    }
    if (code != ERR_OK) {
        note_attempt(q, mention->raw ? GUARD_RAW : "", mention->name);
        err->position = mention->position;
    }
    return code;
}

static bool is_target(const struct bind *b, size_t i) {
    return b->base != NULL && b->base->wants_places && i == b->base->change->target_table;
}

static enum err_code pin_one(struct bind *b, size_t i, struct err *err) {
    const struct guard_table *mention = &b->statement->tables[i];
    struct table_pin *pin = &b->pins[i];
    if (mention->system != GUARD_NOT_SYSTEM) {
        *pin = (struct table_pin){0};
        return ERR_OK;
    }
    if (is_target(b, i)) {
        struct catalog_dataset d; // what the statement says of rows reads them
        *pin = *b->base->pin;
        if (query_permit(b->query, pin->dataset.name, CATALOG_READ_RAW, &d, err) != ERR_OK) {
            err->position = b->base->change->target.position;
            return err->code;
        }
        return ERR_OK;
    }
    TRY(pin_named(b, i, err));
    if (b->base != NULL && mention->at == GUARD_AT_NOW && pin->metadata != NULL &&
        str_eq(pin->dataset.id, b->base->pin->dataset.id)) {
        *pin = *b->base->pin;
        pin->raw = mention->raw;
    }
    return ERR_OK;
}

static bool view_agrees(const struct query *q, const struct view_pin *view) {
    bool agrees = true;
    for (size_t i = 0; i < view->pin_count && agrees; i++) {
        agrees = table_pin_current(q->service->tables, &view->pins[i], q->arena);
    }
    return agrees;
}

// How many states of datasets must belong to one moment.
static size_t count_pins(const struct bind *b) {
    size_t count = b->base != NULL ? 1 : 0;
    for (size_t i = 0; i < b->statement->table_count; i++) {
        count += MAX(b->views[i].pin_count, 1);
    }
    return count;
}

// Has any of the datasets moved since it was pinned? If none has, all pins held at one moment. The
// base of a change counts too, unless it has moved already: then the commit will fail, and this is
// done again.
static bool pins_agree(struct bind *b) {
    struct query *q = b->query;
    const bool held =
        b->base != NULL && table_pin_current(q->service->tables, b->base->pin, q->arena);
    for (size_t i = 0; i < b->statement->table_count; i++) {
        const struct table_pin *pin = &b->pins[i];
        const bool is_base = b->base != NULL && pin->metadata == b->base->pin->metadata;
        if (pin->metadata != NULL && !(is_base && !held) &&
            !table_pin_current(q->service->tables, pin, q->arena)) {
            return false;
        }
        if (!view_agrees(q, &b->views[i])) {
            return false;
        }
    }
    return true;
}

static enum err_code pin_all(struct bind *b, struct err *err) {
    const size_t count = b->statement->table_count;
    for (size_t attempt = 0; attempt < PIN_ATTEMPTS; attempt++) {
        for (size_t i = 0; i < count; i++) {
            TRY(pin_one(b, i, err));
        }
        if (count_pins(b) < 2 || pins_agree(b)) {
            return ERR_OK;
        }
    }
    return err_set(err, ERR_BUSY, "the datasets change too fast to be read together: try again");
}

static void note_snapshot(struct query *q, struct str name, const struct table_pin *pin) {
    struct query_snapshot s = {.dataset = name};
    s.snapshot_id = pin->snapshot != NULL ? pin->snapshot->id : 0;
    for (size_t i = 0; i < q->snapshot_count; i++) {
        if (str_eq(q->snapshots[i].dataset, s.dataset) &&
            q->snapshots[i].snapshot_id == s.snapshot_id) {
            return;
        }
    }
    q->snapshots[q->snapshot_count++] = s;
}

static void note_view(struct query *q, const struct catalog_view *v) {
    for (size_t i = 0; i < q->view_count; i++) {
        if (str_eq(q->views[i].name, v->name)) {
            return;
        }
    }
    q->views[q->view_count++] = (struct query_view){v->name, v->number, v->base};
}

// A view's is that of its base, under the name of the view, unless the base itself is read.
static void note_snapshots(const struct bind *b) {
    struct query *q = b->query;
    q->snapshots = arena_array(q->arena, b->statement->table_count, sizeof(*q->snapshots));
    q->snapshot_count = 0;
    q->views = arena_array(q->arena, b->statement->table_count, sizeof(*q->views));
    q->view_count = 0;
    for (size_t i = 0; i < b->statement->table_count; i++) {
        if (b->views[i].pin_count > 0) {
            const struct catalog_view *v = &b->views[i].view;
            note_view(q, v);
            note_snapshot(q, q->unmasked ? v->base : v->name, &b->views[i].pins[0]);
        } else if (b->pins[i].metadata != NULL) {
            note_snapshot(q, b->pins[i].dataset.name, &b->pins[i]);
        }
    }
}

// Are the constants of a condition right for the bounds of such a column?
static bool literal_fits(const struct guard_condition *c, enum ice_kind kind) {
    if (c->op == ICE_OP_IS_NULL || c->op == ICE_OP_NOT_NULL) {
        return true;
    }
    switch (c->literal) {
    case GUARD_LITERAL_STRING:
        return true;
    case GUARD_LITERAL_NUMBER:
        return kind == ICE_INT || kind == ICE_LONG || kind == ICE_FLOAT || kind == ICE_DOUBLE ||
               kind == ICE_DECIMAL;
    case GUARD_LITERAL_BOOLEAN:
        return kind == ICE_BOOLEAN;
    case GUARD_LITERAL_DATE:
        return kind == ICE_DATE || kind == ICE_TIMESTAMP || kind == ICE_TIMESTAMPTZ;
    case GUARD_LITERAL_TIMESTAMP:
        return kind == ICE_TIMESTAMP;
    case GUARD_LITERAL_TIMESTAMPTZ:
        return kind == ICE_TIMESTAMPTZ;
    }
    return false;
}

// The guard's conditions by field id; those on unknown columns are left to the engine to refuse.
static struct table_conditions conditions_of(const struct guard_table *mention,
                                             const struct table_pin *pin, struct arena *a) {
    struct ice_predicate *list = arena_array(a, mention->condition_count, sizeof(*list));
    size_t count = 0;
    for (size_t i = 0; i < mention->condition_count; i++) {
        const struct guard_condition *c = &mention->conditions[i];
        const struct ice_field *field = ice_schema_find(pin->schema, c->column);
        if (field != NULL && field->type.field_count == 0 && literal_fits(c, field->type.kind)) {
            list[count++] = (struct ice_predicate){.field_id = field->id,
                                                   .op = c->op,
                                                   .values = c->values,
                                                   .value_count = c->value_count};
        }
    }
    return (struct table_conditions){.items = list, .count = count};
}

// The target with its rows' places behind the columns, under names that no client knows.
static struct str places_sql(const struct bind *b, const struct table_pin *pin,
                             const struct table_scan *scan) {
    struct arena *a = b->query->arena;
    const struct guard_change *c = b->base->change;
    DEFER(buf_release) struct buf out = BUF(256U << 20);
    buf_printf(&out, "SELECT * FROM (" STR_FMT ") AS tarn_target(",
               STR_ARG(table_scan_places_sql(pin, scan, NULL, a)));
    for (size_t i = 0; i < pin->schema->field_count; i++) {
        buf_add_str(&out, sql_ident(pin->schema->fields[i].name, a));
        buf_add_cstr(&out, ", ");
    }
    buf_printf(&out, STR_FMT ", " STR_FMT ")", STR_ARG(c->file_column), STR_ARG(c->row_column));
    CHECK(!out.overflow);
    return arena_str(a, buf_str(&out));
}

static enum err_code bind_one(struct bind *b, size_t i, struct query_bound *bound, struct str *ret,
                              struct err *err) {
    struct query *q = b->query;
    const struct guard_table *mention = &b->statement->tables[i];
    const struct table_pin *pin = &b->pins[i];
    if (mention->system != GUARD_NOT_SYSTEM) {
        return query_system_sql(q, mention, ret, err);
    }
    if (b->views[i].pin_count > 0) {
        if (query_view_sql(q, &b->views[i], bound, ret, err) != ERR_OK) {
            err->position = mention->position;
            return err->code;
        }
        return ERR_OK;
    }
    struct table_scan scan;
    struct table_conditions conditions = conditions_of(mention, pin, q->arena);
    TRY(table_scan_plan(q->service->tables, pin, &conditions, q->arena, &scan, err));
    q->files += scan.file_count;
    q->pruned += scan.pruned;
    if (is_target(b, i)) {
        b->base->scan = scan;
        *ret = places_sql(b, pin, &scan);
    } else {
        if (q->service->hot != NULL) {
            hot_use(q->service->hot, pin, &scan, q->arena);
        }
        *ret = table_scan_sql(pin, &scan, q->arena);
    }
    return ERR_OK;
}

// Tables of system that show to each what is theirs; the others are an admin's.
static bool is_filtered(enum guard_system t) {
    return t == GUARD_SNAPSHOTS || t == GUARD_FILES || t == GUARD_QUERIES ||
           t == GUARD_TOMBSTONES || t == GUARD_TABLES;
}

// What can be said before any name is looked up. Datasets are asked for when they are pinned.
static enum err_code permit_rest(struct query *q, const struct guard_statement *g,
                                 struct err *err) {
    bool names = false;
    for (size_t i = 0; i < g->table_count; i++) {
        const struct guard_table *t = &g->tables[i];
        names = names || t->system == GUARD_NOT_SYSTEM;
        if (t->system != GUARD_NOT_SYSTEM && !is_filtered(t->system) && !q->rights->admin) {
            note_attempt(q, "system.", t->name);
            (void)err_set(err, ERR_DENIED,
                          "this token may not read system." STR_FMT
                          ": it takes the right admin on the server",
                          STR_ARG(t->name));
            err->position = t->position;
            return err->code;
        }
    }
    if (!names && catalog_rights_none(q->rights)) {
        return err_set(err, ERR_DENIED, "this token has no rights at all");
    }
    return ERR_OK;
}

// Where it runs: see query.h.
static bool is_jailed(const struct bind *b) {
    const struct query *q = b->query;
    bool views = false;
    for (size_t i = 0; i < b->statement->table_count; i++) {
        if (b->pins[i].metadata != NULL) {
            return false; // which they may read raw
        }
        views = views || b->views[i].pin_count > 0;
    }
    return !q->writes && !q->unmasked && !q->rights->admin &&
           (views || !catalog_rights_read_raw(q->rights));
}

enum err_code query_bind(struct query *q, const struct guard_statement *g, struct query_base *base,
                         struct query_bound *ret, struct err *err) {
    struct arena *a = q->arena;
    struct bind b = {.query = q, .statement = g, .base = base};
    struct str *scans = arena_array(a, g->table_count, sizeof(*scans));
    b.pins = arena_array(a, g->table_count, sizeof(*b.pins));
    b.views = arena_array(a, g->table_count, sizeof(*b.views));
    TRY(permit_rest(q, g, err));
    TRY(pin_all(&b, err));
    *ret = (struct query_bound){.pins = b.pins, .views = b.views, .jailed = is_jailed(&b)};
    ret->view_count = g->table_count;
    random_bytes(ret->local_key, sizeof(ret->local_key));
    note_snapshots(&b); // of a query that fails, too
    q->restricted = ret->jailed;
    if (ret->jailed) {
        TRY(query_place_leave(q, err));
    }
    for (size_t i = 0; i < g->table_count; i++) {
        TRY(bind_one(&b, i, ret, &scans[i], err));
    }
    ret->sql = guard_bind(g, scans, a);
    return ERR_OK;
}

static bool is_word(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           (unsigned char)c >= 0x80;
}

// First place where name stands as a whole word, whatever its case; -1 if nowhere.
static int64_t word_find(struct str text, struct str name) {
    for (size_t i = 0; i + name.len <= text.len; i++) {
        bool starts = i == 0 || !is_word(text.ptr[i - 1]);
        bool ends = i + name.len == text.len || !is_word(text.ptr[i + name.len]);
        if (starts && ends && str_eq_nocase(str_slice(text, i, i + name.len), name)) {
            return (int64_t)i;
        }
    }
    return -1;
}

void query_locate_error(const struct query *q, struct err *err) {
    err->position = -1; // the engine's own is one in the canonical text
    struct str rest = str_from(err->msg);
    struct str name;
    static const char *const leads[] = {"Referenced column \"", "Referenced table \"",
                                        "Function with name \"", "Column with name \"",
                                        "have a column named \""};
    for (size_t i = 0; i < ARRAY_LEN(leads); i++) {
        ptrdiff_t at = str_find(rest, str_from(leads[i]));
        if (at < 0) {
            continue;
        }
        struct str tail = str_slice(rest, (size_t)at + strlen(leads[i]), rest.len);
        if (str_cut(&tail, '"', &name) && name.len > 0) {
            err->position = word_find(q->sql, name);
            return;
        }
    }
}
