import { reversalSentencesOf, writeOffSentencesOf } from '../domain/explain-reversal.js';
import { sentencesOf, type Language } from '../domain/explain.js';
import type { MovementExplanation } from '../read-models/movements.js';
import { moneyIn } from './money.js';

/** Why a movement has the points it has, in words, from what was stored with it. */
export const sentencesOfMovement = (explanation: MovementExplanation, language: Language): string[] => {
  if ('reversalId' in explanation) return writeOffSentencesOf(explanation, language);
  const money = moneyIn(language, explanation.currency);
  return 'reversals' in explanation
    ? reversalSentencesOf(explanation, language, money)
    : sentencesOf(explanation, language, money);
};
