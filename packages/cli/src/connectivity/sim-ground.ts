/**
 * @module
 * The ground on the simulated machine: actors are stacks of its namespaces, time is virtual.
 */
import { capture, openSim, type Cgroup, type SimMachine, type SimNamespace } from "@skep/sim";
import { formatAddress } from "@skep/net";
import { serve, SimulatedPilot } from "../demo/simulated.ts";
import { addressOf, AgentGround, isServer, must, wireOutside } from "./agent-ground.ts";
import { type Actor, CAST, EXTERNAL, EXTERNAL_OTHER, type Ground, HTTP, NODE, OTHER_HTTP } from "./ground.ts";

const PLACE = { pins: "/sys/fs/bpf/connectivity", cgroup: "connectivity" };

interface Place {
  readonly namespace: SimNamespace;
  readonly cgroup: Cgroup | null;
}

function actorOf(machine: SimMachine, place: Place, { name, address }: { name: string; address: string }): Actor {
  const pilot = new SimulatedPilot(name, place, machine);
  // Two actors share the outside's stack: each asks from its own address.
  const isOutside = place.cgroup === null && name !== "host";
  return {
    ...{ name, address },
    request: (host, options) => pilot.order("request", host, { ...options, ...(isOutside ? { from: address } : {}) }),
    ping: async (host, timeout) => (await place.namespace.stack.ping(addressOf(host), { timeout })) !== null,
  };
}

function listen({ namespace, cgroup }: Place, name: string): void {
  for (const port of [HTTP, OTHER_HTTP])
    namespace.stack.tcp.listen({ port, cgroup }, (connection) => serve(name, connection));
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
    actors.set(member.name, actorOf(machine, place, { name: member.name, address: formatAddress(endpoint.address) }));
  }
  for (const [name, address, namespace] of [
    ["host", NODE, machine.net.host],
    ["external", EXTERNAL, outside],
    ["external-other", EXTERNAL_OTHER, outside],
  ] as const)
    actors.set(name, actorOf(machine, { namespace, cgroup: null }, { name, address }));
  listen({ namespace: outside, cgroup: null }, "external");
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
    sleep: (ms) => machine.simulation.sleep(ms),
    run: (play) => machine.simulation.run(play),
    close: () => ground.close(),
  };
}
