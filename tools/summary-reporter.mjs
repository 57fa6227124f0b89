// A vitest reporter whose last line a script can read: `N passed, N failed`, with `, N skipped` where some were. Before
// it, what was skipped and what failed, each with its reason: no gap goes unseen, and a log's end says what went wrong.
import path from 'node:path';
import { stripVTControlCharacters } from 'node:util';

export default class SummaryReporter {
  #passed = 0;
  /** @type {string[]} */
  #failed = [];
  /** @type {string[]} */
  #skipped = [];

  onInit() {
    // Written at exit, because other reporters and closing workers still print after the run's end.
    process.on('exit', () => this.#print());
  }

  /**
   * @param {readonly import('vitest/node').TestModule[]} modules
   * @param {readonly {message: string}[]} unhandledErrors
   */
  onTestRunEnd(modules, unhandledErrors) {
    // An error outside of any test fails the run as well: a file that cannot be loaded, a hook, a stray rejection.
    for (const error of unhandledErrors) this.#fail('outside of any test', [error]);
    for (const module of modules) {
      const file = path.relative(process.cwd(), module.moduleId);
      if (module.errors().length > 0) this.#fail(file, module.errors());
      for (const suite of module.children.allSuites())
        if (suite.errors().length > 0) this.#fail(`${file} > ${suite.fullName}`, suite.errors());
      for (const test of module.children.allTests()) this.#count(`${file} > ${test.fullName}`, test);
    }
  }

  /** @param {string} name @param {import('vitest/node').TestCase} test */
  #count(name, test) {
    const result = test.result();
    if (result.state === 'passed') this.#passed++;
    else if (result.state === 'skipped')
      this.#skipped.push(`${name}: ${result.note ?? `no reason given (marked ${test.options.mode})`}`);
    // A test that did not end, because its process did, has no errors.
    else this.#fail(name, result.errors ?? [{ message: `its state is ${result.state}` }]);
  }

  /** @param {string} name @param {readonly {message: string, diff?: string}[]} errors */
  #fail(name, errors) {
    const texts = errors.flatMap(({ message, diff = '' }) => [message, stripVTControlCharacters(diff)]);
    const lines = texts.flatMap((text) => text.trimEnd().split('\n')).filter((line) => line !== '');
    // The whole, with its place, stands in the report above.
    this.#failed.push([name, ...lines.slice(0, 30)].join('\n  '));
  }

  #print() {
    const [skipped, failed] = [this.#skipped.length, this.#failed.length];
    const lines = [
      ...this.#skipped.map((line) => `skipped: ${line}`),
      ...this.#failed.map((line) => `failed: ${line}`),
    ];
    if (this.#passed + failed === 0) lines.push('No test ran, which counts as a failure.');
    if (this.#passed === 0 || failed > 0) process.exitCode ||= 1;
    lines.push(`${this.#passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`);
    process.stdout.write(`${lines.join('\n')}\n`);
  }
}
