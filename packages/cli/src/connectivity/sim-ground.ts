/**
 * @module
 * The ground on the simulated machine: actors are stacks of its namespaces, time is virtual.
 */
import { capture, openSim, type Cgroup, type SimMachine, type SimNamespace } from "@skep/sim";
import { formatAddress } from "@skep/net";
import { serve, serveDatagrams, SimulatedPilot } from "../demo/simulated.ts";
import { addressOf, AgentGround, isServer, must, wireOutside } from "./agent-ground.ts";
import {
  type Actor,
  CAST,
  EXTERNAL,
  EXTERNAL6,
  EXTERNAL6_OTHER,
  EXTERNAL_OTHER,
  type Ground,
  HTTP,
  NODE,
  NODE6,
  OTHER_HTTP,
} from "./ground.ts";

const ONE_SEGMENT = 1200;
const PLACE = { pins: "/sys/fs/bpf/connectivity", cgroup: "connectivity" };

interface Place {
  readonly namespace: SimNamespace;
  readonly cgroup: Cgroup | null;
}

function actorOf(
  machine: SimMachine,
  place: Place,
  { name, address, address6 }: Pick<Actor, "name" | "address" | "address6">,
): Actor {
  const pilot = new SimulatedPilot(name, place, machine);
  // Two actors share the outside's stack: each asks from its own address.
  const isOutside = place.cgroup === null && name !== "host";
  return {
    ...{ name, address, address6 },
    request: (host, options) =>
      pilot.order("request", host, {
        ...options,
        ...(isOutside ? { from: host.includes(":") ? address6 : address } : {}),
      }),
    datagram: (host, options) => pilot.order("datagram", host, options),
    ping: async (host, timeout) => (await place.namespace.stack.ping(addressOf(host), { timeout })) !== null,
  };
}

const ANY = { 4: "0.0.0.0", 6: "::" };

/** `own`: whom datagrams are answered by, where there are several. */
function listen({ namespace, cgroup }: Place, name: string, own = ANY): void {
  for (const port of [HTTP, OTHER_HTTP])
    for (const family of [4, 6] as const) {
      const address = addressOf(ANY[family]);
      if (family === 6) namespace.stack.tcp.listen({ port, cgroup, address }, (connection) => serve(name, connection));
      serveDatagrams(name, namespace.stack.udp.open({ port, cgroup, address: addressOf(own[family]) }));
    }
}

export function openSimGround(seed: number): Ground {
  const machine = openSim({ seed });
  const outside = machine.net.createNamespace("outside");
  wireOutside(machine.net.host, outside);
  const ground = new AgentGround(machine, PLACE);
  const actors = new Map<string, Actor>();
  for (const member of CAST) {
    const { endpoint, record } = ground.join(member);
    machine.processes.start(record.cgroup);
    const namespace = must(machine.net.openNamespace(record.netns), record.netns);
    const place = { namespace, cgroup: machine.processes.cgroup(ground.agent.cgroupPath(record)) };
    if (isServer(member)) listen(place, member.name);
    actors.set(
      member.name,
      actorOf(machine, place, {
        ...{ name: member.name, address: formatAddress(endpoint.address) },
        address6: formatAddress(must(endpoint.address6, member.name)),
      }),
    );
  }
  for (const [name, address, address6, namespace] of [
    ["host", NODE, NODE6, machine.net.host],
    ["external", EXTERNAL, EXTERNAL6, outside],
    ["external-other", EXTERNAL_OTHER, EXTERNAL6_OTHER, outside],
  ] as const)
    actors.set(name, actorOf(machine, { namespace, cgroup: null }, { name, address, address6 }));
  listen({ namespace: outside, cgroup: null }, "external", { 4: EXTERNAL, 6: EXTERNAL6 });
  listen({ namespace: machine.net.host, cgroup: null }, "host");
  return {
    machine: "sim",
    actor: (name) => must(actors.get(name), name),
    setPolicies: (texts) => ground.setPolicies(texts),
    takeDrops: () => ground.takeDrops(),
    connections: () => ground.connections(),
    forwarded: () => ground.forwarded(),
    errors: ground.errors,
    restartAgent: () => ground.restartAgent(),
    capture() {
      const others = machine.net.namespaces().map((name) => must(machine.net.openNamespace(name), name));
      const devices = [machine.net.host, ...others].flatMap((namespace) =>
        namespace
          .interfaces()
          .flatMap(({ index, kind }) => (kind === "veth" ? [namespace.device(index) ?? []].flat() : [])),
      );
      const listening = capture(devices);
      return () => {
        listening.stop();
        return listening.pcapng();
      };
    },
    patience: 500,
    // Its TCP tells nobody how long segments may be (RFC 9293, 3.7.1): those of IPv4 that are full do not fit in IPv6. It cuts no datagrams.
    longest: { 4: Infinity, 6: ONE_SEGMENT, udp: ONE_SEGMENT },
    sleep: (ms) => machine.simulation.sleep(ms),
    run: (play) => machine.simulation.run(play),
    close: () => ground.close(),
  };
}
