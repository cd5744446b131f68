// Tests of masked files: which are made, which are kept, who waits, and what goes.

#include "base/counters.h"
#include "base/scratch.h"
#include "view/house_test.h"

#define ROWS(from, to)                                                                             \
    "(SELECT i::INTEGER AS id, 'n' || i AS name, (i % 3)::INTEGER AS team FROM range(" #from       \
    ", " #to ") r(i))"

static struct views_stats stats_now(void) {
    struct views_stats s;
    views_stats_get(views, &s);
    return s;
}

static struct str masked_folder(void) {
    return arena_printf(&world.arena, "%s/cache/" SCRATCH_MASKED, world.root);
}

// Names of masked files in the folder.
static size_t list_masked(struct str *ret, size_t max) {
    DIR *folder = opendir(masked_folder().ptr);
    size_t count = 0;
    assert_non_null(folder);
    for (const struct dirent *e = readdir(folder); e != NULL; e = readdir(folder)) {
        if (str_ends(str_from(e->d_name), STR(".parquet"))) {
            assert_true(count < max);
            ret[count++] = arena_str(&world.arena, str_from(e->d_name));
        }
    }
    (void)closedir(folder);
    return count;
}

static size_t count_masked(void) {
    struct str names[256];
    return list_masked(names, ARRAY_LEN(names));
}

// ---- What is made

static void a_commit_makes_only_what_it_changed(void **state) {
    (void)state;
    write_rows(TABLE_CREATE, "t", ROWS(0, 10));
    put_view("v", "t", "{\"id\": null, \"name\": \"hash\"}", "team <> 0");
    assert_int_equal(made_now("v"), 1);
    assert_int_equal(made_now("v"), 0);
    write_rows(TABLE_APPEND, "t", ROWS(10, 20));
    assert_int_equal(made_now("v"), 1);
    delete_keys("t", "id", "(SELECT 1::INTEGER AS id)");
    assert_int_equal(made_now("v"), 1);
    assert_str(shown("v", "count(*)"), "12");
    write_rows(TABLE_CREATE, "other", ROWS(0, 10));
    assert_int_equal(made_now("v"), 0);
    // The file as it was before rows were deleted is there still.
    const int64_t made = stats_now().made;
    assert_str(shown_at("v", 1, "count(*)", ""), "6");
    assert_int_equal(stats_now().made, made);
    // A column that the view does not show, in a view without a filter, changes nothing.
    put_view("all", "t", "{\"id\": null}", "");
    assert_int_equal(made_now("all"), 2);
    write_rows(TABLE_APPEND, "t",
               "(SELECT 99::INTEGER AS id, 'x' AS name, 1::INTEGER AS team, 5 AS more)");
    assert_int_equal(made_now("all"), 1);
}

static void a_change_of_a_dataset_that_the_filter_asks_makes_all_anew(void **state) {
    (void)state;
    write_rows(TABLE_CREATE, "acl", "(SELECT 1::INTEGER AS id)");
    write_rows(TABLE_CREATE, "t", ROWS(0, 10));
    write_rows(TABLE_APPEND, "t", ROWS(10, 20));
    put_view("v", "t", "{\"id\": null}", "id IN (SELECT acl.id FROM acl)");
    put_view("w", "t", "{\"id\": null}", "id = (SELECT max(id) FROM t)");
    assert_int_equal(made_now("v"), 2);
    assert_int_equal(made_now("w"), 2);
    assert_str(shown("v", "string_agg(id, ' ')"), "1");
    write_rows(TABLE_APPEND, "acl", "(SELECT 11::INTEGER AS id)");
    assert_int_equal(made_now("v"), 2);
    assert_int_equal(made_now("w"), 0);
    assert_str(shown("v", "string_agg(id, ' ' ORDER BY id)"), "1 11");
    write_rows(TABLE_APPEND, "t", ROWS(20, 30));
    assert_int_equal(made_now("v"), 1);
    assert_int_equal(made_now("w"), 3); // it asks its own base
    assert_str(shown("w", "string_agg(id, ' ')"), "29");
}

