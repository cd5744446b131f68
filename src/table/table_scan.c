// Scan planning: which data files a pin has, which of them can matter, and the SELECT over them.

#include <stdlib.h>

#include "base/counters.h"
#include "table/table_copy.h"
#include "table/table_int.h"
#include "table/table_types.h"

bool table_file_may_match(const struct ice_schema *s, const struct ice_data_file *f,
                          const struct table_conditions *conditions, struct arena *a) {
    for (size_t i = 0; i < conditions->count; i++) {
        const struct ice_predicate *p = &conditions->items[i];
        const struct ice_field *field = ice_schema_find_id(s, p->field_id);
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
        if (!table_file_may_match(pin->schema, &e->file, b->conditions, a)) {
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

// Files that one FROM can read: of one copy; or of one schema, all with deletes or none.
static bool reads_together(const struct table_file *x, const struct table_file *y) {
    if (x->copy != NULL || y->copy != NULL) {
        return x->copy == y->copy;
    }
    return (x->deletes == NULL) == (y->deletes == NULL) &&
           (x->schema == y->schema || ice_schema_eq(x->schema, y->schema));
}

// Stable: files of a group keep their order.
static void group_files(struct table_scan *scan, struct arena *a) {
    struct table_file *grouped = arena_array(a, scan->file_count, sizeof(*grouped));
    bool *done = arena_array(a, scan->file_count, sizeof(*done));
    size_t count = 0;
    for (size_t i = 0; i < scan->file_count; i++) {
        for (size_t j = i; !done[i] && j < scan->file_count; j++) {
            if (!done[j] && reads_together(&scan->files[i], &scan->files[j])) {
                grouped[count++] = scan->files[j];
                done[j] = j > i;
            }
        }
    }
    scan->files = grouped;
}

// A registration with the engine, which ends with the arena.
struct registration {
    struct engine *engine;
    int64_t id;
};

static void unregister(void *arg) {
    const struct registration *r = arg;
    engine_live_remove(r->engine, r->id);
}

static void register_deletes(struct engine *e, struct table_scan *scan, struct arena *a) {
    struct engine_live_file *files = arena_array(a, scan->file_count, sizeof(*files));
    bool any = false;
    for (size_t i = 0; i < scan->file_count; i++) {
        const struct table_file *f = &scan->files[i];
        files[i] =
            (struct engine_live_file){.deleted = f->deletes != NULL ? f->deletes->bits : NULL,
                                      .rows = (uint64_t)f->file->record_count,
                                      .start = (uint64_t)f->copy_start};
        any = any || f->deletes != NULL || f->copy != NULL;
    }
    if (any) {
        struct registration *r = arena_alloc(a, sizeof(*r));
        r->engine = e;
        r->id = engine_live_add(e, files, scan->file_count);
        arena_defer(a, unregister, r);
        scan->live_id = r->id;
    }
}

static int by_copy_start(const void *x, const void *y) {
    const int64_t a = ((const struct table_file *)x)->copy_start;
    const int64_t b = ((const struct table_file *)y)->copy_start;
    return a < b ? -1 : a > b;
}

void table_scan_copied(struct tables *t, struct table_scan *scan, struct arena *a) {
    group_files(scan, a);
    for (size_t i = 0; i < scan->file_count;) {
        size_t end = i + 1;
        while (end < scan->file_count && reads_together(&scan->files[i], &scan->files[end])) {
            end++;
        }
        if (scan->files[i].copy != NULL) {
            qsort(&scan->files[i], end - i, sizeof(*scan->files), by_copy_start);
        }
        i = end;
    }
    register_deletes(t->engine, scan, a);
}

// Files all of whose rows are deleted need not be opened.
static void leave_out_empty(struct table_scan *scan) {
    size_t count = 0;
    for (size_t i = 0; i < scan->file_count; i++) {
        const struct table_file *f = &scan->files[i];
        if (f->deletes == NULL || f->deletes->count < f->deletes->rows) {
            scan->files[count++] = *f;
        }
    }
    scan->file_count = count;
}

// The files that may match, with their deletes unless the pin is raw.
static enum err_code find_files(struct tables *t, const struct table_pin *pin, struct scan_build *b,
                                struct arena *a, struct err *err) {
    const struct ice_manifest_list *list;
    if (pin->snapshot == NULL) {
        return ERR_OK;
    }
    TRY(table_manifest_list_load(t, pin, a, &list, err));
    for (size_t i = 0; i < list->manifest_count; i++) {
        const struct ice_manifest_ref *ref = &list->manifests[i];
        if (!ref->deletes) {
            const struct ice_manifest *m;
            TRY(table_manifest_load(t, pin, ref, a, &m, err));
            TRY(scan_manifest(pin, m, b, a, err));
        }
    }
    return pin->raw ? ERR_OK : table_deletes_load(t, pin, list, &b->scan, a, err);
}

enum err_code table_files_load(struct tables *t, const struct table_pin *pin, struct arena *a,
                               struct table_scan *ret, struct err *err) {
    const struct table_conditions none = {0};
    struct scan_build b = {.conditions = &none};
    TRY(find_files(t, pin, &b, a, err));
    *ret = b.scan;
    return ERR_OK;
}

struct table_scan table_scan_of(struct engine *e, const struct table_file *files, size_t count,
                                struct arena *a) {
    struct table_scan scan = {.files = arena_array(a, count, sizeof(*scan.files)),
                              .file_count = count};
    for (size_t i = 0; i < count; i++) {
        scan.files[i] = files[i];
    }
    leave_out_empty(&scan);
    group_files(&scan, a);
    register_deletes(e, &scan, a);
    return scan;
}

enum err_code table_scan_plan(struct tables *t, const struct table_pin *pin,
                              const struct table_conditions *conditions, struct arena *a,
                              struct table_scan *ret, struct err *err) {
    struct scan_build b = {.conditions = conditions};
    TRY(find_files(t, pin, &b, a, err));
    TRY(table_tombstones_hide_past(t, pin, &b.scan, a, err));
    leave_out_empty(&b.scan);
    group_files(&b.scan, a);
    register_deletes(t->engine, &b.scan, a);
    counter_add(COUNTER_files_scanned, (int64_t)b.scan.file_count);
    counter_add(COUNTER_files_pruned, (int64_t)b.scan.pruned);
    *ret = b.scan;
    return ERR_OK;
}

// What columns come from: files of a schema or a copy of them.
struct columns_from {
    const struct ice_schema *schema; // NULL: from no file at all
    bool copy;
};

// One column of the pin.
static void column_sql(const struct ice_field *want, const struct columns_from *have,
                       struct buf *out, struct arena *a) {
    const struct ice_schema *schema = have->schema;
    const struct ice_field *from = NULL;
    for (size_t i = 0; schema != NULL && i < schema->field_count; i++) {
        from = schema->fields[i].id == want->id ? &schema->fields[i] : from;
    }
    struct str name = sql_ident(want->name, a);
    struct str type = table_type_sql(&want->type, a);
    if (from == NULL) {
        buf_printf(out, "CAST(NULL AS " STR_FMT ") AS " STR_FMT, STR_ARG(type), STR_ARG(name));
        return;
    }
    struct str source = have->copy ? arena_printf(a, "f%d", from->id) : sql_ident(from->name, a);
    if (!ice_type_eq(&from->type, &want->type)) {
        buf_printf(out, "CAST(" STR_FMT " AS " STR_FMT ") AS " STR_FMT, STR_ARG(source),
                   STR_ARG(type), STR_ARG(name));
    } else if (have->copy || !str_eq(from->name, want->name)) {
        buf_printf(out, STR_FMT " AS " STR_FMT, STR_ARG(source), STR_ARG(name));
    } else {
        buf_add_str(out, name);
    }
}

// What a scan is rendered from.
struct render {
    const struct table_pin *pin;
    const struct table_scan *scan;
    const struct ice_schema *columns;
    bool places; // the row's place behind the columns
};

static void select_list(const struct render *r, const struct table_file *f, struct buf *out,
                        struct arena *a) {
    const struct columns_from have = {.schema = f != NULL ? f->schema : NULL,
                                      .copy = f != NULL && f->copy != NULL};
    buf_add_cstr(out, "SELECT ");
    for (size_t i = 0; i < r->columns->field_count; i++) {
        buf_add_cstr(out, i == 0 ? "" : ", ");
        column_sql(&r->columns->fields[i], &have, out, a);
    }
}

// The SELECT over the copy of the files from `first` on; returns the file behind the last of them.
// Rows of the copy that are not the scan's are left out like deleted ones.
static size_t copy_sql(const struct render *r, size_t first, struct buf *out, struct arena *a) {
    const struct table_scan *scan = r->scan;
    const struct table_file *f = &scan->files[first];
    const int64_t start = f->copy_start;
    int64_t stop = start;
    int64_t rows = 0;
    bool deletes = false;
    size_t end = first;
    CHECK(!r->places);
    for (; end < scan->file_count && reads_together(f, &scan->files[end]); end++) {
        const struct table_file *one = &scan->files[end];
        rows += one->file->record_count;
        stop = one->copy_start + one->file->record_count;
        deletes = deletes || one->deletes != NULL;
    }
    select_list(r, f, out, a);
    buf_printf(out, " FROM " STR_FMT, STR_ARG(f->copy->from));
    const char *glue = " WHERE";
    if (stop - start < f->copy->rows) {
        buf_printf(out, " WHERE rowid >= %lld AND rowid < %lld", (long long)start, (long long)stop);
        glue = " AND";
    }
    if (deletes || rows < stop - start) {
        buf_printf(out, "%s tarn_placed(%lld, %zu, rowid)", glue,
                   (long long)engine_live_key(scan->live_id, first), end - first);
    }
    return end;
}

// The SELECT over the files from `first` on that are read together; returns the next one.
static size_t group_sql(const struct render *r, size_t first, struct buf *out, struct arena *a) {
    const struct table_scan *scan = r->scan;
    const struct table_file *f = &scan->files[first];
    size_t end = first;
    if (f->copy != NULL) {
        return copy_sql(r, first, out, a);
    }
    select_list(r, f, out, a);
    if (r->places) {
        buf_printf(out,
                   ", CAST(file_index AS BIGINT) + %zu AS tarn_file, file_row_number AS tarn_row",
                   first);
    }
    buf_add_cstr(out, " FROM read_parquet([");
    while (end < scan->file_count && reads_together(f, &scan->files[end])) {
        buf_add_cstr(out, end == first ? "" : ", ");
        buf_add_str(out, sql_literal(scan->files[end].path, a));
        end++;
    }
    buf_add_cstr(out, "], hive_partitioning=" ENGINE_FALSE_LATE ")");
    if (f->deletes != NULL) {
        buf_printf(out, " WHERE tarn_live%s, file_row_number)",
                   arena_printf(a, end == first + 1 ? "_one(%lld" : "(%lld, file_index",
                                (long long)engine_live_key(scan->live_id, first))
                       .ptr);
    }
    return end;
}

static struct str render(const struct render *r, struct arena *a) {
    DEFER(buf_release) struct buf out = BUF(256U << 20);
    for (size_t i = 0; i < r->scan->file_count;) {
        buf_add_cstr(&out, i == 0 ? "" : " UNION ALL ");
        i = group_sql(r, i, &out, a);
    }
    if (r->scan->file_count == 0) {
        select_list(r, NULL, &out, a);
        buf_add_cstr(&out, r->places ? ", CAST(0 AS BIGINT) AS tarn_file, CAST(0 AS BIGINT) AS "
                                       "tarn_row WHERE false"
                                     : " WHERE false");
    }
    CHECK(!out.overflow);
    return arena_str(a, buf_str(&out));
}

struct str table_scan_sql(const struct table_pin *pin, const struct table_scan *scan,
                          struct arena *a) {
    const struct render r = {.pin = pin, .scan = scan, .columns = pin->schema};
    return render(&r, a);
}

struct str table_scan_places_sql(const struct table_pin *pin, const struct table_scan *scan,
                                 const struct ice_schema *columns, struct arena *a) {
    const struct render r = {.pin = pin,
                             .scan = scan,
                             .columns = columns != NULL ? columns : pin->schema,
                             .places = true};
    return render(&r, a);
}
