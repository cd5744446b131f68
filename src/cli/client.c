// Client: one libcurl handle, the token, and what the server's problems mean.
#include "cli/client.h"

#include <ctype.h>
#include <curl/curl.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

enum {
    TOKEN_BYTES_MAX = 4096,
    NOTE_BYTES_MAX = 300,
    PROBLEM_BYTES_MAX = 1 << 20,
    CONNECT_TIMEOUT_MS = 10000,
};

static const char default_url[] = "http://127.0.0.1:8787";
static const char default_data[] = "./tarn-data";

struct client {
    CURL *curl;
    char *url; // without a slash at its end
    char *cacert;
    char *token;               // NULL: none
    char note[NOTE_BYTES_MAX]; // where the token came from, or was looked for
    char curl_error[CURL_ERROR_SIZE];
    int64_t timeout_ms; // 0: none
    bool probe;
};

// One request while curl works on it.
struct transfer {
    struct client *client;
    const struct client_request *request;
    struct client_answer *answer;
    struct buf problem;
    bool source_failed, sink_stopped, told_truncated;
};

static volatile sig_atomic_t interrupted;

static void on_interrupt(int number) {
    (void)number;
    interrupted = 1;
}

static void start_once(void) {
    // Reads and waits end at the signal; a second one ends the program.
    struct sigaction act = {.sa_flags = (int)SA_RESETHAND};
    act.sa_handler = on_interrupt;
    sigemptyset(&act.sa_mask);
    CHECK(sigaction(SIGINT, &act, NULL) == 0);
    CHECK(curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK);
}

void client_start(void) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    (void)pthread_once(&once, start_once);
}

bool client_interrupted(void) {
    return interrupted != 0;
}

void client_escape(struct buf *path, struct str text) {
    for (size_t i = 0; i < text.len; i++) {
        const unsigned char c = (unsigned char)text.ptr[i];
        if (c > ' ' && c < 0x7F && (isalnum(c) || strchr("-._~", c))) {
            buf_add_char(path, (char)c);
        } else {
            buf_printf(path, "%%%02X", c);
        }
    }
}

void client_parameter(struct buf *path, const char *name, struct str value) {
    const bool first = str_find_char(buf_str(path), '?') < 0;
    buf_printf(path, "%c%s=", first ? '?' : '&', name);
    client_escape(path, value);
}

void client_option(struct buf *path, const struct args *a, const char *name) {
    if (args_value(a, name) != NULL) {
        client_parameter(path, name, str_from(args_value(a, name)));
    }
}

void client_path(struct buf *path, const char *before, const char *name, const char *behind) {
    buf_add_cstr(path, before);
    client_escape(path, str_from(name));
    buf_add_cstr(path, behind);
}

void client_dataset_path(struct buf *path, const char *name, const char *behind) {
    client_path(path, "/catalog/datasets/by-name/", name, behind);
}

// Reads a token file; *ret stays empty when there is no such file.
static enum err_code token_read(const char *path, struct buf *ret, struct err *err) {
    FILE *file = fopen(path, "re");
    if (!file && errno == ENOENT) {
        return ERR_OK;
    }
    if (!file) {
        (void)err_errno(err, "cannot read the token in %s", path);
        err->code = ERR_DENIED;
        return ERR_DENIED;
    }
    char block[TOKEN_BYTES_MAX];
    buf_add(ret, block, fread(block, 1, sizeof(block), file));
    fclose(file);
    return ERR_OK;
}

static enum err_code token_check(struct str token, const char *from, struct err *err) {
    for (size_t i = 0; i < token.len; i++) {
        if (token.ptr[i] <= ' ' || token.ptr[i] > '~') {
            return err_set(err, ERR_INVALID, "what stands in %s is not a token", from);
        }
    }
    return ERR_OK;
}

static void note_token(struct client *c, const char *from) {
    snprintf(c->note, sizeof(c->note), "the token came from %.200s", from);
}

