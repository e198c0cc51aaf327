import { parseAddress, type Address } from "@skep/net";

export const ip = (text: string): Address => {
  const found = parseAddress(text);
  if (!found) throw new Error(`${text} is no address`);
  return found;
};

export const mac = (...bytes: number[]): Uint8Array => Uint8Array.of(2, 0, 0, 0, ...bytes);
