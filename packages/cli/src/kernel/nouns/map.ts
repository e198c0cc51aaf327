import type { Noun } from "../verb.ts";

const MAP = "MAP is `id N`, `name S` or `pinned PATH`.";
const DATA = `DATA is bytes (\`1 0 0 0\`, \`hex 0a 0b\`), or by the map's types a number, \`field=value ...\` or JSON. Addresses are written
as such (\`source=10.0.0.1\`), enums by name, text as it is, numbers of network-order fields in host order.`;
const chosen = ["id", "name", "pinned"] as const;

export const map: Noun = {
  name: "map",
  summary: "maps in the kernel",
  description: "Maps: what they are, and what is in them, printed by their types.",
  verbs: [
    {
      name: "list",
      aliases: ["show"],
      isDefault: true,
      usage: "[MAP]",
      summary: "list maps",
      description: `Lists every map, or those that MAP names.\n${MAP}`,
      examples: ["skep map list", "skep map show name flows -j", "skep map list -f"],
      words: chosen,
      load: async () => (await import("../map-list.ts")).mapList,
    },
    {
      name: "dump",
      usage: "[MAP]",
      summary: "print what is in a map",
      description: `Prints every entry: keys and values as structs where the map has types, else as bytes; values of each processor of
per-CPU maps; variables of data sections by name. JSON has bpftool's shape: bytes, and \`formatted\`.
${MAP}`,
      examples: ["skep map dump name flows", "skep map dump pinned /sys/fs/bpf/maps/flows -j"],
      words: chosen,
      load: async () => (await import("../map-dump.ts")).mapDump,
    },
    {
      name: "lookup",
      usage: "MAP key DATA",
      summary: "look one key up",
      description: `Prints the value of a key; exit status 1 where it is not there.\n${MAP}\n${DATA}`,
      examples: ["skep map lookup name flows key address=10.0.0.1 port=80", "skep map lookup id 7 key hex 01 00 00 00"],
      words: [...chosen, "key", "hex"],
      load: async () => (await import("../map-edit.ts")).mapLookup,
    },
    {
      name: "update",
      usage: "MAP [key DATA] value VALUE [any|exist|noexist]",
      summary: "write one entry",
      description: `Writes a value. exist: only where the key is there; noexist: only where it is not. VALUE is DATA, or a MAP or PROG for maps
that hold those. Of a data section the variables that are named are written, without a key.
${MAP}
${DATA}`,
      examples: [
        "skep map update name flows key address=10.0.0.1 port=80 value packets=1 name=web",
        "skep map update name counts key 1 0 0 0 value hex ff 00 00 00 00 00 00 00 noexist",
        "skep map update pinned /sys/fs/bpf/maps/count_bss value limit=5",
        "skep map update name calls key 1 value pinned /sys/fs/bpf/next",
      ],
      words: [...chosen, "key", "value", "hex", "any", "exist", "noexist"],
      load: async () => (await import("../map-edit.ts")).mapUpdate,
    },
    {
      name: "delete",
      usage: "MAP key DATA",
      summary: "delete one entry",
      description: `Deletes a key.\n${MAP}\n${DATA}`,
      examples: ["skep map delete name flows key address=10.0.0.1 port=80"],
      words: [...chosen, "key", "hex"],
      load: async () => (await import("../map-edit.ts")).mapDelete,
    },
    {
      name: "getnext",
      usage: "MAP [key DATA]",
      summary: "the key after a key",
      description: `Prints the key after DATA, or the first.\n${MAP}\n${DATA}`,
      examples: ["skep map getnext name flows", "skep map getnext name counts key 1"],
      words: [...chosen, "key", "hex"],
      load: async () => (await import("../map-edit.ts")).mapGetNext,
    },
    {
      name: "create",
      usage: "PATH type TYPE key SIZE value SIZE entries N name NAME [flags FLAGS] [inner_map MAP]",
      summary: "make a map and pin it",
      description: "Makes a map without types and pins it at PATH. FLAGS is a number or names (no_prealloc,mmapable).",
      examples: [
        "skep map create /sys/fs/bpf/seen type hash key 4 value 8 entries 1024 name seen",
        "skep map create /sys/fs/bpf/nets type lpm_trie key 8 value 4 entries 100 name nets flags no_prealloc",
      ],
      words: ["type", "key", "value", "entries", "name", "flags", "inner_map"],
      load: async () => (await import("../map-edit.ts")).mapCreate,
    },
    {
      name: "pin",
      usage: "MAP PATH",
      summary: "pin a map",
      description: `Gives the map a path on a BPF file system, which keeps it when the last process that holds it ends.\n${MAP}`,
      examples: ["skep map pin name flows /sys/fs/bpf/flows"],
      words: chosen,
      load: async () => (await import("../map-edit.ts")).mapPin,
    },
    {
      name: "peek",
      usage: "MAP",
      summary: "the next value of a queue or stack",
      description: `Prints the next value, which stays.\n${MAP}`,
      examples: ["skep map peek name waiting"],
      words: chosen,
      load: async () => (await import("../map-edit.ts")).mapPeek,
    },
    {
      name: "push",
      aliases: ["enqueue"],
      usage: "MAP value VALUE",
      summary: "put a value on a stack or queue",
      description: `Pushes onto a stack, appends to a queue, adds to a bloom filter.\n${MAP}\n${DATA}`,
      examples: ["skep map push name pile value 7", "skep map enqueue name waiting value hex 07 00 00 00"],
      words: [...chosen, "value", "hex"],
      load: async () => (await import("../map-edit.ts")).mapPush,
    },
    {
      name: "pop",
      aliases: ["dequeue"],
      usage: "MAP",
      summary: "take a value off a stack or queue",
      description: `Takes the next value out and prints it.\n${MAP}`,
      examples: ["skep map pop name pile", "skep map dequeue name waiting"],
      words: chosen,
      load: async () => (await import("../map-edit.ts")).mapPop,
    },
    {
      name: "event_pipe",
      aliases: ["event-pipe"],
      usage: "MAP [count N] [cpu N]",
      summary: "follow events",
      description: `Prints what programs write into a perf event array or a ring buffer, until Ctrl-C or N events. Events that are printed
are taken: another reader does not see them.
${MAP}`,
      examples: ["skep map event_pipe name events", "skep map event_pipe name events count 10 -j"],
      words: [...chosen, "count", "cpu", "index"],
      load: async () => (await import("../map-events.ts")).mapEventPipe,
    },
    {
      name: "freeze",
      usage: "MAP",
      summary: "make a map read-only for user space",
      description: `From now on only programs write it; there is no way back.\n${MAP}`,
      examples: ["skep map freeze name limits"],
      words: chosen,
      load: async () => (await import("../map-edit.ts")).mapFreeze,
    },
  ],
};
