// Erasures as they are recorded, and their last steps: what erase_begin, erase and erase_finish
// share.
#pragma once

#include "erase/erase_int.h"

// The entity "erasure:ID".
//
//   {"state": "running" | "finishing" | "done", "actor", "reason", "created_us", "finished_us",
//    "subjects", "rows", "suppress", "shared",
//    "content": {"object", "sha256"}       the request, until it is destroyed
//    "targets": [{"dataset", "column", "state": "pending" | "rewritten" | "removed", "rows", …,
//                 "removed": {"content": {"object", "sha256"}}}],
//    "draft": {"content": …}               of the receipt, while finishing
//    "clean", "receipt": {"object", "sha256"}, "public_key"   when done}
//
// The request's body: {"keys": [{"value", "integer", "key"}], "search": […], "handles": […]}.
struct erase_record {
    struct str id;
    uint64_t version;
    json_t *entity; // a reference of our own
};
void erase_record_release(struct erase_record *r); // for DEFER
MUST_CHECK enum err_code erase_record_get(struct erase *e, struct str id, struct arena *a,
                                          struct erase_record *ret, struct err *err);
// A deep copy of the entity to be changed, a new reference.
json_t *erase_record_edit(const struct erase_record *r);
// One change of a transaction that sets the entity (value taken over).
json_t *erase_record_change(const struct erase_record *r, json_t *value);
// Records a step in a transaction of its own, and reads the record again.
struct erase_recorded {
    const char *action;
    json_t *value;      // of the entity; taken over
    const json_t *more; // further changes, an array; NULL: none
};
MUST_CHECK enum err_code erase_record_put(struct erase *e, struct erase_record *r,
                                          const struct erase_recorded *step, struct arena *a,
                                          struct err *err);
// Who does its steps, for the journal: whoever asked for it.
struct catalog_author erase_record_author(const struct erase_record *r, const char *action);
struct erase_view erase_record_view(struct str id, json_t *entity, struct arena *a);

// What the request's content holds. Texts live in the arena.
struct erase_request_kept {
    struct table_key *keys;
    size_t key_count;
    struct str *search;
    size_t search_count;
    json_t *handles; // borrowed from the arena
};
MUST_CHECK enum err_code erase_record_request(struct erase *e, const struct erase_record *r,
                                              struct arena *a, struct erase_request_kept *ret,
                                              struct err *err);

// erase_finish.c: from the scan on: the draft of the receipt, the end of the request, the receipt.
MUST_CHECK enum err_code erase_finish(struct erase *e, struct erase_record *r, struct job *job,
                                      struct arena *a, struct err *err);
