// token: who may speak to the server, listed, made and revoked.
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/client.h"
#include "cli/grid.h"
#include "cli/list.h"

enum err_code cli_token_ls(const struct args *a, struct err *err) {
    static const struct list_column columns[] = {
        {"id", "id", cell_id, false},
        {"principal", "principal", cell_str, false},
        {"roles", "roles", cell_list, false},
        {"created", "created_at", cell_time, false},
        {"expires", "expires_at", cell_time, false},
        {"last used", "last_used_at", cell_time, false},
    };
    static const struct listing tokens = {"/auth/tokens", "tokens", columns, ARRAY_LEN(columns),
                                          true};
    return list_show(a, &tokens, INT64_MAX, err);
}

enum err_code cli_token_create(const struct args *a, struct err *err) {
    DEFER(buf_release) struct buf body = BUF(1 << 16);
    DEFER(buf_release) struct buf path = BUF(1 << 16);
    DEFER(buf_release) struct buf out = BUF(1 << 16);
    DEFER(json_decrefp) json_t *answer = NULL;
    struct jsonw w = JSONW(&body);
    struct str token = STR_NONE;
    struct str id = STR_NONE;
    struct str expires = STR_NONE;
    if (args_value(a, "expires")) {
        TRY(cli_time(a, "expires", &expires, err));
    }
    if (!args_flag(a, "role")) {
        return err_set(err, ERR_INVALID,
                       "--role says what the token may do: \"tarn role ls\" lists the roles, admin "
                       "may do everything");
    }
    jsonw_object(&w);
    jsonw_field_str(&w, "principal", str_from(a->words[0]));
    jsonw_key(&w, STR("roles"));
    jsonw_array(&w);
    for (size_t i = 0; i < a->given_count; i++) {
        if (strcmp(a->given[i].name, "role") == 0) {
            jsonw_str(&w, a->given[i].value);
        }
    }
    jsonw_end_array(&w);
    if (expires.len > 0) {
        jsonw_field_str(&w, "expires_at", expires);
    }
    jsonw_end_object(&w);
    buf_add_cstr(&path, "/auth/tokens");
    client_option(&path, a, "reason");
    TRY(client_ask(a, "POST", buf_str(&path), &body, &answer, err));
    TRY(json_need_str(answer, "token", &token, err));
    TRY(json_need_str(answer, "id", &id, err));
    buf_printf(&out, STR_FMT "\n", STR_ARG(token));
    fprintf(stderr, "token " STR_FMT " for %s; it is shown only now\n", STR_ARG(id), a->words[0]);
    return grid_write(&out, err);
}

enum err_code cli_token_rm(const struct args *a, struct err *err) {
    DEFER(client_closep) struct client *c = NULL;
    TRY(client_open(a, &c, err));
    for (size_t i = 0; i < a->word_count; i++) {
        DEFER(buf_release) struct buf path = BUF(1 << 16);
        DEFER(json_decrefp) json_t *answer = NULL;
        client_path(&path, "/auth/tokens/", a->words[i], "");
        client_option(&path, a, "reason");
        TRY(client_json(c, "DELETE", buf_str(&path), NULL, &answer, err));
        fprintf(stderr, "token %s is revoked\n", a->words[i]);
    }
    return ERR_OK;
}
