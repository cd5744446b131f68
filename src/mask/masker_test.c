// Tests of masks at work: tables of values, and what holds for any value.
#include "mask/mask.h"

#include "base/hash.h"
#include "base/threads.h"
#include "base/utf8.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define DAY_US INT64_C(86400000000)
#define DATE_LEAST (-INT32_MAX + 1)
#define TIMESTAMP_LEAST (-106751991 * DAY_US)

static struct mask_keys keys;

static int set_up(void **state) {
    (void)state;
    const uint8_t secret[32] = "a secret of thirty-two bytes....";
    mask_keys_derive(secret, &keys);
    srand(20240117);
    return 0;
}

static struct masker *make(enum mask_kind kind, int32_t prefix, int32_t suffix) {
    const struct mask m = {.kind = kind, .keep_prefix = prefix, .keep_suffix = suffix};
    return masker_new(&m, &keys);
}

static void assert_shown(const struct masker *m, struct str in, const char *expected) {
    DEFER(buf_release) struct buf out = BUF(1 << 20);
    buf_add_str(&out, STR("before:"));
    masker_text(m, in, &out);
    const struct str shown = str_slice(buf_str(&out), 7, out.len);
    assert_true(str_starts(buf_str(&out), STR("before:")));
    if (!str_is(shown, expected)) {
        fail_msg("\"" STR_FMT "\" became \"" STR_FMT "\", not \"%s\"", STR_ARG(in), STR_ARG(shown),
                 expected);
    }
}

static void a_keep_shows_both_ends_of_what_is_long_enough(void **state) {
    (void)state;
    static const struct {
        int32_t prefix, suffix;
        const char *in, *shown;
    } rows[] = {
        {3, 2, "CAND-000001", "CAN******01"},
        {3, 2, "abcdefghij", "abc******ij"}, // ten: half is shown
        {3, 2, "abcdefghi", "******"},
        {3, 2, "", "******"},
        {4, 0, "4111111111111111", "4111******"},
        {0, 4, "4111111111111234", "******1234"},
        {4, 0, "12345678", "1234******"},
        {4, 0, "1234567", "******"},
        {0, 0, "anything", "******"},
        {0, 0, "", "******"},
        {1, 0, "a", "******"},
        {1, 0, "ab", "a******"},
        {1, 1, "äöüß", "ä******ß"},
        {1, 1, "äöü", "******"},
        {2, 1, "日本語日本語", "日本******語"},
        {1, 1, "😀a😀b", "😀******b"},
        {1, 1, "e\u0301tude\u0301", "e******\u0301"}, // a mark is a character of its own
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        DEFER(masker_freep) struct masker *m = make(MASK_KEEP, rows[i].prefix, rows[i].suffix);
        assert_shown(m, str_from(rows[i].in), rows[i].shown);
    }
}

static void bytes_that_are_no_utf8_are_characters(void **state) {
    (void)state;
    DEFER(masker_freep) struct masker *m = make(MASK_KEEP, 1, 1);
    assert_shown(m, STR("\xFF\xFE\xFD\xFC"), "\uFFFD******\uFFFD");
    assert_shown(m, STR("\xE2\x82zz"), "\uFFFD******z");
    assert_shown(m, STR("az\xE2\x82"), "a******\uFFFD");
    assert_shown(m, STR("\x80\x80\x80"), "******");
    assert_shown(m, STR("a\0bc"), "a******c");
}

static void an_alphanum_shows_the_form_of_a_value_alone(void **state) {
    (void)state;
    static const char *const rows[][2] = {
        {"Ada.Lovelace+1@example.org", "xxx.xxxxxxxx+n@xxxxxxx.xxx"},
        {"(555) 123-4567", "(nnn) nnn-nnnn"},
        {"", ""},
        {" \t\n!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~", " \t\n!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"},
        {"Grüße", "xxxxx"},
        {"日本 12", "xx nn"},
        {"٠٩ ०९ ０９ 𝟎𝟿", "nn nn nn nn"}, // digits of other scripts
        {"½²Ⅷ", "xxx"},                   // numbers, but no decimal digits
        {"€–…😀", "xxxx"},                 // no letters, and not shown either
    };
    DEFER(masker_freep) struct masker *m = make(MASK_ALPHANUM, 0, 0);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        assert_shown(m, str_from(rows[i][0]), rows[i][1]);
    }
    assert_shown(m, STR("a\xFF\xC3\x31"), "xxxn");
}

