// What the query files share: the service and one query.
#pragma once

#include <pthread.h>

#include "base/cache.h"
#include "base/threads.h"
#include "guard/guard.h"
#include "query/query.h"

enum query_state { QUERY_WAITING, QUERY_RUNNING };

struct query {
    struct queries *service;
    struct query *prev, *next; // in the service's list, under its lock
    struct arena *arena;
    struct str id, principal, sql;
    enum query_state state;  // under the service's lock
    bool cancelled;          // under the service's lock
    struct session *session; // set under the service's lock; NULL until it runs
    struct rows *rows;
    struct query_snapshot *snapshots;
    size_t snapshot_count;
    int64_t start_us, wall_us;
    struct query_timing timing;
    size_t files, pruned;
};

struct queries {
    struct tables *tables;
    struct engine *engine;
    struct engine *parser; // an engine that can open nothing, for clients' text
    struct cache *guarded; // checked statements by text
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
// Pins and plans: *ret_sql is what the engine is to run. Sets the query's snapshots.
MUST_CHECK enum err_code query_bind(struct query *q, const struct guard_statement *g,
                                    struct str *ret_sql, struct err *err);
// Finds in the client's text what an error of the engine speaks of, and notes the position.
void query_locate_error(const struct query *q, struct err *err);
