// Altering: columns that come, go, and get other names and types, in one commit without rows.

#include "table/table_alter.h"

#include "catalog/catalog_suppression.h"
#include "table/table_commit.h"
#include "table/table_types.h"

#define COLUMNS_MAX 10000
#define NAME_MAX_BYTES 256

struct alter {
    const struct table_alter *request;
    struct arena *arena;
    const struct ice_metadata *base;
    struct ice_schema *schema; // what becomes of the current one
    int32_t last_column_id;
    bool unchanged;
};

static enum err_code check_name(struct str name, struct err *err) {
    bool plain = name.len > 0 && name.len <= NAME_MAX_BYTES && str_is_utf8(name);
    for (size_t i = 0; i < name.len && plain; i++) {
        plain = (unsigned char)name.ptr[i] >= 0x20 && name.ptr[i] != 0x7f;
    }
    if (!plain) {
        return err_set(err, ERR_INVALID,
                       "a column's name is UTF-8 text of 1 to %d bytes without control characters",
                       NAME_MAX_BYTES);
    }
    return table_check_column(name, err);
}

// By name: exactly, else without regard to case.
static struct ice_field *find(struct alter *a, struct str name) {
    const struct ice_field *found = ice_schema_find(a->schema, name);
    return found != NULL ? &a->schema->fields[found - a->schema->fields] : NULL;
}

static enum err_code need(struct alter *a, struct str name, struct ice_field **ret,
                          struct err *err) {
    *ret = find(a, name);
    if (*ret == NULL) {
        return err_set(err, ERR_NOT_FOUND, "dataset \"" STR_FMT "\" has no column \"" STR_FMT "\"",
                       STR_ARG(a->request->dataset), STR_ARG(str_slice(name, 0, 100)));
    }
    return ERR_OK;
}

static enum err_code taken(struct alter *a, struct str name, struct err *err) {
    return err_set(err, ERR_EXISTS,
                   "dataset \"" STR_FMT "\" has a column \"" STR_FMT
                   "\" already (names differ in more than case)",
                   STR_ARG(a->request->dataset), STR_ARG(name));
}

static enum err_code add(struct alter *a, const struct table_column_change *c, struct err *err) {
    struct ice_schema *s = a->schema;
    TRY(check_name(c->name, err));
    if (find(a, c->name) != NULL) {
        return c->lenient ? ERR_OK : taken(a, c->name, err);
    }
    if (s->field_count >= COLUMNS_MAX) {
        return err_set(err, ERR_TOO_LARGE, "a dataset has at most %d columns", COLUMNS_MAX);
    }
    struct ice_field *grown = arena_array(a->arena, s->field_count + 1, sizeof(*grown));
    if (s->fields != NULL) {
        memcpy(grown, s->fields, s->field_count * sizeof(*grown));
    }
    s->fields = grown;
    struct ice_field *f = &grown[s->field_count];
    *f = (struct ice_field){.name = c->name};
    TRY(table_type_parse(c->type, a->arena, &f->type, err));
    s->field_count++;
    ice_schema_assign_ids(s, &a->last_column_id);
    return ERR_OK;
}

// Does a partition spec or sort order of the table, made by another engine, speak of the field?
static bool layout_uses(const json_t *list, int32_t id) {
    size_t i;
    size_t k;
    const json_t *one;
    const json_t *field;
    json_array_foreach(list, i, one) {
        json_array_foreach(json_object_get(one, "fields"), k, field) {
            if (json_integer_value(json_object_get(field, "source-id")) == id) {
                return true;
            }
        }
    }
    return false;
}

static bool identifies(const struct ice_schema *s, int32_t id) {
    for (size_t i = 0; i < s->identifier_count; i++) {
        if (s->identifier_ids[i] == id) {
            return true;
        }
    }
    return false;
}

static enum err_code drop(struct alter *a, const struct table_column_change *c, struct err *err) {
    struct ice_field *f = find(a, c->name);
    struct ice_schema *s = a->schema;
    if (f == NULL && c->lenient) {
        return ERR_OK;
    }
    TRY(need(a, c->name, &f, err));
    if (s->field_count == 1) {
        return err_set(err, ERR_INVALID,
                       "\"" STR_FMT "\" is the last column of dataset \"" STR_FMT
                       "\": drop the dataset instead",
                       STR_ARG(f->name), STR_ARG(a->request->dataset));
    }
    const json_t *document = a->base->document;
    if (identifies(s, f->id) || layout_uses(json_object_get(document, "partition-specs"), f->id) ||
        layout_uses(json_object_get(document, "sort-orders"), f->id)) {
        return err_set(err, ERR_INVALID,
                       "column \"" STR_FMT "\" cannot go: the table is partitioned, sorted or "
                       "identified by it",
                       STR_ARG(f->name));
    }
    const size_t at = (size_t)(f - s->fields);
    memmove(f, f + 1, (s->field_count - at - 1) * sizeof(*f));
    s->field_count--;
    return ERR_OK;
}

