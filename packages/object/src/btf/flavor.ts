/**
 * The part of a type's name before its flavor: `task_struct___old` is `task_struct`. A separator is `___` between characters that
 * are no underscores; the last one counts (bpf_core_essential_name_len, relo_core.c).
 */
export function essentialName(name: string): string {
  for (let at = name.length - 5; at >= 0; at--) {
    if (name[at] !== "_" && name.startsWith("___", at + 1) && name[at + 4] !== "_") return name.slice(0, at + 1);
  }
  return name;
}
