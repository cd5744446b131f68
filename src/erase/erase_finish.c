// The end of an erasure: leftovers are swept, what remains is searched, the request is destroyed,
// and the receipt is signed.
//
// While "running" the request's values still exist, in one content object that the scan leaves out.
// What the scan found goes into a draft of the receipt; the record that names the draft names the
// request no more ("finishing"). Then the request's object is removed, and only when it is gone is
// the receipt signed, with the place and hash of that record, and recorded ("done").

#include "erase/erase_record.h"

#include "base/clock.h"
#include "base/hash.h"
#include "base/version.h"
#include "catalog/catalog_content.h"
#include "catalog/catalog_view.h"
#include "erase/erase_receipt.h"
#include "upkeep/upkeep_engine.h"

struct finish {
    struct erase *erase;
    struct erase_record *record;
    struct job *job;
    struct arena *arena;
    struct store *store;
    struct erase_request_kept request;
    struct erase_subjects subjects;
    struct erase_matcher *matcher;
    int64_t texts; // of statements, that were kept and quoted a subject
    struct erase_swept swept;
    struct erase_scanned scanned;
};

static void finish_release(struct finish *f) {
    erase_matcher_free(TAKE(f->matcher));
}

json_t *erase_objects_json(const struct erase_object *objects, size_t count) {
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++) {
        json_array_append_new(list,
                              json_pack("{s:o,s:I,s:o}", "object", json_new_str(objects[i].name),
                                        "bytes", (json_int_t)objects[i].bytes, "sha256",
                                        json_new_str(objects[i].sha256)));
    }
    return list;
}

void erase_objects_of(const json_t *list, struct arena *a, struct erase_object **ret,
                      size_t *ret_count) {
    struct erase_object *objects = arena_array(a, json_array_size(list), sizeof(*objects));
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *j = json_array_get(list, i);
        struct str name = STR_NONE;
        struct str hash = STR_NONE;
        (void)json_get_str(j, "object", &name);
        (void)json_get_str(j, "sha256", &hash);
        (void)json_get_i64(j, "bytes", &objects[i].bytes);
        objects[i].name = arena_str(a, name);
        objects[i].sha256 = arena_str(a, hash);
    }
    *ret = objects;
    *ret_count = json_array_size(list);
}

static const json_t *targets_of(const struct finish *f) {
    return json_object_get(f->record->entity, "targets");
}

static bool quotes(void *ctx, struct str sql) {
    return erase_match_statement(ctx, sql);
}

// Earlier definitions of views. The current ones were looked at when it was asked for.
static enum err_code forget_filters(struct finish *f, struct err *err) {
    const struct catalog_view_eraser eraser = {quotes, f->matcher};
    const struct catalog_author who = erase_record_author(f->record, "view.erase");
    struct catalog_view_erased done;
    TRY(catalog_view_erase(f->erase->options.catalog, &eraser, &who, f->arena, &done, err));
    erase_swept_add(&f->swept, &done.objects, f->arena);
    return ERR_OK;
}

// What is kept of statements goes before it is searched for.
static enum err_code forget(struct finish *f, struct err *err) {
    const struct erase_options *o = &f->erase->options;
    struct erase_forgetting forgetting = {.quotes = quotes, .ctx = f->matcher};
    TRY(forget_filters(f, err));
    if (o->forget == NULL) {
        return ERR_OK;
    }
    TRY(o->forget(o->ctx, &forgetting, f->arena, err));
    erase_swept_add(&f->swept, &forgetting.objects, f->arena);
    f->texts = forgetting.texts;
    return ERR_OK;
}

static enum err_code sweep_and_scan(struct finish *f, struct err *err) {
    struct erase *e = f->erase;
    const size_t count = json_array_size(targets_of(f));
    struct str *columns = arena_array(f->arena, count, sizeof(*columns));
    const struct catalog_content request =
        catalog_content_of(json_object_get(f->record->entity, "content"), f->arena);
    for (size_t i = 0; i < count; i++) {
        (void)json_get_str(json_array_get(targets_of(f), i), "column", &columns[i]);
    }
    f->matcher = erase_matcher_new(&f->subjects);
    TRY(forget(f, err));
    TRY(erase_sweep(e, f->matcher, f->job, f->arena, &f->swept, err));
    const struct erase_scan scan = {.subjects = &f->subjects,
                                    .columns = columns,
                                    .column_count = count,
                                    .leave_out = &request.object,
                                    .leave_out_count = 1};
    return erase_scan(e, &scan, f->job, f->arena, &f->scanned, err);
}