static void a_new_definition_and_a_new_key_make_all_anew(void **state) {
    (void)state;
    struct catalog_secret secret;
    write_rows(TABLE_CREATE, "t", ROWS(0, 10));
    put_view("v", "t", "{\"id\": \"hash\"}", "");
    put_view("plain", "t", "{\"id\": null}", "");
    const struct str first = shown("v", "min(id)");
    assert_int_equal(made_now("plain"), 1);
    put_view("v", "t", "{\"id\": \"hash\", \"name\": null}", "");
    assert_int_equal(made_now("v"), 1);
    assert_true(str_eq(shown("v", "min(id)"), first));
    OK(catalog_secret_rotate(world.catalog, VIEW_SECRET, &world_author, &world.arena, &secret,
                             &err));
    assert_int_equal(made_now("plain"), 0);
    assert_int_equal(made_now("v"), 1);
    assert_false(str_eq(shown("v", "min(id)"), first));
    // Definitions of before leave files behind, until somebody tidies.
    assert_int_equal(count_masked(), 4);
    views_tidy(views);
    assert_int_equal(count_masked(), 3); // that of the old key is of this definition, too
    OK(views_forget(views, &err));
    assert_int_equal(count_masked(), 0);
}

static void files_without_rows_are_made_once_and_not_read(void **state) {
    (void)state;
    DEFER(arena_release) struct arena a = ARENA(1 << 24);
    write_rows(TABLE_CREATE, "t", ROWS(0, 10));
    write_rows(TABLE_APPEND, "t", ROWS(10, 20));
    put_view("v", "t", "{\"id\": null}", "id > 15");
    const struct view_pin pin = pin_view("v", &a);
    struct view_files files;
    OK(get_files(&pin, &a, &files));
    assert_int_equal(files.made, 2);
    assert_int_equal(files.file_count, 1);
    assert_int_equal(files.files[0].rows, 4);
    assert_int_equal(made_now("v"), 0);
    put_view("none", "t", "{\"id\": null}", "id > 99");
    assert_str(shown("none", "count(*)"), "0");
    assert_int_equal(made_now("none"), 0);
}

// ---- Other processes and restarts

static void what_one_process_made_another_uses(void **state) {
    (void)state;
    write_rows(TABLE_CREATE, "t", ROWS(0, 10));
    put_view("v", "t", "{\"id\": null}", "");
    struct views *first = views;
    struct views *second = views_more(1 << 30);
    assert_int_equal(made_now("v"), 1);
    views = second;
    assert_int_equal(made_now("v"), 0);
    write_rows(TABLE_APPEND, "t", ROWS(10, 20));
    assert_int_equal(made_now("v"), 1);
    views = first;
    assert_int_equal(made_now("v"), 0);
    OK(views_forget(second, &err));
    assert_int_equal(made_now("v"), 2); // the other one has removed them
    views_close(second);
}

static void files_survive_a_restart_unless_they_are_torn(void **state) {
    (void)state;
    struct str names[4];
    write_rows(TABLE_CREATE, "t", ROWS(0, 10));
    write_rows(TABLE_APPEND, "t", ROWS(10, 20));
    write_rows(TABLE_APPEND, "t", ROWS(20, 30));
    put_view("v", "t", "{\"id\": null}", "");
    assert_int_equal(made_now("v"), 3);
    views_again(1 << 30);
    assert_int_equal(stats_now().files, 3);
    assert_int_equal(made_now("v"), 0);
    assert_int_equal(list_masked(names, ARRAY_LEN(names)), 3);
    const struct str folder = masked_folder();
    struct str torn =
        arena_printf(&world.arena, STR_FMT "/" STR_FMT, STR_ARG(folder), STR_ARG(names[0]));
    assert_int_equal(truncate(torn.ptr, 100), 0);
    torn = arena_printf(&world.arena, STR_FMT "/" STR_FMT, STR_ARG(folder), STR_ARG(names[1]));
    FILE *file = fopen(torn.ptr, "r+");
    assert_non_null(file);
    assert_int_equal(fseek(file, -4, SEEK_END), 0);
    assert_int_equal(fwrite("\0\0\0\0", 1, 4, file), 4); // as a page that was never written
    assert_int_equal(fclose(file), 0);
    views_again(1 << 30);
    assert_int_equal(stats_now().files, 1);
    assert_int_equal(made_now("v"), 2);
    assert_str(shown("v", "count(*)"), "30");
}

// ---- Room

