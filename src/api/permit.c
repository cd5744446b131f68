// Permissions: what a route takes, and the one place where it is asked for.

#include "api/api.h"

// How each is written in the OpenAPI document, and the right that it is.
static const struct {
    const char *object, *right, *name; // name: where the object's name stands
    unsigned need;
} table[] = {
    [PERMIT_ANYONE] = {"none", NULL, NULL, 0},
    [PERMIT_TOKEN] = {"token", NULL, NULL, 0},
    [PERMIT_ADMIN] = {"server", "admin", NULL, 0},
    [PERMIT_IMPERSONATE] = {"server", "impersonate", NULL, 0},
    [PERMIT_SEE] = {"dataset", "any", "path", 0},
    [PERMIT_READ] = {"dataset", "read_raw", "path", CATALOG_READ_RAW},
    [PERMIT_WRITE] = {"dataset", "write", "path", CATALOG_WRITE},
    [PERMIT_TOMBSTONE] = {"dataset", "tombstone", "path", CATALOG_TOMBSTONE},
    [PERMIT_ERASE] = {"dataset", "erase", "path", CATALOG_ERASE},
    [PERMIT_NAMED_WRITE] = {"dataset", "write", "body", 0},
    [PERMIT_STATEMENT] = {"dataset", "by statement", "body", 0},
    [PERMIT_READ_VIEW] = {"view", "read", "path", CATALOG_READ},
};

static const struct catalog_rights nothing = {0};

json_t *api_permission_json(enum permission p) {
    json_t *j = json_object();
    json_object_set_new(j, "object", json_string(table[p].object));
    if (table[p].right != NULL) {
        json_object_set_new(j, "right", json_string(table[p].right));
    }
    if (table[p].name != NULL) {
        json_object_set_new(j, "name", json_string(table[p].name));
    }
    return j;
}

static bool name_is_in(enum permission p, const char *place) {
    return table[p].name != NULL && str_is(str_from(table[p].name), place);
}

static enum err_code permit_view(struct call *c, struct err *err) {
    struct catalog_view v;
    api_about(c, c->param);
    TRY(catalog_view_permit(c->api->catalog, c->param, c->rights, c->arena, &v, err));
    c->param = v.name;
    return ERR_OK;
}

enum err_code api_authorize(struct call *c, struct err *err) {
    const enum permission p = c->route->permission;
    c->rights = &nothing;
    if (p == PERMIT_ANYONE) {
        return ERR_OK;
    }
    catalog_rights_resolve(c->api->catalog, c->token.roles, c->token.role_count, c->arena,
                           &c->rights);
    if (p == PERMIT_ADMIN) {
        return catalog_permit_admin(c->rights, err);
    }
    if (p == PERMIT_IMPERSONATE) {
        return catalog_permit_impersonate(c->rights, err);
    }
    if (p == PERMIT_READ_VIEW) {
        return permit_view(c, err);
    }
    return name_is_in(p, "path") ? api_permit(c, table[p].need, &c->param, err) : ERR_OK;
}

enum err_code api_permit(struct call *c, unsigned need, struct str *name, struct err *err) {
    const struct catalog_wish wish = {c->rights, need};
    struct catalog_dataset d;
    c->permitted = true;
    if (c->about.len == 0) {
        api_about(c, *name);
    }
    TRY(catalog_dataset_permit(c->api->catalog, *name, &wish, c->arena, &d, err));
    *name = d.name;
    return ERR_OK;
}

enum err_code api_permit_admin(struct call *c, struct err *err) {
    c->permitted = true;
    return catalog_permit_admin(c->rights, err);
}

enum err_code api_permit_ingest(struct call *c, struct ingest_request *r, struct err *err) {
    TRY(catalog_check_name(r->dataset, err));
    const bool makes =
        r->change == INGEST_WRITE && (r->mode == TABLE_CREATE || r->mode == TABLE_REPLACE);
    const enum err_code code = api_permit(c, CATALOG_WRITE, &r->dataset, err);
    if (code != ERR_NOT_FOUND || !makes) {
        return code;
    }
    *err = ERR_NONE;
    TRY(catalog_permit_create(c->rights, r->bucket, err));
    TRY(catalog_permit_name(c->api->catalog, c->rights, r->dataset, err));
    if (!c->rights->admin) {
        r->mode = TABLE_CREATE; // what they do not know of is not replaced
    }
    return ERR_OK;
}

bool api_wants_named(const struct call *c) {
    return c->route != NULL && table[c->route->permission].name != NULL;
}

bool api_was_permitted(const struct call *c) {
    return c->permitted || !name_is_in(c->route->permission, "body");
}

struct str api_own(const struct call *c) {
    return c->rights->admin ? STR_NONE : c->token.principal;
}
