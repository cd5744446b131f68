// Tests of the audit: what comes into the log of a store in memory, also when that fails.

#include "query/query_audit_int.h"

#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/counters.h"
#include "base/log.h"
#include "base/ok_test.h"
#include "store/store_fault.h"

#define DAY_US (INT64_C(86400) * 1000000)

enum { LONG_MS = 60000, SHORT_MS = 50, QUEUE = 10000 };

const char *__tsan_default_suppressions(void);
const char *__tsan_default_suppressions(void) {
    return "race:libjansson.so\nrace:json_decref\nrace:json_incref\n";
}

static struct store *store;
static struct catalog *catalog;
static struct arena arena;
static struct audit_options options;

static int set_up(void **state) {
    (void)state;
    const struct config config = {.catalog_checkpoint_every = 100000};
    log_set_level(LOG_ERROR);
    arena = ARENA(SIZE_MAX);
    err = ERR_NONE;
    store = store_fault_new(store_memory_new(), false);
    store_fault_spare(store, STR("_catalog/head.json")); // written some time after a commit
    OK(catalog_open_on(&config, store, STR("memory://test"), &catalog, &err));
    options = (struct audit_options){
        .catalog = catalog, .sql = AUDIT_SQL_DROP, .sql_days = 30, .wait_ms = LONG_MS};
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    catalog_close(catalog);
    arena_release(&arena);
    return 0;
}

static void store_fails(enum fault_kind kind, unsigned on) {
    store_fault_plan(store,
                     (struct fault_plan){.kind = kind, .on = on, .at = 1, .from_then_on = true});
}

static void store_works(void) {
    store_fault_plan(store, (struct fault_plan){0});
}

static struct audit_entry entry(const char *id, const char *sql) {
    return (struct audit_entry){.action = STR("query.sql"),
                                .query_id = str_from(id),
                                .principal = STR("ada"),
                                .sql = str_from(sql)};
}

static void add(struct audit *a, const char *id, const char *sql) {
    const struct audit_entry e = entry(id, sql);
    OK(audit_add(a, &e, &err));
}

static void add_many(struct audit *a, int first, int count) {
    for (int i = first; i < first + count; i++) {
        add(a, arena_printf(&arena, "q%d", i).ptr, arena_printf(&arena, "SELECT %d", i).ptr);
    }
}

// In a batch of its own: returns when it is in the log. For audits that are strict.
static void add_alone(struct audit *a, const char *id, const char *sql) {
    struct audit_entry e = entry(id, sql);
    e.durable = true;
    OK(audit_add(a, &e, &err));
}

// Transactions of the log: those of queries, and in how many records they stand.
struct told {
    const json_t *last; // of a query
    struct str all;     // their query ids, with a blank behind each
    size_t count, records;
    uint64_t seq;
    struct buf ids;
};

static bool is_query(const json_t *t) {
    struct str action = STR_NONE;
    (void)json_get_str(t, "action", &action);
    return str_starts(action, STR("query.")) || str_starts(action, STR("sql."));
}

static void decref(void *j) {
    json_decref(j);
}

static bool note_one(void *ctx, const struct txlog_item *item) {
    struct told *t = ctx;
    struct str id = STR_NONE;
    if (!is_query(item->transaction)) {
        return true;
    }
    (void)json_get_str(json_object_get(item->transaction, "details"), "query_id", &id);
    buf_add_str(&t->ids, id);
    buf_add_char(&t->ids, ' ');
    json_t *kept = json_deep_copy(item->transaction);
    arena_defer(&arena, decref, kept);
    t->last = kept;
    t->count++;
    t->records += item->seq != t->seq ? 1 : 0;
    t->seq = item->seq;
    return true;
}

static struct told told(void) {
    struct told t = {.ids = BUF(1 << 24)};
    const struct txlog_walker walker = {note_one, &t};
    if (txlog_seq(catalog_log(catalog)) > 0) {
        OK(txlog_walk(store, 1, 0, &walker, &err));
    }
    t.all = arena_str(&arena, buf_str(&t.ids));
    buf_release(&t.ids);
    return t;
}

