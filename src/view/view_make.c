// Makers: threads that write masked files.
//
// What the engine says of a filter that fails may quote a row: it goes nowhere.

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/counters.h"
#include "base/log.h"
#include "view/view_int.h"

#define SQL_BYTES (512U << 20)
#define MAKE_US (INT64_C(30) * 60 * 1000000) // a making that takes longer is given up
#define GROUP_VALUES (INT64_C(122880) * 16)  // of a row group, which each thread holds in memory
#define GROUP_ROWS_MAX INT64_C(122880)
#define GROUP_STEP INT64_C(2048)
#define CODEC "snappy" // quick to write and to read

static int64_t group_rows(size_t columns) {
    const int64_t rows = GROUP_VALUES / (int64_t)MAX(columns, 1) / GROUP_STEP * GROUP_STEP;
    return MAX(GROUP_STEP, MIN(rows, GROUP_ROWS_MAX));
}

// What is to be written; with the rows of the data file, or of none.
static struct str select_sql(struct views *v, const struct view_job *j, bool empty,
                             struct arena *a) {
    const struct view_batch *b = j->batch;
    const struct table_scan one =
        table_scan_of(v->engine, &b->scan.files[j->file], empty ? 0 : 1, a);
    struct str *scans = arena_array(a, b->pin.pin_count, sizeof(*scans));
    for (size_t i = 1; i < b->pin.pin_count; i++) {
        scans[i] = b->scans[i];
    }
    scans[0] = table_scan_sql(&b->pin.pins[0], &one, a);
    return view_masked_sql(&b->pin, scans, &b->maps, a);
}

static enum err_code begin(struct views *v, struct view_job *j, struct session *s,
                           struct err *err) {
    LOCKED(&v->lock);
    if (v->stopping || j->dropped) {
        return err_set(err, ERR_CANCELLED, "%s",
                       v->stopping ? "the server stops" : "masked files were removed meanwhile");
    }
    j->session = s;
    return ERR_OK;
}

static void end(struct views *v, struct view_job *j) {
    LOCKED(&v->lock);
    j->session = NULL; // from here on nobody interrupts it
}

static enum err_code write_file(struct views *v, struct view_job *j, struct str path,
                                struct engine_file_stats *ret, struct err *err) {
    DEFER(arena_release) struct arena a = ARENA(SQL_BYTES);
    DEFER(session_closep) struct session *s = NULL;
    struct engine_file_stats *files = NULL;
    size_t count = 0;
    struct engine_copy copy = {
        .path = path, .group_rows = group_rows(j->batch->pin.view.column_count), .codec = CODEC};
    copy.select = select_sql(v, j, false, &a);
    TRY(session_open(v->engine, &s, err));
    session_deadline(s, clock_mono_us() + MAKE_US);
    TRY(begin(v, j, s, err));
    const enum err_code code = engine_copy_to(s, &copy, &a, &files, &count, err);
    end(v, j);
    TRY(code);
    *ret = (struct engine_file_stats){0};
    for (size_t i = 0; i < count; i++) {
        ret->rows += files[i].rows;
    }
    return ERR_OK;
}

// Does the filter fail without any row of the base, too? Then it does not fit the datasets of now.
static bool fits(struct views *v, const struct view_job *j) {
    DEFER(arena_release) struct arena a = ARENA(SQL_BYTES);
    DEFER(session_closep) struct session *s = NULL;
    DEFER(rows_closep) struct rows *rows = NULL;
    struct err none = ERR_NONE;
    const struct str sql = arena_printf(&a, "SELECT * FROM (" STR_FMT ") AS tarn_empty LIMIT 0",
                                        STR_ARG(select_sql(v, j, true, &a)));
    if (session_open(v->engine, &s, &none) != ERR_OK) {
        return true;
    }
    session_deadline(s, clock_mono_us() + MAKE_US);
    return session_query(s, sql, &rows, &none) != ERR_SQL;
}

