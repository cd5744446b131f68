// Views: POST, GET /catalog/views, GET and DELETE of one by name, and the key of its masks.

#include "api/api.h"

// ---- What is told of one

static struct str etag_of(const struct catalog_view *v, struct arena *a) {
    return arena_printf(a, "\"%llu\"", (unsigned long long)v->version);
}

static json_t *columns_json(const struct catalog_view *v) {
    json_t *list = json_array();
    for (size_t i = 0; i < v->column_count; i++) {
        json_t *j = json_object();
        json_object_set_new(j, "name", json_new_str(v->columns[i].name));
        json_object_set_new(j, "masked", json_boolean(v->columns[i].mask.kind != MASK_NONE));
        json_array_append_new(list, j);
    }
    return list;
}

// For whoever may read it: neither its base nor its filter, nor how a column is masked.
static json_t *summary_json(const struct call *c, const struct catalog_view *v) {
    json_t *j = json_object();
    json_object_set_new(j, "name", json_new_str(v->name));
    json_object_set_new(j, "version", json_integer(v->number));
    json_object_set_new(j, "columns", columns_json(v));
    if (c->rights->admin) {
        json_object_set_new(j, "base_dataset", json_new_str(v->base));
    }
    return j;
}

static json_t *redactions_json(const struct catalog_view *v, struct arena *a) {
    json_t *j = json_object();
    for (size_t i = 0; i < v->column_count; i++) {
        json_t *mask = mask_json(&v->columns[i].mask);
        if (mask != NULL) {
            json_object_set_new(j, arena_cstr(a, v->columns[i].name), mask);
        }
    }
    return j;
}

// The whole definition, as it is sent to make the view again; for admins.
static json_t *definition_json(const struct call *c, const struct catalog_view *v) {
    json_t *j = summary_json(c, v);
    json_object_set_new(j, "row_filter",
                        v->row_filter.len > 0 ? json_new_str(v->row_filter) : json_null());
    json_object_set_new(j, "column_redactions", redactions_json(v, c->arena));
    json_object_set_new(j, "author", json_new_str(v->author));
    json_object_set_new(j, "created_at", api_time(v->created_us, c->arena));
    json_object_set_new(j, "updated_at", api_time(v->updated_us, c->arena));
    return j;
}

// Newest first.
static enum err_code versions_json(const struct call *c, const struct catalog_view *v, json_t **ret,
                                   struct err *err) {
    struct catalog_view *versions;
    size_t count;
    TRY(catalog_view_versions(c->api->catalog, v, c->arena, &versions, &count, err));
    json_t *list = json_array();
    for (size_t i = count; i > 0; i--) {
        json_t *j = json_object();
        json_object_set_new(j, "version", json_integer(versions[i - 1].number));
        json_object_set_new(j, "author", json_new_str(versions[i - 1].author));
        json_object_set_new(j, "updated_at", api_time(versions[i - 1].updated_us, c->arena));
        json_array_append_new(list, j);
    }
    *ret = list;
    return ERR_OK;
}

static enum err_code answer_definition(struct call *c, int status, const struct catalog_view *v,
                                       struct err *err) {
    json_t *versions = NULL;
    TRY(versions_json(c, v, &versions, err));
    json_t *j = definition_json(c, v);
    json_object_set_new(j, "versions", versions);
    api_json_tree(c, status, j);
    return ERR_OK;
}

// ---- GET

enum err_code view_list(struct call *c, struct err *err) {
    int64_t limit = 100;
    struct str cursor = STR_NONE;
    struct str last = STR_NONE;
    struct catalog_view *views;
    size_t count;
    bool more = false;
    TRY(api_query_number(c, "limit", 1, 1000, &limit, err));
    (void)http_query(c->http, "cursor", &cursor);
    TRY(catalog_view_list_permitted(c->api->catalog, c->rights, c->arena, &views, &count, err));
    json_t *list = json_array();
    for (size_t i = 0; i < count && !more; i++) {
        const struct catalog_view *v = &views[i];
        if (str_cmp(v->name, cursor) <= 0) {
            continue;
        }
        more = json_array_size(list) == (size_t)limit;
        if (!more) {
            json_array_append_new(list, summary_json(c, v));
            last = v->name;
        }
    }
    json_t *j = json_object();
    json_object_set_new(j, "views", list);
    json_object_set_new(j, "next", more ? json_new_str(last) : json_null());
    api_json_tree(c, 200, j);
    return ERR_OK;
}

