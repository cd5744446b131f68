// What the files of the scan share: one scan under way, and what each kind of object is read by.
#pragma once

#include "base/clock.h"
#include "erase/erase_int.h"
#include "upkeep/upkeep_engine.h"

struct scanner {
    struct erase *erase;
    const struct erase_scan *request;
    struct erase_matcher *matcher;
    struct job *job; // may be NULL
    struct arena *arena;
    struct upkeep_engine engine;
    struct str *leave_out; // sorted
    struct erase_scanned done;
    size_t finding_cap;
    int64_t bytes_total; // about, for the job's progress
};

// Notes a finding; a count of 0 is none.
void scan_found(struct scanner *s, struct str object, const char *where, int64_t count);
// The same at a name: "column email".
void scan_found_at(struct scanner *s, struct str object, const char *what, struct str name,
                   int64_t count);
// Is that the name of a key column?
bool scan_is_key(const struct scanner *s, struct str name);
// A text where a key column's value may stand: long values in it, or a short one that is all of it.
int64_t scan_text(const struct scanner *s, struct str text, bool key);
// Sixteen bytes, most significant first, as the text of a UUID.
bool scan_is_uuid(const struct scanner *s, const uint8_t *bytes);

// By kind. `object` names it in findings. They fail when it cannot be decoded, and have noted what
// was found until then; ERR_CANCELLED is the scan's.

// erase_scan_parquet.c: all row groups of a local file, through the engine.
MUST_CHECK enum err_code scan_parquet(struct scanner *s, struct str object, struct str path,
                                      struct err *err);
// erase_scan_avro.c
MUST_CHECK enum err_code scan_avro(struct scanner *s, struct str object, struct str data,
                                   struct err *err);
// erase_scan_json.c. *ret_count: what was found.
MUST_CHECK enum err_code scan_json(struct scanner *s, struct str object, struct str data,
                                   int64_t *ret_count, struct err *err);