static const json_t *details(const struct told *t) {
    return json_object_get(t->last, "details");
}

static void assert_text(const json_t *j, const char *key, const char *expected) {
    struct str s = STR_NONE;
    assert_true(json_get_str(j, key, &s));
    assert_string_equal(arena_cstr(&arena, s), expected);
}

// ---- What is told

static void an_entry_tells_who_asked_what_and_what_became_of_it(void **state) {
    (void)state;
    const struct str roles[] = {STR("reader"), STR("clerk")};
    const struct query_view views[] = {{STR("safe"), 3, STR("people")},
                                       {STR("other"), 1, STR("b")}};
    const struct query_snapshot snapshots[] = {{STR("people"), 77}};
    struct audit_entry e = entry("q1", "SELECT 1");
    e.reason = STR("because");
    e.roles = roles;
    e.role_count = 2;
    e.views = views;
    e.view_count = 2;
    e.snapshots = snapshots;
    e.snapshot_count = 1;
    e.restricted = true;
    e.rows = 5;
    e.bytes = 60;
    e.duration_us = 1500;
    struct audit *a = audit_new(&options);
    OK(audit_add(a, &e, &err));
    audit_close(a);
    const struct told t = told();
    assert_int_equal(t.count, 1);
    assert_text(t.last, "actor", "ada");
    assert_text(t.last, "action", "query.sql");
    assert_text(t.last, "target", "view:safe");
    assert_text(t.last, "reason", "because");
    assert_null(json_object_get(t.last, "outcome"));
    assert_string_equal(
        json_text(details(&t), &arena).ptr,
        "{\"query_id\":\"q1\",\"roles\":[\"reader\",\"clerk\"],\"views\":[{\"name\":\"safe\","
        "\"version\":3,\"base\":\"people\"},{\"name\":\"other\",\"version\":1,\"base\":\"b\"}],"
        "\"snapshots\":{\"people\":77},"
        "\"rows\":5,\"bytes\":60,\"ms\":1.5,\"restricted\":true}");
}

static void a_target_is_what_was_refused_or_the_first_that_was_read(void **state) {
    (void)state;
    const struct query_snapshot snapshots[] = {{STR("people"), 77}, {STR("more"), 78}};
    struct audit_entry e = entry("q", "");
    struct audit *a = audit_new(&options);
    OK(audit_add(a, &e, &err));
    audit_close(a);
    struct told t = told();
    assert_text(t.last, "target", "server");
    e.snapshots = snapshots;
    e.snapshot_count = 2;
    a = audit_new(&options);
    OK(audit_add(a, &e, &err));
    audit_close(a);
    t = told();
    assert_text(t.last, "target", "dataset:people");
    e.target = STR("dataset:hidden");
    e.outcome = ERR_NOT_FOUND;
    a = audit_new(&options);
    OK(audit_add(a, &e, &err));
    audit_close(a);
    t = told();
    assert_text(t.last, "target", "dataset:hidden");
    assert_text(t.last, "outcome", "not_found");
}

static void entries_of_a_moment_share_a_record(void **state) {
    (void)state;
    struct audit *a = audit_new(&options);
    add_many(a, 0, 200);
    audit_close(a);
    const struct told t = told();
    assert_int_equal(t.count, 200);
    assert_true(t.records <= 2); // more than one only if a second passed between them
}

static void many_entries_come_in_their_order(void **state) {
    (void)state;
    struct audit *a = audit_new(&options);
    add_many(a, 0, 1000);
    audit_close(a);
    const struct told t = told();
    DEFER(buf_release) struct buf expected = BUF(1 << 20);
    for (int i = 0; i < 1000; i++) {
        buf_printf(&expected, "q%d ", i);
    }
    assert_true(str_eq(t.all, buf_str(&expected)));
    assert_true(t.records >= 4);
}

