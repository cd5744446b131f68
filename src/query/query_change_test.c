// Tests of statements that write: what they do to rows, in which state, and for whom.

#include "base/clock.h"
#include "base/log.h"
#include "query/query.h"
#include "table/one_world_test.h"

static struct queries *queries;

static int begin(void **state) {
    (void)state;
    world_open(&world, engine);
    const struct queries_parts parts = {.tables = world.tables, .engine = engine};
    OK(queries_open(&world.config, &parts, &queries, &err));
    return 0;
}

static int end(void **state) {
    (void)state;
    queries_close(TAKE(queries));
    world_close(&world);
    return 0;
}

// The first column of the first row as text, and what was changed.
struct told {
    char text[4096];
    char dataset[64], statement[16];
    int64_t rows, snapshot;
};

static void note(const struct query *q, struct told *ret) {
    const struct query_change *change = query_change(q);
    ret->rows = -1;
    if (change != NULL) {
        ret->rows = change->rows;
        ret->snapshot = change->snapshot_id;
        (void)snprintf(ret->dataset, sizeof(ret->dataset), STR_FMT, STR_ARG(change->dataset));
        (void)snprintf(ret->statement, sizeof(ret->statement), STR_FMT, STR_ARG(change->statement));
    }
}

static enum err_code take_rows(struct query *q, struct told *ret) {
    const struct vec_chunk *chunk = NULL;
    bool first = true;
    do {
        TRY(rows_next(query_rows(q), &chunk, &err));
        if (chunk != NULL && chunk->rows > 0 && first && query_change(q) == NULL) {
            const struct vec *v = &chunk->columns[0];
            const struct str s = vec_is_null(v, 0) ? STR("NULL") : vec_str(v, 0);
            (void)snprintf(ret->text, sizeof(ret->text), STR_FMT, STR_ARG(s));
            first = false;
        }
    } while (chunk != NULL);
    return ERR_OK;
}

// What the last statement that failed was about: "action target".
static char attempted[200];

static void note_attempt(const struct query_attempt *attempt) {
    (void)snprintf(attempted, sizeof(attempted), STR_FMT " " STR_FMT, STR_ARG(attempt->action),
                   STR_ARG(attempt->target));
}

static enum err_code ask_as(const struct catalog_rights *rights, const char *sql,
                            struct told *ret) {
    DEFER(arena_release) struct arena a = ARENA(1U << 28);
    struct query_attempt attempt = {0};
    const struct query_request r = {.id = STR("q"),
                                    .sql = str_from(sql),
                                    .principal = STR("ada"),
                                    .rights = rights,
                                    .reason = STR("because"),
                                    .attempt = &attempt};
    struct query *q = NULL;
    *ret = (struct told){.text = "no row"};
    err = ERR_NONE;
    enum err_code code = query_start(queries, &r, &a, &q, &err);
    note_attempt(&attempt);
    if (code == ERR_OK) {
        note(q, ret);
        code = take_rows(q, ret);
        query_end(q, 0, 0, code == ERR_OK ? NULL : &err);
    }
    return code;
}

static struct told ask(const char *sql) {
    struct told ret;
    if (ask_as(&catalog_rights_all, sql, &ret) != ERR_OK) {
        fail_msg("%s: %s", sql, err.msg);
    }
    return ret;
}

static enum err_code failure(const char *sql) {
    struct told ret;
    const enum err_code code = ask_as(&catalog_rights_all, sql, &ret);
    assert_int_equal(code, err.code);
    return code;
}

static void assert_answer(const char *sql, const char *expected) {
    const struct told t = ask(sql);
    if (strcmp(t.text, expected) != 0) {
        fail_msg("%s: \"%s\" is not \"%s\"", sql, t.text, expected);
    }
}

static void assert_affects(const char *sql, int64_t rows) {
    const struct told t = ask(sql);
    if (t.rows != rows) {
        fail_msg("%s: %lld rows, not %lld", sql, (long long)t.rows, (long long)rows);
    }
}

#define LIST "SELECT string_agg(id || ':' || coalesce(name, '-'), ' ' ORDER BY id, name) FROM t"

static void make(void) {
    assert_affects("CREATE TABLE t AS SELECT i::INTEGER AS id, 'n' || i AS name FROM range(4) r(i)",
                   4);
}

