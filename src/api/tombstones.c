// Tombstones: POST, GET /catalog/datasets/by-name/{name}/tombstone, POST …/tombstone/undo, and
// GET /catalog/tombstones over all datasets.

#include "api/api.h"

#include "base/clock.h"
#include "table/table_tombstone.h"

#define DATASETS_PAGE 1000
#define TALLY_ARENA (64U << 20)

static const struct failure {
    const char *code, *detail;
} failures[] = {
    [TABLE_KEY_NOT_FOUND] = {"not_found", "no row has this key"},
    [TABLE_KEY_WRONG_TYPE] = {"wrong_type", "the row key column cannot hold this value"},
    [TABLE_KEY_TWICE] = {"duplicate", "the value stands in the request already"},
    [TABLE_KEY_ALREADY] = {"already_tombstoned", "the key has a tombstone already"},
    [TABLE_KEY_NOT_TOMBSTONED] = {"not_tombstoned", "the key has no tombstone"},
};

// What is asked for, and what came of it.
struct asked {
    json_t *values;                  // as they came
    struct table_key *keys;          // of each value
    const struct failure **failures; // of each value; NULL: none
};

// Texts and whole numbers are keys. What else there is goes along as a number without digits, which
// no column can hold.
static enum err_code read_values(const json_t *body, struct arena *a, struct asked *ret,
                                 struct err *err) {
    TRY(json_need_array(body, "row_key_values", &ret->values, err));
    const size_t count = json_array_size(ret->values);
    if (count == 0) {
        return err_set(err, ERR_INVALID, "row_key_values is empty; name at least one key");
    }
    if (count > TABLE_TOMBSTONE_VALUES) {
        return err_set(err, ERR_TOO_LARGE,
                       "row_key_values has more than %d values; send several "
                       "requests",
                       TABLE_TOMBSTONE_VALUES);
    }
    ret->keys = arena_array(a, count, sizeof(*ret->keys));
    ret->failures = arena_array(a, count, sizeof(void *));
    for (size_t i = 0; i < count; i++) {
        const json_t *v = json_array_get(ret->values, i);
        if (json_is_string(v)) {
            ret->keys[i].text = (struct str){json_string_value(v), json_string_length(v)};
            continue;
        }
        ret->keys[i].integer = true;
        if (json_is_integer(v)) {
            ret->keys[i].text = arena_printf(a, "%lld", (long long)json_integer_value(v));
        } else {
            ret->failures[i] = &failures[TABLE_KEY_WRONG_TYPE];
        }
    }
    return ERR_OK;
}

static enum err_code read_time(const json_t *body, const char *key, int64_t *ret, struct err *err) {
    struct str text;
    const json_t *given = json_object_get(body, key);
    if (given == NULL || json_is_null(given)) {
        return ERR_OK;
    }
    TRY(json_need_str(body, key, &text, err));
    if (!clock_parse(text, ret) || *ret <= 0) {
        return err_set(err, ERR_INVALID, "%s must be a time like 2027-01-31T00:00:00Z", key);
    }
    return ERR_OK;
}

// A text that may be left out; one of another type is an error, not nothing.
static enum err_code read_text(const json_t *body, const char *key, struct str *ret,
                               struct err *err) {
    const json_t *given = json_object_get(body, key);
    if (given == NULL || json_is_null(given)) {
        return ERR_OK;
    }
    TRY(json_need_str(body, key, ret, err));
    if (ret->len > CATALOG_REASON_MAX) {
        return err_set(err, ERR_INVALID, "%s must have at most %d bytes", key, CATALOG_REASON_MAX);
    }
    return ERR_OK;
}

static enum err_code read_request(struct call *c, const json_t *body, struct asked *asked,
                                  struct table_tombstone *ret, struct err *err) {
    TRY(read_values(body, c->arena, asked, err));
    TRY(read_text(body, "row_key_column", &ret->column, err));
    TRY(read_text(body, "actor", &ret->on_behalf_of, err));
    TRY(read_text(body, "reason", &ret->who.reason, err));
    TRY(read_time(body, "purge_not_before", &ret->purge_not_before_us, err));
    TRY(read_time(body, "purge_by", &ret->purge_by_us, err));
    ret->dataset = c->param;
    ret->keys = asked->keys;
    ret->key_count = json_array_size(asked->values);
    return ERR_OK;
}