// What may be said of a failure.
static enum err_code tell(struct views *v, const struct view_job *j, struct err *err) {
    const struct str name = j->batch->pin.view.name;
    const bool filtered = j->batch->pin.filter != NULL;
    const enum err_code code = err->code;
    switch (code) {
    case ERR_SQL:
    case ERR_REFUSED:
    case ERR_INVALID:
    case ERR_DATA:
        if (filtered && fits(v, j)) {
            return err_set(err, ERR_DATA,
                           "the view \"" STR_FMT
                           "\" cannot be read now: its row filter fails on some row; whoever may "
                           "administer the server sees more with a preview",
                           STR_ARG(name));
        }
        return err_set(err, filtered ? ERR_CONFLICT : ERR_INTERNAL,
                       "the view \"" STR_FMT "\" cannot be read now: %s", STR_ARG(name),
                       filtered ? "its row filter does not fit any more; it must be put again"
                                : "its rows cannot be masked");
    case ERR_TOO_LARGE:
        return err_set(err, code,
                       "the view \"" STR_FMT
                       "\" cannot be read now: masking its rows takes more memory than there is",
                       STR_ARG(name));
    case ERR_TIMEOUT:
        return err_set(err, code,
                       "the view \"" STR_FMT
                       "\" cannot be read now: masking its rows takes too long",
                       STR_ARG(name));
    case ERR_NO_SPACE:
        return err_set(err, code,
                       "the view \"" STR_FMT
                       "\" cannot be read now: there is no space for its masked files (view.cache)",
                       STR_ARG(name));
    default:
        return err_set(err, code, "the view \"" STR_FMT "\" cannot be read now", STR_ARG(name));
    }
}

// The engine's words may quote rows, but for those about files.
static void log_failure(const struct view_job *j, const struct err *err) {
    const bool quotes = err->code != ERR_IO && err->code != ERR_NO_SPACE;
    log_warn("view.make", "view=%s code=%s error=%s", log_quote(j->batch->pin.view.name),
             err_text(err->code), quotes ? "withheld" : log_quote(str_from(err->msg)));
}

static enum err_code make(struct views *v, struct view_job *j, struct err *err) {
    DEFER(arena_release) struct arena a = ARENA(1 << 16);
    struct engine_file_stats stats;
    struct stat st;
    const struct view_batch *b = j->batch;
    uint64_t number;
    {
        LOCKED(&v->lock);
        number = ++v->names;
    }
    const struct str path =
        arena_printf(&a, "%s/%llu.parquet", v->making.path, (unsigned long long)number);
    enum err_code code = write_file(v, j, path, &stats, err);
    if (code == ERR_OK && stat(path.ptr, &st) != 0) {
        code = err_set(err, ERR_CANCELLED, "masked files were removed meanwhile");
    }
    if (code == ERR_OK) {
        const struct view_new made = {.path = path.ptr,
                                      .generation = b->generation,
                                      .view = b->pin.view.id,
                                      .number = b->pin.view.number,
                                      .rows = stats.rows,
                                      .bytes = st.st_size,
                                      .job = j};
        code = view_folder_add(v, &made, &j->made, err);
    }
    if (code != ERR_OK) {
        (void)unlink(path.ptr);
    }
    return code;
}

// ---- Threads

static void *work(void *arg) {
    struct views *v = arg;
    for (struct view_job *j = view_job_take(v); j != NULL; j = view_job_take(v)) {
        const int64_t since_us = clock_mono_us();
        enum err_code code = make(v, j, &j->err);
        if (code != ERR_OK && code != ERR_CANCELLED && code != ERR_BUSY) {
            log_failure(j, &j->err);
            code = tell(v, j, &j->err);
        }
        view_job_finish(v, j, code, since_us);
    }
    return NULL;
}

void view_makers_start(struct views *v) {
    v->makers = xcalloc(v->maker_count, sizeof(*v->makers));
    for (size_t i = 0; i < v->maker_count; i++) {
        v->makers[i] = threads_start("masker", work, v);
    }
}

void view_makers_close(struct views *v) {
    view_jobs_stop(v);
    for (size_t i = 0; v->makers != NULL && i < v->maker_count; i++) {
        CHECK(pthread_join(v->makers[i], NULL) == 0);
    }
    free(v->makers);
    view_jobs_close(v);
}
