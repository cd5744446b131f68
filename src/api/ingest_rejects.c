// Bad rows: GET /ingest/rejects/{id}, the CSV that an ingest with on_error=reject left.

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "api/api.h"

#define PIECE_BYTES (64U << 10)

struct download {
    int fd;
};

static enum err_code download_next(void *ctx, struct buf *out, bool *last, struct err *err) {
    struct download *d = ctx;
    char *room = buf_reserve(out, PIECE_BYTES);
    ssize_t n;
    CHECK(room != NULL);
    do {
        n = read(d->fd, room, PIECE_BYTES);
    } while (n < 0 && errno == EINTR);
    if (n < 0) {
        return err_errno(err, "cannot read the rejects file");
    }
    out->len += (size_t)n;
    *last = n == 0;
    return ERR_OK;
}

static void download_release(struct call *c) {
    struct download *d = c->state;
    closep(&d->fd);
}

enum err_code ingest_rejects(struct call *c, struct err *err) {
    struct str path;
    struct download *d = arena_alloc(c->arena, sizeof(*d));
    TRY(ingest_rejects_path(c->api->ingest, c->param, api_own(c), c->arena, &path, err));
    d->fd = open(arena_cstr(c->arena, path), O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (d->fd < 0) {
        return err_errno(err, "cannot open the rejects file");
    }
    c->state = d;
    c->release = download_release;
    http_answer_stream(c->http, 200, "text/csv; charset=utf-8",
                       (struct http_stream){d, download_next});
    return ERR_OK;
}
