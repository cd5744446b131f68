// Monitor: one thread that sees clients hang up, and cuts off those that keep a connection waiting.
//
// libmicrohttpd does not look at a socket while its handler works. Every socket is therefore also
// in an epoll set that reports nothing but the end of what the client sends, once (edge), so that
// traffic costs nothing. Idle times are the monitor's too: libmicrohttpd would spin through the
// last second of each.
#include "http/http_int.h"

#include "base/clock.h"

#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

enum { TICK_MS = 250, EVENTS = 64 };

// c->lock is held.
static void cancel(struct http_conn *c) {
    atomic_store(&c->request.cancel.set, true);
    void (*fn)(void *arg) = c->on_cancel;
    c->on_cancel = NULL;
    if (fn) {
        fn(c->on_cancel_arg);
    }
}

static void hang_up(struct http_conn *c) {
    LOCKED(&c->lock);
    c->hung_up = true;
    if (c->in_work && c->cancellable) {
        cancel(c);
    }
}

static void look_for_silence(struct http_server *s, struct http_conn *c, int64_t now_us) {
    struct http_watch *w = &c->watch;
    struct tcp_info info = {0};
    socklen_t len = sizeof(info);
    (void)getsockopt(c->fd, IPPROTO_TCP, TCP_INFO, &info, &len);
    const uint64_t received = info.tcpi_bytes_received;
    const uint64_t bytes = received + info.tcpi_bytes_acked;
    const int state = atomic_load(&c->state);
    const unsigned turns = atomic_load(&c->turns);

    if (state != w->state || turns != w->turns) {
        w->idle_bytes = received;
        w->head_us = now_us;
        w->changed_us = now_us;
    }
    if (bytes != w->bytes) {
        w->changed_us = now_us;
    }
    if (received == w->idle_bytes) {
        w->head_us = now_us;
    }
    w->state = state;
    w->turns = turns;
    w->bytes = bytes;

    const bool silent = state != HTTP_WORK && now_us - w->changed_us > s->idle_timeout_us;
    const bool slow =
        state == HTTP_IDLE && now_us - w->head_us > INT64_C(1000) * HTTP_HEAD_TIMEOUT_MS;
    if (silent || slow) {
        (void)shutdown(c->fd, SHUT_RDWR);
    }
}

static void handle_events(struct http_server *s, const struct epoll_event *events, int count) {
    LOCKED(&s->lock);
    for (int i = 0; i < count; i++) {
        struct http_conn *c = events[i].data.ptr;
        if (c && !c->dead) {
            hang_up(c);
        }
    }
}

// What was removed before the last epoll_wait returned is in no event any more.
static void free_dead(struct http_server *s) {
    struct http_conn *dead = NULL;
    {
        LOCKED(&s->lock);
        dead = TAKE(s->dead);
    }
    while (dead) {
        struct http_conn *next = dead->next;
        http_conn_free(dead);
        dead = next;
    }
}

static void *run(void *arg) {
    struct http_server *s = arg;
    int64_t looked_us = clock_mono_us();
    while (!atomic_load(&s->stopping)) {
        struct epoll_event events[EVENTS];
        const int count = epoll_wait(s->epoll_fd, events, EVENTS, TICK_MS);
        handle_events(s, events, count);
        free_dead(s);
        const int64_t now_us = clock_mono_us();
        if (now_us - looked_us >= INT64_C(1000) * TICK_MS) {
            looked_us = now_us;
            LOCKED(&s->lock);
            for (struct http_conn *c = s->conns; c; c = c->next) {
                look_for_silence(s, c, now_us);
            }
        }
    }
    return NULL;
}

void http_monitor_start(struct http_server *s) {
    s->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    s->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
    // Fails for a descriptor that could not be made, too.
    CHECK(epoll_ctl(s->epoll_fd, EPOLL_CTL_ADD, s->wake_fd, &event) == 0);
    s->monitor = threads_start("http-monitor", run, s);
}

void http_monitor_stop(struct http_server *s) {
    atomic_store(&s->stopping, true);
    const uint64_t one = 1;
    (void)!write(s->wake_fd, &one, sizeof(one));
    CHECK(pthread_join(s->monitor, NULL) == 0);
    free_dead(s);
    closep(&s->epoll_fd);
    closep(&s->wake_fd);
}

void http_monitor_add(struct http_conn *c) {
    struct http_server *s = c->server;
    c->watch.changed_us = c->watch.head_us = clock_mono_us();
    struct epoll_event event = {.events = EPOLLRDHUP | EPOLLET, .data.ptr = c};
    LOCKED(&s->lock);
    c->next = s->conns;
    if (c->next) {
        c->next->prev = c;
    }
    s->conns = c;
    // Without it, which would be for lack of kernel memory, a hang-up is seen later.
    (void)epoll_ctl(s->epoll_fd, EPOLL_CTL_ADD, c->fd, &event);
}

void http_monitor_remove(struct http_conn *c) {
    struct http_server *s = c->server;
    LOCKED(&s->lock);
    (void)epoll_ctl(s->epoll_fd, EPOLL_CTL_DEL, c->fd, NULL);
    if (c->prev) {
        c->prev->next = c->next;
    } else {
        s->conns = c->next;
    }
    if (c->next) {
        c->next->prev = c->prev;
    }
    c->dead = true;
    c->prev = NULL;
    c->next = s->dead;
    s->dead = c;
}

size_t http_monitor_cut(struct http_server *s, bool all) {
    size_t count = 0;
    LOCKED(&s->lock);
    for (struct http_conn *c = s->conns; c; c = c->next) {
        const int state = atomic_load(&c->state);
        if (all || state == HTTP_IDLE || state == HTTP_LINGER) {
            (void)shutdown(c->fd, SHUT_RDWR);
        }
        count++;
    }
    return count;
}

void http_monitor_cancel_all(struct http_server *s) {
    atomic_store(&s->cancelling, true);
    LOCKED(&s->lock);
    for (struct http_conn *c = s->conns; c; c = c->next) {
        LOCKED(&c->lock);
        if (c->in_work) {
            cancel(c);
        }
    }
}

void http_on_cancel(struct http_request *r, void (*fn)(void *arg), void *arg) {
    struct http_conn *c = r->conn;
    LOCKED(&c->lock);
    c->on_cancel = fn;
    c->on_cancel_arg = arg;
    if (fn && atomic_load(&r->cancel.set)) {
        cancel(c);
    }
}
