/**
 * @module
 * Maglev: consistent hashing by a table in which each backend has slots in proportion to its weight (Eisenbud et al., NSDI 2016).
 * The tables are those that Cilium computes from the same seed and backends, so that nodes of both agree.
 */
import { type Address, formatEndpoint, murmur3x64 } from "@skep/net";
import { protocolName } from "./text.ts";

/** Primes near powers of two: the sizes that Cilium documents for `--bpf-lb-maglev-table-size`. */
export const MAGLEV_TABLE_SIZES = [251, 509, 1021, 2039, 4093, 8191, 16_381, 32_749, 65_521, 131_071] as const;
export const MAGLEV_DEFAULT_SIZE = 16_381;
/** Base64 of 12 bytes: Cilium's default, so that nodes that say nothing agree. */
export const MAGLEV_DEFAULT_SEED = "JLfvgnHc2kaSUFaI";

export interface MaglevSettings {
  readonly size: number;
  readonly seed: string;
}

export interface MaglevBackend {
  readonly id: number;
  readonly address: Address;
  readonly port: number;
  /** IANA number. */
  readonly protocol: number;
  /** 1 to 65535; 0 takes the backend out of the table. */
  readonly weight: number;
}

/** The table size or the seed cannot be. */
export class MaglevSettingsError extends RangeError {
  override readonly name = "MaglevSettingsError";
}

interface Turn {
  readonly name: string;
  readonly offset: number;
  readonly skip: number;
}

/** More names than this are forgotten: backends that come and go. */
const REMEMBERED = 65_536;

export class Maglev {
  readonly size: number;
  /** Words of the seed: the first is murmur's; the others seed the hash of a packet's tuple, which finds the slot. */
  readonly seeds: readonly [murmur: number, jhash0: number, jhash1: number];
  readonly #turns = new Map<string, Turn>();

  /** Throws MaglevSettingsError. */
  constructor({ size, seed }: MaglevSettings) {
    if (!MAGLEV_TABLE_SIZES.some((each) => each === size))
      throw new MaglevSettingsError(`${size} is no size of a Maglev table: one of ${MAGLEV_TABLE_SIZES.join(", ")}`);
    this.size = size;
    this.seeds = seedWords(seed);
  }

  /** Slot to backend number, or null where no backend has a weight. The order of the backends does not count. */
  table(backends: readonly MaglevBackend[]): Uint32Array<ArrayBuffer> | null {
    const taking = backends.filter((each) => each.weight > 0).map((each) => ({ ...each, ...this.#turnOf(each) }));
    if (taking.length === 0) return null;
    taking.sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
    return fill(this.size, taking);
  }

  #turnOf({ address, port, protocol }: MaglevBackend): Turn {
    const name = `[${formatEndpoint({ address, port })}/${protocolName(protocol)},State:active]`;
    const known = this.#turns.get(name);
    if (known) return known;
    if (this.#turns.size >= REMEMBERED) this.#turns.clear();
    const { h1, h2 } = murmur3x64(asciiBytes(name), this.seeds[0]);
    const size = BigInt(this.size);
    const turn = { name, offset: Number(h1 % size), skip: Number(h2 % (size - 1n)) + 1 };
    this.#turns.set(name, turn);
    return turn;
  }
}

interface Player extends Turn {
  readonly id: number;
  readonly weight: number;
}

/**
 * Backends take turns; each takes the next free slot of its own permutation. With weights, a turn is passed on to the next backend while
 * the one whose turn it is has had its share. (Cilium passes on nothing where the mean weight is below 2; here weights always count.)
 */
function fill(size: number, players: readonly Player[]): Uint32Array<ArrayBuffer> {
  const count = players.length;
  const table = new Uint32Array(size);
  const taken = new Uint8Array(size);
  const at = Int32Array.from(players, (player) => player.offset);
  const skips = Int32Array.from(players, (player) => player.skip);
  const weights = Float64Array.from(players, (player) => player.weight);
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  const due = weights.map((weight) => weight / count);
  for (let filled = 0; filled < size; filled++) {
    let turn = filled % count;
    if (total > count) {
      while ((filled + 1) * (weights[turn] ?? 0) < Math.trunc(due[turn] ?? 0)) turn = (turn + 1) % count;
      due[turn] = (due[turn] ?? 0) + total;
    }
    let slot = at[turn] ?? 0;
    const skip = skips[turn] ?? 0;
    while (taken[slot] === 1) slot = slot + skip < size ? slot + skip : slot + skip - size;
    taken[slot] = 1;
    table[slot] = players[turn]?.id ?? 0;
    at[turn] = slot;
  }
  return table;
}

function asciiBytes(text: string): Uint8Array {
  return Uint8Array.from(text, (char) => char.charCodeAt(0));
}

const BASE64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/** 12 bytes in base64 are 16 letters: three big-endian words. */
function seedWords(seed: string): [number, number, number] {
  const digits = [...seed].map((letter) => BASE64.indexOf(letter));
  if (digits.length !== 16 || digits.includes(-1))
    throw new MaglevSettingsError(`${JSON.stringify(seed)} is no seed: 12 bytes in base64`);
  const value = digits.reduce((sum, digit) => (sum << 6n) | BigInt(digit), 0n);
  const word = (shift: bigint): number => Number((value >> shift) & 0xffffffffn);
  return [word(64n), word(32n), word(0n)];
}
