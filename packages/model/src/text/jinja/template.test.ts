import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ModelError } from '../../errors.js';
import { budgets } from './rendering.js';
import { createJinjaTemplate, type RenderedTemplate } from './template.js';
import { Float } from './values/to-value.js';

interface Outcome {
  readonly text?: string;
  readonly raises?: string;
}
interface Table {
  readonly names: Record<string, unknown>;
  readonly chat: readonly (readonly [string, Outcome])[];
  readonly task: readonly (readonly [string, Outcome])[];
}

const read = (name: string): unknown =>
  JSON.parse(readFileSync(new URL(`../../../../../fixtures/jinja/${name}.json`, import.meta.url), 'utf8'));
const table = read('expressions') as Table;

const codes: Readonly<Record<string, string>> = {
  TemplateSyntaxError: 'TEMPLATE_INVALID',
  TemplateAssertionError: 'TEMPLATE_INVALID',
  SyntaxError: 'TEMPLATE_INVALID',
  TemplateError: 'TEMPLATE_REFUSED',
};

function outcome(run: () => RenderedTemplate): Outcome {
  try {
    return { text: run().text };
  } catch (error) {
    if (!(error instanceof ModelError)) throw error;
    return { raises: error.code };
  }
}

/** What Python raises, as this interpreter reports it. */
const expected = ({ text, raises }: Outcome): Outcome =>
  text === undefined ? { raises: codes[raises!] ?? 'TEMPLATE_FAILED' } : { text };

describe.each(['chat', 'task'] as const)('%s templates', (dialect) => {
  it.each(table[dialect])('%j', (source, result) => {
    expect(outcome(() => createJinjaTemplate(source, dialect).render(table.names))).toEqual(expected(result));
  });
});

describe('random templates', () => {
  const [names, ...cases] = readFileSync(new URL('../../../../../fixtures/jinja/sample.jsonl', import.meta.url), 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as unknown) as [Record<string, unknown>, ...[string, Outcome][]];

  it.each(cases)('%j', (source, result) => {
    expect(outcome(() => createJinjaTemplate(source, 'chat').render(names))).toEqual(expected(result));
  });
});

const render = (source: string, names: Record<string, unknown> = {}, now?: Date): RenderedTemplate =>
  createJinjaTemplate(source, 'chat').render(names, now);

describe('values of JavaScript', () => {
  it('keeps what JSON in JavaScript cannot say', () => {
    const names = {
      float: new Float(1),
      big: 12345678901234567890n,
      map: new Map<string, unknown>([
        ['b', 1],
        ['1', 2],
      ]),
    };
    expect(render('{{ float }} {{ big }} {{ map }} {{ map | tojson }}', names).text).toBe(
      '1.0 12345678901234567890 {\'b\': 1, \'1\': 2} {"b": 1, "1": 2}',
    );
  });

  it('refuses whole numbers that may have lost digits', () => {
    expect(() => render('{{ n }}', { n: 2 ** 60 })).toThrow(expect.objectContaining({ code: 'TEMPLATE_LIMIT' }));
  });

  it('takes undefined for what is not there', () => {
    expect(render('{{ m.a is defined }}{{ b is defined }}', { m: { a: undefined }, b: undefined }).text).toBe(
      'FalseFalse',
    );
  });
});

describe('errors', () => {
  it.each([
    ['a\n{{ 1 + "a" }}', 'TEMPLATE_FAILED', 'line 2: TypeError: '],
    ['\n\n{% if x %}{{ missing.y }}{% endif %}', 'TEMPLATE_FAILED', "line 3: 'missing' is undefined"],
    ['\n{% for %}', 'TEMPLATE_INVALID', 'line 2: '],
    ['{{ raise_exception("Not so.") }}', 'TEMPLATE_REFUSED', 'Not so.'],
    ['{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}', 'TEMPLATE_FAILED', 'line 1: RecursionError: '],
    ['{{ "a" | urlize }}', 'TEMPLATE_LIMIT', "line 1: Glulam's Jinja lacks the filter urlize"],
    ['{% macro m() %}{% endmacro %}\n{{ m(1) }}', 'TEMPLATE_FAILED', 'line 2: TypeError: '],
  ])('%j is %s', (source, code, message) => {
    const run = (): unknown => render(source, { x: 1 });
    expect(run).toThrow(
      expect.objectContaining({ code, message: expect.stringMatching(message.replace('?', '.')) as string }),
    );
  });
});

