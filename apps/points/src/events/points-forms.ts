import { EventCodec, type Upcaster } from '@vafa/event-sourcing';
import type { PointsEvent } from './points-event.js';

/** Version 1 knew no debt, so that nothing was ever paid of one. */
const earnedFrom1: Upcaster = (data) => ({ ...data, draws: [] });

/** How the events of an account are stored. A new version of one raises its number and brings the upcaster from the one before. */
export const pointsCodec = new EventCodec<PointsEvent>({
  PointsEarned: { version: 2, upcasters: { 1: earnedFrom1 } },
  PointsReversed: { version: 1 },
  PointsWrittenOff: { version: 1 },
});
