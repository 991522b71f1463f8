/* An HTTP/1.1 keep-alive receiver that is never what is measured, with a ledger of every request.
 *
 * receiver PORT LEDGER CAPACITY DELAY_MS
 *   PORT       0 lets the kernel choose; the port stands in the ledger's head
 *   LEDGER     a file, mapped into memory: whoever maps it too reads the counts while we run
 *   CAPACITY   how many requests the ledger holds; what comes after is counted, not kept
 *   DELAY_MS   each answer waits so long; -1 never answers
 *
 * One thread, epoll. Layout of the ledger: `struct head` in the first 4,096 bytes, then `struct entry` each.
 * tests/benchmarks/receiver.py reads the same layout.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define HEAD_BYTES 4096
#define MOST_CONNECTIONS 65536
#define LARGEST_REQUEST (16 << 20)

struct head {
    uint64_t port, count, overflow, in_flight, most_in_flight, connections, most_connections, malformed;
};

struct entry {
    uint64_t received_us; /* CLOCK_REALTIME */
    uint64_t steady_us;   /* CLOCK_MONOTONIC */
    uint64_t sent_us;     /* the number after "sent_us": in the body, 0 if there is none */
    uint64_t serial;      /* the number after "serial":" in the body, 0 if there is none */
    uint32_t destination; /* the last number in the path: /i/17 */
    char id[36];          /* webhook-id, padded with zeros */
};

struct connection {
    char *buffer;
    size_t used, size;
    uint32_t generation; /* tells a connection from an earlier one with the same descriptor */
    uint32_t unanswered;
};

struct promise {
    uint64_t due_us;
    int fd;
    uint32_t generation;
};

static struct head *head;
static struct entry *entries;
static uint64_t capacity;
static long delay_ms;
static struct connection connections[MOST_CONNECTIONS];
static struct promise *promises; /* a ring: all wait equally long, so the first in is the first out */
static size_t promises_size = 1 << 16, promises_first, promises_used;
static const char answer[] =
    "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}";

