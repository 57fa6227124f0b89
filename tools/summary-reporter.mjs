// A vitest reporter whose last line a script can read: `N passed, N failed`, with `, N skipped` where some were. What
// was skipped, and why, is listed before it, so that no gap goes unseen.
import path from 'node:path';

export default class SummaryReporter {
  #passed = 0;
  #failed = 0;
  /** @type {string[]} */
  #skipped = [];

  onInit() {
    // Written at exit, because other reporters and closing workers still print after the run's end.
    process.on('exit', () => this.#print());
  }

  /**
   * @param {readonly import('vitest/node').TestModule[]} modules
   * @param {readonly unknown[]} unhandledErrors
   */
  onTestRunEnd(modules, unhandledErrors) {
    // An error outside of any test fails the run as well: a file that cannot be loaded, a hook, a stray rejection.
    this.#failed += unhandledErrors.length;
    for (const module of modules) {
      this.#failed += [module, ...module.children.allSuites()].filter((part) => part.errors().length > 0).length;
      for (const test of module.children.allTests()) this.#count(module, test);
    }
  }

  /** @param {import('vitest/node').TestModule} module @param {import('vitest/node').TestCase} test */
  #count(module, test) {
    const result = test.result();
    if (result.state === 'passed') this.#passed++;
    else if (result.state === 'skipped') {
      const reason = result.note ?? `no reason given (marked ${test.options.mode})`;
      this.#skipped.push(`${path.relative(process.cwd(), module.moduleId)} > ${test.fullName}: ${reason}`);
    } else this.#failed++;
  }

  #print() {
    const skipped = this.#skipped.length;
    const lines = this.#skipped.map((line) => `skipped: ${line}`);
    if (this.#passed + this.#failed === 0) lines.push('No test ran, which counts as a failure.');
    if (this.#passed === 0 || this.#failed > 0) process.exitCode ||= 1;
    lines.push(`${this.#passed} passed, ${this.#failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`);
    process.stdout.write(`${lines.join('\n')}\n`);
  }
}
