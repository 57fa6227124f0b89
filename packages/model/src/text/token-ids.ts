/** Token ids, as a list or as a typed array: functions that take them take both alike. */
export type TokenIds = readonly number[] | Int32Array;
