// The audit's queue, and the thread that writes it.

#include "query/query_audit.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/counters.h"
#include "base/log.h"
#include "query/query_audit_int.h"

enum {
    QUEUE_MAX = 10000,
    QUEUE_BYTES = 16 << 20,
    BATCH_MAX = 250, // and what names the texts: one record
    BATCH_BYTES = 8 << 20,
    GATHER_US = 1000000,
    WAIT_MS = 5000,
    PAUSE_US = 50000, // before it is tried again, then twice as long
    PAUSE_MAX_US = 2000000,
    LAST_TRIES = 5, // when the server ends
    LOOK_FIRST_US = 10000000,
};
#define LOOK_US (INT64_C(3600) * 1000000)

// ---- The thread

// With the lock held.
static void item_done(struct audit *a, struct audit_item *i, enum err_code code) {
    a->count--;
    a->finished++;
    a->bytes -= i->bytes;
    if (i->wait != NULL) {
        i->wait->done = true;
        i->wait->code = code;
    }
    CHECK(pthread_cond_broadcast(&a->change) == 0);
}

// With the lock held.
static void count_lost(struct audit *a, const char *why) {
    counter_add(COUNTER_audit_lost, 1);
    if (!a->lost) {
        a->lost = true;
        log_error("audit_lost", "why=%s trouble=%s", why, log_quote(str_from(a->trouble.msg)));
    }
}

static void written(struct audit *a, struct audit_item *i, enum err_code code) {
    {
        LOCKED(&a->lock);
        if (code == ERR_OK) {
            counter_add(COUNTER_audit_noted, 1);
        } else {
            count_lost(a, err_text(code));
        }
        item_done(a, i, code);
    }
    audit_item_free(i);
}

// Takes what a record may hold off the queue. With the lock held.
static void batch_take(struct audit *a, struct audit_batch *ret) {
    struct audit_item **end = &ret->first;
    size_t bytes = 0;
    *ret = (struct audit_batch){0};
    while (a->first != NULL && ret->count < BATCH_MAX &&
           (ret->count == 0 || bytes + a->first->bytes <= BATCH_BYTES)) {
        bytes += a->first->bytes;
        *end = a->first;
        end = &a->first->next;
        a->first = a->first->next;
        ret->count++;
    }
    *end = NULL;
    a->last = a->first != NULL ? a->last : NULL;
}

// What could not be written comes first again. With the lock held.
static void batch_give_back(struct audit *a, struct audit_batch *b) {
    struct audit_item **end = &b->first;
    struct audit_item *last = NULL;
    while (*end != NULL) {
        last = *end;
        end = &last->next;
    }
    *end = a->first;
    a->first = b->first;
    a->last = a->last != NULL ? a->last : last;
}

// When there is something to be written: a record is full, or somebody waits, or a second is over.
// With the lock held.
static int64_t due_us(const struct audit *a) {
    if (a->first == NULL) {
        return INT64_MAX;
    }
    const bool full = a->count >= BATCH_MAX || a->bytes >= BATCH_BYTES;
    const int64_t at = full || a->hurry ? 1 : a->first->added_us + GATHER_US;
    return a->stopping ? 1 : MAX(at, a->retry_us);
}

// Waits for what is to be written (or else it is time to look at old texts). False at the end.
static bool wait_for_work(struct audit *a, struct audit_batch *ret) {
    LOCKED(&a->lock);
    *ret = (struct audit_batch){0};
    for (;;) {
        const int64_t at_us = due_us(a);
        const int64_t now_us = clock_mono_us();
        if (at_us <= now_us) {
            batch_take(a, ret);
            a->hurry = a->hurry && a->first != NULL;
            return true;
        }
        if (a->stopping || a->look_us <= now_us) {
            return !a->stopping;
        }
        (void)threads_cond_wait_until(&a->wake, &a->lock, MIN(at_us, a->look_us));
    }
}

// It is tried again later; at the end, only some times.
static void note_outcome(struct audit *a, struct audit_batch *left, const struct err *err) {
    LOCKED(&a->lock);
    if (left->first == NULL) {
        a->retry_us = 0;
        a->pause_us = 0;
        a->lost = false;
        return;
    }
    a->pause_us = a->pause_us == 0 ? PAUSE_US : MIN(2 * a->pause_us, PAUSE_MAX_US);
    a->retry_us = clock_mono_us() + a->pause_us;
    a->trouble = *err;
    batch_give_back(a, left);
}

