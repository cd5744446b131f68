// The journal: GET /journal, the transactions of the catalog log, newest first and with filters;
// GET /journal/verify, whether they are as they were written.

#include "api/api.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/hash.h"

enum {
    RECORDS_MAX = 5000,  // looked at for one page
    CHANGES_MAX = 50,    // named of one entry
    TEXT_MAX = 1024,     // of a filter
    SQL_BYTES = 8 << 20, // of statements, after which a page ends
    SUBJECT_LEN = 32,
};

// Which entries of queries are wanted, beside all others.
enum of_queries { QUERIES_ALL, QUERIES_REFUSED, QUERIES_NONE };

// Which entries are wanted. What is empty is not asked for.
struct filter {
    struct str actor, action, target, outcome, subject, reads;
    bool action_begins, target_begins; // they are the beginnings of it
    int64_t from_us, to_us;            // from <= time < to
    int64_t seq;                       // 0: any
    enum of_queries queries;
};

static enum err_code read_text(const struct call *c, const char *name, struct str *ret,
                               struct err *err) {
    if (http_query(c->http, name, ret) &&
        (ret->len == 0 || ret->len > TEXT_MAX || !str_is_plain(*ret))) {
        return err_set(err, ERR_INVALID, "%s must be a text of 1 to %d bytes", name, TEXT_MAX);
    }
    return ERR_OK;
}

// "dataset.*" and "dataset." stand for all that begin so.
static bool take_star(struct str *text) {
    const bool star = str_ends(*text, STR("*"));
    if (star) {
        *text = str_slice(*text, 0, text->len - 1);
    }
    return star;
}

static enum err_code read_action(const struct call *c, struct filter *f, struct err *err) {
    TRY(read_text(c, "action", &f->action, err));
    f->action_begins = take_star(&f->action) || str_ends(f->action, STR("."));
    for (size_t i = 0; i < f->action.len; i++) {
        const char ch = f->action.ptr[i];
        if ((ch < 'a' || ch > 'z') && ch != '.' && ch != '_') {
            return err_set(err, ERR_INVALID,
                           "action must be the name of an action, like dataset.append, or its "
                           "beginning, like dataset.*");
        }
    }
    return ERR_OK;
}

static enum err_code read_outcome(const struct call *c, struct filter *f, struct err *err) {
    static const char *const codes[] = {
#define X(name, http, text) text,
        ERR_MAP(X)
#undef X
    };
    TRY(read_text(c, "outcome", &f->outcome, err));
    bool known = f->outcome.len == 0 || str_is(f->outcome, "done") || str_is(f->outcome, "refused");
    for (size_t i = ERR_OK + 1; i < ARRAY_LEN(codes) && !known; i++) {
        known = str_is(f->outcome, codes[i]);
    }
    return known
               ? ERR_OK
               : err_set(err, ERR_INVALID,
                         "outcome must be done, refused, or the code of an error, like not_found");
}

static enum err_code read_time(const struct call *c, const char *name, int64_t *ret,
                               struct err *err) {
    struct str text = STR_NONE;
    if (http_query(c->http, name, &text) && !clock_parse(text, ret)) {
        return err_set(err, ERR_INVALID, "%s must be a time like 2027-01-31T00:00:00Z", name);
    }
    return ERR_OK;
}

static enum err_code read_subject(const struct call *c, struct filter *f, struct err *err) {
    uint8_t bytes[SUBJECT_LEN / 2];
    TRY(read_text(c, "subject", &f->subject, err));
    if (f->subject.len != 0 &&
        (f->subject.len != SUBJECT_LEN || !hex_decode(f->subject, bytes, sizeof(bytes)))) {
        return err_set(err, ERR_INVALID, "subject must be a handle of %d hexadecimal digits",
                       SUBJECT_LEN);
    }
    return ERR_OK;
}

static enum err_code read_queries(const struct call *c, struct filter *f, struct err *err) {
    static const char *const names[] = {
        [QUERIES_ALL] = "all", [QUERIES_REFUSED] = "refused", [QUERIES_NONE] = "none"};
    struct str text = STR_NONE;
    if (!http_query(c->http, "queries", &text)) {
        return ERR_OK;
    }
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        if (str_is(text, names[i])) {
            f->queries = (enum of_queries)i;
            return ERR_OK;
        }
    }
    return err_set(err, ERR_INVALID, "queries must be all, refused or none");
}

