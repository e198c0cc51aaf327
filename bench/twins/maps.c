/* maps ENTRIES REPEATS: what bench/maps.ts does, with libbpf. Prints nanoseconds an entry. */
#include <bpf/bpf.h>
#include <linux/bpf.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static int entries, repeats;

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1e9 + t.tv_nsec;
}

static void check(int failed, const char *what)
{
	if (!failed)
		return;
	perror(what);
	exit(1);
}

static void print(const char *name, double started)
{
	printf("%s\t%f\n", name, (now() - started) / ((double)entries * repeats));
}

static void check_sum(uint64_t sum, const char *what)
{
	if (sum == (uint64_t)entries * (entries + 1) / 2)
		return;
	fprintf(stderr, "%s: wrong sum %llu\n", what, (unsigned long long)sum);
	exit(1);
}

int main(int argc, char **argv)
{
	uint32_t *keys, *found_keys, count, place;
	uint64_t *values, *found, value, sum = 0;
	double started;
	int fd, i, r;

	if (argc != 3)
		return 2;
	entries = atoi(argv[1]);
	repeats = atoi(argv[2]);
	fd = bpf_map_create(BPF_MAP_TYPE_HASH, "bench_twin", 4, 8, entries * 2, NULL);
	check(fd < 0, "map_create");
	keys = calloc(entries, sizeof(*keys));
	values = calloc(entries, sizeof(*values));
	found_keys = calloc(entries * 2, sizeof(*found_keys));
	found = calloc(entries * 2, sizeof(*found));
	check(!keys || !values || !found_keys || !found, "calloc");
	for (i = 0; i < entries; i++) {
		keys[i] = i;
		values[i] = i + 1;
	}

	started = now();
	for (r = 0; r < repeats; r++)
		for (i = 0; i < entries; i++)
			check(bpf_map_update_elem(fd, &keys[i], &values[i], BPF_ANY), "update");
	print("update", started);

	started = now();
	for (r = 0; r < repeats; r++)
		for (sum = 0, i = 0; i < entries; i++) {
			check(bpf_map_lookup_elem(fd, &keys[i], &value), "lookup");
			sum += value;
		}
	print("lookup", started);
	check_sum(sum, "lookup");

	started = now();
	for (r = 0; r < repeats; r++) {
		count = entries;
		check(bpf_map_update_batch(fd, keys, values, &count, NULL), "update_batch");
	}
	print("batch update", started);

	started = now();
	for (r = 0; r < repeats; r++) {
		/* Room for all: one call that ends with ENOENT, the end of the map. */
		count = entries * 2;
		bpf_map_lookup_batch(fd, NULL, &place, found_keys, found, &count, NULL);
		for (sum = 0, i = 0; i < (int)count; i++)
			sum += found[i];
	}
	print("batch read", started);
	check_sum(sum, "batch read");
	return 0;
}
