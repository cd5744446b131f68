// The beginning of an erasure: what is asked for is checked, looked for, and recorded.

#include "erase/erase_int.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/hash.h"
#include "catalog/catalog_content.h"
#include "catalog/catalog_view.h"
#include "upkeep/upkeep_engine.h"

#define DATASET_PAGE 1000
#define WORD_MIN 3 // shorter keys stand in any sentence

// A request with its targets resolved.
struct asked {
    struct erase *erase;
    const struct erase_request *request;
    struct arena *arena;
    struct erase_target *targets; // names and columns as they are spelt
    size_t target_count, target_cap;
    struct erase_target *sharing; // datasets with such a column that were not asked for
    size_t sharing_count, sharing_cap;
    struct table_key *keys;
    struct erase_subjects subjects;
    size_t held;           // keys whose time of purging lies ahead
    int64_t held_until_us; // the last of these times
};

// The dataset's column of that name; NULL: there is none, or one that can hold no key.
static enum err_code find_column(struct asked *x, const struct catalog_dataset *d,
                                 struct str column, const struct ice_field **ret, struct err *err) {
    const struct ice_metadata *m;
    TRY(table_metadata_load(x->erase->options.tables, d, x->arena, &m, err));
    *ret = ice_schema_find(ice_metadata_schema(m), column);
    if (*ret != NULL) {
        const enum ice_kind kind = (*ret)->type.kind;
        const bool fits =
            kind == ICE_STRING || kind == ICE_INT || kind == ICE_LONG || kind == ICE_UUID;
        *ret = fits ? *ret : NULL;
    }
    return ERR_OK;
}

static bool is_target(const struct asked *x, struct str dataset) {
    for (size_t i = 0; i < x->target_count; i++) {
        if (str_eq(x->targets[i].dataset, dataset)) {
            return true;
        }
    }
    return false;
}

static void add_target(struct asked *x, struct str dataset, struct str column) {
    x->targets =
        arena_grow(x->arena, x->targets, &x->target_cap, x->target_count + 1, sizeof(*x->targets));
    x->targets[x->target_count++] = (struct erase_target){dataset, column};
}

static enum err_code resolve_named(struct asked *x, struct err *err) {
    const struct erase_request *r = x->request;
    for (size_t i = 0; i < r->target_count; i++) {
        const struct erase_target *t = &r->targets[i];
        struct catalog_dataset d;
        const struct ice_field *column;
        TRY(catalog_dataset_get(x->erase->options.catalog, t->dataset, x->arena, &d, err));
        TRY(find_column(x, &d, t->column, &column, err));
        if (column == NULL) {
            return err_set(err, ERR_INVALID,
                           "dataset \"" STR_FMT "\" has no column \"" STR_FMT
                           "\" that can be a row key: it must be of text, integer or UUID type",
                           STR_ARG(d.name), STR_ARG(t->column));
        }
        if (is_target(x, d.name)) {
            return err_set(err, ERR_INVALID, "dataset \"" STR_FMT "\" is named twice",
                           STR_ARG(d.name));
        }
        add_target(x, d.name, column->name);
    }
    return ERR_OK;
}

// Other datasets with a column of the first target's name.
static enum err_code resolve_sharing(struct asked *x, struct err *err) {
    if (!x->request->shared && !x->request->tells_sharing) {
        return ERR_OK;
    }
    const struct str column = x->targets[0].column;
    struct catalog_datasets page = {.more = true};
    struct str after = STR_NONE;
    while (page.more) {
        catalog_dataset_list(x->erase->options.catalog, after, DATASET_PAGE, x->arena, &page);
        for (size_t i = 0; i < page.count; i++) {
            const struct ice_field *found;
            after = page.items[i].name;
            if (is_target(x, after)) {
                continue;
            }
            TRY(find_column(x, &page.items[i], column, &found, err));
            if (found != NULL && x->request->shared) {
                add_target(x, after, found->name);
            } else if (found != NULL) {
                x->sharing = arena_grow(x->arena, x->sharing, &x->sharing_cap, x->sharing_count + 1,
                                        sizeof(*x->sharing));
                x->sharing[x->sharing_count++] = (struct erase_target){after, found->name};
            }
        }
    }
    return ERR_OK;
}

