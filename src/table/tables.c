// The tables service: loading what a dataset is, pinning snapshots, dropping datasets.

#include "table/table.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/threads.h"
#include "catalog/catalog_content.h"
#include "table/table_int.h"

struct tables *tables_new(struct catalog *c, struct engine *e, const struct tables_options *o) {
    struct tables *t = xcalloc(1, sizeof(*t));
    DEFER(arena_release) struct arena a = ARENA(1 << 16);
    t->catalog = c;
    t->engine = e;
    t->spool = xstrdup(arena_cstr(&a, o->spool));
    table_stages_clean(t->spool);
    t->target_bytes = o->target_bytes;
    t->cache = cache_new(o->cache_bytes);
    for (size_t i = 0; i < TABLE_LOCKS; i++) {
        CHECK(pthread_mutex_init(&t->write_locks[i], NULL) == 0);
    }
    CHECK(pthread_mutex_init(&t->use_lock, NULL) == 0);
    threads_cond_init(&t->use_ended);
    return t;
}

void tables_free(struct tables *t) {
    if (t == NULL) {
        return;
    }
    cache_free(t->cache);
    table_uses_free(t);
    for (size_t i = 0; i < TABLE_LOCKS; i++) {
        pthread_mutex_destroy(&t->write_locks[i]);
    }
    pthread_mutex_destroy(&t->use_lock);
    pthread_cond_destroy(&t->use_ended);
    free(t->spool);
    free(t);
}

struct catalog *tables_catalog(struct tables *t) {
    return t->catalog;
}

pthread_mutex_t *table_write_lock(struct tables *t, struct str dataset) {
    // FNV-1a; without case, since a dataset answers to every spelling of its name.
    uint32_t hash = 2166136261U;
    for (size_t i = 0; i < dataset.len; i++) {
        char c = dataset.ptr[i];
        c = c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
        hash = (hash ^ (uint8_t)c) * 16777619U;
    }
    return &t->write_locks[hash % TABLE_LOCKS];
}

enum err_code table_object_name(const struct ice_metadata *m, const struct catalog_dataset *d,
                                struct str uri, struct arena *a, struct str *ret, struct err *err) {
    size_t root = m->location.len;
    if (!str_starts(uri, m->location) || uri.len <= root || uri.ptr[root] != '/') {
        return err_set(err, ERR_CORRUPT,
                       "dataset \"" STR_FMT "\" names an object outside its folder: " STR_FMT,
                       STR_ARG(d->name), STR_ARG(uri));
    }
    *ret =
        arena_printf(a, STR_FMT STR_FMT, STR_ARG(d->dir), STR_ARG(str_slice(uri, root, uri.len)));
    return store_check_name(*ret, err);
}

// What a loader needs to read one object and parse it.
struct load {
    struct store *store;
    struct str object;
    const struct ice_manifest_ref *ref;
};

static enum err_code load_metadata(void *ctx, struct arena *own, const void **ret,
                                   struct err *err) {
    struct load *l = ctx;
    struct str text;
    struct ice_metadata *m;
    DEFER(arena_release) struct arena raw = ARENA(STORE_GET_MAX);
    TRY(store_get(l->store, l->object, &raw, &text, err));
    TRY(ice_metadata_parse(text, l->object, own, &m, err));
    *ret = m;
    return ERR_OK;
}

static enum err_code load_list(void *ctx, struct arena *own, const void **ret, struct err *err) {
    struct load *l = ctx;
    struct str data;
    struct ice_manifest_list *list = arena_alloc(own, sizeof(*list));
    TRY(store_get(l->store, l->object, own, &data, err));
    TRY(ice_manifest_list_read(data, l->object, own, list, err));
    *ret = list;
    return ERR_OK;
}

static enum err_code load_manifest(void *ctx, struct arena *own, const void **ret,
                                   struct err *err) {
    struct load *l = ctx;
    struct str data;
    struct ice_manifest *m;
    TRY(store_get(l->store, l->object, own, &data, err));
    TRY(ice_manifest_read(data, l->ref, own, &m, err));
    *ret = m;
    return ERR_OK;
}

// A missing file of a dataset is damage, not a wrong name of the caller's.
static enum err_code load_failed(const struct catalog_dataset *d, struct err *err) {
    if (err->code == ERR_NOT_FOUND) {
        err->code = ERR_CORRUPT;
    }
    return err_prefix(err, "dataset \"" STR_FMT "\": ", STR_ARG(d->name));
}

