// Tests of views: what a definition may be, what it shows, and when it is not read at all.

#include "base/clock.h"
#include "table/table_alter.h"
#include "view/house_test.h"

#define PEOPLE                                                                                     \
    "(SELECT i::INTEGER AS id, 'name ' || i AS name, CASE WHEN i % 4 = 0 THEN 'blocked' ELSE "     \
    "'active' END AS status, 'm' || i || '@x.test' AS email, (i * 100)::BIGINT AS pay, "           \
    "DATE '2020-05-17' + i::INTEGER AS born FROM range(20) r(i))"

// ---- Checking

static void a_definition_names_columns_by_their_ids(void **state) {
    (void)state;
    struct catalog_view v;
    write_rows(TABLE_CREATE, "people", PEOPLE);
    write_rows(TABLE_CREATE, "acl", "(SELECT 1::INTEGER AS id, 'x' AS team)");
    OK(check_view("safe", "People", "{\"ID\": null, \"email\": \"hash\"}",
                  "status <> 'blocked' AND id IN (SELECT acl.id FROM acl)", &v));
    assert_str(v.base, "people");
    assert_int_equal(v.column_count, 2);
    assert_str(v.columns[0].name, "id");
    assert_int_equal(v.columns[0].field_id, 1);
    assert_int_equal(v.columns[1].field_id, 4);
    assert_int_equal(v.columns[1].mask.kind, MASK_HASH);
    size_t of_base = 0;
    for (size_t i = 0; i < v.use_count; i++) {
        of_base += v.uses[i].dataset_id.len == 0 ? 1 : 0;
    }
    assert_int_equal(of_base, 2);     // status, id
    assert_int_equal(v.use_count, 3); // and acl's id
}

static void a_definition_that_does_not_fit_is_refused_with_what_is_wrong(void **state) {
    (void)state;
    static const struct {
        const char *name, *base, *columns, *filter;
        enum err_code code;
        const char *says;
    } cases[] = {
        {"1x", "people", "{\"id\": null}", "", ERR_INVALID, "name"},
        {"v", "nobody", "{\"id\": null}", "", ERR_NOT_FOUND, "nobody"},
        {"v", "people", "{}", "", ERR_INVALID, "columns"},
        {"v", "people", "{\"shoe\": null}", "", ERR_INVALID, "no column \"shoe\""},
        {"v", "people", "{\"id\": null, \"ID\": null}", "", ERR_INVALID, "twice"},
        {"v", "people", "{\"name\": \"truncate-to-year\"}", "", ERR_INVALID, "dates"},
        {"v", "people", "{\"id\": null}", "shoe = 1", ERR_SQL, "shoe"},
        {"v", "people", "{\"id\": null}", "id = ", ERR_SQL, ""},
        {"v", "people", "{\"id\": null}", "pay", ERR_INVALID, "condition"},
        {"v", "people", "{\"id\": null}", "name", ERR_INVALID, "condition"},
        {"v", "people", "{\"id\": null}", "born > current_date", ERR_REFUSED, ""},
        {"v", "people", "{\"id\": null}", "random() < 0.5", ERR_REFUSED, ""},
        {"v", "people", "{\"id\": null}", "id = 1) OR (true", ERR_REFUSED, ""},
        {"v", "people", "{\"id\": null}", "id IN (SELECT id FROM nobody)", ERR_NOT_FOUND, "nobody"},
        {"v", "people", "{\"id\": null}", "id IN (SELECT id FROM __raw__people)", ERR_REFUSED, ""},
        {"v", "people", "{\"id\": null}", "id IN (SELECT 1 FROM system.files)", ERR_REFUSED, ""},
        {"v", "people", "{\"id\": null}", "id IN (SELECT a FROM read_csv('/etc/passwd'))",
         ERR_REFUSED, ""},
        {"v", "people", "{\"id\": null}", "count(*) > 1", ERR_SQL, ""},
    };
    struct catalog_view v;
    write_rows(TABLE_CREATE, "people", PEOPLE);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const enum err_code code =
            check_view(cases[i].name, cases[i].base, cases[i].columns, cases[i].filter, &v);
        if (code != cases[i].code || strstr(err.msg, cases[i].says) == NULL) {
            fail_msg("%zu, %s: %s: %s", i, cases[i].filter, err_text(code), err.msg);
        }
    }
}

// ---- Filters

