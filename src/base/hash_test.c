// Hashes against published vectors; ids, tokens and their alphabets.
#include "base/hash.h"

#include "base/clock.h"
#include "base/threads.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void assert_hex(struct sha256 h, const char *expected) {
    DEFER(arena_release) struct arena a = ARENA(4096);
    const struct str hex = hex_sha256(h, &a);
    assert_int_equal(hex.len, HEX_SHA256_LEN);
    assert_string_equal(hex.ptr, expected);
}

static void sha256_gives_the_published_digests(void **state) {
    (void)state;
    assert_hex(sha256(STR_NONE),
               "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    assert_hex(sha256(STR("abc")),
               "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

// RFC 4231, test cases 1, 2 and 6.
static void hmac_gives_the_published_digests(void **state) {
    (void)state;
    char key[131];
    memset(key, 0x0B, 20);
    assert_hex(hmac_sha256((struct str){key, 20}, STR("Hi There")),
               "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
    assert_hex(hmac_sha256(STR("Jefe"), STR("what do ya want for nothing?")),
               "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    memset(key, 0xAA, sizeof(key));
    assert_hex(hmac_sha256((struct str){key, sizeof(key)},
                           STR("Test Using Larger Than Block-Size Key - Hash Key First")),
               "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
    assert_hex(hmac_sha256(STR_NONE, STR_NONE),
               "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad");
}

static void a_key_taken_in_once_gives_the_same(void **state) {
    (void)state;
    DEFER(hmac_freep) struct hmac *h = hmac_new(STR("Jefe"));
    for (int i = 0; i < 3; i++) {
        assert_hex(hmac_of(h, STR("what do ya want for nothing?")),
                   "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
        const struct sha256 empty = hmac_sha256(STR("Jefe"), STR_NONE);
        const struct sha256 other = hmac_of(h, STR_NONE);
        assert_memory_equal(other.bytes, empty.bytes, sizeof(empty.bytes));
    }
    DEFER(hmac_freep) struct hmac *none = hmac_new(STR_NONE);
    assert_hex(hmac_of(none, STR_NONE),
               "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad");
    hmac_free(NULL);
}

// Around the length of a block, where keys are hashed and texts take one block more.
static void a_key_taken_in_once_gives_the_same_at_every_length(void **state) {
    (void)state;
    char bytes[200];
    for (size_t i = 0; i < sizeof(bytes); i++) {
        bytes[i] = (char)(i * 37);
    }
    for (size_t key = 0; key < sizeof(bytes); key += key < 60 || key > 70 ? 13 : 1) {
        const struct str k = {bytes, key};
        DEFER(hmac_freep) struct hmac *h = hmac_new(k);
        for (size_t len = 0; len <= sizeof(bytes); len++) {
            const struct sha256 expected = hmac_sha256(k, (struct str){bytes, len});
            const struct sha256 got = hmac_of(h, (struct str){bytes, len});
            assert_memory_equal(got.bytes, expected.bytes, sizeof(got.bytes));
        }
    }
}

static void *hash_many(void *arg) {
    const struct hmac *h = arg;
    for (int i = 0; i < 2000; i++) {
        const struct str text = {(const char *)&i, sizeof(i)};
        const struct sha256 expected = hmac_sha256(STR("Jefe"), text);
        const struct sha256 got = hmac_of(h, text);
        if (memcmp(got.bytes, expected.bytes, sizeof(got.bytes)) != 0) {
            return arg;
        }
    }
    return NULL;
}

static void threads_may_share_a_key(void **state) {
    (void)state;
    DEFER(hmac_freep) struct hmac *h = hmac_new(STR("Jefe"));
    pthread_t threads[4];
    for (size_t i = 0; i < ARRAY_LEN(threads); i++) {
        threads[i] = threads_start("hash", hash_many, h);
    }
    for (size_t i = 0; i < ARRAY_LEN(threads); i++) {
        void *wrong = NULL;
        assert_int_equal(pthread_join(threads[i], &wrong), 0);
        assert_null(wrong);
    }
}

static void a_stream_gives_the_digest_of_the_whole(void **state) {
    (void)state;
    struct sha256_stream *h = sha256_stream_new();
    sha256_stream_add(h, "a", 1);
    sha256_stream_add(h, NULL, 0);
    sha256_stream_add(h, "bc", 2);
    assert_hex(sha256_stream_end(h),
               "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    sha256_stream_free(sha256_stream_new());
    sha256_stream_free(NULL);
}

static void hex_reads_back_and_refuses_the_rest(void **state) {
    (void)state;
    DEFER(arena_release) struct arena a = ARENA(4096);
    const uint8_t bytes[] = {0x00, 0x7F, 0xAB, 0xFF};
    assert_string_equal(hex_bytes(bytes, sizeof(bytes), &a).ptr, "007fabff");
    assert_int_equal(hex_bytes(NULL, 0, &a).len, 0);
    uint8_t again[4] = {9, 9, 9, 9};
    assert_false(hex_decode(STR("007fabfg"), again, 4));
    assert_false(hex_decode(STR("007fabf"), again, 4));
    assert_false(hex_decode(STR("007fabff00"), again, 4));
    assert_false(hex_decode(STR("007fab"), again, 4));
    assert_int_equal(again[0], 9);
    assert_true(hex_decode(STR("007fABff"), again, 4));
    assert_memory_equal(again, bytes, 4);
    assert_true(hex_decode(STR_NONE, again, 0));
}

static void secrets_are_equal_or_not(void **state) {
    (void)state;
    assert_true(secret_eq(STR("token"), STR("token")));
    assert_false(secret_eq(STR("token"), STR("tokem")));
    assert_false(secret_eq(STR("token"), STR("toke")));
    assert_true(secret_eq(STR_NONE, STR("")));
}

static void assert_alphabet(struct str s, const char *alphabet) {
    for (size_t i = 0; i < s.len; i++) {
        assert_non_null(strchr(alphabet, s.ptr[i]));
    }
}

static int64_t wall_now;

static int64_t fixed_wall(void) {
    return wall_now;
}

static void ids_sort_by_the_time_of_their_making(void **state) {
    (void)state;
    DEFER(arena_release) struct arena a = ARENA(1 << 20);
    struct str last = STR_NONE;
    for (int i = 0; i < 100; i++) {
        wall_now = INT64_C(1795339800000000) + i * 1000;
        clock_set_wall(fixed_wall);
        const struct str id = id_new(&a);
        assert_int_equal(id.len, 26);
        assert_alphabet(id, "0123456789ABCDEFGHJKMNPQRSTVWXYZ");
        assert_true(str_cmp(last, id) < 0);
        last = id;
    }
    clock_set_wall(NULL);
}

// The example of the ULID specification: 1469918176385 ms.
static void an_id_begins_with_its_milliseconds(void **state) {
    (void)state;
    DEFER(arena_release) struct arena a = ARENA(4096);
    wall_now = INT64_C(1469918176385000);
    clock_set_wall(fixed_wall);
    const struct str one = id_new(&a);
    const struct str two = id_new(&a);
    clock_set_wall(NULL);
    assert_true(str_starts(one, STR("01ARYZ6S41")));
    assert_true(str_starts(two, STR("01ARYZ6S41")));
    assert_false(str_eq(one, two));
}

static void a_uuid_has_version_and_variant(void **state) {
    (void)state;
    DEFER(arena_release) struct arena a = ARENA(4096);
    const struct str uuid = uuid_new(&a);
    assert_int_equal(uuid.len, 36);
    assert_alphabet(uuid, "0123456789abcdef-");
    assert_int_equal(uuid.ptr[8], '-');
    assert_int_equal(uuid.ptr[14], '4');
    assert_non_null(strchr("89ab", uuid.ptr[19]));
    assert_false(str_eq(uuid, uuid_new(&a)));
}

static void tokens_of_one_size_have_one_length(void **state) {
    (void)state;
    DEFER(arena_release) struct arena a = ARENA(1 << 20);
    for (int i = 0; i < 100; i++) {
        const struct str text = random_text(32, &a);
        assert_int_equal(text.len, 43);
        assert_alphabet(text, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz");
        assert_false(str_eq(text, random_text(32, &a)));
    }
    assert_int_equal(random_text(16, &a).len, 22);
    assert_int_equal(random_text(0, &a).len, 0);
}

static void random_bytes_differ(void **state) {
    (void)state;
    char a[64] = {0};
    char b[64] = {0};
    random_bytes(a, sizeof(a));
    random_bytes(b, sizeof(b));
    assert_memory_not_equal(a, b, sizeof(a));
    assert_true(random_u64() != random_u64());
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sha256_gives_the_published_digests),
        cmocka_unit_test(hmac_gives_the_published_digests),
        cmocka_unit_test(a_key_taken_in_once_gives_the_same),
        cmocka_unit_test(a_key_taken_in_once_gives_the_same_at_every_length),
        cmocka_unit_test(threads_may_share_a_key),
        cmocka_unit_test(a_stream_gives_the_digest_of_the_whole),
        cmocka_unit_test(hex_reads_back_and_refuses_the_rest),
        cmocka_unit_test(secrets_are_equal_or_not),
        cmocka_unit_test(ids_sort_by_the_time_of_their_making),
        cmocka_unit_test(an_id_begins_with_its_milliseconds),
        cmocka_unit_test(a_uuid_has_version_and_variant),
        cmocka_unit_test(tokens_of_one_size_have_one_length),
        cmocka_unit_test(random_bytes_differ),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
