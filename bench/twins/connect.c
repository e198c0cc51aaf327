// Short TCP connections, each to one of the addresses at random, ended by RST. Prints one line of JSON.
//   connect PORT COUNT ADDRESS...
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static uint64_t now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * 1000000000ull + time.tv_nsec;
}

static int compare(const void *one, const void *other) {
  uint32_t x = *(const uint32_t *)one, y = *(const uint32_t *)other;
  return x < y ? -1 : x > y;
}

int main(int argc, char **argv) {
  if (argc < 4) return 2;
  int count = atoi(argv[2]), addresses = argc - 3, bad = 0;
  struct sockaddr_in *to = calloc(addresses, sizeof *to);
  uint32_t *took = malloc(count * sizeof *took), draw = 2463534242u;
  struct linger reset = {1, 0};
  for (int at = 0; at < addresses; at++) {
    to[at].sin_family = AF_INET;
    to[at].sin_port = htons(atoi(argv[1]));
    if (inet_pton(AF_INET, argv[3 + at], &to[at].sin_addr) != 1) return 2;
  }
  uint64_t started = now();
  for (int at = 0; at < count; at++) {
    draw ^= draw << 13, draw ^= draw >> 17, draw ^= draw << 5;
    uint64_t before = now();
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    bad += connect(fd, (struct sockaddr *)&to[draw % addresses], sizeof *to) != 0;
    took[at] = now() - before;
    close(fd);
  }
  double seconds = (now() - started) / 1e9;
  qsort(took, count, sizeof *took, compare);
  printf("{\"test\":\"rate\",\"bad\":%d,\"per_s\":%.0f,\"us_p50\":%.2f,\"us_p99\":%.2f}\n", bad, count / seconds,
         took[count / 2] / 1e3, took[(int)(count * .99)] / 1e3);
}
