// Tests of erasing from tables that other engines have written to, and of faults on the way.

#include "erase/left_test.h"

#include "base/clock.h"

static const struct erase_history none;

// The data files of the state that a commit is made from.
static struct table_scan files_of(struct table_commit *c) {
    struct table_scan scan;
    OK(table_files_load(c->tables, &c->base, c->arena, &scan, &err));
    return scan;
}

static struct str object_of(struct table_commit *c, const char *name) {
    return arena_printf(c->arena, STR_FMT "/data/%s", STR_ARG(c->dir), name);
}

// A delete file that somebody else wrote: rows of a SELECT of file_path and pos, without a word on
// which files it is for.
static struct ice_entry *put_foreign_deletes(struct table_commit *c, struct table_edit *e,
                                             struct str select, int64_t rows) {
    const struct str path = arena_printf(c->arena, "%s/spool/foreign.parquet", world.root);
    const struct str object = object_of(c, "foreign-deletes.parquet");
    struct engine_file_stats *stats;
    size_t count;
    const struct engine_copy copy = {.select = select,
                                     .path = path,
                                     .field_ids = STR("{file_path: 2147483546, pos: 2147483545}")};
    OK(engine_copy_to(world.session, &copy, c->arena, &stats, &count, &err));
    const int64_t bytes = stats[0].bytes;
    OK(store_put_file(c->base.bucket->store, object, path.ptr, &err));
    struct ice_entry *entry = table_entry_add(&e->deletes, c->arena);
    *entry = (struct ice_entry){.status = ICE_ADDED,
                                .inherit = true,
                                .file = {.content = ICE_POSITION_DELETES,
                                         .path = table_object_uri(c, object),
                                         .format = STR("PARQUET"),
                                         .record_count = rows,
                                         .file_bytes = bytes}};
    return entry;
}

static enum err_code prepare_shared(struct table_commit *c, struct table_edit *e,
                                    struct err *error) {
    (void)error;
    const struct table_scan scan = files_of(c);
    assert_int_equal(scan.file_count, 2);
    (void)put_foreign_deletes(
        c, e,
        arena_printf(c->arena,
                     "SELECT f AS file_path, p::BIGINT AS pos FROM (VALUES ('" STR_FMT
                     "', 1), ('" STR_FMT "', 3), ('" STR_FMT "', 2), ('" STR_FMT
                     "', 4)) t(f, p) ORDER BY f, p",
                     STR_ARG(scan.files[0].file->path), STR_ARG(scan.files[0].file->path),
                     STR_ARG(scan.files[1].file->path), STR_ARG(scan.files[1].file->path)),
        4);
    e->operation = STR("delete");
    return ERR_OK;
}

static void a_delete_file_of_several_data_files_is_split(void **state) {
    (void)state;
    lake_write(TABLE_CREATE, "(SELECT i AS id, i AS v FROM range(10) r(i))");
    lake_write(TABLE_APPEND, "(SELECT i AS id, i AS v FROM range(10, 20) r(i))");
    past_commit(prepare_shared, NULL);
    assert_int_equal(lake_dataset().rows, 16);
    lake_delta(TABLE_DELTA_DELETE, "(VALUES (0)) t(id)");
    const struct past before = past_of(1, "2");
    struct erase_history h = erase_key("id", "2");
    assert_int_equal(h.files, 1);
    struct past now = past_of(1, NULL);
    assert_same_past(&before, &now);
    assert_sound();
    // One that is split stays so, and its other half is left alone by the next erasure.
    h = erase_key("id", "3");
    assert_int_equal(h.rows, 1);
    now = past_of(1, NULL);
    const struct past twice = past_of(1, "3");
    assert_same_past(&twice, &now);
    assert_sound();
}

static void a_shared_delete_file_of_others_is_left_alone(void **state) {
    (void)state;
    lake_write(TABLE_CREATE, "(SELECT i AS id, i AS v FROM range(10) r(i))");
    lake_write(TABLE_APPEND, "(SELECT i AS id, i AS v FROM range(10, 20) r(i))");
    past_commit(prepare_shared, NULL);
    lake_write(TABLE_APPEND, "(VALUES (30, 30::BIGINT)) t(id, v)");
    const struct erase_history h = erase_key("id", "30");
    assert_int_equal(h.snapshots_changed, 1);
    const struct str file =
        arena_printf(&world.arena, "%s/primary/" STR_FMT "/data/foreign-deletes.parquet",
                     world.root, STR_ARG(lake_dataset().dir));
    assert_int_equal(access(file.ptr, F_OK), 0);
    assert_sound();
}

