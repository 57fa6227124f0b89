// The public types of every package, as text in `api/`: a change of a contract is seen in review. Packages must be built.
// `npm run api` writes the reports; a test compares them.
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { CompilerState, Extractor, ExtractorConfig } from '@microsoft/api-extractor';

const root = path.join(import.meta.dirname, '../..');
const folder = path.join(root, 'api');

/**
 * @param {boolean} update write the reports; otherwise they are compared only
 * @returns {string[]} the reports that were not current, and other faults
 */
export function apiReports(update) {
  const temporary = mkdtempSync(path.join(tmpdir(), 'glulam-api-'));
  mkdirSync(folder, { recursive: true });
  try {
    const packages = ['packages', 'plugins']
      .flatMap((group) => readdirSync(path.join(root, group)).map((name) => path.join(root, group, name)))
      .filter((each) => existsSync(path.join(each, 'package.json')));
    const names = packages.map((each) => reportName(each));
    const leftOver = readdirSync(folder).filter((name) => !names.includes(name));
    for (const name of update ? leftOver : []) rmSync(path.join(folder, name));
    const configs = packages.map((each) => configOf(each, temporary));
    // One program for all packages: each one's declarations, and TypeScript's and Node's own, are read once.
    const compilerState = CompilerState.create(configs[0], {
      additionalEntryPoints: configs.map(({ mainEntryPointFilePath }) => mainEntryPointFilePath),
    });
    return [
      ...configs.flatMap((config) => report(config, compilerState, update)),
      ...leftOver.map((name) => `api/${name}: there is no such package`),
    ];
  } finally {
    rmSync(temporary, { recursive: true });
  }
}

/** @param {string} pkg */
const reportName = (pkg) =>
  `${JSON.parse(readFileSync(path.join(pkg, 'package.json'), 'utf8')).name.replace('@glulam/', '')}.api.md`;

/** @param {string} pkg @param {string} temporary */
function configOf(pkg, temporary) {
  const none = { default: { logLevel: /** @type {any} */ ('none') } };
  return ExtractorConfig.prepare({
    configObjectFullPath: undefined,
    packageJsonFullPath: path.join(pkg, 'package.json'),
    configObject: {
      projectFolder: pkg,
      mainEntryPointFilePath: path.join(pkg, 'dist/index.d.ts'),
      compiler: { tsconfigFilePath: path.join(pkg, 'tsconfig.json') },
      newlineKind: 'lf',
      apiReport: {
        enabled: true,
        reportFileName: reportName(pkg),
        reportFolder: folder,
        reportTempFolder: temporary,
        // Types that are reached through exported ones are contract too.
        includeForgottenExports: true,
      },
      docModel: { enabled: false },
      dtsRollup: { enabled: false },
      tsdocMetadata: { enabled: false },
      // Comments are prose here, not TSDoc, and there is one kind of release.
      messages: { compilerMessageReporting: none, extractorMessageReporting: none, tsdocMessageReporting: none },
    },
  });
}

/** @param {ExtractorConfig} config @param {CompilerState} compilerState @param {boolean} update */
function report(config, compilerState, update) {
  const faults = [];
  const result = Extractor.invoke(config, {
    compilerState,
    localBuild: update,
    messageCallback(message) {
      message.handled = true;
      if (message.logLevel === 'error') faults.push(message.text);
    },
  });
  return result.apiReportChanged ? [...faults, `api/${path.basename(config.reportFilePath)}`] : faults;
}

if (process.argv[1] !== undefined && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) {
  const { update } = parseArgs({ options: { update: { type: 'boolean', default: false } } }).values;
  const changed = apiReports(update);
  if (changed.length === 0) console.log('api: all reports are current');
  else console.log(`${changed.join('\n')}\n${update ? 'written' : 'not current; look at the changes: npm run api'}`);
  if (changed.length > 0 && !update) process.exitCode = 1;
}
