import type { Statement, StatementMovement } from '../application/statements.js';
import type { Language } from '../domain/explain.js';
import type { ProgrammeCalendar } from '../domain/programme-calendar.js';
import { sentencesOfMovement } from '../http/sentences.js';

type MovementBody = Omit<StatementMovement, 'revision' | 'explanation'> & { readonly sentences: readonly string[] };
export type StatementBody = Omit<Statement, 'movements'> &
  ProgrammeCalendar & { readonly movements: readonly MovementBody[] };

/** A statement as JSON says it: why each movement is what it is in words, in the language asked for. */
export const statementJson = (
  { movements, ...statement }: Statement,
  calendar: ProgrammeCalendar,
  language: Language,
): StatementBody => ({
  ...statement,
  ...calendar,
  movements: movements.map(({ revision: _revision, explanation, ...movement }) => ({
    ...movement,
    sentences: sentencesOfMovement(explanation, language),
  })),
});
