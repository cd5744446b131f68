// Tests of tables: create, append, replace, evolve, time travel, and what each refuses.

#include "table/table.h"

#include "base/clock.h"
#include "table/one_world_test.h"

static int end(void **state) {
    (void)state;
    clock_set_wall(NULL);
    world_close(&world);
    return 0;
}

static struct table_written create(const char *dataset, const char *source) {
    struct table_written w;
    OK(world_write(&world, TABLE_CREATE, dataset, source, &w));
    return w;
}

static struct table_written append(const char *dataset, const char *source) {
    struct table_written w;
    OK(world_write(&world, TABLE_APPEND, dataset, source, &w));
    return w;
}

static struct table_written replace(const char *dataset, const char *source) {
    struct table_written w;
    OK(world_write(&world, TABLE_REPLACE, dataset, source, &w));
    return w;
}

static enum err_code try_evolve(const char *dataset, const char *source,
                                struct table_written *ret) {
    return world_write_as(&world,
                          (struct table_write){.dataset = str_from(dataset),
                                               .mode = TABLE_APPEND,
                                               .evolve = true,
                                               .source = str_from(source)},
                          ret);
}

static struct table_written evolve(const char *dataset, const char *source) {
    struct table_written w;
    OK(try_evolve(dataset, source, &w));
    return w;
}

static enum err_code refused(enum table_mode mode, const char *dataset, const char *source) {
    struct table_written w;
    enum err_code code = world_write(&world, mode, dataset, source, &w);
    assert_int_equal(code, err.code);
    return code;
}

static void assert_value(const char *dataset, const char *expr, const char *expected) {
    assert_str(world_value(&world, dataset, expr), expected);
}

// "1 id long required; 2 name string"
static struct str schema_text(const struct ice_schema *s) {
    struct str out = STR_NONE;
    for (size_t i = 0; i < s->field_count; i++) {
        const struct ice_field *f = &s->fields[i];
        out = arena_printf(&world.arena, STR_FMT "%s%d " STR_FMT " " STR_FMT "%s", STR_ARG(out),
                           i == 0 ? "" : "; ", f->id, STR_ARG(f->name),
                           STR_ARG(ice_type_text(&f->type, &world.arena)),
                           f->required ? " required" : "");
    }
    return out;
}

static struct table_pin pin_at(const char *dataset, enum table_at at, int64_t value) {
    struct table_pin pin;
    const struct table_want want = {.name = str_from(dataset), .at = at, .value = value};
    OK(table_pin_at(world.tables, &want, &world.arena, &pin, &err));
    return pin;
}

static enum err_code no_pin_at(const char *dataset, enum table_at at, int64_t value) {
    struct table_pin pin;
    const struct table_want want = {.name = str_from(dataset), .at = at, .value = value};
    return table_pin_at(world.tables, &want, &world.arena, &pin, &err);
}

static void assert_value_at(const struct table_pin *pin, const char *expr, const char *expected) {
    const struct table_conditions none = {0};
    assert_str(world_value_of(&world, pin, &none, expr, ""), expected);
}

static void a_created_dataset_has_its_rows_after_a_restart(void **state) {
    (void)state;
    struct table_written w =
        create("t", "(SELECT i AS id, 'n' || i AS name FROM range(1000) r(i))");
    assert_true(w.created);
    assert_false(w.unchanged);
    assert_int_equal(w.rows, 1000);
    assert_int_equal(w.files, 1);
    assert_true(w.bytes > 0);
    assert_int_equal(w.dataset.rows, 1000);
    assert_int_equal(w.dataset.bytes, w.bytes);
    assert_str(schema_text(w.schema), "1 id long required; 2 name string required");
    for (int restart = 0; restart < 2; restart++) {
        assert_value("t", "count(*) || ' ' || sum(id) || ' ' || min(name) || ' ' || max(name)",
                     "1000 499500 n0 n999");
        world_reopen(&world);
    }
    assert_int_equal(world_files(&world, "spool"), 0);
}

