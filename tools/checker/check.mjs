import { checkDeadLetters, checkOrder, checkTaken } from './bus.mjs';
import { readLedger } from './ledger.mjs';
import { checkMembers } from './members.mjs';
import { checkOutgoing, readOutgoing } from './outgoing.mjs';
import { checkReadModels } from './read-models.mjs';
import { checkReturnInputs, checkReturns, readReturns } from './returns.mjs';
import { checkClaims, checkInputs, readClaims, readConflicts, readReferences } from './register.mjs';
import { Tables } from './tables.mjs';
import { Violations } from './violations.mjs';

/**
 * Checks an installation that has come to rest: the log of inputs where one is given, the members, the register, the ledger, every read model and what went
 * out, against each other and against a model of its own. Changes nothing. Holds about 2 KB a purchase in memory.
 * @param {{ url: string, inputs?: import('./inputs.mjs').Inputs, bus?: import('./kafka-tables.mjs').KafkaTables,
 *   ledger?: import('./eventstoredb-tables.mjs').EventStoreDbTables }} options
 *   url: a login that may read every schema; bus, ledger: what has the topics, and what has the events, where they are not in PostgreSQL
 * @returns {Promise<{ violations: ReturnType<Violations['list']>, counts: Record<string, number | string> }>}
 */
export async function check({ url, inputs, bus, ledger: eventsElsewhere }) {
  const violations = new Violations();
  const tables = await Tables.open(url, { bus, ledger: eventsElsewhere });
  try {
    await checkTaken(tables, violations);
    const members = await readReferences(tables);
    const enrolled = await checkMembers(tables, { inputs, references: members }, violations);
    const claims = await readClaims(tables, violations);
    const conflicts = await readConflicts(tables);
    const ledger = await readLedger(tables, violations);
    const returns = await readReturns(tables);
    const { movements, reversals, accounts } = ledger;
    checkClaims({ claims, movements, members }, violations);
    checkReturns({ returns, claims, movements, reversals, members }, violations);
    if (inputs) checkReturnInputs({ inputs, returns }, violations);
    if (inputs) checkInputs({ inputs, claims, conflicts, members, movements }, violations);
    await checkReadModels(tables, ledger, claims, violations);
    const { events, repeated, resent } = await readOutgoing(tables, violations);
    checkOutgoing({ events, claims, returns, conflicts, ledger }, violations);
    await checkOrder(tables, { accounts, told: events }, violations);
    if (inputs) await checkDeadLetters(tables, inputs.malformed, violations);
    return {
      violations: violations.list(),
      counts: countsOf({ claims, returns, conflicts, ledger, events, repeated, resent, inputs, enrolled }),
    };
  } finally {
    await tables.close();
  }
}

function countsOf({ claims, returns, conflicts, ledger, events, repeated, resent, inputs, enrolled }) {
  const statuses = {};
  for (const { status } of claims.values()) statuses[status] = (statuses[status] ?? 0) + 1;
  let points = 0n;
  for (const { available, debt } of ledger.accounts.values()) points += available - debt;
  const returned = {};
  for (const { status } of returns.values()) returned[status] = (returned[status] ?? 0) + 1;
  return {
    ...(inputs && { inputs: inputs.purchases.size, malformed: inputs.malformed.length }),
    members: enrolled,
    claims: claims.size,
    ...statuses,
    conflicts: [...conflicts.values()].reduce((sum, list) => sum + list.length, 0),
    ...(returns.size > 0 && { returns: returned }),
    events: ledger.movements.size + ledger.reversals.size + ledger.writeOffs.size,
    accounts: ledger.accounts.size,
    points: String(points),
    outgoing: events.size,
    outgoingRepeated: repeated,
    outgoingResent: resent,
  };
}

/** The violations as lines for people. */
export function report(violations) {
  return violations.flatMap(({ code, count, examples }) => [
    `${code}: ${count}`,
    ...examples.slice(0, 20).map(({ id, detail }) => `  ${id}: ${detail}`),
  ]);
}
