// Arrow IPC, streams and files: bytes in, arrays of the C data interface out.
//
// The bytes are a client's. Every offset, length, count and index is checked here, and text is
// UTF-8, so that what comes out can be trusted. Types that are not read are ERR_UNSUPPORTED, damage
// is ERR_DATA. A file is read as the stream that it contains.
//
// The reader borrows the bytes. Threads: one at a time.
#pragma once

#include "engine/arrow.h"

#define ARROW_FIELDS_MAX 10000
#define ARROW_DEPTH_MAX 32

enum arrow_layout {
    ARROW_NOTHING, // the null type: no buffers
    ARROW_BITS,    // one buffer of values, each `bits` wide
    ARROW_BYTES,   // offsets and bytes; text too
    ARROW_LIST,    // lists and maps: offsets and a child
    ARROW_FIXED_LIST,
    ARROW_STRUCT,
};

struct arrow_field {
    struct str name;
    enum arrow_layout layout;
    int64_t bits;     // of BITS; of an offset of BYTES and LIST; elements of FIXED_LIST
    bool text;        // BYTES are UTF-8
    int precision;    // of decimals; 0: none
    int64_t max;      // values lie in 0 to max - 1 (times of day); 0: any
    const char *form; // in the C data interface
    struct str sql;   // the type
    struct arrow_field *children;
    size_t child_count;
    int64_t dictionary_id; // when index_bits > 0
    int64_t index_bits;
    bool index_signed;
    struct ArrowArray *dictionary; // as it is now
    struct arena dictionary_arena; // its; in use when there is one
};

struct arrow_reader {
    struct str data;
    size_t at;
    bool file;          // not a stream
    struct arena *meta; // as long as the reader
    struct arrow_field root;
    struct arrow_field *dictionaries[ARROW_FIELDS_MAX];
    size_t dictionary_count, field_count;
};

// Reads the schema. The reader is zeroed before, and released also after a failure.
MUST_CHECK enum err_code arrow_read_open(struct arrow_reader *r, struct str data, struct arena *a,
                                         struct err *err);
// The next batch as a struct array in a; NULL after the last one.
MUST_CHECK enum err_code arrow_read_next(struct arrow_reader *r, struct arena *a,
                                         struct ArrowArray **ret, struct err *err);
void arrow_read_release(struct arrow_reader *r);
// The schema for the engine, in the reader's arena.
struct ArrowSchema *arrow_read_schema(struct arrow_reader *r);
