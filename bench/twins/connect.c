// Short TCP connections, each to one of a group's addresses at random, ended by RST. Groups are arguments, NAME=PORT:ADDRESS[,ADDRESS]... or
// NAME=PORT:ADDRESS+COUNT for as many addresses on end. Each line "NAME COUNT" of the input is a block of connections, answered by a line of JSON:
// what connecting took by the clock, and what all of it (sockets, handshakes, resets) took of the processor.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

struct group {
  const char *name;
  struct sockaddr_in *to;
  int count;
};

static uint32_t draw = 2463534242u;

static uint64_t now(clockid_t clock) {
  struct timespec time;
  clock_gettime(clock, &time);
  return time.tv_sec * 1000000000ull + time.tv_nsec;
}

static int compare(const void *one, const void *other) {
  uint32_t x = *(const uint32_t *)one, y = *(const uint32_t *)other;
  return x < y ? -1 : x > y;
}

static int add(struct group *group, int port, const char *address, uint32_t offset) {
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)};
  if (inet_pton(AF_INET, address, &to.sin_addr) != 1) return -1;
  to.sin_addr.s_addr = htonl(ntohl(to.sin_addr.s_addr) + offset);
  group->to = realloc(group->to, (group->count + 1) * sizeof to);
  group->to[group->count++] = to;
  return 0;
}

static int parse(struct group *group, char *text) {
  char *ports = strchr(text, '='), *addresses = ports ? strchr(ports, ':') : NULL;
  if (!addresses) return -1;
  *ports++ = *addresses++ = 0;
  group->name = text;
  for (char *each = strtok(addresses, ","); each; each = strtok(NULL, ",")) {
    char *plus = strchr(each, '+');
    if (plus) *plus++ = 0;
    int many = plus ? atoi(plus) : 1;
    for (int at = 0; at < many; at++)
      if (add(group, atoi(ports), each, at)) return -1;
  }
  return group->count ? 0 : -1;
}

static void block(const struct group *group, int count) {
  uint32_t *took = malloc(count * sizeof *took);
  struct linger reset = {1, 0};
  int bad = 0;
  uint64_t started = now(CLOCK_MONOTONIC), processor = now(CLOCK_THREAD_CPUTIME_ID);
  for (int at = 0; at < count; at++) {
    draw ^= draw << 13, draw ^= draw >> 17, draw ^= draw << 5;
    const struct sockaddr_in *to = &group->to[draw % group->count];
    uint64_t before = now(CLOCK_MONOTONIC);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    bad += connect(fd, (const struct sockaddr *)to, sizeof *to) != 0;
    took[at] = now(CLOCK_MONOTONIC) - before;
    close(fd);
  }
  double spent = now(CLOCK_THREAD_CPUTIME_ID) - processor, seconds = (now(CLOCK_MONOTONIC) - started) / 1e9;
  qsort(took, count, sizeof *took, compare);
  printf("{\"bad\":%d,\"per_s\":%.0f,\"us_p50\":%.3f,\"us_p99\":%.3f,\"us_cpu\":%.3f}\n", bad, count / seconds,
         took[count / 2] / 1e3, took[(int)(count * .99)] / 1e3, spent / count / 1e3);
  fflush(stdout);
  free(took);
}

int main(int argc, char **argv) {
  struct group *groups = calloc(argc, sizeof *groups);
  for (int at = 1; at < argc; at++)
    if (parse(&groups[at - 1], argv[at])) return 2;
  char name[64];
  int count;
  while (scanf("%63s %d", name, &count) == 2) {
    const struct group *group = NULL;
    for (int at = 0; at < argc - 1; at++)
      if (strcmp(groups[at].name, name) == 0) group = &groups[at];
    if (!group || count < 1) return 2;
    block(group, count);
  }
  return 0;
}
