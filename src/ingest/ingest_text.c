// Encodings: everything that is text becomes UTF-8.
#include "ingest/ingest_int.h"

#include <errno.h>
#include <fcntl.h>
#include <iconv.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/utf8.h"

#define CHUNK_BYTES ((size_t)1 << 20)

// What may be stated, and iconv's name for it. NULL: UTF-8 itself.
static const struct encoding {
    const char *name, *iconv;
} encodings[] = {
    {"utf-8", NULL},
    {"utf8", NULL},
    {"utf-16", "UTF-16LE"},
    {"utf-16le", "UTF-16LE"},
    {"utf-16be", "UTF-16BE"},
    {"utf-32", "UTF-32LE"},
    {"latin-1", "ISO-8859-1"},
    {"latin1", "ISO-8859-1"},
    {"iso-8859-1", "ISO-8859-1"},
    {"windows-1252", "WINDOWS-1252"},
    {"cp1252", "WINDOWS-1252"},
};

// Marks at the beginning. The longer ones come first.
static const struct mark {
    const char *bytes;
    size_t len;
    const char *iconv;
} marks[] = {
    {"\xFF\xFE\0\0", 4, "UTF-32LE"}, {"\0\0\xFE\xFF", 4, "UTF-32BE"}, {"\xFF\xFE", 2, "UTF-16LE"},
    {"\xFE\xFF", 2, "UTF-16BE"},     {"\xEF\xBB\xBF", 3, NULL},
};

static const struct encoding *find_encoding(struct str name) {
    for (size_t i = 0; i < ARRAY_LEN(encodings); i++) {
        if (str_eq_nocase(name, str_from(encodings[i].name))) {
            return &encodings[i];
        }
    }
    return NULL;
}

bool text_encoding_known(struct str encoding) {
    return find_encoding(encoding) != NULL;
}

// Is there a byte that is 0 or past ASCII among these 8?
static bool is_special(const char *p) {
    uint64_t w = 0;
    memcpy(&w, p, sizeof(w));
    const uint64_t ones = UINT64_C(0x0101010101010101);
    const uint64_t tops = UINT64_C(0x8080808080808080);
    return ((w | (w - ones)) & tops) != 0;
}

static void scan_char(struct text_scan *t, const char *p, size_t len, int64_t at, size_t *ret) {
    if (*p == 0) {
        t->nul = t->nul < 0 ? at : t->nul;
    }
    *ret = utf8_char_len(p, len);
    if (*ret == 0) {
        t->invalid = t->invalid < 0 ? at : t->invalid;
        t->invalid_count++;
        *ret = 1;
    } else if (*ret > 1) {
        t->valid_count++;
    }
}

// A character that the end of a piece cut in two: completes it from the next one. Returns how
// many bytes of that are done with.
static size_t scan_carried(struct text_scan *t, struct str piece) {
    size_t used = 0;
    while (t->carry_len > used) {
        while (t->carry_len < sizeof(t->carry) && used < piece.len) {
            t->carry[t->carry_len++] = (unsigned char)piece.ptr[used++];
        }
        if (t->carry_len < sizeof(t->carry)) {
            return used;
        }
        size_t n = 0;
        scan_char(t, (const char *)t->carry, t->carry_len,
                  t->bytes + (int64_t)used - (int64_t)t->carry_len, &n);
        t->carry_len -= n;
        memmove(t->carry, t->carry + n, t->carry_len);
    }
    used -= t->carry_len; // what is left came from this piece
    t->carry_len = 0;
    return used;
}

void text_scan_add(struct text_scan *t, struct str piece) {
    if (piece.len == 0) {
        return;
    }
    size_t at = t->carry_len > 0 ? scan_carried(t, piece) : 0;
    while (at < piece.len) {
        if (at + 8 <= piece.len && !is_special(piece.ptr + at)) {
            at += 8;
            continue;
        }
        const size_t left = piece.len - at;
        if (left < 4 && (piece.ptr[at] & 0x80) != 0) {
            memcpy(t->carry, piece.ptr + at, left);
            t->carry_len = left;
            break;
        }
        size_t n = 0;
        scan_char(t, piece.ptr + at, left, t->bytes + (int64_t)at, &n);
        at += n;
    }
    t->bytes += (int64_t)piece.len;
}

