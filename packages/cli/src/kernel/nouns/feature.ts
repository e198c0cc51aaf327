import type { Noun } from "../verb.ts";

const sections = [
  "system_config",
  "syscall_config",
  "program_types",
  "map_types",
  "link_types",
  "helpers",
  "misc",
] as const;
const groups = ["prog_types", "map_types", "attach_types", "link_types", "helpers"] as const;

export const feature: Noun = {
  name: "feature",
  summary: "what this kernel can do",
  description: "What the running kernel can do with BPF, found out by trying.",
  verbs: [
    {
      name: "probe",
      isDefault: true,
      usage: "[kernel] [full] [macros [prefix P]] [SECTION...]",
      summary: "try what the kernel can do",
      description: `Tries build options, program, map and link types, helpers by program type, and instructions; a few seconds for everything.
SECTION (${sections.join(", ")})
tries only that. full also calls what leaves words in the kernel's log; macros prints a C header.`,
      examples: [
        "skep feature probe",
        "skep feature probe map_types misc -o json",
        "skep feature probe kernel full macros prefix MY_ > features.h",
      ],
      words: ["kernel", "full", "macros", "prefix", ...sections],
      load: async () => (await import("../feature.ts")).featureProbe,
    },
    {
      name: "list_builtins",
      aliases: ["list"],
      usage: "GROUP",
      summary: "list names that are known",
      description: `Lists what Skep knows by name, whatever the kernel: GROUP is ${groups.join(", ")}.`,
      examples: ["skep feature list_builtins map_types", "skep feature list helpers -j"],
      words: groups,
      load: async () => (await import("../feature.ts")).featureList,
    },
  ],
};
