import { redirectsSuite, isOfSuite, type Wire, type WireGround } from "@skep/machine/suite";
import { describe } from "vitest";
import { LinuxBpf, type LinuxProgram } from "../src/bpf/index.ts";
import { canUseBpf } from "../src/bpf/testing.ts";
import { openPacketSocket } from "../src/net/packet-socket.ts";
import { inNamespace } from "../src/sys/index.ts";
import { Lab, testObject } from "./lab.ts";

/** Milliseconds without a frame after which no more is waited for. */
const QUIET = 100;
const pause = (milliseconds: number) => new Promise((resolve) => setTimeout(resolve, milliseconds));

function open(): WireGround {
  const lab = new Lab("redirects");
  const sockets: { close(): void }[] = [];
  const wires = [1, 2, 3].map((number): Wire => {
    const { namespace, near, far } = lab.pair(number);
    const socket = inNamespace(namespace.path, () => openPacketSocket(far.index));
    sockets.push(socket);
    // A veth takes frames of XDP where its other end has a program of its own.
    const bpf = new LinuxBpf({ netns: namespace.path });
    const loaded = lab.keep(bpf.load(testObject("xdp"), { programs: ["pass"] }));
    const pass = loaded.programs["pass"];
    if (!pass) throw new Error("no program");
    lab.keep(bpf.attach(pass, { hook: "xdp", interface: far.index, mode: "native" }));
    return {
      ...{ index: near.index, mac: near.mac, farMac: far.mac },
      send: (frame) => {
        if (!socket.write(frame)) throw new Error("the queue is full");
      },
      received: async () => {
        const found: Uint8Array[] = [];
        await pause(QUIET);
        for (let frame = socket.read(); frame !== null; frame = socket.read())
          if (frame.direction === "in" && isOfSuite(frame.bytes)) found.push(frame.bytes);
        return found;
      },
    };
  });
  return {
    ...{ machine: { bpf: lab.bpf }, wires },
    inside: (run) => inNamespace(lab.host.path, run),
    numberOf: (program) => (program as LinuxProgram).fd,
    close: () => {
      for (const socket of sockets) socket.close();
      lab.close();
    },
  };
}

const enabled = canUseBpf();
if (!enabled) console.warn("skipped: redirects in the kernel need root and BPF");
describe.skipIf(!enabled)("on Linux", () => {
  redirectsSuite("linux", open);
});
