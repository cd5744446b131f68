// The catalog's frame: buckets, the log it stands on, and the index that follows the log.

#include "catalog/catalog.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/threads.h"
#include "catalog/catalog_int.h"

enum { HEAD_MS = 1000 };           // how long a log cut short goes unseen
enum { DEFINED_BYTES = 64 << 20 }; // of parsed views

json_t *catalog_change(struct str entity, uint64_t expect, json_t *value) {
    json_t *change = json_object();
    json_object_set_new(change, "entity", json_new_str(entity));
    json_object_set_new(change, "expect", json_integer((json_int_t)expect));
    json_object_set_new(change, "value", value != NULL ? value : json_null());
    return change;
}

enum err_code catalog_commit(struct catalog *c, const struct catalog_author *who, struct str target,
                             json_t *changes, struct txn_outcome *ret, struct err *err) {
    DEFER(json_decrefp) json_t *owned = changes;
    DEFER(arena_release) struct arena a = ARENA(1 << 16);
    if (who->reason.len > CATALOG_REASON_MAX) {
        return err_set(err, ERR_INVALID, "a reason has at most %d bytes, this one %zu",
                       CATALOG_REASON_MAX, who->reason.len);
    }
    struct txn t = {.actor = who->actor,
                    .action = who->action,
                    .reason = who->reason,
                    .target = target,
                    .details = who->details,
                    .changes = owned};
    return txlog_commit(c->log, &t, &a, ret, err);
}

json_t *catalog_details(const struct catalog_author *who) {
    return who->details != NULL ? json_copy((json_t *)(uintptr_t)who->details) : json_object();
}

enum err_code catalog_note_done(struct catalog *c, const struct catalog_author *who,
                                struct str target, struct err *err) {
    struct txn_outcome outcome;
    return catalog_commit(c, who, target, json_array(), &outcome, err);
}

enum err_code catalog_note_refused(struct catalog *c, const struct catalog_author *who,
                                   struct str target, enum err_code why, struct err *err) {
    const struct catalog_note one = {.who = *who, .target = target, .why = why};
    return catalog_note_all(c, &one, 1, NULL, err);
}

enum err_code catalog_note_all(struct catalog *c, const struct catalog_note *list, size_t count,
                               enum err_code *ret_codes, struct err *err) {
    DEFER(arena_release) struct arena a = ARENA(SIZE_MAX);
    struct txn *t = arena_array(&a, count, sizeof(*t));
    for (size_t i = 0; i < count; i++) {
        const struct catalog_author *who = &list[i].who;
        t[i] = (struct txn){.actor = who->actor,
                            .action = who->action,
                            .reason = str_slice(who->reason, 0, CATALOG_REASON_MAX),
                            .target = list[i].target,
                            .outcome =
                                list[i].why != ERR_OK ? str_from(err_text(list[i].why)) : STR_NONE,
                            .details = who->details,
                            .changes = list[i].changes};
    }
    return txlog_note(c->log, t, count, ret_codes, err);
}

static void name_list_set(struct name_list *l, struct str name, bool there) {
    if (there) {
        name_list_add(l, name);
    } else {
        name_list_remove(l, name);
    }
}

// Called by the log for each entity that it sets, with its lock held.
static void catalog_changed(void *ctx, struct str key, uint64_t version, const json_t *value) {
    struct catalog *c = ctx;
    (void)version;
    LOCKED(&c->lock);
    if (str_starts(key, DATASET_PREFIX)) {
        name_list_set(&c->datasets, str_slice(key, DATASET_PREFIX.len, key.len), value != NULL);
    } else if (str_starts(key, VIEW_PREFIX)) {
        name_list_set(&c->views, str_slice(key, VIEW_PREFIX.len, key.len), value != NULL);
    } else if (str_starts(key, TOKEN_PREFIX)) {
        catalog_token_index(c, str_slice(key, TOKEN_PREFIX.len, key.len), value);
    } else if (str_starts(key, USE_PREFIX)) {
        catalog_use_index(c, str_slice(key, USE_PREFIX.len, key.len), value);
    } else if (str_starts(key, IDEMPOTENCY_PREFIX)) {
        catalog_idempotency_index(c, key, value);
    }
}

