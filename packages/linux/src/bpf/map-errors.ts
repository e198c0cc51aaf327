/** A map that is there does not fit what the spec says. It is left as it was. */
export class MapMismatchError extends Error {
  override readonly name = "MapMismatchError";
  readonly map: string;
  /** Such as `value size 8 instead of 16`. */
  readonly differences: readonly string[];

  constructor(map: string, differences: readonly string[]) {
    super(`map ${map} does not fit its spec: ${differences.join(", ")}`);
    this.map = map;
    this.differences = differences;
  }
}
