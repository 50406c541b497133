import type { Environment } from '@vafa/service';
import type { Startable } from './startable.js';

/** Every service of the club. Of two that match a path the first answers it. */
export function loadServices(_env: Environment): Startable[] {
  return [];
}
