import { fileURLToPath } from 'node:url';
import { code, END_OF_ISOLATE, ISOLATE, visualRuns, type Direction, type Script } from './visual-runs.js';

type Document = PDFKit.PDFDocument;

/** How text looks: size in points (1/72 inch). */
export type Style = { readonly size: number; readonly bold?: boolean; readonly colour?: string };
export type Align = 'start' | 'end';
/** Where a text goes: the box's left edge, its top and its width, in points. */
export type Box = { readonly x: number; readonly y: number; readonly width: number };

const WEIGHTS = { regular: '400', bold: '700' } as const;
const SCRIPTS: readonly Script[] = ['arabic', 'latin', 'latin-ext'];
const INK = '#1a1a1a';

/** Words whose width is remembered. */
const WIDTHS_MAX = 20_000;
/** Lines of a text at most: a note, not a book. */
const LINES_MAX = 12;

/**
 * Sets text of any of the three languages: in visual order, each run in the file of the font that has its letters. `start` is the side at which
 * reading begins.
 */
export class Typesetter {
  private readonly widths = new Map<string, number>();

  constructor(
    private readonly document: Document,
    readonly direction: Direction,
  ) {
    for (const script of SCRIPTS)
      for (const [name, weight] of Object.entries(WEIGHTS))
        document.registerFont(
          `${script}-${name}`,
          fileURLToPath(import.meta.resolve(`@fontsource/vazirmatn/files/vazirmatn-${script}-${weight}-normal.woff`)),
        );
  }

  /** The height of a line, in points. */
  lineHeight({ size }: Style): number {
    return Math.ceil(size * 1.55);
  }

  width(text: string, style: Style): number {
    return visualRuns(text, this.direction).reduce((sum, run) => sum + this.runWidth(run.text, run.script, style), 0);
  }

  /** The width of a word, in points. Words come again and again, and shaping one costs more than remembering it. */
  private wordWidth(word: string, style: Style): number {
    const key = `${style.size} ${style.bold === true} ${word}`;
    const known = this.widths.get(key);
    if (known !== undefined) return known;
    const width = this.width(word, style);
    if (this.widths.size >= WIDTHS_MAX) this.widths.clear();
    this.widths.set(key, width);
    return width;
  }

  /** Breaks a text at its blanks into lines that fit; a word that is too long is broken where the line ends. */
  wrap(text: string, width: number, style: Style): string[] {
    const lines: string[] = [];
    const blank = this.wordWidth(' ', style);
    let line: string[] = [];
    let used = 0;
    for (const word of text.split(' ').flatMap((one) => this.broken(one, width, style))) {
      const more = this.wordWidth(word, style);
      if (line.length > 0 && used + blank + more > width) {
        lines.push(line.join(' '));
        [line, used] = [[], 0];
      }
      used += more + (line.length > 0 ? blank : 0);
      line.push(word);
    }
    lines.push(line.join(' '));
    return lines.length <= LINES_MAX ? lines : [...lines.slice(0, LINES_MAX - 1), '…'];
  }

  /** Draws one line into a box, at the side at which reading begins unless told. */
  draw(line: string, { x, y, width }: Box, style: Style, align: Align = 'start'): void {
    const isLeft = (align === 'start') === (this.direction === 'ltr');
    let at = isLeft ? x : x + width - this.width(line, style);
    for (const { text, script } of visualRuns(line, this.direction)) {
      this.select(script, style);
      this.document.fillColor(style.colour ?? INK).text(text, at, y, { lineBreak: false, features: [] });
      at += this.runWidth(text, script, style);
    }
  }

  private broken(word: string, width: number, style: Style): string[] {
    if (this.wordWidth(word, style) <= width) return [word];
    const isCode = word.startsWith(ISOLATE);
    const parts: string[] = [];
    let part = '';
    for (const character of isCode ? word.slice(1).replace(END_OF_ISOLATE, '') : word) {
      if (part !== '' && this.width(part + character, style) > width) {
        parts.push(part);
        part = '';
      }
      part += character;
    }
    parts.push(part);
    return isCode ? parts.map(code) : parts;
  }

  private runWidth(text: string, script: Script, style: Style): number {
    this.select(script, style);
    return this.document.widthOfString(text, { features: [] });
  }

  private select(script: Script, { bold, size }: Style): void {
    this.document.font(`${script}-${bold === true ? 'bold' : 'regular'}`).fontSize(size);
  }
}
