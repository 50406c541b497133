/**
 * Several texts in the format of Prometheus as one. A metric that services share is told once, with the samples of all
 * below it: readers refuse a text that describes a metric twice.
 */
export function mergeMetrics(texts: readonly string[]): string {
  const families = new Map<string, { head: string[]; samples: string[] }>();
  for (const text of texts) addText(families, text);
  return [...families.values()].map(({ head, samples }) => [...head, ...samples, ''].join('\n')).join('\n');
}

function addText(families: Map<string, { head: string[]; samples: string[] }>, text: string): void {
  let family = { head: [] as string[], samples: [] as string[] };
  let known = false;
  for (const line of text.split('\n')) {
    if (line === '') continue;
    const name = /^# HELP (\S+)/.exec(line)?.[1];
    if (name !== undefined) {
      const found = families.get(name);
      known = found !== undefined;
      family = found ?? { head: [], samples: [] };
      families.set(name, family);
    }
    if (!line.startsWith('#')) family.samples.push(line);
    else if (!known) family.head.push(line);
  }
}
