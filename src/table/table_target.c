// What a write makes of its source: types, ids, casts, and every difference by name.

#include "table/table_int.h"
#include "table/table_types.h"

#define COLUMNS_MAX 10000

#define DIFFERENCES_BYTES 360 // as much of them as a message has room for

// Differences between a source and a dataset, collected for one message.
struct differences {
    struct buf text;
    size_t count, told; // told: those in the text
};

static void difference_text(struct differences *d, struct str text) {
    if (d->told == d->count && (d->told == 0 || d->text.len + text.len <= DIFFERENCES_BYTES)) {
        buf_add_cstr(&d->text, d->told == 0 ? "" : "; ");
        buf_add_str(&d->text, text);
        d->told++;
    }
    d->count++;
}

static void difference(struct differences *d, struct str column, const char *what,
                       struct arena *a) {
    difference_text(d, arena_printf(a, "\"" STR_FMT "\" %s", STR_ARG(column), what));
}

static void differences_release(struct differences *d) {
    buf_release(&d->text);
}

enum err_code table_check_column(struct str name, struct err *err) {
    static const char *const taken[] = {"tarn_batch", "tarn_order", "tarn_shown"};
    for (size_t i = 0; i < ARRAY_LEN(taken); i++) {
        if (str_eq_nocase(name, str_from(taken[i]))) {
            return err_set(err, ERR_DATA, "a column cannot be called \"%s\": rename it", taken[i]);
        }
    }
    return ERR_OK;
}

static enum err_code shape_check(const struct table_shape *shape, struct err *err) {
    if (shape->count == 0) {
        return err_set(err, ERR_DATA, "the file has no columns");
    }
    if (shape->count > COLUMNS_MAX) {
        return err_set(err, ERR_TOO_LARGE, "the file has %zu columns; a dataset has at most %d",
                       shape->count, COLUMNS_MAX);
    }
    for (size_t i = 0; i < shape->count; i++) {
        TRY(table_check_column(shape->columns[i].name, err));
    }
    return ERR_OK;
}

// "expr" or "expr AS name", added to a SELECT list.
static void select_add(struct buf *list, struct str expr, struct str name, struct arena *a) {
    struct str ident = sql_ident(name, a);
    buf_add_cstr(list, list->len == 0 ? "" : ", ");
    buf_add_str(list, expr);
    if (!str_eq(expr, ident)) {
        buf_printf(list, " AS " STR_FMT, STR_ARG(ident));
    }
}

// A replaced dataset keeps the ids of columns that stay what they were.
static void reuse_ids(const struct ice_metadata *base, struct ice_field *f, struct arena *a) {
    if (base == NULL) {
        return;
    }
    const struct ice_field *old = ice_schema_find(ice_metadata_schema(base), f->name);
    if (old != NULL && str_eq(old->name, f->name) && ice_type_eq(&old->type, &f->type)) {
        struct ice_schema one = {.fields = arena_alloc(a, sizeof(*old)), .field_count = 1};
        one.fields[0] = *old;
        *f = ice_schema_copy(&one, a)->fields[0];
        f->required = false;
    }
}

enum err_code table_target_new(const struct table_shape *shape, const struct ice_metadata *base,
                               const struct table_write *w, struct arena *a,
                               struct table_target *ret, struct err *err) {
    (void)w;
    TRY(shape_check(shape, err));
    DEFER(buf_release) struct buf list = BUF(16U << 20);
    struct ice_schema *s = arena_alloc(a, sizeof(*s));
    s->fields = arena_array(a, shape->count, sizeof(*s->fields));
    s->field_count = shape->count;
    for (size_t i = 0; i < shape->count; i++) {
        const struct table_column *c = &shape->columns[i];
        struct ice_field *f = &s->fields[i];
        f->name = c->name;
        TRY(table_type_of(c->type, c->name, a, &f->type, err));
        select_add(&list, table_column_sql(c->name, c->type, &f->type, a), c->name, a);
        reuse_ids(base, f, a);
    }
    ret->last_column_id = base != NULL ? base->last_column_id : 0;
    ice_schema_assign_ids(s, &ret->last_column_id);
    ret->schema = s;
    ret->evolved = true;
    ret->select = arena_str(a, buf_str(&list));
    return ERR_OK;
}

bool table_target_fits(const struct table_target *target, const struct ice_metadata *now) {
    const struct ice_schema *current = ice_metadata_schema(now);
    for (size_t i = 0; i < target->schema->field_count; i++) {
        struct ice_field want = target->schema->fields[i];
        const struct ice_field *have = ice_schema_find_id(current, want.id);
        if (have == NULL && want.id > now->last_column_id) {
            continue;
        }
        if (have == NULL) {
            return false;
        }
        want.required = have->required;
        struct ice_field old = *have;
        struct ice_schema x = {.fields = &want, .field_count = 1};
        struct ice_schema y = {.fields = &old, .field_count = 1};
        if (!ice_schema_eq(&x, &y)) {
            return false;
        }
    }
    return true;
}

static const struct table_column *shape_find(const struct table_shape *shape, struct str name) {
    const struct table_column *found = NULL;
    for (size_t i = 0; i < shape->count; i++) {
        if (str_eq(shape->columns[i].name, name)) {
            return &shape->columns[i];
        }
        if (str_eq_nocase(shape->columns[i].name, name)) {
            found = &shape->columns[i];
        }
    }
    return found;
}