static void rows_come_change_and_go(void **state) {
    (void)state;
    make();
    assert_affects("INSERT INTO t VALUES (10, 'ten'), (11, NULL)", 2);
    assert_affects("INSERT INTO t (name, ID) SELECT name || '+', id + 20 FROM t WHERE id < 2", 2);
    assert_affects("INSERT INTO t (id) VALUES (30)", 1);
    assert_answer(LIST, "0:n0 1:n1 2:n2 3:n3 10:ten 11:- 20:n0+ 21:n1+ 30:-");
    assert_affects("UPDATE t SET name = 'x' || id, id = id + 100 WHERE id < 2", 2);
    assert_affects("UPDATE t AS y SET name = NULL WHERE y.name LIKE '%+'", 2);
    assert_answer(LIST, "2:n2 3:n3 10:ten 11:- 20:- 21:- 30:- 100:x0 101:x1");
    assert_affects("DELETE FROM t WHERE name IS NULL", 4);
    assert_affects("DELETE FROM T x WHERE x.id > 100", 1);
    assert_answer(LIST, "2:n2 3:n3 10:ten 100:x0");
    assert_affects("DELETE FROM t", 4);
    assert_answer("SELECT count(*)::VARCHAR FROM t", "0");
    assert_affects("INSERT INTO t VALUES (1, 'again')", 1);
    assert_answer(LIST, "1:again");
}

static void a_statement_says_what_it_did(void **state) {
    (void)state;
    make();
    struct catalog_dataset d;
    struct told t = ask("UPDATE T SET name = 'x' WHERE id = 1");
    OK(catalog_dataset_get(world.catalog, STR("t"), &world.arena, &d, &err));
    assert_string_equal(t.statement, "update");
    assert_string_equal(t.dataset, "t");
    assert_int_equal(t.rows, 1);
    assert_int_equal(t.snapshot, d.snapshot_id);
    t = ask("DELETE FROM t WHERE id = 99");
    assert_int_equal(t.rows, 0);
    assert_int_equal(t.snapshot, 0);
    struct catalog_dataset after;
    OK(catalog_dataset_get(world.catalog, STR("t"), &world.arena, &after, &err));
    assert_int_equal(after.version, d.version); // no commit for nothing
    t = ask("SELECT 'x'");
    assert_int_equal(t.rows, -1);
}

static void a_statement_sees_the_state_before_it(void **state) {
    (void)state;
    make();
    assert_affects("INSERT INTO t SELECT * FROM t", 4);
    assert_affects("UPDATE t SET id = (SELECT max(id) FROM t) + 1 + id, name = (SELECT "
                   "count(*)::VARCHAR FROM t x WHERE x.id = t.id)",
                   8);
    assert_answer(LIST, "4:2 4:2 5:2 5:2 6:2 6:2 7:2 7:2");
    assert_affects("DELETE FROM t WHERE id = (SELECT min(id) FROM t)", 2);
    assert_affects("INSERT INTO t SELECT id, 'old' FROM t AT (VERSION => 1) WHERE id = 3", 1);
    assert_answer(LIST, "3:old 5:2 5:2 6:2 6:2 7:2 7:2");
}

static void an_expression_is_evaluated_once(void **state) {
    (void)state;
    ask("CREATE TABLE t AS SELECT i AS id, 0.0::DOUBLE AS a, 0.0::DOUBLE AS b FROM range(500) "
        "r(i)");
    for (int i = 0; i < 4; i++) {
        const struct told t = ask("UPDATE t SET a = random() + 1, b = 2 WHERE random() < 0.5");
        assert_true(t.rows > 0 && t.rows < 500);
        assert_answer("SELECT count(*) || ' ' || count(DISTINCT id) FROM t", "500 500");
    }
    const struct told t = ask("DELETE FROM t WHERE random() < 0.5");
    char left[32];
    (void)snprintf(left, sizeof(left), "%lld", (long long)(500 - t.rows));
    assert_answer("SELECT count(*)::VARCHAR FROM t", left);
}