static void entries_that_are_too_large_for_one_record_come_in_several(void **state) {
    (void)state;
    DEFER(freep) char *name = xmalloc(2 << 20);
    memset(name, 'n', 2 << 20);
    struct audit *a = audit_new(&options);
    for (int i = 0; i < 6; i++) {
        struct audit_entry e = entry("q", "");
        e.target = (struct str){name, 2 << 20};
        OK(audit_add(a, &e, &err));
    }
    struct audit_entry e = entry("past the limit of a transaction", "");
    DEFER(freep) char *huge = xmalloc(5 << 20);
    memset(huge, 'n', 5 << 20);
    const int64_t lost = counter_get(COUNTER_audit_lost);
    e.target = (struct str){huge, 5 << 20};
    OK(audit_add(a, &e, &err));
    audit_close(a);
    const struct told t = told();
    assert_int_equal(t.count, 6);
    assert_true(t.records >= 3);
    assert_int_equal(counter_get(COUNTER_audit_lost), lost + 1);
}

static void only_those_that_are_wanted_are_told(void **state) {
    (void)state;
    struct audit_entry e = entry("q1", "");
    options.which = AUDIT_NONE;
    struct audit *a = audit_new(&options);
    assert_false(audit_wants(a, true));
    OK(audit_add(a, &e, &err));
    audit_close(a);
    options.which = AUDIT_RESTRICTED;
    a = audit_new(&options);
    assert_true(audit_wants(a, true) && !audit_wants(a, false));
    OK(audit_add(a, &e, &err));
    e.restricted = true;
    e.query_id = STR("q2");
    OK(audit_add(a, &e, &err));
    audit_close(a);
    assert_true(str_is(told().all, "q2 "));
    assert_false(audit_wants(NULL, true));
    OK(audit_add(NULL, &e, &err));
}

static void settings_that_are_none_are_refused(void **state) {
    (void)state;
    struct config c = {.audit_queries = STR("restricted"),
                       .audit_sql = STR("keep"),
                       .audit_sql_days = 3,
                       .audit_strict = true};
    struct audit_options o;
    OK(audit_options_of(&c, &o, &err));
    assert_true(o.which == AUDIT_RESTRICTED && o.sql == AUDIT_SQL_KEEP && o.sql_days == 3);
    assert_true(o.strict && o.wait_ms > 0);
    c.audit_sql = STR("Keep");
    assert_int_equal(audit_options_of(&c, &o, &err), ERR_INVALID);
    assert_non_null(strstr(err.msg, "--audit-sql"));
    c.audit_sql = STR("drop");
    c.audit_queries = STR("");
    assert_int_equal(audit_options_of(&c, &o, &err), ERR_INVALID);
    assert_non_null(strstr(err.msg, "--audit-queries"));
}

// ---- When the log cannot be written

static void what_the_log_refuses_for_a_while_is_not_lost(void **state) {
    (void)state;
    const int64_t lost = counter_get(COUNTER_audit_lost);
    struct audit *a = audit_new(&options);
    store_fails(FAULT_FAIL, FAULT_ON_PUT);
    add_many(a, 0, 300); // a full batch is tried at once
    while (!store_fault_fired(store)) {
        (void)usleep(1000);
    }
    store_works();
    audit_close(a);
    const struct told t = told();
    assert_true(t.count >= 300); // one whose outcome was unknown may stand there twice
    for (int i = 0; i < 300; i++) {
        assert_true(str_find(t.all, arena_printf(&arena, "q%d ", i)) >= 0);
    }
    assert_int_equal(counter_get(COUNTER_audit_lost), lost);
}

static void a_full_queue_lets_callers_wait_and_loses_what_finds_no_room(void **state) {
    (void)state;
    const int64_t lost = counter_get(COUNTER_audit_lost);
    options.wait_ms = SHORT_MS;
    store_fails(FAULT_CRASH, 0);
    struct audit *a = audit_new(&options);
    add_many(a, 0, QUEUE);
    assert_int_equal(counter_get(COUNTER_audit_lost), lost);
    add_many(a, QUEUE, 2);
    assert_int_equal(counter_get(COUNTER_audit_lost), lost + 2);
    store_works();
    audit_close(a);
    const struct told t = told();
    assert_true(t.count >= QUEUE);
    assert_true(str_find(t.all, STR("q9999 ")) > 0 && str_find(t.all, STR("q10000 ")) < 0);
    assert_int_equal(counter_get(COUNTER_audit_lost), lost + 2);
}

