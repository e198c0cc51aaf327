/** What a run of a program left. */
export interface Outcome {
  /** Unsigned. */
  readonly returned: number;
  readonly packet: Uint8Array;
}

export function describeOutcome({ returned, packet }: Outcome): string {
  const words = Buffer.from(packet)
    .toString("hex")
    .replace(/(.{16})/g, "$1 ");
  return `returned ${returned >>> 0}\npacket ${words}`;
}

export function describeContents(contents: Readonly<Record<string, string>>): string {
  return Object.entries(contents)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, text]) => `${name}: ${text}`)
    .join("\n");
}
