// Hash maps: uthash behind one door.
//
// Memory is there or the program aborts, as everywhere, and the hash function is one that has no
// fall-through (clang warns of the default one in every file that uses it).
#pragma once

#include "base/attr.h"

#define HASH_FUNCTION(key, len, hash) HASH_OAT(key, len, hash)
#define uthash_malloc(size) xmalloc(size)

#include <uthash.h>
