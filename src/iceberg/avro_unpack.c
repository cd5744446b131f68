// The codecs of Avro blocks, unpacking: raw deflate, zstandard, snappy.
//
// Source: Apache Avro 1.11 specification, "Required Codecs" and "Optional Codecs". What is unpacked
// may not be longer than the caller allows, whatever the packed bytes promise.
#include "iceberg/avro_int.h"

#include <snappy-c.h>
#define ZLIB_CONST // next_in is const
#include <zlib.h>
#include <zstd.h>

#define STEP_BYTES (64 << 10)
#define CRC_BYTES 4

static bool inflate_all(z_stream *z, struct buf *out) {
    int status = Z_OK;
    while (status == Z_OK) {
        char *room = buf_reserve(out, STEP_BYTES);
        if (!room) {
            return false;
        }
        z->next_out = (Bytef *)room;
        z->avail_out = STEP_BYTES;
        status = inflate(z, Z_NO_FLUSH);
        out->len += STEP_BYTES - z->avail_out;
        if (status == Z_BUF_ERROR || (status == Z_OK && !z->avail_in && z->avail_out)) {
            return false; // cut off
        }
    }
    return status == Z_STREAM_END; // Python writers leave bytes of a checksum behind it
}

static bool unpack_deflate(struct str packed, struct buf *out) {
    z_stream z = {0};
    if (packed.len > UINT32_MAX || inflateInit2(&z, -MAX_WBITS) != Z_OK) {
        return false;
    }
    z.next_in = (const Bytef *)packed.ptr;
    z.avail_in = (uInt)packed.len;
    bool ok = inflate_all(&z, out);
    (void)inflateEnd(&z);
    return ok;
}

static void free_zstd(ZSTD_DStream **z) {
    (void)ZSTD_freeDStream(*z);
}

static bool unpack_zstandard(struct str packed, struct buf *out) {
    DEFER(free_zstd) ZSTD_DStream *z = ZSTD_createDStream();
    CHECK(z);
    ZSTD_inBuffer in = {packed.ptr, packed.len, 0};
    size_t left = 1; // 0: a frame is complete
    while (in.pos < in.size || left != 0) {
        char *room = buf_reserve(out, STEP_BYTES);
        if (!room) {
            return false;
        }
        ZSTD_outBuffer step = {room, STEP_BYTES, 0};
        left = ZSTD_decompressStream(z, &step, &in);
        if (ZSTD_isError(left)) {
            return false;
        }
        out->len += step.pos;
        if (left != 0 && in.pos == in.size && step.pos < step.size) {
            return false; // cut off
        }
    }
    return true;
}

// Snappy's own format, and behind it the CRC-32 of the unpacked bytes, big-endian.
static bool unpack_snappy(struct str packed, struct buf *out) {
    size_t len = 0;
    if (packed.len < CRC_BYTES) {
        return false;
    }
    size_t packed_len = packed.len - CRC_BYTES;
    if (snappy_validate_compressed_buffer(packed.ptr, packed_len) != SNAPPY_OK ||
        snappy_uncompressed_length(packed.ptr, packed_len, &len) != SNAPPY_OK) {
        return false;
    }
    char *room = buf_reserve(out, len);
    if (!room || snappy_uncompress(packed.ptr, packed_len, room, &len) != SNAPPY_OK) {
        return false;
    }
    out->len += len;
    uint32_t stored = 0;
    for (size_t i = 0; i < CRC_BYTES; i++) {
        stored = stored << 8 | (uint8_t)packed.ptr[packed_len + i];
    }
    return crc32_z(0, (const Bytef *)room, len) == stored;
}

bool avro_unpack(enum avro_block_codec codec, struct str packed, struct buf *out) {
    switch (codec) {
    case AVRO_BLOCK_NULL:
        buf_add_str(out, packed);
        return !out->overflow;
    case AVRO_BLOCK_DEFLATE:
        return unpack_deflate(packed, out);
    case AVRO_BLOCK_ZSTANDARD:
        return unpack_zstandard(packed, out);
    case AVRO_BLOCK_SNAPPY:
        return unpack_snappy(packed, out);
    }
    return false;
}
