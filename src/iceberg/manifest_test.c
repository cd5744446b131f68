// Manifests and manifest lists: both ways, inheritance, other writers' files, damage.
#include "iceberg/manifest.h"

#include "iceberg/golden_test.h"
#include "iceberg/support_test.h"

static const char table_schema[] =
    "{\"type\":\"struct\",\"schema-id\":3,\"fields\":["
    "{\"id\":1,\"name\":\"a\",\"required\":false,\"type\":\"long\"},"
    "{\"id\":2,\"name\":\"d\",\"required\":false,\"type\":\"decimal(9,2)\"},"
    "{\"id\":3,\"name\":\"t\",\"required\":false,\"type\":\"timestamptz\"},"
    "{\"id\":4,\"name\":\"s\",\"required\":false,\"type\":\"string\"},"
    "{\"id\":5,\"name\":\"f\",\"required\":false,\"type\":\"double\"}]}";

static struct ice_data_file some_file(struct arena *a) {
    static struct ice_count counts[] = {{1, 10}, {4, 0}};
    static struct ice_bound bounds[] = {{4, {"abc", 3}}, {1, {"\x01\0\0\0\0\0\0\0", 8}}};
    static int64_t splits[] = {4, 1000000};
    static int32_t equality[] = {1, 4};
    return (struct ice_data_file){
        .path = arena_str(a, STR("s3://lake/t/data/\xc3\xa4.parquet")),
        .format = STR("PARQUET"),
        .record_count = 10,
        .file_bytes = 12345,
        .column_bytes = {counts, 2},
        .value_counts = {counts, 2},
        .null_counts = {counts, 1},
        .nan_counts = {counts, 1},
        .lower = {bounds, 2},
        .upper = {bounds, 1},
        .split_offsets = splits,
        .split_count = 2,
        .equality_ids = equality,
        .equality_count = 2,
        .has_sort_order = true,
        .sort_order_id = 0,
        .referenced_data_file = STR("s3://lake/other"),
    };
}

static struct ice_manifest *write_and_read(const struct ice_manifest *m,
                                           struct ice_manifest_ref *ref, struct arena *a) {
    struct err err = ERR_NONE;
    struct str data = STR_NONE;
    ASSERT_OK(ice_manifest_write(m, a, &data, ref, &err));
    assert_int_equal(ref->bytes, data.len);
    struct ice_manifest *back = NULL;
    ASSERT_OK(ice_manifest_read(data, ref, a, &back, &err));
    return back;
}

static struct ice_manifest_ref new_ref(void) {
    return (struct ice_manifest_ref){
        .path = STR("s3://lake/t/metadata/m0.avro"),
        .added_snapshot_id = 4075463461038582,
        .sequence_number = 7,
    };
}

static void assert_counts(const struct ice_counts *x, const struct ice_counts *y) {
    assert_int_equal(x->count, y->count);
    for (size_t i = 0; i < x->count; i++) {
        assert_int_equal(x->items[i].id, y->items[i].id);
        assert_int_equal(x->items[i].value, y->items[i].value);
    }
}

static void assert_bounds(const struct ice_bounds *x, const struct ice_bounds *y) {
    assert_int_equal(x->count, y->count);
    for (size_t i = 0; i < x->count; i++) {
        assert_int_equal(x->items[i].id, y->items[i].id);
        ASSERT_STR(x->items[i].bytes, y->items[i].bytes);
    }
}

