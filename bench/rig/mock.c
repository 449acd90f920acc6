/* The upstream of the benchmark: one process, one thread, epoll, loopback only.
 *
 *   mock DELTAS:PACE_US [DELTAS:PACE_US ...]
 *
 * opens one port for each behaviour and prints them on one line ("ports 40001 40002"), then serves until killed.
 *   POST .../messages           Anthropic Messages: SSE when the body says "stream":true, else JSON
 *   POST .../chat/completions   OpenAI chat: the same
 * PACE_US 0 sends the whole stream in a burst; otherwise a delta follows every PACE_US microseconds. Each event is an
 * HTTP chunk and a write of its own, as a provider makes them. A delta's text is "tok#SEQ@NS words": its number, and for paced streams the monotonic clock at
 * which it was made, so that the reader can tell loss, order and age. A request that did not arrive whole or whose model
 * was not replaced (the body must hold "model":"m1" and a vary# mark) is answered 400, which fails the run. */
#include "wire.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#define MAX_LISTENERS 8
#define JSON_TOKENS 40
#define MAX_DELTAS 2000

enum dialect { MESSAGES, CHAT };

struct listener;

struct conn {
    int fd, is_dead, is_timed, wants_out;
    struct listener *from;
    struct reader reader;
    struct buffer body, out;
    size_t out_at;
    enum dialect dialect;
    int sent; /* deltas of the stream under way */
    long long due;
    struct conn *next; /* in the listener's queue of paced streams */
};

struct listener {
    int fd, deltas;
    long long pace_ns;
    /* All streams of a listener have one pace, so a queue in order of firing is in order of time. */
    struct conn *first, *last;
    /* A burst is the same bytes each time: made once for each dialect, with the end of each event's bytes. */
    struct buffer whole[2];
    size_t ends[2][MAX_DELTAS + 8];
    int end_count[2];
};

static int epoll_fd, timer_fd, listener_count;
static struct listener listeners[MAX_LISTENERS];
static const char *const WORDS[] = {"the", "function", "returns", "a", "value", "when", "stream", "ends", "and", "self.reader"};

static const char HEAD_SSE[] =
    "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\ncache-control: no-cache\r\n"
    "request-id: req_bench\r\ntransfer-encoding: chunked\r\n\r\n";

/* Adds one HTTP chunk holding the formatted text. */
static void add_chunk(struct buffer *b, const char *format, ...) {
    char text[2048], size[16];
    va_list args;
    va_start(args, format);
    int n = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    buffer_add(b, size, (size_t)snprintf(size, sizeof size, "%x\r\n", n));
    buffer_add(b, text, (size_t)n);
    buffer_add(b, "\r\n", 2);
}

static void add_chat_chunk(struct buffer *b, const char *delta, const char *finish) {
    add_chunk(b,
              "data: {\"id\":\"chatcmpl-bench\",\"object\":\"chat.completion.chunk\",\"created\":1700000000,\"model\":\"m1\","
              "\"choices\":[{\"index\":0,\"delta\":{%s},\"logprobs\":null,\"finish_reason\":%s}]}\n\n",
              delta, finish);
}

static void add_opening(struct buffer *b, enum dialect dialect) {
    buffer_add(b, HEAD_SSE, sizeof HEAD_SSE - 1);
    if (dialect == CHAT) {
        add_chat_chunk(b, "\"role\":\"assistant\",\"content\":\"\"", "null");
        return;
    }
    add_chunk(b, "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"msg_bench\",\"type\":\"message\","
                 "\"role\":\"assistant\",\"model\":\"m1\",\"content\":[],\"stop_reason\":null,\"stop_sequence\":null,"
                 "\"usage\":{\"input_tokens\":1000,\"cache_creation_input_tokens\":0,\"cache_read_input_tokens\":0,"
                 "\"output_tokens\":1}}}\n\n");
    add_chunk(b, "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,"
                 "\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n");
    add_chunk(b, "event: ping\ndata: {\"type\":\"ping\"}\n\n");
}

