// Tombstones: rows are hidden by key, and brought back, in one commit with the list of who and why.

#include "table/table_tombstone.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/threads.h"
#include "table/table_tombstone_list.h"

#define WORD_MIN 3 // bytes of a key that a reason is searched for
#define SECRET_BYTES 32

// One key of the request.
struct key {
    struct str value; // in canonical form; of those of the right type
    struct str secret;
    bool failed;
    enum table_key_why why;
    int64_t rows;
};

struct work {
    struct tables *tables;
    const struct table_tombstone *request;
    struct arena *arena;
    int64_t time_us;
    struct key *keys;
    struct key **good; // those that have not failed, by value
    size_t good_count;
    const struct table_tombstone_list *list; // as it is before
    json_t *details;
    int64_t rows;
};

static void fail(struct key *k, enum table_key_why why) {
    k->failed = true;
    k->why = why;
}

// The request by itself

static bool is_word_char(char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           (unsigned char)c >= 0x80;
}

// Does the text hold the word, with no letter or digit beside it? Without regard to case.
static bool has_word(struct str text, struct str word) {
    for (size_t i = 0; i + word.len <= text.len; i++) {
        const size_t end = i + word.len;
        if (str_eq_nocase(str_slice(text, i, end), word) &&
            (i == 0 || !is_word_char(text.ptr[i - 1])) &&
            (end == text.len || !is_word_char(text.ptr[end]))) {
            return true;
        }
    }
    return false;
}

static enum err_code check_key(const struct table_tombstone *r, size_t at, struct err *err) {
    const struct str text = r->keys[at].text;
    if (text.len > TABLE_TOMBSTONE_BYTES) {
        return err_set(err, ERR_TOO_LARGE, "value %zu has %zu bytes; a row key has at most %d",
                       at + 1, text.len, TABLE_TOMBSTONE_BYTES);
    }
    const struct {
        const char *what;
        struct str text;
    } kept[] = {{"reason", r->who.reason}, {"actor", r->who.actor}, {"actor", r->on_behalf_of}};
    for (size_t i = 0; i < ARRAY_LEN(kept) && text.len >= WORD_MIN; i++) {
        if (has_word(kept[i].text, text)) {
            return err_set(err, ERR_INVALID,
                           "the %s must not name the subject (value %zu): it stays in the journal "
                           "for ever",
                           kept[i].what, at + 1);
        }
    }
    return ERR_OK;
}

static enum err_code check_request(const struct table_tombstone *r, struct err *err) {
    const int64_t from = r->purge_not_before_us;
    const int64_t by = r->purge_by_us;
    if (r->key_count == 0) {
        return err_set(err, ERR_INVALID, "at least one value is needed");
    }
    if (r->key_count > TABLE_TOMBSTONE_VALUES) {
        return err_set(err, ERR_TOO_LARGE, "%zu values; one call takes at most %d", r->key_count,
                       TABLE_TOMBSTONE_VALUES);
    }
    if (from < 0 || by < 0 || (from > 0 && by > 0 && by < from)) {
        return err_set(err, ERR_INVALID,
                       "the rows are to be purged by a time that lies before the one that they are "
                       "to be kept until");
    }
    for (size_t i = 0; i < r->key_count; i++) {
        TRY(check_key(r, i, err));
    }
    return ERR_OK;
}

// The request in the state that the commit builds on

static int by_value(const void *x, const void *y) {
    const struct key *a = *(const struct key *const *)x;
    const struct key *b = *(const struct key *const *)y;
    const int order = str_cmp(a->value, b->value);
    return order != 0 ? order : (a < b ? -1 : a > b);
}

static void drop_failed(struct work *w) {
    size_t count = 0;
    for (size_t i = 0; i < w->good_count; i++) {
        if (!w->good[i]->failed) {
            w->good[count++] = w->good[i];
        }
    }
    w->good_count = count;
}

// type NULL: there is no column that the keys could be of.
static void read_keys(struct work *w, const struct ice_type *type) {
    const struct table_tombstone *r = w->request;
    w->good_count = 0;
    for (size_t i = 0; i < r->key_count; i++) {
        struct key *k = &w->keys[i];
        *k = (struct key){.secret = k->secret, .value = r->keys[i].text};
        if (type != NULL && !table_key_text(&r->keys[i], type, w->arena, &k->value)) {
            fail(k, TABLE_KEY_WRONG_TYPE);
        } else {
            w->good[w->good_count++] = k;
        }
    }
    qsort(w->good, w->good_count, sizeof(void *), by_value);
    for (size_t i = 1; i < w->good_count; i++) {
        if (str_eq(w->good[i]->value, w->good[i - 1]->value)) {
            fail(w->good[i], TABLE_KEY_TWICE);
        }
    }
    drop_failed(w);
}

