/**
 * @module
 * Headless Chromium over its DevTools protocol on a pipe: NUL-separated JSON on descriptors 3 (in) and 4 (out).
 */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Readable, Writable } from "node:stream";

/** The installed browser's command; null where there is none. */
export function findChromium(): string | null {
  const found = ["chromium", "chromium-browser", "google-chrome"].find(
    (name) => spawnSync(name, ["--version"], { stdio: "ignore" }).status === 0,
  );
  return found ?? null;
}

interface Message {
  readonly id?: number;
  readonly method?: string;
  readonly params?: unknown;
  readonly result?: unknown;
  readonly error?: { readonly message: string };
}

interface Waiting {
  resolve(result: unknown): void;
  reject(error: Error): void;
}

export class Browser {
  /** Addresses of everything that the page asked for. */
  readonly requests: string[] = [];
  readonly #process: ChildProcess;
  readonly #profile: string;
  readonly #waiting = new Map<number, Waiting>();
  #session: string | undefined;
  #lastId = 0;
  #rest = "";

  constructor(command: string) {
    this.#profile = mkdtempSync(join(tmpdir(), "skep-chromium-"));
    // Containers have little of /dev/shm, and as root there is no sandbox.
    const room = ["--no-sandbox", "--disable-dev-shm-usage"];
    const flags = ["--headless=new", "--disable-gpu", "--no-first-run", "--remote-debugging-pipe", ...room];
    this.#process = spawn(command, [...flags, `--user-data-dir=${this.#profile}`, "about:blank"], {
      stdio: ["ignore", "ignore", "ignore", "pipe", "pipe"],
      env: { ...process.env, HOME: this.#profile },
    });
    const output = this.#process.stdio[4] as Readable;
    output.setEncoding("utf8").on("data", (text: string) => this.#read(text));
    this.#process.once("exit", (code) => {
      for (const each of this.#waiting.values()) each.reject(new Error(`the browser has ended (${code})`));
    });
  }

  #read(text: string): void {
    const parts = (this.#rest + text).split("\0");
    this.#rest = parts.pop() ?? "";
    for (const part of parts) this.#take(JSON.parse(part) as Message);
  }

  #take({ id, method, params, result, error }: Message): void {
    if (method === "Network.requestWillBeSent") {
      this.requests.push((params as { readonly request: { readonly url: string } }).request.url);
    }
    const waiting = id === undefined ? undefined : this.#waiting.get(id);
    if (id === undefined || waiting === undefined) return;
    this.#waiting.delete(id);
    if (error) waiting.reject(new Error(error.message));
    else waiting.resolve(result);
  }

  send<T>(method: string, params: object = {}): Promise<T> {
    const id = ++this.#lastId;
    const session = this.#session === undefined ? {} : { sessionId: this.#session };
    (this.#process.stdio[3] as Writable).write(`${JSON.stringify({ id, method, params, ...session })}\0`);
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve: (result) => resolve(result as T), reject });
    });
  }

  /** Opens the one page that the other methods are about. */
  async open(): Promise<void> {
    const { targetId } = await this.send<{ targetId: string }>("Target.createTarget", { url: "about:blank" });
    const attached = await this.send<{ sessionId: string }>("Target.attachToTarget", { targetId, flatten: true });
    this.#session = attached.sessionId;
    for (const domain of ["Page", "Network", "Runtime", "DOM"]) await this.send(`${domain}.enable`);
  }

  async go(url: string): Promise<void> {
    await this.send("Page.navigate", { url });
  }

  /** Value of an expression in the page; promises are awaited. */
  async evaluate<T>(expression: string): Promise<T> {
    const { result, exceptionDetails } = await this.send<{
      result: { value: T };
      exceptionDetails?: { exception?: { description?: string } };
    }>("Runtime.evaluate", { expression, awaitPromise: true, returnByValue: true });
    if (exceptionDetails) throw new Error(exceptionDetails.exception?.description ?? "an exception in the page");
    return result.value;
  }

  /** Asks until the expression is true. Throws after two minutes. */
  async until(expression: string): Promise<void> {
    for (let i = 0; i < 2400; i++) {
      if (await this.evaluate<boolean>(expression)) return;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    throw new Error(`never: ${expression}`);
  }

  /** Puts files into a file input. */
  async chooseFiles(selector: string, files: readonly string[]): Promise<void> {
    const { root } = await this.send<{ root: { nodeId: number } }>("DOM.getDocument");
    const { nodeId } = await this.send<{ nodeId: number }>("DOM.querySelector", { nodeId: root.nodeId, selector });
    await this.send("DOM.setFileInputFiles", { nodeId, files });
  }

  /** Puts what the page lets one download into the folder. */
  async downloadTo(folder: string): Promise<void> {
    await this.send("Browser.setDownloadBehavior", { behavior: "allow", downloadPath: folder });
  }

  /** A key with Ctrl held, where the focus is. */
  async pressWithControl(key: string, code: number): Promise<void> {
    const event = { modifiers: 2, key, code: key, windowsVirtualKeyCode: code };
    await this.send("Input.dispatchKeyEvent", { type: "rawKeyDown", ...event });
    await this.send("Input.dispatchKeyEvent", { type: "keyUp", ...event });
  }

  async close(): Promise<void> {
    const ended = new Promise((resolve) => this.#process.once("exit", resolve));
    this.#session = undefined;
    // The answer may not come: the browser is gone by then.
    this.send("Browser.close").catch(() => undefined);
    const killer = setTimeout(() => this.#process.kill("SIGKILL"), 5000);
    await ended;
    clearTimeout(killer);
    rmSync(this.#profile, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
  }
}