static enum err_code token_find(const struct args *a, struct client *c, struct buf *ret,
                                struct err *err) {
    const char *file = args_value(a, "token-file");
    const char *env = getenv("TARN_TOKEN");
    if (file) {
        note_token(c, file);
        TRY(token_read(file, ret, err));
        if (ret->len == 0) {
            return err_set(err, ERR_INVALID, "no token in %s", file);
        }
        return token_check(str_trim(buf_str(ret)), file, err);
    }
    const char *data = args_value(a, "data");
    if (env && *env && !data) {
        buf_add_cstr(ret, env);
        note_token(c, "TARN_TOKEN");
        return token_check(str_trim(buf_str(ret)), "TARN_TOKEN", err);
    }
    const char *data_env = getenv("TARN_DATA");
    if (!data) {
        data = data_env && *data_env ? data_env : default_data;
    }
    char path[4096];
    if (snprintf(path, sizeof(path), "%s/admin.token", data) >= (int)sizeof(path)) {
        return err_set(err, ERR_INVALID, "--data is too long");
    }
    note_token(c, path);
    TRY(token_read(path, ret, err));
    if (ret->len == 0) {
        snprintf(c->note, sizeof(c->note),
                 "no token was sent, since there is no %.200s; set TARN_TOKEN, or name the data "
                 "folder with --data",
                 path);
    }
    return token_check(str_trim(buf_str(ret)), path, err);
}

static enum err_code url_check(const char *text, struct buf *ret, struct err *err) {
    struct str url = str_trim(str_from(text));
    while (str_ends(url, STR("/"))) {
        url.len--;
    }
    if (str_find(url, STR("://")) < 0) {
        buf_add_cstr(ret, "http://");
    } else if (!str_starts(url, STR("http://")) && !str_starts(url, STR("https://"))) {
        return err_set(err, ERR_INVALID, "\"%.100s\" is not an address: http://HOST:PORT is right",
                       text);
    }
    buf_add_str(ret, url);
    return ERR_OK;
}

// A proxy of the environment is not meant for servers on this machine.
static bool is_loopback(struct str url) {
    const ptrdiff_t start = str_find(url, STR("://"));
    const struct str host = str_slice(url, (size_t)start + 3, url.len);
    return str_starts(host, STR("127.")) || str_starts(host, STR("localhost")) ||
           str_starts(host, STR("[::1]"));
}

static struct client *client_new(struct str url, struct str token, const char *cacert) {
    struct client *c = xcalloc(1, sizeof(*c));
    c->curl = curl_easy_init();
    CHECK(c->curl);
    c->url = xcalloc(1, url.len + 1);
    memcpy(c->url, url.ptr, url.len);
    c->cacert = cacert ? xstrdup(cacert) : NULL;
    if (token.len > 0) {
        c->token = xcalloc(1, token.len + 1);
        memcpy(c->token, token.ptr, token.len);
    }
    return c;
}

enum err_code client_open(const struct args *a, struct client **ret, struct err *err) {
    DEFER(buf_release) struct buf url = BUF(4096);
    DEFER(buf_release) struct buf token = BUF(TOKEN_BYTES_MAX);
    const char *env = getenv("TARN_URL");
    const char *wanted = args_value(a, "url");
    client_start();
    if (!wanted) {
        wanted = env && *env ? env : default_url;
    }
    TRY(url_check(wanted, &url, err));
    struct client found = {0};
    TRY(token_find(a, &found, &token, err));
    struct client *c =
        client_new(buf_str(&url), str_trim(buf_str(&token)), args_value(a, "cacert"));
    memcpy(c->note, found.note, sizeof(c->note));
    *ret = c;
    return ERR_OK;
}

enum err_code client_open_probe(const char *url, int64_t timeout_ms, struct client **ret,
                                struct err *err) {
    DEFER(buf_release) struct buf checked = BUF(4096);
    client_start();
    TRY(url_check(url, &checked, err));
    struct client *c = client_new(buf_str(&checked), STR_NONE, NULL);
    c->timeout_ms = timeout_ms;
    c->probe = true;
    *ret = c;
    return ERR_OK;
}

