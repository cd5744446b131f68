// The Arrow reader against our own Arrow writer, and against damage of every kind.
#include "ingest/arrow_read.h"

#include "base/ok_test.h"
#include "encode/encode.h"

#include <stdlib.h>
#include <string.h>

#define MUTATIONS 10000

static struct engine *engine;
static struct session *session;

static const char rows_sql[] =
    "SELECT CASE WHEN i % 5 > 0 THEN i END AS a, i % 2 = 0 AS b, 'text ' || i AS c, "
    "('x' || i)::BLOB AS d, (i / 8)::DECIMAL(18,3) AS e, TIME '00:00:00' + to_seconds(i) AS f, "
    "TIMESTAMP '2020-01-01' + to_seconds(i) AS g, [i, NULL] AS h, [['a' || i], []] AS k, "
    "{'x': i, 'y': {'z': 't' || i}} AS l, MAP {'k' || i: i} AS m, DATE '2020-01-01' AS n, "
    "NULL AS o, (i / 4)::FLOAT AS p, i::UTINYINT AS q FROM range(40) r(i)";

static int open_engine(void **state) {
    (void)state;
    const struct engine_options o = {.threads = 1, .memory_bytes = 512 << 20};
    OK(engine_open(&o, &engine, &err));
    OK(session_open(engine, &session, &err));
    return 0;
}

static int close_engine(void **state) {
    (void)state;
    session_close(session);
    engine_close(engine);
    return 0;
}

static void write_stream(const char *sql, struct buf *out) {
    DEFER(rows_closep) struct rows *r = NULL;
    OK(session_query(session, str_from(sql), &r, &err));
    struct encode_column columns[32];
    const size_t count = rows_column_count(r);
    assert_true(count <= ARRAY_LEN(columns));
    for (size_t i = 0; i < count; i++) {
        columns[i] = (struct encode_column){rows_column_name(r, i), rows_column_type(r, i)};
    }
    const struct encode_options o = {.format = ENCODE_ARROW};
    DEFER(encoder_freep) struct encoder *e = encoder_new(&o, columns, count);
    encoder_head(e, out);
    const struct vec_chunk *chunk = NULL;
    do {
        OK(rows_next(r, &chunk, &err));
        if (chunk) {
            OK(encoder_rows(e, &(struct encode_rows){chunk, 0, chunk->rows}, out, &err));
        }
    } while (chunk);
    encoder_tail(e, out);
}

static void reader_freep(struct arrow_reader **r) {
    arrow_read_release(*r);
    free(*r);
}

static enum err_code add_batches(struct arrow_reader *r, struct session_arrow *w) {
    DEFER(arena_release) struct arena batch = ARENA(1U << 30);
    struct ArrowArray *rows = NULL;
    do {
        arena_reset(&batch);
        TRY(arrow_read_next(r, &batch, &rows, &err));
        if (rows != NULL) {
            TRY(session_arrow_add(w, rows, &err));
        }
    } while (rows != NULL);
    return session_arrow_end(w, &err);
}

// The whole way into a temporary table t.
static enum err_code read_stream(struct str data) {
    DEFER(arena_release) struct arena meta = ARENA(1U << 30);
    DEFER(buf_release) struct buf sql = BUF(64U << 20);
    DEFER(reader_freep) struct arrow_reader *r = xcalloc(1, sizeof(*r));
    DEFER(session_arrow_closep) struct session_arrow *w = NULL;
    TRY(arrow_read_open(r, data, &meta, &err));
    for (size_t i = 0; i < r->root.child_count; i++) {
        const struct arrow_field *f = &r->root.children[i];
        buf_printf(&sql, "%s" STR_FMT " " STR_FMT,
                   i == 0 ? "CREATE OR REPLACE TEMP TABLE t (" : ", ",
                   STR_ARG(sql_ident(f->name, &meta)), STR_ARG(f->sql));
    }
    buf_add_char(&sql, ')');
    TRY(session_run(session, buf_str(&sql), &err));
    TRY(session_arrow_open(session, arrow_read_schema(r), "t", &w, &err));
    return add_batches(r, w);
}

static void what_the_writer_wrote_is_read_as_it_was(void **state) {
    (void)state;
    DEFER(arena_release) struct arena a = ARENA(1 << 20);
    DEFER(buf_release) struct buf out = BUF(64 << 20);
    struct str text = STR_NONE;
    write_stream(rows_sql, &out);
    OK(read_stream(buf_str(&out)));
    OK(session_text(session,
                    arena_printf(&a, "SELECT count(*) FROM (FROM t INTERSECT ALL %s)", rows_sql),
                    &a, &text, &err));
    assert_true(str_is(text, "40"));
}

static uint64_t next_random(uint64_t *seed) {
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed;
}

// A copy of exactly this size, so that a read beyond it is seen.
static char *damaged(struct str whole, uint64_t *seed, size_t *ret_len) {
    static const unsigned char nasty[] = {0, 1, 0x7F, 0x80, 0xFF};
    const size_t len = next_random(seed) % 8 == 0 ? next_random(seed) % whole.len : whole.len;
    char *copy = xmalloc(len + 1);
    memcpy(copy, whole.ptr, len);
    const size_t changes = 1 + next_random(seed) % 4;
    for (size_t i = 0; i < changes && len > 0; i++) {
        const size_t at = next_random(seed) % len;
        const uint64_t pick = next_random(seed);
        copy[at] = (char)(pick % 2 == 0 ? nasty[pick / 2 % sizeof(nasty)] : (pick >> 8) & 0xFF);
    }
    *ret_len = len;
    return copy;
}

static void damage_is_refused_or_read_but_never_believed(void **state) {
    (void)state;
    uint64_t seed = 0x9E3779B97F4A7C15U;
    size_t refused = 0;
    DEFER(buf_release) struct buf out = BUF(64 << 20);
    write_stream(rows_sql, &out);
    for (size_t i = 0; i < MUTATIONS; i++) {
        size_t len = 0;
        char *bytes = damaged(buf_str(&out), &seed, &len);
        char *tight = realloc(bytes, MAX(len, 1));
        err = ERR_NONE;
        const enum err_code code = read_stream((struct str){tight, len});
        if (code != ERR_OK) {
            refused++;
            assert_true(code == ERR_DATA || code == ERR_UNSUPPORTED || code == ERR_TOO_LARGE ||
                        code == ERR_SQL);
            assert_true(err.msg[0] != '\0');
        }
        free(tight);
    }
    assert_true(refused > MUTATIONS / 10);
    OK(read_stream(buf_str(&out))); // the engine has come through it
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_the_writer_wrote_is_read_as_it_was),
        cmocka_unit_test(damage_is_refused_or_read_but_never_believed),
    };
    return cmocka_run_group_tests(tests, open_engine, close_engine);
}
