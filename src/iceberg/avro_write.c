// Avro container files, writing: values into blocks, blocks into a file.
//
//   offset  bytes
//   0       "Obj" 0x01
//   4       header map: zigzag(number of pairs), then (key, value) as length and bytes, then 0
//   ..      16 sync bytes, random
//   ..      blocks: zigzag(number of records), zigzag(bytes), data, the 16 sync bytes
//
// A long is a zigzag varint, bytes and strings are zigzag(length) and bytes, a boolean is one byte,
// float and double are little-endian, a union is zigzag(branch) and the value, an array is
// zigzag(count), items, 0. The data of a block is the records, or their raw deflate (RFC 1951).
#include "iceberg/avro_int.h"

#include "base/hash.h"

#include <stdlib.h>
#define ZLIB_CONST // next_in is const
#include <zlib.h>

#define SYNC_BYTES 16
#define BLOCK_BYTES (4 << 20)       // a block is closed when it has grown past this
#define BLOCK_BYTES_MAX (256 << 20) // one record may make a block this large
#define FILE_BYTES_MAX (1024 << 20)
// A file with less in it is not packed: it would not get smaller by much, and hyparquet-compressors
// 1.1.1 loops over the fixed Huffman codes that deflate takes for little data.
#define PACKED_BYTES_MIN 4096

struct avro_writer {
    enum avro_codec codec;
    struct buf head; // the header's pairs, but for the codec
    int64_t head_pairs;
    struct buf block;  // records since the last block
    struct buf blocks; // closed
    int64_t block_records;
    char sync[SYNC_BYTES];
};

void avro_encode_long(struct buf *out, int64_t v) {
    uint64_t zigzag = ((uint64_t)v << 1) ^ (v < 0 ? UINT64_MAX : 0);
    char bytes[10];
    size_t len = 0;
    while (zigzag > 0x7f) {
        bytes[len++] = (char)((zigzag & 0x7f) | 0x80);
        zigzag >>= 7;
    }
    bytes[len++] = (char)zigzag;
    buf_add(out, bytes, len);
}

void avro_encode_bytes(struct buf *out, struct str v) {
    avro_encode_long(out, (int64_t)v.len);
    buf_add_str(out, v);
}

void avro_add_columns(struct buf *out, const struct avro_column *columns, size_t count) {
    for (size_t i = 0; i < count; i++) {
        const struct avro_column *c = &columns[i];
        buf_printf(out, "%s{\"name\":\"%s\",\"type\":", i ? "," : "", c->name);
        buf_printf(out, c->optional ? "[\"null\",%s],\"default\":null" : "%s", c->type);
        buf_printf(out, ",\"field-id\":%d}", c->id);
    }
}

static void put_pair(struct buf *out, struct str key, struct str value) {
    avro_encode_bytes(out, key);
    avro_encode_bytes(out, value);
}

struct avro_writer *avro_writer_new(struct str schema_json, const struct avro_pair *meta,
                                    size_t meta_count, enum avro_codec codec) {
    struct avro_writer *w = xcalloc(1, sizeof(*w));
    w->codec = codec;
    w->head = BUF(FILE_BYTES_MAX);
    w->block = BUF(BLOCK_BYTES_MAX);
    w->blocks = BUF(FILE_BYTES_MAX);
    random_bytes(w->sync, sizeof(w->sync));
    put_pair(&w->head, STR("avro.schema"), schema_json);
    for (size_t i = 0; i < meta_count; i++) {
        put_pair(&w->head, meta[i].key, meta[i].value);
    }
    w->head_pairs = (int64_t)meta_count + 1;
    return w;
}

void avro_writer_free(struct avro_writer *w) {
    if (!w) {
        return;
    }
    buf_release(&w->head);
    buf_release(&w->block);
    buf_release(&w->blocks);
    free(w);
}

void avro_writer_freep(struct avro_writer **w) {
    avro_writer_free(*w);
}

