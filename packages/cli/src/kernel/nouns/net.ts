import type { Noun } from "../verb.ts";

const types = ["xdp", "xdpgeneric", "xdpdrv", "xdpoffload", "tcx_ingress", "tcx_egress"] as const;
const chosen = ["id", "tag", "name", "pinned"] as const;

export const net: Noun = {
  name: "net",
  summary: "programs on interfaces",
  description: "Programs of the network: XDP, tcx, netkit and tc filters of interfaces, netfilter, the flow dissector.",
  verbs: [
    {
      name: "list",
      aliases: ["show"],
      isDefault: true,
      usage: "[dev NAME] [netns FILE]",
      summary: "list programs of interfaces",
      description: "Lists what is attached, in the order in which it runs. netns looks into another network namespace.",
      examples: ["skep net list", "skep net list dev eth0 -j", "skep net list netns /proc/1234/ns/net"],
      words: ["dev", "netns"],
      load: async () => (await import("../net.ts")).netList,
    },
    {
      name: "attach",
      usage: "TYPE PROG dev NAME [overwrite] [netns FILE]",
      summary: "attach a program to an interface",
      description: `TYPE is xdp, xdpgeneric, xdpdrv, xdpoffload, tcx_ingress or tcx_egress. The program stays until it is detached.
PROG is \`id N\`, \`tag T\`, \`name S\` or \`pinned PATH\`. overwrite replaces the XDP program that is there.`,
      examples: [
        "skep net attach xdp name count dev eth0",
        "skep net attach xdpgeneric pinned /sys/fs/bpf/count dev eth0 overwrite",
        "skep net attach tcx_ingress name classify dev eth0",
      ],
      words: [...types, ...chosen, "dev", "overwrite", "netns"],
      load: async () => (await import("../net.ts")).netAttach,
    },
    {
      name: "detach",
      usage: "TYPE [PROG] dev NAME [netns FILE]",
      summary: "detach a program from an interface",
      description:
        "Takes off what `skep net attach` attached. At tcx the program is named where there are several; what a link attached is taken\noff with `skep link detach`.",
      examples: ["skep net detach xdp dev eth0", "skep net detach tcx_ingress name classify dev eth0"],
      words: [...types, ...chosen, "dev", "netns"],
      load: async () => (await import("../net.ts")).netDetach,
    },
  ],
};
