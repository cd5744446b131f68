// A worker that was taken over: whatever it says, its server fails that query and goes on.
//
// The workers of this test are no workers: they say hello, and then answer whatever comes with the
// bytes of a file that the test has written beside their folder.
#include "worker/workers_test.h"

#include <fcntl.h>

#include "worker/wire.h"
#include "worker/worker_int.h"

#define ANSWER "../answer"

static struct house house;

static void say(struct str bytes) {
    (void)message_send(WORKER_FD, bytes, 0);
}

static void say_file(void) {
    static char bytes[1 << 20];
    DEFER(closep) int fd = open(ANSWER, O_RDONLY | O_CLOEXEC);
    const ssize_t len = fd >= 0 ? read(fd, bytes, sizeof(bytes)) : -1;
    say((struct str){bytes, len > 0 ? (size_t)len : 0});
}

static int be_evil(void) {
    DEFER(buf_release) struct buf in = BUF(MESSAGE_MAX);
    DEFER(buf_release) struct buf hello = BUF(1 << 10);
    const uint32_t version = MESSAGE_VERSION;
    const int32_t landlock = 1;
    enum message kind;
    const size_t start = message_begin(MESSAGE_HELLO, &hello);
    buf_add(&hello, &version, sizeof(version));
    buf_add(&hello, &landlock, sizeof(landlock));
    message_end(start, &hello);
    if (message_receive(WORKER_FD, 0, &kind, &in) == MESSAGE_DONE) {
        say(buf_str(&hello));
    }
    while (message_receive(WORKER_FD, 0, &kind, &in) == MESSAGE_DONE) {
        say_file();
    }
    _exit(0);
}

static void write_answer(const struct buf *answer) {
    char path[96];
    (void)snprintf(path, sizeof(path), "%s/answer", house.folder);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_int_equal(fwrite(answer->ptr, 1, answer->len, f), answer->len);
    assert_int_equal(fclose(f), 0);
}

static void add(enum message kind, const void *body, size_t len, struct buf *out) {
    const size_t start = message_begin(kind, out);
    buf_add(out, body, len);
    message_end(start, out);
}

static const struct vec_type varchar = {.kind = VEC_VARCHAR, .text = {"VARCHAR", 7}};

static void add_columns(struct buf *out) {
    const struct wire_column column = {STR("s"), varchar};
    const size_t start = message_begin(MESSAGE_COLUMNS, out);
    wire_write_columns(&column, 1, out);
    message_end(start, out);
}

// One row, 'hi'.
static void add_chunks(uint8_t last, struct buf *out) {
    DEFER(buf_release) struct buf bytes = BUF(1 << 10);
    const struct vec_string_cell cell = {.len = 2, .prefix = {'h', 'i'}};
    const struct vec vec = {.type = &varchar, .data = &cell};
    const struct vec_chunk chunk = {1, 1, &vec};
    wire_write_chunk(&chunk, &bytes);
    const size_t start = message_begin(MESSAGE_CHUNKS, out);
    buf_add(out, &last, sizeof(last));
    message_add_text(buf_str(&bytes), out);
    message_end(start, out);
}

static void add_error(int32_t code, int64_t position, struct str text, struct buf *out) {
    const size_t start = message_begin(MESSAGE_ERROR, out);
    buf_add(out, &code, sizeof(code));
    buf_add(out, &position, sizeof(position));
    message_add_text(text, out);
    message_end(start, out);
}

static void ask_evil(const struct buf *answer, struct asked *ret) {
    write_answer(answer);
    const struct worker_request r = request_of("a", "SELECT 1", SECOND / 5);
    ask_request(house.workers, &r, ret);
}

static void expect_code(const struct buf *answer, enum err_code code) {
    struct asked a;
    ask_evil(answer, &a);
    if (a.code != code) {
        fail_msg("%s (%s), not %s", err_text(a.code), a.err.msg, err_text(code));
    }
    asked_release(&a);
}

// Else the others would prove nothing.
static void a_true_answer_is_taken(void **state) {
    (void)state;
    DEFER(buf_release) struct buf out = BUF(1 << 20);
    struct asked a;
    add_columns(&out);
    add_chunks(1, &out);
    ask_evil(&out, &a);
    assert_int_equal(a.code, ERR_OK);
    assert_string_equal(a.text.ptr, "hi\n");
    asked_release(&a);
}

static void a_message_past_the_bound_is_none(void **state) {
    (void)state;
    DEFER(buf_release) struct buf out = BUF(1 << 20);
    const uint32_t len = MESSAGE_MAX + 1;
    buf_add(&out, &len, sizeof(len));
    buf_add_char(&out, MESSAGE_COLUMNS);
    expect_code(&out, ERR_INTERNAL);
}

static void a_kind_that_is_none_is_refused(void **state) {
    (void)state;
    for (int kind = 0; kind < 256; kind++) {
        DEFER(buf_release) struct buf out = BUF(1 << 20);
        if (kind == MESSAGE_COLUMNS || (kind > 16 && kind < 250)) {
            continue;
        }
        add(MESSAGE_END, "", 0, &out);
        out.ptr[4] = (char)kind;
        expect_code(&out, ERR_INTERNAL);
    }
}

