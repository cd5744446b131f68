// Tokens: POST, GET /auth/tokens, DELETE /auth/tokens/{id}.

#include "api/api.h"
#include "base/clock.h"

static enum err_code read_roles(const json_t *body, struct arena *a, struct catalog_token *t,
                                struct err *err) {
    json_t *roles;
    TRY(json_need_array(body, "roles", &roles, err));
    const size_t count = json_array_size(roles);
    if (count == 0 || count > CATALOG_ROLES_MAX) {
        return err_set(err, ERR_INVALID, "roles must name 1 to %d roles", CATALOG_ROLES_MAX);
    }
    t->roles = arena_array(a, count, sizeof(*t->roles));
    for (size_t i = 0; i < count; i++) {
        const json_t *role = json_array_get(roles, i);
        if (!json_is_string(role)) {
            return err_set(err, ERR_INVALID, "roles must be a list of names of roles");
        }
        t->roles[t->role_count++] = (struct str){json_string_value(role), json_string_length(role)};
    }
    return ERR_OK;
}

static enum err_code read_expiry(const json_t *body, struct catalog_token *t, struct err *err) {
    struct str text;
    json_t *given = json_object_get(body, "expires_at");
    if (given == NULL || json_is_null(given)) {
        return ERR_OK;
    }
    TRY(json_need_str(body, "expires_at", &text, err));
    if (!clock_parse(text, &t->expires_us) || t->expires_us <= clock_wall_us()) {
        return err_set(err, ERR_INVALID,
                       "expires_at must be a time to come, like 2027-01-31T00:00:00Z");
    }
    return ERR_OK;
}

static json_t *token_json(const struct catalog_token *t, struct arena *a) {
    json_t *j = json_object();
    json_t *roles = json_array();
    for (size_t i = 0; i < t->role_count; i++) {
        json_array_append_new(roles, json_new_str(t->roles[i]));
    }
    json_object_set_new(j, "id", json_new_str(t->id));
    json_object_set_new(j, "principal", json_new_str(t->principal));
    json_object_set_new(j, "roles", roles);
    json_object_set_new(j, "created_at", api_time(t->created_us, a));
    json_object_set_new(j, "expires_at", api_time(t->expires_us, a));
    json_object_set_new(j, "last_used_at", api_time(t->last_used_us, a));
    return j;
}

enum err_code token_make(struct call *c, struct err *err) {
    static const char *const keys[] = {"principal", "roles", "expires_at", NULL};
    DEFER(json_decrefp) json_t *body = NULL;
    struct catalog_token t = {0};
    struct catalog_token_made made;
    struct catalog_author who = api_author(c);
    TRY(api_body_json(c, &body, err));
    TRY(json_only_keys(body, keys, err));
    TRY(json_need_str(body, "principal", &t.principal, err));
    TRY(read_roles(body, c->arena, &t, err));
    TRY(read_expiry(body, &t, err));
    TRY(catalog_token_create(c->api->catalog, &t, &who, c->arena, &made, err));
    t.id = made.id;
    t.created_us = made.created_us;
    json_t *j = token_json(&t, c->arena);
    json_object_set_new(j, "token", json_new_str(made.text));
    api_json_tree(c, 201, j);
    return ERR_OK;
}

enum err_code token_list(struct call *c, struct err *err) {
    (void)err;
    struct catalog_token *tokens;
    size_t count;
    catalog_token_list(c->api->catalog, c->arena, &tokens, &count);
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++) {
        json_array_append_new(list, token_json(&tokens[i], c->arena));
    }
    json_t *j = json_object();
    json_object_set_new(j, "tokens", list);
    api_json_tree(c, 200, j);
    return ERR_OK;
}

enum err_code token_revoke(struct call *c, struct err *err) {
    struct catalog_author who = api_author(c);
    TRY(catalog_token_revoke(c->api->catalog, c->param, &who, err));
    json_t *j = json_object();
    json_object_set_new(j, "id", json_new_str(c->param));
    json_object_set_new(j, "revoked", json_true());
    api_json_tree(c, 200, j);
    return ERR_OK;
}
