// Log: one event is one line, and nothing that a client sends can forge another.
#include "base/log.h"

#include "base/clock.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

#define HEAD "time=2000-02-29T00:00:00.000000Z level="

static int64_t fixed_wall(void) {
    return INT64_C(951782400000000);
}

struct capture {
    int standard_error; // the real one
    int read_end;
};

static struct capture capture_start(void) {
    int ends[2] = {-1, -1};
    assert_int_equal(pipe(ends), 0);
    const struct capture c = {dup(STDERR_FILENO), ends[0]};
    assert_true(c.standard_error >= 0);
    assert_true(dup2(ends[1], STDERR_FILENO) >= 0);
    assert_int_equal(close(ends[1]), 0);
    clock_set_wall(fixed_wall);
    return c;
}

// What was written since the start; less than a pipe holds.
static void capture_end(struct capture c, struct buf *out) {
    clock_set_wall(NULL);
    assert_true(dup2(c.standard_error, STDERR_FILENO) >= 0);
    assert_int_equal(close(c.standard_error), 0);
    char block[4096];
    for (;;) {
        const ssize_t got = read(c.read_end, block, sizeof(block));
        if (got <= 0) {
            break;
        }
        buf_add(out, block, (size_t)got);
    }
    assert_int_equal(close(c.read_end), 0);
}

static void a_line_has_time_level_and_event(void **state) {
    (void)state;
    DEFER(buf_release) struct buf out = BUF(1 << 20);
    const struct capture c = capture_start();
    log_info("query", "ms=%d rows=%zu", 12, (size_t)100);
    log_error("start", "%s", "");
    capture_end(c, &out);
    assert_string_equal(out.ptr,
                        HEAD "info event=query ms=12 rows=100\n" HEAD "error event=start\n");
}

static void lines_of_a_request_carry_its_id(void **state) {
    (void)state;
    DEFER(buf_release) struct buf out = BUF(1 << 20);
    const struct capture c = capture_start();
    log_set_request(STR("01ARYZ6S41"));
    assert_true(str_is(log_request(), "01ARYZ6S41"));
    log_warn("slow", "ms=%d", 1);
    log_set_request(STR_NONE);
    log_warn("slow", "ms=%d", 2);
    capture_end(c, &out);
    assert_string_equal(out.ptr,
                        HEAD "warn req=01ARYZ6S41 event=slow ms=1\n" HEAD "warn event=slow ms=2\n");
}

static void a_request_id_is_cut_and_cannot_forge(void **state) {
    (void)state;
    DEFER(buf_release) struct buf out = BUF(1 << 20);
    const struct capture c = capture_start();
    log_set_request(STR("01234567890123456789012345678901234567890123456789012345678901234567"));
    assert_int_equal(log_request().len, 64);
    log_set_request(STR("x level=error\n"));
    log_info("a", "b=%d", 1);
    log_set_request(STR_NONE);
    capture_end(c, &out);
    assert_string_equal(out.ptr, HEAD "info req=\"x level=error\\n\" event=a b=1\n");
}

static void what_looks_like_a_token_is_masked(void **state) {
    (void)state;
    DEFER(buf_release) struct buf out = BUF(1 << 20);
    const struct capture c = capture_start();
    log_set_request(STR("tarn_0123456789abcdefghijABCD"));
    log_info("a", "path=%s",
             "/x/tarn_0123456789abcdefghijABCDEFGHIJ0123456789xyz_0000ab?tarn_tables=1");
    log_set_request(STR_NONE);
    capture_end(c, &out);
    assert_string_equal(out.ptr, HEAD "info req=tarn_************************ event=a path=/x/tarn_"
                                      "*******************************************_0000ab?"
                                      "tarn_tables=1\n");
}

static void *look_at_request(void *arg) {
    *(size_t *)arg = log_request().len;
    return NULL;
}