void client_close(struct client *c) {
    if (!c) {
        return;
    }
    curl_easy_cleanup(c->curl);
    free(c->url);
    free(c->cacert);
    free(c->token);
    free(c);
}

void client_closep(struct client **c) {
    client_close(*c);
}

void client_answer_release(struct client_answer *answer) {
    buf_release(&answer->body);
}

static size_t on_read(char *out, size_t size, size_t count, void *arg) {
    struct transfer *t = arg;
    const struct client_source *source = &t->request->source;
    const ptrdiff_t got = interrupted ? -1 : source->read(source->ctx, out, size * count);
    if (got < 0) {
        t->source_failed = !interrupted;
        return CURL_READFUNC_ABORT;
    }
    return (size_t)got;
}

static size_t on_write(char *data, size_t size, size_t count, void *arg) {
    struct transfer *t = arg;
    const struct str piece = {data, size * count};
    long status = 0;
    curl_easy_getinfo(t->client->curl, CURLINFO_RESPONSE_CODE, &status);
    if (status >= 300) {
        buf_add_str(&t->problem, piece);
        return piece.len;
    }
    if (t->request->take) {
        t->sink_stopped = !t->request->take(t->request->take_ctx, piece);
        return t->sink_stopped ? 0 : piece.len;
    }
    buf_add_str(&t->answer->body, piece);
    return t->answer->body.overflow ? 0 : piece.len;
}

static size_t on_header(char *data, size_t size, size_t count, void *arg) {
    struct transfer *t = arg;
    struct str rest = {data, size * count};
    struct str name = STR_NONE;
    (void)str_cut(&rest, ':', &name);
    rest = str_trim(rest);
    if (str_eq_nocase(name, STR("X-Tarn-Rows-Max")) && !t->told_truncated) {
        (void)str_to_i64(rest, &t->answer->rows_max);
    } else if (str_eq_nocase(name, STR("X-Tarn-Truncated"))) {
        t->told_truncated = true;
        t->answer->truncated = str_is(rest, "true");
        t->answer->rows_max = 0;
    }
    return size * count;
}

static int on_progress(void *arg, curl_off_t down_total, curl_off_t down, curl_off_t up_total,
                       curl_off_t up) {
    struct transfer *t = arg;
    (void)down_total;
    (void)down;
    (void)up_total;
    const struct client_source *source = &t->request->source;
    if (source->progress) {
        source->progress(source->ctx, (int64_t)up);
    }
    return interrupted ? 1 : 0;
}

static struct curl_slist *add_header(struct curl_slist *list, const char *name, const char *value) {
    char line[TOKEN_BYTES_MAX + 100];
    snprintf(line, sizeof(line), "%s: %s", name, value);
    struct curl_slist *longer = curl_slist_append(list, line);
    CHECK(longer);
    return longer;
}

static void slist_freep(struct curl_slist **list) {
    curl_slist_free_all(*list);
}

static struct curl_slist *headers_of(const struct client *c, const struct client_request *r) {
    struct curl_slist *list = NULL;
    const bool upload = r->source.read != NULL;
    list = add_header(list, "Accept", r->accept ? r->accept : "application/json");
    if (upload || r->json.len > 0) {
        list = add_header(list, "Content-Type",
                          upload ? "application/octet-stream" : "application/json");
    }
    if (upload && r->source.bytes < 0) {
        list = add_header(list, "Transfer-Encoding", "chunked");
    }
    if (c->token) {
        DEFER(buf_release) struct buf bearer = BUF(TOKEN_BYTES_MAX + 10);
        buf_printf(&bearer, "Bearer %s", c->token);
        list = add_header(list, "Authorization", bearer.ptr);
    }
    return list;
}