static void the_least_used_go_first_and_those_in_use_stay(void **state) {
    (void)state;
    DEFER(arena_release) struct arena held = ARENA(1 << 24);
    write_rows(TABLE_CREATE, "t", ROWS(0, 100000));
    put_view("a", "t", "{\"id\": null}", "");
    assert_int_equal(made_now("a"), 1);
    const int64_t bytes = stats_now().bytes;
    OK(views_forget(views, &err));
    views_again(bytes * 5 / 2); // room for two
    put_view("b", "t", "{\"id\": null}", "");
    put_view("c", "t", "{\"id\": null}", "");
    assert_int_equal(made_now("a"), 1);
    assert_int_equal(made_now("b"), 1);
    assert_int_equal(made_now("a"), 0);
    assert_int_equal(made_now("c"), 1); // b goes
    assert_int_equal(stats_now().evicted, 1);
    assert_int_equal(count_masked(), 2);
    assert_true(stats_now().bytes <= stats_now().bytes_max);
    assert_int_equal(made_now("a"), 0);
    assert_int_equal(made_now("b"), 1); // c goes
    const struct view_pin pin = pin_view("a", &held);
    struct view_files files;
    OK(get_files(&pin, &held, &files));
    assert_int_equal(made_now("b"), 0);
    assert_int_equal(made_now("c"), 1); // b goes, though a was used before it
    assert_int_equal(access(files.files[0].path.ptr, F_OK), 0);
    OK(get_files(&pin, &held, &files));
    assert_int_equal(files.made, 0);
}

static void a_view_that_does_not_fit_into_the_cache_is_refused(void **state) {
    (void)state;
    DEFER(arena_release) struct arena a = ARENA(1 << 24);
    write_rows(TABLE_CREATE, "t", ROWS(0, 100000));
    put_view("v", "t", "{\"id\": null}", "");
    views_again(1000);
    const struct view_pin pin = pin_view("v", &a);
    struct view_files files;
    assert_int_equal(get_files(&pin, &a, &files), ERR_NO_SPACE);
    assert_says("view.cache");
    assert_int_equal(count_masked(), 0);
}

// ---- Waiting

static bool always(void *ctx) {
    ++*(int *)ctx;
    return true;
}

static bool never(void *ctx) {
    ++*(int *)ctx;
    return false;
}

static void await_made(int64_t count) {
    const int64_t until_us = clock_mono_us() + WAIT_US;
    while (stats_now().made + stats_now().failures < count && clock_mono_us() < until_us) {
        (void)usleep(1000);
    }
    assert_int_equal(stats_now().made, count);
}

static void who_stops_waiting_finds_it_made_later(void **state) {
    (void)state;
    int asked = 0;
    write_rows(TABLE_CREATE, "t", ROWS(0, 200000));
    put_view("late", "t", "{\"id\": null, \"name\": \"hash\"}", "");
    put_view("v", "t", "{\"id\": null, \"name\": \"hash\"}", "");
    {
        DEFER(arena_release) struct arena a = ARENA(1 << 24);
        struct view_files files;
        const struct view_pin late = pin_view("late", &a);
        const struct view_pin pin = pin_view("v", &a);
        struct view_wait wait = {.until_us = clock_mono_us() - 1};
        assert_int_equal(view_files_get(views, &late, &wait, &a, &files, &err), ERR_TIMEOUT);
        assert_says("0 of 1");
        wait = (struct view_wait){
            .until_us = clock_mono_us() + WAIT_US, .is_over = always, .ctx = &asked};
        assert_int_equal(view_files_get(views, &pin, &wait, &a, &files, &err), ERR_CANCELLED);
        assert_int_equal(asked, 1);
    }
    await_made(2);
    assert_int_equal(made_now("v"), 0);
    assert_int_equal(made_now("late"), 0);
}

struct asker {
    size_t made;
    int asked;
    enum err_code code;
    struct err err;
};

static void *ask(void *arg) {
    struct asker *q = arg;
    DEFER(arena_release) struct arena a = ARENA(1 << 26);
    struct catalog_view v;
    struct view_pin pin;
    struct view_files files = {0};
    const struct table_want want = {0};
    const struct view_wait wait = {
        .until_us = clock_mono_us() + WAIT_US, .is_over = never, .ctx = &q->asked};
    q->err = ERR_NONE;
    q->code = catalog_view_get(world.catalog, STR("v"), &a, &v, &q->err);
    q->code = q->code == ERR_OK ? view_pin_at(views, &v, &want, &a, &pin, &q->err) : q->code;
    q->code = q->code == ERR_OK ? view_files_get(views, &pin, &wait, &a, &files, &q->err) : q->code;
    q->made = files.made;
    return NULL;
}