static void add_delta(struct buffer *b, enum dialect dialect, int seq, long long made_ns) {
    char text[128], delta[160];
    snprintf(text, sizeof text, "tok#%d@%lld %s %s ", seq, made_ns, WORDS[seq % 10], WORDS[(seq / 3) % 10]);
    if (dialect == CHAT) {
        snprintf(delta, sizeof delta, "\"content\":\"%s\"", text);
        add_chat_chunk(b, delta, "null");
    } else {
        add_chunk(b, "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,"
                     "\"delta\":{\"type\":\"text_delta\",\"text\":\"%s\"}}\n\n", text);
    }
}

static void add_ending(struct buffer *b, enum dialect dialect, int deltas) {
    if (dialect == CHAT) {
        add_chat_chunk(b, "", "\"stop\"");
        add_chunk(b, "data: {\"id\":\"chatcmpl-bench\",\"object\":\"chat.completion.chunk\",\"created\":1700000000,\"model\":\"m1\","
                     "\"choices\":[],\"usage\":{\"prompt_tokens\":1000,\"completion_tokens\":%d,\"total_tokens\":%d}}\n\n",
                  deltas, deltas + 1000);
        add_chunk(b, "data: [DONE]\n\n");
    } else {
        add_chunk(b, "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\n");
        add_chunk(b, "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\","
                     "\"stop_sequence\":null},\"usage\":{\"output_tokens\":%d}}\n\n", deltas);
        add_chunk(b, "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n");
    }
    buffer_add(b, "0\r\n\r\n", 5);
}

static void add_json(struct buffer *b, const char *status, const char *json) {
    char head[256];
    buffer_add(b, head, (size_t)snprintf(head, sizeof head,
               "HTTP/1.1 %s\r\ncontent-type: application/json\r\ncontent-length: %zu\r\n\r\n", status, strlen(json)));
    buffer_add(b, json, strlen(json));
}

static void add_unstreamed(struct buffer *b, enum dialect dialect) {
    char text[2048], json[4096];
    int n = 0;
    for (int i = 0; i < JSON_TOKENS; i++) n += snprintf(text + n, sizeof text - (size_t)n, "tok#%d %s ", i, WORDS[i % 10]);
    snprintf(text + n, sizeof text - (size_t)n, "END#ok");
    if (dialect == CHAT)
        snprintf(json, sizeof json,
                 "{\"id\":\"chatcmpl-bench\",\"object\":\"chat.completion\",\"created\":1700000000,\"model\":\"m1\",\"choices\":[{"
                 "\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":\"%s\"},\"finish_reason\":\"stop\"}],"
                 "\"usage\":{\"prompt_tokens\":500,\"completion_tokens\":%d,\"total_tokens\":%d}}", text, JSON_TOKENS, JSON_TOKENS + 500);
    else
        snprintf(json, sizeof json,
                 "{\"id\":\"msg_bench\",\"type\":\"message\",\"role\":\"assistant\",\"model\":\"m1\",\"content\":[{\"type\":\"text\","
                 "\"text\":\"%s\"}],\"stop_reason\":\"end_turn\",\"stop_sequence\":null,"
                 "\"usage\":{\"input_tokens\":500,\"output_tokens\":%d}}", text, JSON_TOKENS);
    add_json(b, "200 OK", json);
}

/* True when the body holds `name` followed by `value`, whitespace between them allowed. */
static int body_says(const struct buffer *body, const char *name, const char *value) {
    const char *at = body->data, *end = body->data + body->len;
    while (at && (at = memmem(at, (size_t)(end - at), name, strlen(name)))) {
        at += strlen(name);
        while (*at == ' ' || *at == '\n') at++;
        if (strncmp(at, value, strlen(value)) == 0) return 1;
    }
    return 0;
}

static void drop(struct conn *c) {
    if (c->fd >= 0) close(c->fd);
    c->fd = -1;
    c->is_dead = 1;
    if (c->is_timed) return; /* still in a queue: freed when its time comes */
    free(c->body.data);
    free(c->out.data);
    free(c);
}

