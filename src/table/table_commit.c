// Committing: manifest list, metadata, and the catalog's word; again if another was quicker.

#include <stdio.h>
#include <time.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/log.h"
#include "catalog/catalog_content.h"
#include "table/table_commit.h"

#define ATTEMPTS_MAX 64
#define SUMMARY_MAX 24

struct ice_entry *table_entry_add(struct table_entries *e, struct arena *a) {
    e->items = arena_grow(a, e->items, &e->cap, e->count + 1, sizeof(*e->items));
    return &e->items[e->count++];
}

void table_path_add(struct table_paths *p, struct str path, struct arena *a) {
    p->items = arena_grow(a, p->items, &p->cap, p->count + 1, sizeof(*p->items));
    p->items[p->count++] = path;
}

static void object_note(struct table_objects *o, struct str name, struct arena *a) {
    o->names = arena_grow(a, o->names, &o->cap, o->count + 1, sizeof(*o->names));
    o->names[o->count++] = name;
}

// What cannot be removed stays behind unseen; the failure of the commit is what counts.
static void objects_remove(struct store *s, struct table_objects *o) {
    for (size_t i = 0; i < o->count; i++) {
        struct err err = ERR_NONE;
        if (store_delete(s, o->names[i], &err) != ERR_OK) {
            log_warn("table.undo", "object=%s error=%s", log_quote(o->names[i]),
                     log_quote(str_from(err.msg)));
        }
    }
    o->count = 0;
}

// Everything is durable before the log speaks of it.
static enum err_code objects_settle(struct table_commit *c, struct err *err) {
    struct store *s = c->base.bucket->store;
    if (c->settled < c->kept.count) {
        TRY(store_settle(s, &c->kept.names[c->settled], c->kept.count - c->settled, err));
        c->settled = c->kept.count;
    }
    return store_settle(s, c->attempt.names, c->attempt.count, err);
}

struct str table_object_uri(const struct table_commit *c, struct str object) {
    return arena_printf(c->arena, STR_FMT STR_FMT, STR_ARG(c->location),
                        STR_ARG(str_slice(object, c->dir.len, object.len)));
}

enum err_code table_object_put(struct table_commit *c, struct table_objects *o, struct str name,
                               struct str data, struct err *err) {
    object_note(o, name, c->arena);
    return store_put_later(c->base.bucket->store, name, data, err);
}

