// Hashes, HMAC, random bytes and their text forms (OpenSSL behind this one door).
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/str.h"

struct sha256 {
    uint8_t bytes[32];
};

struct sha256 sha256(struct str data);
struct sha256 hmac_sha256(struct str key, struct str data);

// Incremental SHA-256: _new, any number of _add, _end frees it and gives the digest.
struct sha256_stream;
struct sha256_stream *sha256_stream_new(void);
void sha256_stream_add(struct sha256_stream *h, const void *data, size_t len);
struct sha256 sha256_stream_end(struct sha256_stream *h);
void sha256_stream_free(struct sha256_stream *h); // takes NULL

// HMAC-SHA-256 of many texts under one key, which is taken in once: ten times as fast as
// hmac_sha256 for short ones. Never changed after it was made, so that any threads may use one.
struct hmac;
struct hmac *hmac_new(struct str key);
struct sha256 hmac_of(const struct hmac *h, struct str data);
void hmac_free(struct hmac *h); // takes NULL
void hmac_freep(struct hmac **h);

#define HEX_SHA256_LEN 64
struct str hex_sha256(struct sha256 h, struct arena *a); // 64 lower-case digits
struct str hex_bytes(const void *data, size_t len, struct arena *a);
void hex_write(const void *data, size_t len, char *ret); // 2*len digits, without a NUL
bool hex_decode(struct str hex, void *ret, size_t len);  // false unless exactly 2*len digits
bool secret_eq(struct str a, struct str b);              // constant time for equal lengths

void random_bytes(void *ret, size_t len); // from the kernel; aborts if it cannot
uint64_t random_u64(void);
// 26 characters that sort by time of making: request, query, transaction and job ids.
struct str id_new(struct arena *a);
// RFC 9562 version 4, lower case with dashes.
struct str uuid_new(struct arena *a);
// Base62 text of `bytes` random bytes (64 at most), for tokens: 43 characters for 32 bytes.
struct str random_text(size_t bytes, struct arena *a);
