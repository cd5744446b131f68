// Table metadata: parsing, writing, changes, and what other writers put in.
#include "iceberg/metadata.h"

#include "iceberg/support_test.h"

#define HEAD                                                                                       \
    "{\"format-version\":2,\"table-uuid\":\"6f0c1d8e-3a51-4f0e-9a35-0c2b7c9d1e11\","               \
    "\"location\":\"s3://lake/wh/db/t\",\"last-sequence-number\":1,"                               \
    "\"last-updated-ms\":1795339483500,\"last-column-id\":2,"                                      \
    "\"schemas\":[{\"type\":\"struct\",\"schema-id\":0,\"fields\":["                               \
    "{\"id\":1,\"name\":\"id\",\"required\":true,\"type\":\"long\"},"                              \
    "{\"id\":2,\"name\":\"v\",\"required\":false,\"type\":\"string\",\"x-unknown\":5}]}],"         \
    "\"current-schema-id\":0,\"partition-specs\":[{\"spec-id\":0,\"fields\":[]}],"                 \
    "\"default-spec-id\":0,\"last-partition-id\":999,"                                             \
    "\"sort-orders\":[{\"order-id\":0,\"fields\":[]}],\"default-sort-order-id\":0"
#define SNAPSHOT                                                                                   \
    "\"snapshots\":[{\"snapshot-id\":9007199254740993,\"sequence-number\":1,"                      \
    "\"timestamp-ms\":1795339483500,\"manifest-list\":\"s3://lake/wh/db/t/metadata/snap-1.avro\"," \
    "\"summary\":{\"operation\":\"append\",\"total-records\":\"3\",\"total-data-files\":1},"       \
    "\"schema-id\":0,\"key-id\":\"kept\"}],"                                                       \
    "\"snapshot-log\":[{\"snapshot-id\":9007199254740993,\"timestamp-ms\":1795339483500}],"        \
    "\"metadata-log\":[{\"metadata-file\":\"s3://lake/0.json\",\"timestamp-ms\":1795339482999}]"
#define WITH_SNAPSHOT HEAD ",\"current-snapshot-id\":9007199254740993," SNAPSHOT

static struct ice_metadata *parse(const char *text, struct arena *a) {
    struct err err = ERR_NONE;
    struct ice_metadata *m = NULL;
    ASSERT_OK(ice_metadata_parse(str_from(text), STR("v1.metadata.json"), a, &m, &err));
    return m;
}

static json_t *text_json(const struct ice_metadata *m, struct arena *a) {
    struct err err = ERR_NONE;
    json_t *json = NULL;
    ASSERT_OK(json_parse(ice_metadata_text(m, a), &json, &err));
    return json;
}

static void a_new_table_is_a_whole_document(void **state) {
    (void)state;
    DEFER(arena_release) struct arena a = ARENA(1 << 20);
    const struct ice_schema *s =
        make_schema("{\"type\":\"struct\",\"schema-id\":7,\"fields\":["
                    "{\"id\":1,\"name\":\"id\",\"required\":true,\"type\":\"long\"}]}",
                    &a);
    struct ice_metadata *m = ice_metadata_new(STR("6f0c1d8e-3a51-4f0e-9a35-0c2b7c9d1e11"),
                                              STR("s3://lake/t/"), s, 1795339482999, &a);
    struct ice_pair property = {STR("a"), STR("b")};
    m->properties = &property;
    m->property_count = 1;
    ASSERT_STR(ice_metadata_text(m, &a),
               STR("{\"format-version\":2,"
                   "\"table-uuid\":\"6f0c1d8e-3a51-4f0e-9a35-0c2b7c9d1e11\","
                   "\"location\":\"s3://lake/t\",\"last-sequence-number\":0,"
                   "\"last-updated-ms\":1795339482999,\"last-column-id\":1,"
                   "\"schemas\":[{\"type\":\"struct\",\"schema-id\":0,\"fields\":["
                   "{\"id\":1,\"name\":\"id\",\"required\":true,\"type\":\"long\"}]}],"
                   "\"current-schema-id\":0,"
                   "\"partition-specs\":[{\"spec-id\":0,\"fields\":[]}],\"default-spec-id\":0,"
                   "\"last-partition-id\":999,"
                   "\"sort-orders\":[{\"order-id\":0,\"fields\":[]}],"
                   "\"default-sort-order-id\":0,\"properties\":{\"a\":\"b\"},\"refs\":{},"
                   "\"snapshots\":[],\"snapshot-log\":[],\"metadata-log\":[]}"));
    struct ice_metadata *back = parse(arena_cstr(&a, ice_metadata_text(m, &a)), &a);
    assert_null(ice_metadata_snapshot(back));
    assert_int_equal(back->property_count, 1);
}