static int by_text(const void *x, const void *y) {
    const struct table_key *a = x;
    const struct table_key *b = y;
    return str_cmp(a->text, b->text);
}

// The keys are sorted.
static bool is_key(const struct asked *x, struct str value) {
    const struct table_key wanted = {.text = value};
    return bsearch(&wanted, x->keys, x->request->key_count, sizeof(wanted), by_text) != NULL;
}

static bool is_word_byte(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (unsigned char)c >= 0x80;
}

static bool has_word(struct str text, struct str word) {
    for (size_t i = 0; i + word.len <= text.len; i++) {
        const bool starts = i == 0 || !is_word_byte(text.ptr[i - 1]);
        const bool ends = i + word.len == text.len || !is_word_byte(text.ptr[i + word.len]);
        if (starts && ends && str_eq(str_slice(text, i, i + word.len), word)) {
            return true;
        }
    }
    return false;
}

static enum err_code check_value(const struct asked *x, struct str value, const char *what,
                                 struct err *err) {
    const struct catalog_author *who = &x->request->who;
    if (value.len == 0 || value.len > TABLE_TOMBSTONE_BYTES) {
        return err_set(err, ERR_INVALID, "a %s has 1 to %d bytes; one of these has %zu", what,
                       TABLE_TOMBSTONE_BYTES, value.len);
    }
    if (value.len >= WORD_MIN && (has_word(who->reason, value) || has_word(who->actor, value))) {
        return err_set(err, ERR_INVALID,
                       "the reason must not name the subject: it stays in the journal for ever");
    }
    return ERR_OK;
}

static enum err_code check_keys(struct asked *x, struct err *err) {
    const struct erase_request *r = x->request;
    if (r->key_count == 0 || r->key_count > ERASE_KEYS_MAX || r->search_count > ERASE_KEYS_MAX) {
        return err_set(err, ERR_INVALID,
                       "1 to %d row key values are erased at once, and at most "
                       "as many further values searched for",
                       ERASE_KEYS_MAX);
    }
    x->keys = arena_array(x->arena, r->key_count, sizeof(*x->keys));
    for (size_t i = 0; i < r->key_count; i++) {
        int64_t number;
        const struct str text = r->keys[i].text;
        TRY(check_value(x, text, "row key value", err));
        const bool integer = str_to_i64(text, &number) &&
                             str_eq(arena_printf(x->arena, "%lld", (long long)number), text);
        x->keys[i] = (struct table_key){text, integer};
    }
    for (size_t i = 0; i < r->search_count; i++) {
        TRY(check_value(x, r->search[i], "value to search for", err));
    }
    qsort(x->keys, r->key_count, sizeof(*x->keys), by_text);
    x->subjects = (struct erase_subjects){x->keys, r->key_count, r->search, r->search_count};
    return ERR_OK;
}

static enum err_code ask(struct asked *x, struct err *err) {
    const size_t count = x->request->target_count;
    if (count == 0 || count > ERASE_TARGETS_MAX) {
        return err_set(err, ERR_INVALID, "an erasure is of 1 to %d datasets", ERASE_TARGETS_MAX);
    }
    TRY(check_keys(x, err));
    TRY(resolve_named(x, err));
    TRY(resolve_sharing(x, err));
    if (x->target_count > ERASE_TARGETS_MAX) {
        return err_set(err, ERR_TOO_LARGE,
                       "%zu datasets share the column; one erasure is of at most %d: name them in "
                       "several",
                       x->target_count, ERASE_TARGETS_MAX);
    }
    return ERR_OK;
}

// A tombstone whose rows must not go yet.
static void note_held(struct asked *x, const struct table_tombstone_item *item) {
    if (item->purge_not_before_us > clock_wall_us()) {
        x->held++;
        x->held_until_us = MAX(x->held_until_us, item->purge_not_before_us);
    }
}

