/* A load generator that costs next to nothing: keep-alive connections, one request at a time on each.
 *
 * load PORT CONNECTIONS SECONDS RATE FIRST MODULO REQUEST
 *   RATE     requests per second, sent on schedule whatever the answers do; 0: as fast as they are answered
 *   FIRST    the first serial number
 *   REQUEST  a file with the whole request. In it are replaced, in place:
 *              @SERIAL@@@@@   a serial number of 12 digits, another for each occurrence
 *              @NOW@@@@@@@@@@@@  the time in µs since 1970, 16 digits: when the request was due to be sent
 *              @T@            the request's number modulo MODULO, 3 digits
 *
 * Prints one line of JSON. Latencies are those of the answers, in µs, from when the request was due.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

#define MOST_CONNECTIONS 1024
#define MOST_MARKS 4096
#define MOST_LATENCIES (8 << 20)

struct connection {
    int fd;
    char *request;
    size_t written;
    char answer[65536];
    size_t got;
    uint64_t due_us;
    int is_busy;
};

static char *template;
static size_t request_length, marks[3][MOST_MARKS], mark_count[3];
static const char *mark_text[3] = {"@SERIAL@@@@@", "@NOW@@@@@@@@@@@@", "@T@"};
static struct connection *connections;
static struct connection *idle[MOST_CONNECTIONS];
static int connection_count, idle_count, poller, port;
static uint64_t serial, number, modulo, accepted, refused, broken;
static uint32_t *latencies;

static uint64_t micros(void) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static void fail(const char *what) {
    perror(what);
    exit(1);
}

static void read_template(const char *path) {
    FILE *file = fopen(path, "rb");
    if (!file) fail(path);
    template = malloc(16 << 20);
    request_length = fread(template, 1, 16 << 20, file);
    fclose(file);
    for (int kind = 0; kind < 3; kind++) {
        size_t length = strlen(mark_text[kind]);
        char *at = template;
        while ((at = memmem(at, request_length - (size_t)(at - template), mark_text[kind], length))) {
            if (mark_count[kind] == MOST_MARKS) break;
            marks[kind][mark_count[kind]++] = (size_t)(at - template);
            at += length;
        }
    }
}

static void put_digits(char *at, uint64_t value, int digits) {
    while (digits--) {
        at[digits] = (char)('0' + value % 10);
        value /= 10;
    }
}

static void open_connection(struct connection *it) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    int yes = 1;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    it->fd = socket(AF_INET, SOCK_STREAM, 0);
    if (it->fd < 0 || connect(it->fd, (struct sockaddr *)&address, sizeof address)) fail("connect");
    setsockopt(it->fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = it};
    if (epoll_ctl(poller, EPOLL_CTL_ADD, it->fd, &event)) fail("epoll_ctl");
}

static void make_idle(struct connection *it) {
    it->is_busy = 0;
    idle[idle_count++] = it;
}

static void write_more(struct connection *it) {
    while (it->written < request_length) {
        ssize_t sent = send(it->fd, it->request + it->written, request_length - it->written, MSG_NOSIGNAL);
        if (sent <= 0) return; /* the broken connection shows when it is read */
        it->written += (size_t)sent;
    }
}

static void send_request(struct connection *it, uint64_t due_us) {
    for (size_t i = 0; i < mark_count[0]; i++) put_digits(it->request + marks[0][i], serial++, 12);
    for (size_t i = 0; i < mark_count[1]; i++) put_digits(it->request + marks[1][i], due_us, 16);
    for (size_t i = 0; i < mark_count[2]; i++) put_digits(it->request + marks[2][i], number % modulo, 3);
    number++;
    it->written = it->got = 0;
    it->due_us = due_us;
    it->is_busy = 1;
    write_more(it);
}

