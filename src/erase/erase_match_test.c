// Tests of the matcher: what it finds is what a look at every place would find.

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "erase/erase_int.h"

static struct arena arena;

static int set_up(void **state) {
    (void)state;
    arena = ARENA(SIZE_MAX);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    arena_release(&arena);
    return 0;
}

// Texts, up to a NULL.
static struct erase_matcher *matcher_of(const char *const *values) {
    struct str texts[32];
    struct erase_subjects s = {.search = texts};
    for (; values[s.search_count] != NULL; s.search_count++) {
        texts[s.search_count] = str_from(values[s.search_count]);
    }
    return erase_matcher_new(&s);
}

static int64_t found(const struct erase_matcher *m, const char *text) {
    return erase_match_text(m, str_from(text));
}

static void a_value_counts_only_as_a_word_of_its_own(void **state) {
    (void)state;
    const char *const values[] = {"CAND-000001", NULL};
    DEFER(erase_matcher_freep) struct erase_matcher *m = matcher_of(values);
    assert_int_equal(found(m, "CAND-000001"), 1);
    assert_int_equal(found(m, "of CAND-000001, and \"CAND-000001\""), 2);
    assert_int_equal(found(m, "CAND-0000012"), 0);
    assert_int_equal(found(m, "XCAND-000001"), 0);
    assert_int_equal(found(m, "CAND-000001\xc3\xa9"), 0);
    assert_int_equal(found(m, "\xc3\xa9"
                              "CAND-000001"),
                     0);
    assert_int_equal(found(m, "cand-000001"), 0);
    assert_int_equal(found(m, "CAND-00000"), 0);
    assert_int_equal(found(m, ""), 0);
    assert_int_equal(erase_match_text(m, (struct str){"\0CAND-000001\0", 13}), 1);
}

static void values_that_overlap_all_count(void **state) {
    (void)state;
    const char *const values[] = {"alpha", "alpha beta", "beta-gamma", "alpha beta-gamma",
                                  "alpha", "-gamma",     NULL};
    DEFER(erase_matcher_freep) struct erase_matcher *m = matcher_of(values);
    assert_int_equal(found(m, "alpha"), 1);
    assert_int_equal(found(m, "alpha beta"), 2);
    assert_int_equal(found(m, "alpha beta-gamma"), 4);
    assert_int_equal(found(m, "alpha -gamma"), 2);
    int64_t all;
    int64_t few;
    erase_matcher_count(m, &all, &few);
    assert_int_equal(all, 5);
    assert_int_equal(few, 0);
    assert_int_equal(erase_matcher_longest(m), 16);
}

static void a_short_value_counts_only_as_a_whole_cell(void **state) {
    (void)state;
    const char *const values[] = {"Bo", "1234", NULL};
    DEFER(erase_matcher_freep) struct erase_matcher *m = matcher_of(values);
    assert_int_equal(found(m, "Bo and 1234"), 0);
    assert_true(erase_match_cell(m, STR("Bo")));
    assert_true(erase_match_cell(m, STR("1234")));
    assert_false(erase_match_cell(m, STR("Bo ")));
    assert_false(erase_match_cell(m, STR("bo")));
    assert_false(erase_match_cell(m, STR("")));
    assert_false(erase_match_integer(m, 1234));
    int64_t all;
    int64_t few;
    erase_matcher_count(m, &all, &few);
    assert_int_equal(all, 2);
    assert_int_equal(few, 2);
}

static void an_integer_key_is_a_number_and_its_digits(void **state) {
    (void)state;
    const struct table_key keys[] = {{STR("100001"), true},
                                     {STR("-7"), true},
                                     {STR("0"), true},
                                     {STR("9223372036854775807"), true},
                                     {STR("200002"), false}};
    const struct erase_subjects s = {.keys = keys, .key_count = ARRAY_LEN(keys)};
    DEFER(erase_matcher_freep) struct erase_matcher *m = erase_matcher_new(&s);
    assert_true(erase_match_integer(m, 100001));
    assert_true(erase_match_integer(m, -7));
    assert_true(erase_match_integer(m, 0));
    assert_true(erase_match_integer(m, INT64_MAX));
    assert_false(erase_match_integer(m, 7));
    assert_false(erase_match_integer(m, 200002));
    assert_int_equal(found(m, "row 100001 and 200002"), 2);
    const struct str bytes = STR("row 100001 and 200002");
    const struct erase_match_part part = {.bytes = bytes, .to = bytes.len};
    assert_int_equal(erase_match_part(m, &part), 1);
    assert_true(erase_match_cell(m, STR("-7")));
}

