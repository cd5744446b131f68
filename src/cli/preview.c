// view preview: a view's rows beside those of its base.
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/client.h"
#include "cli/grid.h"

enum { OUT_BYTES_MAX = 64 << 20, BODY_BYTES_MAX = 1 << 20 };

static void cell_value(struct grid *t, const json_t *value) {
    if (value == NULL || json_is_null(value)) {
        grid_cell_null(t);
    } else if (json_is_string(value)) {
        grid_cell(t, (struct str){json_string_value(value), json_string_length(value)});
    } else {
        grid_cell(t, json_text(value, t->arena));
    }
}

// "row", then each column; one that is masked twice: as it is, and as it is seen.
static void add_columns(struct grid *t, const json_t *columns, struct str as) {
    const json_t *column;
    size_t i;
    grid_column(t, STR("row"), false);
    json_array_foreach(columns, i, column) {
        const struct str name = json_str_of(column, "name");
        grid_column(t, name, false);
        if (json_is_true(json_object_get(column, "masked"))) {
            grid_column(
                t, arena_printf(t->arena, STR_FMT " (" STR_FMT ")", STR_ARG(name), STR_ARG(as)),
                false);
        }
    }
}

static void add_rows(struct grid *t, const json_t *columns, const json_t *rows) {
    const json_t *row;
    const json_t *column;
    size_t r;
    size_t c;
    json_array_foreach(rows, r, row) {
        const json_t *seen = json_object_get(row, "seen");
        grid_cell(t, json_is_true(json_object_get(row, "shown")) ? STR("seen") : STR("hidden"));
        json_array_foreach(columns, c, column) {
            cell_value(t, json_array_get(json_object_get(row, "true_values"), c));
            if (json_is_true(json_object_get(column, "masked"))) {
                if (json_is_array(seen)) {
                    cell_value(t, json_array_get(seen, c));
                } else {
                    grid_cell(t, STR_NONE);
                }
            }
        }
    }
}

static void add_side(const struct args *a, const json_t *side, struct buf *out) {
    const struct str as = json_str_of(side, "as");
    const struct str outcome = json_str_of(side, "outcome");
    int64_t base = 0;
    int64_t shown = 0;
    buf_printf(out, "%s", out->len > 0 ? "\n" : "");
    if (!str_is(outcome, "ok")) {
        buf_printf(out, STR_FMT ": " STR_FMT " (" STR_FMT ")\n", STR_ARG(as),
                   STR_ARG(json_str_of(side, "message")), STR_ARG(outcome));
        return;
    }
    struct grid t = GRID(a->arena);
    (void)json_get_i64(side, "rows_base", &base);
    (void)json_get_i64(side, "rows_shown", &shown);
    add_columns(&t, json_object_get(side, "columns"), as);
    add_rows(&t, json_object_get(side, "columns"), json_object_get(side, "rows"));
    grid_print(&t, GRID_CELL_WIDTH, grid_terminal_width(), out);
    buf_printf(out, STR_FMT " sees " STR_FMT " of " STR_FMT " rows\n", STR_ARG(as),
               STR_ARG(grid_number(shown, a->arena)), STR_ARG(grid_number(base, a->arena)));
}

static enum err_code write_request(const struct args *a, struct buf *body, struct err *err) {
    struct jsonw w = JSONW(body);
    int64_t rows = 0;
    if (args_value(a, "as") == NULL) {
        return err_set(err, ERR_INVALID, "--as says who is to see it: a role, or a principal");
    }
    jsonw_object(&w);
    jsonw_field_str(&w, "view", str_from(a->words[0]));
    jsonw_key(&w, STR("as"));
    jsonw_array(&w);
    for (size_t i = 0; i < a->given_count; i++) {
        if (strcmp(a->given[i].name, "as") == 0) {
            jsonw_str(&w, a->given[i].value);
        }
    }
    jsonw_end_array(&w);
    if (args_value(a, "limit") != NULL) {
        if (!str_to_i64(str_from(args_value(a, "limit")), &rows)) {
            return err_set(err, ERR_INVALID, "--limit is a number of rows");
        }
        jsonw_field_i64(&w, "rows_max", rows);
    }
    jsonw_end_object(&w);
    return ERR_OK;
}

enum err_code cli_view_preview(const struct args *a, struct err *err) {
    DEFER(buf_release) struct buf body = BUF(BODY_BYTES_MAX);
    DEFER(buf_release) struct buf out = BUF(OUT_BYTES_MAX);
    DEFER(json_decrefp) json_t *answer = NULL;
    const json_t *side;
    size_t i;
    TRY(write_request(a, &body, err));
    TRY(client_ask(a, "POST", STR("/query/preview"), &body, &answer, err));
    if (args_flag(a, "json")) {
        cli_add_json(a, answer, &out);
        return grid_write(&out, err);
    }
    json_array_foreach(json_object_get(answer, "as"), i, side) {
        add_side(a, side, &out);
    }
    return grid_write(&out, err);
}
