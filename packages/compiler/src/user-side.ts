/**
 * @module
 * A kernel module as user space imports it: its schemas, maps and names, without what runs in the kernel. For build tools, which put the
 * result in place of the source.
 */
import ts from "typescript";

const MESSAGE = "this function runs in the kernel";

function thrown(factory: ts.NodeFactory): ts.Block {
  const error = factory.createNewExpression(factory.createIdentifier("Error"), undefined, [
    factory.createStringLiteral(MESSAGE),
  ]);
  return factory.createBlock([factory.createThrowStatement(error)]);
}

/** Bodies go: they cannot run here. What only they use goes with them. */
function withoutBodies(context: ts.TransformationContext): (file: ts.SourceFile) => ts.SourceFile {
  const { factory } = context;
  const visit = (node: ts.Node): ts.Node => {
    if (ts.isFunctionDeclaration(node) && node.body) {
      return factory.updateFunctionDeclaration(
        node,
        node.modifiers,
        node.asteriskToken,
        node.name,
        undefined,
        [],
        undefined,
        thrown(factory),
      );
    }
    if (ts.isArrowFunction(node)) {
      return factory.updateArrowFunction(
        node,
        undefined,
        undefined,
        [],
        undefined,
        node.equalsGreaterThanToken,
        thrown(factory),
      );
    }
    if (ts.isFunctionExpression(node)) {
      return factory.updateFunctionExpression(
        node,
        undefined,
        undefined,
        node.name,
        undefined,
        [],
        undefined,
        thrown(factory),
      );
    }
    if (ts.isMethodDeclaration(node)) {
      const { name } = node;
      return factory.updateMethodDeclaration(
        node,
        undefined,
        undefined,
        name,
        undefined,
        undefined,
        [],
        undefined,
        thrown(factory),
      );
    }
    return ts.visitEachChild(node, visit, context);
  };
  return (file) => ts.visitEachChild(file, visit, context);
}

/** Exported functions that have JavaScript of their own go altogether. */
function withoutCompiled(names: ReadonlySet<string>): ts.TransformerFactory<ts.SourceFile> {
  return ({ factory }) =>
    (file) =>
      factory.updateSourceFile(
        file,
        file.statements.filter((node) => {
          const [name] = exportedNames(node);
          return name === undefined || !names.has(name);
        }),
      );
}

/** Names of an exported function, and of exported constants that are declared one by one. */
function exportedNames(node: ts.Statement): string[] {
  if (!ts.canHaveModifiers(node) || !node.modifiers?.some((one) => one.kind === ts.SyntaxKind.ExportKeyword)) return [];
  if (ts.isFunctionDeclaration(node)) return node.name ? [node.name.text] : [];
  if (!ts.isVariableStatement(node) || node.declarationList.declarations.length !== 1) return [];
  return node.declarationList.declarations.flatMap(({ name }) => (ts.isIdentifier(name) ? [name.text] : []));
}

/** The compiled functions within a scope of their own, so that their helpers meet no name of the module. */
function compiledPart(code: string, names: readonly string[]): string {
  const list = names.join(", ");
  const body = code.replace(/^export function /gm, "function ");
  return `\nexport const { ${list} } = (() => {\n${body}\nreturn { ${list} };\n})();\n`;
}

/** Names that something but an import uses. */
function usedNames(file: ts.SourceFile): Set<string> {
  const used = new Set<string>();
  const visit = (node: ts.Node): void => {
    if (ts.isImportDeclaration(node)) return;
    if (ts.isIdentifier(node)) used.add(node.text);
    ts.forEachChild(node, visit);
  };
  visit(file);
  return used;
}

function withoutUnused(context: ts.TransformationContext): (file: ts.SourceFile) => ts.SourceFile {
  const { factory } = context;
  return (file) => {
    const used = usedNames(file);
    const keep = (node: ts.Statement): ts.Statement[] => {
      if (!ts.isImportDeclaration(node)) return [node];
      const bindings = node.importClause?.namedBindings;
      if (!node.importClause || !bindings || !ts.isNamedImports(bindings)) return [node];
      const elements = bindings.elements.filter((one) => used.has(one.name.text));
      if (elements.length === 0) return [];
      const clause = factory.updateImportClause(
        node.importClause,
        node.importClause.phaseModifier,
        undefined,
        factory.updateNamedImports(bindings, elements),
      );
      return [factory.updateImportDeclaration(node, node.modifiers, clause, node.moduleSpecifier, node.attributes)];
    };
    return factory.updateSourceFile(file, file.statements.flatMap(keep));
  };
}

/** The module's pure functions, as `compileJavaScript` gives them. */
export interface CompiledFunctions {
  readonly code: string | null;
  readonly functions: readonly string[];
}

/** JavaScript of a `*.bpf.ts` for user space: functions of `pure` work there, the others throw. */
export function userSide(
  source: string,
  path: string,
  pure: CompiledFunctions = { code: null, functions: [] },
): string {
  const file = ts.createSourceFile(path, source, ts.ScriptTarget.ES2022);
  const own = new Set(file.statements.flatMap(exportedNames));
  // What the module hands on of another one comes from there.
  const names = pure.functions.filter((name) => own.has(name));
  const { outputText } = ts.transpileModule(source, {
    fileName: path,
    compilerOptions: { target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.ESNext, verbatimModuleSyntax: false },
    transformers: {
      before: [withoutCompiled(new Set(names)), withoutBodies],
      after: [withoutUnused as ts.TransformerFactory<ts.SourceFile>],
    },
  });
  return pure.code === null || names.length === 0 ? outputText : outputText + compiledPart(pure.code, names);
}