static void values_become_the_columns_types(void **state) {
    (void)state;
    ask("CREATE TABLE t AS SELECT 1::INTEGER AS i, DATE '2020-01-01' AS d, 1.5::DECIMAL(6,2) AS m, "
        "[1::BIGINT] AS l, {'x': 1::INTEGER} AS s, true AS b, 'x' AS v");
    assert_affects("UPDATE t SET i = '42', d = '2021-02-03', m = 7, l = [4, 5], s = {'x': 9}, b = "
                   "'false', v = 12",
                   1);
    assert_answer("SELECT t::VARCHAR FROM t",
                  "{'i': 42, 'd': 2021-02-03, 'm': 7.00, 'l': [4, 5], 's': {'x': 9}, 'b': false, "
                  "'v': 12}");
    assert_affects("UPDATE t SET i = NULL, d = NULL, m = NULL, l = NULL, s = NULL, b = NULL, v = "
                   "NULL",
                   1);
    assert_affects("INSERT INTO t VALUES ('1', '2022-01-01', '2.5', NULL, NULL, 0, 3.5)", 1);
    assert_answer("SELECT string_agg(v || m || i || d || b) FROM t", "3.52.5012022-01-01false");
}

static void a_value_that_does_not_fit_names_its_column(void **state) {
    (void)state;
    make();
    assert_int_equal(failure("UPDATE t SET name = 'x', id = name WHERE id = 2"), ERR_DATA);
    assert_says("column \"id\" is INTEGER: 'n2' cannot be stored in it");
    assert_int_equal(err.position, 25);
    assert_int_equal(failure("UPDATE t SET id = 3000000000"), ERR_DATA);
    assert_int_equal(failure("INSERT INTO t VALUES ('one', 'x')"), ERR_DATA);
    assert_says("column \"id\"");
    assert_int_equal(failure("UPDATE t SET id = [1]"), ERR_DATA);
    assert_says("column \"id\" is INTEGER: '[1]' cannot be stored in it");
    assert_int_equal(failure("UPDATE t SET nix = 1"), ERR_SQL);
    assert_says("no column \"nix\"");
    assert_int_equal(err.position, 13);
    assert_int_equal(failure("INSERT INTO t (id, nix) VALUES (1, 2)"), ERR_SQL);
    assert_int_equal(failure("INSERT INTO t (id, ID) VALUES (1, 2)"), ERR_SQL);
    assert_says("named twice");
    assert_int_equal(failure("INSERT INTO t VALUES (1)"), ERR_SQL);
    assert_says("gives 1 columns, the dataset has 2");
    assert_int_equal(failure("INSERT INTO t (id) VALUES (1, 2)"), ERR_SQL);
    assert_int_equal(failure("UPDATE t SET name = nmae"), ERR_SQL);
    assert_int_equal(err.position, 20);
    assert_answer(LIST, "0:n0 1:n1 2:n2 3:n3");
}

static void a_required_column_takes_no_null(void **state) {
    (void)state;
    struct table_written w;
    OK(world_write(&world, TABLE_CREATE, "t", "(SELECT 1::INTEGER AS id, 'x' AS name)", &w));
    assert_int_equal(failure("UPDATE t SET name = NULL"), ERR_DATA);
    assert_says("column \"name\" takes no NULL");
    assert_int_equal(failure("INSERT INTO t (id) VALUES (1)"), ERR_DATA);
    assert_says("DROP NOT NULL");
    assert_affects("UPDATE t SET name = NULL WHERE id = 2", 0);
    ask("ALTER TABLE t ALTER COLUMN name DROP NOT NULL");
    assert_affects("INSERT INTO t (id) VALUES (1)", 1);
    assert_affects("UPDATE t SET name = NULL", 2);
}

static void columns_may_be_called_as_the_server_calls_its_own(void **state) {
    (void)state;
    ask("CREATE TABLE t AS SELECT i AS tarn_row, i * 2 AS tarn_file, i * 3 AS v0, i * 4 AS c0 FROM "
        "range(3) r(i)");
    assert_affects("UPDATE t SET tarn_row = tarn_file + v0, c0 = tarn_row WHERE tarn_row > 0", 2);
    assert_answer("SELECT string_agg(tarn_row || ':' || tarn_file || ':' || v0 || ':' || c0, ' ' "
                  "ORDER BY v0) FROM t",
                  "0:0:0:0 5:2:3:1 10:4:6:2");
    assert_affects("DELETE FROM t WHERE tarn_row = 5", 1);
    assert_answer("SELECT string_agg(v0::VARCHAR, ' ' ORDER BY v0) FROM t", "0 6");
}

