import type { Diagnostic, PolicyCode } from "../diagnostic.ts";
import type { PolicyDocument, Rule } from "../rule.ts";
import type { Span } from "../diagnostic.ts";

/** What is understood and not served yet: it is denied, and said. */
export function warnings(document: PolicyDocument): Diagnostic[] {
  return document.rules.flatMap(ruleWarnings);
}

function ruleWarnings(rule: Rule): Diagnostic[] {
  const found: Diagnostic[] = [];
  const { path } = rule.origin;
  const warn = (code: PolicyCode, message: string, span: Span | null): void => {
    found.push({ code, severity: "warning", message: `${path}: ${message}`, path, ...(span ? { span } : {}) });
  };
  for (const port of rule.ports ?? []) {
    const needs = proxyNeed(port);
    if (needs !== null)
      warn("SKEP6040", `${needs} needs a proxy; without one what the rule matches is denied`, port.span);
  }
  if (rule.authentication && rule.authentication.mode !== "disabled")
    warn(
      "SKEP6040",
      "authentication needs a handshake that is not served; what the rule matches is denied",
      rule.origin.span,
    );
  for (const peer of rule.peers ?? []) {
    if (peer.kind === "fqdn") warn("SKEP6041", "a DNS name selects nothing until the DNS proxy has seen it", peer.span);
    if (peer.kind === "group")
      warn("SKEP6044", "groups of a cloud provider are not looked up; it selects nothing", peer.span);
  }
  return found;
}

/** What of the rule only a proxy can enforce, or null. */
export function proxyNeed(port: NonNullable<Rule["ports"]>[number]): string | null {
  if (port.listener) return "a listener";
  if (port.l7) return `a rule of ${port.l7.kind}`;
  if (port.terminatingTls || port.originatingTls) return "TLS interception";
  return port.serverNames.length > 0 ? "a TLS server name" : null;
}