static void each_shape_of_filter_lets_through_its_rows_and_no_other(void **state) {
    (void)state;
    static const struct {
        const char *filter, *ids;
    } cases[] = {
        {"", "0123456789"},
        {"region = 'EU'", "13579"},
        {"lower(region) = 'eu' -- a comment", "13579"},
        {"regexp_matches(region, '^[E]')", "13579"},
        {"id IN (SELECT id FROM acl)", "247"},
        {"id NOT IN (SELECT id FROM acl)", "01356 89"},
        {"EXISTS (SELECT 1 FROM acl a WHERE a.id = t.id + 1)", "136"},
        {"id % 4 <> 0", "12356 79"},
        {"id = (SELECT max(id) FROM t)", "9"},
        {"score > 5", "0123"}, // NULL is not true
        {"false", ""},
    };
    write_rows(TABLE_CREATE, "acl", "(SELECT unnest([2, 4, 7])::INTEGER AS id)");
    write_rows(TABLE_CREATE, "t",
               "(SELECT i::INTEGER AS id, CASE WHEN i % 2 = 1 THEN 'EU' ELSE 'US' END AS region, "
               "CASE WHEN i < 5 THEN 9 - i END AS score FROM range(6) r(i))");
    write_rows(TABLE_APPEND, "t",
               "(SELECT i::INTEGER AS id, CASE WHEN i % 2 = 1 THEN 'EU' ELSE 'US' END AS region, "
               "NULL::BIGINT AS score FROM range(6, 10) r(i))");
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        put_view("v", "t", "{\"id\": null}", cases[i].filter);
        const struct str ids = shown("v", "coalesce(string_agg(id, '' ORDER BY id), '')");
        DEFER(buf_release) struct buf expected = BUF(64);
        for (const char *p = cases[i].ids; *p != '\0'; p++) {
            buf_add(&expected, p, *p != ' ' ? 1 : 0);
        }
        if (!str_eq(ids, buf_str(&expected))) {
            fail_msg("%s: " STR_FMT, cases[i].filter, STR_ARG(ids));
        }
    }
}

static void rows_that_are_deleted_or_tombstoned_are_not_shown(void **state) {
    (void)state;
    struct table_tombstoned done;
    const struct table_key key = {.text = STR("7"), .integer = true};
    write_rows(TABLE_CREATE, "people", PEOPLE);
    put_view("safe", "people", "{\"id\": null, \"name\": null}", "status <> 'blocked'");
    assert_str(shown("safe", "count(*)"), "15");
    delete_keys("people", "id", "(SELECT 3::INTEGER AS id)");
    assert_str(shown("safe", "count(*)"), "14");
    const struct table_tombstone request = {.dataset = STR("people"),
                                            .column = STR("id"),
                                            .keys = &key,
                                            .key_count = 1,
                                            .who = world_author,
                                            .session = world.session};
    OK(table_tombstone(world.tables, &request, &world.arena, &done, &err));
    assert_str(shown("safe", "string_agg(id, ' ' ORDER BY id)"),
               "1 2 5 6 9 10 11 13 14 15 17 18 19");
    // An older version shows what it showed, but for what a tombstone hides now.
    assert_str(shown_at("safe", 1, "count(*)", ""), "14");
    assert_str(shown_at("safe", 1, "count(*)", "WHERE id IN (3, 7)"), "1");
}

// ---- Masks

