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

/** JavaScript of a `*.bpf.ts` for user space. */
export function userSide(source: string, path: string): string {
  const { outputText } = ts.transpileModule(source, {
    fileName: path,
    compilerOptions: { target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.ESNext, verbatimModuleSyntax: false },
    transformers: { before: [withoutBodies], after: [withoutUnused as ts.TransformerFactory<ts.SourceFile>] },
  });
  return outputText;
}
