// Previews: POST /query/preview, what somebody else would get, beside what is there.

#include "api/api.h"
#include "base/hash.h"
#include "encode/encode.h"

enum { AS_MAX = 16, ROWS_DEFAULT = 20, ROWS_MOST = 1000 };
#define SIDE_BYTES_MAX (4U << 20) // of the rows of one answer

// As whom. A principal has the roles of all of its tokens.
struct as {
    struct str name;
    struct str *roles;
    size_t role_count;
    const struct catalog_rights *rights;
};

struct preview {
    struct call *call;
    struct str sql, view, dataset; // one of them is given
    int64_t rows_max;
    struct as *as;
    size_t as_count;
    struct str id; // of its queries
    _Atomic bool left;
};

// ---- The request

static void add_role(struct as *as, struct str role, struct arena *a, size_t *cap) {
    for (size_t i = 0; i < as->role_count; i++) {
        if (str_eq(as->roles[i], role)) {
            return;
        }
    }
    as->roles = arena_grow(a, as->roles, cap, as->role_count + 1, sizeof(*as->roles));
    as->roles[as->role_count++] = arena_str(a, role);
}

static bool add_roles_of(struct call *c, struct str principal, struct as *ret) {
    struct catalog_token *tokens;
    size_t count;
    size_t cap = 0;
    bool found = false;
    catalog_token_list(c->api->catalog, c->arena, &tokens, &count);
    for (size_t i = 0; i < count; i++) {
        for (size_t r = 0; str_eq(tokens[i].principal, principal) && r < tokens[i].role_count;
             r++) {
            add_role(ret, tokens[i].roles[r], c->arena, &cap);
            found = true;
        }
    }
    return found;
}

// "agent" is the role of that name, or else the principal; "role:agent" and "principal:agent" are
// either. Whoever may impersonate does not become an admin by it.
static enum err_code read_as(struct call *c, struct str text, struct as *ret, struct err *err) {
    struct str name = text;
    struct catalog_role role;
    struct err missing = ERR_NONE;
    const bool only_role = str_starts(text, STR("role:"));
    const bool only_principal = str_starts(text, STR("principal:"));
    size_t cap = 0;
    if (only_role || only_principal) {
        (void)str_cut(&name, ':', &(struct str){0});
    }
    *ret = (struct as){.name = arena_str(c->arena, text)};
    if (!only_principal &&
        catalog_role_get(c->api->catalog, name, c->arena, &role, &missing) == ERR_OK) {
        add_role(ret, name, c->arena, &cap);
    } else if (only_role || !add_roles_of(c, name, ret)) {
        return err_set(err, ERR_NOT_FOUND, "there is no role%s \"" STR_FMT "\" to be seen as",
                       only_role ? "" : " and no principal", STR_ARG(name));
    }
    catalog_rights_resolve(c->api->catalog, ret->roles, ret->role_count, c->arena, &ret->rights);
    if (ret->rights->admin && !c->rights->admin) {
        return err_set(err, ERR_DENIED, "this token may not see as \"" STR_FMT "\", an admin",
                       STR_ARG(text));
    }
    return ERR_OK;
}

static enum err_code read_list(struct preview *p, const json_t *body, struct err *err) {
    json_t *list;
    TRY(json_need_array(body, "as", &list, err));
    const size_t count = json_array_size(list);
    if (count == 0 || count > AS_MAX) {
        return err_set(err, ERR_INVALID, "as must name 1 to %d roles or principals", AS_MAX);
    }
    p->as = arena_array(p->call->arena, count, sizeof(*p->as));
    for (size_t i = 0; i < count; i++) {
        const json_t *item = json_array_get(list, i);
        if (!json_is_string(item)) {
            return err_set(err, ERR_INVALID, "as must be a list of names of roles or principals");
        }
        const struct str text = {json_string_value(item), json_string_length(item)};
        TRY(read_as(p->call, text, &p->as[p->as_count++], err));
    }
    return ERR_OK;
}

static enum err_code read_request(struct preview *p, const json_t *body, struct err *err) {
    static const char *const keys[] = {"sql", "view", "dataset", "as", "rows_max", NULL};
    struct {
        const char *key;
        struct str *to;
    } const about[] = {{"sql", &p->sql}, {"view", &p->view}, {"dataset", &p->dataset}};
    int given = 0;
    TRY(json_only_keys(body, keys, err));
    for (size_t i = 0; i < ARRAY_LEN(about); i++) {
        if (json_object_get(body, about[i].key) != NULL) {
            struct str text;
            TRY(json_need_str(body, about[i].key, &text, err));
            *about[i].to = arena_str(p->call->arena, text);
            given++;
        }
    }
    if (given != 1) {
        return err_set(err, ERR_INVALID, "one of sql, view and dataset says what is to be seen");
    }
    if (json_object_get(body, "rows_max") != NULL) {
        TRY(json_need_i64(body, "rows_max", &p->rows_max, err));
        if (p->rows_max < 0 || p->rows_max > ROWS_MOST) {
            return err_set(err, ERR_INVALID, "rows_max must be from 0 to %d", ROWS_MOST);
        }
    }
    return read_list(p, body, err);
}

