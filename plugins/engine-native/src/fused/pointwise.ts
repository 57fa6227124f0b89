import { checkTensor, type FusedOperations, type Tensor } from '@glulam/tensors';
import { typeNumber, type Device } from '../device.js';
import { expectShape, stored } from './checks.js';

export function rmsNorm({ make, run }: Device): FusedOperations['rmsNorm'] {
  return {
    recomputes: true,
    forward({ x, weight }, { epsilon, type }, keep) {
      const [tokens, hidden] = stored('rmsNorm', x);
      checkTensor('rmsNorm', weight, 'float32');
      expectShape('rmsNorm', 'a weight', weight, [hidden]);
      const output = make(x.shape, type);
      const rstd = make([tokens]);
      run('rmsNorm', [output, rstd, x, weight], [tokens, hidden, epsilon, typeNumber(type)]);
      return { output, saved: keep ? { x, weight, rstd } : {} };
    },
    backward({ x, weight, rstd }, gradient, _options, needs) {
      const [tokens, hidden] = x!.shape as [number, number];
      const dx = make(x!.shape);
      const dWeight = needs.has('weight') ? make([hidden]) : undefined;
      run('rmsNormBackward', [dx, dWeight, gradient, x, weight, rstd], [tokens, hidden]);
      return { x: dx, weight: dWeight };
    },
  };
}

export function rope({ make, run }: Device): FusedOperations['rope'] {
  const turn = (
    x: Tensor,
    { cos, sin, headSize, type }: Parameters<FusedOperations['rope']['forward']>[1],
    back: boolean,
  ): Tensor => {
    const [tokens, width] = stored('rope', x);
    for (const table of [cos, sin]) expectShape('rope', 'a table', table, [tokens, headSize / 2]);
    const y = make(x.shape, back ? 'float32' : type);
    run('rope', [y, x, cos, sin], [tokens, width / headSize, headSize, typeNumber(y.dtype), Number(back)]);
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

export function swiglu({ make, run }: Device): FusedOperations['swiglu'] {
  return {
    recomputes: true,
    forward({ gate, up }, { type }, keep) {
      stored('swiglu', gate);
      stored('swiglu', up);
      expectShape('swiglu', 'up', up, gate.shape);
      const output = make(gate.shape, type);
      run('swiglu', [output, gate, up], [gate.size, typeNumber(type)]);
      return { output, saved: keep ? { gate, up } : {} };
    },
    backward({ gate, up }, gradient) {
      const [dGate, dUp] = [make(gate!.shape), make(up!.shape)];
      run('swigluBackward', [dGate, dUp, gradient, gate, up], [gate!.size]);
      return { gate: dGate, up: dUp };
    },
  };
}
