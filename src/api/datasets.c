// Datasets: GET /catalog/datasets, and GET, DELETE and rename of one by name.

#include "api/api.h"

#define PAGE 1000

static json_t *summary_json(const struct catalog_dataset *d, struct arena *a) {
    json_t *j = json_object();
    json_object_set_new(j, "name", json_new_str(d->name));
    json_object_set_new(j, "bucket", json_new_str(d->bucket));
    json_object_set_new(j, "rows", json_integer(d->rows));
    json_object_set_new(j, "bytes", json_integer(d->bytes));
    json_object_set_new(j, "files", json_integer(d->files));
    json_object_set_new(j, "fingerprint", json_new_str(d->fingerprint));
    json_object_set_new(j, "snapshot", json_integer(d->snapshot_id));
    json_object_set_new(j, "created_at", api_time(d->created_us, a));
    json_object_set_new(j, "updated_at", api_time(d->updated_us, a));
    return j;
}

// A page of those that the caller has any right on. There is a next one only if it has some.
static void list_visible(struct call *c, struct str after, size_t max,
                         struct catalog_datasets *ret) {
    struct catalog_datasets page = {.more = true};
    *ret = (struct catalog_datasets){.items = arena_array(c->arena, max, sizeof(*ret->items))};
    while (page.more && !ret->more) {
        catalog_dataset_list(c->api->catalog, after, PAGE, c->arena, &page);
        for (size_t i = 0; i < page.count && !ret->more; i++) {
            const struct catalog_dataset *d = &page.items[i];
            after = d->name;
            if (catalog_rights_on(c->rights, d->name, d->bucket) == 0) {
                continue;
            }
            if (ret->count == max) {
                ret->more = true;
            } else {
                ret->items[ret->count++] = *d;
            }
        }
    }
}

enum err_code catalog_list(struct call *c, struct err *err) {
    int64_t limit = 100;
    struct str cursor = STR_NONE;
    struct catalog_datasets list;
    TRY(api_query_number(c, "limit", 1, 1000, &limit, err));
    (void)http_query(c->http, "cursor", &cursor);
    list_visible(c, cursor, (size_t)limit, &list);
    json_t *j = json_object();
    json_t *items = json_array();
    for (size_t i = 0; i < list.count; i++) {
        json_array_append_new(items, summary_json(&list.items[i], c->arena));
    }
    json_object_set_new(j, "datasets", items);
    bool more = list.more && list.count > 0;
    json_object_set_new(j, "next",
                        more ? json_new_str(list.items[list.count - 1].name) : json_null());
    api_json_tree(c, 200, j);
    return ERR_OK;
}

static json_t *snapshot_json(const struct ice_snapshot *s, struct arena *a) {
    json_t *j = json_object();
    struct ice_totals totals = ice_totals_of(s);
    int64_t added = 0;
    for (size_t i = 0; i < s->summary_count; i++) {
        if (str_is(s->summary[i].key, "added-records")) {
            (void)str_to_i64(s->summary[i].value, &added);
        }
    }
    json_object_set_new(j, "id", json_integer(s->id));
    json_object_set_new(j, "sequence_number", json_integer(s->sequence_number));
    json_object_set_new(j, "timestamp", api_time(s->timestamp_ms * 1000, a));
    json_object_set_new(j, "operation", json_new_str(s->operation));
    json_object_set_new(j, "rows", json_integer(totals.records));
    json_object_set_new(j, "added_rows", json_integer(added));
    return j;
}

// Newest first.
static json_t *snapshots_json(const struct ice_metadata *m, struct arena *a) {
    json_t *list = json_array();
    for (size_t i = m->snapshot_count; i > 0; i--) {
        json_array_append_new(list, snapshot_json(&m->snapshots[i - 1], a));
    }
    return list;
}

