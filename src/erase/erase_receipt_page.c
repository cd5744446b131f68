// The page of a receipt: the same facts as the JSON, for people.
//
// One document without scripts, links to elsewhere or styles in attributes. Texts come from outside
// and are escaped where they are added (add_text); nothing else of the receipt goes in.

#include "erase/erase_receipt.h"

#include <inttypes.h>

#include "base/clock.h"

#define PAGE_BYTES_MAX (256UL << 20)

static const char style[] =
    ":root{color-scheme:light dark;--ink:#1d2330;--soft:#5b6475;--line:#d9dee7;--paper:#fff;"
    "--shade:#f4f6f9;--good:#12653a;--bad:#a3211b}"
    "@media(prefers-color-scheme:dark){:root{--ink:#e6e9ef;--soft:#9aa4b5;--line:#333b49;"
    "--paper:#141821;--shade:#1c222d;--good:#6fd09a;--bad:#ff9189}}"
    "*{box-sizing:border-box}"
    "body{margin:0;background:var(--paper);color:var(--ink);"
    "font:16px/1.55 system-ui,-apple-system,\"Segoe UI\",Roboto,\"Helvetica Neue\",sans-serif}"
    "main{max-width:56rem;margin:0 auto;padding:3rem 1.5rem 4rem}"
    "h1{font-size:1.9rem;line-height:1.2;margin:0 0 .25rem;letter-spacing:-.01em}"
    "h2{font-size:1.15rem;margin:2.5rem 0 .75rem}"
    "p{margin:.5rem 0;max-width:44rem;overflow-wrap:anywhere}"
    ".id,.soft{color:var(--soft)}"
    ".result{border-left:4px solid var(--good);background:var(--shade);padding:.75rem 1rem;"
    "margin:1.5rem 0;font-weight:600;max-width:none}"
    ".bad{border-color:var(--bad)}.result.bad{color:var(--bad)}"
    "blockquote{margin:.75rem 0;padding:.25rem 0 .25rem 1rem;border-left:3px solid var(--line);"
    "white-space:pre-wrap;overflow-wrap:anywhere}"
    ".wide{overflow-x:auto}"
    "table{border-collapse:collapse;width:100%;font-size:.92rem}"
    "th,td{text-align:left;padding:.45rem .75rem .45rem 0;border-bottom:1px solid var(--line);"
    "vertical-align:top;overflow-wrap:anywhere}"
    "th{color:var(--soft);font-weight:600}"
    "td.n,th.n{text-align:right;font-variant-numeric:tabular-nums;overflow-wrap:normal}"
    "code,.mono{font:.88em/1.45 ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;"
    "overflow-wrap:anywhere}"
    "pre{background:var(--shade);padding:.75rem 1rem;overflow-x:auto;margin:.75rem 0}"
    "dl{display:grid;grid-template-columns:max-content 1fr;gap:.25rem 1.25rem;margin:.5rem 0}"
    "dt{color:var(--soft)}dd{margin:0;overflow-wrap:anywhere}"
    "details{margin:1rem 0;border-top:1px solid var(--line);padding-top:.75rem}"
    "summary{cursor:pointer;font-weight:600}"
    "@media(max-width:40rem){dl{grid-template-columns:1fr;gap:0}dd{margin-bottom:.5rem}}"
    "@media print{@page{margin:18mm}body{font-size:10.5pt;background:#fff;color:#000}"
    "main{max-width:none;padding:0}h2,summary{break-after:avoid}tr,dd{break-inside:avoid}"
    "thead{display:table-header-group}.wide{overflow:visible}pre{white-space:pre-wrap}"
    "details::details-content{content-visibility:visible;display:block}"
    "details>*{display:block}}";

struct page {
    struct buf *out;
    struct arena *arena;
    const json_t *receipt;
};

static void add(struct page *p, const char *html) {
    buf_add_cstr(p->out, html);
}

// Escaped for text and for attributes in double quotes.
static void add_text(struct page *p, struct str s) {
    for (size_t i = 0; i < s.len; i++) {
        const char c = s.ptr[i];
        if (c == '&') {
            add(p, "&amp;");
        } else if (c == '<') {
            add(p, "&lt;");
        } else if (c == '>') {
            add(p, "&gt;");
        } else if (c == '"') {
            add(p, "&quot;");
        } else if (c == '\'') {
            add(p, "&#39;");
        } else if (c == '\0') {
            add(p, "\xEF\xBF\xBD");
        } else {
            buf_add_char(p->out, c);
        }
    }
}

// With a thin gap between thousands.
static void add_number(struct page *p, int64_t n) {
    const struct str digits = arena_printf(p->arena, "%" PRId64, n);
    for (size_t i = 0; i < digits.len; i++) {
        const size_t left = digits.len - i;
        if (i > 0 && left % 3 == 0 && digits.ptr[i - 1] != '-') {
            add(p, "&#8239;");
        }
        buf_add_char(p->out, digits.ptr[i]);
    }
}

