/** Injection tokens for what is not a class of ours. */
export const PROGRAMME = Symbol('programme');
export const CLOCK = Symbol('clock');
export const PROGRAMME_CALENDAR = Symbol('programme calendar');
