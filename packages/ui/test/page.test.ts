// The page in a headless browser, on the example's traffic on the simulated machine: no root, no kernel, no network.
import { readdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { join } from "node:path";
import type { Browser, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { pageFiles } from "../../cli/src/page-files.ts";
import { findBrowser, type Ground, listen, openBrowser, playExample, serveFlows } from "./ground.ts";

const command = findBrowser();
if (command === null) console.log("the page is not tested: there is no chromium");

/** Set to write the screenshots of the README anew. */
const screenshots = process.env["SKEP_SCREENSHOTS"] === "1";
const images = fileURLToPath(new URL("../../../docs/images/", import.meta.url));
const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

const DENIED = '[data-edge="default/xwing>default/deathstar:80/TCP"]';
const LABEL = '[data-label="default/xwing>default/deathstar:80/TCP"]';

interface Found {
  readonly id: string;
  readonly help: string;
  readonly nodes: readonly { readonly html: string; readonly failureSummary: string }[];
}

/** What axe finds wrong, by all of its rules or some. */
async function violations(page: Page, rules: readonly string[] | null): Promise<string[]> {
  // Past the page's own policy, which would not let the script in.
  await page.evaluate(`if (!window.axe) ${axe}`);
  const options = rules === null ? "{}" : JSON.stringify({ runOnly: rules });
  const found = await page.evaluate<Found[]>(`axe.run(${options}).then(({ violations }) => violations)`);
  return found.map(({ id, help, nodes }) => `${id}: ${help}\n${nodes.map((node) => `  ${node.html}`).join("\n")}`);
}

describe.skipIf(command === null)("the page", () => {
  let ground: Ground;
  let browser: Browser;
  let page: Page;
  let heard: ReturnType<typeof listen>;

  beforeAll(async () => {
    [ground, browser] = await Promise.all([playExample(), openBrowser(command ?? "")]);
    page = await browser.newPage({ viewport: { width: 1360, height: 850 } });
    // A machine that does other things too.
    page.setDefaultTimeout(60_000);
    heard = listen(page);
  }, 120_000);
  afterAll(async () => {
    await browser?.close();
    await ground?.close();
  });
  beforeEach(() => {
    heard.errors.splice(0);
    heard.requests.splice(0);
  });
  afterEach(() => {
    expect(heard.errors).toEqual([]);
    // Nothing leaves the loopback.
    expect(heard.requests.filter((url) => !url.startsWith(ground.url))).toEqual([]);
  });

  const open = async (search = ""): Promise<void> => {
    await page.goto(`${ground.url}${search}`);
    await page.locator(".pill.live, .pill.complete").waitFor();
  };
  /** Asks until it is true; the page's own policy does not let playwright ask in the page. */
  const until = async (expression: string): Promise<void> => {
    for (let i = 0; i < 1200; i++) {
      if (await page.evaluate<boolean>(expression)) return;
      await page.waitForTimeout(50);
    }
    throw new Error(`never: ${expression}`);
  };
  const shoot = async (name: string): Promise<void> => {
    if (screenshots) await page.screenshot({ path: join(images, `${name}.png`) });
  };

  it("shows the example's nodes and edges, the denied one red, and its details name the policy", async () => {
    await open();
    for (const name of ["tiefighter", "xwing", "deathstar"])
      await page.locator(`[data-node="default/${name}"]`).waitFor();
    await page.locator('[data-edge="default/tiefighter>default/deathstar:80/TCP"][data-tone=good]').waitFor();
    // Allowed before the policy, denied since.
    await page.locator(`${DENIED}[data-tone=mixed]`).waitFor();
    const colour = await page.evaluate<string>(
      `getComputedStyle(document.querySelector('${DENIED} .edge-line')).stroke`,
    );
    const [red = 0, green = 0, blue = 0] = (/\d+, \d+, \d+/.exec(colour)?.[0] ?? "").split(", ").map(Number);
    expect(red).toBeGreaterThan(green + 100);
    expect(red).toBeGreaterThan(blue + 100);
    await page.locator(LABEL).click();
    const details = page.locator(".drawer");
    await details.getByText("ingress denied by").waitFor();
    expect(await details.innerText()).toMatch(/default\/rule1[\s\S]*Policy denied/);
    await details.getByText("but the peer has org=alliance, not empire").waitFor();
    await shoot("page-map");
    await details.getByRole("button", { name: "default/rule1" }).first().click();
    await page.getByRole("heading", { name: /default\/rule1/ }).waitFor();
    expect(await page.getByRole("textbox", { name: "Text of default/rule1" }).inputValue()).toContain("org: empire");
    expect(await page.locator(".selects").innerText()).toMatch(/deathstar-1[\s\S]*deathstar-2/);
  });

  it("groups by pod and by namespace, and says so in its address", async () => {
    await open();
    const group = page.getByRole("combobox", { name: "Group by" });
    await group.selectOption("pod");
    await page.locator('[data-edge="default/tiefighter>default/deathstar-1:80/TCP"]').waitFor({ state: "attached" });
    expect(await page.locator('[data-node^="default/deathstar-"]').count()).toBe(2);
    await group.selectOption("namespace");
    await page.locator(".node", { hasText: "4 workloads" }).waitFor();
    expect(await page.locator(".node").count()).toBe(1);
    expect(page.url()).toContain("group=namespace");
  });

  it("filters by chips, which stand in its address, and says what is wrong with one", async () => {
    await open();
    const input = page.getByRole("combobox", { name: "Add a filter" });
    await page.keyboard.press("/");
    await page.keyboard.type("verdict=dr");
    await page.keyboard.press("ArrowDown");
    await page.keyboard.press("Enter");
    await page.locator(".chip", { hasText: "DROPPED" }).waitFor();
    expect(page.url()).toContain("f=verdict%3DDROPPED");
    await page.locator('[data-edge="default/xwing>default/deathstar:80/TCP"][data-tone=denied]').waitFor();
    await until("document.querySelectorAll('.rows .row').length > 3");
    expect(await page.locator(".rows .row:not(.dropped)").count()).toBe(0);
    await input.fill("port=99999");
    await input.press("Enter");
    await page.getByText("is no port").waitFor();
    await input.fill("!from-pod=xwing");
    await input.press("Enter");
    await page.locator('[data-node="default/xwing"]').waitFor({ state: "detached" });
    // Another who opens the link sees the same.
    await page.goto(page.url());
    await page.locator(".chip.not", { hasText: "xwing" }).waitFor();
    await page.getByRole("button", { name: "Remove !from-pod=xwing" }).click();
    await page.locator('[data-node="default/xwing"]').waitFor();
    await page.goBack();
    await page.locator(".chip.not").waitFor();
    await page.getByRole("button", { name: "Clear" }).click();
    await page.locator('[data-node="default/tiefighter"]').waitFor();
    // Of a stream without a flow the server says nothing at all.
    await page.goto(`${ground.url}?f=port%3D9999`);
    await page.getByText("No flow matches").waitFor();
    await page.locator(".pill.live").waitFor();
  });

  it("goes back in time by its slider, by keyboard too, and returns to what comes", async () => {
    await open("?view=flows");
    await page.getByRole("combobox", { name: "Length of the timeline" }).selectOption("5 min");
    await page.locator(".bar-bad").first().waitFor({ state: "attached" });
    const end = page.getByRole("slider", { name: "End of the period" });
    await end.focus();
    await end.press("ArrowLeft");
    await page.locator(".pill.complete").waitFor();
    await page.locator(".rows .row").first().waitFor();
    expect(page.url()).toMatch(/from=.*&to=/);
    const to = Date.parse(new URL(page.url()).searchParams.get("to") ?? "");
    const count = await page.locator(".table-bar .quiet").first().innerText();
    await page.waitForTimeout(800);
    // What comes meanwhile is not of this period.
    expect(await page.locator(".table-bar .quiet").first().innerText()).toBe(count);
    await end.press("PageDown");
    await until(`Date.parse(new URL(location.href).searchParams.get("to")) < ${to - 10_000}`);
    const room = await page.locator(".time-room").boundingBox();
    if (!room) throw new Error("there is no timeline");
    await page.mouse.move(room.x + room.width * 0.05, room.y + 15);
    await page.mouse.down();
    await page.mouse.move(room.x + room.width * 0.15, room.y + 15, { steps: 4 });
    await page.mouse.up();
    await page.getByText("No flow matches").waitFor();
    await page.getByRole("button", { name: "Live" }).click();
    await page.locator(".pill.live").waitFor();
    await page.locator(".rows .row").first().waitFor();
  });

  it("shows a flow in full, and is used by keyboard alone", async () => {
    await open("?view=flows&f=verdict%3DDROPPED");
    await page.locator(".rows .row").first().waitFor();
    await page.getByRole("grid").focus();
    await page.keyboard.press("ArrowDown");
    await page.locator(".drawer").getByText("ingress denied by").waitFor();
    expect(page.url()).toContain("flow=");
    const first = page.url();
    await page.keyboard.press("j");
    await until(`location.href !== ${JSON.stringify(first)}`);
    await page.locator(".row.selected").waitFor();
    await page.keyboard.press("Escape");
    await page.locator(".drawer").waitFor({ state: "detached" });
    await page.keyboard.press("4");
    await page.getByRole("heading", { name: "Endpoints" }).waitFor();
    await page.keyboard.press("5");
    await page.getByText("10.96.0.10:80/TCP").waitFor();
    await page.keyboard.press("1");
    await page.locator('[data-node="default/xwing"]').waitFor();
    await page.keyboard.press(" ");
    await page.getByRole("button", { name: "Go on" }).waitFor();
    await page.keyboard.press(" ");
    await page.getByRole("button", { name: "Hold" }).waitFor();
  });

  it("simulates a policy on the shown flows, and suggests one", async () => {
    await open("?view=policies");
    const text = page.getByRole("textbox", { name: "Text of default/rule1" });
    const simulate = page.getByRole("button", { name: /^Simulate on/ });
    await until("document.querySelector('textarea').value.includes('empire')");
    await text.fill((await text.inputValue()).replace(/(- matchLabels:\s+org: )empire/, "$1alliance"));
    await simulate.click();
    const changes = page.locator(".changes");
    await changes.locator("tbody tr", { hasText: "default/tiefighter" }).first().waitFor();
    expect(await changes.innerText()).toMatch(/would get another verdict[\s\S]*denied/);
    await shoot("page-policies");
    await text.fill("kind: [");
    await simulate.click();
    await page.getByText("The text has errors").waitFor();
    await page.getByRole("button", { name: "Undo changes" }).click();
    await page.getByRole("button", { name: /^Suggest from/ }).click();
    await page.getByText(/Replayed against them, 0 of these/).waitFor();
    const draft = await page.getByRole("textbox", { name: "Text of a new policy" }).inputValue();
    expect(draft).toContain("name: deathstar-observed");
    await simulate.click();
    await page.locator(".changes-sum").waitFor();
  });

  it("plots rates, and has the playground in it", async () => {
    await open("?view=metrics");
    await page.locator(".plot canvas").nth(2).waitFor();
    expect(await page.locator(".tile", { hasText: "Endpoints" }).innerText()).toMatch(/4$/);
    await until("/forwarded [0-9]*[.]?[0-9]+ /.test(document.querySelector('.plot [role=img]').ariaLabel)");
    await page.keyboard.press("8");
    const frame = page.frameLocator("iframe");
    await frame.getByRole("button", { name: "Compile" }).click();
    await frame.getByText(/^Compiled: /).waitFor();
  });

  it("has nothing that axe objects to, in light and dark", async () => {
    await page.emulateMedia({ reducedMotion: "reduce" });
    await open();
    await page.locator(LABEL).click();
    await page.locator(".drawer .why-box").waitFor();
    const both = async (what: string): Promise<void> => {
      await page.emulateMedia({ colorScheme: "light" });
      expect(await violations(page, null), what).toEqual([]);
      // Only colours differ.
      await page.emulateMedia({ colorScheme: "dark" });
      expect(await violations(page, ["color-contrast"]), `${what}, dark`).toEqual([]);
    };
    await both("map");
    const lists = { endpoints: "tbody tr", services: "tbody tr", identities: "tbody tr" };
    const marks = { flows: ".rows .row", policies: "textarea", ...lists, metrics: ".plot canvas" };
    for (const [view, mark] of Object.entries(marks)) {
      await page.getByRole("button", { name: new RegExp(`^${view}$`, "i") }).click();
      await page.locator(mark).first().waitFor();
      await both(view);
    }
    await page.locator(".plot canvas").nth(2).waitFor();
    await shoot("page-metrics");
    // In the page it is a frame, which axe would have to be in, too.
    await page.goto(`${ground.url}playground/`);
    await page.getByText("Ready.").waitFor();
    await both("playground");
  }, 300_000);

  it("fits a phone: all views in reach, both ends of a flow and its verdict, the whole time", async () => {
    const phone = await browser.newPage({ viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true });
    try {
      phone.setDefaultTimeout(60_000);
      await phone.goto(ground.url);
      await phone.locator(".pill.live").waitFor();
      await phone.locator(".rows .row.dropped .verdict").first().waitFor();
      const isInside = async (selector: string, least: number): Promise<void> => {
        for (const each of await phone.locator(selector).all()) {
          const { x, width } = (await each.boundingBox())!;
          expect({ selector, isIn: x >= 0 && x + width <= 391, isWide: width >= least }).toEqual({
            ...{ selector, isIn: true, isWide: true },
          });
        }
      };
      for (const view of ["Flows", "Policies", "Endpoints", "Services", "Identities", "Metrics", "Map"]) {
        await phone.getByRole("button", { name: view, exact: true }).click();
        await phone.locator(`.tab[aria-current][aria-label="${view}"]`).waitFor();
        expect(await phone.evaluate("document.documentElement.scrollWidth"), view).toBeLessThanOrEqual(390);
        await isInside(".tab", 20);
      }
      await isInside(".time-room", 300);
      await isInside(".rows .row:first-child .cell.end, .rows .row:first-child .verdict", 8);
      await phone.locator(".rows .row.dropped").first().click();
      await phone.locator(".drawer").getByText("ingress denied by").waitFor();
      await isInside(".drawer", 380);
      expect(await violations(phone, null)).toEqual([]);
    } finally {
      await phone.close();
    }
  }, 120_000);

  it("is small and built for production: under 500 KB of script without the playground", async () => {
    const assets = join(await pageFiles.page(), "assets");
    const scripts = readdirSync(assets).filter((name) => name.endsWith(".js"));
    const texts = scripts.map((name) => readFileSync(join(assets, name), "utf8"));
    const bytes = texts.map((text) => gzipSync(text).length);
    expect(bytes.reduce((sum, each) => sum + each, 0)).toBeLessThan(500_000);
    // Whatever the environment says: React for development is a tenth as fast.
    expect(texts.join("")).not.toContain("jsxDEV");
  });

  it("says when the agent is gone, keeps what it has, and comes back with it", async () => {
    const first = await serveFlows({ flows: 100, status: true });
    await page.goto(first.url);
    await page.locator('[data-node="default/web-1"]').waitFor();
    await page.locator(".pill.live").waitFor();
    await first.close();
    await page.locator(".pill.lost").waitFor();
    await page.getByText("What is shown is from before").waitFor();
    expect(await page.locator('[data-node="default/web-1"]').count()).toBe(1);
    await page.getByRole("button", { name: "Endpoints", exact: true }).click();
    await page.getByText("The agent does not answer", { exact: true }).waitFor();
    const again = await serveFlows({ flows: 100, status: true, listen: new URL(first.url).host });
    await page.getByText("There are no endpoints").waitFor();
    await page.locator(".pill.live").waitFor();
    await page.getByRole("button", { name: "Flows", exact: true }).click();
    await page.locator('[aria-rowcount="101"]').waitFor();
    await again.close();
    heard.errors.splice(0);
    heard.requests.splice(0);
  });

  it("shows 100,000 flows as a few rows at a time, of a server that knows flows alone", async () => {
    const served = await serveFlows({ flows: 100_000, status: false });
    await page.goto(`${served.url}?view=flows`);
    await page.locator('[aria-rowcount="100001"]').waitFor();
    await page.locator(".pill.live").waitFor();
    const grid = page.getByRole("grid");
    await grid.focus();
    await grid.press("End");
    await page.locator('[aria-rowindex="100001"]', { hasText: "web-0" }).waitFor();
    expect(await page.locator(".rows .row").count()).toBeLessThan(80);
    await grid.press("Home");
    await page.locator('[aria-rowindex="2"]').waitFor();
    await page.getByRole("button", { name: "Policies", exact: true }).click();
    await page.getByText("This server does not tell its policies").waitFor();
    await served.close();
    heard.errors.splice(0);
    heard.requests.splice(0);
  }, 300_000);
});