static void a_queue_is_full_of_bytes_as_well(void **state) {
    (void)state;
    const int64_t lost = counter_get(COUNTER_audit_lost);
    DEFER(freep) char *text = xmalloc(6 << 20);
    memset(text, 's', 6 << 20);
    struct audit_entry e = entry("q", "");
    e.sql = (struct str){text, 6 << 20};
    options.wait_ms = SHORT_MS;
    store_fails(FAULT_CRASH, 0);
    struct audit *a = audit_new(&options);
    for (int i = 0; i < 3; i++) {
        OK(audit_add(a, &e, &err));
    }
    assert_int_equal(counter_get(COUNTER_audit_lost), lost + 1);
    store_works();
    audit_close(a);
    assert_true(told().count >= 2);
}

struct late {
    struct audit *audit;
    _Atomic bool began, ended;
};

static void *add_late(void *arg) {
    struct late *l = arg;
    struct err own = ERR_NONE;
    const struct audit_entry e = entry("late", "");
    l->began = true;
    (void)audit_add(l->audit, &e, &own);
    l->ended = true;
    return NULL;
}

static void who_waits_for_room_gets_it_when_the_log_is_written_again(void **state) {
    (void)state;
    const int64_t lost = counter_get(COUNTER_audit_lost);
    store_fails(FAULT_CRASH, 0);
    struct late l = {.audit = audit_new(&options)};
    add_many(l.audit, 0, QUEUE);
    pthread_t thread = threads_start("late", add_late, &l);
    while (!l.began) {
        (void)usleep(1000);
    }
    (void)usleep(20000);
    assert_false(l.ended);
    store_works();
    assert_int_equal(pthread_join(thread, NULL), 0);
    audit_close(l.audit);
    assert_true(str_find(told().all, STR("late ")) > 0);
    assert_int_equal(counter_get(COUNTER_audit_lost), lost);
}

static void the_end_does_not_wait_for_a_log_that_stays_away(void **state) {
    (void)state;
    const int64_t lost = counter_get(COUNTER_audit_lost);
    struct audit *a = audit_new(&options);
    store_fails(FAULT_CRASH, 0);
    add_many(a, 0, 600);
    audit_close(a);
    assert_int_equal(counter_get(COUNTER_audit_lost), lost + 600);
    store_works();
}

// Whatever single operation fails, or is done without a reply, each entry stands in the log with
// its text, and all of that can be read.
static void any_operation_may_fail_once(void **state) {
    (void)state;
    static const enum fault_kind kinds[] = {FAULT_FAIL, FAULT_LOST_REPLY};
    options.sql = AUDIT_SQL_KEEP;
    int round = 0;
    for (size_t k = 0; k < ARRAY_LEN(kinds); k++) {
        bool fired = true;
        for (uint64_t at = 1; fired && at < 50; at++, round++) {
            struct audit *a = audit_new(&options);
            store_fault_plan(store, (struct fault_plan){.kind = kinds[k], .at = at});
            add_many(a, 3 * round, 3);
            audit_close(a);
            fired = store_fault_fired(store);
            store_works();
        }
        assert_false(fired);
    }
    const struct told t = told();
    DEFER(audit_texts_freep) struct audit_texts *texts = audit_texts_new(catalog);
    assert_true(round >= 4 && t.count >= (size_t)round * 3);
    for (int i = 0; i < 3 * round; i++) {
        assert_true(str_find(t.all, arena_printf(&arena, "q%d ", i)) >= 0);
    }
    struct str sql;
    assert_true(audit_texts_find(texts, details(&t), &arena, &sql));
    struct txlog_report report;
    OK(txlog_verify(store, NULL, &arena, &report, &err));
}

