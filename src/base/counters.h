// Counters: one table of numbers that the server keeps, shown by /metrics.
//
// Any thread; each is one relaxed atomic.
#pragma once

#include <stdint.h>

#include "base/str.h"

// name, kind (counter: only grows; gauge: goes up and down), help
#define COUNTERS(X)                                                                                \
    X(http_requests, counter, "Requests answered.")                                                \
    X(http_errors_client, counter, "Answers with a 4xx status.")                                   \
    X(http_errors_server, counter, "Answers with a 5xx status.")                                   \
    X(http_connections, gauge, "Open connections.")                                                \
    X(http_refused, counter, "Requests refused for their form or size.")                           \
    X(http_hangups, counter, "Clients that left before their answer was complete.")                \
    X(http_bytes_in, counter, "Bytes of request bodies.")                                          \
    X(http_bytes_out, counter, "Bytes of answer bodies.")                                          \
    X(auth_failures, counter, "Requests without a valid token.")                                   \
    X(refusals_noted, counter, "Refused attempts written to the journal.")                         \
    X(refusals_summed, counter, "Refused attempts that were only counted there.")                  \
    X(refusals_dropped, counter, "Refused attempts that the journal does not know of.")            \
    X(audit_noted, counter, "Queries written to the journal.")                                     \
    X(audit_lost, counter, "Queries that the journal could not be told of.")                       \
    X(store_gets, counter, "Objects or ranges read.")                                              \
    X(store_puts, counter, "Objects written.")                                                     \
    X(store_lists, counter, "Listings.")                                                           \
    X(store_deletes, counter, "Objects deleted.")                                                  \
    X(store_conflicts, counter, "Writes that found the name taken.")                               \
    X(store_errors, counter, "Store operations that failed.")                                      \
    X(store_bytes_read, counter, "Bytes read from buckets by the server itself.")                  \
    X(store_bytes_written, counter, "Bytes written to buckets by the server itself.")              \
    X(log_records, counter, "Catalog log records written by this server.")                         \
    X(log_transactions, counter, "Transactions in those records.")                                 \
    X(log_races_lost, counter, "Times that another server wrote the next record first.")           \
    X(log_conflicts, counter, "Transactions refused because what they read had changed.")          \
    X(log_replayed, counter, "Records replayed.")                                                  \
    X(log_checkpoints, counter, "Checkpoints written.")                                            \
    X(ingests, counter, "Files ingested.")                                                         \
    X(ingest_failures, counter, "Ingests that ended in an error.")                                 \
    X(ingest_rows, counter, "Rows ingested.")                                                      \
    X(ingest_bytes, counter, "Bytes of files ingested, as they were sent.")                        \
    X(queries, counter, "Queries finished.")                                                       \
    X(query_failures, counter, "Queries that ended in an error.")                                  \
    X(query_refusals, counter, "Statements refused by the guard.")                                 \
    X(query_cancelled, counter, "Queries cancelled by the client, an operator or a deadline.")     \
    X(query_rows, counter, "Rows returned.")                                                       \
    X(queries_running, gauge, "Queries running now.")                                              \
    X(queries_waiting, gauge, "Queries waiting for a place.")                                      \
    X(queries_turned_away, counter, "Queries refused because too many were waiting.")              \
    X(workers_started, counter, "Workers started for restricted queries.")                         \
    X(workers_killed, counter, "Workers killed, at a deadline or with a cancelled query.")         \
    X(workers_crashed, counter, "Workers that ended by themselves.")                               \
    X(files_scanned, counter, "Data files that scans had to read.")                                \
    X(files_pruned, counter, "Data files that manifest bounds excluded.")                          \
    X(hot_hits, counter, "Scans that read memory alone.")                                          \
    X(hot_misses, counter, "Scans that read Parquet files.")                                       \
    X(hot_loads, counter, "Times that a dataset's files were brought into memory.")                \
    X(hot_load_failures, counter, "Times that this failed.")                                       \
    X(hot_evictions, counter, "Datasets that left memory to make room, or were evicted.")          \
    X(hot_bytes, gauge, "Bytes of data files in memory.")                                          \
    X(hot_rows, gauge, "Rows of data files in memory.")                                            \
    X(view_hits, counter, "Masked files that were there when a view was asked.")                   \
    X(view_makes, counter, "Masked files made.")                                                   \
    X(view_failures, counter, "Masked files whose making failed.")                                 \
    X(view_evictions, counter, "Masked files that went to make room.")                             \
    X(view_files, gauge, "Masked files that this server knows of.")                                \
    X(view_bytes, gauge, "Bytes of these.")

#define X(name, kind, help) COUNTER_##name,
enum counter { COUNTERS(X) COUNTER_COUNT };
#undef X

void counter_add(enum counter c, int64_t n);
int64_t counter_get(enum counter c);
// Prometheus text exposition of all of them, names prefixed tarn_; counters end in _total.
void counters_text(struct buf *out);
