// What the query files share: the service and one query.
#pragma once

#include <pthread.h>

#include "base/cache.h"
#include "base/threads.h"
#include "guard/guard_change.h"
#include "query/query.h"
#include "worker/worker.h"

enum query_state { QUERY_WAITING, QUERY_RUNNING };

struct query {
    struct queries *service;
    struct query *prev, *next; // in the service's list, under its lock
    struct arena *arena;
    struct str id, principal, sql, reason, idempotency_key;
    const struct catalog_rights *rights;
    const struct str *roles; // of whoever asks
    size_t role_count;
    bool admitted;   // it is in the service's list
    bool unheard;    // the audit could not be told of its beginning
    bool writes;     // the statement begins as one that writes
    bool restricted; // it runs in a worker, or would if it could run
    bool preview, unmasked;
    enum query_state state;     // under the service's lock
    bool has_place, waits;      // likewise: as it counts among those that run or wait
    bool cancelled;             // under the service's lock
    struct session *session;    // set under the service's lock; NULL until it runs, and in a worker
    struct worker_call *worker; // likewise, of a query in a worker
    struct rows *rows;
    struct query_snapshot *snapshots;
    size_t snapshot_count;
    int64_t start_us, wall_us;
    int64_t timeout_us; // from its start
    struct query_timing timing;
    size_t files, pruned;
    const struct query_change *change;
    struct query_attempt attempt;
    struct query_view *views;
    size_t view_count;
};

struct queries {
    struct tables *tables;
    struct hot *hot; // NULL: none
    struct views *views;
    struct workers *workers;
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
    char generation[33]; // of the masked files that workers may remember; empty: of none
};

// Checks the text, or knows it already.
MUST_CHECK enum err_code query_check(struct query *q, const struct guard_statement **ret,
                                     struct err *err);
// The same for a statement that writes.
MUST_CHECK enum err_code query_check_change(struct query *q, const struct guard_change **ret,
                                            struct err *err);
// The places where rights are asked for: the dataset of that name, if the principal has all of
// these rights (enum catalog_right) on it. Errors as catalog_dataset_permit. And the dataset that
// they may read raw, or the view that they may read.
MUST_CHECK enum err_code query_permit_table(const struct query *q, struct str name,
                                            struct catalog_table *ret, struct err *err);
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
    struct table_pin *pins; // of the tables mentioned; of views and system's own: without a dataset
    struct view_pin *views; // likewise; of what is no view: without pins
    size_t view_count;      // of both
    bool jailed;            // a worker is to run it, with these files
    struct worker_file *files;
    size_t file_count, file_cap;
    uint8_t local_key[32]; // of this query alone, for sha-256-query-local
    int64_t local_map;     // the mapper that hashes under it in the server's engine; 0: none yet
};
// Pins and plans. Sets the query's snapshots. base may be NULL.
MUST_CHECK enum err_code query_bind(struct query *q, const struct guard_statement *g,
                                    struct query_base *base, struct query_bound *ret,
                                    struct err *err);
// A view as a complete SELECT over its masked files, for which it waits. Adds the files to bound's
// when a worker is to run it.
MUST_CHECK enum err_code query_view_sql(struct query *q, const struct view_pin *pin,
                                        struct query_bound *bound, struct str *ret,
                                        struct err *err);
// Parts of a query's start: it becomes one of the service's and is run in its way; waits for a
// place; opens its session, which queries_cancel reaches from then on; has it run there.
struct query_way {
    enum err_code (*run)(struct query *q, const void *ctx, struct err *err);
    const void *ctx;
};
MUST_CHECK enum err_code query_start_by(struct queries *s, const struct query_request *r,
                                        const struct query_way *way, struct arena *a,
                                        struct query **ret, struct err *err);
MUST_CHECK enum err_code query_place_take(struct query *q, struct err *err);
// One that is to run in a worker leaves its place to others, and waits for masked files and for the
// worker, which it then has.
MUST_CHECK enum err_code query_place_leave(struct query *q, struct err *err);
MUST_CHECK enum err_code query_worker_set(struct query *q, struct worker_call *worker,
                                          struct err *err);
MUST_CHECK enum err_code query_session_take(struct query *q, struct err *err);
MUST_CHECK enum err_code query_ask(struct query *q, struct str sql, struct err *err);
// Tells a strict audit, before anything of the statement runs.
MUST_CHECK enum err_code query_audit_begin(struct query *q, struct err *err);
// Starts a bound statement in a worker, and sets query->rows.
MUST_CHECK enum err_code query_jail_start(struct query *q, const struct query_bound *bound,
                                          struct err *err);
// Was it cancelled, or is the service to stop?
bool query_is_over(struct query *q);
// A table of the server's own, as a complete SELECT.
MUST_CHECK enum err_code query_system_sql(struct query *q, const struct guard_table *mention,
                                          struct str *ret, struct err *err);
// Carries out a statement that writes, in the query's session, and sets query->change.
MUST_CHECK enum err_code query_change_run(struct query *q, const struct guard_change *c,
                                          struct err *err);
// Finds in the client's text what an error of the engine speaks of, and notes the position.
void query_locate_error(const struct query *q, struct err *err);