static void append_adds_and_replace_takes_the_place(void **state) {
    (void)state;
    create("t", "(SELECT i AS id FROM range(10) r(i))");
    struct table_written w = append("t", "(SELECT i AS id FROM range(10, 15) r(i))");
    assert_false(w.created);
    assert_int_equal(w.rows, 5);
    assert_int_equal(w.dataset.rows, 15);
    assert_int_equal(w.dataset.files, 2);
    assert_value("t", "count(*) || ' ' || sum(id)", "15 105");
    w = replace("t", "(SELECT 7::BIGINT AS id)");
    assert_int_equal(w.dataset.rows, 1);
    assert_int_equal(w.dataset.files, 1);
    assert_int_equal(w.dataset.bytes, w.bytes);
    assert_value("t", "count(*) || ' ' || sum(id)", "1 7");
    w = append("t", "(SELECT 8 AS id)");
    assert_value("t", "count(*) || ' ' || sum(id)", "2 15");
    world_reopen(&world);
    assert_value("t", "count(*) || ' ' || sum(id)", "2 15");
}

static void modes_refuse_what_they_are_not_for(void **state) {
    (void)state;
    assert_int_equal(refused(TABLE_APPEND, "t", "(SELECT 1 AS a)"), ERR_NOT_FOUND);
    assert_string_equal(err.msg, "no dataset \"t\" (mode=create makes it)");
    create("t", "(SELECT 1 AS a)");
    assert_int_equal(refused(TABLE_CREATE, "t", "(SELECT 1 AS a)"), ERR_EXISTS);
    assert_says("there is a dataset \"t\" already");
    assert_int_equal(refused(TABLE_CREATE, "T", "(SELECT 1 AS a)"), ERR_EXISTS);
    assert_int_equal(refused(TABLE_CREATE, "a b", "(SELECT 1 AS a)"), ERR_INVALID);
    assert_int_equal(refused(TABLE_CREATE, "system_x", "(SELECT 1 AS a)"), ERR_INVALID);
    assert_int_equal(refused(TABLE_CREATE, "u", "(SELECT nonsense)"), ERR_SQL);
    assert_int_equal(refused(TABLE_CREATE, "u",
                             "(SELECT CASE WHEN i = 5000 THEN error('boom')::INTEGER ELSE i END "
                             "AS a FROM range(6000) r(i))"),
                     ERR_SQL);
    assert_says("boom");
    struct table_written w;
    assert_int_equal(world_write_as(&world,
                                    (struct table_write){.dataset = STR("u"),
                                                         .bucket = STR("nowhere"),
                                                         .source = STR("(SELECT 1 AS a)")},
                                    &w),
                     ERR_NOT_FOUND);
    assert_says("no bucket \"nowhere\"");
    assert_int_equal(world_files(&world, "spool"), 0);
    assert_int_equal(no_pin_at("u", TABLE_AT_NOW, 0), ERR_NOT_FOUND);
}

static void replace_makes_what_is_not_there(void **state) {
    (void)state;
    struct table_written w = replace("t", "(SELECT 1 AS a)");
    assert_true(w.created);
    assert_value("t", "sum(a)", "1");
}

static void the_same_file_changes_nothing(void **state) {
    (void)state;
    struct table_written w;
    const struct table_write write = {
        .dataset = STR("t"), .source = STR("(SELECT 1 AS a)"), .source_sha256 = STR("0123")};
    OK(world_write_as(&world, write, &w));
    uint64_t version = w.dataset.version;
    size_t files = world_files(&world, "primary/tables");
    OK(world_write_as(&world, write, &w));
    assert_true(w.unchanged);
    assert_false(w.created);
    assert_int_equal(w.rows, 0);
    assert_int_equal(w.dataset.version, version);
    assert_str(schema_text(w.schema), "1 a int required");
    assert_int_equal(world_files(&world, "primary/tables"), files);
    struct table_write other = write;
    other.source_sha256 = STR("4567");
    assert_int_equal(world_write_as(&world, other, &w), ERR_EXISTS);
    assert_says("made from another file");
    // Appending makes it another dataset, but creating it from its file is still asked and done.
    OK(world_write(&world, TABLE_REPLACE, "t", "(SELECT 2 AS a)", &w));
    assert_int_equal(world_write_as(&world, write, &w), ERR_EXISTS);
}

