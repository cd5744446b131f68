// Datasets: the entity "dataset:NAME".

#include <stdlib.h>

#include "base/threads.h"
#include "catalog/catalog_content.h"
#include "catalog/catalog_int.h"
#include "catalog/catalog_suppression.h"

static struct str dataset_key(struct str name, struct arena *a) {
    return arena_printf(a, "dataset:" STR_FMT, STR_ARG(name));
}

static struct str dataset_target(struct str name, struct arena *a) {
    return dataset_key(name, a);
}

static json_t *tombstones_json(const struct catalog_tombstones *t) {
    json_t *j = json_object();
    json_object_set_new(j, "column", json_new_str(t->column));
    json_object_set_new(j, "field_id", json_integer(t->field_id));
    json_object_set_new(j, "count", json_integer(t->count));
    json_object_set_new(j, "content", catalog_content_json(&t->content));
    return j;
}

static json_t *dataset_json(const struct catalog_dataset *d) {
    json_t *j = json_object();
    json_object_set_new(j, "id", json_new_str(d->id));
    json_object_set_new(j, "bucket", json_new_str(d->bucket));
    json_object_set_new(j, "dir", json_new_str(d->dir));
    json_object_set_new(j, "metadata", json_new_str(d->metadata));
    json_object_set_new(j, "fingerprint", json_new_str(d->fingerprint));
    json_object_set_new(j, "source_sha256", json_new_str(d->source_sha256));
    json_object_set_new(j, "rows", json_integer(d->rows));
    json_object_set_new(j, "bytes", json_integer(d->bytes));
    json_object_set_new(j, "files", json_integer(d->files));
    json_object_set_new(j, "snapshot_id", json_integer(d->snapshot_id));
    json_object_set_new(j, "created_us", json_integer(d->created_us));
    json_object_set_new(j, "updated_us", json_integer(d->updated_us));
    if (d->source_lists.len > 0) {
        json_object_set_new(j, "source_lists", json_new_str(d->source_lists));
    }
    if (d->tombstones.content.object.len > 0) {
        json_object_set_new(j, "tombstones", tombstones_json(&d->tombstones));
    }
    return j;
}

static struct catalog_tombstones tombstones_of(const json_t *j, struct arena *a) {
    return (struct catalog_tombstones){
        .column = json_str_copy(j, "column", a),
        .field_id = (int32_t)json_i64_of(j, "field_id"),
        .count = json_i64_of(j, "count"),
        .content = catalog_content_of(json_object_get(j, "content"), a),
    };
}

static struct catalog_dataset dataset_of(struct str name, uint64_t version, const json_t *j,
                                         struct arena *a) {
    return (struct catalog_dataset){
        .name = arena_str(a, name),
        .version = version,
        .id = json_str_copy(j, "id", a),
        .bucket = json_str_copy(j, "bucket", a),
        .dir = json_str_copy(j, "dir", a),
        .metadata = json_str_copy(j, "metadata", a),
        .fingerprint = json_str_copy(j, "fingerprint", a),
        .source_sha256 = json_str_copy(j, "source_sha256", a),
        .source_lists = json_str_copy(j, "source_lists", a),
        .rows = json_i64_of(j, "rows"),
        .bytes = json_i64_of(j, "bytes"),
        .files = json_i64_of(j, "files"),
        .snapshot_id = json_i64_of(j, "snapshot_id"),
        .created_us = json_i64_of(j, "created_us"),
        .updated_us = json_i64_of(j, "updated_us"),
        .tombstones = tombstones_of(json_object_get(j, "tombstones"), a),
    };
}

bool catalog_dataset_read(struct catalog *c, struct str name, struct arena *a,
                          struct catalog_dataset *ret) {
    uint64_t version = 0;
    DEFER(json_decrefp) json_t *j = txlog_get(c->log, dataset_key(name, a), &version);
    if (j == NULL) {
        return false;
    }
    *ret = dataset_of(name, version, j, a);
    return true;
}

size_t catalog_name_distance(struct str x, struct str y, size_t most) {
    enum { LIMIT = 64 };
    if (x.len > LIMIT || y.len > LIMIT) {
        return most + 1;
    }
    size_t row[LIMIT + 1];
    for (size_t j = 0; j <= y.len; j++) {
        row[j] = j;
    }
    for (size_t i = 1; i <= x.len; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= y.len; j++) {
            size_t swap = diagonal + (x.ptr[i - 1] != y.ptr[j - 1]);
            diagonal = row[j];
            size_t step = MIN(row[j], row[j - 1]) + 1;
            row[j] = MIN(swap, step);
        }
    }
    return row[y.len] <= most ? row[y.len] : most + 1;
}

// The one name that differs only in case.
static bool same_name(struct catalog *c, struct str name, struct arena *a, struct str *ret) {
    size_t count = 0;
    LOCKED(&c->lock);
    for (size_t i = 0; i < c->datasets.count; i++) {
        struct str item = str_from(c->datasets.items[i]);
        if (str_eq_nocase(item, name)) {
            *ret = arena_str(a, item);
            count++;
        }
    }
    return count == 1;
}

enum err_code catalog_dataset_get(struct catalog *c, struct str name, struct arena *a,
                                  struct catalog_dataset *ret, struct err *err) {
    struct str same;
    if (catalog_dataset_read(c, name, a, ret) ||
        (same_name(c, name, a, &same) && catalog_dataset_read(c, same, a, ret))) {
        return ERR_OK;
    }
    return err_set(err, ERR_NOT_FOUND, "no dataset \"" STR_FMT "\"", STR_ARG(name));
}

