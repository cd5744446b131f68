// Receipts of erasures: signed JSON, and the same as a page to be read.
//
// A receipt tells who asked, why and when; what was removed, with hashes; what was searched
// afterwards, with what result; and where the log stood. It holds no value of a person. Its
// subjects are named by their handles in the log, whose keys are destroyed by then.
//
//   {"tarn_receipt":1, "id", "server", "requested_by", "reason", "requested_at", "finished_at",
//    "subjects": {"count", "handles": [32 hex, …]},
//    "datasets": [{"dataset", "id", "column", "rows_removed", "files_rewritten", "files_removed",
//                  "snapshots", "snapshots_rewritten", "tombstones"}],
//    "removed": [{"object", "bytes", "sha256"}], "local_files_removed", "query_texts_removed",
//    "suppression": {"kept", "keys"},
//    "scan": {"objects", "bytes", "rows", "parquet", "avro", "json", "other", "local_files",
//             "values", "short_values", "found", "findings": [{"object", "where", "count"}],
//             "clean"},
//    "timing": {"rewrite_ms", "rewrite_bytes", "scan_ms", "scan_bytes"},
//    "log": {"seq", "sha256"},
//    "key": {"id", "algorithm": "ed25519", "public": 64 hex}, "signature": 128 hex}
//
// Times are RFC 3339. "log" is the record of the log that finished the work: its number and the
// SHA-256 of its bytes (txlog_record_sha256). Signed are the bytes of the receipt without
// "signature", as compact JSON with sorted keys (json_text_sorted). The receipt's own bytes are
// made in the same way, without a line end, and kept under erase_receipt_object; a later record of
// the log sets the entity "erasure:<id>" to {"state": "done", "receipt": {"object", "sha256"}, …}
// with the SHA-256 of these bytes.
//
// Threads: any.
#pragma once

#include "base/json.h"
#include "base/sign.h"
#include "catalog/catalog.h"

#define ERASE_RECEIPT_PREFIX STR("_catalog/receipts/")
struct str erase_receipt_object(struct str id, struct arena *a);

// The key that this catalog signs with: Ed25519, from the secret "receipt".
struct erase_receipt_key {
    struct str id;
    uint8_t seed[SIGN_KEY_BYTES], public_key[SIGN_KEY_BYTES];
};
MUST_CHECK enum err_code erase_receipt_key_get(struct catalog *c, struct arena *a,
                                               struct erase_receipt_key *ret, struct err *err);
// Adds "key" and "signature" to it (in place of others), and gives the receipt's bytes.
struct str erase_receipt_sign(json_t *receipt, const struct erase_receipt_key *key,
                              struct arena *a);

// What verification sees, each as a sentence.
struct erase_check {
    // "signature": it is right.
    // "key": it is this catalog's.
    // "log": the record that the receipt names has that hash, and the chain holds from there on.
    // "record": the log records this receipt, byte for byte.
    // "stored": so does the copy that is kept in the bucket.
    // "removed": the removed objects are still gone.
    // "search": the receipt says that nothing was found.
    const char *name;
    bool ok;
    struct str says;
};
#define ERASE_CHECKS_MAX 8
struct erase_verdict {
    bool ok; // all are
    struct erase_check checks[ERASE_CHECKS_MAX];
    size_t count;
};
// All checks, also behind one that fails. Over the catalog as it stands; nothing is written, and
// one that is open only to look will do. White space behind the receipt does not count.
// ERR_INVALID: that is no receipt.
MUST_CHECK enum err_code erase_receipt_verify(struct catalog *c, struct str receipt,
                                              struct arena *a, struct erase_verdict *ret,
                                              struct err *err);
// {"ok", "checks": [{"check", "ok", "says"}]}, a new reference.
json_t *erase_verdict_json(const struct erase_verdict *v);

// erase_receipt_page.c: the page, HTML that needs nothing else and holds no script; every text of
// the receipt is escaped. It says so in a policy of its own; to be answered with the header
// Content-Security-Policy: ERASE_RECEIPT_PAGE_POLICY. It does not verify the signature.
// ERR_CORRUPT: that is no receipt.
#define ERASE_RECEIPT_PAGE_POLICY                                                                  \
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; "         \
    "frame-ancestors 'none'"
MUST_CHECK enum err_code erase_receipt_page(struct str receipt, struct arena *a, struct str *ret,
                                            struct err *err);
