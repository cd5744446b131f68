// Roles: what a principal may do, and how much of it.
//
// The entity "role:NAME" holds grants, each an object and rights on it, and limits. The role
// "admin" is built in: it may do everything, and nobody changes or removes it. A token names its
// roles. Their grants add up, and of their limits the widest counts. What no grant gives is
// refused; a role that is not there (any more) gives nothing.
//
//   object         rights
//   dataset:NAME   read_raw (its rows, also deleted and older ones), write, tombstone, erase
//   dataset:*      the same on every dataset
//   bucket:NAME    the same on every dataset in it; write makes datasets there as well
//   view:NAME      read; view:* is every view
//   server         admin (everything), impersonate
//
// Names are compared byte by byte. They need not exist when a role is made.
//
// Threads: any. A struct catalog_rights is never changed once it was made.
#pragma once

#include "catalog/catalog.h"

#define CATALOG_ADMIN_ROLE STR("admin")
#define CATALOG_ROLES_MAX 16 // of one token
#define CATALOG_GRANTS_MAX 1000

enum catalog_object { CATALOG_DATASET, CATALOG_BUCKET, CATALOG_VIEW, CATALOG_SERVER };

enum catalog_right {
    CATALOG_READ_RAW = 1,
    CATALOG_WRITE = 2,
    CATALOG_TOMBSTONE = 4,
    CATALOG_ERASE = 8,
    CATALOG_READ = 16, // views
    CATALOG_ADMIN = 32,
    CATALOG_IMPERSONATE = 64,
};

struct catalog_grant {
    enum catalog_object object;
    struct str name; // "*": every one; empty: of the server
    unsigned rights; // enum catalog_right
};

// 0: there is none. They hold for queries.
struct catalog_limits {
    int64_t rows_max;    // of an answer
    int64_t bytes_max;   // of the rows of an answer, as they are encoded
    int64_t time_ms;     // of a query
    int64_t queries_max; // at once, of a principal
};

struct catalog_role {
    struct str name;
    uint64_t version; // to be expected by the next change; 0: does not exist yet
    struct catalog_grant *grants;
    size_t grant_count;
    struct catalog_limits limits;
    int64_t created_us, updated_us;
};

// {"grants": [{"object": "dataset:films", "rights": ["read_raw"]}], "limits": {"rows_max": 1000}},
// either member may be absent. ERR_INVALID says what is unknown. What ret points to lives as long
// as both j and the arena.
MUST_CHECK enum err_code catalog_role_read(const json_t *j, struct arena *a,
                                           struct catalog_role *ret, struct err *err);
// The same two members, a new reference.
json_t *catalog_role_json(const struct catalog_role *role);

// 1 to 64 of ASCII letters, digits, '_', '-' and '.'; ERR_INVALID says why not.
MUST_CHECK enum err_code catalog_role_check_name(struct str name, struct err *err);
MUST_CHECK enum err_code catalog_role_get(struct catalog *c, struct str name, struct arena *a,
                                          struct catalog_role *ret, struct err *err);
// By name, admin with them.
void catalog_role_list(struct catalog *c, struct arena *a, struct catalog_role **ret,
                       size_t *ret_count);
// Creates (version 0) or replaces. ERR_DENIED for admin; ERR_CONFLICT when it is not as expected.
MUST_CHECK enum err_code catalog_role_put(struct catalog *c, const struct catalog_role *role,
                                          const struct catalog_author *who, uint64_t *ret_version,
                                          struct err *err);
MUST_CHECK enum err_code catalog_role_remove(struct catalog *c, const struct catalog_role *role,
                                             const struct catalog_author *who, struct err *err);

// What roles come to, as of one position of the log.
struct catalog_rights {
    uint64_t seq;
    bool admin; // everything; then nothing else is looked at but the limits
    bool impersonate;
    unsigned every_dataset, every_view;
    const struct catalog_grant *grants; // of one name, by object and name, each once
    size_t grant_count;
    struct catalog_limits limits;
};
extern const struct catalog_rights catalog_rights_all; // the server's own work

// *ret lives in the arena.
void catalog_rights_resolve(struct catalog *c, const struct str *roles, size_t role_count,
                            struct arena *a, const struct catalog_rights **ret);
bool catalog_rights_none(const struct catalog_rights *r); // nothing at all
// On the dataset with that name of its own, in that bucket; 0: it is not to be known of.
unsigned catalog_rights_on(const struct catalog_rights *r, struct str dataset, struct str bucket);
bool catalog_rights_read_raw(const struct catalog_rights *r); // of any dataset, there or not
unsigned catalog_rights_on_view(const struct catalog_rights *r, struct str view);

// Looks a dataset up for somebody. The names that they have no right on do not exist for them: the
// answer, to the byte, is that of a missing name, and no such name is ever suggested.
struct catalog_wish {
    const struct catalog_rights *rights;
    unsigned need; // enum catalog_right, all of them; 0: any one
};
// ERR_NOT_FOUND, perhaps with a similar name that they may know of; ERR_DENIED: it is there, but
// this they may not.
MUST_CHECK enum err_code catalog_dataset_permit(struct catalog *c, struct str name,
                                                const struct catalog_wish *wish, struct arena *a,
                                                struct catalog_dataset *ret, struct err *err);
// ERR_DENIED. An empty name is that of the primary bucket. Says nothing of whether it exists.
MUST_CHECK enum err_code catalog_permit_create(const struct catalog_rights *r, struct str bucket,
                                               struct err *err);
// A new name for a dataset: one must be allowed to write it and to make datasets beside it, and
// must not have more rights under the new name than under the old.
MUST_CHECK enum err_code catalog_permit_rename(const struct catalog_rights *r,
                                               const struct catalog_dataset *d, struct str to,
                                               struct err *err);
MUST_CHECK enum err_code catalog_permit_admin(const struct catalog_rights *r, struct err *err);
MUST_CHECK enum err_code catalog_permit_impersonate(const struct catalog_rights *r,
                                                    struct err *err);
