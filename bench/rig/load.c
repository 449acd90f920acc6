/* The client of the benchmark: N keep-alive connections to one port of loopback, epoll, one thread.
 *
 *   load --port P --path /v1/messages --body FILE [--body FILE ...] [--clients N] [--requests M] [--seconds S]
 *        [--deadline S] [--deltas N | --json] [--pace-us N] [--ramp-ms N] [--vary FROM] [--header "name: value"]
 *
 * Sends M requests (or as many as begin within S seconds), request i with body i modulo the number of bodies. --vary writes a
 * running number into the digits of the last "vary#00000000" of the body, so that no two requests are the same bytes.
 * EVERY reply is checked: status 200; streamed (--deltas): exactly N text deltas, in order by their number, one message_start,
 * one message_stop, nothing after it; unstreamed (--json): valid JSON of an ended message with its last word. The first wrong
 * reply ends the run: exit 1, with the reason in the JSON that is printed in any case. Times are milliseconds; the first event is
 * the first that is not a ping, from the first byte of the request; the age of a delta is arrival minus the stamp in its text. */
#include "wire.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#define MAX_BODIES 64
#define MARK "vary#"
#define MARK_DIGITS 8

struct body {
    char *data;
    size_t len, mark; /* mark: where the digits are, 0 when there are none */
};

struct series {
    float *values;
    size_t count, cap;
    double sum;
};

enum state { WAITING, CONNECTING, SENDING, READING, FINISHED };
enum event { NO_EVENT, START, DELTA, STOP, ERROR, OTHER };

struct client {
    int fd, body_index; /* body_index: which body `copy` holds, -1 none */
    enum state state;
    long long begins, t0, t_first, t_first_delta, t_last_delta, now;
    char head[2048];
    size_t head_len, sent;
    char *copy;
    const struct body *body;
    struct reader reader;
    struct buffer line, json;
    enum event event;
    int deltas, starts, stops;
};

static struct {
    const char *path, *headers[16];
    struct body bodies[MAX_BODIES];
    int port, clients, body_count, header_count, deltas, json, is_varied;
    long requests, vary_from;
    double seconds, deadline, pace_ms, ramp_ms;
} opt = {.path = "/v1/messages", .clients = 1, .requests = 1000000000, .deadline = 600, .deltas = 200};

static struct series first_ms, first_delta_ms, total_ms, age_ms, gap_ms;
static long begun, done, stalls;
static char failure[600];
static int epoll_fd;
static double cold_ms;

static void series_add(struct series *s, double value) {
    if (s->count == s->cap) {
        s->cap = s->cap ? s->cap * 2 : 1024;
        s->values = realloc(s->values, s->cap * sizeof *s->values);
        if (!s->values) die("realloc");
    }
    s->values[s->count++] = (float)value;
    s->sum += value;
}

