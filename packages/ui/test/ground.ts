/**
 * @module
 * The example on the simulated machine with its page, and a browser for it.
 */
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { type RunningPage, servePage } from "@skep/agent";
import { flow, observer, skep } from "@skep/api";
import { type Browser, chromium, type Page } from "playwright-core";
import { demo } from "../../cli/src/demo/demo.ts";
import { pageFiles } from "../../cli/src/page-files.ts";

/** The installed browser; null where there is none. */
export function findBrowser(): string | null {
  const names = ["chromium", "chromium-browser", "google-chrome"];
  for (const name of names) {
    const found = spawnSync("sh", ["-c", `command -v ${name}`], { encoding: "utf8" });
    if (found.status === 0) return found.stdout.trim();
  }
  return null;
}

export function openBrowser(executablePath: string): Promise<Browser> {
  // As root there is no sandbox, and containers have little of /dev/shm.
  return chromium.launch({ executablePath, args: ["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"] });
}

export interface Ground {
  readonly url: string;
  close(): Promise<void>;
}

/** Plays the example to its end; its ships fly on until it is closed. */
export async function playExample(): Promise<Ground> {
  const stop = new AbortController();
  const example = fileURLToPath(new URL("../../../examples/star-wars", import.meta.url));
  let played: Promise<number> | undefined;
  const url = await new Promise<string>((resolve, reject) => {
    const write = process.stdout.write.bind(process.stdout);
    let text = "";
    const restore = (): void => {
      process.stdout.write = write;
    };
    // The example talks to a terminal.
    process.stdout.write = ((chunk: string | Uint8Array): boolean => {
      text += typeof chunk === "string" ? chunk : new TextDecoder().decode(chunk);
      const found = /See it:\S* (http:\S+)/.exec(text);
      if (found?.[1] !== undefined) {
        restore();
        resolve(found[1]);
      }
      return true;
    }) as typeof process.stdout.write;
    played = demo({ once: false, run: "", example, sim: true, uiAddr: "127.0.0.1:0", signal: stop.signal });
    played.then(
      (code) => reject(new Error(`the example ended with ${code}:\n${text}`)),
      (error: unknown) => reject(error as Error),
    );
    played.finally(restore).catch(() => undefined);
  });
  return {
    url,
    close: async () => {
      stop.abort();
      await played;
    },
  };
}

/** Everything that a page asks for, and every error that it shows in its console. */
export function listen(page: Page): { readonly requests: string[]; readonly errors: string[] } {
  const heard = { requests: [] as string[], errors: [] as string[] };
  page.on("request", (request) => heard.requests.push(request.url()));
  page.on("pageerror", (error) => heard.errors.push(error.message));
  page.on("console", (message) => {
    if (message.type() === "error") heard.errors.push(message.text());
  });
  return heard;
}

/** The flow number `i`: of one of 20 clients to one of 10 servers, one in 17 dropped. `time`: milliseconds since 1970. */
export function flowMessage(i: number, time: number): observer.GetFlowsResponse {
  const end = (name: string): object => ({
    ...{ ID: 1, identity: 1000, namespace: "default", podName: name, labels: [`k8s:app=${name}`] },
  });
  const tcp = { sourcePort: 1024 + (i % 60_000), destinationPort: 80, flags: { SYN: true } };
  const value = create(flow.FlowSchema, {
    uuid: `u-${i}`,
    time: timestampFromMs(time),
    source: end(`client-${i % 20}`),
    destination: end(`web-${i % 10}`),
    IP: { source: "10.0.0.1", destination: "10.0.0.2" },
    l4: { protocol: { case: "TCP", value: tcp } },
    verdict: i % 17 === 0 ? flow.Verdict.DROPPED : flow.Verdict.FORWARDED,
  });
  return create(observer.GetFlowsResponseSchema, { responseTypes: { case: "flow", value } });
}

export interface ServedFlows {
  readonly flows: number;
  /** With the agent's service beside Hubble's. */
  readonly status: boolean;
  readonly listen?: string;
}

/** The page of a server with so many flows, which then stays silent. */
export function serveFlows({ flows, status, listen: at = "127.0.0.1:0" }: ServedFlows): Promise<RunningPage> {
  const now = Date.now();
  const messages = Array.from({ length: flows }, (_, i) => flowMessage(i, now - (flows - i) * 5));
  return servePage({
    listen: at,
    files: pageFiles,
    routes: (router) => {
      // Behind a server of Hubble's API alone these answer that they do not know the question.
      router.service(skep.Flows, {});
      router.service(skep.Agent, status ? { getStatus: () => ({ nodeName: "bench" }), listEndpoints: () => ({}) } : {});
      router.service(observer.Observer, {
        async *getFlows(_request, { signal }) {
          yield* messages;
          await new Promise((resolve) => signal.addEventListener("abort", resolve));
        },
      });
    },
  });
}
