// Ingest from bytes to rows: what comes out of a table of small files, and what is refused.
#include "base/clock.h"
#include "ingest/house_test.h"
#include "ingest/ingest_csv.h"

#include <fcntl.h>
#include <zlib.h>
#include <zstd.h>

struct sample {
    const char *what;
    const char *file;
    size_t len;         // 0: up to the NUL
    const char *schema; // NULL: it is refused
    const char *rows;   // or what the message contains
    const char *filename, *delimiter, *quote, *encoding;
    enum ingest_tri header;
    enum ingest_format format;
    bool reject;
    int64_t rejected;
};

// Any bytes, NULs too.
#define BYTES(literal) .file = (literal), .len = sizeof(literal) - 1

static const struct sample samples[] = {
    // Dialects
    {"plain", BYTES("a,b\n1,x\n2,y\n"), "a long!, b string!", "1|x;2|y;"},
    {"no line end at the end", BYTES("a,b\n1,x\n2,y"), "a long!, b string!", "1|x;2|y;"},
    {"CRLF", BYTES("a,b\r\n1,x\r\n2,y\r\n"), "a long!, b string!", "1|x;2|y;"},
    {"CR", BYTES("a,b\r1,x\r2,y\r"), "a long!, b string!", "1|x;2|y;"},
    {"mixed line ends", BYTES("a,b\n1,x\r\n2,y\n"), "a long!, b string!", "1|x;2|y;"},
    {"semicolons", BYTES("a;b\n1;x,1\n2;y,2\n"), "a long!, b string!", "1|x,1;2|y,2;"},
    {"tabs", BYTES("a\tb\n1\tx\n2\ty\n"), "a long!, b string!", "1|x;2|y;"},
    {"bars", BYTES("a|b\n1|x\n2|y\n"), "a long!, b string!", "1|x;2|y;"},
    {"stated delimiter", BYTES("a:b\n1:x\n"), "a long!, b string!", "1|x;", .delimiter = ":"},
    {"stated tab", BYTES("a\tb,c\n1\tx,y\n"), "a long!, b,c string!", "1|x,y;", .delimiter = "\\t"},
    {"quotes", BYTES("a,b\n1,\"x,y\"\n2,\"a \"\"q\"\"\"\n"), "a long!, b string!",
     "1|x,y;2|a \"q\";"},
    {"line end in quotes", BYTES("a,b\n1,\"x\ny\"\n2,z\n"), "a long!, b string!", "1|x\ny;2|z;"},
    {"single quotes", BYTES("a,b\n1,'x,y'\n2,'z'\n"), "a long!, b string!", "1|x,y;2|z;"},
    {"backslash escapes", BYTES("a,b\n1,\"x \\\"y\\\", z\"\n2,\"w\"\n"), "a long!, b string!",
     "1|x \"y\", z;2|w;"},
    {"no quotes when it is said", BYTES("a,b\n1,\"x\n2,y\"\n"), "a long!, b string!",
     "1|\"x;2|y\";", .quote = "none"},
    {"blanks before a quote", BYTES("a,b\n1, \"x,y\"\n2,z\n"), "a long!, b string!", "1|x,y;2|z;"},
    {"one column", BYTES("a\n1\n2\n"), "a long!", "1;2;"},
    {"one column of text", BYTES("word\nfoo\nbar baz\n"), "word string!", "foo;bar baz;"},
    {"one column with an empty line is a NULL", BYTES("a\n1\n\n2\n"), "a long", "1;~;2;"},
    {"sentences are one column", BYTES("text\nOne, two, three.\nYes.\nNo, no.\nMaybe.\n"),
     "text string!", "One, two, three.;Yes.;No, no.;Maybe.;"},
    {"empty lines in between and before", BYTES("\n\na,b\n1,x\n\n2,y\n\n"), "a long!, b string!",
     "1|x;2|y;"},
    {"TSV by name", BYTES("a\tb\n1\tx, y; z\n"), "a long!, b string!", "1|x, y; z;",
     .filename = "x.tsv"},
    {"TSV stated", BYTES("a\tb\n1\tx\n"), "a long!, b string!", "1|x;", .format = INGEST_TSV},
    {"sep= is a row like others", BYTES("sep=;\na;b\n1;2\n"), NULL, "belongs to Excel"},
    {"quotes inside unquoted text", BYTES("a,b\n1,x\"y\n2,z\n"), "a long!, b string!",
     "1|x\"y;2|z;"},
    // Headers
    {"only a header", BYTES("a,b\n"), "a string, b string", ""},
    {"no header", BYTES("1,2\n3,4\n"), "column0 long!, column1 long!", "1|2;3|4;"},
    {"header of years when it is said", BYTES("2019,2020\n1,2\n"), "2019 long!, 2020 long!", "1|2;",
     .header = INGEST_YES},
    {"no header when it is said", BYTES("a,b\nc,d\n"), "column0 string!, column1 string!",
     "a|b;c|d;", .header = INGEST_NO},
    {"text only", BYTES("name,city\nbob,paris\nann,rome\n"), "name string!, city string!",
     "bob|paris;ann|rome;"},
    {"names that occur twice", BYTES("id,dup,dup,,\n1,2,3,4,5\n"),
     "id long!, dup long!, dup_1 long!, column3 long!, column4 long!", "1|2|3|4|5;"},
    {"names that differ in case only", BYTES("ID,id,Id\n1,2,3\n"),
     "ID long!, id_1 long!, Id_2 long!", "1|2|3;"},
    {"blanks around names", BYTES(" id , \"na\"\"me\" \n1,x\n"), "id long!, na\"me string!",
     "1|x;"},
    {"a name like SQL", BYTES("a'b,\"c\"\"d; DROP\"\n1,2\n"), "a'b long!, c\"d; DROP long!",
     "1|2;"},
    // Types
    {"whole numbers", BYTES("a\n9223372036854775807\n-9223372036854775808\n0\n"), "a long!",
     "9223372036854775807;-9223372036854775808;0;"},
    {"long whole numbers keep their digits", BYTES("a\n12345678901234567890\n1\n"),
     "a decimal(38,0)!", "12345678901234567890;1;"},
    {"too long for any number", BYTES("a\n123456789012345678901234567890123456789\n"), "a string!",
     "123456789012345678901234567890123456789;"},
    {"doubles", BYTES("a,b\n1.5,1e3\n-0.25,2\n.5,5.\n"), "a double!, b double!",
     "1.5|1000.0;-0.25|2.0;0.5|5.0;"},
    {"nan and infinity", BYTES("a\n1.5\nNaN\n-inf\n"), "a double!", "1.5;nan;-inf;"},
    {"doubles do not swallow long numbers", BYTES("a\n1.5\n12345678901234567\n"), "a string!",
     "1.5;12345678901234567;"},
    {"leading zeros stay", BYTES("zip,n\n00501,1\n12345,2\n"), "zip string!, n long!",
     "00501|1;12345|2;"},
    {"negative leading zeros stay", BYTES("a\n-007\n5\n"), "a string!", "-007;5;"},
    {"plus stays", BYTES("a\n+4912\n+4913\n"), "a string!", "+4912;+4913;"},
    {"a zero alone is a number", BYTES("a\n0\n0.5\n-0.5\n"), "a double!", "0.0;0.5;-0.5;"},
    {"underscores are text", BYTES("a\n1_000\n5\n"), "a string!", "1_000;5;"},
    {"hexadecimal is text", BYTES("a\n0x1F\n5\n"), "a string!", "0x1F;5;"},
    {"blanks around numbers", BYTES("a,b\n 5 ,x\n6, y\n"), "a long!, b string!", "5|x;6| y;"},
    {"thousands separators are text", BYTES("a;b\n1,000;x\n2,000;y\n"), "a string!, b string!",
     "1,000|x;2,000|y;"},
    {"truth values", BYTES("a\ntrue\nFALSE\nTrue\n"), "a boolean!", "true;false;true;"},
    {"yes and no are text", BYTES("a\nyes\nno\n"), "a string!", "yes;no;"},
    {"one and zero are numbers", BYTES("a\n1\n0\n"), "a long!", "1;0;"},
    {"dates", BYTES("a\n2020-02-29\n1969-12-31\n"), "a date!", "2020-02-29;1969-12-31;"},
    {"no such date", BYTES("a\n2020-02-29\n2021-02-29\n"), "a string!", "2020-02-29;2021-02-29;"},
    {"day first", BYTES("a\n13/02/2020\n03/04/2020\n"), "a date!", "2020-02-13;2020-04-03;"},
    {"month first", BYTES("a\n01/02/2020\n3/14/2020\n"), "a date!", "2020-01-02;2020-03-14;"},
    {"day or month first stays text", BYTES("a\n01/02/2020\n03/04/2020\n"), "a string!",
     "01/02/2020;03/04/2020;"},
    {"half and half stays text", BYTES("a\n13/02/2020\n03/14/2020\n"), "a string!",
     "13/02/2020;03/14/2020;"},
    {"dots are day first", BYTES("a\n01.02.2020\n03.04.2020\n"), "a date!",
     "2020-02-01;2020-04-03;"},
    {"dashes, day first", BYTES("a\n31-12-2020\n01-02-2020\n"), "a date!",
     "2020-12-31;2020-02-01;"},
    {"timestamps", BYTES("a\n2020-01-02 03:04:05\n2020-01-02T03:04:05.123456\n2020-01-02 03:04\n"),
     "a timestamp!", "2020-01-02 03:04:05;2020-01-02 03:04:05.123456;2020-01-02 03:04:00;"},
    {"dates among timestamps", BYTES("a\n2020-01-02 03:04:05\n2020-01-02\n"), "a timestamp!",
     "2020-01-02 03:04:05;2020-01-02 00:00:00;"},
    {"nanoseconds stay text", BYTES("a\n2020-01-02 03:04:05.123456789\n"), "a string!",
     "2020-01-02 03:04:05.123456789;"},
    {"time zones", BYTES("a\n2020-01-02T03:04:05Z\n2020-01-02 03:04:05+02:00\n"), "a timestamptz!",
     "2020-01-02 03:04:05+00;2020-01-02 01:04:05+00;"},
    {"with and without time zone stays text",
     BYTES("a\n2020-01-02T03:04:05Z\n2020-01-02 03:04:05\n"), "a string!",
     "2020-01-02T03:04:05Z;2020-01-02 03:04:05;"},
    {"times", BYTES("a\n10:20:30\n23:59\n"), "a time!", "10:20:30;23:59:00;"},
    {"no such time", BYTES("a\n10:20:30\n24:59:00\n"), "a string!", "10:20:30;24:59:00;"},
    {"NULLs", BYTES("a,b\n1,\n,x\n"), "a long, b string", "1|~;~|x;"},
    {"nothing but NULLs", BYTES("a,b\n1,\n2,\n"), "a long!, b string", "1|~;2|~;"},
    {"empty quotes are NULL", BYTES("a,b\n1,\"\"\n\"\",x\n"), "a long, b string", "1|~;~|x;"},
    {"quoted numbers", BYTES("a,b\n\"1\",\"2.5\"\n\"3\",\"4\"\n"), "a long!, b double!",
     "1|2.5;3|4.0;"},
    {"numbers and words", BYTES("a,b\n1,2\nx,3\n"), "a string!, b long!", "1|2;x|3;"},
    // Encodings
    {"UTF-8", BYTES("a\n\xC3\xA4\xE2\x82\xAC\xF0\x9F\x98\x80\n"), "a string!",
     "\xC3\xA4\xE2\x82\xAC\xF0\x9F\x98\x80;"},
    {"UTF-8 with a mark",
     BYTES("\xEF\xBB\xBF"
           "id,n\n1,x\n"),
     "id long!, n string!", "1|x;"},
    {"UTF-16LE with a mark",
     BYTES("\xFF\xFE"
           "a\0,\0b\0\n\0"
           "1\0,\0\xE4\0\n\0"),
     "a long!, b string!", "1|\xC3\xA4;"},
    {"UTF-16BE with a mark",
     BYTES("\xFE\xFF\0a\0,\0b\0\n\0"
           "1\0,\0\xE4\0\n"),
     "a long!, b string!", "1|\xC3\xA4;"},
    {"UTF-16 stated",
     BYTES("a\0,\0b\0\n\0"
           "1\0,\0\xE4\0\n\0"),
     "a long!, b string!", "1|\xC3\xA4;", .encoding = "utf-16"},
    {"UTF-32 with a mark",
     BYTES("\xFF\xFE\0\0a\0\0\0\n\0\0\0"
           "1\0\0\0\n\0\0\0"),
     "a long!", "1;"},
    {"windows-1252", BYTES("a\nf\xFCr 5 \x80\n"), "a string!", "f\xC3\xBCr 5 \xE2\x82\xAC;"},
    {"latin-1 where windows-1252 has nothing", BYTES("a\nf\xFCr\x81\n"), "a string!",
     "f\xC3\xBCr\xC2\x81;"},
    {"latin-1 stated", BYTES("a\n\xC3\xA4\n"), "a string!", "\xC3\x83\xC2\xA4;",
     .encoding = "latin-1"},
    {"one bad byte in UTF-8", BYTES("a,b\n1,\xC3\xA4\xC3\xA4\n2,\xFF\n"), NULL,
     "line 3: there are bytes that are not UTF-8"},
    {"stated UTF-8 that is none", BYTES("a,b\n1,x\n2,f\xFCr\n"), NULL,
     "line 3: there are bytes that are not UTF-8", .encoding = "utf-8"},
    {"NUL", BYTES("a,b\n1,x\0y\n"), NULL, "byte 7 of the text is a NUL"},
    {"half a character of UTF-16",
     BYTES("\xFF\xFE"
           "a\0\n\0"
           "1"),
     NULL, "byte 6 is not text"},
    // Bad rows
    {"too few columns", BYTES("a,b\n1,2\n3\n4,5\n"), NULL, "line 3: expected 2 columns, found 1: "},
    {"too many columns", BYTES("a,b\n1,2\n3,4,5\n6,7\n"), NULL,
     "line 3: expected 2 columns, found 3: \"3,4,5\""},
    {"how many more", BYTES("a,b\n1,2\n3\n4\n5\n6,7\n8,9\n10,11\n"), NULL, "(and 2 more bad rows)"},
    {"open quote", BYTES("a,b\n1,\"x\"\n2,\"y\n3,z\n"), NULL, "line 3: a quote is not closed"},
    {"text behind a quote", BYTES("a,b\n1,\"x\"y\n2,\"z\"\n3,w\n"), NULL,
     "line 2: text follows a closing quote"},
    {"lines count inside quotes", BYTES("a,b\n1,\"x\ny\nz\"\n2\n3,w\n"), NULL, "line 5: expected"},
    {"rows kept", BYTES("a,b\n1,2\n3\n4,5,6\n7,8\n"), "a long!, b long!", "1|2;7|8;",
     .reject = true, .rejected = 2},
    {"open quote kept", BYTES("a,b\n1,x\n2,\"y\n3,\"z\"\n4,w\n"), "a long!, b string!",
     "1|x;3|z;4|w;", .reject = true, .rejected = 1},
    {"conversions by majority", BYTES("a,b\n1,x\nabc,y\n3,z\n4,w\n"), "a long!, b string!",
     "1|x;3|z;4|w;", .reject = true, .rejected = 1},
    {"no majority, no bad rows", BYTES("a\n1\nx\ny\n4\n"), "a string!", "1;x;y;4;", .reject = true},
    {"bytes kept out", BYTES("a,b\n1,x\n2,f\xFCr\n3,z\n"), "a long!, b string!", "1|x;3|z;",
     .encoding = "utf-8", .reject = true, .rejected = 1},
    {"all rows bad", BYTES("a,b,c\n1,2\n3\n"), "a string, b string, c string", "", .delimiter = ",",
     .header = INGEST_YES, .reject = true, .rejected = 2},
    // JSON
    {"array", BYTES("[{\"a\":1,\"b\":\"x\"},{\"a\":2}]"), "a long!, b string", "1|x;2|~;"},
    {"lines", BYTES("{\"a\":1}\n{\"a\":2.5,\"b\":true}\n"), "a double!, b boolean",
     "1.0|~;2.5|true;"},
    {"lines without an end", BYTES("{\"a\":1}\n\n{\"a\":2}"), "a long!", "1;2;"},
    {"one object", BYTES("{\n \"a\": 1,\n \"b\": [1, 2]\n}\n"), "a long!, b list<long>",
     "1|[1, 2];"},
    {"objects over several lines", BYTES("{\n\"a\": 1}\n{\n\"a\": 2}\n"), "a long!", "1;2;"},
    {"nested", BYTES("[{\"a\":{\"x\":1,\"y\":{\"z\":\"q\"}}}]"),
     "a struct<x: long, y: struct<z: string>>", "{'x': 1, 'y': {'z': q}};"},
    {"kinds mixed", BYTES("[{\"a\":1},{\"a\":\"x\"},{\"a\":[1]}]"), "a string!", "1;\"x\";[1];"},
    {"dates", BYTES("{\"d\":\"2020-01-02\",\"t\":\"2020-01-02T03:04:05\"}\n"),
     "d date!, t timestamp!", "2020-01-02|2020-01-02 03:04:05;"},
    {"dates and words", BYTES("{\"d\":\"2020-01-02\"}\n{\"d\":\"soon\"}\n"), "d string!",
     "2020-01-02;soon;"},
    {"codes stay text", BYTES("{\"z\":\"00501\",\"n\":\"12\"}\n"), "z string!, n string!",
     "00501|12;"},
    {"JSON with a mark", BYTES("\xEF\xBB\xBF[{\"a\":1}]"), "a long!", "1;"},
    {"scalars", BYTES("[1,2]"), NULL, "must consist of objects"},
    {"empty array", BYTES("[]"), NULL, "the array is empty"},
    {"scalars among objects", BYTES("[{\"a\":1},5]"), NULL, "nothing but objects"},
    {"fields that differ in case", BYTES("{\"a\":1,\"A\":2}\n"), "a long!, A_1 long!", "1|2;"},
    {"bad line", BYTES("{\"a\":1}\n{bad}\n{\"a\":2}\n"), NULL,
     "line 2: this is not JSON: \"{bad}\""},
    {"line that is no object", BYTES("{\"a\":1}\n5\n{\"a\":2}\n"), NULL,
     "line 2: this is not an object"},
    {"bad lines kept out", BYTES("{\"a\":1}\n{bad}\n{\"a\":2}\n7\n"), "a long!", "1;2;",
     .reject = true, .rejected = 2},
    {"cut JSON", BYTES("[{\"a\":1},{\"a\":"), NULL, "Malformed JSON"},
    {"stated NDJSON", BYTES("{\"a\":1}\n{\"a\":2}\n"), "a long!", "1;2;", .format = INGEST_NDJSON},
    {"CSV that begins like JSON", BYTES("[a],b\n1,x\n"), "[a] long!, b string!", "1|x;",
     .filename = "x.csv"},
    // Not what it should be
    {"empty", BYTES(""), NULL, "the file is empty"},
    {"blank", BYTES("\n\n"), NULL, "nothing in the file but empty lines"},
    {"ZIP", BYTES("PK\x03\x04xxxx"), NULL, "ZIP archive (or an Excel workbook)"},
    {"not Parquet by name", BYTES("a,b\n1,2\n"), NULL, "not a Parquet file",
     .filename = "x.parquet"},
    {"not Parquet inside", BYTES("PAR1 nonsense PAR1"), NULL, "the Parquet file cannot be read"},
    {"not JSON", BYTES("a,b\n1,2\n"), NULL, "not JSON", .format = INGEST_JSON},
    {"encrypted Parquet", BYTES("PARExxxx"), NULL, "encrypted Parquet"},
};

