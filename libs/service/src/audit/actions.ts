/**
 * Every act of staff that changes something, and what its entry in the audit is about. An act that is not in this list cannot
 * be recorded: add it here, with what `subject` and `details` hold.
 */
export const AUDIT_ACTIONS = {
  'members.enrolled':
    'Staff enrolled members. Subject: the member, or `members` for several, with their ids in `details`.',
  'inputs.submitted':
    'Staff handed in purchases, returns or activities. Subject: `<kind>:<source>/<id>`, or `inputs` for several, with count, first and last in `details`.',
  'inbox.settled':
    'Somebody settled what waited, was in conflict or in quarantine. Subject: the claim; `details`: how, and what it was before.',
  'dead-letters.replayed': 'Dead letters were sent again. Subject: the letter, or `dead-letters` for several.',
  'dead-letters.discarded': 'Dead letters were given up. Subject: the letter, or `dead-letters` for several.',
  'periods.closed': 'A period was closed, and its statements with it. Subject: the period.',
  'clock.moved': 'Business time was moved on. Subject: `clock`; `details`: from when to when.',
  'read-models.rebuilt': 'Somebody asked for a rebuild of a read model. Subject: the read model.',
  'ledger.moved': 'The ledger changed its store. Subject: `ledger`; `details`: where to, how many events and streams.',
  'backup.written': 'Somebody wrote a backup. Subject: `database`; `details`: how many rows.',
  'backup.restored':
    'A backup took the place of what was here. Subject: its file; `details`: of when, by which version.',
  'tokens.minted':
    'An operator had the embedded issuer mint a token. Subject: the member or the role; `details`: role and lifetime.',
} as const satisfies Readonly<Record<string, string>>;

export type AuditAction = keyof typeof AUDIT_ACTIONS;
