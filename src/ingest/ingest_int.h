// What the files of ingest/ share: an upload on its way, the rows of delimited text, bad rows.
#pragma once

#include <stdio.h>

#include "base/hash.h"
#include "base/scratch.h"
#include "base/threads.h"
#include "ingest/ingest.h"

#define INGEST_COLUMNS_MAX 10000
#define INGEST_OBJECT_MAX (32 << 20) // bytes of one JSON object
#define INGEST_SAMPLE_ROWS 20480
#define INGEST_FIRST_MAX 10         // bad rows in the answer
#define INGEST_REJECT_TEXT_MAX 4096 // bytes of a bad row that are kept

// What is known of some text after its bytes have gone by once.
struct text_scan {
    int64_t bytes;
    int64_t nul;                        // position of the first NUL; -1: none
    int64_t invalid;                    // position of the first byte that is not UTF-8; -1: none
    int64_t valid_count, invalid_count; // characters past ASCII; bytes that are no UTF-8
    unsigned char carry[4];             // the beginning of a character
    size_t carry_len;
};
#define TEXT_SCAN ((struct text_scan){.nul = -1, .invalid = -1})

void text_scan_add(struct text_scan *t, struct str piece);
void text_scan_end(struct text_scan *t);

// What the first bytes of a file say.
enum detect_kind {
    DETECT_TEXT,
    DETECT_JSON, // '{' or '[' comes first
    DETECT_PARQUET,
    DETECT_ARROW,
    DETECT_GZIP,
    DETECT_ZSTD,
    DETECT_OTHER, // something known that is not read
};
// *ret_name: "an Excel or ZIP file", for DETECT_OTHER.
enum detect_kind detect_bytes(struct str head, const char **ret_name);
// Format by name ("x.csv", "x.ndjson.gz"); INGEST_AUTO when it says nothing.
enum ingest_format detect_name(struct str filename);
// Is the text of the head wide (UTF-16 or UTF-32 with a mark)?
bool detect_wide(struct str head);

struct ingest {
    const struct config *config;
    struct tables *tables;
    struct engine *engine;
    struct str spool;            // <data>/spool
    struct str rejects;          // <data>/spool/rejects
    struct scratch delta_folder; // rows of deltas on their way, a file for each group
    struct arena arena;
    pthread_mutex_t lock; // guards everything below
    int64_t running;
    struct delta_queue *deltas; // by dataset; those with callers in them
    pthread_cond_t delta_done;
};

struct ingest_upload {
    struct ingest *ingest;
    struct ingest_request request;
    struct arena arena; // as long as the upload
    struct str folder;
    struct scratch scratch; // that folder
    int fd;                 // of what was sent
    struct str path;        // the file as it is now: sent, then unpacked, then as UTF-8
    struct sha256_stream *hash;
    int64_t received;
    bool failed; // a piece was lost
    bool scanning;
    unsigned char head[64];
    size_t head_len;
    struct text_scan scan; // of the file at path, when scanned
    bool bad_utf8;         // the rows with bytes that are not UTF-8 are bad ones
    enum ingest_format format;
    struct cancel cancel;
    pthread_mutex_t lock; // guards session
    struct session *session;
    struct table_delta_batch changed;
    struct str request_sha256; // with an idempotency key: of what is asked for
    // The bad rows.
    int64_t rejected;
    struct ingest_reject first[INGEST_FIRST_MAX];
    size_t first_count;
    FILE *rejects_file;
    struct str rejects_id;
};

// ERR_CANCELLED when the upload was cancelled.
MUST_CHECK enum err_code upload_check(struct ingest_upload *u, struct err *err);
// Path of a file in the upload's folder.
struct str upload_path(struct ingest_upload *u, const char *name);
// What the file is called in messages.
struct str upload_name(const struct ingest_upload *u);
// Takes the paths of the server out of a message: what lies in the folder is called `name`.
void ingest_clean_message(struct str folder, struct str name, struct err *err);
// Writes the source into the dataset. Failures of the reader come as ERR_SQL.
MUST_CHECK enum err_code upload_write(struct ingest_upload *u, struct str source, struct str sha256,
                                      struct arena *a, struct table_written *ret, struct err *err);

// Replaces u->path by the unpacked file. kind is DETECT_GZIP or DETECT_ZSTD.
MUST_CHECK enum err_code unpack_file(struct ingest_upload *u, enum detect_kind kind,
                                     struct err *err);
// Replaces u->path by a UTF-8 file if it is not one already; refuses NULs.
MUST_CHECK enum err_code text_prepare(struct ingest_upload *u, struct err *err);
// The encodings that a request may state. False: not known.
bool text_encoding_known(struct str encoding);

// Makes the functions that read values of delimited text known to the engine.
MUST_CHECK enum err_code csv_readers_open(struct engine *e, struct err *err);
// Delimited text and JSON into the dataset.
MUST_CHECK enum err_code csv_write(struct ingest_upload *u, struct str sha256, struct arena *a,
                                   struct table_written *ret, struct err *err);
MUST_CHECK enum err_code json_write(struct ingest_upload *u, struct str sha256, struct arena *a,
                                    struct table_written *ret, struct err *err);
MUST_CHECK enum err_code parquet_write(struct ingest_upload *u, struct str sha256, struct arena *a,
                                       struct table_written *ret, struct err *err);
MUST_CHECK enum err_code arrow_write(struct ingest_upload *u, struct str sha256, struct arena *a,
                                     struct table_written *ret, struct err *err);

// Notes a bad row: counted, the first ones kept, written to the rejects file when that is wanted.
MUST_CHECK enum err_code rejects_add(struct ingest_upload *u, const struct ingest_reject *r,
                                     struct err *err);
// ERR_DATA that says what is wrong with the first bad row and how many more there are.
enum err_code rejects_fail(const struct ingest_upload *u, struct err *err);
// Ends the rejects file: kept when the ingest went well.
MUST_CHECK enum err_code rejects_end(struct ingest_upload *u, bool keep, struct err *err);
// Removes rejects files that are older than an hour.
void rejects_clean(struct ingest *i);