void text_scan_end(struct text_scan *t) {
    size_t at = 0;
    while (at < t->carry_len) {
        size_t n = 0;
        scan_char(t, (const char *)t->carry + at, t->carry_len - at,
                  t->bytes - (int64_t)(t->carry_len - at), &n);
        at += n;
    }
    t->carry_len = 0;
}

struct convert {
    int in, out;
    iconv_t iconv;
    char in_buf[CHUNK_BYTES];
    char out_buf[CHUNK_BYTES * 2];
};

static void convert_freep(struct convert **c) {
    closep(&(*c)->in);
    closep(&(*c)->out);
    if ((*c)->iconv && (*c)->iconv != (iconv_t)-1) { // NOLINT: what iconv_open gives
        (void)iconv_close((*c)->iconv);
    }
    free(*c);
}

static enum err_code write_all(int fd, const char *p, size_t len, struct err *err) {
    while (len > 0) {
        const ssize_t n = write(fd, p, len);
        if (n < 0 && errno != EINTR) {
            return err_errno(err, "cannot write the spool file");
        }
        p += n > 0 ? n : 0;
        len -= n > 0 ? (size_t)n : 0;
    }
    return ERR_OK;
}

// Converts what it can of the bytes in in_buf; *len are left over. at: position of the first one.
static enum err_code convert_chunk(struct ingest_upload *u, struct convert *c, size_t *len,
                                   int64_t at, bool last, struct err *err) {
    char *in = c->in_buf;
    size_t in_left = *len;
    while (in_left > 0) {
        char *out = c->out_buf;
        size_t out_left = sizeof(c->out_buf);
        errno = 0;
        const size_t code = iconv(c->iconv, &in, &in_left, &out, &out_left);
        const int reason = errno;
        const struct str made = {c->out_buf, (size_t)(out - c->out_buf)};
        text_scan_add(&u->scan, made);
        TRY(write_all(c->out, made.ptr, made.len, err));
        if (code != (size_t)-1 || reason == E2BIG) {
            continue;
        }
        if (reason == EINVAL && !last) {
            break;
        }
        return err_set(err, ERR_DATA, "byte %lld is not text in the encoding of the file",
                       (long long)(at + (in - c->in_buf)));
    }
    memmove(c->in_buf, in, in_left);
    *len = in_left;
    return ERR_OK;
}

static enum err_code convert_all(struct ingest_upload *u, struct convert *c, size_t skip,
                                 struct err *err) {
    int64_t at = (int64_t)skip;
    size_t len = 0;
    if (lseek(c->in, (off_t)skip, SEEK_SET) < 0) {
        return err_errno(err, "cannot read the spool file");
    }
    for (;;) {
        TRY(upload_check(u, err));
        const ssize_t got = read(c->in, c->in_buf + len, sizeof(c->in_buf) - len);
        if (got < 0) {
            return err_errno(err, "cannot read the spool file");
        }
        len += (size_t)got;
        const size_t had = len;
        TRY(convert_chunk(u, c, &len, at, got == 0, err));
        at += (int64_t)(had - len);
        if (got == 0) {
            return ERR_OK;
        }
    }
}

