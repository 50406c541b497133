import { Typesetter, type Box, type Style } from './typesetter.js';
import { withoutMarks, type Direction } from './visual-runs.js';

type Document = PDFKit.PDFDocument;
type Element = PDFKit.PDFStructureElement;

export type CellLine = { readonly text: string; readonly strong?: boolean; readonly small?: boolean };
export type Cell = { readonly lines: readonly CellLine[] };

/** A4 in points, 1/72 inch. */
const PAGE = { width: 595, height: 842 };
const MARGIN = 44;
const FOOT = 24;
const BODY = PAGE.width - 2 * MARGIN;
const BOTTOM = PAGE.height - MARGIN - FOOT;

/** Widths of the table's columns in the order of reading; the last two hold numbers. */
const COLUMNS = [86, BODY - 86 - 74 - 84, 74, 84];
const GAP = 8;
const PAD = 5;

const TITLE: Style = { size: 20, bold: true };
const SUBTITLE: Style = { size: 12.5, bold: true };
const TEXT: Style = { size: 9.5 };
const STRONG: Style = { size: 9.5, bold: true };
const SMALL: Style = { size: 7.5, colour: '#666666' };
const RULE = '#c8c8c8';
const SHADE = '#f1f3f5';

const styleOf = ({ strong, small }: CellLine): Style => (strong === true ? STRONG : small === true ? SMALL : TEXT);

/** The pages of a statement: what is put on them goes from top to bottom, and a table goes on over the page under the same head. */
export class Sheet {
  private readonly type: Typesetter;
  private readonly root: Element;
  private table: Element | undefined;
  private head: readonly string[] = [];
  private y = MARGIN;

  constructor(
    private readonly document: Document,
    private readonly direction: Direction,
  ) {
    this.type = new Typesetter(document, direction);
    this.root = document.struct('Document');
    document.addStructure(this.root);
    document.addPage();
  }

  heading(text: string): void {
    this.line('H1', text, TITLE);
    this.y += 6;
  }

  subheading(text: string): void {
    this.room(80);
    this.y += 12;
    this.line('H2', text, SUBTITLE);
    this.y += 4;
  }

  paragraph(text: string, small = false): void {
    const style = small ? SMALL : TEXT;
    for (const line of this.type.wrap(text, BODY, style)) {
      this.room(this.type.lineHeight(style));
      this.line('P', line, style);
    }
  }

  /** Pairs of words and numbers, in a box of their own. */
  figures(rows: readonly (readonly Cell[])[]): void {
    this.y += 10;
    const width = 320;
    const x = this.direction === 'ltr' ? MARGIN : PAGE.width - MARGIN - width;
    const table = this.document.struct('Table');
    this.root.add(table);
    for (const cells of rows) {
      const row = this.document.struct('TR');
      table.add(row);
      const [name, value] = cells;
      const text = name?.lines[0] ?? { text: '' };
      const height = this.type.lineHeight(TEXT) + 2;
      this.room(height);
      if (text.strong === true) this.fill({ x, y: this.y, width }, height, SHADE);
      this.cell(row, 'TH', [text.text], { x: x + PAD, y: this.y, width: width - 2 * PAD }, styleOf(text));
      const shown = value?.lines[0] ?? { text: '' };
      this.cell(row, 'TD', [shown.text], { x: x + PAD, y: this.y, width: width - 2 * PAD }, styleOf(shown), true);
      this.y += height;
      row.end();
    }
    table.end();
  }

  /** Begins the table of movements. */
  tableHead(names: readonly string[]): void {
    this.head = names;
    this.table = this.document.struct('Table');
    this.root.add(this.table);
    this.drawHead(true);
  }

