import { gemma2Family, gemma3Family } from '@glulam/family-gemma';
import { graniteFamily } from '@glulam/family-granite';
import { llamaFamily } from '@glulam/family-llama';
import { ministralFamily, mistralFamily } from '@glulam/family-mistral';
import { olmo2Family } from '@glulam/family-olmo';
import { phi3Family } from '@glulam/family-phi';
import { qwen2Family, qwen3Family } from '@glulam/family-qwen';
import { smollm3Family } from '@glulam/family-smollm';

/** All built-in families. */
export const families = [
  ...[mistralFamily, ministralFamily, llamaFamily, qwen2Family, qwen3Family, gemma2Family, gemma3Family],
  ...[olmo2Family, phi3Family, smollm3Family, graniteFamily],
];

/** Golden cases of them with an adapter, below fixtures/golden. */
export const adaptedFamilyCases = [
  ...['mistral-nemo', 'ministral-expanded-lora', 'qwen2-expanded-lora', 'qwen3-expanded-lora', 'gemma2-expanded-lora'],
  ...['gemma3-expanded-lora', 'olmo2-expanded-lora', 'phi3-expanded-lora', 'smollm3-expanded-lora'],
  'granite-expanded-lora',
].map((name) => `families/${name}`);

/** Those without one. */
export const plainFamilyCases = ['llama-yarn', 'phi3-longrope'].map((name) => `families/${name}`);
