// Tests of the form parser: every way to cut a body into pieces gives the same parts.
#include "http/http_int.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static enum err_code list(void *ctx, const struct http_part *part, struct str piece,
                          struct err *err) {
    struct buf *out = ctx;
    if (part->first) {
        buf_printf(out, "[" STR_FMT "|" STR_FMT "|" STR_FMT "]", STR_ARG(part->name),
                   STR_ARG(part->filename), STR_ARG(part->content_type));
    }
    buf_add_str(out, piece);
    (void)err;
    return ERR_OK;
}

static enum err_code parse(const char *type, struct str body, size_t step, struct buf *out) {
    struct http_form *form = NULL;
    struct err err = ERR_NONE;
    buf_reset(out);
    const struct http_part_sink sink = {out, list};
    enum err_code code = http_form_open(str_from(type), sink, &form, &err);
    for (size_t at = 0; at < body.len && code == ERR_OK; at += step) {
        code = http_form_piece(form, str_slice(body, at, at + step), &err);
    }
    if (code == ERR_OK) {
        code = http_form_end(form, &err);
    }
    http_form_close(form);
    return code;
}

static void check(const char *type, struct str body, enum err_code expected, struct str parts) {
    struct buf out = BUF(1 << 20);
    for (size_t step = 1; step <= body.len; step++) {
        const enum err_code got = parse(type, body, step, &out);
        if (got != expected || (got == ERR_OK && !str_eq(buf_str(&out), parts))) {
            fail_msg("step %zu: %d, " STR_FMT "\n" STR_FMT, step, (int)got, STR_ARG(buf_str(&out)),
                     STR_ARG(body));
        }
    }
    buf_release(&out);
}

#define TYPE "multipart/form-data; boundary=\"a'b c\""
#define PART(disposition) "--a'b c\r\nContent-Disposition: " disposition "\r\n"
#define END "\r\n--a'b c--\r\n"

static void multipart_is_cut_at_boundaries(void **state) {
    (void)state;
    check(TYPE, STR(PART("form-data; name=x") "\r\n1" END), ERR_OK, STR("[x||]1"));
    check(
        TYPE,
        STR("preamble\r\n--a'b\r\n" PART(
            "form-data; name=\"x y\"; filename=\"\"") "content-TYPE:  text/csv; charset=utf-8 "
                                                      "\r\nOther: z\r\n\r\n\r\n" //
                                                      "\r\n" PART(
                                                          "FORM-DATA;filename=\"q\\\"\\\\\\n.csv\";"
                                                          " name=\"\xC3\xA4\"") "\r\n--a'b "
                                                                                "c\r\n--a'"
                                                                                "b\r\r\n\r\n--a'b "
                                                                                "d" END
                                                                                "epilogue --a'b c"),
        ERR_OK,
        STR("[x y||text/csv; charset=utf-8]\r\n[\xC3\xA4|q\"\\\\n.csv|]"
            "--a'b c\r\n--a'b\r\r\n\r\n--a'b d"));
    check(TYPE, STR("--a'b c  \r\nContent-Disposition: form-data; name=x\r\n\r\n" END), ERR_OK,
          STR("[x||]"));
    check(TYPE, STR(PART("form-data; name=x") "\r\n\0\r\n\xff" END), ERR_OK,
          STR("[x||]\0\r\n\xff"));
    check(TYPE, STR("--a'b c--"), ERR_OK, STR_NONE);
}

static void malformed_multipart_is_refused(void **state) {
    (void)state;
    const struct str bodies[] = {
        STR("no boundary at all"),
        STR("--a'b c"),
        STR("--a'b c\r\n"),
        STR("--a'b cx\r\n"),
        STR("--a'b c-x"),
        STR("--a'b c\rx"),
        STR("--a'b c\r\n\r\nno headers" END),
        STR("--a'b c\r\nContent-Type: x\r\n\r\nno name" END),
        STR("--a'b c\r\nno colon\r\n\r\n" END),
        STR("--a'b c\r\nContent-Disposition: form-data; name=x\n\r\n\r\n" END),
        STR(PART("attachment; name=x") "\r\n1" END),
        STR(PART("form-data") "\r\n1" END),
        STR(PART("form-data; name=\"\"") "\r\n1" END),
        STR(PART("form-data; name=\"x") "\r\n1" END),
        STR(PART("form-data; name") "\r\n1" END),
        STR(PART("form-data; =x") "\r\n1" END),
        STR(PART("form-data; name=\"x\" y") "\r\n1" END),
        STR(PART("form-data; name=\"\xff\"") "\r\n1" END),
        STR(PART("form-data; name=\"a\tb\"") "\r\n1" END),
        STR(PART("form-data; name=x") "\r\nno end"),
        STR(PART("form-data; name=x") "\r\nhalf an end\r\n--a'b c"),
    };
    for (size_t i = 0; i < ARRAY_LEN(bodies); i++) {
        check(TYPE, bodies[i], ERR_INVALID, STR_NONE);
    }
}