static void add_count(struct page *p, int64_t n, const char *one, const char *many) {
    add_number(p, n);
    add(p, " ");
    add(p, n == 1 ? one : many);
}

static void add_bytes(struct page *p, int64_t bytes) {
    static const char *const units[] = {"bytes", "KiB", "MiB", "GiB", "TiB", "PiB"};
    double n = (double)bytes;
    size_t unit = 0;
    while (n >= 1024 && unit + 1 < ARRAY_LEN(units)) {
        n /= 1024;
        unit++;
    }
    buf_printf(p->out, unit > 0 && n < 100 ? "%.1f %s" : "%.0f %s", n, units[unit]);
}

static bool flag_of(const json_t *j, const char *key) {
    bool b = false;
    return json_get_bool(j, key, &b) && b;
}

// "28 November 2026 at 17:35:10 UTC"; a text that is no time as it is.
static void add_time(struct page *p, struct str time) {
    static const char *const months[] = {"January",   "February", "March",    "April",
                                         "May",       "June",     "July",     "August",
                                         "September", "October",  "November", "December"};
    int64_t us;
    int64_t month;
    int64_t day;
    if (!clock_parse(time, &us)) {
        add_text(p, time);
        return;
    }
    const struct str utc = clock_rfc3339(us, p->arena);
    if (utc.len < 19 || !str_to_i64(str_slice(utc, 5, 7), &month) ||
        !str_to_i64(str_slice(utc, 8, 10), &day) || month < 1 || month > 12) {
        add_text(p, time);
        return;
    }
    add(p, "<time datetime=\"");
    add_text(p, utc);
    add(p, "\">");
    buf_printf(p->out, "%" PRId64 " %s " STR_FMT " at " STR_FMT " UTC", day, months[month - 1],
               STR_ARG(str_slice(utc, 0, 4)), STR_ARG(str_slice(utc, 11, 19)));
    add(p, "</time>");
}

static void add_code(struct page *p, struct str s) {
    add(p, "<code>");
    add_text(p, s);
    add(p, "</code>");
}

static void add_cell_text(struct page *p, struct str s) {
    add(p, "<td>");
    add_text(p, s);
    add(p, "</td>");
}

static void add_cell_number(struct page *p, int64_t n) {
    add(p, "<td class=\"n\">");
    add_number(p, n);
    add(p, "</td>");
}

static void add_head(struct page *p) {
    add(p, "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
           "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; "
           "style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'\">"
           "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">"
           "<meta name=\"referrer\" content=\"no-referrer\">"
           "<meta name=\"robots\" content=\"noindex\">\n<title>Erasure ");
    add_text(p, json_str_of(p->receipt, "id"));
    add(p, "</title>\n<style>");
    add(p, style);
    add(p, "</style></head>\n<body><main>\n<h1>Receipt of an erasure</h1>\n<p class=\"id\">"
           "Erasure ");
    add_code(p, json_str_of(p->receipt, "id"));
    add(p, " on the server ");
    add_code(p, json_str_of(p->receipt, "server"));
    add(p, "</p>\n");
}

static void add_result(struct page *p) {
    const json_t *scan = json_object_get(p->receipt, "scan");
    const int64_t found = json_i64_of(scan, "found");
    if (flag_of(scan, "clean") && found == 0) {
        add(p, "<p class=\"result\">The data was removed. A search through everything that "
               "remained found nothing.</p>\n");
        return;
    }
    add(p, "<p class=\"result bad\">The erasure is not complete: the search afterwards found ");
    add_count(p, found, "place", "places");
    add(p, " where values of the subjects still stand.</p>\n");
}

