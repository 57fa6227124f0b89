import { createNativeEngine } from '@glulam/engine-native';
import type { Engine, Precision } from '@glulam/tensors';

/** The native engine on each instruction set that this machine has; the others are named, so that no gap goes unseen. */
export function nativeEngines(): [name: string, open: (precision: Precision) => Promise<Engine>][] {
  return (['plain', 'avx2', 'avx512', 'avx512-bf16'] as const).flatMap((isa) => {
    const open = (precision: Precision) => Promise.resolve(createNativeEngine({ isa, threads: 2, precision }));
    try {
      void createNativeEngine({ isa, threads: 1, precision: 'float32' }).close();
    } catch (error) {
      console.log(`skipped: native engine on ${isa}: ${(error as Error).message}`);
      return [];
    }
    return [[`native ${isa}`, open]] as [string, typeof open][];
  });
}
