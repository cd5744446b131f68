// The one table of routes: routing, methods, permissions and the documentation come from it.

#include "api/api.h"

static const struct route_query page_query[] = {
    {"limit", "integer", "How many at most (1 to 1000; default 100)."},
    {"cursor", "string", "The value of next of the page before."},
    {NULL, NULL, NULL},
};

static const struct route_query ingest_query[] = {
    {"dataset", "string", "Name of the dataset."},
    {"format", "string",
     "auto (default), csv, tsv, json, ndjson, parquet or arrow (IPC stream or file)."},
    {"mode", "string", "create (default), append, replace, upsert or delete (by key)."},
    {"key", "string", "Upsert and delete: columns that tell rows apart, with commas between."},
    {"on_duplicate", "string", "Upsert: a key twice in the file: fail (default) or last."},
    {"on_error", "string", "fail (default), or reject: keep the good rows, report the bad ones."},
    {"evolve", "boolean", "Let an append add, widen and relax columns."},
    {"header", "boolean", "Delimited text: is the first line a header? Default: detected."},
    {"delimiter", "string", "Delimited text: one character, or \\t. Default: detected."},
    {"quote", "string", "Delimited text: one character, or none. Default: detected."},
    {"encoding", "string", "utf-8, utf-16, latin-1 or windows-1252. Default: detected."},
    {"filename", "string", "Name of the file, for detection and messages."},
    {"bucket", "string", "Bucket of a new dataset; the header X-Lakehouse-Bucket names it too."},
    {"reason", "string", "Why, for the journal."},
    {NULL, NULL, NULL},
};

static const struct route_query sql_query[] = {
    {"rows_max", "integer", "Rows of the answer at most."},
    {"format", "string", "JSON rows as objects (default) or arrays."},
    {"big_numbers", "string", "number (default), or string: integers past 2^53 and decimals."},
    {"reason", "string", "Why, for the journal, of a statement that writes."},
    {NULL, NULL, NULL},
};

static const struct route_query reason_query[] = {
    {"reason", "string", "Why, for the journal."},
    {NULL, NULL, NULL},
};

static const struct route_query tombstones_query[] = {
    {"overdue", "boolean", "true: only what is past its purge_by."},
    {"limit", "integer", "How many at most (1 to 1000; default 100)."},
    {"cursor", "string", "The value of next of the page before."},
    {NULL, NULL, NULL},
};

static const struct route_query journal_query[] = {
    {"actor", "string", "Who did it."},
    {"action", "string", "What was done: dataset.append; dataset.* for all that begin so."},
    {"target", "string", "What it was done to: dataset:NAME; dataset:* for all that begin so."},
    {"outcome", "string", "done, refused, or the code of a refusal, like not_found."},
    {"queries", "string",
     "Entries of queries (query.*, audit.keep, audit.merge): all (default), refused for those "
     "that failed alone, or none. Others are not concerned."},
    {"reads", "string",
     "Only queries that read this dataset, itself or through a view, or this view, or tried to."},
    {"from", "string", "Not before this time, like 2027-01-31T00:00:00Z."},
    {"to", "string", "Before this time."},
    {"seq", "integer", "Of this record."},
    {"subject", "string", "About this subject: a handle of 32 hexadecimal digits."},
    {"limit", "integer",
     "How many at most (1 to 1000; default 100). A page looks at 5000 records and may have fewer "
     "entries, or none, and a next all the same."},
    {"cursor", "string", "The value of next of the page before."},
    {NULL, NULL, NULL},
};

static const struct route_query verify_query[] = {
    {"head", "string", "SEQ:SHA256 that was kept elsewhere, to be compared."},
    {NULL, NULL, NULL},
};

static const struct route_query version_query[] = {
    {"version", "integer", "An earlier definition; for admins."},
    {NULL, NULL, NULL},
};

#define DATASET "/catalog/datasets/by-name/{name}"

