// Erasure, as a whole: the steps of one, each recorded before the next begins.

#include "erase/erase_record.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/threads.h"
#include "catalog/catalog_content.h"
#include "table/table_suppress.h"
#include "upkeep/upkeep_engine.h"

#define STEP_ATTEMPTS 5
#define RUN_ATTEMPTS 20

static char *copy(struct str s) {
    DEFER(arena_release) struct arena a = ARENA(1 << 16);
    return xstrdup(arena_cstr(&a, s));
}

struct erase *erase_new(const struct erase_options *o) {
    struct erase *e = xcalloc(1, sizeof(*e));
    e->options = *o;
    e->spool = copy(o->spool);
    e->cache = copy(o->cache);
    e->options.spool = str_from(e->spool);
    e->options.cache = str_from(e->cache);
    e->started_us = clock_wall_us();
    CHECK(pthread_mutex_init(&e->lock, NULL) == 0);
    return e;
}

void erase_free(struct erase *e) {
    if (e == NULL) {
        return;
    }
    pthread_mutex_destroy(&e->lock);
    free(e->spool);
    free(e->cache);
    free(e);
}

// One dataset of an erasure that is run.
struct step {
    struct erase *erase;
    struct erase_record *record;
    size_t at; // of the target
    struct erase_subjects subjects;
    struct job *job;
    struct arena *arena;
};

static const json_t *target_of(const struct step *s) {
    return json_array_get(json_object_get(s->record->entity, "targets"), s->at);
}

// The record with this target as it is after a step; *ret_target is in it.
static json_t *edit_target(const struct step *s, const char *state, json_t **ret_target) {
    json_t *entity = erase_record_edit(s->record);
    *ret_target = json_array_get(json_object_get(entity, "targets"), s->at);
    json_object_set_new(*ret_target, "state", json_string(state));
    return entity;
}

static void set_counts(json_t *target, const struct erase_history *h) {
    json_object_set_new(target, "dataset", json_new_str(h->dataset));
    json_object_set_new(target, "id", json_new_str(h->dataset_id));
    json_object_set_new(target, "column", json_new_str(h->column));
    json_object_set_new(target, "rows_removed", json_integer(h->rows));
    json_object_set_new(target, "files_rewritten", json_integer(h->files_written));
    json_object_set_new(target, "files_removed", json_integer(h->files));
    json_object_set_new(target, "snapshots", json_integer(h->snapshots));
    json_object_set_new(target, "snapshots_rewritten", json_integer(h->snapshots_changed));
    json_object_set_new(target, "tombstones", json_integer(h->tombstones));
    json_object_set_new(target, "rewrite_bytes", json_integer(h->bytes_read));
    json_object_set_new(target, "rewrite_ms", json_integer(h->duration_us / 1000));
}

static void add_rows(json_t *entity, int64_t rows) {
    int64_t before = 0;
    (void)json_get_i64(entity, "rows", &before);
    json_object_set_new(entity, "rows", json_integer(before + rows));
}

// What the commit removes is noted with it: a kill between the two loses nothing of the receipt.
static enum err_code extras(void *ctx, const struct erase_history *h, struct arena *a, json_t **ret,
                            struct err *err) {
    const struct step *s = ctx;
    struct catalog_content content;
    json_t *target;
    DEFER(json_decrefp) json_t *list = erase_objects_json(h->removed, h->removed_count);
    TRY(catalog_content_put(s->erase->options.catalog, list, a, &content, err));
    json_t *entity = edit_target(s, "rewritten", &target);
    set_counts(target, h);
    json_object_set_new(target, "removed",
                        json_pack("{s:o}", "content", catalog_content_json(&content)));
    add_rows(entity, h->rows);
    *ret = json_array();
    json_array_append_new(*ret, erase_record_change(s->record, entity));
    return ERR_OK;
}

static enum err_code put_state(struct step *s, const char *state, const struct erase_history *h,
                               struct err *err) {
    json_t *target;
    json_t *entity = edit_target(s, state, &target);
    if (h != NULL) {
        set_counts(target, h);
    }
    const struct erase_recorded step = {.action = "erasure.step", .value = entity};
    return erase_record_put(s->erase, s->record, &step, s->arena, err);
}

static enum err_code reread(struct step *s, struct err *err) {
    const struct str id = s->record->id;
    erase_record_release(s->record);
    return erase_record_get(s->erase, id, s->arena, s->record, err);
}