// Names by which the log knows the subjects: those of their tombstones, and a new one for each.
static enum err_code note_tombstones(struct asked *x, json_t *handles, struct err *err) {
    for (size_t i = 0; i < x->target_count; i++) {
        const struct table_tombstone_list *list;
        struct catalog_dataset d;
        TRY(catalog_dataset_get(x->erase->options.catalog, x->targets[i].dataset, x->arena, &d,
                                err));
        if (d.tombstones.count == 0) {
            continue;
        }
        TRY(table_tombstone_list_load(x->erase->options.tables, &d, x->arena, &list, err));
        for (size_t j = 0; j < list->count; j++) {
            if (is_key(x, list->items[j].value)) {
                note_held(x, &list->items[j]);
                json_array_append_new(
                    handles, json_new_str(table_tombstone_handle(&list->items[j], x->arena)));
            }
        }
    }
    return ERR_OK;
}

static enum err_code check_held(const struct asked *x, struct err *err) {
    if (x->held == 0 || x->request->overrides_hold) {
        return ERR_OK;
    }
    return err_set(err, ERR_CONFLICT,
                   "%zu of the keys have tombstones that are not to be purged before " STR_FMT
                   " at the latest: wait, or say override_hold",
                   x->held, STR_ARG(clock_rfc3339(x->held_until_us, x->arena)));
}

// What a view shows would change with its filter, so whoever defined it must say what it is then.
static enum err_code check_views(const struct asked *x, struct err *err) {
    DEFER(erase_matcher_freep) struct erase_matcher *m = erase_matcher_new(&x->subjects);
    struct catalog_view *views;
    size_t count;
    TRY(catalog_view_list(x->erase->options.catalog, STR_NONE, x->arena, &views, &count, err));
    for (size_t i = 0; i < count; i++) {
        if (erase_match_filter(m, views[i].row_filter)) {
            return err_set(err, ERR_CONFLICT,
                           "the row filter of view \"" STR_FMT
                           "\" quotes one of the values: put the view again without it, or remove "
                           "it, then ask again",
                           STR_ARG(views[i].name));
        }
    }
    return ERR_OK;
}

static json_t *look_json(const struct erase_history *h) {
    json_t *j = json_object();
    json_object_set_new(j, "dataset", json_new_str(h->dataset));
    json_object_set_new(j, "column", json_new_str(h->column));
    json_object_set_new(j, "keys_found", json_integer(h->keys_found));
    json_object_set_new(j, "rows", json_integer(h->rows));
    json_object_set_new(j, "files", json_integer(h->files));
    json_object_set_new(j, "snapshots", json_integer(h->snapshots));
    json_object_set_new(j, "snapshots_changed", json_integer(h->snapshots_changed));
    json_object_set_new(j, "bytes", json_integer(h->bytes_read));
    json_object_set_new(j, "tombstones", json_integer(h->tombstones));
    return j;
}

enum err_code erase_look(struct erase *e, const struct erase_request *r, struct job *job,
                         struct arena *a, json_t **ret, struct err *err) {
    struct asked x = {.erase = e, .request = r, .arena = a};
    DEFER(json_decrefp) json_t *list = json_array();
    DEFER(json_decrefp) json_t *sharing = json_array();
    DEFER(json_decrefp) json_t *handles = json_array();
    int64_t rows = 0;
    TRY(ask(&x, err));
    TRY(note_tombstones(&x, handles, err));
    for (size_t i = 0; i < x.target_count; i++) {
        struct erase_history h;
        upkeep_progress(job, (int64_t)i, (int64_t)x.target_count);
        const struct erase_history_work work = {.target = &x.targets[i], .subjects = &x.subjects};
        TRY(erase_history_look(e, &work, job, a, &h, err));
        rows += h.rows;
        json_array_append_new(list, look_json(&h));
    }
    for (size_t i = 0; i < x.sharing_count; i++) {
        json_array_append_new(sharing, json_new_str(x.sharing[i].dataset));
    }
    *ret = json_pack("{s:b,s:I,s:I,s:I,s:O,s:O}", "dry_run", 1, "subjects",
                     (json_int_t)r->key_count, "held", (json_int_t)x.held, "rows", (json_int_t)rows,
                     "datasets", list, "sharing", sharing);
    CHECK(*ret != NULL);
    return ERR_OK;
}