static const struct route table[] = {
    {HTTP_GET, "/health", PERMIT_ANYONE, "health", "health", "Is the process alive?", NULL,
     "Health", NULL, health_service, NULL, NULL, NULL},
    {HTTP_GET, "/{service}/health", PERMIT_ANYONE, "health", "healthOfService",
     "Health of one service: gateway, storage, catalog, query or ingest", NULL, "Health", NULL,
     health_service, NULL, NULL, NULL},
    {HTTP_GET, "/ready", PERMIT_ANYONE, "health", "ready", "May traffic be sent here?", NULL,
     "Health", NULL, health_ready, NULL, NULL, NULL},
    {HTTP_GET, "/version", PERMIT_ANYONE, "health", "version", "Versions of server and engine",
     NULL, "Version", NULL, health_version, NULL, NULL, NULL},
    {HTTP_GET, "/metrics", PERMIT_ADMIN, "health", "metrics", "Counters, as Prometheus reads them",
     NULL, "text/plain", NULL, health_metrics, NULL, NULL, NULL},
    {HTTP_GET, "/openapi.json", PERMIT_ANYONE, "health", "openapi", "This document", NULL,
     "OpenApi", NULL, health_openapi, NULL, NULL, NULL},
    {HTTP_POST, "/ingest/file", PERMIT_NAMED_WRITE, "ingest", "ingestFile", "A file into a dataset",
     "file", "Ingested", ingest_query, ingest_file, ingest_file_begin, "dataset.ingest",
     "dataset:"},
    {HTTP_POST, "/ingest/delta", PERMIT_NAMED_WRITE, "ingest", "ingestDelta",
     "Rows that come, take the place of others, or go", "Delta", "DeltaDone", ingest_query,
     ingest_delta_rows, ingest_delta_begin, "dataset.ingest", "dataset:"},
    {HTTP_GET, "/ingest/rejects/{id}", PERMIT_TOKEN, "ingest", "ingestRejects",
     "The bad rows of an ingest, as CSV", NULL, "text/csv", NULL, ingest_rejects, NULL, NULL, NULL},
    {HTTP_GET, "/catalog/datasets", PERMIT_TOKEN, "catalog", "listDatasets", "Datasets, by name",
     NULL, "Datasets", page_query, catalog_list, NULL, NULL, NULL},
    {HTTP_GET, DATASET, PERMIT_SEE, "catalog", "showDataset",
     "Schema, files and snapshots of a dataset", NULL, "Dataset", NULL, catalog_show, NULL, NULL,
     NULL},
    {HTTP_DELETE, DATASET, PERMIT_WRITE, "catalog", "dropDataset", "Removes a dataset", NULL,
     "Dropped", reason_query, catalog_drop, NULL, "dataset.drop", "dataset:"},
    {HTTP_POST, DATASET "/rename", PERMIT_WRITE, "catalog", "renameDataset", "Renames a dataset",
     "Rename", "Renamed", reason_query, catalog_rename, NULL, "dataset.rename", "dataset:"},
    {HTTP_POST, DATASET "/columns", PERMIT_WRITE, "catalog", "alterColumns",
     "Adds, drops, renames and widens columns, in one commit", "ColumnChanges", "ColumnsChanged",
     reason_query, catalog_columns, NULL, "dataset.columns", "dataset:"},
    {HTTP_POST, DATASET "/tombstone", PERMIT_TOMBSTONE, "erasure", "tombstone",
     "Hides all rows of these keys, now and later", "Tombstone", "Tombstoned", reason_query,
     tombstones_make, NULL, "dataset.tombstone", "dataset:"},
    {HTTP_GET, DATASET "/tombstone", PERMIT_TOMBSTONE, "erasure", "listTombstones",
     "Keys whose rows are hidden, with who, when and why; oldest first", NULL, "Tombstones",
     tombstones_query, tombstones_list, NULL, NULL, NULL},
    {HTTP_POST, DATASET "/tombstone/undo", PERMIT_TOMBSTONE, "erasure", "undoTombstone",
     "Brings the rows of these keys back", "TombstoneUndo", "TombstonesUndone", reason_query,
     tombstones_undo, NULL, "dataset.tombstone_undo", "dataset:"},
    {HTTP_GET, "/catalog/tombstones", PERMIT_TOKEN, "erasure", "reportTombstones",
     "Datasets that have tombstones, with how many are overdue", NULL, "TombstoneReport",
     tombstones_query, tombstones_report, NULL, NULL, NULL},
    {HTTP_GET, "/catalog/suppressions", PERMIT_ADMIN, "erasure", "listSuppressions",
     "Lists of erased keys whose rows are kept out, without the keys", NULL, "Suppressions", NULL,
     suppressions_list, NULL, NULL, NULL},
    {HTTP_DELETE, "/catalog/suppressions/{name}", PERMIT_ADMIN, "erasure", "removeSuppression",
     "Lets rows of a dataset's erased keys in again", NULL, "SuppressionRemoved", reason_query,
     suppressions_remove, NULL, "suppression.remove", "suppression:"},
    {HTTP_POST, "/catalog/views", PERMIT_ADMIN, "views", "createView",
     "Makes a view, or gives it another definition", "ViewRequest", "View", reason_query, view_make,
     NULL, "view.put", "view:"},
    {HTTP_GET, "/catalog/views", PERMIT_TOKEN, "views", "listViews", "Views, by name", NULL,
     "Views", page_query, view_list, NULL, NULL, NULL},
    {HTTP_GET, "/catalog/views/{name}", PERMIT_READ_VIEW, "views", "showView",
     "Columns of a view; to admins its definition", NULL, "View", version_query, view_show, NULL,
     NULL, "view:"},
    {HTTP_DELETE, "/catalog/views/{name}", PERMIT_ADMIN, "views", "removeView", "Removes a view",
     NULL, "ViewRemoved", reason_query, view_remove, NULL, "view.remove", "view:"},
    {HTTP_POST, "/catalog/mask-key/rotate", PERMIT_ADMIN, "views", "rotateMaskKey",
     "Gives hashes another key: what was hashed before does not join any more", NULL,
     "MaskKeyRotated", reason_query, mask_key_rotate, NULL, "mask_key.rotate", NULL},
    {HTTP_POST, "/query/sql", PERMIT_STATEMENT, "query", "querySql",
     "Runs a SELECT, or a statement that writes", "Sql", "Rows", sql_query, query_sql, NULL, NULL,
     NULL},
    {HTTP_POST, "/query/preview", PERMIT_IMPERSONATE, "views", "preview",
     "What roles or principals would get, beside what is there", "Preview", "Previewed", NULL,
     query_preview, NULL, NULL, NULL},
    {HTTP_GET, DATASET "/snapshots", PERMIT_READ, "upkeep", "listSnapshots",
     "Snapshots of a dataset, newest first", NULL, "Snapshots", page_query, snapshots_list, NULL,
     NULL, NULL},
    {HTTP_POST, DATASET "/rollback", PERMIT_WRITE, "upkeep", "rollBack",
     "Makes an older snapshot current again", "Rollback", "RolledBack", reason_query,
     snapshots_rollback, NULL, "dataset.rollback", "dataset:"},
    {HTTP_POST, DATASET "/expire", PERMIT_WRITE, "upkeep", "expireSnapshots",
     "Removes old snapshots and what only they need", "Expire", "Expired", reason_query,
     snapshots_expire, NULL, "dataset.expire", "dataset:"},
    {HTTP_POST, DATASET "/orphans", PERMIT_WRITE, "upkeep", "removeOrphans",
     "Removes objects that nothing leads to", "Orphans", "Orphaned", reason_query,
     snapshots_orphans, NULL, "dataset.orphans", "dataset:"},
    {HTTP_POST, DATASET "/erase", PERMIT_ERASE, "erasure", "erase",
     "Takes subjects out of everything that is kept, and proves it", "Erase", "Erased",
     reason_query, erasures_begin, NULL, "dataset.erase", "dataset:"},
    {HTTP_GET, "/erasures", PERMIT_ADMIN, "erasure", "listErasures", "Erasures, newest first", NULL,
     "Erasures", page_query, erasures_list, NULL, NULL, NULL},
    {HTTP_GET, "/erasures/key", PERMIT_ADMIN, "erasure", "showReceiptKey",
     "The public key that receipts are signed with", NULL, "ReceiptKey", NULL, erasures_key, NULL,
     NULL, NULL},
    {HTTP_POST, "/erasures/verify", PERMIT_ADMIN, "erasure", "verifyReceipt",
     "Checks a receipt against what is there now", "Receipt", "Verdict", NULL, erasures_verify,
     NULL, NULL, NULL},
    {HTTP_GET, "/erasures/{id}", PERMIT_ADMIN, "erasure", "showErasure", "State of an erasure",
     NULL, "Erasure", NULL, erasures_show, NULL, NULL, NULL},
    {HTTP_POST, "/erasures/{id}/resume", PERMIT_ADMIN, "erasure", "resumeErasure",
     "Takes up an erasure that was stopped", NULL, "Receipt", reason_query, erasures_resume, NULL,
     "erasure.resume", "erasure:"},
    {HTTP_GET, "/erasures/{id}/receipt", PERMIT_ADMIN, "erasure", "showReceipt",
     "The receipt, as JSON or as a page (Accept: text/html)", NULL, "Receipt", NULL,
     erasures_receipt, NULL, NULL, NULL},
    {HTTP_POST, "/query/compact", PERMIT_NAMED_WRITE, "upkeep", "compact",
     "Writes small files and files with deletes again", "Compact", "Compacted", reason_query,
     upkeep_compact_route, NULL, "dataset.compact", "dataset:"},
    {HTTP_GET, "/query/running", PERMIT_TOKEN, "query", "listQueries",
     "Queries that run or wait now", NULL, "Queries", NULL, query_running, NULL, NULL, NULL},
    {HTTP_DELETE, "/query/running/{id}", PERMIT_TOKEN, "query", "stopQuery", "Cancels a query",
     NULL, "Stopped", NULL, query_stop, NULL, NULL, NULL},
    {HTTP_POST, "/query/cache/pin", PERMIT_NAMED_WRITE, "query", "pinDataset",
     "Holds a dataset in memory until it is evicted", "CachePin", "CacheStat", NULL, cache_pin,
     NULL, NULL, NULL},
    {HTTP_POST, "/query/cache/evict", PERMIT_NAMED_WRITE, "query", "evictDataset",
     "Takes a dataset, or all, out of memory", "CacheEvict", "CacheEvicted", NULL, cache_evict,
     NULL, NULL, NULL},
    {HTTP_GET, "/query/cache/stats", PERMIT_TOKEN, "query", "showCache",
     "What the hot cache holds, and how it does", NULL, "CacheStats", NULL, cache_stats, NULL, NULL,
     NULL},
    {HTTP_GET, "/auth/roles", PERMIT_ADMIN, "auth", "listRoles", "Roles, by name", NULL, "Roles",
     NULL, role_list, NULL, NULL, NULL},
    {HTTP_PUT, "/auth/roles/{role}", PERMIT_ADMIN, "auth", "putRole",
     "Makes a role, or gives it other grants and limits", "RoleRequest", "Role", reason_query,
     role_put, NULL, "role.put", "role:"},
    {HTTP_GET, "/auth/roles/{role}", PERMIT_ADMIN, "auth", "showRole",
     "Grants and limits of a role", NULL, "Role", NULL, role_show, NULL, NULL, NULL},
    {HTTP_DELETE, "/auth/roles/{role}", PERMIT_ADMIN, "auth", "removeRole",
     "Removes a role: tokens that have it get nothing from it any more", NULL, "RoleRemoved",
     reason_query, role_remove, NULL, "role.remove", "role:"},
    {HTTP_POST, "/auth/tokens", PERMIT_ADMIN, "auth", "createToken", "Makes a token, shown once",
     "TokenRequest", "TokenMade", reason_query, token_make, NULL, "token.create", "token:"},
    {HTTP_GET, "/auth/tokens", PERMIT_ADMIN, "auth", "listTokens", "Tokens, without their texts",
     NULL, "Tokens", NULL, token_list, NULL, NULL, NULL},
    {HTTP_DELETE, "/auth/tokens/{id}", PERMIT_ADMIN, "auth", "revokeToken", "Revokes a token", NULL,
     "Revoked", reason_query, token_revoke, NULL, "token.revoke", "token:"},
    {HTTP_GET, "/jobs", PERMIT_TOKEN, "jobs", "listJobs", "Long work, newest first", NULL, "Jobs",
     page_query, job_list, NULL, NULL, NULL},
    {HTTP_GET, "/jobs/{id}", PERMIT_TOKEN, "jobs", "showJob", "State, progress and result of a job",
     NULL, "Job", NULL, job_show, NULL, NULL, NULL},
    {HTTP_DELETE, "/jobs/{id}", PERMIT_TOKEN, "jobs", "stopJob", "Asks a job to stop", NULL, "Job",
     NULL, job_stop, NULL, NULL, NULL},
    {HTTP_GET, "/jobs/{id}/events", PERMIT_TOKEN, "jobs", "watchJob",
     "The job after each change, as server-sent events, until it ends", NULL, "text/event-stream",
     NULL, job_events, NULL, NULL, NULL},
    {HTTP_GET, "/journal", PERMIT_ADMIN, "journal", "listJournal",
     "Transactions of the catalog, and refused attempts, newest first", NULL, "Journal",
     journal_query, journal_list, NULL, NULL, NULL},
    {HTTP_GET, "/journal/verify", PERMIT_ADMIN, "journal", "verifyJournal",
     "Is every record of the catalog log as it was written?", NULL, "JournalVerdict", verify_query,
     journal_verify, NULL, NULL, NULL},
};