static enum err_code rewrite(struct step *s, struct err *err) {
    const struct erase_target target = {json_str_of(target_of(s), "dataset"),
                                        json_str_of(target_of(s), "column")};
    const struct erase_history_work work = {
        .target = &target,
        .subjects = &s->subjects,
        .who = erase_record_author(s->record, "dataset.erase_rewrite"),
        .extras = extras,
        .ctx = s,
    };
    struct erase_history h = {.dataset = target.dataset, .column = target.column};
    struct err missing = ERR_NONE;
    struct catalog_dataset d;
    if (catalog_dataset_get(s->erase->options.catalog, target.dataset, s->arena, &d, &missing) ==
        ERR_NOT_FOUND) {
        return put_state(s, "removed", &h, err); // it was dropped meanwhile, with all it held
    }
    TRY(erase_history_rewrite(s->erase, &work, s->job, s->arena, &h, err));
    return h.changed ? reread(s, err) : put_state(s, "removed", &h, err);
}

static enum err_code remove_old(struct step *s, struct err *err) {
    const json_t *target = target_of(s);
    const struct catalog_content content = catalog_content_of(
        json_object_get(json_object_get(target, "removed"), "content"), s->arena);
    DEFER(json_decrefp) json_t *list = NULL;
    struct erase_object *objects;
    size_t count;
    TRY(catalog_content_get(s->erase->options.catalog, &content, &list, err));
    erase_objects_of(list, s->arena, &objects, &count);
    TRY(erase_history_remove(s->erase, json_str_of(target, "dataset"), objects, count, s->job,
                             err));
    return put_state(s, "removed", NULL, err);
}

static enum err_code do_target(struct step *s, struct err *err) {
    for (size_t i = 0; i < STEP_ATTEMPTS; i++) {
        const struct str state = json_str_of(target_of(s), "state");
        if (str_is(state, "removed")) {
            return ERR_OK;
        }
        TRY(upkeep_check(s->job, err));
        TRY(str_is(state, "pending") ? rewrite(s, err) : remove_old(s, err));
    }
    return err_set(err, ERR_BUSY, "dataset \"" STR_FMT "\" changes too fast to be erased from",
                   STR_ARG(json_str_of(target_of(s), "dataset")));
}

// Before the rows are looked for, so that none comes in behind.
static enum err_code suppress(struct step *s, struct err *err) {
    bool wanted = false;
    bool done = false;
    (void)json_get_bool(s->record->entity, "suppress", &wanted);
    (void)json_get_bool(s->record->entity, "suppressed", &done);
    if (!wanted || done) {
        return ERR_OK;
    }
    DEFER(json_decrefp) json_t *changes = json_array();
    const json_t *targets = json_object_get(s->record->entity, "targets");
    for (size_t i = 0; i < json_array_size(targets); i++) {
        const json_t *target = json_array_get(targets, i);
        const struct table_suppress list = {.dataset = json_str_of(target, "dataset"),
                                            .column = json_str_of(target, "column"),
                                            .keys = s->subjects.keys,
                                            .key_count = s->subjects.key_count,
                                            .fence = true};
        TRY(table_suppress_changes(s->erase->options.tables, &list, s->arena, changes, err));
    }
    json_t *entity = erase_record_edit(s->record);
    json_object_set_new(entity, "suppressed", json_true());
    const struct erase_recorded step = {"erasure.suppress", entity, changes};
    return erase_record_put(s->erase, s->record, &step, s->arena, err);
}

static enum err_code do_targets(struct step *s, struct err *err) {
    struct erase_request_kept kept;
    const size_t count = json_array_size(json_object_get(s->record->entity, "targets"));
    TRY(erase_record_request(s->erase, s->record, s->arena, &kept, err));
    s->subjects =
        (struct erase_subjects){kept.keys, kept.key_count, kept.search, kept.search_count};
    TRY(suppress(s, err));
    for (s->at = 0; s->at < count; s->at++) {
        TRY(do_target(s, err));
    }
    return ERR_OK;
}

static bool is_state(const struct erase_record *r, const char *state) {
    return str_is(json_str_of(r->entity, "state"), state);
}

static enum err_code run_once(struct erase *e, struct str id, struct job *job, struct arena *a,
                              struct err *err) {
    DEFER(erase_record_release) struct erase_record r = {0};
    TRY(erase_record_get(e, id, a, &r, err));
    if (is_state(&r, "running")) {
        struct step s = {.erase = e, .record = &r, .job = job, .arena = a};
        TRY(do_targets(&s, err));
    }
    return is_state(&r, "done") ? ERR_OK : erase_finish(e, &r, job, a, err);
}

// Another server may have taken it up as well: whoever is slower looks again.
enum err_code erase_run(struct erase *e, struct str id, struct job *job, struct arena *a,
                        json_t **ret, struct err *err) {
    enum err_code code = ERR_CONFLICT;
    struct str text;
    LOCKED(&e->lock);
    for (size_t i = 0; i < RUN_ATTEMPTS && code == ERR_CONFLICT; i++) {
        *err = ERR_NONE;
        TRY(txlog_refresh(catalog_log(e->options.catalog), 0, 0, err));
        code = run_once(e, id, job, a, err);
    }
    TRY(code);
    TRY(erase_receipt(e, id, a, &text, err));
    return json_parse_stored(text, "the receipt", ret, err);
}
