import type { Noun } from "../verb.ts";

const LINK = "LINK is `id N` or `pinned PATH`.";
const chosen = ["id", "pinned"] as const;

export const link: Noun = {
  name: "link",
  summary: "attachments that are objects",
  description: "Links: programs that are attached, and where.",
  verbs: [
    {
      name: "list",
      aliases: ["show"],
      isDefault: true,
      usage: "[LINK]",
      summary: "list links",
      description: `Lists every link with its program and where it is attached, or the one that LINK names.\n${LINK}`,
      examples: ["skep link list", "skep link show id 7 -j"],
      words: chosen,
      load: async () => (await import("../link.ts")).linkList,
    },
    {
      name: "pin",
      usage: "LINK PATH",
      summary: "pin a link",
      description: `Gives the link a path on a BPF file system: the program stays attached when the process that attached it ends.\n${LINK}`,
      examples: ["skep link pin id 7 /sys/fs/bpf/link"],
      words: chosen,
      load: async () => (await import("../link.ts")).linkPin,
    },
    {
      name: "detach",
      usage: "LINK",
      summary: "detach a link",
      description: `Takes the program off its hook, also where the link is pinned or held by a process.\n${LINK}`,
      examples: ["skep link detach id 7", "skep link detach pinned /sys/fs/bpf/link"],
      words: chosen,
      load: async () => (await import("../link.ts")).linkDetach,
    },
    {
      name: "update",
      usage: "LINK prog PROG [expected PROG]",
      summary: "put another program in a link",
      description: `Replaces the program between two runs of it; with expected only where that one is attached.\n${LINK}`,
      examples: ["skep link update id 7 prog pinned /sys/fs/bpf/next"],
      words: [...chosen, "prog", "expected", "name", "tag"],
      load: async () => (await import("../link.ts")).linkUpdate,
    },
  ],
};