// The name of an object, without the parts that spell a value (a folder of a partition, say).
static json_t *tell_name(const struct finish *f, struct str name) {
    DEFER(buf_release) struct buf out = BUF(1U << 16);
    struct str part;
    if (erase_match_name(f->matcher, name) == 0) {
        return json_new_str(name);
    }
    while (str_cut(&name, '/', &part)) {
        buf_add_cstr(&out, out.len > 0 ? "/" : "");
        buf_add_str(&out, erase_match_name(f->matcher, part) > 0 ? STR("(withheld)") : part);
    }
    return json_new_str(buf_str(&out));
}

static json_t *scan_json(const struct finish *f) {
    const struct erase_scanned *s = &f->scanned;
    int64_t values = 0;
    int64_t small = 0;
    erase_matcher_count(f->matcher, &values, &small);
    json_t *findings = json_array();
    for (size_t i = 0; i < s->finding_count; i++) {
        json_array_append_new(findings, json_pack("{s:o,s:o,s:I}", "object",
                                                  tell_name(f, s->findings[i].object), "where",
                                                  json_new_str(s->findings[i].where), "count",
                                                  (json_int_t)s->findings[i].count));
    }
    json_t *j = json_object();
    json_object_set_new(j, "objects", json_integer(s->objects));
    json_object_set_new(j, "bytes", json_integer(s->bytes));
    json_object_set_new(j, "rows", json_integer(s->rows));
    json_object_set_new(j, "parquet", json_integer(s->parquet));
    json_object_set_new(j, "avro", json_integer(s->avro));
    json_object_set_new(j, "json", json_integer(s->json));
    json_object_set_new(j, "other", json_integer(s->other));
    json_object_set_new(j, "local_files", json_integer(s->local_files));
    json_object_set_new(j, "values", json_integer(values));
    json_object_set_new(j, "short_values", json_integer(small));
    json_object_set_new(j, "found", json_integer(s->found));
    json_object_set_new(j, "findings", findings);
    json_object_set_new(j, "clean", json_boolean(s->found == 0));
    return j;
}

// Objects that the targets' commits and the sweep removed.
static enum err_code removed_json(struct finish *f, json_t **ret, struct err *err) {
    DEFER(json_decrefp) json_t *all = json_array();
    for (size_t i = 0; i < json_array_size(targets_of(f)); i++) {
        const json_t *removed = json_object_get(json_array_get(targets_of(f), i), "removed");
        const struct catalog_content content =
            catalog_content_of(json_object_get(removed, "content"), f->arena);
        DEFER(json_decrefp) json_t *list = NULL;
        if (content.object.len > 0) {
            TRY(catalog_content_get(f->erase->options.catalog, &content, &list, err));
            CHECK(json_array_extend(all, list) == 0);
        }
    }
    DEFER(json_decrefp) json_t *swept = erase_objects_json(f->swept.objects, f->swept.count);
    CHECK(json_array_extend(all, swept) == 0);
    for (size_t i = 0; i < json_array_size(all); i++) {
        json_t *object = json_array_get(all, i);
        struct str name = STR_NONE;
        if (json_get_str(object, "object", &name)) {
            json_object_set_new(object, "object", tell_name(f, arena_str(f->arena, name)));
        }
    }
    *ret = TAKE(all);
    return ERR_OK;
}

static json_t *datasets_json(const struct finish *f) {
    static const char *const members[] = {"dataset",         "id",
                                          "column",          "rows_removed",
                                          "files_rewritten", "files_removed",
                                          "snapshots",       "snapshots_rewritten",
                                          "tombstones"};
    json_t *list = json_array();
    for (size_t i = 0; i < json_array_size(targets_of(f)); i++) {
        const json_t *target = json_array_get(targets_of(f), i);
        json_t *j = json_object();
        for (size_t k = 0; k < ARRAY_LEN(members); k++) {
            json_t *value = json_object_get(target, members[k]);
            json_object_set(j, members[k], value != NULL ? value : json_null());
        }
        json_array_append_new(list, j);
    }
    return list;
}