// Who, when and why, and what was done, in sentences.
static void add_story(struct page *p) {
    const json_t *datasets = json_object_get(p->receipt, "datasets");
    const json_t *item;
    size_t i;
    int64_t rows = 0;
    json_array_foreach(datasets, i, item) {
        rows += json_i64_of(item, "rows_removed");
    }
    add(p, "<h2>What was done</h2>\n<p>");
    add(p, "<strong>");
    add_text(p, json_str_of(p->receipt, "requested_by"));
    add(p, "</strong> asked for it on ");
    add_time(p, json_str_of(p->receipt, "requested_at"));
    add(p, ", for this reason:</p>\n<blockquote>");
    add_text(p, json_str_of(p->receipt, "reason"));
    add(p, "</blockquote>\n<p>All data of ");
    add_count(p, json_i64_of(json_object_get(p->receipt, "subjects"), "count"), "subject",
              "subjects");
    add(p, " was erased. A subject is one value of a dataset&#39;s key column: usually a person. "
           "The receipt holds none of these values.</p>\n<p>");
    add_count(p, rows, "row was", "rows were");
    add(p, " removed from ");
    add_count(p, (int64_t)json_array_size(datasets), "dataset", "datasets");
    add(p, ": from what is there now, and from every earlier state that is kept. Files that held "
           "such a row were written again without it. ");
    add_count(p, (int64_t)json_array_size(json_object_get(p->receipt, "removed")),
              "stored object was", "stored objects were");
    add(p, " then deleted for good");
    const int64_t local = json_i64_of(p->receipt, "local_files_removed");
    if (local > 0) {
        add(p, ", and ");
        add_count(p, local, "local file", "local files");
        add(p, " of the server");
    }
    const int64_t texts = json_i64_of(p->receipt, "query_texts_removed");
    if (texts > 0) {
        add(p, ", and ");
        add_count(p, texts, "stored statement", "stored statements");
        add(p, " of a query that named one of them");
    }
    add(p, ".</p>\n<p>The work and the search were finished on ");
    add_time(p, json_str_of(p->receipt, "finished_at"));
    add(p, ".</p>\n");
}

static void add_datasets(struct page *p) {
    const json_t *item;
    size_t i;
    add(p, "<h2>Datasets</h2>\n<div class=\"wide\"><table><thead><tr><th>Dataset</th>"
           "<th>Key column</th><th class=\"n\">Rows removed</th>"
           "<th class=\"n\">Files rewritten</th><th class=\"n\">Files removed</th>"
           "<th class=\"n\">Snapshots changed</th><th class=\"n\">Tombstones</th>"
           "</tr></thead>\n<tbody>");
    json_array_foreach(json_object_get(p->receipt, "datasets"), i, item) {
        add(p, "<tr>");
        add_cell_text(p, json_str_of(item, "dataset"));
        add_cell_text(p, json_str_of(item, "column"));
        add_cell_number(p, json_i64_of(item, "rows_removed"));
        add_cell_number(p, json_i64_of(item, "files_rewritten"));
        add_cell_number(p, json_i64_of(item, "files_removed"));
        add(p, "<td class=\"n\">");
        add_number(p, json_i64_of(item, "snapshots_rewritten"));
        add(p, " of ");
        add_number(p, json_i64_of(item, "snapshots"));
        add(p, "</td>");
        add_cell_number(p, json_i64_of(item, "tombstones"));
        add(p, "</tr>\n");
    }
    add(p, "</tbody></table></div>\n");
}

static void add_findings(struct page *p, const json_t *scan) {
    const json_t *findings = json_object_get(scan, "findings");
    const json_t *item;
    size_t i;
    if (json_array_size(findings) == 0) {
        return;
    }
    add(p, "<div class=\"wide\"><table><thead><tr><th>Still found in</th><th>Where</th>"
           "<th class=\"n\">Times</th></tr></thead>\n<tbody>");
    json_array_foreach(findings, i, item) {
        add(p, "<tr><td class=\"mono\">");
        add_text(p, json_str_of(item, "object"));
        add(p, "</td>");
        add_cell_text(p, json_str_of(item, "where"));
        add_cell_number(p, json_i64_of(item, "count"));
        add(p, "</tr>\n");
    }
    add(p, "</tbody></table></div>\n");
}

static void add_search(struct page *p) {
    const json_t *scan = json_object_get(p->receipt, "scan");
    add(p, "<h2>The search afterwards</h2>\n<p>Every object that remained was opened, decoded and "
           "searched: ");
    add_count(p, json_i64_of(scan, "objects"), "object", "objects");
    add(p, " and ");
    add_count(p, json_i64_of(scan, "local_files"), "local file", "local files");
    add(p, ", ");
    add_bytes(p, json_i64_of(scan, "bytes"));
    add(p, " and ");
    add_count(p, json_i64_of(scan, "rows"), "row", "rows");
    add(p, ". Among them were ");
    add_count(p, json_i64_of(scan, "parquet"), "Parquet file", "Parquet files");
    add(p, ", ");
    add_count(p, json_i64_of(scan, "avro"), "Avro file", "Avro files");
    add(p, ", ");
    add_count(p, json_i64_of(scan, "json"), "JSON file", "JSON files");
    add(p, " and ");
    add_count(p, json_i64_of(scan, "other"), "other", "others");
    add(p, ".</p>\n<p>It looked for ");
    add_count(p, json_i64_of(scan, "values"), "value", "values");
    add(p, " of the subjects");
    const int64_t brief = json_i64_of(scan, "short_values");
    if (brief > 0) {
        add(p, "; ");
        add_number(p, brief);
        add(p, brief == 1 ? " of them is" : " of them are");
        add(p, " so short that whole cells and whole texts were compared, not words in free text");
    }
    add(p, ". It found ");
    const int64_t found = json_i64_of(scan, "found");
    if (found == 0) {
        add(p, "none.</p>\n");
    } else {
        add_count(p, found, "place", "places");
        add(p, ":</p>\n");
    }
    add_findings(p, scan);
}

