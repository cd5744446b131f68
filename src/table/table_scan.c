// Scan planning: which data files a pin has, which of them can matter, and the SELECT over them.

#include "base/counters.h"
#include "table/table_int.h"
#include "table/table_types.h"

static bool may_match(const struct table_pin *pin, const struct ice_data_file *f,
                      const struct table_conditions *conditions, struct arena *a) {
    for (size_t i = 0; i < conditions->count; i++) {
        const struct ice_predicate *p = &conditions->items[i];
        const struct ice_field *field = ice_schema_find_id(pin->schema, p->field_id);
        if (field != NULL && !ice_may_match(&field->type, f, p, a)) {
            return false;
        }
    }
    return true;
}

// The files of one manifest, added to the scan.
struct scan_build {
    const struct table_conditions *conditions;
    size_t cap;
    struct table_scan scan;
};

static enum err_code scan_manifest(const struct table_pin *pin, const struct ice_manifest *m,
                                   struct scan_build *b, struct arena *a, struct err *err) {
    for (size_t i = 0; i < m->entry_count; i++) {
        const struct ice_entry *e = &m->entries[i];
        if (e->status == ICE_DELETED) {
            continue;
        }
        if (!may_match(pin, &e->file, b->conditions, a)) {
            b->scan.pruned++;
            continue;
        }
        b->scan.files =
            arena_grow(a, b->scan.files, &b->cap, b->scan.file_count + 1, sizeof(*b->scan.files));
        struct table_file f = {.file = &e->file, .entry = e, .schema = m->schema};
        TRY(table_object_name(pin->metadata, &pin->dataset, e->file.path, a, &f.object, err));
        TRY(store_local(pin->bucket->store, f.object, a, &f.path, err));
        b->scan.files[b->scan.file_count++] = f;
    }
    return ERR_OK;
}

// Delete files come from other engines only; answering without them would show deleted rows.
static enum err_code refuse_deletes(const struct table_pin *pin, const struct ice_manifest_ref *ref,
                                    struct err *err) {
    if (ref->added_files + ref->existing_files == 0) {
        return ERR_OK;
    }
    return err_set(err, ERR_UNSUPPORTED,
                   "dataset \"" STR_FMT "\" has delete files, written by another engine; this "
                   "server does not read them yet: compact the table there first",
                   STR_ARG(pin->dataset.name));
}

enum err_code table_scan_plan(struct tables *t, const struct table_pin *pin,
                              const struct table_conditions *conditions, struct arena *a,
                              struct table_scan *ret, struct err *err) {
    struct scan_build b = {.conditions = conditions};
    if (pin->snapshot != NULL) {
        const struct ice_manifest_list *list;
        TRY(table_manifest_list_load(t, pin, a, &list, err));
        for (size_t i = 0; i < list->manifest_count; i++) {
            const struct ice_manifest_ref *ref = &list->manifests[i];
            if (ref->deletes) {
                TRY(refuse_deletes(pin, ref, err));
                continue;
            }
            const struct ice_manifest *m;
            TRY(table_manifest_load(t, pin, ref, a, &m, err));
            TRY(scan_manifest(pin, m, &b, a, err));
        }
    }
    counter_add(COUNTER_files_scanned, (int64_t)b.scan.file_count);
    counter_add(COUNTER_files_pruned, (int64_t)b.scan.pruned);
    *ret = b.scan;
    return ERR_OK;
}

// One column of the pin, from files of the given schema (NULL: from no file at all).
static void column_sql(const struct ice_field *want, const struct ice_schema *have, struct buf *out,
                       struct arena *a) {
    const struct ice_field *from = NULL;
    for (size_t i = 0; have != NULL && i < have->field_count; i++) {
        from = have->fields[i].id == want->id ? &have->fields[i] : from;
    }
    struct str name = sql_ident(want->name, a);
    struct str type = table_type_sql(&want->type, a);
    if (from == NULL) {
        buf_printf(out, "CAST(NULL AS " STR_FMT ") AS " STR_FMT, STR_ARG(type), STR_ARG(name));
        return;
    }
    struct str source = sql_ident(from->name, a);
    if (!ice_type_eq(&from->type, &want->type)) {
        buf_printf(out, "CAST(" STR_FMT " AS " STR_FMT ") AS " STR_FMT, STR_ARG(source),
                   STR_ARG(type), STR_ARG(name));
    } else if (!str_eq(from->name, want->name)) {
        buf_printf(out, STR_FMT " AS " STR_FMT, STR_ARG(source), STR_ARG(name));
    } else {
        buf_add_str(out, name);
    }
}

static void select_list(const struct table_pin *pin, const struct ice_schema *have, struct buf *out,
                        struct arena *a) {
    buf_add_cstr(out, "SELECT ");
    for (size_t i = 0; i < pin->schema->field_count; i++) {
        buf_add_cstr(out, i == 0 ? "" : ", ");
        column_sql(&pin->schema->fields[i], have, out, a);
    }
}

// The SELECT over all files, from `first` on, that were written with the same schema as that one.
static void group_sql(const struct table_pin *pin, const struct table_scan *scan, size_t first,
                      bool *done, struct buf *out, struct arena *a) {
    const struct ice_schema *schema = scan->files[first].schema;
    select_list(pin, schema, out, a);
    buf_add_cstr(out, " FROM read_parquet([");
    for (size_t i = first; i < scan->file_count; i++) {
        const struct table_file *f = &scan->files[i];
        if (done[i] || (f->schema != schema && !ice_schema_eq(f->schema, schema))) {
            continue;
        }
        buf_add_cstr(out, i == first ? "" : ", ");
        buf_add_str(out, sql_literal(f->path, a));
        done[i] = true;
    }
    buf_add_cstr(out, "], hive_partitioning=false)");
}

struct str table_scan_sql(const struct table_pin *pin, const struct table_scan *scan,
                          struct arena *a) {
    DEFER(buf_release) struct buf out = BUF(256U << 20);
    bool *done = arena_array(a, scan->file_count + 1, sizeof(*done));
    for (size_t i = 0; i < scan->file_count; i++) {
        if (!done[i]) {
            buf_add_cstr(&out, i == 0 ? "" : " UNION ALL ");
            group_sql(pin, scan, i, done, &out, a);
        }
    }
    if (scan->file_count == 0) {
        select_list(pin, NULL, &out, a);
        buf_add_cstr(&out, " WHERE false");
    }
    CHECK(!out.overflow);
    return arena_str(a, buf_str(&out));
}
