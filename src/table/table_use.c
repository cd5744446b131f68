// Who reads from a dataset's folder. A drop removes it when the last reader has gone; single
// objects that a commit has made superfluous go when the last reader has gone that began before.
//
// Readers have tickets that only grow. One that comes after the commit looks the dataset up after
// its ticket was drawn, and so cannot lead to what the commit left behind.

#include <stdlib.h>
#include <utlist.h>

#include "base/clock.h"
#include "base/hashmap.h"
#include "base/log.h"
#include "base/threads.h"
#include "table/table_int.h"

#define LIST_PAGE 1000

struct reader {
    struct table_use *use;
    uint64_t ticket;
    struct reader *prev, *next; // oldest first
};

// Objects that go when no reader with an older ticket is left.
struct removal {
    uint64_t ticket;
    struct store *store;
    char **names;
    size_t count;
    struct removal *next;
};

struct table_use {
    struct tables *tables;
    char *dir;
    struct store *store; // set when the folder is to go
    struct reader *readers;
    struct removal *removals;
    UT_hash_handle hh;
};

// Deletes everything under the folder. What cannot be deleted now stays behind unseen: nothing in
// the catalog leads there any more.
static void folder_delete(struct store *s, const char *dir) {
    struct err err = ERR_NONE;
    enum err_code code = ERR_OK;
    for (size_t count = 1; count > 0 && code == ERR_OK;) {
        DEFER(arena_release) struct arena a = ARENA(1 << 20);
        struct store_list list;
        struct store_page page = {.prefix = arena_printf(&a, "%s/", dir), .max = LIST_PAGE};
        code = store_list(s, &page, &a, &list, &err);
        count = code == ERR_OK ? list.count : 0;
        for (size_t i = 0; i < count && code == ERR_OK; i++) {
            code = store_delete(s, list.entries[i].name, &err);
        }
    }
    if (code != ERR_OK) {
        log_warn("table.remove", "dir=%s error=%s", log_quote(str_from(dir)),
                 log_quote(str_from(err.msg)));
    }
}

static void removal_free(struct removal *r) {
    for (size_t i = 0; i < r->count; i++) {
        free(r->names[i]);
    }
    free(r->names);
    free(r);
}

static void use_free(struct table_use *u) {
    while (u->removals != NULL) {
        struct removal *next = u->removals->next;
        removal_free(u->removals);
        u->removals = next;
    }
    free(u->dir);
    free(u);
}

// What cannot be deleted now stays behind unseen, until it is looked for.
static void objects_delete(struct store *s, char *const *names, size_t count) {
    for (size_t i = 0; i < count; i++) {
        struct err err = ERR_NONE;
        if (store_delete(s, str_from(names[i]), &err) != ERR_OK) {
            log_warn("table.remove", "object=%s error=%s", log_quote(str_from(names[i])),
                     log_quote(str_from(err.msg)));
        }
    }
}

// With the lock held: takes the removals off the list for which no reader is left.
static struct removal *removals_due(struct table_use *u) {
    struct removal *due = NULL;
    for (struct removal **at = &u->removals; *at != NULL;) {
        struct removal *r = *at;
        if (u->readers == NULL || u->readers->ticket >= r->ticket) {
            *at = r->next;
            r->next = due;
            due = r;
        } else {
            at = &r->next;
        }
    }
    return due;
}

static void removals_do(struct removal *due) {
    while (due != NULL) {
        struct removal *next = due->next;
        objects_delete(due->store, due->names, due->count);
        removal_free(due);
        due = next;
    }
}

static void use_end(void *arg) {
    struct reader *r = arg;
    struct table_use *u = r->use;
    struct tables *t = u->tables;
    struct removal *due;
    bool last;
    {
        LOCKED(&t->use_lock);
        DL_DELETE(u->readers, r);
        due = removals_due(u);
        last = u->readers == NULL;
        if (last) {
            HASH_DEL(t->uses, u);
        }
        (void)pthread_cond_broadcast(&t->use_ended);
    }
    removals_do(due);
    if (last) {
        if (u->store != NULL) {
            folder_delete(u->store, u->dir);
        }
        use_free(u);
    }
}

// The first reader whose ticket is a later one.
static struct reader *reader_after(struct table_use *u, uint64_t ticket) {
    struct reader *r = u->readers;
    while (r != NULL && r->ticket <= ticket) {
        r = r->next;
    }
    return r;
}

