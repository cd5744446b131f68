// Matcher: many values, searched for in one pass over bytes.
//
// Of each long value `stride` windows of `width` bytes are chosen, which begin one byte after the
// other: those that the fewest values share. Of the text every stride-th window is looked up in a
// bitmap, so that each place of a value is met by just one of its windows. What the bitmap lets
// through is looked up among the windows, which know where in a value, and in values of which
// lengths, they stand. What lies there in the text is then looked up among the values: however
// many of them share a window, a place costs one look per length.

#include <endian.h>
#include <stdlib.h>

#include "erase/erase_int.h"

#define WIDTH_MAX 8
#define OFFSETS_MAX 32 // of a value, that its windows are chosen from
#define COUNT_BITS 18  // of the table of counts that the choice is made by
#define BITMAP_BITS 19 // about fifteen for each of ten thousand values' windows
#define SPREAD UINT64_C(0x9E3779B97F4A7C15)

struct value {
    struct str text;
    bool integer;    // only the digits of a key that is an integer
    uint32_t offset; // of its first window
};

// Where in a value a window stands, and how long that is.
struct shape {
    uint64_t window;
    uint32_t offset, length;
};

// Slots of the tables hold an index plus one; 0: free. Their number is a power of two.
struct table {
    uint32_t *slots;
    size_t mask;
};

struct erase_matcher {
    struct arena arena;
    struct value *values;
    size_t value_count, short_count;
    struct table by_text;
    int64_t *integers;
    size_t integer_count;
    struct table by_integer;
    size_t longest;
    size_t width; // 0: no value is long
    size_t stride;
    uint64_t keep;        // bits of a window
    struct shape *shapes; // sorted by window
    size_t shape_count;
    struct table by_window; // the first shape of each
    uint64_t *bitmap;
};

static uint64_t mix(uint64_t h) {
    h *= SPREAD;
    return h ^ (h >> 32);
}

static uint64_t load(const char *p, size_t len) {
    uint64_t v = 0;
    memcpy(&v, p, len);
    return le64toh(v);
}

static uint64_t load_8(const char *p) {
    return load(p, 8);
}

static uint64_t hash_of(struct str s) {
    uint64_t h = s.len;
    while (s.len >= 8) {
        h = mix(h ^ load_8(s.ptr));
        s = (struct str){s.ptr + 8, s.len - 8};
    }
    return s.len > 0 ? mix(h ^ load(s.ptr, s.len)) : h;
}

// Tables

static struct table table_of(struct arena *a, size_t count) {
    size_t slots = 16;
    while (slots < 2 * count) {
        slots *= 2;
    }
    return (struct table){.slots = arena_array(a, slots, sizeof(uint32_t)), .mask = slots - 1};
}

static const struct value *find_value(const struct erase_matcher *m, struct str text) {
    for (size_t i = hash_of(text) & m->by_text.mask;; i = (i + 1) & m->by_text.mask) {
        const uint32_t slot = m->by_text.slots[i];
        if (slot == 0) {
            return NULL;
        }
        if (str_eq(m->values[slot - 1].text, text)) {
            return &m->values[slot - 1];
        }
    }
}

static const struct shape *find_shapes(const struct erase_matcher *m, uint64_t window) {
    for (size_t i = mix(window) & m->by_window.mask;; i = (i + 1) & m->by_window.mask) {
        const uint32_t slot = m->by_window.slots[i];
        if (slot == 0) {
            return NULL;
        }
        if (m->shapes[slot - 1].window == window) {
            return &m->shapes[slot - 1];
        }
    }
}

static void put(struct table *t, uint64_t hash, size_t index) {
    size_t i = hash & t->mask;
    while (t->slots[i] != 0) {
        i = (i + 1) & t->mask;
    }
    t->slots[i] = (uint32_t)index + 1;
}

// Making

static void add_value(struct erase_matcher *m, struct str text, bool integer) {
    if (text.len == 0) {
        return;
    }
    const struct value *there = find_value(m, text);
    if (there != NULL) {
        m->values[there - m->values].integer &= integer;
        return;
    }
    m->values[m->value_count] = (struct value){arena_str(&m->arena, text), integer, 0};
    put(&m->by_text, hash_of(text), m->value_count++);
    m->short_count += text.len < ERASE_MATCH_MIN ? 1 : 0;
    m->longest = MAX(m->longest, text.len);
}