static void each_mask_shows_what_it_says_on_each_type(void **state) {
    (void)state;
    static const struct {
        const char *type, *value, *text, *zero;
    } types[] = {
        {"BOOLEAN", "true", "true", "false"},
        {"INTEGER", "-12345", "-12345", "0"},
        {"BIGINT", "9007199254740993", "9007199254740993", "0"},
        {"FLOAT", "1.5", "1.5", "0.0"},
        {"DOUBLE", "'nan'", "nan", "0.0"},
        {"DECIMAL(9,2)", "12.30", "12.30", "0.00"},
        {"DECIMAL(38,10)", "1.5", "1.5000000000", "0.0000000000"},
        {"DATE", "'2021-05-17'", "2021-05-17", "1970-01-01"},
        {"TIME", "'12:34:56'", "12:34:56", "00:00:00"},
        {"TIMESTAMP", "'2021-05-17 12:34:56'", "2021-05-17 12:34:56", "1970-01-01 00:00:00"},
        {"TIMESTAMPTZ", "'2021-05-17 12:34:56+00'", "2021-05-17 12:34:56+00",
         "1970-01-01 00:00:00+00"},
        {"VARCHAR", "'CAN00012301'", "CAN00012301", ""},
        {"UUID", "'6F1C0A52-0000-4000-8000-000000000001'", "6f1c0a52-0000-4000-8000-000000000001",
         "00000000-0000-0000-0000-000000000000"},
        {"BLOB", "'\\xAA\\x00b'", "\\xAA\\x00b", ""},
        {"INTEGER[]", "[1, NULL]", "[1, NULL]", NULL},
        {"STRUCT(a INTEGER, b VARCHAR)", "{'a': 1, 'b': 'x'}", "{'a': 1, 'b': x}", NULL},
        {"MAP(VARCHAR, INTEGER)", "MAP {'k': 1}", "{k=1}", NULL},
    };
    struct catalog_secret secret;
    struct mask_keys keys;
    OK(catalog_secret_get(world.catalog, VIEW_SECRET, &world.arena, &secret, &err));
    mask_keys_derive(secret.bytes, &keys);
    DEFER(masker_freep)
    struct masker *hash = masker_new(&(struct mask){.kind = MASK_HASH}, &keys);
    for (size_t i = 0; i < ARRAY_LEN(types); i++) {
        const char *dataset = arena_printf(&world.arena, "t%zu", i).ptr;
        DEFER(buf_release) struct buf hashed = BUF(100);
        write_rows(TABLE_CREATE, dataset,
                   arena_printf(&world.arena,
                                "(SELECT * FROM (VALUES (1, CAST(%s AS %s)), (2, NULL)) r(k, x))",
                                types[i].value, types[i].type)
                       .ptr);
        masker_text(hash, str_from(types[i].text), &hashed);
        const struct {
            const char *mask;
            struct str value;
            const char *null;
        } masks[] = {
            {"null", str_from(types[i].text), "-"},
            {"\"null\"", STR("-"), "-"},
            {"\"mask-to-default\"", str_from(types[i].zero != NULL ? types[i].zero : "-"),
             types[i].zero != NULL ? types[i].zero : "-"},
            {"\"hash\"", buf_str(&hashed), "-"},
            {"{\"mask\": {}}", STR("******"), "-"},
        };
        for (size_t m = 0; m < ARRAY_LEN(masks); m++) {
            put_view("v", dataset,
                     arena_printf(&world.arena, "{\"k\": null, \"x\": %s}", masks[m].mask).ptr, "");
            const struct str value = shown_at("v", 0, "coalesce(x::VARCHAR, '-')", "WHERE k = 1");
            const struct str null = shown_at("v", 0, "coalesce(x::VARCHAR, '-')", "WHERE k = 2");
            if (!str_eq(value, masks[m].value) || !str_is(null, masks[m].null)) {
                fail_msg("%s, %s: " STR_FMT ", " STR_FMT, types[i].type, masks[m].mask,
                         STR_ARG(value), STR_ARG(null));
            }
        }
    }
}

static void masks_of_texts_and_dates(void **state) {
    (void)state;
    write_rows(TABLE_CREATE, "t",
               "(SELECT 'CAN00012301' AS c, 'Ab-1' AS a, 'secret' AS s, DATE '2021-05-17' AS d, "
               "TIMESTAMP '2021-05-17 12:00:00' AS ts, TIMESTAMPTZ '2021-05-17 12:00:00+00' AS tz, "
               "42::INTEGER AS n, '42' AS digits)");
    put_view("v", "t",
             "{\"c\": {\"mask\": {\"keep_prefix\": 3, \"keep_suffix\": 2}}, \"a\": "
             "\"mask-alphanum\", \"d\": \"truncate-to-year\", \"ts\": \"truncate-to-month\", "
             "\"tz\": \"truncate-to-year\", \"n\": \"hash\", \"digits\": \"hash\", \"s\": "
             "\"sha-256-query-local\"}",
             "");
    assert_str(shown("v", "c"), "CAN******01");
    assert_str(shown("v", "a"), "xx-n");
    assert_str(shown("v", "d"), "2021-01-01");
    assert_str(shown("v", "ts"), "2021-05-01 00:00:00");
    assert_str(shown("v", "tz"), "2021-01-01 00:00:00+00");
    assert_str(shown("v", "n = digits AND length(n) = 32 AND s <> n AND length(s) = 32"), "true");
    assert_str(shown("v", "typeof(n) || typeof(d) || typeof(ts) || typeof(tz)"),
               "VARCHARDATETIMESTAMPTIMESTAMP WITH TIME ZONE");
}

