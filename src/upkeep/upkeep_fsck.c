// Fsck: log, entities, metadata, manifest lists, manifests, files, footers, deletes, counts.

#include <stdarg.h>

#include "catalog/catalog_content.h"
#include "table/table_tombstone.h"
#include "upkeep/upkeep_reach.h"

#define CACHE_BYTES (64 << 20)
#define ENGINE_BYTES (INT64_C(512) << 20)
#define LOOKS_MAX 3 // at a dataset that changes meanwhile
#define LIST_PAGE 1000

#define MEND_OBJECT "put the object back from a copy of the bucket"

struct fsck {
    const struct upkeep_fsck *options;
    struct catalog *catalog;
    struct engine *engine;
    struct session *session;
    struct tables *tables;
    struct arena *arena; // of what is found
    struct upkeep_health health;
};

// The dataset that is being looked at.
struct patient {
    struct fsck *fsck;
    struct arena *arena;
    struct table_pin pin;
    struct upkeep_reach reach;
};

static void find(struct fsck *f, const struct upkeep_finding *kind, const char *fmt, ...)
    PRINTF_LIKE(3, 4);
static void find(struct fsck *f, const struct upkeep_finding *kind, const char *fmt, ...) {
    struct upkeep_health *h = &f->health;
    va_list args;
    h->findings = arena_grow(f->arena, h->findings, &h->cap, h->count + 1, sizeof(*h->findings));
    struct upkeep_finding *one = &h->findings[h->count++];
    va_start(args, fmt);
    *one = (struct upkeep_finding){.damage = kind->damage,
                                   .dataset = arena_str(f->arena, kind->dataset),
                                   .object = arena_str(f->arena, kind->object),
                                   .what = arena_vprintf(f->arena, fmt, args),
                                   .mend = arena_str(f->arena, kind->mend)};
    va_end(args);
    h->damages += kind->damage ? 1 : 0;
}

// The log

static void check_log(struct fsck *f) {
    struct txlog_report report = {0};
    struct err err = ERR_NONE;
    if (txlog_verify(f->options->store, NULL, f->arena, &report, &err) != ERR_OK) {
        find(f,
             &(struct upkeep_finding){.damage = true,
                                      .mend = STR("put the log object back from a copy of the "
                                                  "bucket; \"tarn journal verify\" tells more")},
             "the catalog log: %s", err.msg);
    }
    f->health.records = report.records;
}

// Files of a snapshot

static void check_size(struct patient *p, const struct ice_snapshot *s, struct str object,
                       int64_t bytes) {
    const bool current = s->id == p->pin.metadata->current_snapshot_id;
    struct err err = ERR_NONE;
    uint64_t there = 0;
    const struct upkeep_finding kind = {
        .damage = true,
        .dataset = p->pin.dataset.name,
        .object = object,
        .mend = current
                    ? STR(MEND_OBJECT ", or roll the dataset back to a snapshot without it (tarn "
                                      "snapshots rollback)")
                    : STR(MEND_OBJECT ", or let the snapshot expire (tarn snapshots expire)")};
    if (store_size(p->pin.bucket->store, object, &there, &err) != ERR_OK) {
        find(p->fsck, &kind, "snapshot %lld needs it, but: %s", (long long)s->id, err.msg);
    } else if ((int64_t)there != bytes) {
        find(p->fsck, &kind, "it has %llu bytes, not %lld as its manifest says",
             (unsigned long long)there, (long long)bytes);
    }
}

static enum err_code check_entry(struct patient *p, const struct ice_snapshot *s,
                                 const struct ice_data_file *file, struct err *err) {
    DEFER(arena_release) struct arena a = ARENA(1 << 20);
    struct str object;
    TRY(table_object_name(p->pin.metadata, &p->pin.dataset, file->path, &a, &object, err));
    if (upkeep_reach_add(&p->reach, object, file->file_bytes)) {
        p->fsck->health.files++;
        check_size(p, s, object, file->file_bytes);
    }
    return ERR_OK;
}

static enum err_code check_manifest(struct patient *p, const struct table_pin *at,
                                    const struct ice_manifest_ref *ref, struct err *err) {
    DEFER(arena_release) struct arena a = ARENA(1U << 30);
    const struct ice_manifest *m;
    struct str object;
    TRY(table_object_name(at->metadata, &at->dataset, ref->path, &a, &object, err));
    if (!upkeep_reach_add(&p->reach, object, ref->bytes)) {
        return ERR_OK;
    }
    p->fsck->health.manifests++;
    TRY(table_manifest_load(p->fsck->tables, at, ref, &a, &m, err));
    for (size_t i = 0; i < m->entry_count; i++) {
        if (m->entries[i].status != ICE_DELETED) {
            TRY(check_entry(p, at->snapshot, &m->entries[i].file, err));
        }
    }
    return ERR_OK;
}