static bool is_refused_well(const struct sample *s, enum err_code code) {
    if (code == ERR_OK || !strstr(f.err.msg, s->rows) || strstr(f.err.msg, f.folder)) {
        print_error("%s: %s\n", s->what, code == ERR_OK ? "was not refused" : f.err.msg);
        return false;
    }
    return true;
}

static bool is_read_well(const struct sample *s, size_t piece) {
    const struct str file = {s->file, s->len};
    const struct str name = new_name();
    struct ingest_request r = request(arena_cstr(&f.arena, name));
    r.filename = str_from(s->filename);
    r.delimiter = str_from(s->delimiter);
    r.quote = str_from(s->quote);
    r.encoding = str_from(s->encoding);
    r.header = s->header;
    r.format = s->format;
    r.reject = s->reject;
    struct ingest_result result = {0};
    const enum err_code code = send(&r, file, piece, &result);
    if (!s->schema) {
        return is_refused_well(s, code);
    }
    if (code != ERR_OK) {
        print_error("%s: %s\n", s->what, f.err.msg);
        return false;
    }
    const struct str schema = schema_text(result.written.schema);
    const struct str rows = rows_text(name);
    // Rows that are read by several threads need not stand in the order of the file.
    const bool same_rows =
        str_is(rows, s->rows) || str_is(rows_in_order(name, " ORDER BY ALL"), s->rows);
    const bool good = str_is(schema, s->schema) && same_rows && result.rejected == s->rejected &&
                      (result.rejects_id.len > 0) == (s->rejected > 0);
    if (!good) {
        print_error("%s: " STR_FMT " / " STR_FMT " / %lld rejected\n", s->what, STR_ARG(schema),
                    STR_ARG(rows), (long long)result.rejected);
    }
    return good;
}

