import { setFlagsFromString } from 'node:v8';

// Rows and answers come and go by the thousand, and hardly anything stays. Left alone on a machine with much memory, V8 makes
// ever more room rather than clear away: an import of a million rows then passes 300 MB with 40 MB in use. These keep the young
// generation small and let the old one grow by 60 % between two collections. Imported first, before there is anything to keep.
setFlagsFromString('--max-semi-space-size=4');
setFlagsFromString('--semi-space-growth-factor=1');
setFlagsFromString('--heap-growing-percent=60');
