import { EventCodec } from '@vafa/event-sourcing';
import type { PointsEvent } from './points-event.js';

/** How the events of an account are stored. A new version of one raises its number and brings the upcaster from the one before. */
export const pointsCodec = new EventCodec<PointsEvent>({ PointsEarned: { version: 1 } });