static uint64_t micros(clockid_t clock) {
    struct timespec now;
    clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static void fail(const char *what) {
    perror(what);
    exit(1);
}

static void close_connection(int fd) {
    struct connection *it = &connections[fd];
    head->in_flight -= it->unanswered;
    head->connections--;
    it->unanswered = 0;
    it->used = 0;
    it->generation++;
    close(fd);
}

static void send_answer(int fd) {
    struct connection *it = &connections[fd];
    it->unanswered--;
    head->in_flight--;
    if (send(fd, answer, sizeof answer - 1, MSG_NOSIGNAL) != sizeof answer - 1)
        close_connection(fd);
}

static void promise_answer(int fd) {
    if (promises_used == promises_size) {
        struct promise *larger = malloc(2 * promises_size * sizeof *larger);
        if (!larger) fail("malloc");
        for (size_t i = 0; i < promises_used; i++)
            larger[i] = promises[(promises_first + i) % promises_size];
        free(promises);
        promises = larger;
        promises_first = 0;
        promises_size *= 2;
    }
    promises[(promises_first + promises_used++) % promises_size] =
        (struct promise){micros(CLOCK_MONOTONIC) + (uint64_t)delay_ms * 1000, fd, connections[fd].generation};
}

/* Answers what is due; returns how many milliseconds epoll may wait for the next, -1 for ever. */
static int keep_promises(void) {
    while (promises_used) {
        struct promise *next = &promises[promises_first];
        uint64_t now = micros(CLOCK_MONOTONIC);
        if (next->due_us > now) return (int)((next->due_us - now + 999) / 1000);
        if (connections[next->fd].generation == next->generation) send_answer(next->fd);
        promises_first = (promises_first + 1) % promises_size;
        promises_used--;
    }
    return -1;
}

static const char *find_header(const char *text, const char *end, const char *name, size_t length) {
    for (const char *line = text; line && line < end; line = memmem(line, (size_t)(end - line), "\r\n", 2)) {
        if (*line == '\r') line += 2;
        if ((size_t)(end - line) > length && strncasecmp(line, name, length) == 0) {
            line += length;
            while (*line == ' ') line++;
            return line;
        }
    }
    return NULL;
}

static void record(const char *text, const char *body, size_t body_length) {
    struct entry *entry = &entries[head->count];
    if (head->count >= capacity) {
        head->overflow++;
        return;
    }
    entry->received_us = micros(CLOCK_REALTIME);
    entry->steady_us = micros(CLOCK_MONOTONIC);
    /* "POST /i/17 HTTP/1.1": the last slash of the target, not that of the version. */
    const char *target = memchr(text, ' ', (size_t)(body - text)), *slash = target;
    for (const char *at = target ? target + 1 : text; at < body && *at != ' ' && *at != '\r'; at++)
        if (*at == '/') slash = at;
    if (!slash) slash = text;
    entry->destination = (uint32_t)strtoul(slash + 1, NULL, 10);
    const char *id = find_header(text, body, "webhook-id:", 11);
    for (size_t i = 0; id && i < sizeof entry->id && id[i] != '\r'; i++) entry->id[i] = id[i];
    const char *sent = memmem(body, body_length, "\"sent_us\":", 10);
    entry->sent_us = sent ? strtoull(sent + 10, NULL, 10) : 0;
    const char *serial = memmem(body, body_length, "\"serial\":\"", 10);
    entry->serial = serial ? strtoull(serial + 10, NULL, 10) : 0;
    __atomic_store_n(&head->count, head->count + 1, __ATOMIC_RELEASE);
}

/* Takes whole requests off the front of the buffer. Returns 0 if the connection must go. */
static int take_requests(int fd) {
    struct connection *it = &connections[fd];
    size_t taken = 0;
    uint32_t generation = it->generation;
    while (it->used > taken) {
        char *text = it->buffer + taken;
        size_t left = it->used - taken;
        char *end = memmem(text, left, "\r\n\r\n", 4);
        if (!end) break;
        const char *length = find_header(text, end + 2, "content-length:", 15);
        size_t body_length = length ? strtoull(length, NULL, 10) : 0;
        char *body = end + 4;
        if (body_length > LARGEST_REQUEST) return 0;
        if ((size_t)(body - text) + body_length > left) break;
        it->unanswered++;
        if (++head->in_flight > head->most_in_flight) head->most_in_flight = head->in_flight;
        record(text, body, body_length);
        taken += (size_t)(body - text) + body_length;
        if (delay_ms == 0) send_answer(fd);
        if (delay_ms > 0) promise_answer(fd);
        if (it->generation != generation) return 1; /* closed while answering */
    }
    memmove(it->buffer, it->buffer + taken, it->used - taken);
    it->used -= taken;
    return it->used <= LARGEST_REQUEST;
}

static void read_connection(int fd) {
    struct connection *it = &connections[fd];
    if (it->size - it->used < 16384) {
        it->size = it->size ? it->size * 2 : 32768;
        it->buffer = realloc(it->buffer, it->size);
        if (!it->buffer) fail("realloc");
    }
    ssize_t got = recv(fd, it->buffer + it->used, it->size - it->used - 1, 0);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (got <= 0) {
        close_connection(fd);
        return;
    }
    it->used += (size_t)got;
    it->buffer[it->used] = 0;
    if (!take_requests(fd)) {
        head->malformed++;
        close_connection(fd);
    }
}

static void accept_all(int listener, int poller) {
    for (;;) {
        int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC), yes = 1;
        if (fd < 0) return;
        if (fd >= MOST_CONNECTIONS) {
            close(fd);
            continue;
        }
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
        struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
        epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event);
        if (++head->connections > head->most_connections) head->most_connections = head->connections;
    }
}

static int listen_on(int port) {
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), yes = 1;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    socklen_t length = sizeof address;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof address) || listen(fd, 16384)) fail("listen");
    getsockname(fd, (struct sockaddr *)&address, &length);
    __atomic_store_n(&head->port, ntohs(address.sin_port), __ATOMIC_RELEASE);
    return fd;
}

static void open_ledger(const char *path) {
    size_t bytes = HEAD_BYTES + capacity * sizeof(struct entry);
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
    if (fd < 0 || ftruncate(fd, (off_t)bytes)) fail(path);
    head = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (head == MAP_FAILED) fail("mmap");
    entries = (struct entry *)((char *)head + HEAD_BYTES);
    close(fd);
}

int main(int count, char **values) {
    if (count != 5) {
        fprintf(stderr, "usage: receiver PORT LEDGER CAPACITY DELAY_MS\n");
        return 2;
    }
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    signal(SIGPIPE, SIG_IGN);
    capacity = strtoull(values[3], NULL, 10);
    delay_ms = strtol(values[4], NULL, 10);
    promises = malloc(promises_size * sizeof *promises);
    if (!promises) fail("malloc");
    open_ledger(values[2]);
    int poller = epoll_create1(EPOLL_CLOEXEC), listener = listen_on(atoi(values[1]));
    struct epoll_event event = {.events = EPOLLIN, .data.fd = listener}, events[512];
    epoll_ctl(poller, EPOLL_CTL_ADD, listener, &event);
    for (;;) {
        int ready = epoll_wait(poller, events, 512, keep_promises());
        for (int i = 0; i < ready; i++) {
            if (events[i].data.fd == listener)
                accept_all(listener, poller);
            else
                read_connection(events[i].data.fd);
        }
    }
}