static json_t *timing_json(const struct finish *f) {
    int64_t ms = 0;
    int64_t bytes = 0;
    for (size_t i = 0; i < json_array_size(targets_of(f)); i++) {
        const json_t *target = json_array_get(targets_of(f), i);
        int64_t n = 0;
        ms += json_get_i64(target, "rewrite_ms", &n) ? n : 0;
        bytes += json_get_i64(target, "rewrite_bytes", &n) ? n : 0;
    }
    return json_pack("{s:I,s:I,s:I,s:I}", "rewrite_ms", (json_int_t)ms, "rewrite_bytes",
                     (json_int_t)bytes, "scan_ms", (json_int_t)(f->scanned.duration_us / 1000),
                     "scan_bytes", (json_int_t)f->scanned.bytes);
}

static enum err_code draft_json(struct finish *f, json_t **ret, struct err *err) {
    const json_t *entity = f->record->entity;
    struct erase_view v = erase_record_view(f->record->id, f->record->entity, f->arena);
    DEFER(json_decrefp) json_t *removed = NULL;
    bool kept = false;
    (void)json_get_bool(entity, "suppressed", &kept);
    TRY(removed_json(f, &removed, err));
    json_t *j = json_object();
    json_object_set_new(j, "tarn_receipt", json_integer(1));
    json_object_set_new(j, "id", json_new_str(v.id));
    json_object_set_new(j, "server",
                        json_new_str(arena_printf(f->arena, "tarn %s", version_text())));
    json_object_set_new(j, "requested_by", json_new_str(v.actor));
    json_object_set_new(j, "reason", json_new_str(v.reason));
    json_object_set_new(j, "requested_at", json_new_str(clock_rfc3339(v.created_us, f->arena)));
    json_object_set_new(j, "finished_at", json_new_str(clock_rfc3339(clock_wall_us(), f->arena)));
    json_object_set_new(j, "subjects",
                        json_pack("{s:I,s:O}", "count", (json_int_t)f->request.key_count, "handles",
                                  f->request.handles));
    json_object_set_new(j, "datasets", datasets_json(f));
    json_object_set(j, "removed", removed);
    json_object_set_new(j, "local_files_removed", json_integer(f->swept.local_files));
    json_object_set_new(j, "query_texts_removed", json_integer(f->texts));
    json_object_set_new(j, "suppression",
                        json_pack("{s:b,s:I}", "kept", kept, "keys",
                                  (json_int_t)(kept ? f->request.key_count : 0)));
    json_object_set_new(j, "scan", scan_json(f));
    json_object_set_new(j, "timing", timing_json(f));
    *ret = j;
    return ERR_OK;
}

// The request is named no more, nor are the lists of what was removed: the draft has them.
static json_t *finishing_json(const struct finish *f, const struct catalog_content *draft) {
    json_t *entity = erase_record_edit(f->record);
    json_t *targets = json_object_get(entity, "targets");
    json_object_set_new(entity, "state", json_string("finishing"));
    json_object_set_new(entity, "finished_us", json_integer(clock_wall_us()));
    json_object_set_new(entity, "clean", json_boolean(f->scanned.found == 0));
    json_object_del(entity, "content");
    for (size_t i = 0; i < json_array_size(targets); i++) {
        json_object_del(json_array_get(targets, i), "removed");
    }
    json_object_set_new(entity, "draft",
                        json_pack("{s:o}", "content", catalog_content_json(draft)));
    return entity;
}

// What the record named before and names no more.
static enum err_code destroy_request(struct finish *f, struct err *err) {
    const json_t *gone = json_object_get(f->record->entity, "destroy");
    for (size_t i = 0; i < json_array_size(gone); i++) {
        const struct str object = str_from(json_string_value(json_array_get(gone, i)));
        uint64_t bytes;
        struct err none = ERR_NONE;
        TRY(store_delete(f->store, object, err));
        if (store_size(f->store, object, &bytes, &none) != ERR_NOT_FOUND) {
            return err_set(err, ERR_IO, STR_FMT " could not be removed", STR_ARG(object));
        }
    }
    return ERR_OK;
}

