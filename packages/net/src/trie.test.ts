import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import * as net from "./index.ts";

/** What a trie is, by going through a list. */
class Linear<V> {
  readonly list: net.PrefixEntry<V>[] = [];

  set(prefix: net.Prefix, value: V): void {
    this.delete(prefix);
    this.list.push({ prefix: net.networkOf(prefix), value });
  }

  delete(prefix: net.Prefix): boolean {
    const at = this.list.findIndex((entry) => net.samePrefix(entry.prefix, prefix));
    if (at >= 0) this.list.splice(at, 1);
    return at >= 0;
  }

  lookup(address: net.Address): net.PrefixEntry<V> | null {
    const matches = this.list.filter(({ prefix }) => net.prefixContains(prefix, address));
    return matches.sort((a, b) => b.prefix.length - a.prefix.length)[0] ?? null;
  }

  sorted(keep: (prefix: net.Prefix) => boolean): net.PrefixEntry<V>[] {
    return this.list.filter(({ prefix }) => keep(prefix)).sort((a, b) => net.comparePrefixes(a.prefix, b.prefix));
  }
}

// Few different bytes, so that prefixes nest and collide.
const bytes = (length: number) => fc.array(fc.constantFrom(0, 1, 0x80, 0xff), { minLength: length, maxLength: length });
const address = fc.oneof(bytes(4), bytes(16)).map((list) => net.addressOf(Uint8Array.from(list)));
const prefix = address.chain((a) =>
  fc.integer({ min: 0, max: net.familyBits(a.family) }).map((length): net.Prefix => ({ address: a, length })),
);
const action = fc.oneof(
  { weight: 3, arbitrary: fc.record({ kind: fc.constant("set" as const), prefix, value: fc.nat(9) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("delete" as const), prefix }) },
);

describe("prefix trie", () => {
  test("does what a linear scan does", () => {
    fc.assert(
      fc.property(
        fc.array(action, { maxLength: 60 }),
        fc.array(address),
        fc.array(prefix),
        (actions, addresses, prefixes) => {
          const trie = new net.PrefixTrie<number>();
          const linear = new Linear<number>();
          for (const step of actions) {
            const before = linear.list.find((entry) => net.samePrefix(entry.prefix, step.prefix))?.value ?? null;
            expect(trie.get(step.prefix)).toBe(before);
            expect(trie.has(step.prefix)).toBe(before !== null);
            if (step.kind === "set") {
              expect(trie.set(step.prefix, step.value)).toBe(before);
              linear.set(step.prefix, step.value);
            } else {
              expect(trie.delete(step.prefix)).toBe(linear.delete(step.prefix));
            }
            expect(trie.size).toBe(linear.list.length);
          }
          expect(Array.from(trie.entries())).toEqual(linear.sorted(() => true));
          const used = actions.map((step) => step.prefix.address);
          for (const probe of [...addresses, ...used]) {
            const match = linear.lookup(probe);
            expect(trie.lookup(probe)).toEqual(match);
            expect(trie.lookupValue(probe)).toBe(match?.value ?? null);
          }
          for (const probe of [...prefixes, ...actions.map((step) => step.prefix)]) {
            expect(trie.covering(probe)).toEqual(
              linear.sorted((p) => net.prefixCovers(p, probe)).sort((a, b) => a.prefix.length - b.prefix.length),
            );
            expect(Array.from(trie.coveredBy(probe))).toEqual(linear.sorted((p) => net.prefixCovers(probe, p)));
          }
          for (const { prefix } of linear.list.slice()) expect(trie.delete(prefix)).toBe(true);
          expect(trie.size).toBe(0);
          expect(Array.from(trie.entries())).toEqual([]);
        },
      ),
      { numRuns: 500 },
    );
  });

  test("holds null and undefined as values", () => {
    const trie = new net.BitTrie<string | null>();
    trie.set(Uint8Array.of(0x80), 1, null);
    expect(trie.has(Uint8Array.of(0xff), 1)).toBe(true);
    expect(trie.lookup(Uint8Array.of(0xff), 8)).toEqual({ bytes: Uint8Array.of(0x80), length: 1, value: null });
    expect(trie.lookup(Uint8Array.of(0x7f), 8)).toBeNull();
  });

  test("keys are copied", () => {
    const key = Uint8Array.of(10, 0, 0, 0);
    const trie = new net.PrefixTrie([[{ address: net.addressOf(key), length: 8 }, "a"]]);
    key[0] = 11;
    expect(trie.lookup(net.ipv4(0x0a010203))?.value).toBe("a");
    expect(trie.lookup(net.ipv4(0x0b010203))).toBeNull();
  });
});
