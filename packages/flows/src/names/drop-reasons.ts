import { flow } from "@skep/api";
import { dropReasonText, dropReasonTexts } from "@skep/datapath";
import { enumName } from "./enums.ts";

export interface DropReason {
  readonly code: number;
  /** As `skep observe` prints it. */
  readonly text: string;
  /** Name in Hubble's enum DropReason; null where it has none. */
  readonly name: string | null;
  /** False: a note of the datapath, not a drop. */
  readonly isDrop: boolean;
}

/** The name of Hubble's enum DropReason, or null. */
export function dropReasonName(code: number): string | null {
  return code === 0 ? null : enumName(flow.DropReasonSchema, code);
}

/** Every code with a text, ascending. */
export function dropReasons(): DropReason[] {
  return Object.keys(dropReasonTexts)
    .map(Number)
    .map((code) => ({ code, text: dropReasonText(code), name: dropReasonName(code), isDrop: code >= 130 }));
}
