// Compiles and runs machine_limits.cc: what the machine can do at most, measured by code that is not the engine's.
import { execFileSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import path from 'node:path';

/**
 * @typedef {{ threads: number, units: { unit: string, operands: 'bfloat16' | 'float32', gflops: number }[], readGigabytesPerSecond: number }} Limits
 */

/**
 * The program, compiled for this very machine by the compiler in CXX, else c++.
 *
 * @param {string} folder where it is put
 * @returns {(threads: number) => Limits} each call measures anew, in about two seconds
 */
export function openMachineLimits(folder) {
  const program = path.join(folder, 'machine_limits');
  mkdirSync(folder, { recursive: true });
  const [compiler, ...flags] = (process.env.CXX ?? 'c++').trim().split(/\s+/);
  const source = path.join(import.meta.dirname, 'machine_limits.cc');
  const options = ['-std=c++17', '-O3', '-march=native', '-pthread', '-Wall', '-Wextra'];
  execFileSync(compiler, [...flags, ...options, source, '-o', program], { stdio: 'inherit' });
  return (threads) => JSON.parse(execFileSync(program, [String(threads)], { encoding: 'utf8' }));
}

/**
 * GFLOP/s of the fastest unit that multiplies such operands; a machine without bfloat16 products makes them of float32.
 *
 * @param {Limits} limits
 * @param {'bfloat16' | 'float32'} operands
 */
export function arithmeticLimit({ units }, operands) {
  const usable = units.filter((unit) => unit.operands === operands || unit.operands === 'float32');
  return Math.max(...usable.map(({ gflops }) => gflops));
}