static enum err_code load_object(struct tables *t, const struct catalog_dataset *d,
                                 const struct cache_loader *loader, struct arena *a,
                                 const void **ret, struct err *err) {
    const struct load *l = loader->ctx;
    struct str key = arena_printf(a, STR_FMT ":" STR_FMT, STR_ARG(d->bucket), STR_ARG(l->object));
    if (cache_get(t->cache, key, loader, a, ret, err) != ERR_OK) {
        return load_failed(d, err);
    }
    return ERR_OK;
}

enum err_code table_metadata_load(struct tables *t, const struct catalog_dataset *d,
                                  struct arena *a, const struct ice_metadata **ret,
                                  struct err *err) {
    const struct catalog_bucket *bucket;
    TRY(catalog_bucket_find(t->catalog, d->bucket, &bucket, err));
    struct load l = {.store = bucket->store, .object = d->metadata};
    struct cache_loader loader = {load_metadata, &l};
    const void *value;
    TRY(load_object(t, d, &loader, a, &value, err));
    *ret = value;
    return ERR_OK;
}

enum err_code table_manifest_list_load(struct tables *t, const struct table_pin *pin,
                                       struct arena *a, const struct ice_manifest_list **ret,
                                       struct err *err) {
    struct load l = {.store = pin->bucket->store};
    TRY(table_object_name(pin->metadata, &pin->dataset, pin->snapshot->manifest_list, a, &l.object,
                          err));
    struct cache_loader loader = {load_list, &l};
    const void *value;
    TRY(load_object(t, &pin->dataset, &loader, a, &value, err));
    *ret = value;
    return ERR_OK;
}

enum err_code table_manifest_load(struct tables *t, const struct table_pin *pin,
                                  const struct ice_manifest_ref *ref, struct arena *a,
                                  const struct ice_manifest **ret, struct err *err) {
    struct load l = {.store = pin->bucket->store, .ref = ref};
    TRY(table_object_name(pin->metadata, &pin->dataset, ref->path, a, &l.object, err));
    struct cache_loader loader = {load_manifest, &l};
    const void *value;
    TRY(load_object(t, &pin->dataset, &loader, a, &value, err));
    *ret = value;
    return ERR_OK;
}

static enum err_code snapshot_by_version(const struct table_pin *pin, int64_t version,
                                         const struct ice_snapshot **ret, struct err *err) {
    const struct ice_metadata *m = pin->metadata;
    *ret = ice_metadata_snapshot_by_id(m, version);
    for (size_t i = 0; *ret == NULL && i < m->snapshot_count; i++) {
        *ret = m->snapshots[i].sequence_number == version ? &m->snapshots[i] : NULL;
    }
    if (*ret == NULL) {
        return err_set(err, ERR_NOT_FOUND,
                       "dataset \"" STR_FMT "\" has no version %lld (its %zu snapshots are "
                       "listed by GET /catalog/datasets/by-name/" STR_FMT ")",
                       STR_ARG(pin->dataset.name), (long long)version, m->snapshot_count,
                       STR_ARG(pin->dataset.name));
    }
    return ERR_OK;
}

static enum err_code snapshot_by_time(const struct table_pin *pin, int64_t time_us, struct arena *a,
                                      const struct ice_snapshot **ret, struct err *err) {
    // Snapshots carry milliseconds: the whole millisecond counts as past.
    int64_t ms = time_us / 1000 - (time_us % 1000 < 0 ? 1 : 0);
    *ret = ice_metadata_snapshot_at(pin->metadata, ms);
    if (*ret == NULL) {
        return err_set(err, ERR_NOT_FOUND, "dataset \"" STR_FMT "\" did not exist at " STR_FMT,
                       STR_ARG(pin->dataset.name), STR_ARG(clock_rfc3339(time_us, a)));
    }
    return ERR_OK;
}

// It is looked up again after its use is noted: a drop in between would not have seen us.
static enum err_code dataset_use(struct tables *t, struct str name, struct arena *a,
                                 struct table_pin *ret, struct err *err) {
    struct str dir;
    TRY(catalog_dataset_get(t->catalog, name, a, &ret->dataset, err));
    do {
        dir = ret->dataset.dir;
        ret->ticket = table_use_begin(t, &ret->dataset, a);
        TRY(catalog_dataset_get(t->catalog, name, a, &ret->dataset, err));
    } while (!str_eq(dir, ret->dataset.dir));
    return ERR_OK;
}