static enum err_code check_list(struct patient *p, const struct table_pin *at, struct err *err) {
    DEFER(arena_release) struct arena a = ARENA(1U << 30);
    const struct ice_manifest_list *list;
    struct str object;
    TRY(table_object_name(at->metadata, &at->dataset, at->snapshot->manifest_list, &a, &object,
                          err));
    (void)upkeep_reach_add(&p->reach, object, 0);
    TRY(table_manifest_list_load(p->fsck->tables, at, &a, &list, err));
    for (size_t i = 0; i < list->manifest_count; i++) {
        struct err one = ERR_NONE;
        if (check_manifest(p, at, &list->manifests[i], &one) != ERR_OK) {
            find(p->fsck,
                 &(struct upkeep_finding){.damage = true,
                                          .dataset = p->pin.dataset.name,
                                          .object = list->manifests[i].path,
                                          .mend = STR(MEND_OBJECT)},
                 "a manifest of snapshot %lld: %s", (long long)at->snapshot->id, one.msg);
        }
    }
    return ERR_OK;
}

static void check_snapshots(struct patient *p) {
    const struct ice_metadata *m = p->pin.metadata;
    for (size_t i = m->snapshot_count; i > 0; i--) { // the newest first: it needs files most
        struct table_pin at = p->pin;
        struct err err = ERR_NONE;
        at.snapshot = &m->snapshots[i - 1];
        p->fsck->health.snapshots++;
        if (check_list(p, &at, &err) != ERR_OK) {
            find(p->fsck,
                 &(struct upkeep_finding){.damage = true,
                                          .dataset = p->pin.dataset.name,
                                          .object = at.snapshot->manifest_list,
                                          .mend = STR(MEND_OBJECT ", or let the snapshot expire")},
                 "the manifest list of snapshot %lld: %s", (long long)at.snapshot->id, err.msg);
        }
    }
}

// Rows of the current snapshot

static void check_footer(struct patient *p, const struct table_file *file) {
    struct str text = STR_NONE;
    struct err err = ERR_NONE;
    int64_t rows = -1;
    const struct upkeep_finding kind = {
        .damage = true,
        .dataset = p->pin.dataset.name,
        .object = file->object,
        .mend = STR(MEND_OBJECT ", or roll the dataset back to a snapshot without it")};
    const struct str sql = arena_printf(
        p->arena, "SELECT CAST(num_rows AS BIGINT) FROM parquet_file_metadata(" STR_FMT ")",
        STR_ARG(sql_literal(file->path, p->arena)));
    if (session_text(p->fsck->session, sql, p->arena, &text, &err) != ERR_OK) {
        find(p->fsck, &kind, "it cannot be read: %s", err.msg);
    } else if (!str_to_i64(text, &rows) || rows != file->file->record_count) {
        find(p->fsck, &kind, "its footer says %lld rows, its manifest %lld", (long long)rows,
             (long long)file->file->record_count);
    }
}

static void check_counts(struct patient *p, const struct table_tally *is) {
    const struct catalog_dataset *d = &p->pin.dataset;
    const int64_t rows = is->rows - is->deleted_rows;
    const int64_t bytes = is->bytes + is->delete_bytes;
    if (d->rows != rows || d->files != is->files || d->bytes != bytes) {
        find(p->fsck,
             &(struct upkeep_finding){
                 .damage = true,
                 .dataset = d->name,
                 .mend = arena_printf(p->arena,
                                      "\"tarn snapshots rollback " STR_FMT " %lld\" (to the "
                                      "snapshot that is current) counts anew",
                                      STR_ARG(d->name),
                                      (long long)p->pin.metadata->current_snapshot_id)},
             "the catalog says %lld rows, %lld files, %lld bytes; there are %lld, %lld, %lld",
             (long long)d->rows, (long long)d->files, (long long)d->bytes, (long long)rows,
             (long long)is->files, (long long)bytes);
    }
}

