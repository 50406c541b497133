import { inspect } from 'node:util';
import { announcement, complain, tell } from './announce.js';

/** A terminal's Ctrl-C reaches us directly, by npm and by the start script: what comes within this time is one press. */
const ONE_PRESS_MS = 800;
const EXIT_FAILED = 1;
const EXIT_HURRIED = 130;

/** Runs the standalone in the foreground until a signal ends it, and sets the exit code. */
export async function serve({ root, version }: { root: string; version: string }): Promise<void> {
  const started = performance.now();
  const stopRequest = listenForStop();
  try {
    // Loaded here, so that a signal is heard while the rest is being read.
    const [{ loadServices }, { readStandaloneConfig }, { startStandalone }] = await Promise.all([
      import('./services.js'),
      import('./standalone-config.js'),
      import('./standalone.js'),
    ]);
    const config = readStandaloneConfig(process.env, root);
    const services = loadServices(process.env);
    const standalone = await startStandalone({ config, services, version, say: tell });
    tell(announcement(standalone, config.folder, performance.now() - started));
    const reason = await Promise.race([stopRequest, standalone.database.lost, standalone.lost]).catch(
      (error: unknown) => error,
    );
    if (reason instanceof Error) {
      process.exitCode = EXIT_FAILED;
      complain(reason.message);
    }
    tell('Stopping: what is under way is finished first.');
    await standalone.stop();
    tell('Stopped.');
  } catch (error) {
    process.exitCode = EXIT_FAILED;
    complain(isForPeople(error) ? error.message : inspect(error));
  }
  // Everything is closed; whatever timer a library left must not keep the process.
  process.exit();
}

/** Resolves at the first signal, when the start script is gone, or with an error that nobody handled. */
function listenForStop(): Promise<Error | undefined> {
  const { promise, resolve } = Promise.withResolvers<Error | undefined>();
  let firstAt: number | undefined;
  const press = (): void => {
    const now = performance.now();
    if (firstAt !== undefined && now - firstAt > ONE_PRESS_MS) process.exit(EXIT_HURRIED);
    firstAt ??= now;
    resolve(undefined);
  };
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, press);
  // The start script holds the other end of a channel; when it is killed, nobody else would end us.
  process.once('disconnect', () => resolve(undefined));
  process.channel?.unref();
  for (const event of ['uncaughtException', 'unhandledRejection'] as const)
    process.on(event, (cause: unknown) => {
      complain(inspect(cause));
      resolve(
        new Error('A fault that nobody handled ends this run; it is a bug, please report it with the lines above.'),
      );
    });
  // A terminal that was closed takes no more lines, which is no reason to stop out of order.
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => undefined);
  return promise;
}

function isForPeople(error: unknown): error is Error {
  return error instanceof Error && ['StartupError', 'ConfigError', 'IssuerFault'].includes(error.name);
}