static void small_files_become_the_rows_they_mean(void **state) {
    (void)state;
    int failed = 0;
    for (size_t i = 0; i < ARRAY_LEN(samples); i++) {
        failed += is_read_well(&samples[i], i % 3 == 0 ? 1 : 1 << 20) ? 0 : 1;
        arena_reset(&f.arena);
    }
    assert_int_equal(failed, 0);
}

static struct str printed(struct buf *b) {
    const struct str s = arena_str(&f.arena, buf_str(b));
    buf_release(b);
    return s;
}

// Creates a dataset from the text and returns its schema.
static struct str created(const char *name, struct str file) {
    const struct ingest_request r = request(name);
    struct ingest_result result = {0};
    OK(send(&r, file, 1 << 20, &result));
    return schema_text(result.written.schema);
}

static void the_same_file_changes_nothing(void **state) {
    (void)state;
    const struct ingest_request r = request("same");
    struct ingest_result result = {0};
    (void)created("same", STR("a\n1\n"));
    OK(send(&r, STR("a\n1\n"), 100, &result));
    assert_true(result.written.unchanged);
    assert_int_equal(send(&r, STR("a\n2\n"), 100, &result), ERR_EXISTS);
    struct ingest_request again = r;
    again.mode = TABLE_REPLACE;
    OK(send(&again, STR("a\nx\n"), 100, &result));
    assert_true(str_is(rows_text(STR("same")), "x;"));
}