static void give_up(struct audit *a) {
    for (;;) {
        struct audit_batch b;
        {
            LOCKED(&a->lock);
            batch_take(a, &b);
        }
        if (b.first == NULL) {
            return;
        }
        while (b.first != NULL) {
            struct audit_item *i = b.first;
            b.first = i->next;
            written(a, i, ERR_BUSY);
        }
    }
}

static bool is_stopping(struct audit *a) {
    LOCKED(&a->lock);
    return a->stopping;
}

// Sleeps before it is tried again, when the server ends.
static void last_pause(struct audit *a) {
    LOCKED(&a->lock);
    const int64_t until_us = a->retry_us;
    while (clock_mono_us() < until_us) {
        (void)threads_cond_wait_until(&a->wake, &a->lock, until_us);
    }
}

static void look_at_texts(struct audit *a) {
    struct err err = ERR_NONE;
    if (audit_texts_look(a, clock_wall_us(), &err) != ERR_OK) {
        log_warn("audit_texts", "why=%s", log_quote(str_from(err.msg)));
    }
    LOCKED(&a->lock);
    a->look_us = clock_mono_us() + LOOK_US;
}

static void *audit_run(void *arg) {
    struct audit *a = arg;
    struct audit_batch batch;
    int tries = 0;
    while (wait_for_work(a, &batch)) {
        struct err err = ERR_NONE;
        if (batch.first == NULL) {
            look_at_texts(a);
            continue;
        }
        const enum err_code code = audit_batch_write(a, &batch, written, &err);
        note_outcome(a, &batch, &err);
        if (code == ERR_OK || !is_stopping(a)) {
            tries = 0;
            continue;
        }
        if (++tries == LAST_TRIES) {
            give_up(a);
            break;
        }
        last_pause(a);
    }
    return NULL;
}

// ---- For the others

enum err_code audit_options_of(const struct config *c, struct audit_options *ret, struct err *err) {
    static const char *const whiches[] = {"all", "restricted", "none"};
    static const char *const sqls[] = {"hash", "keep", "drop"};
    struct audit_options o = {
        .sql_days = c->audit_sql_days, .strict = c->audit_strict, .wait_ms = WAIT_MS};
    size_t which = 0;
    size_t sql = 0;
    while (which < ARRAY_LEN(whiches) && !str_is(c->audit_queries, whiches[which])) {
        which++;
    }
    while (sql < ARRAY_LEN(sqls) && !str_is(c->audit_sql, sqls[sql])) {
        sql++;
    }
    if (which == ARRAY_LEN(whiches)) {
        return err_set(err, ERR_INVALID,
                       "audit.queries (--audit-queries): \"" STR_FMT
                       "\" is not all, restricted or none",
                       STR_ARG(str_slice(c->audit_queries, 0, 100)));
    }
    if (sql == ARRAY_LEN(sqls)) {
        return err_set(err, ERR_INVALID,
                       "audit.sql (--audit-sql): \"" STR_FMT "\" is not hash, keep or drop",
                       STR_ARG(str_slice(c->audit_sql, 0, 100)));
    }
    o.which = (enum audit_which)which;
    o.sql = (enum audit_sql)sql;
    *ret = o;
    return ERR_OK;
}

struct audit *audit_new(const struct audit_options *o) {
    struct audit *a = xcalloc(1, sizeof(*a));
    a->options = *o;
    a->trouble = ERR_NONE;
    a->look_us = clock_mono_us() + LOOK_FIRST_US;
    CHECK(pthread_mutex_init(&a->lock, NULL) == 0);
    threads_cond_init(&a->wake);
    threads_cond_init(&a->change);
    a->writer = threads_start("audit", audit_run, a);
    return a;
}

static void audit_free(struct audit *a) {
    CHECK(a->count == 0 && a->bytes == 0);
    (void)pthread_cond_destroy(&a->wake);
    (void)pthread_cond_destroy(&a->change);
    (void)pthread_mutex_destroy(&a->lock);
    free(a);
}

