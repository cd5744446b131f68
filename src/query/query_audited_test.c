// Tests of queries and their audit: what the journal is told when, and what is not answered when it
// cannot be told.

#include "query/query_audit.h"

#include "base/hash.h"
#include "base/log.h"
#include "table/one_world_test.h"

static struct queries *queries;
static struct audit *audit;

static void open_queries(bool strict) {
    struct audit_options o;
    OK(audit_options_of(&world.config, &o, &err));
    o.catalog = world.catalog;
    o.strict = strict;
    o.wait_ms = 200;
    audit = audit_new(&o);
    const struct queries_parts parts = {.tables = world.tables, .engine = engine, .audit = audit};
    OK(queries_open(&world.config, &parts, &queries, &err));
}

static void close_queries(void) {
    queries_close(TAKE(queries));
    audit_close(TAKE(audit));
}

// A query of somebody, up to its start.
struct asked {
    struct arena arena;
    struct query *query;
    struct query_attempt attempt;
};

static enum err_code start(struct asked *ret, const struct catalog_rights *rights,
                           const char *sql) {
    static const struct str role = {"keeper", 6};
    *ret = (struct asked){.arena = ARENA(1U << 28)};
    const struct query_request r = {.id = id_new(&ret->arena),
                                    .sql = str_from(sql),
                                    .principal = STR("ada"),
                                    .rights = rights,
                                    .roles = &role,
                                    .role_count = 1,
                                    .reason = STR("why"),
                                    .attempt = &ret->attempt};
    err = ERR_NONE;
    return query_start(queries, &r, &ret->arena, &ret->query, &err);
}

static void finish(struct asked *q) {
    query_end(q->query, 3, 40, NULL);
    arena_release(&q->arena);
}

static enum err_code failure(const char *sql, bool *ret_audited) {
    struct asked q;
    const enum err_code code = start(&q, &catalog_rights_all, sql);
    assert_int_not_equal(code, ERR_OK);
    *ret_audited = q.attempt.audited;
    arena_release(&q.arena);
    return code;
}

// "action target outcome rows;" of each transaction that tells of a query.
static bool list_one(void *ctx, const struct txlog_item *item) {
    struct buf *out = ctx;
    const json_t *details = json_object_get(item->transaction, "details");
    struct str outcome = STR("done");
    struct str action = STR_NONE;
    struct str target = STR_NONE;
    int64_t rows = -1;
    if (json_object_get(details, "query_id") != NULL) {
        (void)json_get_str(item->transaction, "action", &action);
        (void)json_get_str(item->transaction, "target", &target);
        (void)json_get_str(item->transaction, "outcome", &outcome);
        assert_true(json_get_i64(details, "rows", &rows));
        assert_string_equal(json_string_value(json_array_get(json_object_get(details, "roles"), 0)),
                            "keeper");
        buf_printf(out, STR_FMT " " STR_FMT " " STR_FMT " %lld;", STR_ARG(action), STR_ARG(target),
                   STR_ARG(outcome), (long long)rows);
    }
    return true;
}

static const char *told(void) {
    DEFER(buf_release) struct buf out = BUF(1 << 20);
    const struct txlog_walker walker = {list_one, &out};
    OK(txlog_walk(world.fault, 1, 0, &walker, &err));
    return arena_cstr(&world.arena, buf_str(&out));
}

static void make_flights(void) {
    struct table_written w;
    OK(world_write(&world, TABLE_CREATE, "flights", "(SELECT i AS id FROM range(3) r(i))", &w));
}

static void a_query_is_told_when_it_has_ended(void **state) {
    (void)state;
    bool audited = false;
    struct asked q;
    make_flights();
    open_queries(false);
    OK(start(&q, &catalog_rights_all, "SELECT * FROM flights"));
    finish(&q);
    assert_int_equal(failure("SELECT * FROM absent", &audited), ERR_NOT_FOUND);
    assert_true(audited);
    assert_int_equal(failure("SELECT * FROM range(1), \"tarn_x\"", &audited), ERR_NOT_FOUND);
    assert_int_equal(failure("DELETE FROM absent", &audited), ERR_NOT_FOUND);
    assert_int_equal(failure("COPY flights TO '/tmp/x'", &audited), ERR_REFUSED);
    OK(start(&q, &catalog_rights_all, "DELETE FROM flights WHERE id = 1"));
    finish(&q);
    close_queries();
    assert_string_equal(told(), "query.sql dataset:flights done 3;"
                                "query.sql dataset:absent not_found 0;"
                                "query.sql dataset:? not_found 0;"
                                "sql.delete dataset:absent not_found 0;"
                                "query.sql server statement_refused 0;"
                                "query.sql dataset:flights done 3;");
}

static void one_too_many_of_a_principal_is_told(void **state) {
    (void)state;
    struct asked first;
    struct asked second;
    struct catalog_rights few = catalog_rights_all;
    few.limits.queries_max = 1;
    open_queries(false);
    OK(start(&first, &few, "SELECT 1"));
    assert_int_equal(start(&second, &few, "SELECT 2"), ERR_LIMIT);
    arena_release(&second.arena);
    finish(&first);
    OK(start(&first, &few, "SELECT 3"));
    finish(&first);
    close_queries();
    assert_string_equal(told(), "query.sql server limit_exceeded 0;query.sql server done 3;"
                                "query.sql server done 3;");
}

static void strict_tells_of_the_beginning_first(void **state) {
    (void)state;
    bool audited;
    struct asked q;
    make_flights();
    open_queries(true);
    OK(start(&q, &catalog_rights_all, "SELECT * FROM flights"));
    assert_string_equal(told(), "query.begin dataset:flights done 0;");
    finish(&q);
    assert_int_equal(failure("SELECT * FROM absent", &audited), ERR_NOT_FOUND);
    assert_string_equal(told(), "query.begin dataset:flights done 0;"
                                "query.sql dataset:flights done 3;"
                                "query.sql dataset:absent not_found 0;");
    close_queries();
}

static int64_t rows_of(const char *dataset) {
    struct catalog_dataset d;
    OK(catalog_dataset_get(world.catalog, str_from(dataset), &world.arena, &d, &err));
    return d.rows;
}

static void strict_answers_nothing_that_the_journal_cannot_be_told_of(void **state) {
    (void)state;
    bool audited;
    make_flights();
    open_queries(true);
    const struct fault_plan none = {0};
    const struct fault_plan no_writes = {
        .kind = FAULT_FAIL, .on = FAULT_ON_PUT, .at = 1, .from_then_on = true};
    static const char *const sqls[] = {"SELECT * FROM flights", "DELETE FROM flights",
                                       "SELECT * FROM absent"};
    for (size_t i = 0; i < ARRAY_LEN(sqls); i++) {
        store_fault_plan(world.fault, no_writes);
        assert_int_equal(failure(sqls[i], &audited), ERR_BUSY);
        assert_says("the journal cannot be told of this query");
        store_fault_plan(world.fault, none);
    }
    assert_int_equal(rows_of("flights"), 3);
    close_queries();
}

int main(void) {
    const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, world_begin_faulty, world_end)
        T(a_query_is_told_when_it_has_ended),
        T(one_too_many_of_a_principal_is_told),
        T(strict_tells_of_the_beginning_first),
        T(strict_answers_nothing_that_the_journal_cannot_be_told_of),
#undef T
    };
    log_set_level(LOG_ERROR);
    return cmocka_run_group_tests_name("query_audited", tests, open_engine, close_engine);
}
