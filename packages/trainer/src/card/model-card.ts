import path from 'node:path';
import { layerMap, type AdapterChoice, type VirtualLayer } from '@glulam/model';
import { Document } from 'yaml';
import type { RunConfig } from '../config/config.js';
import { sumReports } from '../data/store/data-report.js';
import type { ScoredStep } from '../events/events.js';
import { drawLayers } from '../plan/draw-layers.js';
import { formatBytes } from '../plan/format-bytes.js';
import type { RunPlan } from '../plan/plan-run.js';
import { visibleYaml } from '../events/visible-yaml.js';
import type { BaseLicence } from './base-card.js';
import { codeBlock, codeSpan, plainMarkdown, webAddress } from './markdown.js';
import { watchedName } from '../run/watch-scores.js';
import { promptText, type CardPrompt } from './prompt-text.js';
import type { RunStory } from './run-story.js';

/** All that a card is made of; nothing else is told. */
export interface CardFacts {
  /** As it is written down: names of the Hub with their commits. */
  readonly config: RunConfig;
  readonly plan: RunPlan;
  readonly story: RunStory;
  readonly licence: BaseLicence;
  readonly adapter: AdapterChoice;
  readonly engine: string;
  /** Steps done, and those of the whole run. */
  readonly step: number;
  readonly steps: number;
  /** The last step, and where a checkpoint was kept for its score the best one, whose adapter this is. */
  readonly last: ScoredStep;
  readonly best: ScoredStep | undefined;
  /** Data files as the config names them, by the names under which they were read. */
  readonly dataNames: ReadonlyMap<string, string>;
  /** PEFT reads the adapter. */
  readonly isPeft: boolean;
  /** How its rows asked, where they did. */
  readonly prompt: CardPrompt | undefined;
}

export const chartName = 'loss.svg';

/** README.md as the Hub reads it: a front matter for machines, then the run for people. */
export function modelCard(facts: CardFacts): string {
  const { config, plan, adapter, isPeft, licence } = facts;
  const base = hubRepository(config.base);
  const title = `${path.basename(base ?? config.base)}, ${plan.layers.length} layers, ${adapter.kind}`;
  const front = {
    ...licenceFields(licence),
    ...(base === undefined ? {} : { base_model: base, base_model_relation: 'adapter' }),
    ...listed('datasets', dataSetsOf(facts)),
    library_name: isPeft ? 'peft' : 'glulam',
    pipeline_tag: 'text-generation',
    tags: [
      'glulam',
      adapter.kind,
      // As PEFT's own cards have it: the Hub finds adapters of a base by it.
      ...(base === undefined ? [] : [`base_model:adapter:${base}`]),
      ...(isExpanded(plan) ? ['layer-replication'] : []),
    ],
    ...results(facts, title),
  };
  return [
    frontMatter(front),
    `# ${plainMarkdown(title)}`,
    introduction(facts),
    ...section('Licence', licenceText(licence, config.base)),
    ...section('Layers', layersText(plan)),
    ...section('Data', dataTable(facts)),
    ...section('Parameters and memory', sizesTable(facts)),
    ...section('Training', settingsTable(facts)),
    ...(facts.story.steps.length > 0 ? section('Loss', `![Loss by step](${chartName})`) : []),
    ...(facts.story.evaluations.length > 0 ? section('Evaluation', evaluationTable(facts)) : []),
    ...section('How to load it', loading(facts)),
    ...(facts.prompt === undefined ? [] : section('How to prompt it', promptText(facts.prompt))),
    '',
  ].join('\n');
}

/** The card of a merged checkpoint, which has little to tell: `base` is its base's name, on the Hub with its commit. */
export function mergedCard(merged: {
  readonly base: string;
  readonly licence: BaseLicence;
  readonly physicalLayers: number;
  readonly layers: readonly VirtualLayer[];
  readonly prompt?: CardPrompt | undefined;
}): string {
  const { base, licence, layers, prompt } = merged;
  const repository = hubRepository(base);
  const front = {
    ...licenceFields(licence),
    ...(repository === undefined ? {} : { base_model: repository, base_model_relation: 'merge' }),
    library_name: 'transformers',
    pipeline_tag: 'text-generation',
    tags: ['glulam', 'merge'],
  };
  return [
    frontMatter(front),
    `# ${plainMarkdown(path.basename(repository ?? base))}, ${layers.length} layers`,
    `\n${baseLink(base)} with each use of a layer as a layer of its own, and what was trained on it folded in, by Glulam.`,
    ...section('Licence', licenceText(licence, base)),
    ...section('Layers', layersText(merged)),
    ...section(
      'How to load it',
      'As any other checkpoint, here with transformers:\n\n```python\nfrom transformers import AutoModelForCausalLM\n\nmodel = AutoModelForCausalLM.from_pretrained("REPOSITORY")\n```',
    ),
    ...(prompt === undefined ? [] : section('How to prompt it', promptText(prompt))),
    '',
  ].join('\n');
}