// ---- Rows of a query

struct side {
    json_t *columns, *rows; // the second: arrays of values
    bool truncated;
};

// At most so many rows, and bytes of them.
static enum err_code read_rows(struct query *q, int64_t rows_max, struct arena *a, struct side *ret,
                               struct err *err) {
    struct rows *rows = query_rows(q);
    const size_t count = rows_column_count(rows);
    struct encode_column *columns = arena_array(a, count, sizeof(*columns));
    const struct encode_options options = {.format = ENCODE_JSON, .arrays = true};
    DEFER(buf_release) struct buf head = BUF(SIDE_BYTES_MAX);
    DEFER(buf_release) struct buf out = BUF(SIDE_BYTES_MAX);
    const struct vec_chunk *chunk;
    int64_t left = rows_max;
    for (size_t i = 0; i < count; i++) {
        columns[i] = (struct encode_column){rows_column_name(rows, i), rows_column_type(rows, i)};
    }
    encode_columns(columns, count, &head);
    DEFER(encoder_freep) struct encoder *e = encoder_new(&options, columns, count);
    encoder_head(e, &out);
    TRY(rows_next(rows, &chunk, err));
    while (chunk != NULL && left > 0 && !out.overflow) {
        const struct encode_rows some = {chunk, 0, (size_t)MIN((int64_t)chunk->rows, left)};
        TRY(encoder_rows(e, &some, &out, err));
        left -= (int64_t)some.count;
        if (some.count == chunk->rows) {
            TRY(rows_next(rows, &chunk, err));
        }
    }
    encoder_tail(e, &out);
    if (head.overflow || out.overflow) {
        return err_set(err, ERR_TOO_LARGE,
                       "the rows have more than %u bytes: ask for fewer rows or columns",
                       SIDE_BYTES_MAX);
    }
    TRY(json_parse(buf_str(&head), &ret->columns, err));
    ret->truncated = chunk != NULL;
    return json_parse(buf_str(&out), &ret->rows, err);
}

static struct query_request request_of(const struct preview *p) {
    const struct call *c = p->call;
    return (struct query_request){.sql = p->sql,
                                  .principal = c->token.principal,
                                  .rights = c->rights,
                                  .roles = c->token.roles,
                                  .role_count = c->token.role_count,
                                  .preview = true};
}

static void set_failure(json_t *j, const struct err *failure) {
    json_object_set_new(j, "outcome", json_string(err_text(failure->code)));
    json_object_set_new(j, "message", json_string(failure->msg));
}

static void set_rows(json_t *j, struct side *s) {
    json_object_set_new(j, "row_count", json_integer((json_int_t)json_array_size(s->rows)));
    json_object_set_new(j, "columns", TAKE(s->columns));
    json_object_set_new(j, "rows", TAKE(s->rows));
    json_object_set_new(j, "truncated", json_boolean(s->truncated));
}

static void side_release(struct side *s) {
    json_decref(s->columns);
    json_decref(s->rows);
}

// One query of the preview.
struct ask {
    struct query_request request;
    const struct query_compare *compare; // NULL: the statement is run
    int64_t rows_max;
    const struct query_view *views; // out
    size_t view_count;
};

static enum err_code ask(struct preview *p, struct ask *k, struct side *ret, struct err *err) {
    struct queries *s = p->call->api->queries;
    struct arena *a = p->call->arena;
    struct query *q;
    if (p->left) {
        return err_set(err, ERR_CANCELLED, "the client hung up");
    }
    k->request.id = p->id;
    TRY(k->compare != NULL ? query_compare_start(s, &k->request, k->compare, a, &q, err)
                           : query_start(s, &k->request, a, &q, err));
    k->views = query_views(q, &k->view_count);
    const enum err_code code = read_rows(q, k->rows_max, a, ret, err);
    query_end(q, (int64_t)json_array_size(ret->rows), 0, code == ERR_OK ? NULL : err);
    return code;
}

// The monitor of http/ calls it. All queries of a preview have one id, and run one by one.
static void request_cancel(void *arg) {
    struct preview *p = arg;
    struct err err = ERR_NONE;
    p->left = true;
    (void)queries_cancel(p->call->api->queries, p->id, STR_NONE, &err);
}

static void preview_release(struct call *c) {
    http_on_cancel(c->http, NULL, NULL);
}

// ---- A view beside its base

static bool may_read_view(const struct as *as, struct str view) {
    return (catalog_rights_on_view(as->rights, view) & CATALOG_READ) != 0;
}