static void the_servers_own_columns_are_not_seen(void **state) {
    (void)state;
    make();
    assert_int_equal(failure("UPDATE t SET name = t"), ERR_REFUSED);
    assert_says("whole row");
    assert_int_equal(failure("UPDATE t AS x SET name = (SELECT y FROM (SELECT X AS y))"),
                     ERR_REFUSED);
    assert_int_equal(failure("DELETE FROM t WHERE t IS NULL"), ERR_REFUSED);
    assert_int_equal(failure("DELETE FROM t WHERE CAST(row(1, T) AS VARCHAR) LIKE '%1%'"),
                     ERR_REFUSED);
    assert_int_equal(failure("UPDATE t SET name = q"), ERR_SQL);
    assert_null(strstr(err.msg, "Candidate"));
    assert_int_equal(err.position, 20);
    assert_int_equal(failure("DELETE FROM t WHERE file = 1"), ERR_SQL);
    assert_int_equal(err.position, 20);
    // A column may be called as its table is.
    ask("ALTER TABLE t RENAME COLUMN name TO t");
    assert_affects("UPDATE t SET t = t || '!' WHERE t = 'n1'", 1);
    assert_affects("DELETE FROM t WHERE t IN (SELECT t FROM t WHERE t LIKE '%!')", 1);
    assert_answer("SELECT string_agg(t, ' ' ORDER BY id) FROM t", "n0 n2 n3");
}

static void tables_are_made_from_queries(void **state) {
    (void)state;
    make();
    assert_affects("CREATE TABLE u AS SELECT name, count(*) AS n FROM t GROUP BY name", 4);
    assert_int_equal(failure("CREATE TABLE u AS SELECT 1 AS a"), ERR_EXISTS);
    assert_says("CREATE OR REPLACE TABLE");
    assert_affects("CREATE TABLE IF NOT EXISTS u AS SELECT 1 AS a", 0);
    assert_affects(
        "CREATE OR REPLACE TABLE U AS SELECT upper(name) AS name FROM u WHERE name < 'n2'", 2);
    assert_answer("SELECT string_agg(name, ' ' ORDER BY name) FROM u", "N0 N1");
    assert_affects("INSERT INTO u VALUES (NULL)", 1); // no column is required
    assert_affects("CREATE TABLE empty AS SELECT 1 AS a, 'x' AS b WHERE false", 0);
    assert_affects("INSERT INTO empty VALUES (1, 'x')", 1);
    assert_int_equal(failure("CREATE TABLE \"a b\" AS SELECT 1 AS a"), ERR_INVALID);
    assert_int_equal(failure("CREATE TABLE systematic AS SELECT 1 AS a"), ERR_INVALID);
    assert_int_equal(failure("CREATE TABLE v AS SELECT nix FROM t"), ERR_SQL);
    assert_int_equal(failure("CREATE TABLE v AS SELECT INTERVAL 1 DAY AS i"), ERR_UNSUPPORTED);
    assert_affects("DROP TABLE u", 3);
    assert_int_equal(failure("SELECT * FROM u"), ERR_NOT_FOUND);
    assert_int_equal(failure("DROP TABLE u"), ERR_NOT_FOUND);
    assert_affects("DROP TABLE IF EXISTS u", 0);
}

static void columns_are_altered(void **state) {
    (void)state;
    make();
    ask("ALTER TABLE t ADD COLUMN note VARCHAR, RENAME COLUMN name TO label, ALTER id TYPE BIGINT");
    assert_affects("UPDATE t SET note = label || '!', id = 5000000000 WHERE id = 3", 1);
    assert_answer("SELECT string_agg(id || label || coalesce(note, ''), ' ' ORDER BY id) FROM t",
                  "0n0 1n1 2n2 5000000000n3n3!");
    ask("ALTER TABLE t DROP note, ADD IF NOT EXISTS label INT, DROP COLUMN IF EXISTS nix");
    assert_int_equal(failure("SELECT note FROM t"), ERR_SQL);
    assert_int_equal(failure("ALTER TABLE t DROP COLUMN nix"), ERR_NOT_FOUND);
    assert_int_equal(failure("ALTER TABLE t ADD COLUMN x MOOD"), ERR_INVALID);
    ask("ALTER TABLE t RENAME TO u");
    assert_answer("SELECT count(*)::VARCHAR FROM u", "4");
    ask("ALTER TABLE IF EXISTS t RENAME TO v");
    assert_int_equal(failure("ALTER TABLE t RENAME TO v"), ERR_NOT_FOUND);
    assert_answer("SELECT string_agg(id || name, ' ' ORDER BY id) FROM u AT (VERSION => 1)",
                  "0n0 1n1 2n2 3n3");
}