function introduction(facts: CardFacts): string {
  const { config, plan, adapter, step, steps } = facts;
  const form = isExpanded(plan)
    ? `, whose ${plan.physicalLayers} layers are laid out as ${plan.layers.length} virtual ones that share their weights`
    : '';
  const done = step < steps ? ` The run was stopped after ${count(step)} of ${count(steps)} steps.` : '';
  return `\nA ${plainMarkdown(adapter.kind)} adapter for ${baseLink(config.base)}${form}. Trained with Glulam; this card tells what the run recorded.${done}${bestText(facts)}`;
}

/** Whose adapter this is, where a checkpoint was kept for its score. */
function bestText({ config, last, best }: CardFacts): string {
  if (best === undefined) return '';
  const name = watchedName(config.evaluate.watch);
  const of = ({ step, value }: ScoredStep): string =>
    `step ${count(step)}${value === undefined ? '' : ` (${plainMarkdown(name)} ${score({ [name]: value }, name)})`}`;
  return best.step === last.step
    ? `\n\nThis is the adapter of ${of(best)}, which is the last step and had the best score.`
    : `\n\nThis is the adapter of ${of(best)}, which had the best score, not that of the last step, ${of(last)}.`;
}

function licenceText({ hasCard, license, name, link }: BaseLicence, base: string): string {
  if (!hasCard) return 'Not known: the base came without a card.';
  if (license === undefined) return "The base's card names no licence.";
  const said = license === 'other' && name !== undefined ? name : license;
  return `The card of the base ${baseLink(base)} says ${codeSpan(said)}${link === undefined ? '' : ` (${licenceLink(link)})`}.`;
}

/** A page, or a file of the base's repository. */
function licenceLink(link: string): string {
  const address = webAddress(link);
  if (address !== undefined) return `<${address}>`;
  return isFileName(link) ? codeSpan(link) : 'with a link that is neither a web address nor a file, and is left out';
}

function layersText({ physicalLayers, layers }: Pick<RunPlan, 'physicalLayers' | 'layers'>): string {
  const map = `Layer map \`${JSON.stringify(layerMap(layers))}\``;
  return `${map}, half-open intervals of the base's layers:\n\n${codeBlock('text', drawLayers(physicalLayers, layers, 80).join('\n'))}`;
}

/** Of more files of one use only the sum is shown. */
const mostFiles = 20;

function dataTable({ story, dataNames }: CardFacts): string {
  const reports = (['train', 'heldOut'] as const).flatMap((use) => {
    const own = story.data.filter((each) => each.use === use);
    return own.length <= mostFiles ? own : [{ ...sumReports(own), file: `${count(own.length)} files` }];
  });
  const rows = reports.map(({ use, file, format, rows: all, examples, tokens, skipped }) => [
    use === 'train' ? 'training' : 'held out',
    dataLink(dataNames.get(file) ?? file),
    plainMarkdown(format),
    count(all),
    count(examples),
    count(tokens),
    count(skipped.reduce((sum, each) => sum + each.count, 0)),
  ]);
  return table(['use', 'file', 'read as', 'rows', 'examples', 'tokens', 'rows left out'], rows);
}

function sizesTable({ plan, story }: CardFacts): string {
  const { parameters, bytes, batch } = plan;
  const of = (name: string, value: string): [string, string] => [name, value];
  return table(
    ['', ''],
    [
      of('parameters of the base', count(parameters.stored)),
      of('effective parameters, as if each virtual layer had its own', count(parameters.effective)),
      of('trained parameters', count(parameters.trainable)),
      of('largest batch', `${count(batch.tokens)} tokens in ${count(batch.sequences)} sequences`),
      of('weights of the base, mapped from its files', formatBytes(bytes.weights)),
      of('memory besides, planned peak', formatBytes(bytes.peak)),
      ...(story.peakBytes === undefined ? [] : [of('memory besides, measured peak', formatBytes(story.peakBytes))]),
      of('KV cache a token, when text is generated', formatBytes(bytes.keyValuesPerToken)),
    ],
  );
}