static struct table_keys keys_of(const struct work *w, const struct ice_field *field) {
    struct str *values = arena_array(w->arena, w->good_count, sizeof(*values));
    for (size_t i = 0; i < w->good_count; i++) {
        values[i] = w->good[i]->value;
    }
    return (struct table_keys){.field = field, .values = values, .count = w->good_count};
}

static enum err_code find_column(struct work *w, const struct table_pin *base,
                                 const struct ice_field **ret, struct err *err) {
    const struct table_tombstone *r = w->request;
    const struct catalog_tombstones *t = &base->dataset.tombstones;
    const struct ice_field *f = ice_schema_find(base->schema, r->column);
    if (f == NULL) {
        return err_set(err, ERR_INVALID,
                       "dataset \"" STR_FMT "\" has no column \"" STR_FMT "\" to be the row key",
                       STR_ARG(r->dataset), STR_ARG(str_slice(r->column, 0, 100)));
    }
    if (!table_key_type_fits(&f->type)) {
        return err_set(err, ERR_INVALID,
                       "column \"" STR_FMT "\" is " STR_FMT
                       "; a row key is a text, an integer or a UUID",
                       STR_ARG(f->name), STR_ARG(ice_type_text(&f->type, w->arena)));
    }
    if (t->count > 0 && t->field_id != f->id) {
        return err_set(err, ERR_CONFLICT,
                       "dataset \"" STR_FMT "\" has %lld tombstones by column \"" STR_FMT
                       "\": all of them are by one column; undo or erase these first, or name that "
                       "column",
                       STR_ARG(r->dataset), (long long)t->count, STR_ARG(t->column));
    }
    *ret = f;
    return ERR_OK;
}

static struct table_tombstone_item item_of(const struct work *w, const struct key *k,
                                           bool integer) {
    const struct table_tombstone *r = w->request;
    return (struct table_tombstone_item){
        .value = k->value,
        .integer = integer,
        .key = k->secret,
        .actor = r->who.actor,
        .on_behalf_of = r->on_behalf_of,
        .reason = r->who.reason,
        .time_us = w->time_us,
        .rows = k->rows,
        .purge_not_before_us = r->purge_not_before_us,
        .purge_by_us = r->purge_by_us,
    };
}

static bool is_integer(const struct ice_field *f) {
    return f->type.kind == ICE_INT || f->type.kind == ICE_LONG;
}

// The items that there were, and those of this call in its order.
static struct table_tombstone_list longer_list(const struct work *w,
                                               const struct ice_field *field) {
    struct table_tombstone_item *items =
        arena_array(w->arena, w->list->count + w->good_count, sizeof(*items));
    size_t count = w->list->count;
    for (size_t i = 0; i < count; i++) {
        items[i] = w->list->items[i];
    }
    for (size_t i = 0; i < w->request->key_count; i++) {
        if (!w->keys[i].failed) {
            items[count++] = item_of(w, &w->keys[i], is_integer(field));
        }
    }
    struct table_tombstone_list list = *w->list;
    list.column = field->name;
    list.field_id = field->id;
    list.items = items;
    list.count = count;
    return list;
}

static const struct key *good_find(const struct work *w, struct str value) {
    const struct key want = {.value = value};
    size_t low = 0;
    size_t high = w->good_count;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        const int order = str_cmp(w->good[middle]->value, want.value);
        if (order == 0) {
            return w->good[middle];
        }
        low = order < 0 ? middle + 1 : low;
        high = order < 0 ? high : middle;
    }
    return NULL;
}

// The items that stay.
static struct table_tombstone_list shorter_list(const struct work *w) {
    struct table_tombstone_list list = *w->list;
    struct table_tombstone_item *items = arena_array(w->arena, w->list->count, sizeof(*items));
    size_t count = 0;
    for (size_t i = 0; i < w->list->count; i++) {
        if (good_find(w, w->list->items[i].value) == NULL) {
            items[count++] = w->list->items[i];
        }
    }
    list.items = items;
    list.count = count;
    return list;
}

