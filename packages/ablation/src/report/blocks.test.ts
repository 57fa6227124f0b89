import fc from 'fast-check';
import { expect, test } from 'vitest';
import { toHtml, toMarkdown, type Block } from './blocks.js';

const blocks: Block[] = [
  { kind: 'title', text: 'A & B' },
  { kind: 'text', text: 'less < more' },
  { kind: 'list', items: ['one', 'two_three'] },
  { kind: 'table', head: ['name', 'loss'], rows: [['a | b', '1.5']] },
  { kind: 'picture', file: 'x.svg', svg: '<svg xmlns="http://www.w3.org/2000/svg"/>', title: 'X "quoted"' },
  { kind: 'code', text: 'base: <folder>\n' },
];

test('Markdown names its pictures and escapes what is not its own', () => {
  expect(toMarkdown(blocks)).toBe(
    [
      '# A & B',
      'less \\< more',
      '- one\n- two\\_three',
      '| name | loss |\n| --- | ---: |\n| a \\| b | 1.5 |',
      '![X "quoted"](x.svg)',
      '```yaml\nbase: <folder>\n```\n',
    ].join('\n\n'),
  );
});

test('HTML has its pictures in it', () => {
  const html = toHtml(blocks);
  expect(html).toContain('<title>A &amp; B</title>');
  expect(html).toContain('<td>a | b</td><td>1.5</td>');
  expect(html).toContain('aria-label="X &quot;quoted&quot;"><svg xmlns="http://www.w3.org/2000/svg"/></figure>');
  expect(html).toContain('<pre>base: &lt;folder&gt;</pre>');
});

test('a name of any characters makes neither tags nor columns', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 30 }), (name) => {
      const table: Block[] = [{ kind: 'table', head: ['variant'], rows: [[name]] }];
      const row = toMarkdown(table).split('\n')[2]!;
      expect(row.replace(/\\[\s\S]/g, '').match(/\|/g)).toHaveLength(2);
      expect(toHtml(table).match(/<td>[^<]*<\/td>/g)).toHaveLength(1);
    }),
  );
});
