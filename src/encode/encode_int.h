// What the encoders share: the pieces of text that values are made of, and each format's functions.
#pragma once

#include "encode/encode.h"

// The longest text of a value that has a bounded one: an interval.
#define TEXT_MAX 96

enum text_style {
    TEXT_SQL, // 2026-11-22 09:30:00+00, 0044-03-15 (BC)
    TEXT_ISO, // 2026-11-22T09:30:00Z, -000043-03-15
};

// The text of a value whose kind has a bounded one: all but strings, BLOB, BIT, enumerations and
// nested ones, for which it returns NULL. Writes at most TEXT_MAX bytes without a NUL and returns
// the end. The row is not NULL. TEXT_ISO writes decimals as JSON wants them too, with a digit
// before the point.
char *text_bounded(const struct vec *v, size_t row, enum text_style style, char *at);

__int128 vec_hugeint(const struct vec *v, size_t row); // of a UHUGEINT: its bits
__int128 vec_decimal(const struct vec *v, size_t row);
struct str vec_symbol(const struct vec *v, size_t row); // of an ENUM
// The 16 bytes of a UUID in their written order.
void vec_uuid_bytes(const struct vec_i128 *v, uint8_t *ret);
// The '0' and '1' of a BIT.
void text_bit(struct str bits, struct buf *out);

// JSON text as one value on one line, copied without its white space. False, and nothing is
// written, when it is not well-formed: the engine lets [1,] and NaN pass as JSON.
bool json_embed(struct str text, struct buf *out);

// What a format does. `state` is its own, in the encoder's arena.
struct encode_ops {
    void (*open)(struct encoder *e);
    void (*head)(struct encoder *e, struct buf *out);
    enum err_code (*rows)(struct encoder *e, const struct encode_rows *rows, struct buf *out,
                          struct err *err);
    void (*tail)(struct encoder *e, struct buf *out);
};

extern const struct encode_ops encode_json_ops;
extern const struct encode_ops encode_csv_ops;
extern const struct encode_ops encode_arrow_ops;

struct encoder {
    struct encode_options options;
    const struct encode_ops *ops;
    struct arena arena;            // lives as long as the encoder
    struct arena scratch;          // reset with each chunk
    struct encode_column *columns; // names made different
    size_t column_count;
    void *state;
};