// What the journal is to know: the subjects by their handles.
static void tell_details(struct work *w, struct table_commit *c, struct str column) {
    json_t *subjects = json_array();
    for (size_t i = 0; i < w->request->key_count; i++) {
        const struct key *k = &w->keys[i];
        const struct table_tombstone_item item = {.value = k->value, .key = k->secret};
        if (!k->failed) {
            json_array_append_new(subjects, json_new_str(table_tombstone_handle(&item, w->arena)));
        }
    }
    json_decref(w->details);
    w->details = json_object();
    json_object_set_new(w->details, "keys", json_integer((json_int_t)w->good_count));
    json_object_set_new(w->details, "rows", json_integer(w->rows));
    json_object_set_new(w->details, "column", json_new_str(column));
    if (w->request->on_behalf_of.len > 0) {
        json_object_set_new(w->details, "on_behalf_of", json_new_str(w->request->on_behalf_of));
    }
    json_object_set_new(w->details, "subjects", subjects);
    c->who.details = w->details;
}

static enum err_code change_list(struct work *w, struct table_commit *c,
                                 const struct table_tombstone_list *list, struct table_edit *e,
                                 struct err *err) {
    tell_details(w, c, list->column);
    return table_tombstone_list_put(c, list, e, err);
}

// Tombstoning

static void fail_listed(struct work *w) {
    for (size_t i = 0; i < w->good_count; i++) {
        if (table_tombstone_find(w->list, w->good[i]->value) != NULL) {
            fail(w->good[i], TABLE_KEY_ALREADY);
        }
    }
    drop_failed(w);
}

static void note_found(struct work *w, const struct table_key_rows *found) {
    w->rows = found->rows;
    for (size_t i = 0; i < w->good_count; i++) {
        w->good[i]->rows = found->by_key[i];
        if (found->by_key[i] == 0) {
            fail(w->good[i], TABLE_KEY_NOT_FOUND);
        }
    }
    drop_failed(w);
}

static enum err_code find_visible(struct work *w, const struct table_pin *base,
                                  const struct ice_field *field, struct table_scan *ret_scan,
                                  struct table_key_rows *ret, struct err *err) {
    const struct table_keys keys = keys_of(w, field);
    const struct table_conditions conditions = table_keys_conditions(&keys, w->arena);
    TRY(table_scan_plan(w->tables, base, &conditions, w->arena, ret_scan, err));
    const struct table_key_search search = {
        .pin = base, .scan = ret_scan, .keys = keys, .session = w->request->session};
    return table_keys_find(w->tables, &search, w->arena, ret, err);
}

static enum err_code prepare(struct table_commit *c, struct table_edit *e, struct err *err) {
    struct work *w = c->ctx;
    const struct ice_field *field;
    struct table_scan scan;
    struct table_key_rows found;
    TRY(find_column(w, &c->base, &field, err));
    TRY(table_tombstone_list_load(w->tables, &c->base.dataset, w->arena, &w->list, err));
    read_keys(w, &field->type);
    fail_listed(w);
    e->nothing = w->good_count == 0;
    if (e->nothing) {
        return ERR_OK;
    }
    if (w->list->count + w->good_count > TABLE_TOMBSTONES_MAX) {
        return err_set(err, ERR_TOO_LARGE,
                       "dataset \"" STR_FMT "\" has %zu tombstones and can have at most %d: "
                       "compact it or erase their subjects",
                       STR_ARG(c->dataset), w->list->count, TABLE_TOMBSTONES_MAX);
    }
    TRY(find_visible(w, &c->base, field, &scan, &found, err));
    note_found(w, &found);
    e->nothing = w->good_count == 0;
    if (e->nothing) {
        return ERR_OK;
    }
    TRY(table_hidden_add(c, &scan, found.bits, e, err));
    e->operation = STR("delete");
    const struct table_tombstone_list list = longer_list(w, field);
    return change_list(w, c, &list, e, err);
}

// Undoing

static void fail_unlisted(struct work *w) {
    for (size_t i = 0; i < w->good_count; i++) {
        const struct table_tombstone_item *item = table_tombstone_find(w->list, w->good[i]->value);
        if (item == NULL) {
            fail(w->good[i], TABLE_KEY_NOT_TOMBSTONED);
        } else {
            w->good[i]->secret = item->key;
        }
    }
    drop_failed(w);
}

static enum err_code put_shown(struct table_commit *c, const struct table_scan *hidden,
                               const struct table_key_rows *found, struct table_edit *e,
                               struct err *err) {
    for (size_t i = 0; i < hidden->file_count; i++) {
        const struct table_file *f = &hidden->files[i];
        const struct table_gone gone = {f, found->bits[i]};
        if (gone.bits == NULL) {
            continue;
        }
        // The scan has everything deleted but the tombstoned rows.
        for (size_t k = 0; k < ((size_t)f->file->record_count + 63) / 64; k++) {
            gone.bits[k] = ~f->deletes->bits[k] & ~gone.bits[k];
        }
        TRY(table_hidden_put(c, &gone, e, err));
    }
    return ERR_OK;
}

