// Catalog: what exists. Datasets, tokens and buckets, as the log has them.
//
// The catalog is the typed face of the log: every entity is one log entity ("dataset:NAME",
// "token:ID"), every change one transaction. What a getter returns is a copy in the caller's arena,
// as of one log position; it carries the version that a later change must expect.
//
// Threads: any.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/config.h"
#include "base/err.h"
#include "base/str.h"
#include "log/txlog.h"
#include "store/store.h"

struct catalog;

// A place for objects. Only "primary", the folder <data>/primary, exists so far.
struct catalog_bucket {
    struct str name;
    struct store *store;
    struct str uri; // "file:///srv/tarn/primary", no trailing '/'
};

// Where an entity keeps what may hold values of people: see catalog_content.h.
struct catalog_content {
    struct str object; // in the primary bucket; empty: there is none
    struct str sha256; // of its bytes, which begin with a random salt; hex
};

// The tombstones of a dataset: what they are for, and where they are listed (table_tombstone.h).
struct catalog_tombstones {
    struct str column; // of the row keys, as it is named now
    int32_t field_id;
    int64_t count;                  // of keys that hide rows; 0: there are none
    struct catalog_content content; // may tell of earlier ones alone
};

struct catalog_dataset {
    struct str name;
    uint64_t version; // to be expected by the next change; 0: does not exist yet
    struct str id;    // never changes, not by renaming either
    struct str bucket;
    struct str dir;      // object name prefix in the bucket: "tables/flights-1f2e3d4c"
    struct str metadata; // object name of the current Iceberg metadata
    struct str fingerprint;
    struct str source_sha256; // of the file that created it, hex; empty: not from one file
    struct str source_lists;  // suppression lists that kept rows of that file out; empty: none did
    int64_t rows, bytes, files;
    int64_t snapshot_id;
    int64_t created_us, updated_us;
    struct catalog_tombstones tombstones;
};

struct catalog_token {
    struct str id, principal;
    struct str sha256; // hex, of the whole token text
    struct str text;   // for create alone, from catalog_token_text; empty: a new one
    struct str *roles;
    size_t role_count;
    int64_t created_us, expires_us; // expires 0: never
    int64_t last_used_us;           // 0: never, as far as is known; see catalog_token_keep_uses
    uint64_t version;
};

// Who asks for a change, for the journal.
struct catalog_author {
    struct str actor;
    struct str action; // "dataset.append"
    struct str reason; // may be empty; at most CATALOG_REASON_MAX bytes
    // Object of what else the journal shall tell: counts, handles; never a value of a person. NULL:
    // nothing.
    const json_t *details;
};
#define CATALOG_REASON_MAX 1024

// Opens (and makes, if need be) <data>/primary and replays its log.
MUST_CHECK enum err_code catalog_open(const struct config *c, struct catalog **ret,
                                      struct err *err);
// The same over a store that is open already, which the catalog closes; for tests. It reports to be
// at that URI.
MUST_CHECK enum err_code catalog_open_on(const struct config *c, struct store *s, struct str uri,
                                         struct catalog **ret, struct err *err);
// Over a store that is borrowed, and without changing anything in it: every write is ERR_DENIED,
// and others' changes are seen after txlog_refresh only.
MUST_CHECK enum err_code catalog_open_to_look(struct store *s, struct str uri, struct catalog **ret,
                                              struct err *err);
void catalog_close(struct catalog *c); // takes NULL
struct txlog *catalog_log(struct catalog *c);
// ERR_NOT_FOUND lists the buckets that exist. Empty name: primary.
MUST_CHECK enum err_code catalog_bucket_find(struct catalog *c, struct str name,
                                             const struct catalog_bucket **ret, struct err *err);

// For the floors above that have entities of their own. One change of a transaction, as a new
// reference: expect 0: it must not exist; value is taken over, NULL deletes. And a transaction of
// such changes (array, taken over).
json_t *catalog_change(struct str entity, uint64_t expect, json_t *value);
MUST_CHECK enum err_code catalog_commit(struct catalog *c, const struct catalog_author *who,
                                        struct str target, json_t *changes, struct txn_outcome *ret,
                                        struct err *err);
// Notes in the journal that something was done which changes nothing in the catalog, such as the
// removal of objects that nothing led to.
MUST_CHECK enum err_code catalog_note_done(struct catalog *c, const struct catalog_author *who,
                                           struct str target, struct err *err);
// Notes in the journal that something was asked for and refused. It changes nothing. why: the code
// of the refusal; what the message says stays out of the journal, since it may quote the request.
MUST_CHECK enum err_code catalog_note_refused(struct catalog *c, const struct catalog_author *who,
                                              struct str target, enum err_code why,
                                              struct err *err);