static enum err_code append(const char *name, const char *file, bool reject) {
    struct ingest_request r = request(name);
    struct ingest_result result = {0};
    r.mode = TABLE_APPEND;
    r.reject = reject;
    return send(&r, str_from(file), 100, &result);
}

static void appended_text_takes_the_types_of_the_dataset(void **state) {
    (void)state;
    (void)created("app", STR("s,d,t,n\nabc,1.5,2020-01-02 03:04:05,7\n"));
    OK(append("app", "s,d,t,n\n007,2,2020-01-03,8\n1.50,3,2020-01-04,\n", false) == ERR_SCHEMA
           ? ERR_OK
           : ERR_INTERNAL); // n has allowed no NULLs
    OK(append("app", "s,d,t,n\n007,2,2020-01-03,8\n1.50,3,2020-01-04,9\n", false));
    assert_true(str_is(rows_in_order(STR("app"), " ORDER BY n"),
                       "abc|1.5|2020-01-02 03:04:05|7;007|2.0|2020-01-03 00:00:00|8;"
                       "1.50|3.0|2020-01-04 00:00:00|9;"));
    assert_int_equal(append("app", "s,d,t,n\nx,y,2020-01-03,8\n", false), ERR_SCHEMA);
    assert_non_null(strstr(f.err.msg, "\"d\""));
    assert_int_equal(append("nothing", "a\n1\n", false), ERR_NOT_FOUND);
}

