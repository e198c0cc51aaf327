/**
 * @module
 * As much of the DOM as this page uses. The command's types are Node's; the browser's whole library beside them would hide mistakes there.
 */

export interface PageElement {
  textContent: string;
  className: string;
  hidden: boolean;
  append(...children: readonly (PageElement | string)[]): void;
  replaceChildren(...children: readonly (PageElement | string)[]): void;
  setAttribute(name: string, value: string): void;
  addEventListener(type: string, listener: (event: PageEvent) => void): void;
  focus(): void;
  click(): void;
}

export interface PageEvent {
  readonly key?: string;
  readonly ctrlKey?: boolean;
  readonly metaKey?: boolean;
  preventDefault(): void;
}

/** An input, a select or a textarea. */
export interface Field extends PageElement {
  value: string;
  disabled: boolean;
  readonly files: { readonly [index: number]: PageFile; readonly length: number } | null;
  setSelectionRange(start: number, end: number): void;
}

export interface PageFile {
  readonly name: string;
  arrayBuffer(): Promise<ArrayBuffer>;
}

interface PageScope {
  readonly document: {
    getElementById(id: string): PageElement | null;
    createElement(tag: string): PageElement;
  };
  readonly location: { readonly search: string };
}

const scope = globalThis as unknown as PageScope;

export const search = (): URLSearchParams => new URLSearchParams(scope.location.search);

/** An element of the page by its id. */
export function byId(id: string): PageElement {
  const found = scope.document.getElementById(id);
  if (found === null) throw new Error(`the page has no ${id}`);
  return found;
}

export const field = (id: string): Field => byId(id) as Field;

type Attributes = Readonly<Record<string, string>>;

/** Makes an element. Text is always text: nothing of a program or a packet becomes markup. */
export function make(tag: string, attributes: Attributes, ...children: readonly (PageElement | string)[]): PageElement {
  const made = scope.document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}