static void raw_tables_show_what_is_still_there(void **state) {
    (void)state;
    make();
    assert_affects("DELETE FROM t WHERE id = 1", 1);
    assert_affects("UPDATE t SET name = 'two' WHERE id = 2", 1);
    assert_answer(LIST, "0:n0 2:two 3:n3");
    assert_answer("SELECT string_agg(id || ':' || name, ' ' ORDER BY id, name) FROM __raw__t",
                  "0:n0 1:n1 2:n2 2:two 3:n3");
    assert_answer("SELECT string_agg(r.id::VARCHAR, ' ' ORDER BY r.id) FROM __RAW__T r WHERE "
                  "(r.id, r.name) NOT IN (SELECT (id, name) FROM t)",
                  "1 2");
    assert_affects("INSERT INTO t SELECT id, name FROM __raw__t WHERE id = 1", 1);
    assert_answer(LIST, "0:n0 1:n1 2:two 3:n3");
    assert_int_equal(failure("SELECT * FROM __raw__nix"), ERR_NOT_FOUND);
}

static void the_servers_own_tables_can_be_asked(void **state) {
    (void)state;
    make();
    ask("DELETE FROM t WHERE id = 1");
    ask("CREATE TABLE u AS SELECT 'it''s \"q\" \\ \xC3\xA9' AS a");
    assert_answer(
        "SELECT string_agg(dataset || operation || rows || current, ' ' ORDER BY dataset, "
        "sequence_number) FROM system.snapshots",
        "tappend4false tdelete3true uappend1true");
    assert_answer(
        "SELECT string_agg(dataset || rows || deleted_rows, ' ') FROM system.files f WHERE "
        "f.dataset = 't'",
        "t41");
    assert_answer(
        "SELECT string_agg(action || ' ' || target || ' ' || reason, ', ' ORDER BY seq) "
        "FROM system.journal WHERE actor = 'ada'",
        "sql.create dataset:t because, sql.delete dataset:t because, sql.create dataset:u "
        "because");
    assert_answer("SELECT count(*)::VARCHAR FROM system.journal WHERE seq >= 3", "1");
    assert_answer("SELECT query_id || principal || state FROM system.queries", "qadarunning");
    assert_answer("SELECT count(*)::VARCHAR FROM system.snapshots WHERE dataset IN ('u', 'v')",
                  "1");
    assert_answer("SELECT typeof(committed_at) FROM system.snapshots LIMIT 1", "TIMESTAMP");
}

#define ALL (CATALOG_READ_RAW | CATALOG_WRITE | CATALOG_TOMBSTONE | CATALOG_ERASE)

static struct catalog_rights rights_on(const char *dataset, unsigned rights) {
    struct catalog_grant *grant = arena_alloc(&world.arena, sizeof(*grant));
    *grant = (struct catalog_grant){CATALOG_DATASET, str_from(dataset), rights};
    return (struct catalog_rights){.grants = grant, .grant_count = 1};
}

static enum err_code ask_with(unsigned rights, const char *sql) {
    const struct catalog_rights r = rights_on("t", rights);
    struct told t;
    return ask_as(&r, sql, &t);
}

static void failures_tell_what_was_attempted(void **state) {
    static const struct {
        unsigned rights;
        const char *sql, *attempt;
        enum err_code code;
    } rows[] = {
        {ALL, "DELETE FROM nobody", "sql.delete nobody", ERR_NOT_FOUND},
        {ALL, "UPDATE t SET ghost = 1", "sql.update t", ERR_SQL},
        {ALL, "MERGE INTO t", "sql.write ", ERR_REFUSED},
        {ALL, "SELECT * FROM nobody", " nobody", ERR_NOT_FOUND},
        {ALL, "SELECT * FROM t, __raw__nobody", " __raw__nobody", ERR_NOT_FOUND},
        {CATALOG_ERASE, "INSERT INTO t VALUES (1, 'x')", "sql.insert t", ERR_DENIED},
        {CATALOG_ERASE, "CREATE TABLE t AS SELECT 1 AS a", "sql.create t", ERR_DENIED},
        {CATALOG_ERASE, "SELECT * FROM __raw__t", " __raw__t", ERR_DENIED},
        {CATALOG_ERASE, "SELECT * FROM system.journal", " system.journal", ERR_DENIED},
        {CATALOG_WRITE, "CREATE TABLE t AS SELECT 1 AS a", "sql.create t", ERR_EXISTS},
        {CATALOG_WRITE, "INSERT INTO t SELECT * FROM __raw__t", "sql.insert t", ERR_DENIED},
        {ALL, "SELECT 1", " ", ERR_OK},
    };
    (void)state;
    make();
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        assert_int_equal(ask_with(rows[i].rights, rows[i].sql), rows[i].code);
        assert_string_equal(attempted, rows[i].attempt);
    }
}

