import { setFlagsFromString } from 'node:v8';

// Rows and answers come and go by the thousand. Left alone, V8 makes ever more room for the young rather than clear it away;
// kept small, an import stays a hundred megabytes lower and is no slower. Imported first, before there is anything to keep.
setFlagsFromString('--max-semi-space-size=4');
setFlagsFromString('--semi-space-growth-factor=1');