  /** A row of the table; answers whether a page was begun for it. A row is never parted. */
  row(cells: readonly Cell[]): boolean {
    const laid = cells.map(({ lines }, index) =>
      lines.flatMap((line) =>
        this.type.wrap(line.text, (COLUMNS[index] ?? 0) - GAP, styleOf(line)).map((text) => ({ ...line, text })),
      ),
    );
    const heights = laid.map((lines) => lines.reduce((sum, line) => sum + this.type.lineHeight(styleOf(line)), 0));
    const height = Math.max(...heights) + 2 * PAD;
    const isNew = this.y + height > BOTTOM;
    if (isNew) {
      this.page();
      this.drawHead(false);
    }
    const row = this.document.struct('TR');
    this.table?.add(row);
    laid.forEach((lines, index) => {
      const box = this.column(index);
      this.tagged(row, 'TD', lines.map(({ text }) => text).join(' '), () => {
        let y = this.y + PAD;
        for (const line of lines) {
          this.type.draw(line.text, { ...box, y }, styleOf(line), index >= 2 ? 'end' : 'start');
          y += this.type.lineHeight(styleOf(line));
        }
      });
    });
    row.end();
    this.y += height;
    this.rule();
    return isNew;
  }

  tableEnd(): void {
    this.table?.end();
    this.y += 8;
  }

  /** Numbers the pages, and ends the structure. */
  finish(pageText: (number: number, of: number) => string): void {
    this.root.end();
    const { start, count } = this.document.bufferedPageRange();
    for (let index = 0; index < count; index++) {
      this.document.switchToPage(start + index);
      this.artifact(() =>
        this.type.draw(pageText(index + 1, count), { x: MARGIN, y: PAGE.height - MARGIN, width: BODY }, SMALL, 'end'),
      );
    }
  }

  /** The head again on every page: the first belongs to the table, the others are only seen. */
  private drawHead(isFirst: boolean): void {
    const height = this.type.lineHeight(STRONG) + 2 * PAD;
    this.fill({ x: MARGIN, y: this.y, width: BODY }, height, SHADE);
    const draw = (index: number, text: string): void =>
      this.type.draw(text, { ...this.column(index), y: this.y + PAD }, STRONG, index >= 2 ? 'end' : 'start');
    if (isFirst) {
      const row = this.document.struct('TR');
      this.table?.add(row);
      this.head.forEach((text, index) => this.tagged(row, 'TH', text, () => draw(index, text)));
      row.end();
    } else this.artifact(() => this.head.forEach((text, index) => draw(index, text)));
    this.y += height;
  }

  /** Where a column stands: from the right where reading begins there. */
  private column(index: number): { x: number; width: number } {
    const before = COLUMNS.slice(0, index).reduce((sum, width) => sum + width, 0);
    const width = COLUMNS[index] ?? 0;
    const start = this.direction === 'ltr' ? MARGIN + before : PAGE.width - MARGIN - before - width;
    return { x: start + GAP / 2, width: width - GAP };
  }

  private line(tag: string, text: string, style: Style): void {
    this.cell(this.root, tag, [text], { x: MARGIN, y: this.y, width: BODY }, style);
    this.y += this.type.lineHeight(style);
  }

  private cell(parent: Element, tag: string, lines: readonly string[], box: Box, style: Style, isEnd = false): void {
    this.tagged(parent, tag, lines.join(' '), () => {
      for (const line of lines) this.type.draw(line, box, style, isEnd ? 'end' : 'start');
    });
  }

  /** Draws as part of the structure: whoever reads aloud, or copies, gets the text in its own order. */
  private tagged(parent: Element, tag: string, text: string, draw: () => void): void {
    const element = this.document.struct(tag, { actual: withoutMarks(text) }, draw);
    parent.add(element);
    element.end();
  }

  private artifact(draw: () => void): void {
    this.document.markContent('Artifact', { type: 'Pagination' });
    draw();
    this.document.endMarkedContent();
  }

  private fill({ x, y, width }: Box, height: number, colour: string): void {
    this.document.markContent('Artifact', { type: 'Layout' });
    this.document.rect(x, y, width, height).fill(colour);
    this.document.endMarkedContent();
  }

  private rule(): void {
    this.document.markContent('Artifact', { type: 'Layout' });
    this.document
      .moveTo(MARGIN, this.y)
      .lineTo(PAGE.width - MARGIN, this.y)
      .lineWidth(0.5)
      .stroke(RULE);
    this.document.endMarkedContent();
  }

  private room(height: number): void {
    if (this.y + height > BOTTOM) this.page();
  }

  private page(): void {
    this.document.addPage();
    this.y = MARGIN;
  }
}
