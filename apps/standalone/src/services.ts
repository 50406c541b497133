import { membersService } from '@vafa/members';
import { pointsService } from '@vafa/points';
import type { Environment } from '@vafa/service';
import { configure, type Startable } from './startable.js';

/** Every service of the club. Of two that match a path the first answers it. */
export function loadServices(env: Environment): Startable[] {
  return [configure(pointsService, env), configure(membersService, env)];
}
