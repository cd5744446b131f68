// Tests of scratch folders.
#include "base/scratch.h"

#include "base/arena.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static char parent[40];

static int begin(void **state) {
    (void)state;
    (void)snprintf(parent, sizeof(parent), "/tmp/tarn_scratch_XXXXXX");
    return mkdtemp(parent) != NULL ? 0 : -1;
}

static int end(void **state) {
    (void)state;
    return rmdir(parent);
}

static int folders(void) {
    int count = 0;
    DIR *d = opendir(parent);
    assert_non_null(d);
    for (const struct dirent *e = readdir(d); e != NULL; e = readdir(d)) {
        count += e->d_name[0] != '.' ? 1 : 0;
    }
    (void)closedir(d);
    return count;
}

static void put_file(const char *folder) {
    char path[200];
    (void)snprintf(path, sizeof(path), "%s/file", folder);
    FILE *f = fopen(path, "we");
    assert_non_null(f);
    (void)fclose(f);
}

static struct scratch make(void) {
    struct scratch s;
    struct err err = ERR_NONE;
    assert_int_equal(scratch_make(str_from(parent), STR("a-"), &s, &err), ERR_OK);
    put_file(s.path);
    return s;
}

static void a_folder_goes_with_what_is_in_it(void **state) {
    (void)state;
    struct scratch one = make();
    struct scratch two = make();
    assert_string_not_equal(one.path, two.path);
    assert_int_equal(folders(), 2);
    scratch_remove(&one);
    assert_int_equal(folders(), 1);
    scratch_remove(&two);
    scratch_remove(&two);
    assert_int_equal(folders(), 0);
}

static void clean_leaves_what_is_held(void **state) {
    (void)state;
    struct scratch mine = make();
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        (void)make();
        _exit(0); // as a killed process does, it leaves the folder
    }
    int status = -1;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_int_equal(folders(), 2);
    scratch_clean(str_from(parent), STR("b-"));
    assert_int_equal(folders(), 2);
    assert_int_equal(scratch_clean(str_from(parent), STR("a-")), 1);
    assert_int_equal(folders(), 1);
    struct stat st;
    assert_int_equal(stat(mine.path, &st), 0);
    scratch_remove(&mine);
}

// Makers and cleaners at once: whoever holds a folder keeps it.
static void cleaning_beside_making_takes_nothing_that_is_held(void **state) {
    (void)state;
    const pid_t child = fork();
    assert_true(child >= 0);
    for (int i = 0; i < 200; i++) {
        if (child == 0) {
            scratch_clean(str_from(parent), STR("a-"));
            continue;
        }
        struct scratch s;
        struct err err = ERR_NONE;
        struct stat st;
        assert_int_equal(scratch_make(str_from(parent), STR("a-"), &s, &err), ERR_OK);
        assert_int_equal(stat(s.path, &st), 0);
        scratch_remove(&s);
    }
    if (child == 0) {
        _exit(0);
    }
    int status = -1;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

static void a_folder_of_another_process_that_lives_is_seen(void **state) {
    (void)state;
    int made[2];
    int done[2];
    char byte = 0;
    struct scratch mine = make();
    assert_false(scratch_is_shared(str_from(parent)));
    assert_int_equal(pipe(made), 0);
    assert_int_equal(pipe(done), 0);
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        (void)close(done[1]);
        (void)make();
        (void)!write(made[1], "", 1);
        (void)!read(done[0], &byte, 1); // until the parent wants it, or is gone
        _exit(0);
    }
    assert_int_equal(read(made[0], &byte, 1), 1);
    assert_true(scratch_is_shared(str_from(parent)));
    assert_int_equal(write(done[1], "", 1), 1);
    int status = -1;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_false(scratch_is_shared(str_from(parent)));
    assert_int_equal(scratch_clean(str_from(parent), STR("a-")), 1);
    scratch_remove(&mine);
    assert_false(scratch_is_shared(STR("/nowhere/at/all")));
    for (size_t i = 0; i < 2; i++) {
        (void)close(made[i]);
        (void)close(done[i]);
    }
}

static void no_parent_is_an_error_that_names_it(void **state) {
    (void)state;
    struct scratch s;
    struct err err = ERR_NONE;
    assert_int_equal(scratch_make(STR("/nowhere/at/all"), STR("a-"), &s, &err), ERR_IO);
    assert_non_null(strstr(err.msg, "/nowhere/at/all/a-"));
    assert_int_equal(scratch_clean(STR("/nowhere/at/all"), STR("a-")), 0);
    scratch_remove(&s);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
    const struct CMUnitTest tests[] = {
        TEST(a_folder_goes_with_what_is_in_it),
        TEST(a_folder_of_another_process_that_lives_is_seen),
        TEST(clean_leaves_what_is_held),
        TEST(cleaning_beside_making_takes_nothing_that_is_held),
        TEST(no_parent_is_an_error_that_names_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