static void strict_waits_until_it_is_in_the_log(void **state) {
    (void)state;
    options.strict = true;
    struct audit *a = audit_new(&options);
    assert_true(audit_is_strict(a) && !audit_is_strict(NULL));
    for (int i = 0; i < 5; i++) {
        add_alone(a, "q", "");
        assert_int_equal(told().count, i + 1);
    }
    audit_close(a);
}

static void strict_fails_when_it_cannot_be_in_the_log(void **state) {
    (void)state;
    options.strict = true;
    options.wait_ms = SHORT_MS;
    struct audit *a = audit_new(&options);
    struct audit_entry e = entry("q1", "");
    e.durable = true;
    store_fails(FAULT_CRASH, 0);
    assert_int_equal(audit_add(a, &e, &err), ERR_BUSY);
    assert_non_null(strstr(err.msg, "the journal cannot be told"));
    e.durable = false;
    OK(audit_add(a, &e, &err)); // nobody waits for this one
    store_works();
    audit_close(a);
    assert_true(told().count >= 2); // it came in the end
}

// ---- Texts

static void equal_texts_have_equal_hashes(void **state) {
    (void)state;
    options.sql = AUDIT_SQL_HASH;
    options.strict = true;
    struct audit *a = audit_new(&options);
    struct str hashes[3];
    static const char *const sqls[] = {"SELECT 'secret1'", "SELECT 'secret2'", "SELECT 'secret1'"};
    for (size_t i = 0; i < 3; i++) {
        add_alone(a, "q", sqls[i]);
        const struct told t = told();
        assert_true(json_get_str(details(&t), "sql_hash", &hashes[i]));
        assert_int_equal(hashes[i].len, 32);
    }
    assert_true(str_eq(hashes[0], hashes[2]) && !str_eq(hashes[0], hashes[1]));
    add_alone(a, "none", "");
    struct told t = told();
    assert_null(json_object_get(details(&t), "sql_hash"));
    struct catalog_secret secret;
    OK(catalog_secret_get(catalog, AUDIT_SECRET, &arena, &secret, &err));
    const struct sha256 h =
        hmac_sha256((struct str){(const char *)secret.bytes, 32}, str_from(sqls[0]));
    assert_true(str_starts(hex_sha256(h, &arena), hashes[0]));
    audit_close(a);
}

// All bytes of the log.
static struct str log_bytes(void) {
    DEFER(buf_release) struct buf out = BUF(1 << 24);
    struct store_list list;
    const struct store_page page = {.prefix = STR("_catalog/log/"), .max = 1000};
    OK(store_list(store, &page, &arena, &list, &err));
    for (size_t i = 0; i < list.count; i++) {
        struct str text;
        OK(store_get(store, list.entries[i].name, &arena, &text, &err));
        buf_add_str(&out, text);
    }
    return arena_str(&arena, buf_str(&out));
}

static size_t content_count(void) {
    struct store_list list;
    const struct store_page page = {.prefix = CATALOG_CONTENT_PREFIX, .max = 1000};
    OK(store_list(store, &page, &arena, &list, &err));
    return list.count;
}

static size_t entity_count(void) {
    struct txlog_entry *entries;
    size_t count;
    txlog_list(catalog_log(catalog), AUDIT_TEXTS_PREFIX, &arena, &entries, &count);
    return count;
}

// Text of each query in the log, in their order, with a line end behind each; "-" for none.
struct texts {
    struct audit_texts *texts;
    struct buf out;
};

static bool read_one(void *ctx, const struct txlog_item *item) {
    struct texts *t = ctx;
    struct str sql = STR("-");
    if (is_query(item->transaction)) {
        (void)audit_texts_find(t->texts, json_object_get(item->transaction, "details"), &arena,
                               &sql);
        buf_printf(&t->out, STR_FMT "\n", STR_ARG(sql));
    }
    return true;
}

static const char *texts_told(void) {
    struct texts t = {.texts = audit_texts_new(catalog), .out = BUF(1 << 20)};
    const struct txlog_walker walker = {read_one, &t};
    OK(txlog_walk(store, 1, 0, &walker, &err));
    const char *ret = arena_cstr(&arena, buf_str(&t.out));
    buf_release(&t.out);
    audit_texts_free(t.texts);
    return ret;
}

