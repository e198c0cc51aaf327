import { redirectsSuite, isOfSuite, type Wire, type WireGround } from "@skep/machine/suite";
import { openSim } from "../src/index.ts";

function open(): WireGround {
  const machine = openSim();
  const { net } = machine;
  const wires = [1, 2, 3].map((number): Wire => {
    const far = net.createNamespace(`far${number}`);
    const { host, peer } = net.host.createVeth(`near${number}`, { namespace: far, name: "eth0" });
    const prefix = (last: number) => ({
      address: { family: 4 as const, bytes: Uint8Array.of(10, 77, number, last) },
      length: 24,
    });
    net.host.addAddress(host.index, prefix(1));
    far.addAddress(peer.index, prefix(2));
    net.host.setUp(host.index, true);
    far.setUp(peer.index, true);
    net.host.addNeighbour(host.index, prefix(2).address, peer.mac);
    const device = far.device(peer.index);
    if (!device) throw new Error("no device");
    const seen: Uint8Array[] = [];
    device.taps.add(({ bytes, direction }) => {
      if (direction === "in" && isOfSuite(bytes)) seen.push(bytes);
    });
    return {
      ...{ index: host.index, mac: host.mac, farMac: peer.mac },
      send: (frame) => net.inject(device, frame),
      received: async () => {
        await machine.simulation.pass(5);
        return seen.splice(0);
      },
    };
  });
  return { machine, wires, inside: (run) => run(), numberOf: ({ info }) => info.id, close: () => undefined };
}

redirectsSuite("the simulated machine", open);
