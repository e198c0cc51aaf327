export * from "./address.ts";
export * from "./prefix.ts";
export * from "./mac.ts";
export * from "./port.ts";
export * from "./checksum.ts";
export * from "./hash.ts";
export * from "./trie.ts";