static void of_those_who_want_a_file_at_once_all_get_the_one_that_is_made(void **state) {
    (void)state;
    struct asker askers[8];
    pthread_t threads[ARRAY_LEN(askers)];
    memset(askers, 0, sizeof(askers));
    write_rows(TABLE_CREATE, "t", ROWS(0, 100000));
    for (int i = 0; i < 4; i++) {
        write_rows(TABLE_APPEND, "t", ROWS(0, 100000));
    }
    put_view("v", "t", "{\"id\": null, \"name\": \"hash\"}", "");
    for (size_t i = 0; i < ARRAY_LEN(askers); i++) {
        threads[i] = threads_start("ask", ask, &askers[i]);
    }
    for (size_t i = 0; i < ARRAY_LEN(askers); i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        if (askers[i].code != ERR_OK) {
            fail_msg("%s", askers[i].err.msg);
        }
        assert_true(askers[i].made <= 5);
    }
    assert_int_equal(stats_now().made, 5);
    assert_int_equal(count_masked(), 5);
}

static void a_dataset_that_is_dropped_stays_as_long_as_its_files_are_made(void **state) {
    (void)state;
    int asked = 0;
    uint64_t seq;
    write_rows(TABLE_CREATE, "t", ROWS(0, 300000));
    put_view("v", "t", "{\"id\": null, \"name\": \"hash\"}", "");
    {
        DEFER(arena_release) struct arena a = ARENA(1 << 24);
        struct view_files files;
        const struct view_pin pin = pin_view("v", &a);
        const struct view_wait wait = {
            .until_us = clock_mono_us() + WAIT_US, .is_over = always, .ctx = &asked};
        assert_int_equal(view_files_get(views, &pin, &wait, &a, &files, &err), ERR_CANCELLED);
    }
    arena_reset(&world.arena);
    OK(table_drop(world.tables, STR("t"), &world_author, &seq, &err));
    await_made(1);
    for (int i = 0; i < 60000 && world_files(&world, "primary/tables") > 0; i++) {
        (void)usleep(1000);
    }
    assert_int_equal(world_files(&world, "primary/tables"), 0);
}

// ---- Failures

static void a_filter_that_fails_on_a_row_tells_nothing_of_it(void **state) {
    (void)state;
    write_rows(TABLE_CREATE, "t",
               "(SELECT i::INTEGER AS id, CASE WHEN i = 7 THEN 'canary' ELSE '5' END AS n FROM "
               "range(10) r(i))");
    put_view("v", "t", "{\"id\": null}", "CAST(n AS INTEGER) > 0");
    for (int i = 0; i < 3; i++) {
        DEFER(arena_release) struct arena a = ARENA(1 << 24);
        const struct view_pin pin = pin_view("v", &a);
        struct view_files files;
        assert_int_equal(get_files(&pin, &a, &files), ERR_DATA);
        assert_says("\"v\"");
        assert_says("preview");
        assert_null(strstr(err.msg, "canary"));
        assert_null(strstr(err.msg, "INT"));
    }
    assert_int_equal(stats_now().failures, 1); // it is not tried again at once
    assert_int_equal(count_masked(), 0);
    delete_keys("t", "id", "(SELECT 7::INTEGER AS id)");
    write_rows(TABLE_REPLACE, "t", "(SELECT id, n FROM (VALUES (1, '5'), (2, '-1')) r(id, n))");
    assert_str(shown("v", "string_agg(id, ' ')"), "1");
}

static void a_filter_that_does_not_fit_any_more_is_said_to(void **state) {
    (void)state;
    DEFER(arena_release) struct arena a = ARENA(1 << 24);
    write_rows(TABLE_CREATE, "acl", "(SELECT '1' AS word)");
    write_rows(TABLE_CREATE, "t", ROWS(0, 10));
    put_view("v", "t", "{\"id\": null}", "id = (SELECT min(length(word)) FROM acl)");
    assert_str(shown("v", "string_agg(id, ' ')"), "1");
    write_rows(TABLE_REPLACE, "acl", "(SELECT [1] AS word)");
    struct view_pin pin;
    struct view_files files;
    const enum err_code code =
        pin_view_at("v", 0, &a, &pin) == ERR_OK ? get_files(&pin, &a, &files) : err.code;
    assert_int_equal(code, ERR_CONFLICT);
    assert_says("put again");
}

