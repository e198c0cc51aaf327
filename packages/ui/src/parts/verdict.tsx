import type { ReactNode } from "react";
import type { flow } from "@skep/api";
import { outcomeOf, verdictName } from "../model/row.ts";
import { humanName } from "../model/text.ts";

export function Verdict({ message }: { readonly message: flow.Flow }): ReactNode {
  return <span className={`verdict ${outcomeOf(message)}`}>{humanName(verdictName(message))}</span>;
}
