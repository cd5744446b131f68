// Inside of the table metadata: small pieces that reading and writing share.
//
// Only files of this folder include this header.
#pragma once

#include "iceberg/metadata.h"

// Gives the arena a tree to own; returns it.
json_t *ice_json_own(json_t *json, struct arena *a);
// obj[key] = value, which is taken; must work.
void ice_json_set(json_t *obj, const char *key, json_t *value);
// {"snapshot-id": id, "type": "branch"} as main, the other members of an older main kept. The
// result is a new object that the arena owns.
json_t *ice_refs_with_main(json_t *refs, int64_t snapshot_id, struct arena *a);
