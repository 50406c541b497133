import { setImmediate } from 'node:timers/promises';
import PDFDocument from 'pdfkit';
import type { DayNames, Statement, StatementMovement } from '../../application/statements.js';
import { LOCALES, numberIn, type Language } from '../../domain/explain.js';
import type { Calendar, ProgrammeCalendar } from '../../domain/programme-calendar.js';
import { sentencesOfMovement } from '../../http/sentences.js';
import { STATEMENT_WORDS, type StatementWords } from '../words.js';
import { Sheet, type Cell } from './sheet.js';
import { code } from './visual-runs.js';

/**
 * A statement on A4, tagged and with its fonts in it: right to left in Persian and Arabic, in their digits and the reader's calendar, with the Gregorian
 * date beside. Works off a page at a time, so that a long one does not keep others waiting.
 */
export const statementPdf = async (
  statement: Statement,
  programme: ProgrammeCalendar,
  language: Language,
): Promise<Buffer> => {
  const words = STATEMENT_WORDS[language];
  const reader = new Reader(language, programme);
  const [from, to] = [reader.day(statement.from), reader.day(statement.to)];
  const document = new PDFDocument({
    size: 'A4',
    margin: 0,
    autoFirstPage: false,
    bufferPages: true,
    tagged: true,
    lang: language,
    displayTitle: true,
    pdfVersion: '1.7',
    info: { Title: `${words.title} ${from[0] ?? ''} – ${to[0] ?? ''}`, Creator: 'Vafa', Producer: 'Vafa' },
  });
  const chunks: Buffer[] = [];
  const ended = new Promise<void>((resolve, reject) => {
    document.on('data', (chunk: Buffer) => chunks.push(chunk));
    document.on('end', resolve);
    document.on('error', reject);
  });
  const sheet = new Sheet(document, language === 'en' ? 'ltr' : 'rtl');
  sheet.heading(words.title);
  sheet.paragraph(`${words.member}: ${code(statement.memberId)}`);
  from.forEach((name, index) => sheet.paragraph(words.range(name, to[index] ?? ''), index > 0));
  sheet.paragraph(statement.closed ? words.closed : words.open, true);
  sheet.figures(figuresOf(statement, words, reader));
  sheet.subheading(words.movements);
  sheet.tableHead([words.date, words.why, words.points, words.balance]);
  for (const movement of statement.movements) if (sheet.row(rowOf(movement, words, reader))) await setImmediate();
  if (statement.movements.length === 0) sheet.paragraph(words.none, true);
  sheet.tableEnd();
  sheet.paragraph(words.times(code(statement.asOf), code(statement.knownAt)), true);
  if (statement.receipt !== null) sheet.paragraph(`${words.receipt} ${code(statement.receipt.sha256)}`, true);
  sheet.finish((number, of) => words.page(reader.number(number), reader.number(of)));
  document.end();
  await ended;
  return Buffer.concat(chunks);
};

/** The calendar that a language is used to; where the programme counts in another one, both are shown. */
const CALENDAR_OF: Readonly<Record<Language, Calendar>> = { en: 'gregorian', fa: 'persian', ar: 'islamic-umalqura' };
const CALENDAR_IDS: Readonly<Record<Calendar, string>> = {
  gregorian: 'gregory',
  persian: 'persian',
  'islamic-umalqura': 'islamic-umalqura',
};

/** How numbers and days are written for a reader. */
class Reader {
  readonly number: (value: number) => string;
  readonly signed: (value: number) => string;
  private readonly digits: (text: string) => string;

  constructor(
    readonly language: Language,
    private readonly programme: ProgrammeCalendar,
  ) {
    this.number = numberIn(language);
    const signed = new Intl.NumberFormat(LOCALES[language], { signDisplay: 'exceptZero' });
    this.signed = (value) => signed.format(value);
    const plain = new Intl.NumberFormat(LOCALES[language], { useGrouping: false });
    this.digits = (text) => text.replace(/\d/g, (digit) => plain.format(Number(digit)));
  }

  /** A day in the reader's calendar, and in a second one: the Gregorian, or where that is the reader's own, the programme's if it is another. */
  day({ gregorian }: DayNames): string[] {
    const own = CALENDAR_OF[this.language];
    const other = own === 'gregorian' ? this.programme.calendar : 'gregorian';
    const calendars = own === other ? [own] : [own, other];
    return calendars.map((calendar) => this.dayIn(gregorian, calendar));
  }

  private dayIn(gregorian: string, calendar: Calendar): string {
    const date = Temporal.PlainDate.from(gregorian).withCalendar(CALENDAR_IDS[calendar]);
    const pad = (value: number): string => String(value).padStart(2, '0');
    const parts = [String(date.year), pad(date.month), pad(date.day)];
    // Between digits of these scripts a stroke keeps its place and a hyphen does not.
    return this.language === 'en' ? parts.join('-') : this.digits(parts.join('/'));
  }
}

const figuresOf = (statement: Statement, words: StatementWords, { number, signed }: Reader): Cell[][] => {
  const { opening, earned, debtsPaid, reversed, writtenOff, closing, atEnd } = statement;
  const line = (text: string, value: string, strong = false): Cell[] => [
    { lines: [{ text, strong }] },
    { lines: [{ text: value, strong }] },
  ];
  const some = (text: string, value: number): Cell[][] => (value === 0 ? [] : [line(text, number(value))]);
  return [
    line(words.opening, number(opening), true),
    line(words.earned, signed(earned.points)),
    ...earned.byRule.map(({ rule, points }) => line(`– ${words.byRule(code(rule))}`, number(points))),
    ...(debtsPaid === 0 ? [] : [line(`– ${words.debtsPaid}`, number(debtsPaid))]),
    line(words.reversed, signed(reversed)),
    ...some(words.writtenOff, writtenOff),
    line(words.closing, number(closing), true),
    line(words.available, number(atEnd.available)),
    line(words.pending, number(atEnd.pending)),
    ...some(words.held, atEnd.held),
    ...some(words.debt, atEnd.debt),
    ...atEnd.expiring.map(({ days, amount }) => line(words.expiring(number(days)), number(amount))),
  ];
};

const rowOf = (movement: StatementMovement, words: StatementWords, reader: Reader): Cell[] => {
  const { kind, day, purchaseId, returnId, correctionOf, corrects, explanation, amount, balance } = movement;
  const small = (text: string): { text: string; small: true } => ({ text, small: true });
  const [date = '', ...others] = reader.day(day);
  const origin = [
    ...(purchaseId === null ? [] : [`${words.purchase} ${code(purchaseId)}`]),
    ...(returnId === null ? [] : [`${words.returned} ${code(returnId)}`]),
  ];
  const why = sentencesOfMovement(explanation, reader.language);
  return [
    { lines: [{ text: date }, ...others.map(small)] },
    {
      lines: [
        { text: words.kinds[kind], strong: true },
        ...why.map((text) => ({ text })),
        ...origin.map(small),
        ...(correctionOf === null ? [] : [small(words.correctionOf(code(correctionOf)))]),
        ...corrects.map((transaction) => small(words.corrects(code(transaction)))),
      ],
    },
    { lines: [{ text: reader.signed(amount) }] },
    { lines: [{ text: reader.number(balance) }] },
  ];
};