static int compare(const void *a, const void *b) {
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

static void fail(const struct client *c, const char *why, const char *seen, size_t n) {
    if (failure[0]) return;
    int at = snprintf(failure, 300, "request %ld: %s (status %d, %d deltas): ", begun, why, reader_status(&c->reader), c->deltas);
    for (size_t i = 0; i < n && i < 250; i++) /* printable and free of quotes, to stay inside a JSON string */
        failure[at++] = seen[i] < ' ' || seen[i] == '"' || seen[i] == '\\' || (seen[i] & 0x80) ? '.' : seen[i];
    failure[at] = 0;
}

/* A JSON value at *at; moves *at behind it. False when it is none. */
static int json_value(const char **at, int depth) {
    const char *p = *at;
    while (isspace((unsigned char)*p)) p++;
    if (*p == '{' || *p == '[') {
        char close = *p == '{' ? '}' : ']';
        if (depth > 100) return 0;
        for (p++; isspace((unsigned char)*p); p++) {}
        while (*p != close) {
            if (close == '}') {
                if (*p != '"' || !json_value(&p, depth + 1) || *p++ != ':') return 0;
            }
            if (!json_value(&p, depth + 1)) return 0;
            if (*p == ',') {
                for (p++; isspace((unsigned char)*p); p++) {}
                if (*p == close) return 0;
            } else if (*p != close) {
                return 0;
            }
        }
        p++;
    } else if (*p == '"') {
        for (p++; *p != '"'; p++)
            if ((unsigned char)*p < ' ' || (*p == '\\' && !*++p)) return 0;
        p++;
    } else if (!strncmp(p, "true", 4) || !strncmp(p, "null", 4)) {
        p += 4;
    } else if (!strncmp(p, "false", 5)) {
        p += 5;
    } else {
        char *end;
        strtod(p, &end);
        if (end == p || (*p != '-' && !isdigit((unsigned char)*p))) return 0;
        p = end;
    }
    while (isspace((unsigned char)*p)) p++;
    *at = p;
    return 1;
}

static void take_delta(struct client *c, const char *line, size_t n) {
    const char *token = memmem(line, n, "tok#", 4);
    if (!token || !memmem(line, n, "text_delta", 10)) return fail(c, "a delta without its text", line, n);
    char *after;
    if (strtol(token + 4, &after, 10) != c->deltas) return fail(c, "a delta out of order", line, n);
    if (c->deltas++ == 0) c->t_first_delta = c->now;
    if (opt.pace_ms > 0) {
        if (*after == '@') series_add(&age_ms, (double)(c->now - atoll(after + 1)) / 1e6);
        double gap = (double)(c->now - c->t_last_delta) / 1e6;
        if (c->deltas > 1) series_add(&gap_ms, gap);
        if (c->deltas > 1 && gap > 5 * opt.pace_ms) stalls++;
        c->t_last_delta = c->now;
    }
}

static void take_line(struct client *c, const char *line, size_t n) {
    if (n && line[n - 1] == '\r') n--;
    if (n > 6 && !memcmp(line, "event:", 6)) {
        const char *name = line + 6 + (line[6] == ' ');
        size_t len = n - (size_t)(name - line);
#define IS(text) (len == sizeof text - 1 && !memcmp(name, text, len))
        c->event = IS("content_block_delta") ? DELTA : IS("message_start") ? START : IS("message_stop") ? STOP
                   : IS("error") ? ERROR : OTHER;
        if (c->event == START) c->t_first = c->now;
        c->starts += c->event == START;
        if (c->stops) return fail(c, "an event after message_stop", line, n);
        c->stops += c->event == STOP;
    } else if (n > 5 && !memcmp(line, "data:", 5)) {
        if (c->event == DELTA) take_delta(c, line, n);
        if (c->event == ERROR) fail(c, "an error event", line, n);
    } else if (n == 0) {
        c->event = NO_EVENT;
    }
}

static void take_body(void *owner, const char *data, size_t n) {
    struct client *c = owner;
    if (opt.json || reader_status(&c->reader) != 200) return buffer_add(&c->json, data, n);
    while (n) {
        const char *end = memchr(data, '\n', n);
        if (!end) return buffer_add(&c->line, data, n);
        size_t take = (size_t)(end - data);
        if (c->line.len) {
            buffer_add(&c->line, data, take);
            take_line(c, c->line.data, c->line.len);
            c->line.len = 0;
        } else {
            take_line(c, data, take);
        }
        data += take + 1;
        n -= take + 1;
    }
}

static void watch(struct client *c, int op, uint32_t events) {
    struct epoll_event e = {.events = events, .data.ptr = c};
    if (epoll_ctl(epoll_fd, op, c->fd, &e)) die("epoll_ctl");
}

static void send_some(struct client *c) {
    while (c->sent < c->head_len + c->body->len) {
        struct iovec parts[2];
        int count = 0;
        if (c->sent < c->head_len) parts[count++] = (struct iovec){c->head + c->sent, c->head_len - c->sent};
        size_t at = c->sent > c->head_len ? c->sent - c->head_len : 0;
        parts[count++] = (struct iovec){(c->copy ? c->copy : c->body->data) + at, c->body->len - at};
        struct msghdr message = {.msg_iov = parts, .msg_iovlen = (size_t)count};
        ssize_t n = sendmsg(c->fd, &message, MSG_NOSIGNAL);
        if (n < 0 && errno == EAGAIN) return;
        if (n < 0) return fail(c, "sending failed", "", 0);
        c->sent += (size_t)n;
    }
    c->state = READING;
    watch(c, EPOLL_CTL_MOD, EPOLLIN);
}

static void vary_body(struct client *c, int index) {
    char digits[24];
    if (c->body_index != index) {
        c->copy = realloc(c->copy, c->body->len);
        if (!c->copy) die("realloc");
        memcpy(c->copy, c->body->data, c->body->len);
        c->body_index = index;
    }
    snprintf(digits, sizeof digits, "%08ld", (opt.vary_from + begun) % 100000000);
    memcpy(c->copy + c->body->mark, digits, MARK_DIGITS);
}

static void begin_request(struct client *c, long long now, long long stop_at) {
    if (begun >= opt.requests || (opt.seconds > 0 && now >= stop_at)) {
        c->state = FINISHED;
        return;
    }
    int index = (int)(begun % opt.body_count);
    c->body = &opt.bodies[index];
    if (opt.is_varied) vary_body(c, index);
    begun++;
    c->head_len = (size_t)snprintf(c->head, sizeof c->head, "POST %s HTTP/1.1\r\nhost: 127.0.0.1:%d\r\n"
        "content-type: application/json\r\nanthropic-version: 2023-06-01\r\ncontent-length: %zu\r\n", opt.path, opt.port, c->body->len);
    for (int i = 0; i < opt.header_count; i++)
        c->head_len += (size_t)snprintf(c->head + c->head_len, sizeof c->head - c->head_len, "%s\r\n", opt.headers[i]);
    c->head_len += (size_t)snprintf(c->head + c->head_len, sizeof c->head - c->head_len, "\r\n");
    c->sent = c->line.len = c->json.len = 0;
    c->deltas = c->starts = c->stops = 0;
    c->event = NO_EVENT;
    c->t_first = c->t_first_delta = 0;
    reader_reset(&c->reader, 1);
    c->state = SENDING;
    c->t0 = now_ns();
    watch(c, EPOLL_CTL_MOD, EPOLLIN | EPOLLOUT);
    send_some(c);
}

static void open_connection(struct client *c) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)opt.port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int on = 1;
    if (c->fd >= 0) close(c->fd);
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (connect(c->fd, (struct sockaddr *)&address, sizeof address) && errno != EINPROGRESS) die("connect");
    c->state = CONNECTING;
    watch(c, EPOLL_CTL_ADD, EPOLLOUT);
}

