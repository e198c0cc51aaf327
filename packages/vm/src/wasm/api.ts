/** What every JavaScript runtime has of WebAssembly and ECMAScript's own library does not declare: the members that are used here. */
export interface WasmMemory {
  readonly buffer: ArrayBuffer;
  /** By pages of 64 KiB; detaches the buffer. */
  grow(pages: number): number;
}

export interface WasmTable {
  readonly length: number;
  grow(by: number): number;
  set(index: number, value: unknown): void;
}

export interface WasmInstance {
  readonly exports: Readonly<Record<string, unknown>>;
}

export interface WasmApi {
  readonly Memory: new (shape: { initial: number; maximum: number }) => WasmMemory;
  readonly Table: new (shape: { element: "anyfunc"; initial: number }) => WasmTable;
  readonly Module: new (bytes: Uint8Array) => object;
  readonly Instance: new (
    module: object,
    imports: Readonly<Record<string, Readonly<Record<string, unknown>>>>,
  ) => WasmInstance;
  readonly RuntimeError: new (message?: string) => Error;
}

declare const WebAssembly: WasmApi;

export const wasm: WasmApi = WebAssembly;