// Every character by itself: x, n, or one of ASCII that is neither letter nor digit.
static void an_alphanum_knows_every_character(void **state) {
    (void)state;
    DEFER(masker_freep) struct masker *m = make(MASK_ALPHANUM, 0, 0);
    DEFER(buf_release) struct buf out = BUF(64);
    size_t digits = 0;
    for (uint32_t c = 0x80; c < 0x110000; c++) {
        char text[4] = {(char)(0xF0 | c >> 18), (char)(0x80 | (c >> 12 & 0x3F)),
                        (char)(0x80 | (c >> 6 & 0x3F)), (char)(0x80 | (c & 0x3F))};
        struct str in = {text, 4};
        if (c < 0x800) {
            text[2] = (char)(0xC0 | c >> 6);
            in = (struct str){text + 2, 2};
        } else if (c < 0x10000) {
            text[1] = (char)(0xE0 | c >> 12);
            in = (struct str){text + 1, 3};
        }
        buf_reset(&out);
        masker_text(m, in, &out);
        digits += out.ptr[0] == 'n' ? 1U : 0U;
        if (out.ptr[0] != 'n' && out.ptr[0] != 'x') {
            fail_msg("U+%04X shows itself", (unsigned)c);
        }
    }
    assert_int_equal(digits, 650); // as many as Unicode 14 has outside of ASCII
}

static void a_hash_is_the_first_half_of_an_hmac(void **state) {
    (void)state;
    DEFER(arena_release) struct arena a = ARENA(1 << 16);
    DEFER(masker_freep) struct masker *m = make(MASK_HASH, 0, 0);
    const struct str texts[] = {STR("42"), STR(""), STR("a\0b"), STR("\xFF")};
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        const struct sha256 h = hmac_sha256((struct str){(const char *)keys.global, 32}, texts[i]);
        assert_shown(m, texts[i], hex_bytes(h.bytes, 16, &a).ptr);
    }
}

static struct str hash_of(const struct masker *m, struct str in, struct arena *a) {
    DEFER(buf_release) struct buf out = BUF(64);
    masker_text(m, in, &out);
    assert_int_equal(out.len, 32);
    return arena_str(a, buf_str(&out));
}

static void the_two_hashes_have_two_keys(void **state) {
    (void)state;
    DEFER(arena_release) struct arena a = ARENA(1 << 16);
    DEFER(masker_freep) struct masker *global = make(MASK_HASH, 0, 0);
    DEFER(masker_freep) struct masker *local = make(MASK_HASH_LOCAL, 0, 0);
    DEFER(masker_freep) struct masker *own = masker_new_hash(keys.local);
    const struct str text = STR("CAND-000001");
    assert_false(str_eq(hash_of(global, text, &a), hash_of(local, text, &a)));
    assert_true(str_eq(hash_of(own, text, &a), hash_of(local, text, &a)));
}

// A text of any bytes, or of any characters.
static struct str random_value(struct arena *a, bool utf8) {
    static const char *const chars[] = {"a", "Z", "0", " ", "-", "é", "日", "😀", "\u0301", "٣"};
    const size_t count = (size_t)rand() % 40;
    char *text = arena_alloc(a, 4 * count + 1);
    size_t len = 0;
    for (size_t i = 0; i < count; i++) {
        const struct str c = str_from(chars[(size_t)rand() % ARRAY_LEN(chars)]);
        if (utf8 || rand() % 3 > 0) {
            memcpy(text + len, c.ptr, c.len);
            len += c.len;
        } else {
            text[len++] = (char)rand();
        }
    }
    return (struct str){text, len};
}

static size_t char_count(struct str s) {
    size_t count = 0;
    for (size_t at = 0; at < s.len; count++) {
        at += MAX(utf8_char_len(s.ptr + at, s.len - at), 1);
    }
    return count;
}

static void a_hash_is_equal_if_and_only_if_the_text_is(void **state) {
    (void)state;
    DEFER(arena_release) struct arena a = ARENA(1 << 24);
    DEFER(masker_freep) struct masker *m = make(MASK_HASH, 0, 0);
    for (int i = 0; i < 5000; i++) {
        const struct str x = random_value(&a, false);
        const struct str y = i % 2 == 0 ? random_value(&a, false) : arena_str(&a, x);
        assert_int_equal(str_eq(hash_of(m, x, &a), hash_of(m, y, &a)), str_eq(x, y));
    }
}

static void check_keep(struct str in, int32_t prefix, int32_t suffix) {
    DEFER(masker_freep) struct masker *m = make(MASK_KEEP, prefix, suffix);
    DEFER(buf_release) struct buf out = BUF(1 << 20);
    masker_text(m, in, &out);
    const struct str shown = buf_str(&out);
    const size_t stars = (size_t)MAX(str_find(shown, STR("******")), 0);
    const size_t kept = char_count(shown) - 6;
    assert_true(str_is_utf8(shown));
    assert_true(str_find(shown, STR("******")) >= 0);
    assert_true(2 * kept <= char_count(in));
    assert_true(kept == 0 || kept == (size_t)(prefix + suffix));
    if (str_is_utf8(in) && kept > 0) {
        assert_true(str_starts(in, str_slice(shown, 0, stars)));
        assert_true(str_ends(in, str_slice(shown, stars + 6, shown.len)));
    }
}