static json_t *failures_json(const struct asked *asked) {
    json_t *list = json_array();
    for (size_t i = 0; i < json_array_size(asked->values); i++) {
        const struct failure *f = asked->failures[i];
        if (f != NULL) {
            json_array_append_new(list, json_pack("{s:O,s:s,s:s}", "row_key_value",
                                                  json_array_get(asked->values, i), "code", f->code,
                                                  "detail", f->detail));
        }
    }
    return list;
}

// What the two have in common. 207: some of the values could not be done.
struct act {
    enum err_code (*run)(struct tables *t, const struct table_tombstone *r, struct arena *a,
                         struct table_tombstoned *ret, struct err *err);
    const char *rows, *keys; // members of the answer
};

static enum err_code act_on(struct call *c, const struct act *act, struct asked *asked,
                            struct table_tombstone *r, struct err *err) {
    DEFER(session_closep) struct session *s = NULL;
    struct table_tombstoned done = {0};
    TRY(session_open(c->api->engine, &s, err));
    r->session = s;
    TRY(act->run(c->api->tables, r, c->arena, &done, err));
    for (size_t i = 0; i < done.failure_count; i++) {
        const struct failure **why = &asked->failures[done.failures[i].at];
        *why = *why == NULL ? &failures[done.failures[i].why] : *why;
    }
    const struct str column =
        done.dataset.tombstones.count > 0 ? done.dataset.tombstones.column : r->column;
    json_t *list = failures_json(asked);
    json_t *j = json_object();
    json_object_set_new(j, "dataset", json_new_str(done.dataset.name));
    json_object_set_new(j, "row_key_column", column.len > 0 ? json_new_str(column) : json_null());
    json_object_set_new(j, act->rows, json_integer(done.rows));
    json_object_set_new(j, act->keys, json_integer(done.keys));
    json_object_set_new(j, "snapshot",
                        done.snapshot_id != 0 ? json_integer(done.snapshot_id) : json_null());
    json_object_set_new(j, "failures", list);
    api_json_tree(c, json_array_size(list) > 0 ? 207 : 200, j);
    return ERR_OK;
}

enum err_code tombstones_make(struct call *c, struct err *err) {
    static const char *const keys[] = {"row_key_column",   "row_key_values", "actor", "reason",
                                       "purge_not_before", "purge_by",       NULL};
    static const struct act act = {table_tombstone, "rows_tombstoned", "keys_tombstoned"};
    DEFER(json_decrefp) json_t *body = NULL;
    struct asked asked = {0};
    struct table_tombstone r = {.who = api_author(c)};
    TRY(api_body_json(c, &body, err));
    TRY(json_only_keys(body, keys, err));
    TRY(json_need_str(body, "row_key_column", &r.column, err));
    TRY(read_request(c, body, &asked, &r, err));
    return act_on(c, &act, &asked, &r, err);
}

enum err_code tombstones_undo(struct call *c, struct err *err) {
    static const char *const keys[] = {"row_key_column", "row_key_values", "actor", "reason", NULL};
    static const struct act act = {table_tombstone_undo, "rows_restored", "keys_restored"};
    DEFER(json_decrefp) json_t *body = NULL;
    struct asked asked = {0};
    struct table_tombstone r = {.who = api_author(c)};
    TRY(api_body_json(c, &body, err));
    TRY(json_only_keys(body, keys, err));
    TRY(read_request(c, body, &asked, &r, err));
    return act_on(c, &act, &asked, &r, err);
}

// ---- The list of a dataset

static json_t *text_or_null(struct str s) {
    return s.len > 0 ? json_new_str(s) : json_null();
}

static json_t *item_json(const struct table_tombstone_item *item, int64_t now_us, struct arena *a) {
    int64_t number = 0;
    const bool integer = item->integer && str_to_i64(item->value, &number);
    // Whoever asked on another's behalf is the principal; the actor is whom they named.
    const struct str actor = item->on_behalf_of.len > 0 ? item->on_behalf_of : item->actor;
    json_t *j = json_object();
    json_object_set_new(j, "row_key_value",
                        integer ? json_integer(number) : json_new_str(item->value));
    json_object_set_new(j, "actor", json_new_str(actor));
    json_object_set_new(j, "principal", json_new_str(item->actor));
    json_object_set_new(j, "reason", text_or_null(item->reason));
    json_object_set_new(j, "tombstoned_at", api_time(item->time_us, a));
    json_object_set_new(j, "rows", json_integer(item->rows));
    json_object_set_new(j, "purge_not_before", api_time(item->purge_not_before_us, a));
    json_object_set_new(j, "purge_by", api_time(item->purge_by_us, a));
    json_object_set_new(j, "overdue", json_boolean(table_tombstone_overdue(item, now_us)));
    json_object_set_new(j, "subject", json_new_str(table_tombstone_handle(item, a)));
    return j;
}

