import { differencesOf, actionsFor, type Difference, type InboxAction } from '../domain/inbox.js';
import { keyText, type Claim, type Claims } from './claims.js';
import { replacementId } from './replacement.js';
import type { InboxFilter, InboxItem, InboxItems } from './inbox-items.js';
import type { Outcome } from './outcomes.js';
import type { Register } from './register.js';
import type { Settlement, Settlements } from './settlements.js';

/** Everything about one item. */
export type InboxView = {
  readonly item: InboxItem;
  readonly actions: readonly InboxAction[];
  readonly settlement: Settlement | null;
  /** What stands under its key now. */
  readonly outcome: Outcome;
  /** The claim that a conflict is with; null for everything else. */
  readonly standing: Claim | null;
  readonly differences: readonly Difference[];
  /** What the other content of a conflict became once it replaced what stood there. */
  readonly replacement: Outcome | null;
};

/** Shows the inbox. */
export class InboxReader {
  constructor(
    private readonly parts: {
      readonly items: InboxItems;
      readonly claims: Claims;
      readonly register: Register;
      readonly settlements: Settlements;
    },
  ) {}

  list(filter: InboxFilter, limit: number, after: string | null): Promise<InboxItem[]> {
    return this.parts.items.list(filter, limit, after);
  }

  /** One item, also once it is settled; `undefined` where there is none. */
  async show(itemId: string): Promise<InboxView | undefined> {
    const { items, claims, register, settlements } = this.parts;
    const item = await items.find(itemId);
    if (item === undefined) return undefined;
    const [standing, outcome, latest] = await Promise.all([
      claims.find([item]).then((found) => found.get(keyText(item))),
      register.find(item),
      settlements.latest(itemId),
    ]);
    if (standing === undefined || outcome === undefined) throw new Error('An item of the inbox has no claim.');
    const isConflict = item.status === 'conflict';
    const isReplaced = isConflict && latest?.action === 'replace';
    const naturalId = replacementId(item.naturalId, itemId);
    return {
      item,
      actions: item.open ? actionsFor(item) : [],
      settlement: latest ?? null,
      outcome,
      standing: isConflict ? standing : null,
      differences: isConflict ? differencesOf(JSON.parse(standing.content), JSON.parse(item.content)) : [],
      replacement: isReplaced ? ((await register.find({ ...item, naturalId })) ?? null) : null,
    };
  }
}
