import {
  LETTERS_PER_LIST_MAX,
  type Alongside,
  type DeadLetter,
  type DeadLetters,
  type LetterContent,
  type LetterFilter,
} from '@vafa/messaging';
import type { Actor, Audit } from '../audit/audit.js';
import type { AuditAction } from '../audit/actions.js';

/** Which letters: those with this id, or those that wait and are all of this. */
export type LetterChoice = { readonly id: string } | Omit<LetterFilter, 'limit' | 'after' | 'status' | 'key'>;

/** What a replay or discard did. `letters` of those chosen; `sent` messages, with those that waited behind them; `more` of the choice is left. */
export type LettersDone = { readonly letters: number; readonly sent: number; readonly more: boolean };

/** Where staff look through the dead letters of every service and settle them; each act stands in the audit, or was not done. */
export class DeadLetterDesk {
  constructor(
    private readonly deadLetters: DeadLetters,
    private readonly audit: Audit,
  ) {}

  list(filter: LetterFilter): Promise<DeadLetter[]> {
    return this.deadLetters.list(filter);
  }

  show(id: string): Promise<(DeadLetter & LetterContent) | undefined> {
    return this.deadLetters.show(id);
  }

  /** Up to 1,000 letters a call. @throws LetterNotReplayable. */
  replay(choice: LetterChoice, actor: Actor): Promise<LettersDone> {
    return this.settle(choice, 'dead-letters.replayed', actor, null, (ids, alongside) =>
      this.deadLetters.replay(ids, alongside),
    );
  }

  /** Up to 1,000 letters a call. */
  discard(choice: LetterChoice, reason: string, actor: Actor): Promise<LettersDone> {
    return this.settle(choice, 'dead-letters.discarded', actor, reason, (ids, alongside) =>
      this.deadLetters.discard(ids, reason, alongside),
    );
  }

  private async settle(
    choice: LetterChoice,
    action: AuditAction,
    actor: Actor,
    reason: string | null,
    act: (ids: readonly string[], alongside: Alongside) => Promise<number>,
  ): Promise<LettersDone> {
    const ids = 'id' in choice ? [choice.id] : await this.waiting(choice);
    const done = { letters: 0, sent: 0 };
    await act(ids, async (work, settled) => {
      const [first] = settled.ids;
      const subject = settled.ids.length === 1 ? `dead-letter:${first}` : 'dead-letters';
      await this.audit.record(work, { actor, action, subject, reason, details: settled });
      done.letters += settled.ids.length;
      done.sent += settled.sent;
    });
    return { ...done, more: ids.length === LETTERS_PER_LIST_MAX };
  }

  private async waiting(choice: Omit<LetterFilter, 'limit'>): Promise<string[]> {
    const found = await this.deadLetters.list({ ...choice, status: 'waiting', limit: LETTERS_PER_LIST_MAX });
    return found.map(({ id }) => id);
  }
}
