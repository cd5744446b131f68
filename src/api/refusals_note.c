// Which failures are refused attempts, and what the journal is told of them.

#include "api/api.h"

#define TOKEN_START STR("tarn_")
#define ID_LEN 26

void api_about(struct call *c, struct str name) {
    c->about = arena_str(c->arena, name);
}

// A name as the journal may hold it: what could not be one, or looks like a token, stays out.
static bool may_be_told(struct str target, struct str name) {
    struct err err = ERR_NONE;
    if (str_find(name, TOKEN_START) >= 0) {
        return false;
    }
    if (str_is(target, "token:")) {
        bool plain = name.len == ID_LEN;
        for (size_t i = 0; i < name.len && plain; i++) {
            plain = (name.ptr[i] >= '0' && name.ptr[i] <= '9') ||
                    (name.ptr[i] >= 'A' && name.ptr[i] <= 'Z');
        }
        return plain;
    }
    if (str_is(target, "role:")) {
        return catalog_role_check_name(name, &err) == ERR_OK;
    }
    return str_is(name, "*") || catalog_check_name(name, &err) == ERR_OK;
}

static struct str target_of(const struct call *c) {
    const struct route *r = c->route;
    const struct str name = c->about.len != 0 ? c->about : c->param;
    if (r->target == NULL && c->about.len == 0) {
        return arena_printf(c->arena, "route:%s", r->id);
    }
    if (r->target == NULL || str_is(str_from(r->target), "dataset:")) {
        return catalog_target(name, c->arena);
    }
    const struct str target = str_from(r->target);
    return arena_printf(c->arena, STR_FMT STR_FMT, STR_ARG(target),
                        STR_ARG(may_be_told(target, name) ? name : STR("?")));
}

// Of a request that names subjects, the reason stays out: nobody has looked yet whether it names
// one of them too.
static struct str reason_of(const struct call *c) {
    return str_is(str_from(c->route->tag), "erasure") ? STR_NONE : c->reason;
}

// Who may not see everything is answered "not found" where others are refused: whether there is
// such a dataset makes no difference here either.
static bool is_look(const struct call *c, enum err_code why) {
    return why == ERR_DENIED ||
           (why == ERR_NOT_FOUND && c->rights != NULL && !c->rights->admin && api_wants_named(c));
}

bool api_refusal(const struct call *c, enum err_code why, struct refusal *ret) {
    if (c->audited || c->token.principal.len == 0 || (c->action.len == 0 && !is_look(c, why))) {
        return false;
    }
    *ret = (struct refusal){.actor = c->token.principal,
                            .action = c->action.len != 0 ? c->action : STR("read"),
                            .target = target_of(c),
                            .reason = reason_of(c),
                            .why = why};
    return true;
}

void api_note_refused(const struct call *c, enum err_code why) {
    struct refusal what;
    if (c->route == NULL) {
        return; // it was no request for anything that there is
    }
    if (why == ERR_UNAUTHENTICATED) {
        refusals_note_stranger(c->api->refusals, c->http->remote);
    } else if (api_refusal(c, why, &what)) {
        refusals_note(c->api->refusals, &what);
    }
}