enum err_code table_dataset_use(struct tables *t, struct str name, struct arena *a,
                                struct catalog_dataset *ret, struct err *err) {
    struct table_pin pin;
    TRY(dataset_use(t, name, a, &pin, err));
    *ret = pin.dataset;
    return ERR_OK;
}

enum err_code table_pin_at(struct tables *t, const struct table_want *want, struct arena *a,
                           struct table_pin *ret, struct err *err) {
    struct table_pin pin = {.raw = want->raw};
    TRY(dataset_use(t, want->name, a, &pin, err));
    TRY(catalog_bucket_find(t->catalog, pin.dataset.bucket, &pin.bucket, err));
    TRY(table_metadata_load(t, &pin.dataset, a, &pin.metadata, err));
    pin.snapshot = ice_metadata_snapshot(pin.metadata);
    pin.schema = ice_metadata_schema(pin.metadata);
    if (want->at == TABLE_AT_VERSION) {
        TRY(snapshot_by_version(&pin, want->value, &pin.snapshot, err));
    } else if (want->at == TABLE_AT_TIMESTAMP) {
        TRY(snapshot_by_time(&pin, want->value, a, &pin.snapshot, err));
    }
    if (want->at != TABLE_AT_NOW && pin.snapshot != NULL && pin.snapshot->schema_id >= 0) {
        pin.schema = ice_metadata_schema_by_id(pin.metadata, pin.snapshot->schema_id);
    }
    if (pin.schema == NULL) {
        return err_set(err, ERR_CORRUPT, "dataset \"" STR_FMT "\": its schema is missing",
                       STR_ARG(want->name));
    }
    *ret = pin;
    return ERR_OK;
}

static void dataset_copy(const struct catalog_dataset *from, struct arena *a,
                         struct catalog_dataset *ret) {
    *ret = *from;
    ret->name = arena_str(a, from->name);
    ret->id = arena_str(a, from->id);
    ret->bucket = arena_str(a, from->bucket);
    ret->dir = arena_str(a, from->dir);
    ret->metadata = arena_str(a, from->metadata);
    ret->fingerprint = arena_str(a, from->fingerprint);
    ret->source_sha256 = arena_str(a, from->source_sha256);
    ret->source_lists = arena_str(a, from->source_lists);
    ret->tombstones.column = arena_str(a, from->tombstones.column);
    ret->tombstones.content.object = arena_str(a, from->tombstones.content.object);
    ret->tombstones.content.sha256 = arena_str(a, from->tombstones.content.sha256);
}

enum err_code table_pin_again(struct tables *t, const struct table_pin *pin, struct arena *a,
                              struct table_pin *ret, struct err *err) {
    struct table_pin copy = *pin;
    dataset_copy(&pin->dataset, a, &copy.dataset);
    table_use_again(t, &copy.dataset, pin->ticket, a);
    TRY(table_metadata_load(t, &copy.dataset, a, &copy.metadata, err));
    copy.schema = ice_metadata_schema_by_id(copy.metadata, pin->schema->schema_id);
    if (pin->snapshot != NULL) {
        copy.snapshot = ice_metadata_snapshot_by_id(copy.metadata, pin->snapshot->id);
    }
    CHECK(copy.schema != NULL && (copy.snapshot != NULL) == (pin->snapshot != NULL));
    *ret = copy;
    return ERR_OK;
}

bool table_pin_current(struct tables *t, const struct table_pin *pin, struct arena *a) {
    struct catalog_dataset now;
    struct err err = ERR_NONE;
    return catalog_dataset_get(t->catalog, pin->dataset.name, a, &now, &err) == ERR_OK &&
           now.version == pin->dataset.version;
}

enum err_code table_drop(struct tables *t, struct str name, const struct catalog_author *who,
                         uint64_t *ret_seq, struct err *err) {
    DEFER(arena_release) struct arena a = ARENA(1 << 20);
    struct catalog_dataset d;
    TRY(catalog_dataset_get(t->catalog, name, &a, &d, err));
    {
        LOCKED(table_write_lock(t, d.name));
        TRY(catalog_dataset_get(t->catalog, d.name, &a, &d, err));
        TRY(catalog_dataset_drop(t->catalog, &d, who, ret_seq, err));
    }
    catalog_content_remove(t->catalog, &d.tombstones.content);
    table_folder_remove(t, &d);
    return ERR_OK;
}