static enum err_code read_filter(struct call *c, struct filter *ret, struct err *err) {
    *ret = (struct filter){.from_us = INT64_MIN, .to_us = INT64_MAX};
    TRY(read_text(c, "actor", &ret->actor, err));
    TRY(read_action(c, ret, err));
    TRY(read_text(c, "target", &ret->target, err));
    ret->target_begins = take_star(&ret->target);
    TRY(read_outcome(c, ret, err));
    TRY(read_time(c, "from", &ret->from_us, err));
    TRY(read_time(c, "to", &ret->to_us, err));
    if (ret->from_us > ret->to_us) {
        return err_set(err, ERR_INVALID, "from must not be later than to");
    }
    TRY(api_query_number(c, "seq", 1, INT64_MAX, &ret->seq, err));
    TRY(read_queries(c, ret, err));
    TRY(read_text(c, "reads", &ret->reads, err));
    return read_subject(c, ret, err);
}

// Does the member have this text, or begin with it?
static bool fits(const json_t *transaction, const char *key, struct str wanted, bool begins) {
    struct str value = STR_NONE;
    if (wanted.len == 0) {
        return true;
    }
    (void)json_get_str(transaction, key, &value);
    return begins ? str_starts(value, wanted) : str_eq(value, wanted);
}

static bool outcome_fits(const struct filter *f, const json_t *transaction) {
    struct str outcome = STR_NONE;
    const bool refused = json_get_str(transaction, "outcome", &outcome);
    if (f->outcome.len == 0 || str_is(f->outcome, "refused")) {
        return f->outcome.len == 0 || refused;
    }
    return str_is(f->outcome, "done") ? !refused : str_eq(f->outcome, outcome);
}

static bool subject_fits(const struct filter *f, const json_t *transaction) {
    const json_t *list = json_object_get(json_object_get(transaction, "details"), "subjects");
    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *one = json_string_value(json_array_get(list, i));
        if (one != NULL && str_eq_nocase(f->subject, str_from(one))) {
            return true;
        }
    }
    return f->subject.len == 0;
}

// What the audit of queries has noted: they changed nothing.
static bool is_of_query(const json_t *transaction) {
    struct str action = STR_NONE;
    (void)json_get_str(transaction, "action", &action);
    return str_starts(action, STR("query.")) || str_is(action, "audit.keep") ||
           str_is(action, "audit.merge");
}

static bool queries_fit(const struct filter *f, const json_t *transaction) {
    const bool refused = json_object_get(transaction, "outcome") != NULL;
    return f->queries == QUERIES_ALL || (f->queries == QUERIES_REFUSED && refused) ||
           !is_of_query(transaction);
}

static bool is_view_of(const json_t *view, struct str name) {
    struct str text = STR_NONE;
    return (json_get_str(view, "name", &text) && str_eq(text, name)) ||
           (json_get_str(view, "base", &text) && str_eq(text, name));
}

// Has a query read, or tried to read, what has this name: a view, or a dataset through any view?
static bool reads_fit(const struct filter *f, const json_t *transaction) {
    const json_t *details = json_object_get(transaction, "details");
    const json_t *views = json_object_get(details, "views");
    struct str target = STR_NONE;
    struct str kind;
    if (f->reads.len == 0) {
        return true;
    }
    if (!is_of_query(transaction)) {
        return false;
    }
    for (size_t i = 0; i < json_array_size(views); i++) {
        if (is_view_of(json_array_get(views, i), f->reads)) {
            return true;
        }
    }
    (void)json_get_str(transaction, "target", &target);
    return json_object_getn(json_object_get(details, "snapshots"), f->reads.ptr, f->reads.len) !=
               NULL ||
           (str_cut(&target, ':', &kind) && str_eq(target, f->reads));
}

static bool item_fits(const struct filter *f, const struct txlog_item *item) {
    const json_t *t = item->transaction;
    return item->time_us >= f->from_us && item->time_us < f->to_us &&
           fits(t, "actor", f->actor, false) && fits(t, "action", f->action, f->action_begins) &&
           fits(t, "target", f->target, f->target_begins) && outcome_fits(f, t) &&
           subject_fits(f, t) && queries_fit(f, t) && reads_fit(f, t);
}

// ---- Entries

// NULL: nothing, it only had to be absent.
static const char *change_kind(const json_t *change) {
    int64_t expect = 0;
    (void)json_get_i64(change, "expect", &expect);
    if (json_is_null(json_object_get(change, "value"))) {
        return expect == 0 ? NULL : "removed";
    }
    return expect == 0 ? "created" : "changed";
}