static void a_file_comes_back_as_it_was(void **state) {
    (void)state;
    DEFER(arena_release) struct arena a = ARENA(1 << 20);
    struct ice_entry entry = {.status = ICE_ADDED, .inherit = true, .file = some_file(&a)};
    entry.file.content = ICE_EQUALITY_DELETES;
    struct ice_manifest m = {
        .deletes = true,
        .schema_id = 3,
        .schema = make_schema(table_schema, &a),
        .spec_fields = STR("[]"),
        .entries = &entry,
        .entry_count = 1,
    };
    struct ice_manifest_ref ref = new_ref();
    const struct ice_manifest *back = write_and_read(&m, &ref, &a);
    assert_true(back->deletes);
    assert_int_equal(back->schema_id, 3);
    assert_true(ice_schema_eq(back->schema, m.schema));
    ASSERT_STR(back->spec_fields, STR("[]"));
    const struct ice_data_file *f = &back->entries[0].file;
    const struct ice_data_file *g = &entry.file;
    assert_int_equal(f->content, g->content);
    ASSERT_STR(f->path, g->path);
    ASSERT_STR(f->format, g->format);
    assert_int_equal(f->record_count, g->record_count);
    assert_int_equal(f->file_bytes, g->file_bytes);
    assert_counts(&f->column_bytes, &g->column_bytes);
    assert_counts(&f->value_counts, &g->value_counts);
    assert_counts(&f->null_counts, &g->null_counts);
    assert_counts(&f->nan_counts, &g->nan_counts);
    assert_bounds(&f->lower, &g->lower);
    assert_bounds(&f->upper, &g->upper);
    assert_int_equal(f->split_count, 2);
    assert_int_equal(f->split_offsets[1], 1000000);
    assert_int_equal(f->equality_count, 2);
    assert_int_equal(f->equality_ids[1], 4);
    assert_true(f->has_sort_order);
    assert_int_equal(f->sort_order_id, 0);
    ASSERT_STR(f->referenced_data_file, g->referenced_data_file);
}

static void numbers_are_inherited_by_the_rules(void **state) {
    (void)state;
    DEFER(arena_release) struct arena a = ARENA(1 << 20);
    struct ice_entry entries[] = {
        {.status = ICE_ADDED, .inherit = true},
        {.status = ICE_ADDED, .sequence_number = 3}, // rewritten rows keep their age
        {.status = ICE_EXISTING,
         .snapshot_id = 11,
         .sequence_number = 5,
         .file_sequence_number = 6},
        {.status = ICE_DELETED, .snapshot_id = 12, .sequence_number = 1, .file_sequence_number = 2},
    };
    for (size_t i = 0; i < ARRAY_LEN(entries); i++) {
        entries[i].file = some_file(&a);
    }
    struct ice_manifest m = {
        .schema_id = -1,
        .schema = make_schema(table_schema, &a),
        .entries = entries,
        .entry_count = ARRAY_LEN(entries),
    };
    struct ice_manifest_ref ref = new_ref();
    const struct ice_manifest *back = write_and_read(&m, &ref, &a);
    assert_int_equal(ref.min_sequence_number, 3); // the deleted file does not count
    assert_int_equal(ref.added_files, 2);
    assert_int_equal(ref.existing_files, 1);
    assert_int_equal(ref.deleted_files, 1);
    assert_int_equal(ref.added_rows, 20);
    assert_int_equal(ref.existing_rows, 10);
    assert_int_equal(ref.deleted_rows, 10);
    static const int64_t wanted[][3] = {
        {4075463461038582, 7, 7}, {4075463461038582, 3, 7}, {11, 5, 6}, {12, 1, 2}};
    for (size_t i = 0; i < ARRAY_LEN(entries); i++) {
        assert_int_equal(back->entries[i].status, entries[i].status);
        assert_int_equal(back->entries[i].snapshot_id, wanted[i][0]);
        assert_int_equal(back->entries[i].sequence_number, wanted[i][1]);
        assert_int_equal(back->entries[i].file_sequence_number, wanted[i][2]);
    }
    assert_int_equal(back->schema_id, 3);
}

static void a_manifest_without_live_files_has_its_own_number(void **state) {
    (void)state;
    DEFER(arena_release) struct arena a = ARENA(1 << 20);
    struct ice_manifest m = {.schema = make_schema(table_schema, &a)};
    struct ice_manifest_ref ref = new_ref();
    assert_int_equal(write_and_read(&m, &ref, &a)->entry_count, 0);
    assert_int_equal(ref.min_sequence_number, 7);
}