enum err_code view_show(struct call *c, struct err *err) {
    int64_t number = 0;
    struct catalog_view v;
    struct str seen;
    TRY(api_query_number(c, "version", 1, INT64_MAX, &number, err));
    TRY(catalog_view_permit(c->api->catalog, c->param, c->rights, c->arena, &v, err));
    if (number != 0) {
        TRY(catalog_permit_admin(c->rights, err));
        TRY(catalog_view_at(c->api->catalog, &v, number, c->arena, &v, err));
        api_json_tree(c, 200, definition_json(c, &v));
        return ERR_OK;
    }
    const struct str etag = etag_of(&v, c->arena);
    http_set_header(c->http, "ETag", etag);
    if (http_header(c->http, "If-None-Match", &seen) && str_eq(seen, etag)) {
        http_answer(c->http, 304, NULL, STR_NONE);
        return ERR_OK;
    }
    if (c->rights->admin) {
        return answer_definition(c, 200, &v, err);
    }
    api_json_tree(c, 200, summary_json(c, &v));
    return ERR_OK;
}

// ---- POST

static struct str string_of(const json_t *j) {
    return (struct str){json_string_value(j), json_string_length(j)};
}

static enum err_code read_columns(const json_t *body, struct arena *a, struct view_wish *w,
                                  struct catalog_view_column **ret, struct err *err) {
    json_t *list;
    if (json_object_get(body, "columns") == NULL) {
        return err_set(err, ERR_INVALID,
                       "columns is missing: a view shows the columns that it names, and no others");
    }
    TRY(json_need_array(body, "columns", &list, err));
    const size_t count = json_array_size(list);
    if (count == 0 || count > CATALOG_VIEW_COLUMNS_MAX) {
        return err_set(err, ERR_INVALID, "columns must name 1 to %d columns",
                       CATALOG_VIEW_COLUMNS_MAX);
    }
    struct catalog_view_column *columns = arena_array(a, count, sizeof(*columns));
    for (size_t i = 0; i < count; i++) {
        const json_t *item = json_array_get(list, i);
        if (!json_is_string(item)) {
            return err_set(err, ERR_INVALID, "columns must be a list of names of columns");
        }
        columns[i].name = string_of(item);
        if (str_is(columns[i].name, "*")) {
            return err_set(err, ERR_INVALID,
                           "columns: \"*\" is not taken: name each column that is to be shown, so "
                           "that one that is added later is not");
        }
    }
    *ret = columns;
    w->columns = columns;
    w->column_count = count;
    return ERR_OK;
}

// The one that it is about: exactly, or else without regard to case. NULL: it is not shown.
static struct catalog_view_column *find_column(struct catalog_view_column *columns, size_t count,
                                               struct str name) {
    struct catalog_view_column *same = NULL;
    for (size_t i = 0; i < count; i++) {
        if (str_eq(columns[i].name, name)) {
            return &columns[i];
        }
        same = same == NULL && str_eq_nocase(columns[i].name, name) ? &columns[i] : same;
    }
    return same;
}

static enum err_code read_redactions(const json_t *body, const struct view_wish *w,
                                     struct catalog_view_column *columns, struct err *err) {
    json_t *given = json_object_get(body, "column_redactions");
    const char *name;
    const json_t *mask;
    if (given == NULL || json_is_null(given)) {
        return ERR_OK;
    }
    TRY(json_need_object(body, "column_redactions", &given, err));
    json_object_foreach(given, name, mask) {
        struct catalog_view_column *column = find_column(columns, w->column_count, str_from(name));
        if (column == NULL) {
            return err_set(err, ERR_INVALID,
                           "column_redactions: \"%.128s\" is not among columns: what is not shown "
                           "needs no redaction",
                           name);
        }
        if (column->mask.kind != MASK_NONE) {
            return err_set(err, ERR_INVALID,
                           "column_redactions: \"" STR_FMT "\" stands there twice",
                           STR_ARG(column->name));
        }
        if (mask_read(mask, &column->mask, err) != ERR_OK) {
            return err_prefix(err, "column_redactions: \"%.128s\": ", name);
        }
    }
    return ERR_OK;
}

static enum err_code read_filter(const json_t *body, struct view_wish *w, struct err *err) {
    const json_t *given = json_object_get(body, "row_filter");
    if (given == NULL || json_is_null(given)) {
        return ERR_OK;
    }
    TRY(json_need_str(body, "row_filter", &w->row_filter, err));
    if (w->row_filter.len > CATALOG_VIEW_FILTER_MAX) {
        return err_set(err, ERR_TOO_LARGE, "row_filter has %zu bytes; at most %d are taken",
                       w->row_filter.len, CATALOG_VIEW_FILTER_MAX);
    }
    return ERR_OK;
}

