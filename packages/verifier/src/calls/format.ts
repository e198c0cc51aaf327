/**
 * @module
 * The text that a program formats numbers with: which words the kernel knows (bpf_bprintf_prepare, kernel/bpf/helpers.c).
 */
const isSpace = (c: number): boolean => c === 32 || (c >= 9 && c <= 13);
const isGraph = (c: number): boolean => c > 32 && c < 127;
const isDigit = (c: number): boolean => c >= 48 && c <= 57;
const isLetter = (c: number): boolean => (c >= 65 && c <= 90) || (c >= 97 && c <= 122);
const isPunctuation = (c: number): boolean => isGraph(c) && !isDigit(c) && !isLetter(c);
/** What may follow a word. */
const isEnd = (c: number): boolean => c === 0 || isSpace(c) || isPunctuation(c);

/** What is wrong with a text for so many numbers; null: nothing. `text`: without its zero. */
export function formatProblem(text: Uint8Array, numbers: number): string | null {
  const at = (index: number): number => text[index] ?? 0;
  const char = (index: number): string => String.fromCharCode(at(index));
  let words = 0;
  for (let i = 0; i < text.length; i++) {
    if (!isGraph(at(i)) && !isSpace(at(i))) return `byte ${i} of the text, ${at(i)}, cannot be printed`;
    if (char(i) !== "%") continue;
    if (char(i + 1) === "%") {
      i++;
      continue;
    }
    if (words >= numbers) return `the text has more words than there are numbers: ${numbers}`;
    words++;
    i++;
    while ("0+- ".includes(char(i))) i++;
    if (isDigit(at(i)) && char(i) !== "0") while (isDigit(at(i))) i++;
    const length = wordLength(char, (index) => isEnd(at(index)), i);
    if (length === 0) return `%${char(i)} is no word of a format`;
    i += length - 1;
  }
  return null;
}

/** Characters of the word that begins at `i`, behind its width; 0: there is no such word. */
function wordLength(char: (index: number) => string, isEndAt: (index: number) => boolean, i: number): number {
  switch (char(i)) {
    case "p":
      return pointerLength(char, isEndAt, i);
    case "s":
      return isEndAt(i + 1) ? 1 : 0;
    case "c":
      return 1;
    default: {
      let length = 0;
      while (length < 2 && char(i + length) === "l") length++;
      return "iduxX".includes(char(i + length)) ? length + 1 : 0;
    }
  }
}

function pointerLength(char: (index: number) => string, isEndAt: (index: number) => boolean, i: number): number {
  const next = char(i + 1);
  if (isEndAt(i + 1)) return 1;
  if ((next === "k" || next === "u") && char(i + 2) === "s") return isEndAt(i + 3) ? 3 : 0;
  if ("KxsSB".includes(next)) return 2;
  return "iI".includes(next) && "46".includes(char(i + 2)) ? 3 : 0;
}
