// Refused attempts: windows that bound their notes, a queue, and the thread that writes it.

#include "api/refusals.h"

#include <arpa/inet.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/counters.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/threads.h"

enum {
    QUEUE_MAX = 1024,
    WINDOWS_MAX = 128, // of principals, and of addresses; what is beyond them shares the last one
    GATHER_US = 100000,
    STRANGER_MAX = 1,
    TEXT_MAX = 1 << 16, // bytes of a note
    SOURCE_HEX = 16,
};

// One that waits to be written.
struct note {
    struct note *next;
    struct arena texts;
    struct catalog_note refusal;
    json_t *details; // owned; NULL: none
};

// What one principal, or one address, has had refused lately.
struct window {
    char *key; // NULL: free
    int64_t start_us;
    int64_t noted; // in this window
    int64_t more;  // that were only counted
};

struct windows {
    struct window items[WINDOWS_MAX];
    bool strangers;
    int64_t max; // notes in a window
};

struct refusals {
    struct catalog *catalog;
    int64_t window_us;
    uint8_t key[32]; // of the hashes of addresses

    pthread_mutex_t lock; // guards all below
    pthread_cond_t wake;
    struct note *first, *last;
    size_t count;
    struct windows principals, strangers;
    bool stopping;
    pthread_t writer;
};

// ---- Notes

static void note_free(struct note *n) {
    json_decref(n->details);
    arena_release(&n->texts);
    free(n);
}

// At most so many bytes, and whole characters.
static struct str cut(struct str s, size_t max) {
    size_t len = MIN(s.len, max);
    while (len > 0 && len < s.len && ((unsigned char)s.ptr[len] & 0xC0) == 0x80) {
        len--;
    }
    const struct str ret = str_slice(s, 0, len);
    return str_is_utf8(ret) ? ret : STR_NONE;
}

// With the lock held. Takes the details.
static void queue_add(struct refusals *r, const struct refusal *what, json_t *details) {
    if (r->count == QUEUE_MAX) {
        counter_add(COUNTER_refusals_dropped, 1);
        json_decref(details);
        return;
    }
    struct note *n = xcalloc(1, sizeof(*n));
    n->texts = ARENA(TEXT_MAX);
    n->details = details;
    n->refusal = (struct catalog_note){
        .who = {.actor = arena_str(&n->texts, cut(what->actor, CATALOG_REASON_MAX)),
                .action = arena_str(&n->texts, what->action),
                .reason = arena_str(&n->texts, cut(what->reason, CATALOG_REASON_MAX)),
                .details = details},
        .target = arena_str(&n->texts, cut(what->target, CATALOG_REASON_MAX)),
        .why = what->why};
    *(r->last != NULL ? &r->last->next : &r->first) = n;
    r->last = n;
    r->count++;
    CHECK(pthread_cond_signal(&r->wake) == 0);
}

static json_t *stranger_details(const struct window *w, int64_t count) {
    return json_pack("{s:I,s:s}", "count", (json_int_t)count, "source",
                     w->key[0] != '\0' ? w->key : "many");
}

static void note_stranger(struct refusals *r, const struct window *w, int64_t count) {
    const struct refusal what = {
        .action = STR("auth"), .target = STR("server"), .why = ERR_UNAUTHENTICATED};
    queue_add(r, &what, stranger_details(w, count));
}

// ---- Windows

static struct window *window_find(struct windows *all, struct str key) {
    struct window *unused = NULL;
    for (size_t i = 0; i < WINDOWS_MAX - 1; i++) {
        struct window *w = &all->items[i];
        if (w->key != NULL && str_is(key, w->key)) {
            return w;
        }
        unused = w->key == NULL && unused == NULL ? w : unused;
    }
    struct window *w = unused != NULL ? unused : &all->items[WINDOWS_MAX - 1];
    if (w->key == NULL) {
        DEFER(arena_release) struct arena a = ARENA(TEXT_MAX);
        *w = (struct window){.key = xstrdup(unused != NULL ? arena_cstr(&a, key) : ""),
                             .start_us = clock_mono_us()};
    }
    return w;
}

static void window_free(struct window *w) {
    free(w->key);
    *w = (struct window){0};
}

// The window is over: what was only counted is told, and stands in the next one.
static void window_end(struct refusals *r, const struct windows *all, struct window *w,
                       int64_t now_us) {
    if (w->more == 0) {
        window_free(w);
        return;
    }
    if (all->strangers) {
        note_stranger(r, w, w->more);
    } else {
        const struct refusal what = {.actor = str_from(w->key[0] != '\0' ? w->key : "many"),
                                     .action = STR("refusals"),
                                     .target = STR("server"),
                                     .why = ERR_LIMIT};
        queue_add(r, &what, json_pack("{s:I}", "count", (json_int_t)w->more));
    }
    counter_add(COUNTER_refusals_summed, w->more);
    w->start_us = now_us;
    w->noted = 1;
    w->more = 0;
}

// Ends those that are over (all: every one). When the next one will be; 0: there is none.
static int64_t windows_end(struct refusals *r, struct windows *all, bool every) {
    const int64_t now_us = clock_mono_us();
    int64_t next_us = 0;
    for (size_t i = 0; i < WINDOWS_MAX; i++) {
        struct window *w = &all->items[i];
        if (w->key != NULL && (every || w->start_us + r->window_us <= now_us)) {
            window_end(r, all, w, now_us);
        }
        if (w->key != NULL && (next_us == 0 || w->start_us + r->window_us < next_us)) {
            next_us = w->start_us + r->window_us;
        }
    }
    return next_us;
}