#define SPEC                                                                                       \
    "[{\"source-id\":2,\"field-id\":1000,\"name\":\"d\",\"transform\":\"identity\"},"              \
    "{\"source-id\":3,\"field-id\":1001,\"name\":\"t day\",\"transform\":\"day\"},"                \
    "{\"source-id\":4,\"field-id\":1002,\"name\":\"1s\",\"transform\":\"truncate[2]\"},"           \
    "{\"source-id\":1,\"field-id\":1003,\"name\":\"b\",\"transform\":\"bucket[16]\"},"             \
    "{\"source-id\":5,\"field-id\":1004,\"name\":\"f\",\"transform\":\"identity\"}]"

static void partition_tuples_come_back_and_are_summarized(void **state) {
    (void)state;
    DEFER(arena_release) struct arena a = ARENA(1 << 20);
    struct ice_partition_value one[] = {
        {1000, false, unhex("ff3cb0", &a)},
        {1001, false, unhex("e64f0000", &a)},
        {1002, false, STR("ab")},
        {1003, false, unhex("0f000000", &a)},
        {1004, false, unhex("000000000000f87f", &a)}, // not a number
    };
    struct ice_partition_value two[] = {
        {1004, false, unhex("000000000000f83f", &a)},
        {1003, false, unhex("00000000", &a)},
        {1002, true, STR_NONE},
        {1001, false, unhex("ffffffff", &a)},
        {1000, false, unhex("0124f8", &a)},
    };
    struct ice_entry entries[] = {{.status = ICE_ADDED, .inherit = true, .file = some_file(&a)},
                                  {.status = ICE_ADDED, .inherit = true, .file = some_file(&a)}};
    entries[0].file.partition = one;
    entries[0].file.partition_count = ARRAY_LEN(one);
    entries[1].file.partition = two;
    entries[1].file.partition_count = ARRAY_LEN(two);
    struct ice_manifest m = {
        .schema = make_schema(table_schema, &a),
        .spec_id = 2,
        .spec_fields = STR(SPEC),
        .entries = entries,
        .entry_count = 2,
    };
    struct ice_manifest_ref ref = new_ref();
    const struct ice_manifest *back = write_and_read(&m, &ref, &a);
    assert_int_equal(back->spec_id, 2);
    ASSERT_STR(back->spec_fields, STR(SPEC));
    for (size_t i = 0; i < ARRAY_LEN(one); i++) {
        const struct ice_partition_value *p = &back->entries[0].file.partition[i];
        const struct ice_partition_value *q = &back->entries[1].file.partition[i];
        assert_int_equal(p->field_id, one[i].field_id);
        assert_false(p->is_null);
        ASSERT_STR(p->bytes, one[i].bytes);
        assert_int_equal(q->is_null, i == 2);
        ASSERT_STR(q->bytes, two[ARRAY_LEN(two) - 1 - i].bytes);
    }
    // Per field: null, branch and nan, lower with its length, upper with its length.
    ASSERT_STR(hex_bytes(ref.partitions.ptr, ref.partitions.len, &a),
               STR("0a"
                   "0002000206ff3cb002060124f8"
                   "0002000208ffffffff0208e64f0000"
                   "010200020461620204"
                   "6162"
                   "00020002080000000002080f000000"
                   "0002010210000000000000f83f0210000000000000f83f"
                   "00"));
}

static void a_tuple_that_does_not_fit_its_type_is_refused(void **state) {
    (void)state;
    DEFER(arena_release) struct arena a = ARENA(1 << 20);
    struct ice_partition_value bad = {1003, false, STR("abc")};
    struct ice_entry entry = {.status = ICE_ADDED, .inherit = true, .file = some_file(&a)};
    entry.file.partition = &bad;
    entry.file.partition_count = 1;
    struct ice_manifest m = {
        .schema = make_schema(table_schema, &a),
        .spec_fields = STR(SPEC),
        .entries = &entry,
        .entry_count = 1,
    };
    struct ice_manifest_ref ref = new_ref();
    struct err err = ERR_NONE;
    struct str data = STR_NONE;
    assert_int_equal(ice_manifest_write(&m, &a, &data, &ref, &err), ERR_INVALID);
    m.spec_fields = STR("[{\"source-id\":1,\"field-id\":1000,\"name\":\"x\","
                        "\"transform\":\"zorder[3]\"}]");
    assert_int_equal(ice_manifest_write(&m, &a, &data, &ref, &err), ERR_UNSUPPORTED);
}