static void a_keep_never_shows_more_than_half(void **state) {
    (void)state;
    for (int i = 0; i < 20000; i++) {
        DEFER(arena_release) struct arena a = ARENA(1 << 16);
        const int32_t prefix = rand() % 8;
        check_keep(random_value(&a, i % 2 == 0), prefix, rand() % 8);
    }
}

static void an_alphanum_has_a_character_for_each(void **state) {
    (void)state;
    DEFER(masker_freep) struct masker *m = make(MASK_ALPHANUM, 0, 0);
    for (int i = 0; i < 20000; i++) {
        DEFER(arena_release) struct arena a = ARENA(1 << 16);
        DEFER(buf_release) struct buf out = BUF(1 << 20);
        const struct str in = random_value(&a, i % 2 == 0);
        masker_text(m, in, &out);
        assert_int_equal(out.len, char_count(in));
        for (size_t c = 0; c < out.len; c++) {
            const unsigned char shown = (unsigned char)out.ptr[c];
            assert_true(shown == 'x' || shown == 'n' || shown < '0' ||
                        (shown < 0x80 && shown > '9' && str_find_char(in, out.ptr[c]) >= 0));
        }
    }
}

static void a_value_may_be_large(void **state) {
    (void)state;
    const size_t len = (1 << 20) + 1;
    DEFER(buf_release) struct buf in = BUF(len);
    DEFER(buf_release) struct buf out = BUF(2 * len);
    DEFER(masker_freep) struct masker *keep = make(MASK_KEEP, 64, 64);
    DEFER(masker_freep) struct masker *alphanum = make(MASK_ALPHANUM, 0, 0);
    DEFER(masker_freep) struct masker *hash = make(MASK_HASH, 0, 0);
    while (in.len + 4 <= len) {
        buf_add_str(&in, STR("\xF0\x9F\x98\x80"));
    }
    buf_add_char(&in, '7');
    masker_text(keep, buf_str(&in), &out);
    assert_int_equal(out.len, 64 * 4 + 6 + 63 * 4 + 1);
    buf_reset(&out);
    masker_text(alphanum, buf_str(&in), &out);
    assert_int_equal(out.len, (len - 1) / 4 + 1);
    buf_reset(&out);
    masker_text(hash, buf_str(&in), &out);
    assert_int_equal(out.len, 32);
}

static void what_has_no_room_is_left_out_and_noted(void **state) {
    (void)state;
    static const enum mask_kind kinds[] = {MASK_HASH, MASK_ALPHANUM, MASK_KEEP};
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        DEFER(masker_freep) struct masker *m = make(kinds[i], 2, 2);
        DEFER(buf_release) struct buf out = BUF(5);
        masker_text(m, STR("0123456789"), &out);
        assert_true(out.overflow);
        assert_true(out.len <= 5);
    }
}

struct share {
    const struct masker *m;
    struct str expected;
};

static void *mask_many(void *arg) {
    const struct share *s = arg;
    for (int i = 0; i < 5000; i++) {
        DEFER(buf_release) struct buf out = BUF(64);
        masker_text(s->m, STR("CAND-000001"), &out);
        if (!str_eq(buf_str(&out), s->expected)) {
            return arg;
        }
    }
    return NULL;
}

static void threads_may_share_a_masker(void **state) {
    (void)state;
    DEFER(arena_release) struct arena a = ARENA(1 << 16);
    DEFER(masker_freep) struct masker *m = make(MASK_HASH, 0, 0);
    struct share share = {m, hash_of(m, STR("CAND-000001"), &a)};
    pthread_t threads[4];
    for (size_t i = 0; i < ARRAY_LEN(threads); i++) {
        threads[i] = threads_start("mask", mask_many, &share);
    }
    for (size_t i = 0; i < ARRAY_LEN(threads); i++) {
        void *wrong = NULL;
        assert_int_equal(pthread_join(threads[i], &wrong), 0);
        assert_null(wrong);
    }
}