static void a_uuid_is_looked_for_in_lower_case_too(void **state) {
    (void)state;
    const char *const values[] = {"A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11", NULL};
    DEFER(erase_matcher_freep) struct erase_matcher *m = matcher_of(values);
    assert_int_equal(found(m, "A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11"), 1);
    assert_int_equal(found(m, "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"), 1);
}

static void a_part_counts_what_begins_in_it(void **state) {
    (void)state;
    const char *const values[] = {"aaaaa", NULL};
    DEFER(erase_matcher_freep) struct erase_matcher *m = matcher_of(values);
    const struct str text = STR("aaaaa aaaaa aaaaab aaaaa");
    int64_t n = 0;
    for (size_t i = 0; i < text.len; i++) {
        const struct erase_match_part one = {text, i, i + 1, true};
        n += erase_match_part(m, &one);
    }
    assert_int_equal(n, 3);
    assert_int_equal(erase_match_text(m, text), 3);
}

static void nothing_is_found_of_nothing(void **state) {
    (void)state;
    const struct erase_subjects none = {0};
    DEFER(erase_matcher_freep) struct erase_matcher *m = erase_matcher_new(&none);
    assert_int_equal(found(m, "alpha"), 0);
    assert_false(erase_match_cell(m, STR("alpha")));
    assert_false(erase_match_integer(m, 0));
}

// A look at every place, value by value.
static bool word(char c) {
    return ((unsigned char)c & 0x80) != 0 || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
           (c >= 'A' && c <= 'Z');
}

static int64_t model(const struct str *values, size_t count, struct str text) {
    int64_t n = 0;
    for (size_t v = 0; v < count; v++) {
        bool first = values[v].len >= ERASE_MATCH_MIN;
        for (size_t i = 0; i < v; i++) {
            first = first && !str_eq(values[i], values[v]);
        }
        for (size_t i = 0; first && i + values[v].len <= text.len; i++) {
            const size_t end = i + values[v].len;
            n += memcmp(text.ptr + i, values[v].ptr, values[v].len) == 0 &&
                         (i == 0 || !word(text.ptr[i - 1])) &&
                         (end == text.len || !word(text.ptr[end]))
                     ? 1
                     : 0;
        }
    }
    return n;
}

static struct str random_of(const char *alphabet, size_t len) {
    char *s = arena_alloc(&arena, len + 1);
    const size_t letters = strlen(alphabet);
    for (size_t i = 0; i < len; i++) {
        s[i] = alphabet[(size_t)rand() % letters];
    }
    return (struct str){s, len};
}

static void it_finds_what_a_look_at_every_place_finds(void **state) {
    (void)state;
    static const char *const alphabets[] = {"a-", "ab ", "ab\xc3\xa9 .", "0123456789-"};
    int64_t all = 0;
    srand(7);
    for (int round = 0; round < 2000; round++) {
        const char *alphabet = alphabets[round % 4];
        struct str values[40];
        const size_t count = (size_t)rand() % ARRAY_LEN(values) + 1;
        const size_t least = (size_t)rand() % 8 + 1;
        for (size_t i = 0; i < count; i++) {
            values[i] = random_of(alphabet, least + (size_t)rand() % 12);
        }
        const struct erase_subjects s = {.search = values, .search_count = count};
        DEFER(erase_matcher_freep) struct erase_matcher *m = erase_matcher_new(&s);
        // Values among others' letters, in a text without a byte too many behind it.
        DEFER(buf_release) struct buf b = BUF(1 << 16);
        for (int i = rand() % 12; i > 0; i--) {
            buf_add_str(&b, random_of(alphabet, (size_t)rand() % 6));
            buf_add_str(&b, values[(size_t)rand() % count]);
        }
        char *text = xmalloc(b.len + 1);
        memcpy(text + 1, buf_str(&b).ptr != NULL ? b.ptr : "", b.len);
        const struct str exact = {text + 1, b.len};
        const int64_t right = model(values, count, exact);
        assert_int_equal(erase_match_text(m, exact), right);
        free(text);
        all += right;
    }
    assert_true(all > 1000);
}

