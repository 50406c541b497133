import { currencyExponent, formatMoney } from '@vafa/contracts';
import { LOCALES, type Language, type MoneyText } from '../domain/explain.js';

/** Writes minor units of a currency in the digits and with the symbol of a language. */
export const moneyIn = (language: Language, currency: string): MoneyText => {
  const digits = currencyExponent(currency) ?? 0;
  const format = new Intl.NumberFormat(LOCALES[language], {
    style: 'currency',
    currency,
    minimumFractionDigits: digits,
    maximumFractionDigits: digits,
  });
  // As text: a division would turn exact minor units into a float.
  return (minorUnits) => format.format(formatMoney(minorUnits, currency) as Intl.StringNumericLiteral);
};