static enum err_code prepare_equality(struct table_commit *c, struct table_edit *e,
                                      struct err *error) {
    (void)error;
    struct ice_entry *entry =
        put_foreign_deletes(c, e, STR("SELECT 'x' AS file_path, 1::BIGINT AS pos"), 1);
    entry->file.content = ICE_EQUALITY_DELETES;
    entry->file.equality_ids = arena_array(c->arena, 1, sizeof(int32_t));
    entry->file.equality_ids[0] = 1;
    entry->file.equality_count = 1;
    e->operation = STR("delete");
    return ERR_OK;
}

static void equality_deletes_are_refused(void **state) {
    (void)state;
    struct erase_history h = none;
    lake_write(TABLE_CREATE, "(SELECT i AS id, i AS v FROM range(10) r(i))");
    past_commit(prepare_equality, NULL);
    assert_int_equal(rewrite("id", "2", &h), ERR_UNSUPPORTED);
    assert_says("equality delete files, which hold keys themselves");
    assert_int_equal(rewrite("id", "200", &h), ERR_UNSUPPORTED);
    assert_int_equal(look_as("id", "2", &h), ERR_UNSUPPORTED);
}

// The current snapshot again, by a manifest of somebody else's.
static struct ice_manifest_ref put_manifest(struct table_commit *c, const struct ice_manifest *m,
                                            const char *name) {
    const struct str object = arena_printf(c->arena, STR_FMT "/metadata/%s", STR_ARG(c->dir), name);
    struct ice_manifest_ref ref = {.path = table_object_uri(c, object),
                                   .added_snapshot_id = c->base.snapshot->id,
                                   .sequence_number = c->base.snapshot->sequence_number};
    struct str data;
    OK(ice_manifest_write(m, c->arena, &data, &ref, &err));
    OK(store_put(c->base.bucket->store, object, data, &err));
    return ref;
}

static void put_list(struct table_commit *c, struct ice_manifest_list *list,
                     struct ice_snapshot *now) {
    const struct str object =
        arena_printf(c->arena, STR_FMT "/metadata/snap-foreign.avro", STR_ARG(c->dir));
    struct str data;
    OK(ice_manifest_list_write(list, c->arena, &data, &err));
    OK(store_put(c->base.bucket->store, object, data, &err));
    now->manifest_list = table_object_uri(c, object);
}

static const struct ice_manifest *manifest_of(struct table_commit *c,
                                              const struct ice_manifest_list **ret_list) {
    const struct ice_manifest *m;
    OK(table_manifest_list_load(c->tables, &c->base, c->arena, ret_list, &err));
    assert_int_equal((*ret_list)->manifest_count, 1);
    OK(table_manifest_load(c->tables, &c->base, &(*ret_list)->manifests[0], c->arena, &m, &err));
    assert_int_equal(m->entry_count, 1);
    return m;
}

// Another manifest, which tells of a file that went: with its bounds.
static enum err_code add_deleted(void *ctx, struct ice_metadata *next, struct arena *a,
                                 struct err *error) {
    struct table_commit *c = *(struct table_commit **)ctx;
    const struct ice_manifest_list *list;
    struct ice_manifest gone = *manifest_of(c, &list);
    struct ice_entry entry = gone.entries[0];
    struct ice_bound lower = {1, STR("00-person-of-int")};
    struct ice_bound upper = {1, STR("05-person-of-inu")};
    struct ice_manifest_ref refs[2];
    (void)error;
    entry.status = ICE_DELETED;
    entry.inherit = false;
    entry.file.path = arena_printf(a, STR_FMT ".gone", STR_ARG(entry.file.path));
    entry.file.lower = (struct ice_bounds){&lower, 1};
    entry.file.upper = (struct ice_bounds){&upper, 1};
    gone.entries = &entry;
    refs[0] = list->manifests[0];
    refs[1] = put_manifest(c, &gone, "foreign-m0.avro");
    struct ice_manifest_list made = *list;
    made.manifests = refs;
    made.manifest_count = 2;
    put_list(c, &made, &next->snapshots[0]);
    return ERR_OK;
}

