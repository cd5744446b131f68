// Arrow IPC: the messages of a stream, one after another.
#include "ingest/arrow_int.h"

#include <string.h>

#define META_MAX (64 << 20)
#define CONTINUATION 0xFFFFFFFFU
#define MAGIC STR("ARROW1")
#define MAGIC_BYTES 8               // with its padding
#define DICTIONARY_MAX (4ULL << 30) // bytes of an arena
enum { HEADER_NONE, HEADER_SCHEMA, HEADER_DICTIONARY, HEADER_BATCH };
enum { MESSAGE_VERSION, MESSAGE_KIND, MESSAGE_HEADER, MESSAGE_BODY };
#define VERSION_MIN 3 // V4; the unions of older ones differ, and their metadata too

struct message {
    struct fb fb;
    int64_t kind; // NONE: the end
    struct fb_table header;
    struct str body;
};

static enum err_code next_size(struct arrow_reader *r, size_t *ret, struct err *err) {
    struct fb f = {.data = r->data};
    uint64_t size = fb_int(&f, r->at, 4);
    r->at += 4;
    if (size == CONTINUATION) {
        size = fb_int(&f, r->at, 4);
        r->at += 4;
    }
    if (f.bad) {
        return arrow_damaged(err, "it stops without an end mark");
    }
    if (size > META_MAX || size > r->data.len - r->at) {
        return arrow_damaged(err, "a message is longer than what is there");
    }
    *ret = size;
    return ERR_OK;
}

static enum err_code next_message(struct arrow_reader *r, struct message *ret, struct err *err) {
    size_t size = 0;
    TRY(next_size(r, &size, err));
    if (size == 0) {
        return ERR_OK; // the kind is NONE
    }
    ret->fb.data = str_slice(r->data, r->at, r->at + size);
    r->at += size;
    const struct fb_table m = fb_root(&ret->fb);
    const int64_t version = fb_number(&m, MESSAGE_VERSION, 2, 0);
    const int64_t body = fb_number(&m, MESSAGE_BODY, 8, 0);
    ret->kind = fb_number(&m, MESSAGE_KIND, 1, 0);
    ret->header = fb_link(&m, MESSAGE_HEADER);
    if (ret->fb.bad || ret->header.at == 0 || body < 0 || (uint64_t)body > r->data.len - r->at) {
        return arrow_damaged(err, "a message");
    }
    if (version < VERSION_MIN || ret->kind < HEADER_SCHEMA || ret->kind > HEADER_BATCH) {
        return err_set(err, ERR_UNSUPPORTED,
                       "the Arrow data has a message of a version or kind that is not read");
    }
    ret->body = str_slice(r->data, r->at, r->at + (size_t)body);
    r->at += (size_t)body;
    return ERR_OK;
}

enum err_code arrow_read_open(struct arrow_reader *r, struct str data, struct arena *a,
                              struct err *err) {
    r->data = data;
    r->meta = a;
    r->file = str_starts(data, MAGIC);
    if (r->file) {
        const struct str end = str_slice(data, data.len - MIN(data.len, MAGIC.len), data.len);
        if (data.len < 2ULL * MAGIC_BYTES || !str_eq(end, MAGIC)) {
            return arrow_damaged(err, "the file does not end as an Arrow file does");
        }
        r->at = MAGIC_BYTES;
    }
    struct message m = {0};
    TRY(next_message(r, &m, err));
    if (m.kind != HEADER_SCHEMA) {
        return arrow_damaged(err, "it does not begin with a schema");
    }
    return arrow_read_fields(r, &m.header, err);
}

static void drop_dictionary(struct arrow_field *f) {
    arena_release(&f->dictionary_arena);
    f->dictionary = NULL;
}

void arrow_read_release(struct arrow_reader *r) {
    for (size_t i = 0; i < r->dictionary_count; i++) {
        drop_dictionary(r->dictionaries[i]);
    }
    r->dictionary_count = 0;
}

// Every column that has this dictionary reads it for itself.
static enum err_code take_dictionary(struct arrow_reader *r, const struct message *m,
                                     struct err *err) {
    const int64_t id = fb_number(&m->header, 0, 8, 0);
    const struct fb_table batch = fb_link(&m->header, 1);
    if (fb_number(&m->header, 2, 1, 0) != 0) {
        return err_set(err, ERR_UNSUPPORTED,
                       "the Arrow data adds to a dictionary; write whole dictionaries");
    }
    if (batch.at == 0) {
        return arrow_damaged(err, "a dictionary without values");
    }
    for (size_t i = 0; i < r->dictionary_count; i++) {
        struct arrow_field *f = r->dictionaries[i];
        if (f->dictionary_id == id) {
            drop_dictionary(f);
            f->dictionary_arena = ARENA(DICTIONARY_MAX);
            const struct arrow_body body = {&batch, m->body, &f->dictionary_arena};
            TRY(arrow_read_batch(&body, f, &f->dictionary, err));
        }
    }
    return ERR_OK;
}

enum err_code arrow_read_next(struct arrow_reader *r, struct arena *a, struct ArrowArray **ret,
                              struct err *err) {
    struct message m;
    for (;;) {
        m = (struct message){0};
        TRY(next_message(r, &m, err));
        if (m.kind != HEADER_DICTIONARY) {
            break;
        }
        TRY(take_dictionary(r, &m, err));
    }
    if (m.kind == HEADER_SCHEMA) {
        return arrow_damaged(err, "it has two schemas");
    }
    if (m.kind == HEADER_NONE) {
        *ret = NULL;
        return r->file || r->at == r->data.len ? ERR_OK
                                               : arrow_damaged(err, "something follows its end");
    }
    const struct arrow_body body = {&m.header, m.body, a};
    return arrow_read_batch(&body, &r->root, ret, err);
}

static struct ArrowSchema *schema_of(const struct arrow_field *f, struct arena *a) {
    struct ArrowSchema *s = arena_alloc(a, sizeof(*s));
    *s = (struct ArrowSchema){.format = f->form,
                              .name = f->name.len > 0 ? f->name.ptr : "",
                              .flags = 2, // may be NULL
                              .n_children = (int64_t)f->child_count,
                              .release = arrow_schema_keep};
    s->children = arena_array(a, f->child_count, sizeof(struct ArrowSchema *));
    for (size_t i = 0; i < f->child_count; i++) {
        s->children[i] = schema_of(&f->children[i], a);
    }
    if (f->index_bits > 0) {
        static const char *const forms[2][9] = {{[1] = "C", [2] = "S", [4] = "I", [8] = "L"},
                                                {[1] = "c", [2] = "s", [4] = "i", [8] = "l"}};
        struct ArrowSchema *values = arena_alloc(a, sizeof(*values));
        *values = *s;
        s->format = forms[f->index_signed][f->index_bits / 8];
        s->dictionary = values;
    }
    return s;
}

struct ArrowSchema *arrow_read_schema(struct arrow_reader *r) {
    return schema_of(&r->root, r->meta);
}
