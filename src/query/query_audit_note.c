// From entries of the audit to transactions of the log.

#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "query/query_audit_int.h"

enum {
    LISTED_MAX = 1000, // names in details
    HASH_HEX = 32,
    KEEP_TRIES = 5,
    KEEP_PAUSE_US = 100000,
};

// ---- Items

static struct str copy(char **at, struct str s) {
    char *to = *at;
    if (s.len > 0) {
        memcpy(to, s.ptr, s.len);
    }
    *at += s.len;
    return (struct str){to, s.len};
}

// The text of a target is made of two.
static void target_parts(const struct audit_entry *e, struct str ret[2]) {
    ret[0] = STR_NONE;
    ret[1] = e->target;
    if (e->target.len > 0) {
        return;
    }
    if (e->view_count > 0) {
        ret[0] = STR("view:");
        ret[1] = e->views[0].name;
    } else if (e->snapshot_count > 0) {
        ret[0] = STR("dataset:");
        ret[1] = e->snapshots[0].dataset;
    } else {
        ret[1] = STR("server");
    }
}

static json_t *names_json(const struct str *names, size_t count) {
    json_t *list = json_array();
    for (size_t i = 0; i < MIN(count, (size_t)LISTED_MAX); i++) {
        json_array_append_new(list, json_new_str(names[i]));
    }
    return list;
}

static json_t *views_json(const struct audit_entry *e) {
    json_t *list = json_array();
    for (size_t i = 0; i < MIN(e->view_count, (size_t)LISTED_MAX); i++) {
        const struct query_view *v = &e->views[i];
        json_array_append_new(list,
                              json_pack("{s:o,s:I,s:o}", "name", json_new_str(v->name), "version",
                                        (json_int_t)v->number, "base", json_new_str(v->base)));
    }
    return list;
}

static json_t *snapshots_json(const struct audit_entry *e) {
    DEFER(arena_release) struct arena a = ARENA(1 << 20);
    json_t *all = json_object();
    for (size_t i = 0; i < MIN(e->snapshot_count, (size_t)LISTED_MAX); i++) {
        json_object_set_new(all, arena_cstr(&a, e->snapshots[i].dataset),
                            json_integer(e->snapshots[i].snapshot_id));
    }
    return all;
}

// Microseconds are told as milliseconds with three digits behind the point.
static json_t *details_json(const struct audit_entry *e) {
    json_t *j = json_object();
    json_object_set_new(j, "query_id", json_new_str(e->query_id));
    json_object_set_new(j, "roles", names_json(e->roles, e->role_count));
    json_object_set_new(j, "views", views_json(e));
    json_object_set_new(j, "snapshots", snapshots_json(e));
    json_object_set_new(j, "rows", json_integer(e->rows));
    json_object_set_new(j, "bytes", json_integer(e->bytes));
    json_object_set_new(j, "ms", json_real((double)e->duration_us / 1000.0));
    json_object_set_new(j, "restricted", json_boolean(e->restricted));
    return j;
}

struct audit_item *audit_item_new(const struct audit_entry *e) {
    struct str target[2];
    target_parts(e, target);
    const size_t bytes = sizeof(struct audit_item) + e->principal.len + e->action.len +
                         target[0].len + target[1].len + e->reason.len + e->query_id.len +
                         e->sql.len;
    struct audit_item *i = xcalloc(1, bytes);
    char *at = (char *)(i + 1);
    i->principal = copy(&at, e->principal);
    i->action = copy(&at, e->action);
    i->target = copy(&at, target[0]);
    i->target.len += copy(&at, target[1]).len;
    i->reason = copy(&at, e->reason);
    i->query_id = copy(&at, e->query_id);
    i->sql = copy(&at, e->sql);
    i->outcome = e->outcome;
    i->details = details_json(e);
    i->added_us = clock_mono_us();
    i->started_us = i->added_us - e->duration_us;
    i->bytes = bytes;
    return i;
}

void audit_item_free(struct audit_item *i) {
    json_decref(i->details);
    free(i);
}

// ---- Batches

