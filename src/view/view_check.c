// Checking a definition against its base as it is now.

#include "view/view_int.h"

struct checking {
    struct views *views;
    const struct view_wish *wish;
    struct arena *arena;
    struct table_pin base;
    struct catalog_view *ret;
};

// ---- Columns

static bool is_twice(const struct catalog_view_column *columns, size_t count, int32_t id) {
    for (size_t i = 0; i < count; i++) {
        if (columns[i].field_id == id) {
            return true;
        }
    }
    return false;
}

static enum err_code check_column(const struct checking *c, size_t i,
                                  struct catalog_view_column *columns, struct err *err) {
    const struct catalog_view_column *wish = &c->wish->columns[i];
    const struct ice_field *f = ice_schema_find(c->base.schema, wish->name);
    if (f == NULL) {
        return err_set(err, ERR_INVALID, "dataset \"" STR_FMT "\" has no column \"" STR_FMT "\"",
                       STR_ARG(c->base.dataset.name), STR_ARG(wish->name));
    }
    if (is_twice(columns, i, f->id)) {
        return err_set(err, ERR_INVALID, "column \"" STR_FMT "\" is named twice", STR_ARG(f->name));
    }
    if (!view_mask_fits(&wish->mask, &f->type)) {
        return err_set(err, ERR_INVALID,
                       "column \"" STR_FMT "\" is of type " STR_FMT
                       ": only dates and timestamps are truncated",
                       STR_ARG(f->name), STR_ARG(ice_type_text(&f->type, c->arena)));
    }
    columns[i] = (struct catalog_view_column){
        .name = arena_str(c->arena, f->name), .field_id = f->id, .mask = wish->mask};
    return ERR_OK;
}

static enum err_code check_columns(struct checking *c, struct err *err) {
    const size_t count = c->wish->column_count;
    struct catalog_view_column *columns = arena_array(c->arena, count, sizeof(*columns));
    if (count == 0 || count > CATALOG_VIEW_COLUMNS_MAX) {
        return err_set(err, ERR_INVALID, "a view shows 1 to %d columns", CATALOG_VIEW_COLUMNS_MAX);
    }
    for (size_t i = 0; i < count; i++) {
        TRY(check_column(c, i, columns, err));
    }
    c->ret->columns = columns;
    c->ret->column_count = count;
    return ERR_OK;
}

// ---- The filter

// The datasets of its tables; pins[base] is the base.
static enum err_code pin_tables(struct checking *c, const struct guard_filter *f,
                                struct table_pin **ret, struct err *err) {
    const struct guard_statement *g = f->statement;
    *ret = arena_array(c->arena, g->table_count, sizeof(**ret));
    for (size_t i = 0; i < g->table_count; i++) {
        const struct table_want want = {.name = g->tables[i].name};
        (*ret)[i] = c->base;
        if (i == f->base) {
            continue;
        }
        if (table_pin_at(c->views->tables, &want, c->arena, &(*ret)[i], err) != ERR_OK) {
            err->position = g->tables[i].position;
            return err->code;
        }
    }
    return ERR_OK;
}

struct uses {
    struct catalog_view_use *items;
    size_t count, cap;
};

static void add_use(struct uses *u, const struct catalog_view_use *use, struct arena *a) {
    u->items = arena_grow(a, u->items, &u->cap, u->count + 1, sizeof(*u->items));
    u->items[u->count++] = *use;
}

// Every column that a name of the filter may mean.
static void find_uses(struct checking *c, const struct guard_filter *f,
                      const struct table_pin *pins) {
    struct uses u = {0};
    for (size_t t = 0; t < f->statement->table_count; t++) {
        const size_t before = u.count;
        const struct str id = t == f->base ? STR_NONE : arena_str(c->arena, pins[t].dataset.id);
        for (size_t i = 0; i < f->column_count; i++) {
            const struct ice_field *field = ice_schema_find(pins[t].schema, f->columns[i]);
            if (field != NULL) {
                const struct catalog_view_use use = {.name = arena_str(c->arena, field->name),
                                                     .field_id = field->id,
                                                     .dataset_id = id};
                add_use(&u, &use, c->arena);
            }
        }
        if (u.count == before && t != f->base) {
            add_use(&u, &(struct catalog_view_use){.dataset_id = id}, c->arena);
        }
    }
    c->ret->uses = u.items;
    c->ret->use_count = u.count;
}

