import { ObjectError } from "../errors.ts";
import { COrder } from "./c-order.ts";
import { CText } from "./c-text.ts";
import type { BtfTypes, BtfView } from "./types.ts";
import { viewOf } from "./view.ts";

export interface PrintCOptions {
  /** Only these types and what they need. Default all that the view has of its own and their base's. */
  readonly types?: readonly number[];
  /** With the frame of bpftool's vmlinux.h: include guard and preserve_access_index. Default false. */
  readonly header?: boolean;
}

const HEADER = `#ifndef __VMLINUX_H__
#define __VMLINUX_H__

#ifndef BPF_NO_PRESERVE_ACCESS_INDEX
#pragma clang attribute push (__attribute__((preserve_access_index)), apply_to = record)
#endif

`;

const FOOTER = `#ifndef BPF_NO_PRESERVE_ACCESS_INDEX
#pragma clang attribute pop
#endif

#endif /* __VMLINUX_H__ */
`;

/**
 * The types as C that a compiler takes, in the order and the wording of `bpftool btf dump format c` (libbpf's btf_dump): a type comes after
 * what it embeds, pointers make forward declarations, anonymous types are written where they are used, padding is explicit, and names that
 * are taken get `___2`. Throws `ObjectError` `btf` for types that embed themselves.
 */
export function printC(btf: BtfTypes | BtfView, options: PrintCOptions = {}): string {
  const view = viewOf(btf);
  const text = new CText(view);
  const order = new COrder(view, text);
  const ids = options.types ?? Array.from({ length: view.end - 1 }, (_, index) => index + 1);
  for (const id of ids) {
    if (id < 1 || id >= view.end) throw new ObjectError("btf", `there is no type ${id}`);
    order.dump(id);
  }
  const body = order.text();
  return options.header === true ? HEADER + body + FOOTER : body;
}
