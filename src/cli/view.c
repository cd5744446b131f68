// view: what of a dataset is shown, listed, shown, set and removed, and the key of its hashes.
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/client.h"
#include "cli/grid.h"
#include "cli/list.h"

enum { OUT_BYTES_MAX = 16 << 20, BODY_BYTES_MAX = 4 << 20, TEXT_BYTES_MAX = 4 << 20 };

static void view_path(const char *name, struct buf *path) {
    client_path(path, "/catalog/views/", name, "");
}

// ---- ls, show

// Names, those that are masked with a star behind.
static void cell_columns(struct grid *t, const json_t *j, const char *key) {
    DEFER(buf_release) struct buf text = BUF(TEXT_BYTES_MAX);
    const json_t *columns = json_object_get(j, key);
    for (size_t i = 0; i < json_array_size(columns); i++) {
        const json_t *column = json_array_get(columns, i);
        const char *name = json_string_value(json_object_get(column, "name"));
        buf_printf(&text, "%s%s%s", i > 0 ? "," : "", name != NULL ? name : "?",
                   json_is_true(json_object_get(column, "masked")) ? "*" : "");
    }
    grid_cell(t, arena_str(t->arena, buf_str(&text)));
}

enum err_code cli_view_ls(const struct args *a, struct err *err) {
    static const struct list_column columns[] = {
        {"view", "name", cell_str, false},
        {"version", "version", cell_number, true},
        {"base", "base_dataset", cell_str, false},
        {"columns (* masked)", "columns", cell_columns, false},
    };
    static const struct listing views = {"/catalog/views", "views", columns, ARRAY_LEN(columns),
                                         false};
    return list_show(a, &views, INT64_MAX, err);
}

static void line(struct grid *t, const char *part, struct str is) {
    grid_cell(t, str_from(part));
    grid_cell(t, is);
}

// "candidate_id=mask:3,2", as --mask takes it; without a mask the name alone.
static struct str column_text(const json_t *view, const json_t *column, struct arena *a) {
    const char *name = json_string_value(json_object_get(column, "name"));
    const json_t *mask = json_object_get(json_object_get(view, "column_redactions"), name);
    const json_t *keep = json_object_get(mask, "mask");
    int64_t prefix = 0;
    int64_t suffix = 0;
    if (json_is_string(mask)) {
        return arena_printf(a, "%s=%s", name, json_string_value(mask));
    }
    if (keep != NULL) {
        (void)json_get_i64(keep, "keep_prefix", &prefix);
        (void)json_get_i64(keep, "keep_suffix", &suffix);
        return arena_printf(a, "%s=mask:%" PRId64 ",%" PRId64, name, prefix, suffix);
    }
    return arena_printf(a, "%s%s", name != NULL ? name : "?",
                        json_is_true(json_object_get(column, "masked")) ? "=masked" : "");
}

static void add_view(const json_t *view, struct grid *t) {
    const json_t *columns = json_object_get(view, "columns");
    const json_t *versions = json_object_get(view, "versions");
    struct str text;
    int64_t number = 0;
    grid_column(t, STR("part"), false);
    grid_column(t, STR("is"), false);
    if (json_get_str(view, "base_dataset", &text)) {
        line(t, "base", text);
    }
    if (json_get_str(view, "row_filter", &text)) {
        line(t, "filter", text);
    }
    for (size_t i = 0; i < json_array_size(columns); i++) {
        line(t, "column", column_text(view, json_array_get(columns, i), t->arena));
    }
    (void)json_get_i64(view, "version", &number);
    for (size_t i = 0; i < json_array_size(versions); i++) {
        const json_t *version = json_array_get(versions, i);
        struct str author = STR_NONE;
        struct str when = STR_NONE;
        (void)json_get_i64(version, "version", &number);
        (void)json_get_str(version, "author", &author);
        (void)json_get_str(version, "updated_at", &when);
        line(t, "version",
             arena_printf(t->arena, "%" PRId64 " by " STR_FMT ", " STR_FMT, number, STR_ARG(author),
                          STR_ARG(when)));
    }
    if (json_array_size(versions) == 0) {
        line(t, "version", arena_printf(t->arena, "%" PRId64, number));
    }
}

enum err_code cli_view_show(const struct args *a, struct err *err) {
    DEFER(buf_release) struct buf out = BUF(OUT_BYTES_MAX);
    DEFER(buf_release) struct buf path = BUF(1 << 16);
    DEFER(json_decrefp) json_t *view = NULL;
    view_path(a->words[0], &path);
    client_option(&path, a, "version");
    TRY(client_ask(a, "GET", buf_str(&path), NULL, &view, err));
    if (args_flag(a, "json")) {
        cli_add_json(a, view, &out);
    } else {
        struct grid t = GRID(a->arena);
        add_view(view, &t);
        grid_print(&t, 0, 0, &out);
    }
    return grid_write(&out, err);
}

// ---- put

// "a,b,c"; the option may be given again.
static void write_columns(const struct args *a, struct jsonw *w) {
    jsonw_key(w, STR("columns"));
    jsonw_array(w);
    for (size_t i = 0; i < a->given_count; i++) {
        struct str rest = a->given[i].value;
        struct str name;
        while (strcmp(a->given[i].name, "columns") == 0 && str_cut(&rest, ',', &name)) {
            jsonw_str(w, str_trim(name));
        }
    }
    jsonw_end_array(w);
}