function settingsTable({ config, story, step, steps, engine, adapter }: CardFacts): string {
  const { train } = config;
  const options = Object.entries(adapter.options as Record<string, unknown>)
    .filter(([, value]) => value !== null && value !== undefined && JSON.stringify(value) !== '{}')
    .map(([name, value]) => `${name} ${plainMarkdown(typeof value === 'string' ? value : JSON.stringify(value))}`);
  const batch = typeof train.batch === 'number' ? `${train.batch} examples` : `${count(train.batch.tokens)} tokens`;
  const tokens = story.steps.reduce((sum, each) => sum + each.tokens, 0);
  const killed =
    story.killedSittings === 0
      ? ''
      : `, without what ${story.killedSittings} killed of ${story.sittings} sittings took`;
  return table(
    ['', ''],
    [
      ['adapter', [plainMarkdown(adapter.kind), ...options].join(', ')],
      ['steps', step === steps ? count(steps) : `${count(step)} of ${count(steps)}`],
      ['tokens seen', count(tokens)],
      ['batch', `${batch}${train.accumulate > 1 ? `, ${train.accumulate} batches a step` : ''}`],
      ['longest example', `${count(config.data.maxTokens)} tokens`],
      [
        'learning rate',
        `${train.learningRate}, ${typeof train.schedule === 'string' ? train.schedule : 'a schedule given in code'}, ${train.warmupSteps} warm-up steps`,
      ],
      [
        'optimizer',
        `AdamW, beta1 ${train.beta1}, beta2 ${train.beta2}, epsilon ${train.epsilon}, weight decay ${train.weightDecay}`,
      ],
      ['gradient norm', train.maxGradientNorm === 0 ? 'not clipped' : `clipped at ${train.maxGradientNorm}`],
      ['loss on', config.data.loss === 'all' ? 'all tokens' : 'answers and the assistant’s turns'],
      ['seed', String(config.seed)],
      ['engine', plainMarkdown(engine)],
      ['time', `${formatSeconds(story.seconds)}${killed}`],
    ],
  );
}

function evaluationTable({ story, last, best }: CardFacts): string {
  const isEarlier = best !== undefined && best.step !== last.step;
  const rows = lastEvaluations(story).flatMap(({ evaluator, step, scores }) => {
    const after = (wanted: number) =>
      story.evaluations.find((each) => each.step === wanted && each.evaluator === evaluator)?.scores;
    const before = step === 0 ? undefined : after(0);
    return scoreNames(scores).map((name) => [
      plainMarkdown(evaluator === name ? name : `${evaluator} ${name}`),
      before === undefined ? '' : score(before, name),
      ...(isEarlier ? [score(after(best.step) ?? {}, name)] : []),
      `${score(scores, name)}${step === 0 ? '' : ` (step ${count(step)})`}`,
    ]);
  });
  const withErrors = story.evaluations.some(({ scores }) =>
    Object.keys(scores).some((name) => name.endsWith('_stderr')),
  );
  const kept = isEarlier ? [`this adapter (step ${count(best.step)})`] : [];
  return `${table(['score', 'before training', ...kept, 'at the end'], rows)}${withErrors ? '\n\n± is one standard error.' : ''}`;
}

function loading({ config, isPeft }: CardFacts): string {
  const [base, revision] = [hubRepository(config.base) ?? 'BASE', revisionOf(config.base)];
  const glulam = `REPOSITORY stands for this repository's name on the Hub, or for the folder of these files.\n\n\`\`\`sh\nglulam generate REPOSITORY --prompt "..."\nglulam merge REPOSITORY --out merged   # a plain checkpoint, for transformers, vLLM and the like\n\`\`\``;
  const from = revision === undefined ? `"${base}"` : `"${base}", revision="${revision}"`;
  const python = isPeft
    ? `With PEFT:\n\n\`\`\`python\nfrom peft import PeftModel\nfrom transformers import AutoModelForCausalLM, AutoTokenizer\n\nbase = AutoModelForCausalLM.from_pretrained(${from})\nmodel = PeftModel.from_pretrained(base, "REPOSITORY")\ntokenizer = AutoTokenizer.from_pretrained(${from})\n\`\`\``
    : 'PEFT cannot read it: its files have no place for all that this adapter is (gates, residual scales, mixed kinds). Merge it for use elsewhere.';
  const where = hubRepository(config.base) === undefined && isPeft ? '\n\nBASE stands for the base checkpoint.' : '';
  return `${glulam}\n\n${python}${where}`;
}

/**
 * As the Hub's `model-index`, the scores of the last step at which each evaluator looked. Where this is the adapter of an
 * earlier step, only those of that step are its.
 */
