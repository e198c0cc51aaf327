import type { Diagnostic } from "./diagnostic.ts";
import type { PolicyEngine, PolicySubject } from "./engine.ts";
import { overflowDiagnostic } from "./limit.ts";
import type { RuleOrigin } from "./rule.ts";
import { formatOrigin, formatPort } from "./text.ts";

/** What keeps a subject's policy from being in force as it is written: a map too small, priorities too many, L7 rules that exclude each other. */
export function problemsOf(engine: PolicyEngine, subject: PolicySubject): Diagnostic[] {
  const { ingress, egress } = engine.subject(subject);
  const found: Diagnostic[] = [];
  const overflow = engine.fits(subject) ? null : overflowDiagnostic(engine.resolve(subject));
  if (overflow) found.push(overflow);
  for (const { direction, levels } of [ingress, egress])
    if (levels.overflows)
      found.push({
        code: "SKEP6052",
        severity: "error",
        message: `${direction} of endpoint ${subject.id} has more priorities than the kernel tells apart: everything is denied`,
        hint: "give policies of one tier the same priority where their order does not matter",
      });
  for (const { protocol, port, asked, shadowed } of [...ingress.conflicts(), ...egress.conflicts()])
    found.push({
      code: "SKEP6051",
      severity: "warning",
      message: `rules of different L7 kinds on ${formatPort(protocol, port)}: one of them is not asked, and what it allows is denied`,
      ...spanOf(shadowed.origin),
      hint: "let rules of one kind have the port",
      related: [
        { message: `not asked: ${formatOrigin(shadowed.origin)}`, ...spanOf(shadowed.origin) },
        { message: `asked: ${formatOrigin(asked.origin)}`, ...spanOf(asked.origin) },
      ],
    });
  return found;
}

function spanOf({ span }: RuleOrigin): { readonly span?: NonNullable<RuleOrigin["span"]> } {
  return span ? { span } : {};
}
