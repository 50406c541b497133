/** Text with cells in it: `external:{customer_id}`. */
export type Template = readonly (string | { readonly column: string })[];

/** What is wrong with a template, or the template. `{{` and `}}` stand for braces themselves. */
export const parseTemplate = (source: string): Template | { readonly error: string } => {
  const parts: (string | { column: string })[] = [];
  let literal = '';
  for (let at = 0; at < source.length; at += 1) {
    const two = source.slice(at, at + 2);
    const one = source[at] ?? '';
    if (two === '{{' || two === '}}') {
      literal += one;
      at += 1;
    } else if (one === '{') {
      const end = source.indexOf('}', at);
      if (end === -1) return { error: `"${source}": a brace is opened and never closed` };
      if (literal !== '') parts.push(literal);
      literal = '';
      parts.push({ column: source.slice(at + 1, end) });
      at = end;
    } else if (one === '}') {
      return { error: `"${source}": a brace is closed that was never opened` };
    } else {
      literal += one;
    }
  }
  if (literal !== '') parts.push(literal);
  return parts;
};