static void a_dataset_may_have_no_rows(void **state) {
    (void)state;
    struct table_written w = create("t", "(SELECT i AS a, [i] AS l FROM range(5) r(i) LIMIT 0)");
    assert_int_equal(w.rows, 0);
    assert_int_equal(w.files, 0);
    assert_str(schema_text(w.schema), "1 a long; 2 l list<long>");
    assert_value("t", "count(*)", "0");
    w = append("t", "(SELECT i AS a, [i] AS l FROM range(5) r(i) LIMIT 0)");
    assert_int_equal(w.dataset.rows, 0);
    w = append("t", "(SELECT 4::BIGINT AS a, [5]::BIGINT[] AS l)");
    assert_value("t", "count(*) || ' ' || sum(a) || ' ' || sum(l[1])", "1 4 5");
    w = replace("t", "(SELECT i AS a, [i] AS l FROM range(5) r(i) LIMIT 0)");
    assert_int_equal(w.dataset.rows, 0);
    assert_value("t", "count(*)", "0");
    world_reopen(&world);
    assert_value("t", "count(*)", "0");
}

static void columns_without_null_are_required(void **state) {
    (void)state;
    struct table_written w = create("t", "(SELECT i AS a, nullif(i, 3) AS b, [i] AS l, "
                                         "{x: i} AS s FROM range(10) r(i))");
    assert_str(schema_text(w.schema),
               "1 a long required; 2 b long; 3 l list<long>; 4 s struct<x: long>");
    append("t", "(SELECT NULL::BIGINT AS b, 1::BIGINT AS a, [NULL]::BIGINT[] AS l, "
                "{x: NULL::BIGINT} AS s)");
    assert_int_equal(refused(TABLE_APPEND, "t",
                             "(SELECT CASE WHEN i < 2 THEN NULL ELSE i END AS a, i AS b, "
                             "[i] AS l, {x: i} AS s FROM range(5) r(i))"),
                     ERR_SCHEMA);
    assert_string_equal(err.msg, "column \"a\" has 2 NULLs in the file, and dataset \"t\" allows "
                                 "none there (evolve=true allows them)");
    assert_value("t", "count(*) || ' ' || count(a) || ' ' || count(b)", "11 11 9");
    w = evolve("t", "(SELECT NULL::BIGINT AS a, 1 AS b, [1] AS l, {x: 1} AS s)");
    assert_str(schema_text(w.schema), "1 a long; 2 b long; 3 l list<long>; 4 s struct<x: long>");
    assert_value("t", "count(*) || ' ' || count(a)", "12 11");
}

