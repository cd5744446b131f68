// Configuration: one table of options that makes the struct, the parsers, --help and the docs.
//
// Precedence: flag (--http-body-max) over environment (TARN_HTTP_BODY_MAX) over file (INI: section
// [http], key body_max) over default. An unknown flag, or an unknown or repeated key in the file,
// refuses to start; other TARN_ variables are left alone, and an empty one counts as not set.
// Sizes take K, M, G (powers of 1024), times take ms, s, m, h.
//
// Not thread-safe while loading (the INI library has global settings); main does it once.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"

// section, name, type (text, flag, count, size, time_ms), default, min, max, help.
// The flag and the variable of a "server" option have no section: server.data is --data, TARN_DATA.
#define CONFIG_OPTIONS(X)                                                                          \
    X(server, data, text, "./tarn-data", 0, 0, "Folder of the primary bucket, cache and spool.")   \
    X(server, listen, text, "127.0.0.1:8787", 0, 0, "Address and port; port 0 takes a free one.")  \
    X(server, demo, flag, "false", 0, 1, "Start with demonstration data.")                         \
    X(server, demo_data, text, "", 0, 0, "Folder of the files that --demo ingests.")               \
    X(server, log_level, text, "info", 0, 0, "debug, info, warn or error.")                        \
    X(server, allow_public, flag, "false", 0, 1, "Listen beyond loopback without TLS.")            \
    X(http, tls_cert, text, "", 0, 0, "PEM file of the certificate chain; turns TLS on.")          \
    X(http, tls_key, text, "", 0, 0, "PEM file of the private key.")                               \
    X(http, connections_max, count, "1000", 1, 100000, "Connections at once.")                     \
    X(http, head_max, size, "16K", 1024, 65536, "Bytes of a request's head.")                      \
    X(http, body_max, size, "8M", 1024, 1073741824, "Bytes of a body that is held in memory.")     \
    X(http, upload_max, size, "64G", 1024, 1099511627776, "Bytes of an uploaded file.")            \
    X(http, idle_timeout, time_ms, "60s", 1000, 3600000, "Silence after which a client is left.")  \
    X(http, drain_timeout, time_ms, "30s", 0, 3600000, "Time that running requests get at stop.")  \
    X(engine, threads, count, "0", 0, 1024, "Threads of the SQL engine; 0: all processors.")       \
    X(engine, memory, size, "0", 0, 1099511627776000, "Memory of the engine; 0: half of all.")     \
    X(query, running_max, count, "8", 1, 1000, "Queries that run at once.")                        \
    X(query, waiting_max, count, "64", 0, 100000, "Queries that wait for a place.")                \
    X(query, wait_timeout, time_ms, "10s", 0, 3600000, "Time that a query waits for a place.")     \
    X(query, timeout, time_ms, "5m", 10, 86400000, "Time that a query may run.")                   \
    X(query, rows_max, count, "10000", 1, 1000000000, "Rows of an answer unless more are asked.")  \
    X(query, sql_max, size, "256K", 64, 4194304, "Bytes of a statement.")                          \
    X(query, log_sql, flag, "false", 0, 1, "Write the SQL text into the log.")                     \
    X(worker, count_max, count, "4", 1, 256, "Processes at once for restricted queries.")          \
    X(worker, memory, size, "1G", 67108864, 1099511627776, "Memory of the engine in each.")        \
    X(worker, threads, count, "0", 0, 1024, "Threads of it; 0: all processors.")                   \
    X(worker, idle, time_ms, "5m", 1000, 86400000, "Time after which an unused one ends.")         \
    X(worker, weak_jail, flag, "false", 0, 1, "Accept a kernel that has no Landlock.")             \
    X(audit, queries, text, "all", 0, 0,                                                           \
      "Queries that the journal tells: all, restricted or none.")                                  \
    X(audit, sql, text, "hash", 0, 0, "Their text in it: hash, keep or drop.")                     \
    X(audit, sql_days, count, "30", 1, 36500, "Days that a text is kept.")                         \
    X(audit, strict, flag, "false", 0, 1, "No answer before the journal tells of the query.")      \
    X(hot, bytes, size, "0", 0, 1099511627776000, "Hot cache; 0: half of the engine's memory.")    \
    X(hot, bytes_max, size, "16G", 0, 1099511627776000, "What that half is at most.")              \
    X(hot, asks, count, "3", 0, 1000000, "Queries soon after each other that load a dataset.")     \
    X(view, cache, size, "16G", 1048576, 1099511627776000, "Bytes of views' masked files.")        \
    X(view, makers, count, "2", 1, 64, "Masked files that are made at once.")                      \
    X(ingest, running_max, count, "2", 1, 100, "Ingests that run at once.")                        \
    X(ingest, unpacked_max, size, "256G", 1048576, 1099511627776000, "Bytes after unpacking.")     \
    X(ingest, target_file, size, "256M", 1048576, 4294967296, "Aimed size of a data file.")        \
    X(ingest, rejects_max, count, "10000", 0, 1000000, "Bad rows that on_error=reject keeps.")     \
    X(upkeep, memory, size, "512M", 67108864, 1099511627776, "Memory of a compaction's engine.")   \
    X(upkeep, background, flag, "true", 0, 1, "Compact and expire unasked.")                       \
    X(upkeep, interval, time_ms, "60s", 100, 86400000, "How often it is looked for what is due.")  \
    X(upkeep, small_files, count, "32", 2, 100000, "Files too many that make it due.")             \
    X(upkeep, deletes_percent, count, "20", 1, 100, "Deleted rows that make it due.")              \
    X(upkeep, rate, size, "64M", 0, 1099511627776, "Bytes a second of it; 0: no limit.")           \
    X(upkeep, snapshots_max, count, "1000", 1, 100000, "Snapshots kept of a dataset.")             \
    X(erase, wait, time_ms, "30s", 0, 86400000,                                                    \
      "Time given to queries that read what it removes.")                                          \
    X(jobs, workers, count, "2", 1, 64, "Jobs that run at once.")                                  \
    X(jobs, queued_max, count, "1000", 1, 100000, "Jobs that wait to run.")                        \
    X(jobs, kept_max, count, "1000", 1, 100000, "Jobs that ended and are still shown.")            \
    X(catalog, checkpoint_every, count, "200", 1, 1000000, "Log records between checkpoints.")     \
    X(catalog, poll_interval, time_ms, "1s", 10, 60000, "How often the log is looked at.")