static void each_statement_takes_its_right(void **state) {
    static const struct {
        const char *sql;
        unsigned needs;
    } statements[] = {{"SELECT * FROM t", CATALOG_READ_RAW},
                      {"SELECT * FROM __raw__t", CATALOG_READ_RAW},
                      {"SELECT 1 FROM (SELECT count(*) FROM T)", CATALOG_READ_RAW},
                      {"INSERT INTO t VALUES (9, 'x')", CATALOG_WRITE},
                      {"INSERT INTO t SELECT * FROM t", CATALOG_WRITE | CATALOG_READ_RAW},
                      {"INSERT INTO t SELECT * FROM __raw__t", CATALOG_WRITE | CATALOG_READ_RAW},
                      {"UPDATE t SET name = 'y' WHERE id = 1", CATALOG_WRITE | CATALOG_READ_RAW},
                      {"DELETE FROM t WHERE id = 1", CATALOG_WRITE | CATALOG_READ_RAW},
                      {"DELETE FROM t", CATALOG_WRITE | CATALOG_READ_RAW},
                      {"CREATE OR REPLACE TABLE t AS SELECT 1 AS id, 'a' AS name", CATALOG_WRITE},
                      {"CREATE TABLE IF NOT EXISTS t AS SELECT 1 AS id", CATALOG_WRITE},
                      {"ALTER TABLE t ADD COLUMN more INT", CATALOG_WRITE},
                      {"DROP TABLE t", CATALOG_WRITE}};
    (void)state;
    make();
    for (size_t i = 0; i < ARRAY_LEN(statements); i++) {
        const unsigned needs = statements[i].needs;
        for (unsigned without = 1; without <= CATALOG_ERASE; without <<= 1) {
            if ((needs & without) != 0 &&
                ask_with(ALL & ~without, statements[i].sql) != ERR_DENIED) {
                fail_msg("%s without %u: %s", statements[i].sql, without, err.msg);
            }
        }
        if (ask_with(needs, statements[i].sql) != ERR_OK) {
            fail_msg("%s: %s", statements[i].sql, err.msg);
        }
    }
}

// What is said of `hidden`, which is there, is what is said of `absent`, which is not.
static void a_dataset_without_rights_on_it_is_not_there(void **state) {
    static const char *const statements[] = {
        "SELECT * FROM ¦",
        "SELECT * FROM t JOIN ¦ USING (id)",
        "WITH x AS (SELECT * FROM ¦) SELECT * FROM x",
        "SELECT (SELECT max(name) FROM ¦) FROM t",
        "SELECT * FROM t WHERE id IN (FROM ¦)",
        "SELECT * FROM ¦ AT (VERSION => 1)",
        "SELECT * FROM __raw__¦",
        "SELECT * FROM \"¦\"",
        "INSERT INTO t SELECT * FROM ¦",
        "INSERT INTO ¦ SELECT * FROM t",
        "UPDATE t SET name = (SELECT max(name) FROM ¦)",
        "UPDATE ¦ SET name = 'x'",
        "DELETE FROM t WHERE id IN (SELECT id FROM ¦)",
        "DELETE FROM ¦",
        "DROP TABLE ¦",
        "DROP TABLE IF EXISTS ¦",
        "ALTER TABLE ¦ ADD COLUMN a INT",
        "ALTER TABLE IF EXISTS ¦ DROP COLUMN name",
        "ALTER TABLE ¦ RENAME TO mine",
        "CREATE TABLE mine AS SELECT * FROM ¦",
        "CREATE TABLE ¦ AS SELECT * FROM t",
        "CREATE OR REPLACE TABLE ¦ AS SELECT * FROM t",
        "CREATE TABLE IF NOT EXISTS ¦ AS SELECT * FROM t",
        "CREATE OR REPLACE TABLE t AS SELECT * FROM ¦",
    };
    const struct catalog_rights r = rights_on("t", CATALOG_READ_RAW | CATALOG_WRITE);
    struct told t;
    (void)state;
    make();
    (void)ask("CREATE TABLE hidden AS SELECT * FROM t");
    for (size_t i = 0; i < ARRAY_LEN(statements); i++) {
        const struct str text = str_from(statements[i]);
        const size_t at = (size_t)str_find(text, STR("¦"));
        const struct str head = str_slice(text, 0, at);
        const struct str tail = str_slice(text, at + strlen("¦"), text.len);
        static const char *const names[] = {"hidden", "absent"};
        struct err told[2];
        for (size_t n = 0; n < 2; n++) {
            const struct str sql = arena_printf(&world.arena, STR_FMT "%s" STR_FMT, STR_ARG(head),
                                                names[n], STR_ARG(tail));
            (void)ask_as(&r, sql.ptr, &t);
            told[n] = err;
            char *name = strstr(told[n].msg, names[n]);
            if (name != NULL) {
                memset(name, '-', strlen(names[n]));
            }
        }
        if (told[0].code != told[1].code || told[0].position != told[1].position ||
            strcmp(told[0].msg, told[1].msg) != 0) {
            fail_msg("%s: \"%s\" at %lld, but \"%s\" at %lld", statements[i], told[0].msg,
                     (long long)told[0].position, told[1].msg, (long long)told[1].position);
        }
    }
    assert_answer("SELECT count(*)::VARCHAR FROM hidden", "4");
}