static void kept_texts_stand_beside_the_log_and_are_found(void **state) {
    (void)state;
    options.sql = AUDIT_SQL_KEEP;
    options.strict = true;
    struct audit *a = audit_new(&options);
    add_alone(a, "q1", "SELECT 'canary1'");
    add_alone(a, "q2", "SELECT 'canary2'");
    add_alone(a, "q3", "");
    audit_close(a);
    assert_string_equal(texts_told(), "SELECT 'canary1'\nSELECT 'canary2'\n-\n");
    assert_true(str_find(log_bytes(), STR("canary")) < 0);
    assert_int_equal(content_count(), 2);
    assert_int_equal(entity_count(), 2);
    struct str *unnamed;
    size_t count;
    OK(catalog_content_unnamed(catalog, 0, &arena, &unnamed, &count, &err));
    assert_int_equal(count, 0);
}

static void dropped_texts_leave_nothing(void **state) {
    (void)state;
    struct audit *a = audit_new(&options);
    add(a, "q1", "SELECT 'canary1'");
    audit_close(a);
    const struct told t = told();
    assert_null(json_object_get(details(&t), "sql_hash"));
    assert_null(json_object_get(details(&t), "sql_ref"));
    assert_int_equal(content_count(), 0);
    assert_string_equal(texts_told(), "-\n");
}

static void texts_expire(void **state) {
    (void)state;
    options.sql = AUDIT_SQL_KEEP;
    struct audit *a = audit_new(&options);
    add(a, "q1", "SELECT 1");
    audit_close(a);
    a = audit_new(&options);
    OK(audit_texts_look(a, clock_wall_us() + 29 * DAY_US, &err));
    assert_string_equal(texts_told(), "SELECT 1\n");
    OK(audit_texts_look(a, clock_wall_us() + 30 * DAY_US, &err));
    audit_close(a);
    assert_string_equal(texts_told(), "-\n");
    assert_int_equal(content_count() + entity_count(), 0);
}

static void a_shorter_time_counts_for_older_texts_too(void **state) {
    (void)state;
    options.sql = AUDIT_SQL_KEEP;
    struct audit *a = audit_new(&options);
    add(a, "q1", "SELECT 1");
    audit_close(a);
    options.sql_days = 2;
    a = audit_new(&options);
    OK(audit_texts_look(a, clock_wall_us() + 2 * DAY_US, &err));
    audit_close(a);
    assert_int_equal(content_count() + entity_count(), 0);
}

static void texts_of_an_hour_are_brought_together_and_still_found(void **state) {
    (void)state;
    options.sql = AUDIT_SQL_KEEP;
    options.strict = true;
    struct audit *a = audit_new(&options);
    for (int i = 0; i < 8; i++) {
        add_alone(a, arena_printf(&arena, "q%d", i).ptr, arena_printf(&arena, "%d", i).ptr);
    }
    OK(audit_texts_look(a, clock_wall_us(), &err));
    assert_int_equal(entity_count(), 8);
    OK(audit_texts_look(a, clock_wall_us() + DAY_US, &err));
    assert_in_range(entity_count(), 1, 2); // an hour may have begun between them
    assert_int_equal(content_count(), entity_count());
    assert_string_equal(texts_told(), "0\n1\n2\n3\n4\n5\n6\n7\n");
    const uint64_t seq = txlog_seq(catalog_log(catalog));
    OK(audit_texts_look(a, clock_wall_us() + DAY_US, &err));
    assert_int_equal(txlog_seq(catalog_log(catalog)), seq);
    add_alone(a, "q8", "8");
    assert_string_equal(texts_told(), "0\n1\n2\n3\n4\n5\n6\n7\n8\n");
    OK(audit_texts_look(a, clock_wall_us() + 31 * DAY_US, &err));
    assert_int_equal(content_count() + entity_count(), 0);
    audit_close(a);
}

