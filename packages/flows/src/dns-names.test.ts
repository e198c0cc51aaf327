import { describe, expect, it } from "vitest";
import { type Address, buildDnsMessage, type DnsMessageSpec, type DnsRecord, ipv4 } from "@skep/net";
import { DnsNames, type DnsNamesOptions } from "./dns-names.ts";

const second = (count: number): bigint => BigInt(count) * 1_000_000_000n;
const HOUR = 3600;

const a = (name: string, address: Address, ttl = 30): DnsRecord => ({
  ...{ name, type: 1, class: 1, ttl },
  data: { kind: "A", address },
});
const cname = (name: string, target: string, ttl = 60): DnsRecord => ({
  ...{ name, type: 5, class: 1, ttl },
  data: { kind: "CNAME", name: target },
});

function learn(
  names: DnsNames,
  message: Partial<DnsMessageSpec> & { name?: string },
  { endpoint = 1, at = 100 } = {},
): void {
  const { name = "a.test", ...over } = message;
  const bytes = buildDnsMessage({ id: 1, response: true, questions: [{ name, type: 1, class: 1 }], ...over });
  names.learn({ endpoint, time: second(at), message: bytes });
}

const at = (names: DnsNames, address: Address, time: number, endpoint = 1): readonly string[] =>
  names.names(address, endpoint, second(time));

describe("names that were resolved", () => {
  const one = ipv4(0xcb007107);
  const two = ipv4(0xcb007108);

  it("holds from the answer on, as long as it says and at least an hour", () => {
    const names = new DnsNames();
    learn(names, { name: "A.test", answers: [a("a.TEST", one), a("a.test", two, 2 * HOUR)] });
    expect([50, 100, 100 + HOUR - 1, 100 + HOUR].map((time) => at(names, one, time))).toEqual([
      [],
      ["a.test"],
      ["a.test"],
      [],
    ]);
    expect(at(names, two, 100 + 2 * HOUR - 1)).toEqual(["a.test"]);
    expect(at(names, one, 200, 2)).toEqual([]);
    names.expire(second(100 + HOUR));
    expect(names.rows().map(({ address }) => address)).toEqual([two]);
  });

  it("is asked in any order of time", () => {
    const names = new DnsNames({ minTtl: 10 });
    learn(names, { answers: [a("a.test", one)] }, { at: 100 });
    learn(names, { name: "b.test", answers: [a("b.test", one)] }, { at: 120 });
    const expected: [number, string[]][] = [
      [140, ["b.test"]],
      [90, []],
      [125, ["a.test", "b.test"]],
      [110, ["a.test"]],
      [150, []],
    ];
    for (const [time, found] of [...expected, ...expected.reverse()]) expect(at(names, one, time)).toEqual(found);
  });

  it("goes on being known when it is answered again", () => {
    const names = new DnsNames({ minTtl: 10 });
    for (const time of [100, 125]) learn(names, { answers: [a("a.test", one)] }, { at: time });
    expect([99, 101, 129, 154, 155].map((time) => at(names, one, time).length)).toEqual([1, 1, 1, 1, 0]);
    expect(names.size).toBe(1);
  });

  it("follows aliases, for as long as the shortest of them holds, and takes no other owner's addresses", () => {
    const names = new DnsNames({ minTtl: 0 });
    learn(names, {
      answers: [cname("b.test", "c.test", 20), cname("a.test", "b.test", 5), a("c.test", one), a("bank.test", two)],
    });
    expect(names.rows()).toMatchObject([{ name: "a.test", address: one, ttl: 5 }]);
    learn(names, { answers: [cname("a.test", "b.test"), cname("b.test", "a.test"), a("x.test", two)] });
    expect(names.size).toBe(1);
  });

  it("counts what it learns nothing from, and never throws", () => {
    const names = new DnsNames();
    const answers = [a("a.test", one)];
    learn(names, { answers, code: 3 });
    learn(names, { answers, response: false });
    learn(names, { answers, opcode: 4 });
    learn(names, { answers, questions: [] });
    learn(names, { answers, questions: [1, 2].map((type) => ({ name: "a.test", type, class: 1 })) });
    learn(names, { answers: [] });
    for (const length of [0, 5, 12, 40])
      names.learn({ endpoint: 1, time: 0n, message: new Uint8Array(length).fill(9) });
    names.learn({ endpoint: 1, time: 0n, message: null });
    expect(names.counts).toEqual({ learned: 0, empty: 6, malformed: 4, tooLong: 1, evicted: 0, expired: 0 });
    expect(names.size).toBe(0);
  });

  const many = (names: DnsNames, count: number, endpoint: number): void => {
    for (let index = 0; index < count; index++) {
      const name = `n${index}.test`;
      learn(names, { name, answers: [a(name, ipv4(index))] }, { endpoint, at: index });
    }
  };

  it.each<[string, DnsNamesOptions]>([
    ["an endpoint's", { perEndpoint: 50 }],
    ["all", { capacity: 50 }],
  ])("keeps to its bounds: %s", (_, options) => {
    const names = new DnsNames(options);
    many(names, 500, 1);
    expect(names.size).toBeLessThanOrEqual(50);
    expect(names.size).toBeGreaterThanOrEqual(45);
    expect(names.size + names.counts.evicted).toBe(500);
    // The newest stay.
    expect(at(names, ipv4(499), 499)).toEqual(["n499.test"]);
    expect(at(names, ipv4(0), 1)).toEqual([]);
  });

  it("leaves one endpoint what it has when another asks for much", () => {
    const names = new DnsNames({ perEndpoint: 30, capacity: 50 });
    many(names, 20, 1);
    many(names, 100, 2);
    expect(names.rows(1)).toHaveLength(20);
    expect(names.rows(2).length).toBeLessThanOrEqual(30);
    many(names, 5, 3);
    expect(names.size).toBeLessThanOrEqual(50);
  });

  it("forgets endpoints that are gone", () => {
    const names = new DnsNames();
    many(names, 3, 1);
    many(names, 3, 2);
    names.tidy(second(10), (endpoint) => endpoint === 2);
    expect([names.rows(1).length, names.rows(2).length, names.size]).toEqual([0, 3, 3]);
    names.tidy(second(10 + HOUR), () => true);
    expect(names.size).toBe(0);
  });
});
