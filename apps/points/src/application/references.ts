import { LruMap } from '@vafa/event-sourcing';
import type { Database } from '@vafa/persistence';
import { setTimeout } from 'node:timers/promises';

/** Known references kept in memory; a reference never changes its member, so what is known stays true. */
const CACHED_REFERENCES_MAX = 100_000;

/** How long a read waits for what was said a moment ago and is still on its way here, and how often it looks. */
export const PATIENCE_MS = 400;
export const PATIENCE_STEP_MS = 20;

export type Reference = { readonly reference: string; readonly memberId: string };

/** Who is behind `member:…`, `card:…` and `external:…`, from what members has published. */
export class References {
  private readonly known = new LruMap<string>(CACHED_REFERENCES_MAX);

  constructor(private readonly database: Database) {}

  /** The member of each reference that is known; one query at most, whatever the number. */
  async resolve(references: Iterable<string>): Promise<ReadonlyMap<string, string>> {
    const found = new Map<string, string>();
    const missing: string[] = [];
    for (const reference of new Set(references)) {
      const memberId = this.known.get(reference);
      if (memberId === undefined) missing.push(reference);
      else found.set(reference, memberId);
    }
    if (missing.length > 0) {
      const rows = await this.database.query<{ reference: string; member_id: string }>(
        'select reference, member_id from points.account_references where reference = any($1)',
        [missing],
      );
      for (const { reference, member_id: memberId } of rows) {
        found.set(reference, memberId);
        this.known.set(reference, memberId);
      }
    }
    return found;
  }

  /**
   * The same, but waits up to `PATIENCE_MS` for references that are unknown: somebody who enrolled a moment ago is on the way here
   * over the bus, and whoever enrolled them would not understand why they are not known.
   */
  async resolvePatiently(references: readonly string[]): Promise<ReadonlyMap<string, string>> {
    const wanted = new Set(references).size;
    const until = performance.now() + PATIENCE_MS;
    for (;;) {
      const found = await this.resolve(references);
      if (found.size === wanted || performance.now() > until) return found;
      await setTimeout(PATIENCE_STEP_MS);
    }
  }

  /** Adds references in bulk. One that is known already stays as it is, so a repeat changes nothing. */
  async add(references: readonly Reference[]): Promise<void> {
    await this.database.query(
      `insert into points.account_references (reference, member_id)
       select * from unnest($1::text[], $2::uuid[]) on conflict (reference) do nothing`,
      [references.map((entry) => entry.reference), references.map((entry) => entry.memberId)],
    );
  }
}