static struct table_commit *committing;

static enum err_code prepare_deleted(struct table_commit *c, struct table_edit *e,
                                     struct err *error) {
    (void)error;
    committing = c;
    e->amend = add_deleted;
    e->amend_ctx = &committing;
    return ERR_OK;
}

static void what_went_tells_nothing_any_more(void **state) {
    (void)state;
    lake_write(TABLE_CREATE, "(VALUES ('90-person-of-interest', 1), ('95-person-of-interest', 2)) "
                             "t(id, v)");
    past_commit(prepare_deleted, NULL);
    struct erase_history h = none;
    OK(rewrite("id", "06-person-of-interest", &h));
    assert_int_equal(h.removed_count, 0); // it was in none of the bounds
    OK(rewrite("id", "00-person-of-interest", &h));
    assert_int_equal(h.rows, 0);
    assert_int_equal(h.snapshots_changed, 1);
    remove_old(&h);
    assert_nothing_tells_of("00-person-of-interest");
    assert_rows("90-person-of-interest=1 95-person-of-interest=2");
    assert_int_equal(lake_dataset().rows, 2);
}

static enum err_code add_statistics(void *ctx, struct ice_metadata *next, struct arena *a,
                                    struct err *error) {
    struct table_commit *c = *(struct table_commit **)ctx;
    static const char *const members[] = {"statistics", "partition-statistics"};
    json_t *doc = past_own(json_copy(next->document), a);
    (void)error;
    for (size_t i = 0; i < ARRAY_LEN(members); i++) {
        const struct str object =
            arena_printf(a, STR_FMT "/metadata/%s.puffin", STR_ARG(c->dir), members[i]);
        OK(store_put(c->base.bucket->store, object, STR("PFA1 a sketch of values"), &err));
        json_t *list =
            json_pack("[{s:I,s:s}]", "snapshot-id", (json_int_t)next->current_snapshot_id,
                      "statistics-path", table_object_uri(c, object).ptr);
        assert_int_equal(json_object_set_new(doc, members[i], list), 0);
    }
    next->document = doc;
    return ERR_OK;
}

static enum err_code prepare_statistics(struct table_commit *c, struct table_edit *e,
                                        struct err *error) {
    (void)error;
    committing = c;
    e->amend = add_statistics;
    e->amend_ctx = &committing;
    return ERR_OK;
}

static void sketches_of_values_go(void **state) {
    (void)state;
    lake_write(TABLE_CREATE, "(VALUES (1, 10::BIGINT), (2, 20)) t(id, v)");
    past_commit(prepare_statistics, NULL);
    const struct erase_history h = erase_key("id", "2");
    assert_int_equal(h.removed_count, 4 + 2 + 1); // two sketches, and two metadata files
    assert_int_equal(world_files(&world, "primary/tables"), 4);
    assert_sound();
}

// The table as one that is partitioned by id.
static enum err_code partition(void *ctx, struct ice_metadata *next, struct arena *a,
                               struct err *error) {
    struct table_commit *c = *(struct table_commit **)ctx;
    static const char fields[] =
        "[{\"source-id\":1,\"field-id\":1000,\"name\":\"id\",\"transform\":\"identity\"}]";
    const struct ice_manifest_list *list;
    struct ice_manifest m = *manifest_of(c, &list);
    struct ice_entry entry = m.entries[0];
    struct ice_partition_value value = {.field_id = 1000, .bytes = entry.file.lower.items[0].bytes};
    DEFER(json_decrefp) json_t *spec = json_loads(fields, 0, NULL);
    json_t *doc = past_own(json_copy(next->document), a);
    (void)error;
    entry.inherit = false;
    entry.file.partition = &value;
    entry.file.partition_count = 1;
    m.entries = &entry;
    m.spec_id = 1;
    m.spec_fields = str_from(fields);
    struct ice_manifest_ref ref = put_manifest(c, &m, "foreign-m0.avro");
    struct ice_manifest_list made = *list;
    made.manifests = &ref;
    put_list(c, &made, &next->snapshots[0]);
    json_t *specs =
        json_pack("[{s:i,s:[]},{s:i,s:O}]", "spec-id", 0, "fields", "spec-id", 1, "fields", spec);
    assert_int_equal(json_object_set_new(doc, "partition-specs", specs), 0);
    next->document = doc;
    next->default_spec_id = 1;
    return ERR_OK;
}