// A cursor is the time of the last item and its handle: no value stands in it, and an item that
// goes meanwhile takes none of the others along.
static struct str cursor_of(const struct table_tombstone_item *item, struct arena *a) {
    return arena_printf(a, "%lld-" STR_FMT, (long long)item->time_us,
                        STR_ARG(table_tombstone_handle(item, a)));
}

static enum err_code after_cursor(const struct call *c, const struct table_tombstone_list *list,
                                  size_t *ret, struct err *err) {
    struct str rest;
    struct str time;
    int64_t time_us = 0;
    if (!http_query(c->http, "cursor", &rest)) {
        *ret = 0;
        return ERR_OK;
    }
    if (!str_cut(&rest, '-', &time) || !str_to_i64(time, &time_us)) {
        return err_set(err, ERR_INVALID, "cursor must be the value of next of the page before");
    }
    size_t first = 0;
    while (first < list->count && list->items[first].time_us < time_us) {
        first++;
    }
    *ret = first;
    for (size_t i = first; i < list->count && list->items[i].time_us == time_us; i++) {
        if (str_eq(table_tombstone_handle(&list->items[i], c->arena), rest)) {
            *ret = i + 1;
            break;
        }
    }
    return ERR_OK;
}

static json_t *page_json(struct call *c, const struct table_tombstone_list *list, size_t at,
                         int64_t limit, bool only_overdue) {
    const int64_t now_us = clock_wall_us();
    const struct table_tombstone_item *last = NULL;
    bool more = false;
    int64_t overdue = 0;
    json_t *items = json_array();
    for (; at < list->count && !more; at++) {
        const struct table_tombstone_item *item = &list->items[at];
        if (only_overdue && !table_tombstone_overdue(item, now_us)) {
            continue;
        }
        more = json_array_size(items) == (size_t)limit;
        if (!more) {
            json_array_append_new(items, item_json(item, now_us, c->arena));
            last = item;
        }
    }
    for (size_t i = 0; i < list->count; i++) {
        overdue += table_tombstone_overdue(&list->items[i], now_us) ? 1 : 0;
    }
    json_t *j = json_object();
    json_object_set_new(j, "row_key_column", text_or_null(list->column));
    json_object_set_new(j, "tombstones", items);
    json_object_set_new(j, "active", json_integer((json_int_t)list->count));
    json_object_set_new(j, "overdue", json_integer(overdue));
    json_object_set_new(
        j, "next", more && last != NULL ? json_new_str(cursor_of(last, c->arena)) : json_null());
    return j;
}

enum err_code tombstones_list(struct call *c, struct err *err) {
    struct catalog_dataset d;
    const struct table_tombstone_list none = {0};
    const struct table_tombstone_list *list = &none;
    int64_t limit = 100;
    bool only_overdue = false;
    size_t at = 0;
    TRY(api_query_number(c, "limit", 1, 1000, &limit, err));
    TRY(api_query_flag(c, "overdue", &only_overdue, err));
    TRY(catalog_dataset_get(c->api->catalog, c->param, c->arena, &d, err));
    if (d.tombstones.count > 0) {
        TRY(table_tombstone_list_load(c->api->tables, &d, c->arena, &list, err));
    }
    TRY(after_cursor(c, list, &at, err));
    json_t *j = page_json(c, list, at, limit, only_overdue);
    json_object_set_new(j, "dataset", json_new_str(d.name));
    api_json_tree(c, 200, j);
    return ERR_OK;
}

// ---- Over all datasets

struct tally {
    int64_t active, overdue, held;
    int64_t purge_by_us; // the first of them; 0: none has one
};

