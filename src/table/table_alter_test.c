// Tests of altering: columns by field id, over files that stay as they are.

#include "table/table_alter.h"

#include "base/log.h"
#include "table/one_world_test.h"
#include "table/table_types.h"

#define ALTER(dataset, ret, ...)                                                                   \
    alter(dataset, (struct table_column_change[]){__VA_ARGS__},                                    \
          sizeof((struct table_column_change[]){__VA_ARGS__}) /                                    \
              sizeof(struct table_column_change),                                                  \
          ret)

static enum err_code alter(const char *dataset, const struct table_column_change *changes,
                           size_t count, struct table_altered *ret) {
    const struct table_alter r = {
        .dataset = str_from(dataset), .changes = changes, .count = count, .who = world_author};
    struct table_altered altered;
    err = ERR_NONE;
    return table_alter(world.tables, &r, &world.arena, ret != NULL ? ret : &altered, &err);
}

static struct table_column_change add(const char *name, const char *type) {
    return (struct table_column_change){
        .op = TABLE_COLUMN_ADD, .name = str_from(name), .type = str_from(type)};
}

static struct table_column_change drop(const char *name) {
    return (struct table_column_change){.op = TABLE_COLUMN_DROP, .name = str_from(name)};
}

static struct table_column_change to_name(const char *name, const char *to) {
    return (struct table_column_change){
        .op = TABLE_COLUMN_RENAME, .name = str_from(name), .to = str_from(to)};
}

static struct table_column_change widen(const char *name, const char *type) {
    return (struct table_column_change){
        .op = TABLE_COLUMN_WIDEN, .name = str_from(name), .type = str_from(type)};
}

static struct table_column_change nullable(const char *name) {
    return (struct table_column_change){.op = TABLE_COLUMN_NULLABLE, .name = str_from(name)};
}

static void make(void) {
    struct table_written w;
    OK(world_write(&world, TABLE_CREATE, "t",
                   "(SELECT i::INTEGER AS id, 'n' || i AS name, (i + 0.5)::FLOAT AS f, "
                   "(i * 1.25)::DECIMAL(6, 2) AS d FROM range(4) r(i))",
                   &w));
}

static void append(const char *source) {
    struct table_written w;
    OK(world_write(&world, TABLE_APPEND, "t", source, &w));
}

static void a_renamed_column_keeps_its_values(void **state) {
    (void)state;
    struct table_altered altered;
    make();
    OK(ALTER("t", &altered, to_name("name", "label")));
    assert_false(altered.unchanged);
    assert_str(altered.schema->fields[1].name, "label");
    assert_int_equal(altered.schema->fields[1].id, 2);
    append("(SELECT 9 AS id, 'new' AS label, 1::FLOAT AS f, 1::DECIMAL(6, 2) AS d)");
    assert_str(world_value(&world, "t", "string_agg(label, ',' ORDER BY id)"), "n0,n1,n2,n3,new");
}

static void names_can_be_swapped_in_one_commit(void **state) {
    (void)state;
    make();
    OK(ALTER("t", NULL, to_name("name", "x"), to_name("f", "name"), to_name("x", "f")));
    assert_str(world_value(&world, "t", "string_agg(f || ':' || name, ',' ORDER BY id)"),
               "n0:0.5,n1:1.5,n2:2.5,n3:3.5");
}

static void an_added_column_is_empty_in_old_rows(void **state) {
    (void)state;
    struct table_altered altered;
    make();
    OK(ALTER("t", &altered, add("note", "varchar"), add("tags", "BIGINT[]")));
    assert_int_equal(altered.schema->fields[4].id, 5);
    assert_int_equal(altered.schema->fields[5].id, 6);
    assert_int_equal(altered.schema->fields[5].type.fields[0].id, 7);
    assert_false(altered.schema->fields[4].required);
    append("(SELECT 9 AS id, 'x' AS name, 1::FLOAT AS f, 1::DECIMAL(6, 2) AS d, 'hi' AS note, "
           "[1::BIGINT, 2] AS tags)");
    assert_str(world_value(&world, "t",
                           "count(*) || ' ' || count(note) || ' ' || max(note) || ' ' "
                           "|| max(tags)::VARCHAR"),
               "5 1 hi [1, 2]");
}

static void a_dropped_columns_id_is_never_given_again(void **state) {
    (void)state;
    struct table_altered altered;
    make();
    OK(ALTER("t", NULL, drop("d")));
    OK(ALTER("t", &altered, add("d", "DECIMAL(6,2)")));
    assert_int_equal(altered.schema->fields[3].id, 5);
    // The old values do not come back under the old name.
    assert_str(world_value(&world, "t", "count(*) || ' ' || count(d)"), "4 0");
    world_reopen(&world);
    assert_str(world_value(&world, "t", "count(*) || ' ' || count(d)"), "4 0");
    OK(ALTER("t", &altered, drop("d"), add("e", "INT"), drop("e"), add("d", "INT")));
    assert_int_equal(altered.schema->fields[3].id, 7);
}