static enum err_code rename_column(struct alter *a, const struct table_column_change *c,
                                   struct err *err) {
    struct ice_field *f = NULL;
    TRY(need(a, c->name, &f, err));
    TRY(check_name(c->to, err));
    const struct ice_field *other = find(a, c->to);
    if (other != NULL && other != f) {
        return taken(a, c->to, err);
    }
    f->name = c->to;
    return ERR_OK;
}

static enum err_code widen(struct alter *a, const struct table_column_change *c, struct err *err) {
    struct ice_field *f = NULL;
    struct ice_type type;
    TRY(need(a, c->name, &f, err));
    TRY(table_type_parse(c->type, a->arena, &type, err));
    if (ice_type_eq(&f->type, &type)) {
        return ERR_OK;
    }
    if (!ice_type_widens(&f->type, &type)) {
        return err_set(err, ERR_INVALID,
                       "column \"" STR_FMT "\" is " STR_FMT " and cannot become " STR_FMT
                       ": INTEGER widens to BIGINT, FLOAT to DOUBLE, DECIMAL(p,s) to a longer one "
                       "of the same scale; for others, add a column and UPDATE it",
                       STR_ARG(f->name), STR_ARG(ice_type_text(&f->type, a->arena)),
                       STR_ARG(ice_type_text(&type, a->arena)));
    }
    f->type = type;
    return ERR_OK;
}

static enum err_code allow_nulls(struct alter *a, const struct table_column_change *c,
                                 struct err *err) {
    struct ice_field *f = NULL;
    TRY(need(a, c->name, &f, err));
    if (identifies(a->schema, f->id)) {
        return err_set(err, ERR_INVALID,
                       "column \"" STR_FMT "\" identifies rows: it cannot hold NULLs",
                       STR_ARG(f->name));
    }
    f->required = false;
    return ERR_OK;
}

static enum err_code apply(struct alter *a, struct err *err) {
    static enum err_code (*const change[])(struct alter * a, const struct table_column_change *c,
                                           struct err *err) = {
        [TABLE_COLUMN_ADD] = add,
        [TABLE_COLUMN_DROP] = drop,
        [TABLE_COLUMN_RENAME] = rename_column,
        [TABLE_COLUMN_WIDEN] = widen,
        [TABLE_COLUMN_NULLABLE] = allow_nulls,
    };
    for (size_t i = 0; i < a->request->count; i++) {
        const struct table_column_change *c = &a->request->changes[i];
        TRY(change[c->op](a, c, err));
    }
    return ERR_OK;
}

static enum err_code prepare(struct table_commit *c, struct table_edit *e, struct err *err) {
    struct alter *a = c->ctx;
    const struct ice_schema *current = ice_metadata_schema(c->base.metadata);
    a->base = c->base.metadata;
    a->schema = ice_schema_copy(current, a->arena);
    a->last_column_id = MAX(a->base->last_column_id, ice_schema_highest_id(current));
    TRY(apply(a, err));
    a->unchanged = ice_schema_eq(a->schema, current);
    e->nothing = a->unchanged;
    e->schema = a->schema;
    e->last_column_id = a->last_column_id;
    return ERR_OK;
}

// Suppression lists of a column hold for its new name too.
static json_t *extras(struct table_commit *c) {
    const struct table_alter *r = ((const struct alter *)c->ctx)->request;
    json_t *changes = json_array();
    size_t count = 0;
    struct catalog_column_renamed *renamed = arena_array(c->arena, r->count, sizeof(*renamed));
    for (size_t i = 0; i < r->count; i++) {
        if (r->changes[i].op == TABLE_COLUMN_RENAME) {
            renamed[count++] =
                (struct catalog_column_renamed){r->changes[i].name, r->changes[i].to};
        }
    }
    catalog_suppression_columns_renamed(c->tables->catalog, c->dataset, renamed, count, changes);
    return changes;
}

enum err_code table_alter(struct tables *t, const struct table_alter *r, struct arena *a,
                          struct table_altered *ret, struct err *err) {
    struct catalog_dataset found;
    struct alter alter = {.request = r, .arena = a};
    TRY(table_dataset_use(t, r->dataset, a, &found, err));
    struct table_commit c = {.tables = t,
                             .dataset = found.name,
                             .dataset_id = found.id,
                             .who = r->who,
                             .prepare = prepare,
                             .extras = extras,
                             .ctx = &alter,
                             .arena = a};
    LOCKED(table_write_lock(t, found.name));
    TRY(table_commit_run(&c, err));
    *ret = (struct table_altered){.dataset = c.after,
                                  .schema = ice_metadata_schema(c.metadata),
                                  .unchanged = alter.unchanged};
    return ERR_OK;
}
