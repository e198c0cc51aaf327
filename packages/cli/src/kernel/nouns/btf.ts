import type { Noun } from "../verb.ts";

export const btf: Noun = {
  name: "btf",
  summary: "types of the kernel, programs and maps",
  description: "Type information (BTF): what the kernel holds, printed as it is, as C or as TypeScript.",
  verbs: [
    {
      name: "list",
      aliases: ["show"],
      isDefault: true,
      usage: "[id N]",
      summary: "list BTF",
      description: "Lists BTF in the kernel with the programs and maps that use it.",
      examples: ["skep btf list", "skep btf show id 1 -j"],
      words: ["id"],
      load: async () => (await import("../btf.ts")).btfList,
    },
    {
      name: "dump",
      usage: "id N | prog PROG | map MAP [key|value|kv|all] | file FILE  [format raw|c|dts] [root_id N]...",
      summary: "print types",
      description:
        "Prints types line by line (raw), as C, or as TypeScript declarations (dts). FILE is an object, a module FILE.bpf.ts, or BTF itself.\nroot_id prints only that type and what it needs.",
      examples: [
        "skep btf dump map name flows format c",
        "skep btf dump file count.o",
        "skep btf dump file /sys/kernel/btf/vmlinux format c > vmlinux.h",
        "skep btf dump prog name count format dts",
      ],
      words: [
        "id",
        "prog",
        "map",
        "file",
        "name",
        "tag",
        "pinned",
        "key",
        "value",
        "kv",
        "all",
        "format",
        "raw",
        "c",
        "dts",
        "root_id",
      ],
      load: async () => (await import("../btf.ts")).btfDump,
    },
    {
      name: "types",
      usage: "NAME... [file FILE] [depth N] [from MODULE] [of FILE]",
      summary: "kernel types as TypeScript",
      description: `Declares kernel types (structs, enums, typedefs, functions; \`*\` for any letters) so that kernel programs read them and editors
complete them: an access to a member becomes a CO-RE relocation. file writes them; depth says how many pointers away structs still have
their members (default 1); of takes the types of a file instead of the running kernel's.`,
      examples: [
        "skep btf types task_struct file kernel.d.ts",
        "skep btf types bpf_iter__task bpf_task_from_pid bpf_task_release depth 2 > kernel.d.ts",
        "skep btf types 'tcp_*sock' of /sys/kernel/btf/vmlinux",
      ],
      words: ["file", "depth", "from", "of"],
      load: async () => (await import("../btf-types.ts")).btfTypes,
    },
  ],
};
