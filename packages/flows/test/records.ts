import { EVENT_SIZE } from "@skep/datapath";

/** Events as the datapath writes them, one after the other: TCP between 64 sources and 32 destinations, each tenth dropped. */
export function eventRecords(count: number): DataView {
  const view = new DataView(new ArrayBuffer(EVENT_SIZE * count));
  for (let number = 0; number < count; number++) {
    const at = number * EVENT_SIZE;
    const isDrop = number % 10 === 9;
    for (const [offset, value] of [
      [8, isDrop ? 1 : 4],
      [9, isDrop ? 133 : 0],
      [10, 1],
      [76, 6],
      [77, 2],
    ] as const)
      view.setUint8(at + offset, value);
    for (const [offset, value] of [
      [12, 21_001],
      [16, 21_002],
      [20, 2],
      [24, 1],
      [28, 2],
      [32, 7],
      [36, 74],
    ] as const)
      view.setUint32(at + offset, value, true);
    for (const [offset, address] of [
      [40, 0x0a00_0100 + (number & 63)],
      [56, 0x0a00_0200 + (number & 31)],
    ] as const) {
      view.setUint32(at + offset + 8, 0xffff);
      view.setUint32(at + offset + 12, address);
    }
    view.setUint16(at + 72, number & 0xffff);
    view.setUint16(at + 74, 80 + (number % 7));
    view.setUint32(at + 80, isDrop ? 0 : 5, true);
    view.setUint32(at + 84, 6, true);
    view.setUint16(at + 88, 0x0800);
    view.setUint8(at + 90, 2);
    view.setUint8(at + 96, 2);
  }
  return view;
}

/** Sets when an event was: nanoseconds of the monotonic clock. */
export function setTime(records: DataView, number: number, time: bigint): void {
  records.setBigUint64(number * EVENT_SIZE, time, true);
}
