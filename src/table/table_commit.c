// Committing: files into the bucket, manifest, manifest list, metadata, and the catalog's word.

#include <stdio.h>
#include <time.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/threads.h"
#include "iceberg/manifest.h"
#include "table/table_int.h"

#define ATTEMPTS_MAX 64
#define SUMMARY_MAX 16

// Objects of a commit under way, to be removed when it fails.
struct objects {
    struct str *names;
    size_t count, cap;
};

struct commit {
    struct tables *tables;
    const struct table_write *write;
    struct str dataset_id; // that the target was made for; empty: there was none
    const struct table_target *target;
    const struct table_staged *staged;
    struct arena *arena;
    const struct catalog_bucket *bucket;
    struct str dir, location;
    struct objects objects;    // data files
    struct ice_entry *entries; // of the data files; NULL until they are in the bucket
};

static void object_note(struct objects *o, struct str name, struct arena *a) {
    o->names = arena_grow(a, o->names, &o->cap, o->count + 1, sizeof(*o->names));
    o->names[o->count++] = name;
}

// What cannot be removed stays behind unseen; the failure of the commit is what counts.
static void objects_remove(struct store *s, struct objects *o) {
    for (size_t i = 0; i < o->count; i++) {
        struct err err = ERR_NONE;
        if (store_delete(s, o->names[i], &err) != ERR_OK) {
            log_warn("table.undo", "object=%s error=%s", log_quote(o->names[i]),
                     log_quote(str_from(err.msg)));
        }
    }
    o->count = 0;
}

static struct str object_uri(const struct commit *c, struct str object) {
    return arena_printf(c->arena, STR_FMT STR_FMT, STR_ARG(c->location),
                        STR_ARG(str_slice(object, c->dir.len, object.len)));
}

static enum err_code object_put(struct commit *c, struct objects *o, struct str name,
                                struct str data, struct err *err) {
    object_note(o, name, c->arena);
    return store_put_new(c->bucket->store, name, data, err);
}