/* Sends what is waiting. False when the connection is gone (and c freed). */
static int flush_out(struct conn *c) {
    while (c->out_at < c->out.len) {
        ssize_t n = send(c->fd, c->out.data + c->out_at, c->out.len - c->out_at, MSG_NOSIGNAL);
        if (n < 0 && errno == EAGAIN) break;
        if (n < 0) return drop(c), 0;
        c->out_at += (size_t)n;
    }
    int wants = c->out_at < c->out.len;
    if (!wants) c->out.len = c->out_at = 0;
    if (wants != c->wants_out) {
        struct epoll_event e = {.events = EPOLLIN | (wants ? EPOLLOUT : 0), .data.ptr = c};
        epoll_ctl(epoll_fd, EPOLL_CTL_MOD, c->fd, &e);
        c->wants_out = wants;
    }
    return 1;
}

static void make_burst(struct listener *l, enum dialect d) {
    struct buffer *whole = &l->whole[d];
    size_t *end = l->ends[d];
    add_opening(whole, d);
    *end++ = whole->len;
    for (int i = 0; i < l->deltas; i++) {
        add_delta(whole, d, i, 0);
        *end++ = whole->len;
    }
    add_ending(whole, d, l->deltas);
    *end++ = whole->len;
    l->end_count[d] = (int)(end - l->ends[d]);
}

static void queue(struct conn *c, long long due) {
    struct listener *l = c->from;
    c->due = due;
    c->next = NULL;
    c->is_timed = 1;
    if (l->last) l->last->next = c; else l->first = c;
    l->last = c;
}

static void answer(struct conn *c) {
    c->dialect = strstr(c->reader.head, "/chat/completions") ? CHAT : MESSAGES;
    if (!body_says(&c->body, "\"model\":", "\"m1\"") || !body_says(&c->body, "vary#", "")) {
        add_json(&c->out, "400 Bad Request", "{\"error\":{\"message\":\"mock: the body lacks model m1 or its vary mark\"}}");
    } else if (!body_says(&c->body, "\"stream\":", "true")) {
        add_unstreamed(&c->out, c->dialect);
    } else if (c->from->pace_ns) {
        add_opening(&c->out, c->dialect);
        c->sent = 0;
        queue(c, now_ns() + c->from->pace_ns);
    } else {
        c->sent = 0;
        queue(c, 0);
    }
    c->body.len = 0;
    reader_reset(&c->reader, 0);
}

/* The next event of a burst; a stream whose reader is slow waits for its turn in flush_out. */
static void add_burst_event(struct conn *c) {
    struct listener *l = c->from;
    const size_t *ends = l->ends[c->dialect];
    size_t begin = c->sent ? ends[c->sent - 1] : 0;
    buffer_add(&c->out, l->whole[c->dialect].data + begin, ends[c->sent] - begin);
    if (++c->sent < l->end_count[c->dialect]) queue(c, 0);
}

static void add_paced_delta(struct conn *c) {
    struct listener *l = c->from;
    long long made = now_ns(); /* many may be due together, and the age counts from the making */
    add_delta(&c->out, c->dialect, c->sent++, made);
    if (c->sent < l->deltas) queue(c, made + l->pace_ns); else add_ending(&c->out, c->dialect, l->deltas);
}

/* One event for each stream that is due: bursts take turns, as the streams of a provider do. */
static void fire(struct listener *l, long long now) {
    struct conn *last = l->last, *c = NULL;
    while (c != last && l->first && l->first->due <= now) {
        c = l->first;
        l->first = c->next;
        if (!l->first) l->last = NULL;
        c->is_timed = 0;
        if (c->is_dead) {
            int is_last = c == last;
            drop(c);
            if (is_last) return;
            continue;
        }
        if (l->pace_ns) add_paced_delta(c); else add_burst_event(c);
        flush_out(c);
    }
}

