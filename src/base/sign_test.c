// Signatures against the vectors of RFC 8032, section 7.1; and what was altered.
#include "base/sign.h"

#include "base/hash.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

struct vector {
    const char *seed, *public_key, *data, *signature;
};

static const struct vector vectors[] = {
    {"9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
     "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
     "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155"
     "5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b"},
    {"4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
     "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "72",
     "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
     "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"},
    {"c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
     "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025", "af82",
     "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac"
     "18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a"},
};

struct parsed {
    uint8_t seed[SIGN_KEY_BYTES], public_key[SIGN_KEY_BYTES], signature[SIGN_BYTES];
    char data[8];
    size_t len;
};

static struct parsed parse(const struct vector *v) {
    struct parsed p = {.len = strlen(v->data) / 2};
    assert_true(hex_decode(str_from(v->seed), p.seed, sizeof(p.seed)));
    assert_true(hex_decode(str_from(v->public_key), p.public_key, sizeof(p.public_key)));
    assert_true(hex_decode(str_from(v->signature), p.signature, sizeof(p.signature)));
    assert_true(hex_decode(str_from(v->data), p.data, p.len));
    return p;
}

static void keys_and_signatures_are_the_published_ones(void **state) {
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(vectors); i++) {
        const struct parsed p = parse(&vectors[i]);
        uint8_t key[SIGN_KEY_BYTES];
        uint8_t signature[SIGN_BYTES];
        sign_public_key(p.seed, key);
        assert_memory_equal(key, p.public_key, sizeof(key));
        sign_data(p.seed, (struct str){p.data, p.len}, signature);
        assert_memory_equal(signature, p.signature, sizeof(signature));
        assert_true(sign_verify(key, (struct str){p.data, p.len}, signature));
    }
}

static void any_altered_bit_is_found(void **state) {
    (void)state;
    struct parsed p = parse(&vectors[2]);
    const struct str data = {p.data, p.len};
    for (size_t bit = 0; bit < 8 * sizeof(p.signature); bit++) {
        const uint8_t mask = (uint8_t)(1U << bit % 8);
        p.signature[bit / 8] ^= mask;
        assert_false(sign_verify(p.public_key, data, p.signature));
        p.signature[bit / 8] ^= mask;
    }
    for (size_t bit = 0; bit < 8 * sizeof(p.public_key); bit++) {
        const uint8_t mask = (uint8_t)(1U << bit % 8);
        p.public_key[bit / 8] ^= mask;
        assert_false(sign_verify(p.public_key, data, p.signature));
        p.public_key[bit / 8] ^= mask;
    }
    for (size_t bit = 0; bit < 8 * p.len; bit++) {
        const char mask = (char)(1U << bit % 8);
        p.data[bit / 8] ^= mask;
        assert_false(sign_verify(p.public_key, data, p.signature));
        p.data[bit / 8] ^= mask;
    }
    assert_false(sign_verify(p.public_key, str_slice(data, 0, 1), p.signature));
    assert_true(sign_verify(p.public_key, data, p.signature));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_and_signatures_are_the_published_ones),
        cmocka_unit_test(any_altered_bit_is_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