// ticket 0: a new one. Returns the ticket.
static uint64_t use_add(struct tables *t, const struct catalog_dataset *d, uint64_t ticket,
                        struct arena *a) {
    struct reader *r = arena_alloc(a, sizeof(*r));
    {
        struct table_use *u = NULL;
        LOCKED(&t->use_lock);
        HASH_FIND(hh, t->uses, d->dir.ptr, d->dir.len, u);
        if (u == NULL) {
            u = xcalloc(1, sizeof(*u));
            u->tables = t;
            u->dir = xstrdup(arena_cstr(a, d->dir));
            HASH_ADD_KEYPTR(hh, t->uses, u->dir, d->dir.len, u);
        }
        r->use = u;
        r->ticket = ticket > 0 ? ticket : ++t->use_ticket;
        struct reader *after = reader_after(u, r->ticket);
        if (after != NULL) {
            DL_PREPEND_ELEM(u->readers, after, r);
        } else {
            DL_APPEND(u->readers, r);
        }
    }
    arena_defer(a, use_end, r);
    return r->ticket;
}

uint64_t table_use_begin(struct tables *t, const struct catalog_dataset *d, struct arena *a) {
    return use_add(t, d, 0, a);
}

void table_use_again(struct tables *t, const struct catalog_dataset *d, uint64_t ticket,
                     struct arena *a) {
    CHECK(ticket > 0);
    (void)use_add(t, d, ticket, a);
}

void table_objects_remove(struct tables *t, const struct catalog_dataset *d,
                          const struct str *names, size_t count) {
    DEFER(arena_release) struct arena a = ARENA(1 << 16);
    const struct catalog_bucket *bucket;
    struct err err = ERR_NONE;
    if (count == 0 || catalog_bucket_find(t->catalog, d->bucket, &bucket, &err) != ERR_OK) {
        return;
    }
    struct removal *r = xcalloc(1, sizeof(*r));
    r->store = bucket->store;
    r->names = xcalloc(count, sizeof(*r->names));
    r->count = count;
    for (size_t i = 0; i < count; i++) {
        arena_reset(&a);
        r->names[i] = xstrdup(arena_cstr(&a, names[i]));
    }
    {
        struct table_use *u = NULL;
        LOCKED(&t->use_lock);
        r->ticket = ++t->use_ticket;
        HASH_FIND(hh, t->uses, d->dir.ptr, d->dir.len, u);
        if (u != NULL) {
            r->next = u->removals;
            u->removals = r;
            return;
        }
    }
    removals_do(r);
}

// With the lock held: is there a reader with a ticket up to this one?
static bool is_read(const struct tables *t, struct str dir, uint64_t ticket) {
    const struct table_use *u = NULL;
    HASH_FIND(hh, t->uses, dir.ptr, dir.len, u);
    return u != NULL && u->readers != NULL && u->readers->ticket <= ticket;
}

bool table_uses_wait(struct tables *t, const struct catalog_dataset *d, int64_t wait_ms) {
    const int64_t until_us = clock_mono_us() + wait_ms * 1000;
    bool in_time = true;
    LOCKED(&t->use_lock);
    const uint64_t ticket = t->use_ticket;
    while (in_time && is_read(t, d->dir, ticket)) {
        in_time = threads_cond_wait_until(&t->use_ended, &t->use_lock, until_us);
    }
    return !is_read(t, d->dir, ticket);
}

void table_folder_remove(struct tables *t, const struct catalog_dataset *d) {
    DEFER(arena_release) struct arena a = ARENA(1 << 16);
    const struct catalog_bucket *bucket;
    struct err err = ERR_NONE;
    if (catalog_bucket_find(t->catalog, d->bucket, &bucket, &err) != ERR_OK) {
        return;
    }
    {
        struct table_use *u = NULL;
        LOCKED(&t->use_lock);
        HASH_FIND(hh, t->uses, d->dir.ptr, d->dir.len, u);
        if (u != NULL) {
            u->store = bucket->store;
            return;
        }
    }
    folder_delete(bucket->store, arena_cstr(&a, d->dir));
}

void table_uses_free(struct tables *t) {
    struct table_use *u = t->uses;
    HASH_CLEAR(hh, t->uses); // the map goes, what was in it still hangs together
    while (u != NULL) {
        struct table_use *next = u->hh.next;
        use_free(u);
        u = next;
    }
}
