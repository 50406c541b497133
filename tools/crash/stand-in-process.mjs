// The stand-in for EventStoreDB as a process of its own, told by its parent what to do: to harm itself, and to stop with that. It ends with its parent.
import { harm } from '../../libs/testing/dist/eventstoredb-stand-in/harms.js';
import { EventStoreDbStandIn } from '../../libs/testing/dist/eventstoredb-stand-in/stand-in-server.js';
import { Random } from '../load/random.mjs';

/** Longer than most harms last, so that there is work in between. */
const PAUSE_MS = { low: 400, high: 2_000 };

/** As the real server was seen to do. */
const RACING_REPEAT_MS = 10;

const standIn = await EventStoreDbStandIn.start();
standIn.faults.racingRepeatMs = RACING_REPEAT_MS;
let ended;
let harming;

process.on('message', async ({ ask, seed }) => {
  if (ask === 'harm') {
    const random = new Random(seed);
    ended = new AbortController();
    harming = harm(standIn, {
      random: (below) => random.between(0, below - 1),
      pauseMs: PAUSE_MS,
      signal: ended.signal,
    });
  } else {
    ended.abort();
    process.send({ done: await harming, appends: standIn.appends });
  }
});
process.on('disconnect', () => process.exit(0));
process.send({ url: standIn.url });
