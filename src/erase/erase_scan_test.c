// Tests of the scan: a value that is hidden in any place is found there, and a clean lake is clean.

#include "erase/erase_int.h"

#include "catalog/catalog_content.h"
#include "iceberg/avro.h"
#include "upkeep/lake_test.h"

#define KEY "CAND-000001"

static struct erase *eraser;
static struct erase_scanned last;

static int begin(void **state) {
    (void)setup(state);
    const struct erase_options o = {.catalog = world.catalog,
                                    .tables = world.tables,
                                    .upkeep = upkeep,
                                    .spool = arena_printf(&world.texts, "%s/spool", world.root),
                                    .cache = arena_printf(&world.texts, "%s/cache", world.root)};
    assert_int_equal(mkdir(o.cache.ptr, 0700), 0);
    eraser = erase_new(&o);
    return 0;
}

static int end(void **state) {
    erase_free(TAKE(eraser));
    return teardown(state);
}

static struct store *primary(void) {
    const struct catalog_bucket *b = NULL;
    OK(catalog_bucket_find(world.catalog, STR(""), &b, &err));
    return b->store;
}

static void put(const char *name, struct str data) {
    OK(store_put_new(primary(), str_from(name), data, &err));
}

// A Parquet file of the SELECT, packed so that its bytes alone show little.
static void copy_to(const char *path, const char *select) {
    OK(session_run(
        world.session,
        arena_printf(&world.arena, "COPY (%s) TO '%s' (FORMAT parquet, CODEC zstd)", select, path),
        &err));
}

static void put_parquet(const char *name, const char *select) {
    const char *path = arena_printf(&world.arena, "%s/spool/copy", world.root).ptr;
    copy_to(path, select);
    OK(store_put_file(primary(), str_from(name), path, &err));
}

static void put_local(const char *name, struct str data) {
    FILE *f = fopen(arena_printf(&world.arena, "%s/%s", world.root, name).ptr, "we");
    assert_non_null(f);
    assert_int_equal(fwrite(data.ptr, 1, data.len, f), data.len);
    assert_int_equal(fclose(f), 0);
}

static int64_t scan_for(const struct erase_subjects *subjects) {
    static const struct str columns[] = {{"id", 2}, {"Candidate_ID", 12}};
    const struct erase_scan scan = {
        .subjects = subjects, .columns = columns, .column_count = ARRAY_LEN(columns)};
    err = ERR_NONE;
    OK(erase_scan(eraser, &scan, NULL, &world.arena, &last, &err));
    return last.found;
}

static int64_t scan_text_key(const char *value) {
    const struct table_key key = {.text = str_from(value)};
    return scan_for(&(struct erase_subjects){.keys = &key, .key_count = 1});
}

static int64_t scan_number(const char *value) {
    const struct table_key key = {.text = str_from(value), .integer = true};
    return scan_for(&(struct erase_subjects){.keys = &key, .key_count = 1});
}

// Times that the last scan found something at that place.
static int64_t found_at(const char *object, const char *where) {
    int64_t n = 0;
    for (size_t i = 0; i < last.finding_count; i++) {
        const struct erase_finding *f = &last.findings[i];
        assert_true(str_find(f->where, STR(KEY)) < 0);
        n += str_find(f->object, str_from(object)) >= 0 && str_is(f->where, where) ? f->count : 0;
    }
    return n;
}

static void a_clean_lake_is_clean(void **state) {
    (void)state;
    lake_write(TABLE_CREATE, "(SELECT printf('CAND-%07d', i) AS id, 'of CAND-0000012' AS v, "
                             "i + 100000 AS n FROM range(10000) t(i))");
    lake_delta(TABLE_DELTA_DELETE, "(SELECT 'CAND-0000017' AS id)");
    put("x/empty.parquet", STR(""));
    OK(store_delete(primary(), STR("x/empty.parquet"), &err));
    put_local("spool/plain", STR("XCAND-000001 CAND-0000012\n"));
    assert_int_equal(scan_text_key(KEY), 0);
    assert_int_equal(last.finding_count, 0);
    assert_true(last.objects > 5);
    assert_int_equal(last.objects, last.parquet + last.avro + last.json + last.other);
    assert_int_equal(last.parquet, 2);
    assert_true(last.avro >= 4 && last.json >= 4);
    assert_int_equal(last.rows, 10001);
    assert_int_equal(last.local_files, 1);
    assert_true(last.bytes > 10000);
    assert_int_equal(scan_number("123456789"), 0);
}

