// Tests of the wire: every kind there and back, and a reader that no bytes lead astray.
#include "worker/wire.h"

#include "base/ok_test.h"
#include "engine/engine.h"
#include "worker/worker_int.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

static struct engine *engine;
static struct session *session;

#define MUTATIONS 100000

static int open_engine(void **state) {
    (void)state;
    const struct engine_options o = {.threads = 2, .memory_bytes = 512 << 20};
    OK(engine_open(&o, &engine, &err));
    OK(session_open(engine, &session, &err));
    static const char macros[] =
        "SELECT setseed(0.42);"
        "CREATE TEMP MACRO r() AS (hash(random())::HUGEINT - 9223372036854775807)::BIGINT;"
        "CREATE TEMP MACRO s() AS repeat((['a', 'é', '漢', '😀', chr(0), ''])"
        "[1 + (hash(random()) % 6)::INTEGER], (hash(random()) % 9)::INTEGER);";
    OK(session_run(session, str_from(macros), &err));
    return 0;
}

static int close_engine(void **state) {
    (void)state;
    session_close(session);
    engine_close(engine);
    return 0;
}

// Expressions of random values; r() is a random 64-bit integer, s() a string of 0 to 32 bytes.
static const char *const values[] = {
    "r() % 2 = 0",
    "(r() % 128)::TINYINT",
    "(r() % 32768)::SMALLINT",
    "(r() % 2147483648)::INTEGER",
    "r()",
    "(r() & 255)::UTINYINT",
    "(r() & 65535)::USMALLINT",
    "(r() & 4294967295)::UINTEGER",
    "abs(r())::UBIGINT * 2",
    "r()::HUGEINT * r()",
    "abs(r())::UHUGEINT * abs(r())",
    "r()::FLOAT",
    "r() / 4096",
    "(r() % 1000)::DECIMAL(4,1)",
    "(r() % 1000000)::DECIMAL(9,3)",
    "(r() % 1000000000000)::DECIMAL(18,3)",
    "(r() % 1000000000000000000)::DECIMAL(38,10)",
    "DATE '2000-01-01' + (r() % 3000000)::INTEGER",
    "TIME '00:00:00' + to_microseconds(abs(r()) % 86400000000)",
    "(TIME '00:00:00' + to_milliseconds(abs(r()) % 86400000))::TIMETZ",
    "make_timestamp(r() % 9000000000000000000)",
    "make_timestamp(r() % 9000000000000000000)::TIMESTAMPTZ",
    "make_timestamp(r() % 9000000000000000)::TIMESTAMP_S",
    "make_timestamp(r() % 9000000000000000)::TIMESTAMP_MS",
    "make_timestamp_ns(r())",
    "to_months((r() % 2000)::INTEGER) + to_days((r() % 200)::INTEGER) + to_microseconds(r() % 99)",
    "s()",
    "json_object('a', s())",
    "encode(s())",
    "(abs(r()) % 1000000)::BIT",
    "uuid()",
    "CASE r() % 3 WHEN 0 THEN 'a' ELSE 'b' END::ENUM('a', 'b')",
    "[s(), NULL, s()]",
    "range(abs(r()) % 9)",
    "[r(), NULL][1:(abs(r()) % 3)::INTEGER]",
    "[[s()], [], NULL, [s(), s()]]",
    "[[s(), s()]::VARCHAR[2], NULL]",
    "[r(), NULL, 3]::BIGINT[3]",
    "[NULL, [1, NULL]]::INTEGER[2][2]",
    "{'a': s(), 'b c': r(), 'd': [s()]}",
    "row(s(), r())",
    "{'a': CASE WHEN r() % 2 = 0 THEN {'b': s(), 'c': [NULL, 1]} END}",
    "MAP {s(): s(), 'k' || s(): NULL}",
    "MAP {r(): [MAP {s(): {'a': s()}}]}",
    "MAP {}",
    "CASE WHEN r() % 2 = 0 THEN r()::UNION(n BIGINT, s VARCHAR) ELSE s() END",
    "CASE WHEN r() % 2 = 0 THEN NULL::BIGINT::UNION(n BIGINT, s VARCHAR) ELSE s() END",
    "[CASE WHEN r() % 2 = 0 THEN r()::UNION(n BIGINT, s VARCHAR) ELSE s() END]",
    "[CASE r() % 3 WHEN 0 THEN 'a' ELSE 'b' END::ENUM('a', 'b')]",
    "NULL",
    "[NULL, NULL]",
    "[]",
    "{'n': NULL, 'l': [NULL]}",
    "[{'j': json_array(s(), r()), 't': [uuid()]}, NULL]",
};

