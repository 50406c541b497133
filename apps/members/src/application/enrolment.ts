import { hashOfContent } from '@vafa/contracts';
import type { MessageBus } from '@vafa/messaging';
import type { Database, UnitOfWork } from '@vafa/persistence';
import { isStaff, type Actor, type Audit, type Clock } from '@vafa/service';
import { In } from 'typeorm';
import { uuidv7 } from 'uuidv7';
import { CARD_DIGITS, cardNumber } from '../domain/card-number.js';
import type { EnrolmentRejection, EnrolmentRequest } from '../domain/enrolment.js';
import { publishEnrolled } from '../messaging/enrolled.publisher.js';
import { Member } from './member.entity.js';
import { randomDigits } from './random-digits.js';

/** Two cards of the same number come once in ten million years of issuing; a second draw ends it, a fourth means something else is wrong. */
const CARD_ATTEMPTS_MAX = 4;

/** A member, and whether this request made one. */
export type Enrolled = { readonly member: Member; readonly created: boolean };

/** Who repeats a request says so by key; keys of different clients are different keys. */
export type RequestKey = { readonly clientId: string; readonly key: string };

export type EnrolmentOutcome =
  | { readonly accepted: true; readonly enrolled: readonly Enrolled[] }
  | { readonly accepted: false; readonly rejection: EnrolmentRejection };

export type EnrolmentParts = {
  readonly database: Database;
  readonly audit: Audit;
  readonly bus: MessageBus;
  readonly clock: Clock;
  readonly cardPrefix: string;
};

/** Enrols members, with their events, in one transaction for a request of any size. */
export class Enrolment {
  constructor(private readonly parts: EnrolmentParts) {}

  /**
   * Enrols in the order given; answers in the same order. An external id that is a member's already, or came before within the same request, is that member,
   * unchanged. The same key with the same requests is answered with the same members; with others it is refused. Whom staff enrolled stands in the audit.
   */
  enrol(requests: readonly EnrolmentRequest[], key: RequestKey | null, actor: Actor): Promise<EnrolmentOutcome> {
    return this.parts.database.transaction(async (uow) => {
      const hash = key === null ? '' : hashOfRequests(requests);
      const earlier = key === null ? null : await earlierRequest(uow, key);
      if (earlier !== null)
        return earlier.hash === hash
          ? { accepted: true, enrolled: await membersInOrder(uow, earlier.memberIds) }
          : { accepted: false, rejection: { code: 'idempotency-key-reused' } };
      const enrolled = await this.enrolNew(uow, requests);
      if (key !== null) await remember(uow, key, hash, enrolled);
      const created = enrolled.filter((one) => one.created).map(({ member }) => member);
      if (isStaff(actor.role) && created.length > 0) await this.audit(uow, actor, created);
      await publishEnrolled(uow, this.parts.bus, created);
      return { accepted: true, enrolled };
    });
  }

  private async audit(uow: UnitOfWork, actor: Actor, created: readonly Member[]): Promise<void> {
    const ids = created.map(({ memberId }) => memberId);
    const one = ids.length === 1;
    const subject = one ? `member:${ids[0]}` : 'members';
    const details = one ? {} : { memberIds: ids };
    await this.parts.audit.record(uow, { actor, action: 'members.enrolled', subject, details });
  }

  private async enrolNew(uow: UnitOfWork, requests: readonly EnrolmentRequest[]): Promise<Enrolled[]> {
    const candidates = this.candidates(requests);
    const created = await this.insert(uow, [...new Set(candidates)]);
    const known = await knownMembers(
      uow,
      candidates.filter((candidate) => !created.has(candidate)),
    );
    const answered = new Set<Member>();
    return candidates.map((candidate) => {
      const first = created.has(candidate) && !answered.has(candidate);
      answered.add(candidate);
      return { member: created.has(candidate) ? candidate : known(candidate), created: first };
    });
  }

  /** A new member for each request; requests of one external id share one. */
  private candidates(requests: readonly EnrolmentRequest[]): Member[] {
    const now = this.parts.clock.now();
    const byExternalId = new Map<string, Member>();
    return requests.map((request) => {
      const earlier = request.externalId === null ? undefined : byExternalId.get(request.externalId);
      if (earlier !== undefined) return earlier;
      const member: Member = {
        memberId: uuidv7(),
        externalId: request.externalId,
        card: request.issueCard ? this.newCard() : null,
        enrolledAt: (request.enrolledAt ?? now).round({ smallestUnit: 'millisecond', roundingMode: 'floor' }),
        source: request.source,
        status: 'active',
      };
      if (request.externalId !== null) byExternalId.set(request.externalId, member);
      return member;
    });
  }