static enum err_code show(struct work *w, struct table_commit *c, const struct ice_field *field,
                          struct table_edit *e, struct err *err) {
    struct table_scan all;
    struct table_key_rows found;
    TRY(table_files_load(w->tables, &c->base, w->arena, &all, err));
    const struct table_scan hidden = table_scan_hidden(w->tables, &all, w->arena);
    const struct table_key_search search = {.pin = &c->base,
                                            .scan = &hidden,
                                            .keys = keys_of(w, field),
                                            .session = w->request->session};
    TRY(table_keys_find(w->tables, &search, w->arena, &found, err));
    w->rows = found.rows;
    e->operation = found.rows > 0 ? STR("overwrite") : STR_NONE;
    return put_shown(c, &hidden, &found, e, err);
}

static enum err_code prepare_undo(struct table_commit *c, struct table_edit *e, struct err *err) {
    struct work *w = c->ctx;
    const struct catalog_tombstones *t = &c->base.dataset.tombstones;
    const struct ice_field *field = NULL;
    if (w->request->column.len > 0) {
        TRY(find_column(w, &c->base, &field, err));
    }
    TRY(table_tombstone_list_load(w->tables, &c->base.dataset, w->arena, &w->list, err));
    field =
        w->list->count > 0 ? table_tombstone_field(t->column, t->field_id, c->base.schema) : field;
    read_keys(w, field != NULL ? &field->type : NULL);
    fail_unlisted(w);
    w->rows = 0;
    e->nothing = w->good_count == 0;
    if (e->nothing) {
        return ERR_OK;
    }
    TRY(show(w, c, field, e, err));
    const struct table_tombstone_list list = shorter_list(w);
    return change_list(w, c, &list, e, err);
}

// Both

static struct str secret_new(struct arena *a) {
    uint8_t bytes[SECRET_BYTES];
    random_bytes(bytes, sizeof(bytes));
    return hex_bytes(bytes, sizeof(bytes), a);
}

static void tell(const struct work *w, const struct table_commit *c, struct table_tombstoned *ret) {
    *ret = (struct table_tombstoned){.dataset = c->after,
                                     .keys = (int64_t)w->good_count,
                                     .rows = w->good_count > 0 ? w->rows : 0,
                                     .snapshot_id = c->snapshot_id};
    ret->failures = arena_array(w->arena, w->request->key_count, sizeof(*ret->failures));
    for (size_t i = 0; i < w->request->key_count; i++) {
        if (w->keys[i].failed) {
            ret->failures[ret->failure_count++] =
                (struct table_key_failure){.at = i, .why = w->keys[i].why};
        }
    }
}

static enum err_code commit(struct work *w, struct table_commit *c, struct table_tombstoned *ret,
                            struct err *err) {
    LOCKED(table_write_lock(w->tables, c->dataset));
    const enum err_code code = table_commit_run(c, err);
    if (code == ERR_OK) {
        tell(w, c, ret);
    }
    json_decref(w->details);
    return code;
}

static enum err_code run(struct work *w,
                         enum err_code (*prepare_it)(struct table_commit *c, struct table_edit *e,
                                                     struct err *err),
                         struct table_tombstoned *ret, struct err *err) {
    const struct table_tombstone *r = w->request;
    struct catalog_dataset found;
    TRY(check_request(r, err));
    TRY(table_dataset_use(w->tables, r->dataset, w->arena, &found, err));
    w->time_us = clock_wall_us();
    w->keys = arena_array(w->arena, r->key_count, sizeof(*w->keys));
    w->good = arena_array(w->arena, r->key_count, sizeof(void *));
    for (size_t i = 0; i < r->key_count; i++) {
        w->keys[i].secret = secret_new(w->arena);
    }
    struct table_commit c = {.tables = w->tables,
                             .dataset = found.name,
                             .dataset_id = found.id,
                             .who = r->who,
                             .prepare = prepare_it,
                             .ctx = w,
                             .arena = w->arena};
    return commit(w, &c, ret, err);
}

enum err_code table_tombstone(struct tables *t, const struct table_tombstone *r, struct arena *a,
                              struct table_tombstoned *ret, struct err *err) {
    struct work w = {.tables = t, .request = r, .arena = a};
    return run(&w, prepare, ret, err);
}

enum err_code table_tombstone_undo(struct tables *t, const struct table_tombstone *r,
                                   struct arena *a, struct table_tombstoned *ret, struct err *err) {
    struct work w = {.tables = t, .request = r, .arena = a};
    return run(&w, prepare_undo, ret, err);
}
