/** Paints text for a terminal. */
export interface Paint {
  readonly host: (text: string) => string;
  readonly port: (text: string) => string;
  readonly identity: (text: string) => string;
  readonly good: (text: string) => string;
  readonly bad: (text: string) => string;
  readonly warn: (text: string) => string;
}

const plain = (text: string): string => text;
const sgr = (code: number) => (text: string) => (text === "" ? "" : `\u001b[${code}m${text}\u001b[0m`);

export const noPaint: Paint = {
  host: plain,
  port: plain,
  identity: plain,
  good: plain,
  bad: plain,
  warn: plain,
};

export const terminalPaint: Paint = {
  host: sgr(36),
  port: sgr(33),
  identity: sgr(35),
  good: sgr(32),
  bad: sgr(31),
  warn: sgr(33),
};

/** Names come from outside: what steers a terminal is shown in caret notation instead. */
export function escapeTerminal(text: string): string {
  // oxlint-disable-next-line no-control-regex
  return text.replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g, (each) => {
    if (each === "\r") return "\\r";
    const code = each.charCodeAt(0);
    if (code >= 0x80) return `\\u${code.toString(16).padStart(4, "0")}`;
    return code === 0x7f ? "^?" : `^${String.fromCharCode(code + 64)}`;
  });
}
