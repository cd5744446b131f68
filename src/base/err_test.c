// Errors: one message, filled where it arises; checks that abort; memory that is there.
#include "base/err.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static void an_error_knows_where_it_arose(void **state) {
    (void)state;
    struct err err = ERR_NONE;
    const int line = __LINE__ + 1;
    const enum err_code code = err_set(&err, ERR_NOT_FOUND, "no table \"%s\"", "trips");
    assert_int_equal(code, ERR_NOT_FOUND);
    assert_int_equal(err.code, ERR_NOT_FOUND);
    assert_int_equal(err.line, line);
    assert_string_equal(err.file, __FILE__);
    assert_string_equal(err.msg, "no table \"trips\"");
    assert_int_equal(err.position, -1);
}

static void a_full_disk_has_a_code_of_its_own(void **state) {
    (void)state;
    struct err err = ERR_NONE;
    errno = ENOENT;
    assert_int_equal(err_errno(&err, "cannot open %s", "a.parquet"), ERR_IO);
    assert_string_equal(err.msg, "cannot open a.parquet: No such file or directory");
    errno = ENOSPC;
    assert_int_equal(err_errno(&err, "cannot write"), ERR_NO_SPACE);
    errno = EDQUOT;
    assert_int_equal(err_errno(&err, "cannot write"), ERR_NO_SPACE);
}

static void a_prefix_keeps_code_and_origin(void **state) {
    (void)state;
    struct err err = ERR_NONE;
    (void)err_set(&err, ERR_CORRUPT, "bad magic");
    err.position = 12;
    const int line = err.line;
    assert_int_equal(err_prefix(&err, "manifest %d: ", 7), ERR_CORRUPT);
    assert_string_equal(err.msg, "manifest 7: bad magic");
    assert_int_equal(err.line, line);
    assert_int_equal(err.position, 12);
}

static void a_long_message_ends_between_characters(void **state) {
    (void)state;
    struct err err = ERR_NONE;
    char text[1024];
    memset(text, 'a', sizeof(text));
    memcpy(text + 510, "\xC3\xBC", 2); // its second byte would be the last that has room
    text[1023] = '\0';
    (void)err_set(&err, ERR_INVALID, "%s", text);
    assert_int_equal(strlen(err.msg), 510);
    (void)err_prefix(&err, "%s", "before: ");
    assert_int_equal(strlen(err.msg), 511);
    assert_memory_equal(err.msg, "before: aaa", 11);
}

static enum err_code fail_first(struct err *err) {
    TRY(err_set(err, ERR_BUSY, "first"));
    return err_set(err, ERR_INTERNAL, "never reached");
}

static void try_passes_a_failure_up_unchanged(void **state) {
    (void)state;
    struct err err = ERR_NONE;
    assert_int_equal(fail_first(&err), ERR_BUSY);
    assert_string_equal(err.msg, "first");
}

static void every_code_has_a_status_and_a_text(void **state) {
    (void)state;
    assert_int_equal(err_http(ERR_OK), 200);
    assert_int_equal(err_http(ERR_NO_SPACE), 507);
    assert_string_equal(err_text(ERR_NOT_FOUND), "not_found");
    for (int code = ERR_INVALID; code <= ERR_NO_SPACE; code++) {
        assert_in_range(err_http((enum err_code)code), 400, 599);
        assert_true(strlen(err_text((enum err_code)code)) > 0);
    }
}

static void a_failed_check_says_what_and_aborts(void **state) {
    (void)state;
    int ends[2] = {-1, -1};
    assert_int_equal(pipe(ends), 0);
    const pid_t child = fork();
    if (child == 0) {
        (void)dup2(ends[1], STDERR_FILENO);
        (void)signal(SIGABRT, SIG_DFL);
        CHECK(1 + 1 == 3);
        _exit(0);
    }
    assert_true(child > 0);
    char said[200] = "";
    assert_int_equal(close(ends[1]), 0);
    assert_true(read(ends[0], said, sizeof(said) - 1) > 0);
    assert_int_equal(close(ends[0]), 0);
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGABRT);
    assert_non_null(strstr(said, "check failed: 1 + 1 == 3 at "));
}

static void no_bytes_are_memory_too(void **state) {
    (void)state;
    DEFER(freep) char *a = xmalloc(0);
    DEFER(freep) char *b = xcalloc(8, 0);
    DEFER(freep) char *c = xrealloc(xstrdup("text"), 100);
    assert_non_null(a);
    assert_non_null(b);
    assert_string_equal(c, "text");
}

static void take_moves_ownership_out(void **state) {
    (void)state;
    char *moved = NULL;
    {
        DEFER(freep) char *s = xstrdup("kept");
        moved = TAKE(s);
        assert_null(s);
    }
    assert_string_equal(moved, "kept");
    free(moved);
}

static void a_descriptor_is_closed_at_the_end_of_its_scope(void **state) {
    (void)state;
    int raw = -1;
    {
        DEFER(closep) int fd = dup(STDERR_FILENO);
        DEFER(closep) int none = -1;
        assert_true(fd >= 0);
        assert_int_equal(none, -1);
        raw = fd;
    }
    errno = 0;
    assert_int_equal(close(raw), -1);
    assert_int_equal(errno, EBADF);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_error_knows_where_it_arose),
        cmocka_unit_test(a_full_disk_has_a_code_of_its_own),
        cmocka_unit_test(a_prefix_keeps_code_and_origin),
        cmocka_unit_test(a_long_message_ends_between_characters),
        cmocka_unit_test(try_passes_a_failure_up_unchanged),
        cmocka_unit_test(every_code_has_a_status_and_a_text),
        cmocka_unit_test(a_failed_check_says_what_and_aborts),
        cmocka_unit_test(no_bytes_are_memory_too),
        cmocka_unit_test(take_moves_ownership_out),
        cmocka_unit_test(a_descriptor_is_closed_at_the_end_of_its_scope),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