static void a_document_is_read(void **state) {
    (void)state;
    DEFER(arena_release) struct arena a = ARENA(1 << 20);
    const struct ice_metadata *m = parse(WITH_SNAPSHOT "}", &a);
    const struct ice_snapshot *s = ice_metadata_snapshot(m);
    assert_true(s->id == INT64_C(9007199254740993));
    assert_int_equal(s->parent_id, 0);
    assert_int_equal(s->schema_id, 0);
    ASSERT_STR(s->operation, STR("append"));
    assert_int_equal(s->summary_count, 2);
    struct ice_totals totals = ice_totals_of(s);
    assert_int_equal(totals.records, 3);
    assert_int_equal(totals.data_files, 1); // a number where a text belongs
    assert_int_equal(totals.file_bytes, -1);
    assert_int_equal(ice_totals_of(NULL).file_bytes, 0);
    assert_int_equal(ice_metadata_schema(m)->field_count, 2);
    assert_null(ice_metadata_snapshot_at(m, 1795339483499));
    assert_ptr_equal(ice_metadata_snapshot_at(m, 1795339483500), s);
}

static void no_snapshot_has_three_spellings(void **state) {
    (void)state;
    static const char *const texts[] = {
        HEAD "}", HEAD ",\"current-snapshot-id\":-1}",
        HEAD ",\"current-snapshot-id\":null,\"refs\":null,\"snapshots\":null}"};
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        DEFER(arena_release) struct arena a = ARENA(1 << 20);
        const struct ice_metadata *m = parse(texts[i], &a);
        assert_null(ice_metadata_snapshot(m));
        DEFER(json_decrefp) json_t *json = text_json(m, &a);
        assert_null(json_object_get(json, "current-snapshot-id"));
    }
}

static void what_is_not_understood_is_written_again(void **state) {
    (void)state;
    DEFER(arena_release) struct arena a = ARENA(1 << 20);
    const struct ice_metadata *m =
        parse(WITH_SNAPSHOT ",\"refs\":{\"main\":{\"snapshot-id\":9007199254740993,"
                            "\"type\":\"branch\",\"max-snapshot-age-ms\":5},"
                            "\"audit\":{\"snapshot-id\":9007199254740993,\"type\":\"tag\"}},"
                            "\"statistics\":[{\"snapshot-id\":1}],\"x-future\":{\"deep\":[1]}}",
              &a);
    struct ice_metadata *copy = ice_metadata_copy(m, &a);
    struct ice_snapshot s = {.id = 77,
                             .parent_id = INT64_C(9007199254740993),
                             .sequence_number = 2,
                             .timestamp_ms = 1795339490000,
                             .manifest_list = STR("s3://m"),
                             .schema_id = -1,
                             .operation = STR("delete")};
    ice_metadata_add_snapshot(copy, &s, &a);
    DEFER(json_decrefp) json_t *json = text_json(copy, &a);
    assert_int_equal(json_integer_value(json_object_get(json, "current-snapshot-id")), 77);
    assert_int_equal(json_integer_value(json_object_get(json, "last-sequence-number")), 2);
    const json_t *refs = json_object_get(json, "refs");
    const json_t *main_ref = json_object_get(refs, "main");
    assert_int_equal(json_integer_value(json_object_get(main_ref, "snapshot-id")), 77);
    assert_int_equal(json_integer_value(json_object_get(main_ref, "max-snapshot-age-ms")), 5);
    assert_non_null(json_object_get(refs, "audit"));
    assert_non_null(json_object_get(json, "statistics"));
    assert_non_null(json_object_get(json_object_get(json, "x-future"), "deep"));
    const json_t *snapshots = json_object_get(json, "snapshots");
    assert_int_equal(json_array_size(snapshots), 2);
    assert_non_null(json_object_get(json_array_get(snapshots, 0), "key-id"));
    assert_null(json_object_get(json_array_get(snapshots, 1), "schema-id"));
    const json_t *schema = json_array_get(json_object_get(json, "schemas"), 0);
    const json_t *field = json_array_get(json_object_get(schema, "fields"), 1);
    assert_non_null(json_object_get(field, "x-unknown"));
    // The original is as it was.
    assert_int_equal(m->snapshot_count, 1);
    assert_int_equal(m->snapshot_log_count, 1);
    DEFER(json_decrefp) json_t *old = text_json(m, &a);
    const json_t *old_main = json_object_get(json_object_get(old, "refs"), "main");
    assert_true(json_integer_value(json_object_get(old_main, "snapshot-id")) ==
                INT64_C(9007199254740993));
}