static enum err_code check_rows(struct patient *p, struct err *err) {
    struct table_scan files;
    struct table_tally tally;
    if (p->pin.snapshot == NULL) {
        return ERR_OK;
    }
    TRY(table_tally_of(p->fsck->tables, &p->pin, p->arena, &tally, err));
    check_counts(p, &tally);
    struct table_pin raw = p->pin;
    raw.raw = true;
    TRY(table_files_load(p->fsck->tables, &raw, p->arena, &files, err));
    for (size_t i = 0; i < files.file_count; i++) {
        check_footer(p, &files.files[i]);
        p->fsck->health.rows += files.files[i].file->record_count;
        p->fsck->health.bytes += files.files[i].file->file_bytes;
    }
    // Reads every delete file: a row that a file does not have is an error of its own.
    return table_files_load(p->fsck->tables, &p->pin, p->arena, &files, err);
}

// What nothing leads to

static enum err_code count_orphans(struct patient *p, struct err *err) {
    struct store_page page = {.prefix =
                                  arena_printf(p->arena, STR_FMT "/", STR_ARG(p->pin.dataset.dir)),
                              .max = LIST_PAGE};
    TRY(upkeep_reach_metadata(&p->reach, &p->pin, err));
    int64_t count = 0;
    int64_t bytes = 0;
    do {
        struct store_list list;
        TRY(store_list(p->pin.bucket->store, &page, p->arena, &list, err));
        for (size_t i = 0; i < list.count; i++) {
            const bool known = upkeep_reach_find(&p->reach, list.entries[i].name) != NULL;
            count += known ? 0 : 1;
            bytes += known ? 0 : (int64_t)list.entries[i].bytes;
        }
        page.after = list.next;
    } while (page.after.len > 0);
    if (count > 0) {
        find(p->fsck,
             &(struct upkeep_finding){.dataset = p->pin.dataset.name,
                                      .object = p->pin.dataset.dir,
                                      .mend = STR("old metadata goes with \"tarn snapshots "
                                                  "expire\", the rest with \"tarn snapshots "
                                                  "orphans\"")},
             "%lld objects of %lld bytes are led to by nothing", (long long)count,
             (long long)bytes);
    }
    p->fsck->health.orphans += count;
    p->fsck->health.orphan_bytes += bytes;
    return ERR_OK;
}

// Content objects

// The list of what is tombstoned, as the entity names it.
static void check_tombstones(struct patient *p) {
    const struct catalog_dataset *d = &p->pin.dataset;
    const struct table_tombstone_list *list;
    struct err err = ERR_NONE;
    const struct upkeep_finding kind = {
        .damage = true,
        .dataset = d->name,
        .object = d->tombstones.content.object,
        .mend = STR(MEND_OBJECT
                    ": without it nobody knows which rows are to be hidden and may come back")};
    if (kind.object.len == 0) {
        return;
    }
    if (table_tombstone_list_load(p->fsck->tables, d, p->arena, &list, &err) != ERR_OK) {
        find(p->fsck, &kind, "%s", err.msg);
    } else if ((int64_t)list->count != d->tombstones.count) {
        find(p->fsck, &kind, "it lists %zu tombstones, the catalog says %lld", list->count,
             (long long)d->tombstones.count);
    }
}

static void check_content(struct fsck *f) {
    struct err err = ERR_NONE;
    struct str *names;
    size_t count = 0;
    const struct upkeep_finding kind = {
        .object = CATALOG_CONTENT_PREFIX,
        .mend = STR("it was left by a change that was cut short; an erasure removes it")};
    if (catalog_content_unnamed(f->catalog, 0, f->arena, &names, &count, &err) != ERR_OK) {
        find(f, &kind, "the content objects cannot be listed: %s", err.msg);
    }
    for (size_t i = 0; i < count; i++) {
        struct upkeep_finding one = kind;
        one.object = names[i];
        find(f, &one, "%s",
             str_starts(names[i], CATALOG_SECRET_PREFIX)
                 ? "a secret that nothing leads to; what was made with it could be made again"
                 : "a content object that nothing leads to; it may hold values of people");
    }
    f->health.orphans += (int64_t)count;
}

// One dataset