static enum err_code open_folder(struct str data, struct arena *a, struct store **ret,
                                 struct str *ret_uri, struct err *err) {
    const char *folder = arena_cstr(a, data);
    if (mkdir(folder, 0700) != 0 && errno != EEXIST) {
        return err_errno(err, "cannot make the data folder \"%s\"", folder);
    }
    struct str root = arena_printf(a, STR_FMT "/primary", STR_ARG(data));
    DEFER(store_closep) struct store *s = NULL;
    TRY(store_folder_open(root.ptr, &s, err));
    DEFER(freep) char *real = realpath(root.ptr, NULL);
    if (real == NULL) {
        return err_errno(err, "cannot resolve \"%s\"", root.ptr);
    }
    *ret_uri = arena_printf(a, "file://%s", real);
    *ret = TAKE(s);
    return ERR_OK;
}

static void catalog_closep(struct catalog **c) {
    catalog_close(*c);
}

static struct catalog *catalog_new(struct store *s, struct str uri) {
    DEFER(arena_release) struct arena a = ARENA(1 << 16);
    struct catalog *c = xcalloc(1, sizeof(*c));
    CHECK(pthread_mutex_init(&c->lock, NULL) == 0);
    threads_cond_init(&c->close);
    c->uri = xstrdup(arena_cstr(&a, uri));
    c->defined = cache_new(DEFINED_BYTES);
    c->primary =
        (struct catalog_bucket){.name = STR("primary"), .store = s, .uri = str_from(c->uri)};
    return c;
}

enum err_code catalog_open_to_look(struct store *s, struct str uri, struct catalog **ret,
                                   struct err *err) {
    DEFER(catalog_closep) struct catalog *c = catalog_new(s, uri);
    const struct txlog_options options = {.read_only = true, .changed = catalog_changed, .ctx = c};
    c->borrowed = true;
    TRY(txlog_open(c->primary.store, &options, &c->log, err));
    *ret = TAKE(c);
    return ERR_OK;
}

enum err_code catalog_open_on(const struct config *config, struct store *s, struct str uri,
                              struct catalog **ret, struct err *err) {
    DEFER(catalog_closep) struct catalog *c = catalog_new(s, uri);
    char host[64] = "tarn";
    (void)gethostname(host, sizeof(host) - 1);
    struct txlog_options options = {.node = str_from(host),
                                    .checkpoint_every = config->catalog_checkpoint_every,
                                    .poll_ms = config->catalog_poll_interval,
                                    .head_ms = HEAD_MS,
                                    .changed = catalog_changed,
                                    .ctx = c};
    TRY(txlog_open(c->primary.store, &options, &c->log, err));
    catalog_keeper_start(c);
    *ret = TAKE(c);
    return ERR_OK;
}

enum err_code catalog_open(const struct config *config, struct catalog **ret, struct err *err) {
    DEFER(arena_release) struct arena a = ARENA(1 << 16);
    struct store *s = NULL;
    struct str uri = STR_NONE;
    TRY(open_folder(config->server_data, &a, &s, &uri, err));
    return catalog_open_on(config, s, uri, ret, err);
}

void catalog_close(struct catalog *c) {
    if (c == NULL) {
        return;
    }
    catalog_keeper_stop(c);
    txlog_close(c->log);
    store_close(c->borrowed ? NULL : c->primary.store);
    name_list_release(&c->datasets);
    name_list_release(&c->views);
    cache_free(c->defined);
    catalog_token_index_release(c);
    catalog_use_index_release(c);
    catalog_idempotency_index_release(c);
    pthread_mutex_destroy(&c->lock);
    pthread_cond_destroy(&c->close);
    free(c->uri);
    free(c);
}

struct txlog *catalog_log(struct catalog *c) {
    return c->log;
}

enum err_code catalog_bucket_find(struct catalog *c, struct str name,
                                  const struct catalog_bucket **ret, struct err *err) {
    if (name.len != 0 && !str_eq(name, c->primary.name)) {
        return err_set(err, ERR_NOT_FOUND, "no bucket \"" STR_FMT "\"; the buckets are: " STR_FMT,
                       STR_ARG(name), STR_ARG(c->primary.name));
    }
    *ret = &c->primary;
    return ERR_OK;
}
