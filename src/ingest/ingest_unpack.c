// Recognising files by their first bytes and names, and unpacking gzip and zstd.
#include "ingest/ingest_int.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#define IN_BYTES (256 << 10)
#define OUT_BYTES (1 << 20)

static const struct magic {
    const char *bytes;
    size_t len;
    enum detect_kind kind;
    const char *name;
} magics[] = {
    {"PAR1", 4, DETECT_PARQUET, NULL},
    {"\x1F\x8B", 2, DETECT_GZIP, NULL},
    {"\x28\xB5\x2F\xFD", 4, DETECT_ZSTD, NULL},
    {"PARE", 4, DETECT_OTHER, "an encrypted Parquet file"},
    {"PK\x03\x04", 4, DETECT_OTHER, "a ZIP archive (or an Excel workbook)"},
    {"BZh", 3, DETECT_OTHER, "a bzip2 file"},
    {"\xFD"
     "7zXZ",
     5, DETECT_OTHER, "an xz file"},
    {"7z\xBC\xAF", 4, DETECT_OTHER, "a 7-Zip archive"},
    {"ORC", 3, DETECT_OTHER, "an ORC file"},
    {"Obj\x01", 4, DETECT_OTHER, "an Avro file"},
    {"ARROW1", 6, DETECT_ARROW, NULL},
    {"\xFF\xFF\xFF\xFF", 4, DETECT_ARROW, NULL},
    {"SQLite format 3", 15, DETECT_OTHER, "an SQLite database"},
    {"%PDF", 4, DETECT_OTHER, "a PDF document"},
    {"\xD0\xCF\x11\xE0", 4, DETECT_OTHER, "an old Excel workbook"},
};

static const struct suffix {
    const char *text;
    enum ingest_format format;
} suffixes[] = {
    {".csv", INGEST_CSV},      {".tsv", INGEST_TSV},         {".tab", INGEST_TSV},
    {".txt", INGEST_CSV},      {".json", INGEST_JSON},       {".ndjson", INGEST_NDJSON},
    {".jsonl", INGEST_NDJSON}, {".parquet", INGEST_PARQUET}, {".pq", INGEST_PARQUET},
    {".arrow", INGEST_ARROW},  {".arrows", INGEST_ARROW},    {".feather", INGEST_ARROW},
};

enum detect_kind detect_bytes(struct str head, const char **ret_name) {
    for (size_t i = 0; i < ARRAY_LEN(magics); i++) {
        const struct magic *m = &magics[i];
        if (str_starts(head, (struct str){m->bytes, m->len})) {
            *ret_name = m->name;
            return m->kind;
        }
    }
    if (str_starts(head, STR("\xEF\xBB\xBF"))) {
        head = str_slice(head, 3, head.len);
    }
    head = str_trim(head);
    return head.len > 0 && (head.ptr[0] == '{' || head.ptr[0] == '[') ? DETECT_JSON : DETECT_TEXT;
}

static bool ends_nocase(struct str s, struct str suffix) {
    return s.len >= suffix.len && str_eq_nocase(str_slice(s, s.len - suffix.len, s.len), suffix);
}

enum ingest_format detect_name(struct str filename) {
    static const char *const packed[] = {".gz", ".zst", ".zstd", ".gzip"};
    for (size_t i = 0; i < ARRAY_LEN(packed); i++) {
        const struct str end = str_from(packed[i]);
        if (ends_nocase(filename, end)) {
            filename.len -= end.len;
            break;
        }
    }
    for (size_t i = 0; i < ARRAY_LEN(suffixes); i++) {
        if (ends_nocase(filename, str_from(suffixes[i].text))) {
            return suffixes[i].format;
        }
    }
    return INGEST_AUTO;
}

bool detect_wide(struct str head) {
    return str_starts(head, STR("\xFF\xFE")) || str_starts(head, STR("\xFE\xFF")) ||
           str_starts(head, (struct str){"\0\0\xFE\xFF", 4});
}

// Between the packed and the unpacked file.
struct unpack {
    struct ingest_upload *upload;
    int in, out;
    bool scanning;
    struct str input; // what was read and is not used yet
    bool eof;
    int64_t out_bytes;
    unsigned char in_buf[IN_BYTES];
    unsigned char out_buf[OUT_BYTES];
};

static void unpack_freep(struct unpack **u) {
    closep(&(*u)->in);
    closep(&(*u)->out);
    free(*u);
}

static enum err_code need_input(struct unpack *u, struct err *err) {
    if (u->input.len > 0 || u->eof) {
        return ERR_OK;
    }
    TRY(upload_check(u->upload, err));
    ssize_t got = 0;
    do {
        got = read(u->in, u->in_buf, sizeof(u->in_buf));
    } while (got < 0 && errno == EINTR);
    if (got < 0) {
        return err_errno(err, "cannot read the spool file");
    }
    u->eof = got == 0;
    u->input = (struct str){(const char *)u->in_buf, (size_t)got};
    return ERR_OK;
}

