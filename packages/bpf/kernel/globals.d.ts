// What `tsc` wants of every program, and no more: kernel TypeScript has no JavaScript library.
interface Array<T> {
  readonly length: number;
  [index: number]: T;
  [Symbol.iterator](): IterableIterator<T>;
}
interface ReadonlyArray<T> {
  readonly length: number;
  readonly [index: number]: T;
  [Symbol.iterator](): IterableIterator<T>;
}
interface String {
  readonly length: number;
}
interface Number {
  readonly "~number"?: never;
}
interface BigInt {
  readonly "~bigint"?: never;
}
interface Boolean {
  readonly "~boolean"?: never;
}
interface Symbol {
  readonly "~symbol"?: never;
}
interface SymbolConstructor {
  readonly iterator: unique symbol;
}
// oxlint-disable-next-line no-var -- as the library declares it
declare var Symbol: SymbolConstructor;
interface Object {
  readonly "~object"?: never;
}
interface Function {
  readonly "~function"?: never;
}
interface CallableFunction extends Function {}
interface NewableFunction extends Function {}
interface RegExp {
  readonly "~regexp"?: never;
}
interface IArguments {
  readonly length: number;
  [index: number]: unknown;
}
interface TemplateStringsArray extends ReadonlyArray<string> {
  readonly raw: readonly string[];
}
interface IteratorYieldResult<T> {
  done?: false;
  value: T;
}
interface IteratorReturnResult<T> {
  done: true;
  value: T;
}
type IteratorResult<T, R = unknown> = IteratorYieldResult<T> | IteratorReturnResult<R>;
interface Iterator<T, R = unknown, N = unknown> {
  next(...args: [] | [N]): IteratorResult<T, R>;
}
interface Iterable<T, R = unknown, N = unknown> {
  [Symbol.iterator](): Iterator<T, R, N>;
}
interface IterableIterator<T, R = unknown, N = unknown> extends Iterator<T, R, N> {
  [Symbol.iterator](): IterableIterator<T, R, N>;
}
type Readonly<T> = { readonly [K in keyof T]: T[K] };
type Partial<T> = { [K in keyof T]?: T[K] };
type Pick<T, K extends keyof T> = { [P in K]: T[P] };
type Record<K extends string | number | symbol, T> = { [P in K]: T };
type Exclude<T, U> = T extends U ? never : T;
type Extract<T, U> = T extends U ? T : never;
type Omit<T, K extends string | number | symbol> = Pick<T, Exclude<keyof T, K>>;
type NonNullable<T> = T & {};
type ReturnType<T> = T extends (...args: never[]) => infer R ? R : never;
type Parameters<T> = T extends (...args: infer P) => unknown ? P : never;