// Statements whose vectors are no plain ones inside the engine.
static const char *const statements[] = {
    "SELECT i, 'constant text of some length', [i, i], NULL, {'a': 1} FROM range(5000) t(i)",
    "SELECT [1, 2, NULL, 4] AS shared, MAP {'k': [1]} FROM range(3000) t(i)",
    "SELECT l FROM (SELECT i, [i, -i, NULL] AS l FROM range(4000) t(i)) ORDER BY hash(i)",
    "SELECT range(i % 7)[2:], {'a': [i::VARCHAR]} FROM range(4000) t(i) WHERE i % 3 = 1",
    "SELECT list(i ORDER BY i), map([i % 10], [list(i)]) FROM range(5000) t(i) GROUP BY i % 10",
    "SELECT 2 AS \"ü\"\" \", row(1, 2) FROM range(1)",
    "SELECT repeat('x', i) FROM range(30) t(i)",
};

static void same_str(struct str a, struct str b) {
    assert_int_equal(a.len, b.len);
    if (a.len > 0) {
        assert_memory_equal(a.ptr, b.ptr, a.len);
    }
}

static void same_type(const struct vec_type *a, const struct vec_type *b) {
    assert_int_equal(a->kind, b->kind);
    assert_int_equal(a->width, b->width);
    assert_int_equal(a->scale, b->scale);
    assert_int_equal(a->array_size, b->array_size);
    assert_int_equal(a->child_count, b->child_count);
    assert_int_equal(a->symbol_count, b->symbol_count);
    same_str(a->text, b->text);
    assert_int_equal(a->names == NULL, b->names == NULL);
    for (size_t i = 0; i < a->child_count; i++) {
        same_type(&a->children[i], &b->children[i]);
        if (a->names && b->names) {
            same_str(a->names[i], b->names[i]);
        }
    }
    for (size_t i = 0; i < a->symbol_count; i++) {
        same_str(a->symbols[i], b->symbols[i]);
    }
}

static size_t cell_bytes(const struct vec_type *t) {
    static const size_t bytes[] = {
        [VEC_BOOL] = 1,      [VEC_INT8] = 1,         [VEC_UINT8] = 1,        [VEC_INT16] = 2,
        [VEC_UINT16] = 2,    [VEC_INT32] = 4,        [VEC_UINT32] = 4,       [VEC_FLOAT] = 4,
        [VEC_DATE] = 4,      [VEC_INT64] = 8,        [VEC_UINT64] = 8,       [VEC_DOUBLE] = 8,
        [VEC_TIME] = 8,      [VEC_TIMETZ] = 8,       [VEC_TIMESTAMP] = 8,    [VEC_TIMESTAMP_S] = 8,
        [VEC_INTERVAL] = 16, [VEC_TIMESTAMP_MS] = 8, [VEC_TIMESTAMP_NS] = 8, [VEC_TIMESTAMPTZ] = 8,
        [VEC_HUGEINT] = 16,  [VEC_UHUGEINT] = 16,    [VEC_UUID] = 16,        [VEC_OTHER] = 0,
    };
    if (t->kind == VEC_DECIMAL) {
        return t->width <= 4 ? 2 : t->width <= 9 ? 4 : t->width <= 18 ? 8 : 16;
    }
    if (t->kind == VEC_ENUM) {
        return t->symbol_count <= 255 ? 1 : t->symbol_count <= 65535 ? 2 : 4;
    }
    return bytes[t->kind];
}

static bool is_text(enum vec_kind kind) {
    return kind == VEC_VARCHAR || kind == VEC_JSON || kind == VEC_BLOB || kind == VEC_BIT;
}

static void same_value(const struct vec *a, size_t i, const struct vec *b, size_t j) {
    const struct vec_type *t = a->type;
    const size_t size = cell_bytes(t);
    assert_int_equal(vec_is_null(a, i), vec_is_null(b, j));
    if (vec_is_null(a, i)) {
        return;
    }
    if (size > 0) {
        assert_memory_equal((const char *)a->data + i * size, (const char *)b->data + j * size,
                            size);
    } else if (is_text(t->kind)) {
        same_str(vec_str(a, i), vec_str(b, j));
    } else if (t->kind == VEC_LIST || t->kind == VEC_MAP) {
        const struct vec_list x = ((const struct vec_list *)a->data)[i];
        const struct vec_list y = ((const struct vec_list *)b->data)[j];
        assert_int_equal(x.length, y.length);
        for (size_t k = 0; k < x.length; k++) {
            same_value(&a->children[0], x.offset + k, &b->children[0], y.offset + k);
        }
    } else if (t->kind == VEC_ARRAY) {
        for (size_t k = 0; k < t->array_size; k++) {
            same_value(&a->children[0], i * t->array_size + k, &b->children[0],
                       j * t->array_size + k);
        }
    } else if (t->kind == VEC_UNION) {
        const uint8_t tag = ((const uint8_t *)a->children[0].data)[i];
        assert_int_equal(tag, ((const uint8_t *)b->children[0].data)[j]);
        same_value(&a->children[1 + tag], i, &b->children[1 + tag], j);
    } else {
        assert_int_equal(t->kind, VEC_STRUCT);
        for (size_t k = 0; k < t->child_count; k++) {
            same_value(&a->children[k], i, &b->children[k], j);
        }
    }
}

