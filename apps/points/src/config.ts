import { defineConfig, integer, setting, type ConfigOf } from '@vafa/service';

/** What points reads of the environment, besides what every service does. */
export const pointsConfig = defineConfig({
  cachedAccounts: setting('VAFA_POINTS_CACHED_ACCOUNTS', integer({ min: 100, max: 5_000_000 }), {
    default: 50_000,
    description: 'accounts that points keeps in memory between purchases; about 1 KB each',
  }),
});

export type PointsConfig = ConfigOf<typeof pointsConfig>;