static void other_writers_manifests_are_read(void **state) {
    (void)state;
    static const char *const files[] = {manifest_zstandard, manifest_snappy};
    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        DEFER(arena_release) struct arena a = ARENA(1 << 20);
        struct err err = ERR_NONE;
        struct ice_manifest_ref ref = new_ref();
        struct ice_manifest *m = NULL;
        ASSERT_OK(ice_manifest_read(unhex(files[i], &a), &ref, &a, &m, &err));
        assert_int_equal(m->spec_id, 2);
        assert_int_equal(m->schema_id, 3);
        assert_int_equal(m->entry_count, 2);
        const struct ice_entry *e = m->entries;
        assert_int_equal(e[0].sequence_number, 7);
        ASSERT_STR(e[0].file.path, STR("s3://b/x.parquet"));
        ASSERT_STR(
            hex_bytes(e[0].file.partition[0].bytes.ptr, e[0].file.partition[0].bytes.len, &a),
            STR("fe0c"));
        assert_int_equal(e[0].file.lower.items[0].bytes.len, 4); // an int that is a long now
        assert_int_equal(e[1].status, ICE_EXISTING);
        assert_int_equal(e[1].sequence_number, 4);
        assert_int_equal(e[1].file_sequence_number, 4); // left out by old writers
        assert_true(e[1].file.partition[0].is_null);
        ref.deletes = true;
        assert_int_equal(ice_manifest_read(unhex(files[i], &a), &ref, &a, &m, &err), ERR_CORRUPT);
    }
}

static struct ice_manifest_list read_list(struct str data, struct arena *a) {
    struct err err = ERR_NONE;
    struct ice_manifest_list l = {0};
    ASSERT_OK(ice_manifest_list_read(data, STR("snap.avro"), a, &l, &err));
    return l;
}

static void a_list_carries_manifests_over_unchanged(void **state) {
    (void)state;
    DEFER(arena_release) struct arena a = ARENA(1 << 20);
    struct err err = ERR_NONE;
    struct ice_manifest_ref refs[] = {
        {.path = STR("s3://a"),
         .bytes = 1,
         .spec_id = 2,
         .deletes = true,
         .sequence_number = 9,
         .min_sequence_number = 4,
         .added_snapshot_id = INT64_C(9007199254740993),
         .added_files = 1,
         .existing_files = 2,
         .deleted_files = 3,
         .added_rows = 4,
         .existing_rows = 5,
         .deleted_rows = 6,
         .partitions = unhex("020100020461620204616200", &a)},
        {.path = STR("s3://b"), .bytes = 2, .partitions = unhex("00", &a)},
        {.path = STR("s3://c"), .bytes = 3},
    };
    struct ice_manifest_list l = {.snapshot_id = 5,
                                  .parent_snapshot_id = 4,
                                  .sequence_number = 9,
                                  .manifests = refs,
                                  .manifest_count = ARRAY_LEN(refs)};
    struct str data = STR_NONE;
    ASSERT_OK(ice_manifest_list_write(&l, &a, &data, &err));
    struct ice_manifest_list back = read_list(data, &a);
    assert_int_equal(back.snapshot_id, 5);
    assert_int_equal(back.parent_snapshot_id, 4);
    assert_int_equal(back.sequence_number, 9);
    assert_int_equal(back.manifest_count, 3);
    for (size_t i = 0; i < 3; i++) {
        const struct ice_manifest_ref *x = &refs[i];
        const struct ice_manifest_ref *y = &back.manifests[i];
        ASSERT_STR(y->path, x->path);
        ASSERT_STR(y->partitions, x->partitions);
        assert_int_equal(y->bytes, x->bytes);
        assert_int_equal(y->spec_id, x->spec_id);
        assert_int_equal(y->deletes, x->deletes);
        assert_int_equal(y->sequence_number, x->sequence_number);
        assert_int_equal(y->min_sequence_number, x->min_sequence_number);
        assert_true(y->added_snapshot_id == x->added_snapshot_id);
        assert_int_equal(y->added_files, x->added_files);
        assert_int_equal(y->existing_files, x->existing_files);
        assert_int_equal(y->deleted_files, x->deleted_files);
        assert_int_equal(y->added_rows, x->added_rows);
        assert_int_equal(y->existing_rows, x->existing_rows);
        assert_int_equal(y->deleted_rows, x->deleted_rows);
    }
    struct str again = STR_NONE;
    ASSERT_OK(ice_manifest_list_write(&back, &a, &again, &err));
    assert_int_equal(again.len, data.len);
}