static void add_suppression(struct page *p) {
    const json_t *kept = json_object_get(p->receipt, "suppression");
    if (!flag_of(kept, "kept")) {
        return;
    }
    add(p, "<h2>Later deliveries</h2>\n<p>Keyed fingerprints (HMAC-SHA-256) of ");
    add_count(p, json_i64_of(kept, "keys"), "key", "keys");
    add(p, " are kept, so that rows of the same subjects in a later delivery are not let in. "
           "The keys cannot be read from them.</p>\n");
}

static void add_handles(struct page *p) {
    const json_t *subjects = json_object_get(p->receipt, "subjects");
    const json_t *item;
    size_t i;
    add(p, "<details><summary>Subjects, as the log names them (");
    add_number(p, (int64_t)json_array_size(json_object_get(subjects, "handles")));
    add(p, ")</summary>\n<p class=\"soft\">The log of the server names a subject by a handle. What "
           "linked the handle to the subject was destroyed.</p>\n<ul>");
    json_array_foreach(json_object_get(subjects, "handles"), i, item) {
        add(p, "<li class=\"mono\">");
        add_text(p, (struct str){json_string_value(item), json_string_length(item)});
        add(p, "</li>\n");
    }
    add(p, "</ul></details>\n");
}

static void add_removed(struct page *p) {
    const json_t *removed = json_object_get(p->receipt, "removed");
    const json_t *item;
    size_t i;
    add(p, "<details><summary>Removed objects (");
    add_number(p, (int64_t)json_array_size(removed));
    add(p, ")</summary>\n<div class=\"wide\"><table><thead><tr><th>Object</th>"
           "<th class=\"n\">Bytes</th><th>SHA-256</th></tr></thead>\n<tbody>");
    json_array_foreach(removed, i, item) {
        add(p, "<tr><td class=\"mono\">");
        add_text(p, json_str_of(item, "object"));
        add(p, "</td>");
        add_cell_number(p, json_i64_of(item, "bytes"));
        add(p, "<td class=\"mono\">");
        add_text(p, json_str_of(item, "sha256"));
        add(p, "</td></tr>\n");
    }
    add(p, "</tbody></table></div></details>\n");
}

static void add_fact(struct page *p, const char *name, struct str value) {
    add(p, "<dt>");
    add(p, name);
    add(p, "</dt><dd class=\"mono\">");
    add_text(p, value);
    add(p, "</dd>\n");
}

static void add_proof(struct page *p) {
    const json_t *log = json_object_get(p->receipt, "log");
    const json_t *key = json_object_get(p->receipt, "key");
    add(p, "<h2>How to verify it</h2>\n<p>This page is for reading; what counts is the receipt "
           "itself, a signed JSON file. Save it and run:</p>\n"
           "<pre><code>tarn erase --verify FILE</code></pre>\n"
           "<p>It tells whether the receipt was changed, whether this catalog signed it, whether "
           "the catalog&#39;s log still proves it, and whether the removed objects are still "
           "gone. With <code>--data DIR</code> it works on a data folder without a running "
           "server.</p>\n<dl>");
    add_fact(p, "Signature (Ed25519)", json_str_of(p->receipt, "signature"));
    add_fact(p, "Public key", json_str_of(key, "public"));
    add_fact(p, "Name of the key", json_str_of(key, "id"));
    add_fact(p, "Record of the log", arena_printf(p->arena, "%" PRId64, json_i64_of(log, "seq")));
    add_fact(p, "Its SHA-256", json_str_of(log, "sha256"));
    add(p, "</dl>\n</main></body></html>\n");
}

enum err_code erase_receipt_page(struct str receipt, struct arena *a, struct str *ret,
                                 struct err *err) {
    DEFER(json_decrefp) json_t *j = NULL;
    DEFER(buf_release) struct buf out = BUF(PAGE_BYTES_MAX);
    int64_t version = 0;
    TRY(json_parse_stored(receipt, "the receipt", &j, err));
    if (!json_get_i64(j, "tarn_receipt", &version) || version != 1) {
        return err_set(err, ERR_CORRUPT, "that is no receipt of an erasure");
    }
    struct page page = {&out, a, j};
    add_head(&page);
    add_result(&page);
    add_story(&page);
    add_datasets(&page);
    add_search(&page);
    add_suppression(&page);
    add_handles(&page);
    add_removed(&page);
    add_proof(&page);
    if (out.overflow) {
        return err_set(err, ERR_TOO_LARGE, "the page of the receipt is too large");
    }
    *ret = arena_str(a, buf_str(&out));
    return ERR_OK;
}