describe('budgets', () => {
  // All of them take seconds.
  const { steps } = budgets;
  beforeAll(() => void (budgets.steps = 100_000));
  afterAll(() => void (budgets.steps = steps));

  it.each([
    '{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}',
    "{% set ns = namespace(x='ab') %}{% for i in range(99) %}{% set ns.x = ns.x ~ ns.x %}{% endfor %}",
    '{% set ns = namespace(x=[1]) %}{% for i in range(99) %}{% set ns.x = [ns.x, ns.x] %}{% endfor %}{{ ns.x }}',
    "{{ 'x' * 999999999999 }}",
    '{{ [0] * 999999999999 }}',
    "{{ '%999999999d' % 1 }}",
    "{{ '{:999999999}'.format(1) }}",
    "{{ 'a'.center(9999999999) }}",
    "{{ 'a' | indent(9999999999, true) }}",
    '{{ 9 ** 9999999 }}',
    "{% set s = 'ab ' * 50000 %}{% for i in range(99) %}{% if s.split() %}{% endif %}{% endfor %}",
    "{% set s = 'ab ' * 50000 %}{% for i in range(9999) %}{% set t = s | upper %}{% endfor %}",
    "{% set s = 'ab' * 500000 %}{% for i in range(9999) %}{% if s < s %}{% endif %}{% endfor %}",
    "{% set s = ('ab' * 500000) | safe %}{% set t = ('ab' * 500000) | safe %}{% for i in range(9999) %}{% if s == t %}{% endif %}{% endfor %}",
    "{% set s = 'ab' * 500000 %}{% for i in range(9999) %}{% set x = {}[s ~ 'x'] %}{% endfor %}",
    `{{ ${'('.repeat(50_000)}1${')'.repeat(50_000)} }}`,
  ])('%.80j stops', (source) => {
    expect(() => render(source)).toThrow(expect.objectContaining({ code: 'TEMPLATE_LIMIT' }));
  });

  it('bounds loops of task templates too, whose ranges are not bounded', () => {
    const template = createJinjaTemplate('{% for i in range(10000000000) %}x{% endfor %}', 'task');
    expect(() => template.render({})).toThrow(expect.objectContaining({ code: 'TEMPLATE_LIMIT' }));
  });
});

describe('generation blocks', () => {
  it('are placed in the text', () => {
    const { text, generation, unplacedGenerations } = render(
      '😀{% for i in [1, 2] %}a{% generation %}b{{ i }}{% endgeneration %}{% endfor %}',
    );
    expect(generation.map(({ start, end }) => text.slice(start, end))).toEqual(['b1', 'b2']);
    expect(unplacedGenerations).toBe(0);
  });

  it('are counted where their place is unknown', () => {
    const block = '{% generation %}x{% endgeneration %}';
    for (const source of [
      `{% macro m() %}${block}{% endmacro %}{{ m() }}`,
      `{% set a %}${block}{% endset %}{{ a }}`,
      `{% filter upper %}${block}{% endfilter %}`,
    ])
      expect(render(source)).toMatchObject({ generation: [], unplacedGenerations: 1 });
  });
});

describe('strftime_now', () => {
  const now = new Date(2024, 0, 7, 15, 4, 9, 120);

  it.each([
    ['%d %b %Y', '07 Jan 2024'],
    ['%A, %B %d, %Y %H:%M:%S', 'Sunday, January 07, 2024 15:04:09'],
    ['%-d/%-m/%y %I:%M %p', '7/1/24 03:04 PM'],
    ['%j %U %W %V %G %u %w', '007 01 01 01 2024 7 0'],
    ['%e|%k|%l|%f|%F|%T|%D|%c|%%', ' 7|15| 3|120000|2024-01-07|15:04:09|01/07/24|Sun Jan  7 15:04:09 2024|%'],
  ])('%s', (format, text) => {
    expect(render(`{{ strftime_now('${format}') }}`, {}, now)).toMatchObject({ text, readsClock: true });
  });

  it('is reported only where it was called', () => {
    expect(render('{% if strftime_now is defined %}x{% endif %}').readsClock).toBe(false);
  });
});