static void only_the_columns_of_the_view_are_in_its_files(void **state) {
    (void)state;
    DEFER(arena_release) struct arena a = ARENA(1 << 24);
    write_rows(TABLE_CREATE, "people", PEOPLE);
    put_view("safe", "people", "{\"born\": null, \"id\": null, \"email\": \"hash\"}",
             "status <> 'blocked'");
    const struct view_pin pin = pin_view("safe", &a);
    struct view_files files;
    struct str text;
    OK(get_files(&pin, &a, &files));
    assert_int_equal(files.file_count, 1);
    assert_int_equal(files.files[0].rows, 15);
    OK(session_text(world.session,
                    arena_printf(&a,
                                 "SELECT string_agg(name, ' ') FROM parquet_schema('" STR_FMT
                                 "') WHERE num_children IS NULL",
                                 STR_ARG(files.files[0].path)),
                    &a, &text, &err));
    assert_str(text, "born id email");
    OK(session_text(world.session,
                    arena_printf(&a,
                                 "SELECT count(*) FROM read_blob('" STR_FMT
                                 "') WHERE contains(content::VARCHAR, 'x.test') OR "
                                 "contains(content::VARCHAR, 'blocked')",
                                 STR_ARG(files.files[0].path)),
                    &a, &text, &err));
    assert_str(text, "0");
}

// ---- What does not fit any more

static void alter(const char *dataset, struct table_column_change change) {
    struct table_altered done;
    const struct table_alter request = {
        .dataset = str_from(dataset), .changes = &change, .count = 1, .who = world_author};
    OK(table_alter(world.tables, &request, &world.arena, &done, &err));
}

static void rename_column(const char *dataset, const char *from, const char *to) {
    alter(dataset, (struct table_column_change){
                       .op = TABLE_COLUMN_RENAME, .name = str_from(from), .to = str_from(to)});
}

// The view cannot be read; the message says this of it, and none of these.
static void assert_unfit(const char *says, const char *never) {
    DEFER(arena_release) struct arena a = ARENA(1 << 24);
    struct view_pin pin;
    assert_int_equal(pin_view_at("v", 0, &a, &pin), ERR_CONFLICT);
    assert_says("\"v\"");
    assert_says("put again");
    assert_says(says);
    assert_null(strstr(err.msg, never));
}

static void a_base_that_changed_makes_the_view_unreadable_until_it_is_put_again(void **state) {
    (void)state;
    write_rows(TABLE_CREATE, "people", PEOPLE);
    put_view("v", "people", "{\"id\": null, \"born\": \"truncate-to-year\"}",
             "status <> 'blocked'");
    assert_str(shown("v", "count(*)"), "15");
    // What it does not speak of may change.
    rename_column("people", "email", "mail");
    alter("people", (struct table_column_change){
                        .op = TABLE_COLUMN_WIDEN, .name = STR("id"), .type = STR("BIGINT")});
    assert_str(shown("v", "count(*) || typeof(any_value(id))"), "15BIGINT");

    rename_column("people", "born", "birthday");
    assert_unfit("\"born\"", "people");
    rename_column("people", "birthday", "born");
    assert_str(shown("v", "count(*)"), "15");
    rename_column("people", "status", "state");
    assert_unfit("row filter", "status");
    alter("people", (struct table_column_change){
                        .op = TABLE_COLUMN_ADD, .name = STR("status"), .type = STR("VARCHAR")});
    assert_unfit("row filter", "status"); // of the same name, but another one
    put_view("v", "people", "{\"id\": null}", "state <> 'blocked'");
    assert_str(shown("v", "count(*)"), "15");

    uint64_t seq;
    arena_reset(&world.arena);
    OK(table_drop(world.tables, STR("people"), &world_author, &seq, &err));
    assert_unfit("not there", "people");
    write_rows(TABLE_CREATE, "people", PEOPLE);
    assert_unfit("made anew", "people");
}