static void write_columns(const struct rows *r, struct buf *out) {
    struct wire_column columns[64];
    const size_t count = rows_column_count(r);
    assert_true(count <= ARRAY_LEN(columns));
    for (size_t i = 0; i < count; i++) {
        columns[i] = (struct wire_column){rows_column_name(r, i), *rows_column_type(r, i)};
    }
    wire_write_columns(columns, count, out);
    assert_false(out->overflow);
}

static void round_trip(struct str sql) {
    DEFER(rows_closep) struct rows *r = NULL;
    DEFER(arena_release) struct arena a = ARENA(64 << 20);
    DEFER(buf_release) struct buf head = BUF(64 << 20);
    DEFER(buf_release) struct buf body = BUF(64 << 20);
    struct wire_column *columns = NULL;
    size_t count = 0;
    OK(session_query(session, sql, &r, &err));
    write_columns(r, &head);
    OK(wire_read_columns(buf_str(&head), &a, &columns, &count, &err));
    assert_int_equal(count, rows_column_count(r));
    for (size_t i = 0; i < count; i++) {
        same_str(columns[i].name, rows_column_name(r, i));
        same_type(&columns[i].type, rows_column_type(r, i));
    }
    const struct vec_chunk *in = NULL;
    OK(rows_next(r, &in, &err));
    while (in) {
        struct vec_chunk out = {0};
        buf_reset(&body);
        wire_write_chunk(in, &body);
        assert_false(body.overflow);
        OK(wire_read_chunk(buf_str(&body), columns, count, &a, &out, &err));
        assert_int_equal(out.rows, in->rows);
        assert_int_equal(out.column_count, in->column_count);
        for (size_t c = 0; c < count; c++) {
            for (size_t i = 0; i < in->rows; i++) {
                same_value(&in->columns[c], i, &out.columns[c], i);
            }
        }
        OK(rows_next(r, &in, &err));
    }
}

// With a NULL in every tenth row. (CASE does not know arrays.)
static struct str some_rows(size_t value, int rows, struct arena *a) {
    return arena_printf(a,
                        "SELECT x.v, t.i, %s AS w FROM range(%d) t(i) LEFT JOIN (SELECT i, %s AS v"
                        " FROM range(%d) u(i)) x ON x.i = t.i AND x.i %% 10 <> 3",
                        values[value], rows, values[value], rows);
}

static void every_kind_comes_back_as_it_was(void **state) {
    (void)state;
    DEFER(arena_release) struct arena a = ARENA(1 << 20);
    for (size_t i = 0; i < ARRAY_LEN(values); i++) {
        round_trip(some_rows(i, 1, &a));
        round_trip(some_rows(i, 5000, &a));
    }
    for (size_t i = 0; i < ARRAY_LEN(statements); i++) {
        round_trip(str_from(statements[i]));
    }
}

// Dictionaries whose indexes take one, two and four bytes.
static void long_enums_come_back(void **state) {
    (void)state;
    static const int counts[] = {255, 256, 65535, 65536};
    DEFER(arena_release) struct arena a = ARENA(1 << 20);
    for (size_t i = 0; i < ARRAY_LEN(counts); i++) {
        const struct str type = arena_printf(&a, "many%d", counts[i]);
        OK(session_run(session,
                       arena_printf(&a,
                                    "CREATE TYPE " STR_FMT " AS ENUM (SELECT 'e' || i FROM"
                                    " range(%d) t(i))",
                                    STR_ARG(type), counts[i]),
                       &err));
        round_trip(arena_printf(&a,
                                "SELECT CASE WHEN i %% 5 > 0 THEN ('e' || (%d - 1 - i))::" STR_FMT
                                " END FROM range(200) t(i)",
                                counts[i], STR_ARG(type)));
    }
}

// A valid message of columns, and one of a chunk.
struct sample {
    struct str head, body;
    struct wire_column *columns;
    size_t count;
};

static struct sample sample_of(struct str sql, struct arena *a) {
    DEFER(rows_closep) struct rows *r = NULL;
    DEFER(buf_release) struct buf head = BUF(64 << 20);
    DEFER(buf_release) struct buf body = BUF(64 << 20);
    const struct vec_chunk *chunk = NULL;
    struct sample ret = {0};
    OK(session_query(session, sql, &r, &err));
    OK(rows_next(r, &chunk, &err));
    assert_non_null(chunk);
    write_columns(r, &head);
    wire_write_chunk(chunk, &body);
    ret.head = arena_str(a, buf_str(&head));
    ret.body = arena_str(a, buf_str(&body));
    OK(wire_read_columns(ret.head, a, &ret.columns, &ret.count, &err));
    return ret;
}