static json_t *keys_json(const struct asked *x, json_t *handles) {
    json_t *keys = json_array();
    for (size_t i = 0; i < x->request->key_count; i++) {
        uint8_t secret[32];
        random_bytes(secret, sizeof(secret));
        const struct table_tombstone_item item = {
            .value = x->keys[i].text, .key = hex_bytes(secret, sizeof(secret), x->arena)};
        json_array_append_new(handles, json_new_str(table_tombstone_handle(&item, x->arena)));
        json_array_append_new(keys, json_pack("{s:o,s:b,s:o}", "value", json_new_str(item.value),
                                              "integer", x->keys[i].integer, "key",
                                              json_new_str(item.key)));
    }
    return keys;
}

static json_t *targets_json(const struct asked *x) {
    json_t *list = json_array();
    for (size_t i = 0; i < x->target_count; i++) {
        json_array_append_new(
            list, json_pack("{s:o,s:o,s:s}", "dataset", json_new_str(x->targets[i].dataset),
                            "column", json_new_str(x->targets[i].column), "state", "pending"));
    }
    return list;
}

static json_t *entity_json(const struct asked *x, const struct catalog_content *content) {
    const struct erase_request *r = x->request;
    json_t *j = json_object();
    json_object_set_new(j, "state", json_string("running"));
    json_object_set_new(j, "actor", json_new_str(r->who.actor));
    json_object_set_new(j, "reason", json_new_str(r->who.reason));
    json_object_set_new(j, "created_us", json_integer(clock_wall_us()));
    json_object_set_new(j, "subjects", json_integer((json_int_t)r->key_count));
    json_object_set_new(j, "rows", json_integer(0));
    json_object_set_new(j, "suppress", json_boolean(r->suppress));
    json_object_set_new(j, "shared", json_boolean(r->shared));
    json_object_set_new(j, "content", catalog_content_json(content));
    json_object_set_new(j, "targets", targets_json(x));
    return j;
}

static enum err_code record(struct asked *x, const json_t *handles,
                            const struct catalog_content *content, struct str *ret_id,
                            struct err *err) {
    const struct str id = id_new(x->arena);
    const struct str key = arena_printf(x->arena, "erasure:" STR_FMT, STR_ARG(id));
    struct catalog_author who = x->request->who;
    struct txn_outcome outcome;
    json_t *changes = json_array();
    DEFER(json_decrefp)
    json_t *details = json_pack("{s:o,s:O}", "erasure", json_new_str(id), "subjects", handles);
    CHECK(details != NULL);
    who.details = details;
    json_array_append_new(changes, catalog_change(key, 0, entity_json(x, content)));
    TRY(catalog_commit(x->erase->options.catalog, &who,
                       arena_printf(x->arena, "dataset:" STR_FMT, STR_ARG(x->targets[0].dataset)),
                       changes, &outcome, err));
    *ret_id = id;
    return ERR_OK;
}

enum err_code erase_begin(struct erase *e, const struct erase_request *r, struct arena *a,
                          struct str *ret_id, struct err *err) {
    struct asked x = {.erase = e, .request = r, .arena = a};
    struct catalog_content content;
    DEFER(json_decrefp) json_t *body = json_object();
    DEFER(json_decrefp) json_t *handles = json_array();
    TRY(ask(&x, err));
    TRY(note_tombstones(&x, handles, err));
    TRY(check_held(&x, err));
    TRY(check_views(&x, err));
    json_t *search = json_array();
    for (size_t i = 0; i < r->search_count; i++) {
        json_array_append_new(search, json_new_str(r->search[i]));
    }
    json_object_set_new(body, "keys", keys_json(&x, handles));
    json_object_set_new(body, "search", search);
    json_object_set(body, "handles", handles);
    TRY(catalog_content_put(e->options.catalog, body, a, &content, err));
    const enum err_code code = record(&x, handles, &content, ret_id, err);
    if (code != ERR_OK && code != ERR_UNKNOWN) {
        catalog_content_remove(e->options.catalog, &content);
    }
    return code;
}