static void making_and_renaming_take_the_bucket(void **state) {
    const struct catalog_grant grants[] = {{CATALOG_DATASET, STR("mine"), CATALOG_READ_RAW},
                                           {CATALOG_BUCKET, STR("primary"), CATALOG_WRITE}};
    const struct catalog_rights maker = {.grants = grants, .grant_count = 2};
    struct told t;
    (void)state;
    make();
    assert_int_equal(ask_with(CATALOG_WRITE, "CREATE TABLE u AS SELECT 1 AS a"), ERR_DENIED);
    assert_int_equal(ask_with(CATALOG_WRITE, "ALTER TABLE t RENAME TO u"), ERR_DENIED);
    OK(ask_as(&maker, "CREATE TABLE u AS SELECT 1 AS a", &t));
    OK(ask_as(&maker, "ALTER TABLE u RENAME TO v", &t));
    assert_int_equal(ask_as(&maker, "SELECT * FROM v", &t), ERR_DENIED);
    assert_int_equal(ask_as(&maker, "ALTER TABLE v RENAME TO mine", &t), ERR_DENIED);
}

static void tables_of_system_show_what_is_theirs(void **state) {
    const struct catalog_rights r = rights_on("t", CATALOG_READ_RAW);
    const struct catalog_rights writer = rights_on("t", CATALOG_WRITE);
    static const struct catalog_rights none = {0};
    struct told t;
    (void)state;
    make();
    (void)ask("CREATE TABLE hidden AS SELECT * FROM t");
    OK(ask_as(&r, "SELECT string_agg(DISTINCT dataset) FROM system.snapshots", &t));
    assert_string_equal(t.text, "t");
    OK(ask_as(&r, "SELECT string_agg(DISTINCT dataset) FROM system.files", &t));
    assert_string_equal(t.text, "t");
    OK(ask_as(&r, "SELECT count(*)::VARCHAR FROM system.queries", &t));
    assert_int_equal(ask_as(&r, "SELECT * FROM t, system.journal", &t), ERR_DENIED);
    assert_int_equal(err.position, 17);
    // Who may read no dataset raw asks in a worker, of which there is none here.
    assert_int_equal(ask_as(&writer, "SELECT count(*)::VARCHAR FROM system.files", &t), ERR_BUSY);
    assert_int_equal(ask_as(&none, "SELECT 1", &t), ERR_DENIED);
    assert_int_equal(ask_as(&none, "SELECT * FROM system.queries", &t), ERR_DENIED);
    assert_int_equal(ask_as(&none, "SELECT * FROM t", &t), ERR_NOT_FOUND);
}

// Statements of several threads at once.
struct worker {
    pthread_t thread;
    const char *sql;
    int times;
    int64_t rows;
    enum err_code code;
    struct err err;
};

static void *work(void *arg) {
    struct worker *w = arg;
    struct told t;
    for (int i = 0; i < w->times && w->code == ERR_OK; i++) {
        w->code = ask_as(&catalog_rights_all, w->sql, &t);
        w->rows += t.rows;
    }
    w->err = err;
    return NULL;
}

