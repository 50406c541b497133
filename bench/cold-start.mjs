import { Installation } from '../tools/load/installation.mjs';
import { print } from './results.mjs';

/** `npm start`, installed and built, to the first request served: once on an empty folder and once on its data. */
export async function runColdStart(within) {
  const installation = new Installation({ within, command: ['npm', 'start', '--silent'] });
  try {
    const emptyMs = Math.round(await installation.start());
    await installation.stop();
    const againMs = Math.round(await installation.start());
    await installation.stop();
    print({ measure: 'cold start', emptyMs, againMs });
    return { emptyMs, againMs };
  } finally {
    await installation.dispose();
  }
}