// Names of entities, and what became of them; never what they hold.
static void add_changes(json_t *entry, const json_t *changes) {
    json_int_t left_out = 0;
    json_t *list = json_array();
    for (size_t i = 0; i < json_array_size(changes); i++) {
        const json_t *change = json_array_get(changes, i);
        const char *kind = change_kind(change);
        if (kind != NULL && json_array_size(list) < CHANGES_MAX) {
            json_array_append_new(list,
                                  json_pack("{s:O,s:s}", "entity",
                                            json_object_get(change, "entity"), "change", kind));
        } else if (kind != NULL) {
            left_out++;
        }
    }
    json_object_set_new(entry, "changes", list);
    json_object_set_new(entry, "changes_left_out", json_integer(left_out));
}

static json_t *entry_json(const struct txlog_item *item, struct arena *a) {
    static const char *const members[] = {"id", "actor", "action", "target", "reason"};
    json_t *j = json_object();
    json_object_set_new(j, "seq", json_integer((json_int_t)item->seq));
    json_object_set_new(j, "time", api_time(item->time_us, a));
    json_object_set_new(j, "node", json_new_str(item->node));
    for (size_t i = 0; i < ARRAY_LEN(members); i++) {
        json_object_set(j, members[i], json_object_get(item->transaction, members[i]));
    }
    json_t *outcome = json_object_get(item->transaction, "outcome");
    json_t *details = json_object_get(item->transaction, "details");
    json_object_set_new(j, "outcome", outcome != NULL ? json_incref(outcome) : json_string("done"));
    json_object_set_new(j, "details", details != NULL ? json_incref(details) : json_null());
    add_changes(j, json_object_get(item->transaction, "changes"));
    return j;
}

// A page on its way.
struct page {
    struct catalog *catalog;
    struct audit_texts *texts; // of queries; made when the first is asked for
    size_t sql_bytes;
    const struct filter *filter;
    struct arena *arena;
    json_t *entries;
    size_t limit;
    uint64_t first_seq;  // where it begins: of this record,
    uint64_t first_left; // as many transactions as are left; UINT64_MAX: all
    uint64_t seq;        // it is full, and this one is the last that was looked at
    size_t index;
};

// The statement of an audited query, if its text is kept.
static void add_sql(struct page *p, json_t *entry) {
    const json_t *details = json_object_get(entry, "details");
    struct str sql;
    if (json_object_get(details, "sql_ref") == NULL) {
        return;
    }
    if (p->texts == NULL) {
        p->texts = audit_texts_new(p->catalog);
    }
    if (audit_texts_find(p->texts, details, p->arena, &sql)) {
        json_object_set_new(entry, "sql", json_new_str(sql));
        p->sql_bytes += sql.len;
    }
}

static bool page_add(void *ctx, const struct txlog_item *item) {
    struct page *p = ctx;
    if (item->seq == p->first_seq && item->index >= p->first_left) {
        return true;
    }
    if (item_fits(p->filter, item)) {
        json_t *entry = entry_json(item, p->arena);
        add_sql(p, entry);
        json_array_append_new(p->entries, entry);
    }
    if (json_array_size(p->entries) < p->limit && p->sql_bytes < SQL_BYTES) {
        return true;
    }
    p->seq = item->seq;
    p->index = item->index;
    return false;
}

// "SEQ", or "SEQ.N": the first N transactions of it are left.
static enum err_code read_cursor(const struct call *c, struct page *ret, struct err *err) {
    struct str text = STR_NONE;
    struct str seq = STR_NONE;
    if (!http_query(c->http, "cursor", &text)) {
        return ERR_OK;
    }
    struct str rest = text;
    (void)str_cut(&rest, '.', &seq);
    const bool whole = seq.len == text.len;
    if (!str_to_u64(seq, &ret->first_seq) || ret->first_seq == 0 || ret->first_seq > INT64_MAX ||
        (!whole && (!str_to_u64(rest, &ret->first_left) || ret->first_left == 0))) {
        return err_set(err, ERR_INVALID, "cursor must be the value of next of the page before");
    }
    return ERR_OK;
}

// Where the next page begins.
static json_t *page_next(const struct page *p, uint64_t to, struct arena *a) {
    if (p->seq != 0 && p->index > 0) {
        return json_new_str(arena_printf(a, "%llu.%zu", (unsigned long long)p->seq, p->index));
    }
    const uint64_t next = (p->seq != 0 ? p->seq : to) - 1;
    return next == 0 || p->filter->seq != 0
               ? json_null()
               : json_new_str(arena_printf(a, "%llu", (unsigned long long)next));
}

