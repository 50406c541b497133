import type { Revision } from './event-store.js';
import { LruMap } from './lru-map.js';

/** A stream's state as of a revision; `NO_STREAM` where it has no events. */
export type StreamState<State> = { readonly revision: Revision; readonly state: State };

/** The states of the streams used last, so many at most. What falls out is read from its snapshot again. */
export class StateCache<State> extends LruMap<StreamState<State>> {}