void audit_close(struct audit *a) {
    if (a == NULL) {
        return;
    }
    {
        LOCKED(&a->lock);
        a->stopping = true;
        CHECK(pthread_cond_signal(&a->wake) == 0);
    }
    CHECK(pthread_join(a->writer, NULL) == 0);
    audit_free(a);
}

bool audit_wants(const struct audit *a, bool restricted) {
    return a != NULL &&
           (a->options.which == AUDIT_ALL || (a->options.which == AUDIT_RESTRICTED && restricted));
}

bool audit_is_strict(const struct audit *a) {
    return a != NULL && a->options.strict;
}

// With the lock held.
static bool has_room(const struct audit *a, const struct audit_item *i) {
    return a->count == 0 || (a->count < QUEUE_MAX && a->bytes + i->bytes <= QUEUE_BYTES);
}

// With the lock held.
static void queue_add(struct audit *a, struct audit_item *i) {
    if (i->started_us <= a->forgot_us) {
        i->sql = STR_NONE;
    }
    *(a->last != NULL ? &a->last->next : &a->first) = i;
    a->last = i;
    a->count++;
    a->added++;
    a->bytes += i->bytes;
    a->hurry = a->hurry || i->wait != NULL;
    CHECK(pthread_cond_signal(&a->wake) == 0);
}

static enum err_code not_told(const struct audit *a, struct err *err) {
    return err_set(err, ERR_BUSY,
                   "the journal cannot be told of this query, so it is not answered: try again in "
                   "a moment (%s)",
                   a->trouble.msg[0] != '\0' ? a->trouble.msg : "it took too long");
}

// With the lock held. False: no room came.
static bool wait_for_room(struct audit *a, const struct audit_item *i) {
    const int64_t until_us = clock_mono_us() + a->options.wait_ms * 1000;
    bool in_time = true;
    while (!has_room(a, i) && in_time) {
        in_time = threads_cond_wait_until(&a->change, &a->lock, until_us);
    }
    return has_room(a, i);
}

// With the lock held.
static enum err_code wait_until_durable(struct audit *a, struct audit_wait *w, struct err *err) {
    const int64_t until_us = clock_mono_us() + a->options.wait_ms * 1000;
    bool in_time = true;
    while (!w->done && in_time) {
        in_time = threads_cond_wait_until(&a->change, &a->lock, until_us);
    }
    if (!w->done) {
        w->item->wait = NULL; // it may still come into the log
        return not_told(a, err);
    }
    return w->code == ERR_OK ? ERR_OK : not_told(a, err);
}

enum err_code audit_add(struct audit *a, const struct audit_entry *e, struct err *err) {
    if (!audit_wants(a, e->restricted)) {
        return ERR_OK;
    }
    const bool waits = e->durable && a->options.strict;
    struct audit_item *i = audit_item_new(e);
    struct audit_wait wait = {.item = i};
    {
        LOCKED(&a->lock);
        if (wait_for_room(a, i)) {
            i->wait = waits ? &wait : NULL;
            queue_add(a, i);
            return waits ? wait_until_durable(a, &wait, err) : ERR_OK;
        }
        count_lost(a, "queue_full");
        if (waits) {
            (void)not_told(a, err);
        }
    }
    audit_item_free(i);
    return waits ? ERR_BUSY : ERR_OK;
}

// Waits until what waits now is written; what is running now will have no text.
static enum err_code flush(struct audit *a, struct err *err) {
    const int64_t until_us = clock_mono_us() + a->options.wait_ms * 1000;
    LOCKED(&a->lock);
    const uint64_t wanted = a->added;
    a->forgot_us = clock_mono_us();
    bool in_time = true;
    while (a->finished < wanted && in_time) {
        a->hurry = true;
        CHECK(pthread_cond_signal(&a->wake) == 0);
        in_time = threads_cond_wait_until(&a->change, &a->lock, until_us);
    }
    return a->finished >= wanted
               ? ERR_OK
               : err_set(err, ERR_BUSY, "the audit of queries could not be written: %s",
                         a->trouble.msg[0] != '\0' ? a->trouble.msg : "it took too long");
}

enum err_code audit_forget(struct audit *a, const struct audit_quotes *q, struct arena *arena,
                           struct audit_forgotten *ret, struct err *err) {
    *ret = (struct audit_forgotten){0};
    TRY(flush(a, err));
    return audit_texts_forget(a, q, arena, ret, err);
}
