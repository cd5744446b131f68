// The sweep of rejected rows: CSV files of line, column, reason and the row's text, each quoted.
//
// A file that holds a value goes as a whole; it is kept for an hour only. A short value counts
// where it is all that stands between two separators of the row.

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "erase/erase_sweep_int.h"

#define FIELD_MAX (64U << 20)
#define SEPARATORS ",;\t|\"{}[]:\r\n"

static bool is_separator(char c) {
    return c != '\0' && strchr(SEPARATORS, c) != NULL;
}

static bool row_holds(const struct erase_matcher *m, struct str row) {
    size_t start = 0;
    for (size_t i = 0; i <= row.len; i++) {
        if (i == row.len || is_separator(row.ptr[i])) {
            if (erase_match_cell(m, str_trim(str_slice(row, start, i)))) {
                return true;
            }
            start = i + 1;
        }
    }
    return erase_match_cell(m, row) || erase_match_text(m, row) > 0;
}

// The next character of a field, or (*ret_ends) what ends it: a comma, a line's end, EOF.
static int next_char(FILE *file, bool *quoted, bool *ret_ends) {
    int c = getc(file);
    while (c == '"') {
        if (*quoted && (c = getc(file)) == '"') {
            *ret_ends = false; // two stand for one
            return c;
        }
        *quoted = !*quoted;
        c = *quoted ? getc(file) : c;
    }
    *ret_ends = c == EOF || (!*quoted && (c == ',' || c == '\n'));
    return c;
}

// Fields are looked at without their quotes, but for the first of a record, the line's number. One
// that is too long to be looked at counts as a hit.
static bool file_holds(FILE *file, const struct erase_matcher *m) {
    DEFER(buf_release) struct buf field = BUF(FIELD_MAX);
    bool quoted = false;
    int column = 0;
    for (;;) {
        bool ends;
        const int c = next_char(file, &quoted, &ends);
        if (!ends) {
            buf_add_char(&field, (char)c);
            continue;
        }
        if (column > 0 && (field.overflow || row_holds(m, buf_str(&field)))) {
            return true;
        }
        if (c == EOF) {
            return false;
        }
        column = c == ',' ? column + 1 : 0;
        buf_reset(&field);
    }
}

static void file_closep(FILE **file) {
    if (*file != NULL) {
        (void)fclose(*file);
    }
}

static bool holds(int folder, const char *name, const struct erase_matcher *m) {
    int fd = openat(folder, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    DEFER(file_closep) FILE *file = fd >= 0 ? fdopen(fd, "r") : NULL;
    if (file == NULL) {
        closep(&fd);
        return false;
    }
    return file_holds(file, m);
}

int64_t erase_sweep_rejects(const struct erase *e, const struct erase_matcher *m) {
    DEFER(arena_release) struct arena a = ARENA(1 << 16);
    DIR *folder = opendir(arena_printf(&a, "%s/" SCRATCH_REJECTS, e->spool).ptr);
    int64_t removed = 0;
    if (folder == NULL) {
        return 0;
    }
    for (const struct dirent *d = readdir(folder); d != NULL; d = readdir(folder)) {
        if (str_ends(str_from(d->d_name), STR(".csv")) && holds(dirfd(folder), d->d_name, m)) {
            removed += unlinkat(dirfd(folder), d->d_name, 0) == 0 ? 1 : 0;
        }
    }
    (void)closedir(folder);
    return removed;
}