static void an_append_names_every_column_that_differs(void **state) {
    (void)state;
    create("t", "(SELECT 1 AS a, 'x' AS b, 1.5::FLOAT AS c, 1::DECIMAL(4,2) AS d, DATE "
                "'2020-01-01' AS e, [1] AS l)");
    assert_int_equal(refused(TABLE_APPEND, "t",
                             "(SELECT 1::BIGINT AS a, 2 AS b, 1.5::DOUBLE AS c, "
                             "1::DECIMAL(8,2) AS d, 'x' AS f, INTERVAL 1 DAY AS l)"),
                     ERR_SCHEMA);
    assert_string_equal(
        err.msg,
        "7 columns differ from dataset \"t\": \"a\" is long in the file, int in the dataset "
        "(evolve=true widens it); \"b\" is int in the file, string in the dataset; \"c\" is double "
        "in the file, float in the dataset (evolve=true widens it); \"d\" is decimal(8,2) in the "
        "file, decimal(4,2) in the dataset (evolve=true widens it); \"e\" is missing in the file "
        "(evolve=true fills it with NULL); and 2 more");
    assert_int_equal(refused(TABLE_APPEND, "t",
                             "(SELECT 1 AS a, 'x' AS b, 1.5::FLOAT AS c, 1::DECIMAL(4,2) AS d, "
                             "now()::DATE AS e, INTERVAL 1 DAY AS l, 1 AS f)"),
                     ERR_SCHEMA);
    assert_string_equal(
        err.msg, "2 columns differ from dataset \"t\": column \"l\" is of type INTERVAL, which the "
                 "table format does not have: store its parts as numbers, or cast it to VARCHAR; "
                 "\"f\" is not in the dataset (evolve=true adds it)");
    struct table_written w;
    assert_int_equal(try_evolve("t", "(SELECT 'x' AS a, 'x' AS b, 1.5::FLOAT AS c)", &w),
                     ERR_SCHEMA);
    assert_string_equal(err.msg, "1 column differs from dataset \"t\": \"a\" is string in the "
                                 "file, int in the dataset");
    assert_value("t", "count(*)", "1");
}

static void many_differences_do_not_break_the_message(void **state) {
    (void)state;
    struct buf from = BUF(1 << 20);
    struct buf to = BUF(1 << 20);
    for (int i = 0; i < 500; i++) {
        buf_printf(&from, "%s1 AS a_rather_long_column_%d", i == 0 ? "(SELECT " : ", ", i);
        buf_printf(&to, "%s1 AS another_rather_long_column_%d", i == 0 ? "(SELECT " : ", ", i);
    }
    buf_add_char(&from, ')');
    buf_add_char(&to, ')');
    create("t", from.ptr);
    assert_int_equal(refused(TABLE_APPEND, "t", to.ptr), ERR_SCHEMA);
    assert_says("1000 columns differ from dataset \"t\": \"a_rather_long_column_0\" is missing");
    assert_says("column_3\" is missing in the file (evolve=true fills it with NULL); and 996 more");
    buf_release(&from);
    buf_release(&to);
}

// What is stored without loss needs no evolution.
static void narrower_values_are_stored_as_the_dataset_has_them(void **state) {
    (void)state;
    create("t", "(SELECT 1::BIGINT AS a, 1.5::DOUBLE AS b, 1::DECIMAL(12,2) AS c, "
                "1::DECIMAL(21,2) AS d, TIMESTAMP '2020-01-01 10:00:00' AS e, 1.5::DOUBLE AS f)");
    append("t", "(SELECT 2::TINYINT AS a, 2.5::FLOAT AS b, 2::INTEGER AS c, 2::BIGINT AS d, "
                "DATE '2020-01-02' AS e, 2::INTEGER AS f)");
    assert_value("t",
                 "sum(a) || ' ' || sum(b) || ' ' || sum(c) || ' ' || sum(d) || ' ' || max(e) "
                 "|| ' ' || sum(f)",
                 "3 4.0 3.00 3.00 2020-01-02 00:00:00 3.5");
    static const char *const refusals[] = {
        "(SELECT 1 AS a, 1::BIGINT AS b, 1 AS c, 1 AS d, now()::TIMESTAMP AS e, 1 AS f)",
        "(SELECT 1 AS a, 1 AS b, 1::BIGINT AS c, 1 AS d, now()::TIMESTAMP AS e, 1 AS f)",
        "(SELECT 1.5 AS a, 1 AS b, 1 AS c, 1 AS d, now()::TIMESTAMP AS e, 1 AS f)",
        "(SELECT 1 AS a, 1 AS b, 1 AS c, 1 AS d, now() AS e, 1 AS f)",
        "(SELECT 1 AS a, 1 AS b, 1::DECIMAL(4,3) AS c, 1 AS d, now()::TIMESTAMP AS e, 1 AS f)",
    };
    for (size_t i = 0; i < ARRAY_LEN(refusals); i++) {
        assert_int_equal(refused(TABLE_APPEND, "t", refusals[i]), ERR_SCHEMA);
        assert_says("1 column differs");
    }
}