static void finish_reply(struct client *c, long long stop_at) {
    const char *at = c->json.data ? c->json.data : "";
    if (reader_status(&c->reader) != 200) return fail(c, "not status 200", at, c->json.len);
    if (opt.json) {
        if (!json_value(&at, 0) || *at || !strstr(c->json.data, "END#ok") || !strstr(c->json.data, "end_turn"))
            return fail(c, "not the JSON of an ended message", c->json.data ? c->json.data : "", c->json.len);
    } else if (c->deltas != opt.deltas || c->starts != 1 || c->stops != 1) {
        return fail(c, "a stream without all of its deltas, message_start and message_stop", "", 0);
    } else {
        series_add(&first_ms, (double)(c->t_first - c->t0) / 1e6);
        series_add(&first_delta_ms, (double)(c->t_first_delta - c->t0) / 1e6);
    }
    series_add(&total_ms, (double)(c->now - c->t0) / 1e6);
    if (done++ == 0) cold_ms = (double)((opt.json ? c->now : c->t_first) - c->t0) / 1e6;
    if (c->reader.closes || c->reader.stage == UNTIL_CLOSE) open_connection(c);
    else begin_request(c, c->now, stop_at);
}

static void read_some(struct client *c, long long stop_at) {
    static char in[262144];
    ssize_t n = recv(c->fd, in, sizeof in, 0);
    if (n < 0 && errno == EAGAIN) return;
    c->now = now_ns();
    if (n <= 0) {
        if (n == 0 && c->reader.stage == UNTIL_CLOSE) finish_reply(c, stop_at);
        else fail(c, "the connection ended in mid-reply", "", 0);
        return;
    }
    size_t used = reader_feed(&c->reader, in, (size_t)n, take_body, c);
    if (c->reader.stage == BROKEN || used < (size_t)n) return fail(c, "bytes that are no HTTP reply", in, (size_t)n);
    if (c->reader.stage == DONE) finish_reply(c, stop_at);
}

static void run_load(struct client *clients) {
    struct epoll_event events[256];
    long long start = now_ns(), give_up = start + (long long)(opt.deadline * 1e9);
    long long stop_at = start + (long long)(opt.seconds * 1e9);
    int waiting = opt.clients, running = opt.clients;
    for (int i = 0; i < opt.clients; i++)
        clients[i] = (struct client){.fd = -1, .body_index = -1, .begins = start + (long long)(opt.ramp_ms * 1e6 * i / opt.clients)};
    while (running && !failure[0]) {
        long long now = now_ns();
        for (int i = opt.clients - waiting; waiting && clients[i].begins <= now; i++, waiting--) open_connection(&clients[i]);
        long long until = waiting ? clients[opt.clients - waiting].begins : give_up;
        int count = epoll_wait(epoll_fd, events, 256, (int)((until - now) / 1000000) + 1);
        for (int i = 0; i < count && !failure[0]; i++) {
            struct client *c = events[i].data.ptr;
            if (c->state == CONNECTING) {
                if (events[i].events & (EPOLLERR | EPOLLHUP)) fail(c, "cannot connect", "", 0);
                else begin_request(c, now_ns(), stop_at);
            } else {
                if (c->state == SENDING && events[i].events & EPOLLOUT) send_some(c);
                if (events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) read_some(c, stop_at);
            }
            if (c->state == FINISHED) {
                close(c->fd);
                running--;
            }
        }
        if (now > give_up && !failure[0])
            snprintf(failure, sizeof failure, "%ld of %ld requests were answered within %.0f s", done, begun, opt.deadline);
    }
}

