// Arena: a list of chunks, of which the first is being filled, and a list of hooks.
#include "base/arena.h"

#include "base/poison.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    ALIGN = 16,
    CHUNK_BYTES = 16 * 1024,
    LARGE_BYTES = 4 * 1024, // from here on an allocation gets a chunk of its own
};

struct arena_chunk {
    struct arena_chunk *next;
    size_t cap;
    size_t used;
    _Alignas(ALIGN) char data[];
};

struct arena_hook {
    struct arena_hook *next;
    void (*fn)(void *);
    void *arg;
};

static const size_t chunk_cap = CHUNK_BYTES - sizeof(struct arena_chunk);

static struct arena_chunk *chunk_new(size_t cap) {
    struct arena_chunk *c = xmalloc(sizeof(*c) + cap);
    c->next = NULL;
    c->cap = cap;
    c->used = 0;
    POISON(c->data, cap);
    return c;
}

static void chunk_free(struct arena_chunk *c) {
    UNPOISON(c->data, c->cap);
    free(c);
}

// A chunk with room for need bytes. A large one goes behind the first, which stays the one that
// is being filled.
static struct arena_chunk *chunk_with_room(struct arena *a, size_t need) {
    struct arena_chunk *head = a->chunks;
    if (head && head->cap - head->used >= need) {
        return head;
    }
    const bool large = need >= LARGE_BYTES;
    struct arena_chunk *c = chunk_new(large ? need : chunk_cap);
    if (large && head) {
        c->next = head->next;
        head->next = c;
    } else {
        c->next = head;
        a->chunks = c;
    }
    return c;
}

// A hook may use the arena and may add hooks.
static void run_hooks(struct arena *a) {
    while (a->hooks) {
        struct arena_hook *h = a->hooks;
        a->hooks = h->next;
        h->fn(h->arg);
    }
}

// Frees all chunks but keep, which may be NULL.
static void free_chunks(struct arena *a, struct arena_chunk *keep) {
    struct arena_chunk *c = a->chunks;
    while (c) {
        struct arena_chunk *next = c->next;
        if (c != keep) {
            chunk_free(c);
        }
        c = next;
    }
    a->chunks = keep;
    a->used = 0;
    a->over = false;
}

void arena_release(struct arena *a) {
    run_hooks(a);
    free_chunks(a, NULL);
}

void arena_reset(struct arena *a) {
    run_hooks(a);
    struct arena_chunk *keep = a->chunks;
    while (keep && keep->cap != chunk_cap) {
        keep = keep->next;
    }
    free_chunks(a, keep);
    if (keep) {
        keep->next = NULL;
        keep->used = 0;
        POISON(keep->data, keep->cap);
    }
}

void *arena_alloc(struct arena *a, size_t size) {
    CHECK(size <= SIZE_MAX / 2);
    const size_t rounded = (MAX(size, 1) + ALIGN - 1) / ALIGN * ALIGN;
    a->used += rounded;
    a->over = a->over || a->used > a->limit;
    struct arena_chunk *c = chunk_with_room(a, rounded + POISON_GAP);
    char *ptr = c->data + c->used;
    c->used += rounded + POISON_GAP;
    UNPOISON(ptr, size);
    return memset(ptr, 0, size);
}

void *arena_array(struct arena *a, size_t count, size_t size) {
    size_t bytes = 0;
    CHECK(!__builtin_mul_overflow(count, size, &bytes));
    return arena_alloc(a, bytes);
}

void *arena_grow(struct arena *a, void *items, size_t *cap, size_t need, size_t size) {
    if (need <= *cap) {
        return items;
    }
    CHECK(*cap <= SIZE_MAX / 2);
    const size_t grown = MAX(MAX(need, 2 * *cap), 8);
    void *ret = arena_array(a, grown, size);
    if (*cap > 0) {
        memcpy(ret, items, *cap * size);
    }
    *cap = grown;
    return ret;
}

char *arena_cstr(struct arena *a, struct str s) {
    CHECK(s.len < SIZE_MAX / 2);
    char *ret = arena_alloc(a, s.len + 1);
    if (s.len > 0) {
        memcpy(ret, s.ptr, s.len);
    }
    return ret;
}

struct str arena_str(struct arena *a, struct str s) {
    return (struct str){arena_cstr(a, s), s.len};
}

struct str arena_printf(struct arena *a, const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    const struct str ret = arena_vprintf(a, fmt, args);
    va_end(args);
    return ret;
}

struct str arena_vprintf(struct arena *a, const char *fmt, va_list args) {
    va_list again;
    va_copy(again, args);
    const int len = vsnprintf(NULL, 0, fmt, args);
    CHECK(len >= 0);
    char *ptr = arena_alloc(a, (size_t)len + 1);
    (void)vsnprintf(ptr, (size_t)len + 1, fmt, again);
    va_end(again);
    return (struct str){ptr, (size_t)len};
}

void arena_defer(struct arena *a, void (*fn)(void *), void *arg) {
    struct arena_hook *h = arena_alloc(a, sizeof(*h));
    *h = (struct arena_hook){.next = a->hooks, .fn = fn, .arg = arg};
    a->hooks = h;
}