static void long_headers_of_a_part_are_refused(void **state) {
    (void)state;
    struct buf body = BUF(1 << 20);
    struct buf out = BUF(1 << 20);
    buf_add_str(&body, STR("--a'b c\r\nA: "));
    for (int i = 0; i < 10000; i++) {
        buf_add_char(&body, 'a');
    }
    assert_int_equal(parse(TYPE, buf_str(&body), 1000, &out), ERR_INVALID);
    buf_release(&body);
    buf_release(&out);
}

#define TEN "0123456789"
#define TOO_LONG "multipart/form-data; boundary=x" TEN TEN TEN TEN TEN TEN TEN

static void types_and_boundaries_are_checked(void **state) {
    (void)state;
    struct buf out = BUF(1000);
    const struct str body = STR("--x--");
    assert_int_equal(parse("multipart/form-data; charset=utf-8; boundary=x", body, 5, &out),
                     ERR_OK);
    assert_int_equal(parse("Multipart/Form-Data;boundary=x;", body, 5, &out), ERR_OK);
    const char *const malformed[] = {
        "multipart/form-data",
        "multipart/form-data; boundary=",
        "multipart/form-data; boundary=\"\"",
        "multipart/form-data; boundary=\"x",
        "multipart/form-data; boundary=\"x \"",
        "multipart/form-data; boundary=x\xff",
        "multipart/form-data; boundary=x{",
        "multipart/form-data; boundary",
        TOO_LONG,
    };
    for (size_t i = 0; i < ARRAY_LEN(malformed); i++) {
        assert_int_equal(parse(malformed[i], body, 5, &out), ERR_INVALID);
    }
    assert_int_equal(parse("", body, 5, &out), ERR_UNSUPPORTED);
    assert_int_equal(parse("application/json", body, 5, &out), ERR_UNSUPPORTED);
    assert_int_equal(parse("multipart/mixed; boundary=x", body, 5, &out), ERR_UNSUPPORTED);
    buf_release(&out);
}

#define FIELDS "application/x-www-form-urlencoded"

static void fields_are_decoded(void **state) {
    (void)state;
    check(FIELDS, STR("a=1&b+c=x+y%26%3d&%c3%a4=&d&&=e&f=%00="), ERR_OK,
          STR("[a||]1[b c||]x y&=[\xC3\xA4||][d||][||]e[f||]\0="));
    check(FIELDS, STR("a=%"), ERR_INVALID, STR_NONE);
    check(FIELDS, STR("a=%2"), ERR_INVALID, STR_NONE);
    check(FIELDS, STR("a=%2x"), ERR_INVALID, STR_NONE);
    check(FIELDS, STR("a%2"), ERR_INVALID, STR_NONE);
    check(FIELDS, STR("%ff=1"), ERR_INVALID, STR_NONE);
    check(FIELDS, STR("a%00b=1"), ERR_INVALID, STR_NONE);
    check(FIELDS "; charset=UTF-8", STR("a=b"), ERR_OK, STR("[a||]b"));
}

static void long_values_come_in_pieces(void **state) {
    (void)state;
    struct buf body = BUF(1 << 20);
    struct buf out = BUF(1 << 20);
    buf_add_str(&body, STR("a="));
    for (int i = 0; i < 50000; i++) {
        buf_add_str(&body, STR("%61"));
    }
    assert_int_equal(parse(FIELDS, buf_str(&body), 7, &out), ERR_OK);
    assert_int_equal(out.len, strlen("[a||]") + 50000);
    buf_release(&body);
    buf_release(&out);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(multipart_is_cut_at_boundaries),
        cmocka_unit_test(malformed_multipart_is_refused),
        cmocka_unit_test(long_headers_of_a_part_are_refused),
        cmocka_unit_test(types_and_boundaries_are_checked),
        cmocka_unit_test(fields_are_decoded),
        cmocka_unit_test(long_values_come_in_pieces),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