static void set_body(CURL *curl, const struct client_request *r, struct transfer *t) {
    if (r->source.read) {
        curl_easy_setopt(curl, CURLOPT_POST, 1L);
        curl_easy_setopt(curl, CURLOPT_READFUNCTION, on_read);
        curl_easy_setopt(curl, CURLOPT_READDATA, t);
        curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)r->source.bytes);
        curl_easy_setopt(curl, CURLOPT_UPLOAD_BUFFERSIZE, 1L << 20);
    } else if (r->json.len > 0) {
        curl_easy_setopt(curl, CURLOPT_POSTFIELDS, r->json.ptr);
        curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)r->json.len);
    } else if (strcmp(r->method, "POST") == 0) {
        curl_easy_setopt(curl, CURLOPT_POSTFIELDS, "");
        curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)0);
    }
    curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, r->method);
}

static void set_up(struct client *c, struct transfer *t, const char *url,
                   struct curl_slist *headers) {
    CURL *curl = c->curl;
    curl_easy_reset(curl); // keeps the connection
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(curl, CURLOPT_USERAGENT, "tarn");
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, c->curl_error);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_write);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, t);
    curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(curl, CURLOPT_HEADERDATA, t);
    curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, on_progress);
    curl_easy_setopt(curl, CURLOPT_XFERINFODATA, t);
    curl_easy_setopt(curl, CURLOPT_TCP_KEEPALIVE, 1L);
    curl_easy_setopt(curl, CURLOPT_BUFFERSIZE, 1L << 17);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_TIMEOUT_MS);
    if (c->timeout_ms > 0) {
        curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)c->timeout_ms);
    }
    if (c->cacert) {
        curl_easy_setopt(curl, CURLOPT_CAINFO, c->cacert);
    }
    if (c->probe) {
        curl_easy_setopt(curl, CURLOPT_SSL_VERIFYPEER, 0L);
        curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, 0L);
    }
    if (is_loopback(str_from(c->url))) {
        curl_easy_setopt(curl, CURLOPT_PROXY, "");
    }
    set_body(curl, t->request, t);
}

static enum err_code no_answer(struct client *c, const struct transfer *t, CURLcode code,
                               struct err *err) {
    const char *why = *c->curl_error ? c->curl_error : curl_easy_strerror(code);
    switch (code) {
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
    case CURLE_COULDNT_CONNECT:
    case CURLE_OPERATION_TIMEDOUT:
        return err_set(err, ERR_BUSY,
                       "no server answers at %s (%s); \"tarn serve\" starts one, --url or "
                       "TARN_URL names another",
                       c->url, why);
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_CONNECT_ERROR:
        return err_set(err, ERR_BUSY, "cannot trust %s (%s); --cacert names its authority", c->url,
                       why);
    case CURLE_URL_MALFORMAT:
        return err_set(err, ERR_INVALID, "\"%.100s\" is not an address: http://HOST:PORT is right",
                       c->url);
    case CURLE_PARTIAL_FILE:
    case CURLE_RECV_ERROR:
    case CURLE_SEND_ERROR:
    case CURLE_GOT_NOTHING:
        return err_set(err, ERR_IO, "the connection to %s was cut before the answer was whole (%s)",
                       c->url, why);
    default:
        if (t->answer->body.overflow) {
            return err_set(err, ERR_TOO_LARGE,
                           "the answer is too large to be shown; -o csv, ndjson or arrow streams");
        }
        return err_set(err, ERR_IO, "the request to %s failed: %s", c->url, why);
    }
}

static enum err_code code_of_status(long status) {
    switch (status) {
    case 401:
        return ERR_UNAUTHENTICATED;
    case 403:
        return ERR_DENIED;
    case 404:
        return ERR_NOT_FOUND;
    case 409:
        return ERR_CONFLICT;
    case 502:
    case 503:
        return ERR_BUSY;
    default:
        return ERR_INTERNAL;
    }
}

static enum err_code code_of_problem(struct str text, long status) {
    for (int code = ERR_OK + 1; code <= ERR_NO_SPACE; code++) {
        if (str_is(text, err_text((enum err_code)code))) {
            return (enum err_code)code;
        }
    }
    return code_of_status(status);
}

