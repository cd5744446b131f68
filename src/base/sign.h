// Signatures: Ed25519 (RFC 8032), OpenSSL behind this one door.
//
// A key pair is made from a seed of 32 random bytes. A signature is always the same for the same
// seed and data; one that was altered in any bit, or is written another way, does not verify.
//
// Threads: any.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

#define SIGN_KEY_BYTES 32
#define SIGN_BYTES 64

void sign_public_key(const uint8_t seed[SIGN_KEY_BYTES], uint8_t ret[SIGN_KEY_BYTES]);
void sign_data(const uint8_t seed[SIGN_KEY_BYTES], struct str data, uint8_t ret[SIGN_BYTES]);
// False also for a public key that is none.
bool sign_verify(const uint8_t public_key[SIGN_KEY_BYTES], struct str data,
                 const uint8_t signature[SIGN_BYTES]);