static void a_value_of_another_type_is_named(void **state) {
    (void)state;
    (void)created("named", STR("id,delay\n1,2\n"));
    assert_int_equal(append("named", "id,delay\n1,2\n2,3\n3,abc\n4,5\n5,6\n", false), ERR_DATA);
    assert_string_equal(f.err.msg, "line 4, column \"delay\": could not convert \"abc\" to BIGINT");
    OK(append("named", "id,delay\n1,2\n2,3\n3,abc\n4,5\n5,6\n", true));
    assert_true(str_is(rows_in_order(STR("named"), " ORDER BY id, delay"), "1|2;1|2;2|3;4|5;5|6;"));
}

// A file of more rows than the sample has; the last one is `last`.
static struct str long_file(const char *header, const char *row, const char *last) {
    struct buf b = BUF(64 << 20);
    buf_printf(&b, "%s\n", header);
    for (int i = 0; i < INGEST_SAMPLE_ROWS + 5000; i++) {
        buf_printf(&b, "%s\n", row);
    }
    buf_printf(&b, "%s\n", last);
    return printed(&b);
}

static void what_comes_after_the_sample_counts(void **state) {
    (void)state;
    static const struct {
        const char *row, *last, *schema, *shown;
    } cases[] = {
        {"1", "2", "a long!, b long!", "2"},
        {"1", "1.5", "a double!, b long!", "1.5"},
        {"1", "1.0", "a double!, b long!", "1.0"},
        {"1", "1e3", "a double!, b long!", "1000.0"},
        {"1", "007", "a string!, b long!", "007"},
        {"1", "+5", "a string!, b long!", "+5"},
        {"1", " 5", "a long!, b long!", "5"},
        {"1", "1_000", "a string!, b long!", "1_000"},
        {"1", "0x1F", "a string!, b long!", "0x1F"},
        {"1", "x", "a string!, b long!", "x"},
        {"1", "12345678901234567890", "a decimal(38,0)!, b long!", "12345678901234567890"},
        {"1.5", "007", "a string!, b long!", "007"},
        {"1.5", "+1", "a string!, b long!", "+1"},
        {"1.5", "1_0", "a string!, b long!", "1_0"},
        {"1.5", "12345678901234567", "a string!, b long!", "12345678901234567"},
        {"true", "1", "a string!, b long!", "1"},
        {"true", "t", "a string!, b long!", "t"},
        {"2020-01-02", "2020-01-02 10:00:00", "a timestamp!, b long!", "2020-01-02 10:00:00"},
        {"2020-01-02", "epoch", "a string!, b long!", "epoch"},
        {"2020-01-02", "infinity", "a string!, b long!", "infinity"},
        {"2020-01-02 10:00:00", "2020-01-02 10:00:00+02", "a string!, b long!",
         "2020-01-02 10:00:00+02"},
        {"2020-01-02 10:00:00", "2020-01-02 10:00+02", "a string!, b long!", "2020-01-02 10:00+02"},
        {"2020-01-02 10:00:00", "2020-01-02 10:00:00.1234567", "a string!, b long!",
         "2020-01-02 10:00:00.1234567"},
        {"2020-01-02T10:00:00.5", "infinity", "a string!, b long!", "infinity"},
        {"10:00:00", "10:00:00.1234567", "a string!, b long!", "10:00:00.1234567"},
        {"01/02/2020", "13/02/2020", "a date!, b long!", "2020-02-13"},
        {"01/02/2020", "02/13/2020", "a date!, b long!", "2020-02-13"},
        {"13/02/2020", "02/13/2020", "a string!, b long!", "02/13/2020"},
        {"", "5", "a long, b long!", "5"},
        {"", "x", "a string, b long!", "x"},
        {"5", "", "a long, b long!", NULL},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const char *row = arena_printf(&f.arena, "%s,1", cases[i].row).ptr;
        const char *last = arena_printf(&f.arena, "%s,2", cases[i].last).ptr;
        const struct str name = new_name();
        const struct str schema = created(name.ptr, long_file("a,b", row, last));
        const struct str shown = ask(name, "SELECT max(a::VARCHAR) FILTER (b = 2) FROM");
        const struct str count = ask(name, "SELECT count(*) FROM");
        if (!str_is(schema, cases[i].schema) || !str_eq(shown, str_from(cases[i].shown)) ||
            !str_is(count, "25481")) {
            fail_msg("%s, %s: " STR_FMT " / " STR_FMT " / " STR_FMT, cases[i].row, cases[i].last,
                     STR_ARG(schema), STR_ARG(shown), STR_ARG(count));
        }
        arena_reset(&f.arena);
    }
}

static void a_bad_row_after_the_sample_is_named(void **state) {
    (void)state;
    const struct ingest_request r = request("late");
    struct ingest_result result = {0};
    assert_int_equal(send(&r, long_file("a,b", "1,2", "3"), 1 << 16, &result), ERR_DATA);
    assert_string_equal(f.err.msg, "line 25482: expected 2 columns, found 1: \"3\"");
    const struct str cut = long_file("a,b", "1,x", "2,\"y");
    assert_int_equal(send(&r, cut, 1 << 16, &result), ERR_DATA);
    assert_string_equal(f.err.msg, "line 25482: a quote is not closed: \"2,\\\"y\"");
}

