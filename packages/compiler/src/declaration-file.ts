/**
 * @module
 * `--emit d.ts`: the declarations of a kernel module's exports, for who has the object but not the source.
 */
import { programOf, type CompilerHost } from "./source.ts";

/** The text of `NAME.d.ts`; null where the module has errors, which `compile` tells. */
export function declarationsOf(entry: string, host: CompilerHost): string | null {
  const program = programOf(entry, host, { declaration: true, emitDeclarationOnly: true, noEmit: false });
  const file = program.getSourceFile(entry);
  if (!file || program.getSemanticDiagnostics(file).length > 0) return null;
  let text: string | null = null;
  program.emit(
    file,
    (_path, contents) => {
      text = contents;
    },
    undefined,
    true,
  );
  // Where this compiler keeps its own modules is nobody's matter.
  return text === null ? null : (text as string).replace(/import\("[^"]*@skep\/bpf\/[^"]*"\)/g, 'import("@skep/bpf")');
}
