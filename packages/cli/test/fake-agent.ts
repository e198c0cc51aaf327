import { mkdtempSync, rmSync } from "node:fs";
import http2 from "node:http2";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Code, ConnectError, type ServiceImpl } from "@connectrpc/connect";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import { skep } from "@skep/api";
import { Observer, observerRoutes } from "@skep/flows";

export interface FakeAgent {
  readonly run: string;
  readonly flows: Observer;
  close(): Promise<void>;
}

/** An agent's API without an agent, on a socket in a run folder of its own. */
export async function fakeAgent(implementation: Partial<ServiceImpl<typeof skep.Agent>>): Promise<FakeAgent> {
  const run = mkdtempSync(join(tmpdir(), "skep-cli-"));
  const flows = new Observer({
    nodeName: "default/endor",
    version: "0",
    now: () => BigInt(Date.now()) * 1_000_000n,
    capacity: 63,
  });
  const server = http2.createServer(
    connectNodeAdapter({
      routes: (router) => observerRoutes(router.service(skep.Agent, implementation), flows),
    }),
  );
  const sessions = new Set<http2.ServerHttp2Session>();
  server.on("session", (session) => sessions.add(session));
  await new Promise<void>((resolve) => server.listen(join(run, "skep.sock"), resolve));
  return {
    run,
    flows,
    close: async () => {
      for (const session of sessions) session.destroy();
      await new Promise<void>((resolve) => server.close(() => resolve()));
      rmSync(run, { recursive: true, force: true });
    },
  };
}

export const notFound = (what: string): ConnectError => new ConnectError(`no endpoint ${what}`, Code.NotFound);