  /** Inserts who is not there yet, and tells whom it inserted. A card number that somebody has is drawn again. */
  private async insert(uow: UnitOfWork, candidates: readonly Member[]): Promise<Set<Member>> {
    const created = new Set<Member>();
    let pending = [...candidates].sort(byExternalId);
    for (let attempt = 1; pending.length > 0; attempt += 1) {
      if (attempt > CARD_ATTEMPTS_MAX) throw new Error('No free card number was found.');
      const ids = await insertIgnoringConflicts(uow, pending);
      for (const member of pending) if (ids.has(member.memberId)) created.add(member);
      const refused = pending.filter((member) => !created.has(member));
      const taken = await externalIdsTaken(uow, refused);
      pending = refused.filter(({ externalId }) => externalId === null || !taken.has(externalId));
      for (const member of pending) member.card = this.newCard();
    }
    return created;
  }

  private newCard(): string {
    const { cardPrefix } = this.parts;
    return cardNumber(cardPrefix, randomDigits(CARD_DIGITS - 1 - cardPrefix.length));
  }
}

// Whoever enrols the same people in another order must take their rows in the same order, or the two would wait for each other.
const byExternalId = (one: Member, other: Member): number =>
  (one.externalId ?? '') < (other.externalId ?? '') ? -1 : one.externalId === other.externalId ? 0 : 1;

const hashOfRequests = (requests: readonly EnrolmentRequest[]): string =>
  hashOfContent({
    requests: requests.map((request) => ({ ...request, enrolledAt: request.enrolledAt?.toString() ?? null })),
  });

async function insertIgnoringConflicts(uow: UnitOfWork, members: readonly Member[]): Promise<Set<string>> {
  const rows = await uow.query<{ member_id: string }>(
    `insert into members.members (member_id, external_id, card, enrolled_at, source, status)
     select member_id, external_id, card, enrolled_at, source, 'active'
     from unnest($1::uuid[], $2::text[], $3::text[], $4::timestamptz[], $5::text[]) as new (member_id, external_id, card, enrolled_at, source)
     on conflict do nothing
     returning member_id`,
    [
      members.map(({ memberId }) => memberId),
      members.map(({ externalId }) => externalId),
      members.map(({ card }) => card),
      members.map(({ enrolledAt }) => enrolledAt.toString()),
      members.map(({ source }) => source),
    ],
  );
  return new Set(rows.map((row) => row.member_id));
}

/** Of those that were not inserted, the external ids that are the cause. */
async function externalIdsTaken(uow: UnitOfWork, refused: readonly Member[]): Promise<Set<string>> {
  if (refused.length === 0) return new Set();
  const rows = await uow.query<{ external_id: string }>(
    'select external_id from members.members where external_id = any($1)',
    [refused.map(({ externalId }) => externalId)],
  );
  return new Set(rows.map((row) => row.external_id));
}

/** Finds who was a member before, by the external ids of the candidates that were not needed. */
async function knownMembers(uow: UnitOfWork, unneeded: readonly Member[]): Promise<(candidate: Member) => Member> {
  const externalIds = unneeded.flatMap(({ externalId }) => externalId ?? []);
  const found = externalIds.length === 0 ? [] : await uow.manager.findBy(Member, { externalId: In(externalIds) });
  const byId = new Map(found.map((member) => [member.externalId, member]));
  return (candidate) => {
    const member = byId.get(candidate.externalId);
    if (member === undefined) throw new Error('A member was neither inserted nor found.');
    return member;
  };
}

async function earlierRequest(
  uow: UnitOfWork,
  { clientId, key }: RequestKey,
): Promise<{ hash: string; memberIds: string[] } | null> {
  // Held to the end of the transaction: the same key at the same time waits here and then finds what the first one left.
  await uow.query(`select pg_advisory_xact_lock(hashtextextended($1, 0))`, [`members.enrolment ${clientId} ${key}`]);
  const [row] = await uow.query<{ content_hash: string; member_ids: string[] }>(
    'select content_hash, member_ids from members.enrolment_requests where client_id = $1 and idempotency_key = $2',
    [clientId, key],
  );
  return row === undefined ? null : { hash: row.content_hash, memberIds: row.member_ids };
}

async function remember(
  uow: UnitOfWork,
  { clientId, key }: RequestKey,
  hash: string,
  enrolled: readonly Enrolled[],
): Promise<void> {
  await uow.query(
    'insert into members.enrolment_requests (client_id, idempotency_key, content_hash, member_ids) values ($1, $2, $3, $4)',
    [clientId, key, hash, enrolled.map(({ member }) => member.memberId)],
  );
}

async function membersInOrder(uow: UnitOfWork, memberIds: readonly string[]): Promise<Enrolled[]> {
  const found = await uow.manager.findBy(Member, { memberId: In([...new Set(memberIds)]) });
  const byId = new Map(found.map((member) => [member.memberId, member]));
  return memberIds.map((memberId) => {
    const member = byId.get(memberId);
    if (member === undefined) throw new Error(`The member ${memberId} of an earlier request is gone.`);
    return { member, created: false };
  });
}
