import { setTimeout as sleep } from 'node:timers/promises';

const FROZEN_MS = 12_000;
/** One after the other, since it depends on the moment what the sleeper has under way. */
const STOPPED_MS = { full: [60_000, 15_000, 15_000, 15_000, 15_000], short: [15_000, 15_000, 15_000] };
const MOMENT_MS_MAX = 1_000;
const AT_REST_MS = 8_000;
const AWAY_MS = 3_000;
const DELAY_MS = 200;
const CUTS = 5;
const IN_STEP_TIMEOUT_MS = 120_000;

/**
 * What happens to brokers, services and the network between them, while purchases flow. Each answers with how long it took until they flowed
 * again, from `flowing`, which counts from the moment it is called: once the fault is over, or at once where others are to step in.
 * @typedef {object} Scene
 * @property {import('../load/kafka-engine.mjs').KafkaEngine} engine
 * @property {import('../load/services.mjs').Services} services
 * @property {import('../load/random.mjs').Random} random
 * @property {boolean} short
 * @property {(how?: { beside: boolean }) => Promise<object>} flowing resolves when purchases of every partition are taken and told of again
 * @property {() => Promise<void>} unavailable resolves when the door over HTTP has said that it takes nothing at the moment
 * @property {() => Promise<boolean>} isInStep
 * @property {() => Promise<number | undefined>} members how many consumers the services have, while their groups are at rest
 * @property {() => Promise<import('../../libs/testing/dist/kafka-proxy.js').KafkaProxy>} throughProxy starts the services again with a proxy before the brokers
 * @type {Record<'one' | 'three', Record<string, (scene: Scene) => Promise<object>>>}
 */
export const KAFKA_FAULTS = {
  one: {
    'the broker is stopped and started': async ({ engine, flowing }) => {
      await engine.stop(1);
      await sleep(AWAY_MS);
      await engine.start(1);
      return flowing({ beside: true });
    },

    'the broker is killed and started': async ({ engine, flowing }) => {
      await engine.kill(1);
      await engine.start(1);
      return flowing({ beside: true });
    },

    'the broker is frozen for 12 s': async ({ engine, flowing }) => {
      await engine.freeze(1);
      await sleep(FROZEN_MS);
      await engine.thaw(1);
      return flowing({ beside: true });
    },

    'one of two replicas of points is killed': async ({ services, random, flowing }) => {
      const replica = services.get(random.pick(['points-1', 'points-2']));
      await replica.signal('SIGKILL');
      const flows = await flowing();
      await replica.start();
      return flows;
    },

    'one of two replicas of points sleeps and goes on': async ({ services, random, short, members, flowing }) => {
      let worst;
      for (const stoppedMs of short ? STOPPED_MS.short : STOPPED_MS.full) {
        // Once all of them work: a replica that falls asleep while others come back is another matter.
        await atRest(members);
        await sleep(random.between(0, MOMENT_MS_MAX));
        const replica = services.get(random.pick(['points-1', 'points-2']));
        await replica.signal('SIGSTOP');
        const until = performance.now() + stoppedMs;
        worst = slower(worst, await flowing());
        await sleep(Math.max(0, until - performance.now()));
        await replica.signal('SIGCONT');
      }
      return worst;
    },

    'replicas come and go': async ({ services, random, flowing }) => {
      for (let round = 0; round < 3; round++) {
        const replica = services.get('points-3') ?? (await services.add('points-3', 'points'));
        if (!replica.isRunning) await replica.start();
        await sleep(random.between(200, 2_000));
        await replica.stop();
      }
      return flowing();
    },

    'connections are cut': async ({ throughProxy, random, flowing }) => {
      const proxy = await throughProxy();
      for (let cuts = 0; cuts < CUTS; cuts++) {
        await sleep(random.between(300, 1_500));
        proxy.cut();
        await sleep(random.between(0, 1_000));
        proxy.mend();
      }
      return flowing();
    },

    'connections are slow, then cut': async ({ throughProxy, random, flowing }) => {
      const proxy = await throughProxy();
      proxy.delayMs = DELAY_MS;
      await sleep(random.between(4_000, 8_000));
      proxy.cut();
      await sleep(AWAY_MS);
      proxy.delayMs = 0;
      proxy.mend();
      return flowing();
    },
  },

  three: {
    'one of three nodes is killed, comes back, then the next': async ({ engine, random, isInStep, flowing }) => {
      const first = random.between(1, 3);
      let worst;
      for (const node of [first, (first % 3) + 1]) {
        await inStep(isInStep);
        await engine.kill(node);
        worst = slower(worst, await flowing({ beside: true }));
        await engine.start(node);
      }
      return worst;
    },

    'one of three nodes is frozen, and wakes up': async ({ engine, random, isInStep, flowing }) => {
      await inStep(isInStep);
      const node = random.between(1, 3);
      await engine.freeze(node);
      const frozen = await flowing({ beside: true });
      await engine.thaw(node);
      return slower(frozen, await flowing());
    },

    'two of three nodes are down for a while': async ({ engine, random, isInStep, unavailable, flowing }) => {
      await inStep(isInStep);
      const left = random.between(1, 3);
      const down = [1, 2, 3].filter((node) => node !== left);
      await engine.kill(...down);
      await unavailable();
      await engine.start(...down);
      return flowing({ beside: true });
    },
  },
};

/** Those that a short run leaves out unless they are asked for: whoever has a frozen node waits ten seconds for each of its answers. */
export const LONG_FAULTS = new Set(['one of three nodes is frozen, and wakes up']);

const slower = (one, other) => (one === undefined || other.oursMs > one.oursMs ? other : one);

/** Resolves when no consumer has come or gone for longer than the session of one that is gone lasts. */
async function atRest(members) {
  let before;
  let since = 0;
  for (let waited = 0; waited < IN_STEP_TIMEOUT_MS; waited += 250) {
    const count = await members().catch(() => undefined);
    if (count === undefined || count !== before) since = performance.now();
    else if (performance.now() - since > AT_REST_MS) return;
    before = count;
    await sleep(250);
  }
  throw new Error('the groups of the services did not come to rest');
}

/** A node that has just come back does not count until it has everything. */
async function inStep(isInStep) {
  for (let waited = 0; waited < IN_STEP_TIMEOUT_MS; waited += 250) {
    if (await isInStep().catch(() => false)) return;
    await sleep(250);
  }
  throw new Error('the nodes did not come into step');
}