static bool is_leap(int year) {
    return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

// Walks through the days of 2800 years, with the months counted out.
static void each_day_becomes_the_first_of_its_month_and_year(void **state) {
    (void)state;
    static const int month_days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    DEFER(masker_freep) struct masker *year = make(MASK_YEAR, 0, 0);
    DEFER(masker_freep) struct masker *month = make(MASK_MONTH, 0, 0);
    int32_t day = -(5 * 146097) + 10957; // 2000-01-01 is day 10957; 400 years have 146097 days
    for (int y = 0; y < 2800; y++) {
        const int32_t first_of_year = day;
        for (int m = 0; m < 12; m++) {
            const int32_t first_of_month = day;
            const int days = month_days[m] + (m == 1 && is_leap(y) ? 1 : 0);
            for (int d = 0; d < days; d++, day++) {
                assert_int_equal(masker_date(year, day), first_of_year);
                assert_int_equal(masker_date(month, day), first_of_month);
                const int64_t us = day * DAY_US + rand() % 86400 * INT64_C(1000000) + rand() % 2;
                assert_true(masker_timestamp(year, us) == first_of_year * DAY_US);
                assert_true(masker_timestamp(month, us) == first_of_month * DAY_US);
            }
        }
    }
    assert_int_equal(day, 10957 + 2 * 146097); // 2800-01-01
}

static void ends_of_the_types_are_kept(void **state) {
    (void)state;
    DEFER(masker_freep) struct masker *year = make(MASK_YEAR, 0, 0);
    DEFER(masker_freep) struct masker *month = make(MASK_MONTH, 0, 0);
    const struct masker *const both[] = {year, month};
    for (size_t i = 0; i < ARRAY_LEN(both); i++) {
        assert_int_equal(masker_date(both[i], INT32_MAX), INT32_MAX);
        assert_int_equal(masker_date(both[i], -INT32_MAX), -INT32_MAX);
        assert_int_equal(masker_date(both[i], DATE_LEAST), DATE_LEAST);
        assert_int_equal(masker_date(both[i], INT32_MIN), DATE_LEAST);
        assert_true(masker_timestamp(both[i], INT64_MAX) == INT64_MAX);
        assert_true(masker_timestamp(both[i], -INT64_MAX) == -INT64_MAX);
        assert_true(masker_timestamp(both[i], -INT64_MAX + 1) == TIMESTAMP_LEAST);
        assert_true(masker_timestamp(both[i], INT64_MIN) == TIMESTAMP_LEAST);
    }
    assert_int_equal(masker_date(year, INT32_MAX - 1), 2147483455);  // 5881580-01-01
    assert_int_equal(masker_date(month, INT32_MAX - 1), 2147483637); // 5881580-07-01
    // 294247-01-10 04:00:54.775806
    assert_true(masker_timestamp(year, INT64_MAX - 1) == 106751982 * DAY_US);
    assert_true(masker_timestamp(month, INT64_MAX - 1) == 106751982 * DAY_US);
}

static void no_first_day_is_later_than_its_day(void **state) {
    (void)state;
    DEFER(masker_freep) struct masker *year = make(MASK_YEAR, 0, 0);
    DEFER(masker_freep) struct masker *month = make(MASK_MONTH, 0, 0);
    for (int i = 0; i < 100000; i++) {
        const uint64_t bits = random_u64();
        const int32_t day = MAX((int32_t)(uint32_t)bits, DATE_LEAST + 366);
        const int64_t us = MAX((int64_t)bits, TIMESTAMP_LEAST + 366 * DAY_US);
        const int64_t since_year = (int64_t)day - masker_date(year, day);
        const int64_t since_month = (int64_t)day - masker_date(month, day);
        assert_true(day == INT32_MAX || (since_year >= 0 && since_year < 366));
        assert_true(day == INT32_MAX || (since_month >= 0 && since_month < 31));
        assert_int_equal(masker_date(year, masker_date(month, day)), masker_date(year, day));
        assert_true(us == INT64_MAX || us - masker_timestamp(month, us) < 31 * DAY_US);
        assert_true(us - masker_timestamp(month, us) >= 0);
        assert_true(masker_timestamp(year, us) % DAY_US == 0 || us == INT64_MAX);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_keep_shows_both_ends_of_what_is_long_enough),
        cmocka_unit_test(bytes_that_are_no_utf8_are_characters),
        cmocka_unit_test(an_alphanum_shows_the_form_of_a_value_alone),
        cmocka_unit_test(an_alphanum_knows_every_character),
        cmocka_unit_test(a_hash_is_the_first_half_of_an_hmac),
        cmocka_unit_test(the_two_hashes_have_two_keys),
        cmocka_unit_test(a_hash_is_equal_if_and_only_if_the_text_is),
        cmocka_unit_test(a_keep_never_shows_more_than_half),
        cmocka_unit_test(an_alphanum_has_a_character_for_each),
        cmocka_unit_test(a_value_may_be_large),
        cmocka_unit_test(what_has_no_room_is_left_out_and_noted),
        cmocka_unit_test(threads_may_share_a_masker),
        cmocka_unit_test(each_day_becomes_the_first_of_its_month_and_year),
        cmocka_unit_test(ends_of_the_types_are_kept),
        cmocka_unit_test(no_first_day_is_later_than_its_day),
    };
    return cmocka_run_group_tests(tests, set_up, NULL);
}