// What a reader of a chunk may do: everything that vec.h allows. Returns how much it was.
struct walk {
    uint64_t steps, sum;
};

static void walk_bytes(struct walk *w, const void *data, size_t len) {
    const unsigned char *bytes = data;
    for (size_t i = 0; i < len; i++) {
        w->sum = w->sum * 31 + bytes[i];
    }
}

static void walk_value(struct walk *w, const struct vec *v, size_t row) {
    const struct vec_type *t = v->type;
    const size_t size = cell_bytes(t);
    w->steps++;
    if (vec_is_null(v, row)) {
        return;
    }
    assert_true(t->kind < VEC_NULLTYPE);
    if (size > 0) {
        walk_bytes(w, (const char *)v->data + row * size, size);
    } else if (is_text(t->kind)) {
        const struct str s = vec_str(v, row);
        walk_bytes(w, s.ptr, s.len);
        assert_true(t->kind == VEC_BLOB || t->kind == VEC_BIT || str_is_utf8(s));
    } else if (t->kind == VEC_LIST || t->kind == VEC_MAP) {
        const struct vec_list list = ((const struct vec_list *)v->data)[row];
        for (uint64_t k = 0; k < list.length; k++) {
            walk_value(w, &v->children[0], list.offset + k);
        }
    } else if (t->kind == VEC_ARRAY) {
        for (size_t k = 0; k < t->array_size; k++) {
            walk_value(w, &v->children[0], row * t->array_size + k);
        }
    } else if (t->kind == VEC_UNION) {
        const uint8_t tag = ((const uint8_t *)v->children[0].data)[row];
        assert_true(tag < t->child_count);
        walk_value(w, &v->children[1 + tag], row);
    } else {
        for (size_t k = 0; k < t->child_count; k++) {
            walk_value(w, &v->children[k], row);
        }
    }
    if (t->kind == VEC_ENUM) {
        uint32_t index = 0;
        memcpy(&index, (const char *)v->data + row * size, size); // little-endian, as our machines
        assert_true(index < t->symbol_count);
        walk_bytes(w, t->symbols[index].ptr, t->symbols[index].len);
    }
}

static void walk_type(struct walk *w, const struct vec_type *t) {
    w->steps++;
    assert_true(str_is_utf8(t->text));
    walk_bytes(w, t->text.ptr, t->text.len);
    for (size_t i = 0; i < t->symbol_count; i++) {
        walk_bytes(w, t->symbols[i].ptr, t->symbols[i].len);
    }
    for (size_t i = 0; i < t->child_count; i++) {
        if (t->names) {
            walk_bytes(w, t->names[i].ptr, t->names[i].len);
        }
        walk_type(w, &t->children[i]);
    }
}

// Memory and time are a multiple of what was read.
static void assert_bounded(const struct arena *a, const struct walk *w, size_t bytes) {
    assert_true(a->used <= 256 * bytes + 4096);
    assert_true(w->steps <= (bytes + 64) * 8 * (WIRE_DEPTH_MAX + 1));
}

// Bytes in memory of exactly their size, so that AddressSanitizer sees a step outside.
static struct str exact(struct str s, struct arena *a) {
    char *ptr = arena_alloc(a, s.len);
    if (s.len > 0) {
        memcpy(ptr, s.ptr, s.len);
    }
    return (struct str){ptr, s.len};
}

static bool read_head(struct str bytes, struct arena *a, struct sample *s) {
    const struct str in = exact(bytes, a);
    struct walk w = {0};
    const size_t used = a->used;
    const enum err_code code = wire_read_columns(in, a, &s->columns, &s->count, &err);
    a->used -= used;
    for (size_t i = 0; code == ERR_OK && i < s->count; i++) {
        walk_bytes(&w, s->columns[i].name.ptr, s->columns[i].name.len);
        walk_type(&w, &s->columns[i].type);
    }
    assert_bounded(a, &w, bytes.len);
    assert_true(code == ERR_OK || code == ERR_DATA);
    return code == ERR_OK;
}

static bool read_body(struct str bytes, const struct sample *s, struct arena *a) {
    const struct str in = exact(bytes, a);
    struct vec_chunk chunk = {0};
    struct walk w = {0};
    const size_t used = a->used;
    const enum err_code code = wire_read_chunk(in, s->columns, s->count, a, &chunk, &err);
    a->used -= used;
    for (size_t c = 0; code == ERR_OK && c < chunk.column_count; c++) {
        for (size_t i = 0; i < chunk.rows; i++) {
            walk_value(&w, &chunk.columns[c], i);
        }
    }
    assert_bounded(a, &w, bytes.len);
    assert_true(code == ERR_OK || code == ERR_DATA);
    return code == ERR_OK;
}

static size_t random_below(unsigned *seed, size_t end) {
    return (size_t)rand_r(seed) % end;
}

