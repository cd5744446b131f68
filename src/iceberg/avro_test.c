// Avro container files: what we write, what others wrote, and what is damaged.
#include "iceberg/avro.h"

#include "iceberg/golden_test.h"
#include "iceberg/support_test.h"

static const char numbers_schema[] =
    "{\"type\":\"record\",\"name\":\"r\",\"fields\":["
    "{\"name\":\"n\",\"type\":\"long\",\"field-id\":1},"
    "{\"name\":\"t\",\"type\":[\"null\",\"string\"],\"default\":null,\"field-id\":2},"
    "{\"name\":\"d\",\"type\":\"double\",\"field-id\":3},"
    "{\"name\":\"f\",\"type\":\"float\",\"field-id\":4},"
    "{\"name\":\"b\",\"type\":\"boolean\",\"field-id\":5},"
    "{\"name\":\"x\",\"type\":{\"type\":\"fixed\",\"name\":\"x2\",\"size\":2},\"field-id\":6},"
    "{\"name\":\"l\",\"type\":{\"type\":\"array\",\"items\":\"int\"},\"field-id\":7}]}";

static const int64_t edges[] = {0, -1, 1, 63, -64, 64, INT32_MAX, INT64_MAX, INT64_MIN};

// count records whose n goes through the edges again and again.
static struct str write_numbers(size_t count, enum avro_codec codec, struct arena *a) {
    const struct avro_pair meta[] = {{STR("who"), STR("test")}};
    DEFER(avro_writer_freep)
    struct avro_writer *w = avro_writer_new(str_from(numbers_schema), meta, 1, codec);
    for (size_t i = 0; i < count; i++) {
        avro_put_long(w, edges[i % ARRAY_LEN(edges)]);
        avro_put_long(w, i % 2);
        if (i % 2) {
            avro_put_bytes(w, STR("text"));
        }
        avro_put_double(w, -1.5);
        avro_put_float(w, 0.25F);
        avro_put_bool(w, i % 3 == 0);
        avro_put_fixed(w, STR("xy"));
        avro_put_long(w, 1);
        avro_put_long(w, 7);
        avro_put_long(w, 0);
        avro_writer_record(w);
    }
    struct err err = ERR_NONE;
    struct str file = STR_NONE;
    ASSERT_OK(avro_writer_finish(w, a, &file, &err));
    return file;
}

static void assert_numbers(const struct avro_file *f, size_t count) {
    assert_int_equal(f->record_count, count);
    for (size_t i = 0; i < count; i++) {
        const struct avro_value *r = &f->records[i];
        assert_true(avro_by_id(r, 1)->i == edges[i % ARRAY_LEN(edges)]);
        assert_int_equal(avro_by_id(r, 2) != NULL, i % 2);
        assert_true(avro_by_id(r, 3)->d == -1.5);
        assert_true(avro_by_id(r, 4)->d == 0.25);
        assert_int_equal(avro_by_id(r, 5)->b, i % 3 == 0);
        ASSERT_STR(avro_by_id(r, 6)->s, STR("xy"));
        assert_int_equal(avro_by_id(r, 7)->array.items[0].i, 7);
        assert_null(avro_by_id(r, 8));
    }
}

static void what_is_written_is_read(void **state) {
    (void)state;
    static const struct {
        size_t count;
        enum avro_codec codec;
        const char *codec_name;
    } cases[] = {
        {0, AVRO_DEFLATE, "null"},       {9, AVRO_NULL, "null"},
        {9, AVRO_DEFLATE, "null"},                                          // too little to pack
        {1000, AVRO_DEFLATE, "deflate"}, {150000, AVRO_DEFLATE, "deflate"}, // more than one block
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        DEFER(arena_release) struct arena a = ARENA(1 << 30);
        struct err err = ERR_NONE;
        struct str data = write_numbers(cases[i].count, cases[i].codec, &a);
        struct avro_file f;
        ASSERT_OK(avro_read(data, STR("n.avro"), &a, &f, &err));
        assert_numbers(&f, cases[i].count);
        ASSERT_STR(avro_meta(&f, "avro.codec"), str_from(cases[i].codec_name));
        ASSERT_STR(avro_meta(&f, "who"), STR("test"));
        ASSERT_STR(avro_meta(&f, "nobody"), STR_NONE);
    }
}

static void other_writers_codecs_are_read(void **state) {
    (void)state;
    static const char *const files[] = {made_deflate, made_zstandard, made_snappy};
    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        DEFER(arena_release) struct arena a = ARENA(1 << 20);
        struct err err = ERR_NONE;
        struct avro_file f;
        ASSERT_OK(avro_read(unhex(files[i], &a), STR("x.avro"), &a, &f, &err));
        assert_int_equal(f.record_count, 8);
        for (int n = -2; n < 6; n++) {
            const struct avro_value *r = &f.records[n + 2];
            assert_int_equal(avro_by_id(r, 1)->i, n);
            assert_int_equal(avro_by_id(r, 2) == NULL, n == 3);
            const struct avro_value *map = avro_by_id(r, 3);
            assert_int_equal(map->array.count, 1);
            ASSERT_STR(avro_by_id(&map->array.items[0], 4)->s, STR("k"));
            assert_true(avro_by_id(&map->array.items[0], 5)->d == n / 2.0);
        }
    }
}