enum err_code table_data_put(struct table_commit *c, struct table_objects *o,
                             const struct table_staged *staged, const struct ice_schema *schema,
                             struct table_entries *ret, struct err *err) {
    struct str uuid = uuid_new(c->arena);
    for (size_t i = 0; i < staged->count; i++) {
        const struct engine_file_stats *stats = &staged->stats[i];
        struct str object =
            arena_printf(c->arena, STR_FMT "/data/%s" STR_FMT "-%05zu.parquet", STR_ARG(c->dir),
                         staged->prefix ? staged->prefix : "", STR_ARG(uuid), i);
        object_note(o, object, c->arena);
        TRY(store_put_file_later(c->base.bucket->store, object, arena_cstr(c->arena, stats->path),
                                 err));
        struct ice_entry *e = table_entry_add(ret, c->arena);
        *e = (struct ice_entry){.status = ICE_ADDED, .inherit = true};
        e->file = (struct ice_data_file){.content = ICE_DATA,
                                         .path = table_object_uri(c, object),
                                         .format = STR("PARQUET"),
                                         .record_count = stats->rows,
                                         .file_bytes = stats->bytes};
        table_metrics(schema, stats, c->arena, &e->file);
    }
    return ERR_OK;
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

// One attempt: what it makes of the state it builds on.
struct attempt {
    struct table_edit edit;
    struct ice_metadata *next;
    struct ice_snapshot snapshot;
    struct ice_pair summary[SUMMARY_MAX];
    struct table_change change;
};

static void summary_add(struct table_commit *c, struct attempt *at, const char *key,
                        int64_t value) {
    CHECK(at->snapshot.summary_count < SUMMARY_MAX);
    at->summary[at->snapshot.summary_count++] =
        (struct ice_pair){str_from(key), arena_printf(c->arena, "%lld", (long long)value)};
}

// The words of the format for what came or went; nothing is said of what did not.
static void summary_some(struct table_commit *c, struct attempt *at, const char *key,
                         int64_t value) {
    if (value > 0) {
        summary_add(c, at, key, value);
    }
}

// A total that the parent does not know stays unknown.
static void summary_total(struct table_commit *c, struct attempt *at, const char *key,
                          int64_t before, int64_t change) {
    if (before >= 0) {
        summary_add(c, at, key, before + change);
    }
}

static void summarise(struct table_commit *c, struct attempt *at,
                      const struct ice_snapshot *parent) {
    const struct ice_totals total = ice_totals_of(parent);
    const struct table_tally *in = &at->change.added;
    const struct table_tally *out = &at->change.removed;
    at->snapshot.summary = at->summary;
    summary_some(c, at, "added-data-files", in->files);
    summary_some(c, at, "added-records", in->rows);
    summary_some(c, at, "added-files-size", in->bytes + in->delete_bytes);
    summary_some(c, at, "deleted-data-files", out->files);
    summary_some(c, at, "deleted-records", out->rows);
    summary_some(c, at, "removed-files-size", out->bytes + out->delete_bytes);
    summary_some(c, at, "added-delete-files", in->delete_files);
    summary_some(c, at, "added-position-delete-files", in->delete_files);
    summary_some(c, at, "added-position-deletes", in->deleted_rows);
    summary_some(c, at, "removed-delete-files", out->delete_files);
    summary_some(c, at, "removed-position-delete-files", out->delete_files);
    summary_some(c, at, "removed-position-deletes", out->deleted_rows);
    summary_total(c, at, "total-data-files", total.data_files, in->files - out->files);
    summary_total(c, at, "total-records", total.records, in->rows - out->rows);
    summary_total(c, at, "total-files-size", total.file_bytes,
                  in->bytes + in->delete_bytes - out->bytes - out->delete_bytes);
    summary_total(c, at, "total-delete-files", total.delete_files,
                  in->delete_files - out->delete_files);
    summary_total(c, at, "total-position-deletes", total.position_deletes,
                  in->deleted_rows - out->deleted_rows);
    summary_total(c, at, "total-equality-deletes", total.equality_deletes, 0);
    at->summary[at->snapshot.summary_count++] = (struct ice_pair){STR("engine-name"), STR("tarn")};
}

static enum err_code put_snapshot(struct table_commit *c, struct attempt *at, struct err *err) {
    const struct ice_snapshot *parent = c->base.snapshot;
    struct ice_snapshot *s = &at->snapshot;
    s->id = ice_snapshot_id_new(at->next);
    s->parent_id = parent != NULL ? parent->id : 0;
    s->sequence_number = at->next->last_sequence_number + 1;
    s->timestamp_ms = MAX(clock_wall_us() / 1000, at->next->last_updated_ms);
    s->schema_id = at->next->current_schema_id;
    s->operation = at->edit.operation;
    at->change.snapshot = s;
    at->change.schema = ice_metadata_schema(at->next);
    at->change.list = (struct ice_manifest_list){.snapshot_id = s->id,
                                                 .parent_snapshot_id = s->parent_id,
                                                 .sequence_number = s->sequence_number};
    TRY(table_manifests_make(c, &at->edit, &at->change, err));
    summarise(c, at, parent);
    struct str data;
    struct str object =
        arena_printf(c->arena, STR_FMT "/metadata/snap-%lld-1-" STR_FMT ".avro", STR_ARG(c->dir),
                     (long long)s->id, STR_ARG(uuid_new(c->arena)));
    TRY(ice_manifest_list_write(&at->change.list, c->arena, &data, err));
    s->manifest_list = table_object_uri(c, object);
    TRY(table_object_put(c, &c->attempt, object, data, err));
    ice_metadata_add_snapshot(at->next, s, c->arena);
    c->snapshot_id = s->id;
    return ERR_OK;
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

static struct ice_metadata *metadata_first(struct table_commit *c, const struct table_edit *e) {
    // Other engines are to correct rows as we do: by position deletes.
    static const struct ice_pair properties[] = {
        {STR("write.delete.mode"), STR("merge-on-read")},
        {STR("write.update.mode"), STR("merge-on-read")},
        {STR("write.merge.mode"), STR("merge-on-read")},
        {STR("write.parquet.compression-codec"), STR("zstd")},
    };
    struct ice_metadata *m = ice_metadata_new(uuid_new(c->arena), c->location, e->schema,
                                              clock_wall_us() / 1000, c->arena);
    m->property_count = ARRAY_LEN(properties);
    m->properties = arena_array(c->arena, ARRAY_LEN(properties), sizeof(*m->properties));
    memcpy(m->properties, properties, sizeof(properties));
    return m;
}

static void build_metadata(struct table_commit *c, struct attempt *at) {
    const struct table_edit *e = &at->edit;
    if (c->base.metadata == NULL) {
        CHECK(e->schema != NULL);
        at->next = metadata_first(c, e);
        return;
    }
    at->next = ice_metadata_copy(c->base.metadata, c->arena);
    at->next->last_column_id = MAX(at->next->last_column_id, e->last_column_id);
    at->next->last_updated_ms = MAX(clock_wall_us() / 1000, at->next->last_updated_ms);
    if (e->schema != NULL) {
        (void)ice_metadata_set_schema(at->next, e->schema, c->arena);
    }
    ice_metadata_log_previous(at->next, table_object_uri(c, c->base.dataset.metadata),
                              c->base.metadata->last_updated_ms, c->arena);
}

// What the catalog says of sizes: of the state that is current after the commit.
static enum err_code settle_sizes(struct table_commit *c, const struct attempt *at,
                                  struct catalog_dataset *d, struct err *err) {
    const struct table_tally *in = &at->change.added;
    const struct table_tally *out = &at->change.removed;
    if (at->edit.amend == NULL) {
        d->rows += in->rows - out->rows - in->deleted_rows + out->deleted_rows;
        d->bytes += in->bytes + in->delete_bytes - out->bytes - out->delete_bytes;
        d->files += in->files - out->files;
        return ERR_OK;
    }
    struct table_pin pin = c->base;
    struct table_tally all;
    pin.metadata = at->next;
    pin.snapshot = ice_metadata_snapshot(at->next);
    TRY(table_tally_of(c->tables, &pin, c->arena, &all, err));
    d->rows = all.rows - all.deleted_rows;
    d->bytes = all.bytes + all.delete_bytes;
    d->files = all.files;
    return ERR_OK;
}

static enum err_code settle_dataset(struct table_commit *c, const struct attempt *at,
                                    struct catalog_dataset *d, struct err *err) {
    TRY(settle_sizes(c, at, d, err));
    d->fingerprint = ice_schema_fingerprint(ice_metadata_schema(at->next), c->arena);
    d->snapshot_id = at->next->current_snapshot_id;
    d->updated_us = clock_wall_us();
    if (at->edit.tombstones != NULL) {
        d->tombstones = *at->edit.tombstones;
    }
    if (at->edit.forgets_source) {
        d->source_sha256 = STR_NONE;
        d->source_lists = STR_NONE;
    }
    if (at->edit.removes_all || c->base.metadata == NULL) {
        d->source_sha256 = c->source_sha256;
        d->source_lists = c->source_lists;
    }
    if (c->base.metadata == NULL) {
        d->name = c->dataset;
        d->id = uuid_new(c->arena);
        d->bucket = c->base.bucket->name;
        d->dir = c->dir;
        d->created_us = d->updated_us;
    }
    return ERR_OK;
}

// Else only the catalog's entry changes: its tombstones, or the source that it was made from.
static bool changes_table(const struct table_edit *e) {
    return e->operation.len > 0 || e->schema != NULL || e->amend != NULL;
}

static enum err_code put_metadata(struct table_commit *c, struct attempt *at, struct err *err) {
    struct catalog_dataset d = c->base.dataset;
    if (changes_table(&at->edit)) {
        struct str object = arena_printf(
            c->arena, STR_FMT "/metadata/%05u-" STR_FMT ".metadata.json", STR_ARG(c->dir),
            metadata_version_next(d.metadata), STR_ARG(uuid_new(c->arena)));
        TRY(table_object_put(c, &c->attempt, object, ice_metadata_text(at->next, c->arena), err));
        d.metadata = object;
    }
    TRY(objects_settle(c, err));
    TRY(settle_dataset(c, at, &d, err));
    DEFER(json_decrefp) json_t *extras = c->extras != NULL ? c->extras(c) : NULL;
    const struct table_telling telling = {.given = c->who.details,
                                          .before = c->base.metadata,
                                          .after = at->next,
                                          .made = c->snapshot_id != 0 ? &at->snapshot : NULL,
                                          .change = &at->change,
                                          .dataset = &d};
    DEFER(json_decrefp) json_t *details = table_details(&telling, c->arena);
    struct catalog_author who = c->who;
    who.details = details;
    TRY(catalog_dataset_put(c->tables->catalog, &d, &who, extras, &d.version, err));
    c->after = d;
    c->metadata = changes_table(&at->edit) ? at->next : c->base.metadata;
    return ERR_OK;
}

static enum err_code attempt_build(struct table_commit *c, struct attempt *at, struct err *err) {
    build_metadata(c, at);
    c->snapshot_id = 0;
    if (at->edit.operation.len > 0) {
        TRY(put_snapshot(c, at, err));
    }
    if (at->edit.amend != NULL) {
        TRY(at->edit.amend(at->edit.amend_ctx, at->next, c->arena, err));
    }
    return put_metadata(c, at, err);
}

// The dataset as it is now. It may have come, gone or moved since the work for it began.
static enum err_code attempt_look_up(struct table_commit *c, struct err *err) {
    struct err missing = ERR_NONE;
    const struct catalog_bucket *bucket = c->base.bucket;
    struct catalog_dataset *d = &c->base.dataset;
    c->base = (struct table_pin){.bucket = bucket};
    enum err_code code = catalog_dataset_get(c->tables->catalog, c->dataset, c->arena, d, &missing);
    if (code == ERR_NOT_FOUND && c->creates) {
        *d = (struct catalog_dataset){0};
        return ERR_OK;
    }
    if (code != ERR_OK) {
        *err = missing;
        return code;
    }
    bool moved = c->dir.len != 0 && !str_eq(c->dir, d->dir);
    if (moved || (c->dataset_id.len > 0 && !str_eq(c->dataset_id, d->id))) {
        return err_set(err, ERR_CONFLICT,
                       "dataset \"" STR_FMT "\" was made anew meanwhile: send it again",
                       STR_ARG(c->dataset));
    }
    TRY(table_metadata_load(c->tables, d, c->arena, &c->base.metadata, err));
    c->base.snapshot = ice_metadata_snapshot(c->base.metadata);
    c->base.schema = ice_metadata_schema(c->base.metadata);
    return ERR_OK;
}

static void pause_before(size_t attempt) {
    int64_t us = (int64_t)(random_u64() % (1000 * (attempt + 1)));
    struct timespec pause = {.tv_nsec = us * 1000};
    (void)nanosleep(&pause, NULL);
}

static void attempt_place(struct table_commit *c) {
    const struct table_pin *base = &c->base;
    if (c->dir.len == 0) {
        c->dir = base->metadata != NULL ? base->dataset.dir : folder_new(c->dataset, c->arena);
        c->location = base->metadata != NULL
                          ? base->metadata->location
                          : arena_printf(c->arena, STR_FMT "/" STR_FMT, STR_ARG(base->bucket->uri),
                                         STR_ARG(c->dir));
    }
}

// Nothing leads to the list that another has replaced.
static void remove_old_list(struct table_commit *c, const struct table_edit *e) {
    const struct catalog_content *old = &c->base.dataset.tombstones.content;
    if (e->tombstones != NULL && !str_eq(e->tombstones->content.object, old->object)) {
        catalog_content_remove(c->tables->catalog, old);
    }
}

static void remove_new_list(struct table_commit *c) {
    catalog_content_remove(c->tables->catalog, &c->list);
    c->list = (struct catalog_content){0};
}

static enum err_code attempt(struct table_commit *c, bool *ret_again, struct err *err) {
    struct attempt at = {0};
    *ret_again = false;
    TRY(attempt_look_up(c, err));
    attempt_place(c);
    TRY(c->prepare(c, &at.edit, err));
    TRY(table_tombstones_hide(c, &at.edit, err));
    if (at.edit.nothing) {
        c->after = c->base.dataset;
        c->metadata = c->base.metadata;
        c->snapshot_id = 0;
        return ERR_OK;
    }
    const enum err_code code = attempt_build(c, &at, err);
    *ret_again = code == ERR_CONFLICT;
    if (code == ERR_OK) {
        remove_old_list(c, &at.edit);
    }
    return code;
}

enum err_code table_commit_run(struct table_commit *c, struct err *err) {
    struct str bucket = c->bucket;
    struct catalog_dataset there;
    struct err none = ERR_NONE;
    if (bucket.len == 0 &&
        catalog_dataset_get(c->tables->catalog, c->dataset, c->arena, &there, &none) == ERR_OK) {
        bucket = there.bucket;
    }
    TRY(catalog_bucket_find(c->tables->catalog, bucket, &c->base.bucket, err));
    enum err_code code = ERR_CONFLICT;
    bool again = true;
    for (size_t i = 0; i < ATTEMPTS_MAX && again; i++) {
        if (i > 0) {
            pause_before(i);
        }
        *err = ERR_NONE;
        code = attempt(c, &again, err);
        if (code != ERR_OK && code != ERR_UNKNOWN) {
            objects_remove(c->base.bucket->store, &c->attempt);
            remove_new_list(c);
        }
        c->attempt.count = 0;
    }
    if (code != ERR_OK && code != ERR_UNKNOWN) {
        objects_remove(c->base.bucket->store, &c->kept);
    }
    return code;
}

void table_commit_undo(struct table_commit *c) {
    objects_remove(c->base.bucket->store, &c->attempt);
    objects_remove(c->base.bucket->store, &c->kept);
}