static bool is_uuid(struct str s) {
    bool is = s.len == 36;
    for (size_t i = 0; is && i < s.len; i++) {
        const bool dash = i == 8 || i == 13 || i == 18 || i == 23;
        is = dash ? s.ptr[i] == '-' : strchr("0123456789abcdefABCDEF", s.ptr[i]) != NULL;
    }
    return is;
}

static void add_text(struct erase_matcher *m, struct str text) {
    add_value(m, text, false);
    if (is_uuid(text)) {
        char *lower = arena_cstr(&m->arena, text);
        for (char *p = lower; *p != '\0'; p++) {
            *p = (char)(*p >= 'A' && *p <= 'F' ? *p + ('a' - 'A') : *p);
        }
        add_value(m, str_from(lower), false);
    }
}

static void add_key(struct erase_matcher *m, const struct table_key *key) {
    int64_t number;
    if (!key->integer) {
        add_text(m, key->text);
        return;
    }
    add_value(m, key->text, true);
    if (str_to_i64(key->text, &number) && !erase_match_integer(m, number)) {
        m->integers[m->integer_count] = number;
        put(&m->by_integer, mix((uint64_t)number), m->integer_count++);
    }
}

static bool is_long(const struct value *v) {
    return v->text.len >= ERASE_MATCH_MIN;
}

// How many windows of the value are looked at.
static size_t windows_of(const struct erase_matcher *m, const struct value *v) {
    return MIN(v->text.len - m->width + 1, (size_t)OFFSETS_MAX);
}

static uint64_t window_at(const struct erase_matcher *m, const struct value *v, size_t offset) {
    return load(v->text.ptr + offset, m->width);
}

static size_t count_slot(uint64_t window) {
    return (size_t)((window * SPREAD) >> (64 - COUNT_BITS));
}

static unsigned different_bytes(uint64_t window) {
    uint64_t seen[4] = {0};
    unsigned n = 0;
    for (; window != 0; window >>= 8) {
        const unsigned byte = window & 0xff;
        n += (seen[byte / 64] >> (byte % 64) & 1) == 0 ? 1 : 0;
        seen[byte / 64] |= UINT64_C(1) << (byte % 64);
    }
    return n;
}

// Where the windows begin that fewest values share; among those the most varied ones, and the last.
static size_t choose_offset(const struct erase_matcher *m, const struct value *v,
                            const uint32_t *counts) {
    size_t best = 0;
    uint64_t best_count = UINT64_MAX;
    unsigned best_bytes = 0;
    for (size_t i = 0; i + m->stride <= windows_of(m, v); i++) {
        uint64_t count = 0;
        unsigned bytes = 0;
        for (size_t j = i; j < i + m->stride; j++) {
            const uint64_t window = window_at(m, v, j);
            count += counts[count_slot(window)];
            bytes += different_bytes(window);
        }
        if (count < best_count || (count == best_count && bytes >= best_bytes)) {
            best = i;
            best_count = count;
            best_bytes = bytes;
        }
    }
    return best;
}

static int compare_shapes(const void *x, const void *y) {
    const struct shape *a = x;
    const struct shape *b = y;
    if (a->window != b->window) {
        return a->window < b->window ? -1 : 1;
    }
    if (a->offset != b->offset) {
        return a->offset < b->offset ? -1 : 1;
    }
    return a->length < b->length ? -1 : a->length > b->length;
}

static void make_shapes(struct erase_matcher *m, size_t long_count) {
    DEFER(arena_release) struct arena a = ARENA(SIZE_MAX);
    uint32_t *counts = arena_array(&a, (size_t)1 << COUNT_BITS, sizeof(*counts));
    size_t n = 0;
    for (size_t i = 0; i < m->value_count; i++) {
        for (size_t j = 0; is_long(&m->values[i]) && j < windows_of(m, &m->values[i]); j++) {
            counts[count_slot(window_at(m, &m->values[i], j))]++;
        }
    }
    m->shapes = arena_array(&m->arena, long_count * m->stride, sizeof(*m->shapes));
    for (size_t i = 0; i < m->value_count; i++) {
        struct value *v = &m->values[i];
        if (is_long(v)) {
            v->offset = (uint32_t)choose_offset(m, v, counts);
            for (uint32_t j = 0; j < m->stride; j++) {
                m->shapes[n++] = (struct shape){window_at(m, v, v->offset + j), v->offset + j,
                                                (uint32_t)v->text.len};
            }
        }
    }
    qsort(m->shapes, n, sizeof(*m->shapes), compare_shapes);
    for (size_t i = 0; i < n; i++) {
        if (i == 0 || compare_shapes(&m->shapes[m->shape_count - 1], &m->shapes[i]) != 0) {
            m->shapes[m->shape_count++] = m->shapes[i];
        }
    }
}