// A file with one block as the bytes say, and a schema of one field.
static struct str by_hand(const char *type, const char *codec, struct str block, struct arena *a) {
    struct buf out = BUF(1 << 20);
    buf_add(&out, "Obj\x01", 4);
    avro_encode_long(&out, codec ? 2 : 1);
    avro_encode_bytes(&out, STR("avro.schema"));
    avro_encode_bytes(&out, arena_printf(a,
                                         "{\"type\":\"record\",\"name\":\"r\",\"fields\":"
                                         "[{\"name\":\"v\",\"field-id\":1,\"type\":%s}]}",
                                         type));
    if (codec) {
        avro_encode_bytes(&out, STR("avro.codec"));
        avro_encode_bytes(&out, str_from(codec));
    }
    avro_encode_long(&out, 0);
    buf_add_cstr(&out, "0123456789abcdef");
    avro_encode_long(&out, 1);
    avro_encode_bytes(&out, block);
    buf_add_cstr(&out, "0123456789abcdef");
    struct str file = arena_str(a, buf_str(&out));
    buf_release(&out);
    return file;
}

static void a_missing_codec_is_none_and_negative_counts_are_read(void **state) {
    (void)state;
    DEFER(arena_release) struct arena a = ARENA(1 << 20);
    struct err err = ERR_NONE;
    // Two blocks: -2 with a size of 2 bytes, then 1.
    struct str block = unhex("03040204020600", &a);
    struct str data = by_hand("{\"type\":\"array\",\"items\":\"long\"}", NULL, block, &a);
    struct avro_file f;
    ASSERT_OK(avro_read(data, STR("x"), &a, &f, &err));
    const struct avro_value *list = avro_by_id(&f.records[0], 1);
    assert_int_equal(list->array.count, 3);
    assert_int_equal(list->array.items[0].i, 1);
    assert_int_equal(list->array.items[2].i, 3);
}

static void named_types_are_found_again(void **state) {
    (void)state;
    DEFER(arena_release) struct arena a = ARENA(1 << 20);
    struct err err = ERR_NONE;
    struct str data = by_hand(
        "{\"type\":\"record\",\"name\":\"in\",\"namespace\":\"s.t\",\"fields\":["
        "{\"name\":\"a\",\"type\":{\"type\":\"fixed\",\"name\":\"two\",\"size\":2}},"
        "{\"name\":\"b\",\"type\":\"two\"},{\"name\":\"c\",\"type\":\"s.t.two\"},"
        "{\"name\":\"e\",\"type\":{\"type\":\"enum\",\"name\":\"e\",\"symbols\":[\"X\",\"Y\"]}}]}",
        "null", STR("aabbcc\x02"), &a);
    struct avro_file f;
    ASSERT_OK(avro_read(data, STR("x"), &a, &f, &err));
    const struct avro_value *in = avro_by_id(&f.records[0], 1);
    ASSERT_STR(in->record.fields[2].s, STR("cc"));
    ASSERT_STR(in->record.fields[3].s, STR("Y"));
}

static void assert_damaged(struct str data, enum err_code code) {
    DEFER(arena_release) struct arena a = ARENA(1 << 30);
    struct err err = ERR_NONE;
    struct avro_file f;
    assert_int_equal(avro_read(data, STR("bad.avro"), &a, &f, &err), code);
    assert_non_null(strstr(err.msg, "bad.avro"));
    assert_true(a.used < 64 << 20);
}

