// What the catalog's files share: its struct and the index over the log's entities.
#pragma once

#include <pthread.h>

#include "base/hash.h"
#include "base/json.h"
#include "catalog/catalog.h"

// Sorted names, each allocated by itself.
struct name_list {
    char **items;
    size_t count, cap;
};

struct token_entry {
    struct sha256 hash;
    char *id;
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
    bool borrowed;        // the store stays open
    pthread_mutex_t lock; // guards all below; taken inside the log's lock, never around it
    struct name_list datasets;
    struct token_entry *tokens;
    size_t token_count, token_cap;
    struct expiry *expiries; // oldest first
    size_t expiry_count, expiry_cap;
};

#define DATASET_PREFIX STR("dataset:")
#define TOKEN_PREFIX STR("token:")
#define IDEMPOTENCY_PREFIX STR("idempotency:")

// One change of a transaction, as a new reference. value is taken over; NULL deletes.
json_t *catalog_change(struct str entity, uint64_t expect, json_t *value);
// One transaction of these changes (array, taken over).
MUST_CHECK enum err_code catalog_commit(struct catalog *c, const struct catalog_author *who,
                                        struct str target, json_t *changes, struct txn_outcome *ret,
                                        struct err *err);

// Position of name in the list, or where it belongs. True when it is there.
bool name_list_find(const struct name_list *l, struct str name, size_t *ret);
void name_list_add(struct name_list *l, struct str name);
void name_list_remove(struct name_list *l, struct str name);
void name_list_release(struct name_list *l);

void catalog_token_index(struct catalog *c, struct str id, const json_t *value);
void catalog_token_index_release(struct catalog *c);

void catalog_idempotency_index(struct catalog *c, struct str key, const json_t *value);
void catalog_idempotency_index_release(struct catalog *c);
