// What the journal tells of a commit beside who, what and why: counts, ids, and names of columns;
// never a value of a row.

#include "table/table_commit.h"

#define COLUMNS_MAX 100 // named of one commit

static void add_count(json_t *j, const char *key, int64_t n) {
    if (n > 0 && json_object_get(j, key) == NULL) {
        json_object_set_new(j, key, json_integer(n));
    }
}

static void add_snapshot(json_t *j, const struct ice_snapshot *s,
                         const struct table_change *change) {
    const struct table_tally *in = &change->added;
    const struct table_tally *out = &change->removed;
    json_object_set_new(j, "snapshot", json_integer(s->id));
    json_object_set_new(j, "operation", json_new_str(s->operation));
    add_count(j, "rows_added", in->rows);
    add_count(j, "rows_removed", out->rows);
    // A file that loses more rows gets one new delete file with all of them.
    add_count(j, "rows_deleted", in->deleted_rows - out->deleted_rows);
    add_count(j, "deletes_removed", out->deleted_rows - in->deleted_rows);
    add_count(j, "files_added", in->files);
    add_count(j, "files_removed", out->files);
    add_count(j, "delete_files_added", in->delete_files);
    add_count(j, "delete_files_removed", out->delete_files);
}

// ---- Columns

struct columns {
    json_t *list;
    int64_t left_out;
    struct arena *arena;
};

static void add_column(struct columns *c, const char *change, const struct ice_field *f,
                       const struct ice_field *was) {
    if (json_array_size(c->list) >= COLUMNS_MAX) {
        c->left_out++;
        return;
    }
    json_t *j = json_object();
    json_object_set_new(j, "change", json_string(change));
    json_object_set_new(j, "name", json_new_str(f->name));
    if (was != NULL && !str_eq(was->name, f->name)) {
        json_object_set_new(j, "was", json_new_str(was->name));
    }
    json_object_set_new(j, "type", json_new_str(ice_type_text(&f->type, c->arena)));
    json_array_append_new(c->list, j);
}

static const struct ice_field *field_by_id(const struct ice_schema *s, int32_t id) {
    for (size_t i = 0; i < s->field_count; i++) {
        if (s->fields[i].id == id) {
            return &s->fields[i];
        }
    }
    return NULL;
}

static void add_columns(json_t *j, const struct ice_schema *before, const struct ice_schema *after,
                        struct arena *a) {
    struct columns c = {.list = json_array(), .arena = a};
    for (size_t i = 0; i < before->field_count; i++) {
        const struct ice_field *was = &before->fields[i];
        const struct ice_field *is = field_by_id(after, was->id);
        if (is == NULL) {
            add_column(&c, "dropped", was, NULL);
        } else if (!str_eq(is->name, was->name) || !ice_type_eq(&is->type, &was->type) ||
                   is->required != was->required) {
            add_column(&c, "changed", is, was);
        }
    }
    for (size_t i = 0; i < after->field_count; i++) {
        if (field_by_id(before, after->fields[i].id) == NULL) {
            add_column(&c, "added", &after->fields[i], NULL);
        }
    }
    if (json_array_size(c.list) > 0) {
        json_object_set(j, "columns", c.list);
    }
    add_count(j, "columns_left_out", c.left_out);
    json_decref(c.list);
}

json_t *table_details(const struct table_telling *t, struct arena *a) {
    // The copy is a new object; what it is made of stays as it is.
    json_t *j = t->given != NULL ? json_copy((json_t *)(uintptr_t)t->given) : json_object();
    if (t->made != NULL) {
        add_snapshot(j, t->made, t->change);
    }
    if (t->before != NULL) {
        const int64_t snapshots = (int64_t)t->before->snapshot_count + (t->made != NULL ? 1 : 0);
        add_count(j, "snapshots_removed", snapshots - (int64_t)t->after->snapshot_count);
        add_columns(j, ice_metadata_schema(t->before), ice_metadata_schema(t->after), a);
    }
    if (t->before != NULL && t->made == NULL &&
        t->before->current_snapshot_id != t->after->current_snapshot_id) {
        json_object_set_new(j, "from_snapshot", json_integer(t->before->current_snapshot_id));
        json_object_set_new(j, "snapshot", json_integer(t->after->current_snapshot_id));
    }
    json_object_set_new(j, "total_rows", json_integer(t->dataset->rows));
    json_object_set_new(j, "total_files", json_integer(t->dataset->files));
    return j;
}
