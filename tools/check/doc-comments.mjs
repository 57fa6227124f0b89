// Exported members of a package without a doc comment, from its built declarations.
import path from 'node:path';
import ts from 'typescript';

const root = path.join(import.meta.dirname, '../..');

/**
 * @param {string} name the package's folder below the root, such as `packages/glulam`
 * @param {{ reexported?: boolean }} [options] also what other packages of the workspace declare; else these answer for it
 * @returns {string[]} such as `run`, or `RunOptions.resume`
 */
export function undocumented(name, { reexported = false } = {}) {
  const folder = path.join(root, name);
  const entry = path.join(folder, 'dist/index.d.ts');
  const program = ts.createProgram([entry], {
    module: ts.ModuleKind.NodeNext,
    moduleResolution: ts.ModuleResolutionKind.NodeNext,
    target: ts.ScriptTarget.ESNext,
    noEmit: true,
    skipLibCheck: true,
    types: [],
  });
  const checker = program.getTypeChecker();
  const source = program.getSourceFile(entry);
  if (source === undefined) throw new Error(`${entry} is not there: build ${name} first`);
  const module = checker.getSymbolAtLocation(source);
  if (module === undefined) throw new Error(`${entry} exports nothing`);
  /** @param {ts.Symbol} symbol */
  const isDocumented = (symbol) => symbol.getDocumentationComment(checker).length > 0;
  /** @param {string} file */
  const isBelow = (file) =>
    file.startsWith(`${reexported ? root : folder}${path.sep}`) && !file.includes('node_modules');
  /** @param {ts.Symbol} symbol */
  const isOwn = (symbol) => (symbol.declarations ?? []).some((each) => isBelow(each.getSourceFile().fileName));

  return checker.getExportsOfModule(module).flatMap((exported) => {
    const symbol = exported.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(exported) : exported;
    if (!isOwn(symbol)) return [];
    const missing = isDocumented(symbol) ? [] : [exported.name];
    for (const member of membersOf(symbol)) {
      if (!isOwn(member) || isDocumented(member) || isHidden(member)) continue;
      missing.push(`${exported.name}.${member.name}`);
    }
    return missing;
  });
}

/** @param {ts.Symbol} symbol @returns {ts.Symbol[]} declared by an interface, a class or a record type itself */
function membersOf(symbol) {
  const isRecord = (symbol.declarations ?? []).some(
    (each) => ts.isTypeAliasDeclaration(each) && ts.isTypeLiteralNode(each.type),
  );
  const literals = isRecord
    ? (symbol.declarations ?? []).flatMap((each) =>
        ts.isTypeAliasDeclaration(each) && ts.isTypeLiteralNode(each.type) ? [...each.type.members] : [],
      )
    : [];
  const named = literals.flatMap(
    (each) => /** @type {{ symbol?: ts.Symbol }} */ (/** @type {unknown} */ (each)).symbol ?? [],
  );
  return [...(symbol.members?.values() ?? []), ...named].filter(
    (member) => member.flags & (ts.SymbolFlags.Property | ts.SymbolFlags.Method | ts.SymbolFlags.Accessor),
  );
}

/** Private, or a symbol of the compiler's own: `#private` stands for all `#` fields of a class. @param {ts.Symbol} member */
function isHidden(member) {
  const [declaration] = member.declarations ?? [];
  if (declaration === undefined) return true;
  const flags = ts.getCombinedModifierFlags(/** @type {ts.Declaration} */ (declaration));
  return (flags & (ts.ModifierFlags.Private | ts.ModifierFlags.Protected)) !== 0 || /^(__|#)/.test(member.name);
}
