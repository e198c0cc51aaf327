export { kernelNumber, verify, verifyLoaded } from "./verify.ts";
export type { LoadedProgram, Verification, VerifyOptions } from "./verify.ts";
export type { PathStep, Refusal, RegisterValue, SourcePlace } from "./explain/refusal.ts";
export type { Budget, BudgetFunction, BudgetLine } from "./explain/budget.ts";
export { privilegeRules, rules, verifierCodes } from "./rules.ts";
export type { Rule } from "./rules.ts";
export type { Privilege } from "./privilege/privilege.ts";