static void a_request_belongs_to_its_thread(void **state) {
    (void)state;
    size_t len = 99;
    pthread_t thread;
    log_set_request(STR("mine"));
    assert_int_equal(pthread_create(&thread, NULL, look_at_request, &len), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    log_set_request(STR_NONE);
    assert_int_equal(len, 0);
}

static void levels_below_the_set_one_are_silent(void **state) {
    (void)state;
    DEFER(buf_release) struct buf out = BUF(1 << 20);
    const struct capture c = capture_start();
    log_debug("hidden", "a=%d", 1);
    log_set_level(LOG_ERROR);
    log_warn("hidden", "a=%d", 2);
    log_error("seen", "a=%d", 3);
    log_set_level(LOG_DEBUG);
    log_debug("seen", "a=%d", 4);
    log_set_level(LOG_INFO);
    capture_end(c, &out);
    assert_string_equal(out.ptr, HEAD "error event=seen a=3\n" HEAD "debug event=seen a=4\n");
}

static void no_text_makes_a_second_line(void **state) {
    (void)state;
    DEFER(buf_release) struct buf out = BUF(1 << 20);
    const struct capture c = capture_start();
    log_info("a", "path=%s",
             "x\ntime=\r\x1B[31m\xFF\x7F \xC2\x9B"
             "31m Z\xC3\xBCrich");
    capture_end(c, &out);
    assert_string_equal(out.ptr, HEAD "info event=a path=x\\ntime=\\x0d\\x1b[31m\\xff\\x7f "
                                      "\\xc2\\x9b31m Z\xC3\xBCrich\n");
}

static void a_long_line_says_that_it_was_cut(void **state) {
    (void)state;
    char text[10000];
    memset(text, '\n', sizeof(text));
    text[sizeof(text) - 1] = '\0';
    DEFER(buf_release) struct buf out = BUF(1 << 20);
    const struct capture c = capture_start();
    log_info("a", "x=%s", text);
    capture_end(c, &out);
    assert_true(out.len <= 4096);
    assert_true(str_ends(buf_str(&out), STR("\\n cut=true\n")));
    assert_int_equal(str_find_char(buf_str(&out), '\n'), out.len - 1);

    memset(text, 'y', sizeof(text) - 1);
    buf_reset(&out);
    const struct capture again = capture_start();
    log_info("a", "x=%s", text);
    capture_end(again, &out);
    assert_true(str_ends(buf_str(&out), STR("y cut=true\n")));
}

static void a_value_is_quoted_where_it_needs_to_be(void **state) {
    (void)state;
    assert_string_equal(log_quote(STR("simple-1.5/path")), "simple-1.5/path");
    assert_string_equal(log_quote(STR_NONE), "\"\"");
    assert_string_equal(log_quote(STR("two words")), "\"two words\"");
    assert_string_equal(log_quote(STR("a=b")), "\"a=b\"");
    assert_string_equal(log_quote(STR("say \"no\" \\ go")), "\"say \\\"no\\\" \\\\ go\"");
    assert_string_equal(log_quote(STR("a\nb\0c")), "\"a\\nb\\x00c\"");
    assert_string_equal(log_quote(STR("Z\xC3\xBCrich")), "\"Z\xC3\xBCrich\"");
}

static void a_long_value_is_cut_and_closed(void **state) {
    (void)state;
    char text[600];
    memset(text, 'a', sizeof(text));
    const char *bare = log_quote((struct str){text, sizeof(text)});
    assert_int_equal(strlen(bare), 500);
    assert_true(str_ends(str_from(bare), STR("aaa...\"")));
    assert_int_equal(strlen(log_quote((struct str){text, 500})), 500);
    memset(text, '"', sizeof(text));
    const char *quotes = log_quote((struct str){text, sizeof(text)});
    assert_true(strlen(quotes) <= 500);
    assert_true(str_ends(str_from(quotes), STR("...\"")));
}

static void eight_quoted_values_fit_one_call(void **state) {
    (void)state;
    const char *values[8];
    for (int i = 0; i < 8; i++) {
        const char letter = (char)('a' + i);
        values[i] = log_quote((struct str){&letter, 1});
    }
    for (int i = 0; i < 8; i++) {
        assert_int_equal(values[i][0], 'a' + i);
    }
}

static void levels_have_names(void **state) {
    (void)state;
    enum log_level level = LOG_INFO;
    assert_true(log_level_parse(STR("error"), &level));
    assert_int_equal(level, LOG_ERROR);
    assert_true(log_level_parse(STR("debug"), &level));
    assert_int_equal(level, LOG_DEBUG);
    assert_false(log_level_parse(STR("ERROR"), &level));
    assert_false(log_level_parse(STR(""), &level));
    assert_int_equal(level, LOG_DEBUG);
}

static void logging_leaves_errno_alone(void **state) {
    (void)state;
    DEFER(buf_release) struct buf out = BUF(1 << 20);
    const struct capture c = capture_start();
    errno = ENOENT;
    log_info("a", "b=%d", 1);
    assert_int_equal(errno, ENOENT);
    capture_end(c, &out);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_has_time_level_and_event),
        cmocka_unit_test(lines_of_a_request_carry_its_id),
        cmocka_unit_test(a_request_id_is_cut_and_cannot_forge),
        cmocka_unit_test(what_looks_like_a_token_is_masked),
        cmocka_unit_test(a_request_belongs_to_its_thread),
        cmocka_unit_test(levels_below_the_set_one_are_silent),
        cmocka_unit_test(no_text_makes_a_second_line),
        cmocka_unit_test(a_long_line_says_that_it_was_cut),
        cmocka_unit_test(a_value_is_quoted_where_it_needs_to_be),
        cmocka_unit_test(a_long_value_is_cut_and_closed),
        cmocka_unit_test(eight_quoted_values_fit_one_call),
        cmocka_unit_test(levels_have_names),
        cmocka_unit_test(logging_leaves_errno_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
