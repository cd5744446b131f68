// Delimited text: how it is written, its rows, its values and the types of its columns.
#pragma once

#include "ingest/ingest_int.h"

#define INGEST_ROW_MAX (8 << 20) // bytes of one row

// How a delimited text is written.
struct csv_dialect {
    char delimiter;
    char quote;  // 0: none
    char escape; // inside quotes: the quote itself or a backslash
    bool cr;     // a carriage return alone ends a row
    bool header;
    int64_t skip; // empty lines before the first row
};

struct csv_field {
    struct str text; // without its quotes
    bool quoted;
    bool escaped; // there are escapes in it
};

struct csv_record {
    int64_t line;   // from 1
    struct str raw; // without its line end
    const struct csv_field *fields;
    size_t count;
    bool blank;
    const char *fault; // what is wrong with its form; NULL: nothing
};

// Reads a file row by row, whatever stands in it.
struct csv_reader {
    int fd;
    struct csv_dialect dialect;
    bool stop[256]; // bytes that may end a field
    char *buf;
    size_t cap, len, pos;
    size_t row_max; // bytes in which a quote must be closed
    bool eof, started;
    int64_t line; // of the next row
    struct csv_field *fields;
    size_t field_cap;
    struct csv_record record; // the last one
};

MUST_CHECK enum err_code csv_reader_open(struct str path, const struct csv_dialect *d,
                                         struct csv_reader *ret, struct err *err);
void csv_reader_close(struct csv_reader *r); // for DEFER; takes a zeroed one with fd -1
// *ret is NULL at the end; it lives until the next call.
MUST_CHECK enum err_code csv_reader_next(struct csv_reader *r, const struct csv_record **ret,
                                         struct err *err);
// The field as the file means it.
struct str csv_field_text(const struct csv_field *f, const struct csv_dialect *d, struct arena *a);

// What a value can be read as. The order is that of preference. name, SQL type.
#define CSV_KINDS(X)                                                                               \
    X(BOOLEAN, "BOOLEAN")                                                                          \
    X(INT, "BIGINT")                                                                               \
    X(HUGE, "DECIMAL(38,0)")                                                                       \
    X(DOUBLE, "DOUBLE")                                                                            \
    X(DATE, "DATE")                                                                                \
    X(DMY_SLASH, "DATE")                                                                           \
    X(MDY_SLASH, "DATE")                                                                           \
    X(DMY_DASH, "DATE")                                                                            \
    X(MDY_DASH, "DATE")                                                                            \
    X(DMY_DOT, "DATE")                                                                             \
    X(TIMESTAMP, "TIMESTAMP")                                                                      \
    X(TIMESTAMPTZ, "TIMESTAMP WITH TIME ZONE")                                                     \
    X(TIME, "TIME")

enum csv_kind {
#define X(name, sql) CSV_##name,
    CSV_KINDS(X)
#undef X
        CSV_TEXT, // anything
};
#define CSV_KIND_COUNT CSV_TEXT
#define CSV_BIT(kind) (1U << (kind))

// The kinds that the text, blanks around it apart, can be read as without any loss.
uint32_t csv_kinds(struct str text);
const char *csv_kind_sql(enum csv_kind k);
// What reads such texts, and no others, inside a statement; NULL for HUGE and TEXT.
const struct engine_reader *csv_kind_reader(enum csv_kind k);
// A whole number of 32 bits; a decimal that loses nothing at this precision and scale.
bool csv_fits_int32(struct str text);
bool csv_fits_decimal(struct str text, int32_t precision, int32_t scale);

// A column of delimited text: what was seen in it and what it becomes.
struct csv_column {
    struct str name;
    int64_t values; // that are not NULL
    int64_t fits[CSV_KIND_COUNT];
    int64_t fits_target;           // where the target has bounds of its own
    const struct ice_type *target; // the dataset's type; NULL: none
    enum csv_kind kind;            // how the text is read
    bool narrow;                   // into INTEGER or DECIMAL: bounds are checked apart
    bool bad_rows;                 // not every value fits
    struct str sql_type;           // what the column becomes
};

struct csv_file {
    struct csv_dialect dialect;
    struct csv_column *columns;
    size_t count;
    bool stale;     // the types are not decided, or for something else
    bool whole;     // every row was looked at
    int64_t faults; // rows whose form is wrong, among those looked at
};

bool csv_value_fits(const struct csv_column *c, struct str text);
// Looks at the rows, at most max of them (0: all), and decides the types.
MUST_CHECK enum err_code csv_types(struct ingest_upload *u, struct csv_file *f, int64_t max,
                                   struct err *err);
// Finds how the text is written: delimiter, quote, escape, header, names.
MUST_CHECK enum err_code csv_dialect_find(struct ingest_upload *u, struct csv_file *f,
                                          struct err *err);
// Writes the good rows to `path`, plainly, and notes the bad ones.
MUST_CHECK enum err_code csv_sort_out(struct ingest_upload *u, struct csv_file *f, struct str path,
                                      struct err *err);
