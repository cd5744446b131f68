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
//    "removed": [{"object", "bytes", "sha256"}], "local_files_removed",
//    "suppression": {"kept", "keys"},
//    "scan": {"objects", "bytes", "rows", "parquet", "avro", "json", "other", "local_files",
//             "values", "short_values", "found", "findings": [{"object", "where", "count"}],
//             "clean"},
//    "timing": {"rewrite_ms", "rewrite_bytes", "scan_ms", "scan_bytes"},
//    "log": {"seq", "sha256"},
//    "key": {"id", "algorithm": "ed25519", "public": 64 hex}, "signature": 128 hex}
//
// Signed are the bytes of the receipt without "signature", as compact JSON with sorted keys.
//
// Threads: any.
#pragma once

#include "catalog/catalog.h"

#define ERASE_RECEIPT_PREFIX STR("_catalog/receipts/")

// The key that this catalog signs with: Ed25519, from the secret "receipt".
struct erase_receipt_key {
    struct str id;
    uint8_t seed[32], public_key[32];
};
MUST_CHECK enum err_code erase_receipt_key_get(struct catalog *c, struct arena *a,
                                               struct erase_receipt_key *ret, struct err *err);
// Adds "key" and "signature" to it.
void erase_receipt_sign(json_t *receipt, const struct erase_receipt_key *key, struct arena *a);

// What verification sees, each as a sentence.
struct erase_check {
    const char *name; // "signature", "key", "log", "record", "removed", "stored"
    bool ok;
    struct str says;
};
#define ERASE_CHECKS_MAX 8
struct erase_verdict {
    bool ok; // all are
    struct erase_check checks[ERASE_CHECKS_MAX];
    size_t count;
};
// Is the signature right; is the key this catalog's; does the log have that record with that hash,
// and does its chain hold; does the log record this receipt; are the removed objects still gone?
// Over the catalog as it stands; a read-only one will do. ERR_INVALID: that is no receipt.
MUST_CHECK enum err_code erase_receipt_verify(struct catalog *c, struct str receipt,
                                              struct arena *a, struct erase_verdict *ret,
                                              struct err *err);
// The page, HTML that needs nothing else. ERR_CORRUPT: that is no receipt.
MUST_CHECK enum err_code erase_receipt_page(struct str receipt, struct arena *a, struct str *ret,
                                            struct err *err);
