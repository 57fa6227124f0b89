import { z } from 'zod';

const pattern = z.string().refine(isPattern, 'expected a regular expression');
const modules = z.union([pattern, z.array(z.string().min(1))]);

/** By PEFT's names (`IA3Config`). */
export const ia3Schema = z
  .strictObject({
    target_modules: modules
      .default(['k_proj', 'v_proj', 'down_proj'])
      .describe('names of linear layers, a regular expression over their paths, or "all-linear"'),
    feedforward_modules: modules
      .default(['down_proj'])
      .describe('those of them whose inputs are scaled; of the others the outputs are'),
    exclude_modules: modules.nullable().default(null).describe('linear layers that stay as they are'),
  })
  .check(({ value, issues }) => {
    const { target_modules: targets, feedforward_modules: feedforward } = value;
    if (!Array.isArray(targets) || !Array.isArray(feedforward)) return;
    const others = feedforward.filter((name) => !targets.includes(name));
    if (others.length === 0) return;
    const message = `names ${others.join(', ')}; expected names of target_modules alone, as PEFT does`;
    issues.push({ code: 'custom', path: ['feedforward_modules'], message, input: feedforward });
  });
export type Ia3Options = z.output<typeof ia3Schema>;

function isPattern(text: string): boolean {
  try {
    return new RegExp(text) instanceof RegExp;
  } catch {
    return false;
  }
}