static enum err_code prepare(struct checking *c, struct session *s, struct str sql,
                             struct rows **ret, struct err *err) {
    const struct str limited =
        arena_printf(c->arena, "SELECT * FROM (" STR_FMT "\n) AS tarn_view LIMIT 0", STR_ARG(sql));
    if (session_query(s, limited, ret, err) != ERR_OK) {
        err->position = -1; // the engine's own is one in the canonical text
        return err_prefix(err, "the row filter: ");
    }
    return ERR_OK;
}

// Typed, and without a row: nothing is read.
static struct str empty_sql(const struct table_pin *pin, struct arena *a) {
    const struct table_scan none = {0};
    return table_scan_sql(pin, &none, a);
}

static enum err_code check_type(struct checking *c, struct session *s, struct err *err) {
    struct guard_statement *g;
    DEFER(rows_closep) struct rows *rows = NULL;
    TRY(view_shown_check(c->views->parser, c->base.dataset.name, c->ret->row_filter, c->arena, &g,
                         err));
    struct str *scans = arena_array(c->arena, g->table_count, sizeof(*scans));
    for (size_t i = 0; i < g->table_count; i++) {
        const struct table_want want = {.name = g->tables[i].name};
        struct table_pin pin;
        TRY(table_pin_at(c->views->tables, &want, c->arena, &pin, err));
        scans[i] = empty_sql(&pin, c->arena);
    }
    TRY(prepare(c, s, guard_bind(g, scans, c->arena), &rows, err));
    const struct vec_type *type = rows_column_type(rows, rows_column_count(rows) - 1);
    if (type->kind != VEC_BOOL) {
        return err_set(err, ERR_INVALID,
                       "the row filter is of type " STR_FMT
                       "; it must be a condition, which is true or false",
                       STR_ARG(type->text));
    }
    return ERR_OK;
}

static enum err_code check_bind(struct checking *c, const struct guard_filter *f,
                                const struct table_pin *pins, struct err *err) {
    DEFER(session_closep) struct session *s = NULL;
    DEFER(rows_closep) struct rows *rows = NULL;
    struct str *scans = arena_array(c->arena, f->statement->table_count, sizeof(*scans));
    for (size_t i = 0; i < f->statement->table_count; i++) {
        scans[i] = empty_sql(&pins[i], c->arena);
    }
    TRY(session_open(c->views->engine, &s, err));
    TRY(prepare(c, s, guard_bind(f->statement, scans, c->arena), &rows, err));
    rows_close(TAKE(rows));
    return check_type(c, s, err);
}

static enum err_code check_filter(struct checking *c, struct err *err) {
    const struct guard_filter *f;
    struct table_pin *pins;
    c->ret->row_filter = arena_str(c->arena, c->wish->row_filter);
    if (c->ret->row_filter.len > CATALOG_VIEW_FILTER_MAX) {
        return err_set(err, ERR_TOO_LARGE, "the row filter has %zu bytes; at most %d are taken",
                       c->ret->row_filter.len, CATALOG_VIEW_FILTER_MAX);
    }
    TRY(view_filter_get(c->views, c->base.dataset.name, c->ret->row_filter, c->arena, &f, err));
    TRY(pin_tables(c, f, &pins, err));
    TRY(check_bind(c, f, pins, err));
    find_uses(c, f, pins);
    return ERR_OK;
}

enum err_code view_check(struct views *v, const struct view_wish *w, struct arena *a,
                         struct catalog_view *ret, struct err *err) {
    const struct table_want want = {.name = w->base};
    struct catalog_view view = {.name = arena_str(a, w->name)};
    struct checking c = {.views = v, .wish = w, .arena = a, .ret = &view};
    TRY(catalog_check_name(w->name, err));
    TRY(table_pin_at(v->tables, &want, a, &c.base, err));
    view.base = c.base.dataset.name;
    view.base_id = c.base.dataset.id;
    TRY(check_columns(&c, err));
    if (str_trim(w->row_filter).len > 0) {
        TRY(check_filter(&c, err));
    }
    *ret = view;
    return ERR_OK;
}
