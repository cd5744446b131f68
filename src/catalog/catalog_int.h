// What the catalog's files share: its struct and the index over the log's entities.
#pragma once

#include <pthread.h>

#include "base/cache.h"
#include "base/hash.h"
#include "base/json.h"
#include "catalog/catalog.h"
#include "catalog/catalog_role.h"
#include "catalog/catalog_view.h"

// Sorted names, each allocated by itself.
struct name_list {
    char **items;
    size_t count, cap;
};

struct token_entry {
    struct sha256 hash;
    char *id;
};

// When a token was used: as this process knows, and as the log does.
struct token_use {
    char *id;
    int64_t used_us, kept_us;
};

// When an outcome kept under an idempotency key may go.
struct expiry {
    char *key; // of the entity
    int64_t expires_us;
};

struct catalog {
    struct catalog_bucket primary;
    struct txlog *log;
    char *uri;
    bool borrowed;         // the store stays open
    struct cache *defined; // definitions of views, by content object
    pthread_mutex_t lock;  // guards all below; taken inside the log's lock, never around it
    struct name_list datasets;
    struct name_list views; // in lower case
    struct token_entry *tokens;
    size_t token_count, token_cap;
    struct token_use *uses;
    size_t use_count, use_cap;
    struct expiry *expiries; // oldest first
    size_t expiry_count, expiry_cap;
    bool closing;
    pthread_cond_t close; // closing was set
    bool has_keeper;
    pthread_t keeper; // makes uses durable
};

#define DATASET_PREFIX STR("dataset:")
#define VIEW_PREFIX STR("view:")
#define TOKEN_PREFIX STR("token:")
#define USE_PREFIX STR("token-used:")
#define ROLE_PREFIX STR("role:")
#define IDEMPOTENCY_PREFIX STR("idempotency:")

// The author's details, or none yet, to be added to: a new reference.
json_t *catalog_details(const struct catalog_author *who);

// The prefix, and behind it the name with A to Z in lower case.
struct str catalog_folded_key(struct str prefix, struct str name, struct arena *a);

// Position of name in the list, or where it belongs. True when it is there.
bool name_list_find(const struct name_list *l, struct str name, size_t *ret);
void name_list_add(struct name_list *l, struct str name);
void name_list_remove(struct name_list *l, struct str name);
void name_list_release(struct name_list *l);

// The dataset of exactly that name.
bool catalog_dataset_read(struct catalog *c, struct str name, struct arena *a,
                          struct catalog_dataset *ret);
// A dataset that has the name, whatever its case, and is not `but`: its own spelling.
bool catalog_dataset_is_taken(struct catalog *c, struct str name, struct str but, struct arena *a,
                              struct str *ret);
// The view's definitions stand in another object from here on; the view as it was found.
MUST_CHECK enum err_code catalog_view_replace_content(struct catalog *c,
                                                      const struct catalog_view *v,
                                                      const struct catalog_content *content,
                                                      const struct catalog_author *who,
                                                      struct err *err);
// Fills in the definition of a view that catalog_view_find gave. ERR_NOT_FOUND: it is gone.
MUST_CHECK enum err_code catalog_view_define(struct catalog *c, struct catalog_view *v,
                                             struct arena *a, struct err *err);
// Edits that a hand makes between two names, at most `most`; more counts as most + 1.
size_t catalog_name_distance(struct str x, struct str y, size_t most);

// The role of exactly that name, admin too; what ret points to lives in the arena. May be called
// with the log held by txlog_read_lock.
bool catalog_role_find(struct catalog *c, struct str name, struct arena *a,
                       struct catalog_role *ret);

void catalog_token_index(struct catalog *c, struct str id, const json_t *value);
void catalog_token_index_release(struct catalog *c);

// catalog_token_use.c. With the lock held: notes a use; when the last one was, or 0.
void catalog_use_note(struct catalog *c, struct str id);
int64_t catalog_use_last(struct catalog *c, struct str id);
void catalog_use_index(struct catalog *c, struct str id, const json_t *value);
void catalog_use_index_release(struct catalog *c);
void catalog_keeper_start(struct catalog *c);
void catalog_keeper_stop(struct catalog *c); // keeps what is due, for the last time

void catalog_idempotency_index(struct catalog *c, struct str key, const json_t *value);
void catalog_idempotency_index_release(struct catalog *c);
