// Who reads from a dataset's folder: a drop removes it when the last reader has gone.

#include <stdlib.h>

#include "base/hashmap.h"
#include "base/log.h"
#include "base/threads.h"
#include "table/table_int.h"

#define LIST_PAGE 1000

struct table_use {
    struct tables *tables;
    char *dir;
    struct store *store; // set when the folder is to go
    size_t readers;
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

static void use_free(struct table_use *u) {
    free(u->dir);
    free(u);
}

static void use_end(void *arg) {
    struct table_use *u = arg;
    struct tables *t = u->tables;
    {
        LOCKED(&t->use_lock);
        u->readers--;
        if (u->readers > 0) {
            return;
        }
        HASH_DEL(t->uses, u);
    }
    if (u->store != NULL) {
        folder_delete(u->store, u->dir);
    }
    use_free(u);
}

void table_use_begin(struct tables *t, const struct catalog_dataset *d, struct arena *a) {
    struct table_use *u = NULL;
    {
        LOCKED(&t->use_lock);
        HASH_FIND(hh, t->uses, d->dir.ptr, d->dir.len, u);
        if (u == NULL) {
            u = xcalloc(1, sizeof(*u));
            u->tables = t;
            u->dir = xstrdup(arena_cstr(a, d->dir));
            HASH_ADD_KEYPTR(hh, t->uses, u->dir, d->dir.len, u);
        }
        u->readers++;
    }
    arena_defer(a, use_end, u);
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
