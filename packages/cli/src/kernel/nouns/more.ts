import type { Noun } from "../verb.ts";

const chosen = ["id", "tag", "name", "pinned"] as const;

export const structOps: Noun = {
  name: "struct-ops",
  aliases: ["struct_ops"],
  summary: "kernel structs whose functions are programs",
  description: "struct_ops: parts of the kernel that programs replace, such as TCP congestion control.",
  verbs: [
    {
      name: "list",
      aliases: ["show"],
      isDefault: true,
      usage: "[id N | name S]",
      summary: "list struct_ops",
      description: "Lists struct_ops with the kernel's struct and whether they are registered.",
      examples: ["skep struct-ops list", "skep struct-ops show name steady -j"],
      words: ["id", "name"],
      load: async () => (await import("../struct-ops.ts")).structOpsList,
    },
    {
      name: "dump",
      usage: "[id N | name S]",
      summary: "print struct_ops",
      description: "Prints the struct as the kernel holds it: numbers of programs in place of functions.",
      examples: ["skep struct-ops dump name steady"],
      words: ["id", "name"],
      load: async () => (await import("../struct-ops.ts")).structOpsDump,
    },
    {
      name: "register",
      usage: "OBJECT [DIR]",
      summary: "load and register struct_ops",
      description:
        "Loads the object and registers every struct_ops in it. Those of section .struct_ops.link live as long as their links, which are\npinned in DIR; others until `unregister`.",
      examples: ["skep struct-ops register cubic.o", "skep struct-ops register steady.o /sys/fs/bpf/steady"],
      load: async () => (await import("../struct-ops.ts")).structOpsRegister,
    },
    {
      name: "unregister",
      usage: "id N | name S",
      summary: "take struct_ops out",
      description: "Unregisters a struct_ops that has no link. Those with links end with `skep link detach`.",
      examples: ["skep struct-ops unregister name cubic"],
      words: ["id", "name"],
      load: async () => (await import("../struct-ops.ts")).structOpsUnregister,
    },
  ],
};

export const cgroup: Noun = {
  name: "cgroup",
  summary: "programs of control groups",
  description: "Programs that are attached to control groups (cgroup v2).",
  verbs: [
    {
      name: "show",
      aliases: ["list"],
      usage: "CGROUP [effective]",
      summary: "list programs of a cgroup",
      description: "Lists what is attached to one cgroup; effective: also what it has from those above it.",
      examples: [
        "skep cgroup show /sys/fs/cgroup/system.slice",
        "skep cgroup show /sys/fs/cgroup/user.slice effective -j",
      ],
      words: ["effective"],
      load: async () => (await import("../cgroup.ts")).cgroupShow,
    },
    {
      name: "tree",
      isDefault: true,
      usage: "[ROOT] [effective]",
      summary: "list programs of all cgroups",
      description: "Lists the cgroups below ROOT (default all) that have programs, with these.",
      examples: ["skep cgroup tree", "skep cgroup tree /sys/fs/cgroup/kubepods -j"],
      words: ["effective"],
      load: async () => (await import("../cgroup.ts")).cgroupTree,
    },
    {
      name: "attach",
      usage: "CGROUP TYPE PROG [multi|override]",
      summary: "attach a program to a cgroup",
      description:
        "TYPE is the kernel's name (cgroup_inet4_connect) or the section's (connect4). multi shares the cgroup with other programs,\noverride lets cgroups below replace it. PROG is `id N`, `tag T`, `name S` or `pinned PATH`.",
      examples: ["skep cgroup attach /sys/fs/cgroup/web connect4 pinned /sys/fs/bpf/connect4 multi"],
      words: [...chosen, "multi", "override"],
      load: async () => (await import("../cgroup.ts")).cgroupAttach,
    },
    {
      name: "detach",
      usage: "CGROUP TYPE PROG",
      summary: "detach a program from a cgroup",
      description: "Takes off what `skep cgroup attach` attached. PROG is `id N`, `tag T`, `name S` or `pinned PATH`.",
      examples: ["skep cgroup detach /sys/fs/cgroup/web connect4 name connect4"],
      words: chosen,
      load: async () => (await import("../cgroup.ts")).cgroupDetach,
    },
  ],
};

export const perf: Noun = {
  name: "perf",
  summary: "programs on tracepoints and probes",
  description: "Programs that processes attached to tracepoints, kprobes and uprobes by perf events.",
  verbs: [
    {
      name: "list",
      aliases: ["show"],
      isDefault: true,
      usage: "",
      summary: "list programs on perf events",
      description: "Lists them with the process and the descriptor that keeps each attached.",
      examples: ["skep perf list", "skep perf list -j"],
      load: async () => (await import("../perf.ts")).perfList,
    },
  ],
};

export const iter: Noun = {
  name: "iter",
  summary: "iterators",
  description: "Programs that print what the kernel holds: tasks, sockets, maps.",
  verbs: [
    {
      name: "pin",
      usage: "OBJECT PATH [map MAP]",
      summary: "load an iterator and pin it",
      description:
        "Loads the object's iterator (section iter/...) and pins it: whoever reads PATH runs it. map: the map whose elements it visits.",
      examples: [
        "skep iter pin tasks.o /sys/fs/bpf/tasks && cat /sys/fs/bpf/tasks",
        "skep iter pin elements.o /sys/fs/bpf/flows map name flows",
      ],
      words: ["map", "id", "name", "pinned"],
      load: async () => (await import("../iter.ts")).iterPin,
    },
    {
      name: "run",
      usage: "OBJECT [map MAP]",
      summary: "run an iterator once",
      description: "Loads the object's iterator, prints what it writes, and takes it away again.",
      examples: ["skep iter run tasks.o", "skep iter run elements.o map name flows -o json"],
      words: ["map", "id", "name", "pinned"],
      load: async () => (await import("../iter.ts")).iterRun,
    },
  ],
};

export const gen: Noun = {
  name: "gen",
  summary: "make objects",
  description: "Makes objects of objects. (Skeletons are not needed: types come from the module itself.)",
  verbs: [
    {
      name: "object",
      usage: "OUTPUT INPUT...",
      summary: "link objects into one",
      description: "Links objects, or modules FILE.bpf.ts, into one that every loader takes.",
      examples: ["skep gen object all.o a.o b.o", "skep gen object one.o count.bpf.ts"],
      load: async () => (await import("../gen.ts")).genObject,
    },
  ],
};

export const token: Noun = {
  name: "token",
  summary: "delegated rights to BPF",
  description: "BPF file systems that give a user namespace the right to some BPF commands.",
  verbs: [
    {
      name: "list",
      aliases: ["show"],
      isDefault: true,
      usage: "",
      summary: "list what is delegated",
      description: "Lists mounted BPF file systems with `delegate_*` options.",
      examples: ["skep token list", "skep token list -o json"],
      load: async () => (await import("../token.ts")).tokenList,
    },
  ],
};

export const batch: Noun = {
  name: "batch",
  summary: "run commands of a file",
  description: "Runs several commands of skep in one process.",
  verbs: [
    {
      name: "file",
      usage: "FILE",
      summary: "run a file's commands",
      description:
        "Runs the commands of FILE (`-`: the standard input), one a line, without `skep` in front. `#` begins a comment, a backslash at the\nend of a line continues it. Ends with the first that fails.",
      examples: ["skep batch file setup.skep", "echo 'map update name counts key 1 value 0' | skep batch file -"],
      load: async () => (await import("../batch.ts")).batchFile,
    },
  ],
};
