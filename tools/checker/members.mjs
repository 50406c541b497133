import { micros } from './model.mjs';
import { readTopic } from './outgoing.mjs';

/**
 * Checks the register of members against what was told of them on `loyalty.members`, what points made of that, what analysts see, and what was
 * sent: each member is told once, as he is, and nobody else is.
 */
export async function checkMembers(tables, { inputs, references }, violations) {
  const members = await readMembers(tables);
  await checkTold(tables, members, violations);
  for (const [id, { externalId, card }] of members) {
    for (const reference of [externalId && `external:${externalId}`, card && `card:${card}`])
      if (reference && references.get(reference) !== id)
        violations.add('reference-differs', id, `points has ${references.get(reference)} under ${reference}`);
  }
  await checkView(tables, members, violations);
  if (inputs) checkEnrolled(members, inputs, violations);
  return members.size;
}

async function readMembers(tables) {
  const members = new Map();
  for await (const row of tables.rows('members'))
    members.set(row.member_id, {
      externalId: row.external_id,
      card: row.card,
      enrolledAt: BigInt(row.enrolled_at),
      source: row.source,
      status: row.status,
    });
  return members;
}

async function checkTold(tables, members, violations) {
  const { events } = await readTopic(tables, { topic: 'enrolments', counters: 'enrolmentSequences' }, violations);
  const told = Map.groupBy(events.values(), ({ data }) => data.memberId);
  for (const [id, member] of members) {
    const [event, ...more] = told.get(id) ?? [];
    told.delete(id);
    if (event === undefined) {
      violations.add('member-untold', id, 'is a member, and nobody was told');
      continue;
    }
    if (more.length > 0 || event.sequences.size > 1) violations.add('member-told-twice', id, 'was told more than once');
    compareTold(id, event, member, violations);
  }
  for (const id of told.keys()) violations.add('member-invented', id, 'was told of and is no member');
}

function compareTold(id, { type, key, data }, { externalId, card, enrolledAt, source }, violations) {
  const pairs = [
    ['the type', type, 'loyalty.member.enrolled'],
    ['the key', key, id],
    ['the external id', data.externalId, externalId],
    ['the card', data.card, card],
    ['the time', micros(data.enrolledAt), enrolledAt],
    ['the source', data.source, source],
  ];
  for (const [what, found, expected] of pairs) violations.equal('member-told-differs', id, what, found, expected);
}

async function checkView(tables, members, violations) {
  const left = new Set(members.keys());
  for await (const row of tables.rows('membersView')) {
    const id = row.member_id;
    const member = members.get(id);
    if (!left.delete(id) || member === undefined) {
      violations.add('members-view-differs', id, 'stands twice, or is no member');
      continue;
    }
    const pairs = [
      ['the external id', row.external_id, member.externalId],
      ['the time', BigInt(row.enrolled_at), member.enrolledAt],
      ['the source', row.enrolment_source, member.source],
      ['the status', row.status, member.status],
    ];
    for (const [what, found, expected] of pairs) violations.equal('members-view-differs', id, what, found, expected);
  }
  for (const id of left) violations.add('members-view-differs', id, 'is a member, and analysts do not see it');
}

function checkEnrolled(members, inputs, violations) {
  const byExternalId = new Map([...members].map(([id, { externalId }]) => [externalId, id]));
  for (const [externalId, { acknowledged, memberIds }] of inputs.members) {
    const id = byExternalId.get(externalId);
    if (acknowledged && id === undefined)
      violations.add('member-lost', externalId, 'enrolling was acknowledged, and there is no such member');
    for (const answered of memberIds) violations.equal('member-differs', externalId, 'the member', id, answered);
  }
}