static void ten_thousand_values_are_all_found(void **state) {
    (void)state;
    enum { COUNT = 10000 };
    struct table_key *keys = arena_array(&arena, COUNT, sizeof(*keys));
    DEFER(buf_release) struct buf text = BUF(1 << 24);
    for (int i = 0; i < COUNT; i++) {
        keys[i].text = arena_printf(&arena, "CAND-%06d", i);
        buf_printf(&text, "CAND-%06d,CAND-%06d.CAND-%07d\n", i, i + COUNT, i);
    }
    const struct erase_subjects s = {.keys = keys, .key_count = COUNT};
    DEFER(erase_matcher_freep) struct erase_matcher *m = erase_matcher_new(&s);
    assert_int_equal(erase_match_text(m, buf_str(&text)), COUNT);
    for (int i = 0; i < COUNT; i++) {
        assert_true(erase_match_cell(m, keys[i].text));
    }
}

static void a_filter_quotes_short_values_as_literals_alone(void **state) {
    (void)state;
    const char *const values[] = {"ada@example.org", "Bo", "42", "900042", NULL};
    DEFER(erase_matcher_freep) struct erase_matcher *m = matcher_of(values);
    assert_true(erase_match_filter(m, STR("mail <> 'ada@example.org'")));
    assert_true(erase_match_filter(m, STR("name <> 'Bo'")));
    assert_true(erase_match_filter(m, STR("key NOT IN ('41', '42')")));
    assert_true(erase_match_filter(m, STR("id <> 900042")));
    assert_false(erase_match_filter(m, STR("id % 42 = 0 AND bo < 1")));
}

static bool quoted(const struct erase_matcher *m, const char *sql) {
    return erase_match_statement(m, str_from(sql));
}

static void a_statement_quotes_a_value_as_text_as_literal_and_as_word(void **state) {
    (void)state;
    const char *const values[] = {"ada@example.org", "O'Brien-Smith", "Bo", "42", "-7", NULL};
    DEFER(erase_matcher_freep) struct erase_matcher *m = matcher_of(values);
    assert_true(quoted(m, "SELECT * FROM p WHERE email = 'ada@example.org'"));
    assert_true(quoted(m, "SELECT 'to ada@example.org, once'"));
    assert_true(quoted(m, "SELECT * FROM p WHERE name = 'O''Brien-Smith'"));
    assert_true(quoted(m, "SELECT * FROM p WHERE name='Bo'"));
    assert_true(quoted(m, "SELECT * FROM p WHERE name = $$Bo$$"));
    assert_true(quoted(m, "DELETE FROM p WHERE id=42"));
    assert_true(quoted(m, "DELETE FROM p WHERE id IN (1,-7)"));
    assert_false(quoted(m, "DELETE FROM p WHERE id IN (1, 7, 420, 4.2)"));
    assert_false(quoted(m, "SELECT 'Boston', 'bo', ada, example FROM Bob"));
    assert_false(quoted(m, "SELECT '' || ''''"));
    assert_false(quoted(m, "SELECT 'it never ends"));
    assert_true(quoted(m, "SELECT 'Bo"));
    assert_false(quoted(m, ""));
}

int main(void) {
    const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        T(a_value_counts_only_as_a_word_of_its_own),
        T(values_that_overlap_all_count),
        T(a_short_value_counts_only_as_a_whole_cell),
        T(an_integer_key_is_a_number_and_its_digits),
        T(a_uuid_is_looked_for_in_lower_case_too),
        T(a_part_counts_what_begins_in_it),
        T(nothing_is_found_of_nothing),
        T(it_finds_what_a_look_at_every_place_finds),
        T(ten_thousand_values_are_all_found),
        T(a_statement_quotes_a_value_as_text_as_literal_and_as_word),
        T(a_filter_quotes_short_values_as_literals_alone),
#undef T
    };
    return cmocka_run_group_tests_name("erase_match", tests, NULL, NULL);
}