static enum err_code page_read(struct call *c, struct page *p, json_t **ret_next, struct err *err) {
    const struct catalog_bucket *bucket;
    const struct txlog_walker walker = {page_add, p};
    const uint64_t last = txlog_seq(catalog_log(c->api->catalog));
    uint64_t from = MIN(p->first_seq, last);
    *ret_next = json_null();
    TRY(catalog_bucket_find(c->api->catalog, STR_NONE, &bucket, err));
    if (p->filter->seq != 0) {
        from = MIN(from, (uint64_t)p->filter->seq);
    }
    if (from == 0 || from < (uint64_t)p->filter->seq) {
        return ERR_OK; // there is none such yet
    }
    const uint64_t to = p->filter->seq != 0 || from <= RECORDS_MAX ? 1 : from - RECORDS_MAX + 1;
    TRY(txlog_walk_back(bucket->store, from, p->filter->seq != 0 ? from : to, &walker, err));
    *ret_next = page_next(p, to, c->arena);
    return ERR_OK;
}

enum err_code journal_list(struct call *c, struct err *err) {
    int64_t limit = 100;
    struct filter filter;
    json_t *next;
    DEFER(json_decrefp) json_t *entries = json_array();
    TRY(api_query_number(c, "limit", 1, 1000, &limit, err));
    TRY(read_filter(c, &filter, err));
    struct page page = {.catalog = c->api->catalog,
                        .filter = &filter,
                        .arena = c->arena,
                        .entries = entries,
                        .limit = (size_t)limit,
                        .first_seq = UINT64_MAX,
                        .first_left = UINT64_MAX};
    TRY(read_cursor(c, &page, err));
    const enum err_code code = page_read(c, &page, &next, err);
    audit_texts_free(page.texts);
    TRY(code);
    api_json_tree(c, 200, json_pack("{s:O,s:o}", "entries", entries, "next", next));
    return ERR_OK;
}

// ---- Verification

// Outlives the request: a job may take it along.
struct verification {
    struct store *store;
    struct txlog_mark kept;
    char sha256[HEX_SHA256_LEN + 1];
};

static enum err_code verify(struct job *job, void *ctx, struct arena *a, json_t **ret,
                            struct err *err) {
    const struct verification *v = ctx;
    struct txlog_report r = {0};
    struct err damage = ERR_NONE;
    (void)job;
    const enum err_code code =
        txlog_verify(v->store, v->kept.seq != 0 ? &v->kept : NULL, a, &r, &damage);
    if (code != ERR_OK && code != ERR_CORRUPT && code != ERR_UNSUPPORTED) {
        *err = damage; // it could not be read, which says nothing
        return code;
    }
    *ret = json_pack("{s:b,s:I,s:I,s:I,s:I,s:I,s:I,s:I}", "good", code == ERR_OK, "records",
                     (json_int_t)r.records, "transactions", (json_int_t)r.transactions, "changes",
                     (json_int_t)r.changes, "checkpoints", (json_int_t)r.checkpoints, "first_seq",
                     (json_int_t)r.first_seq, "last_seq", (json_int_t)r.last_seq, "seen_seq",
                     (json_int_t)r.seen_seq);
    json_object_set_new(*ret, "head_sha256",
                        r.head_sha256.len != 0 ? json_new_str(r.head_sha256) : json_null());
    json_object_set_new(*ret, "note", r.note.len != 0 ? json_new_str(r.note) : json_null());
    json_object_set_new(*ret, "damage", code != ERR_OK ? json_string(damage.msg) : json_null());
    return ERR_OK;
}

// "SEQ:SHA256", as an earlier verification has told them.
static enum err_code read_head(const struct call *c, struct verification *v, struct err *err) {
    struct str text = STR_NONE;
    struct str seq = STR_NONE;
    uint8_t bytes[HEX_SHA256_LEN / 2];
    if (!http_query(c->http, "head", &text)) {
        return ERR_OK;
    }
    (void)str_cut(&text, ':', &seq);
    if (!str_to_u64(seq, &v->kept.seq) || v->kept.seq == 0 || v->kept.seq > INT64_MAX ||
        text.len != HEX_SHA256_LEN || !hex_decode(text, bytes, sizeof(bytes))) {
        return err_set(err, ERR_INVALID,
                       "head must be the number of a record and the SHA-256 of its bytes, "
                       "SEQ:SHA256");
    }
    memcpy(v->sha256, text.ptr, text.len);
    v->kept.sha256 = str_from(v->sha256);
    return ERR_OK;
}

enum err_code journal_verify(struct call *c, struct err *err) {
    const struct catalog_bucket *bucket;
    TRY(catalog_bucket_find(c->api->catalog, STR_NONE, &bucket, err));
    DEFER(freep) struct verification *v = xcalloc(1, sizeof(*v));
    v->store = bucket->store;
    TRY(read_head(c, v, err));
    struct job_spec spec = {
        .kind = "verify", .target = STR("journal"), .run = verify, .release = free, .ctx = TAKE(v)};
    return api_work(c, &spec, err);
}
