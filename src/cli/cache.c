// cache: datasets in the server's memory, listed, pinned and evicted.
#include <inttypes.h>
#include <stdio.h>

#include "cli/cli.h"
#include "cli/client.h"
#include "cli/grid.h"
#include "cli/list.h"

enum err_code cli_cache_stats(const struct args *a, struct err *err) {
    static const struct list_column columns[] = {
        {"dataset", "dataset", cell_str, false},       {"pinned", "pinned", cell_yes, false},
        {"rows", "rows", cell_number, true},           {"size", "bytes", cell_bytes, true},
        {"files", "files", cell_number, true},         {"hits", "hits", cell_number, true},
        {"misses", "misses", cell_number, true},       {"loads", "loads", cell_number, true},
        {"evictions", "evictions", cell_number, true}, {"error", "error", cell_str, false},
    };
    static const struct listing cache = {"/query/cache/stats", "datasets", columns,
                                         ARRAY_LEN(columns), true};
    return list_show(a, &cache, INT64_MAX, err);
}

// POST with one member; the dataset, or "all" when it is NULL.
static enum err_code cache_post(struct client *c, const char *path, const char *dataset,
                                json_t **ret, struct err *err) {
    DEFER(buf_release) struct buf body = BUF(1 << 16);
    struct jsonw w = JSONW(&body);
    jsonw_object(&w);
    if (dataset != NULL) {
        jsonw_field_str(&w, "dataset", str_from(dataset));
    } else {
        jsonw_key(&w, STR("all"));
        jsonw_bool(&w, true);
    }
    jsonw_end_object(&w);
    return client_json(c, "POST", str_from(path), &body, ret, err);
}

enum err_code cli_cache_pin(const struct args *a, struct err *err) {
    DEFER(client_closep) struct client *c = NULL;
    TRY(client_open(a, &c, err));
    for (size_t i = 0; i < a->word_count; i++) {
        DEFER(json_decrefp) json_t *answer = NULL;
        int64_t bytes = 0;
        TRY(cache_post(c, "/query/cache/pin", a->words[i], &answer, err));
        (void)json_get_i64(answer, "bytes", &bytes);
        const struct str size = grid_bytes(bytes, a->arena);
        fprintf(stderr, "%s is in memory, " STR_FMT "\n", a->words[i], STR_ARG(size));
    }
    return ERR_OK;
}

enum err_code cli_cache_evict(const struct args *a, struct err *err) {
    DEFER(client_closep) struct client *c = NULL;
    int64_t total = 0;
    TRY(client_open(a, &c, err));
    for (size_t i = 0; i < MAX(a->word_count, 1); i++) {
        DEFER(json_decrefp) json_t *answer = NULL;
        int64_t count = 0;
        TRY(cache_post(c, "/query/cache/evict", i < a->word_count ? a->words[i] : NULL, &answer,
                       err));
        (void)json_get_i64(answer, "evicted", &count);
        total += count;
    }
    fprintf(stderr, "%" PRId64 " %s left memory\n", total, total == 1 ? "dataset" : "datasets");
    return ERR_OK;
}