static void put_number(unsigned *seed, struct buf *b) {
    static const uint64_t numbers[] = {
        0,
        1,
        2,
        7,
        8,
        63,
        64,
        65,
        255,
        256,
        2047,
        2048,
        2049,
        4096,
        65535,
        65536,
        1U << 20,
        INT32_MAX,
        1U << 31,
        UINT32_MAX,
        UINT64_C(1) << 32,
        UINT64_C(1) << 60,
        INT64_MAX,
        UINT64_C(1) << 63,
        UINT64_MAX,
    };
    static const size_t sizes[] = {1, 2, 4, 8};
    const size_t wanted = sizes[random_below(seed, ARRAY_LEN(sizes))];
    const size_t size = MIN(wanted, b->len);
    const uint64_t n = numbers[random_below(seed, ARRAY_LEN(numbers))];
    memcpy(b->ptr + random_below(seed, b->len - size + 1), &n, size);
}

static void mutate_once(unsigned *seed, struct buf *b) {
    if (b->len == 0) {
        buf_add_char(b, (char)random_below(seed, 256));
        return;
    }
    const size_t at = random_below(seed, b->len);
    const size_t wanted = 1 + random_below(seed, 16);
    const size_t len = MIN(wanted, b->len - at);
    switch (random_below(seed, 6)) {
    case 0:
        b->ptr[at] = (char)((unsigned char)b->ptr[at] ^ (1U << random_below(seed, 8)));
        break;
    case 1:
        b->ptr[at] = (char)random_below(seed, 256);
        break;
    case 2: // a part goes
        memmove(b->ptr + at, b->ptr + at + len, b->len - at - len);
        b->len -= len;
        break;
    case 3: // a part stands twice
        if (buf_reserve(b, len)) {
            memmove(b->ptr + at + len, b->ptr + at, b->len - at);
            b->len += len;
        }
        break;
    case 4: // the end is cut off
        b->len = at;
        break;
    default:
        put_number(seed, b);
    }
}

static struct str mutate(unsigned *seed, struct str s, struct buf *b) {
    buf_reset(b);
    buf_add_str(b, s);
    for (size_t n = 1 + random_below(seed, 3); n > 0; n--) {
        mutate_once(seed, b);
    }
    return buf_str(b);
}

static void no_bytes_lead_the_reader_outside(void **state) {
    (void)state;
    static struct sample samples[2 * ARRAY_LEN(values)];
    DEFER(arena_release) struct arena kept = ARENA(64 << 20);
    DEFER(arena_release) struct arena a = ARENA(64 << 20);
    DEFER(buf_release) struct buf b = BUF(1 << 20);
    size_t refused = 0;
    unsigned seed = 42;
    for (size_t i = 0; i < ARRAY_LEN(samples); i++) {
        samples[i] = sample_of(some_rows(i / 2, i % 2 ? 70 : 4, &kept), &kept);
    }
    for (size_t i = 0; i < MUTATIONS; i++) {
        struct sample s = samples[i % ARRAY_LEN(samples)];
        bool good = true;
        if (random_below(&seed, 3) == 0) {
            good = read_head(mutate(&seed, s.head, &b), &a, &s);
        }
        struct arena body = ARENA(64 << 20);
        if (good) {
            const bool whole = random_below(&seed, 8) == 0;
            good = read_body(whole ? s.body : mutate(&seed, s.body, &b), &s, &body);
        }
        arena_release(&body);
        refused += good ? 0 : 1;
        arena_reset(&a);
    }
    assert_true(refused > MUTATIONS / 4 && refused < MUTATIONS);
}

static void no_beginning_of_a_message_is_one(void **state) {
    (void)state;
    DEFER(arena_release) struct arena kept = ARENA(64 << 20);
    DEFER(arena_release) struct arena a = ARENA(64 << 20);
    for (size_t i = 0; i < ARRAY_LEN(values); i++) {
        struct sample s = sample_of(some_rows(i, 5, &kept), &kept);
        for (size_t len = 0; len < s.body.len; len++, arena_reset(&a)) {
            assert_false(read_body(str_slice(s.body, 0, len), &s, &a));
        }
        assert_true(read_body(s.body, &s, &a));
        arena_reset(&a);
        assert_false(read_body(arena_printf(&kept, STR_FMT "x", STR_ARG(s.body)), &s, &a));
        for (size_t len = 0; len < s.head.len; len++, arena_reset(&a)) {
            struct sample ignored = {0};
            assert_false(read_head(str_slice(s.head, 0, len), &a, &ignored));
        }
    }
}

// Messages by hand: d u8, w u32, q u64, s text.
struct part {
    uint64_t n;
    const char *text;
};

#define N(number) ((struct part){.n = (number)})
#define T(bytes) ((struct part){.text = (bytes)})
#define message(a, form, ...) message_of(a, form, (const struct part[]){__VA_ARGS__})