static void hostile_bytes_are_refused_at_little_cost(void **state) {
    (void)state;
    DEFER(arena_release) struct arena a = ARENA(1 << 20);
    static const struct {
        const char *type, *block;
    } cases[] = {
        {"\"long\"", ""},                       // cut off
        {"\"long\"", "ffffffffffffffffff7f"},   // more than 64 bits
        {"\"long\"", "0200"},                   // bytes left over
        {"\"int\"", "8080808010"},              // more than 32 bits
        {"\"string\"", "feffffffffffffffff01"}, // 2^63-1 bytes
        {"\"string\"", "01"},                   // -1 bytes
        {"\"string\"", "02ff"},                 // not UTF-8
        {"\"boolean\"", "02"},                  // neither
        {"[\"null\",\"int\"]", "04"},           // no such branch
        {"[\"null\",\"int\"]", "01"},           // branch -1
        {"{\"type\":\"enum\",\"name\":\"e\",\"symbols\":[]}", "00"},
        {"{\"type\":\"fixed\",\"name\":\"x\",\"size\":9000000000}", "00"},
        {"{\"type\":\"array\",\"items\":\"null\"}", "feffffffffffffffff01"},
        {"{\"type\":\"array\",\"items\":\"null\"}", "ffffffffffffffffff01"}, // INT64_MIN items
        {"\"r\"", "00"},                                                     // endless recursion
        {"{\"type\":\"array\",\"items\":\"r\"}", "0202020202020202"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        assert_damaged(by_hand(cases[i].type, "null", unhex(cases[i].block, &a), &a), ERR_CORRUPT);
    }
    assert_damaged(by_hand("\"nothing\"", "null", STR("x"), &a), ERR_CORRUPT);
    assert_damaged(by_hand("7", "null", STR("x"), &a), ERR_CORRUPT);
    assert_damaged(by_hand("\"long\"", "lzma", STR("x"), &a), ERR_UNSUPPORTED);
    assert_damaged(by_hand("\"long\"", "deflate", STR("x"), &a), ERR_CORRUPT);
    assert_damaged(by_hand("\"long\"", "zstandard", STR("x"), &a), ERR_CORRUPT);
    assert_damaged(by_hand("\"long\"", "snappy", STR("x"), &a), ERR_CORRUPT);
    assert_damaged(STR_NONE, ERR_CORRUPT);
    assert_damaged(STR("PAR1"), ERR_CORRUPT);
}

// Every prefix fails and every changed byte is either refused or harmless; the sanitizers watch.
static void damage_anywhere_is_no_crash(void **state) {
    (void)state;
    static const char *const files[] = {made_deflate, made_zstandard, made_snappy};
    uint64_t random = 42;
    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        DEFER(arena_release) struct arena a = ARENA(1 << 20);
        struct str whole = unhex(files[i], &a);
        for (size_t len = 0; len < whole.len - 1; len++) {
            DEFER(arena_release) struct arena scratch = ARENA(1 << 20);
            struct err err = ERR_NONE;
            struct avro_file f;
            enum err_code code = avro_read(str_slice(whole, 0, len), STR("x"), &scratch, &f, &err);
            assert_true(code == ERR_CORRUPT || (code == ERR_OK && f.record_count == 0));
        }
        for (int n = 0; n < 800; n++) {
            DEFER(arena_release) struct arena scratch = ARENA(1 << 20);
            char *bytes = arena_cstr(&scratch, whole);
            bytes[next_random(&random) % whole.len] = (char)next_random(&random);
            struct err err = ERR_NONE;
            struct avro_file f;
            (void)avro_read((struct str){bytes, whole.len}, STR("x"), &scratch, &f, &err);
        }
    }
}

static void snappy_needs_its_checksum(void **state) {
    (void)state;
    DEFER(arena_release) struct arena a = ARENA(1 << 20);
    struct str file = unhex(made_snappy, &a);
    char *bytes = arena_cstr(&a, file);
    bytes[file.len - 17] ^= 1; // the last byte before the sync marker
    assert_damaged(by_hand("\"long\"", "snappy", STR("\x01\0\x02\0\0\0\0"), &a), ERR_CORRUPT);
    assert_damaged((struct str){bytes, file.len}, ERR_CORRUPT);
}

// 300 MiB of zeros in 300 KiB.
static void a_bomb_is_refused(void **state) {
    (void)state;
    DEFER(arena_release) struct arena a = ARENA(1 << 30);
    DEFER(avro_writer_freep)
    struct avro_writer *w = avro_writer_new(STR("{\"type\":\"record\",\"name\":\"r\",\"fields\":[{"
                                                "\"name\":\"b\",\"type\":\"bytes\"}]}"),
                                            NULL, 0, AVRO_DEFLATE);
    struct str zeros = {arena_alloc(&a, 16 << 20), 16 << 20};
    for (int i = 0; i < 19; i++) {
        avro_put_bytes(w, zeros);
        avro_writer_record(w);
    }
    struct err err = ERR_NONE;
    struct str file = STR_NONE;
    ASSERT_OK(avro_writer_finish(w, &a, &file, &err));
    assert_true(file.len < 1 << 20);
    struct avro_file f;
    assert_int_equal(avro_read(file, STR("bomb"), &a, &f, &err), ERR_CORRUPT);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_read),
        cmocka_unit_test(other_writers_codecs_are_read),
        cmocka_unit_test(a_missing_codec_is_none_and_negative_counts_are_read),
        cmocka_unit_test(named_types_are_found_again),
        cmocka_unit_test(hostile_bytes_are_refused_at_little_cost),
        cmocka_unit_test(damage_anywhere_is_no_crash),
        cmocka_unit_test(snappy_needs_its_checksum),
        cmocka_unit_test(a_bomb_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
