// What the tests of workers share: a pool over a folder of their own, and a query's rows as text.
//
// The test program is the worker too: a pool starts /proc/self/exe with "worker", so its main
// begins with WORKERS_TEST_MAIN.
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "worker/worker.h"

#define WORKERS_TEST_MAIN(argc, argv)                                                              \
    do {                                                                                           \
        struct err worker_err_ = ERR_NONE;                                                         \
        if ((argc) == 2 && strcmp((argv)[1], "worker") == 0) {                                     \
            return (int)worker_run(&worker_err_);                                                  \
        }                                                                                          \
    } while (0)

#define OK(call)                                                                                   \
    do {                                                                                           \
        if ((call) != ERR_OK) {                                                                    \
            fail_msg("%s: %s", #call, err.msg);                                                    \
        }                                                                                          \
    } while (0)

#define SECOND INT64_C(1000000)

struct house {
    char folder[64];
    struct workers *workers;
};

static inline void house_open_idle(struct house *h, int64_t count_max, int64_t memory_bytes,
                                   int64_t idle_ms) {
    struct err err = ERR_NONE;
    (void)snprintf(h->folder, sizeof(h->folder), "/tmp/tarn-workers-XXXXXX");
    assert_non_null(mkdtemp(h->folder));
    const struct workers_options o = {.count_max = count_max,
                                      .memory_bytes = memory_bytes,
                                      .threads = 2,
                                      .idle_ms = idle_ms,
                                      .cache = str_from(h->folder)};
    OK(workers_open(&o, &h->workers, &err));
}

static inline void house_open(struct house *h, int64_t count_max, int64_t memory_bytes) {
    house_open_idle(h, count_max, memory_bytes, 60000);
}

static inline void house_close(struct house *h) {
    workers_close(h->workers);
    assert_int_equal(rmdir(h->folder), 0); // workers leave nothing there
}

// One row a line, columns that are no text as "?": texts of VARCHAR columns, joined by '|'.
static inline void rows_text(struct rows *r, struct buf *out, enum err_code *ret, struct err *err) {
    const struct vec_chunk *chunk = NULL;
    for (;;) {
        *ret = rows_next(r, &chunk, err);
        if (*ret != ERR_OK || !chunk) {
            return;
        }
        for (size_t row = 0; row < chunk->rows; row++) {
            for (size_t i = 0; i < chunk->column_count; i++) {
                const struct vec *v = &chunk->columns[i];
                const bool text = v->type->kind == VEC_VARCHAR;
                buf_add_cstr(out, i > 0 ? "|" : "");
                buf_add_str(out, vec_is_null(v, row) ? STR("NULL")
                                 : text              ? vec_str(v, row)
                                                     : STR("?"));
            }
            buf_add_char(out, '\n');
        }
    }
}

struct asked {
    enum err_code code;
    struct err err;
    int64_t us;
    struct buf text;
};

static inline void asked_release(struct asked *a) {
    buf_release(&a->text);
}

static inline void ask_request(struct workers *w, const struct worker_request *r,
                               struct asked *ret) {
    const int64_t start_us = clock_mono_us();
    struct worker_call *c = NULL;
    struct rows *rows = NULL;
    *ret = (struct asked){.err = ERR_NONE, .text = BUF(64 << 20)};
    ret->code = worker_begin(w, r, &c, &ret->err);
    if (ret->code == ERR_OK) {
        ret->code = worker_ask(c, &rows, &ret->err);
    }
    if (ret->code == ERR_OK) {
        rows_text(rows, &ret->text, &ret->code, &ret->err);
    }
    rows_close(rows);
    worker_end(c);
    ret->us = clock_mono_us() - start_us;
}

static inline struct worker_request request_of(const char *key, const char *sql, int64_t limit_us) {
    return (struct worker_request){.key = str_from(key),
                                   .sql = str_from(sql),
                                   .deadline_us = clock_mono_us() + limit_us,
                                   .wait_us = clock_mono_us() + 30 * SECOND};
}

static inline void ask(struct workers *w, const char *key, const char *sql, struct asked *ret) {
    const struct worker_request r = request_of(key, sql, 30 * SECOND);
    ask_request(w, &r, ret);
}

static inline void expect(struct workers *w, const char *key, const char *sql, const char *rows) {
    struct asked a;
    ask(w, key, sql, &a);
    if (a.code != ERR_OK) {
        fail_msg("%s: %s", sql, a.err.msg);
    }
    assert_string_equal(a.text.ptr ? a.text.ptr : "", rows);
    asked_release(&a);
}