static struct str message_of(struct arena *a, const char *form, const struct part *parts) {
    DEFER(buf_release) struct buf b = BUF(1 << 20);
    for (size_t i = 0; form[i]; i++) {
        if (form[i] == 's') {
            const uint32_t len = (uint32_t)strlen(parts[i].text);
            buf_add(&b, &len, sizeof(len));
            buf_add_cstr(&b, parts[i].text);
        } else {
            buf_add(&b, &parts[i].n, form[i] == 'd' ? 1 : form[i] == 'w' ? 4 : 8);
        }
    }
    return arena_str(a, buf_str(&b));
}

static bool takes(struct sample *s, struct str body) {
    DEFER(arena_release) struct arena a = ARENA(1 << 20);
    return read_body(body, s, &a);
}

// A sample whose only column is of the type that the message tells.
static struct sample sample_by_hand(struct str head, struct arena *a) {
    struct sample s = {.head = head};
    OK(wire_read_columns(head, a, &s.columns, &s.count, &err));
    return s;
}

static struct sample lists_of_null(struct arena *a) {
    return sample_by_hand(
        message(a, "wsdsds", N(1), T("c"), N(VEC_LIST), T("NULL[]"), N(VEC_NULLTYPE), T("NULL")),
        a);
}

static void nulls_of_no_type_come_back(void **state) {
    (void)state;
    DEFER(arena_release) struct arena a = ARENA(1 << 20);
    DEFER(buf_release) struct buf out = BUF(1 << 20);
    const struct sample s = lists_of_null(&a);
    const struct vec_list lists[] = {{0, 70}, {70, 0}, {3, 2}};
    const struct vec child = {.type = &s.columns[0].type.children[0]};
    const struct vec v = {.type = &s.columns[0].type, .data = lists, .children = &child};
    struct vec_chunk back = {0};
    wire_write_chunk(&(struct vec_chunk){.rows = 3, .column_count = 1, .columns = &v}, &out);
    OK(wire_read_chunk(buf_str(&out), s.columns, s.count, &a, &back, &err));
    assert_int_equal(((const struct vec_list *)back.columns[0].data)[0].length, 70);
    assert_int_equal(((const struct vec_list *)back.columns[0].data)[2].length, 2);
    for (size_t i = 0; i < 72; i++) {
        assert_true(vec_is_null(&back.columns[0].children[0], i));
    }
}

static void lists_of_nothing_take_room_too(void **state) {
    (void)state;
    DEFER(arena_release) struct arena a = ARENA(1 << 20);
    struct sample s = lists_of_null(&a);
    assert_true(takes(&s, message(&a, "wwdqdq", N(1), N(1), N(0), N(64), N(1), N(0))));
    assert_false(takes(&s, message(&a, "wwdqdq", N(1), N(1), N(0), N(65), N(1), N(0))));
    assert_false(takes(&s, message(&a, "wwdqd", N(1), N(1), N(0), N(UINT64_C(1) << 60), N(0))));
    assert_false(
        takes(&s, message(&a, "wwdqdq", N(1), N(1), N(0), N(UINT64_C(1) << 60), N(1), N(0))));
    // Two lengths whose sum is past 64 bits.
    assert_false(
        takes(&s, message(&a, "wwdqqdq", N(1), N(2), N(0), N(UINT64_MAX), N(2), N(1), N(0))));
    // No value but NULL, whatever the bits say.
    const struct str lies = message(&a, "wwdqdq", N(1), N(1), N(0), N(64), N(1), N(UINT64_MAX));
    assert_true(takes(&s, lies));
    s = sample_of(STR("SELECT NULL::INTEGER[3][3]"), &a);
    assert_false(takes(&s, message(&a, "wwddd", N(1), N(2048), N(0), N(0), N(0))));
}

static void types_that_cannot_be_are_refused(void **state) {
    (void)state;
    DEFER(arena_release) struct arena a = ARENA(1 << 20);
    const struct part n = N(VEC_INT32);
    const struct str types[] = {
        message(&a, "wsds", N(1), T("c"), N(VEC_OTHER), T("OTHER")),
        message(&a, "wsds", N(1), T("c"), N(255), T("x")),
        message(&a, "wsdsdd", N(1), T("c"), N(VEC_DECIMAL), T("x"), N(0), N(0)),
        message(&a, "wsdsdd", N(1), T("c"), N(VEC_DECIMAL), T("x"), N(39), N(0)),
        message(&a, "wsdsdd", N(1), T("c"), N(VEC_DECIMAL), T("x"), N(3), N(4)),
        message(&a, "wsdswds", N(1), T("c"), N(VEC_ARRAY), T("x"), N(0), n, T("x")),
        message(&a, "wsdswds", N(1), T("c"), N(VEC_ARRAY), T("x"), N(100001), n, T("x")),
        message(&a, "wsdsw", N(1), T("c"), N(VEC_STRUCT), T("x"), N(0)),
        message(&a, "wsdsw", N(1), T("c"), N(VEC_UNION), T("x"), N(0)),
        message(&a, "wsdsw", N(1), T("c"), N(VEC_ENUM), T("x"), N(UINT32_MAX)),
        message(&a, "wsds", N(1), T("c"), n, T("\xFF")),
        message(&a, "wsds", N(1), T("\xFF"), n, T("x")),
        message(&a, "wsds", N(2), T("c"), n, T("x")),
        message(&a, "w", N(UINT32_MAX)),
        message(&a, "wsdsd", N(1), T("c"), n, T("x"), N(0)),
    };
    struct sample s = {0};
    assert_true(read_head(message(&a, "wsds", N(1), T("c"), n, T("x")), &a, &s));
    for (size_t i = 0; i < ARRAY_LEN(types); i++) {
        DEFER(arena_release) struct arena scratch = ARENA(1 << 20);
        if (read_head(types[i], &scratch, &s)) {
            fail_msg("type %zu was read", i);
        }
    }
}