static void a_copy_outlives_the_original(void **state) {
    (void)state;
    DEFER(arena_release) struct arena a = ARENA(1 << 20);
    struct arena first = ARENA(1 << 20);
    struct ice_metadata *copy = ice_metadata_copy(parse(WITH_SNAPSHOT "}", &first), &a);
    arena_release(&first);
    ASSERT_STR(ice_metadata_schema(copy)->fields[1].name, STR("v"));
    DEFER(json_decrefp) json_t *json = text_json(copy, &a);
    assert_non_null(json_object_get(json_object_get(json, "refs"), "main"));
}

static void the_clock_may_go_back_but_the_log_may_not(void **state) {
    (void)state;
    DEFER(arena_release) struct arena a = ARENA(1 << 20);
    struct ice_metadata *m = ice_metadata_copy(parse(WITH_SNAPSHOT "}", &a), &a);
    struct ice_snapshot s = {.id = 5, .sequence_number = 2, .timestamp_ms = 1};
    ice_metadata_add_snapshot(m, &s, &a);
    assert_true(m->last_updated_ms == INT64_C(1795339483500));
    assert_true(m->snapshot_log[1].timestamp_ms == INT64_C(1795339483500));
    assert_int_equal(ice_metadata_snapshot_at(m, INT64_MAX)->id, 5);
}

static void schemas_are_used_again_or_get_the_next_id(void **state) {
    (void)state;
    DEFER(arena_release) struct arena a = ARENA(1 << 20);
    struct ice_metadata *m = ice_metadata_copy(parse(WITH_SNAPSHOT "}", &a), &a);
    struct ice_schema *s = ice_schema_copy(ice_metadata_schema(m), &a);
    s->fields[1].name = STR("renamed");
    s->fields[1].id = 9;
    assert_int_equal(ice_metadata_set_schema(m, s, &a), 1);
    assert_int_equal(m->current_schema_id, 1);
    assert_int_equal(m->last_column_id, 9);
    assert_int_equal(ice_metadata_set_schema(m, ice_metadata_schema_by_id(m, 0), &a), 0);
    assert_int_equal(m->schema_count, 2);
    s->fields[0].doc = STR("words");
    assert_int_equal(ice_metadata_set_schema(m, s, &a), 2);
}

static void the_metadata_log_keeps_the_newest(void **state) {
    (void)state;
    DEFER(arena_release) struct arena a = ARENA(1 << 20);
    struct ice_metadata *m = ice_metadata_copy(
        parse(WITH_SNAPSHOT ",\"properties\":{\"write.metadata.previous-versions-max\":\"3\"}}",
              &a),
        &a);
    for (int i = 0; i < 5; i++) {
        ice_metadata_log_previous(m, arena_printf(&a, "s3://%d", i), i, &a);
    }
    assert_int_equal(m->metadata_log_count, 3);
    ASSERT_STR(m->metadata_log[0].metadata, STR("s3://2"));
    ASSERT_STR(m->metadata_log[2].metadata, STR("s3://4"));
}

