/** The kernel cannot do something, or refuses it as a matter of policy, whatever the privileges. */
export class NotSupportedError extends Error {
  override readonly name = "NotSupportedError";
  /** Such as `program type lsm`. */
  readonly feature: string;
  /** The first release that can, such as `5.7`; null where a build option or policy decides. */
  readonly minKernel: string | null;

  constructor(
    feature: string,
    options: { readonly minKernel?: string | null; readonly detail?: string; readonly cause?: unknown } = {},
  ) {
    const since = options.minKernel ? ` (Linux ${options.minKernel} has it)` : "";
    const detail = options.detail ? `: ${options.detail}` : "";
    super(
      `this kernel does not support ${feature}${since}${detail}`,
      options.cause === undefined ? {} : { cause: options.cause },
    );
    this.feature = feature;
    this.minKernel = options.minKernel ?? null;
  }
}
