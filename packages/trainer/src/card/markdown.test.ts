import { describe, expect, test } from 'vitest';
import { codeBlock, codeSpan, plainMarkdown, webAddress } from './markdown.js';

describe('a text of strangers in Markdown', () => {
  test.each([
    ['plain, with 1,200 (or so) words: fine', 'plain, with 1,200 (or so) words: fine'],
    ['<script>alert(1)</script>', '&lt;script\\>alert(1)&lt;/script\\>'],
    ['[a](javascript:alert(1))', '\\[a\\]\\(javascript\\:alert(1))'],
    ['![x](https://evil/x.png)', '!\\[x\\]\\(https\\://evil/x.png)'],
    ['<https://evil>', '&lt;https\\://evil\\>'],
    ['see www.evil.com', 'see www\\.evil.com'],
    ['&lt;b&gt; & co', '\\&lt;b\\&gt; & co'],
    ['`code` *bold* _it_ ~x~ $m$', '\\`code\\` \\*bold\\* \\_it\\_ \\~x\\~ \\$m\\$'],
    ['a | b \\| c', 'a \\| b \\\\\\| c'],
    ['# title', '\\# title'],
    ['1. one', '1\\. one'],
    ['1.5', '1.5'],
    ['a < b', 'a \\< b'],
    ['- item', '\\- item'],
    ['two\n\n# lines', 'two # lines'],
    ['\u001b[31mred\u202e', '\\\\x1b\\[31mred\\\\u202e'],
  ])('%j is plain', (text, shown) => expect(plainMarkdown(text)).toBe(shown));

  test.each([
    ['train.jsonl', '`train.jsonl`'],
    ['a*b_c[d]', '`a*b_c[d]`'],
    ['x` <script> `', 'x\\` &lt;script\\> \\`'],
    ['a|b', 'a\\|b'],
    ['a\\', 'a\\\\'],
    ['', ''],
  ])('%j as code', (text, shown) => expect(codeSpan(text)).toBe(shown));

  test('a fence is longer than any in the block', () => {
    expect(codeBlock('yaml', 'a: b')).toBe('```yaml\na: b\n```');
    expect(codeBlock('yaml', 'a: |\n  ````\n  <script>')).toBe('`````yaml\na: |\n  ````\n  <script>\n`````');
  });

  test.each([
    ['https://example.com/licence', 'https://example.com/licence'],
    ['HTTP://Example.com/a b', 'http://example.com/a%20b'],
    ['https://x/<script>"`\u202e', 'https://x/%3Cscript%3E%22%60%E2%80%AE'],
    ['javascript:alert(1)', undefined],
    [' java\nscript:alert(1)', undefined],
    ['data:text/html,<script>', undefined],
    ['vbscript:x', undefined],
    ['file:///etc/passwd', undefined],
    ['LICENSE.txt', undefined],
    ['//evil', undefined],
  ])('the address in %j', (text, address) => expect(webAddress(text)).toBe(address));
});
