// The page in headless Chromium: from the request to the first boxes of the map, what is loaded for that, and the table with 100,000 rows. The
// peers of these figures are the aims.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import type { Browser, Page } from "playwright-core";
import { pageFiles } from "../packages/cli/src/page-files.ts";
import { findBrowser, openBrowser, playExample, serveFlows } from "../packages/ui/test/ground.ts";
import { median, print } from "./_lines.ts";

const RUNS = 7;
const ROWS = 100_000;
const STEPS = 240;

const line = (name: string, unit: string, value: number, aim: number): void =>
  print({ bench: "page", case: name, unit, skep: value, peer: aim, peerName: "aim" });

/** Seconds that the page's process has computed: what a machine with nothing else to do would take at most. */
async function computed(page: Page): Promise<number> {
  const session = await page.context().newCDPSession(page);
  await session.send("Performance.enable");
  const { metrics } = await session.send("Performance.getMetrics");
  await session.detach();
  return metrics.find(({ name }) => name === "ProcessTime")?.value ?? Number.NaN;
}

/** A browser that has never been there: nothing is cached. */
async function firstViews(browser: Browser, url: string): Promise<void> {
  const times: number[] = [];
  const computes: number[] = [];
  for (let run = 0; run < RUNS; run++) {
    const context = await browser.newContext({ viewport: { width: 1360, height: 850 } });
    const page = await context.newPage();
    await page.goto(url, { waitUntil: "commit" });
    await page.locator("[data-node]").first().waitFor();
    times.push(await page.evaluate<number>("performance.now()"));
    computes.push((await computed(page)) * 1000);
    await context.close();
  }
  line("first view, nothing cached", "ms", median(times), 1500);
  line("first view, processor time of the page", "ms", median(computes), 1500);
  const assets = join(await pageFiles.page(), "assets");
  const scripts = readdirSync(assets).filter((name) => name.endsWith(".js"));
  const bytes = scripts.reduce((sum, name) => sum + gzipSync(readFileSync(join(assets, name))).length, 0);
  line("all scripts without the playground, gzip", "bytes", bytes, 500_000);
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
  const served = await serveFlows({ flows: ROWS, status: true });
  const page = await browser.newPage({ viewport: { width: 1360, height: 850 } });
  await page.goto(`${served.url}?view=flows`);
  await page.locator(`[aria-rowcount="${ROWS + 1}"]`).waitFor({ timeout: 120_000 });
  line("100,000 flows from the server to the table", "ms", await page.evaluate<number>("performance.now()"), 10_000);
  line("the same, processor time of the page", "ms", (await computed(page)) * 1000, 10_000);
  const before = await computed(page);
  const frames = (await page.evaluate<number[]>(scrolling)).sort((a, b) => a - b);
  const each = ((await computed(page)) - before) * 1000;
  line("a frame while 100,000 rows are turned over, median", "ms", median(frames), 16.7);
  line("the same, processor time of the page", "ms", each / STEPS, 16.7);
  line("a frame, 95th of a hundred", "ms", frames[Math.floor(frames.length * 0.95)] ?? Number.NaN, 33.4);
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