// The secret may get another value at any time (an erasure), so it is asked for each time.
static enum err_code add_hashes(struct audit *a, const struct audit_batch *b, struct err *err) {
    DEFER(arena_release) struct arena arena = ARENA(1 << 20);
    struct catalog_secret secret;
    TRY(catalog_secret_get(a->options.catalog, AUDIT_SECRET, &arena, &secret, err));
    DEFER(hmac_freep)
    struct hmac *h = hmac_new((struct str){(const char *)secret.bytes, sizeof(secret.bytes)});
    for (struct audit_item *i = b->first; i != NULL; i = i->next) {
        if (i->sql.len > 0) {
            const struct str hex = hex_sha256(hmac_of(h, i->sql), &arena);
            json_object_set_new(i->details, "sql_hash", json_new_str(str_slice(hex, 0, HASH_HEX)));
        }
    }
    return ERR_OK;
}

static bool may_come_later(enum err_code code) {
    return code != ERR_OK && code != ERR_INVALID && code != ERR_TOO_LARGE;
}

// What a batch is to the log. The first note is that of the texts, if there is one.
struct noted {
    struct catalog_note *notes;
    enum err_code *codes;
    size_t count;
    size_t first; // that is an item's
    struct catalog_content content;
};

static enum err_code notes_make(struct audit *a, const struct audit_batch *b, struct arena *arena,
                                struct noted *ret, struct err *err) {
    *ret = (struct noted){.notes = arena_array(arena, b->count + 1, sizeof(*ret->notes)),
                          .codes = arena_array(arena, b->count + 1, sizeof(*ret->codes))};
    if (a->options.sql == AUDIT_SQL_HASH) {
        TRY(add_hashes(a, b, err));
    }
    if (a->options.sql == AUDIT_SQL_KEEP) {
        TRY(audit_texts_put(a, b, arena, &ret->notes[0], &ret->content, err));
    }
    ret->first = ret->notes[0].changes != NULL ? 1 : 0;
    ret->count = ret->first;
    for (const struct audit_item *i = b->first; i != NULL; i = i->next) {
        ret->notes[ret->count++] = (struct catalog_note){.who = {.actor = i->principal,
                                                                 .action = i->action,
                                                                 .reason = i->reason,
                                                                 .details = i->details},
                                                         .target = i->target,
                                                         .why = i->outcome};
    }
    return ERR_OK;
}

// The texts are named by a transaction of their own. It is mostly in the same record; where it is
// not and has failed alone, it is tried again. Texts that nothing refers to are removed.
static void texts_settle(struct audit *a, const struct noted *n) {
    enum err_code code = n->codes[0];
    struct err err = ERR_NONE;
    bool referred = false;
    if (n->first == 0) {
        return;
    }
    for (size_t k = n->first; k < n->count; k++) {
        referred = referred || n->codes[k] == ERR_OK || n->codes[k] == ERR_UNKNOWN;
    }
    for (int tries = 0; referred && may_come_later(code) && tries < KEEP_TRIES; tries++) {
        (void)usleep(KEEP_PAUSE_US);
        code = catalog_note_all(a->options.catalog, n->notes, 1, NULL, &err);
    }
    if (code != ERR_OK && code != ERR_UNKNOWN) {
        catalog_content_remove(a->options.catalog, &n->content);
    }
    if (code != ERR_OK && referred) {
        log_warn("audit_texts", "lost=%zu why=%s", n->count - 1, log_quote(str_from(err.msg)));
    }
}

enum err_code audit_batch_write(struct audit *a, struct audit_batch *b,
                                void (*done)(struct audit *a, struct audit_item *i,
                                             enum err_code code),
                                struct err *err) {
    DEFER(arena_release) struct arena arena = ARENA(SIZE_MAX);
    struct noted n;
    TRY(notes_make(a, b, &arena, &n, err));
    (void)catalog_note_all(a->options.catalog, n.notes, n.count, n.codes, err);
    texts_settle(a, &n);
    struct audit_item *all = b->first;
    struct audit_item **left = &b->first;
    b->count = 0;
    for (size_t k = n.first; k < n.count; k++) {
        struct audit_item *i = all;
        all = all->next;
        if (may_come_later(n.codes[k])) {
            *left = i;
            left = &i->next;
            b->count++;
        } else {
            done(a, i, n.codes[k]);
        }
    }
    *left = NULL;
    return b->count == 0 ? ERR_OK : err->code;
}
