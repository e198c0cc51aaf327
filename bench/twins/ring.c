/* ring OBJECT COUNT: fills the ring of the object with COUNT records and drains it with libbpf. Prints events a second and the lost. */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

struct record {
	uint64_t sequence;
	uint32_t first, second;
	uint64_t rest[6];
};

static uint64_t ones, mismatches, drained;

static int take(void *context, void *data, size_t size)
{
	const struct record *record = data;

	(void)context;
	(void)size;
	drained++;
	ones += record->second;
	if ((uint32_t)record->sequence != record->first)
		mismatches++;
	return 0;
}

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

/* Fills and drains; gives events a second. */
static double run(struct bpf_object *object, struct ring_buffer *ring, int count, uint64_t *lost)
{
	static char packet[64];
	LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = packet, .data_size_in = sizeof(packet), .repeat = count);
	int cpus = libbpf_num_possible_cpus(), counts = bpf_object__find_map_fd_by_name(object, "counts");
	int program = bpf_program__fd(bpf_object__find_program_by_name(object, "fill"));
	uint64_t values[cpus];
	uint32_t key = 1;
	double started;
	int i, result;

	check(bpf_prog_test_run_opts(program, &options), "test_run");
	drained = ones = mismatches = 0;
	started = now();
	result = ring_buffer__consume(ring);
	started = now() - started;
	check(result < 0, "consume");
	check(bpf_map_lookup_elem(counts, &key, values), "lookup");
	for (*lost = 0, i = 0; i < cpus; i++)
		*lost += values[i];
	if (ones != drained || mismatches) {
		fprintf(stderr, "the records are not what was put\n");
		exit(1);
	}
	return drained / (started / 1e9);
}

int main(int argc, char **argv)
{
	struct bpf_object *object;
	struct ring_buffer *ring;
	uint64_t lost;
	double rate;

	if (argc != 3)
		return 2;
	object = bpf_object__open_file(argv[1], NULL);
	check(!object, "open");
	check(bpf_object__load(object), "load");
	ring = ring_buffer__new(bpf_object__find_map_fd_by_name(object, "records"), take, NULL, NULL);
	check(!ring, "ring_buffer__new");
	/* Once before, so that the pages are in. */
	run(object, ring, 1000, &lost);
	rate = run(object, ring, atoi(argv[2]), &lost);
	printf("rate\t%f\nlost\t%llu\n", rate, (unsigned long long)lost);
	if (drained + lost != (uint64_t)atoi(argv[2])) {
		fprintf(stderr, "%llu drained, %llu lost\n", (unsigned long long)drained, (unsigned long long)lost);
		return 1;
	}
	return 0;
}
