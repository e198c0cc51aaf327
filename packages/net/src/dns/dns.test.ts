import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import * as net from "../index.ts";

const unhex = (text: string) => Uint8Array.from(text.match(/[0-9a-f]{2}/g) ?? [], (pair) => Number.parseInt(pair, 16));
const address = (text: string): net.Address => {
  const parsed = net.parseAddress(text);
  if (parsed === null) throw new Error(text);
  return parsed;
};

// Few labels, so that names share their ends.
const label = fc.oneof(
  fc.constantFrom("a", "b", "www", "Example", "com", "\\.", "\\000", "\\255", "x".repeat(63)),
  fc.string({ unit: fc.constantFrom("k", "-", "_", "0"), minLength: 1, maxLength: 8 }),
);
const name = fc
  .array(label, { maxLength: 5 })
  .map((labels) => labels.join(".") || ".")
  .filter((text) => net.parseDnsName(text) !== null);
const bits = (count: number) => fc.integer({ min: 0, max: 2 ** count - 1 });
const bytes = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });

const named = (kind: "NS" | "CNAME" | "PTR" | "DNAME") => fc.record({ kind: fc.constant(kind), name });
const data: fc.Arbitrary<net.DnsData> = fc.oneof(
  bytes(4).map((raw): net.DnsData => ({ kind: "A", address: net.addressOf(raw) })),
  bytes(16).map((raw): net.DnsData => ({ kind: "AAAA", address: net.addressOf(raw) })),
  named("NS"),
  named("CNAME"),
  named("PTR"),
  named("DNAME"),
  fc.record({ kind: fc.constant("MX" as const), preference: bits(16), exchange: name }),
  fc.record({ kind: fc.constant("SRV" as const), priority: bits(16), weight: bits(16), port: bits(16), target: name }),
  fc.record({
    kind: fc.constant("SOA" as const),
    primary: name,
    mailbox: name,
    serial: bits(32),
    refresh: bits(32),
    retry: bits(32),
    expire: bits(32),
    minimum: bits(32),
  }),
  fc.record({
    kind: fc.constant("TXT" as const),
    strings: fc.array(fc.uint8Array({ maxLength: 255 }), { minLength: 1, maxLength: 3 }),
  }),
  fc.record({
    kind: fc.constant("OPT" as const),
    options: fc.array(fc.record({ code: bits(16), data: fc.uint8Array({ maxLength: 9 }) })),
  }),
  fc.record({ kind: fc.constant("unknown" as const), bytes: fc.uint8Array({ maxLength: 20 }) }),
);
const record = fc
  .record({ name, class: bits(16), ttl: bits(32), data, other: fc.constantFrom(99, 64, 65_280) })
  .map(({ other, ...rest }): net.DnsRecord => ({
    ...rest,
    type: rest.data.kind === "unknown" ? other : net.dnsTypes[rest.data.kind],
  }));
const message: fc.Arbitrary<net.DnsMessage> = fc.record({
  id: bits(16),
  response: fc.boolean(),
  opcode: bits(4),
  authoritative: fc.boolean(),
  truncated: fc.boolean(),
  recursionDesired: fc.boolean(),
  recursionAvailable: fc.boolean(),
  reserved: fc.boolean(),
  authenticData: fc.boolean(),
  checkingDisabled: fc.boolean(),
  code: bits(4),
  questions: fc.array(fc.record({ name, type: bits(16), class: bits(16) }), { maxLength: 2 }),
  answers: fc.array(record, { maxLength: 3 }),
  authorities: fc.array(record, { maxLength: 2 }),
  additionals: fc.array(record, { maxLength: 2 }),
});

