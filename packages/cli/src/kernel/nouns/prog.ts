import type { Noun } from "../verb.ts";

const PROG = "PROG is `id N`, `tag T`, `name S` or `pinned PATH`.";
const chosen = ["id", "tag", "name", "pinned"] as const;

/** What section each word of bpftool's `type` stands for is what libbpf makes of it. */
export const programTypeWords =
  "socket kprobe kretprobe classifier action tracepoint raw_tracepoint xdp perf_event cgroup/skb cgroup/sock cgroup/dev lwt_in lwt_out lwt_xmit lwt_seg6local sockops sk_skb sk_msg lirc_mode2 sk_reuseport flow_dissector cgroup/sysctl cgroup/bind4 cgroup/bind6 cgroup/post_bind4 cgroup/post_bind6 cgroup/connect4 cgroup/connect6 cgroup/getpeername4 cgroup/getpeername6 cgroup/getsockname4 cgroup/getsockname6 cgroup/sendmsg4 cgroup/sendmsg6 cgroup/recvmsg4 cgroup/recvmsg6 cgroup/getsockopt cgroup/setsockopt cgroup/sock_release struct_ops fentry fexit freplace sk_lookup";

export const prog: Noun = {
  name: "prog",
  aliases: ["program"],
  summary: "programs in the kernel",
  description: "Programs that are loaded: what they are, their code, loading, attaching and running them.",
  verbs: [
    {
      name: "list",
      aliases: ["show"],
      isDefault: true,
      usage: "[PROG]",
      summary: "list programs",
      description: `Lists every program, or those that PROG names.\n${PROG}`,
      examples: ["skep prog list", "skep prog show name count -j", "skep prog list -f"],
      words: chosen,
      load: async () => (await import("../prog-list.ts")).progList,
    },
    {
      name: "dump",
      usage: "xlated|jited PROG [file FILE] [opcodes] [linum] [labels] [visual]",
      summary: "print a program's code",
      description: `xlated: the instructions after the verifier's rewriting, between their source lines. jited: the machine code.
file writes the bytes, opcodes shows them, linum adds file and line, labels names jump targets, visual prints a graph for dot.
${PROG}`,
      examples: [
        "skep prog dump xlated name count",
        "skep prog dump xlated id 42 linum opcodes",
        "skep prog dump xlated id 42 visual | dot -Tsvg > count.svg",
        "skep prog dump jited id 42 file count.bin",
      ],
      words: ["xlated", "jited", ...chosen, "file", "opcodes", "linum", "labels", "visual"],
      load: async () => (await import("../prog-dump.ts")).progDump,
    },
    {
      name: "pin",
      usage: "PROG PATH",
      summary: "pin a program",
      description: `Gives the program a path on a BPF file system, which keeps it when the last process that holds it ends.\n${PROG}`,
      examples: ["skep prog pin name count /sys/fs/bpf/count"],
      words: chosen,
      load: async () => (await import("../prog-load.ts")).progPin,
    },
    {
      name: "load",
      usage: "OBJECT PATH [type TYPE] [map (idx N | name S) MAP]... [pinmaps DIR] [log FILE]",
      summary: "load a program and pin it",
      description: `Loads the first program of an object (clang's, or what \`skep compile\` writes) and pins it at PATH.
A module FILE.bpf.ts is compiled first. map replaces a map of the object by one that is there; pinmaps pins the object's maps;
log keeps the whole log of a verifier that refuses.
TYPE is one of: ${programTypeWords}.`,
      examples: [
        "skep prog load count.o /sys/fs/bpf/count",
        "skep prog load count.bpf.ts /sys/fs/bpf/count pinmaps /sys/fs/bpf/maps",
        "skep prog load count.o /sys/fs/bpf/count type xdp map name seen pinned /sys/fs/bpf/seen",
      ],
      words: ["type", "map", "idx", "name", "pinmaps", "id", "pinned", "log"],
      load: async () => (await import("../prog-load.ts")).progLoad,
    },
    {
      name: "loadall",
      usage: "OBJECT DIR [type TYPE] [map (idx N | name S) MAP]... [pinmaps DIR] [autoattach] [log FILE]",
      summary: "load every program and pin them",
      description:
        "As load, for every program of the object: each is pinned in DIR under its name. autoattach attaches those whose section says\nwhere, and pins the links instead.",
      examples: ["skep prog loadall all.o /sys/fs/bpf/all pinmaps /sys/fs/bpf/all-maps"],
      words: ["type", "map", "idx", "name", "pinmaps", "id", "pinned", "autoattach", "log"],
      load: async () => (await import("../prog-load.ts")).progLoadAll,
    },
    {
      name: "attach",
      usage: "PROG ATTACH-TYPE [MAP]",
      summary: "attach a program to a map or to the namespace",
      description: `ATTACH-TYPE is sk_msg_verdict, sk_skb_verdict, sk_skb_stream_verdict or sk_skb_stream_parser with a MAP of sockets, or
flow_dissector. For interfaces see \`skep net attach\`, for cgroups \`skep cgroup attach\`.
${PROG}`,
      examples: ["skep prog attach name verdict sk_msg_verdict name sockets", "skep prog attach id 42 flow_dissector"],
      words: [
        ...chosen,
        "sk_msg_verdict",
        "sk_skb_verdict",
        "sk_skb_stream_verdict",
        "sk_skb_stream_parser",
        "flow_dissector",
      ],
      load: async () => (await import("../prog-attach.ts")).progAttach,
    },
    {
      name: "detach",
      usage: "PROG ATTACH-TYPE [MAP]",
      summary: "detach a program",
      description: `Takes off what \`skep prog attach\` attached.\n${PROG}`,
      examples: ["skep prog detach name verdict sk_msg_verdict name sockets"],
      words: [
        ...chosen,
        "sk_msg_verdict",
        "sk_skb_verdict",
        "sk_skb_stream_verdict",
        "sk_skb_stream_parser",
        "flow_dissector",
      ],
      load: async () => (await import("../prog-attach.ts")).progDetach,
    },
    {
      name: "run",
      usage:
        "PROG [data_in FILE] [data_out FILE [data_size_out N]] [ctx_in FILE] [ctx_out FILE [ctx_size_out N]] [repeat N]",
      summary: "run a program once, or many times",
      description: `Runs it in the kernel on the bytes of data_in (a packet) and ctx_in (its context); \`-\` is the standard input or a hex dump on
the output. Prints what it returned and how long one run took.
${PROG}`,
      examples: [
        "skep prog run name count data_in packet.bin",
        "skep prog run name count data_in packet.bin data_out - repeat 1000",
        "skep prog run name enter ctx_in context.bin -o json",
      ],
      words: [...chosen, "data_in", "data_out", "data_size_out", "ctx_in", "ctx_out", "ctx_size_out", "repeat"],
      load: async () => (await import("../prog-run.ts")).progRun,
    },
    {
      name: "profile",
      usage: "PROG [duration SECONDS] [run_cnt] [run_time]",
      summary: "count a program's runs and their time",
      description: `Counts for so many seconds (default until Ctrl-C): runs, nanoseconds, nanoseconds per run. The kernel's own statistics are
used, which cost some nanoseconds a run; hardware counters are not.
${PROG}`,
      examples: ["skep prog profile name count duration 5", "skep prog profile id 42 duration 1 run_cnt -o json"],
      words: [...chosen, "duration", "run_cnt", "run_time"],
      load: async () => (await import("../prog-profile.ts")).progProfile,
    },
    {
      name: "tracelog",
      usage: "[count N] [stdout|stderr PROG]",
      summary: "print what programs print",
      description: `Follows what programs write with bpf_printk (printk in kernel TypeScript), until Ctrl-C or N lines. stdout and stderr read the
streams of one program instead (Linux 6.17), and end.
${PROG}`,
      examples: ["skep prog tracelog", "skep prog tracelog count 10", "skep prog tracelog stderr name count"],
      words: ["count", "stdout", "stderr", ...chosen],
      load: async () => (await import("../prog-profile.ts")).progTracelog,
    },
  ],
};
