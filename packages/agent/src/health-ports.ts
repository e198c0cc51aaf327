/**
 * @module
 * Health check ports of services (healthCheckNodePort): load balancers before the nodes ask there which of them have backends, as kube-proxy answers.
 */
import http from "node:http";
import type { HealthCheck } from "@skep/control";
import { errorText, type Logger } from "./log.ts";

interface Served {
  readonly server: http.Server;
  check: HealthCheck;
}

export class HealthPorts {
  readonly #log: Logger;
  readonly #ports = new Map<number, Served>();
  readonly #problems = new Map<number, string>();

  constructor(log: Logger) {
    this.#log = log;
  }

  /** From now on these are answered. A port that cannot be had is told once and tried again the next time. */
  sync(checks: readonly HealthCheck[]): void {
    // Of two services with one port the first by name has it.
    const wanted = new Map([...checks].reverse().map((check) => [check.port, check]));
    for (const [port, { server }] of this.#ports) {
      if (wanted.has(port)) continue;
      this.#ports.delete(port);
      end(server);
    }
    for (const [port, check] of wanted) {
      const known = this.#ports.get(port);
      if (known) known.check = check;
      else this.#open(check);
    }
  }

  #open(check: HealthCheck): void {
    const served: Served = { server: http.createServer((_, response) => answer(response, served.check)), check };
    const { server } = served;
    this.#ports.set(check.port, served);
    server.once("listening", () => this.#problems.delete(check.port));
    server.on("error", (error) => {
      this.#ports.delete(check.port);
      const text = errorText(error);
      if (this.#problems.get(check.port) === text) return;
      this.#problems.set(check.port, text);
      this.#log.error("a health check port is not served", { service: check.service, port: check.port, error: text });
    });
    server.listen(check.port);
    // It keeps no agent alive that ends.
    server.unref();
  }

  close(): void {
    for (const { server } of this.#ports.values()) end(server);
    this.#ports.clear();
  }
}

function end(server: http.Server): void {
  server.close();
  server.closeAllConnections();
}

function answer(response: http.ServerResponse, { service, localEndpoints }: HealthCheck): void {
  const slash = service.indexOf("/");
  const [namespace, name] = [service.slice(0, slash), service.slice(slash + 1)];
  response.writeHead(localEndpoints > 0 ? 200 : 503, {
    "content-type": "application/json",
    "x-content-type-options": "nosniff",
    "x-load-balancing-endpoint-weight": String(localEndpoints),
    connection: "close",
  });
  response.end(JSON.stringify({ service: { namespace, name }, localEndpoints }));
}
