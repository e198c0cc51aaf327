// The example's agent learns DNS names as a real one does: a workload resolves one, and its next flow says it.
import { basename } from "node:path";
import { createClient, createRouterTransport } from "@connectrpc/connect";
import { skep as api } from "@skep/api";
import { buildDnsMessage, ipv4 } from "@skep/net";
import { openSim } from "@skep/sim";
import { expect, it } from "vitest";
import { SimulatedTheatre } from "../src/demo/simulated.ts";
import type { SeenFlow } from "../src/demo/theatre.ts";

it("names that are resolved in the example are in its flows and its lists", async () => {
  const machine = openSim({ seed: 3 });
  const theatre = new SimulatedTheatre(machine);
  const flows: SeenFlow[] = [];
  await theatre.open({}, (flow) => flows.push(flow));
  try {
    for (const name of ["xwing", "yavin"]) theatre.pilot(name, { name });
    const agent = createClient(api.Agent, createRouterTransport(theatre.page!));
    const { endpoints } = await agent.listEndpoints({});
    const [asking, answering] = ["xwing", "yavin"].map((name) => {
      const found = endpoints.find((each) => each.name === name)!;
      const address = ipv4(found.ipv4.split(".").reduce((number, part) => number * 256 + Number(part), 0));
      return { id: found.id, address, stack: machine.net.openNamespace(basename(found.netnsPath))!.stack };
    });
    const questions = [{ name: "base.rebels.example", type: 1, class: 1 }];
    const data = { kind: "A" as const, address: answering!.address };
    const server = answering!.stack.udp.socket({ family: 4 });
    server.bind({ address: answering!.address, port: 53 });
    const client = asking!.stack.udp.socket({ family: 4 });
    client.send(buildDnsMessage({ id: 5, questions }), { address: answering!.address, port: 53 });
    await machine.simulation.pass(100);
    const asked = (await server.receive(0))!;
    const answers = [{ name: "base.rebels.example", type: 1, class: 1, ttl: 5, data }];
    server.send(buildDnsMessage({ id: 5, response: true, questions, answers }), asked.from);
    await machine.simulation.pass(100);
    client.send(new Uint8Array(8), { address: answering!.address, port: 9999 });
    await machine.simulation.pass(100);
    const { names } = await agent.listDnsNames({});
    expect(names).toMatchObject([{ endpoint: asking!.id, fqdn: "base.rebels.example.", ttl: 5 }]);
    const opened = flows.map((flow) => JSON.stringify(flow)).filter((text) => text.includes('"destination_port":9999'));
    expect(opened).toEqual([expect.stringContaining('"destination_names":["base.rebels.example"]')]);
  } finally {
    await theatre.close();
  }
});
