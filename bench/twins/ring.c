/*
 * ring OBJECT COUNT CONCURRENT: fills the ring of the object with COUNT records and drains it with libbpf; or, where CONCURRENT is not 0,
 * drains it while a thread makes that many. Prints events a second and the lost.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <pthread.h>
#include <stdatomic.h>
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

static void produce(struct bpf_object *object, int count)
{
	static char packet[64];
	LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = packet, .data_size_in = sizeof(packet), .repeat = count);
	int program = bpf_program__fd(bpf_object__find_program_by_name(object, "fill"));

	check(bpf_prog_test_run_opts(program, &options), "test_run");
}

static uint64_t lost_so_far(struct bpf_object *object)
{
	int cpus = libbpf_num_possible_cpus(), counts = bpf_object__find_map_fd_by_name(object, "counts");
	uint64_t values[cpus], lost = 0;
	uint32_t key = 1;
	int i;

	check(bpf_map_lookup_elem(counts, &key, values), "lookup");
	for (i = 0; i < cpus; i++)
		lost += values[i];
	return lost;
}

static void consume(struct ring_buffer *ring)
{
	check(ring_buffer__consume(ring) < 0, "consume");
}

static void check_records(void)
{
	if (ones == drained && !mismatches)
		return;
	fprintf(stderr, "the records are not what was put\n");
	exit(1);
}

/* Fills and drains; gives events a second. */
static double run(struct bpf_object *object, struct ring_buffer *ring, int count)
{
	double started;

	produce(object, count);
	drained = ones = mismatches = 0;
	started = now();
	consume(ring);
	started = now() - started;
	check_records();
	return drained / (started / 1e9);
}

struct producer {
	struct bpf_object *object;
	int count;
	atomic_int done;
};

static void *producing(void *context)
{
	struct producer *producer = context;

	produce(producer->object, producer->count);
	atomic_store(&producer->done, 1);
	return NULL;
}

static double run_concurrent(struct bpf_object *object, struct ring_buffer *ring, int count)
{
	struct producer producer = { .object = object, .count = count };
	double started = now();
	pthread_t thread;
	int done;

	drained = ones = mismatches = 0;
	check(pthread_create(&thread, NULL, producing, &producer), "pthread_create");
	do {
		done = atomic_load(&producer.done);
		consume(ring);
	} while (!done);
	started = now() - started;
	pthread_join(thread, NULL);
	check_records();
	return drained / (started / 1e9);
}

int main(int argc, char **argv)
{
	struct bpf_object *object;
	struct ring_buffer *ring;
	uint64_t lost, before;
	double rate;
	int count, concurrent;

	if (argc != 4)
		return 2;
	count = atoi(argv[2]);
	concurrent = atoi(argv[3]);
	object = bpf_object__open_file(argv[1], NULL);
	check(!object, "open");
	check(bpf_object__load(object), "load");
	ring = ring_buffer__new(bpf_object__find_map_fd_by_name(object, "records"), take, NULL, NULL);
	check(!ring, "ring_buffer__new");
	/* Once before, so that the pages are in. */
	run(object, ring, 1000);
	before = lost_so_far(object);
	rate = concurrent ? run_concurrent(object, ring, concurrent) : run(object, ring, count);
	lost = lost_so_far(object) - before;
	printf("rate\t%f\nlost\t%llu\n", rate, (unsigned long long)lost);
	if (drained + lost != (uint64_t)(concurrent ? concurrent : count)) {
		fprintf(stderr, "%llu drained, %llu lost\n", (unsigned long long)drained, (unsigned long long)lost);
		return 1;
	}
	return 0;
}
