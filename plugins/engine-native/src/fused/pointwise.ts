import { checkTensor, type FusedOperations, type Tensor } from '@glulam/tensors';
import { expectShape, stored } from './checks.js';
import type { FusedCommands } from './commands.js';

export function rmsNorm({ make, run }: FusedCommands): FusedOperations['rmsNorm'] {
  return {
    recomputes: true,
    forward({ x, weight }, { epsilon, type }, keep) {
      const [tokens, hidden] = stored('rmsNorm', x);
      checkTensor('rmsNorm', weight, 'float32');
      expectShape('rmsNorm', 'a weight', weight, [hidden]);
      const output = make(x.shape, type);
      const rstd = make([tokens]);
      run('rmsNorm', { y: output, rstd, x, weight, rows: tokens, width: hidden, epsilon, type });
      return { output, saved: keep ? { x, weight, rstd } : {} };
    },
    backward({ x, weight, rstd }, gradient, _options, needs) {
      const [tokens, hidden] = x!.shape as [number, number];
      const dx = make(x!.shape);
      const dWeight = needs.has('weight') ? make([hidden]) : undefined;
      run('rmsNormBackward', {
        dx,
        dWeight,
        dy: gradient,
        x: x!,
        weight: weight!,
        rstd: rstd!,
        rows: tokens,
        width: hidden,
      });
      return { x: dx, weight: dWeight };
    },
  };
}

export function rope({ make, run }: FusedCommands): FusedOperations['rope'] {
  const turn = (
    x: Tensor,
    { cos, sin, headSize, type }: Parameters<FusedOperations['rope']['forward']>[1],
    back: boolean,
  ): Tensor => {
    const [tokens, width] = stored('rope', x);
    const pairs = Math.min(cos.shape[1]!, headSize / 2);
    for (const table of [cos, sin]) expectShape('rope', 'a table', table, [tokens, pairs]);
    const y = make(x.shape, back ? 'float32' : type);
    const sizes = { rows: tokens, heads: width / headSize, headSize, pairs };
    run('rope', { y, x, cos, sin, ...sizes, type: y.dtype, inverse: back });
    return y;
  };
  return {
    // The tables are saved so that they outlive the caller's hold on them.
    forward: ({ x }, options, keep) => ({
      output: turn(x, options, false),
      saved: keep ? { cos: options.cos, sin: options.sin } : {},
    }),
    // A rotation's transpose turns the other way.
    backward: (_saved, gradient, options) => ({ x: turn(gradient, options, true) }),
  };
}

/** An activation of `gate` times `up`, by the command of this name. */
export function gated({ make, run }: FusedCommands, name: 'swiglu' | 'gegluTanh'): FusedOperations['swiglu'] {
  return {
    recomputes: true,
    forward({ gate, up }, { type }, keep) {
      stored(name, gate);
      stored(name, up);
      expectShape(name, 'up', up, gate.shape);
      const output = make(gate.shape, type);
      run(name, { y: output, gate, up, elements: gate.size, type });
      return { output, saved: keep ? { gate, up } : {} };
    },
    backward({ gate, up }, gradient) {
      const [dGate, dUp] = [make(gate!.shape), make(up!.shape)];
      run(`${name}Backward`, { dGate, dUp, dy: gradient, gate: gate!, up: up!, elements: gate!.size });
      return { gate: dGate, up: dUp };
    },
  };
}
