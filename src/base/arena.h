// Arena: memory of one request or job, freed at once.
//
// Not thread-safe: one owner. Allocation never fails; passing the limit sets `over`, which the
// owner reads once before it answers (inputs are bounded, so the overshoot is too).
#pragma once

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/attr.h"
#include "base/str.h"

struct arena_chunk;
struct arena_hook;

struct arena {
    struct arena_chunk *chunks;
    struct arena_hook *hooks;
    size_t used;
    size_t limit;
    bool over;
};

// struct arena a = ARENA(1 << 20); the number is the limit in bytes.
#define ARENA(limit_bytes) ((struct arena){.limit = (limit_bytes)})

void arena_release(struct arena *a); // runs the hooks backwards, frees everything; for DEFER
void arena_reset(struct arena *a);   // the same, but usable again with one chunk kept

void *arena_alloc(struct arena *a, size_t size);               // zeroed, aligned to 16
void *arena_array(struct arena *a, size_t count, size_t size); // zeroed; aborts on overflow
// Grows an arena array: *items of *cap elements has room for at least need afterwards.
void *arena_grow(struct arena *a, void *items, size_t *cap, size_t need, size_t size);
char *arena_cstr(struct arena *a, struct str s); // NUL-terminated copy
struct str arena_str(struct arena *a, struct str s);
struct str arena_printf(struct arena *a, const char *fmt, ...) PRINTF_LIKE(2, 3);
struct str arena_vprintf(struct arena *a, const char *fmt, va_list args) PRINTF_LIKE(2, 0);
// Runs fn(arg) when the arena is released or reset: for things that are not memory.
void arena_defer(struct arena *a, void (*fn)(void *), void *arg);