static bool takes_lists_of_depth(size_t depth) {
    DEFER(arena_release) struct arena a = ARENA(1 << 20);
    DEFER(buf_release) struct buf b = BUF(1 << 20);
    struct sample s = {0};
    buf_add_str(&b, message(&a, "ws", N(1), T("c")));
    for (size_t i = 1; i < depth; i++) {
        buf_add_str(&b, message(&a, "ds", N(VEC_LIST), T("")));
    }
    buf_add_str(&b, message(&a, "ds", N(VEC_INT8), T("")));
    return read_head(buf_str(&b), &a, &s);
}

static void types_are_nested_only_so_deep(void **state) {
    (void)state;
    assert_true(takes_lists_of_depth(WIRE_DEPTH_MAX));
    assert_false(takes_lists_of_depth(WIRE_DEPTH_MAX + 1));
    assert_false(takes_lists_of_depth(20000));
}

// Each says that it has as many members as there can be, and the first of them is the next.
static void types_in_one_another_share_what_bytes_there_are(void **state) {
    (void)state;
    DEFER(arena_release) struct arena a = ARENA(1 << 20);
    DEFER(buf_release) struct buf b = BUF(1 << 20);
    struct sample s = {0};
    buf_add_str(&b, message(&a, "wsds", N(1), T("c"), N(VEC_STRUCT), T("")));
    for (size_t i = 1; i < WIRE_DEPTH_MAX; i++) {
        buf_add_str(&b, message(&a, "wsds", N(6000), T(""), N(VEC_STRUCT), T("")));
    }
    buf_add_str(&b, message(&a, "w", N(6000)));
    for (size_t i = 0; i < 60000; i++) {
        buf_add_char(&b, 0);
    }
    DEFER(arena_release) struct arena scratch = ARENA(1U << 30);
    assert_false(read_head(buf_str(&b), &scratch, &s));
}

static void values_that_cannot_be_are_refused(void **state) {
    (void)state;
    DEFER(arena_release) struct arena a = ARENA(1 << 20);
    struct sample s = sample_of(STR("SELECT 'b'::ENUM('a', 'b')"), &a);
    assert_true(takes(&s, message(&a, "wwdd", N(1), N(1), N(0), N(1))));
    assert_false(takes(&s, message(&a, "wwdd", N(1), N(1), N(0), N(2))));
    assert_true(takes(&s, message(&a, "wwdqd", N(1), N(1), N(1), N(0), N(2)))); // NULL
    s = sample_of(STR("SELECT true"), &a);
    assert_true(takes(&s, message(&a, "wwdd", N(1), N(1), N(0), N(0))));
    assert_false(takes(&s, message(&a, "wwdd", N(1), N(1), N(0), N(2))));
    assert_false(takes(&s, message(&a, "wwdd", N(1), N(1), N(2), N(0))));
    s = sample_of(STR("SELECT 1::UNION(a INTEGER)"), &a);
    assert_true(takes(&s, message(&a, "wwdddw", N(1), N(1), N(0), N(0), N(0), N(7))));
    assert_false(takes(&s, message(&a, "wwdddw", N(1), N(1), N(0), N(1), N(0), N(7))));
    s = sample_of(STR("SELECT MAP {1::TINYINT: 2::TINYINT}"), &a);
    assert_true(takes(&s, message(&a, "wwdqdddd", N(1), N(1), N(0), N(1), N(0), N(1), N(0), N(2))));
    assert_false(
        takes(&s, message(&a, "wwdqdqddd", N(1), N(1), N(0), N(1), N(1), N(0), N(1), N(0), N(2))));
    s = sample_of(STR("SELECT 'text'"), &a);
    assert_true(takes(&s, message(&a, "wwds", N(1), N(1), N(0), T("\xC3\xA9"))));
    assert_false(takes(&s, message(&a, "wwds", N(1), N(1), N(0), T("\xC3"))));
    s = sample_of(STR("SELECT 'text'::BLOB"), &a);
    assert_true(takes(&s, message(&a, "wwds", N(1), N(1), N(0), T("\xC3"))));
    s = sample_of(STR("SELECT '1'::BIT"), &a);
    assert_true(takes(&s, message(&a, "wwds", N(1), N(1), N(0), T("\7\1"))));
    assert_false(takes(&s, message(&a, "wwds", N(1), N(1), N(0), T("\10\1"))));
    assert_false(takes(&s, message(&a, "wwds", N(1), N(1), N(0), T(""))));
}

