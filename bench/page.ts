// The page in headless Chromium: from the request to the first boxes of the map, what is loaded for that, and the table with 100,000 rows. The
// peers of these figures are the aims.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { servePage } from "@skep/agent";
import { flow, observer, skep } from "@skep/api";
import type { Browser } from "playwright-core";
import { pageFiles } from "../packages/cli/src/page-files.ts";
import { findBrowser, openBrowser, playExample } from "../packages/ui/test/ground.ts";
import { median, print } from "./_lines.ts";

const RUNS = 7;
const ROWS = 100_000;
const STEPS = 240;

const line = (name: string, unit: string, value: number, aim: number): void =>
  print({ bench: "page", case: name, unit, skep: value, peer: aim, peerName: "aim" });

/** A browser that has never been there: nothing is cached. */
async function firstViews(browser: Browser, url: string): Promise<void> {
  const times: number[] = [];
  for (let run = 0; run < RUNS; run++) {
    const context = await browser.newContext({ viewport: { width: 1360, height: 850 } });
    const page = await context.newPage();
    await page.goto(url, { waitUntil: "commit" });
    await page.locator("[data-node]").first().waitFor();
    times.push(await page.evaluate<number>("performance.now()"));
    await context.close();
  }
  line("first view, nothing cached", "ms", median(times), 1500);
  const assets = join(await pageFiles.page(), "assets");
  const scripts = readdirSync(assets).filter((name) => name.endsWith(".js"));
  const bytes = scripts.reduce((sum, name) => sum + gzipSync(readFileSync(join(assets, name))).length, 0);
  line("all scripts without the playground, gzip", "bytes", bytes, 500_000);
}

function message(i: number, now: number): observer.GetFlowsResponse {
  const end = (name: string): object => ({
    ID: 1,
    identity: 1000,
    namespace: "default",
    podName: name,
    labels: [`k8s:app=${name}`],
  });
  const value = create(flow.FlowSchema, {
    uuid: `u-${i}`,
    time: timestampFromMs(now - (ROWS - i) * 5),
    source: end(`client-${i % 20}`),
    destination: end(`web-${i % 10}`),
    IP: { source: "10.0.0.1", destination: "10.0.0.2" },
    l4: {
      protocol: { case: "TCP", value: { sourcePort: 1024 + (i % 60_000), destinationPort: 80, flags: { SYN: true } } },
    },
    verdict: i % 17 === 0 ? flow.Verdict.DROPPED : flow.Verdict.FORWARDED,
  });
  return create(observer.GetFlowsResponseSchema, { responseTypes: { case: "flow", value } });
}

/** Turns the table by a screen a frame; the time of each frame. */
const scrolling = `new Promise((done) => {
  const grid = document.querySelector("[role=grid]");
  const times = [];
  let last = performance.now();
  const frame = (now) => {
    times.push(now - last);
    last = now;
    grid.scrollTop += grid.clientHeight;
    if (times.length < ${STEPS}) requestAnimationFrame(frame);
    else done(times.slice(5));
  };
  requestAnimationFrame(frame);
})`;

async function manyRows(browser: Browser): Promise<void> {
  const now = Date.now();
  const messages = Array.from({ length: ROWS }, (_, i) => message(i, now));
  const served = await servePage({
    listen: "127.0.0.1:0",
    files: pageFiles,
    routes: (router) => {
      router.service(skep.Agent, { getStatus: () => ({ nodeName: "bench" }) });
      router.service(observer.Observer, {
        async *getFlows(_request, { signal }) {
          yield* messages;
          await new Promise((resolve) => signal.addEventListener("abort", resolve));
        },
      });
    },
  });
  const page = await browser.newPage({ viewport: { width: 1360, height: 850 } });
  await page.goto(`${served.url}?view=flows`);
  await page.locator(`[aria-rowcount="${ROWS + 1}"]`).waitFor({ timeout: 120_000 });
  line("100,000 flows from the server to the table", "ms", await page.evaluate<number>("performance.now()"), 10_000);
  const frames = (await page.evaluate<number[]>(scrolling)).sort((a, b) => a - b);
  line("a frame while 100,000 rows are turned over, median", "ms", median(frames), 16.7);
  line("the same, 95th of a hundred", "ms", frames[Math.floor(frames.length * 0.95)] ?? Number.NaN, 33.4);
  await page.close();
  await served.close();
}

const command = findBrowser();
if (command === null) {
  process.stderr.write("page: there is no chromium\n");
  process.exit(2);
}
const browser = await openBrowser(command);
try {
  await manyRows(browser);
  const ground = await playExample();
  await firstViews(browser, ground.url);
  await ground.close();
} finally {
  await browser.close();
}
