import { inlineFunction, lowerCall } from "./calls.ts";
import { lowerCondition } from "./conditions.ts";
import type { Lower } from "./cx.ts";
import { lowerValue } from "./expressions.ts";
import { lowerStatements } from "./statements.ts";

/** The parts of lowering, as each sees the others. */
export const lowering: Lower = {
  value: lowerValue,
  condition: lowerCondition,
  statements: lowerStatements,
  call: lowerCall,
  inline: inlineFunction,
};
