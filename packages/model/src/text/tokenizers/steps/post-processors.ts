import { z } from 'zod';
import { componentOf, invalid, readOptions, unsupported, type Component } from '../component.js';

/** The ids that go before and after those of a text. */
interface AddedAround {
  readonly before: readonly number[];
  readonly after: readonly number[];
}

const part = z.union([
  z.strictObject({ SpecialToken: z.looseObject({ id: z.string() }) }),
  z.strictObject({ Sequence: z.looseObject({ id: z.enum(['A', 'B']) }) }),
]);
const templateOptions = z.looseObject({
  single: z.array(part),
  special_tokens: z.record(z.string(), z.looseObject({ ids: z.array(z.int().min(0)) })),
});
const pair = z.tuple([z.string(), z.int().min(0)]);
const pairOptions = z.looseObject({ sep: pair, cls: pair });
const sequenceOptions = z.looseObject({ processors: z.array(z.unknown()) });

/** What tokenizer.json's `post_processor` adds to a text; what it does to offsets and pairs of texts has no use here. */
export function readPostProcessor(value: unknown): AddedAround {
  const component = componentOf(value, 'post_processor');
  return component === undefined ? { before: [], after: [] } : addedBy(component);
}

function addedBy(component: Component): AddedAround {
  const options = <T extends z.ZodType>(schema: T): z.output<T> => readOptions(schema, component, 'post_processor');
  switch (component.type) {
    case 'ByteLevel':
      return { before: [], after: [] };
    case 'BertProcessing':
    case 'RobertaProcessing': {
      const { sep, cls } = options(pairOptions);
      return { before: [cls[1]], after: [sep[1]] };
    }
    case 'TemplateProcessing':
      return template(options(templateOptions));
    case 'Sequence': {
      const all = options(sequenceOptions).processors.map((step) => readPostProcessor(step));
      const adding = all.filter(({ before, after }) => before.length + after.length > 0);
      if (adding.length > 1) throw unsupported('the post_processor Sequence with several that add tokens');
      return adding[0] ?? { before: [], after: [] };
    }
    default:
      throw unsupported(`the post_processor ${component.type}`);
  }
}

function template({ single, special_tokens: tokens }: z.output<typeof templateOptions>): AddedAround {
  const before: number[] = [];
  const after: number[] = [];
  let texts = 0;
  for (const item of single) {
    if ('Sequence' in item) {
      if (item.Sequence.id === 'B')
        throw unsupported('the post_processor TemplateProcessing with a second text ($B) in its template for one');
      texts++;
      continue;
    }
    const { id } = item.SpecialToken;
    const ids = tokens[id]?.ids;
    if (ids === undefined)
      throw invalid(`its post_processor adds the token ${JSON.stringify(id)}, for which it has no ids`);
    (texts === 0 ? before : after).push(...ids);
  }
  if (texts !== 1) throw unsupported(`the post_processor TemplateProcessing with the text ${texts} times`);
  return { before, after };
}
