// Runs an object's first function in uBPF's JIT on the memory of a file: `ubpf OBJECT MEMORY`. Prints the least nanoseconds of a run and what
// it gives.
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <ubpf.h>

static void *read_file(const char *path, size_t *size) {
  FILE *file = fopen(path, "rb");
  if (!file) { perror(path); exit(1); }
  fseek(file, 0, SEEK_END);
  *size = ftell(file);
  rewind(file);
  void *bytes = malloc(*size);
  if (fread(bytes, 1, *size, file) != *size) exit(1);
  fclose(file);
  return bytes;
}

static double now(void) {
  struct timespec at;
  clock_gettime(CLOCK_MONOTONIC, &at);
  return at.tv_sec * 1e9 + at.tv_nsec;
}

int main(int argc, char **argv) {
  if (argc != 3) return 2;
  size_t object_size, memory_size;
  void *object = read_file(argv[1], &object_size), *memory = read_file(argv[2], &memory_size);
  char *error = NULL;
  struct ubpf_vm *vm = ubpf_create();
  if (!vm || ubpf_load_elf(vm, object, object_size, &error) < 0) { fprintf(stderr, "%s\n", error); return 1; }
  ubpf_jit_fn run = ubpf_compile(vm, &error);
  if (!run) { fprintf(stderr, "%s\n", error); return 1; }
  unsigned long long result = run(memory, memory_size);
  double best = 1e18;
  for (int round = 0; round < 60; round++) {
    int count = 0;
    double start = now(), end;
    do {
      for (int i = 0; i < 20; i++) result = run(memory, memory_size);
      count += 20;
      end = now();
    } while (end - start < 250000);
    if ((end - start) / count < best) best = (end - start) / count;
  }
  printf("%f %llx\n", best, result);
}
