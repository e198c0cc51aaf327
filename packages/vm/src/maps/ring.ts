import type { MapSpec } from "@skep/object";
import { Trap, errno } from "../error.ts";
import type { Region } from "../memory.ts";
import { VmMap, roundUp } from "./map.ts";
import type { MapHost } from "./map.ts";

const HEADER = 8;

interface Record {
  readonly address: number;
  readonly size: number;
  /** Bytes of the ring, with header and padding. */
  readonly room: number;
  state: "busy" | "committed" | "discarded";
}

/** `ringbuf` (kernel/bpf/ringbuf.c): records in the order of their reservation; a busy one holds up those behind it. */
export class RingMap extends VmMap {
  private readonly region: Region;
  private readonly records: Record[] = [];
  private readonly busy = new Map<number, Record>();
  private produced = 0;
  private consumed = 0;

  constructor(host: MapHost, spec: MapSpec, place: { id: number }) {
    super(host, spec, place);
    const size = spec.maxEntries;
    // The kernel maps the ring twice, so that a record at its end is in one piece.
    this.region = host.memory.allocate("ring", size * 2);
    this.region.holds = (address, length) => this.inBusyRecord(address, length);
    this.region.objectAt = (address) => this.recordAt(address);
  }

  private inBusyRecord(address: number, length: number): boolean {
    for (const record of this.busy.values()) {
      if (address >= record.address && address + length <= record.address + record.size) return true;
    }
    return false;
  }

  private recordAt(address: number): readonly [number, number] | null {
    for (const record of this.busy.values()) {
      if (address >= record.address && address < record.address + record.size) {
        return [record.address, record.address + record.size];
      }
    }
    return null;
  }

  /** Bytes of the record that begins there, -1 where none does. */
  sizeOf(address: number): number {
    return this.busy.get(address)?.size ?? -1;
  }

  /** Address of the record's bytes; 0 where there is no room, or for flags. */
  reserve(size: number, flags: bigint): number {
    const ring = this.spec.maxEntries;
    if (flags !== 0n || size > 0x3fff_ffff) return 0;
    const room = roundUp(size + HEADER, 8);
    if (room > ring || this.produced + room - this.consumed > ring - 1) return 0;
    const address = this.region.base + (this.produced % ring) + HEADER;
    const record: Record = { address, size, room, state: "busy" };
    this.produced += room;
    this.records.push(record);
    this.busy.set(address, record);
    return address;
  }

  /** Whether a record that begins there was waiting. */
  finish(address: number, discard: boolean): boolean {
    const record = this.busy.get(address);
    if (record === undefined) return false;
    record.state = discard ? "discarded" : "committed";
    this.busy.delete(address);
    return true;
  }

  output(data: Uint8Array, flags: bigint): number {
    if (flags > 3n) return -errno.EINVAL;
    const copy = data.slice();
    const address = this.reserve(copy.length, 0n);
    if (address === 0) return -errno.EAGAIN;
    this.host.memory.bytes.set(copy, address);
    if (!this.finish(address, false)) throw new Trap("argument", "a record that was not reserved");
    return 0;
  }

  /** BPF_RB_AVAIL_DATA, _RING_SIZE, _CONS_POS, _PROD_POS. */
  query(what: bigint): number {
    if (what === 0n) return this.produced - this.consumed;
    if (what === 1n) return this.spec.maxEntries;
    if (what === 2n) return this.consumed;
    return what === 3n ? this.produced : 0;
  }

  /** Hands over every record up to the first busy one; gives how many. The view is valid only during the call. */
  drain(onRecord: (record: Uint8Array) => void): number {
    let count = 0;
    for (;;) {
      const record = this.records[0];
      if (record === undefined || record.state === "busy") return count;
      this.records.shift();
      this.consumed += record.room;
      if (record.state === "discarded") continue;
      count++;
      onRecord(this.host.memory.bytes.subarray(record.address, record.address + record.size));
    }
  }

  override *keys(): Iterable<Uint8Array> {}

  protected override readUser(): number {
    return -errno.ENOTSUPP;
  }
  protected override updateUser(): number {
    return -errno.ENOTSUPP;
  }
  protected override removeUser(): number {
    return -errno.ENOTSUPP;
  }
  protected override nextUser(): number {
    return -errno.ENOTSUPP;
  }

  protected override release(): void {
    this.host.memory.release(this.region);
  }
}
