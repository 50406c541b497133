import { TOPICS } from '@vafa/contracts';
import { eventStoreMigrations } from '@vafa/event-sourcing';
import { messagingMigrations } from '@vafa/messaging';
import type { ServiceDefinition } from '@vafa/service';
import { pointsConfig, type PointsConfig } from './config.js';
import { pointsModule } from './points.module.js';
import { FirstTables1795000000001 } from './read-models/migrations/0001-first-tables.js';
import { EveryKind1795000000002 } from './read-models/migrations/0002-every-kind.js';
import { Times1795000000003 } from './read-models/migrations/0003-times.js';
import { Returns1795000000004 } from './read-models/migrations/0004-returns.js';
import { Rebuilds1795000000005 } from './read-models/migrations/0005-rebuilds.js';
import { Inbox1795000000006 } from './read-models/migrations/0006-inbox.js';
import { MissedClaims1795000000007 } from './read-models/migrations/0007-missed-claims.js';

export type { PointsConfig } from './config.js';

/** The ledger: what purchases earn, balances, lots and why. */
export const pointsService: ServiceDefinition<PointsConfig> = {
  name: 'points',
  description: 'The points ledger: purchases in, points out, and an explanation of every one of them.',
  paths: [
    /^\/v1\/(?:purchases|returns|activities|inbox|dead-letters)(?:\/|$)/,
    /^\/v1\/members\/[^/]+\/(?:points|purchases)(?:\/|$)/,
    /^\/v1\/periods(?:\/|$)/,
    /^\/v1\/read-models\/points(?:\/|$)/,
  ],
  module: pointsModule,
  topics: [TOPICS['commerce.purchases'].name, TOPICS['commerce.activities'].name, TOPICS['loyalty.members'].name],
  group: 'points',
  migrations: {
    schema: 'points',
    role: 'vafa_points',
    migrations: [
      FirstTables1795000000001,
      EveryKind1795000000002,
      Times1795000000003,
      Returns1795000000004,
      Rebuilds1795000000005,
      Inbox1795000000006,
      MissedClaims1795000000007,
    ],
    inherits: [messagingMigrations.role, eventStoreMigrations.role],
  },
  entities: [],
  config: pointsConfig,
};