static uint64_t bit_of(uint64_t window) {
    return (window * SPREAD) >> (64 - BITMAP_BITS);
}

static void make_bitmap(struct erase_matcher *m) {
    m->bitmap = arena_array(&m->arena, (size_t)1 << (BITMAP_BITS - 6), sizeof(*m->bitmap));
    m->by_window = table_of(&m->arena, m->shape_count);
    for (size_t i = 0; i < m->shape_count; i++) {
        const uint64_t window = m->shapes[i].window;
        const uint64_t bit = bit_of(window);
        m->bitmap[bit / 64] |= UINT64_C(1) << (bit % 64);
        if (i == 0 || m->shapes[i - 1].window != window) {
            put(&m->by_window, mix(window), i);
        }
    }
}

struct erase_matcher *erase_matcher_new(const struct erase_subjects *s) {
    struct erase_matcher *m = xcalloc(1, sizeof(*m));
    const size_t most = 2 * (s->key_count + s->search_count); // with lower case
    size_t long_count = 0;
    m->arena = ARENA(SIZE_MAX);
    m->values = arena_array(&m->arena, most + 1, sizeof(*m->values));
    m->by_text = table_of(&m->arena, most);
    m->integers = arena_array(&m->arena, s->key_count + 1, sizeof(*m->integers));
    m->by_integer = table_of(&m->arena, s->key_count);
    for (size_t i = 0; i < s->key_count; i++) {
        add_key(m, &s->keys[i]);
    }
    for (size_t i = 0; i < s->search_count; i++) {
        add_text(m, s->search[i]);
    }
    size_t shortest = SIZE_MAX;
    for (size_t i = 0; i < m->value_count; i++) {
        if (is_long(&m->values[i])) {
            shortest = MIN(shortest, m->values[i].text.len);
            long_count++;
        }
    }
    if (long_count == 0) {
        return m;
    }
    m->stride = shortest >= 11 ? 4 : shortest >= 8 ? 2 : 1;
    m->width = MIN(shortest - m->stride + 1, (size_t)WIDTH_MAX);
    m->keep = UINT64_MAX >> (64 - 8 * m->width);
    make_shapes(m, long_count);
    make_bitmap(m);
    return m;
}

void erase_matcher_free(struct erase_matcher *m) {
    if (m != NULL) {
        arena_release(&m->arena);
        free(m);
    }
}

void erase_matcher_freep(struct erase_matcher **m) {
    erase_matcher_free(*m);
}

size_t erase_matcher_longest(const struct erase_matcher *m) {
    return m->longest;
}

void erase_matcher_count(const struct erase_matcher *m, int64_t *ret_values, int64_t *ret_short) {
    *ret_values = (int64_t)m->value_count;
    *ret_short = (int64_t)m->short_count;
}

// Searching

static bool is_word(char c) {
    const unsigned char u = (unsigned char)c;
    const unsigned char letter = u | 0x20;
    return u >= 0x80 || (u >= '0' && u <= '9') || (letter >= 'a' && letter <= 'z');
}

// The values around a window that the bitmap let through, at `at` of the text.
static int64_t values_at(const struct erase_matcher *m, const struct erase_match_part *p,
                         uint64_t window, size_t at) {
    const struct shape *s = find_shapes(m, window);
    const struct shape *end = m->shapes + m->shape_count;
    const struct str text = p->bytes;
    int64_t n = 0;
    for (; s != NULL && s < end && s->window == window; s++) {
        const size_t start = at - s->offset; // wraps around if it is before the text
        if (at < s->offset || start < p->from || start >= p->to || s->length > text.len - start) {
            continue;
        }
        const size_t behind = start + s->length;
        if ((start > 0 && is_word(text.ptr[start - 1])) ||
            (behind < text.len && is_word(text.ptr[behind]))) {
            continue;
        }
        const struct value *v = find_value(m, str_slice(text, start, behind));
        n += v != NULL && s->offset - v->offset < m->stride && (p->text || !v->integer) ? 1 : 0;
    }
    return n;
}

// The bit of the window: 0, or 1 if it may be one of a value's.
static uint64_t may_be(const uint64_t *bitmap, uint64_t window) {
    const uint64_t bit = bit_of(window);
    return bitmap[bit / 64] >> (bit % 64) & 1;
}