static void evolution_keeps_old_files_readable(void **state) {
    (void)state;
    create("t", "(SELECT i::INTEGER AS i, (i / 2)::FLOAT AS f, i::DECIMAL(4,2) AS d, 'x' AS gone "
                "FROM range(4) r(i))");
    struct table_written w = evolve("t", "(SELECT 5000000000 AS i, 0.1::DOUBLE AS f, "
                                         "123456.75::DECIMAL(10,2) AS d, "
                                         "{p: 1, q: ['z']} AS \"ne w\")");
    assert_str(schema_text(w.schema),
               "1 i long required; 2 f double required; 3 d decimal(10,2) required; 4 gone string; "
               "5 ne w struct<p: int, q: list<string>>");
    for (int restart = 0; restart < 2; restart++) {
        assert_value("t",
                     "count(*) || ' ' || sum(i) || ' ' || sum(d) || ' ' || count(gone) || ' ' "
                     "|| count(\"ne w\") || ' ' || max(\"ne w\".q[1]) || ' ' || max(f)",
                     "5 5000000006 123462.75 4 1 z 1.5");
        assert_value("t", "typeof(first(i)) || typeof(first(f)) || typeof(first(d))",
                     "BIGINTDOUBLEDECIMAL(10,2)");
        world_reopen(&world);
    }
    // Appending narrow values again goes on under the wide schema.
    w = append("t", "(SELECT 1::INTEGER AS i, 1.5::FLOAT AS f, 1::DECIMAL(4,2) AS d, 'y' AS gone, "
                    "{p: 2, q: ['a']} AS \"ne w\")");
    assert_int_equal(w.schema->schema_id, 1);
    assert_value("t", "count(*) || ' ' || count(gone)", "6 5");
}

static void an_added_column_has_its_own_id_each_time(void **state) {
    (void)state;
    create("t", "(SELECT 1 AS a)");
    evolve("t", "(SELECT 1 AS a, 2 AS b)");
    struct table_written w = evolve("t", "(SELECT 1 AS a, {c: 3} AS s)");
    assert_str(schema_text(w.schema), "1 a int required; 2 b int; 3 s struct<c: int>");
    assert_int_equal(w.schema->fields[2].type.fields[0].id, 4);
    assert_value("t", "count(*) || ' ' || sum(b) || ' ' || sum(s.c)", "3 2 3");
}

static void names_of_columns_match_without_case(void **state) {
    (void)state;
    create("t", "(SELECT 1 AS \"Id\", 2 AS b)");
    struct table_written w = append("t", "(SELECT 20 AS b, 10 AS ID)");
    assert_str(schema_text(w.schema), "1 Id int required; 2 b int required");
    assert_value("t", "sum(\"Id\") || ' ' || sum(b)", "11 22");
}

static void odd_column_names_work(void **state) {
    (void)state;
    static const char source[] = "(SELECT 1 AS \"a b\", 2 AS \"select\", 3 AS \"q\"\"uo'te\", 4 AS "
                                 "\"\xc3\xa4\xe5\x9f\x8e\", 5 AS \"a.b\", 6 AS \"file_name\", "
                                 "{\"x.y\": 7, \"z'\": 8} AS \"filename\", 9 AS \"element\")";
    create("t", source);
    append("t", source);
    assert_value("t",
                 "sum(\"a b\") || ' ' || sum(\"select\") || ' ' || sum(\"q\"\"uo'te\") || ' ' "
                 "|| sum(\"\xc3\xa4\xe5\x9f\x8e\") || ' ' || sum(\"a.b\") || ' ' || "
                 "sum(filename.\"x.y\") || ' ' || sum(filename.\"z'\")",
                 "2 4 6 8 10 14 16");
}

