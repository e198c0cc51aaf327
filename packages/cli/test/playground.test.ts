import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it, test, vi } from "vitest";
import { readCapture, writePcap } from "@skep/net";
import { pageFiles } from "../src/page-files.ts";
import { builtInCapture } from "../src/playground/page/capture.ts";
import { examples } from "../src/playground/page/examples.ts";
import { type PageServer, servePage } from "../src/playground/server.ts";
import { Browser, findChromium } from "./browser.ts";
import { skep } from "./in-process.ts";

const chromium = findChromium();
if (chromium === null) console.warn("skipped: the playground in a browser: chromium is not installed");

let server: PageServer;
beforeAll(async () => {
  server = await servePage(await pageFiles.playground(), 0);
}, 300_000);
afterAll(() => server.close());

/** With headers that `fetch` does not let one choose. */
function get(path: string, headers: Record<string, string> = {}, method = "GET"): Promise<number> {
  return new Promise((resolve, reject) => {
    request(new URL(path, server.url), { method, headers }, (response) => {
      response.resume();
      resolve(response.statusCode ?? 0);
    })
      .once("error", reject)
      .end();
  });
}

test("the documentation names the examples and the choices that there are", () => {
  const document = readFileSync(new URL("../../../docs/playground.md", import.meta.url), "utf8");
  for (const { name } of examples) expect(document).toContain(`\`${name}\``);
  expect(document).toContain("?example=xdp-filter&place=host&run=1");
});

describe("the server", () => {
  it("forbids the page to ask anybody else, or to evaluate text", async () => {
    const response = await fetch(server.url);
    const policy = response.headers.get("content-security-policy") ?? "";
    expect(policy).toContain("default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; connect-src 'none'");
    expect(policy).not.toContain("'unsafe-");
    expect(await response.text()).toContain("<title>Skep playground</title>");
  });

  it("serves the page's files, to its own name", async () => {
    expect(new URL(server.url).hostname).toBe("127.0.0.1");
    expect(await get("/main.js")).toBe(200);
    expect(await get("/worker.js")).toBe(200);
    expect(await get("/.stamp")).toBe(404);
    expect(await get("/../skep.mjs")).toBe(404);
    expect(await get("/", {}, "POST")).toBe(405);
    expect(await get("/", { host: "elsewhere.example" })).toBe(403);
  });

  it("says so where the port is taken", async () => {
    const { port } = new URL(server.url);
    const ran = await skep("playground", "--port", port, "--open", "no");
    expect(ran).toMatchObject({ status: 1, stdout: "" });
    expect(ran.stderr).toContain(`cannot listen on port ${port}: it is taken`);
    expect((await skep("playground", "--port", "70000")).status).toBe(2);
  });
});