int64_t erase_match_part(const struct erase_matcher *m, const struct erase_match_part *part) {
    const char *text = part->bytes.ptr;
    const size_t len = part->bytes.len;
    const uint64_t *bits = m->bitmap;
    const uint64_t keep = m->keep;
    const size_t step = m->stride;
    int64_t n = 0;
    size_t at = part->from;
    if (m->width == 0 || len < m->width) {
        return 0;
    }
    // Where four windows of eight bytes can be read, then one by one.
    for (; at + 3 * step + 8 <= len; at += 4 * step) {
        const uint64_t a = load_8(text + at) & keep;
        const uint64_t b = load_8(text + at + step) & keep;
        const uint64_t c = load_8(text + at + 2 * step) & keep;
        const uint64_t d = load_8(text + at + 3 * step) & keep;
        if ((may_be(bits, a) | may_be(bits, b) | may_be(bits, c) | may_be(bits, d)) != 0) {
            n += may_be(bits, a) != 0 ? values_at(m, part, a, at) : 0;
            n += may_be(bits, b) != 0 ? values_at(m, part, b, at + step) : 0;
            n += may_be(bits, c) != 0 ? values_at(m, part, c, at + 2 * step) : 0;
            n += may_be(bits, d) != 0 ? values_at(m, part, d, at + 3 * step) : 0;
        }
    }
    for (; at + m->width <= len; at += step) {
        const uint64_t window = load(text + at, m->width);
        n += may_be(bits, window) != 0 ? values_at(m, part, window, at) : 0;
    }
    return n;
}

int64_t erase_match_text(const struct erase_matcher *m, struct str text) {
    const struct erase_match_part part = {.bytes = text, .to = text.len, .text = true};
    return erase_match_part(m, &part);
}

bool erase_match_cell(const struct erase_matcher *m, struct str cell) {
    return cell.len > 0 && cell.len <= m->longest && find_value(m, cell) != NULL;
}

int64_t erase_match_name(const struct erase_matcher *m, struct str name) {
    int64_t count = 0;
    struct str part;
    while (str_cut(&name, '/', &part)) {
        struct str value = part;
        struct str key;
        const bool named = str_find(part, STR("=")) >= 0 && str_cut(&value, '=', &key);
        const bool spells = named && erase_match_cell(m, value);
        count += spells || erase_match_text(m, part) > 0 ? 1 : 0;
    }
    return count;
}

bool erase_match_integer(const struct erase_matcher *m, int64_t value) {
    for (size_t i = mix((uint64_t)value) & m->by_integer.mask;; i = (i + 1) & m->by_integer.mask) {
        const uint32_t slot = m->by_integer.slots[i];
        if (slot == 0) {
            return false;
        }
        if (m->integers[slot - 1] == value) {
            return true;
        }
    }
}

// The literal whose first quote stands before `at`, without its quotes. Returns where it ends.
static size_t read_literal(struct str sql, size_t at, struct buf *out) {
    buf_reset(out);
    for (; at < sql.len; at++) {
        const bool quote = sql.ptr[at] == '\'';
        if (quote && (at + 1 == sql.len || sql.ptr[at + 1] != '\'')) {
            return at + 1;
        }
        at += quote ? 1 : 0;
        buf_add_char(out, sql.ptr[at]);
    }
    return at;
}

// A word, or a number with its sign.
static bool is_value_word(const struct erase_matcher *m, struct str sql, size_t from, size_t to) {
    return erase_match_cell(m, str_slice(sql, from, to)) ||
           (from > 0 && sql.ptr[from - 1] == '-' &&
            erase_match_cell(m, str_slice(sql, from - 1, to)));
}

// words: those that are no literals count as well.
static bool match_sql(const struct erase_matcher *m, struct str sql, bool words) {
    DEFER(buf_release) struct buf literal = BUF(sql.len + 1);
    bool found = erase_match_text(m, sql) > 0;
    for (size_t at = 0; at < sql.len && !found;) {
        if (sql.ptr[at] == '\'') {
            at = read_literal(sql, at + 1, &literal);
            found = erase_match_cell(m, buf_str(&literal)) ||
                    erase_match_text(m, buf_str(&literal)) > 0;
        } else if (is_word(sql.ptr[at])) {
            const size_t from = at;
            while (at < sql.len && is_word(sql.ptr[at])) {
                at++;
            }
            found = words && is_value_word(m, sql, from, at);
        } else {
            at++;
        }
    }
    return found;
}

bool erase_match_statement(const struct erase_matcher *m, struct str sql) {
    return match_sql(m, sql, true);
}

bool erase_match_filter(const struct erase_matcher *m, struct str filter) {
    return match_sql(m, filter, false);
}
