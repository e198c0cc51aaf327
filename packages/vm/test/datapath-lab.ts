/** The datapath in the kernel and in a `Vm`, with the same state: for tests and for the bench. */
import { buildPacket, tcpFlags, type LayerSpec } from "@skep/net";
import { readObject, type ObjectSpec } from "@skep/object";
import type { LinuxMap } from "@skep/linux";
import { CALLED, XDP_CALLED } from "../../datapath/src/hooks.ts";
import { skepObject } from "../../datapath/src/generated/skep-object.ts";
import { entry, ip, mac, TestDatapath } from "../../datapath/test/test-datapath.ts";
import type { EngineName, Vm, VmMap, VmObject } from "../src/index.ts";

const [CLIENT, SERVER, OUTSIDE] = ["10.9.0.2", "10.9.0.3", "192.0.2.9"];
// A test run's packets come from the loopback interface: index 1 is the sender's.
const [SENDER, ELSEWHERE] = [1, 4095];

/** A context as a test run makes it: the loopback interface, an Ethernet type. */
export function skbContext(packet: Uint8Array): Uint8Array {
  const context = new Uint8Array(192);
  const view = new DataView(context.buffer);
  context.set(packet.subarray(12, 14), 16);
  view.setUint32(40, 1, true);
  return context;
}

export function openLab(): TestDatapath {
  const lab = new TestDatapath();
  const endpoint = (id: number, address: string, interfaceIndex: number) => ({
    ...{ id, namespace: "default", name: `lab-${id}`, labels: {}, identity: 1000 + id, address: ip(address) },
    ...{ interfaceName: "none", interfaceIndex, mac: mac(id, 1), hostMac: mac(id, 2) },
  });
  lab.datapath.syncIpcache([
    { prefix: { address: ip("0.0.0.0"), length: 0 }, identity: 2 },
    { prefix: { address: ip("192.0.2.0"), length: 24 }, identity: 77 },
  ]);
  lab.setEndpoint(endpoint(11, CLIENT, SENDER));
  lab.setEndpoint(endpoint(12, SERVER, ELSEWHERE));
  for (const id of [11, 12]) {
    lab.setPolicy(id, [
      entry({ direction: "egress", protocol: 6, port: 80, portPrefix: 16 }),
      entry({ direction: "egress", identity: 77, protocol: 17 }),
      entry({ direction: "ingress", protocol: 6, port: 80, portPrefix: 16 }),
    ]);
  }
  return lab;
}

/** Loads the datapath's programs and gives their maps what the kernel's hold. `spec`: where it is not the object as it was compiled. */
export function copyInto(
  vm: Vm,
  lab: { readonly maps: TestDatapath["maps"]; readonly spec?: ObjectSpec },
  engine: EngineName,
): VmObject {
  const spec = lab.spec ?? readObject(skepObject());
  const object = vm.load(spec, { engine });
  for (const [name, theirs] of Object.entries(lab.maps)) {
    const mine = object.maps[name];
    const shape = spec.maps[name];
    if (mine === undefined || shape === undefined || shape.type === "ringbuf" || shape.data !== undefined) continue;
    if (shape.type === "prog_array") {
      // The kernel shows the numbers of programs; these are of another machine.
      for (const [place, called] of name === "skep_xdp_calls" ? XDP_CALLED : CALLED) {
        const program = object.programs[called];
        if (program !== undefined) vm.setProgram(mine, place, program);
      }
      continue;
    }
    if (shape.inner === undefined) copyEntries(theirs as LinuxMap, mine);
    for (const [key] of shape.inner === undefined ? [] : theirs.entries()) {
      const from = (theirs as LinuxMap).getMap(key);
      if (from === null || shape.inner === undefined) continue;
      const into = vm.createMap({ ...shape.inner, maxEntries: from.info.maxEntries });
      copyEntries(from, into);
      vm.setMap(mine, key, into);
      from.close();
    }
  }
  return object;
}

function copyEntries(from: LinuxMap, into: VmMap): void {
  for (const [key, value] of from.entries()) into.set(key, value);
}

const tcp = (destination: string, port: number, flags: number): readonly LayerSpec[] => [
  { kind: "ipv4", source: ip(CLIENT), destination: ip(destination), ttl: 255 },
  { kind: "tcp", sourcePort: 40_000, destinationPort: port, flags },
];

/** By name: frames that take different ways through the programs. */
export function labFrames(): ReadonlyMap<string, Uint8Array> {
  const frame = (...layers: readonly LayerSpec[]): Uint8Array =>
    buildPacket([{ kind: "ethernet", source: mac(1, 1), destination: mac(1, 2) }, ...layers]);
  const udp = (destination: string): Uint8Array =>
    frame(
      { kind: "ipv4", source: ip(CLIENT), destination: ip(destination) },
      { kind: "udp", sourcePort: 5353, destinationPort: 53 },
      { kind: "payload", bytes: new Uint8Array(24) },
    );
  return new Map([
    ["a connection is opened to a local peer", frame(...tcp(SERVER, 80, tcpFlags.syn))],
    ["established, to a local peer", frame(...tcp(SERVER, 80, tcpFlags.ack))],
    ["a connection is opened to the stack", frame(...tcp(OUTSIDE, 80, tcpFlags.syn))],
    ["established, to the stack", frame(...tcp(OUTSIDE, 80, tcpFlags.ack))],
    ["policy drop", frame(...tcp(SERVER, 81, tcpFlags.syn))],
    ["udp to a known prefix", udp(OUTSIDE)],
    ["udp, dropped", udp(SERVER)],
    [
      "a source that is not its own",
      frame(
        { kind: "ipv4", source: ip(SERVER), destination: ip(CLIENT), protocol: 250 },
        { kind: "payload", bytes: new Uint8Array(24) },
      ),
    ],
    ["no address family of ours", new Uint8Array(60)],
  ]);
}
