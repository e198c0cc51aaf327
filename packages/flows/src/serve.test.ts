// What clients that are broken, slow or malicious do to a server of Hubble's API.
import http2 from "node:http2";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { flow, observer } from "@skep/api";
import { MAX_REQUEST_BYTES, Observer, observerRoutes, recordOfFlow, type Served, serveRoutes } from "./index.ts";

const flows = new Observer({ nodeName: "n", version: "1", now: () => 0n, capacity: 4095 });
let served: Served;
let session: http2.ClientHttp2Session;

beforeAll(async () => {
  served = await serveRoutes({ at: { host: "127.0.0.1", port: 0 } }, (router) => observerRoutes(router, flows));
  session = http2.connect(`http://${served.address}`);
});
afterAll(async () => {
  session.destroy();
  await served.close();
});

function request(): http2.ClientHttp2Stream {
  const headers = { ":method": "POST", ":path": "/observer.Observer/GetFlows", te: "trailers" };
  return session.request({ ...headers, "content-type": "application/grpc" });
}

/** A message with its length before it, true or not. */
function framed(bytes: Uint8Array, length = bytes.length): Buffer {
  const head = Buffer.alloc(5);
  head.writeUInt32BE(length, 1);
  return Buffer.concat([head, bytes]);
}

const asking = (init: Parameters<typeof create<typeof observer.GetFlowsRequestSchema>>[1]): Buffer =>
  framed(toBinary(observer.GetFlowsRequestSchema, create(observer.GetFlowsRequestSchema, init)));

/** Its status, or that the stream was broken off. */
function statusOf(stream: http2.ClientHttp2Stream): Promise<string> {
  return new Promise((resolve) => {
    const take = (headers: http2.IncomingHttpHeaders): void => {
      const status = headers["grpc-status"];
      if (status !== undefined) resolve(String(status));
    };
    stream.on("response", take).on("trailers", take);
    stream.on("error", () => resolve("broken off"));
    stream.on("close", () => resolve("broken off"));
    stream.resume();
  });
}

describe("a server of Hubble's API", () => {
  it.each([
    ["bytes that are no message", framed(Buffer.from([0xff, 0xff, 0xff, 1, 2, 3]))],
    ["half a frame", Buffer.from([0, 0])],
    ["a length that does not come", framed(Buffer.from([1, 2]), 0xff_ff_ff_ff)],
    ["a compression that nobody asked for", Buffer.from([1, 0, 0, 0, 1, 5])],
    ["nothing", Buffer.alloc(0)],
  ])("answers %s with an error, and goes on", async (_what, bytes) => {
    const stream = request();
    stream.end(bytes);
    expect(await statusOf(stream)).not.toBe("0");
    const good = request();
    good.end(asking({ number: 1n }));
    expect(await statusOf(good)).toBe("0");
  });

  it("refuses a request that is too large before it has come", async () => {
    const stream = request();
    const status = statusOf(stream);
    const seen = { isOver: false };
    void status.then(() => (seen.isOver = true));
    const chunk = Buffer.alloc(1 << 20, 10);
    stream.write(framed(Buffer.alloc(0), 64 * MAX_REQUEST_BYTES));
    let sent = 0;
    while (!seen.isOver && sent < 64 * MAX_REQUEST_BYTES) {
      sent += chunk.length;
      if (stream.write(chunk)) continue;
      await Promise.race([status, new Promise((resolve) => stream.once("drain", resolve))]);
    }
    expect(["8", "broken off"]).toContain(await status);
    expect(sent).toBeLessThan(8 * MAX_REQUEST_BYTES);
    stream.destroy();
  });

  it("holds no more for a follower that does not read, and tells it how much it has missed", async () => {
    const labels = Array.from({ length: 20 }, (_, i) => `k8s:label${i}=value`);
    let added = 0;
    const add = (count: number): void => {
      for (let i = 0; i < count; i++) {
        const time = { seconds: 1n };
        flows.add(recordOfFlow(create(flow.FlowSchema, { uuid: String(++added), time, source: { labels } })));
      }
    };
    const stream = request();
    stream.end(asking({ follow: true, since: { seconds: 0n } }));
    let rest = Buffer.alloc(0);
    let [got, lost] = [0, 0];
    stream.on("data", (chunk: Buffer) => {
      rest = Buffer.concat([rest, chunk]);
      while (rest.length >= 5 && rest.length >= 5 + rest.readUInt32BE(1)) {
        const end = 5 + rest.readUInt32BE(1);
        const { responseTypes } = fromBinary(observer.GetFlowsResponseSchema, rest.subarray(5, end));
        rest = rest.subarray(end);
        if (responseTypes.case === "flow") got += 1;
        if (responseTypes.case === "lostEvents") lost += Number(responseTypes.value.numEventsLost);
      }
    });
    add(1);
    await vi.waitFor(() => expect(got).toBe(1), { timeout: 60_000, interval: 20 });
    stream.pause();
    // 500 bytes each, of which nobody takes more than HTTP/2's windows let through.
    for (let round = 0; round < 20; round++) {
      add(2000);
      await new Promise((resolve) => setImmediate(resolve));
    }
    stream.resume();
    await vi.waitFor(() => expect(got + lost).toBe(added), { timeout: 60_000, interval: 50 });
    expect(lost).toBeGreaterThan(added / 2);
    stream.destroy();
  }, 180_000);
});