// The same for many that do not depend on each other, done or refused, in few records. Those that
// can be noted are; ret_codes has what became of each (NULL: not wanted), and the failure is that
// of the first that could not.
struct catalog_note {
    struct catalog_author who; // a reason that is too long is cut
    struct str target;
    enum err_code why;     // it was refused; ERR_OK: it was done
    const json_t *changes; // of what was done (array of catalog_change); NULL: none
};
MUST_CHECK enum err_code catalog_note_all(struct catalog *c, const struct catalog_note *list,
                                          size_t count, enum err_code *ret_codes, struct err *err);
// The name of a dataset or of a table of the server's own, as somebody has asked for it, as a
// target that the journal may hold: what could be no name, or looks like a token, becomes "?".
struct str catalog_target(struct str name, struct arena *a);

// May a dataset or view bear this name? 1 to 128 bytes of letters (any script, UTF-8), digits, '_'
// and '-', beginning with a letter or '_'; not "main", "system...", "__raw__...". ERR_INVALID says
// why not.
MUST_CHECK enum err_code catalog_check_name(struct str name, struct err *err);

// Names are found exactly, or else without regard to case where that is unambiguous. For the
// server's own work: whoever asks for somebody asks catalog_dataset_permit (catalog_role.h).
MUST_CHECK enum err_code catalog_dataset_get(struct catalog *c, struct str name, struct arena *a,
                                             struct catalog_dataset *ret, struct err *err);
struct catalog_datasets {
    struct catalog_dataset *items; // by name
    size_t count;
    bool more; // there are further ones
};
// Datasets whose name is after `after` (empty: from the start), at most max.
void catalog_dataset_list(struct catalog *c, struct str after, size_t max, struct arena *a,
                          struct catalog_datasets *ret);
size_t catalog_dataset_count(struct catalog *c);
// Creates (version 0) or replaces the entry, and with it, in the same transaction, whatever extras
// (an array of changes, see catalog_idempotency_changes; NULL: none) holds. ERR_CONFLICT when
// somebody was quicker.
MUST_CHECK enum err_code catalog_dataset_put(struct catalog *c, const struct catalog_dataset *d,
                                             const struct catalog_author *who, const json_t *extras,
                                             uint64_t *ret_version, struct err *err);
MUST_CHECK enum err_code catalog_dataset_rename(struct catalog *c, const struct catalog_dataset *d,
                                                struct str to, const struct catalog_author *who,
                                                uint64_t *ret_version, struct err *err);
MUST_CHECK enum err_code catalog_dataset_drop(struct catalog *c, const struct catalog_dataset *d,
                                              const struct catalog_author *who, uint64_t *ret_seq,
                                              struct err *err);

// Requests that may be sent twice: what became of one is kept under its Idempotency-Key for a day,
// by the very transaction that carried it out. The key is kept as a hash.
#define CATALOG_IDEMPOTENCY_US (INT64_C(24) * 3600 * 1000000)
struct catalog_idempotency {
    struct str principal, key;
    struct str request_sha256; // hex: of what was asked for
    const json_t *outcome;
};
// What became of the request: a new reference in *ret, or NULL if it was not carried out yet.
// ERR_CONFLICT when the key came with another request.
MUST_CHECK enum err_code catalog_idempotency_find(struct catalog *c,
                                                  const struct catalog_idempotency *i, json_t **ret,
                                                  struct err *err);
// Adds to an array of changes: the outcome, and the removal of some that have expired.
void catalog_idempotency_changes(struct catalog *c, const struct catalog_idempotency *i,
                                 json_t *changes);

// Tokens: "tarn_" + 43 base62 characters (256 bits) + "_" + 6 of CRC-32, for leak scanners; only
// its SHA-256 is kept.
// For who must keep the text before the token is valid.
struct str catalog_token_text(struct arena *a);
struct catalog_token_made {
    struct str id;
    struct str text; // to be shown once
    int64_t created_us;
};
// ERR_INVALID unless each of its roles exists.
MUST_CHECK enum err_code catalog_token_create(struct catalog *c, const struct catalog_token *t,
                                              const struct catalog_author *who, struct arena *a,
                                              struct catalog_token_made *ret, struct err *err);
// The token that this text is, if it is valid now; ERR_UNAUTHENTICATED says no more than that.
MUST_CHECK enum err_code catalog_token_check(struct catalog *c, struct str text, struct arena *a,
                                             struct catalog_token *ret, struct err *err);
void catalog_token_list(struct catalog *c, struct arena *a, struct catalog_token **ret,
                        size_t *ret_count);
MUST_CHECK enum err_code catalog_token_revoke(struct catalog *c, struct str id,
                                              const struct catalog_author *who, struct err *err);
// Makes durable when tokens were last used, of those for which that was not done in the last hour.
// The catalog does it by itself each hour and when it is closed.
MUST_CHECK enum err_code catalog_token_keep_uses(struct catalog *c, struct err *err);
