// The journal: GET /journal, the transactions of the catalog log, newest first.

#include "api/api.h"

struct page {
    json_t *entries; // oldest first while it is gathered
    struct arena *arena;
};

static bool page_add(void *ctx, uint64_t seq, int64_t time_us, const json_t *transaction) {
    static const char *const members[] = {"id", "actor", "action", "target", "reason"};
    struct page *p = ctx;
    json_t *j = json_object();
    json_object_set_new(j, "seq", json_integer((json_int_t)seq));
    json_object_set_new(j, "time", api_time(time_us, p->arena));
    for (size_t i = 0; i < ARRAY_LEN(members); i++) {
        json_t *value = json_object_get(transaction, members[i]);
        json_object_set(j, members[i], value != NULL ? value : json_null());
    }
    json_array_insert_new(p->entries, 0, j);
    return true;
}

// A page is made of whole records: `limit` counts them.
enum err_code journal_list(struct call *c, struct err *err) {
    int64_t limit = 100;
    struct txlog *log = catalog_log(c->api->catalog);
    int64_t last = (int64_t)txlog_seq(log);
    TRY(api_query_number(c, "limit", 1, 1000, &limit, err));
    TRY(api_query_number(c, "cursor", 1, INT64_MAX, &last, err));
    const struct catalog_bucket *bucket;
    TRY(catalog_bucket_find(c->api->catalog, STR_NONE, &bucket, err));
    int64_t first = MAX(last - limit + 1, 1);
    DEFER(json_decrefp) json_t *entries = json_array();
    struct page page = {.entries = entries, .arena = c->arena};
    struct txlog_walker walker = {page_add, &page};
    if (last >= 1) {
        TRY(txlog_walk(bucket->store, (uint64_t)first, (uint64_t)last, &walker, err));
    }
    json_t *j = json_object();
    json_object_set(j, "entries", entries);
    json_object_set_new(j, "next",
                        first > 1
                            ? json_new_str(arena_printf(c->arena, "%lld", (long long)(first - 1)))
                            : json_null());
    api_json_tree(c, 200, j);
    return ERR_OK;
}