// Raw deflate of data, behind its length.
static void put_deflated(struct buf *out, struct str data) {
    z_stream z = {0};
    CHECK(deflateInit2(&z, Z_DEFAULT_COMPRESSION, Z_DEFLATED, -MAX_WBITS, 8, Z_DEFAULT_STRATEGY) ==
          Z_OK);
    DEFER(buf_release) struct buf packed = BUF(FILE_BYTES_MAX);
    size_t bound = deflateBound(&z, data.len);
    char *room = buf_reserve(&packed, bound);
    CHECK(room && bound <= UINT32_MAX && data.len <= UINT32_MAX);
    z.next_in = (const Bytef *)data.ptr;
    z.avail_in = (uInt)data.len;
    z.next_out = (Bytef *)room;
    z.avail_out = (uInt)bound;
    CHECK(deflate(&z, Z_FINISH) == Z_STREAM_END);
    packed.len += z.total_out;
    (void)deflateEnd(&z);
    avro_encode_bytes(out, buf_str(&packed));
}

static void close_block(struct avro_writer *w) {
    if (!w->block_records || w->block.overflow) {
        return;
    }
    avro_encode_long(&w->blocks, w->block_records);
    if (w->codec == AVRO_DEFLATE) {
        put_deflated(&w->blocks, buf_str(&w->block));
    } else {
        avro_encode_bytes(&w->blocks, buf_str(&w->block));
    }
    buf_add(&w->blocks, w->sync, sizeof(w->sync));
    buf_reset(&w->block);
    w->block_records = 0;
}

void avro_writer_record(struct avro_writer *w) {
    w->block_records++;
    if (w->block.len >= BLOCK_BYTES) {
        close_block(w);
    }
}

enum err_code avro_writer_finish(struct avro_writer *w, struct arena *a, struct str *ret,
                                 struct err *err) {
    if (!w->blocks.len && w->block.len < PACKED_BYTES_MIN) {
        w->codec = AVRO_NULL;
    }
    close_block(w);
    DEFER(buf_release) struct buf file = BUF(FILE_BYTES_MAX);
    buf_add(&file, "Obj\x01", 4);
    avro_encode_long(&file, w->head_pairs + 1);
    buf_add_str(&file, buf_str(&w->head));
    put_pair(&file, STR("avro.codec"), w->codec == AVRO_DEFLATE ? STR("deflate") : STR("null"));
    avro_encode_long(&file, 0);
    buf_add(&file, w->sync, sizeof(w->sync));
    buf_add_str(&file, buf_str(&w->blocks));
    if (w->head.overflow || w->block.overflow || w->blocks.overflow || file.overflow) {
        return err_set(err, ERR_TOO_LARGE, "an Avro file would become too large");
    }
    *ret = arena_str(a, buf_str(&file));
    return ERR_OK;
}

void avro_put_long(struct avro_writer *w, int64_t v) {
    avro_encode_long(&w->block, v);
}

void avro_put_bool(struct avro_writer *w, bool v) {
    buf_add_char(&w->block, v ? 1 : 0);
}

static void put_little_endian(struct buf *out, uint64_t bits, size_t len) {
    for (size_t i = 0; i < len; i++) {
        buf_add_char(out, (char)(bits >> (8 * i) & 0xff));
    }
}

void avro_put_float(struct avro_writer *w, float v) {
    uint32_t bits = 0;
    memcpy(&bits, &v, sizeof(bits));
    put_little_endian(&w->block, bits, sizeof(bits));
}

void avro_put_double(struct avro_writer *w, double v) {
    uint64_t bits = 0;
    memcpy(&bits, &v, sizeof(bits));
    put_little_endian(&w->block, bits, sizeof(bits));
}

void avro_put_bytes(struct avro_writer *w, struct str v) {
    avro_encode_bytes(&w->block, v);
}

void avro_put_fixed(struct avro_writer *w, struct str v) {
    buf_add_str(&w->block, v);
}
