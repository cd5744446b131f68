// Grids: measuring, cutting and aligning text as terminals show it.
#define _GNU_SOURCE // wcwidth
#include "cli/grid.h"

#include <inttypes.h>
#include <locale.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <wchar.h>

#include "base/utf8.h"

enum { COLUMN_GAP = 2, COLUMN_WIDTH_MIN = 8, COLUMNS_MAX = 100000 };

static const char cut_mark[] = "\xE2\x80\xA6";    // …
static const char replacement[] = "\xEF\xBF\xBD"; // U+FFFD

void grid_column(struct grid *t, struct str name, bool right) {
    t->columns =
        arena_grow(t->arena, t->columns, &t->column_cap, t->column_count + 1, sizeof(*t->columns));
    t->columns[t->column_count++] = (struct grid_column){name, right};
}

static void add_cell(struct grid *t, struct str text) {
    t->cells = arena_grow(t->arena, t->cells, &t->cell_cap, t->cell_count + 1, sizeof(*t->cells));
    t->cells[t->cell_count++] = text;
}

void grid_cell(struct grid *t, struct str text) {
    add_cell(t, text.ptr ? text : STR(""));
}

void grid_cell_null(struct grid *t) {
    add_cell(t, STR_NONE);
}

void grid_cellf(struct grid *t, const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    add_cell(t, arena_vprintf(t->arena, fmt, args));
    va_end(args);
}

// The character at the start of text: its bytes and the columns it takes. A control character or a
// stray byte has width -1.
static size_t next_char(struct str text, int *ret_width) {
    const size_t len = utf8_char_len(text.ptr, text.len);
    const unsigned char *c = (const unsigned char *)text.ptr;
    *ret_width = -1;
    if (len == 0) {
        return 1;
    }
    uint32_t point = c[0];
    if (len > 1) {
        point = c[0] & (0xFFU >> (len + 1));
        for (size_t i = 1; i < len; i++) {
            point = point << 6 | (c[i] & 0x3FU);
        }
    }
    if (point < 0x20 || (point >= 0x7F && point < 0xA0)) {
        return len;
    }
    // Points that could turn the line around are shown as a mark.
    if ((point >= 0x202A && point <= 0x202E) || (point >= 0x2066 && point <= 0x2069)) {
        return len;
    }
    const int width = wcwidth((wchar_t)point);
    *ret_width = width >= 0 ? width : 1;
    return len;
}

// How a control character or stray byte is written; out has room for 8 bytes.
static size_t escape_char(struct str c, char *out) {
    const unsigned char byte = (unsigned char)c.ptr[0];
    if (byte == '\n' || byte == '\r' || byte == '\t') {
        out[0] = '\\';
        out[1] = byte == '\n' ? 'n' : byte == '\r' ? 'r' : 't';
        return 2;
    }
    if (byte < 0x80) {
        return (size_t)snprintf(out, 8, "\\x%02x", byte);
    }
    memcpy(out, replacement, sizeof(replacement) - 1);
    return sizeof(replacement) - 1;
}

static size_t escape_width(size_t bytes, const char *text) {
    return (unsigned char)text[0] >= 0x80 ? 1 : bytes;
}

// Widths of characters come from the locale; ours is UTF-8 whatever the environment says.
static void use_utf8(void) {
    static bool done;
    if (!done) {
        (void)setlocale(LC_CTYPE, "C.UTF-8");
        done = true;
    }
}

// Adds text to out until the next character would pass width. Returns the columns used; *ret_rest
// is how much of the text was left.
static size_t add_text(struct buf *out, struct str text, size_t width, size_t *ret_rest) {
    size_t used = 0;
    size_t at = 0;
    while (at < text.len) {
        const struct str rest = str_slice(text, at, text.len);
        char escaped[8];
        int char_width = 0;
        const size_t len = next_char(rest, &char_width);
        struct str shown = str_slice(rest, 0, len);
        size_t columns = (size_t)MAX(char_width, 0);
        if (char_width < 0) {
            const size_t bytes = escape_char(shown, escaped);
            columns = escape_width(bytes, escaped);
            shown = (struct str){escaped, bytes};
        }
        if (used + columns > width) {
            break;
        }
        buf_add_str(out, shown);
        used += columns;
        at += len;
    }
    *ret_rest = text.len - at;
    return used;
}

size_t grid_text_width(struct str text) {
    use_utf8();
    size_t width = 0;
    for (size_t at = 0; at < text.len;) {
        const struct str rest = str_slice(text, at, text.len);
        int char_width = 0;
        at += next_char(rest, &char_width);
        if (char_width < 0) {
            char escaped[8];
            const size_t bytes = escape_char(rest, escaped);
            char_width = (int)escape_width(bytes, escaped);
        }
        width += (size_t)char_width;
    }
    return width;
}

static struct str cell_text(const struct grid *t, size_t row, size_t column) {
    const struct str cell = t->cells[row * t->column_count + column];
    return cell.ptr ? cell : STR("NULL");
}

static void add_blanks(struct buf *out, size_t count) {
    for (size_t i = 0; i < count; i++) {
        buf_add_char(out, ' ');
    }
}

// One cell, exactly width wide unless it is the last of its line.
static void add_cell_text(struct buf *out, struct str text, size_t width, bool right, bool last) {
    const size_t full = grid_text_width(text);
    if (full > width) {
        size_t rest = 0;
        const size_t used = add_text(out, text, width - 1, &rest);
        buf_add_cstr(out, cut_mark);
        add_blanks(out, last ? 0 : width - 1 - used);
        return;
    }
    size_t rest = 0;
    add_blanks(out, right ? width - full : 0);
    (void)add_text(out, text, width, &rest);
    add_blanks(out, right || last ? 0 : width - full);
}

