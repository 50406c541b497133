import type { Api } from '../installation/api.js';
import { sendMembers, MEMBERS_PER_REQUEST, type Enrolment } from './member-sender.js';
import type { CountEnrolled, RowInFlight } from './run.js';

/** Members remembered as enrolled, so that they are not asked for with each purchase. Forgetting one costs a repeat, which is harmless. */
const REMEMBERED_MAX = 200_000;

/** A copy that does not keep the block of the file alive that the text was cut from. */
const detached = (text: string): string => Buffer.from(text, 'utf8').toString('utf8');

/** Enrols the members that rows name by the shop's own id, each once, as of the first row that names them. */
export class Enroller {
  private readonly enrolled = new Set<string>();
  private readonly refused = new Map<string, string>();

  constructor(private readonly api: Api) {}

  async enrol(rows: readonly RowInFlight[], countEnrolled: CountEnrolled): Promise<void> {
    const firsts = new Map<string, RowInFlight>();
    for (const row of rows) {
      const id = row.externalId;
      if (id !== null && !this.enrolled.has(id) && !this.refused.has(id) && !firsts.has(id)) firsts.set(id, row);
    }
    const fresh = [...firsts];
    for (let at = 0; at < fresh.length; at += MEMBERS_PER_REQUEST)
      countEnrolled(await this.send(fresh.slice(at, at + MEMBERS_PER_REQUEST)));
  }

  /** Parts the rows whose member the club would not take from the others. */
  sort(rows: readonly RowInFlight[]): [RowInFlight[], { row: RowInFlight; reason: string }[]] {
    if (this.refused.size === 0) return [[...rows], []];
    const good: RowInFlight[] = [];
    const bad: { row: RowInFlight; reason: string }[] = [];
    for (const row of rows) {
      const reason = row.externalId === null ? undefined : this.refused.get(row.externalId);
      if (reason === undefined) good.push(row);
      else bad.push({ row, reason: `the member could not be enrolled: ${reason}` });
    }
    return [good, bad];
  }

  /** Gives how many became members by it. */
  private async send(members: readonly (readonly [string, RowInFlight])[]): Promise<number> {
    const enrolments = members.map(([externalId, { occurredAt }]): Enrolment => ({
      externalId,
      ...(occurredAt === null ? {} : { enrolledAt: occurredAt }),
    }));
    const outcomes = await sendMembers(this.api, enrolments);
    if (this.enrolled.size + members.length > REMEMBERED_MAX) this.enrolled.clear();
    members.forEach(([externalId], index) => {
      const outcome = outcomes[index];
      if (outcome?.status === 'rejected') {
        this.refused.set(detached(externalId), outcome.reason);
        return;
      }
      this.enrolled.add(detached(externalId));
    });
    return outcomes.filter(({ status }) => status === 'enrolled').length;
  }
}