// *ret_replaces: may it take the place of what is there?
static enum err_code read_wish(struct call *c, const json_t *body, struct view_wish *ret,
                               bool *ret_replaces, struct err *err) {
    static const char *const keys[] = {
        "name", "base_dataset", "columns", "row_filter", "column_redactions", "replace", NULL};
    struct catalog_view_column *columns;
    const json_t *replace = json_object_get(body, "replace");
    TRY(json_need_str(body, "name", &ret->name, err));
    api_about(c, ret->name);
    TRY(json_only_keys(body, keys, err));
    TRY(catalog_check_name(ret->name, err));
    TRY(json_need_str(body, "base_dataset", &ret->base, err));
    TRY(read_columns(body, c->arena, ret, &columns, err));
    TRY(read_redactions(body, ret, columns, err));
    TRY(read_filter(body, ret, err));
    if (replace != NULL && !json_is_boolean(replace)) {
        return err_set(err, ERR_INVALID, "replace must be true or false");
    }
    *ret_replaces = json_is_true(replace);
    return ERR_OK;
}

// Is what there is (version 0: nothing) what the client expects?
static enum err_code check_expected(struct call *c, const struct catalog_view *there,
                                    struct err *err) {
    struct str given;
    const bool is_there = there->version != 0;
    if (http_header(c->http, "If-None-Match", &given) && str_is(given, "*") && is_there) {
        return err_set(err, ERR_EXISTS, "there is a view \"" STR_FMT "\" already",
                       STR_ARG(there->name));
    }
    if (http_header(c->http, "If-Match", &given) && !(str_is(given, "*") && is_there) &&
        !str_eq(given, etag_of(there, c->arena))) {
        return err_set(err, ERR_CONFLICT,
                       "If-Match: the view was changed meanwhile: read it and send it again");
    }
    return ERR_OK;
}

enum err_code view_make(struct call *c, struct err *err) {
    DEFER(json_decrefp) json_t *body = NULL;
    const struct catalog_author who = api_author(c);
    struct view_wish wish = {0};
    struct catalog_view there = {0};
    struct catalog_view v;
    bool replaces = false;
    TRY(api_body_json(c, &body, err));
    TRY(read_wish(c, body, &wish, &replaces, err));
    const bool is_there = catalog_view_find(c->api->catalog, wish.name, c->arena, &there);
    TRY(check_expected(c, &there, err));
    if (is_there && !replaces) {
        return err_set(err, ERR_EXISTS,
                       "there is a view \"" STR_FMT
                       "\" already (\"replace\": true puts this in its "
                       "place)",
                       STR_ARG(there.name));
    }
    TRY(view_check(c->api->views, &wish, c->arena, &v, err));
    v.version = there.version;
    TRY(catalog_view_put(c->api->catalog, &v, &who, err));
    views_tidy(c->api->views);
    // As it stands now, by this change or by one that came right behind it.
    TRY(catalog_view_get(c->api->catalog, wish.name, c->arena, &v, err));
    http_set_header(c->http, "ETag", etag_of(&v, c->arena));
    return answer_definition(c, is_there ? 200 : 201, &v, err);
}

// ---- DELETE, and the key

enum err_code view_remove(struct call *c, struct err *err) {
    const struct catalog_author who = api_author(c);
    struct catalog_view v;
    if (!catalog_view_find(c->api->catalog, c->param, c->arena, &v)) {
        return err_set(err, ERR_NOT_FOUND, "no view \"" STR_FMT "\"", STR_ARG(c->param));
    }
    TRY(check_expected(c, &v, err));
    TRY(catalog_view_remove(c->api->catalog, &v, &who, err));
    views_tidy(c->api->views);
    json_t *j = json_object();
    json_object_set_new(j, "view", json_new_str(v.name));
    json_object_set_new(j, "removed", json_true());
    api_json_tree(c, 200, j);
    return ERR_OK;
}

// Nothing that was masked under the old key stays.
enum err_code mask_key_rotate(struct call *c, struct err *err) {
    const struct catalog_author who = api_author(c);
    struct catalog_secret made;
    TRY(catalog_secret_rotate(c->api->catalog, VIEW_SECRET, &who, c->arena, &made, err));
    TRY(api_forget(c->api, err));
    json_t *j = json_object();
    json_object_set_new(j, "rotated", json_true());
    json_object_set_new(j, "key_id", json_new_str(made.id));
    api_json_tree(c, 200, j);
    return ERR_OK;
}
