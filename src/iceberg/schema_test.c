// Schemas: JSON both ways, ids, comparison, fingerprint.
#include "iceberg/schema.h"

#include "iceberg/support_test.h"

static const char nested[] =
    "{\"type\":\"struct\",\"schema-id\":4,\"identifier-field-ids\":[1],\"fields\":["
    "{\"id\":1,\"name\":\"id\",\"required\":true,\"type\":\"long\",\"doc\":\"the key\"},"
    "{\"id\":2,\"name\":\"price\",\"required\":false,\"type\":\"decimal(10,2)\"},"
    "{\"id\":3,\"name\":\"code\",\"required\":false,\"type\":\"fixed[16]\"},"
    "{\"id\":4,\"name\":\"address\",\"required\":false,\"type\":{\"type\":\"struct\",\"fields\":["
    "{\"id\":5,\"name\":\"lines\",\"required\":true,\"type\":{\"type\":\"list\",\"element-id\":6,"
    "\"element\":\"string\",\"element-required\":true}}]}},"
    "{\"id\":7,\"name\":\"tags\",\"required\":false,\"type\":{\"type\":\"map\",\"key-id\":8,"
    "\"key\":\"string\",\"value-id\":9,\"value\":\"double\",\"value-required\":false}}]}";

static void json_goes_in_and_out_unchanged(void **state) {
    (void)state;
    DEFER(arena_release) struct arena a = ARENA(1 << 20);
    DEFER(json_decrefp) json_t *json = ice_schema_json(make_schema(nested, &a));
    ASSERT_STR(json_text(json, &a), str_from(nested));
}

static void parameters_may_have_blanks(void **state) {
    (void)state;
    DEFER(arena_release) struct arena a = ARENA(1 << 20);
    const struct ice_schema *s =
        make_schema("{\"type\":\"struct\",\"fields\":[{\"id\":1,\"name\":\"d\",\"required\":true,"
                    "\"type\":\"decimal( 38 , 4 )\"}]}",
                    &a);
    assert_int_equal(s->fields[0].type.precision, 38);
    assert_int_equal(s->fields[0].type.scale, 4);
}

static void types_have_a_readable_text(void **state) {
    (void)state;
    DEFER(arena_release) struct arena a = ARENA(1 << 20);
    const struct ice_schema *s = make_schema(nested, &a);
    ASSERT_STR(ice_type_text(&s->fields[1].type, &a), STR("decimal(10,2)"));
    ASSERT_STR(ice_type_text(&s->fields[3].type, &a), STR("struct<lines: list<string>>"));
    ASSERT_STR(ice_type_text(&s->fields[4].type, &a), STR("map<string, double>"));
}

static void the_fingerprint_knows_names_types_and_nullability(void **state) {
    (void)state;
    DEFER(arena_release) struct arena a = ARENA(1 << 20);
    const struct ice_schema *s = make_schema(nested, &a);
    struct str canonical = STR("struct<\"id\":long!,\"price\":decimal(10,2),\"code\":fixed[16],"
                               "\"address\":struct<\"lines\":list<string!>!>,"
                               "\"tags\":map<string!,double>>");
    ASSERT_STR(ice_schema_fingerprint(s, &a), hex_sha256(sha256(canonical), &a));
    struct ice_schema *other = ice_schema_copy(s, &a);
    other->fields[0].id = 100;
    other->fields[0].doc = STR("other words");
    other->schema_id = 9;
    ASSERT_STR(ice_schema_fingerprint(other, &a), ice_schema_fingerprint(s, &a));
    other->fields[0].required = false;
    assert_false(str_eq(ice_schema_fingerprint(other, &a), ice_schema_fingerprint(s, &a)));
}

static void assert_refused(const char *text, enum err_code code, const char *reason) {
    DEFER(arena_release) struct arena a = ARENA(1 << 20);
    struct err err = ERR_NONE;
    DEFER(json_decrefp) json_t *json = NULL;
    ASSERT_OK(json_parse(str_from(text), &json, &err));
    struct ice_schema *s = NULL;
    assert_int_equal(ice_schema_parse(json, &a, &s, &err), code);
    if (!strstr(err.msg, reason)) {
        fail_msg("\"%s\" does not say \"%s\"", err.msg, reason);
    }
}

#define ONE(field) "{\"type\":\"struct\",\"fields\":[" field "]}"

static void a_wrong_schema_is_refused_with_the_place(void **state) {
    (void)state;
    assert_refused("[]", ERR_CORRUPT, "not an object");
    assert_refused("{\"type\":\"struct\"}", ERR_CORRUPT, "list of fields");
    assert_refused(ONE("{\"id\":1,\"required\":true,\"type\":\"int\"}"), ERR_CORRUPT, "name");
    assert_refused(ONE("{\"id\":0,\"name\":\"a\",\"required\":true,\"type\":\"int\"}"), ERR_CORRUPT,
                   "\"a\": no id");
    assert_refused(ONE("{\"id\":1,\"name\":\"a\",\"type\":\"int\"}"), ERR_CORRUPT, "required");
    assert_refused(ONE("{\"id\":1,\"name\":\"a\",\"required\":true,\"type\":\"decimal(39,0)\"}"),
                   ERR_CORRUPT, "not a type");
    assert_refused(ONE("{\"id\":1,\"name\":\"a\",\"required\":true,\"type\":\"int\"},"
                       "{\"id\":1,\"name\":\"b\",\"required\":true,\"type\":\"int\"}"),
                   ERR_CORRUPT, "twice");
    assert_refused(ONE("{\"id\":1,\"name\":\"a\",\"required\":true,\"type\":"
                       "{\"type\":\"list\",\"element-id\":2,\"element-required\":true,"
                       "\"element\":\"integer\"}}"),
                   ERR_CORRUPT, "\"a.element\": not a type");
    assert_refused(ONE("{\"id\":1,\"name\":\"a\",\"required\":true,\"type\":\"timestamp_ns\"}"),
                   ERR_UNSUPPORTED, "later format version");
}