static void columns_that_differ_only_in_case_are_two_or_refused(void **state) {
    (void)state;
    struct table_written w = create("t", "(SELECT 1 AS a, 2 AS \"A\")");
    assert_int_equal(w.schema->field_count, 2);
    assert_false(str_eq_nocase(w.schema->fields[0].name, w.schema->fields[1].name));
}

static void replace_keeps_the_ids_of_columns_that_stay(void **state) {
    (void)state;
    create("t", "(SELECT 1 AS a, 'x' AS b, [1] AS l)");
    struct table_written w = replace("t", "(SELECT 'y' AS b, 2.5::DOUBLE AS a, [2] AS l, 1 AS c)");
    assert_str(schema_text(w.schema),
               "2 b string required; 5 a double required; 3 l list<int>; 6 c int required");
    assert_int_equal(w.schema->fields[2].type.fields[0].id, 4);
    assert_value("t", "first(b) || ' ' || first(a) || ' ' || first(l[1])", "y 2.5 2");
    // Back to the first form: ids are never used twice for different types.
    w = replace("t", "(SELECT 1 AS a, 'x' AS b, [1] AS l)");
    assert_str(schema_text(w.schema), "7 a int required; 2 b string required; 3 l list<int>");
}

static void old_versions_can_be_read(void **state) {
    (void)state;
    create("t", "(SELECT 1 AS a)");
    int64_t first = pin_at("t", TABLE_AT_NOW, 0).snapshot->id;
    append("t", "(SELECT 2 AS a)");
    evolve("t", "(SELECT 3000000000 AS a, 'x' AS b)");
    replace("t", "(SELECT 'new' AS c)");
    for (int restart = 0; restart < 2; restart++) {
        struct table_pin pin = pin_at("t", TABLE_AT_VERSION, 1);
        assert_int_equal(pin.snapshot->id, first);
        assert_str(schema_text(pin.schema), "1 a int required");
        assert_value_at(&pin, "count(*) || ' ' || sum(a)", "1 1");
        pin = pin_at("t", TABLE_AT_VERSION, first);
        assert_value_at(&pin, "sum(a)", "1");
        pin = pin_at("t", TABLE_AT_VERSION, 2);
        assert_value_at(&pin, "count(*) || ' ' || sum(a)", "2 3");
        pin = pin_at("t", TABLE_AT_VERSION, 3);
        assert_str(schema_text(pin.schema), "1 a long required; 2 b string");
        assert_value_at(&pin, "count(*) || ' ' || sum(a) || ' ' || count(b)", "3 3000000003 1");
        pin = pin_at("t", TABLE_AT_VERSION, 4);
        assert_value_at(&pin, "first(c)", "new");
        world_reopen(&world);
    }
    assert_int_equal(no_pin_at("t", TABLE_AT_VERSION, 5), ERR_NOT_FOUND);
    assert_string_equal(err.msg, "dataset \"t\" has no version 5 (its 4 snapshots are listed by "
                                 "GET /catalog/datasets/by-name/t)");
    assert_int_equal(no_pin_at("t", TABLE_AT_VERSION, 0), ERR_NOT_FOUND);
    assert_int_equal(no_pin_at("t", TABLE_AT_VERSION, -1), ERR_NOT_FOUND);
}

static int64_t fixed_time;

static int64_t fixed_clock(void) {
    return fixed_time;
}