// Takes from the widest column until a line fits or all are narrow.
static void fit(size_t *widths, size_t count, size_t line_width) {
    for (;;) {
        size_t total = COLUMN_GAP * (count - 1);
        size_t widest = 0;
        for (size_t i = 0; i < count; i++) {
            total += widths[i];
            widest = widths[i] > widths[widest] ? i : widest;
        }
        if (total <= line_width || widths[widest] <= COLUMN_WIDTH_MIN) {
            return;
        }
        widths[widest]--;
    }
}

// Ends a line; blanks at its end go.
static void end_line(struct buf *out) {
    while (out->len > 0 && out->ptr[out->len - 1] == ' ') {
        out->len--;
    }
    buf_add_char(out, '\n');
}

void grid_print(const struct grid *t, size_t cell_width, size_t line_width, struct buf *out) {
    const size_t count = t->column_count;
    if (count == 0) {
        return;
    }
    const size_t rows = t->cell_count / count;
    size_t *widths = arena_array(t->arena, count, sizeof(*widths));
    for (size_t i = 0; i < count; i++) {
        widths[i] = MAX(1, grid_text_width(t->columns[i].name));
        for (size_t row = 0; row < rows; row++) {
            widths[i] = MAX(widths[i], grid_text_width(cell_text(t, row, i)));
        }
        widths[i] = cell_width > 0 ? MIN(widths[i], cell_width) : widths[i];
    }
    if (line_width > 0 && count < COLUMNS_MAX) {
        fit(widths, count, line_width);
    }
    for (size_t i = 0; i < count; i++) {
        const struct grid_column *c = &t->columns[i];
        add_cell_text(out, c->name, widths[i], c->right, i + 1 == count);
        add_blanks(out, i + 1 < count ? COLUMN_GAP : 0);
    }
    end_line(out);
    for (size_t i = 0; i < count; i++) {
        for (size_t j = 0; j < widths[i]; j++) {
            buf_add_char(out, '-');
        }
        add_blanks(out, i + 1 < count ? COLUMN_GAP : 0);
    }
    end_line(out);
    for (size_t row = 0; row < rows; row++) {
        for (size_t i = 0; i < count; i++) {
            add_cell_text(out, cell_text(t, row, i), widths[i], t->columns[i].right,
                          i + 1 == count);
            add_blanks(out, i + 1 < count ? COLUMN_GAP : 0);
        }
        end_line(out);
    }
}

static void markdown_cell(struct buf *out, struct str text) {
    buf_add_cstr(out, " ");
    for (size_t i = 0; i < text.len; i++) {
        const char c = text.ptr[i];
        if (c == '\n') {
            buf_add_cstr(out, "<br>");
            continue;
        }
        if (c == '|' || c == '\\') {
            buf_add_char(out, '\\');
        }
        buf_add_char(out, c == '\r' || c == '\t' ? ' ' : c);
    }
    buf_add_cstr(out, " |");
}

void grid_markdown(const struct grid *t, struct buf *out) {
    const size_t count = t->column_count;
    buf_add_char(out, '|');
    for (size_t i = 0; i < count; i++) {
        markdown_cell(out, t->columns[i].name);
    }
    buf_add_cstr(out, "\n|");
    for (size_t i = 0; i < count; i++) {
        buf_add_cstr(out, t->columns[i].right ? " ---: |" : " --- |");
    }
    buf_add_char(out, '\n');
    for (size_t row = 0; count > 0 && row < t->cell_count / count; row++) {
        buf_add_char(out, '|');
        for (size_t i = 0; i < count; i++) {
            markdown_cell(out, cell_text(t, row, i));
        }
        buf_add_char(out, '\n');
    }
}

struct str grid_bytes(int64_t bytes, struct arena *a) {
    static const char *const units[] = {"kB", "MB", "GB", "TB", "PB"};
    if (bytes < 1000) {
        return arena_printf(a, "%" PRId64 " B", bytes);
    }
    double value = (double)bytes / 1000.0;
    size_t unit = 0;
    while (value >= 999.95 && unit + 1 < ARRAY_LEN(units)) {
        value /= 1000.0;
        unit++;
    }
    return arena_printf(a, "%.1f %s", value, units[unit]);
}

struct str grid_number(int64_t number, struct arena *a) {
    const struct str digits = arena_printf(a, "%" PRId64, number);
    struct str out = STR_NONE;
    for (size_t i = 0; i < digits.len; i++) {
        const size_t left = digits.len - i;
        const bool comma = i > 0 && left % 3 == 0 && digits.ptr[i - 1] != '-';
        out = arena_printf(a, STR_FMT "%s%c", STR_ARG(out), comma ? "," : "", digits.ptr[i]);
    }
    return out;
}

enum err_code grid_write(const struct buf *out, struct err *err) {
    const bool written = fwrite(out->ptr ? out->ptr : "", 1, out->len, stdout) == out->len;
    if (!written || fflush(stdout) != 0) {
        return err_errno(err, "cannot write to standard output");
    }
    if (out->overflow) {
        return err_set(err, ERR_TOO_LARGE, "there is more than can be shown");
    }
    return ERR_OK;
}

size_t grid_terminal_width(void) {
    struct winsize size = {0};
    if (!isatty(STDOUT_FILENO)) {
        return 0;
    }
    return ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}