describe("DNS messages", () => {
  test("come back, with and without compression, which never makes them longer", () => {
    fc.assert(
      fc.property(message, (built) => {
        const small = net.buildDnsMessage(built);
        const large = net.buildDnsMessage(built, { compress: false });
        expect(small.length).toBeLessThanOrEqual(large.length);
        for (const wire of [small, large]) expect(net.parseDnsMessage(wire)).toEqual({ message: built, error: null });
      }),
      { numRuns: 1000 },
    );
  });

  test("any bytes, cut and changed messages: a message or an error, and no throw", () => {
    const change = fc.record({ at: fc.nat(), value: fc.integer({ min: 0, max: 255 }) });
    const wire = fc.oneof(
      fc.uint8Array({ maxLength: 60 }),
      fc.tuple(message, fc.array(change, { minLength: 1, maxLength: 5 }), fc.nat()).map(([built, changes, cut]) => {
        const whole = net.buildDnsMessage(built);
        const raw = whole.slice(0, whole.length - (cut % 2 === 0 ? 0 : cut % whole.length));
        for (const { at, value } of changes) raw[at % raw.length] = value;
        return raw;
      }),
    );
    fc.assert(
      fc.property(wire, (raw) => {
        const { message: read, error } = net.parseDnsMessage(raw);
        if (error !== null) expect(error.offset).toBeLessThanOrEqual(raw.length);
        else expect(net.parseDnsMessage(net.buildDnsMessage(read))).toEqual({ message: read, error: null });
      }),
      { numRuns: 5000 },
    );
  });

  test("a response as servers send it", () => {
    const wire = unhex(
      [
        "1234 8180 0001 0002 0000 0001",
        "03777777 076578616d706c65 03636f6d 00 0001 0001",
        "c00c 0005 0001 0000003c 0006 03 65 64 67 c010",
        "c02d 0001 0001 0000001e 0004 c0000201",
        "00 0029 04d0 00000000 0000",
      ].join(" "),
    );
    const built: net.DnsMessageSpec = {
      id: 0x1234,
      response: true,
      recursionDesired: true,
      recursionAvailable: true,
      questions: [{ name: "www.example.com", type: 1, class: 1 }],
      answers: [
        { name: "www.example.com", type: 5, class: 1, ttl: 60, data: { kind: "CNAME", name: "edg.example.com" } },
        { name: "edg.example.com", type: 1, class: 1, ttl: 30, data: { kind: "A", address: address("192.0.2.1") } },
      ],
      additionals: [{ name: ".", type: 41, class: 1232, ttl: 0, data: { kind: "OPT", options: [] } }],
    };
    expect(net.parseDnsMessage(wire).message).toMatchObject(built);
    expect(net.buildDnsMessage(built)).toEqual(wire);
  });

  const question = "0000 0000 0001 0000 0000 0000";
  const answer = "0000 8000 0000 0001 0000 0000 00";
  test.each([
    ["an empty message", "", 0, "truncated"],
    ["a header that is cut", "0000 0000 0001", 6, "truncated"],
    ["a question that is missing", question, 12, "truncated"],
    ["a pointer to itself", `${question} c00c 0001 0001`, 12, "malformed"],
    ["a pointer forwards", `${question} c010 0001 0001`, 12, "malformed"],
    ["a loop of label and pointer", `${question} 0161 c00c 0001 0001`, 14, "malformed"],
    ["a pointer that is cut", `${question} c0`, 13, "truncated"],
    ["an extended label", `${question} 41 00 0001 0001`, 12, "malformed"],
    ["a label that is cut", `${question} 05 6161`, 15, "truncated"],
    ["bytes at the end", `${question} 00 0001 0001 00`, 17, "malformed"],
    ["an A record of 3 bytes", `${answer} 0001 0001 00000000 0003 010203`, 23, "malformed"],
    ["an AAAA record of 4 bytes", `${answer} 001c 0001 00000000 0004 01020304`, 23, "malformed"],
    ["an MX record that is too long", `${answer} 000f 0001 00000000 0004 0001 00 00`, 23, "malformed"],
    ["a CNAME that goes beyond its length", `${answer} 0005 0001 00000000 0001 0161 00`, 23, "malformed"],
    ["a TXT record without string", `${answer} 0010 0001 00000000 0000`, 23, "malformed"],
    ["a TXT string beyond the record", `${answer} 0010 0001 00000000 0002 0561 ${"00".repeat(9)}`, 23, "malformed"],
    ["a record that is cut", `${answer} 0001 0001 00000000 0004 0102`, 25, "truncated"],
  ])("%s", (_, text, offset, reason) => {
    expect(net.parseDnsMessage(unhex(text)).error).toMatchObject({ offset, reason });
  });

  test("a name of more than 255 bytes by pointers", () => {
    // Each name is a label of 63 bytes and a pointer to the one before.
    let at = 12;
    let before = "00";
    const questions = Array.from({ length: 5 }, () => {
      const question = `3f${"61".repeat(63)}${before}00010001`;
      before = (0xc000 | at).toString(16);
      at += question.length / 2;
      return question;
    });
    const { error } = net.parseDnsMessage(unhex(`000000000005000000000000${questions.join("")}`));
    expect(error).toMatchObject({ reason: "malformed", message: "a name of more than 255 bytes" });
  });

  test("a long chain of pointers", () => {
    const chain = Array.from({ length: 200 }, (_, i) => (0xc000 | (i === 0 ? 21 : 22 + (i - 1) * 2)).toString(16)).join(
      "",
    );
    // An unknown record of one zero byte and the chain; the next record's name is its end.
    const wire = unhex(
      `000080000000000200000000 00 0063 0001 00000000 0191 00 ${chain} ${(0xc000 | (22 + 199 * 2)).toString(16)} 0063 0001 00000000 0000`,
    );
    wire[11] = 0;
    const counts = new DataView(wire.buffer);
    counts.setUint16(6, 2);
    const { error } = net.parseDnsMessage(wire);
    expect(error).toMatchObject({ reason: "malformed", message: "a name of more than 64 pointers" });
  });

  test("records of dynamic updates may be empty (RFC 2136)", () => {
    const wire = unhex("0000 2800 0000 0001 0000 0000 00 0001 00ff 00000000 0000");
    const { message } = net.parseDnsMessage(wire);
    expect(message?.answers[0]?.data).toEqual({ kind: "unknown", bytes: new Uint8Array(0) });
  });

  test("names", () => {
    expect(net.canonicalDnsName("WWW.Example.COM.")).toBe("www.example.com");
    expect(net.canonicalDnsName(".")).toBe(".");
    expect(net.canonicalDnsName("a\\.b\\\\.\\099")).toBe("a\\.b\\\\.c");
    for (const text of [
      "a..b",
      ".a",
      "x".repeat(64),
      "a\\",
      "a\\25",
      "a\\256",
      "é\u0100",
      `${"x".repeat(63)}.`.repeat(4),
    ]) {
      expect(net.canonicalDnsName(text)).toBeNull();
    }
    expect(() => net.buildDnsMessage({ id: 1, questions: [{ name: "a..b", type: 1, class: 1 }] })).toThrow(RangeError);
    expect(net.dnsTypeName(28)).toBe("AAAA");
    expect(net.dnsTypeName(1234)).toBe("TYPE1234");
  });
});
