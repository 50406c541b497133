import bidiFactory from 'bidi-js';

const bidi = bidiFactory();

export type Direction = 'ltr' | 'rtl';
export type Script = 'arabic' | 'latin' | 'latin-ext';

/** A code (an id, a hash, a time as a program writes it): from left to right whatever is around it, and never parted at a blank. */
export const code = (text: string): string => `${ISOLATE}${text.replaceAll(' ', '\u00a0')}${END_OF_ISOLATE}`;
export const ISOLATE = '\u2066';
export const END_OF_ISOLATE = '\u2069';

/** A piece of a line in one font, to be drawn from left to right in the order given. `text` is as the shaper takes it. */
export type VisualRun = { readonly text: string; readonly script: Script };

type Piece = { readonly level: number; readonly script: Script; readonly characters: string[] };

/** Marks of direction have done their work once the levels are known, and have no shape. */
const MARKS = /[\u200e\u200f\u061c\u202a-\u202e\u2066-\u2069]/g;
const ARABIC = /\p{Script=Arabic}/u;

/** A text without the marks of direction, for whoever reads it aloud. */
export const withoutMarks = (text: string): string => text.replace(MARKS, '');

/**
 * One line of text in the order in which it is seen (Unicode's bidirectional algorithm, UAX 9). The shaper turns a run with Arabic letters round by
 * itself; what it would turn and must not (digits), and what it would not and must (signs within Arabic), is turned here.
 */
export const visualRuns = (line: string, direction: Direction): VisualRun[] => {
  const pieces = piecesOf(line, direction);
  const highest = Math.max(0, ...pieces.map(({ level }) => level));
  // Rule L2: from the highest level down to the lowest odd one, every sequence at that level or above is reversed.
  for (let level = highest; level >= 1; level--) reverseFrom(pieces, level);
  return pieces.map(({ level, script, characters }) => {
    const isRightToLeft = level % 2 === 1;
    const shaperTurns = ARABIC.test(characters.join(''));
    const text = (isRightToLeft === shaperTurns ? characters : characters.toReversed()).join('');
    return { text, script };
  });
};

const piecesOf = (line: string, direction: Direction): Piece[] => {
  const levels = bidi.getEmbeddingLevels(line, direction);
  const mirrored = bidi.getMirroredCharactersMap(line, levels.levels);
  const pieces: Piece[] = [];
  let index = 0;
  for (const character of line) {
    const level = levels.levels[index] ?? 0;
    const shown = mirrored.get(index) ?? character;
    index += character.length;
    if (withoutMarks(character) === '') continue;
    const last = pieces.at(-1);
    const script = scriptOf(shown);
    if (last !== undefined && last.level === level && last.script === script) last.characters.push(shown);
    else pieces.push({ level, script, characters: [shown] });
  }
  return pieces;
};

const reverseFrom = (pieces: Piece[], level: number): void => {
  let start = 0;
  while (start < pieces.length) {
    let end = start;
    while (end < pieces.length && (pieces[end]?.level ?? 0) >= level) end++;
    if (end > start) pieces.splice(start, end - start, ...pieces.slice(start, end).toReversed());
    start = end + 1;
  }
};

/** Which of the font's files has a character: the ranges are those of its package. */
const scriptOf = (character: string): Script => {
  const code = character.codePointAt(0) ?? 0;
  if ((code >= 0x600 && code <= 0x8ff) || code === 0x200c || code === 0x200d || (code >= 0xfb50 && code <= 0xfefc))
    return 'arabic';
  if ((code >= 0x100 && code <= 0x2ff) || (code >= 0x1d00 && code <= 0x1eff)) return 'latin-ext';
  return code >= 0x20a0 && code <= 0x20c0 && code !== 0x20ac ? 'latin-ext' : 'latin';
};