static void columns_and_chunks_that_cannot_be_read_are_refused(void **state) {
    (void)state;
    DEFER(buf_release) struct buf out = BUF(1 << 20);
    add(MESSAGE_COLUMNS, "\xff\xff\xff\xff\xff", 5, &out);
    add_chunks(1, &out);
    expect_code(&out, ERR_INTERNAL);
    buf_reset(&out);
    add_columns(&out);
    add(MESSAGE_CHUNKS, "\1\4\0\0\0wild", 9, &out);
    expect_code(&out, ERR_INTERNAL);
    buf_reset(&out);
    add_columns(&out);
    add(MESSAGE_CHUNKS, "\1\377\377\0\0wild", 9, &out);
    expect_code(&out, ERR_INTERNAL);
    buf_reset(&out);
    add_columns(&out);
    add(MESSAGE_CHUNKS, "", 0, &out);
    expect_code(&out, ERR_INTERNAL);
}

static void chunks_without_rows_do_not_go_on_for_ever(void **state) {
    (void)state;
    DEFER(buf_release) struct buf out = BUF(1 << 20);
    add_columns(&out);
    add(MESSAGE_CHUNKS, "\0", 1, &out);
    expect_code(&out, ERR_INTERNAL);
}

// It says the same to NEXT: columns, where chunks should be.
static void an_answer_out_of_order_is_refused(void **state) {
    (void)state;
    DEFER(buf_release) struct buf out = BUF(1 << 20);
    add_columns(&out);
    add_chunks(0, &out);
    expect_code(&out, ERR_INTERNAL);
}

static void a_worker_that_says_nothing_is_killed(void **state) {
    (void)state;
    struct workers_stats before;
    struct workers_stats after;
    DEFER(buf_release) struct buf out = BUF(1 << 20);
    workers_stats_get(house.workers, &before);
    buf_add_char(&out, 1); // the start of a message
    expect_code(&out, ERR_TIMEOUT);
    workers_stats_get(house.workers, &after);
    assert_int_equal(after.killed, before.killed + 1);
}

static void what_comes_after_the_answer_ends_the_worker(void **state) {
    (void)state;
    DEFER(buf_release) struct buf out = BUF(1 << 20);
    add_columns(&out);
    add_chunks(1, &out);
    add_chunks(1, &out); // for the next one who asks
    expect_code(&out, ERR_OK);
    buf_reset(&out);
    add_columns(&out);
    add_chunks(1, &out);
    struct asked a;
    ask_evil(&out, &a);
    assert_int_equal(a.code, ERR_OK);
    assert_string_equal(a.text.ptr, "hi\n");
    asked_release(&a);
}

static void an_error_is_believed_within_bounds(void **state) {
    (void)state;
    static const int32_t not_a_statements[] = {ERR_OK,      ERR_DENIED, ERR_UNAUTHENTICATED,
                                               ERR_CORRUPT, -1,         4711};
    struct asked a;
    DEFER(buf_release) struct buf out = BUF(1 << 20);
    add_error(ERR_SQL, 3, STR("no such thing"), &out);
    ask_evil(&out, &a);
    assert_int_equal(a.code, ERR_SQL);
    assert_int_equal(a.err.position, 3);
    assert_string_equal(a.err.msg, "no such thing");
    asked_release(&a);
    for (size_t i = 0; i < ARRAY_LEN(not_a_statements); i++) {
        buf_reset(&out);
        add_error(not_a_statements[i], 3, STR("x"), &out);
        expect_code(&out, ERR_INTERNAL);
    }
    buf_reset(&out);
    add_error(ERR_SQL, INT64_MAX, STR("\xff\xfe"), &out);
    ask_evil(&out, &a);
    assert_int_equal(a.code, ERR_SQL);
    assert_int_equal(a.err.position, -1);
    assert_true(str_is_utf8(str_from(a.err.msg)));
    asked_release(&a);
    buf_reset(&out);
    add(MESSAGE_ERROR, "abc", 3, &out);
    expect_code(&out, ERR_INTERNAL);
}

int main(int argc, char **argv) {
    char path[96];
    if (argc == 2 && strcmp(argv[1], "worker") == 0) {
        return be_evil();
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_true_answer_is_taken),
        cmocka_unit_test(a_message_past_the_bound_is_none),
        cmocka_unit_test(a_kind_that_is_none_is_refused),
        cmocka_unit_test(columns_and_chunks_that_cannot_be_read_are_refused),
        cmocka_unit_test(chunks_without_rows_do_not_go_on_for_ever),
        cmocka_unit_test(an_answer_out_of_order_is_refused),
        cmocka_unit_test(a_worker_that_says_nothing_is_killed),
        cmocka_unit_test(what_comes_after_the_answer_ends_the_worker),
        cmocka_unit_test(an_error_is_believed_within_bounds),
    };
    house_open(&house, 2, INT64_C(64) << 20);
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    (void)snprintf(path, sizeof(path), "%s/answer", house.folder);
    (void)unlink(path);
    house_close(&house);
    return failed;
}