static void a_cell_of_a_data_file_is_found(void **state) {
    (void)state;
    put_parquet("x/a.parquet", "SELECT i AS n, CASE i WHEN 7000 THEN '" KEY "' WHEN 9000 THEN "
                               "'for " KEY ", says " KEY "' ELSE 'CAND-0000012' END AS note "
                               "FROM range(10000) t(i)");
    assert_true(scan_text_key(KEY) >= 3);
    assert_int_equal(found_at("x/a.parquet", "column note"), 3);
    assert_int_equal(last.rows, 10000);
}

static void nested_texts_are_found_as_they_are(void **state) {
    (void)state;
    static const char *const value = "O'Brien \"Bob\" \\ Lee";
    put_parquet("x/list.parquet",
                "SELECT ['x', 'O''Brien \"Bob\" \\ Lee', NULL] AS c UNION ALL SELECT NULL");
    put_parquet("x/struct.parquet", "SELECT {'a': 1, 'b': {'c': 'O''Brien \"Bob\" \\ Lee'}} AS c");
    put_parquet("x/map.parquet", "SELECT MAP {'k': ['O''Brien \"Bob\" \\ Lee'], "
                                 "'O''Brien \"Bob\" \\ Lee': ['y']} AS c");
    put_parquet("x/many.parquet", "SELECT CASE WHEN i % 10 = 0 THEN ['a', 'O''Brien \"Bob\" \\ "
                                  "Lee'] WHEN i % 3 = 0 THEN [] ELSE ['b'] END AS c "
                                  "FROM range(5000) t(i)");
    assert_true(scan_text_key(value) > 0);
    assert_int_equal(found_at("x/list.parquet", "column c"), 1);
    assert_int_equal(found_at("x/struct.parquet", "column c"), 1);
    assert_int_equal(found_at("x/map.parquet", "column c"), 2);
    assert_int_equal(found_at("x/many.parquet", "column c"), 500);
}

static void an_integer_key_is_found_in_key_columns_alone(void **state) {
    (void)state;
    put_parquet("x/key.parquet", "SELECT 42::SMALLINT AS candidate_id, 43 AS other");
    put_parquet("x/wide.parquet", "SELECT 42::UBIGINT AS \"CANDIDATE_ID\", 42 AS other");
    put_parquet("x/other.parquet", "SELECT 42 AS other, [42] AS others, '42' AS text");
    put_parquet("x/nested.parquet", "SELECT {'candidate_id': 42, 'n': 42} AS c");
    put_parquet("x/items.parquet", "SELECT [42, 1, 42] AS id");
    put_parquet("x/decimal.parquet", "SELECT 42::DECIMAL(10, 0) AS id");
    put_parquet("x/text.parquet", "SELECT '42' AS id");
    put("x/a.json", STR("{\"id\": 42, \"n\": 42, \"deep\": {\"candidate_id\": [42, \"42\"]}}"));
    assert_int_equal(scan_number("42"), 10);
    assert_int_equal(found_at("x/key.parquet", "column candidate_id"), 1);
    assert_int_equal(found_at("x/wide.parquet", "column CANDIDATE_ID"), 1);
    assert_int_equal(found_at("x/nested.parquet", "column c"), 1);
    assert_int_equal(found_at("x/items.parquet", "column id"), 2);
    assert_int_equal(found_at("x/decimal.parquet", "column id"), 1);
    assert_int_equal(found_at("x/text.parquet", "column id"), 1);
    assert_int_equal(found_at("x/a.json", "text"), 3);
}

static void a_short_text_is_found_in_key_columns_alone(void **state) {
    (void)state;
    put_parquet("x/a.parquet", "SELECT 'Bo' AS id, 'Bo' AS v UNION ALL SELECT 'Bob', 'Bo Lee'");
    put("x/a.json", STR("{\"id\": \"Bo\", \"v\": \"Bo\", \"Bo\": 1}"));
    put("x/list.json", STR("{\"body\": {\"column\": \"ID\", \"items\": [{\"value\": \"Bo\"}]}}"));
    put("x/b.json", STR("{\"column\": \"v\", \"items\": [{\"value\": \"Bo\"}]}"));
    assert_int_equal(scan_text_key("Bo"), 3);
    assert_int_equal(found_at("x/a.parquet", "column id"), 1);
    assert_int_equal(found_at("x/a.json", "text"), 1);
    assert_int_equal(found_at("x/list.json", "text"), 1);
}

