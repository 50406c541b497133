import { setTimeout as sleep } from 'node:timers/promises';

/**
 * What happens to processes in the real world. Each fault is done to one installation and leaves it running or ended; `run` starts it again.
 * @type {Record<string, (installation: import('../load/installation.mjs').Installation, random: import('../load/random.mjs').Random) => Promise<void>>}
 */
export const FAULTS = {
  /** The process is gone from one instruction to the next; its PostgreSQL notices and ends by itself. */
  'kill -9': (installation) => installation.signal('SIGKILL'),

  /** The machine loses power, as far as processes can tell. */
  'kill -9 with PostgreSQL': async (installation) => {
    installation.killPostgres();
    await installation.signal('SIGKILL');
  },

  /** The database goes first: the process has to notice and say so, or go on once it is there again. */
  'kill -9 of PostgreSQL': async (installation) => {
    installation.killPostgres();
    for (let waited = 0; installation.isRunning && waited < 15_000; waited += 100) await sleep(100);
    if (installation.isRunning) await installation.signal('SIGKILL');
  },

  /** An orderly stop in the middle of the work. */
  SIGTERM: (installation) => installation.stop(),

  /** A process that sleeps and then goes on as if nothing had been: what it holds may be somebody else's by then. */
  'stop and continue': async (installation, random) => {
    await installation.signal('SIGSTOP');
    await sleep(random.between(500, 4_000));
    await installation.signal('SIGCONT');
  },

  /** All its connections to the database break at once. */
  'backends terminated': async (installation) => {
    const client = await installation.connect();
    await client.query(
      `select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()
       and application_name <> 'vafa-harness'`,
    );
    await client.end();
  },

  /** One of them breaks. */
  'a backend terminated': async (installation) => {
    const client = await installation.connect();
    await client.query(
      `select pg_terminate_backend(pid) from (select pid from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()
       and application_name <> 'vafa-harness' order by random() limit 1) one`,
    );
    await client.end();
  },
};
