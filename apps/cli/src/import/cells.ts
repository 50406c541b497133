import { UsageError } from '../command.js';
import { nearest } from '../suggest.js';
import type { CellTest } from './conditions.js';
import { holds } from './conditions.js';
import type { DecimalMarks } from './decimal.js';
import type { Condition } from './map-types.js';
import type { Template } from './template.js';

/** A row of the file as text: one cell for each column, blank where there is none. */
export type Cells = readonly string[];

/** Text made of cells. Blank where any of the cells used is blank: half a name is no name. */
export type TextOf = { readonly columns: readonly string[]; readonly of: (cells: Cells) => string };

/** The columns of a file by name. Notes every name that the map uses and the file does not have. */
export class Columns {
  private readonly indexes: ReadonlyMap<string, number>;
  private readonly missing = new Set<string>();

  constructor(readonly names: readonly string[]) {
    this.indexes = new Map(names.map((name, index) => [name, index]));
  }

  index(name: string): number {
    const found = this.indexes.get(name);
    if (found === undefined) this.missing.add(name);
    return found ?? -1;
  }

  text(template: Template): TextOf {
    const parts = template.map((part) => (typeof part === 'string' ? part : this.index(part.column)));
    const columns = template.flatMap((part) => (typeof part === 'string' ? [] : [part.column]));
    const of = (cells: Cells): string => {
      let text = '';
      for (const part of parts) {
        if (typeof part === 'string') {
          text += part;
          continue;
        }
        const cell = (cells[part] ?? '').trim();
        if (cell === '') return '';
        text += cell;
      }
      return text;
    };
    return { columns, of };
  }

  conditions(conditions: readonly Condition[], marks: DecimalMarks): (cells: Cells) => string | undefined {
    const compiled = conditions.map(({ when, because }) => ({
      because,
      tests: [...when].map(([column, test]): [number, CellTest] => [this.index(column), test]),
    }));
    return (cells) =>
      compiled.find(({ tests }) => tests.every(([index, test]) => holds(test, (cells[index] ?? '').trim(), marks)))
        ?.because;
  }

  /** @throws UsageError that lists the columns that the map names and the file lacks. */
  assertComplete(fileName: string): void {
    if (this.missing.size === 0) return;
    const lines = [...this.missing].map((name) => {
      const near = nearest(name, this.names);
      return `  "${name}"${near === undefined ? '' : `: did you mean "${near}"?`}`;
    });
    throw new UsageError(
      `${fileName}, line 1: the file does not have these columns:\n${lines.join('\n')}\nIt has: ${this.names.join(', ')}.\n` +
        'Say with --map FILE which column is what; --init-map drafts such a map from the file.',
    );
  }
}
