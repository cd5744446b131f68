// Roles: GET /auth/roles, and PUT, GET, DELETE of one by name.

#include "api/api.h"

static struct str etag_of(uint64_t version, struct arena *a) {
    return arena_printf(a, "\"%llu\"", (unsigned long long)version);
}

static json_t *role_json(const struct catalog_role *role, struct arena *a) {
    json_t *j = json_object();
    DEFER(json_decrefp) json_t *both = catalog_role_json(role);
    json_object_set_new(j, "role", json_new_str(role->name));
    json_object_update(j, both);
    json_object_set_new(j, "built_in", json_boolean(str_eq(role->name, CATALOG_ADMIN_ROLE)));
    json_object_set_new(j, "created_at", api_time(role->created_us, a));
    json_object_set_new(j, "updated_at", api_time(role->updated_us, a));
    return j;
}

static void answer_role(struct call *c, int status, const struct catalog_role *role) {
    http_set_header(c->http, "ETag", etag_of(role->version, c->arena));
    api_json_tree(c, status, role_json(role, c->arena));
}

enum err_code role_list(struct call *c, struct err *err) {
    (void)err;
    struct catalog_role *roles;
    size_t count;
    catalog_role_list(c->api->catalog, c->arena, &roles, &count);
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++) {
        json_array_append_new(list, role_json(&roles[i], c->arena));
    }
    json_t *j = json_object();
    json_object_set_new(j, "roles", list);
    api_json_tree(c, 200, j);
    return ERR_OK;
}

enum err_code role_show(struct call *c, struct err *err) {
    struct catalog_role role;
    struct str seen;
    TRY(catalog_role_get(c->api->catalog, c->param, c->arena, &role, err));
    const struct str etag = etag_of(role.version, c->arena);
    if (http_header(c->http, "If-None-Match", &seen) && str_eq(seen, etag)) {
        http_set_header(c->http, "ETag", etag);
        http_answer(c->http, 304, NULL, STR_NONE);
        return ERR_OK;
    }
    answer_role(c, 200, &role);
    return ERR_OK;
}

// The role as it is (version 0: it is not there), if that is what the client expects.
static enum err_code find_expected(struct call *c, struct catalog_role *ret, struct err *err) {
    struct str given;
    struct err missing = ERR_NONE;
    *ret = (struct catalog_role){.name = c->param};
    const bool there =
        catalog_role_get(c->api->catalog, c->param, c->arena, ret, &missing) == ERR_OK;
    if (http_header(c->http, "If-None-Match", &given) && str_is(given, "*") && there) {
        return err_set(err, ERR_EXISTS, "there is a role \"" STR_FMT "\" already",
                       STR_ARG(ret->name));
    }
    if (http_header(c->http, "If-Match", &given) && !(str_is(given, "*") && there) &&
        !str_eq(given, etag_of(ret->version, c->arena))) {
        return err_set(err, ERR_CONFLICT,
                       "If-Match: the role was changed meanwhile: read it and send it again");
    }
    return ERR_OK;
}

enum err_code role_put(struct call *c, struct err *err) {
    static const char *const keys[] = {"grants", "limits", NULL};
    DEFER(json_decrefp) json_t *body = NULL;
    const struct catalog_author who = api_author(c);
    struct catalog_role role;
    uint64_t version;
    TRY(api_body_json(c, &body, err));
    TRY(json_only_keys(body, keys, err));
    TRY(catalog_role_check_name(c->param, err));
    TRY(find_expected(c, &role, err));
    const bool created = role.version == 0;
    TRY(catalog_role_read(body, c->arena, &role, err));
    TRY(catalog_role_put(c->api->catalog, &role, &who, &version, err));
    // As it stands now, by this change or by one that came right behind it.
    struct catalog_role now;
    struct err gone = ERR_NONE;
    if (catalog_role_get(c->api->catalog, c->param, c->arena, &now, &gone) == ERR_OK) {
        role = now;
    }
    role.version = version;
    answer_role(c, created ? 201 : 200, &role);
    return ERR_OK;
}

// Tokens that have the role: what they got from it, they have no more.
static json_int_t holders(struct call *c) {
    struct catalog_token *tokens;
    size_t count;
    json_int_t ret = 0;
    catalog_token_list(c->api->catalog, c->arena, &tokens, &count);
    for (size_t i = 0; i < count; i++) {
        bool has = false;
        for (size_t r = 0; r < tokens[i].role_count; r++) {
            has = has || str_eq(tokens[i].roles[r], c->param);
        }
        ret += has ? 1 : 0;
    }
    return ret;
}

enum err_code role_remove(struct call *c, struct err *err) {
    const struct catalog_author who = api_author(c);
    struct catalog_role role;
    TRY(catalog_role_get(c->api->catalog, c->param, c->arena, &role, err));
    TRY(find_expected(c, &role, err));
    TRY(catalog_role_remove(c->api->catalog, &role, &who, err));
    json_t *j = json_object();
    json_object_set_new(j, "role", json_new_str(c->param));
    json_object_set_new(j, "removed", json_true());
    json_object_set_new(j, "tokens", json_integer(holders(c)));
    api_json_tree(c, 200, j);
    return ERR_OK;
}