static void arm_timer(void) {
    static long long armed;
    long long due = 0;
    for (int i = 0; i < listener_count; i++)
        if (listeners[i].first && listeners[i].pace_ns && (!due || listeners[i].first->due < due)) due = listeners[i].first->due;
    if (due == armed) return;
    struct itimerspec t = {.it_value = {.tv_sec = due / 1000000000LL, .tv_nsec = due % 1000000000LL}};
    timerfd_settime(timer_fd, TFD_TIMER_ABSTIME, &t, NULL);
    armed = due;
}

static void take_body(void *owner, const char *data, size_t n) {
    buffer_add(&((struct conn *)owner)->body, data, n);
}

static void serve(struct conn *c, uint32_t events) {
    static char in[262144];
    if (events & EPOLLOUT && !flush_out(c)) return;
    if (!(events & (EPOLLIN | EPOLLHUP | EPOLLERR))) return;
    ssize_t n = recv(c->fd, in, sizeof in, 0);
    if (n < 0 && errno == EAGAIN) return;
    if (n <= 0) return drop(c);
    size_t at = 0;
    while (at < (size_t)n) {
        at += reader_feed(&c->reader, in + at, (size_t)n - at, take_body, c);
        if (c->reader.stage == BROKEN) return drop(c);
        if (c->reader.stage == DONE) {
            answer(c);
            if (!flush_out(c)) return;
        }
    }
}

static void accept_all(struct listener *l) {
    int fd, on = 1;
    while ((fd = accept4(l->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        struct conn *c = calloc(1, sizeof *c);
        if (!c) die("calloc");
        c->fd = fd;
        c->from = l;
        reader_reset(&c->reader, 0);
        struct epoll_event e = {.events = EPOLLIN, .data.ptr = c};
        epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &e);
    }
}

static void open_listener(const char *behaviour) {
    struct listener *l = &listeners[listener_count++];
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    const char *pace = strchr(behaviour, ':');
    l->deltas = atoi(behaviour);
    l->pace_ns = pace ? atoll(pace + 1) * 1000 : 0;
    if (l->deltas < 1 || l->deltas > MAX_DELTAS) die("DELTAS");
    for (enum dialect d = MESSAGES; d <= CHAT; d++) make_burst(l, d);
    l->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (bind(l->fd, (struct sockaddr *)&address, size) || listen(l->fd, 1024)) die("listen");
    getsockname(l->fd, (struct sockaddr *)&address, &size);
    printf(" %d", ntohs(address.sin_port));
    struct epoll_event e = {.events = EPOLLIN, .data.ptr = l};
    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, l->fd, &e);
}

static int is_bursting(void) {
    for (int i = 0; i < listener_count; i++)
        if (listeners[i].first && !listeners[i].pace_ns) return 1;
    return 0;
}

int main(int argc, char **argv) {
    struct epoll_event events[256];
    prctl(PR_SET_PDEATHSIG, SIGKILL); /* never outlives the benchmark */
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    if (argc < 2 || argc > MAX_LISTENERS + 1 || epoll_fd < 0 || timer_fd < 0) die("usage: mock DELTAS:PACE_US ...");
    struct epoll_event timer = {.events = EPOLLIN, .data.ptr = &timer_fd};
    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, timer_fd, &timer);
    printf("ports");
    for (int i = 1; i < argc; i++) open_listener(argv[i]);
    printf("\n");
    fflush(stdout);
    for (;;) {
        int n = epoll_wait(epoll_fd, events, 256, is_bursting() ? 0 : -1);
        for (int i = 0; i < n; i++) {
            void *who = events[i].data.ptr;
            unsigned long long ticks;
            if (who == &timer_fd) {
                if (read(timer_fd, &ticks, sizeof ticks) < 0 && errno != EAGAIN) die("timer");
            } else if (who >= (void *)listeners && who < (void *)(listeners + MAX_LISTENERS)) {
                accept_all(who);
            } else {
                serve(who, events[i].events);
            }
        }
        for (int i = 0; i < listener_count; i++) fire(&listeners[i], now_ns());
        arm_timer();
    }
}