static enum err_code put_output(struct unpack *u, size_t len, struct err *err) {
    const int64_t max = u->upload->ingest->config->ingest_unpacked_max;
    const struct str piece = {(const char *)u->out_buf, len};
    if (u->out_bytes == 0) {
        const char *name = NULL;
        const enum detect_kind kind = detect_bytes(piece, &name);
        u->scanning = (kind == DETECT_TEXT || kind == DETECT_JSON) && !detect_wide(piece);
    }
    u->out_bytes += (int64_t)len;
    if (u->out_bytes > max) {
        return err_set(err, ERR_TOO_LARGE,
                       "the file is larger than %lld bytes when unpacked (ingest.unpacked_max)",
                       (long long)max);
    }
    if (u->scanning) {
        text_scan_add(&u->upload->scan, piece);
    }
    size_t done = 0;
    while (done < len) {
        const ssize_t n = write(u->out, u->out_buf + done, len - done);
        if (n < 0 && errno != EINTR) {
            return err_errno(err, "cannot write the spool file");
        }
        done += n > 0 ? (size_t)n : 0;
    }
    return ERR_OK;
}

static enum err_code bad_archive(const char *what, const char *reason, struct err *err) {
    return err_set(err, ERR_DATA, "the %s data are damaged: %s", what, reason);
}

// Zeros behind the last member are padding, as tapes have it.
static enum err_code only_padding(struct unpack *u, struct err *err) {
    while (u->input.len > 0) {
        for (size_t i = 0; i < u->input.len; i++) {
            if (u->input.ptr[i] != 0) {
                return bad_archive("gzip", "something else follows them", err);
            }
        }
        u->input = STR_NONE;
        TRY(need_input(u, err));
    }
    return ERR_OK;
}

// One call of the library; *ret_ended: a member is complete.
static enum err_code gzip_step(struct unpack *u, z_stream *z, bool *ret_ended, struct err *err) {
    z->next_in = (z_const Bytef *)u->in_buf + ((const unsigned char *)u->input.ptr - u->in_buf);
    z->avail_in = (uInt)u->input.len;
    z->next_out = u->out_buf;
    z->avail_out = sizeof(u->out_buf);
    const int code = inflate(z, Z_NO_FLUSH);
    u->input = str_slice(u->input, u->input.len - z->avail_in, u->input.len);
    TRY(put_output(u, sizeof(u->out_buf) - z->avail_out, err));
    *ret_ended = code == Z_STREAM_END;
    if (code != Z_OK && code != Z_STREAM_END && code != Z_BUF_ERROR) {
        return bad_archive("gzip", z->msg ? z->msg : "they cannot be unpacked", err);
    }
    return ERR_OK;
}

static void inflate_endp(z_stream *z) {
    (void)inflateEnd(z);
}

static enum err_code unpack_gzip(struct unpack *u, struct err *err) {
    DEFER(inflate_endp) z_stream z = {0};
    CHECK(inflateInit2(&z, 15 + 16) == Z_OK);
    bool inside = false; // a member
    for (;;) {
        TRY(need_input(u, err));
        if (u->input.len == 0 && inside && z.avail_out > 0) {
            return bad_archive("gzip", "they end too early", err);
        }
        if (u->input.len == 0 && !inside) {
            return ERR_OK;
        }
        if (!inside && u->input.ptr[0] != '\x1F') {
            return only_padding(u, err);
        }
        bool ended = false;
        TRY(gzip_step(u, &z, &ended, err));
        inside = !ended;
        if (ended) {
            CHECK(inflateReset(&z) == Z_OK);
        }
    }
}

static void zstd_freep(ZSTD_DCtx **z) {
    (void)ZSTD_freeDCtx(*z);
}

static enum err_code unpack_zstd(struct unpack *u, struct err *err) {
    DEFER(zstd_freep) ZSTD_DCtx *z = ZSTD_createDCtx();
    CHECK(z != NULL);
    size_t left = 0; // 0: between frames
    bool full = false;
    for (;;) {
        TRY(need_input(u, err));
        if (u->input.len == 0 && !full) {
            return left == 0 ? ERR_OK : bad_archive("zstd", "they end too early", err);
        }
        ZSTD_inBuffer in = {u->input.ptr, u->input.len, 0};
        ZSTD_outBuffer out = {u->out_buf, sizeof(u->out_buf), 0};
        left = ZSTD_decompressStream(z, &out, &in);
        if (ZSTD_isError(left)) {
            return bad_archive("zstd", ZSTD_getErrorName(left), err);
        }
        u->input = str_slice(u->input, in.pos, u->input.len);
        full = out.pos == out.size;
        TRY(put_output(u, out.pos, err));
    }
}

enum err_code unpack_file(struct ingest_upload *up, enum detect_kind kind, struct err *err) {
    DEFER(unpack_freep) struct unpack *u = xcalloc(1, sizeof(*u));
    u->upload = up;
    u->out = -1;
    const struct str path = upload_path(up, "unpacked");
    u->in = open(arena_cstr(&up->arena, up->path), O_RDONLY | O_CLOEXEC);
    if (u->in < 0) {
        return err_errno(err, "cannot read the spool file");
    }
    u->out = open(path.ptr, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (u->out < 0) {
        return err_errno(err, "cannot make a spool file");
    }
    up->scan = TEXT_SCAN;
    TRY(kind == DETECT_GZIP ? unpack_gzip(u, err) : unpack_zstd(u, err));
    text_scan_end(&up->scan);
    (void)unlink(arena_cstr(&up->arena, up->path));
    up->path = path;
    up->scanning = u->scanning;
    return ERR_OK;
}