// May it have a note of its own? Else it is counted. With the lock held.
static struct window *window_use(struct refusals *r, struct windows *all, struct str key,
                                 bool *ret_note) {
    (void)windows_end(r, all, false);
    struct window *w = window_find(all, key);
    *ret_note = w->noted < all->max;
    *(*ret_note ? &w->noted : &w->more) += 1;
    CHECK(pthread_cond_signal(&r->wake) == 0);
    return w;
}

// ---- The thread

static void write_notes(struct refusals *r, struct note *list, size_t count) {
    DEFER(arena_release) struct arena a = ARENA(SIZE_MAX);
    struct catalog_note *refusals = arena_array(&a, count, sizeof(*refusals));
    struct err err = ERR_NONE;
    size_t i = 0;
    for (const struct note *n = list; n != NULL; n = n->next) {
        refusals[i++] = n->refusal;
    }
    if (catalog_note_all(r->catalog, refusals, count, NULL, &err) == ERR_OK) {
        counter_add(COUNTER_refusals_noted, (int64_t)count);
    } else {
        counter_add(COUNTER_refusals_dropped, (int64_t)count);
        log_warn("refusals_dropped", "count=%zu why=%s", count, log_quote(str_from(err.msg)));
    }
    while (list != NULL) {
        struct note *next = list->next;
        note_free(list);
        list = next;
    }
}

// Waits until something is there to be written, and takes it. False at the end.
static bool take_notes(struct refusals *r, struct note **ret, size_t *ret_count) {
    LOCKED(&r->lock);
    while (r->first == NULL && !r->stopping) {
        const int64_t one = windows_end(r, &r->principals, false);
        const int64_t other = windows_end(r, &r->strangers, false);
        const int64_t next_us = one != 0 && (other == 0 || one < other) ? one : other;
        if (r->first != NULL) {
            break;
        }
        if (next_us != 0) {
            (void)threads_cond_wait_until(&r->wake, &r->lock, next_us);
        } else {
            CHECK(pthread_cond_wait(&r->wake, &r->lock) == 0);
        }
    }
    const int64_t until_us = clock_mono_us() + GATHER_US;
    while (!r->stopping && clock_mono_us() < until_us) {
        (void)threads_cond_wait_until(&r->wake, &r->lock, until_us);
    }
    if (r->stopping) {
        (void)windows_end(r, &r->principals, true);
        (void)windows_end(r, &r->strangers, true);
    }
    *ret = r->first;
    *ret_count = r->count;
    r->first = r->last = NULL;
    r->count = 0;
    return *ret != NULL;
}

static void *write_run(void *arg) {
    struct refusals *r = arg;
    struct note *list;
    size_t count;
    while (take_notes(r, &list, &count)) {
        write_notes(r, list, count);
    }
    return NULL;
}

// ---- For the edge

struct refusals *refusals_new(struct catalog *c, const struct refusals_options *o) {
    struct refusals *r = xcalloc(1, sizeof(*r));
    r->catalog = c;
    r->window_us = o->window_ms * 1000;
    r->principals.max = o->principal_max;
    r->strangers = (struct windows){.strangers = true, .max = STRANGER_MAX};
    random_bytes(r->key, sizeof(r->key));
    CHECK(pthread_mutex_init(&r->lock, NULL) == 0);
    threads_cond_init(&r->wake);
    r->writer = threads_start("refusals", write_run, r);
    return r;
}

static void windows_free(struct windows *all) {
    for (size_t i = 0; i < WINDOWS_MAX; i++) {
        window_free(&all->items[i]);
    }
}

void refusals_close(struct refusals *r) {
    if (r == NULL) {
        return;
    }
    {
        LOCKED(&r->lock);
        r->stopping = true;
        CHECK(pthread_cond_signal(&r->wake) == 0);
    }
    CHECK(pthread_join(r->writer, NULL) == 0);
    windows_free(&r->principals);
    windows_free(&r->strangers);
    (void)pthread_cond_destroy(&r->wake);
    (void)pthread_mutex_destroy(&r->lock);
    free(r);
}

void refusals_note(struct refusals *r, const struct refusal *what) {
    bool note = false;
    LOCKED(&r->lock);
    (void)window_use(r, &r->principals, what->actor, &note);
    if (note) {
        queue_add(r, what, NULL);
    }
}

// Whoever has a network of IPv6 has 2^64 addresses of it: they count as one.
static struct str network_of(struct str host, struct arena *a) {
    struct in6_addr address;
    struct str inner = str_starts(host, STR("[")) ? str_slice(host, 1, host.len - 1) : host;
    if (inet_pton(AF_INET6, arena_cstr(a, inner), &address) != 1) {
        return host;
    }
    return IN6_IS_ADDR_V4MAPPED(&address) ? hex_bytes(&address.s6_addr[12], 4, a)
                                          : hex_bytes(address.s6_addr, 8, a);
}

static struct str source_of(const struct refusals *r, struct str remote, struct arena *a) {
    size_t colon = remote.len;
    while (colon > 0 && remote.ptr[colon - 1] != ':') {
        colon--;
    }
    const struct str host = colon > 0 ? str_slice(remote, 0, colon - 1) : remote;
    const struct sha256 h =
        hmac_sha256((struct str){(const char *)r->key, sizeof(r->key)}, network_of(host, a));
    return str_slice(hex_sha256(h, a), 0, SOURCE_HEX);
}

void refusals_note_stranger(struct refusals *r, struct str remote) {
    DEFER(arena_release) struct arena a = ARENA(TEXT_MAX);
    bool note = false;
    const struct str source = source_of(r, remote, &a);
    LOCKED(&r->lock);
    const struct window *w = window_use(r, &r->strangers, source, &note);
    if (note) {
        note_stranger(r, w, 1);
    }
}
