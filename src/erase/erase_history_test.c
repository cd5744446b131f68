// Tests of erasing from one dataset: every snapshot shows what it showed, but for the subject, and
// nothing that is left tells of it.

#include "erase/erase_int.h"

#include "base/log.h"
#include "table/table_alter.h"
#include "upkeep/lake_test.h"

static struct erase *eraser;

static int begin_in(struct hot *hot) {
    const struct erase_options o = {.catalog = world.catalog,
                                    .tables = world.tables,
                                    .upkeep = upkeep,
                                    .hot = hot,
                                    .spool = arena_printf(&world.texts, "%s/spool", world.root),
                                    .cache = arena_printf(&world.texts, "%s/spool", world.root),
                                    .wait_ms = 20};
    eraser = erase_new(&o);
    return 0;
}

static int begin(void **state) {
    (void)setup(state);
    return begin_in(NULL);
}

static int end(void **state) {
    erase_free(TAKE(eraser));
    return teardown(state);
}

#define ERASE_TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

// What the commit's extras were told, and how often.
static struct erase_history told;
static int told_times;

static enum err_code note_extras(void *ctx, const struct erase_history *h, struct arena *a,
                                 json_t **ret, struct err *e) {
    (void)ctx;
    (void)a;
    (void)e;
    told = *h;
    told_times++;
    *ret = NULL;
    return ERR_OK;
}

static struct table_key text_key(const char *text) {
    return (struct table_key){.text = str_from(text)};
}

static enum err_code rewrite_by(const char *column, const struct table_key *keys, size_t count,
                                struct erase_history *ret) {
    const struct erase_target target = {STR("d"), str_from(column)};
    const struct erase_subjects subjects = {.keys = keys, .key_count = count};
    const struct erase_history_work w = {
        .target = &target, .subjects = &subjects, .who = world_author, .extras = note_extras};
    err = ERR_NONE;
    told_times = 0;
    return erase_history_rewrite(eraser, &w, NULL, &world.arena, ret, &err);
}

static struct erase_history look(const char *column, const char *key) {
    const struct erase_target target = {STR("d"), str_from(column)};
    const struct table_key k = text_key(key);
    const struct erase_subjects subjects = {.keys = &k, .key_count = 1};
    const struct erase_history_work w = {.target = &target, .subjects = &subjects};
    struct erase_history h;
    OK(erase_history_look(eraser, &w, NULL, &world.arena, &h, &err));
    return h;
}

static void remove_old(const struct erase_history *h) {
    OK(erase_history_remove(eraser, STR("d"), h->removed, h->removed_count, NULL, &err));
}

static struct erase_history erase_key(const char *column, const char *key) {
    const struct table_key k = text_key(key);
    struct erase_history h;
    OK(rewrite_by(column, &k, 1, &h));
    remove_old(&h);
    return h;
}

static void rows_of_the_subject_leave_the_file_that_has_them(void **state) {
    (void)state;
    lake_write(TABLE_CREATE, "(VALUES (1, 10::BIGINT), (2, 20), (3, 30)) t(id, v)");
    const struct erase_history seen = look("id", "2");
    const struct erase_history h = erase_key("id", "2");
    assert_rows("1=10 3=30");
    assert_int_equal(h.rows, 1);
    assert_int_equal(seen.rows, 1);
    assert_int_equal(seen.files, 1);
    assert_int_equal(seen.keys_found, 1);
    assert_int_equal(seen.removed_count, 0);
    assert_int_equal(h.files, 1);
    assert_int_equal(h.files_written, 1);
    assert_int_equal(h.snapshots, 1);
    assert_int_equal(h.snapshots_changed, 1);
    assert_int_equal(h.keys_found, 1);
    assert_int_equal(told_times, 1);
    assert_int_equal(told.removed_count, h.removed_count);
    assert_int_equal(lake_dataset().rows, 2);
    // metadata, list, manifest, data file
    assert_int_equal(h.removed_count, 4);
    assert_int_equal(world_files(&world, "primary/tables"), 4);
}

int main(void) {
    log_set_level(LOG_ERROR);
    const struct CMUnitTest tests[] = {
        ERASE_TEST(rows_of_the_subject_leave_the_file_that_has_them),
    };
    return cmocka_run_group_tests(tests, open_engine, close_engine);
}
