// A whole agent on the simulated machine: a workload resolves a name, and its next flow says it.
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createClient } from "@connectrpc/connect";
import { createGrpcTransport, Http2SessionManager } from "@connectrpc/connect-node";
import { skep } from "@skep/api";
import { expect, it } from "vitest";
import { buildDnsMessage, formatAddress } from "@skep/net";
import { openSim } from "@skep/sim";
import { createLogger, startAgent } from "../src/index.ts";

/** The API, and the metrics. */
async function tellsOfIt({ socket, metrics }: Awaited<ReturnType<typeof startAgent>>, address: string): Promise<void> {
  const sessionManager = new Http2SessionManager("http://localhost", {}, { createConnection: () => connect(socket) });
  const transport = createGrpcTransport({ baseUrl: "http://localhost", sessionManager });
  const agent = createClient(skep.Agent, transport);
  const { names } = await agent.listDnsNames({});
  expect(names).toMatchObject([{ endpoint: 1, fqdn: "shop.example.com.", ttl: 5, ips: [address] }]);
  expect(names[0]!.expirationTime - names[0]!.lookupTime).toBe(3_600_000n);
  expect((await agent.getStatus({})).dns).toMatchObject({ entries: 1, learned: 1n, empty: 0n });
  sessionManager.abort();
  const lines = (await (await fetch(`http://${metrics ?? ""}/metrics`)).text()).split("\n");
  expect(lines).toEqual(
    expect.arrayContaining([
      ...['cilium_fqdn_active_names{endpoint="1"} 1', 'cilium_fqdn_active_ips{endpoint="1"} 1'],
      ...["cilium_fqdn_gc_deletions_total 0", 'skep_dns_answers_total{result="learned"} 1'],
    ]),
  );
}

it("the agent's flows say the names that were resolved", async () => {
  const folder = mkdtempSync(join(tmpdir(), "skep-resolved-"));
  const machine = openSim();
  mkdirSync(join(folder, "policies"));
  const log = createLogger({ write: () => undefined, now: () => 0, format: "json" });
  const running = await startAgent({
    ...{ machine, directory: join(folder, "policies"), run: folder, state: join(folder, "state"), watch: false, log },
    ...{ pins: "/sys/fs/bpf/skep", cgroup: "skep", podCidr: "10.244.0.0/16", serviceCidr: "10.96.0.0/16" },
    metrics: { listen: "127.0.0.1:0", flows: [], version: "0" },
    flowLogs: { fixed: { filePath: join(folder, "flows.log"), fieldMask: [], include: [], exclude: [] } },
  });
  try {
    const [asking, answering] = ["asking", "answering"].map((name) => {
      const { endpoint, record } = running.agent.createEndpoint({ namespace: "default", name, labels: { name } });
      const namespace = machine.net.openNamespace(record.netns);
      if (!namespace) throw new Error(`the namespace of ${name} is gone`);
      return { stack: namespace.stack, address: endpoint.address };
    });
    if (!asking || !answering) throw new Error("a workload is missing");
    const questions = [{ name: "shop.example.com", type: 1, class: 1 }];
    const data = { kind: "A" as const, address: answering.address };
    const answers = [{ name: "shop.example.com", type: 1, class: 1, ttl: 5, data }];
    const server = answering.stack.udp.socket({ family: 4 });
    server.bind({ address: answering.address, port: 53 });
    const client = asking.stack.udp.socket({ family: 4 });
    client.send(buildDnsMessage({ id: 5, questions }), { address: answering.address, port: 53 });
    await machine.simulation.pass(100);
    const asked = await server.receive(0);
    if (!asked) throw new Error("nobody has asked");
    server.send(buildDnsMessage({ id: 5, response: true, questions, answers }), asked.from);
    await machine.simulation.pass(100);
    const opener = asking.stack.udp.socket({ family: 4 });
    opener.send(new Uint8Array(8), { address: answering.address, port: 9999 });
    await machine.simulation.pass(100);
    await tellsOfIt(running, formatAddress(answering.address));
  } finally {
    await running.close();
    running.agent.datapath.destroy();
  }
  const flows = readFileSync(join(folder, "flows.log"), "utf8").split("\n");
  rmSync(folder, { recursive: true, force: true });
  const opened = flows.filter((line) => line.includes('"destination_port":9999'));
  expect(opened).toHaveLength(1);
  expect(opened[0]).toContain('"destination_names":["shop.example.com"]');
});
