// role: what may be done with a token that has it, listed, shown, set and removed.
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/client.h"
#include "cli/grid.h"
#include "cli/list.h"

enum { OUT_BYTES_MAX = 16 << 20, BODY_BYTES_MAX = 4 << 20, TEXT_BYTES_MAX = 1 << 20 };

static void role_path(const char *name, struct buf *path) {
    client_path(path, "/auth/roles/", name, "");
}

// "dataset:films=read_raw,write", as --grant takes it.
static void add_grant(struct buf *out, const json_t *grant) {
    const json_t *rights = json_object_get(grant, "rights");
    struct str object = STR_NONE;
    (void)json_get_str(grant, "object", &object);
    buf_add_str(out, object);
    for (size_t i = 0; i < json_array_size(rights); i++) {
        const char *right = json_string_value(json_array_get(rights, i));
        buf_printf(out, "%c%s", i == 0 ? '=' : ',', right != NULL ? right : "?");
    }
}

static void cell_grants(struct grid *t, const json_t *j, const char *key) {
    DEFER(buf_release) struct buf text = BUF(TEXT_BYTES_MAX);
    const json_t *grants = json_object_get(j, key);
    for (size_t i = 0; i < json_array_size(grants); i++) {
        buf_add_cstr(&text, i == 0 ? "" : " ");
        add_grant(&text, json_array_get(grants, i));
    }
    grid_cell(t, arena_str(t->arena, buf_str(&text)));
}

// "rows_max=1000", as --limit takes it.
static void add_limits(struct buf *out, const json_t *limits, const char *between) {
    static const char *const keys[] = {"rows_max", "bytes_max", "time_ms", "queries_max"};
    bool first = true;
    for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
        int64_t number = 0;
        if (json_get_i64(limits, keys[i], &number)) {
            buf_printf(out, "%s%s=%" PRId64, first ? "" : between, keys[i], number);
            first = false;
        }
    }
}

static void cell_limits(struct grid *t, const json_t *j, const char *key) {
    DEFER(buf_release) struct buf text = BUF(TEXT_BYTES_MAX);
    add_limits(&text, json_object_get(j, key), " ");
    grid_cell(t, arena_str(t->arena, buf_str(&text)));
}

enum err_code cli_role_ls(const struct args *a, struct err *err) {
    static const struct list_column columns[] = {
        {"role", "role", cell_str, false},
        {"grants", "grants", cell_grants, false},
        {"limits", "limits", cell_limits, false},
        {"changed", "updated_at", cell_time, false},
    };
    static const struct listing roles = {"/auth/roles", "roles", columns, ARRAY_LEN(columns), true};
    return list_show(a, &roles, INT64_MAX, err);
}

enum err_code cli_role_show(const struct args *a, struct err *err) {
    DEFER(buf_release) struct buf out = BUF(OUT_BYTES_MAX);
    DEFER(buf_release) struct buf path = BUF(1 << 16);
    DEFER(json_decrefp) json_t *role = NULL;
    role_path(a->words[0], &path);
    TRY(client_ask(a, "GET", buf_str(&path), NULL, &role, err));
    const json_t *grants = json_object_get(role, "grants");
    const json_t *limits = json_object_get(role, "limits");
    if (args_flag(a, "json")) {
        cli_add_json(a, role, &out);
        return grid_write(&out, err);
    }
    for (size_t i = 0; i < json_array_size(grants); i++) {
        buf_add_cstr(&out, "grant  ");
        add_grant(&out, json_array_get(grants, i));
        buf_add_char(&out, '\n');
    }
    if (json_object_size(limits) > 0) {
        buf_add_cstr(&out, "limit  ");
        add_limits(&out, limits, "\nlimit  ");
        buf_add_char(&out, '\n');
    }
    return grid_write(&out, err);
}

// ---- set

static enum err_code write_grant(struct jsonw *w, struct str text, struct err *err) {
    struct str rights = text;
    struct str object;
    struct str right;
    if (str_find_char(text, '=') <= 0 || !str_cut(&rights, '=', &object) || rights.len == 0) {
        return err_set(err, ERR_INVALID,
                       "--grant is OBJECT=RIGHT,RIGHT, like dataset:films=read_raw,write, not "
                       "\"" STR_FMT "\"",
                       STR_ARG(str_slice(text, 0, 100)));
    }
    jsonw_object(w);
    jsonw_field_str(w, "object", object);
    jsonw_key(w, STR("rights"));
    jsonw_array(w);
    while (str_cut(&rights, ',', &right)) {
        jsonw_str(w, str_trim(right));
    }
    jsonw_end_array(w);
    jsonw_end_object(w);
    return ERR_OK;
}