static struct str gzip(struct str data) {
    z_stream z = {0};
    struct buf out = BUF(64 << 20);
    assert_int_equal(deflateInit2(&z, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
    const size_t cap = deflateBound(&z, data.len) + 100;
    char *room = buf_reserve(&out, cap);
    z.next_in = (z_const Bytef *)arena_cstr(&f.arena, data);
    z.avail_in = (uInt)data.len;
    z.next_out = (Bytef *)room;
    z.avail_out = (uInt)cap;
    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    out.len = cap - z.avail_out;
    (void)deflateEnd(&z);
    return printed(&out);
}

static struct str zstd(struct str data) {
    struct buf out = BUF(256 << 20);
    const size_t cap = ZSTD_compressBound(data.len);
    char *room = buf_reserve(&out, cap);
    out.len = ZSTD_compress(room, cap, data.ptr, data.len, 3);
    return printed(&out);
}

static struct str joined(struct str a, struct str b) {
    struct buf out = BUF(64 << 20);
    buf_add_str(&out, a);
    buf_add_str(&out, b);
    return printed(&out);
}

static void packed_files_are_unpacked(void **state) {
    (void)state;
    const struct str plain = STR("a,b\n1,x\n2,y\n");
    const struct str files[] = {
        gzip(plain),
        zstd(plain),
        joined(gzip(STR("a,b\n1,x\n")), gzip(STR("2,y\n"))),
        joined(zstd(STR("a,b\n1,x\n")), zstd(STR("2,y\n"))),
        joined(gzip(plain), (struct str){"\0\0\0\0", 4}),
    };
    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        const struct str name = new_name();
        assert_true(str_is(created(name.ptr, files[i]), "a long!, b string!"));
        assert_true(str_is(rows_text(name), "1|x;2|y;"));
    }
    const struct ingest_request r = request("packed");
    struct ingest_result result = {0};
    assert_int_equal(send(&r, gzip(gzip(plain)), 100, &result), ERR_UNSUPPORTED);
    assert_int_equal(send(&r, joined(gzip(plain), plain), 100, &result), ERR_DATA);
    assert_int_equal(send(&r, gzip(STR_NONE), 100, &result), ERR_DATA);
}

static void cut_archives_are_bad_data(void **state) {
    (void)state;
    const struct ingest_request r = request("cut");
    struct ingest_result result = {0};
    const struct str plain = long_file("a,b", "1,x", "2,y");
    const struct str small[] = {gzip(STR("a,b\n1,x\n2,y\n")), zstd(STR("a,b\n1,x\n2,y\n")),
                                gzip(plain), zstd(plain)};
    for (size_t i = 0; i < ARRAY_LEN(small); i++) {
        // The first bytes alone are not an archive yet.
        for (size_t len = i % 2 == 0 ? 2 : 4;
             len<small[i].len; len += small[i].len> 1000 ? 97 : 1) {
            const enum err_code code = send(&r, str_slice(small[i], 0, len), 64, &result);
            if (code != ERR_DATA || !strstr(f.err.msg, "damaged")) {
                fail_msg("%zu, %zu bytes: %d %s", i, len, (int)code, f.err.msg);
            }
        }
    }
}

static void unpacking_has_a_limit(void **state) {
    (void)state;
    const struct ingest_request r = request("bomb");
    struct ingest_result result = {0};
    const size_t len = 65 << 20;
    char *zeros = arena_alloc(&f.arena, len);
    memset(zeros, 'a', len);
    assert_int_equal(send(&r, zstd((struct str){zeros, len}), 1 << 20, &result), ERR_TOO_LARGE);
}

// A Parquet file of the engine's.
static struct str parquet_file(const char *select) {
    const char *path = arena_printf(&f.arena, "%s/made.parquet", f.folder).ptr;
    struct session *s = NULL;
    OK(session_open(f.engine, &s, &f.err));
    OK(session_run(s, arena_printf(&f.arena, "COPY (%s) TO '%s' (FORMAT parquet)", select, path),
                   &f.err));
    session_close(s);
    struct buf out = BUF(64 << 20);
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    char chunk[4096];
    size_t got = 0;
    while ((got = fread(chunk, 1, sizeof(chunk), file)) > 0) {
        buf_add(&out, chunk, got);
    }
    (void)fclose(file);
    (void)unlink(path);
    return printed(&out);
}

static void parquet_is_read_and_damage_is_found(void **state) {
    (void)state;
    const struct str file = parquet_file("SELECT i AS a, 'x' || i AS b FROM range(1000) t(i)");
    assert_true(str_is(created("pq", file), "a long!, b string!"));
    assert_true(str_is(ask(STR("pq"), "SELECT (sum(a) + count(b))::BIGINT FROM"), "500500"));
    const struct ingest_request r = request("pq_bad");
    struct ingest_result result = {0};
    for (size_t len = 4; len < file.len; len += 41) {
        assert_int_equal(send(&r, str_slice(file, 0, len), 1 << 20, &result), ERR_DATA);
        assert_null(strstr(f.err.msg, f.folder));
    }
    const struct str interval = parquet_file("SELECT INTERVAL 1 DAY AS i");
    assert_int_equal(send(&r, interval, 1 << 20, &result), ERR_UNSUPPORTED);
}

static void requests_are_checked_before_a_byte_is_read(void **state) {
    (void)state;
    struct ingest_upload *u = NULL;
    struct ingest_request r = request("system");
    assert_int_equal(ingest_begin(f.ingest, &r, &u, &f.err), ERR_INVALID);
    static const char *const delimiters[] = {"ab", "x", "\n", "5", "\xC3\xA4"};
    for (size_t i = 0; i < ARRAY_LEN(delimiters); i++) {
        r = request("ok");
        r.delimiter = str_from(delimiters[i]);
        assert_int_equal(ingest_begin(f.ingest, &r, &u, &f.err), ERR_INVALID);
    }
    r = request("ok");
    r.quote = STR("some");
    assert_int_equal(ingest_begin(f.ingest, &r, &u, &f.err), ERR_INVALID);
    r.quote = STR(";");
    r.delimiter = STR(";");
    assert_int_equal(ingest_begin(f.ingest, &r, &u, &f.err), ERR_INVALID);
    r = request("ok");
    r.encoding = STR("klingon");
    assert_int_equal(ingest_begin(f.ingest, &r, &u, &f.err), ERR_INVALID);
    assert_spool_empty();
}

static void only_so_many_run_at_once(void **state) {
    (void)state;
    const struct ingest_request r = request("busy");
    struct ingest_upload *u[3] = {NULL};
    OK(ingest_begin(f.ingest, &r, &u[0], &f.err));
    OK(ingest_begin(f.ingest, &r, &u[1], &f.err));
    assert_int_equal(ingest_begin(f.ingest, &r, &u[2], &f.err), ERR_BUSY);
    ingest_end(u[1]);
    OK(ingest_begin(f.ingest, &r, &u[2], &f.err));
    ingest_end(u[2]);
    ingest_end(u[0]);
    assert_spool_empty();
}

struct canceller {
    struct ingest_upload *upload;
    int64_t after_us;
};

static void *cancel_later(void *arg) {
    const struct canceller *c = arg;
    (void)usleep((useconds_t)c->after_us);
    ingest_cancel(c->upload);
    return NULL;
}

static void a_cancelled_ingest_leaves_nothing(void **state) {
    (void)state;
    const struct str file = long_file("a,b,c", "1,2020-01-02,some text", "x,y,z");
    const struct ingest_request r = request("cancelled");
    for (int64_t after_us = 0; after_us < 60000; after_us += 4000) {
        struct ingest_upload *u = NULL;
        struct ingest_result result = {0};
        f.err = ERR_NONE;
        OK(ingest_begin(f.ingest, &r, &u, &f.err));
        OK(ingest_add(u, file, &f.err));
        struct canceller c = {u, after_us};
        const pthread_t thread = threads_start("cancel", cancel_later, &c);
        const enum err_code code = ingest_finish(u, &f.arena, &result, &f.err);
        (void)pthread_join(thread, NULL);
        ingest_end(u);
        assert_spool_empty();
        if (code == ERR_OK) {
            break; // it was quicker
        }
        assert_int_equal(code, ERR_CANCELLED);
    }
}

static void rejected_rows_are_kept_for_an_hour(void **state) {
    (void)state;
    struct buf b = BUF(1 << 20);
    buf_add_cstr(&b, "a,b\n");
    for (int i = 0; i < 300; i++) {
        buf_printf(&b, i % 4 == 0 ? "%d,\"x\n" : "%d,\"y\"\n", i);
    }
    struct ingest_request r = request("rejects");
    r.reject = true;
    struct ingest_result result = {0};
    OK(send(&r, printed(&b), 1000, &result));
    assert_int_equal(result.rejected, 75);
    assert_int_equal(result.written.rows, 225);
    assert_int_equal(result.first_count, 10);
    assert_int_equal(result.first[1].line, 6);
    struct str path = STR_NONE;
    OK(ingest_rejects_path(f.ingest, result.rejects_id, STR_NONE, &f.arena, &path, &f.err));
    FILE *file = fopen(path.ptr, "r");
    assert_non_null(file);
    char line[200];
    int lines = 0;
    assert_non_null(fgets(line, sizeof(line), file));
    assert_string_equal(line, "line,column,reason,text\n");
    assert_non_null(fgets(line, sizeof(line), file));
    assert_string_equal(line, "2,\"\",\"text follows a closing quote\",\"0,\"\"x\"\n");
    for (lines = 1; fgets(line, sizeof(line), file); lines++) {
    }
    (void)fclose(file);
    assert_int_equal(lines, 50);
    const struct timespec old[2] = {{time(NULL) - 3700, 0}, {time(NULL) - 3700, 0}};
    assert_int_equal(utimensat(AT_FDCWD, path.ptr, old, 0), 0);
    assert_int_equal(
        ingest_rejects_path(f.ingest, result.rejects_id, STR_NONE, &f.arena, &path, &f.err),
        ERR_NOT_FOUND);
    assert_int_equal(ingest_rejects_path(f.ingest, STR("../x"), STR_NONE, &f.arena, &path, &f.err),
                     ERR_NOT_FOUND);
}

static void leftovers_of_the_dead_are_removed_at_open(void **state) {
    (void)state;
    const char *dead = arena_printf(&f.arena, "%s/spool/upload-dead", f.folder).ptr;
    assert_int_equal(mkdir(dead, 0700), 0);
    (void)fclose(fopen(arena_printf(&f.arena, "%s/sent", dead).ptr, "w"));
    const char *rows = arena_printf(&f.arena, "%s/spool/deltas-dead", f.folder).ptr;
    assert_int_equal(mkdir(rows, 0700), 0);
    (void)fclose(fopen(arena_printf(&f.arena, "%s/01", rows).ptr, "w"));
    const struct ingest_request r = request("alive");
    struct ingest_upload *u = NULL;
    struct ingest *second = NULL;
    struct ingest_result result = {0};
    OK(ingest_begin(f.ingest, &r, &u, &f.err));
    OK(ingest_add(u, STR("a\n1\n"), &f.err));
    OK(ingest_open(&f.config, f.tables, f.engine, &second, &f.err));
    ingest_close(second);
    assert_int_not_equal(access(dead, F_OK), 0);
    assert_int_not_equal(access(rows, F_OK), 0);
    OK(ingest_finish(u, &f.arena, &result, &f.err));
    ingest_end(u);
}

static void wide_and_long_files_have_limits(void **state) {
    (void)state;
    struct ingest_result result = {0};
    for (int columns = 3000; columns <= 10001; columns += 7001) {
        const struct ingest_request r = request(columns == 3000 ? "wide" : "wider");
        struct buf b = BUF(1 << 20);
        for (int i = 0; i < columns; i++) {
            buf_printf(&b, "%sc%d", i > 0 ? "," : "", i);
        }
        const enum err_code code = send(&r, printed(&b), 1 << 20, &result);
        if (code != (columns == 3000 ? ERR_OK : ERR_DATA)) {
            fail_msg("%d columns: %s", columns, f.err.msg);
        }
        // The upload is over; what it answered is not.
        assert_true(columns != 3000 || str_is(result.written.dataset.name, "wide"));
    }
    const size_t len = 12 << 20;
    char *text = arena_alloc(&f.arena, len);
    memset(text, 'x', len);
    memcpy(text, "a,b\n1,", 6);
    assert_true(str_is(created("long", (struct str){text, 6 << 20}), "a long!, b string!"));
    const struct ingest_request longer = request("longer");
    assert_int_equal(send(&longer, (struct str){text, len}, 1 << 20, &result), ERR_DATA);
    assert_non_null(strstr(f.err.msg, "line 2: the row is longer than 8 MiB"));
}

static uint64_t seed = 88172645463325252U;

static uint32_t number(uint32_t below) {
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (uint32_t)(seed % below);
}

// A value of the kind, as it must come back.
static void make_value(uint32_t kind, struct buf *out) {
    static const char *const pieces[] = {"a",        "\"", ",", "\n", " x",
                                         "\xC3\xA4", "'",  ";", "0",  "|"};
    switch (kind) {
    case 0:
        buf_printf(out, "%d", (int)number(2000000) - 1000000);
        break;
    case 1:
        buf_printf(out, "%d.%d1", (int)number(2000) - 1000, (int)number(100));
        break;
    case 2:
        buf_printf(out, "%04d-%02d-%02d", 1900 + (int)number(200), 1 + (int)number(12),
                   1 + (int)number(28));
        break;
    case 3:
        buf_printf(out, "%04d-%02d-%02d %02d:%02d:%02d", 1900 + (int)number(200),
                   1 + (int)number(12), 1 + (int)number(28), (int)number(24), (int)number(60),
                   (int)number(60));
        break;
    case 4:
        buf_add_cstr(out, number(2) ? "true" : "false");
        break;
    case 5:
        buf_printf(out, "0%05d", (int)number(100000));
        break;
    default:
        buf_add_cstr(out, "t");
        for (uint32_t i = number(6); i > 0; i--) {
            buf_add_cstr(out, pieces[number(ARRAY_LEN(pieces))]);
        }
    }
}

static void add_quoted(struct buf *out, struct str value) {
    bool needed = number(4) == 0;
    for (size_t i = 0; i < value.len; i++) {
        needed = needed || strchr("\",\n", value.ptr[i]) != NULL;
    }
    if (!needed) {
        buf_add_str(out, value);
        return;
    }
    buf_add_char(out, '"');
    for (size_t i = 0; i < value.len; i++) {
        buf_add_cstr(out, value.ptr[i] == '"' ? "\"" : "");
        buf_add_char(out, value.ptr[i]);
    }
    buf_add_char(out, '"');
}

static void random_tables_come_back_as_they_were(void **state) {
    (void)state;
    static const char *const types[] = {"long",    "double", "date",  "timestamp",
                                        "boolean", "string", "string"};
    for (int round = 0; round < 40; round++) {
        const uint32_t columns = 2 + number(6);
        const uint32_t rows = 5 + number(200);
        uint32_t kinds[8];
        struct buf file = BUF(1 << 20);
        struct buf schema = BUF(1 << 16);
        struct buf expected = BUF(1 << 20);
        for (uint32_t i = 0; i < columns; i++) {
            kinds[i] = number(7);
            buf_printf(&file, "%scol%u", i > 0 ? "," : "", i);
            buf_printf(&schema, "%scol%u %s", i > 0 ? ", " : "", i, types[kinds[i]]);
        }
        buf_add_char(&file, '\n');
        for (uint32_t row = 0; row < rows * columns; row++) {
            const uint32_t i = row % columns;
            struct buf value = BUF(1000);
            // Each column has a value first and a NULL second.
            const bool null =
                row / columns == 1 ? i > 0 : row >= columns && number(5) == 0 && i > 0;
            if (!null) {
                make_value(kinds[i], &value);
            }
            buf_add_cstr(&file, i > 0 ? "," : "");
            buf_add_cstr(&expected, i > 0 ? "|" : "");
            add_quoted(&file, buf_str(&value));
            buf_add_str(&expected, null ? STR("~") : buf_str(&value));
            buf_add_cstr(&file, i + 1 == columns ? "\n" : "");
            buf_add_cstr(&expected, i + 1 == columns ? ";" : "");
            buf_release(&value);
        }
        const struct str name = new_name();
        struct ingest_request r = request(name.ptr);
        r.header = INGEST_YES;
        struct ingest_result result = {0};
        const struct str text = printed(&file);
        OK(send(&r, text, 1 + number(5000), &result));
        struct buf bare = BUF(1 << 16);
        const struct str got = schema_text(result.written.schema);
        for (size_t i = 0; i < got.len; i++) {
            buf_add(&bare, got.ptr + i, got.ptr[i] == '!' ? 0 : 1);
        }
        const struct str back = rows_text(name);
        const struct str want = printed(&expected);
        const struct str want_schema = printed(&schema);
        if (!str_eq(printed(&bare), want_schema) || !str_eq(back, want)) {
            fail_msg("round %d:\n" STR_FMT "\n" STR_FMT "\n" STR_FMT "\n" STR_FMT "\n" STR_FMT,
                     round, STR_ARG(text), STR_ARG(got), STR_ARG(want_schema), STR_ARG(back),
                     STR_ARG(want));
        }
        arena_reset(&f.arena);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(small_files_become_the_rows_they_mean, reset),
        cmocka_unit_test_setup(the_same_file_changes_nothing, reset),
        cmocka_unit_test_setup(appended_text_takes_the_types_of_the_dataset, reset),
        cmocka_unit_test_setup(a_value_of_another_type_is_named, reset),
        cmocka_unit_test_setup(what_comes_after_the_sample_counts, reset),
        cmocka_unit_test_setup(a_bad_row_after_the_sample_is_named, reset),
        cmocka_unit_test_setup(packed_files_are_unpacked, reset),
        cmocka_unit_test_setup(cut_archives_are_bad_data, reset),
        cmocka_unit_test_setup(unpacking_has_a_limit, reset),
        cmocka_unit_test_setup(parquet_is_read_and_damage_is_found, reset),
        cmocka_unit_test_setup(requests_are_checked_before_a_byte_is_read, reset),
        cmocka_unit_test_setup(only_so_many_run_at_once, reset),
        cmocka_unit_test_setup(a_cancelled_ingest_leaves_nothing, reset),
        cmocka_unit_test_setup(rejected_rows_are_kept_for_an_hour, reset),
        cmocka_unit_test_setup(leftovers_of_the_dead_are_removed_at_open, reset),
        cmocka_unit_test_setup(wide_and_long_files_have_limits, reset),
        cmocka_unit_test_setup(random_tables_come_back_as_they_were, reset),
    };
    return cmocka_run_group_tests_name("ingest", tests, open_house, close_house);
}