static enum err_code examine(struct patient *p, struct err *err) {
    const struct ice_metadata *m;
    TRY(catalog_bucket_find(p->fsck->catalog, p->pin.dataset.bucket, &p->pin.bucket, err));
    TRY(table_metadata_load(p->fsck->tables, &p->pin.dataset, p->arena, &m, err));
    p->pin.metadata = m;
    p->pin.snapshot = ice_metadata_snapshot(m);
    p->pin.schema = ice_metadata_schema(m);
    if (p->pin.schema == NULL || (m->current_snapshot_id != 0 && p->pin.snapshot == NULL)) {
        return err_set(err, ERR_CORRUPT, "the metadata lacks its current schema or snapshot");
    }
    if (m->current_snapshot_id != p->pin.dataset.snapshot_id) {
        return err_set(err, ERR_CORRUPT, "the catalog says snapshot %lld, the metadata %lld",
                       (long long)p->pin.dataset.snapshot_id, (long long)m->current_snapshot_id);
    }
    check_tombstones(p);
    check_snapshots(p);
    TRY(check_rows(p, err));
    return count_orphans(p, err);
}

static void check_dataset(struct fsck *f, const struct catalog_dataset *d) {
    DEFER(arena_release) struct arena a = ARENA(1UL << 32);
    struct patient p = {.fsck = f,
                        .arena = &a,
                        .pin = {.dataset = *d},
                        .reach = {.tables = f->tables, .arena = &a}};
    struct err err = ERR_NONE;
    f->health.datasets++;
    if (examine(&p, &err) != ERR_OK) {
        find(f,
             &(struct upkeep_finding){
                 .damage = true,
                 .dataset = d->name,
                 .object = d->metadata,
                 .mend = STR("put the object that the message names back from a copy of the "
                             "bucket, or ingest the dataset again")},
             "%s", err.msg);
    }
    upkeep_reach_release(&p.reach);
}

// Has the dataset changed since it was read? Then *d is it as it is now; gone: false, and no look
// is needed any more.
static bool has_changed(struct fsck *f, struct catalog_dataset *d, bool *ret_gone) {
    struct err err = ERR_NONE;
    struct catalog_dataset now;
    *ret_gone = false;
    if (txlog_refresh(catalog_log(f->catalog), 0, 0, &err) != ERR_OK) {
        return false;
    }
    *ret_gone = catalog_dataset_get(f->catalog, d->name, f->arena, &now, &err) != ERR_OK;
    if (*ret_gone || now.version == d->version) {
        return *ret_gone;
    }
    *d = now;
    return true;
}

// What was found while somebody changed it counts for nothing.
static void check_until_still(struct fsck *f, struct catalog_dataset *d) {
    bool gone = false;
    for (int i = 0; i < LOOKS_MAX && !gone; i++) {
        const struct upkeep_health before = f->health;
        check_dataset(f, d);
        if (f->health.count == before.count || !has_changed(f, d, &gone)) {
            return;
        }
        f->health = before;
    }
}

static void check_datasets(struct fsck *f) {
    struct str after = STR_NONE;
    struct catalog_datasets page;
    do {
        catalog_dataset_list(f->catalog, after, 100, f->arena, &page);
        for (size_t i = 0; i < page.count; i++) {
            after = page.items[i].name;
            check_until_still(f, &page.items[i]);
        }
    } while (page.more);
}

static void close_all(struct fsck *f) {
    session_close(f->session);
    tables_free(f->tables);
    engine_close(f->engine);
    catalog_close(f->catalog);
}

static enum err_code open_engine(struct fsck *f, struct err *err) {
    const struct engine_options o = {.memory_bytes = ENGINE_BYTES, .temp_dir = f->options->scratch};
    const struct tables_options t = {
        .spool = f->options->scratch, .target_bytes = 1 << 28, .cache_bytes = CACHE_BYTES};
    TRY(engine_open(&o, &f->engine, err));
    TRY(session_open(f->engine, &f->session, err));
    f->tables = tables_new(f->catalog, f->engine, &t);
    return ERR_OK;
}

enum err_code upkeep_fsck(const struct upkeep_fsck *options, struct arena *a,
                          struct upkeep_health *ret, struct err *err) {
    DEFER(close_all) struct fsck f = {.options = options, .arena = a};
    struct err cannot = ERR_NONE;
    check_log(&f);
    if (catalog_open_to_look(options->store, options->uri, &f.catalog, &cannot) != ERR_OK) {
        find(&f, &(struct upkeep_finding){.damage = true, .mend = STR("mend the log first")},
             "the catalog cannot be replayed: %s", cannot.msg);
    } else {
        TRY(open_engine(&f, err));
        check_datasets(&f);
        check_content(&f);
    }
    *ret = f.health;
    return ERR_OK;
}