static json_t *destroy_list(const struct finish *f) {
    json_t *list = json_array();
    const json_t *content = json_object_get(f->record->entity, "content");
    json_array_append(list, json_object_get(content, "object"));
    for (size_t i = 0; i < json_array_size(targets_of(f)); i++) {
        const json_t *removed = json_object_get(json_array_get(targets_of(f), i), "removed");
        json_t *object = json_object_get(json_object_get(removed, "content"), "object");
        if (object != NULL) {
            json_array_append(list, object);
        }
    }
    return list;
}

static enum err_code make_draft(struct finish *f, struct err *err) {
    DEFER(json_decrefp) json_t *draft = NULL;
    struct catalog_content content;
    TRY(erase_record_request(f->erase, f->record, f->arena, &f->request, err));
    f->subjects = (struct erase_subjects){f->request.keys, f->request.key_count, f->request.search,
                                          f->request.search_count};
    TRY(sweep_and_scan(f, err));
    TRY(draft_json(f, &draft, err));
    TRY(catalog_content_put(f->erase->options.catalog, draft, f->arena, &content, err));
    json_t *entity = finishing_json(f, &content);
    json_object_set_new(entity, "destroy", destroy_list(f));
    const struct erase_recorded step = {.action = "erasure.scan", .value = entity};
    const enum err_code code = erase_record_put(f->erase, f->record, &step, f->arena, err);
    if (code != ERR_OK && code != ERR_UNKNOWN) {
        catalog_content_remove(f->erase->options.catalog, &content);
    }
    return code;
}

// Puts the receipt; one that an earlier run left under the name was never recorded.
static enum err_code put_receipt(struct finish *f, json_t *receipt, struct catalog_content *ret,
                                 struct str *ret_public, struct err *err) {
    struct erase_receipt_key key;
    TRY(erase_receipt_key_get(f->erase->options.catalog, f->arena, &key, err));
    const struct str text = erase_receipt_sign(receipt, &key, f->arena);
    ret->object = erase_receipt_object(f->record->id, f->arena);
    ret->sha256 = hex_sha256(sha256(text), f->arena);
    *ret_public = hex_bytes(key.public_key, sizeof(key.public_key), f->arena);
    TRY(store_delete(f->store, ret->object, err));
    return store_put_new(f->store, ret->object, text, err);
}

static enum err_code sign(struct finish *f, struct err *err) {
    const struct catalog_content draft = catalog_content_of(
        json_object_get(json_object_get(f->record->entity, "draft"), "content"), f->arena);
    DEFER(json_decrefp) json_t *receipt = NULL;
    struct catalog_content stored;
    struct str public_key;
    struct str hash;
    TRY(catalog_content_get(f->erase->options.catalog, &draft, &receipt, err));
    TRY(txlog_record_sha256(f->store, f->record->version, f->arena, &hash, err));
    json_object_set_new(receipt, "log",
                        json_pack("{s:I,s:o}", "seq", (json_int_t)f->record->version, "sha256",
                                  json_new_str(hash)));
    TRY(put_receipt(f, receipt, &stored, &public_key, err));
    json_t *entity = erase_record_edit(f->record);
    json_object_set_new(entity, "state", json_string("done"));
    json_object_set_new(entity, "receipt", catalog_content_json(&stored));
    json_object_set_new(entity, "public_key", json_new_str(public_key));
    json_object_del(entity, "draft");
    json_object_del(entity, "destroy");
    const struct erase_recorded step = {.action = "erasure.done", .value = entity};
    TRY(erase_record_put(f->erase, f->record, &step, f->arena, err));
    catalog_content_remove(f->erase->options.catalog, &draft);
    return ERR_OK;
}

enum err_code erase_finish(struct erase *e, struct erase_record *r, struct job *job,
                           struct arena *a, struct err *err) {
    DEFER(finish_release)
    struct finish f = {.erase = e, .record = r, .job = job, .arena = a};
    const struct catalog_bucket *bucket;
    struct str state = STR_NONE;
    TRY(catalog_bucket_find(e->options.catalog, STR_NONE, &bucket, err));
    f.store = bucket->store;
    (void)json_get_str(r->entity, "state", &state);
    if (str_is(state, "running")) {
        TRY(make_draft(&f, err));
    }
    TRY(upkeep_check(job, err));
    TRY(destroy_request(&f, err));
    return sign(&f, err);
}