describe.skipIf(chromium === null)("the page in a browser", () => {
  let browser: Browser;
  beforeAll(async () => {
    browser = new Browser(chromium ?? "");
    await browser.open();
  }, 300_000);
  afterAll(() => browser.close(), 30_000);

  /** Opens the page and waits until it has done what the query asks for. */
  async function open(query: string): Promise<void> {
    await browser.go(`${server.url}?${query}`);
    await done();
  }
  const done = (): Promise<void> =>
    browser.until(
      `location.href !== "about:blank" && document.readyState === "complete" &&
       !/^Loading|\\.\\.\\.$/.test(document.getElementById("status")?.textContent ?? "Loading")`,
    );
  const text = (id: string): Promise<string> =>
    browser.evaluate(`document.getElementById(${JSON.stringify(id)}).innerText`);
  /** Cells of the table with the caption, row by row. */
  const table = (caption: string): Promise<string[][] | null> =>
    browser.evaluate(`(() => {
      const found = [...document.querySelectorAll("table")].find((each) => each.caption.textContent === ${JSON.stringify(caption)});
      return found ? [...found.tBodies[0].rows].map((row) => [...row.cells].map((cell) => cell.textContent)) : null;
    })()`);
  const column = (rows: string[][] | null, index: number): (string | undefined)[] =>
    (rows ?? []).map((row) => row[index]);
  const press = async (id: string): Promise<void> => {
    await browser.evaluate(`document.getElementById(${JSON.stringify(id)}).click()`);
    await done();
  };

  it("compiles, verifies and runs a filter, with every engine", async () => {
    for (const engine of ["checked", "fast", "interpreter"]) {
      await open(`example=xdp-filter&engine=${engine}&run=1`);
      expect(await text("status")).toBe("filter ran on 8 packets.");
      expect(await text("verdicts")).toMatch(/filter: accepted \(\d+ instructions walked/);
      expect(column(await table("8 packets"), 1)).toEqual([
        ...["PASS", "PASS", "PASS", "DROP", "DROP", "DROP", "PASS", "PASS"],
      ]);
      expect(await table("verdicts (hash)")).toEqual([
        ["1", "{ packets: 3, bytes: 180 }"],
        ["2", "{ packets: 5, bytes: 300 }"],
      ]);
      expect((await table("blocked (hash)"))?.sort()).toEqual([
        ["23", "2"],
        ["53", "1"],
      ]);
      expect(await text("listing")).toContain("call bpf_map_lookup_elem#1");
    }
  });

  it("gives away what was not dropped, as a capture", async () => {
    const folder = mkdtempSync(join(tmpdir(), "skep-playground-"));
    try {
      await browser.downloadTo(folder);
      await open("example=xdp-filter&run=1");
      await browser.evaluate(`document.querySelector("#outcome a").click()`);
      const file = join(folder, "out.pcap");
      await vi.waitUntil(() => existsSync(file), 60_000);
      const kept = builtInCapture().filter((_, i) => ![3, 4, 5].includes(i));
      const read = readCapture(readFileSync(file)).packets;
      expect(read.map(({ data, timestamp }) => [timestamp, Buffer.from(data).toString("hex")])).toEqual(
        kept.map(({ data, timestamp }) => [timestamp, Buffer.from(data).toString("hex")]),
      );
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it("runs a program on a simulated host, which answers what is let through", async () => {
    await open("example=xdp-filter&place=host&run=1");
    const rows = await table("8 packets");
    expect(column(rows, 1)[3]).toBe("dropped");
    expect(rows?.[1]).toEqual([
      ...["2", "let through", "ICMP echo request 10.0.0.2 > 10.0.0.1", "60"],
      "answer: ICMP echo reply 10.0.0.1 > 10.0.0.2",
    ]);
    expect(rows?.[2]?.[4]).toBe("answer: TCP 10.0.0.1:80 > 10.0.0.2:40001 RST,ACK");
  });

  it("runs a tc program on a chosen capture, by keyboard", async () => {
    const folder = mkdtempSync(join(tmpdir(), "skep-playground-"));
    try {
      const file = join(folder, "in.pcap");
      writeFileSync(file, writePcap(builtInCapture().slice(1, 5)));
      await open("example=tc-counter");
      await browser.chooseFiles("#capture", [file]);
      await browser.until(`document.getElementById("capture-note").textContent === "4 packets, in.pcap"`);
      await browser.evaluate(`document.getElementById("source").focus()`);
      await browser.pressWithControl("Enter", 13);
      await browser.until(`document.getElementById("status").textContent === "counter ran on 4 packets."`);
      expect(column(await table("4 packets"), 1)).toEqual(["OK", "OK", "OK", "OK"]);
      expect((await table("traffic (hash)"))?.sort()).toEqual([
        ["{ address: 10.0.0.2 }", "{ packets: 2, bytes: 120 }"],
        ["{ address: 10.0.0.3 }", "{ packets: 2, bytes: 120 }"],
      ]);
      const wrong = join(folder, "wrong.pcap");
      writeFileSync(wrong, "no capture");
      await browser.chooseFiles("#capture", [wrong]);
      await browser.until(`/^Reading failed: wrong.pcap: /.test(document.getElementById("status").textContent)`);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it("shows queues, rings and variables, of the program that is chosen", async () => {
    const module = `import { global, queue, ringBuf, struct, u32, u64, xdp, XDP } from "@skep/bpf";
      const Record = struct("Record", { length: u32 });
      export const seen = global("seen", u64, 0n);
      export const lengths = queue("lengths", { value: u32, maxEntries: 2 });
      export const records = ringBuf("records", Record, { bytes: 4096 });
      export const first = xdp("first", () => XDP.PASS);
      export const second = xdp("second", (ctx) => {
        seen.value += 1n;
        lengths.push(ctx.length);
        if (seen.value === 1n) records.emit({ length: ctx.length });
        return XDP.DROP;
      });`;
    for (const place of ["alone", "host"]) {
      await open(`place=${place}`);
      await browser.evaluate(`document.getElementById("source").value = ${JSON.stringify(module)}`);
      await press("compile");
      expect(await text("status")).toBe("Compiled: first, second.");
      await browser.evaluate(`document.getElementById("program").value = "second"`);
      await press("run");
      expect(await text("status")).toBe("second ran on 8 packets.");
      expect(await text("outcome")).toContain(place === "alone" ? "8 DROP" : "8 dropped");
      expect(await table(".bss (variables)")).toEqual([["seen", "8"]]);
      expect(await table("lengths (queue)")).toEqual([
        ["1", "60"],
        ["2", "60"],
      ]);
      expect(await table("records (ringbuf)")).toEqual([["1", "3c 00 00 00"]]);
    }
  });

  it("shows a mistake with line and caret, and leads to it", async () => {
    await open("example=mistake");
    await press("compile");
    expect(await text("status")).toBe("It does not compile.");
    expect(await text("problems")).toContain(
      "program.bpf.ts:7:10: error TS18047: 'ip' is possibly 'null'.\n7 |   return ip.ttl > 1 ? XDP.PASS : XDP.DROP;\n  |          ^~",
    );
    await browser.evaluate(`document.querySelector("#problems button").click()`);
    const selected = `(({ value, selectionStart, selectionEnd }) => value.slice(selectionStart, selectionEnd))(document.activeElement)`;
    expect(await browser.evaluate(selected)).toBe("ip");
  });

  it("shows why the verifier refuses, and does not run what it refuses", async () => {
    await open("example=refused&run=1");
    expect(await text("status")).toBe("The verifier refuses walk.");
    const shown = await text("verdicts");
    expect(shown).toContain("walk: refused: the path comes back here with nothing changed [VER6002]");
    expect(shown).toMatch(/mend: Count in a register/);
    expect(shown).toMatch(/branch taken|branch not taken/);
    expect(await browser.evaluate(`document.getElementById("outcome").hidden`)).toBe(true);
  });

  it("stays awake while a program runs, and stops it", async () => {
    const module = `import { global, loop, u32, u64, xdp, XDP } from "@skep/bpf";
      export const rounds = global("rounds", u64, 0n);
      export const long = xdp("long", () => {
        loop(8_000_000, () => { rounds.value += 1n; });
        return XDP.PASS;
      });`;
    await open("engine=interpreter");
    await browser.evaluate(`document.getElementById("source").value = ${JSON.stringify(module)}`);
    await browser.evaluate(`(() => {
      window.ticks = 0;
      const [status, verdicts] = ["status", "verdicts"].map((id) => document.getElementById(id));
      setInterval(() => { if (status.textContent === "Running ..." && !verdicts.hidden) window.ticks += 1; }, 5);
      document.getElementById("run").click();
    })()`);
    // While it runs the page's own timers go on, and its controls are heard.
    await browser.until(`window.ticks > 10`);
    expect(await text("status")).toBe("Running ...");
    await browser.evaluate(`document.getElementById("stop").click()`);
    await browser.until(`document.getElementById("status").textContent === "Running failed: it was stopped"`);
    expect(await browser.evaluate(`document.getElementById("run").disabled`)).toBe(false);
    // The next question has a worker of its own.
    await press("compile");
    expect(await text("status")).toBe("Compiled: long.");
  });

  it("has a label for every control", async () => {
    const without = `[...document.querySelectorAll("select, input, textarea")].filter((each) => each.labels.length === 0).length`;
    expect(await browser.evaluate(without)).toBe(0);
  });

  it("asks nobody but its server", () => {
    const others = browser.requests.filter((url) => !url.startsWith(server.url) && !url.startsWith("about:"));
    expect(browser.requests.length).toBeGreaterThan(3);
    expect(others).toEqual([]);
  });
});