static const char *const method_names[] = {
    [HTTP_GET] = "GET",       [HTTP_HEAD] = "HEAD",   [HTTP_POST] = "POST",     [HTTP_PUT] = "PUT",
    [HTTP_DELETE] = "DELETE", [HTTP_PATCH] = "PATCH", [HTTP_OTHER] = "another",
};

const struct route *routes(size_t *ret_count) {
    *ret_count = ARRAY_LEN(table);
    return table;
}

// Does the path have the form of the pattern? {…} stands for one part, which goes to *param.
static bool path_matches(const char *pattern, struct str path, struct str *param) {
    struct str want = str_from(pattern);
    struct str want_part;
    struct str part;
    *param = STR_NONE;
    while (str_cut(&want, '/', &want_part)) {
        if (!str_cut(&path, '/', &part)) {
            return false;
        }
        if (want_part.len > 0 && want_part.ptr[0] == '{') {
            if (part.len == 0) {
                return false;
            }
            *param = part;
        } else if (!str_eq(want_part, part)) {
            return false;
        }
    }
    return path.len == 0;
}

enum err_code route_find(enum http_method method, struct str path, struct arena *a,
                         struct route_match *ret, struct err *err) {
    enum http_method wanted = method == HTTP_HEAD ? HTTP_GET : method;
    struct str allow = STR_NONE;
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        const struct route *r = &table[i];
        if (!path_matches(r->path, path, &ret->param)) {
            continue;
        }
        if (r->method == wanted) {
            ret->route = r;
            return ERR_OK;
        }
        allow = arena_printf(a, STR_FMT "%s%s%s", STR_ARG(allow), allow.len == 0 ? "" : ", ",
                             method_names[r->method], r->method == HTTP_GET ? ", HEAD" : "");
    }
    if (allow.len != 0) {
        ret->allow = allow;
        return err_set(err, ERR_METHOD, STR_FMT " takes " STR_FMT ", not %s", STR_ARG(path),
                       STR_ARG(allow), method_names[method]);
    }
    return err_set(err, ERR_NOT_FOUND,
                   "there is nothing at " STR_FMT " (GET /openapi.json lists "
                   "what there is)",
                   STR_ARG(path));
}