static enum err_code prepare_partition(struct table_commit *c, struct table_edit *e,
                                       struct err *error) {
    (void)error;
    committing = c;
    e->amend = partition;
    e->amend_ctx = &committing;
    return ERR_OK;
}

static void a_partitioned_table_keeps_its_partitions(void **state) {
    (void)state;
    lake_write(TABLE_CREATE, "(VALUES (7, 10::BIGINT), (7, 20), (7, 30)) t(id, v)");
    past_commit(prepare_partition, NULL);
    const struct erase_history h = erase_key("v", "20");
    assert_int_equal(h.rows, 1);
    assert_rows("7=10 7=30");
    const struct table_want want = {.name = STR("d")};
    struct table_pin pin;
    struct table_scan scan;
    OK(table_pin_at(world.tables, &want, &world.arena, &pin, &err));
    OK(table_files_load(world.tables, &pin, &world.arena, &scan, &err));
    assert_int_equal(scan.files[0].file->partition_count, 1);
    assert_int_equal(scan.files[0].file->partition[0].bytes.len, 4);
    assert_int_equal(scan.files[0].file->partition[0].bytes.ptr[0], 7);
    (void)erase_key("id", "7"); // the partition's own value
    assert_rows("");
}

// Faults

static void make_history(void) {
    lake_write(TABLE_CREATE, "(SELECT i AS id, i AS v FROM range(20) r(i))");
    lake_delta(TABLE_DELTA_DELETE, "(VALUES (2), (5)) t(id)");
    lake_delta(TABLE_DELTA_UPSERT, "(VALUES (7, 70), (3, 33)) t(id, v)");
    lake_write(TABLE_APPEND, "(VALUES (3, 333::BIGINT), (100, 100)) t(id, v)");
}

static void fail_each(unsigned on) {
    struct erase_history h = none;
    const struct past before = past_of(1, NULL);
    const struct past after = past_of(1, "3");
    bool done = false;
    for (uint64_t at = 1; !done; at++) {
        cache_clear(world.tables->cache); // so that everything is read again
        store_fault_plan(world.fault, (struct fault_plan){.kind = FAULT_FAIL, .on = on, .at = at});
        const enum err_code code = rewrite("id", "3", &h);
        const bool fired = store_fault_fired(world.fault);
        store_fault_plan(world.fault, (struct fault_plan){0});
        done = code == ERR_OK;
        assert_true(done || fired);
        const struct past now = past_of(1, NULL);
        assert_same_past(done ? &after : &before, &now);
        if (!done) {
            assert_sound();
        }
        assert_true(at < 1000);
    }
    remove_old(&h);
    assert_sound();
}

static void a_write_that_fails_leaves_the_old_state_whole(void **state) {
    (void)state;
    make_history();
    fail_each(FAULT_ON_PUT);
}

static void a_read_that_fails_leaves_the_old_state_whole(void **state) {
    (void)state;
    make_history();
    fail_each(FAULT_ON_GET);
}

// A commit of another process comes in between.
static enum err_code disturb(void *ctx, const struct erase_history *h, struct arena *a,
                             json_t **ret, struct err *e) {
    int *times = ctx;
    (void)h;
    (void)a;
    (void)e;
    *ret = NULL;
    if ((*times)++ == 0) {
        past_commit(prepare_shared, NULL);
    }
    return ERR_OK;
}

static void a_commit_that_was_quicker_is_erased_from_too(void **state) {
    (void)state;
    const struct table_key key = {.text = STR("2")};
    const struct erase_target target = {STR("d"), STR("id")};
    const struct erase_subjects subjects = {.keys = &key, .key_count = 1};
    int times = 0;
    const struct erase_history_work w = {.target = &target,
                                         .subjects = &subjects,
                                         .who = world_author,
                                         .extras = disturb,
                                         .ctx = &times};
    struct erase_history h = none;
    lake_write(TABLE_CREATE, "(SELECT i AS id, i AS v FROM range(10) r(i))");
    lake_write(TABLE_APPEND, "(SELECT i AS id, i AS v FROM range(10, 20) r(i))");
    OK(erase_history_rewrite(eraser, &w, NULL, &world.arena, &h, &err));
    assert_int_equal(times, 2);
    assert_int_equal(h.snapshots, 3);
    assert_int_equal(h.rows, 1);
    remove_old(&h);
    assert_int_equal(lake_dataset().rows, 16); // the row was one of the four that it deleted
    assert_sound();
}