static void snapshot_ids_fit_into_a_double(void **state) {
    (void)state;
    DEFER(arena_release) struct arena a = ARENA(1 << 20);
    const struct ice_metadata *m = parse(WITH_SNAPSHOT "}", &a);
    for (int i = 0; i < 1000; i++) {
        int64_t id = ice_snapshot_id_new(m);
        assert_true(id > 0 && id < INT64_C(1) << 53);
    }
}

static void assert_refused(const char *text, enum err_code code, const char *reason) {
    DEFER(arena_release) struct arena a = ARENA(1 << 20);
    struct err err = ERR_NONE;
    struct ice_metadata *m = NULL;
    assert_int_equal(ice_metadata_parse(str_from(text), STR("v1.metadata.json"), &a, &m, &err),
                     code);
    if (!strstr(err.msg, reason) || !strstr(err.msg, "v1.metadata.json")) {
        fail_msg("\"%s\" does not say \"%s\"", err.msg, reason);
    }
}

static void a_wrong_document_is_refused_by_member(void **state) {
    (void)state;
    assert_refused("", ERR_CORRUPT, "JSON");
    assert_refused("[]", ERR_CORRUPT, "not an object");
    assert_refused("{}", ERR_CORRUPT, "format-version");
    assert_refused("{\"format-version\":3}", ERR_UNSUPPORTED, "format version 3");
    assert_refused("{\"format-version\":1}", ERR_UNSUPPORTED, "format version 1");
    assert_refused("{\"format-version\":2}", ERR_CORRUPT, "table-uuid");
    assert_refused(HEAD ",\"current-snapshot-id\":5}", ERR_CORRUPT, "current-snapshot-id");
    assert_refused(WITH_SNAPSHOT ",\"refs\":{\"main\":{\"snapshot-id\":6}}}", ERR_CORRUPT, "refs");
    assert_refused(HEAD ",\"refs\":{\"main\":{\"snapshot-id\":6}}}", ERR_CORRUPT, "refs");
    assert_refused(HEAD ",\"snapshots\":{}}", ERR_CORRUPT, "snapshots");
    assert_refused(HEAD ",\"snapshots\":[{}]}", ERR_CORRUPT, "snapshot-id");
    assert_refused(HEAD ",\"snapshot-log\":[{\"timestamp-ms\":\"x\"}]}", ERR_CORRUPT,
                   "timestamp-ms");
    assert_refused(HEAD ",\"properties\":[]}", ERR_CORRUPT, "properties");
}

// A chain of snapshots 1, 2, … a second apart from 1000 ms on, each the child of the one before.
static struct ice_metadata *chain(int count, struct arena *a) {
    const struct ice_schema *s =
        make_schema("{\"type\":\"struct\",\"schema-id\":0,\"fields\":["
                    "{\"id\":1,\"name\":\"id\",\"required\":true,\"type\":\"long\"}]}",
                    a);
    struct ice_metadata *m = ice_metadata_new(STR("u"), STR("s3://lake/t"), s, 0, a);
    for (int i = 1; i <= count; i++) {
        const struct ice_snapshot one = {.id = i,
                                         .parent_id = i - 1,
                                         .sequence_number = i,
                                         .timestamp_ms = INT64_C(1000) * i,
                                         .manifest_list = arena_printf(a, "s3://lake/t/%d", i),
                                         .schema_id = 0,
                                         .operation = STR("append")};
        ice_metadata_add_snapshot(m, &one, a);
    }
    return m;
}

static struct str ids_text(const struct ice_metadata *m, const struct ice_retention *r,
                           struct arena *a) {
    DEFER(buf_release) struct buf out = BUF(1 << 16);
    size_t count;
    const int64_t *ids = ice_metadata_expired(m, r, a, &count);
    for (size_t i = 0; i < count; i++) {
        buf_printf(&out, "%s%lld", i == 0 ? "" : " ", (long long)ids[i]);
    }
    return arena_str(a, buf_str(&out));
}

