// Audit: every query, answered, failed or refused, in the journal.
//
// An entry becomes a transaction without changes (action "query.sql", or "query.preview"), outcome
// and details with it: principal and roles, views with their versions, snapshots, rows, bytes,
// duration, the code of the refusal. Entries that come within a second go into one record. A
// thread writes them; whoever finds the queue full waits for it, so none is lost. With `strict` the
// caller waits until its own is durable.
//
// What the text of a statement says may be values of people, so the log never holds it. By setting
// it is kept in a content object that the entity "queries:<id>" names (for sql_days, then removed;
// an erasure takes the texts out that quote a subject), or noted as an HMAC under a secret of the
// catalog (equal texts can be told to be equal), or dropped.
//
// Threads: any.
#pragma once

#include "base/err.h"
#include "base/str.h"
#include "catalog/catalog.h"

struct audit;

enum audit_which { AUDIT_ALL, AUDIT_RESTRICTED, AUDIT_NONE };
enum audit_sql { AUDIT_SQL_HASH, AUDIT_SQL_KEEP, AUDIT_SQL_DROP };

struct audit_options {
    struct catalog *catalog;
    enum audit_which which;
    enum audit_sql sql;
    int64_t sql_days;
    bool strict;
};
struct audit *audit_new(const struct audit_options *o);
void audit_close(struct audit *a); // writes what waits; takes NULL

struct audit_view {
    struct str name;
    int64_t number;
};
struct audit_snapshot {
    struct str dataset;
    int64_t snapshot_id;
};
struct audit_entry {
    struct str action; // "query.sql"
    struct str query_id, principal, sql;
    const struct str *roles;
    size_t role_count;
    const struct audit_view *views;
    size_t view_count;
    const struct audit_snapshot *snapshots;
    size_t snapshot_count;
    bool restricted; // ran in a worker
    int64_t rows, bytes, duration_us;
    struct str outcome; // empty: done; else an error's code
    struct str target;  // what was refused, as far as it is known: "dataset:NAME"; may be empty
};
// Texts are copied. An error: strict, and it could not be made durable: the answer must not be
// given.
MUST_CHECK enum err_code audit_add(struct audit *a, const struct audit_entry *e, struct err *err);
// Removes the kept texts that are older than sql_days; and those for which `quotes` is true.
MUST_CHECK enum err_code audit_forget(struct audit *a, bool (*quotes)(void *ctx, struct str sql),
                                      void *ctx, int64_t *ret_texts, struct err *err);
