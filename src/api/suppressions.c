// Suppression lists: GET /catalog/suppressions, and DELETE of one by its dataset's name.

#include "api/api.h"
#include "table/table_suppress.h"

enum err_code suppressions_list(struct call *c, struct err *err) {
    (void)err;
    struct table_suppression *lists;
    size_t count;
    json_t *j = json_object();
    json_t *items = json_array();
    table_suppress_list(c->api->tables, c->arena, &lists, &count);
    for (size_t i = 0; i < count; i++) {
        json_t *item = json_object();
        json_object_set_new(item, "name", json_new_str(lists[i].dataset));
        json_object_set_new(item, "column", json_new_str(lists[i].column));
        json_object_set_new(item, "count", json_integer(lists[i].count));
        json_array_append_new(items, item);
    }
    json_object_set_new(j, "suppressions", items);
    api_json_tree(c, 200, j);
    return ERR_OK;
}

enum err_code suppressions_remove(struct call *c, struct err *err) {
    int64_t count;
    const struct catalog_author who = api_author(c);
    TRY(table_suppress_remove(c->api->tables, c->param, &who, &count, err));
    json_t *j = json_object();
    json_object_set_new(j, "name", json_new_str(c->param));
    json_object_set_new(j, "removed", json_integer(count));
    api_json_tree(c, 200, j);
    return ERR_OK;
}
