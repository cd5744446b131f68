// Values of delimited text: what is said to be of a kind is read as the engine would cast it.
#include "base/ok_test.h"
#include "ingest/ingest_csv.h"

#include <stdio.h>

static const char *const texts[] = {
    "0",
    "-0",
    "7",
    "007",
    "-12",
    "-012",
    "+5",
    " 42 ",
    "1_000",
    "1,5",
    "9223372036854775807",
    "9223372036854775808",
    "-9223372036854775808",
    "-9223372036854775809",
    "1234567890123456",
    "99999999999999999999999999999999999999",
    "1.5",
    "-1.5",
    ".5",
    "-.5",
    "5.",
    ".",
    "-",
    "01.5",
    "0.1",
    "-0.25",
    "1e5",
    "1E-5",
    "1e+5",
    "1e",
    "1e279",
    "1e280",
    "12345678901234567890e279",
    "0.00001e-279",
    "0.000000000000000000000000000000000000000000000000000000000000000001e-279",
    "2.2250738585072011e-208",
    "0.1000000000000000055511151231257827",
    "123456789012345.678",
    "nan",
    "NaN",
    "-nan",
    "inf",
    "-inf",
    "Infinity",
    "-infinity",
    "infinite",
    "1.2.3",
    "0x10",
    "true",
    "False",
    "TRUE",
    "t",
    "yes",
    "2024-02-29",
    "2023-02-29",
    "1969-12-31",
    "0001-01-01",
    "0000-01-01",
    "9999-12-31",
    "2024-2-9",
    "2024-13-01",
    "2024/02/03",
    " 2024-02-03 ",
    "2024-02-03 04:05",
    "2024-02-03T04:05:06",
    "2024-02-03 04:05:06.5",
    "1931-02-03 04:05:06.123456",
    "2024-02-03 04:05:06.1234567",
    "2024-02-03 04:05:06.",
    "2024-02-03 24:00:00",
    "2024-02-03 04:05:60",
    "2024-02-03 4:05:06",
    "2024-02-03_04:05:06",
    "2024-02-03 04:05:06Z",
    "2024-02-03T04:05:06.25+02",
    "2024-02-03 04:05:06-0130",
    "1968-02-03 04:05:06+05:45",
    "2024-02-03 04:05:06+16",
    "2024-02-03 04:05:06+1",
    "2024-02-03 04:05:06+05:60",
    "2024-02-03 04:05Z",
    "04:05",
    "04:05:06",
    "23:59:59.999999",
    "24:00",
    "04:60",
    "3/4/2024",
    "31/12/2024",
    "12/31/2024",
    "29/2/2023",
    "03-04-2024",
    "31-12-2024",
    "12-31-1969",
    "03.04.2024",
    "12.31.2024",
    "3/4-2024",
    "3/4/24",
    "",
    "   ",
    "x",
    "12a",
    "1 2",
};

// What the engine itself makes of a text of the kind.
static const char *cast_of(enum csv_kind k) {
    static const char *const casts[CSV_KIND_COUNT] = {
        [CSV_DMY_SLASH] = "CAST(strptime(trim(t), '%d/%m/%Y') AS DATE)",
        [CSV_MDY_SLASH] = "CAST(strptime(trim(t), '%m/%d/%Y') AS DATE)",
        [CSV_DMY_DASH] = "CAST(strptime(trim(t), '%d-%m-%Y') AS DATE)",
        [CSV_MDY_DASH] = "CAST(strptime(trim(t), '%m-%d-%Y') AS DATE)",
        [CSV_DMY_DOT] = "CAST(strptime(trim(t), '%d.%m.%Y') AS DATE)",
    };
    return casts[k];
}

static struct engine *engine;

static int open_engine(void **state) {
    (void)state;
    const struct engine_options o = {.threads = 1, .memory_bytes = 256 << 20};
    OK(engine_open(&o, &engine, &err));
    OK(csv_readers_open(engine, &err));
    return 0;
}

static int close_engine(void **state) {
    (void)state;
    engine_close(engine);
    return 0;
}

// How the reader's value of the text compares with the engine's: 't', 'f', or 'e' when it refuses.
static char compared(enum csv_kind k, struct str text) {
    DEFER(session_closep) struct session *s = NULL;
    DEFER(arena_release) struct arena a = ARENA(1 << 20);
    const char *cast =
        cast_of(k) ? cast_of(k) : arena_printf(&a, "CAST(trim(t) AS %s)", csv_kind_sql(k)).ptr;
    const struct str literal = sql_literal(text, &a);
    const struct str sql =
        arena_printf(&a, "SELECT %s(t) IS NOT DISTINCT FROM %s FROM (SELECT " STR_FMT " AS t)",
                     csv_kind_reader(k)->name, cast, STR_ARG(literal));
    struct str answer = STR_NONE;
    struct err refused = ERR_NONE;
    OK(session_open(engine, &s, &err));
    const enum err_code code = session_text(s, sql, &a, &answer, &refused);
    if (code != ERR_OK) {
        assert_int_equal(code, ERR_SQL);
        return strstr(refused.msg, "another type") ? 'e' : '?';
    }
    return answer.ptr[0];
}

static void a_reader_takes_the_texts_of_its_kind_and_means_what_the_engine_means(void **state) {
    (void)state;
    size_t read = 0;
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        const struct str text = str_from(texts[i]);
        const uint32_t kinds = csv_kinds(text);
        for (size_t k = 0; k < CSV_KIND_COUNT; k++) {
            if (!csv_kind_reader((enum csv_kind)k)) {
                continue;
            }
            const char expected = (kinds & CSV_BIT(k)) != 0 ? 't' : 'e';
            const char got = compared((enum csv_kind)k, text);
            if (got != expected) {
                fail_msg("\"%s\" as %s: %c, not %c", texts[i],
                         csv_kind_reader((enum csv_kind)k)->name, got, expected);
            }
            read += got == 't' ? 1 : 0;
        }
    }
    assert_true(read > 60);
}

static void null_is_read_as_null_among_others(void **state) {
    (void)state;
    DEFER(session_closep) struct session *s = NULL;
    DEFER(arena_release) struct arena a = ARENA(1 << 16);
    struct str answer = STR_NONE;
    OK(session_open(engine, &s, &err));
    OK(session_text(s,
                    STR("SELECT CAST(count(v) * 1000000 + sum(v) AS BIGINT) FROM (SELECT "
                        "tarn_read_int(CASE WHEN "
                        "i % 3 = 0 THEN NULL ELSE CAST(i % 10 AS VARCHAR) END) AS v "
                        "FROM range(3000) t(i))"),
                    &a, &answer, &err));
    assert_true(str_is(answer, "2000009000"));
    OK(session_text(s, STR("SELECT tarn_read_date(NULL) IS NULL"), &a, &answer, &err));
    assert_true(str_is(answer, "true"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_reader_takes_the_texts_of_its_kind_and_means_what_the_engine_means),
        cmocka_unit_test(null_is_read_as_null_among_others),
    };
    return cmocka_run_group_tests(tests, open_engine, close_engine);
}
