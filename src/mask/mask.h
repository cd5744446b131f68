// Masks: what a view shows in the place of a column's true values.
//
// Every mask is total: any value of any type that it may stand on has a result, and none fails. The
// names are those of the Iceberg REST specification's read restrictions, beside the three that were
// here before them:
//
//   "null" (also "replace-with-null")      NULL
//   "mask-to-default"                      0, '', false, 1970-01-01 …, for NULL too; nested: NULL
//   "hash" (also "sha-256-global")         HMAC-SHA-256 of the value as text, under the catalog's
//                                          key, its first 128 bits as 32 hexadecimal digits
//   "sha-256-query-local"                  the same under a key that is made for each query
//   {"mask": {"keep_prefix": 3, "keep_suffix": 2}}
//                                          CAN******01
//   "show-first-4", "show-last-4"          mask with 4 and 0, with 0 and 4
//   "mask-alphanum"                        letters become x, decimal digits n, other ASCII stays;
//   so
//                                          that nothing else shows, what is no ASCII becomes x too
//   "truncate-to-year", "truncate-to-month"   dates and timestamps: its first day, midnight
//
// NULL stays NULL, but for mask-to-default. Values that are no text are masked as the text that SQL
// casts them to; so the integer 42 and the text '42' have one hash. What stands for the hidden part
// of a value is six stars, however long it was; a mask never shows more than half of a value's
// characters: one that is shorter than twice what would be kept is stars alone, and so is ''. With
// nothing to be kept every value is stars alone. A character is a code point; a byte that is not
// UTF-8 counts as one.
//
// Threads: any; a struct masker is never changed once it was made.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/json.h"
#include "base/str.h"

enum mask_kind {
    MASK_NONE,
    MASK_NULL,
    MASK_DEFAULT,
    MASK_HASH,
    MASK_HASH_LOCAL,
    MASK_KEEP,
    MASK_ALPHANUM,
    MASK_YEAR,
    MASK_MONTH,
};

struct mask {
    enum mask_kind kind;
    int32_t keep_prefix, keep_suffix; // of KEEP: characters, 0 to MASK_KEEP_MOST
};
#define MASK_KEEP_MOST 64

// From the JSON forms above; keep_prefix and keep_suffix are 0 when they are absent. ERR_INVALID
// says which there are.
MUST_CHECK enum err_code mask_read(const json_t *j, struct mask *ret, struct err *err);
// A new reference; NULL of MASK_NONE. It is written by the first of its names, "show-first-4" and
// "show-last-4" as {"mask": {...}}.
json_t *mask_json(const struct mask *m);
bool mask_eq(const struct mask *x, const struct mask *y);

// Keys of the two hashes, each from one secret of 32 bytes: a hash of the one says nothing of the
// other.
struct mask_keys {
    uint8_t global[32]; // MASK_HASH
    uint8_t local[32];  // MASK_HASH_LOCAL, as far as it is kept in a file: see view/
};
void mask_keys_derive(const uint8_t secret[32], struct mask_keys *ret);

// A mask made ready. keys: of the hashes, else NULL.
struct masker;
struct masker *masker_new(const struct mask *m, const struct mask_keys *keys);
// A hash under that very key.
struct masker *masker_new_hash(const uint8_t key[32]);
void masker_free(struct masker *m); // takes NULL
void masker_freep(struct masker **m);
// KEEP, ALPHANUM and the hashes: appends what is shown for a text; always UTF-8.
void masker_text(const struct masker *m, struct str in, struct buf *out);
// YEAR and MONTH, of days and of microseconds since 1970. Infinities stay; what has no first day in
// the range of the type becomes its least day. Months and years are those of UTC.
int32_t masker_date(const struct masker *m, int32_t days);
int64_t masker_timestamp(const struct masker *m, int64_t us);
