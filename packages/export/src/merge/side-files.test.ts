import { spawnSync } from 'node:child_process';
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { freshFolder } from '../../test/made.js';
import { documentsOf, knownDocuments } from '@glulam/model';
import { checkCopied, checkSideFiles } from './side-files.js';

const sideFiles = (folder: string) => checkSideFiles(documentsOf(folder));

function folderWith(...names: string[]): string {
  const folder = freshFolder();
  for (const name of names) writeFileSync(path.join(folder, name), name);
  return folder;
}

describe('files beside the weights', () => {
  const copied = [
    ...['tokenizer.json', 'tokenizer.model', 'tokenizer_config.json', 'special_tokens_map.json', 'added_tokens.json'],
    ...['vocab.json', 'merges.txt', 'chat_template.jinja', 'chat_template.json', 'generation_config.json'],
    ...['LICENSE', 'LICENSE.txt', 'NOTICE', 'USE_POLICY.md'],
  ];
  const others = [
    ...['README.md', 'config.json', 'model.safetensors', 'model.safetensors.index.json', 'pytorch_model.bin'],
    ...['tokenizer.json.bak', 'my_vocab.json', 'modeling_x.py', '.gitattributes'],
  ];

  test('are those of the tokenizer, its template, the generation and the licence', () => {
    expect([...sideFiles(folderWith(...copied, ...others))].sort()).toEqual([...copied].sort());
  });

  test('are no folders of such a name', () => {
    const folder = folderWith('tokenizer.json');
    mkdirSync(path.join(folder, 'LICENSES'));
    expect(sideFiles(folder)).toEqual(['tokenizer.json']);
  });
});

describe('what may be copied', () => {
  test('a link within the folder, and one of the Hub’s cache to its blobs', () => {
    const folder = folderWith('real.txt');
    symlinkSync('real.txt', path.join(folder, 'LICENSE'));
    expect(sideFiles(folder)).toEqual(['LICENSE']);

    const repository = path.join(freshFolder(), 'models--owner--name');
    const snapshot = path.join(repository, 'snapshots', 'a'.repeat(40));
    mkdirSync(snapshot, { recursive: true });
    mkdirSync(path.join(repository, 'blobs'));
    const blob = 'b'.repeat(64);
    writeFileSync(path.join(repository, 'blobs', blob), '{}');
    symlinkSync(`../../blobs/${blob}`, path.join(snapshot, 'tokenizer.json'));
    expect(sideFiles(snapshot)).toEqual(['tokenizer.json']);
  });

  test('not what links lead to elsewhere: all of them are named, config.json too', () => {
    const elsewhere = path.join(folderWith('secret'), 'secret');
    const folder = folderWith('tokenizer.json');
    for (const name of ['config.json', 'LICENSE']) symlinkSync(elsewhere, path.join(folder, name));
    const check = () => sideFiles(folder);
    expect(check).toThrow(expect.objectContaining({ code: 'LINK_OUTSIDE' }));
    expect(check).toThrow(new RegExp(`config\\.json -> .*secret\\n  LICENSE -> .*secret\\n`));
    // A link that is not copied is nobody's concern.
    const other = folderWith('tokenizer.json');
    symlinkSync(elsewhere, path.join(other, 'README.md'));
    expect(sideFiles(other)).toEqual(['tokenizer.json']);
  });

  test('not what is no regular file: reading it could last for ever', () => {
    const folder = folderWith('config.json');
    expect(spawnSync('mkfifo', [path.join(folder, 'tokenizer.json')]).status).toBe(0);
    expect(() => sideFiles(folder)).toThrow(expect.objectContaining({ code: 'CHECKPOINT_INVALID' }));
    expect(() => sideFiles(folder)).toThrow(/tokenizer\.json cannot be copied/);
  });

  test('a name without a file is nothing to check', () => {
    expect(() => checkCopied(folderWith(), ['config.json'])).not.toThrow();
  });
});

test('documents whose names would lead out of the folder are not written', () => {
  const texts = { 'tokenizer.json': '{}', 'LICENSE/../../x': '', 'LICENSE\\..\\x': '', LICENSE: '', other: '' };
  expect(checkSideFiles(knownDocuments('model.x', texts))).toEqual(['tokenizer.json', 'LICENSE']);
});