/* Of an idle connection too: the server may close it, and it must not be used then. */
static void read_answer(struct connection *it) {
    ssize_t got = recv(it->fd, it->answer + it->got, sizeof it->answer - 1 - it->got, 0);
    if (got <= 0) {
        close(it->fd);
        open_connection(it);
        if (it->is_busy) {
            broken++;
            make_idle(it);
        }
        return;
    }
    if (!it->is_busy) return; /* nobody asked */
    it->got += (size_t)got;
    it->answer[it->got] = 0;
    char *end = strstr(it->answer, "\r\n\r\n");
    if (!end) return;
    char *length = strcasestr(it->answer, "\r\ncontent-length:");
    size_t body = length && length < end ? strtoull(length + 17, NULL, 10) : 0;
    if (it->got < (size_t)(end + 4 - it->answer) + body) return;
    uint64_t taken = micros() - it->due_us;
    if (atoi(it->answer + 9) / 100 == 2) {
        if (accepted < MOST_LATENCIES) latencies[accepted] = (uint32_t)taken;
        accepted++;
    } else if (!refused++) {
        fprintf(stderr, "refused: %.300s\n", it->answer);
    }
    if (strcasestr(it->answer, "connection: close")) {
        close(it->fd);
        open_connection(it);
    }
    make_idle(it);
}

static int by_size(const void *left, const void *right) {
    uint32_t a = *(const uint32_t *)left, b = *(const uint32_t *)right;
    return a < b ? -1 : a > b;
}

static uint32_t percentile(double share) {
    uint64_t kept = accepted < MOST_LATENCIES ? accepted : MOST_LATENCIES;
    return kept ? latencies[(uint64_t)((double)(kept - 1) * share)] : 0;
}

/* Until the next request is due or an answer comes. epoll itself waits in milliseconds only. */
static void wait_for_answers(uint64_t micros_left) {
    struct pollfd answers = {poller, POLLIN, 0};
    struct timespec nap = {(time_t)(micros_left / 1000000), (long)(micros_left % 1000000) * 1000};
    struct epoll_event events[256];
    if (ppoll(&answers, 1, &nap, NULL) <= 0) return;
    int ready = epoll_wait(poller, events, 256, 0);
    for (int i = 0; i < ready; i++) read_answer(events[i].data.ptr);
}

static void run(double seconds, double rate) {
    uint64_t start = micros(), end = start + (uint64_t)(seconds * 1e6), sent = 0;
    for (;;) {
        uint64_t now = micros(), due = rate > 0 ? start + (uint64_t)((double)sent * 1e6 / rate) : now;
        while (idle_count && due <= now && due < end) {
            send_request(idle[--idle_count], due);
            sent++;
            due = rate > 0 ? start + (uint64_t)((double)sent * 1e6 / rate) : now;
        }
        if (now >= end && (idle_count == connection_count || now > end + 30000000)) return;
        int is_waiting_for_due = rate > 0 && due < end && idle_count;
        wait_for_answers(is_waiting_for_due ? (due > now ? due - now : 0) : 100000);
    }
}

int main(int count, char **values) {
    if (count != 8) {
        fprintf(stderr, "usage: load PORT CONNECTIONS SECONDS RATE FIRST MODULO REQUEST\n");
        return 2;
    }
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    port = atoi(values[1]);
    connection_count = atoi(values[2]);
    if (connection_count < 1 || connection_count > MOST_CONNECTIONS) return 2;
    serial = strtoull(values[5], NULL, 10);
    modulo = strtoull(values[6], NULL, 10);
    read_template(values[7]);
    latencies = malloc(MOST_LATENCIES * sizeof *latencies);
    connections = calloc((size_t)connection_count, sizeof *connections);
    if (!latencies || !connections) fail("malloc");
    poller = epoll_create1(EPOLL_CLOEXEC);
    if (poller < 0) fail("epoll_create1");
    for (int i = 0; i < connection_count; i++) {
        connections[i].request = malloc(request_length);
        if (!connections[i].request) fail("malloc");
        memcpy(connections[i].request, template, request_length);
        open_connection(&connections[i]);
        make_idle(&connections[i]);
    }
    uint64_t start = micros();
    run(atof(values[3]), atof(values[4]));
    double seconds = (double)(micros() - start) / 1e6;
    qsort(latencies, accepted < MOST_LATENCIES ? accepted : MOST_LATENCIES, sizeof *latencies, by_size);
    printf("{\"accepted\":%lu,\"refused\":%lu,\"broken\":%lu,\"sent\":%lu,\"seconds\":%.6f,\"p50_us\":%u,\"p99_us\":%u}\n",
           (unsigned long)accepted, (unsigned long)refused, (unsigned long)broken, (unsigned long)number, seconds,
           percentile(0.50), percentile(0.99));
    return 0;
}
