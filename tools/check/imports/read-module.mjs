import { readFileSync } from 'node:fs';
import ts from 'typescript';

/**
 * @typedef {object} Import what one statement or expression imports
 * @property {string} specifier
 * @property {number} line
 * @property {boolean} erased Nothing of it is left in JavaScript: `import type`, `export type`, a type `import('x').T`. Of
 *   `import { type T }` an empty import is left, since `verbatimModuleSyntax` is on.
 * @property {readonly string[] | 'all'} names as the imported module exports them
 */

/** @typedef {{ name: string, line: number }} Export */

/**
 * What a file imports, and the names that it exports.
 *
 * @param {string} file
 * @returns {{ imports: Import[], exports: Export[] }}
 */
export function readModule(file) {
  const source = ts.createSourceFile(file, readFileSync(file, 'utf8'), ts.ScriptTarget.Latest);
  /** @type {Import[]} */
  const imports = [];
  /** @type {Export[]} */
  const exports = [];
  /** @param {ts.Node} node */
  const lineOf = (node) => source.getLineAndCharacterOfPosition(node.getStart(source)).line + 1;
  /** @param {ts.Node} node @param {ts.Node | undefined} specifier @param {boolean} erased @param {Import['names']} names */
  const addImport = (node, specifier, erased, names) => {
    if (specifier === undefined || !ts.isStringLiteralLike(specifier)) return;
    imports.push({ specifier: specifier.text, line: lineOf(node), erased, names });
  };

  /** @param {ts.Node} node */
  const visit = (node) => {
    if (ts.isImportDeclaration(node)) {
      const clause = node.importClause;
      const erased = clause?.phaseModifier === ts.SyntaxKind.TypeKeyword;
      const bindings = clause?.namedBindings;
      const named = bindings === undefined ? [] : ts.isNamedImports(bindings) ? importedNames(bindings) : 'all';
      addImport(node, node.moduleSpecifier, erased, named);
    } else if (ts.isExportDeclaration(node)) {
      const clause = node.exportClause;
      const named = clause !== undefined && ts.isNamedExports(clause) ? importedNames(clause) : 'all';
      addImport(node, node.moduleSpecifier, node.isTypeOnly, named);
    } else if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword) {
      addImport(node, node.arguments[0], false, 'all');
    } else if (ts.isImportTypeNode(node)) {
      addImport(node, ts.isLiteralTypeNode(node.argument) ? node.argument.literal : undefined, true, 'all');
    }
    ts.forEachChild(node, visit);
  };
  visit(source);

  for (const statement of source.statements) {
    for (const name of exportedNames(statement)) exports.push({ name, line: lineOf(statement) });
  }
  return { imports, exports };
}

/** The names in the other module, whatever they are called here. @param {ts.NamedImports | ts.NamedExports} list */
function importedNames({ elements }) {
  return [...elements].map(({ propertyName, name }) => (propertyName ?? name).text);
}

/** @param {ts.Statement} statement @returns {string[]} */
function exportedNames(statement) {
  if (ts.isExportDeclaration(statement)) {
    const clause = statement.exportClause;
    return clause !== undefined && ts.isNamedExports(clause) ? clause.elements.map(({ name }) => name.text) : [];
  }
  const modifiers = ts.canHaveModifiers(statement) ? ts.getModifiers(statement) : undefined;
  if (!modifiers?.some(({ kind }) => kind === ts.SyntaxKind.ExportKeyword)) return [];
  if (ts.isVariableStatement(statement)) {
    return statement.declarationList.declarations.flatMap(({ name }) => boundNames(name));
  }
  const { name } = /** @type {ts.DeclarationStatement} */ (statement);
  return name === undefined ? [] : [name.text];
}

/** @param {ts.BindingName} name @returns {string[]} */
function boundNames(name) {
  if (ts.isIdentifier(name)) return [name.text];
  return [...name.elements].flatMap((element) => (ts.isBindingElement(element) ? boundNames(element.name) : []));
}