static const char *folder(void) {
    static char path[128];
    (void)snprintf(path, sizeof(path), "%s/primary/tables", world.root);
    return path;
}

static void *rewrite_in_thread(void *arg) {
    struct erase_history h;
    (void)arg;
    OK(rewrite("id", "2", &h));
    remove_old(&h);
    return NULL;
}

static void files_are_written_before_writers_have_to_wait(void **state) {
    (void)state;
    lake_write(TABLE_CREATE, "(SELECT i AS id, i AS v FROM range(10) r(i))");
    lake_write(TABLE_APPEND, "(SELECT i AS id, i AS v FROM range(10, 20) r(i))");
    const size_t files = world_files(&world, "primary/tables");
    pthread_mutex_t *lock = table_write_lock(world.tables, STR("d"));
    assert_int_equal(pthread_mutex_lock(lock), 0);
    const pthread_t thread = threads_start("rewrite", rewrite_in_thread, NULL);
    const int64_t until_us = clock_mono_us() + 30000000;
    while (world_walk(folder(), NULL) == files && clock_mono_us() < until_us) {
        (void)usleep(1000);
    }
    assert_int_equal(world_walk(folder(), NULL), files + 1);
    past_commit(prepare_shared, NULL); // whoever has the lock goes first
    assert_int_equal(pthread_mutex_unlock(lock), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(lake_dataset().rows, 16);
    assert_int_equal(look("id", "2").rows, 0);
    assert_sound();
}

static enum err_code rewrite_as_job(struct job *job, void *ctx, struct arena *a, json_t **ret,
                                    struct err *e) {
    const struct table_key key = {.text = STR("3")};
    const struct erase_target target = {STR("d"), STR("id")};
    const struct erase_subjects subjects = {.keys = &key, .key_count = 1};
    const struct erase_history_work w = {
        .target = &target, .subjects = &subjects, .who = world_author};
    struct erase_history h;
    (void)ctx;
    *ret = NULL;
    job_cancel(job);
    return erase_history_rewrite(eraser, &w, job, a, &h, e);
}

static void a_cancelled_one_leaves_the_old_state_whole(void **state) {
    (void)state;
    const struct jobs_options o = {.workers = 1, .queued_max = 1, .kept_max = 1};
    const struct job_spec spec = {.kind = "erase", .run = rewrite_as_job};
    json_t *result = NULL;
    make_history();
    const struct past before = past_of(1, NULL);
    struct jobs *jobs = jobs_new(&o);
    assert_int_equal(jobs_run(jobs, &spec, NULL, &result, &err), ERR_CANCELLED);
    jobs_close(jobs);
    const struct past now = past_of(1, NULL);
    assert_same_past(&before, &now);
    assert_sound();
}

int main(void) {
    log_set_level(LOG_ERROR);
    const struct CMUnitTest tests[] = {
        PAST_TEST(a_delete_file_of_several_data_files_is_split),
        PAST_TEST(a_shared_delete_file_of_others_is_left_alone),
        PAST_TEST(equality_deletes_are_refused),
        PAST_TEST(what_went_tells_nothing_any_more),
        PAST_TEST(sketches_of_values_go),
        PAST_TEST(a_partitioned_table_keeps_its_partitions),
        PAST_TEST(a_commit_that_was_quicker_is_erased_from_too),
        PAST_TEST(files_are_written_before_writers_have_to_wait),
        PAST_TEST(a_cancelled_one_leaves_the_old_state_whole),
        PAST_TEST(a_write_that_fails_leaves_the_old_state_whole),
        PAST_TEST(a_read_that_fails_leaves_the_old_state_whole),
    };
    return cmocka_run_group_tests(tests, open_engine, close_engine);
}
