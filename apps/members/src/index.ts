import type { ServiceDefinition } from '@vafa/service';
import { Member } from './application/member.entity.js';
import { membersConfig, type MembersConfig } from './config.js';
import { membersModule } from './members.module.js';
import { Members1795000000101 } from './migrations/1795000000101-members.js';

export type { MembersConfig } from './config.js';

/** Who: enrolment, references, card numbers. */
export const membersService: ServiceDefinition<MembersConfig> = {
  name: 'members',
  description: 'Members: enrolling them, and finding them by the references that others know them by.',
  // `/v1/members/{ref}/points` and what else hangs on a member belongs to other services.
  // The audit of every service is one; this service shows it.
  paths: [/^\/v1\/members(?:\/[^/]*)?\/?$/, /^\/v1\/audit\/?$/],
  module: membersModule,
  topics: [],
  group: 'members',
  migrations: { schema: 'members', role: 'vafa_members', migrations: [Members1795000000101] },
  entities: [Member],
  config: membersConfig,
};