static enum err_code write_limit(struct jsonw *w, struct str text, struct err *err) {
    struct str value = text;
    struct str name = STR_NONE;
    int64_t number = 0;
    if (!str_cut(&value, '=', &name) || name.len == 0 || !str_to_i64(value, &number)) {
        return err_set(err, ERR_INVALID,
                       "--limit is NAME=NUMBER, like rows_max=1000, not \"" STR_FMT "\"",
                       STR_ARG(str_slice(text, 0, 100)));
    }
    jsonw_key(w, name);
    jsonw_i64(w, number);
    return ERR_OK;
}

static enum err_code write_role(const struct args *a, struct buf *body, struct err *err) {
    struct jsonw w = JSONW(body);
    jsonw_object(&w);
    jsonw_key(&w, STR("grants"));
    jsonw_array(&w);
    for (size_t i = 0; i < a->given_count; i++) {
        if (strcmp(a->given[i].name, "grant") == 0) {
            TRY(write_grant(&w, a->given[i].value, err));
        }
    }
    jsonw_end_array(&w);
    jsonw_key(&w, STR("limits"));
    jsonw_object(&w);
    for (size_t i = 0; i < a->given_count; i++) {
        if (strcmp(a->given[i].name, "limit") == 0) {
            TRY(write_limit(&w, a->given[i].value, err));
        }
    }
    jsonw_end_object(&w);
    jsonw_end_object(&w);
    return ERR_OK;
}

// A grant on what is not there holds for what will have the name; more often the name is wrong.
static void say_absent(const struct args *a, const json_t *role) {
    static const struct {
        const char *prefix, *path, *member, *kind;
    } kinds[] = {{"view:", "/catalog/views?limit=1000", "views", "view"},
                 {"dataset:", "/catalog/datasets?limit=1000", "datasets", "dataset"}};
    const json_t *grants = json_object_get(role, "grants");
    for (size_t i = 0; i < json_array_size(grants); i++) {
        struct str object = STR_NONE;
        (void)json_get_str(json_array_get(grants, i), "object", &object);
        for (size_t k = 0; k < ARRAY_LEN(kinds); k++) {
            const struct str prefix = str_from(kinds[k].prefix);
            const struct str name = str_slice(object, prefix.len, object.len);
            if (str_starts(object, prefix) && !str_is(name, "*") &&
                list_has(a, kinds[k].path, kinds[k].member, name) == LISTED_NO) {
                fprintf(stderr, "tarn: there is no %s \"" STR_FMT "\" now\n", kinds[k].kind,
                        STR_ARG(name));
            }
        }
    }
}

enum err_code cli_role_set(const struct args *a, struct err *err) {
    DEFER(buf_release) struct buf body = BUF(BODY_BYTES_MAX);
    DEFER(buf_release) struct buf path = BUF(1 << 16);
    DEFER(json_decrefp) json_t *answer = NULL;
    TRY(write_role(a, &body, err));
    role_path(a->words[0], &path);
    client_option(&path, a, "reason");
    TRY(client_ask(a, "PUT", buf_str(&path), &body, &answer, err));
    fprintf(stderr, "role %s is set\n", a->words[0]);
    say_absent(a, answer);
    return ERR_OK;
}

enum err_code cli_role_rm(const struct args *a, struct err *err) {
    DEFER(client_closep) struct client *c = NULL;
    TRY(client_open(a, &c, err));
    for (size_t i = 0; i < a->word_count; i++) {
        DEFER(buf_release) struct buf path = BUF(1 << 16);
        DEFER(json_decrefp) json_t *answer = NULL;
        int64_t tokens = 0;
        role_path(a->words[i], &path);
        client_option(&path, a, "reason");
        TRY(client_json(c, "DELETE", buf_str(&path), NULL, &answer, err));
        (void)json_get_i64(answer, "tokens", &tokens);
        fprintf(stderr, "role %s is removed; %" PRId64 " token%s it\n", a->words[i], tokens,
                tokens == 1 ? " had" : "s had");
    }
    return ERR_OK;
}
