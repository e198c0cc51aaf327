/*
 * loader load PINS FILE: opens and loads an object as libbpf does by default, prints what came of it and what is then in the kernel;
 * after that opens it anew for each of its programs and loads that one alone.
 * loader whole PINS FILE: only the first.
 * loader link OUT FILE...: links objects.
 * Prints lines of fields that tabs separate, as skep-loader.ts does.
 */
#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <linux/bpf.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *pins;
static bool kernel_refused;

static int print(enum libbpf_print_level level, const char *format, va_list args)
{
	/* libbpf says this, and nothing else, where the refusal is the kernel's. */
	if (strstr(format, "BPF program load failed") || strstr(format, "failed to create: ") ||
	    strstr(format, "Error loading .BTF"))
		kernel_refused = true;
	if (level <= LIBBPF_WARN)
		return vfprintf(stderr, format, args);
	return 0;
}

static struct bpf_object *open_object(const char *file, int *error)
{
	LIBBPF_OPTS(bpf_object_open_opts, options, .pin_root_path = pins);
	struct bpf_object *object = bpf_object__open_file(file, &options);

	*error = object ? 0 : -libbpf_get_error(object);
	return object;
}

/* FNV-1a. */
static __u32 hash(const unsigned char *bytes, size_t size)
{
	__u32 value = 0x811c9dc5;

	for (size_t i = 0; i < size; i++)
		value = (value ^ bytes[i]) * 0x01000193;
	return value;
}

static void print_program(struct bpf_program *program)
{
	struct bpf_prog_info info = {};
	__u32 size = sizeof(info);

	if (bpf_program__fd(program) < 0 || bpf_prog_get_info_by_fd(bpf_program__fd(program), &info, &size))
		return;
	printf("program\t%s\t%u\t", bpf_program__name(program), info.type);
	for (int i = 0; i < BPF_TAG_SIZE; i++)
		printf("%02x", info.tag[i]);
	printf("\t%u\t%u\t%u\t%u\t%u\t%u\n", info.xlated_prog_len, info.nr_map_ids, info.nr_func_info, info.nr_line_info,
	       info.attach_btf_id, info.gpl_compatible);
}

/* Those of data sections have the object's name before the section's. */
static const char *map_name(struct bpf_map *map)
{
	const char *name = bpf_map__name(map), *dot = strchr(name, '.');

	return bpf_map__is_internal(map) && dot ? dot : name;
}

static void print_map(struct bpf_map *map)
{
	struct bpf_map_info info = {};
	__u32 size = sizeof(info), key = 0;
	__u32 contents = 0;

	if (bpf_map__fd(map) < 0 || bpf_map_get_info_by_fd(bpf_map__fd(map), &info, &size))
		return;
	if (bpf_map__is_internal(map) && info.type == BPF_MAP_TYPE_ARRAY) {
		unsigned char *value = malloc(info.value_size);

		if (!bpf_map_lookup_elem(bpf_map__fd(map), &key, value))
			contents = hash(value, info.value_size);
		free(value);
	}
	printf("map\t%s\t%u\t%u\t%u\t%u\t%u\t%llu\t%u\t%u\t%x\n", map_name(map), info.type, info.key_size,
	       info.value_size, info.max_entries, info.map_flags, (unsigned long long)info.map_extra,
	       info.btf_key_type_id != 0, info.btf_value_type_id != 0, contents);
}

static int load_whole(const char *file)
{
	struct bpf_program *program;
	struct bpf_map *map;
	int error;
	struct bpf_object *object = open_object(file, &error);

	printf("open\t%d\n", error);
	if (!object)
		return error;
	kernel_refused = false;
	error = -bpf_object__load(object);
	printf("load\t%d\t%s\n", error, error && kernel_refused ? "kernel" : "library");
	if (!error) {
		bpf_object__for_each_program(program, object)
			print_program(program);
		bpf_object__for_each_map(map, object)
			print_map(map);
	}
	bpf_object__close(object);
	return 0;
}

/* The program at this place alone; 1 where there are no more. */
static int load_single(const char *file, int wanted)
{
	struct bpf_program *program, *single = NULL;
	int error, at = 0;
	struct bpf_object *object = open_object(file, &error);

	if (!object)
		return 1;
	bpf_object__for_each_program(program, object) {
		bpf_program__set_autoload(program, at == wanted);
		if (at++ == wanted)
			single = program;
	}
	if (!single) {
		bpf_object__close(object);
		return 1;
	}
	kernel_refused = false;
	error = -bpf_object__load(object);
	printf("single\t%s\t%d\t%s\n", bpf_program__name(single), error, error && kernel_refused ? "kernel" : "library");
	bpf_object__close(object);
	return 0;
}

static int link_objects(const char *out, char **files, int count)
{
	struct bpf_linker *linker = bpf_linker__new(out, NULL);
	int error = linker ? 0 : 1;

	for (int i = 0; i < count && !error; i++)
		error = -bpf_linker__add_file(linker, files[i], NULL);
	if (!error)
		error = -bpf_linker__finalize(linker);
	printf("link\t%d\n", error);
	bpf_linker__free(linker);
	return error != 0;
}

int main(int argc, char **argv)
{
	libbpf_set_print(print);
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc >= 4 && !strcmp(argv[1], "link"))
		return link_objects(argv[2], argv + 3, argc - 3);
	if (argc != 4)
		return 2;
	pins = argv[2];
	if (load_whole(argv[3]) || strcmp(argv[1], "load"))
		return 0;
	for (int i = 0; !load_single(argv[3], i); i++)
		;
	return 0;
}