static void print_series(const char *name, struct series *s) {
    if (!s->count) return;
    qsort(s->values, s->count, sizeof *s->values, compare);
    printf(", \"%s\": {\"count\": %zu, \"sum\": %.4f, \"p50\": %.4f, \"p90\": %.4f, \"p99\": %.4f, \"max\": %.4f}", name, s->count, s->sum,
           s->values[s->count / 2], s->values[s->count * 9 / 10], s->values[s->count * 99 / 100], s->values[s->count - 1]);
}

static void read_body(const char *file) {
    if (opt.body_count == MAX_BODIES) die("too many bodies");
    struct body *b = &opt.bodies[opt.body_count++];
    struct buffer text = {0};
    char piece[65536];
    size_t n;
    FILE *f = fopen(file, "rb");
    if (!f) die(file);
    while ((n = fread(piece, 1, sizeof piece, f))) buffer_add(&text, piece, n);
    fclose(f);
    b->data = text.data;
    b->len = text.len;
    for (char *at = text.data; (at = strstr(at, MARK)); at++) b->mark = (size_t)(at - text.data) + strlen(MARK);
}

static void read_options(int argc, char **argv) {
    for (int i = 1; i < argc; i++) {
        const char *name = argv[i];
        if (!strcmp(name, "--json")) {
            opt.json = 1;
            continue;
        }
        if (++i >= argc) die("an option without its value");
        if (!strcmp(name, "--port")) opt.port = atoi(argv[i]);
        else if (!strcmp(name, "--path")) opt.path = argv[i];
        else if (!strcmp(name, "--body")) read_body(argv[i]);
        else if (!strcmp(name, "--clients")) opt.clients = atoi(argv[i]);
        else if (!strcmp(name, "--requests")) opt.requests = atol(argv[i]);
        else if (!strcmp(name, "--seconds")) opt.seconds = atof(argv[i]);
        else if (!strcmp(name, "--deadline")) opt.deadline = atof(argv[i]);
        else if (!strcmp(name, "--deltas")) opt.deltas = atoi(argv[i]);
        else if (!strcmp(name, "--pace-us")) opt.pace_ms = atof(argv[i]) / 1000;
        else if (!strcmp(name, "--ramp-ms")) opt.ramp_ms = atof(argv[i]);
        else if (!strcmp(name, "--vary")) opt.is_varied = 1, opt.vary_from = atol(argv[i]);
        else if (!strcmp(name, "--header") && opt.header_count < 16) opt.headers[opt.header_count++] = argv[i];
        else die(name);
    }
    if (!opt.port || !opt.body_count || opt.clients < 1) die("--port, --body and --clients are needed");
    for (int i = 0; opt.is_varied && i < opt.body_count; i++)
        if (!opt.bodies[i].mark || opt.bodies[i].mark + MARK_DIGITS > opt.bodies[i].len) die("--vary, and a body without vary#00000000");
}

int main(int argc, char **argv) {
    prctl(PR_SET_PDEATHSIG, SIGKILL); /* never outlives the benchmark */
    read_options(argc, argv);
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    struct client *clients = calloc((size_t)opt.clients, sizeof *clients);
    if (epoll_fd < 0 || !clients) die("epoll");
    long long start = now_ns();
    run_load(clients);
    printf("{\"requests\": %ld, \"errors\": %d, \"error\": \"%s\", \"wall_s\": %.4f, \"cold_ms\": %.4f, \"stalls\": %ld", done,
           failure[0] != 0, failure, (double)(now_ns() - start) / 1e9, cold_ms, stalls);
    print_series("first_event_ms", &first_ms);
    print_series("first_delta_ms", &first_delta_ms);
    print_series("total_ms", &total_ms);
    print_series("age_ms", &age_ms);
    print_series("gap_ms", &gap_ms);
    printf("}\n");
    return failure[0] != 0;
}
