// Queries: from a statement to rows, on the one governed path.
//
// A statement that writes (guard_change.h) takes the same path: what it says of rows is a query,
// whose answer becomes one commit; its own answer is one row of what it did. It is carried out when
// query_start returns.
//
// query_start checks the statement (guard), pins one snapshot of each dataset it names, plans the
// scans, waits for a place if all are taken, and starts it. Rows are then pulled; query_end gives
// the place back. One log position serves the whole query.
//
// Views are read from their masked files (view/view.h), whoever asks. A statement of somebody who
// is no admin runs in a jailed worker (worker/worker.h) unless it reads a dataset that they may
// read raw; one that names neither dataset nor view runs in the server's engine only for somebody
// who may read some dataset raw. Statements that write run in the server's engine. Places are those
// of that engine: who waits for a worker, or for masked files that it will read, takes none.
//
// Threads: a query belongs to one thread; the service to any.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/config.h"
#include "base/err.h"
#include "base/str.h"
#include "catalog/catalog_role.h"
#include "engine/engine.h"
#include "hot/hot.h"
#include "table/table.h"
#include "table/table_alter.h"
#include "view/view.h"
#include "worker/worker.h"

struct audit; // query_audit.h
struct queries;
struct query;

// What the service stands on; borrowed. hot and audit may be NULL; views too, if there are none;
// workers NULL: what is to run in a worker is refused.
struct queries_parts {
    struct tables *tables;
    struct hot *hot;
    struct engine *engine;
    struct audit *audit; // is told of every query that was asked for
    struct views *views;
    struct workers *workers;
};
MUST_CHECK enum err_code queries_open(const struct config *c, const struct queries_parts *p,
                                      struct queries **ret, struct err *err);
void queries_close(struct queries *q); // takes NULL
// Forgets the texts of statements that have run, which may quote rows.
void queries_forget(struct queries *q);
// Ends all running queries with ERR_CANCELLED and turns new ones away.
void queries_stop(struct queries *q);

struct query_request {
    struct str id; // unique; the caller's choice, so that it can cancel what it is starting
    struct str sql;
    struct str principal;
    // What they may do, and the limits of time and number; borrowed for as long as the query lives.
    // A dataset on which they have no right is answered like one that is not there.
    const struct catalog_rights *rights;
    const struct str *roles; // of the principal, by name: those with the same may share a worker
    size_t role_count;
    struct str reason; // why, for the journal; may be empty
    // INSERT, UPDATE and DELETE: of two requests with one key the second is answered as the first
    // was, see catalog_idempotency. Empty: none.
    struct str idempotency_key;
    // A look at what somebody would get. unmasked: the views that it names give the true values of
    // all rows of their bases, which the principal must be allowed to read raw.
    bool preview, unmasked;
    struct query_attempt *attempt; // out: set when query_start fails; NULL: not wanted
};

// What a statement that fails was about, as far as it was understood: for the journal.
struct query_attempt {
    bool audited;      // the journal is told already
    struct str action; // "sql.update"; "sql.write": it begins as one that writes; empty: it reads
    struct str target; // name of the dataset, "__raw__NAME" or "system.NAME"; empty: not known
};

struct query_snapshot {
    struct str dataset;
    int64_t snapshot_id;
};

// The arena and the texts are the query's for its whole life. Until it returns, only
// queries_cancel(id) reaches the query. ERR_LIMIT: as many run already as the principal may have.
MUST_CHECK enum err_code query_start(struct queries *q, const struct query_request *r,
                                     struct arena *a, struct query **ret, struct err *err);
struct str query_id(const struct query *q);
struct rows *query_rows(struct query *q); // borrowed; pull with rows_next
// The datasets that it reads and at which snapshot, each once, in order of mention.
const struct query_snapshot *query_snapshots(const struct query *q, size_t *ret_count);
// The views that it reads, each once.
struct query_view {
    struct str name;
    int64_t number; // of its definition
    struct str base;
};
const struct query_view *query_views(const struct query *q, size_t *ret_count);
int64_t query_elapsed_us(const struct query *q);
// What a statement that writes has done; NULL: it was none.
struct query_change {
    struct str statement; // "insert", "update", "delete", "create", "drop", "alter"
    struct str dataset;
    int64_t rows;        // that came, were changed or went
    int64_t suppressed;  // that were kept out (table_suppress.h)
    int64_t snapshot_id; // 0: none was made
    bool replayed;       // it was done by an earlier request with this key
};
const struct query_change *query_change(const struct query *q);
// Phases so far, microseconds: for Server-Timing.
struct query_timing {
    int64_t guard_us, plan_us, wait_us, start_us;
};
struct query_timing query_timing(const struct query *q);
// Rows and bytes that were answered. outcome NULL: it went well. Counts, logs, gives the place
// back, and tells the journal. Takes NULL.
void query_end(struct query *q, int64_t rows, int64_t bytes, const struct err *outcome);

// Starts a look at a view beside its base, for who may read that raw: for each live row of it the
// true values of the view's columns, then what is shown for them, then whether the row is. Or how
// many rows there are, and how many of them are shown. r->sql is not looked at.
struct query_compare {
    struct str view;
    bool count;
};
MUST_CHECK enum err_code query_compare_start(struct queries *q, const struct query_request *r,
                                             const struct query_compare *compare, struct arena *a,
                                             struct query **ret, struct err *err);

// Changes the columns of a dataset, with the right to write it.
MUST_CHECK enum err_code query_alter(struct queries *q, const struct query_request *r,
                                     const struct table_alter *alter, struct arena *a,
                                     struct table_altered *ret, struct err *err);

// What runs now: of a principal, or of all (empty).
struct query_info {
    struct str id, principal, state; // "waiting", "running"
    int64_t started_us, elapsed_us;  // wall clock; duration
};
void queries_list(struct queries *q, struct str principal, struct arena *a, struct query_info **ret,
                  size_t *ret_count);
// Ends it with ERR_CANCELLED, soon. ERR_NOT_FOUND when no such query waits or runs, or it is not
// the principal's (empty: anybody's).
MUST_CHECK enum err_code queries_cancel(struct queries *q, struct str id, struct str principal,
                                        struct err *err);