static bool is_masked(const struct catalog_view *v, size_t column) {
    return v->columns[column].mask.kind != MASK_NONE;
}

static json_t *slice(const json_t *row, size_t from, size_t count) {
    json_t *part = json_array();
    for (size_t i = from; i < from + count; i++) {
        json_array_append(part, json_array_get(row, i));
    }
    return part;
}

// A row of a comparison: true values, what is shown for them, and whether the row is.
static json_t *compared_row(const json_t *row, size_t count) {
    const bool shown = json_is_true(json_array_get(row, 2 * count));
    json_t *j = json_object();
    json_object_set_new(j, "shown", json_boolean(shown));
    json_object_set_new(j, "true_values", slice(row, 0, count));
    json_object_set_new(j, "seen", shown ? slice(row, count, count) : json_null());
    return j;
}

static void set_compared(json_t *j, const struct catalog_view *v, const struct side *s) {
    json_t *columns = json_array();
    json_t *rows = json_array();
    const json_t *row;
    size_t i;
    for (size_t c = 0; c < v->column_count; c++) {
        json_t *column = json_object();
        const json_t *seen = json_array_get(s->columns, v->column_count + c);
        const json_t *base = json_array_get(s->columns, c);
        json_object_set_new(column, "name", json_new_str(v->columns[c].name));
        json_object_set(column, "type", json_object_get(base, "type"));
        json_object_set(column, "seen_type", json_object_get(seen, "type"));
        json_object_set_new(column, "masked", json_boolean(is_masked(v, c)));
        json_array_append_new(columns, column);
    }
    json_array_foreach(s->rows, i, row) {
        json_array_append_new(rows, compared_row(row, v->column_count));
    }
    json_object_set_new(j, "columns", columns);
    json_object_set_new(j, "rows", rows);
    json_object_set_new(j, "truncated", json_boolean(s->truncated));
}

// How many live rows the base has, and how many of them the view shows.
static enum err_code set_counts(struct preview *p, struct str view, json_t *j, struct err *err) {
    const struct query_compare compare = {.view = view, .count = true};
    struct ask k = {.request = request_of(p), .compare = &compare, .rows_max = 1};
    DEFER(side_release) struct side s = {0};
    TRY(ask(p, &k, &s, err));
    json_object_set(j, "rows_base", json_array_get(json_array_get(s.rows, 0), 0));
    json_object_set(j, "rows_shown", json_array_get(json_array_get(s.rows, 0), 1));
    return ERR_OK;
}

static enum err_code compare_rows(struct preview *p, const struct catalog_view *v, json_t *j,
                                  struct err *err) {
    const struct query_compare compare = {.view = v->name};
    struct ask k = {.request = request_of(p), .compare = &compare, .rows_max = p->rows_max};
    DEFER(side_release) struct side s = {0};
    TRY(ask(p, &k, &s, err));
    set_compared(j, v, &s);
    return set_counts(p, v->name, j, err);
}

static json_t *as_json(const struct as *as) {
    json_t *j = json_object();
    json_t *roles = json_array();
    for (size_t i = 0; i < as->role_count; i++) {
        json_array_append_new(roles, json_new_str(as->roles[i]));
    }
    json_object_set_new(j, "as", json_new_str(as->name));
    json_object_set_new(j, "roles", roles);
    return j;
}

static json_t *compare_one(struct preview *p, const struct catalog_view *v, const struct as *as) {
    json_t *j = as_json(as);
    struct err failure = ERR_NONE;
    json_object_set_new(j, "view", json_new_str(v->name));
    json_object_set_new(j, "version", json_integer(v->number));
    if (!may_read_view(as, v->name)) {
        (void)err_set(&failure, ERR_NOT_FOUND, "no dataset \"" STR_FMT "\"", STR_ARG(v->name));
        set_failure(j, &failure);
    } else if (compare_rows(p, v, j, &failure) == ERR_OK) {
        json_object_set_new(j, "outcome", json_string("ok"));
    } else {
        set_failure(j, &failure);
    }
    return j;
}

static enum err_code preview_views(struct preview *p, const struct catalog_view *views,
                                   size_t count, json_t *sides) {
    for (size_t i = 0; i < p->as_count; i++) {
        for (size_t v = 0; v < count; v++) {
            json_array_append_new(sides, compare_one(p, &views[v], &p->as[i]));
        }
    }
    return ERR_OK;
}

// ---- A statement as somebody else