#define X(section, name, type, def, min, max, help) CONFIG_##section##_##name,
enum config_index { CONFIG_OPTIONS(X) CONFIG_COUNT };
#undef X

struct config {
#define CONFIG_TYPE_text struct str
#define CONFIG_TYPE_flag bool
#define CONFIG_TYPE_count int64_t
#define CONFIG_TYPE_size int64_t
#define CONFIG_TYPE_time_ms int64_t
#define X(section, name, type, def, min, max, help) CONFIG_TYPE_##type section##_##name;
    CONFIG_OPTIONS(X)
#undef X
    // Where each value came from: "default", "tarn.ini:12", "TARN_DATA", "--data".
    const char *sources[CONFIG_COUNT];
};

// One row of the table, for --help, completion and the documentation.
struct config_option {
    const char *section, *name, *type, *def, *help;
    const char *flag; // "--http-tls-cert"
    const char *env;  // "TARN_HTTP_TLS_CERT"
    int64_t min, max;
};

const struct config_option *config_options(size_t *ret_count);

// Reads defaults, the file (from --config or TARN_CONFIG, if any), the environment and the flags.
// argv holds only options ("--x=y", "--x y", "--flag"), not the program's name; texts live in the
// arena. ERR_INVALID names the option, the source it came from and what would be right.
MUST_CHECK enum err_code config_load(int argc, char **argv, struct arena *a, struct config *ret,
                                     struct err *err);
// key=value of every option, one line each, with where it came from.
void config_text(const struct config *c, struct buf *out);