static void concurrent_statements_lose_nothing(void **state) {
    (void)state;
    ask("CREATE TABLE t AS SELECT 1 AS id, 0 AS n");
    struct worker workers[] = {
        {.sql = "UPDATE t SET n = n + 1 WHERE id = 1", .times = 6},
        {.sql = "UPDATE t SET n = n + (SELECT max(id) FROM t WHERE id = 1)", .times = 6},
        {.sql = "INSERT INTO u SELECT n FROM t WHERE id = 1", .times = 6},
        {.sql = "CREATE OR REPLACE TABLE t AS SELECT id, n + 1 AS n FROM t", .times = 6}};
    ask("CREATE TABLE u AS SELECT 0 AS n WHERE false");
    for (size_t i = 0; i < ARRAY_LEN(workers); i++) {
        workers[i].thread = threads_start("worker", work, &workers[i]);
    }
    for (size_t i = 0; i < ARRAY_LEN(workers); i++) {
        assert_int_equal(pthread_join(workers[i].thread, NULL), 0);
        if (workers[i].code != ERR_OK) {
            fail_msg("%s: %s", workers[i].sql, workers[i].err.msg);
        }
        assert_int_equal(workers[i].rows, 6);
    }
    assert_answer("SELECT string_agg(id || ':' || n, ' ') FROM t", "1:18");
    assert_answer("SELECT count(*)::VARCHAR FROM u", "6");
}

static void a_statement_that_fails_leaves_nothing_behind(void **state) {
    (void)state;
    make();
    const size_t files = world_files(&world, "primary/tables");
    assert_int_equal(failure("UPDATE t SET name = CAST(name AS INTEGER)::VARCHAR"), ERR_SQL);
    assert_int_equal(failure("INSERT INTO t SELECT id, error('no') FROM t"), ERR_REFUSED);
    assert_int_equal(failure("INSERT INTO t SELECT 1 // 0, CAST('x' AS INTEGER)::VARCHAR"),
                     ERR_SQL);
    assert_int_equal(failure("CREATE TABLE u AS SELECT CAST(name AS INTEGER) AS a FROM t"),
                     ERR_SQL);
    assert_int_equal(world_files(&world, "primary/tables"), files);
    assert_int_equal(world_files(&world, "spool"), 0);
    struct query_info *list;
    size_t count;
    queries_list(queries, STR_NONE, &world.arena, &list, &count);
    assert_int_equal(count, 0);
}

static void have_time(int64_t ms) {
    const struct queries_parts parts = {.tables = world.tables, .engine = engine};
    queries_close(TAKE(queries));
    world.config.query_timeout = ms;
    OK(queries_open(&world.config, &parts, &queries, &err));
}

static void a_deadline_ends_a_statement_whole(void **state) {
    (void)state;
    make();
    have_time(300);
    assert_int_equal(failure("UPDATE t SET name = (SELECT count(*)::VARCHAR FROM range(100000000) "
                             "a(i), range(100000000) b(j) WHERE (a.i * b.j) % 7 = 8)"),
                     ERR_TIMEOUT);
    have_time(600000);
    assert_answer(LIST, "0:n0 1:n1 2:n2 3:n3");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(rows_come_change_and_go),
        TEST(a_statement_says_what_it_did),
        TEST(a_statement_sees_the_state_before_it),
        TEST(an_expression_is_evaluated_once),
        TEST(values_become_the_columns_types),
        TEST(a_value_that_does_not_fit_names_its_column),
        TEST(a_required_column_takes_no_null),
        TEST(columns_may_be_called_as_the_server_calls_its_own),
        TEST(the_servers_own_columns_are_not_seen),
        TEST(tables_are_made_from_queries),
        TEST(columns_are_altered),
        TEST(raw_tables_show_what_is_still_there),
        TEST(the_servers_own_tables_can_be_asked),
        TEST(failures_tell_what_was_attempted),
        TEST(each_statement_takes_its_right),
        TEST(a_dataset_without_rights_on_it_is_not_there),
        TEST(making_and_renaming_take_the_bucket),
        TEST(tables_of_system_show_what_is_theirs),
        TEST(concurrent_statements_lose_nothing),
        TEST(a_statement_that_fails_leaves_nothing_behind),
        TEST(a_deadline_ends_a_statement_whole),
    };
    log_set_level(LOG_WARN);
    return cmocka_run_group_tests(tests, open_engine, close_engine);
}