function results({ story, config, last, best }: CardFacts, name: string): Record<string, unknown> {
  const own =
    best === undefined || best.step === last.step
      ? lastEvaluations(story)
      : story.evaluations.filter(({ step }) => step === best.step);
  const found = own.map(({ evaluator, scores }) => {
    const file = config.evaluate.evaluators?.find(({ kind, name = kind }) => name === evaluator)?.['file'];
    const onHub = typeof file === 'string' ? dataSetOf(file) : undefined;
    // Counts (of tokens, of questions) say how well nothing does.
    const metrics = scoreNames(scores).filter((metric) => Number.isFinite(scores[metric]) && !isCount(scores[metric]!));
    return {
      task: { type: 'text-generation' },
      dataset:
        evaluator === 'loss'
          ? { type: 'held-out', name: 'held-out data' }
          : { type: onHub ?? evaluator, name: evaluator },
      metrics: metrics.map((metric) => ({ type: metric, value: scores[metric] })),
    };
  });
  return found.length === 0 ? {} : { 'model-index': [{ name, results: found }] };
}

function lastEvaluations({ evaluations }: RunStory) {
  const last = new Map(evaluations.map((each) => [each.evaluator, each]));
  return [...last.values()];
}

const scoreNames = (scores: Readonly<Record<string, number>>): string[] =>
  Object.keys(scores).filter((name) => !name.endsWith('_stderr'));

function score(scores: Readonly<Record<string, number>>, name: string): string {
  const [value, error] = [scores[name], scores[`${name}_stderr`]];
  if (value === undefined) return '';
  const text = isCount(value) && error === undefined ? count(value) : value.toFixed(4);
  return error === undefined ? text : `${text} ± ${error.toFixed(4)}`;
}

const isCount = (value: number): boolean => Number.isInteger(value) && value > 1;

/** The Hub shows these, and makes the link one: what is neither an identifier nor an address stays in the text alone. */
function licenceFields({ license, name, link }: BaseLicence): Record<string, string> {
  if (license === undefined || !isIdentifier(license)) return {};
  const hasName = name !== undefined && isIdentifier(name);
  const target = link === undefined ? undefined : (webAddress(link) ?? (isFileName(link) ? link : undefined));
  return {
    license,
    ...(hasName ? { license_name: name } : {}),
    ...(target === undefined ? {} : { license_link: target }),
  };
}

const isIdentifier = (text: string): boolean => /^[\p{L}\p{N}][\p{L}\p{N} .,+()/_-]{0,99}$/u.test(text);
const isFileName = (text: string): boolean => /^[\w.][\w./ -]{0,199}$/.test(text);

const frontMatter = (fields: object): string => `---\n${visibleYaml(new Document(fields))}---`;

function dataSetsOf({ story, dataNames }: CardFacts): string[] {
  const training = story.data.filter(({ use }) => use === 'train');
  return [...new Set(training.flatMap(({ file }) => dataSetOf(dataNames.get(file) ?? file) ?? []))];
}

/** owner/name of what is written owner/name@revision. */
const hubRepository = (base: string): string | undefined => /^([\w.-]+\/[\w.-]+)@/.exec(base)?.[1];
const revisionOf = (base: string): string | undefined => /^[\w.-]+\/[\w.-]+@([\w./-]+)$/.exec(base)?.[1];
const dataSetOf = (file: string): string | undefined => /^hf:\/\/datasets\/([\w.-]+\/[\w.-]+)/.exec(file)?.[1];

/** Of folders of this machine the last name only: where they lie is nobody's business. */
function baseLink(base: string): string {
  const repository = hubRepository(base);
  return repository === undefined
    ? codeSpan(path.basename(base))
    : `[${plainMarkdown(repository)}](https://huggingface.co/${repository}) (${codeSpan(revisionOf(base) ?? 'another revision')})`;
}

function dataLink(file: string): string {
  const [, kind, repository, revision, inside] =
    /^hf:\/\/(datasets\/)?([\w.-]+\/[\w.-]+)@([^/]+)\/(.+)$/s.exec(file) ?? [];
  if (repository === undefined) return codeSpan(path.basename(file));
  return `[${plainMarkdown(repository)}](https://huggingface.co/${kind ?? ''}${repository}) (${codeSpan(revision!)}), ${codeSpan(inside!)}`;
}

const isExpanded = ({ physicalLayers, layers }: RunPlan): boolean =>
  layers.length !== physicalLayers || layers.some(({ physical }, index) => physical !== index);

const listed = (key: string, values: readonly string[]): Record<string, readonly string[]> =>
  values.length === 0 ? {} : { [key]: values };

const section = (title: string, text: string): string[] => ['', `## ${title}`, '', text];
const count = (value: number): string => value.toLocaleString('en-US');

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n');
}

function formatSeconds(seconds: number): string {
  const [hours, minutes] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60];
  if (hours > 0) return `${hours} h ${minutes} min`;
  return seconds >= 60 ? `${minutes} min ${Math.round(seconds % 60)} s` : `${seconds.toFixed(1)} s`;
}
