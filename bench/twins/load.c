/*
 * load FILE FURTHER LARGEST: loads the object, then FURTHER times more, with maps of at most LARGEST entries (0: as they are). Prints
 * when the first was loaded (milliseconds since 1970), how many milliseconds each took, and the most memory in use (MiB).
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static double now(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return t.tv_sec * 1e3 + t.tv_nsec / 1e6;
}

static void check(int failed, const char *what)
{
	if (!failed)
		return;
	perror(what);
	exit(1);
}

/* Of the process since exec: what getrusage tells counts its parent too. */
static double resident(void)
{
	FILE *status = fopen("/proc/self/status", "r");
	long kibibytes = 0;
	char line[256];

	check(!status, "/proc/self/status");
	while (fgets(line, sizeof(line), status))
		sscanf(line, "VmHWM: %ld", &kibibytes);
	fclose(status);
	return kibibytes / 1024.0;
}

static double load(const char *file, unsigned int largest)
{
	double started = now(CLOCK_MONOTONIC), took;
	struct bpf_object *object = bpf_object__open_file(file, NULL);
	struct bpf_map *map;

	check(!object, "open");
	bpf_object__for_each_map(map, object)
		if (largest && bpf_map__type(map) != BPF_MAP_TYPE_RINGBUF && bpf_map__max_entries(map) > largest)
			check(bpf_map__set_max_entries(map, largest), "set_max_entries");
	check(bpf_object__load(object), "load");
	took = now(CLOCK_MONOTONIC) - started;
	bpf_object__close(object);
	return took;
}

int main(int argc, char **argv)
{
	double first;
	int i;

	if (argc != 4)
		return 2;
	first = load(argv[1], atoi(argv[3]));
	printf("loaded at\t%f\n", now(CLOCK_REALTIME));
	printf("first\t%f\n", first);
	for (i = 0; i < atoi(argv[2]); i++)
		printf("further %d\t%f\n", i, load(argv[1], atoi(argv[3])));
	printf("resident\t%f\n", resident());
	return 0;
}
