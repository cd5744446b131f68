// Listening: addresses as the configuration writes them, and their sockets.
#include "http/http_int.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

enum { BACKLOG = 1024 };

// "host:port", "[::1]:port", ":port"; false when it is none of them.
static bool split(struct str listen, struct str *host, uint64_t *port) {
    size_t colon = listen.len;
    while (colon > 0 && listen.ptr[colon - 1] != ':') {
        colon--;
    }
    if (colon == 0) {
        return false;
    }
    *host = str_slice(listen, 0, colon - 1);
    if (str_starts(*host, STR("[")) && str_ends(*host, STR("]"))) {
        *host = str_slice(*host, 1, host->len - 1);
    } else if (str_find_char(*host, ':') >= 0) {
        return false;
    }
    return str_to_u64(str_slice(listen, colon, listen.len), port) && *port <= 65535;
}

bool http_listen_is_loopback(struct str listen) {
    struct str host = STR_NONE;
    uint64_t port = 0;
    if (!split(listen, &host, &port)) {
        return false;
    }
    if (str_eq_nocase(host, STR("localhost")) || str_is(host, "::1")) {
        return true;
    }
    // Only a whole IPv4 address counts: "127.example.com" is a name.
    bool dotted = str_starts(host, STR("127."));
    for (size_t i = 0; i < host.len; i++) {
        dotted = dotted && ((host.ptr[i] >= '0' && host.ptr[i] <= '9') || host.ptr[i] == '.');
    }
    return dotted;
}

static int listen_at(const struct addrinfo *at, bool every) {
    const int kind = SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK;
    int fd = socket(at->ai_family, kind, at->ai_protocol);
    const int on = 1;
    const int off = 0;
    if (fd < 0) {
        return -1;
    }
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    // Inherited by the connections. libmicrohttpd sets it as well, but for one call more each.
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    if (at->ai_family == AF_INET6) {
        (void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, every ? &off : &on, sizeof(on));
    }
    if (bind(fd, at->ai_addr, at->ai_addrlen) != 0 || listen(fd, BACKLOG) != 0) {
        const int why = errno;
        closep(&fd);
        errno = why;
        return -1;
    }
    return fd;
}

// Prefers IPv6 when every address is meant, since that socket takes IPv4 too.
static int listen_at_any(const struct addrinfo *found, bool every) {
    int fd = -1;
    for (int pass = 0; pass < 2 && fd < 0; pass++) {
        for (const struct addrinfo *at = found; at && fd < 0; at = at->ai_next) {
            if (!every || (at->ai_family == AF_INET6) == (pass == 0)) {
                fd = listen_at(at, every);
            }
        }
        if (fd < 0 && errno == EADDRINUSE) {
            break;
        }
    }
    return fd;
}

static void freeaddrinfop(struct addrinfo **found) {
    if (*found) {
        freeaddrinfo(*found);
    }
}

static int port_of(int fd) {
    struct sockaddr_storage address = {0};
    socklen_t len = sizeof(address);
    CHECK(getsockname(fd, (struct sockaddr *)&address, &len) == 0);
    if (address.ss_family == AF_INET6) {
        return ntohs(((struct sockaddr_in6 *)&address)->sin6_port);
    }
    return ntohs(((struct sockaddr_in *)&address)->sin_port);
}

enum err_code http_listen_open(struct str listen, int *ret_fd, int *ret_port, struct err *err) {
    DEFER(arena_release) struct arena a = ARENA(4096);
    struct str host = STR_NONE;
    uint64_t port = 0;
    if (!split(listen, &host, &port)) {
        return err_set(err, ERR_INVALID, "listen address \"" STR_FMT "\": use HOST:PORT",
                       STR_ARG(listen));
    }
    const bool every = host.len == 0;
    const struct addrinfo hints = {
        .ai_family = AF_UNSPEC,
        .ai_socktype = SOCK_STREAM,
        .ai_flags = AI_PASSIVE | AI_NUMERICSERV,
    };
    const struct str service = arena_printf(&a, "%u", (unsigned)port);
    DEFER(freeaddrinfop) struct addrinfo *found = NULL;
    const int failed =
        getaddrinfo(every ? NULL : arena_cstr(&a, host), service.ptr, &hints, &found);
    if (failed) {
        return err_set(err, ERR_INVALID, "listen address \"" STR_FMT "\": %s", STR_ARG(listen),
                       gai_strerror(failed));
    }
    const int fd = listen_at_any(found, every);
    if (fd < 0 && errno == EADDRINUSE) {
        return err_set(err, ERR_BUSY,
                       "listen address \"" STR_FMT "\": the port is taken by another "
                       "program, or a server that runs already; --listen names another one",
                       STR_ARG(listen));
    }
    if (fd < 0) {
        return err_set(err, ERR_INVALID, "listen address \"" STR_FMT "\": %s", STR_ARG(listen),
                       strerror(errno));
    }
    *ret_fd = fd;
    *ret_port = port_of(fd);
    return ERR_OK;
}