static void binary_and_uuid_columns_are_found(void **state) {
    (void)state;
    put_parquet("x/blob.parquet", "SELECT '\\x00\\xff(" KEY ")\\x00'::BLOB AS c");
    assert_true(scan_text_key(KEY) >= 1);
    assert_int_equal(found_at("x/blob.parquet", "column c"), 1);
    put_parquet("x/uuid.parquet", "SELECT 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::UUID AS c, "
                                  "['a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::UUID] AS d");
    assert_true(scan_text_key("A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11") >= 2);
    assert_int_equal(found_at("x/uuid.parquet", "column c"), 1);
    assert_int_equal(found_at("x/uuid.parquet", "column d"), 1);
}

static void a_deleted_row_that_is_still_in_its_file_is_found(void **state) {
    (void)state;
    lake_write(TABLE_CREATE, "(SELECT i AS id, 'mail p' || i || '@example.org' AS v "
                             "FROM range(100000, 101000) t(i))");
    lake_delta(TABLE_DELTA_DELETE, "(SELECT 100500 AS id)");
    assert_true(scan_text_key("p100500@example.org") >= 1);
    assert_int_equal(found_at("/data/", "column v"), 1);
    assert_true(scan_number("100500") >= 1);
    assert_int_equal(found_at("/data/", "column id"), 1);
}

static void bounds_of_manifests_are_values_of_their_columns(void **state) {
    (void)state;
    lake_write(TABLE_CREATE, "(SELECT * FROM (VALUES ('" KEY "', 'x'), ('CAND-000009', 'y')) "
                             "t(id, v))");
    assert_true(scan_text_key(KEY) >= 2);
    assert_int_equal(found_at("/metadata/", "lower bound of id"), 1);
    assert_int_equal(found_at("/metadata/", "record"), 0);
    assert_int_equal(found_at("/data/", "column id"), 1);
    lake_write(TABLE_REPLACE, "(SELECT * FROM (VALUES (-5, 42), (42, -5)) t(id, v))");
    assert_int_equal(scan_number("42"), 2);
    assert_int_equal(found_at("/metadata/", "upper bound of id"), 1);
    assert_int_equal(scan_number("-5"), 2);
    assert_int_equal(found_at("/metadata/", "lower bound of id"), 1);
}

static void texts_of_the_log_and_of_metadata_are_found(void **state) {
    (void)state;
    struct catalog_author who = world_author;
    who.reason = STR("asked for by " KEY);
    OK(catalog_note_refused(world.catalog, &who, STR("dataset:d"), ERR_DENIED, &err));
    put("tables/d/metadata/v1.metadata.json",
        STR("{\"properties\": {\"owner\": \"" KEY "\", \"" KEY "\": \"x\"}}"));
    assert_int_equal(scan_text_key(KEY), 3);
    assert_int_equal(found_at("_catalog/log/", "text"), 1);
    assert_int_equal(found_at("v1.metadata.json", "text"), 2);
}

static void escapes_hide_nothing(void **state) {
    (void)state;
    put("_catalog/content/a.json",
        STR("{\"v\":1,\"body\":{\"note\":\"Zo\\u00eb \\u004dulder\\/x\"}}"));
    assert_int_equal(scan_text_key("Zo\xc3\xab Mulder"), 1);
    assert_int_equal(found_at("_catalog/content/a.json", "text"), 1);
}

static void local_files_are_searched(void **state) {
    (void)state;
    const char *below = arena_printf(&world.arena, "%s/spool/up-1", world.root).ptr;
    assert_int_equal(mkdir(below, 0700), 0);
    put_local("spool/up-1/file.csv", STR("id,v\n" KEY ",x\n100001,y\n"));
    put_local("cache/spill.tmp", STR("\x01\x02" KEY "\x03"));
    put_local("elsewhere", STR(KEY));
    const char *link = arena_printf(&world.arena, "%s/spool/link", world.root).ptr;
    assert_int_equal(symlink("../elsewhere", link), 0);
    copy_to(arena_printf(&world.arena, "%s/cache/a.parquet", world.root).ptr,
            "SELECT 'says " KEY " that' AS v FROM range(3)");
    assert_true(scan_text_key(KEY) >= 5);
    assert_int_equal(found_at("spool/up-1/file.csv", "bytes"), 1);
    assert_int_equal(found_at("cache/spill.tmp", "bytes"), 1);
    assert_int_equal(found_at("cache/a.parquet", "column v"), 3);
    assert_int_equal(found_at("elsewhere", "bytes"), 0);
    assert_int_equal(found_at("link", "bytes"), 0);
    assert_int_equal(last.local_files, 3);
    assert_int_equal(scan_number("100001"), 1);
    assert_int_equal(unlink(link), 0);
}