static json_t *run_as(struct preview *p, const struct as *as, struct side *s) {
    json_t *j = as_json(as);
    json_t *views = json_array();
    struct err failure = ERR_NONE;
    struct ask k = {.request = request_of(p), .rows_max = p->rows_max};
    k.request.rights = as->rights;
    k.request.roles = as->roles;
    k.request.role_count = as->role_count;
    if (ask(p, &k, s, &failure) != ERR_OK) {
        set_failure(j, &failure);
    } else {
        json_object_set_new(j, "outcome", json_string("ok"));
    }
    for (size_t i = 0; i < k.view_count; i++) {
        json_t *view = json_object();
        struct err none = ERR_NONE;
        json_object_set_new(view, "view", json_new_str(k.views[i].name));
        json_object_set_new(view, "version", json_integer(k.views[i].number));
        (void)set_counts(p, k.views[i].name, view, &none);
        json_array_append_new(views, view);
    }
    json_object_set_new(j, "views", views);
    return j;
}

// Cells that differ between two answers of one form: [row, column].
static json_t *differing(const struct side *x, const struct side *y) {
    const size_t rows = json_array_size(x->rows);
    const size_t columns = json_array_size(x->columns);
    if (rows != json_array_size(y->rows) || columns != json_array_size(y->columns) ||
        x->truncated || y->truncated) {
        return json_null();
    }
    json_t *list = json_array();
    for (size_t r = 0; r < rows; r++) {
        for (size_t c = 0; c < columns; c++) {
            if (!json_equal(json_array_get(json_array_get(x->rows, r), c),
                            json_array_get(json_array_get(y->rows, r), c))) {
                json_array_append_new(list, json_pack("[i,i]", (int)r, (int)c));
            }
        }
    }
    return list;
}

static void preview_sql(struct preview *p, json_t *ret, json_t *sides) {
    DEFER(side_release) struct side owner = {0};
    struct err failure = ERR_NONE;
    struct ask k = {.request = request_of(p), .rows_max = p->rows_max};
    json_t *own = json_object();
    k.request.unmasked = true;
    const bool seen = ask(p, &k, &owner, &failure) == ERR_OK;
    if (!seen) {
        set_failure(own, &failure);
    } else {
        json_object_set_new(own, "outcome", json_string("ok"));
    }
    for (size_t i = 0; i < p->as_count; i++) {
        DEFER(side_release) struct side s = {0};
        json_t *j = run_as(p, &p->as[i], &s);
        if (s.rows != NULL) {
            json_object_set_new(j, "differing", seen ? differing(&owner, &s) : json_null());
            set_rows(j, &s);
        }
        json_array_append_new(sides, j);
    }
    if (seen) {
        set_rows(own, &owner);
    }
    json_object_set_new(ret, "owner", own);
}

// ---- Edge

// A view is shown to who may read its base raw; for others it is not there.
static enum err_code find_view(struct preview *p, struct catalog_view *ret, struct err *err) {
    const struct catalog_wish wish = {p->call->rights, CATALOG_READ_RAW};
    struct catalog *c = p->call->api->catalog;
    struct catalog_dataset d;
    struct err hidden = ERR_NONE;
    TRY(catalog_view_get(c, p->view, p->call->arena, ret, err));
    if (catalog_dataset_permit(c, ret->base, &wish, p->call->arena, &d, &hidden) != ERR_OK) {
        return err_set(err, ERR_NOT_FOUND, "no view \"" STR_FMT "\"", STR_ARG(p->view));
    }
    return ERR_OK;
}

static enum err_code preview_named(struct preview *p, json_t *sides, struct err *err) {
    const struct catalog_wish wish = {p->call->rights, CATALOG_READ_RAW};
    struct catalog *c = p->call->api->catalog;
    struct arena *a = p->call->arena;
    if (p->view.len > 0) {
        struct catalog_view v;
        TRY(find_view(p, &v, err));
        return preview_views(p, &v, 1, sides);
    }
    struct catalog_dataset d;
    struct catalog_view *views;
    size_t count;
    TRY(catalog_dataset_permit(c, p->dataset, &wish, a, &d, err));
    TRY(catalog_view_list(c, d.id, a, &views, &count, err));
    return preview_views(p, views, count, sides);
}

enum err_code query_preview(struct call *c, struct err *err) {
    DEFER(json_decrefp) json_t *body = NULL;
    DEFER(json_decrefp) json_t *ret = json_object();
    struct preview *p = arena_alloc(c->arena, sizeof(*p));
    *p = (struct preview){.call = c, .rows_max = ROWS_DEFAULT, .id = id_new(c->arena)};
    TRY(api_body_json(c, &body, err));
    TRY(read_request(p, body, err));
    json_t *sides = json_array();
    json_object_set_new(ret, "as", sides);
    c->release = preview_release;
    http_on_cancel(c->http, request_cancel, p);
    if (p->sql.len > 0) {
        preview_sql(p, ret, sides);
    } else {
        TRY(preview_named(p, sides, err));
    }
    api_json_tree(c, 200, json_incref(ret));
    return ERR_OK;
}
