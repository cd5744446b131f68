// Audit: every query, answered, failed or refused, in the journal.
//
// An entry becomes a transaction without changes (action "query.sql", or "query.preview"), outcome
// and details with it: roles, views with their versions, snapshots, rows, bytes, duration. Entries
// that come within a second go into one record. A thread writes them. While the log refuses to be
// written it tries again, and whoever finds the queue full waits some seconds for room. Only what
// finds none then, or what cannot be written before the end, is lost: counted in /metrics, and
// logged once. An entry whose outcome the log cannot tell (ERR_UNKNOWN) is written again, and may
// stand there twice, with the same query_id.
//
// With `strict` no answer goes out before the journal tells of its query: an entry "query.begin" is
// durable before the statement runs, and "query.sql" with what became of it follows; what fails is
// answered when the journal has it. If it cannot have it, the query fails.
//
// What the text of a statement says may be values of people, so the log never holds it. By setting
// it is
// * noted as an HMAC under a secret of the catalog (details.sql_hash): equal texts can be told to
// be
//   equal, until an erasure gives the secret another value;
// * kept in a content object that the entity "queries:<id>" names (details.sql_ref), for sql_days
//   and at most two hours more; an erasure takes the texts out that quote a subject;
// * or dropped.
//
//   queries:<id>  {"first", "texts", "bytes", "created_us", "expires_us", "content"}
//   its content   {"queries": {<query_id>: <text>}}
//
// Those of an hour that is over are brought together: what "queries:<id>" has named then stands
// under a higher id whose "first" is not past it.
//
// Threads: any.
#pragma once

#include "base/json.h"
#include "catalog/catalog.h"
#include "catalog/catalog_content.h"
#include "query/query.h"

enum audit_which { AUDIT_ALL, AUDIT_RESTRICTED, AUDIT_NONE };
enum audit_sql { AUDIT_SQL_HASH, AUDIT_SQL_KEEP, AUDIT_SQL_DROP };

struct audit_options {
    struct catalog *catalog; // borrowed
    enum audit_which which;
    enum audit_sql sql;
    int64_t sql_days;
    bool strict;
    int64_t wait_ms; // for room in the queue, and for being durable
};
// From the settings; ERR_INVALID says which one is none.
MUST_CHECK enum err_code audit_options_of(const struct config *c, struct audit_options *ret,
                                          struct err *err);
struct audit *audit_new(const struct audit_options *o);
void audit_close(struct audit *a); // writes what waits; takes NULL

struct audit_entry {
    struct str action; // "query.sql"
    struct str query_id, principal, reason;
    struct str sql; // empty: not told
    const struct str *roles;
    size_t role_count;
    const struct query_view *views;
    size_t view_count;
    const struct query_snapshot *snapshots;
    size_t snapshot_count;
    bool restricted; // ran in a worker, or would have
    int64_t rows, bytes, duration_us;
    enum err_code outcome;
    struct str target; // empty: the first view or dataset, else "server"
    // With `strict`: wait until it is durable. ERR_BUSY: it is not, and the answer must not be
    // given.
    bool durable;
};
// Are queries of this kind told? a NULL: none is.
bool audit_wants(const struct audit *a, bool restricted);
bool audit_is_strict(const struct audit *a);
// Texts are copied. Without `durable` it does not fail.
MUST_CHECK enum err_code audit_add(struct audit *a, const struct audit_entry *e, struct err *err);

// Writes what waits, takes the texts out for which `quotes` is true, whichever server has written
// them, and gives the secret of the hashes another value. Of queries that run meanwhile no text is
// told when they end. What another server has not written yet, it writes. What was done up to a
// failure is done.
struct audit_quotes {
    bool (*fn)(void *ctx, struct str sql);
    void *ctx;
};
struct audit_forgotten {
    int64_t texts;
    struct catalog_content_swept objects; // that held them and are gone; in the arena
};
MUST_CHECK enum err_code audit_forget(struct audit *a, const struct audit_quotes *q,
                                      struct arena *arena, struct audit_forgotten *ret,
                                      struct err *err);

// Kept texts, to be read. For one thread at a time.
struct audit_texts;
struct audit_texts *audit_texts_new(struct catalog *c); // the catalog is borrowed
void audit_texts_free(struct audit_texts *t);           // takes NULL
void audit_texts_freep(struct audit_texts **t);
// The text that the details of a transaction refer to; false: it is not kept, or no more. It lives
// in the arena.
bool audit_texts_find(struct audit_texts *t, const json_t *details, struct arena *a,
                      struct str *ret);
