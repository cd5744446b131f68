// What the two halves of the Arrow encoder share: messages on one side, buffers on the other.
#pragma once

#include "encode/encode_int.h"
#include "encode/flatbuf.h"

struct arrow_state {
    struct encoder *encoder;
    struct flatbuf flatbuf;
    size_t node_count, buffer_count; // of each record batch
    size_t batch_bytes;              // of a record batch's message before its body
    struct buf message;
};

struct arrow_batch {
    size_t rows;
    const int64_t *nodes, *buffers; // pairs
    size_t body_bytes;
};

void arrow_open(struct encoder *e); // makes e->state
void arrow_schema_message(struct encoder *e, struct buf *out);
// Both with the 8 bytes before the metadata and the padding behind; lives until the next call.
struct str arrow_batch_message(struct arrow_state *s, const struct arrow_batch *batch);
