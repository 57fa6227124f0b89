import { token, type Composition } from '@glulam/plugin';
import type { RunConfig } from './config.js';
import type { RowsIdentity, RowsInCode } from '../data/rows/rows-in-code.js';
import { TrainerError } from '../errors.js';
import type { ScheduleFunction } from '../step/schedule.js';

/**
 * What a run is given in code and no config file can hold. The config has a hash in its place, by which it is found here
 * and by which a resumption with something else is refused.
 */
export interface GivenInCode {
  /** By the `sha256` that the config has in their place. */
  readonly rows: ReadonlyMap<string, RowsInCode>;
  /** Where the config's `train.schedule` says `inCode`. */
  readonly schedule?: ScheduleFunction | undefined;
  /** Opened in place of the config's reporters. */
  readonly reporters?: RunConfig['reporters'] | undefined;
}

/** What composes a run's plugins provides this service; a run that is described by files alone has `{ rows: new Map() }`. */
export const givenInCode = token<GivenInCode>('trainer.givenInCode');

/**
 * The rows that a config has the hash of.
 *
 * @param place the option of the config, for the message
 * @throws TrainerError GIVEN_IN_CODE where they were not passed
 */
export function givenRows(composition: Composition, { count, sha256 }: RowsIdentity, place: string): RowsInCode {
  const rows = composition.get(givenInCode).rows.get(sha256);
  if (rows !== undefined) return rows;
  throw new TrainerError(
    'GIVEN_IN_CODE',
    `${place} is ${count} rows that were passed in code (sha256 ${sha256.slice(0, 12)}...); the config holds their hash only. ` +
      `Call run(config, { resume: true }) with the same rows from that code, or name a file in their place: --${place} FILE`,
  );
}

/** @throws TrainerError GIVEN_IN_CODE where the config's schedule is a function that was not passed */
export function givenSchedule(composition: Composition): ScheduleFunction {
  const { schedule } = composition.get(givenInCode);
  if (schedule !== undefined) return schedule;
  throw new TrainerError(
    'GIVEN_IN_CODE',
    'train.schedule is a function that was passed in code; the config holds a hash of its values only. ' +
      'Call run(config, { resume: true }) with the same function from that code, or begin a new run with a schedule by name: --train.schedule cosine',
  );
}

/** Refuse a config whose rows or schedule were passed in code and are not here, before anything is opened. */
export function checkGiven(config: RunConfig, composition: Composition): void {
  for (const { place, rows } of rowsIn(config)) givenRows(composition, rows, place);
  if (typeof config.train.schedule === 'object') givenSchedule(composition);
}

/** Whether all rows that a config has the hash of were passed. */
export const hasGivenRows = (config: RunConfig, composition: Composition): boolean =>
  rowsIn(config).every(({ rows }) => composition.get(givenInCode).rows.has(rows.sha256));

const rowsIn = ({ data }: RunConfig): readonly { readonly place: string; readonly rows: RowsIdentity }[] =>
  Object.entries({ 'data.train': data.train, 'data.heldOut': data.heldOut }).flatMap(([place, given]) =>
    [given].flat().flatMap((each) => (typeof each === 'object' && 'rows' in each ? [{ place, rows: each.rows }] : [])),
  );