static void put_avro(const char *name, bool in_header, bool in_block) {
    const struct avro_pair meta = {STR("note"), in_header ? STR("by " KEY) : STR("none")};
    DEFER(avro_writer_freep)
    struct avro_writer *w =
        avro_writer_new(STR("{\"type\":\"record\",\"name\":\"r\",\"fields\":[{\"name\":\"a\","
                            "\"type\":{\"type\":\"array\",\"items\":\"string\"}}]}"),
                        &meta, 1, AVRO_DEFLATE);
    for (int i = 0; i < 20000; i++) {
        avro_put_long(w, 2);
        avro_put_bytes(w, STR("the same words again and again"));
        avro_put_bytes(w, in_block && i == 15000 ? STR(KEY) : STR("CAND-000002"));
        avro_put_long(w, 0);
        avro_writer_record(w);
    }
    struct str data = STR_NONE;
    OK(avro_writer_finish(w, &world.arena, &data, &err));
    assert_int_equal(str_find(data, STR(KEY)) >= 0, in_header);
    put(name, data);
}

static void packed_blocks_and_headers_of_avro_are_found(void **state) {
    (void)state;
    put_avro("x/header.avro", true, false);
    put_avro("x/block.avro", false, true);
    put_avro("x/none.avro", false, false);
    assert_true(scan_text_key(KEY) >= 2);
    assert_int_equal(found_at("x/header.avro", "header"), 1);
    assert_int_equal(found_at("x/block.avro", "record"), 1);
    assert_int_equal(found_at("x/block.avro", "header"), 0);
    assert_int_equal(found_at("x/none.avro", "record"), 0);
}

static void what_cannot_be_decoded_is_told_and_searched(void **state) {
    (void)state;
    put("x/a.parquet", STR("PAR1 " KEY " PAR1"));
    put("x/a.avro", STR("Obj\x01 " KEY));
    put("x/a.json", STR("{\"a\": \"" KEY "\""));
    put("x/a.txt", STR("of " KEY "."));
    assert_int_equal(scan_text_key(KEY), 7);
    const char *const objects[] = {"x/a.parquet", "x/a.avro", "x/a.json"};
    for (size_t i = 0; i < ARRAY_LEN(objects); i++) {
        assert_int_equal(found_at(objects[i], "cannot be decoded"), 1);
        assert_int_equal(found_at(objects[i], "bytes"), 1);
    }
    assert_int_equal(found_at("x/a.txt", "bytes"), 1);
}

static void a_name_that_spells_a_value_is_found(void **state) {
    (void)state;
    put("x/person=" KEY "/a.bin", STR("."));
    put("x/" KEY ".bin", STR("."));
    put("x/" KEY "2.bin", STR("."));
    put_local("spool/of " KEY, STR("."));
    assert_int_equal(scan_text_key(KEY), 3);
    assert_int_equal(found_at("x/person=", "name"), 1);
    assert_int_equal(found_at("spool/of", "name"), 1);
    put("x/id=42/part-42", STR("."));
    assert_int_equal(scan_number("42"), 1);
}

static void a_value_across_two_pieces_is_found_once(void **state) {
    (void)state;
    const size_t piece = 4U << 20;
    const size_t len = 2 * piece + 100;
    char *bytes = arena_alloc(&world.arena, len);
    memset(bytes, ' ', len);
    for (size_t i = 0; i <= strlen(KEY) + 1; i++) {
        memset(bytes + piece - 20, ' ', 40);
        memcpy(bytes + piece - i, KEY, strlen(KEY));
        bytes[2 * piece - 1] = 'X'; // a letter before the next one
        memcpy(bytes + 2 * piece, KEY, strlen(KEY));
        put_local("spool/bytes", (struct str){bytes, len});
        assert_int_equal(scan_text_key(KEY), 1);
        assert_int_equal(found_at("spool/bytes", "bytes"), 1);
    }
}