static enum err_code mask_form(struct str text, struct err *err) {
    return err_set(err, ERR_INVALID,
                   "--mask is COLUMN=MASK, like email=hash or id=mask:3,2 (characters kept at the "
                   "start and at the end), not \"" STR_FMT "\"",
                   STR_ARG(str_slice(text, 0, 100)));
}

// "3,2"
static enum err_code write_keep(struct jsonw *w, struct str text, struct str keep,
                                struct err *err) {
    struct str prefix;
    int64_t numbers[2];
    if (!str_cut(&keep, ',', &prefix) || !str_to_i64(str_trim(prefix), &numbers[0]) ||
        !str_to_i64(str_trim(keep), &numbers[1])) {
        return mask_form(text, err);
    }
    jsonw_object(w);
    jsonw_key(w, STR("mask"));
    jsonw_object(w);
    jsonw_field_i64(w, "keep_prefix", numbers[0]);
    jsonw_field_i64(w, "keep_suffix", numbers[1]);
    jsonw_end_object(w);
    jsonw_end_object(w);
    return ERR_OK;
}

// The last '=' ends the name: masks have none.
static enum err_code write_mask(struct jsonw *w, struct str text, struct err *err) {
    size_t at = text.len;
    while (at > 0 && text.ptr[at - 1] != '=') {
        at--;
    }
    if (at < 2 || at == text.len) {
        return mask_form(text, err);
    }
    const struct str keep = STR("mask:");
    const struct str mask = str_trim(str_slice(text, at, text.len));
    jsonw_key(w, str_trim(str_slice(text, 0, at - 1)));
    if (str_starts(mask, keep)) {
        return write_keep(w, text, str_slice(mask, keep.len, mask.len), err);
    }
    jsonw_str(w, mask);
    return ERR_OK;
}

static enum err_code write_view(const struct args *a, struct buf *body, struct err *err) {
    struct jsonw w = JSONW(body);
    if (args_value(a, "base") == NULL || args_value(a, "columns") == NULL) {
        return err_set(err, ERR_INVALID,
                       "a view needs --base, the dataset, and --columns, what of it is shown");
    }
    jsonw_object(&w);
    jsonw_field_str(&w, "name", str_from(a->words[0]));
    jsonw_field_str(&w, "base_dataset", str_from(args_value(a, "base")));
    write_columns(a, &w);
    if (args_value(a, "filter") != NULL) {
        jsonw_field_str(&w, "row_filter", str_from(args_value(a, "filter")));
    }
    jsonw_key(&w, STR("column_redactions"));
    jsonw_object(&w);
    for (size_t i = 0; i < a->given_count; i++) {
        if (strcmp(a->given[i].name, "mask") == 0) {
            TRY(write_mask(&w, a->given[i].value, err));
        }
    }
    jsonw_end_object(&w);
    jsonw_field_bool(&w, "replace", args_flag(a, "replace"));
    jsonw_end_object(&w);
    return ERR_OK;
}

enum err_code cli_view_put(const struct args *a, struct err *err) {
    DEFER(buf_release) struct buf body = BUF(BODY_BYTES_MAX);
    DEFER(buf_release) struct buf path = BUF(1 << 16);
    DEFER(json_decrefp) json_t *answer = NULL;
    int64_t number = 0;
    TRY(write_view(a, &body, err));
    buf_add_cstr(&path, "/catalog/views");
    client_option(&path, a, "reason");
    if (client_ask(a, "POST", buf_str(&path), &body, &answer, err) != ERR_OK) {
        return args_value(a, "filter") != NULL
                   ? cli_say_failure(str_from(args_value(a, "filter")), err)
                   : err->code;
    }
    (void)json_get_i64(answer, "version", &number);
    fprintf(stderr, "view %s is set, version %" PRId64 "\n", a->words[0], number);
    return ERR_OK;
}

// ---- rm, rotate-key

enum err_code cli_view_rm(const struct args *a, struct err *err) {
    DEFER(client_closep) struct client *c = NULL;
    TRY(client_open(a, &c, err));
    for (size_t i = 0; i < a->word_count; i++) {
        DEFER(buf_release) struct buf path = BUF(1 << 16);
        DEFER(json_decrefp) json_t *answer = NULL;
        view_path(a->words[i], &path);
        client_option(&path, a, "reason");
        TRY(client_json(c, "DELETE", buf_str(&path), NULL, &answer, err));
        fprintf(stderr, "view %s is removed\n", a->words[i]);
    }
    return ERR_OK;
}

enum err_code cli_view_rotate_key(const struct args *a, struct err *err) {
    DEFER(buf_release) struct buf path = BUF(1 << 16);
    DEFER(json_decrefp) json_t *answer = NULL;
    buf_add_cstr(&path, "/catalog/mask-key/rotate");
    client_option(&path, a, "reason");
    TRY(client_ask(a, "POST", buf_str(&path), NULL, &answer, err));
    fprintf(stderr, "hashes have another key now\n");
    return ERR_OK;
}
