// version: which build this is, or the server.
#include "base/version.h"
#include "cli/cli.h"
#include "cli/client.h"
#include "cli/grid.h"
#include "engine/engine.h"

enum err_code cli_version(const struct args *a, struct err *err) {
    DEFER(buf_release) struct buf out = BUF(1 << 20);
    DEFER(json_decrefp) json_t *answer = NULL;
    if (!args_flag(a, "server")) {
        buf_printf(&out, "tarn %s (commit %s, engine %s)\n", version_text(), version_commit(),
                   engine_version());
        return grid_write(&out, err);
    }
    TRY(client_ask(a, "GET", STR("/version"), NULL, &answer, err));
    cli_add_json(a, answer, &out);
    return grid_write(&out, err);
}