static enum err_code objects_json(struct call *c, const struct table_pin *pin, json_t **ret,
                                  struct err *err) {
    struct table_scan scan;
    struct table_conditions none = {0};
    TRY(table_scan_plan(c->api->tables, pin, &none, c->arena, &scan, err));
    json_t *list = json_array();
    for (size_t i = 0; i < scan.file_count; i++) {
        const struct table_file *f = &scan.files[i];
        json_t *j = json_object();
        json_object_set_new(j, "path", json_new_str(f->object));
        json_object_set_new(j, "bucket", json_new_str(pin->bucket->name));
        json_object_set_new(j, "rows", json_integer(f->file->record_count));
        json_object_set_new(j, "bytes", json_integer(f->file->file_bytes));
        json_array_append_new(list, j);
    }
    *ret = list;
    return ERR_OK;
}

enum err_code catalog_show(struct call *c, struct err *err) {
    struct table_pin pin;
    struct str seen;
    struct table_want want = {.name = c->param};
    TRY(table_pin_at(c->api->tables, &want, c->arena, &pin, err));
    const struct catalog_dataset *d = &pin.dataset;
    struct str etag = arena_printf(c->arena, "\"%llu\"", (unsigned long long)d->version);
    http_set_header(c->http, "ETag", etag);
    if (http_header(c->http, "If-None-Match", &seen) && str_eq(seen, etag)) {
        http_answer(c->http, 304, NULL, STR_NONE);
        return ERR_OK;
    }
    const bool reads = (catalog_rights_on(c->rights, d->name, d->bucket) & CATALOG_READ_RAW) != 0;
    json_t *objects = NULL;
    if (reads) {
        TRY(objects_json(c, &pin, &objects, err));
    }
    json_t *schema = json_object();
    json_object_set_new(schema, "schema_id", json_integer(pin.schema->schema_id));
    json_object_set_new(schema, "fields", api_schema_fields(pin.schema, c->arena));
    json_t *j = summary_json(d, c->arena);
    json_object_set_new(j, "id", json_new_str(d->id));
    json_object_set_new(j, "location", json_new_str(pin.metadata->location));
    json_object_set_new(
        j, "metadata_location",
        json_new_str(arena_printf(c->arena, STR_FMT STR_FMT, STR_ARG(pin.metadata->location),
                                  STR_ARG(str_slice(d->metadata, d->dir.len, d->metadata.len)))));
    json_object_set_new(j, "schema", schema);
    if (reads) {
        json_object_set_new(j, "objects", objects);
        json_object_set_new(j, "snapshots", snapshots_json(pin.metadata, c->arena));
    }
    api_json_tree(c, 200, j);
    return ERR_OK;
}

enum err_code catalog_drop(struct call *c, struct err *err) {
    uint64_t seq;
    struct catalog_author who = api_author(c);
    TRY(table_drop(c->api->tables, c->param, &who, &seq, err));
    json_t *j = json_object();
    json_object_set_new(j, "dataset", json_new_str(c->param));
    json_object_set_new(j, "dropped", json_true());
    json_object_set_new(j, "seq", json_integer((json_int_t)seq));
    api_json_tree(c, 200, j);
    return ERR_OK;
}

enum err_code catalog_rename(struct call *c, struct err *err) {
    static const char *const keys[] = {"to", NULL};
    DEFER(json_decrefp) json_t *body = NULL;
    struct catalog_dataset d;
    struct str to;
    uint64_t version;
    struct catalog_author who = api_author(c);
    TRY(api_body_json(c, &body, err));
    TRY(json_only_keys(body, keys, err));
    TRY(json_need_str(body, "to", &to, err));
    TRY(catalog_dataset_get(c->api->catalog, c->param, c->arena, &d, err));
    TRY(catalog_permit_rename(c->rights, &d, to, err));
    TRY(catalog_permit_name(c->api->catalog, c->rights, to, err));
    TRY(catalog_dataset_rename(c->api->catalog, &d, to, &who, &version, err));
    json_t *j = json_object();
    json_object_set_new(j, "dataset", json_new_str(to));
    json_object_set_new(j, "was", json_new_str(d.name));
    json_object_set_new(j, "seq", json_integer((json_int_t)version));
    api_json_tree(c, 200, j);
    return ERR_OK;
}