// A refusal: problem details (RFC 9457), or whatever else stands at that address.
static enum err_code refused(struct client *c, const struct transfer *t, long status,
                             struct err *err) {
    DEFER(json_decrefp) json_t *problem = NULL;
    struct err ignored = ERR_NONE;
    struct str detail = STR_NONE;
    struct str code = STR_NONE;
    struct str id = STR_NONE;
    if (json_parse_stored(buf_str(&t->problem), "answer", &problem, &ignored) != ERR_OK ||
        (!json_get_str(problem, "detail", &detail) && !json_get_str(problem, "title", &detail))) {
        return err_set(err, code_of_status(status), "%s answered %ld without saying why", c->url,
                       status);
    }
    (void)json_get_str(problem, "code", &code);
    (void)json_get_str(problem, "request_id", &id);
    const enum err_code found = code_of_problem(code, status);
    if (found == ERR_UNAUTHENTICATED && *c->note) {
        (void)err_set(err, found, STR_FMT "; %s", STR_ARG(detail), c->note);
    } else if (status >= 500 && id.len > 0) {
        (void)err_set(err, found, STR_FMT " (request " STR_FMT ")", STR_ARG(detail), STR_ARG(id));
    } else {
        (void)err_set(err, found, STR_FMT, STR_ARG(detail));
    }
    if (!json_get_i64(problem, "position", &err->position)) {
        err->position = -1;
    }
    return found;
}

// What an ended transfer comes to; the caller has the connection closed when it was stopped.
static enum err_code outcome(struct client *c, const struct transfer *t, CURLcode code,
                             struct err *err) {
    long status = 0;
    curl_easy_getinfo(c->curl, CURLINFO_RESPONSE_CODE, &status);
    if (interrupted) {
        return err_set(err, ERR_CANCELLED, "cancelled");
    }
    if (t->source_failed) {
        return err_set(err, ERR_IO, "the upload was stopped: its file cannot be read");
    }
    if (t->sink_stopped) {
        return err_set(err, ERR_IO, "cannot write the answer");
    }
    // A server that refuses an upload early answers and hangs up.
    if (status >= 300 && t->problem.len > 0) {
        return refused(c, t, status, err);
    }
    if (code != CURLE_OK) {
        return no_answer(c, t, code, err);
    }
    return status >= 300 || status < 200 ? refused(c, t, status, err) : ERR_OK;
}

enum err_code client_send(struct client *c, const struct client_request *r,
                          struct client_answer *ret, struct err *err) {
    DEFER(buf_release) struct buf url = BUF(1 << 20);
    DEFER(slist_freep) struct curl_slist *headers = headers_of(c, r);
    struct transfer t = {.client = c, .request = r, .answer = ret};
    t.problem.max = PROBLEM_BYTES_MAX;
    buf_add_cstr(&url, c->url);
    buf_add_str(&url, r->path);
    set_up(c, &t, url.ptr, headers);
    c->curl_error[0] = '\0';
    const CURLcode done = curl_easy_perform(c->curl);
    const enum err_code code = outcome(c, &t, done, err);
    buf_release(&t.problem);
    return code;
}

enum err_code client_json(struct client *c, const char *method, struct str path,
                          const struct buf *body, json_t **ret, struct err *err) {
    DEFER(client_answer_release) struct client_answer answer = CLIENT_ANSWER;
    const struct client_request r = {
        .method = method, .path = path, .json = body ? buf_str(body) : STR_NONE};
    TRY(client_send(c, &r, &answer, err));
    if (str_trim(buf_str(&answer.body)).len == 0) {
        *ret = json_null();
        return ERR_OK;
    }
    return json_parse_stored(buf_str(&answer.body), "the server's answer", ret, err);
}

enum err_code client_ask(const struct args *a, const char *method, struct str path,
                         const struct buf *body, json_t **ret, struct err *err) {
    DEFER(client_closep) struct client *c = NULL;
    TRY(client_open(a, &c, err));
    return client_json(c, method, path, body, ret, err);
}
