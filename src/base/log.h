// Log: one line of key=value per event, to standard error.
//
// Any thread. A line is written with one write(2). Control characters are escaped, so nothing that
// a client sends can make a second line; log_quote also keeps it from making a second key=value.
// A line holds 4096 bytes; what is longer ends in cut=true. errno is left as it was.
// What looks like a token (see catalog/catalog.h) is masked, wherever in a line it stands: a client
// may put it into a path or an id by mistake.
#pragma once

#include "base/attr.h"
#include "base/str.h"

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };

void log_set_level(enum log_level level);
bool log_level_parse(struct str s, enum log_level *ret); // "debug", "info", "warn", "error"
// Lines of this thread carry req=<id> until it is set to empty. The bytes are copied (64 at most).
void log_set_request(struct str id);
struct str log_request(void); // valid until the next log_set_request of this thread

// log_info("query", "ms=%d rows=%zu", ...): event is a word; fmt makes key=value pairs.
#define log_debug(event, ...) log_line(LOG_DEBUG, event, __VA_ARGS__)
#define log_info(event, ...) log_line(LOG_INFO, event, __VA_ARGS__)
#define log_warn(event, ...) log_line(LOG_WARN, event, __VA_ARGS__)
#define log_error(event, ...) log_line(LOG_ERROR, event, __VA_ARGS__)

void log_line(enum log_level level, const char *event, const char *fmt, ...) PRINTF_LIKE(3, 4);
// A value as it may stand behind "key=": quoted and escaped where needed. Lives in a per-thread
// ring of 8 texts of at most 500 bytes: use it inside the same log call only.
const char *log_quote(struct str value);