// A folder name from the dataset's: readable, plain ASCII, never used before.
static struct str folder_new(struct str dataset, struct arena *a) {
    char *name = arena_cstr(a, str_slice(dataset, 0, 64));
    for (char *p = name; *p != '\0'; p++) {
        bool plain = (*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') || *p == '_' ||
                     *p == '-' || (*p >= '0' && *p <= '9');
        *p = plain ? *p : '_';
    }
    uint8_t tail[8];
    random_bytes(tail, sizeof(tail));
    return arena_printf(a, "tables/%s-" STR_FMT, name, STR_ARG(hex_bytes(tail, sizeof(tail), a)));
}

static enum err_code put_data_files(struct commit *c, struct err *err) {
    const struct table_staged *staged = c->staged;
    struct ice_entry *entries = arena_array(c->arena, staged->count, sizeof(*entries));
    struct str uuid = uuid_new(c->arena);
    for (size_t i = 0; i < staged->count; i++) {
        const struct engine_file_stats *stats = &staged->stats[i];
        struct str object = arena_printf(c->arena, STR_FMT "/data/" STR_FMT "-%05zu.parquet",
                                         STR_ARG(c->dir), STR_ARG(uuid), i);
        object_note(&c->objects, object, c->arena);
        TRY(store_put_file(c->bucket->store, object, arena_cstr(c->arena, stats->path), err));
        entries[i] = (struct ice_entry){.status = ICE_ADDED, .inherit = true};
        struct ice_data_file *f = &entries[i].file;
        f->content = ICE_DATA;
        f->path = object_uri(c, object);
        f->format = STR("PARQUET");
        f->record_count = stats->rows;
        f->file_bytes = stats->bytes;
        table_metrics(c->target->schema, stats, c->arena, f);
    }
    c->entries = entries;
    return ERR_OK;
}

// Encodes a manifest and writes it under a new name. *ref has the snapshot and sequence number of
// its commit and gets the rest.
static enum err_code put_manifest(struct commit *c, struct objects *o, const struct ice_manifest *m,
                                  struct ice_manifest_ref *ref, struct err *err) {
    struct str data;
    struct str object = arena_printf(c->arena, STR_FMT "/metadata/" STR_FMT "-m0.avro",
                                     STR_ARG(c->dir), STR_ARG(uuid_new(c->arena)));
    ref->path = object_uri(c, object);
    TRY(ice_manifest_write(m, c->arena, &data, ref, err));
    return object_put(c, o, object, data, err);
}

// One attempt: the state it builds on, and what it has written.
struct attempt {
    struct catalog_dataset dataset;
    const struct ice_metadata *base; // NULL: a new dataset
    struct ice_metadata *next;
    struct ice_snapshot snapshot;
    struct ice_pair summary[SUMMARY_MAX];
    struct objects objects;                             // all but the data files
    int64_t removed_files, removed_rows, removed_bytes; // by a replacement
};

static enum err_code put_added_manifest(struct commit *c, struct attempt *at,
                                        struct ice_manifest_ref *ref, struct err *err) {
    struct ice_schema schema = *c->target->schema;
    schema.schema_id = at->next->current_schema_id;
    struct ice_manifest m = {.schema_id = schema.schema_id,
                             .schema = &schema,
                             .spec_fields = STR("[]"),
                             .entries = c->entries,
                             .entry_count = c->staged->count};
    *ref = (struct ice_manifest_ref){.added_snapshot_id = at->snapshot.id,
                                     .sequence_number = at->snapshot.sequence_number};
    return put_manifest(c, &at->objects, &m, ref, err);
}

static void summary_add(struct commit *c, struct attempt *at, const char *key, int64_t value) {
    CHECK(at->snapshot.summary_count < SUMMARY_MAX);
    at->summary[at->snapshot.summary_count++] =
        (struct ice_pair){str_from(key), arena_printf(c->arena, "%lld", (long long)value)};
}

// A total that the parent does not know stays unknown.
static void summary_total(struct commit *c, struct attempt *at, const char *key, int64_t before,
                          int64_t change) {
    if (before >= 0) {
        summary_add(c, at, key, before + change);
    }
}

static void summarise(struct commit *c, struct attempt *at, const struct ice_snapshot *parent) {
    struct ice_totals total = ice_totals_of(parent);
    const struct table_staged *staged = c->staged;
    at->snapshot.summary = at->summary;
    summary_add(c, at, "added-data-files", (int64_t)staged->count);
    summary_add(c, at, "added-records", staged->rows);
    summary_add(c, at, "added-files-size", staged->bytes);
    if (at->removed_files > 0) {
        summary_add(c, at, "deleted-data-files", at->removed_files);
        summary_add(c, at, "deleted-records", at->removed_rows);
        summary_add(c, at, "removed-files-size", at->removed_bytes);
    }
    summary_total(c, at, "total-data-files", total.data_files,
                  (int64_t)staged->count - at->removed_files);
    summary_total(c, at, "total-records", total.records, staged->rows - at->removed_rows);
    summary_total(c, at, "total-files-size", total.file_bytes, staged->bytes - at->removed_bytes);
    summary_total(c, at, "total-delete-files", total.delete_files, 0);
    summary_total(c, at, "total-position-deletes", total.position_deletes, 0);
    summary_total(c, at, "total-equality-deletes", total.equality_deletes, 0);
    at->summary[at->snapshot.summary_count++] = (struct ice_pair){STR("engine-name"), STR("tarn")};
}

// A replacement: one manifest that says of every live file that it went, without its metrics.
static enum err_code put_removed_manifest(struct commit *c, struct attempt *at,
                                          const struct table_scan *old,
                                          struct ice_manifest_ref *ref, struct err *err) {
    struct ice_entry *entries = arena_array(c->arena, old->file_count, sizeof(*entries));
    for (size_t i = 0; i < old->file_count; i++) {
        const struct ice_data_file *f = old->files[i].file;
        const struct ice_entry *was = old->files[i].entry;
        entries[i] = (struct ice_entry){.status = ICE_DELETED,
                                        .snapshot_id = at->snapshot.id,
                                        .sequence_number = was->sequence_number,
                                        .file_sequence_number = was->file_sequence_number};
        entries[i].file = (struct ice_data_file){.content = f->content,
                                                 .path = f->path,
                                                 .format = f->format,
                                                 .record_count = f->record_count,
                                                 .file_bytes = f->file_bytes};
        at->removed_files++;
        at->removed_rows += f->record_count;
        at->removed_bytes += f->file_bytes;
    }
    const struct ice_schema *schema = ice_metadata_schema(at->base);
    struct ice_manifest m = {.schema_id = schema->schema_id,
                             .schema = schema,
                             .spec_fields = STR("[]"),
                             .entries = entries,
                             .entry_count = old->file_count};
    *ref = (struct ice_manifest_ref){.added_snapshot_id = at->snapshot.id,
                                     .sequence_number = at->snapshot.sequence_number};
    return put_manifest(c, &at->objects, &m, ref, err);
}

// The manifests of the new snapshot: what this write adds first, then what is carried over.
static enum err_code gather_manifests(struct commit *c, struct attempt *at,
                                      struct ice_manifest_list *list, struct err *err) {
    struct table_pin pin = {.dataset = at->dataset, .bucket = c->bucket, .metadata = at->base};
    const struct ice_manifest_list *old = NULL;
    struct table_scan scan = {0};
    pin.snapshot = at->base != NULL ? ice_metadata_snapshot(at->base) : NULL;
    if (pin.snapshot != NULL && c->write->mode == TABLE_APPEND) {
        TRY(table_manifest_list_load(c->tables, &pin, c->arena, &old, err));
    } else if (pin.snapshot != NULL) {
        pin.schema = ice_metadata_schema(at->base);
        struct table_conditions none = {0};
        TRY(table_scan_plan(c->tables, &pin, &none, c->arena, &scan, err));
    }
    size_t carried = old != NULL ? old->manifest_count : 0;
    list->manifests = arena_array(c->arena, carried + 2, sizeof(*list->manifests));
    if (c->staged->count > 0) {
        TRY(put_added_manifest(c, at, &list->manifests[list->manifest_count], err));
        list->manifest_count++;
    }
    if (scan.file_count > 0) {
        TRY(put_removed_manifest(c, at, &scan, &list->manifests[list->manifest_count], err));
        list->manifest_count++;
    }
    for (size_t i = 0; i < carried; i++) {
        list->manifests[list->manifest_count++] = old->manifests[i];
    }
    return ERR_OK;
}

static enum err_code put_snapshot(struct commit *c, struct attempt *at, struct err *err) {
    const struct ice_snapshot *parent = at->base != NULL ? ice_metadata_snapshot(at->base) : NULL;
    struct ice_snapshot *s = &at->snapshot;
    s->id = ice_snapshot_id_new(at->next);
    s->parent_id = parent != NULL ? parent->id : 0;
    s->sequence_number = at->next->last_sequence_number + 1;
    s->timestamp_ms = MAX(clock_wall_us() / 1000, at->next->last_updated_ms);
    s->schema_id = at->next->current_schema_id;
    s->operation =
        parent != NULL && c->write->mode != TABLE_APPEND ? STR("overwrite") : STR("append");
    struct ice_manifest_list list = {.snapshot_id = s->id,
                                     .parent_snapshot_id = s->parent_id,
                                     .sequence_number = s->sequence_number};
    TRY(gather_manifests(c, at, &list, err));
    summarise(c, at, parent);
    struct str data;
    struct str object =
        arena_printf(c->arena, STR_FMT "/metadata/snap-%lld-1-" STR_FMT ".avro", STR_ARG(c->dir),
                     (long long)s->id, STR_ARG(uuid_new(c->arena)));
    TRY(ice_manifest_list_write(&list, c->arena, &data, err));
    s->manifest_list = object_uri(c, object);
    return object_put(c, &at->objects, object, data, err);
}

// The number that begins the name of a metadata file, plus one; 0 for the first.
static unsigned metadata_version_next(struct str object) {
    struct str rest = object;
    struct str last = STR_NONE;
    while (str_cut(&rest, '/', &last)) {
    }
    struct str number;
    int64_t n = -1;
    if (str_cut(&last, '-', &number) && !str_to_i64(number, &n)) {
        n = -1;
    }
    return (unsigned)(n + 1);
}

static enum err_code put_metadata(struct commit *c, struct attempt *at, struct err *err) {
    struct catalog_dataset *d = &at->dataset;
    struct str object =
        arena_printf(c->arena, STR_FMT "/metadata/%05u-" STR_FMT ".metadata.json", STR_ARG(c->dir),
                     metadata_version_next(d->metadata), STR_ARG(uuid_new(c->arena)));
    TRY(object_put(c, &at->objects, object, ice_metadata_text(at->next, c->arena), err));
    d->metadata = object;
    return ERR_OK;
}

static struct ice_metadata *metadata_first(struct commit *c) {
    // Other engines are to correct rows as we do: by position deletes.
    static const struct ice_pair properties[] = {
        {STR("write.delete.mode"), STR("merge-on-read")},
        {STR("write.update.mode"), STR("merge-on-read")},
        {STR("write.merge.mode"), STR("merge-on-read")},
        {STR("write.parquet.compression-codec"), STR("zstd")},
    };
    struct ice_metadata *m = ice_metadata_new(uuid_new(c->arena), c->location, c->target->schema,
                                              clock_wall_us() / 1000, c->arena);
    m->property_count = ARRAY_LEN(properties);
    m->properties = arena_array(c->arena, ARRAY_LEN(properties), sizeof(*m->properties));
    memcpy(m->properties, properties, sizeof(properties));
    return m;
}

static enum err_code build_metadata(struct commit *c, struct attempt *at, struct err *err) {
    const struct table_target *target = c->target;
    if (at->base == NULL) {
        at->next = metadata_first(c);
        return ERR_OK;
    }
    bool fits = c->write->mode == TABLE_APPEND
                    ? at->base->current_schema_id == target->base_schema_id
                    : table_target_fits(target, at->base);
    if (!fits) {
        return err_set(err, ERR_SCHEMA,
                       "the schema of dataset \"" STR_FMT "\" changed while the file was read: "
                       "send it again",
                       STR_ARG(at->dataset.name));
    }
    at->next = ice_metadata_copy(at->base, c->arena);
    at->next->last_column_id = MAX(at->next->last_column_id, target->last_column_id);
    if (target->evolved) {
        (void)ice_metadata_set_schema(at->next, target->schema, c->arena);
    }
    ice_metadata_log_previous(at->next, object_uri(c, at->dataset.metadata),
                              at->base->last_updated_ms, c->arena);
    return ERR_OK;
}

static void settle_dataset(struct commit *c, struct attempt *at) {
    struct catalog_dataset *d = &at->dataset;
    bool fresh = c->write->mode != TABLE_APPEND;
    d->fingerprint = ice_schema_fingerprint(ice_metadata_schema(at->next), c->arena);
    d->rows = (fresh ? 0 : d->rows) + c->staged->rows;
    d->bytes = (fresh ? 0 : d->bytes) + c->staged->bytes;
    d->files = (fresh ? 0 : d->files) + (int64_t)c->staged->count;
    d->snapshot_id = at->snapshot.id;
    d->updated_us = clock_wall_us();
    if (fresh) {
        d->source_sha256 = c->write->source_sha256;
    }
    if (at->base == NULL) {
        d->name = c->write->dataset;
        d->id = uuid_new(c->arena);
        d->bucket = c->bucket->name;
        d->dir = c->dir;
        d->created_us = d->updated_us;
    }
}

static enum err_code attempt_build(struct commit *c, struct attempt *at, struct err *err) {
    TRY(build_metadata(c, at, err));
    if (c->entries == NULL) {
        TRY(put_data_files(c, err));
    }
    TRY(put_snapshot(c, at, err));
    ice_metadata_add_snapshot(at->next, &at->snapshot, c->arena);
    TRY(put_metadata(c, at, err));
    settle_dataset(c, at);
    uint64_t version;
    TRY(catalog_dataset_put(c->tables->catalog, &at->dataset, &c->write->who, &version, err));
    at->dataset.version = version;
    return ERR_OK;
}

// The dataset as it is now. It may have come, gone or moved since the write began.
static enum err_code attempt_look_up(struct commit *c, struct attempt *at, struct err *err) {
    struct err missing = ERR_NONE;
    const struct table_write *w = c->write;
    enum err_code code =
        catalog_dataset_get(c->tables->catalog, w->dataset, c->arena, &at->dataset, &missing);
    if (code == ERR_OK && w->mode == TABLE_CREATE) {
        return err_set(err, ERR_EXISTS, "dataset \"" STR_FMT "\" was made by another meanwhile",
                       STR_ARG(w->dataset));
    }
    if (code == ERR_NOT_FOUND && w->mode != TABLE_APPEND) {
        at->dataset = (struct catalog_dataset){0};
        return ERR_OK;
    }
    if (code != ERR_OK) {
        *err = missing;
        return code;
    }
    bool moved = c->dir.len != 0 && !str_eq(c->dir, at->dataset.dir);
    if (moved || (w->mode == TABLE_APPEND && !str_eq(c->dataset_id, at->dataset.id))) {
        return err_set(err, ERR_CONFLICT,
                       "dataset \"" STR_FMT
                       "\" was made anew while the file was read: send it again",
                       STR_ARG(w->dataset));
    }
    return table_metadata_load(c->tables, &at->dataset, c->arena, &at->base, err);
}

static void pause_before(size_t attempt) {
    int64_t us = (int64_t)(random_u64() % (1000 * (attempt + 1)));
    struct timespec pause = {.tv_nsec = us * 1000};
    (void)nanosleep(&pause, NULL);
}

static void attempt_place(struct commit *c, const struct attempt *at) {
    if (c->dir.len == 0) {
        c->dir = at->base != NULL ? at->dataset.dir : folder_new(c->write->dataset, c->arena);
        c->location = at->base != NULL ? at->base->location
                                       : arena_printf(c->arena, STR_FMT "/" STR_FMT,
                                                      STR_ARG(c->bucket->uri), STR_ARG(c->dir));
    }
}

static enum err_code commit_loop(struct commit *c, struct attempt *at, struct err *err) {
    enum err_code code = ERR_CONFLICT;
    for (size_t i = 0; i < ATTEMPTS_MAX && code == ERR_CONFLICT; i++) {
        if (i > 0) {
            pause_before(i);
        }
        *at = (struct attempt){0};
        *err = ERR_NONE;
        code = attempt_look_up(c, at, err);
        if (code != ERR_OK) {
            break; // nothing that another attempt would change
        }
        attempt_place(c, at);
        code = attempt_build(c, at, err);
        if (code != ERR_OK && code != ERR_UNKNOWN) {
            objects_remove(c->bucket->store, &at->objects);
        }
    }
    if (code != ERR_OK && code != ERR_UNKNOWN) {
        objects_remove(c->bucket->store, &c->objects);
    }
    return code;
}

enum err_code table_commit(const struct table_job *job, struct table_written *ret,
                           struct err *err) {
    const struct table_write *w = job->write;
    struct tables *t = job->tables;
    struct commit c = {.tables = t,
                       .write = w,
                       .dataset_id = job->dataset_id,
                       .target = &job->target,
                       .staged = &job->staged,
                       .arena = job->arena};
    struct attempt at;
    struct str bucket = w->bucket;
    struct catalog_dataset there;
    struct err none = ERR_NONE;
    LOCKED(table_write_lock(t, w->dataset));
    if (bucket.len == 0 &&
        catalog_dataset_get(t->catalog, w->dataset, c.arena, &there, &none) == ERR_OK) {
        bucket = there.bucket;
    }
    TRY(catalog_bucket_find(t->catalog, bucket, &c.bucket, err));
    TRY(commit_loop(&c, &at, err));
    *ret = (struct table_written){.dataset = at.dataset,
                                  .schema = ice_metadata_schema(at.next),
                                  .rows = c.staged->rows,
                                  .bytes = c.staged->bytes,
                                  .files = (int64_t)c.staged->count,
                                  .created = at.base == NULL};
    return ERR_OK;
}
