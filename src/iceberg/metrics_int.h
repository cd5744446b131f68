// Inside of the metrics: texts and bytes of single values.
//
// Only files of this folder include this header.
#pragma once

#include "iceberg/metrics.h"

// Who wrote a text decides what it may look like: the engine its minima and maxima, a user a
// constant.
enum ice_text_source { ICE_TEXT_ENGINE, ICE_TEXT_NUMBER, ICE_TEXT_STRING };

// The text of one value as single-value bytes of t. False when it has no exact form. *ret_local:
// the text is a timestamptz without an offset, taken as UTC; may be NULL.
bool ice_text_value(const struct ice_type *t, struct str text, enum ice_text_source source,
                    struct arena *a, struct str *ret, bool *ret_local);

// Little-endian bytes of the low len bytes of bits, and back.
struct str ice_little_endian(uint64_t bits, size_t len, struct arena *a);
uint64_t ice_little_endian_bits(struct str bytes);