// May values of `from` be stored as `to` with nothing lost?
static bool stores_as(const struct ice_type *from, const struct ice_type *to) {
    if (ice_type_eq(from, to) || ice_type_widens(from, to)) {
        return true;
    }
    if (to->field_count > 0) {
        bool all = from->kind == to->kind && from->field_count == to->field_count;
        for (size_t i = 0; all && i < to->field_count; i++) {
            all = str_eq(from->fields[i].name, to->fields[i].name) &&
                  stores_as(&from->fields[i].type, &to->fields[i].type);
        }
        return all;
    }
    switch (to->kind) {
    case ICE_DOUBLE:
        return from->kind == ICE_INT;
    case ICE_DECIMAL: {
        int whole = to->precision - to->scale;
        return (from->kind == ICE_INT && whole >= 10) || (from->kind == ICE_LONG && whole >= 19);
    }
    case ICE_TIMESTAMP:
        return from->kind == ICE_DATE;
    default:
        return false;
    }
}

// One column of the dataset: takes it from the source, or notes how they differ.
static void append_column(const struct table_column *c, struct ice_field *f,
                          const struct table_write *w, struct differences *diff, struct buf *list,
                          struct arena *a) {
    if (c == NULL) {
        if (!w->evolve) {
            difference(diff, f->name, "is missing in the file (evolve=true fills it with NULL)", a);
        }
        f->required = false;
        struct str type = table_type_sql(&f->type, a);
        select_add(list, arena_printf(a, "CAST(NULL AS " STR_FMT ")", STR_ARG(type)), f->name, a);
        return;
    }
    struct ice_type from;
    struct err why = ERR_NONE;
    if (table_type_of(c->type, c->name, a, &from, &why) != ERR_OK) {
        difference_text(diff, arena_str(a, str_from(why.msg)));
        return;
    }
    if (!stores_as(&from, &f->type)) {
        bool widens = ice_type_widens(&f->type, &from);
        if (!widens || !w->evolve) {
            difference(diff, f->name,
                       arena_printf(a, "is " STR_FMT " in the file, " STR_FMT " in the dataset%s",
                                    STR_ARG(ice_type_text(&from, a)),
                                    STR_ARG(ice_type_text(&f->type, a)),
                                    widens ? " (evolve=true widens it)" : "")
                           .ptr,
                       a);
            return;
        }
        f->type = from;
    }
    select_add(list, table_column_sql(c->name, c->type, &f->type, a), f->name, a);
}

// Columns of the source that the dataset lacks.
static void append_new_columns(const struct table_shape *shape, struct ice_schema *s,
                               const struct table_write *w, struct differences *diff,
                               struct buf *list, struct arena *a) {
    size_t known = s->field_count;
    struct ice_schema before = *s;
    struct ice_field *fields = arena_array(a, known + shape->count, sizeof(*fields));
    memcpy(fields, s->fields, known * sizeof(*fields));
    s->fields = fields;
    for (size_t i = 0; i < shape->count; i++) {
        const struct table_column *c = &shape->columns[i];
        if (ice_schema_find(&before, c->name) != NULL) {
            continue;
        }
        if (!w->evolve) {
            difference(diff, c->name, "is not in the dataset (evolve=true adds it)", a);
            continue;
        }
        struct ice_field *f = &s->fields[s->field_count];
        struct err why = ERR_NONE;
        f->name = c->name;
        if (table_type_of(c->type, c->name, a, &f->type, &why) != ERR_OK) {
            difference_text(diff, arena_str(a, str_from(why.msg)));
            continue;
        }
        s->field_count++;
        select_add(list, table_column_sql(c->name, c->type, &f->type, a), c->name, a);
    }
}

enum err_code table_target_append(const struct table_shape *shape, const struct ice_metadata *base,
                                  const struct table_write *w, struct arena *a,
                                  struct table_target *ret, struct err *err) {
    TRY(shape_check(shape, err));
    DEFER(buf_release) struct buf list = BUF(16U << 20);
    DEFER(differences_release) struct differences diff = {.text = BUF(1U << 20)};
    const struct ice_schema *current = ice_metadata_schema(base);
    struct ice_schema *s = ice_schema_copy(current, a);
    for (size_t i = 0; i < s->field_count; i++) {
        append_column(shape_find(shape, s->fields[i].name), &s->fields[i], w, &diff, &list, a);
    }
    append_new_columns(shape, s, w, &diff, &list, a);
    if (diff.count > diff.told) {
        buf_printf(&diff.text, "; and %zu more", diff.count - diff.told);
    }
    if (diff.count > 0) {
        return err_set(err, ERR_SCHEMA,
                       "%zu column%s differ%s from dataset \"" STR_FMT "\": " STR_FMT, diff.count,
                       diff.count == 1 ? "" : "s", diff.count == 1 ? "s" : "", STR_ARG(w->dataset),
                       STR_ARG(buf_str(&diff.text)));
    }
    ret->base_schema_id = base->current_schema_id;
    ret->last_column_id = base->last_column_id;
    ice_schema_assign_ids(s, &ret->last_column_id);
    ret->evolved = !ice_schema_eq(s, current);
    ret->schema = s;
    ret->select = arena_str(a, buf_str(&list));
    return ERR_OK;
}
