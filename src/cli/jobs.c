// jobs: long work at the server, listed, shown and stopped.
#include "cli/cli.h"
#include "cli/client.h"
#include "cli/grid.h"
#include "cli/list.h"

enum { JOB_ROWS = 100, OUT_BYTES_MAX = 64 << 20, PATH_BYTES_MAX = 1 << 16 };

enum err_code cli_jobs_ls(const struct args *a, struct err *err) {
    static const struct list_column columns[] = {
        {"id", "id", cell_id, false},
        {"kind", "kind", cell_str, false},
        {"target", "target", cell_str, false},
        {"state", "state", cell_str, false},
        {"done", "done", cell_number, true},
        {"of", "total", cell_number, true},
        {"by", "principal", cell_str, false},
        {"began", "started_at", cell_time, false},
        {"ended", "ended_at", cell_time, false},
    };
    static const struct listing jobs = {"/jobs", "jobs", columns, ARRAY_LEN(columns), false};
    int64_t limit = 0;
    TRY(args_number(a, "limit", JOB_ROWS, INT64_MAX, &limit, err));
    return list_show(a, &jobs, limit, err);
}

static enum err_code job_do(const struct args *a, const char *method, struct err *err) {
    DEFER(buf_release) struct buf path = BUF(PATH_BYTES_MAX);
    DEFER(buf_release) struct buf out = BUF(OUT_BYTES_MAX);
    DEFER(json_decrefp) json_t *answer = NULL;
    client_path(&path, "/jobs/", a->words[0], "");
    TRY(client_ask(a, method, buf_str(&path), NULL, &answer, err));
    cli_add_json(a, answer, &out);
    return grid_write(&out, err);
}

enum err_code cli_jobs_show(const struct args *a, struct err *err) {
    return job_do(a, "GET", err);
}

enum err_code cli_jobs_stop(const struct args *a, struct err *err) {
    return job_do(a, "DELETE", err);
}
