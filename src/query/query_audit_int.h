// What the files of the audit share.
#pragma once

#include <pthread.h>

#include "base/hash.h"
#include "base/threads.h"
#include "query/query_audit.h"

// One that waits to be written. Its texts stand behind it, in one piece of memory.
struct audit_item {
    struct audit_item *next;
    struct str principal, action, target, reason, query_id, sql;
    enum err_code outcome;
    json_t *details; // owned
    int64_t added_us, started_us;
    size_t bytes;
    struct audit_wait *wait; // who waits until it is durable; under the lock
};
struct audit_wait {
    struct audit_item *item;
    bool done;
    enum err_code code;
};

struct audit {
    struct audit_options options;

    pthread_mutex_t lock;            // guards all below
    pthread_cond_t wake;             // the thread: there is something to do
    pthread_cond_t change;           // the others: something was written, or there is room
    struct audit_item *first, *last; // that nobody writes yet
    size_t count, bytes;             // of all that are not written yet
    bool hurry, stopping;
    bool lost;          // since the last time that something could be written
    struct err trouble; // why it could not be written
    int64_t retry_us;   // not before; 0: all is well
    int64_t pause_us;
    uint64_t added, finished; // items so far
    int64_t forgot_us;        // of queries that began up to then, texts are not told any more
    int64_t look_us;          // when it is looked for texts that are too old
    pthread_t writer;
};

// Takes copies. details are those of the entry, but for the text.
struct audit_item *audit_item_new(const struct audit_entry *e);
void audit_item_free(struct audit_item *i);

// A list of items on their way into the log. Those that are in it, or can never be, are freed with
// their codes told to `done`; those that may be written later stay in the list.
struct audit_batch {
    struct audit_item *first;
    size_t count;
};
MUST_CHECK enum err_code audit_batch_write(struct audit *a, struct audit_batch *b,
                                           void (*done)(struct audit *a, struct audit_item *i,
                                                        enum err_code code),
                                           struct err *err);

// query_audit_texts.c: kept texts.
#define AUDIT_TEXTS_PREFIX STR("queries:")

// Writes the texts of a batch and notes in each item where they stand, from when the change of
// *ret_note is in the log. All in the arena. Without a text there is no change.
MUST_CHECK enum err_code audit_texts_put(struct audit *a, const struct audit_batch *b,
                                         struct arena *arena, struct catalog_note *ret_note,
                                         struct catalog_content *ret_content, struct err *err);
// Removes those that are too old, and brings those of an hour that is over together.
MUST_CHECK enum err_code audit_texts_look(struct audit *a, int64_t now_us, struct err *err);
MUST_CHECK enum err_code audit_texts_forget(struct audit *a, const struct audit_quotes *q,
                                            struct arena *arena, struct audit_forgotten *ret,
                                            struct err *err);
// The secret of the hashes.
#define AUDIT_SECRET STR("audit-sql")