static void what_is_damaged_does_not_keep_other_hours_apart(void **state) {
    (void)state;
    options.sql = AUDIT_SQL_KEEP;
    options.strict = true;
    struct audit *a = audit_new(&options);
    add_alone(a, "q1", "1");
    add_alone(a, "q2", "2");
    struct store_list list;
    const struct store_page page = {.prefix = CATALOG_CONTENT_PREFIX, .max = 1};
    OK(store_list(store, &page, &arena, &list, &err));
    OK(store_delete(store, list.entries[0].name, &err));
    (void)audit_texts_look(a, clock_wall_us() + DAY_US, &err); // damage is told, or not met
    OK(audit_texts_look(a, clock_wall_us() + 31 * DAY_US, &err));
    assert_int_equal(entity_count(), 0);
    audit_close(a);
}

static bool has_ada(void *ctx, struct str sql) {
    ++*(int *)ctx;
    return str_find(sql, STR("ada")) >= 0;
}

static void texts_that_quote_are_forgotten_and_those_that_wait_too(void **state) {
    (void)state;
    int asked = 0;
    const struct audit_quotes quotes = {has_ada, &asked};
    struct audit_forgotten gone;
    options.sql = AUDIT_SQL_KEEP;
    options.strict = true;
    struct audit *a = audit_new(&options);
    OK(audit_forget(a, &quotes, &arena, &gone, &err));
    assert_int_equal(gone.texts, 0);
    add_alone(a, "q1", "of ada");
    add_alone(a, "q2", "of bob");
    add(a, "q3", "of ada, who waits");
    add(a, "q4", "of bob, who waits");
    OK(audit_forget(a, &quotes, &arena, &gone, &err));
    assert_int_equal(gone.texts, 2);
    assert_int_equal(gone.objects.count, 2);
    assert_true(gone.objects.bytes[0] > 0 && gone.objects.items[1].sha256.len == 64);
    assert_true(asked >= 4);
    assert_string_equal(texts_told(), "-\nof bob\n-\nof bob, who waits\n");
    assert_int_equal(content_count(), 2);
    OK(audit_forget(a, &quotes, &arena, &gone, &err));
    assert_int_equal(gone.texts, 0);
    OK(audit_texts_look(a, clock_wall_us() + DAY_US, &err));
    add_alone(a, "q5", "of ada again");
    OK(audit_forget(a, &quotes, &arena, &gone, &err));
    assert_int_equal(gone.texts, 1);
    assert_string_equal(texts_told(), "-\nof bob\n-\nof bob, who waits\n-\n");
    audit_close(a);
}

static void of_queries_that_run_while_it_is_forgotten_no_text_is_told(void **state) {
    (void)state;
    int asked = 0;
    const struct audit_quotes quotes = {has_ada, &asked};
    struct audit_forgotten gone;
    options.sql = AUDIT_SQL_KEEP;
    struct audit *a = audit_new(&options);
    OK(audit_forget(a, &quotes, &arena, &gone, &err));
    struct audit_entry e = entry("q1", "of ada");
    e.duration_us = 60 * 1000000;
    OK(audit_add(a, &e, &err));
    while (clock_mono_us() <= a->forgot_us) {
        (void)usleep(1);
    }
    add(a, "q2", "of ada, who came later");
    audit_close(a);
    assert_string_equal(texts_told(), "-\nof ada, who came later\n");
}

static void forgetting_gives_the_hashes_another_secret(void **state) {
    (void)state;
    int asked = 0;
    const struct audit_quotes quotes = {has_ada, &asked};
    struct audit_forgotten gone;
    struct str first;
    struct str second;
    options.sql = AUDIT_SQL_HASH;
    options.strict = true;
    struct audit *a = audit_new(&options);
    add_alone(a, "q1", "of ada");
    struct told t = told();
    assert_true(json_get_str(details(&t), "sql_hash", &first));
    OK(audit_forget(a, &quotes, &arena, &gone, &err));
    add_alone(a, "q2", "of ada");
    t = told();
    assert_true(json_get_str(details(&t), "sql_hash", &second));
    assert_false(str_eq(first, second));
    audit_close(a);
}

