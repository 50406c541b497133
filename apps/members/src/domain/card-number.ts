/** Digits of a card that this club issues: prefix, random digits, check digit. */
export const CARD_DIGITS = 16;

/**
 * The number of a card: `prefix`, then `random`, then the check digit of Luhn's formula, which tells every single wrong digit and nearly every
 * swap of two neighbours at the till. Being hard to guess is the random part's business.
 */
export function cardNumber(prefix: string, random: string): string {
  const payload = prefix + random;
  if (!/^[0-9]+$/.test(payload) || payload.length !== CARD_DIGITS - 1)
    throw new RangeError(`A card number needs ${String(CARD_DIGITS - 1)} digits before its check digit.`);
  return payload + String(checkDigit(payload));
}

/** Could this be the number of a card of this club: its length, its digits, its check digit? */
export function isCardNumber(text: string): boolean {
  return /^[0-9]{16}$/.test(text) && checkDigit(text.slice(0, -1)) === Number(text.at(-1));
}

/** Luhn (ISO/IEC 7812-1): from the right, every second digit doubled, digits summed, what is missing to the next ten. */
function checkDigit(payload: string): number {
  let sum = 0;
  for (let index = 0; index < payload.length; index += 1) {
    const digit = Number(payload[payload.length - 1 - index]);
    const doubled = index % 2 === 0 ? digit * 2 : digit;
    sum += doubled > 9 ? doubled - 9 : doubled;
  }
  return (10 - (sum % 10)) % 10;
}