static void widened_columns_read_old_files_and_prune_right(void **state) {
    (void)state;
    struct table_pin pin;
    const struct table_want want = {.name = STR("t")};
    make();
    OK(ALTER("t", NULL, widen("id", "BIGINT"), widen("f", "double"), widen("d", "DECIMAL(30, 2)")));
    append(
        "(SELECT 5000000000 AS id, 'big' AS name, 0.25::DOUBLE AS f, 1e20::DECIMAL(30, 2) AS d)");
    assert_str(world_value(&world, "t",
                           "sum(id) || ' ' || typeof(any_value(id)) || ' ' || sum(f) || "
                           "' ' || typeof(any_value(d)) || ' ' || max(d)"),
               "5000000006 BIGINT 8.25 DECIMAL(30,2) 100000000000000000000.00");
    OK(table_pin_at(world.tables, &want, &world.arena, &pin, &err));
    struct ice_literal three = {.text = STR("3")};
    const struct ice_predicate is_three = {
        .field_id = 1, .op = ICE_OP_EQ, .values = &three, .value_count = 1};
    const struct table_conditions conditions = {&is_three, 1};
    assert_str(world_value_of(&world, &pin, &conditions, "string_agg(name)", "WHERE id = 3"), "n3");
}

static void older_snapshots_keep_their_schema(void **state) {
    (void)state;
    struct table_pin pin;
    const struct table_conditions none = {0};
    make();
    OK(ALTER("t", NULL, drop("name"), to_name("f", "g"), add("z", "DATE")));
    append("(SELECT 9 AS id, 1::FLOAT AS g, 1::DECIMAL(6, 2) AS d, DATE '2020-01-01' AS z)");
    const struct table_want first = {.name = STR("t"), .at = TABLE_AT_VERSION, .value = 1};
    OK(table_pin_at(world.tables, &first, &world.arena, &pin, &err));
    assert_int_equal(pin.schema->field_count, 4);
    assert_str(pin.schema->fields[1].name, "name");
    assert_str(world_value_of(&world, &pin, &none, "string_agg(name || f, ',' ORDER BY id)", ""),
               "n00.5,n11.5,n22.5,n33.5");
    const struct table_want now = {.name = STR("t")};
    OK(table_pin_at(world.tables, &now, &world.arena, &pin, &err));
    assert_int_equal(pin.schema->field_count, 4);
    assert_str(pin.schema->fields[1].name, "g");
}

static void a_commit_without_rows_makes_no_snapshot(void **state) {
    (void)state;
    struct table_pin before;
    struct table_pin after;
    const struct table_want want = {.name = STR("t")};
    make();
    OK(table_pin_at(world.tables, &want, &world.arena, &before, &err));
    OK(ALTER("t", NULL, nullable("id")));
    OK(table_pin_at(world.tables, &want, &world.arena, &after, &err));
    assert_int_equal(after.metadata->snapshot_count, 1);
    assert_int_equal(after.dataset.snapshot_id, before.dataset.snapshot_id);
    assert_int_equal(after.dataset.rows, before.dataset.rows);
    assert_int_not_equal(after.dataset.version, before.dataset.version);
    assert_false(str_eq(after.dataset.fingerprint, before.dataset.fingerprint));
    assert_int_equal(after.metadata->schema_count, 2);
    assert_true(after.metadata->last_updated_ms >= before.metadata->last_updated_ms);
    assert_false(after.schema->fields[0].required);
}

static void what_changes_nothing_is_no_commit(void **state) {
    (void)state;
    struct table_altered altered;
    struct catalog_dataset before;
    make();
    OK(catalog_dataset_get(world.catalog, STR("t"), &world.arena, &before, &err));
    struct table_column_change there = add("ID", "INT");
    struct table_column_change gone = drop("nix");
    there.lenient = true;
    gone.lenient = true;
    OK(ALTER("t", &altered, there, gone, to_name("id", "id"), widen("id", "int")));
    assert_true(altered.unchanged);
    assert_int_equal(altered.dataset.version, before.version);
}

