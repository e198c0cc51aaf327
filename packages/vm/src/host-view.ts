import type { Host } from "./host.ts";

const nothing: Host = {};

/** One host of several: a member is that of the last that has it, called on its own object. */
export function hostView(base: Host = nothing, over: Host = nothing): Host {
  if (over === nothing) return base;
  return new Proxy(nothing, {
    get: (_target, name) => {
      for (const each of [over, base]) {
        const member: unknown = Reflect.get(each, name);
        if (member === undefined) continue;
        return typeof member === "function" ? (member.bind(each) as unknown) : member;
      }
      return undefined;
    },
  });
}
