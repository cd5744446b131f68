// Columns: POST /catalog/datasets/by-name/{name}/columns.

#include "api/api.h"

#define CHANGES_MAX 10000

// How a change is written, and which members it has beside op and name.
static const struct {
    const char *op;
    enum table_column_op kind;
    const char *other; // a member that it needs; NULL: none
} forms[] = {
    {"add", TABLE_COLUMN_ADD, "type"},         {"drop", TABLE_COLUMN_DROP, NULL},
    {"rename", TABLE_COLUMN_RENAME, "to"},     {"widen", TABLE_COLUMN_WIDEN, "type"},
    {"nullable", TABLE_COLUMN_NULLABLE, NULL},
};

static enum err_code read_change(const json_t *item, struct table_column_change *ret,
                                 struct err *err) {
    struct str op;
    if (!json_is_object(item)) {
        return err_set(err, ERR_INVALID, "a change is an object: {\"op\": \"add\", ...}");
    }
    TRY(json_need_str(item, "op", &op, err));
    for (size_t i = 0; i < ARRAY_LEN(forms); i++) {
        if (!str_is(op, forms[i].op)) {
            continue;
        }
        const char *const keys[] = {"op", "name", forms[i].other, NULL};
        struct str other = STR_NONE;
        TRY(json_only_keys(item, keys, err));
        TRY(json_need_str(item, "name", &ret->name, err));
        if (forms[i].other != NULL) {
            TRY(json_need_str(item, forms[i].other, &other, err));
        }
        ret->op = forms[i].kind;
        ret->to = other;
        ret->type = other;
        return ERR_OK;
    }
    return err_set(err, ERR_INVALID,
                   "op must be add, drop, rename, widen or nullable, not \"" STR_FMT "\"",
                   STR_ARG(op));
}

static enum err_code read_changes(struct call *c, const json_t *body, struct table_alter *ret,
                                  struct err *err) {
    static const char *const keys[] = {"changes", "reason", NULL};
    json_t *list;
    TRY(json_only_keys(body, keys, err));
    TRY(json_need_array(body, "changes", &list, err));
    if (json_get_str(body, "reason", &ret->who.reason)) {
        c->reason = arena_str(c->arena, ret->who.reason);
    }
    const size_t count = json_array_size(list);
    if (count == 0 || count > CHANGES_MAX) {
        return err_set(err, ERR_INVALID, "changes must hold 1 to %d changes", CHANGES_MAX);
    }
    struct table_column_change *changes = arena_array(c->arena, count, sizeof(*changes));
    for (size_t i = 0; i < count; i++) {
        if (read_change(json_array_get(list, i), &changes[i], err) != ERR_OK) {
            return err_prefix(err, "change %zu: ", i + 1);
        }
    }
    ret->changes = changes;
    ret->count = count;
    return ERR_OK;
}

enum err_code catalog_columns(struct call *c, struct err *err) {
    DEFER(json_decrefp) json_t *body = NULL;
    struct table_alter r = {.dataset = c->param, .who = api_author(c)};
    struct table_altered done;
    const struct query_request q = {
        .id = c->id, .principal = c->token.principal, .rights = c->rights};
    TRY(api_body_json(c, &body, err));
    TRY(read_changes(c, body, &r, err));
    TRY(query_alter(c->api->queries, &q, &r, c->arena, &done, err));
    json_t *schema = json_object();
    json_object_set_new(schema, "schema_id", json_integer(done.schema->schema_id));
    json_object_set_new(schema, "fields", api_schema_fields(done.schema, c->arena));
    json_t *j = json_object();
    json_object_set_new(j, "dataset", json_new_str(done.dataset.name));
    json_object_set_new(j, "unchanged", json_boolean(done.unchanged));
    json_object_set_new(j, "fingerprint", json_new_str(done.dataset.fingerprint));
    json_object_set_new(j, "schema", schema);
    api_json_tree(c, 200, j);
    return ERR_OK;
}
