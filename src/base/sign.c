// Ed25519 with OpenSSL.
#include "base/sign.h"

#include <openssl/err.h>
#include <openssl/evp.h>

static void key_freep(EVP_PKEY **key) {
    EVP_PKEY_free(*key);
}

static void ctx_freep(EVP_MD_CTX **ctx) {
    EVP_MD_CTX_free(*ctx);
}

static const unsigned char *data_of(struct str s) {
    return (const unsigned char *)(s.ptr ? s.ptr : "");
}

static EVP_PKEY *key_of_seed(const uint8_t *seed) {
    EVP_PKEY *key = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, seed, SIGN_KEY_BYTES);
    CHECK(key != NULL);
    return key;
}

void sign_public_key(const uint8_t seed[SIGN_KEY_BYTES], uint8_t ret[SIGN_KEY_BYTES]) {
    DEFER(key_freep) EVP_PKEY *key = key_of_seed(seed);
    size_t len = SIGN_KEY_BYTES;
    CHECK(EVP_PKEY_get_raw_public_key(key, ret, &len) == 1);
    CHECK(len == SIGN_KEY_BYTES);
}

void sign_data(const uint8_t seed[SIGN_KEY_BYTES], struct str data, uint8_t ret[SIGN_BYTES]) {
    DEFER(key_freep) EVP_PKEY *key = key_of_seed(seed);
    DEFER(ctx_freep) EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    size_t len = SIGN_BYTES;
    CHECK(ctx != NULL && EVP_DigestSignInit(ctx, NULL, NULL, NULL, key) == 1);
    CHECK(EVP_DigestSign(ctx, ret, &len, data_of(data), data.len) == 1);
    CHECK(len == SIGN_BYTES);
}

// OpenSSL notes a failure with the thread; nobody else shall find it there.
bool sign_verify(const uint8_t public_key[SIGN_KEY_BYTES], struct str data,
                 const uint8_t signature[SIGN_BYTES]) {
    DEFER(key_freep)
    EVP_PKEY *key = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, public_key, SIGN_KEY_BYTES);
    DEFER(ctx_freep) EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    CHECK(ctx != NULL);
    const bool good = key != NULL && EVP_DigestVerifyInit(ctx, NULL, NULL, NULL, key) == 1 &&
                      EVP_DigestVerify(ctx, signature, SIGN_BYTES, data_of(data), data.len) == 1;
    ERR_clear_error();
    return good;
}
