/* What mock.c and load.c share: a clock, a growing buffer, and an HTTP/1.1 message reader that
 * takes its bytes in any pieces. It knows no dialect and does no I/O. */
#ifndef WIRE_H
#define WIRE_H

#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

static inline long long now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (long long)t.tv_sec * 1000000000LL + t.tv_nsec;
}

static inline void die(const char *why) {
    perror(why);
    exit(2);
}

struct buffer {
    char *data;
    size_t len, cap;
};

static inline void buffer_add(struct buffer *b, const char *data, size_t n) {
    if (b->len + n + 1 > b->cap) {
        b->cap = (b->len + n + 1) * 2;
        b->data = realloc(b->data, b->cap);
        if (!b->data) die("realloc");
    }
    memcpy(b->data + b->len, data, n);
    b->len += n;
    b->data[b->len] = 0; /* so that strstr and strtol stay inside */
}

enum stage { HEAD, LENGTH, UNTIL_CLOSE, CHUNK_SIZE, CHUNK_DATA, CHUNK_END, TRAILER, DONE, BROKEN };

struct reader {
    enum stage stage;
    int is_response, closes; /* closes: the peer ends the connection after this message */
    char head[16384];
    size_t head_len;
    char line[128]; /* a chunk's size line or a trailer line */
    size_t line_len;
    size_t left; /* bytes still to come of the body or of the chunk */
};

typedef void body_taker(void *owner, const char *data, size_t n);

static inline void reader_reset(struct reader *r, int is_response) {
    r->stage = HEAD;
    r->is_response = is_response;
    r->closes = 0;
    r->head_len = r->line_len = r->left = 0;
}

/* The value of a header, or NULL. `name` is lower case with its colon: "content-length:". */
static inline const char *reader_header(const struct reader *r, const char *name) {
    const char *at = r->head;
    while ((at = strstr(at, "\r\n"))) {
        at += 2;
        if (strncasecmp(at, name, strlen(name)) == 0) {
            at += strlen(name);
            while (*at == ' ') at++;
            return at;
        }
    }
    return NULL;
}

static inline int reader_status(const struct reader *r) {
    return r->head_len > 12 ? atoi(r->head + 9) : 0;
}

static inline void reader_take_head(struct reader *r) {
    const char *length = reader_header(r, "content-length:");
    const char *coding = reader_header(r, "transfer-encoding:");
    const char *connection = reader_header(r, "connection:");
    r->closes = connection && strncasecmp(connection, "close", 5) == 0;
    if (coding && strncasecmp(coding, "chunked", 7) == 0) {
        r->stage = CHUNK_SIZE;
    } else if (length) {
        r->left = strtoul(length, NULL, 10);
        r->stage = r->left ? LENGTH : DONE;
    } else {
        r->stage = r->is_response ? UNTIL_CLOSE : DONE;
    }
}

static inline size_t reader_head(struct reader *r, const char *data, size_t n) {
    size_t old = r->head_len, room = sizeof r->head - 1 - old, take = n < room ? n : room;
    memcpy(r->head + old, data, take);
    r->head[old + take] = 0;
    char *end = strstr(r->head + (old > 3 ? old - 3 : 0), "\r\n\r\n");
    if (!end) {
        r->head_len = old + take;
        if (take == room) r->stage = BROKEN;
        return take;
    }
    r->head_len = (size_t)(end + 4 - r->head);
    r->head[r->head_len] = 0;
    reader_take_head(r);
    return r->head_len - old;
}

/* Takes one line of chunk framing; returns the bytes used and sets `whole` when the line is complete. */
static inline size_t reader_line(struct reader *r, const char *data, size_t n, int *whole) {
    const char *end = memchr(data, '\n', n);
    size_t take = end ? (size_t)(end - data) + 1 : n;
    if (r->line_len + take >= sizeof r->line) {
        r->stage = BROKEN;
        return n;
    }
    memcpy(r->line + r->line_len, data, take);
    r->line_len += take;
    r->line[r->line_len] = 0;
    *whole = end != NULL;
    return take;
}

/* Feeds bytes; hands body bytes to `taker`; returns how many were used (it stops when DONE or BROKEN). */
static inline size_t reader_feed(struct reader *r, const char *data, size_t n, body_taker *taker, void *owner) {
    size_t used = 0;
    while (used < n && r->stage != DONE && r->stage != BROKEN) {
        const char *at = data + used;
        size_t rest = n - used, take = rest;
        int whole = 0;
        switch (r->stage) {
        case HEAD:
            take = reader_head(r, at, rest);
            break;
        case UNTIL_CLOSE:
            taker(owner, at, rest);
            break;
        case LENGTH:
        case CHUNK_DATA:
            if (take > r->left) take = r->left;
            taker(owner, at, take);
            r->left -= take;
            if (!r->left) r->stage = r->stage == LENGTH ? DONE : CHUNK_END;
            break;
        case CHUNK_SIZE:
        case CHUNK_END:
        case TRAILER:
            take = reader_line(r, at, rest, &whole);
            if (!whole) break;
            if (r->stage == CHUNK_SIZE) {
                r->left = strtoul(r->line, NULL, 16);
                r->stage = r->left ? CHUNK_DATA : TRAILER;
            } else if (r->stage == CHUNK_END) {
                r->stage = r->line_len == 2 ? CHUNK_SIZE : BROKEN;
            } else if (r->line_len == 2) {
                r->stage = DONE;
            }
            r->line_len = 0;
            break;
        default:
            break;
        }
        used += take;
    }
    return used;
}
#endif
