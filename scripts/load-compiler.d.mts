import type { Script } from "node:vm";

export const BUNDLE: string;
export const CACHE: string;
export function loadFrom(folder: string): { readonly exports: unknown; readonly script: Script };
export function loadBeside(url: string): unknown;
