import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import { flow, observer } from "@skep/api";
import { context, event } from "../test/fixtures.ts";
import { FilterError, Observer, recordOf, Ring, timestampOf } from "./index.ts";

type Request = MessageInitShape<typeof observer.GetFlowsRequestSchema>;

const second = (n: number): bigint => BigInt(n) * 1_000_000_000n;

/** Flows with the destination ports 1 to `count`, a second apart. */
function filled(count: number, capacity = 15): Observer {
  const made = new Observer({ nodeName: "default/endor", version: "0", now: () => second(30), capacity });
  const names = context({ wallTime: (time) => time });
  for (let port = 1; port <= count; port++)
    made.add(recordOf(event({ destinationPort: port, time: second(port) }), names));
  return made;
}

const requestOf = (init: Request): observer.GetFlowsRequest => create(observer.GetFlowsRequestSchema, init);

function portOf(response: observer.GetFlowsResponse): number | string {
  const { responseTypes } = response;
  if (responseTypes.case === "lostEvents") return `lost ${responseTypes.value.numEventsLost}`;
  const l4 = responseTypes.case === "flow" ? responseTypes.value.l4?.protocol : undefined;
  return l4?.case === "TCP" ? l4.value.destinationPort : "?";
}

async function ports(from: Observer, init: Request): Promise<(number | string)[]> {
  const found: (number | string)[] = [];
  for await (const response of from.getFlows(requestOf(init), new AbortController().signal))
    found.push(portOf(response));
  return found;
}

const destinationPort = (...values: string[]): Request["whitelist"] => [{ destinationPort: values }];

describe("which flows a request gets", () => {
  it.each([
    [{}, [1, 2, 3, 4, 5, 6]],
    [{ number: 2n }, [5, 6]],
    [{ number: 2n, first: true }, [1, 2]],
    [{ number: 2n, whitelist: destinationPort("1", "2", "3") }, [2, 3]],
    [{ blacklist: destinationPort("1-4") }, [5, 6]],
    [{ since: timestampOf(second(5)) }, [5, 6]],
    [{ until: timestampOf(second(2)) }, [1, 2]],
    [{ since: timestampOf(second(2)), until: timestampOf(second(4)) }, [2, 3, 4]],
    [{ number: 1n, until: timestampOf(second(4)) }, [4]],
    [{ number: 2n, first: true, since: timestampOf(second(3)) }, [3, 4]],
    [{ number: 100n }, [1, 2, 3, 4, 5, 6]],
  ] as [Request, number[]][])("%#", async (init, expected) => {
    expect(await ports(filled(6), init)).toEqual(expected);
  });

  it("are those still in the ring", async () => {
    expect(await ports(filled(20, 7), {})).toEqual([14, 15, 16, 17, 18, 19, 20]);
  });

  it("are refused before the first response where the request cannot be", () => {
    const from = filled(1);
    const { signal } = new AbortController();
    expect(() => from.getFlows(requestOf({ first: true, follow: true }), signal)).toThrow(FilterError);
    expect(() => from.getFlows(requestOf({ whitelist: [{ sourceIp: ["x"] }] }), signal)).toThrow(FilterError);
    expect(() => from.getFlows(requestOf({ fieldMask: { paths: ["nope"] } }), signal)).toThrow(FilterError);
  });
});

describe("following", () => {
  it("begins with what comes, and ends with its signal", async () => {
    const from = filled(3);
    const stop = new AbortController();
    const stream = from.getFlows(requestOf({ follow: true }), stop.signal);
    const next = stream.next();
    from.add(recordOf(event({ destinationPort: 77 }), context()));
    expect(portOf((await next).value as observer.GetFlowsResponse)).toBe(77);
    const end = stream.next();
    stop.abort();
    expect((await end).done).toBe(true);
  });

  it("can begin with the last ones", async () => {
    const from = filled(3);
    const stream = from.getFlows(requestOf({ follow: true, number: 2n }), new AbortController().signal);
    const seen = [await stream.next(), await stream.next()].map(({ value }) =>
      portOf(value as observer.GetFlowsResponse),
    );
    expect(seen).toEqual([2, 3]);
    await stream.return();
  });

  it("says what a slow reader has missed", async () => {
    const from = filled(1, 3);
    const stream = from.getFlows(requestOf({ follow: true, number: 1n }), new AbortController().signal);
    await stream.next();
    for (let port = 2; port <= 9; port++) from.add(recordOf(event({ destinationPort: port }), context()));
    const seen: unknown[] = [];
    for (let read = 0; read < 4; read++) seen.push(portOf((await stream.next()).value as observer.GetFlowsResponse));
    expect(seen).toEqual(["lost 5", 7, 8, 9]);
    await stream.return();
  });

  it("ends when until has passed", async () => {
    const from = filled(1);
    const stream = from.getFlows(
      requestOf({ follow: true, until: timestampOf(second(50)) }),
      new AbortController().signal,
    );
    const next = stream.next();
    from.add(recordOf(event({ time: second(51) }), context({ wallTime: (time) => time })));
    expect((await next).done).toBe(true);
  });
});

describe("losses before the ring", () => {
  it("stand where they happened and are not counted as flows", async () => {
    const from = filled(2);
    from.addLoss(flow.LostEventSource.PERF_EVENT_RING_BUFFER, 9n);
    expect(await ports(from, { number: 1n })).toEqual([2, "lost 9"]);
    expect(from.lost).toBe(9n);
    expect(from.serverStatus().seenFlows).toBe(2n);
  });
});

describe("the status", () => {
  it("counts", () => {
    const status = filled(20, 7).serverStatus();
    expect(status).toMatchObject({ numFlows: 7n, maxFlows: 7n, seenFlows: 20n });
    expect(status.flowsRate).toBeCloseTo(20 / 30);
  });

  it("names the namespaces of the last hour", () => {
    let now = 0n;
    const made = new Observer({ nodeName: "n", version: "0", now: () => now });
    made.add(recordOf(event({ time: 0n }), context({ wallTime: (time) => time })));
    expect(made.getNamespaces().namespaces).toMatchObject([{ cluster: "default", namespace: "default" }]);
    now = second(3601);
    expect(made.getNamespaces().namespaces).toEqual([]);
  });

  it("of the node lists itself", () => {
    expect(filled(2).getNodes().nodes).toMatchObject([{ name: "default/endor", numFlows: 2n }]);
  });
});

describe("agent events", () => {
  it("are kept and given", async () => {
    const made = filled(0);
    made.addAgentEvent(create(flow.AgentEventSchema, { type: flow.AgentEventType.ENDPOINT_CREATED }));
    const found = [];
    const request = create(observer.GetAgentEventsRequestSchema, {});
    for await (const each of made.getAgentEvents(request, new AbortController().signal))
      found.push(each.agentEvent?.type);
    expect(found).toEqual([flow.AgentEventType.ENDPOINT_CREATED]);
  });
});

describe("a ring", () => {
  it("needs room", () => {
    expect(() => new Ring(0)).toThrow(RangeError);
  });
});