static void texts_that_nobody_can_read_are_forgotten(void **state) {
    (void)state;
    int asked = 0;
    const struct audit_quotes quotes = {has_ada, &asked};
    struct audit_forgotten gone;
    struct store_list list;
    const struct store_page page = {.prefix = CATALOG_CONTENT_PREFIX, .max = 1};
    options.sql = AUDIT_SQL_KEEP;
    options.strict = true;
    struct audit *a = audit_new(&options);
    add_alone(a, "q1", "of ada");
    OK(store_list(store, &page, &arena, &list, &err));
    OK(store_delete(store, list.entries[0].name, &err));
    OK(store_put(store, list.entries[0].name, STR("ada, torn"), &err));
    OK(audit_forget(a, &quotes, &arena, &gone, &err));
    assert_int_equal(content_count() + entity_count(), 0);
    assert_int_equal(gone.objects.count, 1);
    audit_close(a);
}

// A failure is one, and what was named stays readable; the next call does the rest.
static void forgetting_may_fail_at_any_operation_and_be_done_again(void **state) {
    (void)state;
    int asked = 0;
    const struct audit_quotes quotes = {has_ada, &asked};
    options.sql = AUDIT_SQL_KEEP;
    options.strict = true;
    bool fired = true;
    for (uint64_t at = 1; fired && at < 100; at++) {
        struct audit_forgotten gone;
        struct audit *a = audit_new(&options);
        add_alone(a, "a", "of ada");
        add_alone(a, "b", "of bob");
        store_fault_plan(store, (struct fault_plan){.kind = FAULT_FAIL, .at = at});
        if (audit_forget(a, &quotes, &arena, &gone, &err) != ERR_OK) {
            err = ERR_NONE;
        }
        fired = store_fault_fired(store);
        store_works();
        OK(audit_forget(a, &quotes, &arena, &gone, &err));
        assert_null(strstr(texts_told(), "ada"));
        struct catalog_content_swept swept;
        OK(catalog_content_sweep(catalog, 0, &arena, &swept, &err)); // as an erasure does
        assert_int_equal(content_count(), entity_count());
        OK(audit_texts_look(a, clock_wall_us() + 31 * DAY_US, &err)); // so that rounds are alike
        audit_close(a);
    }
    assert_false(fired);
}

int main(void) {
    const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        T(an_entry_tells_who_asked_what_and_what_became_of_it),
        T(a_target_is_what_was_refused_or_the_first_that_was_read),
        T(entries_of_a_moment_share_a_record),
        T(many_entries_come_in_their_order),
        T(entries_that_are_too_large_for_one_record_come_in_several),
        T(only_those_that_are_wanted_are_told),
        T(settings_that_are_none_are_refused),
        T(what_the_log_refuses_for_a_while_is_not_lost),
        T(a_full_queue_lets_callers_wait_and_loses_what_finds_no_room),
        T(a_queue_is_full_of_bytes_as_well),
        T(who_waits_for_room_gets_it_when_the_log_is_written_again),
        T(the_end_does_not_wait_for_a_log_that_stays_away),
        T(any_operation_may_fail_once),
        T(strict_waits_until_it_is_in_the_log),
        T(strict_fails_when_it_cannot_be_in_the_log),
        T(equal_texts_have_equal_hashes),
        T(kept_texts_stand_beside_the_log_and_are_found),
        T(dropped_texts_leave_nothing),
        T(texts_expire),
        T(a_shorter_time_counts_for_older_texts_too),
        T(texts_of_an_hour_are_brought_together_and_still_found),
        T(what_is_damaged_does_not_keep_other_hours_apart),
        T(texts_that_quote_are_forgotten_and_those_that_wait_too),
        T(of_queries_that_run_while_it_is_forgotten_no_text_is_told),
        T(forgetting_gives_the_hashes_another_secret),
        T(texts_that_nobody_can_read_are_forgotten),
        T(forgetting_may_fail_at_any_operation_and_be_done_again),
#undef T
    };
    return cmocka_run_group_tests_name("query_audit", tests, NULL, NULL);
}