static void a_time_reads_what_was_current_then(void **state) {
    (void)state;
    const int64_t second = 1000000;
    const int64_t noon = 1795348800 * second;
    clock_set_wall(fixed_clock);
    fixed_time = noon;
    create("t", "(SELECT 1 AS a)");
    fixed_time = noon + 10 * second;
    append("t", "(SELECT 2 AS a)");
    fixed_time = noon + 20 * second;
    append("t", "(SELECT 3 AS a)");
    struct table_pin pin = pin_at("t", TABLE_AT_TIMESTAMP, noon);
    assert_value_at(&pin, "count(*)", "1");
    pin = pin_at("t", TABLE_AT_TIMESTAMP, noon + 10 * second - 1);
    assert_value_at(&pin, "count(*)", "1");
    pin = pin_at("t", TABLE_AT_TIMESTAMP, noon + 10 * second);
    assert_value_at(&pin, "count(*)", "2");
    pin = pin_at("t", TABLE_AT_TIMESTAMP, noon + 3600 * second);
    assert_value_at(&pin, "count(*)", "3");
    assert_int_equal(no_pin_at("t", TABLE_AT_TIMESTAMP, noon - 1), ERR_NOT_FOUND);
    assert_string_equal(err.msg, "dataset \"t\" did not exist at 2026-11-22T11:59:59.999999Z");
    assert_int_equal(no_pin_at("t", TABLE_AT_TIMESTAMP, -1), ERR_NOT_FOUND);
    // A clock that goes back does not make the table's history go back.
    fixed_time = noon - 3600 * second;
    append("t", "(SELECT 4 AS a)");
    pin = pin_at("t", TABLE_AT_TIMESTAMP, noon + 20 * second);
    assert_value_at(&pin, "count(*)", "4");
    pin = pin_at("t", TABLE_AT_TIMESTAMP, noon + 10 * second);
    assert_value_at(&pin, "count(*)", "2");
}

static void a_large_write_makes_several_files(void **state) {
    (void)state;
    world_stop(&world);
    world.target_bytes = 64 << 10;
    world_start(&world);
    struct table_written w =
        create("t", "(SELECT i, hash(i) AS h, nullif(i % 7, 3) AS n FROM range(500000) r(i))");
    assert_true(w.files > 3);
    assert_value("t", "count(*) || ' ' || sum(i) || ' ' || min(i) || ' ' || max(i)",
                 "500000 124999750000 0 499999");
    // NULLs are counted over all files.
    assert_str(schema_text(w.schema), "1 i long required; 2 h decimal(20,0) required; 3 n long");
    assert_int_equal(world_files(&world, "spool"), 0);
    w = replace("t", "(SELECT 1 AS i)");
    assert_value("t", "count(*)", "1");
}

static struct str snapshot_member(const struct ice_snapshot *s, const char *key) {
    for (size_t i = 0; i < s->summary_count; i++) {
        if (str_is(s->summary[i].key, key)) {
            return s->summary[i].value;
        }
    }
    return STR_NONE;
}

static void metadata_says_what_happened(void **state) {
    (void)state;
    create("t", "(SELECT i AS a FROM range(10) r(i))");
    append("t", "(SELECT i AS a FROM range(5) r(i))");
    replace("t", "(SELECT i AS a FROM range(3) r(i))");
    struct table_pin pin = pin_at("t", TABLE_AT_NOW, 0);
    const struct ice_metadata *m = pin.metadata;
    static const char *const expected[][8] = {
        // operation, added and deleted files and records, totals of files and records
        {"append", "1", "10", "", "", "1", "10"},
        {"append", "1", "5", "", "", "2", "15"},
        {"overwrite", "1", "3", "2", "15", "1", "3"},
    };
    assert_int_equal(m->snapshot_count, 3);
    assert_int_equal(m->snapshot_log_count, 3);
    assert_int_equal(m->metadata_log_count, 2);
    assert_int_equal(m->last_sequence_number, 3);
    assert_int_equal(m->current_snapshot_id, m->snapshots[2].id);
    for (size_t i = 0; i < m->snapshot_count; i++) {
        const struct ice_snapshot *s = &m->snapshots[i];
        assert_int_equal(s->sequence_number, i + 1);
        assert_int_equal(s->parent_id, i == 0 ? 0 : m->snapshots[i - 1].id);
        assert_str(s->operation, expected[i][0]);
        assert_str(snapshot_member(s, "added-data-files"), expected[i][1]);
        assert_str(snapshot_member(s, "added-records"), expected[i][2]);
        assert_str(snapshot_member(s, "deleted-data-files"), expected[i][3]);
        assert_str(snapshot_member(s, "deleted-records"), expected[i][4]);
        assert_str(snapshot_member(s, "total-data-files"), expected[i][5]);
        assert_str(snapshot_member(s, "total-records"), expected[i][6]);
    }
    assert_true(str_starts(m->location, STR("file:///tmp/")));
    struct str first = m->metadata_log[0].metadata;
    assert_true(str_find(first, STR("/metadata/00000-")) > 0);
    assert_true(str_find(m->metadata_log[1].metadata, STR("/metadata/00001-")) > 0);
    assert_true(str_find(pin.dataset.metadata, STR("/metadata/00002-")) > 0);
}

