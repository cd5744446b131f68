// Content objects: what may hold values of people, kept beside the log and never in it.
//
// The log is never changed, so it names such content by its object and by the SHA-256 of the
// object's bytes, which begin with a random salt: the hash says nothing of what it hashes. Erasing
// a value means writing the content anew, without it, under a new name, recording that, and
// removing the old object. An object that no entity names any more is a leftover (of a crash
// between two of these steps) and is removed by catalog_content_sweep.
//
// An entity names its content in a member "content": {"object", "sha256"}, at any depth.
//
//   _catalog/content/<uuid>.json   {"v":1,"salt":"<64 hex>","body":…}
//
// Threads: any.
#pragma once

#include "catalog/catalog.h"

#define CATALOG_CONTENT_PREFIX STR("_catalog/content/")
#define CATALOG_SECRET_PREFIX STR("_catalog/secret/")

// Writes a new object, durable when it returns. Nothing leads to it until an entity names it.
MUST_CHECK enum err_code catalog_content_put(struct catalog *c, const json_t *body, struct arena *a,
                                             struct catalog_content *ret, struct err *err);
// Its body, a new reference in *ret. ERR_CORRUPT: it is missing, or is not what was recorded.
MUST_CHECK enum err_code catalog_content_get(struct catalog *c, const struct catalog_content *from,
                                             json_t **ret, struct err *err);
// Removes the object, when no entity names it any more; an empty one is fine. A failure is left to
// the sweep.
void catalog_content_remove(struct catalog *c, const struct catalog_content *content);
// Those that no entity names and that are older than that, by the log as it was read last; objects
// of secrets (below) too.
MUST_CHECK enum err_code catalog_content_unnamed(struct catalog *c, int64_t older_than_us,
                                                 struct arena *a, struct str **ret,
                                                 size_t *ret_count, struct err *err);
// Removes all that no entity names and that are older than that. Those of a change under way are
// younger. Gives what it removed, also when it fails half-way; in the arena.
struct catalog_content_swept {
    struct catalog_content *items; // with the hashes of what they were
    int64_t *bytes;
    size_t count, cap, bytes_cap;
};
MUST_CHECK enum err_code catalog_content_sweep(struct catalog *c, int64_t older_than_us,
                                               struct arena *a, struct catalog_content_swept *ret,
                                               struct err *err);

// As a member of an entity, a new reference; and back, from NULL too.
json_t *catalog_content_json(const struct catalog_content *content);
struct catalog_content catalog_content_of(const json_t *j, struct arena *a);

// Secrets of the catalog: 32 random bytes under a name, made when they are first asked for, kept as
// an object that the entity "secret:NAME" names. Whoever may read the primary bucket may read them.
//
//   _catalog/secret/<uuid>.json   {"v":1,"name":…,"secret":"<64 hex>"}
struct catalog_secret {
    uint8_t bytes[32];
    struct str id; // of this value of it: the object's uuid
};
// ERR_CORRUPT: its object is missing or damaged.
MUST_CHECK enum err_code catalog_secret_get(struct catalog *c, struct str name, struct arena *a,
                                            struct catalog_secret *ret, struct err *err);
// Gives it a new value, also when it has none yet, and removes the object of the old one: what was
// made with that cannot be made again. The journal names neither. An object that could not be
// removed is left to the sweep. Whoever holds the old value still has it.
MUST_CHECK enum err_code catalog_secret_rotate(struct catalog *c, struct str name,
                                               const struct catalog_author *who, struct arena *a,
                                               struct catalog_secret *ret, struct err *err);