static void a_column_of_a_subquery_that_went_does_not_become_the_bases(void **state) {
    (void)state;
    write_rows(TABLE_CREATE, "people", PEOPLE);
    write_rows(TABLE_CREATE, "acl", "(SELECT 1::INTEGER AS id, 'x' AS team)");
    put_view("v", "people", "{\"id\": null}", "id IN (SELECT id FROM acl)");
    assert_str(shown("v", "count(*)"), "1");
    rename_column("acl", "id", "person");
    assert_unfit("row filter", "acl"); // else every row would be its own witness
    rename_column("acl", "person", "id");
    assert_str(shown("v", "count(*)"), "1");

    uint64_t seq;
    put_view("v", "people", "{\"id\": null}", "EXISTS (SELECT 1 FROM acl)");
    arena_reset(&world.arena);
    OK(table_drop(world.tables, STR("acl"), &world_author, &seq, &err));
    assert_unfit("not there", "acl");
    write_rows(TABLE_CREATE, "acl", "(SELECT 2::INTEGER AS id)"); // somebody else's
    assert_unfit("row filter", "acl");
}

static void versions_are_those_of_the_base_under_the_views_name(void **state) {
    (void)state;
    DEFER(arena_release) struct arena a = ARENA(1 << 24);
    struct view_pin pin;
    write_rows(TABLE_CREATE, "people", PEOPLE);
    put_view("v", "people", "{\"id\": null}", "");
    write_rows(TABLE_APPEND, "people", PEOPLE);
    assert_str(shown("v", "count(*)"), "40");
    assert_str(shown_at("v", 1, "count(*)", ""), "20");
    assert_int_equal(pin_view_at("v", 99, &a, &pin), ERR_NOT_FOUND);
    assert_says("\"v\"");
    assert_null(strstr(err.msg, "people"));
}

// ---- Without files

static void a_preview_shows_true_values_and_which_rows_pass(void **state) {
    (void)state;
    DEFER(arena_release) struct arena a = ARENA(1 << 24);
    struct str sql;
    struct str text;
    write_rows(TABLE_CREATE, "acl", "(SELECT 6::INTEGER AS id)");
    write_rows(TABLE_CREATE, "people", PEOPLE);
    put_view("v", "people",
             "{\"id\": null, \"email\": \"sha-256-query-local\", \"name\": \"hash\"}",
             "status <> 'blocked' AND pay > 500 AND id NOT IN (SELECT acl.id FROM acl)");
    const struct view_pin pin = pin_view("v", &a);
    OK(view_raw_sql(views, &pin, false, &a, &sql, &err));
    const char *expr = "count(*) || ' ' || count(*) FILTER (tarn_shown) || ' ' || "
                       "string_agg(email, '') FILTER (id = 3)";
    OK(session_text(world.session,
                    arena_printf(&a, "SELECT %s FROM (" STR_FMT ") t", expr, STR_ARG(sql)), &a,
                    &text, &err));
    assert_str(text, "20 10 m3@x.test");
    OK(view_raw_sql(views, &pin, true, &a, &sql, &err));
    expr = "count(*) || ' ' || min(length(email)) || ' ' || count(DISTINCT email) || ' ' || "
           "bit_xor(hash(name))";
    OK(session_text(world.session,
                    arena_printf(&a, "SELECT %s FROM (" STR_FMT ") t", expr, STR_ARG(sql)), &a,
                    &text, &err));
    const struct str expected =
        arena_printf(&a, "10 32 10 " STR_FMT, STR_ARG(shown("v", "bit_xor(hash(name))")));
    assert_true(str_eq(text, expected));
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_definition_names_columns_by_their_ids),
        TEST(a_definition_that_does_not_fit_is_refused_with_what_is_wrong),
        TEST(each_shape_of_filter_lets_through_its_rows_and_no_other),
        TEST(rows_that_are_deleted_or_tombstoned_are_not_shown),
        TEST(each_mask_shows_what_it_says_on_each_type),
        TEST(masks_of_texts_and_dates),
        TEST(only_the_columns_of_the_view_are_in_its_files),
        TEST(a_base_that_changed_makes_the_view_unreadable_until_it_is_put_again),
        TEST(a_column_of_a_subquery_that_went_does_not_become_the_bases),
        TEST(versions_are_those_of_the_base_under_the_views_name),
        TEST(a_preview_shows_true_values_and_which_rows_pass),
    };
    return cmocka_run_group_tests(tests, open_engines, close_engines);
}