static void a_moved_data_folder_still_opens(void **state) {
    (void)state;
    create("t", "(SELECT i AS a FROM range(10) r(i))");
    append("t", "(SELECT i AS a FROM range(5) r(i))");
    world_stop(&world);
    char before[80];
    memcpy(before, world.root, sizeof(world.root));
    (void)snprintf(world.root, sizeof(world.root), "/tmp/tarn_moved_%d", (int)getpid());
    assert_int_equal(rename(before, world.root), 0);
    world.config.server_data = str_from(world.root);
    world_start(&world);
    assert_value("t", "count(*)", "15");
    append("t", "(SELECT i AS a FROM range(2) r(i))");
    assert_value("t", "count(*)", "17");
    replace("t", "(SELECT 1::BIGINT AS a)");
    assert_value("t", "count(*)", "1");
    struct table_pin pin = pin_at("t", TABLE_AT_VERSION, 3);
    assert_value_at(&pin, "count(*)", "17");
}

static void a_damaged_table_is_named(void **state) {
    (void)state;
    struct table_written w = create("t", "(SELECT 1 AS a)");
    struct str path =
        arena_printf(&world.arena, "%s/primary/" STR_FMT, world.root, STR_ARG(w.dataset.metadata));
    assert_int_equal(unlink(path.ptr), 0);
    world_reopen(&world);
    assert_int_equal(no_pin_at("t", TABLE_AT_NOW, 0), ERR_CORRUPT);
    assert_says("dataset \"t\": ");
    assert_int_equal(refused(TABLE_APPEND, "t", "(SELECT 1 AS a)"), ERR_CORRUPT);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, world_begin, end)
    const struct CMUnitTest tests[] = {
        TEST(a_created_dataset_has_its_rows_after_a_restart),
        TEST(append_adds_and_replace_takes_the_place),
        TEST(modes_refuse_what_they_are_not_for),
        TEST(replace_makes_what_is_not_there),
        TEST(the_same_file_changes_nothing),
        TEST(a_dataset_may_have_no_rows),
        TEST(columns_without_null_are_required),
        TEST(an_append_names_every_column_that_differs),
        TEST(many_differences_do_not_break_the_message),
        TEST(narrower_values_are_stored_as_the_dataset_has_them),
        TEST(evolution_keeps_old_files_readable),
        TEST(an_added_column_has_its_own_id_each_time),
        TEST(names_of_columns_match_without_case),
        TEST(odd_column_names_work),
        TEST(columns_that_differ_only_in_case_are_two_or_refused),
        TEST(replace_keeps_the_ids_of_columns_that_stay),
        TEST(old_versions_can_be_read),
        TEST(a_time_reads_what_was_current_then),
        TEST(a_large_write_makes_several_files),
        TEST(metadata_says_what_happened),
        TEST(a_moved_data_folder_still_opens),
        TEST(a_damaged_table_is_named),
    };
    return cmocka_run_group_tests(tests, open_engine, close_engine);
}