static void what_is_left_out_is_not_looked_at(void **state) {
    (void)state;
    put("x/a", STR(KEY));
    put("x/b", STR(KEY));
    put("x/c", STR(KEY));
    const struct str leave_out[] = {STR("x/c"), STR("x/a")};
    const struct str search = STR(KEY);
    const struct erase_subjects subjects = {.search = &search, .search_count = 1};
    const struct erase_scan scan = {
        .subjects = &subjects, .leave_out = leave_out, .leave_out_count = 2};
    OK(erase_scan(eraser, &scan, NULL, &world.arena, &last, &err));
    assert_int_equal(last.found, 1);
    assert_int_equal(found_at("x/b", "bytes"), 1);
}

// Another writes and removes files while the scan walks.
static void *write_and_remove(void *arg) {
    struct cancel *stop = arg;
    char from[96];
    char to[96];
    (void)snprintf(from, sizeof(from), "%s/primary/x/kept.parquet", world.root);
    for (int i = 0; !stop->set; i++) {
        (void)snprintf(to, sizeof(to), "%s/primary/x/%d.parquet", world.root, i);
        assert_int_equal(link(from, to), 0);
        (void)snprintf(to, sizeof(to), "%s/primary/x/%d.parquet", world.root, i - 10);
        assert_int_equal(unlink(to), i < 10 ? -1 : 0);
    }
    return NULL;
}

static void what_goes_meanwhile_is_passed_over(void **state) {
    (void)state;
    struct cancel stop = {0};
    int64_t found = 0;
    put_parquet("x/kept.parquet", "SELECT i AS n, 'text ' || i AS v FROM range(100) t(i)");
    const pthread_t thread = threads_start("writer", write_and_remove, &stop);
    for (int i = 0; i < 10; i++) {
        found += scan_text_key(KEY);
    }
    stop.set = true;
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(found, 0);
}

static void past_their_maximum_findings_are_still_counted(void **state) {
    (void)state;
    for (int i = 0; i < ERASE_FINDINGS_MAX + 5; i++) {
        put_local(arena_printf(&world.arena, "spool/%d", i).ptr, STR(KEY));
    }
    assert_int_equal(scan_text_key(KEY), ERASE_FINDINGS_MAX + 5);
    assert_int_equal(last.finding_count, ERASE_FINDINGS_MAX);
}

static enum err_code run_cancelled(struct job *job, void *ctx, struct arena *a, json_t **ret,
                                   struct err *e) {
    const struct erase_subjects none = {0};
    const struct erase_scan scan = {.subjects = &none};
    (void)ctx;
    *ret = json_null();
    job_cancel(job);
    return erase_scan(eraser, &scan, job, a, &last, e);
}

static void a_cancelled_job_ends_the_scan(void **state) {
    (void)state;
    put("x/a", STR(KEY));
    const struct jobs_options o = {.workers = 1, .queued_max = 1, .kept_max = 1};
    const struct job_spec spec = {.kind = "erase", .run = run_cancelled};
    struct jobs *jobs = jobs_new(&o);
    DEFER(json_decrefp) json_t *result = NULL;
    assert_int_equal(jobs_run(jobs, &spec, NULL, &result, &err), ERR_CANCELLED);
    jobs_close(jobs);
}

int main(void) {
    const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, begin, end)
        T(a_clean_lake_is_clean),
        T(a_cell_of_a_data_file_is_found),
        T(nested_texts_are_found_as_they_are),
        T(an_integer_key_is_found_in_key_columns_alone),
        T(a_short_text_is_found_in_key_columns_alone),
        T(binary_and_uuid_columns_are_found),
        T(a_deleted_row_that_is_still_in_its_file_is_found),
        T(bounds_of_manifests_are_values_of_their_columns),
        T(texts_of_the_log_and_of_metadata_are_found),
        T(escapes_hide_nothing),
        T(local_files_are_searched),
        T(packed_blocks_and_headers_of_avro_are_found),
        T(what_cannot_be_decoded_is_told_and_searched),
        T(a_name_that_spells_a_value_is_found),
        T(a_value_across_two_pieces_is_found_once),
        T(what_is_left_out_is_not_looked_at),
        T(what_goes_meanwhile_is_passed_over),
        T(past_their_maximum_findings_are_still_counted),
        T(a_cancelled_job_ends_the_scan),
#undef T
    };
    return cmocka_run_group_tests_name("erase_scan", tests, open_engine, close_engine);
}