static enum err_code tally_of(struct api *api, const struct catalog_dataset *d, int64_t now_us,
                              struct arena *a, struct tally *ret, struct err *err) {
    const struct table_tombstone_list *list;
    TRY(table_tombstone_list_load(api->tables, d, a, &list, err));
    *ret = (struct tally){.active = (int64_t)list->count};
    for (size_t i = 0; i < list->count; i++) {
        const struct table_tombstone_item *item = &list->items[i];
        ret->overdue += table_tombstone_overdue(item, now_us) ? 1 : 0;
        ret->held += item->purge_not_before_us > now_us ? 1 : 0;
        if (item->purge_by_us != 0 &&
            (ret->purge_by_us == 0 || item->purge_by_us < ret->purge_by_us)) {
            ret->purge_by_us = item->purge_by_us;
        }
    }
    return ERR_OK;
}

static json_t *tally_json(const struct catalog_dataset *d, const struct tally *t, struct arena *a) {
    json_t *j = json_object();
    json_object_set_new(j, "dataset", json_new_str(d->name));
    json_object_set_new(j, "row_key_column", json_new_str(d->tombstones.column));
    json_object_set_new(j, "active", json_integer(t->active));
    json_object_set_new(j, "held", json_integer(t->held));
    json_object_set_new(j, "overdue", json_integer(t->overdue));
    json_object_set_new(j, "oldest_purge_by", api_time(t->purge_by_us, a));
    return j;
}

// A report under way: of datasets that the caller may tombstone, or erase from, rows of.
struct report {
    struct call *call;
    json_t *items;
    size_t limit;
    bool only_overdue;
    struct str last; // the dataset told of last
    bool more;       // there is another one
};

static enum err_code report_add(struct report *r, const struct catalog_dataset *d,
                                struct err *err) {
    struct call *c = r->call;
    const unsigned rights = catalog_rights_on(c->rights, d->name, d->bucket);
    struct tally t = {0};
    if (d->tombstones.count == 0 || (rights & (CATALOG_TOMBSTONE | CATALOG_ERASE)) == 0) {
        return ERR_OK;
    }
    TRY(tally_of(c->api, d, clock_wall_us(), c->arena, &t, err));
    if (r->only_overdue && t.overdue == 0) {
        return ERR_OK;
    }
    r->more = json_array_size(r->items) == r->limit;
    if (!r->more) {
        json_array_append_new(r->items, tally_json(d, &t, c->arena));
        r->last = d->name;
    }
    return ERR_OK;
}

enum err_code tombstones_report(struct call *c, struct err *err) {
    int64_t limit = 100;
    struct str after = STR_NONE;
    struct catalog_datasets page = {.more = true};
    struct report r = {.call = c};
    TRY(api_query_number(c, "limit", 1, 1000, &limit, err));
    TRY(api_query_flag(c, "overdue", &r.only_overdue, err));
    (void)http_query(c->http, "cursor", &after);
    DEFER(json_decrefp) json_t *items = json_array();
    r.items = items;
    r.limit = (size_t)limit;
    while (page.more && !r.more) {
        catalog_dataset_list(c->api->catalog, after, DATASETS_PAGE, c->arena, &page);
        for (size_t i = 0; i < page.count && !r.more; i++) {
            TRY(report_add(&r, &page.items[i], err));
            after = page.items[i].name;
        }
    }
    json_t *j = json_object();
    json_object_set(j, "datasets", items);
    json_object_set_new(j, "next", r.more ? json_new_str(r.last) : json_null());
    api_json_tree(c, 200, j);
    return ERR_OK;
}

enum err_code tombstones_count(struct api *api, int64_t *ret_active, int64_t *ret_overdue,
                               struct err *err) {
    const int64_t now_us = clock_wall_us();
    struct catalog_datasets page = {.more = true};
    char after[512] = "";
    *ret_active = 0;
    *ret_overdue = 0;
    while (page.more) {
        DEFER(arena_release) struct arena a = ARENA(TALLY_ARENA);
        catalog_dataset_list(api->catalog, str_from(after), DATASETS_PAGE, &a, &page);
        for (size_t i = 0; i < page.count; i++) {
            struct tally t = {0};
            if (page.items[i].tombstones.count > 0) {
                TRY(tally_of(api, &page.items[i], now_us, &a, &t, err));
            }
            *ret_active += t.active;
            *ret_overdue += t.overdue;
        }
        if (page.count > 0) {
            const struct str last = page.items[page.count - 1].name;
            CHECK(last.len < sizeof(after));
            memcpy(after, last.ptr, last.len);
            after[last.len] = '\0';
        }
    }
    return ERR_OK;
}