static void nesting_is_bounded(void **state) {
    (void)state;
    DEFER(buf_release) struct buf text = BUF(1 << 20);
    buf_add_cstr(&text, "{\"type\":\"struct\",\"fields\":[{\"id\":1,\"name\":\"a\","
                        "\"required\":true,\"type\":");
    for (int i = 0; i < 100; i++) {
        buf_printf(
            &text,
            "{\"type\":\"list\",\"element-id\":%d,\"element-required\":true,\"element\":", i + 2);
    }
    buf_add_cstr(&text, "\"int\"");
    for (int i = 0; i < 100; i++) {
        buf_add_char(&text, '}');
    }
    buf_add_cstr(&text, "}]}");
    assert_refused(text.ptr, ERR_CORRUPT, "too deeply");
}

static void ids_are_given_level_by_level(void **state) {
    (void)state;
    DEFER(arena_release) struct arena a = ARENA(1 << 20);
    struct ice_schema *s = make_schema(nested, &a);
    for (size_t i = 0; i < s->field_count; i++) {
        s->fields[i].id = 0;
    }
    s->fields[3].type.fields[0].id = 0;
    int32_t last = 9;
    ice_schema_assign_ids(s, &last);
    assert_int_equal(last, 15);
    assert_int_equal(s->fields[4].id, 14);
    assert_int_equal(s->fields[3].type.fields[0].id, 15);
    assert_int_equal(s->fields[3].type.fields[0].type.fields[0].id, 6);
    assert_int_equal(ice_schema_highest_id(s), 15);
}

static void fields_are_found_by_name_and_by_id(void **state) {
    (void)state;
    DEFER(arena_release) struct arena a = ARENA(1 << 20);
    struct ice_schema *s = make_schema(nested, &a);
    assert_int_equal(ice_schema_find(s, STR("Price"))->id, 2);
    s->fields[2].name = STR("Price");
    assert_int_equal(ice_schema_find(s, STR("Price"))->id, 3);
    assert_null(ice_schema_find(s, STR("lines")));
    ASSERT_STR(ice_schema_find_id(s, 6)->name, STR("element"));
    assert_null(ice_schema_find_id(s, 10));
}

static void equality_knows_ids_and_types_do_not(void **state) {
    (void)state;
    DEFER(arena_release) struct arena a = ARENA(1 << 20);
    const struct ice_schema *s = make_schema(nested, &a);
    struct ice_schema *copy = ice_schema_copy(s, &a);
    assert_true(ice_schema_eq(s, copy));
    copy->fields[3].type.fields[0].id = 77;
    assert_false(ice_schema_eq(s, copy));
    assert_true(ice_type_eq(&s->fields[3].type, &copy->fields[3].type));
    copy->fields[3].type.fields[0].required = false;
    assert_false(ice_type_eq(&s->fields[3].type, &copy->fields[3].type));
}

static void only_these_types_widen(void **state) {
    (void)state;
    struct ice_type int_type = {.kind = ICE_INT};
    struct ice_type long_type = {.kind = ICE_LONG};
    struct ice_type double_type = {.kind = ICE_DOUBLE};
    struct ice_type float_type = {.kind = ICE_FLOAT};
    struct ice_type small = {.kind = ICE_DECIMAL, .precision = 9, .scale = 2};
    struct ice_type large = {.kind = ICE_DECIMAL, .precision = 18, .scale = 2};
    struct ice_type finer = {.kind = ICE_DECIMAL, .precision = 18, .scale = 3};
    assert_true(ice_type_widens(&int_type, &long_type));
    assert_true(ice_type_widens(&int_type, &int_type));
    assert_true(ice_type_widens(&float_type, &double_type));
    assert_true(ice_type_widens(&small, &large));
    assert_false(ice_type_widens(&large, &small));
    assert_false(ice_type_widens(&small, &finer));
    assert_false(ice_type_widens(&long_type, &int_type));
    assert_false(ice_type_widens(&int_type, &double_type));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(json_goes_in_and_out_unchanged),
        cmocka_unit_test(parameters_may_have_blanks),
        cmocka_unit_test(types_have_a_readable_text),
        cmocka_unit_test(the_fingerprint_knows_names_types_and_nullability),
        cmocka_unit_test(a_wrong_schema_is_refused_with_the_place),
        cmocka_unit_test(nesting_is_bounded),
        cmocka_unit_test(ids_are_given_level_by_level),
        cmocka_unit_test(fields_are_found_by_name_and_by_id),
        cmocka_unit_test(equality_knows_ids_and_types_do_not),
        cmocka_unit_test(only_these_types_widen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
