// Permissions: what a route takes, and how it is asked for.
//
// Threads: a call belongs to one.
#pragma once

#include <stdbool.h>

#include "base/err.h"
#include "base/json.h"
#include "base/str.h"
#include "ingest/ingest.h"

struct call;

// What a route takes: of the dataset (or view) whose name its path has, or that the handler finds
// in the body (PERMIT_NAMED_…) and asks api_permit for. Who has no right at all on it is told that
// it is not there. permit.c has the table; the OpenAPI document tells it as x-tarn-permission.
enum permission {
    PERMIT_ANYONE,
    PERMIT_TOKEN,       // the handler shows and does only what is the principal's own: see api_own
    PERMIT_ADMIN,       // of the server
    PERMIT_IMPERSONATE, // likewise; admins have it
    PERMIT_SEE,         // any right
    PERMIT_READ,
    PERMIT_WRITE,
    PERMIT_TOMBSTONE,
    PERMIT_ERASE,
    PERMIT_NAMED_WRITE,
    PERMIT_STATEMENT, // query/ asks
    PERMIT_READ_VIEW, // of the view whose name its path has; else it is not there, either
};

// Rights. dispatch.c asks for what the route says, once the token is known; c->param is then the
// dataset's own name.
MUST_CHECK enum err_code api_authorize(struct call *c, struct err *err);
// For a name that stands elsewhere: *name becomes the dataset's own. ERR_NOT_FOUND, ERR_DENIED.
MUST_CHECK enum err_code api_permit(struct call *c, unsigned need, struct str *name,
                                    struct err *err);
MUST_CHECK enum err_code api_permit_admin(struct call *c, struct err *err);
// To write the dataset that r names, or to make it.
MUST_CHECK enum err_code api_permit_ingest(struct call *c, struct ingest_request *r,
                                           struct err *err);
bool api_wants_named(const struct call *c);   // is the call about a dataset or a view?
bool api_was_permitted(const struct call *c); // has a handler asked that has to?
// Whose queries and jobs the caller may see: its principal's; empty: all.
struct str api_own(const struct call *c);
json_t *api_permission_json(enum permission p);