// ---- Forgetting

static void what_was_pinned_before_an_erasure_makes_nothing_after_it(void **state) {
    (void)state;
    DEFER(arena_release) struct arena a = ARENA(1 << 24);
    DEFER(arena_release) struct arena b = ARENA(1 << 24);
    struct view_files files;
    write_rows(TABLE_CREATE, "t", ROWS(0, 10));
    put_view("v", "t", "{\"id\": null}", "");
    const struct view_pin pin = pin_view("v", &a);
    OK(views_forget(views, &err));
    OK(get_files(&pin, &a, &files)); // it is the newest state still
    assert_int_equal(files.made, 1);
    const struct view_pin old = pin_view("v", &b);
    write_rows(TABLE_REPLACE, "t", ROWS(0, 5));
    OK(get_files(&old, &b, &files)); // a query reads what it has pinned
    assert_int_equal(files.files[0].rows, 10);
    OK(views_forget(views, &err));
    assert_int_equal(count_masked(), 0);
    assert_int_equal(get_files(&old, &b, &files), ERR_BUSY);
    assert_int_equal(count_masked(), 0);
    assert_str(shown("v", "count(*)"), "5");
}

// Interrupted at many moments: nothing of before is there when it returns.
static void forgetting_ends_what_is_being_made(void **state) {
    (void)state;
    write_rows(TABLE_CREATE, "t", ROWS(0, 100000));
    write_rows(TABLE_APPEND, "t", ROWS(0, 100000));
    write_rows(TABLE_APPEND, "t", ROWS(0, 100000));
    put_view("v", "t", "{\"id\": null, \"name\": \"hash\"}", "");
    for (useconds_t i = 0; i < 40; i++) {
        DEFER(arena_release) struct arena a = ARENA(1 << 24);
        struct view_files files;
        int asked = 0;
        const struct view_pin pin = pin_view("v", &a);
        const struct view_wait wait = {
            .until_us = clock_mono_us() + WAIT_US, .is_over = always, .ctx = &asked};
        const enum err_code code = view_files_get(views, &pin, &wait, &a, &files, &err);
        assert_true(code == ERR_CANCELLED || code == ERR_OK);
        (void)usleep(i * 5000);
        OK(views_forget(views, &err));
        assert_int_equal(count_masked(), 0);
        assert_int_equal(stats_now().files, 0);
        assert_int_equal(stats_now().bytes, 0);
    }
    assert_int_equal(stats_now().failures, 0);
    assert_str(shown("v", "count(*)"), "300000");
}

static void a_query_that_waits_while_all_is_forgotten_gets_its_files(void **state) {
    (void)state;
    struct asker asker = {0};
    write_rows(TABLE_CREATE, "t", ROWS(0, 300000));
    put_view("v", "t", "{\"id\": null, \"name\": \"hash\"}", "");
    const pthread_t thread = threads_start("ask", ask, &asker);
    for (int i = 0; i < 3; i++) {
        (void)usleep(20000);
        OK(views_forget(views, &err));
    }
    assert_int_equal(pthread_join(thread, NULL), 0);
    if (asker.code != ERR_OK) {
        fail_msg("%s", asker.err.msg);
    }
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_commit_makes_only_what_it_changed),
        TEST(a_change_of_a_dataset_that_the_filter_asks_makes_all_anew),
        TEST(a_new_definition_and_a_new_key_make_all_anew),
        TEST(files_without_rows_are_made_once_and_not_read),
        TEST(what_one_process_made_another_uses),
        TEST(files_survive_a_restart_unless_they_are_torn),
        TEST(the_least_used_go_first_and_those_in_use_stay),
        TEST(a_view_that_does_not_fit_into_the_cache_is_refused),
        TEST(who_stops_waiting_finds_it_made_later),
        TEST(of_those_who_want_a_file_at_once_all_get_the_one_that_is_made),
        TEST(a_dataset_that_is_dropped_stays_as_long_as_its_files_are_made),
        TEST(a_filter_that_fails_on_a_row_tells_nothing_of_it),
        TEST(a_filter_that_does_not_fit_any_more_is_said_to),
        TEST(what_was_pinned_before_an_erasure_makes_nothing_after_it),
        TEST(forgetting_ends_what_is_being_made),
        TEST(a_query_that_waits_while_all_is_forgotten_gets_its_files),
    };
    return cmocka_run_group_tests(tests, open_engines, close_engines);
}