void catalog_dataset_list(struct catalog *c, struct str after, size_t max, struct arena *a,
                          struct catalog_datasets *ret) {
    struct str *names = arena_array(a, max, sizeof(*names));
    size_t count = 0;
    pthread_mutex_t *lock = threads_lock(&c->lock);
    size_t at = 0;
    if (after.len != 0 && name_list_find(&c->datasets, after, &at)) {
        at++;
    }
    for (; count < max && at < c->datasets.count; at++) {
        names[count++] = arena_str(a, str_from(c->datasets.items[at]));
    }
    bool more = at < c->datasets.count;
    threads_unlockp(&lock);

    struct catalog_dataset *list = arena_array(a, max, sizeof(*list));
    size_t found = 0;
    for (size_t i = 0; i < count; i++) {
        found += catalog_dataset_read(c, names[i], a, &list[found]) ? 1 : 0;
    }
    *ret = (struct catalog_datasets){.items = list, .count = found, .more = more};
}

size_t catalog_dataset_count(struct catalog *c) {
    LOCKED(&c->lock);
    return c->datasets.count;
}

enum err_code catalog_dataset_put(struct catalog *c, const struct catalog_dataset *d,
                                  const struct catalog_author *who, const json_t *extras,
                                  uint64_t *ret_version, struct err *err) {
    DEFER(arena_release) struct arena a = ARENA(1 << 16);
    TRY(catalog_check_name(d->name, err));
    if (d->version == 0 && catalog_view_has_name(c, d->name)) {
        // Perhaps they may not know of it.
        return err_set(err, ERR_EXISTS, "dataset \"" STR_FMT "\" was made by another meanwhile",
                       STR_ARG(d->name));
    }
    json_t *changes = json_array();
    json_array_append_new(changes,
                          catalog_change(dataset_key(d->name, &a), d->version, dataset_json(d)));
    if (d->version == 0) {
        catalog_view_must_not_exist(d->name, changes);
    }
    for (size_t i = 0; i < json_array_size(extras); i++) {
        json_array_append(changes, json_array_get(extras, i));
    }
    struct txn_outcome outcome;
    TRY(catalog_commit(c, who, dataset_target(d->name, &a), changes, &outcome, err));
    *ret_version = outcome.seq;
    return ERR_OK;
}

bool catalog_dataset_is_taken(struct catalog *c, struct str name, struct str but, struct arena *a,
                              struct str *ret) {
    LOCKED(&c->lock);
    for (size_t i = 0; i < c->datasets.count; i++) {
        struct str item = str_from(c->datasets.items[i]);
        if (str_eq_nocase(item, name) && !str_eq(item, but)) {
            *ret = arena_str(a, item);
            return true;
        }
    }
    return false;
}

enum err_code catalog_dataset_rename(struct catalog *c, const struct catalog_dataset *d,
                                     struct str to, const struct catalog_author *who,
                                     uint64_t *ret_version, struct err *err) {
    DEFER(arena_release) struct arena a = ARENA(1 << 16);
    TRY(catalog_check_name(to, err));
    if (str_eq(to, d->name)) {
        *ret_version = d->version;
        return ERR_OK;
    }
    struct str there;
    struct catalog_view view;
    bool taken = catalog_dataset_is_taken(c, to, d->name, &a, &there);
    if (!taken && catalog_view_find(c, to, &a, &view)) { // perhaps they may not know of it
        there = view.name;
        taken = true;
    }
    if (taken) {
        return err_set(err, ERR_EXISTS, "there is a dataset \"" STR_FMT "\" already",
                       STR_ARG(there));
    }
    json_t *changes = json_array();
    json_array_append_new(changes, catalog_change(dataset_key(d->name, &a), d->version, NULL));
    json_array_append_new(changes, catalog_change(dataset_key(to, &a), 0, dataset_json(d)));
    catalog_view_must_not_exist(to, changes);
    catalog_view_dataset_renamed(c, d, to, changes);
    catalog_suppression_dataset_renamed(c, d->name, to, changes);
    struct txn_outcome outcome;
    DEFER(json_decrefp) json_t *details = catalog_details(who);
    json_object_set_new(details, "was", json_new_str(d->name));
    json_object_set_new(details, "rows", json_integer(d->rows));
    struct catalog_author telling = *who;
    telling.details = details;
    TRY(catalog_commit(c, &telling, dataset_target(to, &a), changes, &outcome, err));
    *ret_version = outcome.seq;
    return ERR_OK;
}

enum err_code catalog_dataset_drop(struct catalog *c, const struct catalog_dataset *d,
                                   const struct catalog_author *who, uint64_t *ret_seq,
                                   struct err *err) {
    DEFER(arena_release) struct arena a = ARENA(1 << 16);
    json_t *changes = json_array();
    json_array_append_new(changes, catalog_change(dataset_key(d->name, &a), d->version, NULL));
    struct txn_outcome outcome;
    DEFER(json_decrefp) json_t *details = catalog_details(who);
    json_object_set_new(details, "snapshot", json_integer(d->snapshot_id));
    json_object_set_new(details, "rows", json_integer(d->rows));
    json_object_set_new(details, "files", json_integer(d->files));
    struct catalog_author telling = *who;
    telling.details = details;
    TRY(catalog_commit(c, &telling, dataset_target(d->name, &a), changes, &outcome, err));
    *ret_seq = outcome.seq;
    return ERR_OK;
}
