// Arrow streams and files into a dataset: batch by batch into a temporary table, and from there as
// any other rows. The file is mapped, the table goes to disk when memory is short.
#include "ingest/arrow_read.h"
#include "ingest/ingest_int.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define TABLE "arrow rows"
#define BATCH_ARENA (4ULL << 30)

struct mapped {
    void *ptr;
    size_t len;
};

static void unmap(struct mapped *m) {
    if (m->ptr != NULL) {
        (void)munmap(m->ptr, m->len);
    }
}

static enum err_code map_file(struct ingest_upload *u, struct mapped *ret, struct err *err) {
    struct stat st;
    DEFER(closep) int fd = open(arena_cstr(&u->arena, u->path), O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) != 0) {
        return err_errno(err, "cannot read the spool file");
    }
    void *ptr = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (ptr == MAP_FAILED) {
        return err_errno(err, "cannot map the spool file");
    }
    *ret = (struct mapped){ptr, (size_t)st.st_size};
    return ERR_OK;
}

static enum err_code make_table(struct ingest_upload *u, struct arrow_reader *r, struct err *err) {
    DEFER(buf_release) struct buf sql = BUF(64U << 20);
    for (size_t i = 0; i < r->root.child_count; i++) {
        const struct arrow_field *f = &r->root.children[i];
        buf_printf(&sql, "%s" STR_FMT " " STR_FMT,
                   i == 0 ? "CREATE TEMPORARY TABLE \"" TABLE "\" (" : ", ",
                   STR_ARG(sql_ident(f->name, r->meta)), STR_ARG(f->sql));
    }
    buf_add_char(&sql, ')');
    return session_run(u->session, buf_str(&sql), err);
}

static enum err_code add_batches(struct ingest_upload *u, struct arrow_reader *r,
                                 struct session_arrow *w, struct err *err) {
    DEFER(arena_release) struct arena batch = ARENA(BATCH_ARENA);
    struct ArrowArray *rows = NULL;
    do {
        arena_reset(&batch);
        TRY(upload_check(u, err));
        TRY(arrow_read_next(r, &batch, &rows, err));
        if (rows != NULL) {
            TRY(session_arrow_add(w, rows, err));
        }
    } while (rows != NULL);
    return session_arrow_end(w, err);
}

static void reader_freep(struct arrow_reader **r) {
    arrow_read_release(*r);
    free(*r);
}

static enum err_code load(struct ingest_upload *u, struct err *err) {
    DEFER(unmap) struct mapped file = {0};
    DEFER(arena_release) struct arena meta = ARENA(1U << 30);
    DEFER(reader_freep) struct arrow_reader *r = xcalloc(1, sizeof(*r));
    DEFER(session_arrow_closep) struct session_arrow *w = NULL;
    TRY(map_file(u, &file, err));
    TRY(arrow_read_open(r, (struct str){file.ptr, file.len}, &meta, err));
    TRY(make_table(u, r, err));
    TRY(session_arrow_open(u->session, arrow_read_schema(r), TABLE, &w, err));
    return add_batches(u, r, w, err);
}

enum err_code arrow_write(struct ingest_upload *u, struct str sha256, struct arena *a,
                          struct table_written *ret, struct err *err) {
    enum err_code code = load(u, err);
    code = code == ERR_OK ? upload_write(u, STR("temp.main.\"" TABLE "\""), sha256, a, ret, err)
                          : code;
    if (code == ERR_SQL) {
        err->code = ERR_DATA;
        return ERR_DATA;
    }
    return code;
}
