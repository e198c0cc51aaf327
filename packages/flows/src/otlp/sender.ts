/**
 * @module
 * Requests of OTLP/HTTP in their JSON encoding (opentelemetry.io/docs/specs/otlp): one after the other, tried again where the collector asks for it.
 */
import http from "node:http";
import https from "node:https";

/** What the collector's address must be is something else. */
export class OtlpError extends Error {
  override readonly name = "OtlpError";
}

export interface SenderOptions {
  /** `http://collector:4318`: `/v1/logs` and `/v1/metrics` are below it. */
  readonly endpoint: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** PEM. */
  readonly tls?: { readonly ca?: string | Buffer; readonly cert?: string | Buffer; readonly key?: string | Buffer };
  /** Of one request. Default 10,000. */
  readonly timeoutMs?: number;
  /** Until the first retry; each further one waits twice as long. Default 1000. */
  readonly retryMs?: number;
  /** Default 4. */
  readonly tries?: number;
}

/** That may be tried again (OTLP/HTTP, "Failures"). */
const AGAIN = [429, 502, 503, 504];
const MOST_RETRY_MS = 30_000;
const MOST_ANSWER = 64 << 10;

interface Answer {
  readonly status: number;
  readonly text: string;
  readonly retryAfter: number | null;
}

/** Throws OtlpError for what is no address of a collector. */
export function collectorUrl(endpoint: string, path: string): URL {
  const base = endpoint.endsWith("/") ? endpoint : `${endpoint}/`;
  const url = URL.canParse(base) ? new URL(path, base) : null;
  if (url === null || !["http:", "https:"].includes(url.protocol))
    throw new OtlpError(
      `"${endpoint}" is no collector's address: write it as http://127.0.0.1:4318 or https://HOST:4318`,
    );
  return url;
}

export class Sender {
  readonly #options: SenderOptions;
  readonly #url: URL;
  readonly #agent: http.Agent;
  readonly #stop = new AbortController();

  /** Throws OtlpError. */
  constructor(options: SenderOptions, path: "v1/logs" | "v1/metrics") {
    this.#options = options;
    this.#url = collectorUrl(options.endpoint, path);
    const how = { keepAlive: true, maxSockets: 1 };
    this.#agent = this.#url.protocol === "https:" ? new https.Agent({ ...how, ...options.tls }) : new http.Agent(how);
  }

  /** How many records of those that were sent the collector has rejected. Throws where it did not take the request. */
  async send(body: string): Promise<number> {
    const { tries = 4, retryMs = 1000 } = this.#options;
    for (let tried = 1; ; tried++) {
      const answer = await this.#post(body).catch((error: unknown) => {
        if (tried >= tries || this.#stop.signal.aborted) throw error;
        return null;
      });
      if (answer && answer.status < 300) return rejectedOf(answer.text);
      if (answer && (!AGAIN.includes(answer.status) || tried >= tries))
        throw new OtlpError(`${this.#url.href} answers ${answer.status}: ${answer.text.slice(0, 200)}`);
      await this.#pause(Math.min(MOST_RETRY_MS, answer?.retryAfter ?? retryMs * 2 ** (tried - 1)));
    }
  }

  #pause(milliseconds: number): Promise<void> {
    const { signal } = this.#stop;
    if (signal.aborted) return Promise.resolve();
    return new Promise((resolve) => {
      const end = (): void => {
        clearTimeout(timer);
        resolve();
      };
      const timer = setTimeout(() => {
        signal.removeEventListener("abort", end);
        resolve();
      }, milliseconds);
      signal.addEventListener("abort", end, { once: true });
    });
  }

  #post(body: string): Promise<Answer> {
    const bytes = Buffer.from(body);
    const headers = { ...this.#options.headers, "content-type": "application/json", "content-length": bytes.length };
    const { request } = this.#url.protocol === "https:" ? https : http;
    const timeout = this.#options.timeoutMs ?? 10_000;
    return new Promise((resolve, reject) => {
      const call = request(this.#url, { method: "POST", headers, agent: this.#agent, timeout }, (response) => {
        let text = "";
        response.setEncoding("utf8");
        response.on("data", (part: string) => (text += text.length < MOST_ANSWER ? part : ""));
        response.on("error", reject);
        response.on("end", () => {
          const seconds = Number(response.headers["retry-after"] ?? Number.NaN);
          const retryAfter = Number.isNaN(seconds) ? null : seconds * 1000;
          resolve({ status: response.statusCode ?? 0, text, retryAfter });
        });
      });
      call.on("timeout", () => call.destroy(new OtlpError(`${this.#url.href} does not answer within ${timeout} ms`)));
      call.on("error", reject);
      call.end(bytes);
    });
  }

  /** What waits for a retry is tried once more and then given up. */
  stop(): void {
    this.#stop.abort();
  }

  close(): void {
    this.#agent.destroy();
  }
}

/** Of a response that says `partialSuccess`. */
function rejectedOf(text: string): number {
  if (!text.includes("partialSuccess")) return 0;
  const { partialSuccess } = JSON.parse(text) as {
    readonly partialSuccess?: { readonly rejectedLogRecords?: string; readonly rejectedDataPoints?: string };
  };
  return Number(partialSuccess?.rejectedLogRecords ?? partialSuccess?.rejectedDataPoints ?? 0);
}
