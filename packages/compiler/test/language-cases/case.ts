/** A body of an XDP program, what it is given and what it gives. */
export interface LanguageCase {
  readonly name: string;
  /** Declarations before the program. */
  readonly top?: string;
  /** The body of an XDP program; `io` is the packet as eight words of 32 bits. */
  readonly body: string;
  readonly words?: readonly number[];
  readonly returns: number;
  /** Words of the packet afterwards. */
  readonly after?: readonly number[];
}