static void a_chunk_has_its_columns_and_few_rows(void **state) {
    (void)state;
    DEFER(arena_release) struct arena a = ARENA(1 << 20);
    struct sample s =
        sample_by_hand(message(&a, "wsds", N(1), T("c"), N(VEC_NULLTYPE), T("NULL")), &a);
    assert_true(takes(&s, message(&a, "wwd", N(1), N(0), N(1))));
    assert_false(takes(&s, message(&a, "wwd", N(1), N(0), N(0))));
    assert_false(takes(&s, message(&a, "wwd", N(2), N(0), N(1))));
    assert_false(takes(&s, message(&a, "ww", N(0), N(0))));
    DEFER(buf_release) struct buf b = BUF(1 << 20);
    for (size_t rows = WIRE_ROWS_MAX; rows <= WIRE_ROWS_MAX + 1; rows++) {
        buf_reset(&b);
        buf_add_str(&b, message(&a, "wwd", N(1), N(rows), N(1)));
        for (size_t i = 0; i < (rows + 63) / 64; i++) {
            buf_add_str(&b, message(&a, "q", N(0)));
        }
        assert_int_equal(takes(&s, buf_str(&b)), rows == WIRE_ROWS_MAX);
    }
}

// Rows that share one list: nothing is allocated for what they would come to.
static void what_does_not_fit_is_not_begun(void **state) {
    (void)state;
    DEFER(rows_closep) struct rows *r = NULL;
    DEFER(buf_release) struct buf out = BUF(1 << 16);
    const struct vec_chunk *chunk = NULL;
    OK(session_query(session, STR("SELECT range(1000) FROM range(2048)"), &r, &err));
    OK(rows_next(r, &chunk, &err));
    wire_write_chunk(chunk, &out);
    assert_true(out.overflow);
    // Lists of a size that no memory holds: what is written says so before it is begun.
    struct vec_list lists[2] = {{0, UINT64_C(1) << 40}, {0, UINT64_C(1) << 40}};
    struct vec_type item = {.kind = VEC_INT8};
    const struct vec_type type = {.kind = VEC_LIST, .children = &item, .child_count = 1};
    const struct vec child = {.type = &item};
    const struct vec v = {.type = &type, .data = lists, .children = &child};
    buf_reset(&out);
    wire_write_chunk(&(struct vec_chunk){.rows = 2, .column_count = 1, .columns = &v}, &out);
    assert_true(out.overflow);
}

static void a_message_that_is_there_can_be_late_too(void **state) {
    (void)state;
    DEFER(buf_release) struct buf out = BUF(1 << 10);
    DEFER(buf_release) struct buf in = BUF(1 << 10);
    enum message kind = MESSAGE_END;
    int ends[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    message_end(message_begin(MESSAGE_NEXT, &out), &out);
    assert_int_equal(message_send(ends[0], buf_str(&out), 0), MESSAGE_DONE);
    assert_int_equal(message_receive(ends[1], 1, &kind, &in), MESSAGE_LATE);
    assert_int_equal(message_receive(ends[1], 0, &kind, &in), MESSAGE_DONE);
    assert_int_equal(kind, MESSAGE_NEXT);
    (void)close(ends[0]);
    (void)close(ends[1]);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_message_that_is_there_can_be_late_too),
        cmocka_unit_test(every_kind_comes_back_as_it_was),
        cmocka_unit_test(long_enums_come_back),
        cmocka_unit_test(no_bytes_lead_the_reader_outside),
        cmocka_unit_test(no_beginning_of_a_message_is_one),
        cmocka_unit_test(nulls_of_no_type_come_back),
        cmocka_unit_test(lists_of_nothing_take_room_too),
        cmocka_unit_test(types_that_cannot_be_are_refused),
        cmocka_unit_test(types_are_nested_only_so_deep),
        cmocka_unit_test(types_in_one_another_share_what_bytes_there_are),
        cmocka_unit_test(values_that_cannot_be_are_refused),
        cmocka_unit_test(a_chunk_has_its_columns_and_few_rows),
        cmocka_unit_test(what_does_not_fit_is_not_begun),
    };
    return cmocka_run_group_tests(tests, open_engine, close_engine);
}