static void the_first_snapshot_has_no_parent(void **state) {
    (void)state;
    DEFER(arena_release) struct arena a = ARENA(1 << 20);
    struct err err = ERR_NONE;
    struct ice_manifest_list l = {.snapshot_id = 5, .sequence_number = 1};
    struct str data = STR_NONE;
    ASSERT_OK(ice_manifest_list_write(&l, &a, &data, &err));
    assert_true(str_find(data, STR("\x24parent-snapshot-id\x08null")) > 0);
    assert_true(str_find(data, STR("\x14"
                                   "avro.codec\x08null")) > 0);
    assert_int_equal(read_list(data, &a).parent_snapshot_id, 0);
}

// A file of one kind is damaged byte by byte: refused with its name, or harmless.
static void damage_anywhere_is_no_crash(void **state) {
    (void)state;
    DEFER(arena_release) struct arena a = ARENA(1 << 20);
    struct str whole = unhex(manifest_snappy, &a);
    uint64_t random = 7;
    for (int n = 0; n < 2000; n++) {
        DEFER(arena_release) struct arena scratch = ARENA(1 << 20);
        char *bytes = arena_cstr(&scratch, whole);
        bytes[next_random(&random) % whole.len] = (char)next_random(&random);
        struct err err = ERR_NONE;
        struct ice_manifest_ref ref = new_ref();
        struct ice_manifest *m = NULL;
        if (ice_manifest_read((struct str){bytes, whole.len}, &ref, &scratch, &m, &err) != ERR_OK) {
            assert_non_null(strstr(err.msg, "m0.avro"));
        }
    }
}

static void a_list_is_not_a_manifest(void **state) {
    (void)state;
    DEFER(arena_release) struct arena a = ARENA(1 << 20);
    struct err err = ERR_NONE;
    struct ice_manifest_ref ref = new_ref();
    struct ice_manifest_list l = {.snapshot_id = 5, .manifests = &ref, .manifest_count = 1};
    struct str data = STR_NONE;
    ASSERT_OK(ice_manifest_list_write(&l, &a, &data, &err));
    struct ice_manifest *m = NULL;
    assert_int_equal(ice_manifest_read(data, &ref, &a, &m, &err), ERR_CORRUPT);
    assert_int_equal(ice_manifest_list_read(unhex(manifest_snappy, &a), ref.path, &a, &l, &err),
                     ERR_CORRUPT);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_comes_back_as_it_was),
        cmocka_unit_test(numbers_are_inherited_by_the_rules),
        cmocka_unit_test(a_manifest_without_live_files_has_its_own_number),
        cmocka_unit_test(partition_tuples_come_back_and_are_summarized),
        cmocka_unit_test(a_tuple_that_does_not_fit_its_type_is_refused),
        cmocka_unit_test(other_writers_manifests_are_read),
        cmocka_unit_test(a_list_carries_manifests_over_unchanged),
        cmocka_unit_test(the_first_snapshot_has_no_parent),
        cmocka_unit_test(damage_anywhere_is_no_crash),
        cmocka_unit_test(a_list_is_not_a_manifest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