static void old_snapshots_expire_but_some_are_kept(void **state) {
    (void)state;
    DEFER(arena_release) struct arena a = ARENA(1 << 20);
    struct ice_metadata *m = chain(5, &a);
    struct ice_retention r = ice_metadata_retention(m, 5500);
    assert_true(r.max_age_ms == INT64_C(432000000) && r.min_keep == 1 && r.keep_max == 0);
    ASSERT_STR(ids_text(m, &r, &a), STR(""));
    r.max_age_ms = 2000; // 4 and 5 are younger
    ASSERT_STR(ids_text(m, &r, &a), STR("1 2 3"));
    r.min_keep = 4;
    ASSERT_STR(ids_text(m, &r, &a), STR("1"));
    r.max_age_ms = 0;
    r.min_keep = 1;
    ASSERT_STR(ids_text(m, &r, &a), STR("1 2 3 4")); // never the current one
    r.max_age_ms = INT64_MAX;
    r.keep_max = 2;
    ASSERT_STR(ids_text(m, &r, &a), STR("1 2 3"));
    struct ice_pair properties[] = {{STR("history.expire.max-snapshot-age-ms"), STR("1000")},
                                    {STR("history.expire.min-snapshots-to-keep"), STR("3")}};
    m->properties = properties;
    m->property_count = 2;
    r = ice_metadata_retention(m, 5500);
    ASSERT_STR(ids_text(m, &r, &a), STR("1 2"));
}

static void branches_and_tags_keep_what_they_lead_to(void **state) {
    (void)state;
    DEFER(arena_release) struct arena a = ARENA(1 << 20);
    DEFER(json_decrefp)
    json_t *refs =
        json_pack("{s:{s:i,s:s},s:{s:i,s:s},s:{s:i,s:s,s:i},s:{s:i,s:s,s:i}}", "main",
                  "snapshot-id", 6, "type", "branch", "audit", "snapshot-id", 2, "type", "tag",
                  "work", "snapshot-id", 4, "type", "branch", "min-snapshots-to-keep", 2, "old",
                  "snapshot-id", 1, "type", "tag", "max-ref-age-ms", 10);
    struct ice_metadata *m = chain(6, &a);
    m->refs = refs;
    const struct ice_retention r = {.now_ms = 7000, .max_age_ms = 0, .min_keep = 1};
    ASSERT_STR(ids_text(m, &r, &a), STR("1 5")); // 3 and 4 are of work
    const int64_t gone[] = {5, 1};
    ice_metadata_remove_snapshots(m, gone, 2, &a);
    assert_int_equal(m->snapshot_count, 4);
    assert_null(json_object_get(m->refs, "old"));
    assert_non_null(json_object_get(m->refs, "audit"));
    assert_non_null(json_object_get(refs, "old")); // what was read stays as it is
}

static void a_log_begins_behind_what_was_taken_out(void **state) {
    (void)state;
    DEFER(arena_release) struct arena a = ARENA(1 << 20);
    struct ice_metadata *m = chain(5, &a);
    const int64_t gone[] = {3};
    ice_metadata_remove_snapshots(m, gone, 1, &a);
    assert_int_equal(m->snapshot_count, 4);
    assert_int_equal(m->snapshot_log_count, 2);
    assert_true(m->snapshot_log[0].snapshot_id == 4);
    assert_true(ice_metadata_snapshot(m)->id == 5);
    assert_true(ice_metadata_snapshot_at(m, 4500)->id == 4);
    assert_null(ice_metadata_snapshot_at(m, 3500));
    struct ice_metadata *back = parse(arena_cstr(&a, ice_metadata_text(m, &a)), &a);
    assert_int_equal(back->snapshot_count, 4);
}

static void statistics_go_with_their_snapshot(void **state) {
    (void)state;
    DEFER(arena_release) struct arena a = ARENA(1 << 20);
    const struct ice_metadata *m =
        parse(WITH_SNAPSHOT ",\"statistics\":[{\"snapshot-id\":9007199254740993,"
                            "\"statistics-path\":\"s3://lake/1.puffin\"}]}",
              &a);
    struct ice_metadata *next = ice_metadata_copy(m, &a);
    struct str *paths;
    const struct ice_snapshot s = {.id = 77,
                                   .sequence_number = 2,
                                   .timestamp_ms = 1795339490000,
                                   .manifest_list = STR("s3://m"),
                                   .schema_id = -1,
                                   .operation = STR("append")};
    const int64_t gone[] = {INT64_C(9007199254740993)};
    ice_metadata_add_snapshot(next, &s, &a);
    assert_int_equal(ice_metadata_statistics(next, &a, &paths), 1);
    ASSERT_STR(paths[0], STR("s3://lake/1.puffin"));
    ice_metadata_remove_snapshots(next, gone, 1, &a);
    assert_int_equal(ice_metadata_statistics(next, &a, &paths), 0);
    assert_int_equal(ice_metadata_statistics(m, &a, &paths), 1);
}