static void what_cannot_be_is_refused_and_changes_nothing(void **state) {
    (void)state;
    struct catalog_dataset before;
    struct catalog_dataset after;
    make();
    OK(catalog_dataset_get(world.catalog, STR("t"), &world.arena, &before, &err));
    assert_int_equal(ALTER("nix", NULL, drop("id")), ERR_NOT_FOUND);
    assert_int_equal(ALTER("t", NULL, drop("nix")), ERR_NOT_FOUND);
    assert_says("no column \"nix\"");
    assert_int_equal(ALTER("t", NULL, to_name("nix", "x")), ERR_NOT_FOUND);
    assert_int_equal(ALTER("t", NULL, add("ID", "INT")), ERR_EXISTS);
    assert_int_equal(ALTER("t", NULL, to_name("id", "Name")), ERR_EXISTS);
    assert_int_equal(ALTER("t", NULL, add("x", "INT"), add("X", "INT")), ERR_EXISTS);
    assert_int_equal(ALTER("t", NULL, add("", "INT")), ERR_INVALID);
    assert_int_equal(ALTER("t", NULL, add("a\nb", "INT")), ERR_INVALID);
    assert_int_equal(ALTER("t", NULL, add("\xff", "INT")), ERR_INVALID);
    assert_int_equal(ALTER("t", NULL, add("x", "MOOD")), ERR_INVALID);
    assert_int_equal(ALTER("t", NULL, add("x", "INT); DROP TABLE t")), ERR_INVALID);
    assert_int_equal(ALTER("t", NULL, widen("id", "INTEGER[]")), ERR_INVALID);
    assert_int_equal(ALTER("t", NULL, widen("id", "VARCHAR")), ERR_INVALID);
    assert_says("add a column and UPDATE it");
    assert_int_equal(ALTER("t", NULL, widen("d", "DECIMAL(5,2)")), ERR_INVALID);
    assert_int_equal(ALTER("t", NULL, widen("d", "DECIMAL(10,3)")), ERR_INVALID);
    assert_int_equal(ALTER("t", NULL, drop("id"), drop("name"), drop("f"), drop("d")), ERR_INVALID);
    assert_says("last column");
    OK(catalog_dataset_get(world.catalog, STR("t"), &world.arena, &after, &err));
    assert_int_equal(after.version, before.version);
    assert_str(world_value(&world, "t", "count(*) || max(name)"), "4n3");
}

static void deletes_hold_over_changed_columns(void **state) {
    (void)state;
    struct table_delta_done done;
    const struct str key = STR("id");
    const struct table_delta d = {.dataset = STR("t"),
                                  .mode = TABLE_DELTA_DELETE,
                                  .keys = &key,
                                  .key_count = 1,
                                  .source = STR("(SELECT 2::BIGINT AS id)"),
                                  .who = world_author,
                                  .session = world.session};
    make();
    OK(ALTER("t", NULL, widen("id", "BIGINT"), to_name("name", "label")));
    OK(table_delta(world.tables, &d, &world.arena, &done, &err));
    assert_int_equal(done.removed, 1);
    OK(ALTER("t", NULL, drop("f"), add("x", "TIMESTAMPTZ")));
    assert_str(world_value(&world, "t", "string_agg(label, ',' ORDER BY id)"), "n0,n1,n3");
}

static void types_are_read_in_both_tongues(void **state) {
    static const struct {
        const char *text, *type;
    } good[] = {
        {"BIGINT", "long"},
        {"long", "long"},
        {" int4 ", "int"},
        {"Double  Precision", "double"},
        {"timestamp with\ttime zone", "timestamptz"},
        {"decimal", "decimal(18,3)"},
        {"DECIMAL ( 10 , 2 )", "decimal(10,2)"},
        {"numeric(5)", "decimal(5,0)"},
        {"VARCHAR[]", "list<string>"},
        {"decimal(4,1) [] []", "list<list<decimal(4,1)>>"},
        {"bytea", "binary"},
    };
    static const char *const bad[] = {
        "",          "INTERVAL",     "DECIMAL(0,0)",  "DECIMAL(39,1)", "DECIMAL(4,5)",
        "DECIMAL(4", "DECIMAL(4,)x", "DECIMAL()",     "DECIMAL(-4,1)", "INT[][][][][][][][][]",
        "[]",        "INT[3]",       "STRUCT(a INT)", "VARCHAR(10) x"};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        struct ice_type t;
        OK(table_type_parse(str_from(good[i].text), &world.arena, &t, &err));
        assert_str(ice_type_text(&t, &world.arena), good[i].type);
    }
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct ice_type t;
        err = ERR_NONE;
        if (table_type_parse(str_from(bad[i]), &world.arena, &t, &err) != ERR_INVALID) {
            fail_msg("%s is a type", bad[i]);
        }
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, world_begin, world_end)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(a_renamed_column_keeps_its_values),
        TEST(names_can_be_swapped_in_one_commit),
        TEST(an_added_column_is_empty_in_old_rows),
        TEST(a_dropped_columns_id_is_never_given_again),
        TEST(widened_columns_read_old_files_and_prune_right),
        TEST(older_snapshots_keep_their_schema),
        TEST(a_commit_without_rows_makes_no_snapshot),
        TEST(what_changes_nothing_is_no_commit),
        TEST(what_cannot_be_is_refused_and_changes_nothing),
        TEST(deletes_hold_over_changed_columns),
        TEST(types_are_read_in_both_tongues),
    };
    log_set_level(LOG_WARN);
    return cmocka_run_group_tests(tests, open_engine, close_engine);
}