// Replaces the file by its UTF-8 form.
static enum err_code convert_file(struct ingest_upload *u, const char *from, size_t skip,
                                  struct err *err) {
    DEFER(convert_freep) struct convert *c = xcalloc(1, sizeof(*c));
    c->out = -1;
    const struct str path = upload_path(u, "utf8");
    c->in = open(arena_cstr(&u->arena, u->path), O_RDONLY | O_CLOEXEC);
    c->out = open(path.ptr, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (c->in < 0 || c->out < 0) {
        return err_errno(err, "cannot open a spool file");
    }
    c->iconv = iconv_open("UTF-8", from);
    if (c->iconv == (iconv_t)-1) { // NOLINT: what iconv_open gives
        return err_errno(err, "cannot convert from %s", from);
    }
    u->scan = TEXT_SCAN;
    TRY(convert_all(u, c, skip, err));
    text_scan_end(&u->scan);
    (void)unlink(arena_cstr(&u->arena, u->path));
    u->path = path;
    return ERR_OK;
}

static enum err_code scan_file(struct ingest_upload *u, struct err *err) {
    DEFER(arena_release) struct arena a = ARENA(CHUNK_BYTES * 2);
    DEFER(closep) int fd = open(arena_cstr(&a, u->path), O_RDONLY | O_CLOEXEC);
    char *buf = arena_alloc(&a, CHUNK_BYTES);
    u->scan = TEXT_SCAN;
    for (;;) {
        TRY(upload_check(u, err));
        const ssize_t got = fd >= 0 ? read(fd, buf, CHUNK_BYTES) : -1;
        if (got < 0) {
            return err_errno(err, "cannot read the spool file");
        }
        if (got == 0) {
            text_scan_end(&u->scan);
            return ERR_OK;
        }
        text_scan_add(&u->scan, (struct str){buf, (size_t)got});
    }
}

static enum err_code read_head(struct ingest_upload *u, char *buf, size_t cap, struct str *ret,
                               struct err *err) {
    DEFER(closep) int fd = open(arena_cstr(&u->arena, u->path), O_RDONLY | O_CLOEXEC);
    const ssize_t len = fd >= 0 ? pread(fd, buf, cap, 0) : -1;
    if (len < 0) {
        return err_errno(err, "cannot read the spool file");
    }
    *ret = (struct str){buf, (size_t)len};
    return ERR_OK;
}

// From what and behind which mark; *ret_from NULL: it is UTF-8, or nobody says.
static void find_source(const struct ingest_upload *u, struct str head, const char **ret_from,
                        size_t *ret_skip) {
    const struct encoding *stated = find_encoding(u->request.encoding);
    for (size_t i = 0; i < ARRAY_LEN(marks); i++) {
        const struct mark *m = &marks[i];
        const bool marked = str_starts(head, (struct str){m->bytes, m->len});
        // A mark of the stated family tells the byte order and is not part of the text.
        const bool same =
            stated && stated->iconv && m->iconv && strncmp(stated->iconv, m->iconv, 6) == 0;
        if (marked && (!stated || same)) {
            *ret_from = m->iconv;
            *ret_skip = m->iconv ? m->len : 0;
            return;
        }
    }
    *ret_from = stated ? stated->iconv : NULL;
    *ret_skip = 0;
}

static enum err_code refuse_nul(const struct ingest_upload *u, struct err *err) {
    if (u->scan.nul < 0) {
        return ERR_OK;
    }
    (void)err_set(err, ERR_DATA,
                  "byte %lld of the text is a NUL; is it UTF-16? Then say so with the encoding",
                  (long long)u->scan.nul);
    err->position = u->scan.nul;
    return ERR_DATA;
}

// Text that is neither marked nor UTF-8: Windows' western encoding, or Latin-1 where that fails.
static enum err_code convert_western(struct ingest_upload *u, struct err *err) {
    const enum err_code code = convert_file(u, "WINDOWS-1252", 0, err);
    if (code != ERR_DATA) {
        return code;
    }
    *err = ERR_NONE;
    return convert_file(u, "ISO-8859-1", 0, err);
}

enum err_code text_prepare(struct ingest_upload *u, struct err *err) {
    char buf[8];
    struct str head = STR_NONE;
    const char *from = NULL;
    size_t skip = 0;
    TRY(read_head(u, buf, sizeof(buf), &head, err));
    find_source(u, head, &from, &skip);
    if (from) {
        TRY(convert_file(u, from, skip, err));
        return refuse_nul(u, err);
    }
    if (!u->scanning) {
        TRY(scan_file(u, err));
    }
    TRY(refuse_nul(u, err));
    if (u->scan.invalid < 0) {
        return ERR_OK;
    }
    const bool stated = u->request.encoding.len > 0;
    if (!stated && u->scan.valid_count <= u->scan.invalid_count) {
        return convert_western(u, err);
    }
    u->bad_utf8 = true; // some rows are damaged
    return ERR_OK;
}
