// Listings: what the server has in pages, as one grid.
#include "cli/list.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/clock.h"
#include "cli/cli.h"
#include "cli/client.h"

enum { PAGE_ROWS = 500, OUT_BYTES_MAX = 256 << 20 };

void cell_str(struct grid *t, const json_t *j, const char *key) {
    struct str text = STR_NONE;
    (void)json_get_str(j, key, &text);
    grid_cell(t, text);
}

void cell_str_if_any(struct grid *t, const json_t *j, const char *key) {
    cell_str(t, j, key);
}

void cell_number(struct grid *t, const json_t *j, const char *key) {
    int64_t number = 0;
    const bool known = json_get_i64(j, key, &number);
    grid_cell(t, known ? grid_number(number, t->arena) : STR_NONE);
}

void cell_bytes(struct grid *t, const json_t *j, const char *key) {
    int64_t number = 0;
    const bool known = json_get_i64(j, key, &number);
    grid_cell(t, known ? grid_bytes(number, t->arena) : STR_NONE);
}

void cell_id(struct grid *t, const json_t *j, const char *key) {
    int64_t number = 0;
    if (json_get_i64(j, key, &number)) {
        grid_cellf(t, "%" PRId64, number);
    } else {
        cell_str(t, j, key);
    }
}

void cell_time(struct grid *t, const json_t *j, const char *key) {
    struct str text = STR_NONE;
    int64_t number = 0;
    if (json_get_i64(j, key, &number)) {
        text = clock_rfc3339(number * 1000, t->arena);
    } else {
        (void)json_get_str(j, key, &text);
    }
    const ptrdiff_t dot = str_find_char(text, '.');
    if (dot > 0) {
        text = arena_printf(t->arena, STR_FMT "Z", (int)dot, text.ptr);
    }
    grid_cell(t, text);
}

void cell_yes(struct grid *t, const json_t *j, const char *key) {
    bool yes = false;
    (void)json_get_bool(j, key, &yes);
    grid_cell(t, yes ? STR("yes") : STR_NONE);
}

void cell_list(struct grid *t, const json_t *j, const char *key) {
    const json_t *list = json_object_get(j, key);
    struct str text = STR_NONE;
    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *item = json_string_value(json_array_get(list, i));
        text = arena_printf(t->arena, STR_FMT "%s%s", STR_ARG(text), i > 0 ? "," : "",
                            item ? item : "?");
    }
    grid_cell(t, text);
}

void list_columns(struct grid *t, const struct list_column *columns, size_t count) {
    for (size_t i = 0; i < count; i++) {
        grid_column(t, str_from(columns[i].name), columns[i].right);
    }
}

void list_rows(struct grid *t, const struct list_column *columns, size_t count,
               const json_t *rows) {
    for (size_t row = 0; row < json_array_size(rows); row++) {
        for (size_t i = 0; i < count; i++) {
            columns[i].cell(t, json_array_get(rows, row), columns[i].key);
        }
    }
}

void cli_add_json(const struct args *a, const json_t *j, struct buf *out) {
    buf_add_str(out, json_text(j, a->arena));
    buf_add_char(out, '\n');
}

// Asks page by page until `limit` rows are there; the trees stay in `pages`, whose texts are shown.
static enum err_code list_all(struct client *c, const struct listing *l, int64_t limit,
                              json_t *pages, bool *ret_more, struct err *err) {
    struct str cursor = STR_NONE;
    int64_t got = 0;
    do {
        DEFER(buf_release) struct buf path = BUF(1 << 16);
        json_t *page = NULL;
        json_t *rows = NULL;
        char text[32];
        snprintf(text, sizeof(text), "%" PRId64, MIN(limit - got, PAGE_ROWS));
        buf_add_cstr(&path, l->path);
        if (!l->whole) {
            client_parameter(&path, "limit", str_from(text));
        }
        if (cursor.len > 0) {
            client_parameter(&path, "cursor", cursor);
        }
        TRY(client_json(c, "GET", buf_str(&path), NULL, &page, err));
        json_array_append_new(pages, page);
        TRY(json_need_array(page, l->member, &rows, err));
        got += (int64_t)json_array_size(rows);
        cursor = STR_NONE;
        (void)json_get_str(page, "next", &cursor);
    } while (cursor.len > 0 && got < limit);
    *ret_more = cursor.len > 0;
    return ERR_OK;
}

static bool is_there(const json_t *pages, const char *member, const char *key) {
    for (size_t i = 0; i < json_array_size(pages); i++) {
        const json_t *rows = json_object_get(json_array_get(pages, i), member);
        for (size_t j = 0; j < json_array_size(rows); j++) {
            if (json_object_get(json_array_get(rows, j), key) != NULL) {
                return true;
            }
        }
    }
    return false;
}

// The columns that are shown.
static struct list_column *columns_of(const struct listing *l, const json_t *pages, struct arena *a,
                                      size_t *ret_count) {
    struct list_column *ret = arena_array(a, l->column_count, sizeof(*ret));
    *ret_count = 0;
    for (size_t i = 0; i < l->column_count; i++) {
        if (l->columns[i].cell != cell_str_if_any ||
            is_there(pages, l->member, l->columns[i].key)) {
            ret[(*ret_count)++] = l->columns[i];
        }
    }
    return ret;
}

enum err_code list_show(const struct args *a, const struct listing *l, int64_t limit,
                        struct err *err) {
    DEFER(buf_release) struct buf out = BUF(OUT_BYTES_MAX);
    DEFER(json_decrefp) json_t *pages = json_array();
    DEFER(client_closep) struct client *c = NULL;
    struct grid t = GRID(a->arena);
    bool more = false;
    client_start();
    TRY(client_open(a, &c, err));
    TRY(list_all(c, l, limit, pages, &more, err));
    size_t count;
    const struct list_column *columns = columns_of(l, pages, a->arena, &count);
    list_columns(&t, columns, count);
    for (size_t i = 0; i < json_array_size(pages); i++) {
        const json_t *rows = json_object_get(json_array_get(pages, i), l->member);
        for (size_t j = 0; args_flag(a, "json") && j < json_array_size(rows); j++) {
            cli_add_json(a, json_array_get(rows, j), &out);
        }
        list_rows(&t, columns, count, rows);
    }
    if (!args_flag(a, "json")) {
        grid_print(&t, 0, 0, &out);
    }
    TRY(grid_write(&out, err));
    if (more && args_value(a, "limit") == NULL) {
        fprintf(stderr, "tarn: these are the first %" PRId64 "; -n N shows more\n", limit);
    }
    return ERR_OK;
}

enum listed list_has(const struct args *a, const char *path, const char *member, struct str name) {
    DEFER(json_decrefp) json_t *page = NULL;
    struct err err = ERR_NONE;
    if (client_ask(a, "GET", str_from(path), NULL, &page, &err) != ERR_OK) {
        return LISTED_UNKNOWN;
    }
    const json_t *rows = json_object_get(page, member);
    for (size_t i = 0; i < json_array_size(rows); i++) {
        struct str found = STR_NONE;
        (void)json_get_str(json_array_get(rows, i), "name", &found);
        if (str_eq_nocase(found, name)) {
            return LISTED_YES;
        }
    }
    return json_is_string(json_object_get(page, "next")) ? LISTED_UNKNOWN : LISTED_NO;
}
