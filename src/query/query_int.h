// What the query files share: the service and one query.
#pragma once

#include <pthread.h>

#include "base/cache.h"
#include "base/threads.h"
#include "guard/guard_change.h"
#include "query/query.h"

enum query_state { QUERY_WAITING, QUERY_RUNNING };

struct query {
    struct queries *service;
    struct query *prev, *next; // in the service's list, under its lock
    struct arena *arena;
    struct str id, principal, sql, reason, idempotency_key;
    const struct catalog_rights *rights;
    const struct str *roles;
    size_t role_count;
    bool admitted;           // it is in the service's list
    bool unheard;            // the audit could not be told of its beginning
    bool restricted;         // it runs in a worker, or would if it could run
    enum query_state state;  // under the service's lock
    bool cancelled;          // under the service's lock
    struct session *session; // set under the service's lock; NULL until it runs
    struct rows *rows;
    struct query_snapshot *snapshots;
    size_t snapshot_count;
    int64_t start_us, wall_us;
    int64_t timeout_us; // from its start
    struct query_timing timing;
    size_t files, pruned;
    const struct query_change *change;
    struct query_attempt attempt;
};

struct queries {
    struct tables *tables;
    struct hot *hot; // NULL: none
    struct engine *engine;
    struct engine *parser; // an engine that can open nothing, for clients' text
    struct cache *guarded; // checked statements by text
    struct audit *audit;   // NULL: none
    size_t running_max, waiting_max, sql_max;
    int64_t wait_timeout_us, timeout_us;
    bool log_sql;

    pthread_mutex_t lock;  // guards everything below
    pthread_cond_t change; // a place is free, a query was cancelled, or all are to stop
    struct query *all;     // doubly linked
    size_t running, waiting;
    bool stopping;
};

// Checks the text, or knows it already.
MUST_CHECK enum err_code query_check(struct query *q, const struct guard_statement **ret,
                                     struct err *err);
// The same for a statement that writes.
MUST_CHECK enum err_code query_check_change(struct query *q, const struct guard_change **ret,
                                            struct err *err);
// The one place where rights are asked for: the dataset of that name, if the principal has all of
// these rights (enum catalog_right) on it. Errors as catalog_dataset_permit.
MUST_CHECK enum err_code query_permit(const struct query *q, struct str name, unsigned need,
                                      struct catalog_dataset *ret, struct err *err);

// A change that the query is for: the state that it builds on, and the mention whose places it
// wants.
struct query_base {
    const struct table_pin *pin; // what the statement reads of this dataset, it reads from here
    const struct guard_change *change;
    bool wants_places;      // of mention change->target_table
    struct table_scan scan; // out: that the places speak of
};
// What a statement reads, bound.
struct query_bound {
    struct str sql;         // what the engine is to run
    struct table_pin *pins; // of the tables mentioned; of system's own: without a dataset
};
// Pins and plans. Sets the query's snapshots. base may be NULL.
MUST_CHECK enum err_code query_bind(struct query *q, const struct guard_statement *g,
                                    struct query_base *base, struct query_bound *ret,
                                    struct err *err);
// A table of the server's own, as a complete SELECT.
MUST_CHECK enum err_code query_system_sql(struct query *q, const struct guard_table *mention,
                                          struct str *ret, struct err *err);
// Carries out a statement that writes, in the query's session, and sets query->change.
MUST_CHECK enum err_code query_change_run(struct query *q, const struct guard_change *c,
                                          struct err *err);
// Finds in the client's text what an error of the engine speaks of, and notes the position.
void query_locate_error(const struct query *q, struct err *err);