static void a_forgotten_past_leads_to_no_object(void **state) {
    (void)state;
    DEFER(arena_release) struct arena a = ARENA(1 << 20);
    const struct ice_metadata *m =
        parse(WITH_SNAPSHOT ",\"statistics\":[{\"snapshot-id\":9007199254740993,"
                            "\"statistics-path\":\"s3://lake/1.puffin\"}],"
                            "\"partition-statistics\":[{\"snapshot-id\":9007199254740993,"
                            "\"statistics-path\":\"s3://lake/2.puffin\"}],\"x-future\":1}",
              &a);
    struct ice_metadata *next = ice_metadata_copy(m, &a);
    ice_metadata_log_previous(next, STR("s3://lake/old.metadata.json"), 1, &a);
    ice_metadata_forget_past(next, &a);
    const struct str text = ice_metadata_text(next, &a);
    const struct ice_metadata *back = parse(arena_cstr(&a, text), &a);
    struct str *paths;
    assert_int_equal(back->metadata_log_count, 0);
    assert_int_equal(ice_metadata_statistics(back, &a, &paths), 0);
    assert_int_equal(str_find(text, STR("puffin")), -1);
    assert_true(str_find(text, STR("x-future")) >= 0);
    assert_int_equal(back->snapshot_count, m->snapshot_count);
    assert_int_equal(ice_metadata_statistics(m, &a, &paths), 2); // what was read stays as it is
}

static void an_older_snapshot_becomes_main_again(void **state) {
    (void)state;
    DEFER(arena_release) struct arena a = ARENA(1 << 20);
    struct ice_metadata *m = chain(3, &a);
    ice_metadata_set_main(m, 1, 2000, &a); // a clock that went back
    struct ice_metadata *back = parse(arena_cstr(&a, ice_metadata_text(m, &a)), &a);
    assert_true(ice_metadata_snapshot(back)->id == 1);
    assert_int_equal(back->last_sequence_number, 3);
    assert_int_equal(back->snapshot_log_count, 4);
    assert_true(back->snapshot_log[3].timestamp_ms == 3000);
    assert_true(ice_metadata_snapshot_at(back, 3000)->id == 1);
    assert_true(ice_metadata_snapshot_at(back, 2999)->id == 2);
    // What was rolled back from is kept until it is old.
    struct ice_retention r = {.now_ms = 3500, .max_age_ms = 1000, .min_keep = 1};
    ASSERT_STR(ids_text(back, &r, &a), STR("2"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_new_table_is_a_whole_document),
        cmocka_unit_test(a_document_is_read),
        cmocka_unit_test(no_snapshot_has_three_spellings),
        cmocka_unit_test(what_is_not_understood_is_written_again),
        cmocka_unit_test(a_copy_outlives_the_original),
        cmocka_unit_test(the_clock_may_go_back_but_the_log_may_not),
        cmocka_unit_test(schemas_are_used_again_or_get_the_next_id),
        cmocka_unit_test(the_metadata_log_keeps_the_newest),
        cmocka_unit_test(snapshot_ids_fit_into_a_double),
        cmocka_unit_test(a_wrong_document_is_refused_by_member),
        cmocka_unit_test(old_snapshots_expire_but_some_are_kept),
        cmocka_unit_test(branches_and_tags_keep_what_they_lead_to),
        cmocka_unit_test(a_log_begins_behind_what_was_taken_out),
        cmocka_unit_test(statistics_go_with_their_snapshot),
        cmocka_unit_test(a_forgotten_past_leads_to_no_object),
        cmocka_unit_test(an_older_snapshot_becomes_main_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
